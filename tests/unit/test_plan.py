from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.jobs import EU, US, spec

from beacon_cli.model import (
    Context,
    DesignRule,
    Execution,
    Limits,
    ModalTarget,
    Model,
    Question,
    Sampling,
    Schedule,
)
from beacon_cli.plan import Plan

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def test_the_users_job_is_72_executions() -> None:
    """3 regions x 8 questions x 3 models are 72 executions, 24 in each region, all with ids of their own."""
    plan = Plan(spec())
    executions = list(plan.executions())
    assert len(plan) == len(executions) == len({execution.id for execution in executions}) == 72
    assert plan.planned == {"us": 24, "eu": 24, "asia": 24}


def test_order_is_repeat_context_question() -> None:
    """Within a region the order is repeat, context, question, and `order` counts it from 0."""
    contexts = (Context(id="a", system_prompt="A"), Context(id="b", system_prompt="B"))
    plan = Plan(spec(repeats=2, contexts=contexts, models=(Model(id="m"),), questions=spec().questions[:2]))
    mine = [execution for wave in plan.waves(US) for execution in wave]
    assert [(e.repeat, e.context.id if e.context else None, e.question.id) for e in mine] == [
        (1, "a", "q0"),
        (1, "a", "q1"),
        (1, "b", "q0"),
        (1, "b", "q1"),
        (2, "a", "q0"),
        (2, "a", "q1"),
        (2, "b", "q0"),
        (2, "b", "q1"),
    ]
    assert [execution.order for execution in mine] == list(range(8))


def test_a_model_runs_only_in_its_regions() -> None:
    """A model that names its regions is planned there alone; a region without models is left out."""
    plan = Plan(spec(models=(Model(id="m", regions=("eu",)),)))
    assert plan.planned == {"eu": 8}
    assert [region.id for region in plan.regions] == ["eu"]
    assert list(plan.cells()) == [(EU, Model(id="m", regions=("eu",)))]


def test_a_contexts_prompt_takes_the_place_of_the_jobs() -> None:
    """A context's system prompt is rendered with the region's place; the job's own is not asked then."""
    plan = Plan(spec(contexts=(Context(id="local", system_prompt="You live in {region.place}."),)))
    prompts = {execution.region.id: execution.system_prompt for execution in plan.executions()}
    assert prompts == {
        "us": "You live in the United States.",
        "eu": "You live in Europe.",
        "asia": "You live in Asia.",
    }


def test_braces_in_a_question_stay_as_typed() -> None:
    """A question is never a template, whatever it holds."""
    plan = Plan(spec(questions=(Question(id="q", text="What is {model.id} in {{braces}}?"),)))
    assert {execution.question.text for execution in plan.executions()} == {"What is {model.id} in {{braces}}?"}


@given(texts, texts, texts, texts)
def test_ids_tell_cells_apart(id_a: str, text_a: str, id_b: str, text_b: str) -> None:
    """Two questions have the same execution id only if id and text are both the same."""
    ids = [
        next(Plan(spec(questions=(Question(id=name, text=text),))).executions()).id
        for name, text in ((id_a, text_a), (id_b, text_b))
    ]
    assert (ids[0] == ids[1]) == ((id_a, text_a) == (id_b, text_b))


def test_ids_stay_when_the_job_grows() -> None:
    """New questions, models, regions and repeats leave the ids of what was there before as they were."""
    before = {execution.id for execution in Plan(spec(regions=(US,))).executions()}
    grown = spec(
        repeats=2,
        models=(Model(id="new"), *spec().models),
        questions=(Question(id="new", text="New?"), *spec().questions),
    )
    assert before < {execution.id for execution in Plan(grown).executions()}


def test_an_id_is_the_same_for_ever() -> None:
    """The form of the hash is fixed: a journal of an older beacon can be resumed."""
    first = next(Plan(spec()).executions())
    assert first.id == "b0d570acf6667f8cdd48"


def test_the_fingerprint_knows_sampling_and_target() -> None:
    """Sampling and target change the fingerprint; the order of keys, questions and limits do not."""
    one = ModalTarget(app="a", function="f", arguments={"x": 1, "y": 2})
    other = ModalTarget(app="a", function="f", arguments={"y": 2, "x": 1})
    base = Plan(spec(target=one)).fingerprint
    assert Plan(spec(target=other, questions=spec().questions[:1], limits=Limits(timeout=1.0))).fingerprint == base
    assert Plan(spec(target=one, sampling=Sampling(seed=8))).fingerprint != base
    assert Plan(spec(target=ModalTarget(app="b", function="f"))).fingerprint != base


@dataclass(frozen=True)
class _Bound:
    schedule: Schedule
    limits: Limits
    expected: float


@pytest.mark.parametrize(
    "bound",
    [
        _Bound(Schedule.LOCKSTEP, Limits(), 8 * 5.0),
        _Bound(Schedule.LANES, Limits(), 8 * 5.0),
        _Bound(Schedule.LOCKSTEP, Limits(per_region=1), 8 * 9.0),
        _Bound(Schedule.LANES, Limits(per_region=1), 8 * 9.0),
        _Bound(Schedule.LOCKSTEP, Limits(concurrency=1), 3 * 8 * 9.0),
        _Bound(Schedule.LANES, Limits(concurrency=2), 3 * 8 * 9.0 / 2),
    ],
)
def test_the_lower_bound(bound: _Bound) -> None:
    """The bound is the slowest model's sum, or what the slots allow where they are fewer than the models."""

    def seconds(execution: Execution) -> float:
        return {"llama3.2-1b": 1.0, "mistral-7b": 5.0, "qwen2.5-1.5b": 3.0}[execution.model.id]

    plan = Plan(spec(schedule=bound.schedule, limits=bound.limits))
    assert plan.lower_bound(seconds) == pytest.approx(bound.expected)


def test_models_beyond_the_gpus_come_in_groups() -> None:
    """Five models where three may have containers: three go through everything, then two; `order` counts on."""
    models = tuple(Model(id=f"m{number}") for number in range(5))
    plan = Plan(spec(models=models, limits=Limits(models_at_once=3)))
    assert [len(group.models) for group in plan.groups(US)] == [3, 2]
    assert [execution.order for wave in plan.waves(US) for execution in wave] == list(range(40))


def test_each_container_start_is_a_group_of_its_own() -> None:
    """Where the design asks for container starts, each repeat is a group, and all but the first is fresh."""
    plan = Plan(spec(repeats=3, design=DesignRule(container_starts=3), limits=Limits(models_at_once=3)))
    groups = plan.groups(US)
    assert [(group.repeats, group.is_fresh) for group in groups] == [
        (range(1, 2), False),
        (range(2, 3), True),
        (range(3, 4), True),
    ]
    assert [execution.order for wave in plan.waves(US) for execution in wave] == list(range(72))
