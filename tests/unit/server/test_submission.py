"""What a client posts, as a job file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.errors import SpecError
from beacon_cli.server import submission
from beacon_cli.settings import Settings
from beacon_cli.spec import source
from beacon_cli.spec.source import Plain

ALLOWED = Settings(home=Path("home"))
TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(lambda key: len(key) < 200), inner, max_size=4)
    ),
    max_leaves=20,
)
JOB = {
    "id": "posted",
    "regions": ["US"],
    "models": ["mistral-7b", {"id": "llama3.2-1b", "regions": ["us"]}],
    "questions": [{"id": "q", "text": "Why: #1 \u2013 \u2028 \U0001f600 \x7f?\n- {x}"}],
    "sampling": {"temperature": 0.1, "max_tokens": 50},
    "limits": {"timeout": "5m"},
}


def faults(body: bytes, kind: str = submission.JSON) -> list[str]:
    """What is wrong with a job."""
    with pytest.raises(SpecError) as caught:
        submission.job(body, kind, ALLOWED)
    return [str(fault) for fault in caught.value.faults]


def plain(value: Any) -> Any:
    """What a parsed file means, as JSON types."""
    match value:
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case Plain():
            return json.loads(value)
    return value


@given(VALUES.map(lambda value: {"value": value}))
def test_what_is_written_means_the_same_as_json_and_as_yaml(value: Any) -> None:
    """Every text survives, whatever characters are in it; numbers stay numbers, text that looks like one text."""
    file = submission.written(value)
    assert json.loads(file) == value
    assert plain(source.parse(source.decode(file, "job"), "job").tree) == value


def test_a_job_may_be_yaml_or_json() -> None:
    """They mean the same; YAML is kept word for word."""
    as_json = submission.job(json.dumps(JOB, ensure_ascii=False).encode(), submission.JSON, ALLOWED)
    again = submission.job(as_json.file, "application/yaml", ALLOWED)
    assert as_json.spec == again.spec
    assert again.file == as_json.file
    assert as_json.spec.questions[0].text == JOB["questions"][0]["text"]  # type: ignore[index]  # a mapping


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "job: is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff\xfe\x00", "job: is not valid JSON: "),
        (b"nul", "job: is not valid JSON: "),
        (b"[" * 100_000, "job: is not valid JSON: nested too deeply"),
        (b"[" * 70 + b"]" * 70, "job: is not valid JSON: nested too deeply"),
        (b'{"id": "a", "id": "b"}', "job: is not valid JSON: a key is given twice"),
        (b'{"id": NaN}', "job: is not valid JSON: NaN is no number"),
        (b'{"id": 1e999}', "job: a number is too large"),
        (b'{"id": ' + b"9" * 5_000 + b"}", "job: is not valid JSON: "),
        (b'{"id": "\\ud83d"}', "job: a text holds half a character, which UTF-8 cannot carry"),
        (b"3", "job: must be a mapping with id, regions, models, "),
    ],
)
def test_json_that_is_none_is_one_fault(body: bytes, fault: str) -> None:
    """It says what is wrong, and names no place in a text that the client never saw."""
    found = faults(body)
    assert len(found) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize("kind", [submission.JSON, "application/yaml"])
def test_a_job_has_an_end(kind: str) -> None:
    """A few lines can ask for more than any machine can hold; the product counts, not the lines."""
    many = [{"id": f"m{number}"} for number in range(11)]
    job = {**JOB, "models": many, "questions": [{"id": "q", "text": "Why?"}]}
    body = json.dumps({**job, "repeats": 9_091}).encode()
    assert faults(body, kind) == ["job: it has 100,001 executions; a posted job may have 100,000 at most"]
    assert submission.job(json.dumps({**job, "repeats": 9_090}).encode(), kind, ALLOWED).spec.repeats == 9_090


def test_faults_of_json_are_named_by_key() -> None:
    """All at once."""
    body = json.dumps({**JOB, "regions": ["mars"], "repeats": "2"}).encode()
    assert faults(body) == [
        "job: regions[0]: unknown region 'mars'; known: us, eu, asia",
        "job: repeats: must be a whole number; take the quotes off '2'",
    ]


@pytest.mark.parametrize(
    "bomb",
    [
        b"a: &a [x]\nb: [*a, *a]\n",
        b"a: &a {x: 1}\nb: {<<: *a}\n",
        b"!!python/object/apply:os.system ['true']",
        b"[" * 5_000,
        b"a: " + b"[x," * 40_000,
        b"\x00",
        b"--- a\n--- b\n",
        b"%TAG ! tag:x,2000:\n---\n!y z\n",
    ],
)
def test_yaml_bombs_are_refused(bomb: bytes) -> None:
    """Each as one fault, before anything is built from it."""
    assert len(faults(bomb, "application/yaml")) == 1


@pytest.mark.parametrize("kind", [submission.JSON, "application/yaml"])
@pytest.mark.parametrize(
    "change",
    [
        {"questions": {"file": "/etc/passwd"}},
        {"executor": {"openai": {"base_url": "http://127.0.0.1:22/", "api_key_env": "HOME"}}},
        {"executor": {"modal": {"app": "another", "function": "f", "arguments": {"a": "{prompt}"}}}},
    ],
)
def test_a_posted_job_names_no_file_variable_or_address(kind: str, change: dict[str, Any]) -> None:
    """As `foreign` jobs: see the tests of the spec."""
    found = faults(submission.written({**JOB, **change}), kind)
    assert len(found) == 1
    assert "a job from outside may" in found[0]


def test_a_question_is_a_job_of_one_execution() -> None:
    """With the fields of the original system's router."""
    body = b'{"model": "010", "prompt": "Why?", "region": "EU-West", "temperature": 0, "max_tokens": 7}'
    spec = submission.question(body, ALLOWED).spec
    assert (spec.models[0].id, spec.regions[0].id, spec.questions[0].text) == ("010", "eu", "Why?")
    assert (spec.sampling.temperature, spec.sampling.max_tokens) == (0.0, 7)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"region": "mars"}, "job: region: unknown region 'mars'; known: us, eu, asia"),
        ({"prompt": " "}, "job: prompt: must not be empty"),
        ({"model": "a\x1bb"}, "job: model: 'a\\x1bb' cannot be used: "),
        ({"temperature": 3}, "job: Expected `float` <= 2.0 - at `$.temperature`"),
        ({"max_tokens": "9"}, "job: Expected `int | null`, got `str` - at `$.max_tokens`"),
        ({"executor": "x"}, "job: executor: unknown executor 'x'; known: default"),
        ({"file": "x"}, "job: Object contains unknown field `file`"),
        ({"model": None}, "job: Expected `str`, got `null` - at `$.model`"),
    ],
)
def test_a_wrong_question_is_a_fault_of_its_field(change: dict[str, Any], fault: str) -> None:
    """Not of the job that it would have been."""
    body = json.dumps({"model": "m", "prompt": "Why?", "region": "eu", **change}).encode()
    with pytest.raises(SpecError) as caught:
        submission.question(body, ALLOWED)
    assert str(caught.value.faults[0]).startswith(fault)
