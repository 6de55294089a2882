"""Going on with a run as a user does: the job that changed, what failed, what another process holds."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests.acceptance.conftest import BEACON, Beacon, Emulator

FAST = ("--rehearse", "--speed", "200", "-q")


@pytest.fixture
def mine(job: Path, tmp_path: Path) -> Path:
    """A copy of the user's job that a test may change; short waits."""
    copy = tmp_path / "mine.yaml"
    copy.write_text(job.read_text().replace("first: 2s", "first: 20ms"))
    return copy


def interrupted(mine: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Begin a rehearsal named `r1` and stop it by SIGINT once it has answers."""
    command = [str(BEACON), "run", str(mine), "--rehearse", "--speed", "100", "--run-id", "r1", "--json", "-q"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "attempt_succeeded":
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
    assert process.returncode == 130


def statuses(tmp_path: Path) -> Counter[str]:
    """How the executions of the only run ended."""
    (found,) = (tmp_path / "state").rglob("results.jsonl")
    return Counter(json.loads(line)["status"] for line in found.read_text().splitlines())


def test_an_interrupted_run_goes_on(
    beacon: Beacon, mine: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """After Ctrl-C the run is listed as interrupted, `resume` ends it, and then there is nothing to resume."""
    interrupted(mine, tmp_path, environment)
    assert "interrupted" in beacon("runs").stdout
    assert 0 < statuses(tmp_path)["succeeded"] < 72
    done = beacon("resume", "--speed", "200", "-q")
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path) == {"succeeded": 72}
    assert beacon("resume").returncode == 2
    again = beacon("resume", "r1")
    assert again.returncode == 0
    assert "nothing is pending in run r1" in again.stderr


def test_run_resume_begins_or_goes_on(
    beacon: Beacon, mine: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """`run --resume` goes on with the job's interrupted run; without one it begins a new run."""
    interrupted(mine, tmp_path, environment)
    assert beacon("run", mine, *FAST, "--resume").returncode == 0
    assert statuses(tmp_path) == {"succeeded": 72}
    assert beacon("run", mine, *FAST, "--resume", "--limit", "1").returncode == 0
    assert len(json.loads(beacon("runs", "--json").stdout)) == 2


@pytest.mark.parametrize(
    ("other", "code"), [((*FAST, "--limit", "1"), 0), ((*FAST, "--run-id", "r2"), 0), (("-q",), 5)]
)
def test_run_resume_goes_on_with_what_the_same_command_began(
    beacon: Beacon, mine: Path, tmp_path: Path, environment: dict[str, str], other: tuple[str, ...], code: int
) -> None:
    """`run --resume` leaves a run alone that asks more, has another id, or is a rehearsal where it is not."""
    interrupted(mine, tmp_path, environment)
    journal = tmp_path / "state" / "runs" / "r1" / "events.jsonl"
    before = journal.read_bytes()
    done = beacon("run", mine, "--resume", *other, MODAL_SERVER_URL="http://127.0.0.1:1")
    assert (done.returncode, journal.read_bytes()) == (code, before), done.stderr


def test_a_job_that_grew_is_taken_up_only_when_asked(
    beacon: Beacon, mine: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A question more is refused, named, unless `--amend`; then it is asked, and no answer again."""
    interrupted(mine, tmp_path, environment)
    before = statuses(tmp_path)["succeeded"]
    mine.write_text(
        mine.read_text().replace("system_prompt:", '  - {id: extra, text: "Anything else?"}\nsystem_prompt:', 1)
    )
    refused = beacon("resume", "-q")
    assert refused.returncode == 2
    assert "question 'extra' is new" in refused.stderr
    assert "--amend" in refused.stderr
    done = beacon("resume", "--amend", "--speed", "200", "--json", "-q")
    assert done.returncode == 0, done.stderr
    answers = sum(json.loads(line)["event"] == "attempt_succeeded" for line in done.stdout.splitlines())
    assert answers == 81 - before
    assert statuses(tmp_path) == {"succeeded": 81}


def test_a_job_that_changed_its_meaning_is_refused(
    beacon: Beacon, mine: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Changed text under an old id and changed sampling are refused, with `--amend` too; the run is untouched."""
    interrupted(mine, tmp_path, environment)
    journal = tmp_path / "state" / "runs" / "r1" / "events.jsonl"
    before = journal.read_bytes()
    for old, new, said in (("What is 2+2?", "What is 2+3?", "math_basic"), ("seed: 7", "seed: 8", "sampling")):
        text = mine.read_text()
        mine.write_text(text.replace(old, new))
        refused = beacon("resume", "--amend", "-q")
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
        assert said in refused.stderr
        mine.write_text(text)
    assert journal.read_bytes() == before
    mine.unlink()
    assert beacon("resume", "--speed", "200", "-q").returncode == 0


def test_retry_asks_only_what_failed(beacon: Beacon, emulator: Emulator, mine: Path, tmp_path: Path) -> None:
    """After a region was down, `retry` asks what failed or was skipped there, and nothing else."""
    script = tmp_path / "script.json"
    script.write_text('{"rules": [{"region": "eu", "effect": "unreachable"}]}')
    with emulator("--script", script) as variables:
        assert beacon("run", mine, "-q", **variables).returncode == 3
    with emulator() as variables:
        done = beacon("retry", "--json", "-q", **variables)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    asked = [event for event in events if event["event"] == "attempt_started"]
    assert {event["region"] for event in asked} == {"eu"}
    assert len(asked) == 24
    assert statuses(tmp_path) == {"succeeded": 72}
