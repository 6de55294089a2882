"""The answers, side by side: by question, the words that differ marked, each with where it came from. Pure.

A page has to stay usable: what is too long is cut with a note, and beyond `MOST_ANSWERS` a note says where the
rest is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec

from beacon_cli.display.words import count
from beacon_cli.evidence.answers import Answer, Exclusion, Place
from beacon_cli.evidence.findings import Findings
from beacon_cli.evidence.readings import Kind
from beacon_cli.report import drawing
from beacon_cli.report.frame import Frame
from beacon_cli.report.markup import Html, join, tag, text, weight
from beacon_cli.report.parts import chip
from beacon_cli.report.verdicts import anchored
from beacon_cli.report.words import Mark, differences

MOST_ANSWERS = 20_000
"""Answers on one page."""
MOST_BYTES = 5_000_000
"""Bytes of all texts together, once they are markup; the rest of 15 MB is what stands around them."""
LONGEST = 20_000
"""Bytes of one text."""
_FOLDED = 200
"""Up to so many answers are shown open."""
_MARKED = 6_000
"""Answers whose words are marked, at most."""

Cell = tuple[str, str | None]


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided for all answers at once: the bytes that each may have, and whether words are marked."""

    limit: int
    is_open: bool
    is_marked: bool
    texts: Mapping[Cell, str]
    groups: tuple[str, ...]
    models: tuple[str, ...]


def answers(findings: Findings, frame: Frame) -> Iterator[Html]:
    """The section in pieces, a question each, so that nothing holds it whole."""
    anchors = anchored(findings)
    cells = _cells(findings, anchors)
    shown = [answer for found in cells.values() for answer in found]
    page = _Page(
        limit=_limit([weight(answer.text) for answer in shown if answer.text]),
        is_open=len(shown) <= _FOLDED,
        is_marked=len(shown) <= _MARKED,
        texts={(prompt.question, prompt.context): prompt.text for prompt in reversed(findings.prompts)},
        groups=findings.groups,
        models=findings.models,
    )
    yield Html('<section id="answers" aria-labelledby="answers-h">')
    yield tag("h2", "Answers side by side", id="answers-h")
    yield from _notes(findings, frame, page, len(shown))
    yield _filters(findings, cells, anchors)
    for cell, found in cells.items():
        yield _question(cell, anchors[cell], found, page)
    yield Html("</section>")


def _cells(findings: Findings, anchors: Mapping[Cell, str]) -> dict[Cell, list[Answer]]:
    """The answers by question, in the page's order, as many questions as there is room for."""
    found: dict[Cell, list[Answer]] = {cell: [] for cell in anchors}
    for answer in findings.answers:
        found[answer.question, answer.context].append(answer)
    ends = list(accumulate(len(each) for each in found.values()))
    room = max(1, bisect_right(ends, MOST_ANSWERS))
    return {cell: each[:MOST_ANSWERS] for cell, each in list(found.items())[:room] if each}


