"""README's two commands are what it says: the first is run as it stands, the second is what CI carries out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests.acceptance.conftest import ROOT

LIMIT = 280.0
"""Seconds in which the first command has to end, its downloads included."""


def commands() -> list[str]:
    """The commands of the README, in its order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)]


@pytest.fixture
def fresh_copy(tmp_path: Path) -> Path:
    """The project as somebody has it who has just fetched it: what git tracks, and nothing else."""
    copy = tmp_path / "project"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.mark.slow
@pytest.mark.timeout(LIMIT + 20)
def test_the_first_command_installs_and_rehearses_the_main_job(fresh_copy: Path, tmp_path: Path) -> None:
    """Run as it stands, in a fresh copy, with nothing of the developer's own, it ends with 72 answers."""
    hidden = ("BEACON_", "MODAL_", "VIRTUAL_ENV", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        ["bash", "-c", commands()[0]],
        cwd=fresh_copy,
        env={**environment, "HOME": str(tmp_path / "home"), "BEACON_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (results,) = (tmp_path / "state").rglob("results.jsonl")
    statuses = Counter(json.loads(line)["status"] for line in results.read_text("ascii").splitlines())
    assert statuses == {"succeeded": 72}


def test_the_second_command_is_what_ci_carries_out() -> None:
    """Each step of README's second command is a line of `.ci/run`, in the same order, in a venv of CI's own."""
    steps = commands()[1].replace(".venv", ".ci/venv").split(" && ")
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert steps[-1] == "pytest -n auto"
    assert [line for line in lines if line in steps] == steps
