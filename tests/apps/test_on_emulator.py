"""The classes and functions of the apps, called through the real Modal SDK on the emulator.

The emulator carries their calls out with the apps' own code: an instance of the class for each container, made and
entered as the SDK does it, with the engine that the containers run and a model of a few kilobytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modal
import msgspec
import pytest
from tests.contracts.executing import DEPLOYED, LLAMA, PATIENT, QWEN, US, Book, asking, failed, on_modal
from tests.support import tiny

from beacon_app import serving, settings
from beacon_app.factory import class_options
from beacon_cli.emulator import server
from beacon_cli.emulator.deployment import Bound, Call
from beacon_cli.emulator.provider import Settings
from beacon_cli.model import ErrorKind, ModalTarget, Succeeded

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("transformers")]

CARDS = {card.id: card for card in settings.MODELS}
FUNCTION_FORM = ModalTarget(
    app="project-beacon-hf-{region.app}",
    function="run_inference",
    arguments={"model_name": "{model.id}", "prompt": "{prompt}", "temperature": 0.1, "max_tokens": 5},
)


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


class Workspace:
    """Containers of the apps, each with an instance of its class; called by the emulator, in threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._containers: dict[str, Any] = {}
        # The registries of an App go in the next version of the SDK: the class is registered for these tests anew.
        app = modal.App("tests-of-the-apps")
        self._classes: dict[str, Any] = {
            cls.__name__: app.cls(**class_options(settings.place("us"), cls.__name__))(cls)
            for cls in (serving.Model, serving.ModelT4)
        }

    def carry_out(self, target: Bound, call: Call, container: str) -> Any:
        """What the container of that id gives back."""
        self._monkeypatch.setenv("MODAL_TASK_ID", container)
        self._monkeypatch.setenv("MODAL_REGION", target.app.modal_region)
        if target.model is None:
            return getattr(serving, target.tag)(**call.arguments)
        if container not in self._containers:
            self._containers[container] = self._classes[target.cls](model=target.model)
        return getattr(self._containers[container], call.method).local(**call.arguments)


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[server.Address]:
    """An emulator whose containers run the apps' code; the Volume holds the weights of one model."""
    tiny.make(tmp_path, card=CARDS["llama3.2-1b"])
    monkeypatch.setenv("BEACON_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("BEACON_REGION", "us")
    monkeypatch.setenv("BEACON_APP", "project-beacon-hf-us")
    monkeypatch.setattr(modal.experimental, "stop_fetching_inputs", lambda: None)
    workspace = Workspace(monkeypatch)
    emulated = Settings(speed=1000, scaling=PATIENT)
    with server.running(emulated, apps=DEPLOYED, carry_out=workspace.carry_out) as at:
        yield at


@pytest.fixture
def environment(address: server.Address, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leads every client of this process to the emulator, those within containers too."""
    for name, value in address.environment().items():
        monkeypatch.setenv(name, value)
    yield
    modal.Client.from_env().close()


async def test_the_class_answers_what_beacon_asks(
    address: server.Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job's default call reaches the class with all it passes, and the answer is one that beacon reads whole."""
    async with on_modal(address) as executor:
        await executor.prepare([(US, LLAMA)])
        first = await executor.attempt(asking(text="What is the capital?", key="e1"), 1, Book().placed)
        second = await executor.attempt(asking(text="What is the capital?", key="e2"), 3, Book().placed)
    assert isinstance(first, Succeeded)
    assert isinstance(second, Succeeded)
    assert first.provenance["finish_reason"] in {"stop", "length"}, "random weights may also say nothing"
    assert (first.cold_start, second.cold_start) == (True, False)
    assert first.container == second.container
    about = first.provenance
    assert about["model_revision"] == CARDS["llama3.2-1b"].revision
    assert (about["engine"], about["dtype"], about["chat"]) == ("transformers", "float16", "template")
    assert (about["region"], about["modal_region"]) == ("us", "us-east-1")
    assert (about["execution_id"], about["attempt"]) == ("e1", 1)
    assert (second.provenance["execution_id"], second.provenance["attempt"]) == ("e2", 3)
    assert "dropped_by_beacon" not in about
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[METRICS] ")]
    assert [json.loads(line.removeprefix("[METRICS] "))["execution_id"] for line in lines] == ["e1", "e2"]


@pytest.mark.usefixtures("environment")
async def test_a_seed_gives_the_same_answer_through_the_sdk() -> None:
    """Two calls with one seed, sampled, answer alike; `None` travels as the SDK sends it."""
    instance = modal.Cls.from_name("project-beacon-hf-us", "Model")(model="llama3.2-1b")
    asked = {"prompt": "what is France ?", "temperature": 1.5, "max_tokens": 8, "seed": 11, "system_prompt": None}
    answers = [await instance.generate.remote.aio(**asked) for _ in range(2)]
    assert answers[0]["response"] == answers[1]["response"]
    assert answers[0]["seed"] == 11


@pytest.mark.usefixtures("environment")
async def test_health_says_what_was_woken() -> None:
    """`health` starts a container and tells of it in the form of an answer."""
    instance = modal.Cls.from_name("project-beacon-hf-us", "ModelT4")(model="llama3.2-1b")
    state = await instance.health.remote.aio()
    assert (state["status"], state["model"], state["cold_start"]) == ("healthy", "llama3.2-1b", True)


async def test_a_model_without_weights_fails_in_words(address: server.Address) -> None:
    """Beacon reads a container that could not load its model as a failure of the model, with the reason."""
    async with on_modal(address) as executor:
        await executor.prepare([(US, QWEN)])
        outcome = failed(await executor.attempt(asking(model=QWEN), 1, Book().placed))
    assert outcome.kind is ErrorKind.MODEL
    assert outcome.message == (
        "the weights of qwen2.5-1.5b are not in this region's volume: run its app's `download`"
    )


@pytest.mark.usefixtures("environment")
async def test_the_originals_function_answers_as_it_did(address: server.Address) -> None:
    """`run_inference` takes the original's names for models and asks the class with the cheapest GPU."""
    model = msgspec.structs.replace(LLAMA, id="meta-llama/Llama-3.2-1B-Instruct")
    async with on_modal(address, FUNCTION_FORM) as executor:
        unknown = msgspec.structs.replace(LLAMA, id="gpt-5")
        await executor.prepare([(US, model), (US, unknown)])
        outcome = await executor.attempt(asking(model=model), 1, Book().placed)
        refused = failed(await executor.attempt(asking(model=unknown), 1, Book().placed))
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.provenance["model"] == "meta-llama/Llama-3.2-1B-Instruct"
    assert outcome.provenance["tokens_generated"] <= 5
    assert "there is no model 'gpt-5'" in refused.message
