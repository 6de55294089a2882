"""The other commands as a user runs them, and what they cost to start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.acceptance.conftest import ROOT, Beacon

from beacon_cli import __version__

FAST = ("--rehearse", "--speed", "200", "-q")


def test_a_new_job_can_be_written_checked_and_run(beacon: Beacon, tmp_path: Path) -> None:
    """`init` writes a job that `validate` accepts and a rehearsal answers; it writes over nothing unasked."""
    assert beacon("init").returncode == 0
    assert "is valid" in beacon("validate", "job.yaml").stdout
    assert beacon("run", "job.yaml", *FAST).returncode == 0
    (tmp_path / "job.yaml").write_text("mine")
    refused = beacon("init")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "job.yaml").read_text() == "mine"
    assert beacon("init", "--force").returncode == 0


def test_the_schema_is_the_one_that_is_kept(beacon: Beacon) -> None:
    """`beacon schema` prints the schema that `jobs/` keeps for editors, and the example jobs fit it."""
    printed = json.loads(beacon("schema").stdout)
    assert printed == json.loads((ROOT / "jobs" / "schema.json").read_text())
    for path in (ROOT / "jobs").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), printed)


def test_runs_are_listed_and_shown(beacon: Beacon, job: Path) -> None:
    """`runs` lists what was run, newest first; `show` gives answers and summary, in JSON the rows."""
    for name in ("first", "second"):
        assert beacon("run", job, *FAST, "--limit", "1", "--run-id", name).returncode == 0
    assert [run["run_id"] for run in json.loads(beacon("runs", "--json").stdout)] == ["second", "first"]
    listed = beacon("runs").stdout
    assert listed.index("second") < listed.index("first")
    assert "rehearsal" in listed
    shown = beacon("show", "fir").stdout
    assert "math_basic" in shown
    assert "REHEARSAL" in shown
    assert len(beacon("show", "--json").stdout.splitlines()) == 9
    assert beacon("show", "third").returncode == 2


def test_no_runs_is_no_error(beacon: Beacon) -> None:
    """Before the first run, `runs` is empty and `show`, `resume` and `retry` say that there is none."""
    assert beacon("runs").returncode == 0
    for command in ("show", "resume", "retry"):
        done = beacon(command)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_the_version_is_printed(beacon: Beacon) -> None:
    """`--version` prints the version."""
    assert beacon("--version").stdout == f"beacon {__version__}\n"


def test_completion_knows_the_commands(beacon: Beacon) -> None:
    """Shell completion offers the commands."""
    done = beacon(_BEACON_COMPLETE="complete_bash", COMP_WORDS="beacon va", COMP_CWORD="1")
    assert "validate" in done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("validate", "JOB"), ("plan", "JOB"), ("runs",), ("schema",)])
def test_a_command_imports_no_heavy_package_that_it_does_not_use(
    arguments: tuple[str, ...], job: Path, environment: dict[str, str]
) -> None:
    """Neither the SDK nor an HTTP stack nor the live display is imported where nothing is run."""
    named = [str(job) if argument == "JOB" else argument for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "beacon_cli", *named],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    packages = {module.split(".")[0] for module in modules}
    assert "beacon_cli" in packages
    assert not packages & {"modal", "modal_proto", "grpclib", "httpx", "aiohttp", "redis", "starlette", "trio"}
    assert "rich.live" not in modules
    assert arguments[0] in {"--help", "plan", "runs"} or "rich.console" not in modules


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize(
    "arguments",
    [
        ("schema",),
        ("--help",),
        ("validate", "JOB"),
        ("plan", "JOB"),
        ("plan", "JOB", "--json"),
        ("runs",),
        ("queue-status", "--json"),
        ("metrics",),
    ],
)
def test_a_full_output_is_told_as_such(arguments: tuple[str, ...], job: Path, environment: dict[str, str]) -> None:
    """Where stdout is full a command that is for its output leaves with 4: half must not pass for the whole."""
    named = [str(job) if argument == "JOB" else argument for argument in arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "beacon_cli", *named],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert "space left" in done.stderr
    assert "a fault of beacon" not in done.stderr
    assert "Traceback" not in done.stderr
