"""Tables of clean text, as every command shows them. Pure; knows nothing of runs."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.clean import Lines, clean, excerpt, squeeze
from beacon_cli.display.strokes import FAINT, PLAIN

NONE = "-"
"""Stands where a number would be nothing."""


BETWEEN = 2
"""Cells between two columns."""


def that_fit(columns: Mapping[str, int], spared: Sequence[str], width: int) -> list[str]:
    """The headings for which there is room: `columns` gives their cells, `spared` which go first."""
    kept = dict(columns)
    for heading in spared:
        if sum(kept.values()) + BETWEEN * (len(kept) - 1) <= width:
            break
        kept.pop(heading, None)
    return list(kept)


def fit(columns: Mapping[str, int], kept: Sequence[str], width: int) -> bool:
    """Whether there is room for these of the columns: some are never spared."""
    return sum(columns[heading] for heading in kept) + BETWEEN * len(kept) <= width


def table(
    columns: Sequence[str],
    *,
    right: Container[int] = (),
    wrapped: Container[int] = (),
    widths: Mapping[str, int] | None = None,
) -> Table:
    """An empty table with these headings. Columns `right` hold numbers, columns `wrapped` may take many lines.

    `widths` are cells by heading where they are known and fit: then Rich need not measure every cell.
    """
    made = Table(box=None, pad_edge=False, padding=(0, BETWEEN, 0, 0), header_style=FAINT, show_edge=False)
    for index, heading in enumerate(columns):
        made.add_column(
            Text(clean(heading)),
            justify="right" if index in right else "left",
            no_wrap=index not in wrapped,
            overflow="fold" if index in wrapped else "ellipsis",
            width=widths.get(heading) if widths and index not in wrapped else None,
        )
    return made


def cell(text: str, style: Style = PLAIN, *, cells: int = 60) -> Text:
    """Any text as one line of a table."""
    return Text(excerpt(text, cells), style=style)


def name(text: str, style: Style = PLAIN, *, cells: int) -> Text:
    """As `cell`, cut in the middle: the names of models often differ at their ends alone."""
    return Text(squeeze(clean(text), cells), style=style)


def number(value: int, style: Style = PLAIN) -> Text:
    """A count; nothing is shown faintly."""
    return Text(f"{value:,}", style=style) if value else Text(NONE, style=FAINT)


def paragraph(text: str, style: Style = PLAIN) -> Text:
    """Any text in full, wrapped where the width asks for it and cut nowhere: paths, commands, prompts."""
    return Text(clean(text, lines=Lines.KEEP), style=style, overflow="fold")
