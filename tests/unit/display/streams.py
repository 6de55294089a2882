"""Runs that never were: streams of events in the order of a real run, drawn from a seed, in no time at all."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from msgspec import structs

from beacon_cli import events as ev
from beacon_cli.model import (
    Context,
    ErrorKind,
    Failed,
    Limits,
    ModalTarget,
    Model,
    Question,
    Region,
    Spec,
    Succeeded,
    TimedOut,
)
from beacon_cli.results import Standings

__all__ = ["BEGIN", "HOSTILE", "PAUSE", "Plot", "played", "resumed", "spec_of", "stream"]

BEGIN = 1_790_000_000.0
PAUSE = 3600.0
"""Seconds between the end of a run and its resumption."""

HOSTILE = "\x1b[2J\x9b31m[/red][bold]\u202e\u2066evil\u200b\x00\x07\r\n\x85\u2028\ud800\U000e0041\x7f漢字é👍"
"""What a model, an error or an id may hold: controls, markup, reordering, a lone surrogate, and honest letters."""


class Plot(NamedTuple):
    """What happens in a run. Rates are shares of attempts; `dead` regions fail and are given up."""

    regions: tuple[str, ...] = ("us", "eu", "asia")
    models: tuple[str, ...] = ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")
    questions: tuple[str, ...] = (
        "math_basic",
        "geography_basic",
        "identity_basic",
        "tiananmen_neutral",
        "taiwan_status",
        "hongkong_2019",
        "greatest_invention",
        "greatest_leader",
    )
    contexts: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    failing: float = 0.0
    retried: float = 0.0
    rehearsal: bool = True
    run_id: str = "20261121-181502-k3f9"
    job_id: str = "bias-detection"
    message: str = "CUDA out of memory"
    answer: str = "Paris is the capital of France."
    seed: int = 7
    stop_after: int | None = None


def spec_of(plot: Plot) -> Spec:
    """The job that the plot's run carries out."""
    return Spec(
        id=plot.job_id,
        regions=tuple(Region(id=region, app=region, place=region) for region in plot.regions),
        models=tuple(Model(id=model) for model in plot.models),
        questions=tuple(Question(id=question, text=f"{question}?") for question in plot.questions),
        contexts=tuple(Context(id=context, system_prompt="x") for context in plot.contexts),
        target=ModalTarget(app="a", function="f"),
        limits=Limits(),
    )


def stream(plot: Plot = Plot()) -> Iterator[ev.Event]:  # noqa: B008  a named tuple cannot change
    """All events of the run, by time; regions in parallel, questions one after another, models in parallel."""
    planned = len(plot.models) * len(plot.questions) * max(1, len(plot.contexts))
    yield ev.RunStarted(
        at=BEGIN,
        run_id=plot.run_id,
        spec=spec_of(plot),
        planned=dict.fromkeys(plot.regions, planned),
        fingerprint="f0",
        rehearsal=plot.rehearsal,
        beacon="0.1.0",
    )
    counts = dict.fromkeys(("succeeded", "failed", "cancelled"), 0)
    last = BEGIN
    regions = [_region(plot, region, Random(_seed(plot, region))) for region in plot.regions]  # noqa: S311  a plot
    for number, event in enumerate(heapq.merge(*regions, key=lambda event: event.at)):
        if number == plot.stop_after:
            yield ev.RunInterrupted(at=last, reason="SIGINT")
            break
        last = event.at
        if isinstance(event, ev.AttemptSucceeded):
            counts["succeeded"] += 1
        elif isinstance(event, ev.AttemptFailed) and event.retry_in is None:
            counts["failed"] += 1
        elif isinstance(event, ev.AttemptCancelled):
            counts["cancelled"] += 1
        yield event
    done = counts["succeeded"] + counts["failed"]
    skipped = 0 if plot.stop_after is not None else planned * len(plot.regions) - done
    yield ev.RunFinished(at=last, seconds=last - BEGIN, skipped=skipped, **counts)


