r"""Makes hostile text safe to show. Pure; knows nothing of runs or of the terminal.

Everything that comes from a job, a model, an error or an id goes through `clean` before it is shown. What could
move the cursor, reorder or hide text is written out as its escape (`\x1b`, `\u202e`), so that it is seen and
does nothing. Letters of every script, accents, CJK and emoji stay; emoji that are glued together come apart,
since terminals disagree about the cells that they take.
"""

from __future__ import annotations

import re
from enum import StrEnum

from rich.cells import cell_len, set_cell_size

ELLIPSIS = "…"

_CLASSES = (
    "\x00-\x1f\x7f-\x9f",  # C0, DEL, C1
    "\u2028\u2029",  # line and paragraph separators
    "\ud800-\udfff",  # lone surrogates
    # marks, overrides and isolates of direction; joiners and other invisible format characters
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff",
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a",
    # letters and marks that show as nothing: fillers, the grapheme joiner, variation selectors
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0d\uffa0",
    "\U000e0000-\U000e0fff",  # tags and the further variation selectors
    "\ufdd0-\ufdef\ufffe\uffff",  # no characters at all
)
_UNSAFE = re.compile(f"[{''.join(_CLASSES)}]")
_UNSAFE_BUT_NEWLINE = re.compile(f"(?!\n)[{''.join(_CLASSES)}]")
# A mark or an emoji selector belongs to what stands before it: none starts a text, few follow one another.
_PILE = re.compile("[\ufe0e\ufe0f]{2,}|^[\ufe0e\ufe0f]+")


class Lines(StrEnum):
    """What becomes of line ends (LF and CR LF) and tabs."""

    KEEP = "keep"
    """Line ends stay, tabs become four spaces."""
    JOIN = "join"
    """Each line end becomes `↵ `, each tab a space: the text is one line."""


def clean(text: str, *, lines: Lines = Lines.JOIN) -> str:
    """`text` with everything that a terminal might obey written out visibly. Cleaning twice changes nothing."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if lines is Lines.KEEP:
        text = _UNSAFE_BUT_NEWLINE.sub(_written_out, text.replace("\t", "    "))
    else:
        text = _UNSAFE.sub(_written_out, text.replace("\t", " ").replace("\n", "↵ "))
    return _PILE.sub(_written_out, text)


def shorten(text: str, cells: int) -> str:
    """`text`, already clean and of one line, cut at its end to fit in so many cells; `…` marks the cut."""
    if len(text) <= cells * _MARKS and cell_len(text) <= cells:
        return text
    if cells <= 1:
        return ELLIPSIS[:cells]
    return set_cell_size(text[: cells * _MARKS], cells - 1).rstrip() + ELLIPSIS


def squeeze(text: str, cells: int) -> str:
    """As `shorten`, but cut in the middle: the end of a long name tells it apart."""
    if len(text) <= cells * _MARKS and cell_len(text) <= cells:
        return text
    if cells < _WORTH_TWO_ENDS:
        return shorten(text, cells)
    tail = text[-(cells // 2) :]
    while cell_len(tail) > cells // 2:
        tail = tail[1:]
    return set_cell_size(text[: cells * _MARKS], cells - 1 - cell_len(tail)).rstrip() + ELLIPSIS + tail


def excerpt(text: str, cells: int) -> str:
    """The beginning of a text of any size, clean, in one line and no more than so many cells."""
    # Twice the room suffices to know that something was cut, also where many characters take no cell.
    return shorten(clean(text[: max(64, 2 * cells * _MARKS)]), cells)


def fit(text: str, cells: int) -> str:
    """`text`, already clean, shortened or padded to exactly so many cells."""
    return set_cell_size(shorten(text, cells), max(0, cells))


_MARKS = 4
"""Characters allowed for each cell: accents take none, and a pile of them must not make a line of any length."""

_WORTH_TWO_ENDS = 8


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
