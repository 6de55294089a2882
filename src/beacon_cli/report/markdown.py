"""A report as a CI service shows it beside a step: short, in Markdown, the verdicts first. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from beacon_cli.display.kinds import WORDS
from beacon_cli.evidence.findings import Findings, Outcome
from beacon_cli.evidence.readings import Kind
from beacon_cli.exports.tables import line, table
from beacon_cli.model import Measure
from beacon_cli.report import figures

_MOST_ROWS = 100
_NAME = 100
_SENTENCE = 600


def summary(findings: Findings) -> str:
    """The verdicts, the readings and the gaps; short whatever the run was."""
    return "".join(f"{text}\n" for text in _lines(findings))


def _lines(findings: Findings) -> Iterator[str]:
    made_up = " (rehearsal)" if findings.rehearsal else ""
    yield from (f"### beacon report: {line(findings.job, most=_NAME)}{made_up}", "")
    for note in findings.notes:
        yield f"> {line(note, most=_SENTENCE)}"
    yield ""
    for verdict in findings.verdicts:
        said = "" if verdict.outcome is Outcome.INCONCLUSIVE else f" {line(verdict.sentence, most=_SENTENCE)}"
        why = line(figures.because(verdict), most=_SENTENCE)
        settle = f" What would settle it: {line(verdict.settle, most=_SENTENCE)}." if verdict.settle else ""
        name = line(verdict.model, most=_NAME)
        yield f"- **{figures.OUTCOMES[verdict.outcome]}**, {name}:{said} {why}{settle}"
    yield from ("", *_rates(findings))
    yield from ("", f"Recompute: {line(findings.recompute, most=_NAME)}")


def _rates(findings: Findings) -> Iterator[str]:
    rows = [each for each in findings.rates if each.category is None]
    cells = (
        [
            line(each.group, most=_NAME),
            line(each.model, most=_NAME),
            *(str(each.kinds.get(kind.value, 0)) for kind in Kind),
            f"{figures.percent(refusals.share)} ({figures.interval(refusals.low, refusals.high)})",
        ]
        for each in rows[:_MOST_ROWS]
        for refusals in each.rates
        if refusals.name == Measure.REFUSALS
    )
    headings = [findings.axis.value, "model", *(WORDS[kind] for kind in Kind), "refusals (95 %)"]
    yield from table(headings, cells, numbers=len(Kind) + 1)
    if len(rows) > _MOST_ROWS:
        yield from ("", f"And {len(rows) - _MOST_ROWS:,} more.")
