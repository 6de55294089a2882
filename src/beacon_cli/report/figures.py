"""How the findings' figures are said, the same in the terminal, on the page and in Markdown. Pure.

Gives plain text that may hold names from anywhere: whoever shows it makes it safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from beacon_cli.evidence.accuracy import ALL, REFUSAL
from beacon_cli.evidence.answers import Survivors
from beacon_cli.evidence.findings import Effect, Findings, Gap, Outcome, Role, Verdict
from beacon_cli.model import Measure
from beacon_cli.report.frame import Frame
from beacon_cli.report.gates import RATES

NONE = "-"
OUTCOMES = MappingProxyType(
    {
        Outcome.DIFFERENCE: "difference",
        Outcome.NO_DIFFERENCE: "no difference",
        Outcome.INCONCLUSIVE: "inconclusive",
    }
)
_LOSSES = (
    ("no_answer", "without an answer"),
    ("empty", "empty"),
    ("truncated", "cut off"),
    ("elsewhere", "from elsewhere"),
    ("no_container", "of an unknown container"),
    ("not_shared", "not answered on all sides"),
)


def percent(share: float | None) -> str:
    """A share in per cent with a digit behind the point; `-` where it is not known."""
    return NONE if share is None else f"{100 * share:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """The bounds of a share, in per cent."""
    return NONE if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def hundredths(value: float | None) -> str:
    """A share or a gap in hundredths: points."""
    return NONE if value is None else f"{100 * value:.1f}"


def probability(p: float | None) -> str:
    """A p or q with three digits, never 0."""
    if p is None:
        return NONE
    return f"{p:.3f}" if p >= 0.001 else "under 0.001"  # noqa: PLR2004 - three digits


def called(measure: str) -> str:
    """A measure in words."""
    return measure.replace("_", " ")


def asked(gap: Gap) -> str:
    """The question of a gap, with its context if it has one."""
    return gap.question if gap.context is None else f"{gap.question} ({gap.context})"


def ends(gap: Gap) -> tuple[str, str]:
    """The two groups of a gap, the one with less first."""
    return (gap.first, gap.second) if gap.gap >= 0 else (gap.second, gap.first)


def losses(each: Survivors) -> str:
    """Why executions were not compared, with how many."""
    counts = [(int(getattr(each, field)), words) for field, words in _LOSSES]
    said = [f"{count:,} {words}" for count, words in counts if count]
    if each.unverified:
        said.append(f"{each.unverified:,} unverified place")
    return ", ".join(said)


def closeness(findings: Findings) -> str:
    """The distance that agreement is shown by: the primary measure if it is one, else that of words."""
    rate = findings.design.primary in {*map(str, RATES)}
    return Measure.TOKEN_JACCARD.value if rate else findings.design.primary


def because(verdict: Verdict) -> str:
    """Why the verdict is what it is, as a sentence; empty if nothing is to be said."""
    why = "; ".join(verdict.why)
    if not why:
        return ""
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return f"Because {why}."
    return f"{why[0].upper()}{why[1:]}."


def primary(findings: Findings, model: str) -> Effect | None:
    """The test that a model's verdict comes from."""
    return next((each for each in findings.effects if each.model == model and each.role is Role.PRIMARY), None)


def beside(findings: Findings, model: str) -> Iterator[str]:
    """What stands beside a verdict: what else differs, and the smallest effect that could have been seen."""
    effect = primary(findings, model)
    if effect is not None and effect.starts:
        starts = ", ".join(f"{each.containers} in {each.group}" for each in effect.starts)
        seen = (
            f"; the smallest gap found in 80 of 100 such runs is {hundredths(effect.smallest_detectable)} points"
            if effect.smallest_detectable is not None
            else ""
        )
        yield f"Container starts: {starts}{seen}."
    for parity in findings.parity:
        if parity.model == model and (parity.differs or parity.unknown):
            told = [each.what for each in parity.differs] + [f"{each} (unknown)" for each in parity.unknown]
            yield f"What else may differ: {', '.join(told)}; a difference would be called a {parity.words}."


def controls(findings: Findings) -> Iterator[str]:
    """What the control questions say, each model by itself."""
    yield from (each.sentence for each in findings.control_questions)


def method(findings: Findings) -> Iterator[tuple[str, str]]:
    """How it was computed, and how to compute it again: pairs of a heading and what is said."""
    design = findings.design
    fixed = "fixed before the first answer" if design.registered else "NOT fixed before the answers came"
    yield "question", design.question
    said = (
        f"primary test: {called(design.primary)}, alpha {design.alpha:g}, smallest gap that matters"
        f" {hundredths(design.smallest_gap)} points; {fixed}; hash {design.hash[:16]}"
    )
    yield "design", said
    said = (
        f"whole containers are permuted, Holm over models, {findings.tests:,} tests in all,"
        f" seed {findings.seed}; docs/method.md"
    )
    yield "method", said
    yield "recompute", findings.recompute


def accuracy(frame: Frame) -> Iterator[tuple[str, str]]:
    """How often readings are right, on the half of the sample that was held out."""
    for each in frame.accuracy.accuracy:
        if (each.half, each.language, each.category) == ("held_out", ALL, REFUSAL):
            said = (
                f"of answers read as refusals {percent(each.precision.share)} are"
                f" ({interval(each.precision.low, each.precision.high)}), of refusals"
                f" {percent(each.recall.share)} are read so ({interval(each.recall.low, each.recall.high)}),"
                f" on a synthetic sample of {frame.accuracy.answers}: rates of refusals are rather too low"
            )
            yield "readings", said
