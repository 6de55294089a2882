"""Where the time of each execution went: parts that add up to its wall time, none of them negative. Pure.

The clock on this machine says how long each stretch took; within the attempt that succeeded, the answer's claims
(lengths of time, never points on the container's clock) say what the provider did with it. Claims that do not fit
into what was seen are not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

import msgspec

from beacon_cli import events as ev
from beacon_cli.model import SimulatedTarget
from beacon_cli.timings.claims import Claims, of_answer
from beacon_cli.timings.samples import Sample


class Part(StrEnum):
    """A stretch of an execution's time, in the order in which they come."""

    TURN = "turn"
    """Its region waited for its turn in the queue."""
    ORDER = "order"
    """What comes before it in its region's order was not done: the questions before, or those of its lane."""
    WARMING = "warming"
    """The container of its model was started, before anything was asked of it."""
    SLOT = "slot"
    """It was next, and no slot was free (or the endpoint's rate did not allow it yet)."""
    FAILED = "failed attempts"
    """Attempts that gave no answer."""
    RETRY = "retry waits"
    """The waits after them."""
    BACKLOG = "backlog"
    """The call waited for its container or in it, as the answer says; the container's start left out."""
    BOOT = "boot"
    """Its container started."""
    LOAD = "load"
    """Its container loaded the model."""
    GENERATION = "generation"
    """The model answered."""
    NETWORK = "network"
    """What is left of the attempt, outside the container: the ways there and back, beacon itself, and what of the
    provider's own work (its queue, the placing of a container) the answer does not tell."""
    UNTOLD = "untold"
    """Time of the attempt that the answer does not account for, or not credibly."""
    STOPPED = "stopped"
    """No process carried the run out."""


ASIDE = frozenset({Part.TURN, Part.WARMING, Part.ORDER, Part.STOPPED})
"""Waiting that is not the execution's own: that of its region, of its model, of its order, of the run."""
COLD = frozenset({Part.BOOT, Part.LOAD})
_SLACK = 0.02
"""So much more than was seen may be claimed, as a share: claims are rounded."""
_ROUNDING = 0.002
_LAST = 4_102_444_800.0
"""The year 2100: what is said to have happened later is passed over, as what has no time."""


class Waterfall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One execution that has ended: `parts` in seconds, only those that took any; together they are `wall`.

    `wall` is counted from when its region last asked for its turn to the execution's end. `answered` False: it
    failed for good. `trusted` False: the answer claimed more seconds than there were.
    """

    execution: str
    region: str
    model: str
    question: str
    repeat: int
    attempts: int
    answered: bool
    parts: dict[Part, float]
    claims: Claims
    trusted: bool = True

    @property
    def wall(self) -> float:
        """All of it, in seconds."""
        return sum(self.parts.values())

    @property
    def own(self) -> float:
        """The part that is the execution's own: from when its turn in the order came to its end."""
        return sum(seconds for part, seconds in self.parts.items() if part not in ASIDE)


def speed_of(event: ev.RunStarted | ev.RunResumed) -> float | None:
    """How many times faster than life this process plays the provider; None where its journal does not say."""
    if isinstance(event.spec.target, SimulatedTarget):
        speed: float | None = event.spec.target.speed
    elif event.speed is None and isinstance(event, ev.RunStarted) and not event.rehearsal:
        speed = 1.0
    else:
        speed = event.speed
    return speed if speed is not None and isfinite(speed) and speed > 0 else None


def divided(seconds: float, claims: Claims) -> tuple[dict[Part, float], bool]:
    """An attempt of so many seconds in the parts that its answer claims, and whether the claims were believed.

    What is left over is network where the answer accounts for everything else, and untold where it does not.
    """
    said = {
        Part.BACKLOG: claims.queue,
        Part.BOOT: claims.boot,
        Part.LOAD: claims.load,
        Part.GENERATION: claims.generation,
    }
    known = {part: value for part, value in said.items() if value}
    total = sum(known.values())
    if total > seconds * (1 + _SLACK) + _ROUNDING:
        return {Part.UNTOLD: seconds}, False
    if total > seconds:
        known = {part: value * (seconds / total) for part, value in known.items()}
        total = seconds
    rest = Part.UNTOLD if None in said.values() else Part.NETWORK
    return known | {rest: max(0.0, seconds - total)}, True


