"""The plots of a page, as inline SVG that takes its colours from the page's style. Pure: numbers in, markup out.

Plots stand in cells of tables whose other cells have the figures; so they hold no text, stretch to any width,
and are hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beacon_cli.evidence.readings import Kind
from beacon_cli.report.markup import Html, tag

LETTERS: Mapping[Kind, str] = {
    Kind.SUBSTANTIVE: "A",
    Kind.PARTIAL: "P",
    Kind.HARD_REFUSAL: "R",
    Kind.SOFT_REFUSAL: "E",
    Kind.EMPTY: "0",
    Kind.TRUNCATED: "C",
    Kind.INFRASTRUCTURE: "N",
}
"""The letter of each reading: colours alone would not do."""

CLASSES: Mapping[Kind, str] = {
    Kind.SUBSTANTIVE: "ka",
    Kind.PARTIAL: "kp",
    Kind.HARD_REFUSAL: "kr",
    Kind.SOFT_REFUSAL: "ke",
    Kind.EMPTY: "k0",
    Kind.TRUNCATED: "kc",
    Kind.INFRASTRUCTURE: "kn",
}
"""The class of each reading in the style."""


def bar(counts: Mapping[Kind, int]) -> Html:
    """How answers read, as one bar in parts."""
    parts, at = [], 0
    for kind in Kind:
        size = counts.get(kind, 0)
        if size:
            parts.append(tag("rect", x=at, width=size, height=1, class_=CLASSES[kind]))
            at += size
    return _plot(parts, max(1, at), 1, "bar")


def whisker(low: float | None, middle: float | None, high: float | None) -> Html:
    """A share with its interval, on a scale from 0 to 1."""
    parts = [tag("rect", x=0, width=100, y=5.6, height=0.8, class_="axis")]
    if low is not None and middle is not None and high is not None:
        parts.append(tag("rect", x=100 * low, width=max(0.6, 100 * (high - low)), y=4.5, height=3, class_="range"))
        parts.append(tag("rect", x=max(0.0, 100 * middle - 0.8), width=1.6, y=1.5, height=9, class_="point"))
    return _plot(parts, 100, 12, "whisker")


def times(low: float, middle: float, high: float, most: float) -> Html:
    """From the fastest to the 90th percentile with the middle one, on a scale from 0 to `most` seconds."""
    scale = 100 / most if most > 0 else 0.0
    return whisker(low * scale / 100, middle * scale / 100, high * scale / 100)


def gap(middle: float, low: float, high: float, matters: float, reach: float) -> Html:
    """A gap with its interval on a scale from -reach to reach; the band in the middle is what does not matter."""
    scale = 100 / reach if reach > 0 else 0.0
    parts = [
        tag("rect", x=100 - matters * scale, width=2 * matters * scale, y=0, height=12, class_="band"),
        tag("rect", x=99.7, width=0.6, y=0, height=12, class_="zero"),
        tag("rect", x=100 + low * scale, width=max(0.5, (high - low) * scale), y=4.5, height=3, class_="range"),
        tag("rect", x=99.1 + middle * scale, width=1.8, y=1.5, height=9, class_="point"),
    ]
    return _plot(parts, 200, 12, "whisker")


def _plot(parts: Sequence[Html], width: int, height: int, name: str) -> Html:
    return tag(
        "svg",
        *parts,
        class_=name,
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
