"""The functions beside the classes, as a container without a GPU runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import modal
import pytest

from beacon_app import serving, settings, weights
from beacon_app.settings import Card
from beacon_app.transformers_engine import TransformersEngine
from beacon_app.vllm_engine import VllmEngine


class Volume:
    """Counts how often what was written was made to last."""

    committed = 0

    def commit(self) -> None:
        """Count."""
        Volume.committed += 1


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The region's Volume, as the container sees it."""
    monkeypatch.setenv("BEACON_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("BEACON_VOLUME", "beacon-weights-us")
    monkeypatch.setenv("BEACON_REGION", "us")
    monkeypatch.setenv("BEACON_APP", "project-beacon-hf-us")
    monkeypatch.setattr(modal.Volume, "from_name", lambda _name: Volume())
    Volume.committed = 0
    return tmp_path


@pytest.mark.usefixtures("volume")
def test_a_gated_model_keeps_no_other_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each model's commit or the reason against it is returned and logged, and what came is made to last."""

    def get(card: Card, _path: Path) -> str:
        if card.id == "mistral-7b":
            raise PermissionError("access to the gated repository is refused")
        return card.revision

    monkeypatch.setattr(weights, "from_hugging_face", get)
    said = serving.download()
    assert said == {
        "llama3.2-1b": settings.MODELS[0].revision,
        "mistral-7b": "PermissionError: access to the gated repository is refused",
        "qwen2.5-1.5b": settings.MODELS[2].revision,
    }
    assert Volume.committed == 1
    assert str(said) in capsys.readouterr().out


def test_one_model_can_be_fetched_by_any_of_its_names(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name fetches one model; a name that no model has fetches none and says so."""
    monkeypatch.setattr(weights, "from_hugging_face", lambda card, _path: card.revision)
    assert list(serving.download("Qwen/Qwen2.5-1.5B-Instruct")) == ["qwen2.5-1.5b"]
    assert [folder.name for folder in volume.iterdir()] == ["Qwen--Qwen2.5-1.5B-Instruct"]
    assert serving.download("gpt-5") == {"gpt-5": "there is no such model in the table"}


@pytest.mark.usefixtures("volume")
def test_health_names_the_models_and_starts_nothing() -> None:
    """The app's own health is an answer without a GPU."""
    assert serving.health() == {"status": "healthy", "region": "us", "models": [c.id for c in settings.MODELS]}


class Class:
    """Stands for a deployed class: remembers what it was made and called with, and raises or answers."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome
        self.made: list[Any] = []

    def __call__(self, **parameters: Any) -> Self:
        """Make an instance."""
        self.made.append(parameters)
        return self

    @property
    def generate(self) -> Self:
        """The method."""
        return self

    def remote(self, **arguments: Any) -> Any:
        """Call it."""
        self.made.append(arguments)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.mark.usefixtures("volume")
def test_the_originals_function_asks_the_cheapest_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model is asked on the small GPU, the large one on its own, with the original's four arguments."""
    asked: list[tuple[str, str]] = []
    cls = Class({"status": "success", "response": "4", "model": "x"})

    def from_name(app: str, name: str) -> Class:
        asked.append((app, name))
        return cls

    monkeypatch.setattr(modal.Cls, "from_name", from_name)
    answer = serving.run_inference("mistralai/Mistral-7B-Instruct-v0.3", "2+2?", 0.5, 9)
    serving.run_inference("Qwen/Qwen2.5-1.5B-Instruct", "2+2?")
    assert asked == [("project-beacon-hf-us", "Model"), ("project-beacon-hf-us", "ModelT4")]
    assert cls.made == [
        {"model": "mistral-7b"},
        {"prompt": "2+2?", "temperature": 0.5, "max_tokens": 9},
        {"model": "qwen2.5-1.5b"},
        {"prompt": "2+2?", "temperature": 0.1, "max_tokens": 500},
    ]
    assert answer == {"status": "success", "response": "4", "model": "mistralai/Mistral-7B-Instruct-v0.3"}


@pytest.mark.usefixtures("volume")
def test_the_originals_function_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its callers read a mapping: a class that fails is an error in it."""
    monkeypatch.setattr(modal.Cls, "from_name", lambda *_: Class(modal.exception.FunctionTimeoutError("900 s")))
    answer = serving.run_inference("llama3.2-1b", "2+2?")
    assert answer == {
        "status": "error",
        "error": "FunctionTimeoutError: 900 s",
        "model": "llama3.2-1b",
        "region": "us",
    }


def test_the_table_names_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One word in the table changes what makes the text."""
    assert isinstance(serving.engine_for(settings.MODELS[0]), TransformersEngine)
    monkeypatch.setattr(settings, "ENGINE", "vllm")
    assert isinstance(serving.engine_for(settings.MODELS[0]), VllmEngine)
