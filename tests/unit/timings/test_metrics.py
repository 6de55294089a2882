"""Warm and cold counted: small numbers stay small, logs are hostile, memory is bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.claims import provenances
from tests.support.journals import texts

from beacon_cli.timings.claims import Claims
from beacon_cli.timings.metrics import MARK, MOST_CELLS, MOST_DAYS, NOT_SAID, OTHERS, Metrics, against, of_log_line
from beacon_cli.timings.metrics import record as as_record
from beacon_cli.timings.samples import Sample

DAY = 86_400.0


def sample(cold: bool | None = False, seconds: float = 4.0, at: float | None = DAY, **more: Any) -> Sample:  # noqa: FBT001, FBT002 - as answers have it
    """An answer in `eu`; a cold one took ten times as long to start."""
    claims = Claims(cold=cold, generation=seconds, boot=10 * seconds if cold else 0.0, load=0.0, memory=9.0)
    return Sample(**{"region": "eu", "model": "m", "at": at, "claims": claims, **more})


def metrics(*samples: Sample) -> Metrics:
    """Of these answers."""
    found = Metrics()
    for each in samples:
        found.add(each)
    return found


def test_warm_and_cold_are_counted_and_timed() -> None:
    """A rate with its interval; a warm answer's seconds alone, a cold one's with its start."""
    group = metrics(*[sample()] * 9, sample(cold=True)).regions["eu"]
    assert (group.n, group.cold, group.warm, group.rate) == (10, 1, 9, 0.1)
    assert group.interval is not None
    assert group.interval[0] < 0.1 < group.interval[1]
    assert (group.warm_seconds.quantile(0.5), group.cold_seconds.quantile(0.5)) == (4.0, 44.0)
    assert group.starts.quantile(0.5) == 40.0


def test_groups_stand_by_name() -> None:
    """Whichever answers came first: regions and models are found by their names, what is beyond counting last."""
    found = metrics(
        *[sample(region=region, model=model) for region, model in [("us", "b"), ("asia", "z"), ("us", "a")]]
    )
    found.models[OTHERS, OTHERS].add(sample())
    assert [name for name, _ in found.by_name()] == [("asia", "z"), ("us", "a"), ("us", "b"), (OTHERS, OTHERS)]
    assert list(found.regions) == ["asia", "us", OTHERS]


def test_an_answer_that_does_not_say_is_neither() -> None:
    """Answers that did not say how their container was count as answers, and in no rate."""
    group = metrics(sample(None), sample(None), sample(cold=True)).all
    assert (group.n, group.told, group.rate) == (3, 1, 1.0)
    assert metrics(sample(None)).all.interval is None


@pytest.mark.parametrize(("n", "known"), [(5, {"p50"}), (20, {"p50", "p95"}), (100, {"p50", "p95", "p99"})])
def test_no_quantile_from_too_few(n: int, known: set[str]) -> None:
    """Five values have a median and no p99: what too few stand behind is None, with their number beside it."""
    said = as_record(metrics(*[sample()] * n).all)["warm_seconds"]
    assert said["n"] == n
    assert {name for name in ("p50", "p95", "p99") if said[name] is not None} == known


def test_regions_and_all_are_the_models_together() -> None:
    """What is said of a region, and of all, is what its models' answers say."""
    found = metrics(sample(model="a"), sample(cold=True, model="b"), sample(region="us", seconds=8.0))
    assert (found.regions["eu"].n, found.regions["us"].n, found.all.n, found.n) == (2, 1, 3, 3)
    held = against(found)
    assert held is not None
    assert (held.warm, held.cold, held.n) == ((4.0, 8.0), None, (2, 1))
    assert (held.warm_n, held.cold_n) == ((1, 1), (1, 0))
    assert against(metrics(sample())) is None


def test_days_and_names_are_bounded() -> None:
    """A log of any number of days and models keeps the newest days, and sums the rest of the models up."""
    found = metrics(*(sample(model=f"m{n}", at=n * DAY) for n in range(MOST_CELLS + 100)))
    assert len(found.days) == MOST_DAYS
    assert max(found.days) == MOST_CELLS + 99
    assert found.models[OTHERS, OTHERS].n == 100
    assert found.all.n == MOST_CELLS + 100


@pytest.mark.parametrize(("at", "undated"), [(None, 1), (-5.0, 1), (1e300, 1), (float("nan"), 1), (DAY, 0)])
def test_a_time_that_cannot_be_is_no_day(at: float | None, undated: int) -> None:
    """An answer without a credible time is counted, in no day."""
    found = metrics(sample(at=at))
    assert (found.undated, len(found.days), found.n) == (undated, 1 - undated, 1)


def test_a_log_line_is_read() -> None:
    """What stands after the mark is an answer, wherever the mark stands; other lines are none."""
    said = {
        "model": "m",
        "region": "eu-west",
        "cold_start": True,
        "inference_time": 3.5,
        "seconds": {"boot": 10, "load": 20},
        "at": "1970-01-02T00:00:00Z",
        "container": "ta-1",
    }
    found = of_log_line(f"2026-11-20 12:00 {MARK} {json.dumps(said)} trailing\n")
    assert found is not None
    assert (found.region, found.model, found.at, found.seconds) == ("eu-west", "m", DAY, 33.5)
    assert of_log_line("nothing of the kind") is None
    for text in ("{broken", "[1]", "", "[" * 100_000):
        with pytest.raises(ValueError, match=r".+"):
            of_log_line(MARK + text)


hostile = st.none() | st.booleans() | st.integers() | st.floats() | texts


@given(
    provenance=provenances,
    more=st.dictionaries(
        st.sampled_from(["model", "region", "at", "started_at", "cold_start", "container"]),
        hostile | st.sampled_from(["2026-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]),
    ),
)
def test_hostile_log_lines_are_counted(provenance: dict[str, Any], more: dict[str, Any]) -> None:
    """Whatever JSON a line holds, it makes a sample that can be counted and shown."""
    found = of_log_line(f"{MARK} {json.dumps(provenance | more)}")
    assert found is not None
    assert found.region
    said = as_record(metrics(found).all)
    assert said["n"] == 1
    json.dumps(said, allow_nan=False)


def test_a_line_without_names_says_so() -> None:
    """A line that names neither region nor model is kept under a name that says that."""
    found = of_log_line(f"{MARK} {{}}")
    assert found is not None
    assert (found.region, found.model, found.at) == (NOT_SAID, NOT_SAID, None)
