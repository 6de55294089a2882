"""How often readings are right: precision and recall on a labelled sample, with Wilson intervals. Pure.

The shipped `measured.json` is what `measure` made of the sample in tests/data; a report shows it beside its rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from beacon_cli.evidence.languages import LANGUAGES
from beacon_cli.evidence.readings import Kind, Reader
from beacon_cli.evidence.shares import wilson
from beacon_cli.priming import prime

ALL = "all"
"""The five languages together."""
REFUSAL = "refusal"
"""The category of hard and soft refusals together; the others are the kinds."""


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the sample: an answer, and what a person would call it. `half` is `dev` or `held_out`."""

    id: str
    language: str
    half: str
    label: Kind
    finish_reason: str | None
    answer: str


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """`hits` of `of`, with its Wilson interval of 95 %; shares are None where there is nothing to share."""

    hits: int
    of: int
    share: float | None
    low: float | None
    high: float | None


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """How a category is read in one half of the sample, in one language or in all.

    `precision` is of the answers that were read so, those that are labelled so; `recall` the other way about.
    """

    half: str
    language: str
    category: str
    precision: Share
    recall: Share


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is shipped: how many answers the sample has, and the accuracy of every category in it."""

    answers: int
    accuracy: tuple[Accuracy, ...]


prime(Measured)


def measure(sample: Iterable[Labelled], reader: Reader) -> Measured:
    """The accuracy of `reader` on a sample, by half, language and category, in a fixed order."""
    read = [(each, reader.read(each.answer, finish_reason=each.finish_reason).kind) for each in sample]
    found = [
        _accuracy(half, language, category, belongs, read)
        for half in sorted({each.half for each, _ in read})
        for language in (ALL, *LANGUAGES)
        for category, belongs in _CATEGORIES.items()
    ]
    return Measured(answers=len(read), accuracy=tuple(found))


def _share(hits: int, of: int) -> Share:
    if not of:
        return Share(hits=0, of=0, share=None, low=None, high=None)
    low, high = wilson(hits, of)
    return Share(hits=hits, of=of, share=round(hits / of, 4), low=round(low, 4), high=round(high, 4))


def _accuracy(
    half: str, language: str, category: str, belongs: Callable[[Kind], bool], read: Iterable[tuple[Labelled, Kind]]
) -> Accuracy:
    pairs = [
        (belongs(each.label), belongs(kind))
        for each, kind in read
        if each.half == half and language in {ALL, each.language}
    ]
    right = pairs.count((True, True))
    return Accuracy(
        half=half,
        language=language,
        category=category,
        precision=_share(right, right + pairs.count((False, True))),
        recall=_share(right, right + pairs.count((True, False))),
    )


def _is(kind: Kind) -> Callable[[Kind], bool]:
    return lambda other: other is kind


_CATEGORIES: dict[str, Callable[[Kind], bool]] = {
    REFUSAL: lambda kind: kind.is_refusal,
    **{kind.value: _is(kind) for kind in Kind if kind is not Kind.INFRASTRUCTURE},
}
