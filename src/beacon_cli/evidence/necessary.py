r"""What a text must hold for an expression to match, so that most expressions need not be tried. Pure.

`i (?:can't|cannot) (?:help|answer)` matches no line without a word that begins with *can't* or *cannot*. Told for
the expressions that `expressions` lets pass; where one is too free to tell, it must be tried on every line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from beacon_cli.evidence.languages import FUNCTION_WORDS

LONGEST = 5
"""Letters of a word that are compared."""
MOST = 400
"""Beginnings that are told apart; an expression with more is too free."""
MOST_SETS = 3
"""Sets that are told of an expression."""
END = " "
"""Stands behind a beginning that is a whole word."""

_COMMON = 0.3
"""How often a line holds a function word, against a word that nothing is known of."""
_AHEAD = 8
"""Items that a beginning is read from; what it lacks for want of more only tells less."""
_SMALL = 4
"""Characters of a class that are told apart."""
_TOKEN = re.compile(
    r"\{(?!\})(?P<least>\d*)(?:,(?P<most>\d*))?\}[?+]?|(?P<quantifier>[?*+])[?+]?"
    r"|(?P<looks>\(\?<?[=!])|(?P<opens>\((?:\?:)?)|(?P<closes>\))|(?P<turns>\|)"
    r"|\[(?P<set>\^?\]?(?:\\.|[^\]\\])*)\]|\\(?P<escape>.)|(?P<one>.)",
    re.DOTALL,
)
_BEYOND = re.compile(r"\(\?(?!:|<?[=!])|\\[xuUN0-9]")
"""Flags, atomic groups, characters by number: nothing is told of an expression with these."""
_FREE = "dDsSwWnrtfv"
"""Escapes that stand for more than themselves."""


class _Any(msgspec.Struct, frozen=True):
    """One character of many."""


class _Edge(msgspec.Struct, frozen=True):
    """The edge of a word; no character."""


class _Either(msgspec.Struct):
    """A group, or a small class: one of its branches, `least` times or more; `once` at most."""

    branches: list[list[_Item]]
    least: int = 1
    once: bool = True


_Item = str | _Any | _Edge | _Either
"""A character, one of many, an edge, or a group."""


def branches(expression: str) -> list[str]:
    """The alternatives that the expression is made of at its top, or inside one group around it all."""
    while True:
        depth, starts, shut = 0, [0], []
        for token in _TOKEN.finditer(expression):
            depth += bool(token["opens"] or token["looks"]) - bool(token["closes"])
            if token["turns"] and not depth:
                starts.append(token.end())
            if not depth:
                shut.append(token.end())
        if len(starts) > 1:
            ends = [*(start - 1 for start in starts[1:]), len(expression)]
            return [
                each for start, end in zip(starts, ends, strict=True) for each in branches(expression[start:end])
            ]
        if not expression.startswith("(?:") or shut != [len(expression)] or not expression.endswith(")"):
            return [expression]
        expression = expression[3:-1]


def needed(expression: str, *, spaced: bool) -> tuple[frozenset[str], ...]:
    """Sets of beginnings: a line in which the expression matches has, for each set, a word that begins so.

    At most `MOST_SETS`, the most telling; none where nothing can be told. Where the language is not `spaced`, a
    beginning stands anywhere and has at most two characters. One that ends with `END` is a whole word.
    """
    if _BEYOND.search(expression):
        return ()
    found = sorted(set(_sets(_parsed(expression), spaced=spaced, begins=True)), key=_commonness)
    return tuple(found[:MOST_SETS])


def _commonness(beginnings: frozenset[str]) -> tuple[float, list[str]]:
    """About how many lines have one of these; and an order for those that are alike."""
    share = (_COMMON if each.rstrip(END) in FUNCTION_WORDS else 4.0 ** -len(each) for each in beginnings)
    return sum(share), sorted(beginnings)


def _parsed(expression: str) -> list[_Item]:
    """The expression as items; lookarounds and anchors match nothing and are left out."""
    levels: list[list[list[_Item]]] = [[[]]]
    looks: list[bool] = []
    for token in _TOKEN.finditer(expression):
        branch = levels[-1][-1]
        if token["opens"] or token["looks"]:
            levels.append([[]])
            looks.append(bool(token["looks"]))
        elif token["closes"]:
            group = _Either(levels.pop())
            levels[-1][-1].append(_Either([[]]) if looks.pop() else group)
        elif token["turns"]:
            levels[-1].append([])
        elif token["quantifier"] or token["least"] is not None:
            _repeat(branch, token["least"], token["most"], token["quantifier"])
        elif token["set"] is not None:
            branch.append(_class(token["set"]))
        elif token["escape"]:
            branch += _escape(token["escape"])
        elif token["one"] not in "^$":
            branch.append(_Any() if token["one"] == "." else token["one"])
    return [_Either(levels[0])]


def _repeat(branch: list[_Item], least: str | None, most: str | None, sign: str | None) -> None:
    """Makes the branch's last item what its quantifier says."""
    if not branch:
        return
    fewest = int(least or 0) if sign is None else int(sign == "+")
    once = sign == "?" or (most or least) in {"0", "1"}
    branch[-1] = _Either([[branch[-1]]], least=fewest, once=once)


