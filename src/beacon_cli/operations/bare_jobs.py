"""Jobs without questions of their own, for commands that need the apps and pools of a job, and ask no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from beacon_cli import wiring
from beacon_cli.model import Spec
from beacon_cli.settings import Settings

MODELS = ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")
"""The models of beacon's own apps, as `modal_apps/` registers them."""


def spec(name: str, settings: Settings, *, regions: Sequence[str], models: Sequence[str] = MODELS) -> Spec:
    """A job of beacon's own apps in these regions, switched off or not, with these models.

    Raises:
        SpecError: a name is wrong.
    """
    nothing = {"id": "none", "text": "none"}
    job = {"id": name, "regions": [*regions], "models": [{"id": each} for each in models], "questions": [nothing]}
    everywhere = msgspec.structs.replace(settings, regions_off=())
    return wiring.parsed(json.dumps(job).encode("ascii"), Path(name), everywhere)


def any_spec(settings: Settings) -> Spec:
    """Some job of beacon's own apps: whoever ends calls and asks for pools by their keys has them named."""
    return spec("reap", settings, regions=[settings.regions[0].id], models=["none"])
