"""What really happened, one JSON line each: append-only and out of the process before anything else goes on.

Every line holds `event`, `at` (seconds since the epoch) and `mono` (monotonic seconds, comparable within one
machine), then what the event is about. The events: `serving`, `placed`, `started`, `preempted`, `finished` (with
`how`: done, crashed, timed_out, cancelled), `cancel_asked`, `refused`, `container_up` (it takes its GPU and begins
to start), `container_down` (it has given the GPU back), `scaled` (how a pool scales was changed), `closed`. The
lines stand in the order of what happened, so the GPUs held at any moment can be counted from them alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Ledger:
    """Writes to the file at `path`, or keeps nothing where that is None. Close it when done."""

    def __init__(self, path: Path | None) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._file = None if path is None else os.open(path, flags, 0o600)
        self._offset = time.time() - time.monotonic()
        self._encoder = msgspec.json.Encoder()

    def write(self, event: str, mono: float, **about: Any) -> None:
        """Add a line about what happened at monotonic second `mono`. One system call, no buffer."""
        if self._file is None:
            return
        record = {"event": event, "at": round(mono + self._offset, 6), "mono": round(mono, 6), **about}
        os.write(self._file, self._encoder.encode(record) + b"\n")

    def close(self) -> None:
        """Close the file; a second time is no error."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a ledger, in order; a last line that is still being written is left out."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line)
