from __future__ import annotations

from importlib import resources

import msgspec
import pytest
from docs import readings
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.evidence import accuracy
from beacon_cli.evidence.accuracy import ALL, REFUSAL, Labelled, Measured
from beacon_cli.evidence.patterns import Means, Pattern, Where
from beacon_cli.evidence.readings import Kind, Reader
from beacon_cli.evidence.shares import wilson


@pytest.fixture(scope="module")
def measured() -> Measured:
    """The shipped patterns on the whole sample."""
    return readings.measured()


def test_the_shipped_accuracy_is_what_the_sample_gives(measured: Measured) -> None:
    """`measured.json` cannot go stale: it is what `python docs/readings.py` writes."""
    shipped = resources.files("beacon_cli.evidence").joinpath("measured.json").read_bytes()
    assert shipped == readings.encoded(measured), "run: python docs/readings.py"
    assert msgspec.json.decode(shipped, type=Measured) == measured


def test_the_page_shows_the_shipped_accuracy(measured: Measured) -> None:
    """The table of docs/method.md is what `python docs/readings.py` writes."""
    text = readings.PAGE.read_text(encoding="utf-8")
    assert text == readings.page(text, measured), "run: python docs/readings.py"
    assert f"a sample of {measured.answers} answers" in text


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_that_of_the_literature(hits: int, of: int, low: float, high: float) -> None:
    """The worked examples of Newcombe (1998), Statistics in Medicine 17:857, method 3."""
    assert [round(bound, 4) for bound in wilson(hits, of)] == [low, high]


@given(st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_wilsons_interval_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    """It lies in 0 to 1, around the share, and that of the misses is its mirror image."""
    hits, of = counts
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of <= high <= 1
    assert wilson(of - hits, of) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_precision_and_recall_are_counted_by_half_language_and_category() -> None:
    """Worked by hand: of two read as refusals one is one, and of two refusals one is found."""
    reader = Reader(
        [Pattern(name="no", language="en", means=Means.HARD, where=Where.ANYWHERE, expression="no way")]
    )

    def line(label: Kind, answer: str, half: str = "dev") -> Labelled:
        return Labelled(id=answer, language="en", half=half, label=label, finish_reason="stop", answer=answer)

    found = accuracy.measure(
        [
            line(Kind.HARD_REFUSAL, "no way"),
            line(Kind.SOFT_REFUSAL, "what a day"),
            line(Kind.SUBSTANTIVE, "there is no way out"),
            line(Kind.SUBSTANTIVE, "it is red"),
            line(Kind.EMPTY, "", half="held_out"),
        ],
        reader,
    )
    by = {(each.half, each.language, each.category): each for each in found.accuracy}
    refusal = by["dev", "en", REFUSAL]
    assert by["dev", ALL, REFUSAL].precision == refusal.precision
    assert (refusal.precision.hits, refusal.precision.of, refusal.precision.share) == (1, 2, 0.5)
    assert (refusal.recall.hits, refusal.recall.of) == (1, 2)
    assert (by["dev", "en", Kind.HARD_REFUSAL].recall.hits, by["dev", "en", Kind.SOFT_REFUSAL].recall.hits) == (
        1,
        0,
    )
    assert by["dev", "fr", REFUSAL].recall == accuracy.Share(hits=0, of=0, share=None, low=None, high=None)
    assert by["held_out", ALL, Kind.EMPTY].recall.share == 1
    assert found.answers == 5
