"""The decision tree: which advice follows from which numbers, and what it says that it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_cli.rates import Rates
from beacon_cli.timings.advice import THRESHOLDS, Advice, Facts, Kind, advise
from beacon_cli.timings.claims import Claims
from beacon_cli.timings.habits import Habits
from beacon_cli.timings.metrics import Metrics
from beacon_cli.timings.samples import Sample

DAY = 86_400.0
RATES = Rates(gpu={"T4": 0.000164}, region={"eu": 1.75}, dated="2026-07-01")


def answer(at: float, *, cold: bool = False, start: float = 60.0, run: str = "r1", **claims: Any) -> Sample:
    """An answer of four seconds in `eu`."""
    said = {"container": f"c{at:.0f}" if cold else "c", "gpu": "T4", **claims}
    parts = Claims(cold=cold, generation=4.0, boot=start if cold else 0.0, load=0.0, **said)
    return Sample(region="eu", model="m", at=at, claims=parts, seen=4.0 + (start if cold else 0.0), run=run)


def facts(*samples: Sample, prewarmed: bool | None = None) -> Facts:
    """Of these answers."""
    metrics, habits = Metrics(), Habits()
    for sample in samples:
        metrics.add(sample)
        habits.add(sample)
    habits.close()
    return Facts(region="eu", group=metrics.regions["eu"], habits=habits, prewarmed=prewarmed)


def share(cold: int, of: int = 100, **more: Any) -> Facts:
    """A region of which so many answers are cold."""
    return facts(*(answer(DAY + n, cold=n < cold, **more) for n in range(of)))


def kinds(found: list[Advice]) -> list[Kind]:
    """What is advised, in order."""
    return [each.kind for each in found]


@pytest.mark.parametrize(
    ("cold", "expected"),
    [
        (0, [Kind.FINE]),
        (19, [Kind.FINE, Kind.WINDOW]),
        (20, [Kind.PREWARM, Kind.WINDOW]),
        (40, [Kind.PREWARM, Kind.WINDOW]),
        (41, [Kind.PREWARM, Kind.WINDOW, Kind.KEEP_WARM]),
        (100, [Kind.PREWARM, Kind.WINDOW, Kind.KEEP_WARM]),
    ],
)
def test_the_tree(cold: int, expected: list[Kind]) -> None:
    """Under 20 % it is fine, up to 40 % what is free, over it that first and then a warm container."""
    assert kinds(advise([share(cold)], RATES)) == expected


@pytest.mark.parametrize(("cold", "word"), [(50, "suggested"), (60, "suggested"), (61, "recommended")])
def test_keeping_warm_is_suggested_then_recommended(cold: int, word: str) -> None:
    """From 40 to 60 % a warm container is suggested, over 60 % recommended: with its price for a month."""
    warm = advise([share(cold)], RATES)[-1]
    assert warm.kind is Kind.KEEP_WARM
    assert word in warm.says
    assert "the journals do not say" in warm.says
    assert warm.usd_per_month == pytest.approx(0.000164 * 1.75 * THRESHOLDS["hours_a_month"].value * 3600)
    assert warm.commands[-1] == "beacon warm JOB --apply"


def test_what_was_tried_is_not_advised_again() -> None:
    """Where containers stay for half an hour and jobs were pre-warmed, keeping warm is what is left."""
    cold = [answer(DAY + 10_000 + n, cold=True) for n in range(8)]
    stayed = [answer(DAY), answer(DAY + 1_900)]
    assert kinds(advise([facts(*stayed, *cold, prewarmed=True)], RATES)) == [Kind.KEEP_WARM]
    assert kinds(advise([facts(*stayed, *cold)], RATES)) == [Kind.PREWARM, Kind.KEEP_WARM]
    gone = facts(answer(DAY), *cold, prewarmed=True)
    assert kinds(advise([gone], RATES)) == [Kind.WINDOW, Kind.KEEP_WARM]


def test_windows_are_seen_from_what_containers_did() -> None:
    """A container that answered after a rest stayed so long; one that was gone after a rest did not."""
    habits = facts(answer(DAY), answer(DAY + 100), answer(DAY + 400, cold=True)).habits
    assert habits.survived == 96.0
    assert habits.lost == 236.0
    assert (habits.rests.n, habits.rests.quantile(0.5)) == (1, 236.0)


def test_a_rehearsals_containers_end_with_it() -> None:
    """Containers of two rehearsals may share an id: nothing is made of the time between them."""
    habits = Habits(across_runs=False)
    for at, run in ((DAY, "r1"), (DAY + 5_000, "r2")):
        habits.add(answer(at, run=run))
    habits.close()
    assert (habits.jobs, habits.survived, habits.lost) == (2, None, None)


def test_gains_are_those_of_a_job() -> None:
    """Pre-warming gains what a job's slowest cold start took; a window what starts after a shorter rest took."""
    both = [answer(DAY, cold=True), answer(DAY + 500, cold=True), answer(DAY + 5_000, cold=True, run="r2")]
    found = {each.kind: each for each in advise([facts(*both)], RATES)}
    assert found[Kind.PREWARM].gain_seconds == pytest.approx((120.0 + 60.0) / 2)
    assert found[Kind.WINDOW].gain_seconds == pytest.approx(60.0 / 2)


