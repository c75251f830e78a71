"""Programs of `tcplab demo` for machines without a C compiler.

    python3 programs.py NAME ARGUMENTS

Each has the name, the command line and the output of a C program in examples/, as far as the demo
uses them.
"""

import os
import signal
import socket
import sys
import threading


def listen_on(port, reuse):
    listener = socket.socket()
    if reuse:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(port)))
    except OSError as error:
        sys.exit("bind: " + error.strerror)
    listener.listen()
    print("listening on", listener.getsockname()[1], flush=True)
    return listener


def connect_to(port):
    connection = socket.socket()
    try:
        connection.connect(("127.0.0.1", int(port)))
    except OSError as error:
        sys.exit("connect: " + error.strerror)
    return connection


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def read_to_end(connection):
    total = 0
    while data := connection.recv(65536):
        total += len(data)
    return total


def serve_in_threads(port, serve):
    listener = listen_on(port, reuse=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def echo_server(port):
    def serve(connection):
        with connection:
            echo(connection)

    serve_in_threads(port, serve)


def correct_server(port):
    echo_server(port)


def leak_never_closes(port):
    forgotten = []

    def serve(connection):
        forgotten.append(connection)
        echo(connection)

    serve_in_threads(port, serve)


def bulk_server(port, count=1 << 20):
    listener = listen_on(port, reuse=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            request = read_to_end(connection)
            connection.sendall(b"x" * int(count))
        print(f"read {request} octets and their end, then sent {count}", flush=True)


def closes_first(*arguments):
    listener = listen_on(arguments[-1], reuse="-r" in arguments)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbye\n")
            connection.shutdown(socket.SHUT_WR)
            read_to_end(connection)
        if "-1" in arguments:
            return


def fork_server(*arguments):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = listen_on(arguments[-1], reuse=True)
    forgotten = []
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            echo(connection)
            connection.close()
            os._exit(0)
        if "-f" in arguments:
            forgotten.append(connection)
        else:
            connection.close()


def client(*arguments):
    at_once = arguments[0] == "-c"
    port, *lines = arguments[at_once:]
    connection = connect_to(port)
    received = 0
    for line in lines:
        connection.sendall(line.encode() + b"\n")
        while data := connection.recv(1):
            received += 1
            print(data.decode("latin-1"), end="")
            if data == b"\n":
                break
    if not at_once:
        connection.shutdown(socket.SHUT_WR)
        received += read_to_end(connection)
    print(f"received {received} octets")
    connection.close()


def half_close_client(port, request="all, please\n"):
    connection = connect_to(port)
    connection.sendall(request.encode())
    connection.shutdown(socket.SHUT_WR)
    print("FIN sent", flush=True)
    print(f"received {read_to_end(connection)} octets after the FIN, then read() returned 0")
    connection.close()


globals()[sys.argv[1]](*sys.argv[2:])
