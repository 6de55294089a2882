"""The plain display: a line for each event worth one, for files, pipes and build logs. No escape codes.

Small runs name each question as its turn comes; large ones say each tenth that is done. Failures are told one by
one until there are many; given-up regions and the end always; and every 30 s a line shows that the run lives.
Each line begins with the time since the run started, or was resumed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, ClassVar, Self

from beacon_cli import events as ev
from beacon_cli.counts import RegionStanding, RegionState
from beacon_cli.display.clean import excerpt
from beacon_cli.display.outlet import Outlet
from beacon_cli.display.pace import left
from beacon_cli.display.ticking import Ticking
from beacon_cli.display.words import clock, count, precise
from beacon_cli.model import Failed, Limits, TimedOut
from beacon_cli.results import Standings

_HEARTBEAT = 30.0
_WIDTH = 160
"""No line is longer: a reader's window, not this process, decides where long lines wrap."""
_MANY_QUESTIONS = 100
"""With more turns of questions than these, tenths are told instead."""
_MANY_TROUBLES = 20
"""In each region this many failures and retries are told one by one."""
_REHEARSAL = "REHEARSAL: no GPU is used, every answer is made up"
_ID = 60
_MESSAGE = 100


class Telling:
    """What is said of each event. Keeps what it has said; knows no stream and no clock."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, str | None, int, str]] = set()
        self._tenths: Counter[str] = Counter()
        self._troubles: Counter[str] = Counter()
        self._slots: dict[str, int] = {}

    def lines(self, event: ev.Event, standings: Standings) -> list[str]:
        """The lines for `event`, which `standings` hold already; most events have none."""
        teller = self._tellers.get(type(event))
        said = teller(self, event, standings) if teller else []
        return [_stamped(event.at, line, standings) for line in said]

    def heartbeat(self, standings: Standings, now: float) -> str:
        """One line that shows that the run lives, how far it is and what it waits for."""
        rest = left(standings, now)
        waiting = sum(region.state is RegionState.QUEUED for region in standings.regions.values())
        oldest = min(standings.running.values(), key=lambda progress: progress.started_at, default=None)
        facts = [
            f"{_done(standings)}/{standings.planned} done",
            f"{standings.total('failed')} failed" if standings.total("failed") else "",
            f"{len(standings.running)} in flight",
            f"{count(len(standings.waiting), 'execution')} waiting for a retry" if standings.waiting else "",
            f"{count(waiting, 'region')} queued" if waiting else "",
            "" if rest is None else f"about {clock(rest)} left",
            ""
            if oldest is None
            else f"longest: {_cell(oldest.region, oldest.model)} for {clock(now - oldest.started_at)}",
        ]
        return _stamped(now, "still running: " + ", ".join(fact for fact in facts if fact), standings)

    def _run_started(self, event: ev.RunStarted, standings: Standings) -> list[str]:
        spec = event.spec
        size = [
            count(standings.planned, "execution"),
            count(len(event.planned), "region"),
            count(len(spec.models), "model"),
            count(len(spec.questions), "question"),
            f"at most {spec.limits.concurrency} at a time",
            *(f"{_id(region)} switched off in the configuration" for region in spec.regions_off),
        ]
        lines = [
            f"run {_id(event.run_id)} of {_id(spec.id)} started at {_moment(event.at)}",
            ", ".join(size),
        ]
        return [_REHEARSAL, *lines] if event.rehearsal else lines

    def _run_resumed(self, event: ev.RunResumed, standings: Standings) -> list[str]:
        done = f"{_done(standings)} of {count(standings.planned, 'execution')} done before"
        lines = [f"run {_id(event.run_id)} of {_id(event.spec.id)} resumed at {_moment(event.at)}, {done}"]
        return [_REHEARSAL, *lines] if standings.run is not None and standings.run.rehearsal else lines

    def _region_started(self, event: ev.RegionStarted, standings: Standings) -> list[str]:
        waited = f" after {clock(event.waited)} in the queue" if event.waited >= 1 else ""
        planned = count(standings.regions[event.region].planned, "execution")
        return [f"{_id(event.region)}: started{waited}, {planned}"]

    def _turn_awaited(self, event: ev.TurnAwaited, standings: Standings) -> list[str]:
        del standings
        place = f"number {event.position} in the queue" if event.position else "not in the queue yet"
        starts = f", starts in about {clock(max(0.0, event.starts_at - event.at))}" if event.starts_at else ""
        return [f"{_id(event.region)}: waiting, {place}{starts} ({excerpt(event.reason, _MESSAGE)})"]

    def _turn_lost(self, event: ev.TurnLost, standings: Standings) -> list[str]:
        del standings
        rest = "" if event.final else "; what is left waits for another turn"
        return [f"{_id(event.region)}: STOPPED: {excerpt(event.reason, _MESSAGE)}{rest}"]

    def _warmed(self, event: ev.Warmed, standings: Standings) -> list[str]:
        del standings
        how = {True: "cold", False: "warm already", None: ""}[event.answer.cold_start]
        said = f" ({how})" if how else ""
        return [f"{_cell(event.region, event.model)}: ready in {precise(event.seconds)}{said}"]

    def _warming_failed(self, event: ev.WarmingFailed, standings: Standings) -> list[str]:
        del standings
        what = _what(event.failure)
        return [f"{_cell(event.region, event.model)}: not warmed, its first question starts it: {what}"]

    def _attempt_started(self, event: ev.AttemptStarted, standings: Standings) -> list[str]:
        if event.attempt > 1 or not _is_small(standings):
            return []
        turn = (event.region, event.context, event.repeat, event.question)
        if turn in self._asked:
            return []
        self._asked.add(turn)
        region = standings.regions[event.region]
        framed = f" in context {_id(event.context)}" if event.context is not None else ""
        again = f", repeat {event.repeat}" if event.repeat > 1 else ""
        return [f"{_id(event.region)}: asking {_id(event.question)}{framed}{again} ({_share(region)} done)"]

    def _attempt_succeeded(self, event: ev.AttemptSucceeded, standings: Standings) -> list[str]:
        return self._tenth(event.execution, standings)

    def _attempt_failed(self, event: ev.AttemptFailed, standings: Standings) -> list[str]:
        progress = standings.executions[event.execution]
        tenth = self._tenth(event.execution, standings) if event.retry_in is None else []
        self._troubles[progress.region] += 1
        told = self._troubles[progress.region]
        if told > _MANY_TROUBLES:
            return tenth
        where = f"{_cell(progress.region, progress.model)}, {_id(progress.question)}"
        what = _what(event.failure)
        said = (
            f"FAILED {where}: {what}"
            if event.retry_in is None
            else f"retry in {precise(event.retry_in)}: {where}: {what}"
        )
        last = (
            [f"{_id(progress.region)}: further failures are counted, not told"] if told == _MANY_TROUBLES else []
        )
        return [said, *last, *tenth]

    def _region_paced(self, event: ev.RegionPaced, standings: Standings) -> list[str]:
        before = self._slots.get(event.region)
        self._slots[event.region] = event.slots
        most = _most(standings)
        if before is not None and before < event.slots < most:
            return []  # one more for each round: only the way down, and its end, are told
        return [f"{_id(event.region)}: {event.slots} at a time ({excerpt(event.reason, _MESSAGE)})"]

    def _region_given_up(self, event: ev.RegionGivenUp, standings: Standings) -> list[str]:
        del standings
        return [f"{_id(event.region)}: GIVEN UP: {excerpt(event.reason, _MESSAGE)}"]

    def _region_finished(self, event: ev.RegionFinished, standings: Standings) -> list[str]:
        region = standings.regions[event.region]
        if region.state is RegionState.GIVEN_UP:
            return [f"{_id(event.region)}: ended, {_counts(region.succeeded, region.failed, region.skipped, 0)}"]
        return [f"{_id(event.region)}: finished, {_counts(region.succeeded, region.failed, 0, region.cancelled)}"]

    def _run_interrupted(self, event: ev.RunInterrupted, standings: Standings) -> list[str]:
        calls = count(len(standings.running), "call")
        return [f"interrupted by {excerpt(event.reason, _MESSAGE)}: stopping, {calls} in flight"]

    def _run_finished(self, event: ev.RunFinished, standings: Standings) -> list[str]:
        del standings
        counts = _counts(event.succeeded, event.failed, event.skipped, event.cancelled)
        return [f"run finished in {clock(event.seconds)}: {counts}"]

    def _tenth(self, execution: str, standings: Standings) -> list[str]:
        region = standings.regions[standings.executions[execution].region]
        tenth = 10 * (region.succeeded + region.failed) // max(1, region.planned)
        if _is_small(standings) or tenth <= self._tenths[region.id]:
            return []
        self._tenths[region.id] = tenth
        return [f"{_id(region.id)}: {10 * tenth} % done ({_share(region)}), at {excerpt(region.question, _ID)}"]

    _tellers: ClassVar[dict[type, Callable[[Any, Any, Standings], list[str]]]] = {
        ev.RunStarted: _run_started,
        ev.RunResumed: _run_resumed,
        ev.RegionStarted: _region_started,
        ev.TurnAwaited: _turn_awaited,
        ev.TurnLost: _turn_lost,
        ev.Warmed: _warmed,
        ev.WarmingFailed: _warming_failed,
        ev.AttemptStarted: _attempt_started,
        ev.AttemptSucceeded: _attempt_succeeded,
        ev.AttemptFailed: _attempt_failed,
        ev.RegionPaced: _region_paced,
        ev.RegionGivenUp: _region_given_up,
        ev.RegionFinished: _region_finished,
        ev.RunInterrupted: _run_interrupted,
        ev.RunFinished: _run_finished,
    }


class Plain:
    """A `Display` that writes what `Telling` says to a stream, each line in whole."""

    def __init__(self, stream: IO[str], *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._outlet = Outlet(stream)
        self._ticking = Ticking(self._beat, _HEARTBEAT)
        self._telling = Telling()
        self._standings: Standings | None = None

    @property
    def failure(self) -> Exception | None:
        """Why the display went quiet; None while all is well."""
        return self._outlet.failure

    async def __aenter__(self) -> Self:
        await self._ticking.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._ticking.stop()
        await self._outlet.finish()

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """Write the event's lines, if it has any."""
        self._standings = standings
        for line in self._telling.lines(event, standings):
            self._outlet.write(line + "\n")
        await self._outlet.room()

    def _beat(self) -> None:
        if self._standings is not None and self._standings.run is not None and self._standings.finished is None:
            self._outlet.write(self._telling.heartbeat(self._standings, self._now()) + "\n")


