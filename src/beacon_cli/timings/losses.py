"""Calls that gave no answer, and how long they took at most: each may have been paid for to its end. Pure.

Attempts that failed or were stopped, models that could not be woken, and what a process that died left in flight:
of that the most is counted that it can have taken, the job's time limit, once it is known to have given nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import NamedTuple

from beacon_cli import events as ev
from beacon_cli.model import TimedOut
from beacon_cli.timings.waterfall import speed_of


class Lost(NamedTuple):
    """The provider's seconds that a call took at most which gave no answer.

    `is_left`: its process died, or its time was over, so that its container may stand idle for its window while
    another serves whoever asks the model next.
    """

    region: str
    model: str
    seconds: float
    is_left: bool = False


class _Call(NamedTuple):
    region: str
    model: str
    since: float
    is_placed: bool = False


class Losses:
    """Folds a run's events. Holds no more than the calls that are in flight, one for each execution and waking.

    `is_played_anew`: the provider ends with each process of the run, as that of a rehearsal does.
    """

    def __init__(self) -> None:
        self.is_played_anew = False
        self._limit = inf
        self._speed = 1.0
        self.latest = 0.0
        """When the newest event came but for those with which processes begin."""
        self._attempts: dict[str, _Call] = {}
        self._wakings: dict[tuple[str, str], _Call] = {}

    @property
    def unsettled(self) -> int:
        """The calls of which no end is known."""
        return len(self._wakings) + sum(call.is_placed for call in self._attempts.values())

    @property
    def unsettled_seconds(self) -> float:
        """How long they may have taken at most, together."""
        return self.unsettled * self._limit * self._speed if self.unsettled else 0.0

    def apply(self, event: ev.Event) -> tuple[Lost, ...]:
        """Take one more event into account; gives what is known by it to have been lost."""
        found = tuple(self._applied(event))
        if not isinstance(event, ev.RunResumed):
            self.latest = max(self.latest, event.at)
        return found

    def _applied(self, event: ev.Event) -> Iterable[Lost]:
        match event:
            case ev.RunStarted() | ev.RunResumed():
                return self._begin(event)
            case ev.Warming() | ev.Warmed() | ev.WarmingFailed():
                return self._waking(event)
            case _:
                return self._attempt(event)

    def _waking(self, event: ev.Warming | ev.Warmed | ev.WarmingFailed) -> tuple[Lost, ...]:
        cell = (event.region, event.model)
        self._wakings.pop(cell, None)
        if isinstance(event, ev.Warming):
            self._wakings[cell] = _Call(*cell, event.at)
        if isinstance(event, ev.WarmingFailed):
            is_late = isinstance(event.failure, TimedOut)
            return (Lost(*cell, max(0.0, event.seconds) * self._speed, is_late),)
        return ()

    def _attempt(self, event: ev.Event) -> tuple[Lost, ...]:
        match event:
            case ev.AttemptStarted(execution=key):
                # One that is begun again without an end was in flight when its process died, and is gone.
                gone = self._ended(key, event.at, only_placed=True)
                self._attempts[key] = _Call(event.region, event.model, event.at)
                return tuple(each._replace(is_left=True) for each in gone)
            case ev.AttemptHeld(execution=key) if key in self._attempts:
                self._attempts[key] = self._attempts[key]._replace(since=event.at)
            case ev.CallPlaced(execution=key) if key in self._attempts:
                self._attempts[key] = self._attempts[key]._replace(is_placed=True)
            case ev.AttemptSucceeded(execution=key):
                self._attempts.pop(key, None)
            case ev.AttemptFailed(execution=key, failure=failure):
                is_late = isinstance(failure, TimedOut)
                return tuple(each._replace(is_left=is_late) for each in self._ended(key, event.at))
            case ev.AttemptCancelled(execution=key, call_id=call_id):
                lost = self._ended(key, event.at)
                return lost if call_id is not None else ()
            case _:
                pass
        return ()

    def _begin(self, event: ev.RunStarted | ev.RunResumed) -> Iterator[Lost]:
        """Wakings of a process that died are ended now; its attempts may have their answers yet."""
        calls = list(self._wakings.values())
        self._wakings.clear()
        if self.is_played_anew:
            calls += [call for call in self._attempts.values() if call.is_placed]
            self._attempts.clear()
        for call in calls:
            if self.is_played_anew:
                yield self._at_most(call, self.latest)
            else:
                yield self._at_most(call, event.at)._replace(is_left=True)
        if isinstance(event, ev.RunStarted):
            self.is_played_anew = event.ends_its_provider
        self._limit = event.spec.limits.timeout
        self._speed = speed_of(event) or 1.0

    def _ended(self, key: str, at: float, *, only_placed: bool = False) -> tuple[Lost, ...]:
        call = self._attempts.pop(key, None)
        return () if call is None or (only_placed and not call.is_placed) else (self._at_most(call, at),)

    def _at_most(self, call: _Call, at: float) -> Lost:
        seconds = min(max(0.0, at - call.since), self._limit)
        return Lost(call.region, call.model, seconds * self._speed)
