"""How long a run will still take. Pure; knows the standings alone."""

from __future__ import annotations

from beacon_cli.counts import RegionStanding, RegionState
from beacon_cli.results import Standings


def left(standings: Standings, now: float) -> float | None:
    """The expected seconds to the end of the run; None while too little is known.

    The slowest region decides. Its pace is measured since the last of its models gave its first answer, so that
    cold starts do not count, and is believed once every model has ended an execution since then. A region without
    a pace of its own is taken to be as fast as the others on average, and to start now.
    """
    open_regions = [region for region in standings.regions.values() if _is_open(region)]
    if standings.finished is not None or not open_regions:
        return 0.0
    models = _models(standings)
    paces = {region.id: _pace(region, models.get(region.id, 1)) for region in standings.regions.values()}
    known = [pace for pace in paces.values() if pace is not None]
    if not known:
        return None
    average = sum(known) / len(known)
    return max(
        _left(region, paces[region.id] or average, models.get(region.id, 1), now) for region in open_regions
    )


def _is_open(region: RegionStanding) -> bool:
    return region.state in {RegionState.QUEUED, RegionState.RUNNING} and region.ended < region.planned


def _models(standings: Standings) -> dict[str, int]:
    """How many models have begun in each region: a pace needs an execution of each."""
    models: dict[str, int] = {}
    for region, _ in standings.cells:
        models[region] = models.get(region, 0) + 1
    return models


def _pace(region: RegionStanding, models: int) -> float | None:
    """Seconds from the end of one execution to the next."""
    if region.paced_from is None or region.ended_at is None or region.paced < models:
        return None
    return (region.ended_at - region.paced_from) / region.paced


def _left(region: RegionStanding, pace: float, models: int, now: float) -> float:
    expected = pace * (region.planned - region.ended)
    if region.ended_at is None:
        return expected
    # The models of a question end together: the time since the last end counts, but for one question at most.
    return max(0.0, expected - min(max(0.0, now - region.ended_at), pace * models))
