"""Looking at jobs and runs: what a job would do, which runs there are, what came of one. Changes nothing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from beacon_cli import moments, replay, rows, selection, wiring
from beacon_cli.behaviour.timing import Timings
from beacon_cli.display import answers, listing, paper, summary
from beacon_cli.display.words import count
from beacon_cli.errors import SpecError
from beacon_cli.model import JsonObject, OpenaiTarget, Selection
from beacon_cli.operations.reaping import DeadTurn, Orphans
from beacon_cli.plan import Plan
from beacon_cli.results import Standings
from beacon_cli.runs import RunFolder, Runs, RunState, Summary

if TYPE_CHECKING:
    from beacon_cli.evidence.readings import Kind, Reader
    from beacon_cli.timings.shares import Shares


def plan(job: Path, chosen: Selection, *, as_json: bool) -> None:
    """Show the matrix of a job, its order, and the least time that its schedule takes."""
    settings = wiring.settings()
    made = Plan(selection.narrow(wiring.job(job, settings)[1], chosen, settings.regions))
    view = _view(made)
    if as_json:
        paper.put_json(_plan_record(made, view), sys.stdout)
    else:
        paper.show(lambda width: listing.plan(view, width), sys.stdout)


def runs(*, as_json: bool) -> None:
    """List the runs, newest first."""
    found = Runs(wiring.settings().home).summaries()
    if as_json:
        paper.put_json(
            [{**msgspec.to_builtins(each), "started_at": moments.utc(each.started_at)} for each in found],
            sys.stdout,
        )
    else:
        paper.show(lambda width: listing.runs(map(_line, found), width), sys.stdout)


def run(name: str, *, as_json: bool) -> None:
    """Show one run, the latest if it is not named: how it stands, and its answers side by side."""
    home = Runs(wiring.settings().home)
    folder = home.find(name) if name else home.latest()
    recovered, began = folder.recover()
    found = replay.result_rows(folder.journal, Plan(began.spec).executions())
    if as_json:
        for row in found:
            paper.put(rows.to_line(row).decode().rstrip(), sys.stdout)
        return
    paper.show(lambda width: answers.answers(found, width), sys.stdout)
    paper.say([""], sys.stdout, whole=True)
    summarise(recovered.standings, folder, sys.stdout)


def summarise(
    standings: Standings,
    folder: RunFolder,
    stream: IO[str],
    *,
    read: bool = False,
    reader: Reader | None = None,
    whole: bool = True,
) -> None:
    """The end of a run in one picture, and where to go from there; with `read`, how its answers read as well.

    `reader` is what reads them, if it is there already; `whole` as for `paper.put`.
    """
    hints = _hints(folder.summary(), more=_is_spent(standings))
    some = read and standings.total("succeeded") > 0
    counts = _readings(standings, folder, reader) if some else {}
    shares = _shares(folder) if some and _tells_time(standings) else None
    paper.show(
        lambda width: summary.summary(
            standings, width, results=_where(folder), hints=hints, counts=counts, shares=shares
        ),
        stream,
        whole=whole,
    )


def _tells_time(standings: Standings) -> bool:
    """Whether answers can say where their time went: an endpoint's cannot."""
    return standings.run is not None and not isinstance(standings.run.spec.target, OpenaiTarget)


def _shares(folder: RunFolder) -> Shares:
    from beacon_cli.operations import timing  # only the end of a run needs it

    return timing.timed(folder).shares


def _readings(
    standings: Standings, folder: RunFolder, reader: Reader | None
) -> dict[tuple[str, str], Counter[Kind]]:
    """How the answers in the results read, by region and model.

    Patterns that are wrong are said to be so; the run has ended.
    """
    if standings.run is None:
        return {}
    try:
        reader = reader or wiring.reader(wiring.settings())
    except SpecError as error:
        paper.tell([f"beacon: the answers were not read: {fault}" for fault in error.faults])
        return {}
    counts: dict[tuple[str, str], Counter[Kind]] = {}
    for row in folder.rows():
        counts.setdefault((row["region"], row["model"]), Counter())[reader.read_row(row).kind] += 1
    return counts


def orphans(found: Sequence[Orphans], *, as_json: bool) -> None:
    """Say which calls runs have left behind, and which of them have been ended."""
    if as_json:
        paper.put_json([msgspec.to_builtins(each) for each in found], sys.stdout)
    else:
        paper.say(_orphan_lines(found), sys.stdout)


