"""A region's pace: fewer at once where the provider asks for it, evenly within a rate; lanes of several."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from tests.support import virtual
from tests.support.jobs import EU, US, spec
from tests.support.scripted import Scripted, Told, run

from beacon_cli import events as ev
from beacon_cli.model import (
    ErrorKind,
    Execution,
    Failed,
    Limits,
    Model,
    OpenaiTarget,
    Outcome,
    Question,
    Rate,
    RetryRule,
    Schedule,
    Spec,
    Succeeded,
)

QUESTIONS = tuple(Question(id=f"q{number}", text=f"Question {number}?") for number in range(60))
BACKENDS = pytest.mark.parametrize("backend", [virtual.trio, virtual.asyncio])


def endpoint_job(
    *, rate: Rate | None = None, most: int = 8, in_flight: int = 8, questions: int = 60, **more: object
) -> Spec:
    """One model behind one endpoint in one region, in lanes."""
    return spec(
        **{
            "regions": (US,),
            "models": (Model(id="m"),),
            "questions": QUESTIONS[:questions],
            "target": OpenaiTarget(base_url="https://api.example/v1", rate=rate or Rate()),
            "limits": Limits(concurrency=most, per_region=most),
            "schedule": Schedule.LANES,
            "in_flight": in_flight,
            "retry": RetryRule(attempts=20, first=0.1, longest=1.0),
            **more,
        }
    )


def throttled(retry_after: float | None = None) -> Failed:
    """The provider asks for fewer requests."""
    return Failed(kind=ErrorKind.THROTTLED, message="slow down", transient=True, retry_after=retry_after)


def begun(executor: Scripted) -> list[float]:
    """When the attempts began."""
    return [at for at, _, _ in executor.began]


def paced(told: Told) -> list[int]:
    """How many at once, as it was said."""
    return [event.slots for event in told.of(ev.RegionPaced)]


@BACKENDS
def test_a_lane_has_so_many_questions_in_flight(backend: virtual.Backend) -> None:
    """With `in_flight: 4` a lane has four questions in flight, begins them in order, and asks each once."""
    executor = Scripted(seconds=lambda execution: 1.0 + execution.order % 3)
    told = run(endpoint_job(in_flight=4), executor, backend=backend)
    assert told.standings.total("succeeded") == 60
    assert executor.peak == 4
    orders = [execution.order for _, execution, _ in executor.began]
    assert len(set(orders)) == 60
    assert all(later - earlier > -4 for earlier, later in pairwise(orders))


@BACKENDS
def test_the_pace_falls_by_half_and_grows_by_one(backend: virtual.Backend) -> None:
    """What was in flight together slows the region once, from 8 to 4; then it is one more for each round."""
    executor = Scripted()

    def script(execution: Execution, number: int) -> Outcome:
        del number
        first_round = executor.finished <= 8 and execution.order < 8
        return throttled() if first_round else Succeeded(response="a")

    executor.script = script
    told = run(endpoint_job(), executor, backend=backend)
    assert told.standings.total("succeeded") == 60
    assert paced(told) == [4, 5, 6, 7, 8]
    assert executor.peak == 8


@BACKENDS
def test_a_provider_with_room_for_three_is_left_in_peace(backend: virtual.Backend) -> None:
    """Where more than three at once are refused, the pace settles around three and every question is answered."""
    executor = Scripted()

    def script(execution: Execution, number: int) -> Outcome:
        del execution, number
        return throttled() if len(executor.in_flight) >= 3 else Succeeded(response="a")

    executor.script = script
    told = run(endpoint_job(), executor, backend=backend)
    assert told.standings.total("succeeded") == 60
    assert min(paced(told)) <= 2
    assert max(paced(told)[2:]) <= 5


@BACKENDS
def test_failures_of_the_provider_stop_the_growth(backend: virtual.Backend) -> None:
    """After a 5xx a slowed region grows no more until a whole round has gone well; a 5xx alone slows nothing."""
    broken = Failed(kind=ErrorKind.PLATFORM, message="HTTP 500", transient=True)
    executor = Scripted()

    def script(execution: Execution, number: int) -> Outcome:
        if number == 1 and execution.order < 8:
            return throttled()
        return broken if number == 2 and execution.order < 4 else Succeeded(response="a")

    executor.script = script
    told = run(endpoint_job(questions=12), executor, backend=backend)
    assert told.standings.total("succeeded") == 12
    assert paced(told)[:2] == [4, 4]
    assert "fails" in told.of(ev.RegionPaced)[1].reason
    alone = run(
        endpoint_job(questions=9), Scripted(lambda _, number: broken if number == 1 else Succeeded(response="a"))
    )
    assert paced(alone) == []


@BACKENDS
def test_a_region_waits_as_long_as_it_is_asked_to(backend: virtual.Backend) -> None:
    """After `Retry-After: 30` nothing more is asked of that endpoint for 30 s; another endpoint goes on."""
    target = OpenaiTarget(base_url={"us": "https://us.example/v1", "eu": "https://eu.example/v1"})
    executor = Scripted(
        lambda execution, number: (
            throttled(30.0)
            if number == 1 and execution.order == 0 and execution.region.id == "us"
            else Succeeded(response="a")
        )
    )
    job = endpoint_job(questions=8, in_flight=1, regions=(US, EU), target=target)
    told = run(job, executor, backend=backend)
    assert told.standings.total("succeeded") == 16
    of_us = [at for at, execution, _ in executor.began if execution.region.id == "us"]
    assert of_us[0] == 0.0
    assert min(of_us[1:]) >= 34.0
    assert max(at for at, execution, _ in executor.began if execution.region.id == "eu") == pytest.approx(28.0)


@BACKENDS
def test_requests_are_spread_over_the_minute(backend: virtual.Backend) -> None:
    """At 120 requests a minute one begins every half second, whatever may be in flight."""
    executor = Scripted(seconds=lambda _: 0.1)
    told = run(endpoint_job(rate=Rate(requests_per_minute=120)), executor, backend=backend)
    assert told.standings.total("succeeded") == 60
    assert begun(executor) == pytest.approx([number / 2 for number in range(60)])


@BACKENDS
def test_regions_behind_one_endpoint_share_its_rate(backend: virtual.Backend) -> None:
    """Two regions at one address together keep to its rate; the wait is no part of an attempt's time."""
    job = endpoint_job(rate=Rate(requests_per_minute=60), regions=(US, EU), questions=10)
    executor = Scripted(seconds=lambda _: 0.1)
    told = run(job, executor, backend=backend)
    assert sorted(begun(executor)) == pytest.approx(list(range(20)))
    assert [event.seconds for event in told.of(ev.AttemptSucceeded)] == pytest.approx([0.1] * 20)


