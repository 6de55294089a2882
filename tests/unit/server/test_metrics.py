"""The figures for Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from tests.support.queueing import Hands, part, request

from beacon_cli.queues import memory
from beacon_cli.server import metrics
from beacon_cli.tickets import Entered, Granted

HOSTILE = 'a"b\\c\nd{}'


def figures(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and the values of its labels, as Prometheus's own parser reads them."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_they_say_what_the_snapshot_says() -> None:
    """Of every region, asked for or not."""
    hands = Hands()
    store = memory.store(clock=hands, wall=hands.wall)
    for run in ("past", "now", "next"):
        entrance = store.enter(request(run, "us"))
        assert isinstance(entrance, Entered)
        answer = store.claim(entrance.ticket, f"host:{run}")
        if run == "past":
            assert isinstance(answer, Granted)
            store.leave(entrance.ticket, answer.token, part(succeeded=23, failed=1), {})
    hands.pass_by(7.0)
    found = figures(metrics.text(store.snapshot(), ["us", "eu"], {"started": 2}, "1.2"))
    assert found["beacon_queue_waiting", ("us",)] == 1
    assert found["beacon_queue_waiting", ("eu",)] == 0
    assert found["beacon_queue_active", ("us",)] == 1
    assert found["beacon_queue_longest_wait_seconds", ("us",)] == 7
    assert found["beacon_gpus_in_use", ("us",)] == 3
    assert found["beacon_gpus_limit", ("total",)] == 10
    assert found["beacon_queue_jobs_total", ("us", "succeeded")] == 1
    assert found["beacon_queue_executions_total", ("us", "failed")] == 1
    assert found["beacon_server_jobs", ("started",)] == 2
    assert found["beacon_build_info", ("1.2",)] == 1


def test_a_hostile_name_is_a_label_and_nothing_more() -> None:
    """It ends no line and begins none."""
    store = memory.store()
    store.enter(request("run", HOSTILE))
    found = figures(metrics.text(store.snapshot(), [], {}, "1"))
    assert found["beacon_queue_waiting", (HOSTILE,)] == 1


def test_a_wall_clock_that_was_set_back_makes_no_wait_negative() -> None:
    """A ticket may then have been taken later than now."""
    hands = Hands()
    store = memory.store(clock=hands, wall=hands.wall)
    store.enter(request("run", "us"))
    hands.pass_by(-3_600.0)
    found = figures(metrics.text(store.snapshot(), [], {}, "1"))
    assert found["beacon_queue_longest_wait_seconds", ("us",)] == 0


def test_large_counts_are_exact() -> None:
    """A counter that is rounded would stand still."""
    found = figures(metrics.text(memory.store().snapshot(), [], {"finished": 123_456_789}, "1"))
    assert found["beacon_server_jobs", ("finished",)] == 123_456_789
