"""What pictures are made of: looks, lines and bars. Pure; knows nothing of runs.

Colours are few and of the sixteen that every terminal lets its owner choose; a word or sign says the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from beacon_cli.display.clean import shorten
from beacon_cli.display.words import Signs

Part: TypeAlias = tuple[str, Style]
"""Text, clean already, and how it looks."""

PLAIN = Style()
FAINT = Style(dim=True)
STRONG = Style(bold=True)
GOOD = Style(color="green")
BAD = Style(color="red")
ODD = Style(color="magenta")
LABEL = Style(bold=True, reverse=True)


def line(width: int, parts: Iterable[Part]) -> Text:
    """One line of these parts, cut at `width` cells."""
    text = Text(no_wrap=True, end="")
    room = width
    for content, style in parts:
        shown = content if cell_len(content.rstrip()) <= room else shorten(content, room)
        text.append(shown, style)
        if shown is not content:  # what comes after a cut would be read as its end
            break
        room -= cell_len(shown)
    text.rstrip()
    return text


def cells(parts: Iterable[Part]) -> int:
    """The cells that the parts take."""
    return sum(cell_len(text) for text, _ in parts)


def joined(parts: Iterable[Part], signs: Signs) -> list[Part]:
    """The parts that are not empty, with a dot between each two."""
    between: list[Part] = []
    for part in parts:
        if part[0]:
            between += [(f" {signs.dot} ", FAINT), part] if between else [part]
    return between


def bar(length: int, good: int, bad: int, whole: int, signs: Signs) -> list[Part]:
    """A bar of `length` cells for `good` and `bad` things done of a `whole`; full only when all are done."""
    halves = 2 * length * min(good + bad, whole) // max(1, whole)
    full, half = divmod(halves, 2)
    red = min(full, max(1, length * bad // max(1, whole))) if bad else 0
    return [
        (signs.done * (full - red), GOOD),
        (signs.done * red, BAD),
        (signs.half * half, BAD if bad else GOOD),
        (signs.rest * (length - full - half), FAINT),
    ]
