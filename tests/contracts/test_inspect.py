"""The real Inspect AI reads what `--format inspect` writes. In a process of its own, with its own warnings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.rows import collection, failed, hostile, joined, row

from beacon_cli.collected import Collection
from beacon_cli.exports.inspect_log import export
from beacon_cli.model import JsonObject, Question

READ = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries, write_eval_log
log = read_eval_log(sys.argv[1])
head = read_eval_log(sys.argv[1], header_only=True)
assert head.samples is None
assert (head.status, head.eval.model, head.eval.created) == (log.status, log.eval.model, log.eval.created)
write_eval_log(log, sys.argv[1] + ".eval")  # as `inspect log convert` does
again = read_eval_log(sys.argv[1] + ".eval")
assert {(each.id, each.epoch) for each in again.samples} == {(each.id, each.epoch) for each in log.samples}
assert len(again.samples) == len(log.samples)
assert len(read_eval_log_sample_summaries(sys.argv[1])) == len(log.samples)
print(log.model_dump_json())
"""


@pytest.mark.skipif(find_spec("inspect_ai") is None and "CI" not in os.environ, reason="needs the extra `peers`")
class TestReadByInspect:
    """Needs the extra `peers`; in CI it is there or the tests fail."""

    @pytest.fixture
    def read(self, tmp_path: Path) -> ReadBack:
        """Write a log and have Inspect read it."""
        return ReadBack(tmp_path / "log.json")

    def test_samples_scores_and_errors(self, read: ReadBack) -> None:
        """Each execution is a sample: its question, answer, model, score, times, tokens and error are in place."""
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        rows = [
            row(provenance={"finish_reason": "length", "usage": usage}),
            row(repeat=2, provenance={"finish_reason": ["odd"], "usage": {"total_tokens": "many"}}),
            failed(model="m2", region="eu", execution_id="e2", context="formal"),
        ]
        about = {
            "questions": {"q1": Question(id="q1", text="Capital of France?")},
            "prompts": lambda: {"e1": "Be brief."},
            "sampling": {"temperature": 0.1, "max_tokens": 500, "seed": 7, "top_p": 0.9},
            "began_at": "2026-11-21T19:37:00.000Z",
            "beacon": "0.1.0",
            "rehearsal": True,
        }
        log = read(collection(*rows, **about))
        assert (log["status"], log["eval"]["model"], log["eval"]["task"]) == ("success", "m1, m2", "small")
        assert (log["eval"]["config"]["epochs"], log["tags"]) == (2, ["rehearsal"])
        assert log["eval"]["model_generate_config"]["seed"] == 7
        assert log["results"]["scores"][0]["metrics"]["mean"]["value"] == pytest.approx(2 / 3)
        first, second, third = log["samples"]
        assert (first["id"], first["epoch"], second["epoch"]) == ("q1 · us · m1", 1, 2)
        assert (first["input"], first["output"]["completion"]) == ("Capital of France?", "Paris.")
        assert [each["content"] for each in first["messages"]] == ["Be brief.", "Capital of France?", "Paris."]
        assert [each["output"]["choices"][0]["stop_reason"] for each in (first, second)] == [
            "max_tokens",
            "unknown",
        ]
        assert first["model_usage"]["m1"]["total_tokens"] == 7
        assert (first["output"]["model"], first["total_time"], first["uuid"]) == ("m1", 2.614, "e1")
        assert (first["scores"]["answered"]["value"], third["scores"]["answered"]["value"]) == (1, 0)
        assert third["error"]["message"] == "failed: connection: no route"
        assert (third["id"], third["metadata"]["region"]) == ("q1 · formal · eu · m2", "eu")

    @pytest.mark.parametrize("interrupted", [None, "SIGINT"])
    def test_hostile_rows_and_none(self, read: ReadBack, interrupted: str | None) -> None:
        """Whatever rows hold, half characters too, Inspect reads them all; a log without samples as well."""
        rows = hostile()
        log = read(collection(*rows, interrupted=interrupted))
        assert len(log["samples"]) == len(rows)
        assert log["status"] == ("cancelled" if interrupted else "success")
        assert (read(collection())["samples"] or []) == []


class ReadBack:
    """A file of the log, and what Inspect makes of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, given: Collection) -> JsonObject:
        """The log as Inspect has it, in JSON."""
        self._path.write_bytes(joined(export(given)))
        done = subprocess.run(
            [sys.executable, "-c", READ, str(self._path)], capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stderr
        found: JsonObject = json.loads(done.stdout.strip("\n").rpartition("\n")[2])
        return found
