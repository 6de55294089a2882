from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.jobs import EU, US, spec

from beacon_cli.amendment import changes
from beacon_cli.model import (
    Analysis,
    Context,
    DesignRule,
    Limits,
    Model,
    Question,
    Region,
    RetryRule,
    Sampling,
    SimulatedTarget,
    Spec,
)
from beacon_cli.plan import Plan

MORE = Question(id="new", text="New?")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"questions": (*spec().questions, MORE)}, "question 'new' is new"),
        ({"models": (*spec().models, Model(id="m"))}, "model 'm' is new"),
        ({"regions": (*spec().regions, Region(id="sa", app="sa", place="Brazil"))}, "region 'sa' is new"),
        ({"repeats": 3}, "repeats: 1 before, 3 now"),
        ({"limits": Limits(timeout=1.0)}, "limits changed"),
        ({"retry": RetryRule(attempts=9)}, "retry changed"),
    ],
)
def test_a_run_may_grow(now: dict[str, Any], said: str) -> None:
    """New questions, models, regions and repeats, and how a run goes about its work, can be taken up."""
    found = changes(spec(), spec(**now))
    assert said in found.added
    assert not found.refused


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"questions": (Question(id="q0", text="Changed?"), *spec().questions[1:])}, "question 'q0' changed"),
        ({"questions": spec().questions[1:]}, "question 'q0' is no longer there"),
        ({"models": spec().models[1:]}, "model 'llama3.2-1b' is no longer there"),
        ({"models": (Model(id="llama3.2-1b", regions=("us",)), *spec().models[1:])}, "runs in other regions"),
        ({"regions": (US, EU)}, "region 'asia' is no longer there"),
        ({"sampling": Sampling(seed=1)}, "sampling changed"),
        ({"target": SimulatedTarget(seed=1)}, "the executor changed"),
        ({"system_prompt": "Other."}, "the system prompt changed"),
        ({"contexts": (Context(id="c", system_prompt="C"),)}, "contexts take the place"),
        ({"id": "other"}, "the job's id changed"),
        ({"analysis": Analysis(alpha=0.01)}, "the analysis changed"),
        ({"design": DesignRule(container_starts=5)}, "the design changed"),
        ({"regions": (US, EU), "regions_off": ("asia",)}, "region 'asia' is switched off in the configuration"),
    ],
)
def test_a_run_never_changes_its_meaning(now: dict[str, Any], said: str) -> None:
    """Changed or missing text, models, regions, sampling, executor and prompts are refused, and named."""
    assert any(said in what for what in changes(spec(), spec(**now)).refused)


def test_fewer_repeats_are_refused() -> None:
    """A run cannot forget answers that it has."""
    assert changes(spec(repeats=3), spec(repeats=2)).refused


def test_nothing_changed() -> None:
    """The same job gives no change."""
    found = changes(spec(), spec())
    assert (found.added, found.refused) == ((), ())


def _specs() -> st.SearchStrategy[Spec]:
    questions = st.lists(
        st.builds(Question, id=st.sampled_from("abc"), text=st.sampled_from("xy")),
        min_size=1,
        unique_by=lambda question: question.id,
    )
    models = st.lists(
        st.builds(Model, id=st.sampled_from("mn"), regions=st.sampled_from([None, ("us",), ("us", "eu")])),
        min_size=1,
        unique_by=lambda model: model.id,
    )
    return st.builds(
        lambda asked, running, regions, repeats, prompt: spec(
            questions=tuple(asked), models=tuple(running), regions=regions, repeats=repeats, system_prompt=prompt
        ),
        questions,
        models,
        st.sampled_from([(US,), (US, EU)]),
        st.integers(1, 2),
        st.sampled_from([None, "P"]),
    )


@given(_specs(), _specs())
def test_what_is_taken_up_loses_no_execution(before: Spec, now: Spec) -> None:
    """If nothing is refused, every execution of the run is an execution of the job as it is now, by its id."""
    if not changes(before, now).refused:
        ids = {execution.id for execution in Plan(before).executions()}
        assert ids <= {execution.id for execution in Plan(now).executions()}
