"""The head of the page: the verdict on each model, its figures, and what is wrong with the material. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from beacon_cli.evidence.findings import Effect, Findings, Parity, Role, Verdict
from beacon_cli.report import drawing, figures
from beacon_cli.report.markup import Html, prose, tag
from beacon_cli.report.parts import section, table


def verdicts(findings: Findings) -> Html:
    """One card for each model."""
    if not findings.verdicts:
        return section("verdicts", "Verdicts", tag("p", "No model was asked: there is nothing to judge."))
    reach = _reach(findings)
    cards = [_card(each, findings, reach) for each in findings.verdicts]
    return section("verdicts", "Verdicts", tag("div", *cards, class_="cards"))


def notes(findings: Findings) -> Html:
    """What is wrong with the material as a whole."""
    return tag("div", *(tag("p", prose(note), class_="note") for note in findings.notes))


def gaps(findings: Findings) -> Html:
    """The largest gaps, with a way to the answers."""
    rows = [
        [
            tag("a", figures.asked(gap), href=f"#{anchors.get((gap.question, gap.context), 'answers')}"),
            gap.model,
            figures.hundredths(abs(gap.gap)),
            " < ".join(figures.ends(gap)),
            figures.probability(gap.p),
            figures.probability(gap.q),
        ]
        for anchors in [anchored(findings)]
        for gap in sorted(findings.gaps, key=lambda gap: (-abs(gap.gap), gap.model))
    ]
    said = (
        "Exploratory: a list to look at, from which no verdict follows. A question taken alone can hardly be"
        " significant; q is by Benjamini-Hochberg over the questions of a model."
    )
    if not rows:
        return section("gaps", "Largest gaps", tag("p", "None was found."))
    headings = ("question", "model", "gap (points)", "between", "p", "q")
    return section(
        "gaps", "Largest gaps", tag("p", said), table("Largest gaps", headings, rows, numbers=(2, 4, 5))
    )


def controls(findings: Findings) -> Html:
    """The negative control, and the control questions beside the others."""
    said = [each.sentence for each in findings.negative_controls] + list(figures.controls(findings))
    rows = [
        [each.model, what, *_tested(effect)]
        for each in findings.control_questions
        for what, effect in (("control questions", each.control), ("the others", each.sensitive))
        if effect is not None
    ]
    headings = ("model", "questions", "gap (points)", "interval", "p", "compared")
    return section(
        "controls",
        "Controls",
        *(tag("p", each) for each in said),
        table("The primary test on control questions and on the others", headings, rows, numbers=(2, 3, 4, 5))
        if rows
        else None,
    )


def differs(findings: Findings) -> Html:
    """What else differs between the groups, and so what a difference may be called."""
    rows = [
        [
            parity.model,
            difference.what,
            "; ".join(f"{group}: {_values(values)}" for group, values in difference.values.items()),
        ]
        for parity in findings.parity
        for difference in parity.differs
    ]
    axis = findings.axis.value
    return section(
        "parity",
        f"What else differs beside the {axis}",
        *(tag("p", _called(parity, axis)) for parity in findings.parity),
        table(f"What differs beside the {axis}", ("model", "what", "values"), rows, names=2) if rows else None,
    )


def anchored(findings: Findings) -> dict[tuple[str, str | None], str]:
    """The anchor of each question in each context, in the order of the page."""
    asked = [(prompt.question, prompt.context) for prompt in findings.prompts]
    seen = dict.fromkeys([*asked, *((answer.question, answer.context) for answer in findings.answers)])
    return {cell: f"q{number}" for number, cell in enumerate(seen, 1)}


def _card(verdict: Verdict, findings: Findings, reach: float) -> Html:
    says = None if verdict.sentence.endswith(f"nconclusive for {verdict.model}.") else verdict.sentence
    parts = [
        tag("p", figures.OUTCOMES[verdict.outcome] + (", rehearsal" if verdict.rehearsal else ""), class_="badge"),
        tag("h3", verdict.model),
        tag("p", says, class_="says") if says else None,
        _plot(verdict, findings, reach),
        tag("p", figures.because(verdict)) if verdict.why else None,
        tag("p", tag("strong", "What would settle it: "), prose(verdict.settle)) if verdict.settle else None,
        *(tag("p", said, class_="dim") for said in figures.beside(findings, verdict.model)),
    ]
    return tag("article", *parts, class_=f"card {verdict.outcome.value}")


def _plot(verdict: Verdict, findings: Findings, reach: float) -> Html | None:
    matters = findings.design.smallest_gap
    rows = [
        [
            " → ".join(each.widest or each.groups),
            tag("div", drawing.gap(each.gap, each.low, each.high, matters, reach), class_="plot"),
            figures.hundredths(each.gap),
            figures.interval(each.low, each.high),
        ]
        for each in _drawn(findings, verdict.model)
        if each.gap is not None and each.low is not None and each.high is not None
    ]
    if not rows:
        return None
    said = f"{figures.called(findings.design.primary)}, second less first, in points; the band does not matter"
    confidence = _confidence(next(_drawn(findings, verdict.model)))
    return table(said, ("between", "", "gap", f"{confidence} interval"), rows, numbers=(2, 3))


def _drawn(findings: Findings, model: str) -> Iterator[Effect]:
    """The pairs of groups of the primary test, or the test itself where there are but two."""
    own = [each for each in findings.effects if each.model == model and each.gap is not None]
    pairs = [each for each in own if each.role is Role.PAIR]
    yield from pairs[:10] or [each for each in own if each.role is Role.PRIMARY]


def _reach(findings: Findings) -> float:
    """How far the plots reach to either side: all alike, so that they can be compared."""
    ends = [
        abs(end)
        for each in findings.effects
        if each.role in {Role.PRIMARY, Role.PAIR}
        for end in (each.gap, each.low, each.high)
        if end is not None
    ]
    return min(1.0, max([1.5 * findings.design.smallest_gap, *(1.05 * end for end in ends)]))


def _confidence(effect: Effect) -> str:
    return f"{100 * effect.confidence:.3g} %"


def _tested(effect: Effect) -> list[str]:
    return [
        figures.hundredths(effect.gap),
        figures.interval(effect.low, effect.high),
        figures.probability(effect.p_adjusted),
        f"{effect.questions} questions",
    ]


def _called(parity: Parity, axis: str) -> str:
    unknown = f" Not every answer told: {', '.join(parity.unknown)}." if parity.unknown else ""
    also = ", ".join(each.what for each in parity.differs) or "nothing that is known"
    called = f"A difference would be called a {parity.words}."
    return f"{parity.model}: beside the {axis} differs {also}.{unknown} {called}"


def _values(values: tuple[str, ...]) -> str:
    return ", ".join(values) or "not told"
