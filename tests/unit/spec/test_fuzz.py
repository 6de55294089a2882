from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_cli import spec
from beacon_cli.errors import SpecError
from beacon_cli.spec import source

JOB = (Path(__file__).parents[3] / "jobs" / "bias-detection.yaml").read_text(encoding="utf-8")

TOKENS = st.sampled_from(
    [
        *"\n:-?[]{},#&*!|>'\"%@` ~.0123456789abcxyz",
        *(
            "\n",
            " ",
            "  ",
            ": ",
            "- ",
            "? ",
            "---\n",
            "...\n",
            "<<: ",
            "*a",
            "&a ",
            "!!str ",
            "!t ",
            "%YAML 1.1\n",
        ),
        *(
            "\n  ",
            "null",
            "true",
            "'",
            '"\\x',
            '"\\ud800"',
            "\\U00110000",
            "1e9",
            "{prompt}",
            "\x85",
            "\u2028",
            "\ufeff",
        ),
        *(
            "id: ",
            "regions: ",
            "models: ",
            "questions: ",
            "executor: ",
            "modal: ",
            "arguments: ",
            "limits: ",
            "\t",
            "\0",
        ),
        *(
            "sampling: ",
            "contexts: ",
            "ignore: ",
            "file: ",
            "text: ",
            "system_prompt: ",
            "simulated: ",
            "timeout: ",
        ),
    ]
)
YAMLISH = st.lists(TOKENS | st.text(max_size=5), max_size=60).map("".join)


def _faults(data: bytes, path: Path, allowed: spec.Allowed) -> list[str]:
    """A line for each fault; anything but faults comes through and fails the test."""
    try:
        spec.parse(data, path, allowed)
    except SpecError as error:
        return [str(fault) for fault in error.faults]
    return []


def _all_printable(faults: list[str]) -> bool:
    return all(fault.isprintable() for fault in faults)


@pytest.fixture(params=["libyaml", "pure"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure":
        monkeypatch.setattr(source, "_LOADER", yaml.SafeLoader)


FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.usefixtures("_parser")
@given(text=YAMLISH)
@FUZZ
def test_no_text_raises_anything_but_faults(text: str, allowed: spec.Allowed) -> None:
    """Whatever looks like YAML is a job or has faults, each of them one printable line."""
    assert _all_printable(_faults(text.encode("utf-8", "surrogatepass"), Path("job.yaml"), allowed))


@pytest.mark.usefixtures("_parser")
@given(data=st.data())
@FUZZ
def test_no_mutation_of_a_job_raises_anything_but_faults(data: st.DataObject, allowed: spec.Allowed) -> None:
    """A job with pieces cut out, doubled or put in is a job or has faults, each of them one printable line."""
    text = JOB
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(YAMLISH | st.just(text[start:end] * 2)) + text[end:]
    assert _all_printable(_faults(text.encode("utf-8", "surrogatepass"), Path("job.yaml"), allowed))


@given(data=st.binary(max_size=200))
@FUZZ
def test_no_bytes_raise_anything_but_faults(data: bytes, allowed: spec.Allowed) -> None:
    """Bytes that are no text are refused like text that is no job."""
    assert _all_printable(_faults(data, Path("job.yaml"), allowed))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
@FUZZ
def test_no_value_in_any_place_raises_anything_but_faults(data: st.DataObject, allowed: spec.Allowed) -> None:
    """Any value in place of any other is read or refused."""
    holder: list[Any] = [yaml.safe_load(JOB)]
    node: Any = holder
    key: Any = 0
    for _ in range(data.draw(st.integers(0, 4))):
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner:
            break
        node, key = (
            inner,
            data.draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner)))),
        )
    node[key] = data.draw(VALUES)
    assert _all_printable(_faults(yaml.safe_dump(holder[0]).encode(), Path("job.yaml"), allowed))


@given(name=st.sampled_from(["q.csv", "q.jsonl", "q.yaml"]), text=st.text(max_size=200) | YAMLISH)
@FUZZ
def test_no_question_file_raises_anything_but_faults(
    name: str, text: str, tmp_path: Path, allowed: spec.Allowed
) -> None:
    """Whatever stands in a question file is questions or has faults, each of them one printable line."""
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    job = f"id: j\nregions: [us]\nmodels: [m]\nquestions: {{file: {name}}}\n"
    assert _all_printable(_faults(job.encode(), tmp_path / "job.yaml", allowed))
