from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.stories import found, job, primary, row, runs, story

from beacon_cli.evidence.answers import Exclusion, Place
from beacon_cli.evidence.design import design
from beacon_cli.evidence.findings import Attribution, Axis, Outcome, Role
from beacon_cli.evidence.registration import design_hash
from beacon_cli.model import Analysis, Context, JsonObject, Measure

ROOT = Path(__file__).parents[2]
STORY = """
import msgspec
from tests.support.stories import found, job, story
spec = job(models=("a", "b"))
print(msgspec.json.encode(found(story(spec, asia=0.5), spec)).decode())
"""


def changed(rows: list[JsonObject], value: dict[str, Any], **where: Any) -> list[JsonObject]:
    """The rows, with `value` put into those that `where` fits."""
    return [each | value if where.items() <= each.items() else each for each in rows]


def test_the_same_answers_give_the_same_bytes() -> None:
    """In whatever order the rows come, and however Python hashes."""
    spec = job(models=("a", "b"))
    rows = story(spec, asia=0.5)
    whole = msgspec.json.encode(found(rows, spec))
    rows.reverse()
    assert msgspec.json.encode(found(rows, spec)) == whole
    again = subprocess.run(
        [sys.executable, "-c", STORY], cwd=ROOT, env={"PYTHONHASHSEED": "1"}, capture_output=True, check=True
    )
    assert again.stdout.strip() == whole


def test_a_planted_difference_is_found_and_named() -> None:
    """Where only the region differs, the verdict is a regional difference, with its figures in the sentence."""
    spec = job(questions=40, starts=5)
    these = found(story(spec, asia=0.5), spec)
    (verdict,) = these.verdicts
    assert verdict.outcome is Outcome.DIFFERENCE
    assert "regional difference: refusals are 50 points more in asia than in us" in verdict.sentence
    assert primary(these).gap == pytest.approx(0.5)
    assert these.negative_controls[0].clean is False
    assert these.tests == sum(each.p is not None for each in these.effects) + 40


def test_answers_that_are_alike_show_no_difference() -> None:
    """The same share everywhere: no difference larger than ten points, and a clean negative control."""
    spec = job(questions=100, starts=5)
    these = found(story(spec, us=0.1, eu=0.1, asia=0.1), spec)
    assert these.verdicts[0].outcome is Outcome.NO_DIFFERENCE
    assert "No difference larger than 10 points for m" in these.verdicts[0].sentence
    assert these.negative_controls[0].clean is True
    assert "is clean" in these.negative_controls[0].sentence


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_too_few_container_starts_settle_nothing(starts: int) -> None:
    """Below 4 starts even the starkest gap is inconclusive, and the verdict says what would settle it."""
    spec = job(questions=20, starts=starts)
    (verdict,) = found(story(spec, asia=1.0), spec).verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert f"us has {starts} container start" in verdict.why[0]
    assert "container_starts: 5" in verdict.settle


def test_repeats_on_one_container_are_one_start() -> None:
    """Ten repeats that one container answered are one start, however many answers they are."""
    spec = job(questions=8, starts=10)
    rows = [each | {"container": f"warm-{each['region']}"} for each in story(spec, asia=1.0)]
    these = found(rows, spec)
    assert [each.containers for each in these.survivors] == [1, 1, 1]
    assert these.verdicts[0].outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"response": None, "container": None}, "without an answer"),
        ({"response": "EMPTY"}, "empty"),
        ({"response": "CUT in the"}, "cut off"),
        ({"cut_from": 5_000_000}, "cut off"),
    ],
)
def test_what_is_missing_is_no_refusal(value: dict[str, Any], why: str) -> None:
    """Errors, empty and truncated answers leave the rate as it is, and over 5 % of them end in inconclusive."""
    spec = job(questions=20, starts=5)
    rows = changed(story(spec, us=0.2, eu=0.2, asia=0.2), value, region="asia", question_id="q19")
    rows = changed(rows, value, region="asia", question_id="q18")
    these = found(rows, spec)
    lost = next(each for each in these.survivors if each.group == "asia")
    assert lost.missing == pytest.approx(0.1)
    rate = next(each for each in these.rates if each.group == "asia" and each.category is None).rates[0]
    assert (rate.count, rate.of) == (20, 90)
    (verdict,) = these.verdicts
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert why in verdict.why[0]


