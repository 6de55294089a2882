"""Waterfalls: parts that add up, held against stories of runs and against hostile answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.claims import provenances
from tests.support.jobs import spec
from tests.support.journals import PLAN, Story, any_event, attempt_started, failed, start, stories, succeeded

from beacon_cli import events as ev
from beacon_cli.model import ModalTarget, SimulatedTarget, Succeeded
from beacon_cli.timings.claims import Claims
from beacon_cli.timings.costs import Costs
from beacon_cli.timings.habits import Habits
from beacon_cli.timings.history import History
from beacon_cli.timings.metrics import Metrics
from beacon_cli.timings.samples import Sample
from beacon_cli.timings.shares import Shares, record
from beacon_cli.timings.waterfall import Part, Waterfall, Waterfalls, divided, samples, speed_of

FIRST = next(PLAN.executions())
COLD = {"seconds": {"boot": 20.0, "load": 30.0, "queue": 1.0, "generation": 4.0}}


def waterfalls(events: Iterable[ev.Event]) -> list[Waterfall]:
    """Those of all executions that ended."""
    fold = Waterfalls()
    return [told.waterfall for told in map(fold.apply, events) if told is not None and told.waterfall is not None]


def told(*events: ev.Event, waited: float = 0.0, at: float = 1.0, speed: float = 1.0) -> list[ev.Event]:
    """A journal in which the first region's turn came at `at`, after `waited` seconds, then these events."""
    opening = start()
    opening = msgspec.structs.replace(
        opening, at=at - waited, spec=msgspec.structs.replace(PLAN.spec, target=SimulatedTarget(speed=speed))
    )
    return [opening, ev.RegionStarted(at=at, region=FIRST.region.id, waited=waited), *events]


def begin(at: float, attempt: int = 1, queued_at: float | None = None) -> ev.AttemptStarted:
    """The first execution's attempt begins; its turn in the order had come at `queued_at`."""
    event = attempt_started(FIRST, attempt, at)
    return msgspec.structs.replace(event, queued_at=at if queued_at is None else queued_at)


def answered(at: float, **answer: Any) -> ev.AttemptSucceeded:
    """Its answer comes."""
    return succeeded(FIRST, 1, at, **{"cold_start": True, "container": "c", "provenance": COLD, **answer})


@given(story=stories())
def test_parts_are_the_wall_time_of_every_story(story: tuple[list[ev.Event], Story]) -> None:
    """In any run the parts are none of them negative, and together the time since the turn was asked for."""
    fold, asked, begun, origin = Waterfalls(), dict[str, float](), dict[str, float](), 0.0
    for event in story[0]:
        found = fold.apply(event)
        match event:
            case ev.RunStarted() | ev.RunResumed():
                origin, asked = event.at, {}
            case ev.RegionStarted():
                asked[event.region] = event.at - event.waited
            case ev.AttemptStarted():
                begun.setdefault(event.execution, asked.get(event.region, origin))
        each = found.waterfall if found is not None else None
        if each is not None:
            assert all(seconds >= 0 for seconds in each.parts.values())
            assert each.wall == pytest.approx(event.at - begun.pop(each.execution))


@given(events=st.lists(any_event, max_size=20))
def test_no_journal_breaks_it(events: list[ev.Event]) -> None:
    """Events in any order, of executions that nobody announced, at any time, give no negative part."""
    for each in waterfalls(events):
        assert all(seconds >= 0 for seconds in each.parts.values())


@given(
    provenance=provenances, cold=st.none() | st.booleans(), seconds=st.floats(0, 1e5), speed=st.floats(0.01, 1e4)
)
def test_hostile_answers_change_no_sum(
    provenance: dict[str, Any],
    cold: bool | None,  # noqa: FBT001 - as the answer has it
    seconds: float,
    speed: float,
) -> None:
    """Whatever an answer claims, its parts are the time that was seen."""
    events = told(begin(2.0), answered(2.0 + seconds, provenance=provenance, cold_start=cold), speed=speed)
    (each,) = waterfalls(events)
    assert all(part >= 0 and math.isfinite(part) for part in each.parts.values())
    assert each.wall == pytest.approx((1.0 + seconds) * speed, rel=1e-9, abs=1e-6)
    shares = Shares()
    shares.add(each)
    assert 0 <= (shares.regions[FIRST.region.id].cold_share or 0.0) <= 1.0 + 1e-9
    assert record(shares.regions[FIRST.region.id])["executions"] == 1