def _stamped(at: float, line: str, standings: Standings) -> str:
    return excerpt(f"{clock(at - standings.began_at):>7}  {line}", _WIDTH)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _id(name: str) -> str:
    return excerpt(name, _ID)


def _cell(region: str, model: str) -> str:
    return f"{_id(region)} {_id(model)}"


def _share(region: RegionStanding) -> str:
    return f"{region.succeeded + region.failed}/{region.planned}"


def _most(standings: Standings) -> int:
    """How many executions a region may have in flight when nothing slows it."""
    limits = standings.run.spec.limits if standings.run else Limits()
    return min(limits.concurrency, limits.per_region)


def _done(standings: Standings) -> int:
    return standings.total("succeeded") + standings.total("failed")


def _is_small(standings: Standings) -> bool:
    spec = standings.run.spec if standings.run else None
    if spec is None:
        return True
    return (
        len(standings.regions) * len(spec.questions) * max(1, len(spec.contexts)) * spec.repeats <= _MANY_QUESTIONS
    )


def _what(failure: Failed | TimedOut) -> str:
    if isinstance(failure, TimedOut):
        return f"no answer within {precise(failure.after)}"
    return f"{failure.kind}: {excerpt(failure.message, _MESSAGE)}"


def _counts(succeeded: int, failed: int, skipped: int, cancelled: int) -> str:
    counts = [(succeeded, "answered"), (failed, "failed"), (skipped, "skipped"), (cancelled, "cancelled")]
    return ", ".join(f"{number} {word}" for number, word in counts if number or word == "answered")
