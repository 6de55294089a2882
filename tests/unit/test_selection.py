from __future__ import annotations

import pytest
from tests.support.jobs import spec

from beacon_cli.errors import UsageError
from beacon_cli.model import Model, Question, Selection
from beacon_cli.selection import narrow
from beacon_cli.settings import REGIONS

US, EU, ASIA = REGIONS
JOB = spec(
    regions=(US, EU),
    regions_off=("asia",),
    models=(Model(id="m1"), Model(id="m2", regions=("us",)), Model(id="m3", regions=("eu",))),
    questions=(Question(id="q1", text="One?"), Question(id="q2", text="Two?")),
)


def test_nothing_selected_is_all() -> None:
    """Without a selection the job is as it was."""
    assert narrow(JOB, Selection(), REGIONS) == JOB


def test_the_order_is_the_jobs() -> None:
    """What is selected stands in the job's order, each once, under whatever name it was asked for."""
    kept = narrow(JOB, Selection(regions=("EU-west", "US", "us-east"), questions=("q2", "q1", "q2")), REGIONS)
    assert (kept.regions, kept.questions) == (JOB.regions, JOB.questions)


def test_models_that_run_in_no_selected_region_are_left_out() -> None:
    """A model that keeps to other regions is not in the plan; if that leaves none, it is said."""
    assert [model.id for model in narrow(JOB, Selection(regions=("eu",)), REGIONS).models] == ["m1", "m3"]
    with pytest.raises(UsageError, match="no selected model runs in a selected region"):
        narrow(JOB, Selection(regions=("eu",), models=("m2",)), REGIONS)


def test_the_first_questions_of_those_selected() -> None:
    """`limit` counts what is left after the questions were selected."""
    assert [question.id for question in narrow(JOB, Selection(limit=1), REGIONS).questions] == ["q1"]
    kept = narrow(JOB, Selection(limit=1, questions=("q2",)), REGIONS)
    assert [question.id for question in kept.questions] == ["q2"]


@pytest.mark.parametrize("name", ["asia", "ASIA", "APAC", "asia-pacific"])
def test_a_region_that_is_off_is_refused_by_any_name(name: str) -> None:
    """A region that the configuration switched off is called that, by its id and by its other names."""
    with pytest.raises(UsageError, match=f"region '{name}' is switched off in the configuration"):
        narrow(JOB, Selection(regions=(name,)), REGIONS)


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(regions=("erope",)), "unknown region 'erope'; known: us, eu in this job"),
        (Selection(models=("m4",)), "the job has no model 'm4'; known: m1, m2, m3"),
        (Selection(questions=("why",)), "the job has no question 'why'; known: q1, q2"),
    ],
)
def test_names_that_the_job_lacks(selection: Selection, said: str) -> None:
    """A name that is not the job's is refused with those that are."""
    with pytest.raises(UsageError) as refused:
        narrow(JOB, selection, REGIONS)
    assert said in str(refused.value)