def test_shares_stand_in_the_order_of_the_job() -> None:
    """Regions and models come as the job names them, whichever ended first; what it does not name comes last."""
    shares = Shares()
    for region, model in [("asia", "b"), ("old", "a"), ("us", "b"), ("us", "a"), ("asia", "us")]:
        shares.models[region, model].n = shares.regions[region].n = 1
    ordered = shares.ordered(["us", "asia"], ["us", "a", "b"])
    assert list(ordered.regions) == ["us", "asia", "old"]
    assert [model for region, model in ordered.models if region == "us"] == ["a", "b"]
    assert [model for region, model in ordered.models if region == "asia"] == ["us", "b"]


def test_each_part_has_its_name() -> None:
    """Turn, order, slot, a failed attempt, the wait after it, and what the answer says, each as long as it was."""
    events = told(
        begin(14.0, queued_at=13.0),
        failed(FIRST, 1, 17.0, retry_in=2.0),
        begin(20.0, 2, queued_at=19.0),
        answered(76.0),
        waited=5.0,
        at=10.0,
    )
    (each,) = waterfalls(events)
    assert each.parts == {
        Part.TURN: 5.0,
        Part.ORDER: 3.0,
        Part.SLOT: 2.0,
        Part.FAILED: 3.0,
        Part.RETRY: 2.0,
        Part.BACKLOG: 1.0,
        Part.BOOT: 20.0,
        Part.LOAD: 30.0,
        Part.GENERATION: 4.0,
        Part.NETWORK: 1.0,
    }
    assert (each.wall, each.own) == (71.0, 63.0)


def test_waiting_for_money_is_no_failed_attempt_and_no_network() -> None:
    """An attempt that its budget held waited for a slot; one that was stopped before its call has not failed."""
    stopped = ev.AttemptCancelled(at=9.0, execution=FIRST.id, attempt=1, call_id=None, ended=True)
    held = ev.AttemptHeld(at=30.0, execution=FIRST.id, attempt=2)
    events = told(begin(1.0), stopped, begin(10.0, 2, queued_at=10.0), held, answered(86.0), at=1.0)
    (each,) = waterfalls(events)
    assert (each.parts[Part.SLOT], each.parts.get(Part.FAILED), each.parts[Part.NETWORK]) == (28.0, None, 1.0)


def test_a_rehearsal_is_shown_in_the_providers_seconds() -> None:
    """What took 0.55 s at a hundred times the speed of life is 55 s, of which the answer's claims are a part."""
    (each,) = waterfalls(told(begin(1.0), answered(1.56), speed=100.0))
    assert each.parts[Part.GENERATION] == 4.0
    assert each.parts[Part.NETWORK] == pytest.approx(1.0)


def test_claims_that_do_not_fit_are_not_believed() -> None:
    """An answer that claims more seconds than passed has its time untold; rounding is no reason for that."""
    (each,) = waterfalls(told(begin(1.0), answered(31.0)))
    assert (each.parts, each.trusted) == ({Part.UNTOLD: 30.0}, False)
    parts, trusted = divided(54.9, Claims(boot=20.0, load=30.0, queue=1.0, generation=4.0))
    assert trusted
    assert sum(parts.values()) == pytest.approx(54.9)


def test_what_an_answer_leaves_out_is_untold() -> None:
    """Where the backlog is not told, the rest of the attempt is not called network."""
    (each,) = waterfalls(told(begin(1.0), answered(11.0, cold_start=False, provenance={"inference_time": 4.0})))
    assert each.parts == {Part.GENERATION: 4.0, Part.UNTOLD: 6.0}


def test_a_run_that_stopped_counts_the_pause_apart() -> None:
    """Between a kill and the resume nobody waits: that time is a part of its own, apart from the attempt."""
    resumed = ev.RunResumed(at=100.0, run_id="r1", spec=PLAN.spec, planned=PLAN.planned, beacon="test")
    again = ev.RegionStarted(at=103.0, region=FIRST.region.id, waited=3.0)
    events = told(
        begin(2.0), ev.RegionFinished(at=5.0, region="eu"), resumed, again, begin(104.0, 2), answered(160.0)
    )
    (each,) = waterfalls(events)
    assert each.parts[Part.FAILED] == 3.0
    assert each.parts[Part.STOPPED] == 95.0
    assert each.parts[Part.TURN] == 3.0
    assert each.wall == 159.0


def test_a_call_that_was_found_again_says_nothing_of_the_wait() -> None:
    """The answer of a call that was taken up again ran while nobody watched: its seconds are not this wait's."""
    resumed = ev.RunResumed(at=10.0, run_id="r1", spec=PLAN.spec, planned=PLAN.planned, beacon="test")
    found = ev.CallReattached(at=11.0, execution=FIRST.id, attempt=1, call_id="fc")
    events = told(begin(2.0), resumed, found, answered(80.0))
    (each,) = waterfalls(events)
    assert each.parts[Part.UNTOLD] == 69.0
    assert [sample.seen for sample in samples(events)] == [None]


