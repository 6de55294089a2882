"""The tables of `beacon runs` and `beacon plan`. Pure: plain data in, renderables out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import BETWEEN, NONE, cell, name, number, table, that_fit
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, PLAIN, STRONG
from beacon_cli.display.words import clock, count

_STATES: Mapping[str, Style] = {"finished": GOOD, "running": STRONG, "interrupted": ODD}
_LABEL = 8
"""Cells of the words that stand before the lines of a plan."""
_MOST_QUESTIONS = 40
"""More questions than these are counted, not named."""
_NAME = 24


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


def plan(view: PlanView, width: int) -> RenderableType:
    """The matrix of executions, the order of the questions and the least time that the run takes."""
    total = sum(view.counts.values())
    limits = f"at most {view.concurrency} at a time, {view.per_region} in a region"
    head = Text.assemble(
        cell(view.job_id, STRONG), f"  {count(total, 'execution')}, {view.schedule}, {limits}", overflow="fold"
    )
    parts: list[RenderableType] = [head, Text(""), _matrix(view.counts, width), Text(""), _order(view.order)]
    parts += [
        Text.assemble((" off ", LABEL), " ", cell(region), ": switched off in the configuration, not in this plan")
        for region in view.regions_off
    ]
    least = (
        f"{clock(view.bound[0])} to {clock(view.bound[1])} at least, with answers of {view.service[0]:g} to "
        f"{view.service[1]:g} s; cold starts come on top"
    )
    return Group(*parts, _labelled("time", least))


def _matrix(counts: Mapping[tuple[str, str], int], width: int) -> Table:
    """Regions by models; too wide for that, models by regions; too wide for both, the sum of each region."""
    models_by_region = {(model, region): value for (region, model), value in counts.items()}
    sums = Counter[tuple[str, str]]()
    for (region, _), value in counts.items():
        sums[region, "executions"] += value
    for cells in (counts, models_by_region):
        if _cells_of(cells) <= width:
            return _sums(cells, "all")
    return _sums(sums)


def _cells_of(counts: Mapping[tuple[str, str], int]) -> int:
    """How wide `_sums` makes its table with these."""
    most = len(f"{sum(counts.values()):,}")
    names = {row: name(row, cells=_NAME).cell_len for row, _ in counts}
    headings = {column: max(most, name(column, cells=_NAME).cell_len) for _, column in counts}
    return max(names.values(), default=0) + sum(headings.values()) + most + BETWEEN * (len(headings) + 1)


def _sums(counts: Mapping[tuple[str, str], int], total: str | None = None) -> Table:
    """A row and a column for each name, with their sums; a column of sums where `total` names it."""
    rows = list(dict.fromkeys(row for row, _ in counts))
    columns = list(dict.fromkeys(column for _, column in counts))
    headings = [*(name(column, cells=_NAME).plain for column in columns), *([total] if total else [])]
    made = table(["", *headings], right=range(1, len(headings) + 1))
    for row in rows:
        values = [counts.get((row, column), 0) for column in columns]
        last = [number(sum(values), STRONG)] if total else []
        made.add_row(name(row, STRONG, cells=_NAME), *map(number, values), *last)
    sums = [sum(counts.get((row, column), 0) for row in rows) for column in columns]
    last = [number(sum(sums), STRONG)] if total else []
    made.add_row(Text("all", FAINT), *map(number, sums), *last)
    return made


def _moment(at: float | None) -> Text:
    if at is None:
        return Text(NONE, FAINT)
    return Text(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S"))


def _labelled(label: str, said: str) -> Table:
    """A few words and what they are of, each line of it beside them."""
    made = Table.grid()
    made.add_column(width=_LABEL, style=FAINT)
    made.add_column(overflow="fold")
    made.add_row(Text(label), Text(said))
    return made


def _order(questions: Sequence[str]) -> Table:
    named = [cell(question, cells=40).plain for question in questions[:_MOST_QUESTIONS]]
    more = len(questions) - len(named)
    said = ", ".join([*named, f"and {more:,} more"] if more else named)
    return _labelled("order", said)