@BACKENDS
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("rate", "most"), [(6, 2), (6, 4), (20, 4), (20, 8)])
def test_a_turn_that_passed_while_others_had_every_place_is_taken_anew(
    backend: virtual.Backend, rate: int, most: int, *, shared: bool
) -> None:
    """In no minute an endpoint gets more than its rate, though slow answers elsewhere hold every place."""
    urls = {"us": "https://a.example/v1", "eu": "https://a.example/v1" if shared else "https://b.example/v1"}
    job = endpoint_job(
        regions=(US, EU),
        questions=40,
        target=OpenaiTarget(base_url=urls, rate=Rate(requests_per_minute=rate)),
        limits=Limits(concurrency=most, per_region=8),
    )
    executor = Scripted(seconds=lambda execution: 65.0 if execution.region.id == "us" else 0.1)
    told = run(job, executor, backend=backend)
    assert told.standings.total("succeeded") == 80
    asked: dict[str, list[float]] = {}
    for at, execution, _ in executor.began:
        asked.setdefault(urls[execution.region.id], []).append(at)
    for times in asked.values():
        assert max(sum(at <= other < at + 60 for other in times) for at in times) <= rate + 1


@BACKENDS
def test_tokens_are_counted_as_they_were_used(backend: virtual.Backend) -> None:
    """At 600 tokens a minute, answers of 10 tokens come once a second: what was reported corrects the estimate."""
    usage = {"usage": {"total_tokens": 10}}
    executor = Scripted(lambda _, __: Succeeded(response="a", provenance=usage), seconds=lambda _: 0.1)
    job = endpoint_job(rate=Rate(tokens_per_minute=600), in_flight=1)
    run(job, executor, backend=backend)
    times = begun(executor)
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([1.0] * 59)


