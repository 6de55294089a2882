"""Where the time of a run went: its journal read once, one event at a time. Changes nothing."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from beacon_cli import events as ev
from beacon_cli import replay, wiring
from beacon_cli.display import paper, timing
from beacon_cli.errors import UsageError
from beacon_cli.model import JsonObject
from beacon_cli.runs import RunFolder, Runs
from beacon_cli.timings.shares import Shares, record
from beacon_cli.timings.waterfall import Waterfall, Waterfalls, speed_of

_SLOWEST = 10


class Timed(NamedTuple):
    """What a journal says of a run's time; `speeds` as its processes played the provider, None where not known."""

    run: ev.RunStarted
    shares: Shares
    slowest: list[Waterfall]
    speeds: list[float | None]
    on_the_way: int


def timed(folder: RunFolder) -> Timed:
    """Read a run's journal and sum its time up.

    Raises:
        UsageError: the run never began.
        StoreError: the journal cannot be read.
    """
    fold, shares, speeds = Waterfalls(), Shares(), dict[float | None, None]()
    slowest: list[tuple[float, int, Waterfall]] = []
    ties = count()
    for event in replay.read(folder.journal):
        told = fold.apply(event)
        if isinstance(event, ev.RunStarted | ev.RunResumed):
            speeds[speed_of(event)] = None
        if told is not None and told.waterfall is not None:
            shares.add(told.waterfall)
            push = heapq.heappush if len(slowest) < _SLOWEST else heapq.heappushpop
            push(slowest, (told.waterfall.own, -next(ties), told.waterfall))
    if fold.run is None:
        raise UsageError(f"run {folder.run_id} never began; there is nothing to time")
    spec = fold.run.spec
    shares = shares.ordered([region.id for region in spec.regions], [model.id for model in spec.models])
    return Timed(
        fold.run, shares, [each for *_, each in sorted(slowest, reverse=True)], list(speeds), fold.on_the_way
    )


def show(name: str, *, as_json: bool) -> None:
    """Show where the time of a run went, the latest if it is not named.

    Raises:
        BeaconError: there is no such run, or it cannot be read.
    """
    home = Runs(wiring.settings().home)
    folder = home.find(name) if name else home.latest()
    found = timed(folder)
    if as_json:
        paper.put_json(_document(found, folder), sys.stdout)
        return
    view = timing.TimingView(
        run_id=found.run.run_id,
        job_id=found.run.spec.id,
        rehearsal=found.run.rehearsal,
        shares=found.shares,
        slowest=found.slowest,
        speeds=found.speeds,
        on_the_way=found.on_the_way,
    )
    ascii_only = paper.console(sys.stdout).options.ascii_only
    paper.show(lambda width: timing.timing(view, width, ascii_only=ascii_only), sys.stdout)


def _document(found: Timed, folder: RunFolder) -> JsonObject:
    shares = found.shares
    return {
        "run_id": found.run.run_id,
        "job_id": found.run.spec.id,
        "rehearsal": found.run.rehearsal,
        "speeds": found.speeds,
        "regions": [{"region": region, **record(tally)} for region, tally in shares.regions.items()],
        "models": [
            {"region": region, "model": model, **record(tally)} for (region, model), tally in shares.models.items()
        ],
        "executions": list(_executions(folder)),
        "unfinished": found.on_the_way,
    }


def _executions(folder: RunFolder) -> Iterator[JsonObject]:
    fold = Waterfalls()
    for told in map(fold.apply, replay.read(folder.journal)):
        if told is not None and (each := told.waterfall) is not None:
            yield {
                "execution_id": each.execution,
                "region": each.region,
                "model": each.model,
                "question_id": each.question,
                "repeat": each.repeat,
                "attempts": each.attempts,
                "answered": each.answered,
                "cold_start": each.claims.cold,
                "trusted": each.trusted,
                "seconds": {part.value: round(seconds, 3) for part, seconds in each.parts.items()},
                "wall_seconds": round(each.wall, 3),
                "own_seconds": round(each.own, 3),
            }
