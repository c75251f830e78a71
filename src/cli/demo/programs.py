"""Programs of `tcplab demo` for machines without a C compiler.

    python3 programs.py NAME ARGUMENTS

Each has the name, the command line and the output of a C program in examples/, as far as the demo
uses them.
"""

import errno
import os
import signal
import socket
import struct
import sys
import threading
import time


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


def connect_to(port, local=0, reuse=False):
    connection = socket.socket()
    if reuse:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        call = "bind"
        if local:
            connection.bind(("127.0.0.1", local))
        call = "connect"
        connection.connect(("127.0.0.1", int(port)))
    except OSError as error:
        sys.exit(call + ": " + error.strerror)
    return connection


def letters(arguments):
    """The letters of the options before the port."""
    return "".join(word[1:] for word in arguments if word.startswith("-"))


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


def leak_ignores_eof(port):
    def serve(connection):
        while True:
            if data := connection.recv(65536):
                connection.sendall(data)
            else:
                time.sleep(0.01)

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
    listener = listen_on(arguments[-1], reuse="r" in letters(arguments))
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbye\n")
            connection.shutdown(socket.SHUT_WR)
            read_to_end(connection)
        if "1" in letters(arguments):
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
        if "f" in letters(arguments):
            forgotten.append(connection)
        else:
            connection.close()


def client(*arguments):
    words = list(arguments)
    options, local = "", 0
    while words[0].startswith("-"):
        option = words.pop(0)[1:]
        options += option
        if option == "b":
            local = int(words.pop(0))
    connection = connect_to(words.pop(0), local, "r" in options)
    received = 0
    for line in words:
        connection.sendall(line.encode() + b"\n")
        while data := connection.recv(1):
            received += 1
            print(data.decode("latin-1"), end="")
            if data == b"\n":
                break
    if "e" in options:
        received += read_to_end(connection)
    elif "c" not in options:
        connection.shutdown(socket.SHUT_WR)
        received += read_to_end(connection)
    print(f"received {received} octets")
    connection.close()


def connect_often(port, count):
    for made in range(1, int(count) + 1):
        connection = connect_to(port)
        connection.shutdown(socket.SHUT_WR)
        read_to_end(connection)
        connection.close()
        print("connected and closed", made, flush=True)


def http_get(port, count=1):
    for _ in range(int(count)):
        connection = connect_to(port)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
        print(answer.split(b"\r\n")[0].decode("latin-1"), flush=True)
        connection.close()


class Calls:
    """The sockets of the program of that name, and the calls that it knows."""

    def __init__(self):
        self.listener = None
        self.fd = None
        self.closed = False

    def socket(self, _):
        self.fd, self.closed = socket.socket(), False

    def bind(self, port):
        self.fd.bind(("127.0.0.1", int(port)))

    def listen(self, port):
        self.reuse(None)
        self.bind(port)
        self.fd.listen()
        self.listener = self.fd

    def accept(self, _):
        self.fd, self.closed = self.listener.accept()[0], False

    def connect(self, port):
        self.fd.connect(("127.0.0.1", int(port)))

    def write(self, text):
        return self.fd.send(text.encode())

    def send(self, count):
        self.fd.sendall(b"x" * int(count))
        return int(count)

    def read(self, count):
        octets = self.fd.recv(int(count or 4096))
        if not octets:
            return 0
        return f'{len(octets)} "{octets.decode("latin-1")}"'

    def receive(self, count):
        received = 0
        while received < int(count) and (data := self.fd.recv(min(65536, int(count) - received))):
            received += len(data)
        return received

    def shutdown(self, _):
        self.fd.shutdown(socket.SHUT_WR)

    def close(self, _):
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        self.closed = True
        self.fd.close()

    def reuse(self, _):
        self.fd.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def rcvbuf(self, octets):
        self.fd.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(octets))

    def linger(self, seconds):
        value = struct.pack("ii", 1, int(seconds))
        self.fd.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)

    def so_error(self, _):
        error = self.fd.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return errno.errorcode.get(error, 0)


def calls():
    signalled = []
    signal.signal(signal.SIGPIPE, lambda *_: signalled.append("SIGPIPE"))
    program = Calls()
    for line in iter(sys.stdin.readline, ""):
        call, _, argument = line.rstrip("\n").partition(" ")
        signalled.clear()
        try:
            if program.fd is None and call != "socket":
                program.socket(None)
            answer = getattr(program, call)(argument) or 0
        except OSError as error:
            answer = f"-1 {errno.errorcode[error.errno]}"
        print(line.rstrip("\n"), "=", answer, *signalled, flush=True)


def half_close_client(port, request="all, please\n"):
    connection = connect_to(port)
    connection.sendall(request.encode())
    connection.shutdown(socket.SHUT_WR)
    print("FIN sent", flush=True)
    print(f"received {read_to_end(connection)} octets after the FIN, then read() returned 0")
    connection.close()


globals()[sys.argv[1]](*sys.argv[2:])
