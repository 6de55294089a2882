"""What the page's sections are made of: tables that scroll by themselves, lists, chips. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from beacon_cli.display.kinds import WORDS
from beacon_cli.evidence.readings import Kind
from beacon_cli.report.drawing import CLASSES, LETTERS
from beacon_cli.report.markup import Child, Html, join, tag


def section(anchor: str, heading: str, *children: Child) -> Html:
    """A part of the page that the list of contents leads to."""
    return tag(
        "section", tag("h2", heading, id=f"{anchor}-h"), *children, id=anchor, aria_labelledby=f"{anchor}-h"
    )


def table(
    said: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    numbers: Sequence[int] = (),
    names: int = 1,
) -> Html:
    """A table with a caption; columns `numbers` stand to the right, the first `names` head their row."""
    head = tag("tr", *(_cell("th", each, place, numbers, scope="col") for place, each in enumerate(headings)))
    body = (
        tag(
            "tr",
            *(
                _cell("th", each, place, numbers, scope="row")
                if place < names
                else _cell("td", each, place, numbers)
                for place, each in enumerate(row)
            ),
        )
        for row in rows
    )
    return scrolling(said, tag("table", tag("caption", said), tag("thead", head), tag("tbody", *body)))


def scrolling(said: str, content: Html) -> Html:
    """Whatever may be wider than the screen: it scrolls by itself, with the keyboard too."""
    return tag("div", content, class_="scroll", tabindex=0, role="group", aria_label=said)


def pairs(found: Iterable[tuple[Child, Child]]) -> Html:
    """A list of names, each with what is said of it."""
    return tag("dl", *(join([tag("dt", name), tag("dd", said)]) for name, said in found))


def chip(kind: Kind) -> Html:
    """The word for a reading, in its colour."""
    return tag("b", WORDS[kind], class_=f"k {CLASSES[kind]}")


def legend() -> Html:
    """Every reading: its letter, its colour, its word and what it means."""
    return tag(
        "ul",
        *(
            tag("li", tag("b", f"{LETTERS[kind]} {WORDS[kind]}", class_=f"k {CLASSES[kind]}"), f" {_MEANS[kind]}")
            for kind in Kind
        ),
        class_="legend",
    )


def _cell(name: str, content: Child, place: int, numbers: Sequence[int], scope: str | None = None) -> Html:
    return tag(name, content, class_="n" if place in numbers else None, scope=scope)


_MEANS = {
    Kind.SUBSTANTIVE: "with content",
    Kind.PARTIAL: "in part, or under heavy disclaimers",
    Kind.HARD_REFUSAL: "says that it will not answer",
    Kind.SOFT_REFUSAL: "does not answer and does not say so",
    Kind.EMPTY: "nothing was said",
    Kind.TRUNCATED: "broke off: neither answer nor refusal",
    Kind.INFRASTRUCTURE: "nothing came: no refusal",
}