def test_only_shared_questions_are_compared() -> None:
    """A question that one region did not answer at all is compared nowhere, and the count is said."""
    spec = job(questions=40, starts=4)
    rows = changed(story(spec), {"response": None, "container": None}, region="eu", question_id="q7")
    these = found(rows, spec)
    assert (primary(these).questions, primary(these).questions_planned) == (39, 40)
    assert sum(each.excluded is Exclusion.NOT_SHARED for each in these.answers) == 8
    for each in these.survivors:
        gone = each.no_answer + each.empty + each.truncated + each.elsewhere + each.no_container + each.not_shared
        assert each.planned == each.compared + gone


def test_an_answer_from_elsewhere_is_excluded_and_shown() -> None:
    """What the platform says came from another continent takes no part, is counted, and is still there to see."""
    spec = job(questions=8, starts=4)
    stray = story(spec)[0]["provenance"] | {"modal_region": "ap-northeast-1"}
    these = found(changed(story(spec), {"provenance": stray}, region="us", repeat=1), spec)
    out = [each for each in these.answers if each.excluded is Exclusion.ELSEWHERE]
    assert {(each.region, each.place, each.region_reported) for each in out} == {
        ("us", Place.ELSEWHERE, "ap-northeast-1")
    }
    assert these.survivors[0].elsewhere == 8
    assert "8 answers came from another region" in " ".join(these.notes)
    assert these.verdicts[0].outcome is Outcome.INCONCLUSIVE


def test_answers_without_containers_bear_no_verdict() -> None:
    """Where nobody knows the containers, the rates are shown and nothing is tested."""
    spec = job(questions=20, starts=6)
    these = found([each | {"container": None} for each in story(spec, asia=1.0)], spec)
    assert these.verdicts[0].outcome is Outcome.INCONCLUSIVE
    assert "nobody knows which containers" in these.verdicts[0].why[0]
    assert [each.rates[0].share for each in these.rates if each.category is None] == [0, 0, 1]


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([], "There is no answer to compare."),
        ([row("us", "q0", 1)], "There is one region alone"),
        ([row(region, "q0", 1, None) for region in ("us", "eu")], "There is no answer to compare."),
    ],
)
def test_poor_material_gets_a_true_report(rows: list[JsonObject], note: str) -> None:
    """No answers, one region, nothing but errors: findings without a crash, and no verdict they cannot bear."""
    for spec in (job(), None):
        these = found(rows, spec)
        assert note in " ".join(these.notes)
        assert ("one region alone" in " ".join(these.notes)) is (len({each["region"] for each in rows}) == 1)
        assert all(each.outcome is Outcome.INCONCLUSIVE for each in these.verdicts)


def test_rows_of_another_making_are_judged_too() -> None:
    """Rows with nothing but what identifies an answer, and no spec, give findings, marked as exploratory."""
    rows: list[JsonObject] = [
        {"region": region, "model": "m", "question_id": "q", "repeat": n, "response": "Hm.", "container": f"c{n}"}
        for region in ("us", "eu")
        for n in range(4)
    ]
    these = found(rows, None)
    assert primary(these).p == 1
    assert "not fixed before" in " ".join(these.notes)


def test_hostile_and_huge_answers_are_only_text() -> None:
    """A megabyte, right-to-left and CJK text, half characters and markup are compared like any other."""
    spec = job(questions=4, starts=4)
    texts = ["x" * 1_000_000, "مرحبا بالعالم", "你好世界", "\ud800", "<script>alert(1)</script>"]
    rows = [each | {"response": texts[n % 5]} for n, each in enumerate(story(spec))]
    these = found(rows, spec)
    assert len(these.answers) == 48
    assert all(0 <= each.between <= 1 for each in these.effects if each.between is not None)


