"""The workflows of docs/ci.md are what they say: they parse, and each of their commands works, rehearsed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.acceptance.conftest import ROOT, Beacon

from beacon_cli.model import JsonObject

BLOCKS = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
GITHUB, GITLAB = (yaml.safe_load(block) for block in BLOCKS)
REHEARSED = ("--rehearse", "--speed", "200")


def scripts() -> dict[str, list[str]]:
    """The lines of each job of both workflows, in order."""
    jobs: dict[str, list[Any]] = {name: job["steps"] for name, job in GITHUB["jobs"].items()}
    found = {
        name: [line for step in steps for line in step.get("run", "").splitlines()] for name, steps in jobs.items()
    }
    return {**found, "gitlab": [*GITLAB["rehearse"]["script"], *GITLAB["rehearse"]["after_script"]]}


def steps(name: str) -> list[JsonObject]:
    """The steps of one of GitHub's jobs."""
    found: list[JsonObject] = GITHUB["jobs"][name]["steps"]
    return found


@pytest.mark.parametrize("job", ["rehearse", "measure", "gitlab"])
def test_every_command_works(job: str, beacon: Beacon, tmp_path: Path) -> None:
    """A job's commands, carried out in order on a new job file, all succeed and leave what is uploaded."""
    assert beacon("init").returncode == 0
    commands = [shlex.split(line) for line in scripts()[job]]
    assert {command[0] for command in commands} == {"pip", "beacon"}
    for command in commands:
        if command[0] == "beacon":
            rehearsed = REHEARSED if command[1] == "run" else ()
            done = beacon(*command[1:], *rehearsed)
            assert done.returncode == 0, f"{command}: {done.stderr}"
    assert (tmp_path / "junit.xml").read_text().startswith("<?xml")
    assert (tmp_path / "results" / "results.jsonl").exists()


def test_a_push_rehearses_and_costs_nothing() -> None:
    """What runs on each push is a rehearsal without credentials; what is real runs on a schedule."""
    assert set(GITHUB[True]) == {"push", "schedule"}  # YAML 1.1 reads `on` as true
    rehearse, measure = GITHUB["jobs"]["rehearse"], GITHUB["jobs"]["measure"]
    assert "push" in rehearse["if"]
    assert "schedule" in measure["if"]
    assert "secrets." not in str(rehearse)
    assert "--rehearse" in " ".join(scripts()["rehearse"])
    assert "--rehearse" not in " ".join(scripts()["measure"])
    assert GITHUB["permissions"] == {"contents": "read"}


def test_credentials_are_environment_variables_from_secrets() -> None:
    """No credential stands in the file or on a command line."""
    environment = GITHUB["jobs"]["measure"]["env"]
    for name in ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"):
        assert environment[name] == f"${{{{ secrets.{name} }}}}"
    assert not any("secrets." in line for lines in scripts().values() for line in lines)


def test_what_was_cut_off_is_ended_and_kept() -> None:
    """Calls are reaped and the state is uploaded whatever happened; JUnit is published after a failure too."""
    always = [step for step in steps("measure") if "always()" in step.get("if", "")]
    assert [step.get("run") or step["uses"] for step in always] == [
        "beacon reap measured",
        "actions/upload-artifact@v4",
    ]
    assert "state" in always[1]["with"]["path"].split()
    after = [step for step in steps("measure") if "junit.xml" in str(step)]
    assert all(step.get("if") for step in after)


@pytest.mark.parametrize("job", ["rehearse", "measure"])
def test_a_gate_is_held_after_the_run(job: str) -> None:
    """Both workflows judge the answers of the run that they made, and a crossed gate turns them red."""
    lines = scripts()[job]
    run = next(line.split("--run-id ")[1].split()[0] for line in lines if "--run-id" in line)
    (report,) = (line for line in lines if line.startswith("beacon report"))
    assert report.split()[2] == run
    assert "--fail-on" in report
