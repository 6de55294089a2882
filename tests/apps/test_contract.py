"""The apps and beacon share names and no code: one test for each name that both have."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from beacon_app import serving, settings
from beacon_app.answer import About, failure, success
from beacon_app.answer import metrics as log_line
from beacon_app.engine import Made, Said
from beacon_cli import settings as configuration
from beacon_cli import wiring
from beacon_cli.behaviour import answers
from beacon_cli.behaviour.timing import Asked
from beacon_cli.emulator import deployment
from beacon_cli.evidence import parity
from beacon_cli.executors.answers import DROPPED, outcome_of
from beacon_cli.model import Failed, ModalTarget, Succeeded
from beacon_cli.operations import deploying
from beacon_cli.timings import metrics
from beacon_cli.timings.claims import of_mapping

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml"))
METHODS = {"generate": serving.Model.generate, "health": serving.Model.health}
MOST = 1_000_000
SAID = Said(text="4", finish_reason="stop", prompt_tokens=3, tokens=1, chat="template", memory_gb=2.5)
ABOUT = About(
    model="llama3.2-1b",
    repository="meta-llama/Llama-3.2-1B-Instruct",
    revision="9" * 40,
    where={"region": "eu", "cloud": "c", "modal_region": "m", "container": "ta-1", "image": "im-1"},
    made=Made(engine="transformers", version="5", dtype="float16", gpu="Tesla T4"),
    driver="580.1",
    cold=True,
    restored=False,
    boot=3.0,
    load=20.0,
    started_at=1.0,
    seed=7,
    drawn_seed=None,
    execution_id="e1",
    attempt=1,
)


@pytest.mark.parametrize("name", deployment.METHODS)
def test_the_methods_are_those_that_the_emulator_plays(name: str) -> None:
    """Methods of the class take the same arguments, in the same order, with the same defaults."""
    ours = list(inspect.signature(_raw(METHODS[name])).parameters.values())[1:]
    assert [_form(each) for each in ours] == _played(deployment.METHODS[name])


@pytest.mark.parametrize("name", deployment.FUNCTIONS)
def test_the_functions_are_those_that_the_emulator_plays(name: str) -> None:
    """Functions of the app take arguments of the same names; defaults may be the app's own."""
    ours = inspect.signature(getattr(serving, name)).parameters.values()
    played = inspect.signature(deployment.FUNCTIONS[name]).parameters.values()
    assert [(each.name, each.default is each.empty) for each in ours] == [
        (each.name, each.default is each.empty) for each in played
    ]


def test_the_classes_are_those_that_the_emulator_plays() -> None:
    """Classes and their one parameter have the same names, and the classes the same GPUs."""
    assert dict(settings.GPU_OF) == dict(deployment.CLASSES)
    for name in deployment.CLASSES:
        assert next(iter(inspect.get_annotations(getattr(serving, name)))) == deployment.PARAMETER


def test_apps_and_regions_are_those_of_the_configuration() -> None:
    """Each default region has an app, by the same name, that asks Modal for the same regions."""
    ours = [(place.id, place.app, place.regions) for place in settings.PLACES]
    assert ours == [(region.id, region.app, region.modal) for region in configuration.REGIONS]
    assert [settings.APP.format(app=place.app) for place in settings.PLACES] == [
        app.name for app in deployment.APPS
    ]


def test_what_deploys_and_what_is_deployed_name_the_same() -> None:
    """File, app, function and variable go by one name on both sides."""
    assert deploying.APP == settings.APP
    assert deploying.SECRET_VARIABLE == settings.SECRET_VARIABLE
    assert hasattr(serving, deploying.DOWNLOAD)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_every_job_of_ours_asks_models_that_the_apps_have(path: Path) -> None:
    """A job that calls the apps names models of the table, and a class and method that are there."""
    _, spec = wiring.job(path, wiring.settings())
    if not isinstance(spec.target, ModalTarget):
        assert "modal" not in (yaml.safe_load(path.read_text(encoding="utf-8")).get("executor") or {"modal": 1})
        return
    assert [model.id for model in spec.models if settings.card(model.id) is None] == []
    assert (
        f"{spec.target.cls}.{spec.target.method}" in deployment.PLAYED or spec.target.function == "run_inference"
    )