def played(plot: Plot = Plot(), until: float | None = None) -> Standings:  # noqa: B008  the same
    """The standings when `until` seconds have gone by, or at the end."""
    standings = Standings()
    for event in stream(plot):
        if until is not None and event.at > BEGIN + until:
            break
        standings.apply(event)
    return standings


def resumed(plot: Plot, after: int) -> Iterator[ev.Event]:
    """The plot's run, killed after so many events; an hour later its calls are found again, and it goes on."""
    events = list(stream(plot))
    standings = Standings()
    for event in events[:after]:
        standings.apply(event)
        yield event
    running = dict(standings.running)
    assert standings.run is not None
    now = standings.latest + PAUSE
    opening = ev.RunResumed(
        at=now, run_id=plot.run_id, spec=spec_of(plot), planned=standings.run.planned, beacon="0.1.0"
    )
    yield opening
    for region in plot.regions:
        yield ev.RegionStarted(at=now, region=region, waited=0.0)
    for execution, progress in running.items():
        if progress.call_id is not None:
            yield ev.CallReattached(
                at=now, execution=execution, attempt=progress.attempts, call_id=progress.call_id
            )
    for event in events[after:]:
        if not isinstance(event, ev.RegionStarted):
            yield structs.replace(event, at=event.at + PAUSE)


def _seed(plot: Plot, region: str) -> bytes:
    return f"{plot.seed} {region}".encode("unicode_escape", "surrogatepass")


def _region(plot: Plot, region: str, rand: Random) -> Iterator[ev.Event]:
    now = BEGIN + rand.random()
    yield ev.RegionStarted(at=now, region=region, waited=now - BEGIN)
    warm: set[str] = set()
    for context in plot.contexts or (None,):
        for question in plot.questions:
            runs = [list(_execution(plot, (region, m, question, context), now, rand, warm)) for m in plot.models]
            yield from heapq.merge(*runs, key=lambda event: event.at)
            now = max(run[-1].at for run in runs)
            if region in plot.dead:
                yield ev.RegionGivenUp(at=now, region=region, reason=f"3 executions in a row: {plot.message}")
                yield ev.RegionFinished(at=now, region=region)
                return
    yield ev.RegionFinished(at=now, region=region)


def _execution(
    plot: Plot, cell: tuple[str, str, str, str | None], now: float, rand: Random, warm: set[str]
) -> Iterator[ev.Event]:
    region, model, question, context = cell
    execution = f"{region}/{model}/{question}/{context}"
    for attempt in range(1, 5):
        yield ev.AttemptStarted(
            at=now,
            execution=execution,
            attempt=attempt,
            region=region,
            model=model,
            question=question,
            context=context,
            repeat=1,
            queued_at=now,
        )
        yield ev.CallPlaced(
            at=now + 0.05, execution=execution, attempt=attempt, call_id=f"fc-{execution}-{attempt}"
        )
        cold = model not in warm
        seconds = rand.uniform(3, 5) + (rand.uniform(30, 90) if cold else 0)
        now += seconds
        again = attempt < 4 and rand.random() < plot.retried
        if not again and region not in plot.dead and rand.random() >= plot.failing:
            warm.add(model)
            yield ev.AttemptSucceeded(
                at=now,
                execution=execution,
                attempt=attempt,
                seconds=seconds,
                answer=Succeeded(response=plot.answer, container=f"ta-{model}", cold_start=cold),
            )
            return
        wait = rand.uniform(0, 8) if again else None
        failure: Failed | TimedOut = TimedOut(after=900.0)
        if rand.random() < 0.8:
            kind = rand.choice((ErrorKind.MODEL, ErrorKind.PLATFORM, ErrorKind.CONNECTION))
            failure = Failed(kind=kind, message=plot.message, transient=again)
        yield ev.AttemptFailed(
            at=now, execution=execution, attempt=attempt, seconds=seconds, failure=failure, retry_in=wait
        )
        if wait is None:
            return
        now += wait