def _escape(sign: str) -> list[_Item]:
    if sign in "BAZ":
        return []
    return [_Edge() if sign == "b" else _Any() if sign in _FREE else sign]


def _class(signs: str) -> _Item:
    if len(signs) > _SMALL or "\\" in signs or "-" in signs or signs.startswith("^"):
        return _Any()
    return _Either([[sign] for sign in signs])


def _sets(items: Sequence[_Item], *, spaced: bool, begins: bool) -> Iterator[frozenset[str]]:
    """Every set that can be told of a sequence; `begins` where it stands where a beginning may be.

    Without spaces that is anywhere, and the first of a run of characters will do.
    """
    for number, item in enumerate(items):
        before = items[number - 1] if number else None
        here = begins if before is None else _parts_words(before) if spaced else not isinstance(before, str)
        if here and (beginnings := _beginnings(items[number : number + _AHEAD], spaced=spaced)):
            yield beginnings
        if isinstance(item, _Either) and item.least:
            inner = [list(_sets(branch, spaced=spaced, begins=here or not spaced)) for branch in item.branches]
            if len(inner) == 1:
                yield from inner[0]
            elif all(inner):
                yield frozenset().union(*(min(sets, key=_commonness) for sets in inner))


def _parts_words(item: _Item) -> bool:
    return not (item.isalnum() or item == "_") if isinstance(item, str) else isinstance(item, _Edge)


def _beginnings(items: Sequence[_Item], *, spaced: bool) -> frozenset[str]:
    """How what the items match can begin; none where it can begin with anything, or in too many ways."""
    told, growing = _grown({""}, items, LONGEST if spaced else 2, spaced=spaced)
    found = told | growing
    return frozenset() if "" in found or len(found) > MOST else frozenset(found)


def _grown(growing: set[str], items: Iterable[_Item], longest: int, *, spaced: bool) -> tuple[set[str], set[str]]:
    """These beginnings with the items behind them: those that are told, and those that still grow."""
    told: set[str] = set()
    for item in items:
        if isinstance(item, str):
            ends = spaced and _parts_words(item)
            longer = {each and each + END if ends else each + item for each in growing}
            growing = set() if ends else {each for each in longer if len(each) < longest}
            told |= longer - growing
        elif isinstance(item, _Any):
            return told | growing, set()
        elif isinstance(item, _Either):
            told, growing = _grouped(told, growing, item, longest, spaced=spaced)
        if not growing or len(told) > MOST or len(growing) > MOST:
            return told | ({""} if len(told) > MOST or len(growing) > MOST else set()), growing
    return told, growing


def _grouped(
    told: set[str], growing: set[str], item: _Either, longest: int, *, spaced: bool
) -> tuple[set[str], set[str]]:
    """The same for a group: every branch, and none of them where it may be missing."""
    after: set[str] = set()
    for branch in item.branches:
        done, more = _grown(growing, branch, longest, spaced=spaced)
        told, after = told | done, after | more
    if not item.once:
        told, after = told | after, set()
    return told, after if item.least else after | growing
