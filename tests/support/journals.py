"""Journals for tests: the events of an execution, and Hypothesis strategies for events and for whole stories."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import strategies as st
from tests.support.jobs import EU, US, spec
from tests.support.scripted import started

from beacon_cli import events as ev
from beacon_cli.model import ErrorKind, Execution, Failed, Model, Question, Succeeded, TimedOut
from beacon_cli.plan import Plan

PLAN = Plan(
    spec(
        id="small",
        regions=(US, EU),
        models=(Model(id="m1"), Model(id="m2")),
        questions=(Question(id="q1", text="One?"), Question(id="q2", text="Two?")),
    )
)
"""2 regions x 2 questions x 2 models = 8 executions."""


def start(plan: Plan = PLAN) -> ev.RunStarted:
    """The first event of every journal."""
    return started(plan)


def attempt_started(execution: Execution, attempt: int = 1, at: float = 1.0) -> ev.AttemptStarted:
    """The intent."""
    return ev.AttemptStarted(
        at=at,
        execution=execution.id,
        attempt=attempt,
        region=execution.region.id,
        model=execution.model.id,
        question=execution.question.id,
        context=None,
        repeat=execution.repeat,
        queued_at=at - 0.5,
    )


def call_placed(execution: Execution, attempt: int = 1, at: float = 2.0) -> ev.CallPlaced:
    """The remote call's id."""
    return ev.CallPlaced(at=at, execution=execution.id, attempt=attempt, call_id=f"fc-{execution.id}-{attempt}")


def succeeded(execution: Execution, attempt: int = 1, at: float = 3.0, **answer: Any) -> ev.AttemptSucceeded:
    """The answer; `answer` replaces its fields."""
    fields = {"response": f"answer of {execution.id}", **answer}
    return ev.AttemptSucceeded(
        at=at, execution=execution.id, attempt=attempt, seconds=2.0, answer=Succeeded(**fields)
    )


def failed(
    execution: Execution, attempt: int = 1, at: float = 3.0, retry_in: float | None = None
) -> ev.AttemptFailed:
    """A failure: for good, unless `retry_in` says when it is tried again."""
    failure = Failed(kind=ErrorKind.CONNECTION, message="no route", transient=True)
    return ev.AttemptFailed(
        at=at, execution=execution.id, attempt=attempt, seconds=2.0, failure=failure, retry_in=retry_in
    )


def whole(execution: Execution) -> tuple[ev.Event, ...]:
    """The three events of an execution that succeeds at once."""
    return attempt_started(execution), call_placed(execution), succeeded(execution)


def write(path: Path, events: Iterable[ev.Event]) -> Path:
    """A journal with these events, as beacon writes it."""
    path.write_bytes(b"".join(ev.to_line(event) for event in events))
    return path


SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""Two surrogates that belong together are one character, and come back as one."""

texts = st.text(st.characters(), max_size=20).filter(lambda text: not SPLIT_PAIR.search(text))
"""Every text that a model may give: control characters, separators and lone surrogates included."""

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_counts = st.integers(0, 1000)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
_provenance = st.dictionaries(texts, _json, max_size=3)
_flags = st.none() | st.booleans()

answers = st.builds(
    Succeeded,
    response=texts,
    container=st.none() | texts,
    cold_start=_flags,
    cut_from=st.none() | _counts,
    provenance=_provenance,
)
failures = st.builds(
    Failed,
    kind=st.sampled_from(ErrorKind),
    message=texts,
    transient=st.booleans(),
    retry_after=st.none() | _numbers,
    provenance=_provenance,
) | st.builds(TimedOut, after=_numbers)

_of_attempt: dict[str, Any] = {"at": _numbers, "execution": texts, "attempt": _counts}
_of_region: dict[str, Any] = {"at": _numbers, "region": texts}

of_each_kind: dict[type, st.SearchStrategy[ev.Event]] = {
    ev.RunStarted: st.builds(
        ev.RunStarted,
        at=_numbers,
        run_id=texts,
        spec=st.just(PLAN.spec),
        planned=st.dictionaries(texts, _counts, max_size=3),
        fingerprint=texts,
        rehearsal=st.booleans(),
        beacon=texts,
        schema=st.just(ev.SCHEMA),
    ),
    ev.RunResumed: st.builds(
        ev.RunResumed,
        at=_numbers,
        run_id=texts,
        spec=st.just(PLAN.spec),
        planned=st.dictionaries(texts, _counts, max_size=3),
        beacon=texts,
        again=st.booleans(),
        schema=st.just(ev.SCHEMA),
    ),
    ev.RegionStarted: st.builds(ev.RegionStarted, **_of_region, waited=_numbers),
    ev.TurnAwaited: st.builds(
        ev.TurnAwaited, **_of_region, position=_counts, reason=texts, starts_at=st.none() | _numbers
    ),
    ev.TurnLost: st.builds(ev.TurnLost, **_of_region, reason=texts, final=st.booleans()),
    ev.Warming: st.builds(ev.Warming, **_of_region, model=texts, call_id=st.none() | texts),
    ev.Warmed: st.builds(
        ev.Warmed, **_of_region, model=texts, call_id=st.none() | texts, seconds=_numbers, answer=answers
    ),
    ev.WarmingFailed: st.builds(
        ev.WarmingFailed,
        **_of_region,
        model=texts,
        call_id=st.none() | texts,
        seconds=_numbers,
        failure=failures,
        ended=st.booleans(),
    ),
    ev.AttemptStarted: st.builds(
        ev.AttemptStarted,
        **_of_attempt,
        region=texts,
        model=texts,
        question=texts,
        context=st.none() | texts,
        repeat=_counts,
        queued_at=_numbers,
    ),
    ev.CallPlaced: st.builds(ev.CallPlaced, **_of_attempt, call_id=texts),
    ev.CallReattached: st.builds(ev.CallReattached, **_of_attempt, call_id=texts),
    ev.AttemptSucceeded: st.builds(ev.AttemptSucceeded, **_of_attempt, seconds=_numbers, answer=answers),
    ev.AttemptFailed: st.builds(
        ev.AttemptFailed,
        **_of_attempt,
        seconds=_numbers,
        failure=failures,
        ended=st.booleans(),
        retry_in=st.none() | _numbers,
    ),
    ev.AttemptCancelled: st.builds(
        ev.AttemptCancelled, **_of_attempt, call_id=st.none() | texts, ended=st.booleans()
    ),
    ev.OrphanEnded: st.builds(ev.OrphanEnded, at=_numbers, call_id=texts),
    ev.RegionPaced: st.builds(ev.RegionPaced, **_of_region, slots=_counts, reason=texts),
    ev.RegionGivenUp: st.builds(ev.RegionGivenUp, **_of_region, reason=texts),
    ev.RegionFinished: st.builds(ev.RegionFinished, **_of_region),
    ev.RunInterrupted: st.builds(ev.RunInterrupted, at=_numbers, reason=texts),
    ev.RunFinished: st.builds(
        ev.RunFinished,
        at=_numbers,
        seconds=_numbers,
        succeeded=_counts,
        failed=_counts,
        skipped=_counts,
        cancelled=_counts,
    ),
}
"""For each kind of event, any of that kind, its texts hostile."""

any_event = st.one_of(*of_each_kind.values())
"""One event of any kind, its texts hostile."""

Step: TypeAlias = Callable[[], ev.Event]


class Story:
    """What may happen next in a run of `PLAN`, by the rules of `events`; it judges the fold, so it knows none."""

    def __init__(self) -> None:
        self.at = 1.0
        self.regions = dict.fromkeys(PLAN.planned, "queued")
        self.phases = dict.fromkeys((execution.id for execution in PLAN.executions()), "new")
        self.attempts = dict.fromkeys(self.phases, 0)

    def steps(self) -> list[Step]:
        """Everything that may happen now."""
        return [*self._region_steps(), *self._execution_steps(), self._interrupt, self._resume]

    def _region_steps(self) -> Iterator[Step]:
        for region, state in self.regions.items():
            phases = {self.phases[execution.id] for execution in self._of(region)}
            if state == "queued":
                yield partial(self._region, region, "running")
            if state == "running":
                yield partial(self._region, region, "given up")
            if not phases & {"intent", "placed"} and (
                state == "given up" or (state == "running" and not phases & {"new", "waiting", "lost"})
            ):
                yield partial(self._region, region, "finished")

    def _execution_steps(self) -> Iterator[Step]:
        for execution in PLAN.executions():
            phase, region = self.phases[execution.id], self.regions[execution.region.id]
            if region == "running" and phase in {"new", "waiting", "lost"}:
                yield partial(self._begin, execution)
            if region == "running" and phase in {"waiting", "lost"}:
                yield partial(self._reattach, execution)
            if phase == "intent":
                yield partial(self._move, execution, "placed", call_placed)
            if phase == "placed":
                yield partial(self._move, execution, "succeeded", succeeded)
            if phase in {"intent", "placed"}:
                yield partial(self._move, execution, "failed", failed)
                yield partial(self._move, execution, "waiting", failed, retry_in=1.0)
                yield partial(self._cancel, execution)

    def _of(self, region: str) -> Iterator[Execution]:
        return (execution for execution in PLAN.executions() if execution.region.id == region)

    def _region(self, region: str, state: str) -> ev.Event:
        self.regions[region] = state
        if state == "finished":
            for execution in self._of(region):
                if self.phases[execution.id] == "waiting":
                    self.phases[execution.id] = "lost"
        match state:
            case "running":
                return ev.RegionStarted(at=self.at, region=region, waited=0.0)
            case "given up":
                return ev.RegionGivenUp(at=self.at, region=region, reason="down")
        return ev.RegionFinished(at=self.at, region=region)

    def _begin(self, execution: Execution) -> ev.Event:
        self.attempts[execution.id] += 1
        return self._move(execution, "intent", attempt_started)

    def _reattach(self, execution: Execution) -> ev.Event:
        self.phases[execution.id] = "placed"
        attempt = self.attempts[execution.id]
        return ev.CallReattached(at=self.at, execution=execution.id, attempt=attempt, call_id="fc")

    def _cancel(self, execution: Execution) -> ev.Event:
        self.phases[execution.id] = "cancelled"
        attempt = self.attempts[execution.id]
        return ev.AttemptCancelled(at=self.at, execution=execution.id, attempt=attempt, call_id=None, ended=True)

    def _move(self, execution: Execution, phase: str, event: Callable[..., ev.Event], **more: Any) -> ev.Event:
        self.phases[execution.id] = phase
        return event(execution, self.attempts[execution.id], self.at, **more)

    def _interrupt(self) -> ev.Event:
        return ev.RunInterrupted(at=self.at, reason="SIGINT")

    def _resume(self) -> ev.Event:
        self.regions = dict.fromkeys(self.regions, "queued")
        for key, phase in self.phases.items():
            if phase in {"intent", "placed", "waiting", "cancelled"}:
                self.phases[key] = "lost"
        return ev.RunResumed(at=self.at, run_id="r1", spec=PLAN.spec, planned=PLAN.planned, beacon="test")


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[ev.Event], Story]:
    """The journal of a run of `PLAN`, up to any moment, and where everything stands then."""
    story = Story()
    told: list[ev.Event] = [start()]
    for choice in draw(st.lists(st.integers(0, 1 << 16), max_size=60)):
        steps = story.steps()
        told.append(steps[choice % len(steps)]())
        story.at += 1.0
    return told, story