def _orphan_lines(found: Sequence[Orphans]) -> Iterator[str]:
    if not found:
        yield "no run has left a call behind"
    for each in found:
        ended = each.ended
        yield f"run {each.run_id}:"
        for call in each.calls:
            state = (
                "may still run" if ended is None else "ended" if call in ended else "NOT confirmed to have ended"
            )
            yield f"  {call}  {state}"
        if each.intents:
            yield f"  and {each.intents} that may have been placed; nobody knows their ids: ask the provider"
        for turn in each.turns:
            yield f"  {_turn_line(turn)}"


def _turn_line(turn: DeadTurn) -> str:
    if turn.freed is None:
        return f"its turn in {turn.region}, which no process renews, with {count(len(turn.calls), 'call')}"
    if turn.freed:
        return f"its turn in {turn.region} is over, and its GPUs are free"
    return f"its turn in {turn.region} is NOT over: what it left is not confirmed to have ended; reap again"


def _view(made: Plan) -> listing.PlanView:
    spec = made.spec
    each = len(spec.questions) * (len(spec.contexts) or 1) * spec.repeats
    fast, slow = Timings().service
    return listing.PlanView(
        job_id=spec.id,
        schedule=spec.schedule.value,
        counts=Counter({(region.id, model.id): each for region, model in made.cells()}),
        order=_order(made),
        concurrency=spec.limits.concurrency,
        per_region=spec.limits.per_region,
        regions_off=spec.regions_off,
        bound=(made.lower_bound(lambda _: fast), made.lower_bound(lambda _: slow)),
        service=(fast, slow),
    )


def _order(made: Plan) -> list[str]:
    """The waves of a region by name: question, then context and repeat where there are several."""
    spec = made.spec
    several = spec.repeats > 1
    return [
        " ".join(
            [
                wave[0].question.id,
                *([f"({wave[0].context.id})"] if wave[0].context else []),
                *([f"#{wave[0].repeat}"] if several else []),
            ]
        )
        for wave in made.waves(made.regions[0])
    ]


def _plan_record(made: Plan, view: listing.PlanView) -> JsonObject:
    return {
        "job_id": view.job_id,
        "executions": len(made),
        "schedule": view.schedule,
        "matrix": [
            {"region": region, "model": model, "executions": count}
            for (region, model), count in view.counts.items()
        ],
        "order": list(view.order),
        "regions_off": list(view.regions_off),
        "limits": {"concurrency": view.concurrency, "per_region": view.per_region},
        "seconds_at_least": {"fast": view.bound[0], "slow": view.bound[1]},
    }


def _line(each: Summary) -> listing.RunLine:
    state = each.state.value
    if _left_calls(each):
        state = f"{state}, {count(each.open_calls, 'call')} may still run"
    return listing.RunLine(
        run_id=each.run_id,
        job_id=each.job or "",
        state=state,
        planned=each.planned,
        succeeded=each.succeeded,
        failed=each.failed,
        skipped=each.skipped,
        started_at=each.started_at,
        seconds=each.seconds,
        rehearsal=each.rehearsal,
    )


def _left_calls(each: Summary) -> bool:
    return each.open_calls > 0 and each.state is not RunState.RUNNING


def _where(folder: RunFolder) -> str:
    return str(folder.results if folder.results.exists() else folder.path)


def _is_spent(standings: Standings) -> bool:
    """Whether the run's budget ended it, so that it goes on with a higher one alone."""
    budget = standings.run.spec.budget if standings.run else None
    if budget is None:
        return False
    from beacon_cli.planning.purses import reached  # most runs have no budget

    return standings.interrupted == reached(budget)


def _hints(each: Summary, *, more: bool) -> list[tuple[str, str]]:
    hints = []
    if _left_calls(each):
        said = f"{count(each.open_calls, 'call')} may still run; reap"
        hints.append((said, f"beacon reap {each.run_id}"))
    if each.succeeded:
        hints.append(("judge the answers", f"beacon report {each.run_id}"))
    if each.state is RunState.INTERRUPTED:
        hints.append(("go on", f"beacon resume {each.run_id}{' --max-cost USD' if more else ''}"))
    if each.failed or each.skipped:
        hints.append(("ask again what failed", f"beacon retry {each.run_id}"))
    return hints
