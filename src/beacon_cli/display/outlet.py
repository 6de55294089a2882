"""Writes a display's text to its stream, from a thread of its own. Knows nothing of runs.

A terminal that is stopped (Ctrl-S) or a reader that does not read blocks whoever writes to it: the thread waits,
the run goes on. A stream that cannot be written to (a closed pipe, a full disk) is given up in silence: the first
failure is kept in `failure`, the rest is dropped.
"""

from __future__ import annotations

import os
import select
from queue import SimpleQueue
from threading import Thread
from typing import IO

import anyio

_FAR_BEHIND = 4_000_000
"""Characters that may wait for a slow reader before the run waits with them."""
_LOOK_AGAIN = 0.01
_LAST_WORDS = 0.5
"""Seconds that the end waits for the writer even when it is cancelled."""


class Outlet:
    """One for each stream that a display writes to; `write` neither waits nor raises."""

    def __init__(self, stream: IO[str]) -> None:
        self.failure: Exception | None = None
        """Why nothing more is written; None while all is well."""
        self._stream = stream
        self._given = 0
        self._written = 0
        self._texts: SimpleQueue[str | None] = SimpleQueue()
        self._thread: Thread | None = None

    @property
    def behind(self) -> int:
        """The characters that are still to be written."""
        return 0 if self.failure is not None else self._given - self._written

    def write(self, text: str) -> None:
        """Have the text written, in the order of the calls."""
        if self.failure is not None or not text:
            return
        if self._thread is None:
            # A daemon: a reader that never reads must not keep the process from ending.
            self._thread = Thread(target=self._work, name="beacon-display", daemon=True)
            self._thread.start()
        self._given += len(text)
        self._texts.put(text)

    def give_up(self, failure: Exception) -> None:
        """Write nothing more; only the first failure is kept."""
        self.failure = self.failure or failure

    async def room(self) -> None:
        """Return once the reader is not far behind."""
        await self._at_most(_FAR_BEHIND)

    async def finish(self) -> None:
        """Return once everything is written; a cancellation shortens the wait, not to nothing."""
        with anyio.move_on_after(_LAST_WORDS, shield=True):
            await self._at_most(0)
        await self._at_most(0)
        self._texts.put(None)

    async def _at_most(self, behind: int) -> None:
        while self.behind > behind:  # noqa: ASYNC110  a thread cannot set an event of whatever loop this is
            await anyio.sleep(_LOOK_AGAIN)

    def _work(self) -> None:
        try:
            pipe = _Pipe(self._stream)
            while (text := self._texts.get()) is not None:
                pipe.put(text)
                self._written += len(text)
        except Exception as error:  # noqa: BLE001  closed, full, gone: whatever it is, the run goes on without
            self.give_up(error)


class _Pipe:
    """Puts text on a stream; on the file itself where there is one.

    The stream's own buffer has a lock. A thread that waits for a reader would hold it while the process ends, and
    Python would abort.
    """

    def __init__(self, stream: IO[str]) -> None:
        stream.flush()
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            self._file = stream.fileno() if os.name == "posix" else None
        except (OSError, ValueError):
            self._file = None

    def put(self, text: str) -> None:
        if self._file is None:
            self._stream.write(text)
            self._stream.flush()
            return
        rest = memoryview(text.encode(self._encoding, "backslashreplace"))
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:
                select.select([], [self._file], [])
