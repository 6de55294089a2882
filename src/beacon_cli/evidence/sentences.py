"""An answer's words as sentences, made equal where they only look different. Pure; knows no pattern.

An answer may be hostile and a megabyte long. Only its head and its tail are looked at, and everything here takes
time in proportion to them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from beacon_cli.evidence.han import simplified

HEAD = 3_000
"""Characters of an answer's beginning that are looked at."""
TAIL = 1_000
"""Characters of its end."""

_SPECIAL = re.compile(r"<[|\uff5c][A-Za-z_\u2581]{1,40}[|\uff5c]>|</?s>")
"""Marks of a chat template that a model forgot to keep to itself."""
_THINKING, _THOUGHT = "<think>", "</think>"
_MOST_NORMAL = 2 * (HEAD + TAIL)
"""Characters after normalising: one may become eighteen."""

_CONTROLS = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
_INVISIBLE = (
    "\xad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e01ff"
)
_SAME = {
    _CONTROLS + _INVISIBLE: "",
    "\u2018\u2019\u201b\u02bc\u02b9\u2032\xb4`\uff07": "'",
    "\u201c-\u201f\xab\xbb\u300a-\u300f\uff02": '"',
    "\u2010-\u2015\u2212": "-",
    "\u2026": "... ",
}
"""What looks like nothing, and signs that look like another."""
_ALIKE = re.compile(f"[{''.join(_SAME)}]")
_HAN = re.compile("[\u4e00-\u9fff]")
_EMPHASIS = re.compile(r"[*_~#>|¿¡]+")
_QUOTED = re.compile(r'"([^"\n]{2,400})"')
_NEW_LINE = re.compile(r"\n[ \t]*(?=[\n\-*•#>|]|\d{1,3}[.)])")
_END = re.compile(r"""[\0.;:!?。](?:(?<=[\0!?。])|["')\]]{0,3}(?=\s))""")
_TURNS = (
    *("but", "however", "although", "that said", "nevertheless"),
    *("mais", "cependant", "toutefois", "néanmoins", "en revanche"),
    *("aber", "jedoch", "allerdings", "dennoch", "pero", "sin embargo", "no obstante", "aunque"),
)
"""What follows these words may be an answer after all, so it is weighed by itself."""
_TURN = re.compile(rf"\s(?=[{''.join(sorted({word[0] for word in _TURNS}))}])(?=(?:{'|'.join(_TURNS)})\b)")
_TURN_HAN = re.compile(r",\s?(?=但|不过|然而|可是)")
_TURNED = re.compile(rf"(?:{'|'.join(_TURNS)}|what i can|ce que je peux|lo que sí)\b|但|不过|不過|然而|可是")
_LETTER = re.compile(
    r"(?:subject|re|objet|betreff|asunto|主题) ?$|liebe[rs]? .{1,40},$"
    r"|(?:dear|sehr geehrte[rs]?|madame|monsieur|chère?s?|estimad[oa]s?|querid[oa]s?|尊敬的)\b"
    r"(?!.{0,12}\b(?:user|customer|client|nutzer|kund|utilisa|usuari|用户|客户))"
)
_SALUTATION = 60
"""A longer line does not greet."""
_EDGES = " \"')]"


def spoken(text: str) -> tuple[str, bool]:
    """The answer without template marks and the thinking before it, and whether that thinking ended."""
    if "<" not in text:
        return text, True
    text = _SPECIAL.sub("", text)
    if not text[:100].lstrip().startswith(_THINKING):
        before, mark, after = text.partition(_THOUGHT)
        return (after, True) if mark and _THINKING not in before else (text, True)
    _, mark, after = text.partition(_THOUGHT)
    return after, bool(mark)


def plain(text: str) -> str:
    """`text` in one form: NFKC, folded case, ASCII quotes, simplified Chinese, nothing invisible."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text.replace("`", "'").lower()
    text = _ALIKE.sub(_same, text)
    text = unicodedata.normalize("NFKC", text).casefold()
    return simplified(text) if _HAN.search(text) else text


@cache
def _instead(sign: str) -> str:
    return next(same for letters, same in _SAME.items() if re.match(f"[{letters}]", sign))


def _same(found: re.Match[str]) -> str:
    return _instead(found[0])


def sentences(text: str) -> list[str]:
    """The head and the tail of `text` in sentences and clauses, normalised, each on one line, none empty.

    What stands in quotes is blotted out, dot for letter: somebody else said it.
    """
    window = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n\n{text[-TAIL:]}"
    window = plain(window.replace("\r\n", "\n"))[:_MOST_NORMAL]
    if '"' in window:
        window = _QUOTED.sub(lambda found: f'"{"·" * len(found[1])}"', window)
    if "\n" in window:
        window = _NEW_LINE.sub("\0", window)
    window = _TURN.sub("\0", _EMPHASIS.sub("", window))
    if not window.isascii():
        window = _TURN_HAN.sub("\0", window)
    return [line for part in _END.split(window) if (line := " ".join(part.split()).strip(_EDGES))]


def turns(line: str) -> bool:
    """Whether the line begins with *but*, *however* or their like."""
    return _TURNED.match(line) is not None


def is_letter(lines: Sequence[str]) -> bool:
    """Whether it opens as a letter or its draft does: then whoever declines in it is not the model.

    A letter to a user is the model's own.
    """
    return bool(lines) and _LETTER.match(lines[0]) is not None and len(lines[0]) < _SALUTATION
