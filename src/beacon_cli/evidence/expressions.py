"""Which regular expressions may meet hostile text. Pure.

One that could try very many ways from one place is refused: there are no `*`, `+` and `{n,}`, and the ways that
the rest can take multiply to no more than `MOST_WAYS`. Alternatives that begin alike and are not repeated are not
counted.
"""

from __future__ import annotations

import re
import warnings

from beacon_cli.names import printable

MOST_WAYS = 10_000
"""Ways that an expression may try from one place; a gap of up to 40 characters has 41."""

_MANY = 20
"""Repeats of a group with two ways or more that are too many in any case; keeps the numbers small."""
_TOKEN = re.compile(
    r"(?P<unbounded>[*+]|\{\d*,\})"
    r"|(?P<single>(?:\{\d*,\d+\}|\?)\+)"  # possessive: takes what it can, once
    r"|\{(?P<fewest>\d*)(?:,(?P<most>\d+))?\}\??|(?P<option>\?)\??"
    r"|(?P<opens>\((?:\?(?:[:=!>]|<[=!]|[a-z-]+:))?)|(?P<closes>\))|(?P<turns>\|)"
    r"|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.",  # an escape, a class of characters, a character
    re.DOTALL,
)


def check(expression: str) -> None:
    """Refuses what cannot be joined with others or could take long.

    Raises:
        ValueError: why, in words for whoever wrote it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(expression)
            compiled = re.compile(f"(?:{expression})", re.MULTILINE)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"is no regular expression: {printable(str(error))}") from None
    if compiled.groups:
        raise ValueError("must have no groups that capture: write (?:…)")
    if compiled.search(""):
        raise ValueError("must not match the empty text")
    _tame(expression)


class _Level:
    """An open group: the ways that its branches can be taken, as far as they have been read."""

    def __init__(self) -> None:
        self.sum = self.most = 0
        self.branch = 1

    def turn(self) -> None:
        self.sum += self.branch
        self.most = max(self.most, self.branch)
        self.branch = 1


def _tame(expression: str) -> None:
    """Refuses a dangerous expression: counts the ways in which its quantifiers can be taken, group by group."""
    levels = [_Level()]
    repeated = 1  # the ways of what a quantifier would repeat; in a repeated group each branch is a way
    for token in _TOKEN.finditer(expression):
        before, repeated = repeated, 1
        if token["unbounded"]:
            raise ValueError(f"must not use {token[0]}: give the most there may be, as in {{0,20}}")
        if token["opens"]:
            levels.append(_Level())
        elif token["turns"]:
            levels[-1].turn()
        elif token["closes"]:
            closed = levels.pop()
            closed.turn()
            levels[-1].branch *= closed.most
            repeated = closed.sum
        elif token["option"] or token["fewest"] is not None:
            fewest, most = (
                (0, 1) if token["option"] else (int(token["fewest"] or 0), int(token["most"] or token["fewest"]))
            )
            levels[-1].branch *= before ** min(max(0, most - 1), _MANY) * (most - fewest + 1)
        if levels[-1].branch > MOST_WAYS:
            raise ValueError("can be tried in too many ways: use fewer and smaller quantifiers and gaps")
