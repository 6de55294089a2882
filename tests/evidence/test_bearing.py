from __future__ import annotations

import msgspec
import pytest
from tests.support.stories import Prefixes, found, job, primary, row, runs, story

from beacon_cli.evidence.design import design
from beacon_cli.evidence.findings import Attribution, Outcome
from beacon_cli.evidence.gathering import asked, gather
from beacon_cli.evidence.judging import Material, compared
from beacon_cli.evidence.parity import Beside, of_runs
from beacon_cli.evidence.registration import design_hash
from beacon_cli.model import Sampling


def test_answers_of_unknown_containers_are_missing_from_the_test() -> None:
    """Where over 5 % of a region's answers name no container, what is left is no fair part of them."""
    spec = job(questions=40, starts=5)
    rows = story(spec, us=0.1, eu=0.1, asia=0.6)
    rows = [
        each | {"container": None}
        if each["region"] == "asia" and each["question_id"] in {"q1", "q2", "q3"}
        else each
        for each in rows
    ]
    these = found(rows, spec)
    assert these.verdicts[0].outcome is Outcome.INCONCLUSIVE
    assert "nobody knows which containers gave 7.5 % of the answers of asia" in these.verdicts[0].why
    assert these.negative_controls[0].clean is None


def test_a_control_is_not_clean_because_its_material_is_poor() -> None:
    """A small p on too few shared questions is neither a difference nor a clean negative control."""
    spec = job(questions=40, starts=5)
    gone = {"q37", "q38", "q39"}
    rows = [r for r in story(spec, asia=0.5) if not (r["region"] == "us" and r["question_id"] in gone)]
    these = found(rows, spec)
    assert (primary(these).p or 1) < 0.05
    assert these.negative_controls[0].clean is None
    assert "only 37 of 40 questions" in these.negative_controls[0].sentence


@pytest.mark.parametrize(
    ("gave", "why"),
    [
        ({"us": [97, 1, 1, 1]}, "the 4 containers of us gave so unequally many answers that they count as 1.1"),
        ({"us": [5] * 4, "eu": [50] * 20}, "one region has 1,000 answers and another 20: too unequal to compare"),
        ({"us": [20, 20, 20, 20, 15]}, None),
    ],
)
def test_containers_of_unequal_weight_do_not_change_places(gave: dict[str, list[int]], why: str | None) -> None:
    """One container that gave nearly all, or a region with many times the answers, bears no verdict."""
    rows = [
        row(region, "q", 1, model="m", container=f"{region}{start}", context=f"{start}-{number}")
        for region in ("us", "eu")
        for start, count in enumerate(gave.get(region, [20] * 5))
        for number in range(count)
    ]
    rows = [each | {"context": None, "repeat": n} for n, each in enumerate(rows, 1)]
    (verdict,) = found(rows, None).verdicts
    assert (why in verdict.why) if why else verdict.outcome is Outcome.NO_DIFFERENCE


def test_containers_of_both_sides_settle_nothing() -> None:
    """A run held against itself, or regions that one container served, are not two samples."""
    spec = job(questions=40, starts=5)
    rows = story(spec)
    known = asked(spec)
    about = Material(job="job", runs=("A", "B"), rehearsal=False, recompute="x", spec=spec)
    first, second = (gather(rows, Prefixes(), known, by_run=name) for name in ("A", "B"))
    same = compared(first, second, design(spec, design_hash(spec)), about)
    assert "15 containers gave answers in more than one run" in same.verdicts[0].why
    shared = found([each | {"container": f"c{each['repeat']}"} for each in rows], spec)
    assert "5 containers gave answers in more than one region" in shared.verdicts[0].why


def test_one_container_in_a_region_shows_no_spread() -> None:
    """Four starts over three regions are too few to take answers for independent: no interval, no verdict."""
    spec = job(questions=60, starts=2)
    rows = [
        each for each in story(spec, us=0.2, eu=0.2, asia=0.2) if each["region"] == "us" or each["repeat"] == 1
    ]
    these = runs(spec, rows, rows)
    assert [each.containers for each in these.survivors] == [4, 4]
    assert (primary(these).interval, primary(these).low) == ("none", None)
    assert primary(these).smallest_p == pytest.approx(2 / (6 * 2 * 2), abs=1e-6)
    assert these.verdicts[0].outcome is Outcome.INCONCLUSIVE


def test_the_gap_between_runs_is_the_mean_over_regions() -> None:
    """With 20 and 4 containers in one region and 4 and 20 in the other, the gap is the mean of two."""
    spec = job(questions=20, regions=job().regions[:2], starts=20)
    first, second = story(spec, us=0.5, eu=0.1), story(spec, us=0.1, eu=0.1)
    first = [each | {"container": f"x{each['repeat'] % 4}"} if each["region"] == "eu" else each for each in first]
    second = [
        each | {"container": f"y{each['repeat'] % 4}"} if each["region"] == "us" else each for each in second
    ]
    effect = primary(runs(spec, first, second))
    assert effect.gap == pytest.approx(-0.2)
    assert (effect.low or 0) < -0.2 < (effect.high or 0)


def test_nothing_is_regional_where_nobody_knows_the_prompts() -> None:
    """Answers collected elsewhere may have been asked for otherwise in each region: the cause stays open."""
    these = found(story(job(questions=40, starts=5), asia=0.5), None)
    assert these.verdicts[0].outcome is Outcome.DIFFERENCE
    assert (these.parity[0].attribution, these.parity[0].unknown) == (Attribution.UNATTRIBUTED, ("prompt",))
    assert these.negative_controls[0].clean is None


def test_what_two_runs_were_asked_otherwise_is_listed() -> None:
    """Another text under the same id, another temperature: both stand among what else differs."""
    spec = job(questions=3)
    texts = tuple(
        msgspec.structs.replace(each, text="Another?") if each.id == "q1" else each for each in spec.questions
    )
    other = msgspec.structs.replace(spec, questions=texts[1:], sampling=Sampling(temperature=0.3))
    beside = of_runs({"A": spec, "B": other})
    assert {each.what: each.values["B"] for each in beside.differs} == {
        "prompt": ("q1",),
        "sampling": ("temperature 0.3",),
    }
    assert of_runs({"A": spec, "B": spec}) == Beside()
    assert of_runs({"A": spec, "B": None}).unknown == ("prompt", "sampling")


def test_no_gap_at_all_is_said_as_such() -> None:
    """Where two groups refuse equally often, neither has 0 points more."""
    spec = job(questions=40, starts=5, regions=job().regions[:2])
    (verdict,) = found(story(spec, us=0.1, eu=0.1), spec).verdicts
    assert "refusals are as many in us as in eu (" in verdict.sentence


def test_a_run_that_may_still_go_on_is_not_called_stopped() -> None:
    """A report in the middle of a run knows that outcomes are missing, not why."""
    spec = job()
    (note,) = found(story(spec), spec, interrupted=True).notes
    assert note.startswith("Not every execution has its outcome: the run still goes on, or it was stopped")
