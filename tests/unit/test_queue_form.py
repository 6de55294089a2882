from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.queue_scenes import WARM, busy, record
from tests.support.queueing import request

from beacon_cli import queue_form, queue_view
from beacon_cli.tickets import Caps, Snapshot

ORIGINAL = {
    "queues": {
        name: {
            "region": name,
            "queue_size": 2,
            "processing": name == "US",
            "current_job": {
                "job_id": "j1",
                "model": "llama3.2-1b",
                "region": name,
                "queued_at": "2025-09-29T19:30:00.000000",
                "started_at": "2025-09-29T19:30:15.000000",
            }
            if name == "US"
            else None,
            "completed": 15,
            "failed": 2,
        }
        for name in ("US", "EU", "ASIA")
    }
}
"""A status in the original system's own form, with nothing more in it."""


def test_the_form_is_the_originals_with_more_in_it() -> None:
    """Every field of the original is there, of its type; regions in capitals, the known ones first."""
    found = record(busy()[0])
    assert list(found["queues"]) == ["US", "EU", "ASIA"]
    region: Any = ORIGINAL["queues"]["US"]
    for name, part in found["queues"].items():
        assert list(part)[: len(region)] == list(region), "the original's fields, in its order"
        assert part["region"] == name
        for key in ("queue_size", "completed", "failed"):
            assert type(part[key]) is int
        assert type(part["processing"]) is bool
    job = found["queues"]["US"]["current_job"]
    assert list(job)[:5] == ["job_id", "model", "region", "queued_at", "started_at"]
    assert (job["model"], job["models"], job["region"]) == ("m1, m2", ["m1", "m2"], "US")
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job[key]) for key in ("queued_at", "started_at")
    )
    assert found["queues"]["EU"]["current_job"] is None


def test_a_turn_beyond_all_dates_is_not_known() -> None:
    """A job of a great many executions takes no status down: when the next turn comes nobody can say."""
    store, _ = busy()
    for run in ("vast", "after"):
        store.enter(request(run, "us", executions=2**50))
    found = record(store)
    last = found["queues"]["US"]["waiting"][-2:]
    assert [each["run_id"] for each in last] == ["vast", "after"]
    assert [each["expected_at"] is None for each in last] == [False, True]
    assert queue_view.read(found).queues["US"].waiting[-1].executions == 2**50


def test_what_is_more_says_where_everybody_stands() -> None:
    """Waiting jobs have position and expected start; warm pools are named; a dead turn is being reclaimed."""
    queues = record(busy()[0])["queues"]
    us, eu, asia = queues["US"], queues["EU"], queues["ASIA"]
    assert (us["queue_size"], us["processing"], us["completed"], us["failed"]) == (2, True, 1, 0)
    assert [(each["position"], each["run_id"], each["priority"]) for each in us["waiting"]] == [
        (1, "fourth", "high"),
        (2, "third", "normal"),
    ]
    assert us["waiting"][0]["expected_at"] < us["waiting"][1]["expected_at"]
    assert us["executions"] == {"succeeded": 24, "failed": 0}
    assert (eu["paused"], eu["completed"], eu["failed"]) == (True, 0, 1)
    assert eu["gpus"] == {"in_use": 1, "idle": 1, "limit": 3}
    assert [(each["pool"], each["gpus"]) for each in eu["warm"]] == [(WARM, 1)]
    assert (asia["reclaiming"], asia["processing"], asia["gpus"]["in_use"]) == (["dead"], False, 3)


def test_an_empty_queue_has_its_form_too() -> None:
    """Where nobody ever was, every region is there, idle."""
    nobody = Snapshot(at=0.0, now=0.0, caps=Caps(), regions={})
    found = queue_form.to_record(nobody, ["us"])
    assert found["queues"]["US"]["current_job"] is None
    assert found["at"] == "1970-01-01T00:00:00.000Z"
    assert queue_view.read(found).queues["US"].working == ()


def test_a_status_is_read_as_it_was_written() -> None:
    """What `queue_form` writes, `queue_view` reads; the original's bare form too."""
    view = queue_view.read(record(busy()[0]))
    assert [job.run_id for job in view.queues["US"].working] == ["second"]
    assert view.set_aside == {"bad": ("us", "eu")}
    old = queue_view.read(ORIGINAL)
    assert [job.job_id for job in old.queues["US"].working] == ["j1"]
    assert old.gpus.limit is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, st.sampled_from(["queues", "US", "current_job", "gpus", "waiting", "at", "warm", "set_aside"]))
def test_anything_else_is_refused_by_one_kind_of_error(wrong: Any, where: str) -> None:
    """Whatever a server puts in the place of a part: it is a status or a ValueError, never another fault."""
    found = record(busy()[0])
    part = found if where in {"queues", "at", "set_aside"} else found["queues"]
    (part if where in part else part["US"])[where] = wrong
    try:
        view = queue_view.read(found)
    except ValueError:
        return
    assert isinstance(view.queues, dict)


@pytest.mark.parametrize("count", [-1, 10**12, "3", None])
def test_counts_are_counts(count: object) -> None:
    """A negative count, one without bound and text are refused."""
    found = record(busy()[0])
    found["queues"]["US"]["queue_size"] = count
    with pytest.raises(ValueError, match="queue_size"):
        queue_view.read(found)
