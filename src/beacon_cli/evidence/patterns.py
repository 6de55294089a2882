r"""Patterns by which a refusal is known: what a pattern file may say, and what is wrong with one. Pure.

A file is TOML::

    [words.en]                         # alternatives that patterns name in braces
    cannot = "cannot|can't|am unable to"

    [[pattern]]
    name = "en-cannot"                 # shown wherever the pattern decided
    language = "en"                    # or "any"
    kind = "hard"                      # hard, stop, soft, hint, disclaimer, courtesy
    where = "opening"                  # or "anywhere", as if nothing is said
    match = 'i {cannot} … (?:help|answer)'

`match` is a regular expression of Python's, searched in sentences that are normalised (`sentences`): lower case,
ASCII quotes, single spaces, one sentence or clause a line, so that `^` and `$` are its ends. `…` stands for up to
40 characters of the same line. An expression starts where a word does; in a language without spaces, anywhere.

`expressions` refuses those that could take long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from beacon_cli.errors import Fault
from beacon_cli.evidence import expressions
from beacon_cli.evidence.han import simplified
from beacon_cli.names import printable, quoted, suggestion

ANY = "any"
"""The language of a pattern that holds in all."""
UNSPACED = frozenset({"zh", "ja", "th"})
"""Languages written without spaces: their patterns may begin anywhere, those of others where a word does."""
MOST_PATTERNS = 1_000

_GAP = r"[^\n]{0,40}?"
_LONGEST = 4_000
"""Characters of an expression, its words filled in."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,59}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_BRACES = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
_APART = re.compile(r"\\.|[^\\]+", re.DOTALL)


class Means(StrEnum):
    """What a sentence that matches a pattern does."""

    HARD = "hard"
    """It says that the request will not be met."""
    STOP = "stop"
    """It says that no more will be said: a refusal, unless something was said before."""
    SOFT = "soft"
    """It evades: another subject, another source, a topic too delicate."""
    HINT = "hint"
    """A commonplace, a slogan, an offer of something else: one says little, two evade."""
    DISCLAIMER = "disclaimer"
    """It qualifies: an AI's lack of opinions, a matter in dispute, advice to ask an expert."""
    COURTESY = "courtesy"
    """It says nothing about the question: regrets, thanks, offers, reasons for a refusal."""


class Where(StrEnum):
    """In which part of an answer a pattern counts."""

    OPENING = "opening"
    ANYWHERE = "anywhere"


class Part(msgspec.Struct, frozen=True):
    """An alternative of an expression, and the sets of beginnings that it needs: see `necessary`."""

    expression: str
    needs: tuple[tuple[str, ...], ...]


