"""GPU seconds and money: what is used is counted once, what is not known is unknown."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.rates import Rates
from beacon_cli.timings.claims import Claims
from beacon_cli.timings.costs import Costs, Key, price, record, total
from beacon_cli.timings.samples import Sample
from beacon_cli.timings.waterfall import Part, Waterfall

RATES = Rates(gpu={"T4": 0.001}, region={"eu": 2.0}, dated="2026-07-01", source="here")
KEY = Key("eu", "m", "T4")


def waterfall(**parts: float) -> Waterfall:
    """An execution in `eu` with these parts."""
    return Waterfall(
        execution="e",
        region="eu",
        model="m",
        question="q",
        repeat=1,
        attempts=1,
        answered=True,
        parts={Part[name.upper()]: seconds for name, seconds in parts.items()},
        claims=Claims(),
    )


def answer(at: float, generation: float | None = 4.0, start: float | None = 0.0, **claims: Any) -> Sample:
    """An answer that came then."""
    said = {"container": "c1", "gpu": "T4", "cold": bool(start), **claims}
    return Sample(
        region="eu",
        model="m",
        at=at,
        seen=9.0,
        claims=Claims(generation=generation, boot=start, load=start, **said),
    )


def costs(*samples: Sample) -> Costs:
    """Of these answers."""
    found = Costs()
    for sample in samples:
        found.add(waterfall(), sample)
    return found


@given(
    pauses=st.lists(st.floats(0, 1e4), min_size=1, max_size=20),
    generation=st.floats(0, 100),
    start=st.floats(0, 100),
)
def test_a_containers_life_is_divided_whole(pauses: list[float], generation: float, start: float) -> None:
    """Answering, cold and idle seconds of a container are its time from its start to its last answer."""
    at, samples = 1_000.0, list[Sample]()
    for pause in pauses:
        cold = start if not samples else 0.0
        at += pause + generation + 2 * cold
        samples.append(answer(at, generation, cold))
    usage = costs(*samples).usages[KEY]
    first = samples[0]
    assert first.at is not None
    assert first.claims.start is not None
    began = first.at - generation - first.claims.start
    assert usage.known == pytest.approx(at - began, abs=1e-6)
    assert min(usage.idle, usage.cold, usage.generation) >= 0


@given(ends=st.lists(st.floats(0, 100), min_size=2, max_size=10).map(sorted))
def test_several_at_once_are_counted_once(ends: list[float]) -> None:
    """A container that answers several questions at once is busy no longer than it lives."""
    found = costs(*(answer(1_000.0 + end, 50.0) for end in ends))
    usage = found.usages[KEY]
    assert usage.generation <= 50.0 + (ends[-1] - ends[0]) + 1e-6
    assert usage.idle == pytest.approx(
        sum(max(0.0, late - early - 50.0) for early, late in pairwise(ends)), abs=1e-6
    )


def test_containers_that_have_ended_are_not_those_of_the_same_name() -> None:
    """A resumed rehearsal has containers of its own: no idle time between the two, a window for each."""
    found = costs(answer(100.0))
    found.end_containers()
    found.add(waterfall(), answer(9_000.0, start=10.0))
    (usage,) = found.usages.values()
    assert (found.containers, usage.idle) == (2, 0.0)
    assert found.tail(120.0) == {KEY: 240.0}


def test_money_follows_the_rates() -> None:
    """Seconds times the GPU's price times the region's multiplier; the window after it stands apart."""
    found = costs(answer(100.0, 4.0, 10.0), answer(110.0, 4.0))
    usage = found.usages[KEY]
    assert (usage.generation, usage.cold, usage.idle) == (8.0, 20.0, 6.0)
    assert price(usage.known, KEY, RATES) == pytest.approx(0.068)
    assert total(found, RATES).amount == pytest.approx(0.068)
    assert found.tail(120.0) == {KEY: 120.0}
    (only,) = record(found, RATES, 120.0)["usages"]
    assert only["usd"] == 0.068
    assert only["usd_at_most"] == pytest.approx(0.308)


@pytest.mark.parametrize(
    "sample", [answer(1.0, gpu="X9"), answer(1.0, gpu=None), answer(1.0, None), answer(1.0, 4.0, None, cold=None)]
)
def test_what_has_no_price_is_unknown(sample: Sample) -> None:
    """A GPU without a price, one that nobody named, or seconds that nobody told: unknown, and never 0."""
    found = costs(sample)
    assert total(found, RATES).amount is None
    assert record(found, RATES, 120.0)["usd"] is None


def test_failed_attempts_are_an_upper_bound() -> None:
    """What attempts without an answer took is named, by their model's GPU, and not added to what was used."""
    found = costs(answer(1.0))
    found.add(waterfall(failed=30.0), None)
    usage = found.usages[KEY]
    assert (usage.failed, usage.known) == (30.0, 4.0)