@pytest.mark.parametrize(("days", "known"), [(0.5, False), (10.0, True)])
def test_a_month_is_known_from_days(days: float, known: bool) -> None:  # noqa: FBT001 - a parameter
    """What idle containers cost in a month follows from the pace of jobs, if they span days enough to have one."""
    samples = [answer(DAY + n * days * DAY / 10, cold=True, run=f"r{n}") for n in range(11)]
    window = advise([facts(*samples)], RATES)[1]
    assert window.kind is Kind.WINDOW
    assert (window.usd_per_month is not None) is known
    assert "0.43 USD after each job" in window.price


def test_no_price_is_unknown() -> None:
    """Without a price of its GPU what a warm container costs is unknown, and not nothing."""
    warm = advise([share(90)], Rates())[-1]
    assert warm.usd_per_month is None
    assert "unknown" in warm.price


def test_a_slow_region_is_proposed_for_switching_off() -> None:
    """A median cold start over the limit: switch it off; the limit may be set, and the numbers say how many."""
    slow = share(10, start=400.0)
    found = advise([slow], RATES)
    assert kinds(found) == [Kind.SWITCH_OFF]
    assert "10 cold starts" in found[0].numbers
    assert Kind.SWITCH_OFF not in kinds(advise([slow], RATES, slow_start=500.0))


def test_a_region_that_is_off_is_to_be_tried_again() -> None:
    """A region that is switched off is to be probed, whether or not anything is known of it."""
    known = advise([share(10, start=400.0)], RATES, regions_off=["eu", "asia"])
    assert kinds(known) == [Kind.TRY_AGAIN, Kind.TRY_AGAIN]
    assert [each.commands for each in known] == [("beacon probe --region eu",), ("beacon probe --region asia",)]
    assert "400 s" in known[0].numbers


def test_few_answers_say_that_they_are_few() -> None:
    """The numbers have their interval, and say which limit they cannot tell from."""
    few = advise([share(1, 6)], RATES)[0].numbers
    assert "1 of 6 answers cold: 17 % (3 to 56)" in few
    assert "20 % and 40 %" in few
    assert "may as well" not in advise([share(80, 1000)], RATES)[0].numbers


def test_what_nobody_said_is_to_be_measured() -> None:
    """Answers that do not say how their container was: measure first."""
    assert kinds(advise([facts(answer(DAY, cold=None))], RATES)) == [Kind.UNKNOWN]  # type: ignore[arg-type]


def test_every_limit_has_its_source() -> None:
    """Each threshold says where it comes from, and in what unit it is."""
    assert all(limit.source and limit.unit and limit.value > 0 for limit in THRESHOLDS.values())
