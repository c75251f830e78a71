"""An asyncio server, blocking clients in threads, and a client in a subprocess of its own."""

import asyncio
import socket
import subprocess
import sys
import threading

CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    s.sendall(b"subprocess\\n")
    print(s.makefile().readline(), end="")
"""


served = set()


async def echo(reader, writer):
    served.add(writer)
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    served.remove(writer)


def blocking(port, heard):
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"threads\n" * 1000)
        s.shutdown(socket.SHUT_WR)
        with s.makefile() as answers:
            heard.append(len(list(answers)))


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"asyncio\n")
    words = [(await reader.readline()).decode().strip()]
    writer.close()
    await writer.wait_closed()

    heard = []
    threads = [threading.Thread(target=blocking, args=(port, heard)) for _ in range(10)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await asyncio.sleep(0.01)
    words.append("threads" if heard == [1000] * 10 else f"threads: {heard}")

    command = [sys.executable, "-c", CLIENT, str(port)]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    answer, _ = await child.communicate()
    words.append(answer.decode().strip())
    while served:
        await asyncio.sleep(0.01)
    print(*words)
    server.close()


asyncio.run(main())
