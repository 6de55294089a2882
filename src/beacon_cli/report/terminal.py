"""A report in the terminal: the verdicts first, then what they rest on. Pure: findings in, renderables out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import NONE, cell, name, number, paragraph, table, that_fit
from beacon_cli.display.kinds import WORDS
from beacon_cli.display.readings import LOOKS
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, STRONG
from beacon_cli.display.words import count
from beacon_cli.evidence.findings import Findings, Gap, Outcome, Rates, Verdict
from beacon_cli.evidence.readings import Kind
from beacon_cli.model import Measure
from beacon_cli.report import figures
from beacon_cli.report.frame import Frame

_NAME = 24
_MOST_GAPS = 8
_MOST_ROWS = 80
_LOOKS: dict[Outcome, Style] = {Outcome.DIFFERENCE: BAD, Outcome.NO_DIFFERENCE: GOOD, Outcome.INCONCLUSIVE: ODD}
_SPARED = ("empty", "cut off", "partial", "no answer", "evaded", "of", "95 % interval")
"""Where the width does not do, these columns go, in this order."""


def report(
    findings: Findings, frame: Frame, width: int, *, hints: Sequence[tuple[str, str]] = ()
) -> RenderableType:
    """The whole report for a terminal of this width; `hints` are a few words each and the command that does it."""
    blank = Text("")
    parts: list[RenderableType] = [_headline(findings, frame)]
    parts += [paragraph(note, ODD) for note in findings.notes]
    for heading, content in _sections(findings, width):
        parts += [blank, Text(heading, STRONG), content]
    parts += [blank, _method(findings, frame), *_pointers(hints)]
    return Group(*parts)


def _sections(findings: Findings, width: int) -> Iterator[tuple[str, RenderableType]]:
    if findings.verdicts:
        yield "verdicts", Group(*(_verdict(each, findings) for each in findings.verdicts))
    if findings.rates:
        yield "how the answers read", _rates(findings, width)
    if any(each.compared or each.planned for each in findings.survivors):
        yield "what could be compared", _survivors(findings, width)
    matrix = _agreement(findings, width)
    if matrix is not None:
        yield "agreement, 100 is the same; a group with itself is its noise", matrix
    if any(floor.tar_raw is not None for floor in findings.noise):
        yield "noise floor, how often repeats agree within a group", _noise(findings, width)
    if findings.gaps:
        yield "largest gaps, exploratory: no verdict follows from them", _gaps(findings, width)
    beside = [*(each.sentence for each in findings.negative_controls), *figures.controls(findings)]
    if beside:
        yield "controls", Group(*(paragraph(f"  {each}") for each in beside))


def _headline(findings: Findings, frame: Frame) -> Text:
    line = Text(overflow="fold")
    if findings.rehearsal:
        line.append(" REHEARSAL ", LABEL).append(" ")
    line.append_text(cell(findings.job, STRONG)).append("  ")
    line.append_text(cell(", ".join(findings.runs), FAINT, cells=120))
    planned = sum(each.planned for each in findings.survivors)
    groups = count(len(findings.groups), findings.axis.value)
    line.append(f"  {groups}, {count(len(findings.models), 'model')}, {count(planned, 'execution')}")
    began = [source.began_at for source in frame.sources if source.began_at]
    return line.append(f"  {', '.join(began)}", FAINT) if began else line


def _verdict(verdict: Verdict, findings: Findings) -> RenderableType:
    parts: list[RenderableType] = [
        Text.assemble(
            "  ",
            (figures.OUTCOMES[verdict.outcome].upper(), _LOOKS[verdict.outcome]),
            "  ",
            cell(verdict.model, STRONG, cells=60),
        ),
    ]
    if verdict.outcome is not Outcome.INCONCLUSIVE:
        parts.append(Padding(paragraph(verdict.sentence), (0, 0, 0, 4)))
    if verdict.why:
        parts.append(Padding(paragraph(figures.because(verdict), FAINT), (0, 0, 0, 4)))
    if verdict.settle:
        parts.append(Padding(paragraph(f"What would settle it: {verdict.settle}"), (0, 0, 0, 4)))
    parts += [Padding(paragraph(said, FAINT), (0, 0, 0, 4)) for said in figures.beside(findings, verdict.model)]
    return Group(*parts)


def _rates(findings: Findings, width: int) -> RenderableType:
    rows = [each for each in findings.rates if each.category is None]
    columns = {findings.axis.value: _widest([each.group for each in rows]), "model": _widest(findings.models)}
    columns |= {word: max(4, len(word)) for word in WORDS.values()}
    columns |= {"refusals": 8, "95 % interval": 13, "of": 5}
    kept = that_fit(columns, _SPARED, width)
    made = table(kept, right=range(2, len(kept)))
    for each in rows[:_MOST_ROWS]:
        shown = _reads(each)
        names = [name(each.group, STRONG, cells=_NAME), name(each.model, cells=_NAME)]
        made.add_row(*names, *(shown[word] for word in kept[2:]))
    return _with_rest(made, len(rows) - _MOST_ROWS)


def _reads(rates: Rates) -> dict[str, Text]:
    shown = {WORDS[kind]: number(rates.kinds.get(kind.value, 0), LOOKS[kind]) for kind in Kind}
    refusals = next(rate for rate in rates.rates if rate.name == Measure.REFUSALS)
    shown["refusals"] = Text(figures.percent(refusals.share))
    shown["95 % interval"] = Text(figures.interval(refusals.low, refusals.high), FAINT)
    shown["of"] = number(refusals.of)
    return shown


def _survivors(findings: Findings, width: int) -> RenderableType:
    headings = {
        findings.axis.value: _widest(findings.groups),
        "model": _widest(findings.models),
        "planned": 7,
        "compared": 8,
        "containers": 10,
        "missing": 7,
        "why not compared": 40,
    }
    kept = that_fit(headings, ("why not compared", "missing"), max(width, 60))
    made = table(kept, right=range(2, min(len(kept), 6)), wrapped=[6])
    for each in findings.survivors[:_MOST_ROWS]:
        shown = {
            findings.axis.value: name(each.group, STRONG, cells=_NAME),
            "model": name(each.model, cells=_NAME),
            "planned": number(each.planned),
            "compared": number(each.compared),
            "containers": number(each.containers),
            "missing": Text(figures.percent(each.missing)),
            "why not compared": paragraph(figures.losses(each), FAINT),
        }
        made.add_row(*(shown[heading] for heading in kept))
    return _with_rest(made, len(findings.survivors) - _MOST_ROWS)


def _agreement(findings: Findings, width: int) -> RenderableType | None:
    measure = figures.closeness(findings)
    known = {
        (each.model, each.first, each.second): each.agreement
        for each in findings.agreement
        if each.measure == measure
    }
    if not any(value is not None for value in known.values()):
        return None
    room = max(1, (width - 2 * _NAME - 6) // 10)
    groups = findings.groups[:room]
    made = table(["model", figures.called(measure), *groups], right=range(2, 2 + len(groups)))
    for model in findings.models:
        for first in findings.groups:
            pairs = [known.get((model, first, other), known.get((model, other, first))) for other in groups]
            if any(value is not None for value in pairs):
                made.add_row(
                    name(model, STRONG, cells=_NAME),
                    name(first, cells=_NAME),
                    *(
                        Text(figures.hundredths(value), FAINT if other == first else Style())
                        for other, value in zip(groups, pairs, strict=True)
                    ),
                )
    return made


def _noise(findings: Findings, width: int) -> RenderableType:
    headings = {
        "model": _widest(findings.models),
        "repeats": 7,
        "questions": 9,
        "same text (TARr)": 16,
        "same reading (TARa)": 19,
        "distance within": 24,
    }
    kept = that_fit(headings, ("distance within", "questions", "repeats"), width)
    made = table(kept, right=range(1, len(kept)))
    for floor in findings.noise:
        if floor.group is not None:
            continue
        within = next((each for each in floor.within if each.measure == figures.closeness(findings)), None)
        shown = {
            "model": name(floor.model, STRONG, cells=_NAME),
            "repeats": number(floor.repeats),
            "questions": number(floor.questions),
            "same text (TARr)": Text(figures.percent(floor.tar_raw)),
            "same reading (TARa)": Text(figures.percent(floor.tar_answer)),
            "distance within": Text(
                f"{figures.hundredths(within.mean)} {figures.called(within.measure)}" if within else NONE
            ),
        }
        made.add_row(*(shown[heading] for heading in kept))
    return made


def _gaps(findings: Findings, width: int) -> RenderableType:
    headings = {
        "model": _widest(findings.models),
        "question": _widest([figures.asked(gap) for gap in findings.gaps]),
        "gap": 6,
        "between": 20,
        "p": 11,
        "q": 11,
    }
    kept = that_fit(headings, ("q", "p", "between"), width)
    made = table(kept, right=[index for index, heading in enumerate(kept) if heading in {"gap", "p", "q"}])
    shown_gaps = sorted(findings.gaps, key=lambda gap: -abs(gap.gap))[:_MOST_GAPS]
    for gap in shown_gaps:
        shown = _gap(gap)
        made.add_row(*(shown[heading] for heading in kept))
    return _with_rest(made, len(findings.gaps) - len(shown_gaps))


def _gap(gap: Gap) -> dict[str, Text]:
    return {
        "model": name(gap.model, STRONG, cells=_NAME),
        "question": name(figures.asked(gap), cells=_NAME),
        "gap": Text(figures.hundredths(abs(gap.gap))),
        "between": cell(" < ".join(figures.ends(gap)), cells=40),
        "p": Text(figures.probability(gap.p), FAINT),
        "q": Text(figures.probability(gap.q), FAINT),
    }


def _method(findings: Findings, frame: Frame) -> RenderableType:
    lines = [*figures.method(findings), *figures.accuracy(frame)]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for heading, said in lines:
        grid.add_row(Text(heading, FAINT), paragraph(said))
    return grid


def _pointers(hints: Sequence[tuple[str, str]]) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for words, target in hints:
        grid.add_row(cell(words, FAINT), paragraph(target))
    return [Text(""), grid] if hints else []


def _with_rest(made: Table, rest: int) -> RenderableType:
    return Group(made, Text(f"and {rest:,} more", FAINT)) if rest > 0 else made


def _widest(names: Sequence[str]) -> int:
    return min(_NAME, max((len(each) for each in names), default=1))
