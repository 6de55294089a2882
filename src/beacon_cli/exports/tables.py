"""Markdown in which hostile text stays text: one line, nothing of it a link, an image, markup or another cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from beacon_cli.exports.visible import visible

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKUP = re.compile(r"[\\`*_\[\]|~$@#]|//|(?<=[wW]{3})\.|(?<=\w)\.(?=[^\W\d])")
"""What Markdown gives a meaning within a line, and what is made a link of because it looks like one."""


def line(text: str, *, most: int | None = None) -> str:
    """`text` as one line of Markdown; line ends are kept as `<br>`, what is over `most` characters is cut off."""
    size = len(text)
    if most is not None and size > most:
        text = text[:most]
    shown = _MARKUP.sub(
        lambda match: "".join(f"\\{char}" for char in match[0]), visible(text).translate(_ENTITIES)
    )
    shown = shown.replace("\n", "<br>").replace("\t", " ")
    return shown if len(text) == size else f"{shown}… *({size:,} characters)*"


def table(headings: Sequence[str], cells: Iterable[Sequence[str]], *, numbers: int = 0) -> Iterator[str]:
    """The lines of a table of cells that are Markdown already; the last `numbers` columns stand to the right."""
    yield _row(headings)
    yield _row([*["---"] * (len(headings) - numbers), *["--:"] * numbers])
    yield from map(_row, cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