def _limit(sizes: Sequence[int]) -> int:
    """The bytes that each text may have so that all fit: short ones whole, long ones cut at the same length."""
    left, room = len(sizes), MOST_BYTES
    for size in sorted(sizes):
        if size * left > room:
            return min(LONGEST, room // left)
        room -= size
        left -= 1
    return LONGEST


def _notes(findings: Findings, frame: Frame, page: _Page, shown: int) -> Iterator[Html]:
    if not findings.answers:
        yield tag("p", "There is no answer.")
    if shown < len(findings.answers):
        said = f"The first {shown:,} of {len(findings.answers):,} answers are on this page. All of them: "
        yield tag("p", said, tag("code", frame.rest))
    cut = sum(weight(answer.text) > page.limit for answer in findings.answers if answer.text)
    if cut:
        said = f"{count(cut, 'answer')} cut at {page.limit:,} bytes. Whole: "
        yield tag("p", said, tag("code", frame.rest))
    if page.is_marked:
        words = tag("span", tag("ins", "words put in"), " and ", tag("del", "left out"))
        yield tag("p", "Marked in each first answer, against the first one of its model: ", words, ".")


def _filters(findings: Findings, cells: Mapping[Cell, Sequence[Answer]], anchors: Mapping[Cell, str]) -> Html:
    kinds = {answer.kind for found in cells.values() for answer in found}
    readings = [
        ("", "any"),
        ("refusal", "any refusal"),
        *((kind.value, kind.value.replace("_", " ")) for kind in Kind if kind in kinds),
    ]
    models = [("", "all"), *((str(number), model) for number, model in enumerate(findings.models))]
    questions = [("", "all"), *((anchors[cell], _named(cell)) for cell in cells)]
    return tag(
        "div",
        _select("question", "Question", questions),
        _select("model", "Model", models),
        _select("reading", "Reads as", readings),
        tag("label", tag("input", type="checkbox", id="marks", checked=True), "mark words", class_="tick"),
        tag("button", "Open all", type="button", id="open"),
        tag("button", "Close all", type="button", id="close"),
        tag("button", "Clear", type="button", id="clear"),
        tag("span", "", id="count", role="status", class_="dim"),
        id="filters",
        class_="filters",
        role="search",
        aria_label="Filter the answers",
        hidden=True,
    )


def _select(name: str, said: str, options: Sequence[tuple[str, str]]) -> Html:
    shown = (tag("option", label[:80], value=value) for value, label in options)
    return tag("label", said, tag("select", *shown, id=name, autocomplete="off"))


def _question(cell: Cell, anchor: str, found: Sequence[Answer], page: _Page) -> Html:
    counts = Counter(answer.kind for answer in found)
    parts = [_model(number, model, found, page) for number, model in enumerate(page.models)]
    asked = page.texts.get(cell)
    return tag(
        "details",
        tag("summary", tag("h3", _named(cell)), drawing.bar(counts)),
        tag("p", asked, class_="asked", dir="auto") if asked else None,
        tag("div", *parts, id=anchor),
        class_="q",
        open=page.is_open,
        data_q=anchor,
    )


def _model(number: int, model: str, found: Sequence[Answer], page: _Page) -> Html | None:
    own = [answer for answer in found if answer.model == model]
    if not own:
        return None
    first = next(
        (answer for group in page.groups for answer in own if answer.group == group and answer.text), None
    )
    columns = [
        _group(group, [answer for answer in own if answer.group == group], first, page) for group in page.groups
    ]
    return tag("section", tag("h4", model), tag("div", *columns, class_="side"), class_="m", data_m=number)


def _group(group: str, own: Sequence[Answer], first: Answer | None, page: _Page) -> Html:
    if not own:
        return tag("div", tag("h5", group), tag("p", "not asked", class_="dim"), class_="g")
    ordered = sorted(own, key=lambda answer: (answer.repeat, answer.region, answer.execution))
    head, *rest = (_answer(answer, first if place == 0 else None, page) for place, answer in enumerate(ordered))
    more = tag("summary", count(len(rest), "more repeat"))
    folded = tag("details", more, *rest, class_="more", open=page.is_open) if rest else None
    return tag("div", tag("h5", group), head, folded, class_="g")


def _answer(answer: Answer, first: Answer | None, page: _Page) -> Html:
    facts = [f"#{answer.repeat}"]
    if answer.seconds is not None:
        facts.append(f"{answer.seconds:.1f} s")
    if answer.excluded is not None:
        facts.append(f"not compared: {_EXCLUDED[answer.excluded]}")
    summary = tag("summary", chip(answer.kind), " " + " · ".join(facts))
    told = tag("p", " · ".join(_provenance(answer)), class_="from")
    return tag("article", tag("details", summary, told), _said(answer, first, page), data_k=answer.kind.value)


def _said(answer: Answer, first: Answer | None, page: _Page) -> Html:
    if not answer.text:
        said = "(empty)" if answer.text == "" else f"no answer: {answer.error or 'not asked'}"
        return tag("p", said, class_="dim")
    shown, is_cut = _cut(answer.text, page.limit)
    note = tag("span", f" … cut, {len(answer.text):,} characters in all", class_="dim") if is_cut else None
    content: Html | str = shown
    if page.is_marked and first is not None and first is not answer and first.text:
        content = _marked(_cut(first.text, page.limit)[0], shown)
    return tag("div", content, note, class_="t", dir="auto", lang=answer.language)


def _marked(first: str, shown: str) -> Html | str:
    parts = differences(first, shown)
    if parts is None:
        return shown
    names = {Mark.ADDED: "ins", Mark.GONE: "del"}
    return join(tag(names[part.mark], part.text) if part.mark in names else text(part.text) for part in parts)


def _cut(whole: str, limit: int) -> tuple[str, bool]:
    """The longest beginning that is no more than `limit` bytes as markup, and whether something is left out."""
    head = whole[:limit]
    if len(head) == len(whole) and weight(head) <= limit:
        return whole, False
    while weight(head) > limit:
        head = head[: len(head) * limit // (weight(head) + 1)]
    return head, True


def _provenance(answer: Answer) -> Iterator[str]:
    """All that is known of where an answer came from; `?` is what nobody told."""
    yield f"asked {answer.region}, reported {answer.region_reported or '?'} ({_PLACES[answer.place]})"
    if answer.cloud:
        yield answer.cloud.removeprefix("CLOUD_PROVIDER_")
    start = {True: ", cold", False: ", warm", None: ""}[answer.cold]
    yield f"container {answer.container or '?'}{start}"
    yield f"call {answer.call_id or '?'}, {count(answer.attempts, 'attempt')}"
    yield f"{answer.started_at or '?'} to {answer.finished_at or '?'}"
    if answer.tokens is not None:
        yield f"{answer.tokens} tokens"
    if answer.finish_reason:
        yield f"ended by {answer.finish_reason}"
    yield f"read so by: {answer.because}"
    yield f"execution {answer.execution or '?'}"


def _named(cell: Cell) -> str:
    question, context = cell
    return question if context is None else f"{question} ({context})"


_PLACES = {Place.CONFIRMED: "confirmed", Place.UNVERIFIED: "unverified", Place.ELSEWHERE: "ELSEWHERE"}
_EXCLUDED = {
    Exclusion.NO_ANSWER: "no answer",
    Exclusion.EMPTY: "empty",
    Exclusion.TRUNCATED: "cut off",
    Exclusion.ELSEWHERE: "from elsewhere",
    Exclusion.NO_CONTAINER: "its container is unknown",
    Exclusion.NOT_SHARED: "not answered on all sides",
}
