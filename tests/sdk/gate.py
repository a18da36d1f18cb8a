"""A TCP gate before a service: shut, it refuses connections and cuts those there are; or it loses answers.

``lose`` lets requests pass that contain a marker and cuts the connection when the answer comes: the service has acted
and the client cannot know. The address stays the same while the service behind it is killed and started again.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sdk.cutting_proxy import CuttingProxy, shut


class Gate:
    """The running gate: connect to ``base_url``."""

    def __init__(self, service_url: str) -> None:
        target = urlsplit(service_url)
        assert target.hostname
        assert target.port
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])
        self.base_url = f"http://127.0.0.1:{self._port}"
        self._proxy = CuttingProxy(self.base_url, b"\0", (target.hostname, target.port))
        self._listener: socket.socket | None = None
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def lose(self, answers: int, marker: bytes) -> None:
        """Lose so many of the answers to come of requests that contain the marker."""
        self._proxy.marker, self._proxy.cuts_left = marker, answers

    @property
    def still_to_lose(self) -> int:
        """How many answers are still to be lost."""
        return self._proxy.cuts_left

    def open(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def shut(self) -> None:
        """Refuse connections, and cut those there are."""
        if self._listener is not None:
            shut(self._listener)
            self._listener.close()
            self._listener = None
        for client in self._clients:
            shut(client)
        self._clients.clear()

    def close(self) -> None:
        """Shut for good."""
        self.shut()
        for thread in self._threads:
            thread.join(5)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._relay, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _relay(self, client: socket.socket) -> None:
        try:
            self._proxy.relay(client)
        except OSError:
            # The service behind is dead, or one of the two sides just went.
            return


@contextmanager
def gate_before(service_url: str) -> Iterator[Gate]:
    """An open gate before a service."""
    gate = Gate(service_url)
    gate.open()
    try:
        yield gate
    finally:
        gate.close()