def woken(at: float, seconds: float, **answer: Any) -> list[ev.Event]:
    """The container of the first execution's model is woken, which is over at `at`."""
    region, model = FIRST.region.id, FIRST.model.id
    said = Succeeded(**{"response": "", "cold_start": True, "container": "c", "provenance": COLD, **answer})
    return [
        ev.Warming(at=at - seconds, region=region, model=model, call_id="fc-w"),
        ev.Warmed(at=at, region=region, model=model, call_id="fc-w", seconds=seconds, answer=said),
    ]


def test_warming_stands_apart() -> None:
    """What a container took that was woken first is a part of its own, and none of the execution's own time."""
    warm = {"provenance": {"seconds": {"queue": 0.0, "generation": 4.0}}, "cold_start": False}
    (each,) = waterfalls(told(*woken(62.0, 60.0), begin(63.0), answered(68.0, **warm)))
    assert each.parts == {
        Part.ORDER: 2.0,
        Part.WARMING: 60.0,
        Part.GENERATION: 4.0,
        Part.NETWORK: 1.0,
    }
    assert each.own == 5.0


def test_a_woken_container_is_a_sample_and_no_answer() -> None:
    """Its start is known to history and figures, as that of an answer is; it counts in no rate of cold answers."""
    found = list(samples(told(*woken(62.0, 60.0), begin(63.0), answered(120.0, cold_start=False))))
    assert [sample.woken for sample in found] == [True, False]
    assert found[0].claims.start == 50.0
    history, metrics, habits, costs = History(), Metrics(), Habits(), Costs()
    for sample in found:
        history.add(sample)
        metrics.add(sample)
        habits.add(sample)
        costs.add(sample)
    habits.close()
    assert (history.n, history.start(FIRST.region.id, FIRST.model.id).quantile(0.5)) == (1, 50.0)
    group = metrics.all
    assert (group.n, group.cold, group.warm, group.woken, group.starts.n) == (1, 0, 1, 1, 1)
    assert (habits.jobs, habits.prewarmed, habits.warming.quantile(0.5)) == (1, True, 50.0)
    assert habits.cold_seconds.most == 0.0
    (usage,) = costs.usages.values()
    assert (usage.answers, usage.containers, usage.cold) == (1, 1, 50.0)


def test_a_woken_container_is_believed_no_more_than_an_answer() -> None:
    """One that claims more seconds than passed while it was woken has its claims left out."""
    (sample,) = samples(told(*woken(12.0, 10.0)))
    assert (sample.claims.start, sample.seen) == (None, 10.0)


def test_an_old_rehearsal_has_no_speed() -> None:
    """A rehearsal of before the speed was kept has none, and no claim is held against its clock."""
    target = ModalTarget(app="a", function="f")
    opening = msgspec.structs.replace(start(), spec=spec(target=target), rehearsal=True, speed=None)
    assert speed_of(opening) is None
    assert speed_of(msgspec.structs.replace(opening, rehearsal=False)) == 1.0
    fold = Waterfalls()
    found = [fold.apply(event) for event in (opening, begin(1.0), answered(1.5))]
    assert found[-1] is not None
    assert found[-1].waterfall is not None
    assert found[-1].waterfall.parts[Part.UNTOLD] == 0.5
    assert not fold.is_speed_known


def test_samples_hold_what_was_seen() -> None:
    """A sample has the region, the model, the seconds inside the container and those around it."""
    (sample,) = samples(told(begin(1.0), answered(57.0)))
    assert isinstance(sample, Sample)
    assert (sample.region, sample.model, sample.run) == (FIRST.region.id, FIRST.model.id, start().run_id)
    assert (sample.seconds, sample.seen, sample.overhead) == (54.0, 56.0, 2.0)


def test_a_container_that_is_kept_may_begin_to_start_before_it_is_woken() -> None:
    """Its own account is believed as far back as its region's turn, and not further."""
    turn = ev.RegionStarted(at=5.0, region=FIRST.region.id, waited=0.0)
    for waited in (54.0, 20.0):
        (sample,) = samples([*told(), turn, *woken(62.0, waited)])
        assert sample.claims.start == 50.0
    late = ev.RegionStarted(at=40.0, region=FIRST.region.id, waited=0.0)
    (sample,) = samples([*told(), late, *woken(62.0, 20.0)])
    assert sample.claims.start is None
