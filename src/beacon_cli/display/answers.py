"""The answers of a run side by side, for `beacon show`. Pure: rows of `results.jsonl` in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from beacon_cli.display.clean import excerpt
from beacon_cli.display.columns import cell, name, table
from beacon_cli.display.strokes import BAD, FAINT, ODD, STRONG

Row: TypeAlias = Mapping[str, Any]
"""One line of `results.jsonl`."""

_ANSWER = 240
"""Cells of an answer that are shown unless the caller says otherwise."""
_LEAST_COLUMN = 18
"""A region's column narrower than this cannot be read: the answers go under each other."""
_MODEL = 20


class _Turn(NamedTuple):
    """What was asked once: its answers stand together."""

    question: str
    context: str | None
    repeat: int


def answers(rows: Iterable[Row], width: int, *, length: int = _ANSWER) -> RenderableType:
    """For each question a table: a row for each model, a column for each region, answers cut at `length` cells.

    Too narrow for columns, the answers stand under each other. An answer that is the same, to the letter, as the
    first region's says so.
    """
    turns: dict[_Turn, dict[str, dict[str, Row]]] = {}
    regions: dict[str, None] = {}
    for row in rows:
        turn = _Turn(str(row["question_id"]), row.get("context"), int(row.get("repeat") or 1))
        turns.setdefault(turn, {}).setdefault(str(row["model"]), {})[str(row["region"])] = row
        regions.setdefault(str(row["region"]))
    if not turns:
        return Text("no answers", FAINT)
    names = min(_MODEL, max(cell_len(excerpt(model, _MODEL)) for models in turns.values() for model in models))
    columns = (width - names - 2) // len(regions) - 2
    show = _beside if columns >= _LEAST_COLUMN else _below
    parts: list[RenderableType] = []
    for turn, models in turns.items():
        parts += [_heading(turn), show(models, list(regions), length), Text("")]
    return Group(*parts[:-1])


def _heading(turn: _Turn) -> Text:
    heading = cell(turn.question, STRONG)
    if turn.context is not None:
        heading.append_text(cell(f"  in context {turn.context}", FAINT))
    if turn.repeat > 1:
        heading.append(f"  repeat {turn.repeat}", FAINT)
    return heading


def _beside(models: Mapping[str, Mapping[str, Row]], regions: Sequence[str], length: int) -> RenderableType:
    made = table(["", *(excerpt(region, 24) for region in regions)], wrapped=range(1, len(regions) + 1))
    made.columns[0].min_width = min(_MODEL, max(cell_len(excerpt(model, _MODEL)) for model in models))
    for column in made.columns[1:]:
        column.ratio = 1
    made.expand = True
    for model, row in models.items():
        made.add_row(name(model, cells=_MODEL), *_said(row, regions, length))
    return made


def _below(models: Mapping[str, Mapping[str, Row]], regions: Sequence[str], length: int) -> RenderableType:
    parts: list[RenderableType] = []
    for model, row in models.items():
        made = Table.grid(padding=(0, 2, 0, 0))
        made.add_column(no_wrap=True, max_width=_MODEL, overflow="ellipsis")
        made.add_column(overflow="fold")
        for region, said in zip(regions, _said(row, regions, length), strict=True):
            made.add_row(cell(region, FAINT), said)
        parts += [Text("  ").append_text(cell(model)), Padding(made, (0, 0, 0, 4))]
    return Group(*parts)


def _said(row: Mapping[str, Row], regions: Sequence[str], length: int) -> list[Text]:
    """One text for each region."""
    first = next((region for region in regions if _answer(row.get(region)) is not None), None)
    said: list[Text] = []
    for region in regions:
        answer = _answer(row.get(region))
        if answer is None:
            said.append(_no_answer(row.get(region), length))
        elif first is not None and region != first and answer == _answer(row.get(first)):
            said.append(cell(f"the same as {first}", FAINT))
        else:
            said.append(Text(excerpt(answer, length) or "(empty)", overflow="fold"))
    return said


def _answer(row: Row | None) -> str | None:
    if row is None or row.get("status") != "succeeded":
        return None
    return str(row.get("response") or "")


def _no_answer(row: Row | None, length: int) -> Text:
    if row is None:
        return Text("not planned", FAINT)
    error = row.get("error") or {}
    status = str(row.get("status"))
    said = ": ".join([status, *(str(error[key]) for key in ("kind", "message") if error.get(key))])
    return cell(said, BAD if status == "failed" else ODD, cells=length)
