"""The processes that carry jobs out: `beacon run` and `beacon resume`, each in a session of its own.

In a session of its own, Ctrl-C in the server's terminal does not reach it twice, and it outlives a server that is
killed: its lock on the run says so to the next one. Must not know why a process is started.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import anyio
import msgspec
from anyio.abc import Process

from beacon_cli.tickets import Priority

_KEPT_LINES = 5
_LONGEST_LINE = 2_000


class Ending(msgspec.Struct, frozen=True):
    """How a process ended: its exit code (negative: the signal that killed it), and what it said last."""

    code: int
    said: tuple[str, ...] = ()


class Child(Protocol):
    """A process that carries a job out."""

    async def ended(self) -> Ending:
        """Wait until it has ended."""

    def stop(self) -> None:
        """Ask it to end in order. One that has ended is no error."""


class Launcher(Protocol):
    """Starts such processes."""

    async def begin(self, run_id: str, job: Path, priority: Priority) -> Child:
        """Begin the run of a job's file under this id."""

    async def resume(self, run_id: str, priority: Priority) -> Child:
        """Go on with the run of this id."""


class Beacons:
    """Starts this very beacon, where the server was started. With `rehearsal_speed` all runs are rehearsals."""

    def __init__(self, rehearsal_speed: float | None = None) -> None:
        self._speed = rehearsal_speed

    async def begin(self, run_id: str, job: Path, priority: Priority) -> Child:
        """See `Launcher.begin`."""
        rehearsal = [] if self._speed is None else ["--rehearse", "--speed", f"{self._speed:g}"]
        said = ["--quiet", "--priority", priority.value]
        return await _started(["run", str(job), "--run-id", run_id, *said, *rehearsal])

    async def resume(self, run_id: str, priority: Priority) -> Child:
        """See `Launcher.resume`."""
        speed = [] if self._speed is None else ["--speed", f"{self._speed:g}"]
        return await _started(["resume", run_id, "--quiet", "--priority", priority.value, *speed])


class _Beacon:
    """See `Child`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)

    async def ended(self) -> Ending:
        await self._listen()
        return Ending(await self._process.wait(), tuple(self._said))

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    async def _listen(self) -> None:
        """Keep the last lines of what it says; of one without end, its beginning."""
        if self._process.stderr is None:
            return
        line = b""
        async for part in self._process.stderr:
            *whole, rest = (line + part).split(b"\n")
            self._said.extend(_text(each) for each in whole if each.strip())
            line = rest[:_LONGEST_LINE]
        if line.strip():
            self._said.append(_text(line))


def _text(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode(errors="replace").removeprefix("beacon: ")


async def _started(arguments: Sequence[str]) -> _Beacon:
    # -P: a folder in which the server was started holds no code of ours, whatever is in it
    command = [sys.executable, "-P", "-m", "beacon_cli", *arguments]
    process = await anyio.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    return _Beacon(process)
