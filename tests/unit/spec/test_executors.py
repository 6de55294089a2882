"""Executors that a job names, and jobs from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from beacon_cli.errors import SpecError
from beacon_cli.model import ModalTarget, OpenaiTarget, Spec
from beacon_cli.settings import REGIONS
from beacon_cli.spec import Allowed, parse

HEAD = """\
id: posted
regions: [eu]
models: [mistral-7b]
questions: [{id: q, text: "Why? https://example.org/ ${HOME} {file: x}"}]
"""
EXECUTORS: dict[str, Any] = {
    "hosted": {
        "openai": {
            "base_url": {"us": "https://us.example/v1", "eu": "https://eu.example/v1"},
            "api_key_env": {"us": "US_KEY", "eu": "EU_KEY"},
            "models": {"mistral-7b": "mistral", "another": "other"},
        }
    },
    "original": {
        "modal": {
            "app": "their-{region.app}",
            "function": "run_inference",
            "arguments": {
                "model_name": "{model.id}",
                "prompt": "{prompt}",
                "temperature": "{sampling.temperature}",
                "limit": 7,
                "fast": True,
            },
        }
    },
}


def load(text: str, *, foreign: bool = True) -> Spec:
    """The job in `text`, with two executors in the configuration."""
    return parse(text.encode(), Path("job.yaml"), Allowed(regions=REGIONS, executors=EXECUTORS, foreign=foreign))


def faults(text: str) -> list[str]:
    """What is wrong with a job from outside."""
    with pytest.raises(SpecError) as caught:
        load(text)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("more", ["", "executor: default\n", "executor:\n"])
def test_without_a_name_it_is_our_own_apps(more: str) -> None:
    """No executor, and `default`, mean the same."""
    target = load(HEAD + more).target
    assert isinstance(target, ModalTarget)
    assert target.app == "project-beacon-hf-{region.app}"


@pytest.mark.parametrize("foreign", [True, False])
def test_a_name_stands_for_the_block_of_the_configuration(*, foreign: bool) -> None:
    """It is narrowed to the job's regions and models."""
    target = load(HEAD + "executor: hosted\n", foreign=foreign).target
    assert isinstance(target, OpenaiTarget)
    assert target.base_url == {"eu": "https://eu.example/v1"}
    assert target.api_key_env == {"eu": "EU_KEY"}
    assert target.models == {"mistral-7b": "mistral"}


def test_an_argument_with_nothing_to_stand_for_is_left_out() -> None:
    """The block names what any job may set; numbers and flags stay what they are."""
    bare, warm = (
        load(f"{HEAD}executor: original\n{more}").target for more in ("", "sampling: {temperature: 0.5}\n")
    )
    assert isinstance(bare, ModalTarget)
    assert isinstance(warm, ModalTarget)
    assert bare.arguments == {"model_name": "{model.id}", "prompt": "{prompt}", "limit": 7, "fast": True}
    assert warm.arguments == {**bare.arguments, "temperature": "{sampling.temperature}"}


def test_an_unknown_name_is_a_fault_with_its_place() -> None:
    """The nearest name is proposed."""
    assert faults(HEAD + "executor: hostde\n") == [
        "job.yaml:5:11: executor: unknown executor 'hostde'; did you mean 'hosted'?"
    ]


@pytest.mark.parametrize(
    ("regions", "fault"),
    [
        ("[asia]", "executor: the executor 'hosted' has no address for the job's regions"),
        ("[eu, asia]", "executor.openai.base_url: has no address for asia"),
    ],
)
def test_a_block_of_the_configuration_that_does_not_fit_is_a_fault_of_the_name(regions: str, fault: str) -> None:
    """It stands where the job names it."""
    text = HEAD.replace("[eu]", regions) + "executor: hosted\n"
    assert faults(text) == [f"job.yaml:5:11: {fault}"]


@pytest.mark.parametrize(
    "block",
    [
        "{modal: {app: other, function: f, arguments: {prompt: '{prompt}'}}}",
        "{openai: {base_url: 'http://169.254.169.254/', api_key_env: AWS_SECRET_ACCESS_KEY}}",
        "{openai: {base_url: 'https://example.org/v1', headers: {x: '${HOME}'}}}",
        "{simulated: {}}",
        "[default]",
    ],
)
def test_a_job_from_outside_has_no_executor_of_its_own(block: str) -> None:
    """Whatever stands in it, it is one fault, which repeats nothing of it."""
    (fault,) = faults(f"{HEAD}executor: {block}\n")
    assert fault == (
        "job.yaml:5:11: executor: a job from outside may have no executor of its own;"
        " name one of these: default, hosted, original"
    )


@pytest.mark.parametrize("name", ["/etc/passwd", "questions.csv", "../../x.yaml", "''"])
def test_a_job_from_outside_names_no_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything looks whether the file is there."""
    (tmp_path / "questions.csv").write_text("id,text\nq,Secret?\n", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    lines = HEAD.splitlines(keepends=True)
    text = "".join([*lines[:3], f"questions: {{file: {name}}}\n"])
    assert "job.yaml:4:19: questions.file: a job from outside may name no file; write the questions out" in faults(
        text
    )


def test_every_fault_of_a_job_from_outside_is_named() -> None:
    """The refusals stand beside all others, by place."""
    text = "id: posted\nregions: [mars]\nmodels: []\nquestions: {file: a.csv}\nexecutor: {simulated: {}}\n"
    assert [fault.split(":")[1] for fault in faults(text)] == ["2", "3", "4", "5"]
