"""The installed command against an endpoint that fails, which is a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import BEACON, ROOT, Beacon

from beacon_cli import events as ev
from beacon_cli.replay import read

AT_ONCE = 50
ON_UVLOOP, ON_ASYNCIO = 2_000, 990
"""Numbers of requests that go on the one event loop and on the other."""
STOPPED = 1_100


@contextmanager
def _serving() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.support.unsteady"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), server


def _job(url: str, requests: int) -> Mapping[str, Any]:
    return {
        "id": "unsteady",
        "regions": ["us"],
        "models": ["m"],
        "questions": [{"id": f"q{number}", "text": f"{number}?"} for number in range(requests)],
        "limits": {"concurrency": AT_ONCE, "per_region": AT_ONCE, "timeout": "3s"},
        "retry": {"attempts": 20, "first": "10ms", "longest": "50ms"},
        "schedule": "lanes",
        "in_flight": AT_ONCE,
        "executor": {"openai": {"base_url": url}},
    }


@pytest.mark.parametrize("requests", [ON_UVLOOP, ON_ASYNCIO])
def test_every_execution_succeeds_where_one_request_in_ten_fails(
    beacon: Beacon, tmp_path: Path, requests: int
) -> None:
    """Each request gets its own answer; by the server's log none was too many, and none was made twice."""
    with _serving() as (url, server):
        (tmp_path / "job.yaml").write_text(json.dumps(_job(url, requests)))
        done = beacon("run", "job.yaml", "--run-id", "r", "--quiet")
        told, _ = server.communicate()
    assert done.returncode == 0, done.stderr
    seen = json.loads(told)
    run = tmp_path / "state" / "runs" / "r"
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert {row["question_id"]: row["response"] for row in rows} == {
        f"q{number}": f"answer to {number}?" for number in range(requests)
    }
    assert seen["peak"] <= AT_ONCE
    started = Counter(each.execution for each in read(run / "events.jsonl") if isinstance(each, ev.AttemptStarted))
    asked = {row["question_id"]: started[row["execution_id"]] for row in rows}
    assert asked == {f"q{text[:-1]}": count for text, count in seen["questions"].items()}
    assert sum(asked.values()) > requests * 1.05, "it did fail"


def test_a_run_on_the_faster_loop_stops_in_order_and_goes_on(
    beacon: Beacon, environment: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C closes what is in flight and leaves with 130; a resumed run asks what was not answered alone."""
    with _serving() as (url, server):
        (tmp_path / "job.yaml").write_text(json.dumps(_job(url, STOPPED)))
        command = [str(BEACON), "run", "job.yaml", "--run-id", "r", "--quiet"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
            events = tmp_path / "state" / "runs" / "r" / "events.jsonl"
            while not events.exists() or events.read_bytes().count(b"attempt_succeeded") < 50:
                time.sleep(0.01)
            maps = Path(f"/proc/{process.pid}/maps")
            assert not maps.exists() or "uvloop" in maps.read_text()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
        before = [each.execution for each in read(events) if isinstance(each, ev.AttemptSucceeded)]
        done = beacon("resume", "r", "--quiet")
        server.communicate()
    assert done.returncode == 0, done.stderr
    assert 50 <= len(before) < STOPPED
    answered = Counter(each.execution for each in read(events) if isinstance(each, ev.AttemptSucceeded))
    assert len(answered) == STOPPED
    assert set(answered.values()) == {1}
