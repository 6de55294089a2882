"""What a run of a job will take: `beacon plan --time --cost`. Starts nothing, asks nobody."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from beacon_cli import selection, wiring
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.display import foreseen, paper
from beacon_cli.errors import UsageError
from beacon_cli.model import OpenaiTarget, Selection
from beacon_cli.operations import costing, histories
from beacon_cli.plan import Plan
from beacon_cli.planning import forecasts
from beacon_cli.rates import Rates, known_gpu
from beacon_cli.timings.costs import WINDOW


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be foreseen, and under which assumptions.

    `gpu` is taken for the GPU of every model, in place of what earlier answers named; `window` is how long the
    apps' containers stand idle before they go, `concurrent` how many questions one of them answers at once. With
    `rehearsals` the history is that of rehearsals alone.
    """

    time: bool = False
    cost: bool = False
    gpu: str | None = None
    window: float = WINDOW
    concurrent: int = 1
    rates: Path | None = None
    rehearsals: bool = False


def show(job: Path, chosen: Selection, wanted: Wanted, *, as_json: bool) -> None:
    """Say how long a run of the job will take and what it will cost, in each way of starting its containers.

    Raises:
        SpecError: the job is wrong; every fault is named.
        UsageError: the job is too large to be imagined, or there is no price of such a GPU.
        StoreError: the history cannot be read.
    """
    settings = wiring.settings()
    plan = Plan(selection.narrow(wiring.job(job, settings)[1], chosen, settings.regions))
    if len(plan) > forecasts.MOST:
        most = f"{forecasts.MOST:,} are the most: take a part with --limit"
        raise UsageError(f"{len(plan):,} executions are too many to imagine; {most}")
    rates = costing.rates_of(settings, wanted.rates)
    history = histories.history(settings.home, rehearsals=wanted.rehearsals)
    at_endpoint = isinstance(plan.spec.target, OpenaiTarget)
    gpu = None if wanted.gpu is None else checked(wanted.gpu, rates)
    cells = [(region.id, model.id) for region, model in plan.cells()]
    priced = forecasts.prices(cells, lambda cell: None if at_endpoint else gpu or history.gpu(*cell), rates)
    found = forecasts.outlook(
        plan,
        history,
        priced,
        Scaling(scaledown_window=wanted.window, concurrent=wanted.concurrent),
        gpus=settings.gpus_total,
        without_containers=at_endpoint,
    )
    if as_json:
        paper.put_json(forecasts.record(found, plan), sys.stdout)
        return
    view = foreseen.ForeseenView(
        job_id=plan.spec.id,
        executions=len(plan),
        outlook=found,
        window=wanted.window,
        time=wanted.time,
        cost=wanted.cost,
        at_endpoint=at_endpoint,
        rehearsals=wanted.rehearsals,
    )
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    paper.show(lambda width: foreseen.foreseen(view, width, ascii_only=ascii_only), sys.stdout)


def checked(gpu: str, rates: Rates) -> str:
    """The GPU, if it has a price.

    Raises:
        UsageError: it has none.
    """
    if known_gpu(gpu, rates.gpu) is None:
        known = ", ".join(rates.gpu)
        raise UsageError(
            f"--gpu: no price of {gpu!r} is known; known: {known}. Add it to [rates.gpu] in beacon.toml"
        )
    return gpu
