"""A real `redis-server` for tests, on a free port of loopback, with its files in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

_PATIENCE = 20.0


def binary() -> str:
    """Where the server's program is. Without it a test is skipped, and fails in CI."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("redis-server is not installed")
    assert found is not None
    return found


def queue_name() -> str:
    """A name that no other test's queue has, in this process or another."""
    return f"test-{uuid.uuid4().hex}"


class Server:
    """One server; used as `with`. `settings` are lines of its configuration."""

    def __init__(self, folder: Path, *settings: str, tls: bool = False) -> None:
        self.folder = folder
        self.port = _free_port()
        self._settings = settings
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def start(self) -> None:
        """Start it, with what its folder holds; returns once that is loaded: it listens before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        plain, secure = (0, self.port) if self._tls else (self.port, 0)
        ports = (f"port {plain}", f"tls-port {secure}", "tls-auth-clients no")
        lines = (
            *ports,
            "loglevel notice",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"logfile {self.folder}/log",
            *self._settings,
        )
        configuration = self.folder / "redis.conf"
        configuration.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        ready = self._times_ready()
        self._process = subprocess.Popen([binary(), str(configuration)], stdout=subprocess.DEVNULL)
        began = time.monotonic()
        while self._times_ready() == ready:
            assert self._process.poll() is None, self._log()
            assert time.monotonic() - began < _PATIENCE, self._log()
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it: whatever is not on disk is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _times_ready(self) -> int:
        """How often it has said that it is ready, over all of its starts."""
        return self._log().count("Ready to accept connections")

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP makes it stall."""
        assert self._process is not None
        self._process.send_signal(number)


class Proxy:
    """A way to a server that can be cut: used as `with`. While it is, nothing passes, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._far = port
        self._open = threading.Event()
        self._open.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        """Begin to forward."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more connections, and let go of what was held back."""
        self._open.set()
        self._listening.close()

    def cut(self) -> None:
        """Forward nothing any more."""
        self._open.clear()

    def mend(self) -> None:
        """Forward again, what was held back first."""
        self._open.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._far))
                except OSError:  # nobody is there
                    near.close()
                    continue
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._open.wait()
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
