"""What the tests of the spec room share: loading a job from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from beacon_cli import spec
from beacon_cli.errors import SpecError
from beacon_cli.model import Region, Spec

LoadText: TypeAlias = Callable[[str], Spec]
FaultsOf: TypeAlias = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def allowed() -> spec.Allowed:
    """The default regions, as the configuration gives them."""
    return spec.Allowed(
        regions=(
            Region(id="us", app="us", place="the United States", aliases=("us-east",)),
            Region(id="eu", app="eu", place="Europe", aliases=("eu-west",)),
            Region(id="asia", app="apac", place="Asia", aliases=("apac", "asia-pacific")),
        ),
    )


@pytest.fixture(scope="session")
def load_text(allowed: spec.Allowed) -> LoadText:
    """A job from its text, named `job.yaml`."""

    def load(text: str) -> Spec:
        return spec.parse(text.encode(), Path("job.yaml"), allowed)

    return load


@pytest.fixture(scope="session")
def faults_of(load_text: LoadText) -> FaultsOf:
    """The faults of a job text, one line each, without the file's name."""

    def faults(text: str) -> list[str]:
        with pytest.raises(SpecError) as raised:
            load_text(text)
        return [str(fault).removeprefix("job.yaml:").strip() for fault in raised.value.faults]

    return faults
