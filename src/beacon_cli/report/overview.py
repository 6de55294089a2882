"""The middle of the page: how answers read, how far groups agree, how long they took, what was compared. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from beacon_cli.display.kinds import WORDS
from beacon_cli.evidence.answers import Answer
from beacon_cli.evidence.findings import Findings, Rates
from beacon_cli.evidence.readings import Kind
from beacon_cli.model import Measure
from beacon_cli.report import drawing, figures
from beacon_cli.report.drawing import CLASSES, LETTERS
from beacon_cli.report.markup import Html, tag
from beacon_cli.report.parts import legend, scrolling, section, table
from beacon_cli.report.verdicts import anchored

MOST_CELLS = 30_000
"""Cells of the heat map; what is beyond is counted."""


def heat(findings: Findings) -> Html:
    """Region, model and question: how the answers of each cell read."""
    columns = [(model, group) for model in findings.models for group in findings.groups]
    cells: dict[tuple[str, str | None], dict[tuple[str, str], Counter[Kind]]] = {}
    for answer in findings.answers:
        row = cells.setdefault((answer.question, answer.context), {})
        row.setdefault((answer.model, answer.group), Counter())[answer.kind] += 1
    if not cells:
        return section("readings", "How the answers read", tag("p", "There is no answer."))
    anchors = anchored(findings)
    most = max(1, MOST_CELLS // max(1, len(columns)))
    shown = [cell for cell in anchors if cell in cells][:most]
    rows = [_heat_row(cell, anchors[cell], cells[cell], columns, len(findings.groups)) for cell in shown]
    said = "Readings by question, model and " + findings.axis.value
    head = tag("thead", *_heat_head(findings))
    body = tag("tbody", *rows)
    left = len(cells) - len(shown)
    return section(
        "readings",
        "How the answers read",
        legend(),
        scrolling(
            said,
            tag(
                "table", tag("caption", f"{said}; a number stands where repeats differ"), head, body, class_="heat"
            ),
        ),
        tag("p", f"And {left:,} more questions.") if left else None,
    )


def _heat_head(findings: Findings) -> Iterator[Html]:
    yield tag(
        "tr",
        tag("th", "question", rowspan=2, scope="col"),
        *(
            tag("th", model, colspan=len(findings.groups), scope="colgroup", class_="edge")
            for model in findings.models
        ),
    )
    yield tag(
        "tr",
        *(
            tag("th", group, scope="col", class_="edge" if place == 0 else None)
            for _ in findings.models
            for place, group in enumerate(findings.groups)
        ),
    )


def _heat_row(
    cell: tuple[str, str | None],
    anchor: str,
    found: Mapping[tuple[str, str], Counter[Kind]],
    columns: Sequence[tuple[str, str]],
    groups: int,
) -> Html:
    question, context = cell
    name = question if context is None else f"{question} ({context})"
    shown = [
        _heat_cell(found.get(column, Counter()), is_first=place % groups == 0)
        for place, column in enumerate(columns)
    ]
    return tag("tr", tag("th", tag("a", name, href=f"#{anchor}"), scope="row"), *shown)


def _heat_cell(counts: Counter[Kind], *, is_first: bool) -> Html:
    if not counts:
        return tag("td", "·", class_="edge" if is_first else None)
    kinds = sorted(counts, key=lambda kind: (-counts[kind], list(Kind).index(kind)))
    mixed = len(kinds) > 1
    said = " ".join(f"{counts[kind]}{LETTERS[kind]}" if mixed else LETTERS[kind] for kind in kinds)
    shade = CLASSES[kinds[0]] + (" edge" if is_first else "")
    return tag("td", said, drawing.bar(counts) if mixed else None, class_=shade)


def rates(findings: Findings) -> Html:
    """Every rate of refusals with its interval, and all counts."""
    whole = [each for each in findings.rates if each.category is None]
    by_category = [each for each in findings.rates if each.category is not None]
    axis = findings.axis.value
    headings = (axis, "model", *(WORDS[kind] for kind in Kind), "refusals", "of", "Wilson 95 %", "from 0 to 100 %")
    numbers = range(2, 2 + len(Kind) + 3)
    parts = [table("Readings and refusals", headings, map(_rate, whole), numbers=numbers, names=2)]
    if by_category:
        rows = [[each.category or "", *_rate(each)] for each in by_category]
        shifted = [number + 1 for number in numbers]
        said = table("The same by category", ("category", *headings), rows, numbers=shifted, names=3)
        parts.append(tag("details", tag("summary", "By category of question"), said))
    why = (
        "Refusals are a share of the answers and refusals that came whole and from where they were asked for:"
        " errors are no refusals, and what is empty or broke off is neither."
    )
    return section("refusals", "Refusals", tag("p", why), *parts)


def _rate(each: Rates) -> list[str | Html]:
    refusals = next(rate for rate in each.rates if rate.name == Measure.REFUSALS)
    return [
        each.group,
        each.model,
        *(f"{each.kinds.get(kind.value, 0):,}" for kind in Kind),
        figures.percent(refusals.share),
        f"{refusals.of:,}",
        figures.interval(refusals.low, refusals.high),
        _plotted(drawing.whisker(refusals.low, refusals.share, refusals.high)),
    ]


def agreement(findings: Findings) -> Html:
    """A matrix for each model by the measure that is shown first, and the other measures below."""
    first = figures.closeness(findings)
    measures = list(dict.fromkeys(each.measure for each in findings.agreement))
    if not measures:
        return section("agreement", "Agreement", tag("p", "There is nothing to compare."))
    why = (
        "1 less the mean distance between answers of different containers to the same question, in hundredths:"
        " 100 is the same. A group with itself is its noise; what counts is how far the others lie below that."
    )
    others = [_matrix(findings, measure) for measure in measures if measure != first]
    folded = tag("details", tag("summary", "By other measures"), *others) if others else None
    return section(
        "agreement",
        "Agreement within and between",
        tag("p", why),
        _matrix(findings, first),
        folded,
        _noise(findings, measures),
    )


def _matrix(findings: Findings, measure: str) -> Html:
    known = {
        (each.model, each.first, each.second): each.agreement
        for each in findings.agreement
        if each.measure == measure
    }
    said = f"Agreement by {figures.called(measure)}"
    rows = []
    for model in findings.models:
        for first in findings.groups:
            values = [
                known.get((model, first, other), known.get((model, other, first))) for other in findings.groups
            ]
            cells = (tag("td", figures.hundredths(each), class_=f"n {_shade(each)}") for each in values)
            rows.append(tag("tr", tag("th", model, scope="row"), tag("th", first, scope="row"), *cells))
    head = tag("tr", *(tag("th", each, scope="col") for each in ("model", findings.axis.value, *findings.groups)))
    return scrolling(said, tag("table", tag("caption", said), tag("thead", head), tag("tbody", *rows)))


def _shade(value: float | None) -> str:
    return "" if value is None else f"s{round(10 * max(0.0, min(1.0, value)))}"


def _noise(findings: Findings, measures: Sequence[str]) -> Html:
    rows = [
        [
            each.model,
            each.group or "all",
            f"{each.repeats:,}",
            f"{each.questions:,}",
            figures.percent(each.tar_raw),
            figures.percent(each.tar_answer),
            *(figures.hundredths(within.mean) for within in each.within),
        ]
        for each in findings.noise
    ]
    headings = (
        "model",
        findings.axis.value,
        "repeats",
        "questions",
        "same text (TARr@N)",
        "same reading (TARa@N)",
        *(f"{figures.called(measure)} within" for measure in measures),
    )
    said = "Noise floor: how much answers vary where nothing differs"
    return table(said, headings, rows, numbers=range(2, len(headings)), names=2)


def compared(findings: Findings) -> Html:
    """What was planned, what came of it, and why something was left out."""
    rows = [
        [
            each.group,
            each.model,
            f"{each.planned:,}",
            f"{each.compared:,}",
            f"{each.containers:,}",
            figures.percent(each.missing),
            figures.losses(each),
        ]
        for each in findings.survivors
    ]
    headings = (findings.axis.value, "model", "planned", "compared", "containers", "missing", "why not compared")
    return section(
        "compared",
        "What could be compared",
        table("What became of what was planned", headings, rows, numbers=range(2, 6), names=2),
    )


def timings(findings: Findings) -> Html:
    """How long the answers took, as whoever waited saw it."""
    parts: dict[tuple[str, str], list[Answer]] = {}
    for answer in findings.answers:
        if answer.seconds is not None and answer.text is not None:
            parts.setdefault((answer.group, answer.model), []).append(answer)
    most = max((answer.seconds or 0.0 for own in parts.values() for answer in own), default=0.0)
    cells = [(group, model) for group in findings.groups for model in findings.models]
    rows = [[*cell, *_took(parts[cell], most)] for cell in cells if cell in parts]
    headings = (
        findings.axis.value,
        "model",
        "answers",
        "cold",
        "fastest (s)",
        "median (s)",
        "90th percentile (s)",
        "slowest (s)",
        "tokens (mean)",
        f"0 to {most:.1f} s",
    )
    said = "Seconds from the call to the answer; drawn are the fastest, the median and the 90th percentile"
    return section("timings", "Timings", table(said, headings, rows, numbers=range(2, 9), names=2))


def _took(answers: Sequence[Answer], most: float) -> list[str | Html]:
    values = sorted(answer.seconds or 0.0 for answer in answers)
    low, middle, high = values[0], _at(values, 0.5), _at(values, 0.9)
    tokens = [answer.tokens for answer in answers if answer.tokens is not None]
    return [
        f"{len(values):,}",
        f"{sum(answer.cold is True for answer in answers):,}",
        *(f"{each:.2f}" for each in (low, middle, high, values[-1])),
        f"{sum(tokens) / len(tokens):.0f}" if tokens else figures.NONE,
        _plotted(drawing.times(low, middle, high, most)),
    ]


def _plotted(plot: Html) -> Html:
    return tag("div", plot, class_="plot")


def _at(ordered: Sequence[float], share: float) -> float:
    """The value at this share of an ordered list that is not empty (the nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
