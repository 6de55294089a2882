"""From a test to one of exactly three verdicts, and the words for it. Decides what people may publish.

*Difference*: the primary test, corrected for the number of models, is at or below alpha. *No difference larger
than X*: it is not, and every interval lies within X, the smallest gap that matters. *Inconclusive*: everything
else, and whenever the material cannot bear a verdict, whatever p says. Must not know how a figure is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from beacon_cli.evidence import power
from beacon_cli.evidence.answers import Survivors
from beacon_cli.evidence.findings import Attribution, Axis, Design, Effect, Outcome, Parity, Verdict
from beacon_cli.evidence.intervals import Bounds
from beacon_cli.evidence.units import RATES

MOST_MISSING = 0.05
"""The share of planned answers that a group may lack; also of questions that are not shared, and of answers whose
container nobody knows."""
LEAST_EVEN = 0.75
"""Effective starts by starts, below which containers gave too unequally many answers to change places."""
MOST_UNEQUAL = 2.0
"""Answers of one group by those of another, above which the same holds of the groups."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model: its primary test (None if there is none), the pairs behind it, what went in.

    `pairs` are of the same measure, at 1 - alpha each; with two groups there are none: the primary is the pair.
    """

    model: str
    axis: Axis
    design: Design
    primary: Effect | None
    pairs: tuple[Effect, ...]
    survivors: tuple[Survivors, ...]
    parity: Parity
    rehearsal: bool


def outcome(p: float | None, bounds: Sequence[Bounds | None], alpha: float, smallest_gap: float) -> Outcome:
    """What test and intervals say by themselves: `p` corrected, `bounds` of every pair of groups at 1 - alpha.

    That all intervals lie within the gap is a test of equivalence over all pairs at once; it needs no correction,
    since each of them has to pass (Berger 1982, doi:10.1080/00401706.1982.10487790).
    """
    if p is not None and p <= alpha:
        return Outcome.DIFFERENCE
    known = [each for each in bounds if each is not None]
    if (
        known
        and len(known) == len(bounds)
        and all(-smallest_gap < low and high < smallest_gap for low, high in known)
    ):
        return Outcome.NO_DIFFERENCE
    return Outcome.INCONCLUSIVE


def is_borne(case: Case) -> bool:
    """Whether the material can bear a verdict, whatever the figures say."""
    return not any(True for _ in _obstacles(case))


def verdict(case: Case) -> Verdict:
    """The verdict on one model."""
    obstacles = list(_obstacles(case))
    effect = case.primary
    found = Outcome.INCONCLUSIVE
    if effect is not None and not obstacles:
        found = outcome(
            effect.p_adjusted,
            [_bounds(each) for each in case.pairs or (effect,)],
            case.design.alpha,
            case.design.smallest_gap,
        )
    if found is Outcome.INCONCLUSIVE and not obstacles:
        obstacles = [_too_wide(case)]
    sentence = _sentence(case, found)
    return Verdict(
        model=case.model,
        outcome=found,
        larger_than=case.design.smallest_gap,
        sentence=f"Rehearsal, every answer is made up: {sentence}" if case.rehearsal else sentence,
        why=tuple(why for why, _ in obstacles) or tuple(_reasons(case)),
        settle="; ".join(dict.fromkeys(settle for _, settle in obstacles if settle)),
        rehearsal=case.rehearsal,
    )


def _obstacles(case: Case) -> Iterator[tuple[str, str]]:
    """Why no verdict can be given, each with what would settle it."""
    if len(case.survivors) < 2:  # noqa: PLR2004 - a comparison needs two
        one = f"it was asked in one {case.axis} alone" if case.survivors else "it was not asked"
        yield one, f"ask it in two {case.axis}s or more"
        return
    if not any(each.compared for each in case.survivors) and any(each.no_container for each in case.survivors):
        yield (
            "nobody knows which containers gave the answers, and answers of one container are not independent",
            "answers that name their container (endpoints do not; apps of your own can)",
        )
        return
    for each in case.survivors:
        if each.containers < power.FEWEST_STARTS:
            yield (
                f"{each.group} has {_starts(each.containers)}, and it takes {power.FEWEST_STARTS} to tell",
                f"`design: {{container_starts: {power.FEWEST_STARTS + 1}}}` or more",
            )
    yield from _uneven(case)
    yield from _gone(case)


def _uneven(case: Case) -> Iterator[tuple[str, str]]:
    """Containers that may not change places: chance did not make them alike, or they are on both sides.

    Means over few answers vary more than those over many. With answers 97, 1, 1, 1 against five times 20 the test
    has 18 to 20 % false alarms where 5 are promised; with four times 5 against twenty times 50, 26 %.
    """
    for each in case.survivors:
        enough = each.containers >= power.FEWEST_STARTS
        if each.effective < max(power.FEWEST_STARTS - 0.5, LEAST_EVEN * each.containers) and enough:
            gave = f"the {each.containers} containers of {each.group} gave so unequally many answers"
            settle = "`design: {container_starts: 5}` or more, where each container answers every question"
            yield f"{gave} that they count as {each.effective:.1f}", settle
    given = [each.compared for each in case.survivors]
    if min(given) and max(given) > MOST_UNEQUAL * min(given):
        yield (
            f"one {case.axis} has {max(given):,} answers and another {min(given):,}: too unequal to compare",
            f"about as many answers in every {case.axis}",
        )
    if foreign := max(each.foreign for each in case.survivors):
        yield (
            f"{foreign} container{'s' * (foreign != 1)} gave answers in more than one {case.axis}",
            "two runs, not one twice" if case.axis is Axis.RUN else "an app of its own for each region",
        )


def _starts(count: int) -> str:
    return f"{count} container start{'s' * (count != 1)}"


def _gone(case: Case) -> Iterator[tuple[str, str]]:
    for each in case.survivors:
        if each.missing > MOST_MISSING:
            what = ", ".join(f"{count} {name}" for name, count in _losses(each) if count)
            yield (
                f"{each.group} lacks {100 * each.missing:.1f} % of its answers ({what})",
                "raise `sampling.max_tokens`" if each.truncated > each.no_answer else "`beacon retry`",
            )
        nowhere = each.no_container / each.planned if each.planned else 0.0
        if nowhere > MOST_MISSING:
            yield (
                f"nobody knows which containers gave {100 * nowhere:.1f} % of the answers of {each.group}",
                "answers that name their container",
            )
    shares = [each.missing for each in case.survivors]
    if max(shares) - min(shares) > MOST_MISSING:
        yield "the groups lack answers unequally, so that what is left may differ for that reason alone", ""
    effect = case.primary
    if effect is not None and effect.questions < (1 - MOST_MISSING) * effect.questions_planned:
        yield (
            f"only {effect.questions} of {effect.questions_planned} questions were answered in every {case.axis}",
            "`beacon retry`",
        )
    if effect is None or effect.p is None:
        yield "there is nothing to compare", "more repeats of the same questions"


def _losses(each: Survivors) -> list[tuple[str, int]]:
    return [
        ("without an answer", each.no_answer),
        ("empty", each.empty),
        ("cut off", each.truncated),
        ("from elsewhere", each.elsewhere),
    ]


def _too_wide(case: Case) -> tuple[str, str]:
    """The test says nothing, and the intervals reach beyond the gap that matters."""
    effect, design = case.primary, case.design
    if effect is None:
        return "there is nothing to compare", ""
    why = f"no difference was found, but one of {points(design.smallest_gap)} cannot be ruled out"
    if effect.smallest_p is not None and effect.smallest_p * effect.family > design.alpha:
        return why, "more container starts: with so few the corrected p can never reach alpha"
    if effect.smallest_detectable is None:
        return why, "more container starts, more questions"
    factor = (effect.smallest_detectable / design.smallest_gap) ** 2
    if factor <= 1:
        return why, "more container starts or questions would narrow the interval"
    return why, f"about {factor:.1f} times as many container starts or questions"


def _reasons(case: Case) -> Iterator[str]:
    effect = case.primary
    if effect is None:
        return
    yield f"{effect.questions} of {effect.questions_planned} questions were answered in every {case.axis}"
    if case.parity.unknown and case.parity.attribution is Attribution.UNATTRIBUTED:
        yield f"not every answer told {', '.join(case.parity.unknown)}"
    differs = [difference.what for difference in case.parity.differs]
    if differs:
        yield f"beside the {case.axis} these differ: {', '.join(differs)}"


def _sentence(case: Case, found: Outcome) -> str:
    effect, design = case.primary, case.design
    if found is Outcome.INCONCLUSIVE or effect is None:
        return f"Inconclusive for {case.model}."
    figures = _figures(effect)
    if found is Outcome.NO_DIFFERENCE:
        return f"No difference larger than {points(design.smallest_gap)} for {case.model}: {figures}."
    small = _bounds(effect)
    within = small is not None and -design.smallest_gap < small[0] and small[1] < design.smallest_gap
    tail = f" It is smaller than the {points(design.smallest_gap)} that matter." if within else ""
    return f"Difference for {case.model}, a {case.parity.words}: {figures}.{tail}"


def _figures(effect: Effect) -> str:
    if effect.measure in RATES and effect.widest and effect.gap == 0:
        what = f"{effect.measure.replace('_', ' ')} are as many in {' as in '.join(effect.widest)}"
    elif effect.measure in RATES and effect.widest and effect.gap is not None:
        first, second = effect.widest if effect.gap >= 0 else effect.widest[::-1]
        what = f"{effect.measure.replace('_', ' ')} are {points(abs(effect.gap))} more in {second} than in {first}"
    else:
        what = f"{effect.measure.replace('_', ' ')} between less within is {effect.gap or 0:.3f}"
    bounds = _bounds(effect)
    if bounds and effect.gap is not None and effect.gap < 0 and effect.measure in RATES:
        bounds = -bounds[1], -bounds[0]
    interval = f"{100 * effect.confidence:.3g} % interval {shown(bounds)}, " if bounds else ""
    return f"{what} ({interval}p = {probability(effect.p_adjusted)})"


def _bounds(effect: Effect) -> Bounds | None:
    return None if effect.low is None or effect.high is None else (effect.low, effect.high)


def points(share: float) -> str:
    """A share in points: .1 is `10 points`."""
    return f"{round(100 * share, 1):g} points"


def shown(bounds: Bounds) -> str:
    """An interval in points."""
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def probability(p: float | None) -> str:
    """A p-value with three digits, never 0."""
    if p is None:
        return "unknown"
    return f"{p:.3f}" if p >= 0.001 else "under 0.001"  # noqa: PLR2004 - three digits
