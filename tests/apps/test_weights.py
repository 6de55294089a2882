"""The Volume with the weights: what is fetched into it, and what is served from it."""

from __future__ import annotations

import sys
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beacon_app import settings, weights
from beacon_app.engine import Refused
from beacon_app.settings import Card

LLAMA, MISTRAL = settings.MODELS[0], settings.MODELS[1]


def test_weights_of_another_commit_are_refused(tmp_path: Path) -> None:
    """A download that gave another commit than the table's leaves no weights behind that would be served."""
    with pytest.raises(Refused, match="the table has"):
        weights.fetch(tmp_path, LLAMA, get=lambda _card, _path: "f" * 40)
    with pytest.raises(Refused, match="run its app's `download`"):
        weights.find(tmp_path, LLAMA)


def test_the_download_asks_for_one_commit_and_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly the pinned commit is fetched, in safetensors, without the other forms of the same weights."""
    asked: dict[str, Any] = {}

    def model_info(_repository: str, *, revision: str) -> Any:
        return SimpleNamespace(sha=revision)

    def snapshot_download(repository: str, **given: Any) -> None:
        asked.update(given, repository=repository)

    hub = SimpleNamespace(
        HfApi=lambda: SimpleNamespace(model_info=model_info), snapshot_download=snapshot_download
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    found = weights.fetch(tmp_path, MISTRAL)
    assert found == weights.find(tmp_path, MISTRAL)
    assert (asked["repository"], asked["revision"]) == (MISTRAL.repository, MISTRAL.revision)
    assert asked["local_dir"] == found.path
    files = ["model-00001-of-00003.safetensors", "consolidated.safetensors", "pytorch_model.bin", "tokenizer.json"]
    wanted = [
        file
        for file in files
        if any(fnmatch(file, pattern) for pattern in asked["allow_patterns"])
        and not any(fnmatch(file, pattern) for pattern in asked["ignore_patterns"])
    ]
    assert wanted == ["model-00001-of-00003.safetensors", "tokenizer.json"]


def test_weights_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    """A second download costs nothing, and a revision of its own has a folder of its own."""
    fetched: list[Path] = []

    def get(card: Card, path: Path) -> str:
        fetched.append(path)
        return card.revision

    assert weights.fetch(tmp_path, LLAMA, get=get) == weights.fetch(tmp_path, LLAMA, get=get)
    assert fetched == [weights.folder(tmp_path, LLAMA)]
    assert LLAMA.revision in str(fetched[0])
