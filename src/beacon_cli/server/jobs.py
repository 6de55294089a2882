"""What runs in the background: every job that was taken in, carried out by a process of its own, in order.

A job whose process ends without a word (killed, out of memory, a fault below Python) is gone on with, until it has
lost `POISON` of them: then it is set aside with that reason. Must not know HTTP.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio import to_thread
from anyio.abc import TaskGroup

from beacon_cli.errors import StoreError, UsageError
from beacon_cli.model import Spec
from beacon_cli.ports import Store
from beacon_cli.runs import Runs, RunState, Summary, new_run_id
from beacon_cli.server.book import Book, Entry, Stage
from beacon_cli.server.children import Child, Ending, Launcher
from beacon_cli.tickets import POISON, Priority

MOST = 1_000
"""Jobs that go on at once, those included that wait for a process."""
PROCESSES = 20
"""Processes at once. A job beyond them waits within the server, and has no ticket yet."""
STOPPING = 60.0
"""Seconds for which a server that stops waits for its processes: they end calls at the provider."""
_WATCH = 1.0
"""Seconds between two looks at a run that a process of an earlier server carries out."""
_PAUSE = 1.0
"""Seconds before a job goes on whose process died."""
PATIENCE = 60.0
"""Seconds for which the queue's store may fail before the job that would take its places there does."""
_GRACE = 15.0
"""Seconds after which a process that was asked to end by the queue is asked by a signal."""
_STOPPED = frozenset({129, 130, 143})
_ENDED = frozenset({0, 3})
_WRONG = 2
"""The exit code of a command that could not be carried out as it was given."""
_TELLING = frozenset({_WRONG, 5})
"""Exit codes whose line is meant for whoever wrote the job; others concern the server's own disk."""


class FullError(Exception):
    """There are as many jobs as the server takes."""


