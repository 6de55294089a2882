"""The installed `beacon` as a subprocess, in a home, a folder and an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

BEACON = Path(sys.executable).with_name("beacon")
ROOT = Path(__file__).parents[2]
LIMIT = 90.0
"""Seconds after which a command that should have ended has not."""

Beacon: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
Emulator: TypeAlias = Callable[..., AbstractContextManager[Mapping[str, str]]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of the developer's own: no credentials, no configuration, no runs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BEACON_", "GITHUB_", "MODAL_", "XDG_"))
    }
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "BEACON_HOME": str(tmp_path / "state"),
        "COLUMNS": "100",
        "PYTHONWARNINGS": "error",
    }


@pytest.fixture
def beacon(tmp_path: Path, environment: dict[str, str]) -> Beacon:
    """Run `beacon ARGUMENTS…`; keyword arguments are further environment variables."""

    def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BEACON), *map(str, arguments)],
            env={**environment, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    return run


@pytest.fixture
def emulator(tmp_path: Path, environment: dict[str, str]) -> Emulator:
    """Run `beacon emulator OPTIONS…` for the body; gives the variables that it prints."""

    @contextmanager
    def serve(*options: str | Path) -> Iterator[Mapping[str, str]]:
        command = [str(BEACON), "emulator", "--speed", "300", *map(str, options)]
        with subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(3)]
                pairs = (line.removeprefix("export ").strip().split("=", 1) for line in lines)
                yield {name: value.strip("'\"") for name, value in pairs}
            finally:
                process.terminate()

    return serve


@pytest.fixture
def job() -> Path:
    """The user's own job."""
    return ROOT / "jobs" / "bias-detection.yaml"
