"""Which words two answers do not share: the one as it stands, the other with what was left out and put in. Pure.

rapidfuzz, which finds them at the speed of C, is imported where it is used: only pages need it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

MOST = 1_500
"""Words of each answer that are held against each other; what comes after them is shown as it is."""
_LEAST_SHARED = 0.25
"""Answers that share less of their words are not held together: everything would be marked."""

_DENSE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORDS = re.compile(rf"[{_DENSE}]|(?:(?![{_DENSE}])\w)+|\s+|[^\w\s]")
"""Words, blanks and signs; of scripts that put no blanks between words each character by itself."""


class Mark(StrEnum):
    """What a part of the second text is, by the first."""

    SAME = "same"
    ADDED = "added"
    GONE = "gone"


class Part(NamedTuple):
    """A run of words of one mark."""

    mark: Mark
    text: str


def differences(first: str, second: str) -> list[Part] | None:
    """The second text in parts, between them what of the first is gone; None if they share next to nothing."""
    from rapidfuzz.distance import Indel

    one, other = _WORDS.findall(first), _WORDS.findall(second)
    rest, is_cut = "".join(other[MOST:]), len(one) > MOST
    one, other = one[:MOST], other[:MOST]
    found = Indel.opcodes(one, other)
    shared = sum(_letters(other[step.dest_start : step.dest_end]) for step in found if step.tag == "equal")
    if shared < _LEAST_SHARED * max(1, _letters(one), _letters(other)):
        return None
    parts = [
        part
        for step in found
        for part in _parts(step.tag, one[step.src_start : step.src_end], other[step.dest_start : step.dest_end])
    ]
    merged = list(_merged(parts))
    if is_cut and merged and merged[-1].mark is Mark.GONE:  # it may come later: nobody looked
        merged.pop()
    return [*merged, Part(Mark.SAME, rest)] if rest else merged


def _letters(words: list[str]) -> int:
    return sum(len(word) for word in words if not word.isspace())


def _parts(tag: str, gone: list[str], added: list[str]) -> Iterator[Part]:
    if tag == "equal":
        yield Part(Mark.SAME, "".join(added))
        return
    yield Part(Mark.GONE, "".join(gone))
    yield Part(Mark.ADDED, "".join(added))


def _merged(parts: list[Part]) -> Iterator[Part]:
    """Neighbours of one mark as one part; of what differs, all that is gone before all that is added."""
    gone, added = "", ""
    for part in parts:
        if part.mark is Mark.GONE:
            gone += part.text
        elif part.mark is Mark.ADDED:
            added += part.text
        elif part.text:
            if part.text.isspace() and (gone or added):  # a blank between two changes belongs to both
                gone, added = gone + part.text, added + part.text
                continue
            yield from _changed(gone, added)
            gone = added = ""
            yield part
    yield from _changed(gone, added)


def _changed(gone: str, added: str) -> Iterator[Part]:
    if gone == added:
        if gone:
            yield Part(Mark.SAME, gone)
        return
    if gone:
        yield Part(Mark.GONE, gone)
    if added:
        yield Part(Mark.ADDED, added)
