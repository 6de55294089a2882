"""`beacon advise`: what the answers of earlier runs say should be done about cold starts. Changes nothing."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import msgspec

from beacon_cli import wiring
from beacon_cli.display import advising, paper
from beacon_cli.operations import histories
from beacon_cli.operations.costing import rates_of
from beacon_cli.operations.measuring import moment_since
from beacon_cli.timings.advice import THRESHOLDS, Facts, advise
from beacon_cli.timings.habits import Habits
from beacon_cli.timings.metrics import Metrics


def show(since: str | None, *, rehearsals: bool, slow_start: float, rates: Path | None, as_json: bool) -> None:
    """Show advice for each region of the configuration that has answers or is switched off.

    Raises:
        UsageError: `since` is no length of time, or the rates are none.
        StoreError: the home cannot be read.
    """
    settings, start = wiring.settings(), moment_since(since)
    prices = rates_of(settings, rates)
    metrics = Metrics()
    # Each rehearsal has a provider of its own: what its containers did ends with it.
    habits = defaultdict[str, Habits](lambda: Habits(across_runs=not rehearsals))
    for sample in histories.samples(settings.home, since=start, rehearsals=rehearsals):
        metrics.add(sample)
        habits[sample.region].add(sample)
    for each in habits.values():
        each.close()
    facts = [
        Facts(region=region, group=group, habits=habits[region], prewarmed=habits[region].prewarmed)
        for region, group in sorted(metrics.regions.items())
    ]
    found = advise(facts, prices, regions_off=settings.regions_off, slow_start=slow_start)
    remarks = _remarks(metrics, rehearsals=rehearsals)
    if as_json:
        document = {
            "rehearsals": rehearsals,
            "advice": [msgspec.to_builtins(each) for each in found],
            "thresholds": msgspec.to_builtins(dict(THRESHOLDS)) | {"slow_start_limit": slow_start},
            "rates": msgspec.to_builtins(prices),
            "remarks": remarks,
        }
        paper.put_json(document, sys.stdout)
        return
    paper.show(lambda _: advising.advice(found, prices, remarks, rehearsals=rehearsals), sys.stdout)


def _remarks(metrics: Metrics, *, rehearsals: bool) -> list[str]:
    if not metrics.n:
        kind = "rehearsal" if rehearsals else "real run"
        more = "" if rehearsals else "; --rehearsals advises on rehearsals"
        return [f"no {kind} has an answer in that time: nothing to go by{more}"]
    wanted = THRESHOLDS["measure_days"].value
    days = ((metrics.latest or 0.0) - (metrics.earliest or 0.0)) / 86_400
    if days < wanted:
        return [f"these answers span {days:.1f} days; the tree was made for {wanted:.0f} to 5 days of them"]
    return []