class _Way:
    """An execution on its way: everything up to `until` (on our clock) is in `parts`."""

    __slots__ = (
        "attempts",
        "found",
        "model",
        "parts",
        "question",
        "region",
        "repeat",
        "retrying",
        "running",
        "until",
    )

    def __init__(self, started: ev.AttemptStarted, since: float) -> None:
        self.region = started.region
        self.model = started.model
        self.question = started.question
        self.repeat = started.repeat
        self.attempts = started.attempt
        self.until = since
        self.found = False
        """The attempt in flight took up a call that an earlier process had placed."""
        self.running = False
        self.retrying = False
        """It waits for its next attempt, in the process that made the last."""
        self.parts: dict[Part, float] = {}

    def spend(self, upto: float, part: Part, speed: float) -> None:
        """Count the time up to this moment, in the provider's seconds; a clock set back counts nothing."""
        if upto > self.until:
            self.parts[part] = self.parts.get(part, 0.0) + (upto - self.until) * speed
            self.until = upto


class _Region(msgspec.Struct):
    """When a region asked for its turn last, and when it came."""

    asked: float
    turn: float


class _Warming(msgspec.Struct):
    """When the container of a model began to be woken, and when that was over; None: not yet."""

    began: float
    over: float | None = None


class Told(NamedTuple):
    """What an event tells: an execution that has ended, a sample of how long things take, or both."""

    waterfall: Waterfall | None
    sample: Sample | None