@BACKENDS
def test_a_success_that_asks_for_a_respite_holds_the_region_back(backend: virtual.Backend) -> None:
    """A budget that an answer reports as spent is waited for outside the attempts and their time limit."""

    def script(execution: Execution, number: int) -> Outcome:
        del number
        return Succeeded(response="a", respite=500.0 if execution.order == 0 else None)

    executor = Scripted(script, seconds=lambda _: 1.0)
    limits = Limits(concurrency=1, per_region=1, timeout=100.0)
    job = endpoint_job(limits=limits, in_flight=1, questions=3)
    told = run(job, executor, backend=backend)
    assert told.standings.total("succeeded") == 3
    assert told.standings.total("retries") == 0
    assert begun(executor) == pytest.approx([0.0, 501.0, 502.0])
    assert [event.reason for event in told.of(ev.RegionPaced)] == ["the provider wants no request for 500 s"]


@BACKENDS
def test_a_count_of_tokens_beyond_belief_does_not_end_the_run(backend: virtual.Backend) -> None:
    """However many tokens an endpoint says that an answer took, the next question waits a quarter hour at most."""

    def script(execution: Execution, number: int) -> Outcome:
        del execution, number
        return Succeeded(response="a", provenance={"usage": {"total_tokens": 10**18}})

    executor = Scripted(script, seconds=lambda _: 1.0)
    job = endpoint_job(rate=Rate(tokens_per_minute=1000), most=1, in_flight=1, questions=3)
    run(job, executor, backend=backend)
    assert begun(executor)[-1] <= 2 * 960


@BACKENDS
@pytest.mark.parametrize("each", [0.05, 0.2, 2.0])
@pytest.mark.parametrize("retry_after", [None, 0.0])
def test_a_provider_that_does_not_say_how_long_loses_no_question(
    backend: virtual.Backend, each: float, retry_after: float | None
) -> None:
    """One request each so many seconds is let through and the rest is refused without a word of when to come back.

    Fewer than one at a time are asked then: with the retries that a job has by default every question is answered.
    """
    executor, free_at = Scripted(seconds=lambda _: 0.02), [0.0]

    def script(execution: Execution, number: int) -> Outcome:
        del execution, number
        now = anyio.current_time()
        if now < free_at[0]:
            return throttled(retry_after)
        free_at[0] = max(free_at[0], now - 5 * each) + each
        return Succeeded(response="a")

    executor.script = script
    told = run(endpoint_job(retry=RetryRule()), executor, backend=backend)
    assert told.standings.total("succeeded") == 60
    assert told.standings.total("retries") < 60
    assert any("one every" in event.reason for event in told.of(ev.RegionPaced))


@BACKENDS
def test_a_provider_that_has_room_again_is_asked_as_before(backend: virtual.Backend) -> None:
    """After a time of refusals the region finds its way back from one every so many seconds to all at once."""
    executor = Scripted(seconds=lambda _: 0.02)
    executor.script = lambda _, __: throttled() if anyio.current_time() < 2.0 else Succeeded(response="a")
    told = run(endpoint_job(), executor, backend=backend)
    assert told.standings.total("succeeded") == 60
    assert paced(told)[-1] >= 4
    assert told.seconds < 60


@BACKENDS
def test_a_rate_is_kept_after_a_respite_too(backend: virtual.Backend) -> None:
    """Those who waited for their turn when the endpoint asked to be left alone do not all come at its end."""

    def script(execution: Execution, number: int) -> Outcome:
        del number
        return Succeeded(response="a", respite=30.0 if execution.order == 2 else None)

    executor = Scripted(script, seconds=lambda _: 0.5)
    told = run(endpoint_job(rate=Rate(requests_per_minute=60), questions=20), executor, backend=backend)
    times = begun(executor)
    assert told.standings.total("succeeded") == 20
    assert times[3] == pytest.approx(32.5)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.99
