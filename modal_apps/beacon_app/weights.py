"""The weights of the models: downloaded once into a region's Volume, found there by every container.

Each revision has a folder of its own, and a note that says what it is, written last: no note, no weights. Serving
containers have no network credentials and download nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from beacon_app.engine import Refused
from beacon_app.settings import Card

NOTE = "beacon-weights.json"
_WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
_UNWANTED = ("original/*", "consolidated*")
"""The same weights in other forms."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A model's files, and the full commit that they are of."""

    path: Path
    revision: str


def folder(root: Path, card: Card) -> Path:
    """Where a model's files lie."""
    return root / card.repository.replace("/", "--") / card.revision


def find(root: Path, card: Card) -> Found:
    """The model's files.

    Raises:
        Refused: they are not there, or not complete.
    """
    path = folder(root, card)
    try:
        note = json.loads((path / NOTE).read_text(encoding="utf-8"))
        return Found(path=path, revision=str(note["revision"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(
            f"the weights of {card.id} are not in this region's volume: run its app's `download`"
        ) from None


def fetch(root: Path, card: Card, *, get: Callable[[Card, Path], str] | None = None) -> Found:
    """The model's files, downloaded unless they are there.

    `get` downloads into a folder and returns the commit that it got.

    Raises:
        Refused: the commit is not the one in the table.
    """
    try:
        return find(root, card)
    except Refused:
        path = folder(root, card)
    path.mkdir(parents=True, exist_ok=True)
    revision = (get or from_hugging_face)(card, path)
    if revision != card.revision:
        raise Refused(f"{card.repository} gave {revision}, and the table has {card.revision}")
    note = {"repository": card.repository, "revision": revision}
    (path / NOTE).write_text(json.dumps(note), encoding="utf-8")
    return Found(path=path, revision=revision)


def from_hugging_face(card: Card, path: Path) -> str:
    """Download one commit of a repository; `HF_TOKEN` in the environment opens gated ones."""
    from huggingface_hub import HfApi, snapshot_download

    revision = str(HfApi().model_info(card.repository, revision=card.revision).sha)
    snapshot_download(
        card.repository,
        revision=revision,
        local_dir=path,
        allow_patterns=list(_WANTED),
        ignore_patterns=list(_UNWANTED),
    )
    return revision