def test_beacon_reads_an_answer_of_the_apps_whole() -> None:
    """Nothing of a good answer is dropped, renamed or masked on its way into beacon's results."""
    answer = success(ABOUT, SAID, seconds=3.0)
    outcome = outcome_of(answer, MOST)
    assert isinstance(outcome, Succeeded)
    assert (outcome.response, outcome.container, outcome.cold_start) == ("4", "ta-1", True)
    apart = {"response", "status", "container", "cold_start"}
    assert outcome.provenance == {key: value for key, value in answer.items() if key not in apart}
    assert DROPPED not in outcome.provenance


def test_beacon_reads_a_failure_of_the_apps_with_its_provenance() -> None:
    """A failed answer is a failure of the model that keeps where it happened."""
    outcome = outcome_of(failure(ABOUT, "out of memory", seconds=1.0), MOST)
    assert isinstance(outcome, Failed)
    assert (outcome.message, outcome.transient) == ("out of memory", True)
    assert outcome.provenance["gpu"] == "Tesla T4"


def test_a_rehearsals_answer_has_no_key_that_the_apps_lack() -> None:
    """What the emulator answers has the keys of the apps and the mark of a rehearsal, whether good or failed."""
    served = answers.Served(container="ta-1", cold=True, boot=1.0, queue=0.0, generation=1.0)
    asked = Asked(region="eu", model="llama3.2-1b", prompt="What is 2+2?", key="e1")
    played = answers.reply(0, asked, served, None)
    ours = success(ABOUT, SAID, seconds=3.0)
    assert set(played) - set(ours) == {"synthetic"}
    assert set(played["seconds"]) == set(ours["seconds"])
    assert {key for key in set(played) & set(ours) if type(played[key]) is not type(ours[key])} == set()


def test_beacon_knows_what_an_answer_says_of_its_making() -> None:
    """Every fact that a difference is held against is told by the apps, but those that are the job's own."""
    told = set(success(ABOUT, SAID, seconds=3.0))
    untold = {fact for fact, keys in parity.FACTS.items() if not told & set(keys)}
    assert untold == {"temperature"}


def test_the_line_of_the_log_is_one_that_beacon_counts() -> None:
    """`beacon metrics --from-logs` reads from the app's line what it would read from the answer."""
    answer = success(ABOUT, SAID, seconds=3.0)
    sample = metrics.of_log_line(f"2026-11-22T01:00:00 {log_line(answer)}")
    assert sample is not None
    assert (sample.region, sample.model) == ("eu", "llama3.2-1b")
    assert sample.claims == of_mapping(answer, cold=True, container=sample.claims.container)
    assert (sample.claims.start, sample.claims.generation, sample.claims.memory) == (23.0, 3.0, 2.5)


def test_answers_are_json() -> None:
    """What goes out is data of JSON types alone."""
    for answer in (success(ABOUT, SAID, seconds=3.0), failure(ABOUT, "x", seconds=1.0)):
        assert msgspec.json.decode(msgspec.json.encode(answer)) == answer


def test_every_revision_is_a_whole_commit() -> None:
    """A short or a moving name would let the weights change under a published result."""
    for card in settings.MODELS:
        assert len(card.revision) == 40
        assert set(card.revision) <= set("0123456789abcdef")


def test_every_model_has_a_class_that_holds_it() -> None:
    """`Model` serves all of them; the cheapest class of each has just its GPU."""
    for card in settings.MODELS:
        assert settings.fits(card, "Model")
        assert settings.GPU_OF[settings.cheapest(card)] == card.gpu


def test_a_model_is_known_by_short_name_and_repository() -> None:
    """Both names find the same card, whatever the case; other names find none."""
    for card in settings.MODELS:
        assert settings.card(card.id.upper()) is settings.card(card.repository.lower()) is card
    assert settings.card("") is settings.card("llama") is None


def test_a_region_that_is_not_there_is_told() -> None:
    """An app of no region cannot be made by a slip."""
    with pytest.raises(ValueError, match="no region 'mars'; there are us, eu, asia"):
        settings.place("mars")


def test_modal_finds_types_and_not_text_for_parameters() -> None:
    """The annotations of the classes are types: Modal refuses text, which postponed evaluation would leave."""
    for cls in (serving.Model, serving.ModelT4):
        assert inspect.get_annotations(cls)["model"] is str


def _raw(method: Any) -> Any:
    """The function below Modal's decorator."""
    return method._get_raw_f()


def _form(parameter: inspect.Parameter) -> tuple[str, Any]:
    return parameter.name, parameter.default


def _played(function: Any) -> list[tuple[str, Any]]:
    return [_form(each) for each in inspect.signature(function).parameters.values()]
