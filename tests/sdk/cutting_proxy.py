"""A TCP proxy before PostgreSQL that cuts a connection between the server's act and its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(slots=True)
class CuttingProxy:
    """The running proxy: connect to ``url``; so many of the answers to come are lost, and so many were."""

    url: str
    marker: bytes
    server: tuple[str, int]
    cuts_left: int = 0
    cut: int = 0

    def relay(self, client: socket.socket) -> None:
        """Copy both ways; after a marked request is answered, close instead of passing the answer on."""
        with client, socket.create_connection(self.server) as server:
            marked = threading.Event()
            back = threading.Thread(target=self._answers, args=(server, client, marked), daemon=True)
            back.start()
            while data := _received(client):
                if self.cuts_left > 0 and self.marker in data:
                    marked.set()
                if not _passed_on(server, data):
                    break
            shut(server)
            back.join()

    def _answers(self, server: socket.socket, client: socket.socket, marked: threading.Event) -> None:
        while data := _received(server):
            if marked.is_set():
                self.cuts_left -= 1
                self.cut += 1
                shut(client)
                return
            # Whoever asked may have been killed meanwhile: then nobody is left to answer.
            if not _passed_on(client, data):
                shut(server)
                return
        shut(client)


def _received(side: socket.socket) -> bytes:
    try:
        return side.recv(65536)
    except ConnectionError:
        return b""


def _passed_on(side: socket.socket, data: bytes) -> bool:
    try:
        side.sendall(data)
    except ConnectionError:
        return False
    return True


def shut(side: socket.socket) -> None:
    """End both directions of a connection."""
    # Already gone is as good as shut.
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


@contextmanager
def cutting_proxy(url: str, marker: bytes) -> Iterator[CuttingProxy]:
    """A proxy before the server of a PostgreSQL URL; ``marker`` is what a marked request contains."""
    target = urlsplit(url)
    assert target.hostname
    assert target.port
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = url.replace(f"@{target.hostname}:{target.port}", f"@127.0.0.1:{listener.getsockname()[1]}")
        proxy = CuttingProxy(f"{own}?sslmode=disable", marker, (target.hostname, target.port))
        relays: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                relays.append(threading.Thread(target=proxy.relay, args=(client,), daemon=True))
                relays[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield proxy
        shut(listener)
        accepting.join()
        for relay in relays:
            relay.join(5)