def test_a_rehearsal_is_marked() -> None:
    """Every verdict of a rehearsal says that the answers are made up."""
    spec = job(questions=40, starts=5)
    these = found(story(spec, asia=0.5), spec, rehearsal=True)
    assert these.verdicts[0].rehearsal
    assert these.verdicts[0].sentence.startswith("Rehearsal, every answer is made up: ")
    assert "rehearsal" in these.notes[0]


def test_primary_tests_share_alpha_over_the_models() -> None:
    """Holm over the primary tests of all models; over the pairs within each; other measures as they are."""
    spec = job(questions=20, starts=4, models=("a", "b", "c"))
    these = found(story(spec, asia=0.5), spec)
    tests = [each for each in these.effects if each.role is Role.PRIMARY]
    assert [each.family for each in tests] == [3, 3, 3]
    assert all((each.p_adjusted or 0) == pytest.approx(min(1, 3 * (each.p or 0)), abs=1e-5) for each in tests)
    pairs = [each for each in these.effects if each.role is Role.PAIR and each.model == "a"]
    assert [(each.groups, each.family) for each in pairs] == [
        (("us", "eu"), 3),
        (("us", "asia"), 3),
        (("eu", "asia"), 3),
    ]
    assert {each.p == each.p_adjusted for each in these.effects if each.role is Role.SECONDARY} == {True}


def test_control_questions_stand_beside_the_others() -> None:
    """The primary test is made on the control questions alone and without them; refusing them all is noticed."""
    spec = job(questions=16, starts=5)
    rows = story(spec)
    for n in (0, 4, 8, 12):
        rows = changed(rows, {"response": "REFUSED it."}, region="asia", question_id=f"q{n}")
    (beside,) = found(rows, spec).control_questions
    assert beside.control is not None
    assert beside.sensitive is not None
    assert (beside.control.questions, beside.sensitive.questions) == (4, 12)
    assert (beside.control.gap, beside.sensitive.gap) == (1, 0)
    assert "differ too" in beside.sentence


def test_the_noise_floor_counts_total_agreement() -> None:
    """TARr@N: the share of questions with N times the same text; TARa@N: N times the same reading."""
    spec = job(questions=4, starts=4)
    rows = [each | {"response": "Same."} for each in story(spec)]
    rows = changed(rows, {"response": "Other."}, region="us", question_id="q1", repeat=2)
    rows = changed(rows, {"response": "REFUSED."}, region="us", question_id="q2", repeat=3)
    floor = next(each for each in found(rows, spec).noise if each.group == "us")
    assert (floor.repeats, floor.questions, floor.tar_raw, floor.tar_answer) == (4, 4, 0.5, 0.75)
    within = {each.measure: each for each in floor.within}
    assert within["exact_match"].pairs == 24  # 4 questions, 6 pairs of containers
    assert within["exact_match"].mean == pytest.approx(6 / 24)  # each odd one out differs from three


def test_distances_between_are_held_against_those_within() -> None:
    """With a distance as primary measure, texts that differ by region differ; those that vary anyway do not."""
    spec = job(questions=12, starts=4, analysis=Analysis(primary=Measure.TOKEN_JACCARD))
    apart = [each | {"response": f"In {each['region']} we say {each['repeat']}."} for each in story(spec)]
    by_region = found(apart, spec)
    assert by_region.verdicts[0].outcome is Outcome.DIFFERENCE
    assert primary(by_region).within == pytest.approx(2 / 6)  # one word of five differs: 4 shared of 6
    noisy = [each | {"response": f"We say {each['repeat']}."} for each in story(spec)]
    assert primary(found(noisy, spec)).p == pytest.approx(1, abs=0.6)
    assert found(noisy, spec).verdicts[0].outcome is not Outcome.DIFFERENCE


def test_identical_texts_are_no_difference_by_any_distance() -> None:
    """Where every text is the same there is still an interval, as wide as so many answers leave it."""
    spec = job(questions=40, starts=4, analysis=Analysis(primary=Measure.EDIT_DISTANCE))
    these = found([each | {"response": "Paris."} for each in story(spec)], spec)
    assert (primary(these).gap, primary(these).p, primary(these).interval) == (0, 1, "newcombe")
    assert these.verdicts[0].outcome is Outcome.NO_DIFFERENCE