class Waterfalls:
    """Makes waterfalls of a run's events. Holds no more than the executions that are on their way.

    `speed` is how many times faster than life the process plays the provider: 1 where the journal does not say,
    and then `is_speed_known` is False and no claim is believed.
    """

    def __init__(self) -> None:
        self.run: ev.RunStarted | None = None
        self.speed = 1.0
        self.is_speed_known = True
        self._regions: dict[str, _Region] = {}
        self._ways: dict[str, _Way] = {}
        self._warmings: dict[tuple[str, str], _Warming] = {}
        self._began = 0.0
        self._latest = 0.0

    @property
    def on_the_way(self) -> int:
        """The executions that began and have not ended."""
        return len(self._ways)

    def apply(self, event: ev.Event) -> Told | None:
        """Take one more event into account; gives what it tells, which most do not."""
        if not 0 <= event.at < _LAST:
            return None
        found: Told | None = None
        match event:
            case ev.RunStarted() | ev.RunResumed():
                self._begin(event)
            case ev.RegionStarted():
                self._regions[event.region] = _Region(event.at - max(0.0, event.waited), event.at)
            case ev.Warming():
                self._warmings[event.region, event.model] = _Warming(event.at)
            case ev.Warmed() | ev.WarmingFailed():
                found = self._warmed(event)
            case _:
                found = self._of_execution(event)
        self._latest = max(self._latest, event.at)
        return found

    def _of_execution(self, event: ev.Event) -> Told | None:
        match event:
            case ev.AttemptStarted():
                self._started(event)
            case ev.AttemptSucceeded():
                return self._succeeded(event)
            case ev.AttemptFailed():
                return self._failed(event)
            case ev.AttemptCancelled(execution=key, call_id=call) if key in self._ways:
                self._spend(key, event.at, Part.SLOT if call is None else Part.FAILED)
            case ev.AttemptHeld(execution=key) if key in self._ways:
                self._ways[key].spend(event.at, Part.SLOT, self.speed)
            case ev.CallReattached(execution=key) if key in self._ways:
                self._ready(self._ways[key], event.at, event.at)
                self._ways[key].found = True
        return None

    def _begin(self, event: ev.RunStarted | ev.RunResumed) -> None:
        if isinstance(event, ev.RunStarted):
            self.run = event
        for key, way in self._ways.items():
            if way.running:
                self._spend(key, self._latest, Part.FAILED)
            way.spend(event.at, Part.STOPPED, self.speed)
            way.retrying = False
        speed = speed_of(event)
        self.speed = speed or 1.0
        self.is_speed_known = speed is not None
        self._regions.clear()
        self._warmings.clear()
        self._began = event.at

    def _started(self, event: ev.AttemptStarted) -> None:
        region = self._regions.get(event.region) or _Region(self._began, self._began)
        way = self._ways.get(event.execution)
        if way is None:
            way = self._ways[event.execution] = _Way(event, min(region.asked, event.at))
        self._ready(way, event.queued_at, event.at)
        way.attempts = event.attempt
        way.found = False

    def _ready(self, way: _Way, queued_at: float, at: float) -> None:
        """Its attempt begins now, after its order came at `queued_at`."""
        region = self._regions.get(way.region) or _Region(self._began, self._began)
        queued_at = min(queued_at, at)
        way.spend(min(region.turn, at), Part.TURN, self.speed)
        if way.retrying:
            way.spend(queued_at, Part.RETRY, self.speed)
        elif warming := self._warmings.get((way.region, way.model)):
            way.spend(min(warming.began, queued_at), Part.ORDER, self.speed)
            over = queued_at if warming.over is None else warming.over
            way.spend(min(over, queued_at), Part.WARMING, self.speed)
        way.spend(queued_at, Part.ORDER, self.speed)
        way.spend(at, Part.SLOT, self.speed)
        way.running, way.retrying = True, False

    def _spend(self, key: str, at: float, part: Part) -> None:
        way = self._ways[key]
        way.spend(at, part, self.speed)
        way.running = False

    def _warmed(self, event: ev.Warmed | ev.WarmingFailed) -> Told | None:
        warming = self._warmings.setdefault((event.region, event.model), _Warming(event.at))
        warming.over = event.at
        if isinstance(event, ev.WarmingFailed):
            return None
        claims, seen = of_answer(event.answer), max(0.0, event.seconds) * self.speed
        region = self._regions.get(event.region)
        # A container that is kept warm begins to start before it is woken, with its region's turn.
        passed = seen if region is None else max(seen, (event.at - region.turn) * self.speed)
        if not divided(passed, claims)[1]:
            claims = claims.without_times()
        return Told(None, self._sample(event.region, event.model, event.at, claims, seen, woken=True))

    def _failed(self, event: ev.AttemptFailed) -> Told | None:
        if event.execution not in self._ways:
            return None
        self._spend(event.execution, event.at, Part.FAILED)
        if event.retry_in is not None:
            self._ways[event.execution].retrying = True
            return None
        return Told(self._ended(event.execution, Claims(), answered=False), None)

    def _succeeded(self, event: ev.AttemptSucceeded) -> Told | None:
        way = self._ways.get(event.execution)
        if way is None:
            return None
        claims = of_answer(event.answer)
        seconds = max(0.0, event.at - way.until) * self.speed
        way.until = max(way.until, event.at)
        # A call that was taken up again ran while nobody watched: what it claims says nothing about this wait.
        whole = self.is_speed_known and not way.found
        parts, trusted = divided(seconds, claims) if whole else ({Part.UNTOLD: seconds}, True)
        claims = claims if trusted else claims.without_times()
        for part, spent in parts.items():
            if spent:
                way.parts[part] = way.parts.get(part, 0.0) + spent
        sample = self._sample(way.region, way.model, event.at, claims, seconds if whole else None)
        return Told(self._ended(event.execution, claims, answered=True, trusted=trusted), sample)

    def _sample(
        self, region: str, model: str, at: float, claims: Claims, seen: float | None, *, woken: bool = False
    ) -> Sample:
        return Sample(
            region=region,
            model=model,
            at=at,
            claims=claims,
            seen=seen if self.is_speed_known else None,
            run=self.run.run_id if self.run else "",
            speed=self.speed,
            woken=woken,
        )

    def _ended(self, key: str, claims: Claims, *, answered: bool, trusted: bool = True) -> Waterfall:
        way = self._ways.pop(key)
        return Waterfall(
            execution=key,
            region=way.region,
            model=way.model,
            question=way.question,
            repeat=way.repeat,
            attempts=way.attempts,
            answered=answered,
            parts=way.parts,
            claims=claims,
            trusted=trusted,
        )


def samples(events: Iterable[ev.Event]) -> Iterator[Sample]:
    """The answers among a run's events, and the containers that were woken, as samples, as they come."""
    fold = Waterfalls()
    for event in events:
        told = fold.apply(event)
        if told is not None and told.sample is not None:
            yield told.sample
