from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.jobs import spec

from beacon_cli.model import Sampling
from beacon_cli.plan import Plan
from beacon_cli.templates import ARGUMENT_NAMES, argument_values, fill, names


def test_a_lone_placeholder_keeps_its_type() -> None:
    """A value that is exactly one placeholder takes the value itself; within a text it becomes text."""
    values = {"sampling.seed": 7, "model.id": "m"}
    assert fill({"seed": "{sampling.seed}", "name": "{model.id}-{sampling.seed}"}, values) == {
        "seed": 7,
        "name": "m-7",
    }


def test_what_was_put_in_is_never_expanded_again() -> None:
    """A prompt that looks like a placeholder stays a prompt."""
    assert fill("Q: {prompt}", {"prompt": "{model.id}", "model.id": "secret"}) == "Q: {model.id}"


def test_doubled_braces_are_braces() -> None:
    """`{{name}}` gives `{name}`, and is no placeholder."""
    assert list(names("{{model.id}} {model.id}")) == ["model.id"]
    assert fill("{{model.id}} {model.id}", {"model.id": "m"}) == "{model.id} m"


@given(st.text().filter(lambda text: not list(names(text)) and "{{" not in text))
def test_every_other_brace_stays(text: str) -> None:
    """Text without placeholders comes out as it went in: JSON, code, lone braces."""
    assert fill(text, {}) == text


def test_every_documented_name_has_a_value() -> None:
    """An attempt has a value for each name that the spec admits in an argument, and for no other."""
    execution = next(Plan(spec()).executions())
    assert set(argument_values(execution, 1, Sampling())) == set(ARGUMENT_NAMES)


def test_nested_values_are_filled() -> None:
    """Lists and mappings are gone through; numbers and nothing stay."""
    values = {"model.id": "m"}
    assert fill({"a": ["{model.id}", {"b": "x{model.id}"}], "c": 1, "d": None}, values) == {
        "a": ["m", {"b": "xm"}],
        "c": 1,
        "d": None,
    }
    assert list(names({"a": ["{model.id}", {"b": "{prompt}"}], "c": 1})) == ["model.id", "prompt"]
