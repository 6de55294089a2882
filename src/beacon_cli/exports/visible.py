r"""Makes what a file for people must not hold visible: `\x00`, `\ud800`, `\u202e`. Letters of every script stay.

Less strict than what a terminal needs: joiners and direction marks stay, since Persian, Arabic and emoji are
wrong without them; overrides and isolates of direction do not, since they show what is not there.
"""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u2028\u2029"  # line and paragraph separators
    "\u202a-\u202e\u2066-\u2069"  # overrides, embeddings and isolates of direction
    "\ud800-\udfff"  # lone surrogates
    "\ufdd0-\ufdef\ufffe\uffff"  # no characters at all
    "]"
)


_HALVES = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` with lone surrogates alone written out: what a program reads that takes nothing but Unicode."""
    return _HALVES.sub(_written_out, text)


def visible(text: str) -> str:
    """`text` with what is hidden or no character written out; each line end is a newline."""
    return _HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
