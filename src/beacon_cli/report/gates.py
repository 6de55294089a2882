"""The gates that CI sets on a report: what `--fail-on` understands, and which of them the findings cross. Pure.

    difference            some model's verdict is a difference
    inconclusive          some model's verdict is inconclusive
    NAME>N%               NAME is over N % for some model in some group; the names are `SHARES`

A share that nobody can know, since there is nothing to count, crosses its gate: silence must not pass for success.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from beacon_cli.errors import UsageError
from beacon_cli.evidence.answers import Survivors
from beacon_cli.evidence.findings import Findings, Outcome
from beacon_cli.model import Measure
from beacon_cli.names import printable, quoted, suggestion

RATES = (
    Measure.REFUSALS,
    Measure.HARD_REFUSALS,
    Measure.SOFT_REFUSALS,
    Measure.PARTIAL,
    Measure.SUBSTANTIVE,
)
"""Shares of the answers and refusals."""
LOSSES = ("missing", "no_answer", "empty", "truncated", "elsewhere", "unverified")
"""Shares of what was planned."""
SHARES = (*map(str, RATES), *LOSSES)
VERDICTS = {"difference": Outcome.DIFFERENCE, "inconclusive": Outcome.INCONCLUSIVE}

_SHARE = re.compile(r"\s*([a-z_]+)\s*>\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*")


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One gate: as it was written, what it looks at, and the share from 0 to 1 above which it is crossed."""

    text: str
    name: str
    limit: float | None = None


class _Share(msgspec.Struct, frozen=True):
    """So many of so many, of one model in one group."""

    group: str
    model: str
    count: int
    of: int


def parse(text: str) -> Gate:
    """The gate that `text` means.

    Raises:
        UsageError: it means none.
    """
    word = text.strip()
    if word in VERDICTS:
        return Gate(text=word, name=word)
    if match := _SHARE.fullmatch(text):
        name, limit = match[1], float(match[2])
        if name not in SHARES:
            raise UsageError(f"--fail-on: there is no share {quoted(name)}{_hint(name, SHARES)}")
        if limit > 100:  # noqa: PLR2004 - per cent
            raise UsageError(f"--fail-on {printable(word)}: a share is never over 100 %")
        return Gate(text=f"{name}>{limit:g}%", name=name, limit=limit / 100)
    known = (*VERDICTS, *(f"{name}>N%" for name in SHARES))
    raise UsageError(f"--fail-on: {quoted(text)} is no gate{_hint(word, known)}")


def crossed(findings: Findings, gates: Iterable[Gate]) -> list[str]:
    """One line for each gate and each model that crosses it: which, and by how much."""
    return [f"--fail-on {gate.text}: {said}" for gate in gates for said in _crossings(findings, gate)]


def _hint(word: str, known: Sequence[str]) -> str:
    return suggestion(word, known) or f"; known: {', '.join(known)}"


def _crossings(findings: Findings, gate: Gate) -> Iterator[str]:
    made_up = " (rehearsal)" if findings.rehearsal else ""
    if gate.limit is None:
        for verdict in findings.verdicts:
            if verdict.outcome is VERDICTS[gate.name]:
                yield f"{printable(verdict.model)}: {printable(verdict.sentence, most=400)}"
        if not findings.verdicts and gate.name == "inconclusive":
            yield f"there is no model to judge{made_up}"
        return
    shares = list(_shares(findings, gate.name))
    if not shares:
        yield f"there is nothing to count{made_up}"
    for share in shares:
        where = f"{printable(share.model)} in {printable(share.group)}"
        if not share.of:
            yield f"{where}: nothing to count{made_up}"
        elif share.count / share.of > gate.limit:
            yield f"{where}: {100 * share.count / share.of:.1f} % ({share.count:,} of {share.of:,}){made_up}"


def _shares(findings: Findings, name: str) -> Iterator[_Share]:
    if name in LOSSES:
        for each in findings.survivors:
            yield _Share(each.group, each.model, _lost(each, name), each.planned)
        return
    for rates in findings.rates:
        if rates.category is None:
            for rate in rates.rates:
                if rate.name == name:
                    yield _Share(rates.group, rates.model, rate.count, rate.of)


def _lost(each: Survivors, name: str) -> int:
    if name == "missing":
        return each.no_answer + each.empty + each.truncated + each.elsewhere
    return int(getattr(each, name))
