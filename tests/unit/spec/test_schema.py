from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from beacon_cli import spec
from beacon_cli.errors import SpecError
from beacon_cli.model import JsonObject, Spec

LoadText = Callable[[str], Spec]

JOBS = Path(__file__).parents[3] / "jobs"


@pytest.fixture(scope="module")
def schema() -> JsonObject:
    """The schema, which is itself checked."""
    schema = spec.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def test_the_committed_schema_is_the_one_that_the_code_gives(schema: JsonObject) -> None:
    """Editors read jobs/schema.json: it must be what `beacon schema` prints."""
    assert json.loads((JOBS / "schema.json").read_text(encoding="utf-8")) == schema


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_fits_the_schema(schema: JsonObject, path: Path) -> None:
    """No editor marks a job that beacon accepts."""
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), schema, cls=jsonschema.Draft202012Validator)
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"models": []},
        {"models": [{"name": "m"}]},
        {"questions": [{"id": "q"}]},
        {"questions": {"fil": "q.csv"}},
        {"repeats": 0},
        {"repeats": "1"},
        {"sampling": {"temperature": 3}},
        {"sampling": {"top_p": 0}},
        {"limits": {"timeout": 30}},
        {"limits": {"timeout": "30 s"}},
        {"limits": {"timeout": ""}},
        {"schedule": "stairs"},
        {"executor": {}},
        {"executor": {"simulated": {"speed": 0}}},
        {"executor": {"modal": {"app": "a", "arguments": {"p": "x"}}}},
        {"executor": {"modal": {"app": "a", "cls": "C", "arguments": {"p": "x"}}}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_beacon_refuses(
    schema: JsonObject, load_text: LoadText, wrong: JsonObject
) -> None:
    """Keys, kinds and ranges are in the schema, so that an editor says at once what beacon would say later."""
    job = {"id": "j", "regions": ["us"], "models": ["m"], "questions": [{"id": "q", "text": "Why?"}]}
    jsonschema.validate(job, schema)
    assert load_text(json.dumps(job)).id == "j"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job | wrong, schema)
    with pytest.raises(SpecError):
        load_text(json.dumps(job | wrong))


def test_defaults_in_the_schema_are_written_as_people_write_them(schema: JsonObject) -> None:
    """A duration's default is text with a unit, as the schema itself demands."""
    limits, retry = schema["$defs"]["LimitsPart"]["properties"], schema["$defs"]["RetryPart"]["properties"]
    assert [limits["timeout"]["default"], retry["first"]["default"], retry["longest"]["default"]] == [
        "15m",
        "2s",
        "1m",
    ]


def test_the_template_loads_as_it_is(schema: JsonObject, load_text: LoadText) -> None:
    """The job file that beginners get is right, fits the schema, and shows every key."""
    text = spec.template()
    assert load_text(text).id == "my-job"
    jsonschema.validate(yaml.safe_load(text), schema)
    assert [key for key in schema["properties"] if f"{key}:" not in text] == []


def test_the_template_loads_with_its_comments_taken_off(load_text: LoadText) -> None:
    """What the template shows in comments is right, too."""
    lines = spec.template().split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("# executor:"))
    shown = [line.removeprefix("# ") for line in lines[start:]]
    contexts = [line.removeprefix("# ") for line in lines if line.startswith(("# contexts:", "#   - {id: local"))]
    job = load_text("\n".join([*lines[:start], *contexts, *shown]))
    assert job.contexts[0].id == "local"
    assert job.ignore == ("temperature", "max_tokens", "seed")
