"""A workspace in a process of its own, with regions, times and containers as a test wants them.

`Emulated` starts it and reads its ledger; run as a module, this is what it starts. Its own limit on GPUs is so
high that it hides nothing.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from tests.support.ledger import peaks

from beacon_cli.behaviour import script, timing
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.emulator import deployment, server
from beacon_cli.emulator.provider import Settings

REGIONS = {"us": "us", "eu": "eu", "asia": "apac", "mars": "mars", "moon": "moon"}
"""The regions that have an app, each with the end of its name."""


class Book:
    """What a ledger says from a moment on; read on as it grows."""

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        self._offset = offset
        self._records: list[dict[str, Any]] = []

    def records(self) -> list[dict[str, Any]]:
        """All of its records so far."""
        with self._path.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._records.append(json.loads(line))
                self._offset += len(line)
        return self._records

    def calls(self) -> set[str]:
        """The calls that are under way."""
        return self._alive("placed", "finished", "call")

    def containers(self) -> set[str]:
        """The containers that live."""
        return self._alive("container_up", "container_down", "container")

    def peaks(self) -> dict[str, int]:
        """See `ledger.peaks`."""
        return peaks(self.records())

    def _alive(self, begins: str, ends: str, name: str) -> set[str]:
        records = self.records()
        ended = {each[name] for each in records if each["event"] == ends}
        return {each[name] for each in records if each["event"] == begins} - ended


class Emulated:
    """Used as `with`. `speed` divides all times; `window` is the seconds (of the apps) that containers idle."""

    def __init__(
        self, folder: Path, rules: Iterable[dict[str, Any]] = (), *, speed: float = 100.0, window: float = 100.0
    ) -> None:
        self.ledger = folder / "ledger.jsonl"
        self.environment: dict[str, str] = {}
        self._asked = {"rules": list(rules), "speed": speed, "window": window, "ledger": str(self.ledger)}
        self.whole: Book
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        """Start it; returns once it listens."""
        command = [sys.executable, "-m", "tests.support.emulated", json.dumps(self._asked)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.environment = json.loads(self._process.stdout.readline())
        self.whole = Book(self.ledger, offset=0)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate()

    def book(self) -> Book:
        """What is written from here on."""
        return Book(self.ledger, self.ledger.stat().st_size)


def _serve(asked: dict[str, Any]) -> None:
    """Serve until nobody holds the other end of stdin any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings(
        speed=asked["speed"],
        gpus=1000,
        script=script.load(json.dumps({"rules": asked["rules"]})),
        timings=timing.Timings(boot=(10.0, 20.0)),
        scaling=Scaling(scaledown_window=asked["window"]),
    )
    apps = deployment.apps_for({f"project-beacon-hf-{end}": region for region, end in REGIONS.items()})
    with server.running(settings, ledger=Path(asked["ledger"]), apps=apps) as address:
        sys.stdout.write(json.dumps(address.environment()) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
