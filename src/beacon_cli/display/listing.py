"""The tables of `beacon runs` and `beacon plan`. Pure: plain data in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from beacon_cli.display.columns import NONE, cell, number, table, that_fit
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, PLAIN, STRONG
from beacon_cli.display.words import clock, count

_STATES: Mapping[str, Style] = {"finished": GOOD, "running": STRONG, "interrupted": ODD}
_MOST_QUESTIONS = 40
"""More questions than these are counted, not named."""


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run in the list. `state` is a word; `started_at` is seconds since the epoch, `seconds` a duration."""

    run_id: str
    job_id: str
    state: str
    planned: int
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    started_at: float | None = None
    seconds: float | None = None
    rehearsal: bool = False


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """What `beacon plan` shows: `counts` by (region, model), `order` the questions of a region as they come.

    `bound` is the least time in seconds that the schedule allows if each answer takes `service` seconds, for the
    fastest and the slowest answers that are expected.
    """

    job_id: str
    schedule: str
    counts: Mapping[tuple[str, str], int]
    order: Sequence[str]
    concurrency: int
    per_region: int
    bound: tuple[float, float]
    service: tuple[float, float]
    regions_off: Sequence[str] = ()


_COLUMNS = ("run", "job", "state", "answered", "failed", "skipped", "started (UTC)", "took", "kind")
_SPARED = ("took", "skipped", "started (UTC)", "failed", "kind", "job")
"""Where the width does not do, these columns go, in this order."""


def runs(lines: Iterable[RunLine], width: int) -> RenderableType:
    """The list of runs, in the order given."""
    rows = [_run_cells(run) for run in lines]
    if not rows:
        return Text("no runs yet", FAINT)
    widths = {heading: max(len(heading), *(row[heading].cell_len for row in rows)) for heading in _COLUMNS}
    kept = that_fit(widths, _SPARED, width)
    numbers = {"answered", "failed", "skipped", "took"}
    made = table(kept, right=[index for index, heading in enumerate(kept) if heading in numbers])
    for row in rows:
        made.add_row(*(row[heading] for heading in kept))
    return made


def _run_cells(run: RunLine) -> dict[str, Text]:
    return {
        "run": cell(run.run_id, STRONG, cells=40),
        "job": cell(run.job_id, cells=32),
        "state": cell(run.state, _STATES.get(run.state, PLAIN), cells=48),
        "answered": Text(f"{run.succeeded}/{run.planned}", GOOD if run.succeeded == run.planned else PLAIN),
        "failed": number(run.failed, BAD),
        "skipped": number(run.skipped, BAD),
        "started (UTC)": _moment(run.started_at),
        "took": Text(NONE, FAINT) if run.seconds is None else Text(clock(run.seconds)),
        "kind": Text("rehearsal", ODD) if run.rehearsal else Text("real"),
    }


def plan(view: PlanView) -> RenderableType:
    """The matrix of executions, the order of the questions and the least time that the run takes."""
    regions = list(dict.fromkeys(region for region, _ in view.counts))
    models = list(dict.fromkeys(model for _, model in view.counts))
    made = table(["", *(cell(model, cells=24).plain for model in models), "all"], right=range(1, len(models) + 2))
    for region in regions:
        row = [view.counts.get((region, model), 0) for model in models]
        made.add_row(cell(region, STRONG, cells=24), *(number(value) for value in row), number(sum(row), STRONG))
    sums = [sum(view.counts.get((region, model), 0) for region in regions) for model in models]
    made.add_row(Text("all", FAINT), *(number(value) for value in sums), number(sum(sums), STRONG))
    limits = f"at most {view.concurrency} at a time, {view.per_region} in a region"
    head = Text.assemble(
        cell(view.job_id, STRONG), f"  {count(sum(sums), 'execution')}, {view.schedule}, {limits}", overflow="fold"
    )
    parts: list[RenderableType] = [head, Text(""), made, Text(""), _order(view.order)]
    parts += [
        Text.assemble((" off ", LABEL), " ", cell(region), ": switched off in the configuration, not in this plan")
        for region in view.regions_off
    ]
    least = (
        f"{clock(view.bound[0])} to {clock(view.bound[1])} at least, with answers of {view.service[0]:g} to "
        f"{view.service[1]:g} s; cold starts come on top"
    )
    return Group(*parts, Text.assemble(("time    ", FAINT), least))


def _moment(at: float | None) -> Text:
    if at is None:
        return Text(NONE, FAINT)
    return Text(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S"))


def _order(questions: Sequence[str]) -> Text:
    named = [cell(question, cells=40).plain for question in questions[:_MOST_QUESTIONS]]
    more = len(questions) - len(named)
    said = ", ".join([*named, f"and {more:,} more"] if more else named)
    return Text.assemble(("order   ", FAINT), said, overflow="fold")
