"""Inside a room with a granted egress: 127.0.0.1:3128 → the Unix socket of the proxy outside.

Runs from its own source text under the room's Python, so it imports the standard library alone:

    python -I -S -c SOURCE run ARGV...       forward in the background, become ARGV
    python -I -S -c SOURCE probe HOST PORT   what must fail is tried; one JSON line says how
"""

import json
import os
import socket
import sys
import threading

ADDRESS = ("127.0.0.1", 3128)
SOCKET = "/run/seal/egress"
TIMEOUT_S = 20


def relay(source: socket.socket, target: socket.socket) -> None:
    """One way, until it ends."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


def serve(listener: socket.socket) -> None:
    """For ever; a connection that the proxy does not take is closed."""
    while True:
        client, _ = listener.accept()
        outside = socket.socket(socket.AF_UNIX)
        try:
            outside.connect(SOCKET)
        except OSError:
            client.close()
            continue
        for pair in ((client, outside), (outside, client)):
            threading.Thread(target=relay, args=pair, daemon=True).start()


def start() -> None:
    """A background process that nobody has to wait for, listening before this returns."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(ADDRESS)
    listener.listen(64)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        listener.close()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    serve(listener)


def probe(host: str, canary: int) -> dict[str, str]:
    """A denied host through the whole path, and the host's own loopback past it."""
    with socket.create_connection(ADDRESS, TIMEOUT_S) as one:
        one.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        answer = one.recv(4096).split(b"\r\n")[0].decode("latin-1")
    try:
        socket.create_connection(("127.0.0.1", canary), TIMEOUT_S).close()
        direct = "connected"
    except OSError as error:
        direct = type(error).__name__
    return {"denied": answer, "direct": direct}


def main(words: list[str]) -> None:
    """See above."""
    start()
    if words[0] == "probe":
        sys.stdout.write(json.dumps(probe(words[1], int(words[2]))) + "\n")
        return
    try:
        os.execvp(words[1], words[1:])  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{words[1]}: {error.strerror}\n")
        raise SystemExit(127) from error


if __name__ == "__main__":
    main(sys.argv[1:])