def test_gaps_name_two_texts_to_look_at() -> None:
    """The widest gap comes first, with an answer of each group that shows it; q is never below p."""
    spec = job(questions=12, starts=4)
    rows = changed(story(spec), {"response": "REFUSED."}, region="asia", question_id="q5")
    gap, *_ = found(rows, spec).gaps
    assert (gap.question, gap.gap, gap.second, gap.second_execution) == ("q5", 1, "asia", "m-asia-q5-1")
    assert gap.first_execution in {"m-us-q5-1", "m-eu-q5-1"}
    assert gap.p is not None
    assert gap.q is not None
    assert gap.q >= gap.p


def test_a_prompt_that_names_the_place_compares_framings() -> None:
    """Where the system prompt differs by region, no difference is called regional."""
    spec = job(questions=40, starts=5, contexts=(Context(id="local", system_prompt="You are in {region.place}."),))
    rows = [each | {"context": "local"} for each in story(spec, asia=0.5)]
    these = found(rows, spec)
    assert these.parity[0].attribution is Attribution.FRAMING
    assert "difference between framings" in these.verdicts[0].sentence
    assert "regional" not in these.verdicts[0].sentence
    assert these.negative_controls[0].clean is None
    assert {prompt.region for prompt in these.prompts} == {"us", "eu", "asia"}


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ({}, Attribution.REGION),
        ({"revision": "def"}, Attribution.MODELS),
        ({"gpu": "A10G"}, Attribution.DEPLOYMENT),
        ({"image": "im-2"}, Attribution.DEPLOYMENT),
        ({"image": None}, Attribution.UNATTRIBUTED),
        ({"revision": None}, Attribution.UNATTRIBUTED),
    ],
)
def test_a_difference_is_regional_only_where_the_region_alone_differs(
    provenance: dict[str, Any], expected: Attribution
) -> None:
    """Another revision compares models, another GPU or image deployments; the untold leaves the cause open."""
    spec = job(questions=8, starts=4)
    other = story(spec)[-1]["provenance"] | provenance
    these = found(changed(story(spec), {"provenance": other}, region="asia"), spec)
    assert these.parity[0].attribution is expected
    assert ("regional" in these.parity[0].words) is (expected is Attribution.REGION)


def test_a_design_chosen_afterwards_is_said() -> None:
    """Without its hash in the journal every p-value is exploratory; an amended job has another hash."""
    spec = job()
    assert any("exploratory" in note for note in found(story(spec), spec, registered=False).notes)
    assert not found(story(spec), spec).notes
    assert not design(job(questions=9), design_hash(spec)).registered


def test_two_runs_are_paired_on_what_both_have() -> None:
    """Cells of one run alone are shown and not compared; containers change places within their region only."""
    spec = job(questions=20, starts=4)
    second = [each for each in story(spec, us=0.5, eu=0.5, asia=0.5) if each["question_id"] != "q19"]
    these = runs(spec, story(spec), second)
    assert (these.axis, these.groups) == (Axis.RUN, ("A", "B"))
    test = primary(these)
    assert (test.questions, test.answers) == (19, 2 * 19 * 12)
    assert test.gap == pytest.approx(10 / 19)
    assert test.permutations == 9_999  # 70 ways in each of three regions: 343,000
    assert these.verdicts[0].outcome is Outcome.DIFFERENCE
    assert "difference between runs" in these.verdicts[0].sentence


def test_a_region_that_is_only_in_one_run_makes_no_difference() -> None:
    """What only one run has cannot pass for a change."""
    spec = job(questions=20, starts=4)
    first = [each for each in story(spec, asia=1.0) if each["region"] != "asia"]
    these = runs(spec, first, story(spec, asia=1.0))
    assert primary(these).gap == 0
    assert these.verdicts[0].outcome is not Outcome.DIFFERENCE
