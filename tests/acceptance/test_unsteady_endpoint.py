"""The installed command against an endpoint that fails, which is a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.acceptance.conftest import ROOT, Beacon

from beacon_cli import events as ev
from beacon_cli.replay import read

REQUESTS = 2_000
AT_ONCE = 50


def test_every_execution_succeeds_where_one_request_in_ten_fails(beacon: Beacon, tmp_path: Path) -> None:
    """2,000 requests: each gets its own answer; by the server's log none was too many, and none was made twice."""
    command = [sys.executable, "-m", "tests.support.unsteady"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        job = {
            "id": "unsteady",
            "regions": ["us"],
            "models": ["m"],
            "questions": [{"id": f"q{number}", "text": f"{number}?"} for number in range(REQUESTS)],
            "limits": {"concurrency": AT_ONCE, "per_region": AT_ONCE, "timeout": "3s"},
            "retry": {"attempts": 20, "first": "10ms", "longest": "50ms"},
            "schedule": "lanes",
            "in_flight": AT_ONCE,
            "executor": {"openai": {"base_url": server.stdout.readline().strip()}},
        }
        (tmp_path / "job.yaml").write_text(json.dumps(job))
        done = beacon("run", "job.yaml", "--run-id", "r", "--quiet")
        told, _ = server.communicate()
    assert done.returncode == 0, done.stderr
    seen = json.loads(told)
    run = tmp_path / "state" / "runs" / "r"
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert {row["question_id"]: row["response"] for row in rows} == {
        f"q{number}": f"answer to {number}?" for number in range(REQUESTS)
    }
    assert seen["peak"] <= AT_ONCE
    started = Counter(each.execution for each in read(run / "events.jsonl") if isinstance(each, ev.AttemptStarted))
    asked = {row["question_id"]: started[row["execution_id"]] for row in rows}
    assert asked == {f"q{text[:-1]}": count for text, count in seen["questions"].items()}
    assert sum(asked.values()) > REQUESTS * 1.05, "it did fail"