class Jobs:
    """Takes jobs in and sees to it that each is carried out, from `start` to `stop`.

    `queue_up` takes a run's places in the queue, given its id, its job's file and its priority. `say` is given
    lines for whoever looks after the server; where its `home` is, clients are not told.
    """

    def __init__(
        self,
        book: Book,
        runs: Runs,
        store: Store,
        launcher: Launcher,
        *,
        queue_up: Callable[[str, Path, Priority], None],
        home: Path,
        processes: int = PROCESSES,
        say: Callable[[str], None],
    ) -> None:
        self._book = book
        self._runs = runs
        self._store = store
        self._launcher = launcher
        self._queue_up = queue_up
        self._in_order = anyio.Lock()
        self._home = str(home)
        self._places = anyio.CapacityLimiter(processes)
        self._say = say
        self._children: dict[str, Child] = {}
        self._busy: set[str] = set()
        """Jobs whose process is being started, lives, or has just ended and is not yet in the book."""
        self._quiet = anyio.Event()
        self._ended: dict[str, anyio.Event] = defaultdict(anyio.Event)
        self._group: TaskGroup
        self._stopping = anyio.Event()
        self._changing = anyio.Lock()

    @property
    def stopping(self) -> anyio.Event:
        """Set once the server stops: no process is started any more."""
        return self._stopping

    def get(self, run_id: str) -> Entry | None:
        """The job with this run id."""
        return self._book.get(run_id)

    def latest(self, most: int) -> tuple[list[Entry], int]:
        """The jobs that were taken in last, the newest first, and how many are remembered in all."""
        every = list(self._book)
        return every[::-1][:most], len(every)

    def ahead(self, entry: Entry) -> int:
        """How many jobs will have a process before this one has; 0 for one that has."""
        if entry.stage is not Stage.ACCEPTED:
            return 0
        earlier = [each for each in self._book if each.is_open and each.at < entry.at]
        return sum(each.stage is Stage.ACCEPTED for each in earlier)

    def counts(self) -> dict[str, int]:
        """How many jobs stand at each stage."""
        counted = dict.fromkeys((stage.value for stage in Stage), 0)
        for entry in self._book:
            counted[entry.stage.value] += 1
        return counted

    def start(self, group: TaskGroup) -> None:
        """Go on with what an earlier server left, and from here on carry out what is taken in, in this group."""
        self._group = group
        for entry in self._book:
            if entry.is_open:
                group.start_soon(self._carry_out, entry.run_id)

    async def take(self, spec: Spec, file: bytes, priority: Priority = Priority.NORMAL) -> Entry:
        """Take a job in: it is on disk when this returns, and will be carried out.

        Raises:
            FullError: there are as many as the server takes, or it stops.
            StoreError: it cannot be written; it is not taken in then.
        """
        async with self._changing:
            if self._stopping.is_set() or sum(each.is_open for each in self._book) >= MOST:
                raise FullError
            at = time.time()
            entry = Entry(run_id=new_run_id(at, random.random), job_id=spec.id, at=at, priority=priority)
            while self._book.get(entry.run_id):
                entry = msgspec.structs.replace(entry, run_id=new_run_id(at, random.random))
            await to_thread.run_sync(self._book.add, entry, file)
        self._group.start_soon(self._carry_out, entry.run_id)
        return entry

    async def cancel(self, run_id: str) -> Entry | None:
        """Have a job end; None if it has ended. It is never gone on with, whatever happens from here on.

        Raises:
            StoreError: that cannot be written; nothing has changed then.
        """
        entry = await self._change(run_id, lambda now: {"stage": Stage.CANCELLED} if now.is_open else {})
        if entry is None:
            return None
        child = self._children.get(run_id)
        if child is None and entry.stage is Stage.CANCELLED:
            self._finish(run_id)
        self._group.start_soon(self._end, run_id, child)
        return entry

    async def ended(self, run_id: str) -> None:
        """Wait until a job has ended: no process carries it out any more."""
        if (entry := self._book.get(run_id)) and (entry.is_open or run_id in self._children):
            await self._ended[run_id].wait()

    async def stop(self) -> bool:
        """Ask every process to end in order and wait for it; whether all have ended.

        What goes on at the next start stays open.
        """
        self._stopping.set()
        for child in self._children.values():
            child.stop()
        if self._busy:
            with anyio.move_on_after(STOPPING):
                await self._quiet.wait()
        for run_id in self._busy:
            self._say(f"run {run_id} is still ending; it goes on without the server")
        self._group.cancel_scope.cancel()
        return not self._busy

    async def summary(self, run_id: str) -> Summary | None:
        """What the run's folder says; None if there is none yet.

        Raises:
            StoreError: it cannot be read.
        """
        return await to_thread.run_sync(self._summary, run_id)

    async def _carry_out(self, run_id: str) -> None:
        """Process after process until the job has ended, or the server stops."""
        async with self._places:
            try:
                async with (
                    self._in_order
                ):  # jobs have their processes in the order in which they came, and here too
                    await self._take_places(run_id)
                while not self._stopping.is_set() and (entry := self._book.get(run_id)) and entry.is_open:
                    await self._once(entry)
            except StoreError as error:
                self._say(f"run {run_id}: {error}")
                await self._fail(run_id, "the server's own store failed; its log says how")
            except Exception as error:  # noqa: BLE001 - one job's fault takes no other job and no server with it
                self._say(f"run {run_id}: {type(error).__name__}: {error}")
                await self._fail(run_id, "a fault of the server's own; its log says more")
            finally:
                self._children.pop(run_id, None)
        if (entry := self._book.get(run_id)) and not entry.is_open:
            self._finish(run_id)

    async def _take_places(self, run_id: str) -> None:
        """Have a job take its places in the queue; a store that fails is asked again for a while."""
        until, told = anyio.current_time() + PATIENCE, ""
        while not self._stopping.is_set() and (entry := self._book.get(run_id)) and entry.is_open:
            try:
                return await to_thread.run_sync(self._queue_up, run_id, self._book.file(run_id), entry.priority)
            except StoreError as error:
                if anyio.current_time() > until:
                    raise
                if str(error) != told:
                    told = str(error)
                    self._say(f"run {run_id} waits: {told}")
            with anyio.move_on_after(_PAUSE):
                await self._stopping.wait()
        return None

    async def _once(self, entry: Entry) -> None:
        """One process, or the watch over one of an earlier server."""
        summary = await self.summary(entry.run_id)
        if summary is not None and summary.state is RunState.RUNNING:
            await anyio.sleep(_WATCH)
        elif summary is not None and summary.state is RunState.FINISHED:
            await self._change(entry.run_id, lambda _: {"stage": Stage.FINISHED, "lost": 0})
        elif summary is not None and summary.state is RunState.UNREADABLE:
            self._say(f"run {entry.run_id}: {summary.note}")
            await self._fail(entry.run_id, "its journal cannot be read")
        elif entry.lost >= POISON:
            reason = f"{entry.lost} processes that carried it out died without a word"
            self._say(f"run {entry.run_id} is set aside: {reason}")
            await self._change(entry.run_id, lambda _: {"stage": Stage.SET_ASIDE, "reason": reason})
        else:
            self._busy.add(entry.run_id)
            try:
                await self._with_a_process(entry, summary)
            finally:
                self._busy.discard(entry.run_id)
                if self._stopping.is_set() and not self._busy:
                    self._quiet.set()

    async def _with_a_process(self, entry: Entry, summary: Summary | None) -> None:
        run_id = entry.run_id
        # Counted before it starts, so that a server that dies with it has counted it too.
        started = await self._change(
            run_id, lambda now: {"stage": Stage.STARTED, "lost": entry.lost + 1} if now.is_open else {}
        )
        if started is None:
            return
        if summary is not None and summary.job is None:
            await to_thread.run_sync(self._runs.find(run_id).forget)  # it never began: nothing is in it
            summary = None
        if summary:
            launch = self._launcher.resume(run_id, entry.priority)
        else:
            launch = self._launcher.begin(run_id, self._book.file(run_id), entry.priority)
        child = self._children[run_id] = await launch
        if self._stopping.is_set() or not ((now := self._book.get(run_id)) and now.is_open):
            child.stop()  # nobody could, who asked while it was being started
        ending = await child.ended()
        del self._children[run_id]
        await self._settle(entry, ending, begun=summary is None)

    async def _settle(self, entry: Entry, ending: Ending, *, begun: bool) -> None:
        """What the end of a process means for its job; `begun`: it was to begin the run, and there was none."""
        run_id, lost = entry.run_id, entry.lost
        if ending.code:
            silent = (
                () if ending.code in _STOPPED else ("it said nothing",)
            )  # who is stopped early has no word to say
            for line in ending.said or silent:
                self._say(f"run {run_id} (exit code {ending.code}): {line}")
        if ending.code in _ENDED:
            await self._change(run_id, lambda now: _if_open(now, stage=Stage.FINISHED, lost=lost))
        elif self._stopping.is_set():
            await self._change(run_id, lambda now: _if_open(now, stage=Stage.ACCEPTED, lost=lost))
        elif ending.code < 0:
            await anyio.sleep(_PAUSE)
        elif ending.code in _STOPPED:
            reason = "it was stopped; beacon resume goes on with it"
            await self._change(
                run_id, lambda now: _if_open(now, stage=Stage.INTERRUPTED, lost=lost, reason=reason)
            )
        elif (summary := await self.summary(run_id)) is None or summary.state is not RunState.RUNNING:
            if begun and ending.code == _WRONG and summary is not None and summary.job is not None:
                # A process that an earlier server had only just started came before: it carries the run out.
                await self._change(run_id, lambda now: _if_open(now, stage=Stage.STARTED, lost=lost))
                return
            await self._fail(run_id, self._told(ending), lost=lost)

    def _told(self, ending: Ending) -> str:
        """What a client is told of a process that could not carry its job out."""
        if not ending.said or ending.code not in _TELLING:
            return "see the server's own log"
        return ending.said[-1].replace(self._home, "$BEACON_HOME")

    async def _fail(self, run_id: str, reason: str, **more: Any) -> None:
        try:
            await self._change(run_id, lambda now: _if_open(now, stage=Stage.FAILED, reason=reason, **more))
        except StoreError as error:
            self._say(f"run {run_id}: {error}")

    async def _change(self, run_id: str, changes: Callable[[Entry], dict[str, Any]]) -> Entry | None:
        """Change a job's entry on disk; None, and nothing changed, where there is nothing to change."""
        async with self._changing:
            entry = self._book.get(run_id)
            changed = changes(entry) if entry else {}
            if entry is None or not changed:
                return None
            entry = msgspec.structs.replace(entry, **changed)
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._book.change, entry)
            return entry

    async def _end(self, run_id: str, child: Child | None) -> None:
        """End a job's process through the queue, so that it says by whom; by a signal where that is not enough."""
        try:
            cancel = partial(self._store.cancel, run_id, None, "the server's client")
            told = await to_thread.run_sync(cancel)
        except StoreError as error:
            self._say(f"run {run_id}: {error}")
            told = ()
        if child is None:
            if not told:  # it may be in no queue, and carried out by a process that an earlier server left
                await to_thread.run_sync(self._stop_writer, run_id)
            return
        summary = await self.summary(run_id)
        if told and summary is not None and summary.job is not None:
            with anyio.move_on_after(_GRACE):
                await self.ended(run_id)
        if self._children.get(run_id) is child:
            child.stop()

    def _stop_writer(self, run_id: str) -> None:
        with suppress(UsageError, StoreError, OSError):  # there is none, or it has ended
            folder = self._runs.find(run_id)
            writer = folder.writer if folder.run_id == run_id else None
            if writer is not None and writer != os.getpid():
                os.kill(writer, signal.SIGTERM)

    def _finish(self, run_id: str) -> None:
        self._ended[run_id].set()
        del self._ended[run_id]

    def _summary(self, run_id: str) -> Summary | None:
        try:
            folder = self._runs.find(run_id)
        except UsageError:
            return None
        return folder.summary() if folder.run_id == run_id else None


def _if_open(entry: Entry, **changes: Any) -> dict[str, Any]:
    return changes if entry.is_open else {}