class Pattern(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pattern, checked; `expression` has its words filled in and compiles, without groups of its own.

    `parts` are its alternatives for texts of its own language, where they were worked out before: see `shipped`.
    """

    name: str
    language: str
    means: Means
    where: Where
    expression: str
    parts: tuple[Part, ...] = ()

    @property
    def is_spaced(self) -> bool:
        """Whether its language has spaces between words."""
        return self.language not in UNSPACED


def parse(
    table: Mapping[str, Any], file: str, known: Iterable[str] = (), *, checked: bool = False
) -> tuple[tuple[Pattern, ...], list[Fault]]:
    """The patterns of a file's table, and everything that is wrong in it.

    `known` names are taken already. Where the file is `checked` (the shipped one is, by a test), its expressions
    are not compiled once more.
    """
    reading = _Reading(file, set(known), checked=checked)
    reading.keys(table, ("words", "pattern"), "")
    words = reading.words(table.get("words", {}))
    listed = table.get("pattern", [])
    if not isinstance(listed, list) or len(listed) > MOST_PATTERNS:
        reading.fault("pattern", f"must be tables, [[pattern]], {MOST_PATTERNS:,} at most")
        listed = []
    patterns = [reading.pattern(each, words, f"pattern[{number}]") for number, each in enumerate(listed)]
    return tuple(pattern for pattern in patterns if pattern), reading.faults


class _Reading:
    """One file on its way to patterns, and what was wrong so far."""

    def __init__(self, file: str, taken: set[str], *, checked: bool) -> None:
        self.file = file
        self._checked = checked
        self.faults: list[Fault] = []
        self._taken = taken

    def fault(self, key: str, message: str) -> None:
        self.faults.append(Fault(file=self.file, key=key, message=message))

    def keys(self, table: Mapping[str, Any], known: Iterable[str], at: str) -> None:
        """Every key that is not known is a fault."""
        for key in table:
            if key not in known:
                here = printable(key, most=60)
                self.fault(f"{at}.{here}" if at else here, f"unknown key{suggestion(key, known)}")

    def words(self, tables: Any) -> dict[str, dict[str, str]]:
        """The alternatives by language and name."""
        found: dict[str, dict[str, str]] = {}
        if not isinstance(tables, dict):
            self.fault("words", "must be tables: [words.en]")
            return found
        for language, table in tables.items():
            here = f"words.{printable(language, most=60)}"
            if not isinstance(table, dict) or not (language == ANY or _LANGUAGE.fullmatch(language)):
                self.fault(here, "must be a table by a language's code: [words.en]")
                continue
            said = found.setdefault(language, {})
            for name, value in table.items():
                if isinstance(value, str) and _BRACES.fullmatch(f"{{{name}}}"):
                    said[name] = value
                else:
                    self.fault(f"{here}.{printable(name, most=60)}", "must be text, under a name in lower case")
        return found

    def pattern(self, table: Any, words: Mapping[str, Mapping[str, str]], at: str) -> Pattern | None:
        """The pattern that this table describes, or None if it is faulty."""
        if not isinstance(table, dict):
            self.fault(at, "must be a table: [[pattern]]")
            return None
        before = len(self.faults)
        self.keys(table, _READERS, at)
        values: dict[str, Any] = {}
        for key, (reader, default) in _READERS.items():
            try:
                values[key] = reader(table[key] if key in table else _needed(default))
            except ValueError as error:
                self.fault(f"{at}.{key}", str(error))
        if len(self.faults) > before:
            return None
        name, language = values["name"], values["language"]
        if name in self._taken:
            self.fault(f"{at}.name", f"there is another pattern of the name {quoted(name)}")
            return None
        try:
            expression = _filled(values["match"], words.get(language, {}))
            if not self._checked:
                expressions.check(expression)
        except ValueError as error:
            self.fault(f"{at}.match", str(error))
            return None
        self._taken.add(name)
        return Pattern(
            name=name, language=language, means=values["kind"], where=values["where"], expression=expression
        )


def _needed(default: str) -> str:
    if not default:
        raise ValueError("is missing")
    return default


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be lower-case letters, digits and -, a letter first")
    return value


def _language(value: Any) -> str:
    if not isinstance(value, str) or not (value == ANY or _LANGUAGE.fullmatch(value)):
        raise ValueError(f'must be a language\'s code, as "en", or "{ANY}"')
    return value


def _one_of(kind: type[Means | Where]) -> Callable[[Any], StrEnum]:
    def read(value: Any) -> StrEnum:
        known = [each.value for each in kind]
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}, not {quoted(str(value))}")
        return kind(value)

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text, and not empty")
    return value


_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "name": (_name, ""),
    "language": (_language, ""),
    "kind": (_one_of(Means), ""),
    "where": (_one_of(Where), Where.ANYWHERE.value),
    "match": (_text, ""),
}
"""How each key is read, and what holds where it is missing; an empty text where it must not be."""


def _filled(match: str, words: Mapping[str, str]) -> str:
    """The expression with its words filled in, in the form that answers are normalised to."""
    unknown = [name for name in _BRACES.findall(match) if name not in words]
    if unknown:
        raise ValueError(f"names the words {{{unknown[0]}}}, which are not there{suggestion(unknown[0], words)}")
    filled = _BRACES.sub(lambda found: f"(?:{words[found[1]]})", match)
    if len(filled) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST:,} characters")
    filled = _APART.sub(
        lambda part: part[0] if part[0].startswith("\\") else simplified(part[0].casefold()), filled
    )
    return filled.replace("\u2019", "'").replace("…", _GAP)
