"""`beacon run` as a user runs it: the installed command, the real SDK, the emulator."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import ROOT, Beacon, Emulator

FAST = ("--rehearse", "--speed", "200")
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))


def rows(folder: Path) -> list[dict[str, Any]]:
    """The results below a folder, of its only run."""
    (found,) = folder.rglob("results.jsonl")
    return [json.loads(line) for line in found.read_text("ascii").splitlines()]


def test_a_rehearsal_answers_every_execution(beacon: Beacon, job: Path, tmp_path: Path) -> None:
    """The main job in rehearsal leaves with 0, has an answer for each of 72 executions, and says what it was."""
    done = beacon("run", job, *FAST)
    assert done.returncode == 0, done.stderr
    assert "REHEARSAL" in done.stdout
    found = rows(tmp_path / "state")
    assert Counter(row["status"] for row in found) == {"succeeded": 72}
    assert len({row["execution_id"] for row in found}) == 72
    assert {row["rehearsal"] for row in found} == {True}
    assert Counter((row["region"], row["model"]) for row in found) == {
        (region, model): 8
        for region in ("us", "eu", "asia")
        for model in ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")
    }


def test_answers_in_rehearsal_differ(beacon: Beacon, job: Path, tmp_path: Path) -> None:
    """Answers differ by model, question and region; one model refuses the sensitive questions."""
    assert beacon("run", job, *FAST, "-q").returncode == 0
    answers = {
        (row["region"], row["model"], row["question_id"]): row["response"] for row in rows(tmp_path / "state")
    }
    assert len({answers["us", model, "greatest_leader"] for model in ("llama3.2-1b", "mistral-7b")}) == 2
    assert len({answers["us", "mistral-7b", question] for question in ("identity_basic", "greatest_leader")}) == 2
    assert any(
        len({answers[region, model, question] for region in ("us", "eu", "asia")}) > 1
        for _, model, question in answers
    )
    refusal = answers["us", "qwen2.5-1.5b", "tiananmen_neutral"]
    assert refusal != answers["us", "mistral-7b", "tiananmen_neutral"]
    assert any(words in refusal for words in ("cannot", "not able", "unable", "can't", "not comment", "sorry"))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: str(path.name))
def test_every_example_job_runs(beacon: Beacon, path: Path, tmp_path: Path) -> None:
    """Each job in `jobs/` is valid, can be planned, and every execution of it is answered in rehearsal."""
    assert beacon("validate", path).returncode == 0
    planned = json.loads(beacon("plan", path, "--json").stdout)["executions"]
    done = beacon("run", path, *FAST, "-q")
    assert done.returncode == 0, done.stderr
    assert Counter(row["status"] for row in rows(tmp_path / "state")) == {"succeeded": planned}


def test_a_rehearsal_has_the_apps_that_the_job_names(beacon: Beacon, job: Path, tmp_path: Path) -> None:
    """A job with apps of its own, in a region of its own, can be rehearsed like any other."""
    (tmp_path / "beacon.toml").write_text('[regions.mars]\nplace = "the planet Mars"\n')
    own = tmp_path / "own.yaml"
    own.write_text(
        job.read_text()
        .replace("[us, eu, asia]", "[us, mars]")
        .replace("project-beacon-hf-{region", "mine-{region")
    )
    done = beacon("run", own, *FAST, "--limit", "1")
    assert done.returncode == 0, done.stderr
    assert Counter(row["provenance"]["region"] for row in rows(tmp_path / "state")) == {"us": 3, "mars": 3}


def test_a_dead_region_leaves_the_others(beacon: Beacon, emulator: Emulator, job: Path, tmp_path: Path) -> None:
    """A region that takes no call is given up; the other 48 executions are answered, and the code is 3."""
    script = tmp_path / "script.json"
    script.write_text('{"rules": [{"region": "eu", "effect": "unreachable"}]}')
    quick = tmp_path / "quick.yaml"
    quick.write_text(job.read_text().replace("first: 2s", "first: 50ms"))
    with emulator("--script", script) as variables:
        done = beacon("run", quick, **variables)
    assert done.returncode == 3, done.stderr
    found = Counter((row["region"], row["status"]) for row in rows(tmp_path / "state"))
    assert found["us", "succeeded"] == found["asia", "succeeded"] == 24
    assert found["eu", "failed"] + found["eu", "skipped"] == 24
    assert found["eu", "skipped"] > 0
    assert "eu: GIVEN UP" in done.stderr
    assert "REHEARSAL" not in done.stdout


def test_what_failed_is_asked_again_without_naming_the_run(
    beacon: Beacon, emulator: Emulator, job: Path, tmp_path: Path
) -> None:
    """`retry` takes the latest run, though it has ended: what failed is asked again, what was answered is kept."""
    script = tmp_path / "script.json"
    script.write_text('{"rules": [{"region": "eu", "effect": "model_error", "calls": [1, 3]}]}')
    once = tmp_path / "once.yaml"
    once.write_text(job.read_text().replace("attempts: 4", "attempts: 1"))
    with emulator("--script", script) as variables:
        assert beacon("run", once, "--limit", "1", **variables).returncode == 3
        before = rows(tmp_path / "state")
        done = beacon("retry", **variables)
    assert done.returncode == 0, done.stderr
    after = rows(tmp_path / "state")
    assert Counter(row["status"] for row in before) == {"succeeded": 6, "failed": 3}
    assert Counter(row["status"] for row in after) == {"succeeded": 9}
    assert [row for row in after if row["region"] != "eu"] == [row for row in before if row["region"] != "eu"]


def test_json_is_lines_on_stdout_and_nothing_else(beacon: Beacon, job: Path) -> None:
    """With `--json`, stdout is JSON lines from `run_started` to `run_finished` with the counts."""
    done = beacon("run", job, *FAST, "--json", "--limit", "1")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("run_started", "run_finished")
    assert lines[-1]["succeeded"] == 9
    assert sum(line["event"] == "attempt_succeeded" for line in lines) == 9


def test_json_can_be_had_without_progress(beacon: Beacon, job: Path) -> None:
    """With `--json --quiet`, the lines are all there and stderr has the summary alone."""
    done = beacon("run", job, *FAST, "--json", "--quiet", "--limit", "1")
    assert json.loads(done.stdout.splitlines()[-1])["succeeded"] == 9
    assert "asking" not in done.stderr
    assert "all 9 executions answered" in done.stderr


def test_progress_goes_to_stderr_without_escape_codes(beacon: Beacon, job: Path) -> None:
    """Where stderr is no terminal, progress is plain lines; stdout has the summary alone."""
    done = beacon("run", job, *FAST, "--limit", "1")
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("\n") >= 5
    assert "answered" in done.stdout


def test_the_command_line_narrows_the_job(beacon: Beacon, job: Path, tmp_path: Path) -> None:
    """Regions (by any of their names), models and questions can be chosen, and a copy of the results be had."""
    chosen = (
        "--region",
        "APAC",
        "--model",
        "mistral-7b",
        "--question",
        "math_basic",
        "--question",
        "taiwan_status",
    )
    done = beacon("run", job, *FAST, *chosen, "--run-id", "mine", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "out")
    assert [(row["run_id"], row["region"], row["model"], row["question_id"]) for row in found] == [
        ("mine", "asia", "mistral-7b", "math_basic"),
        ("mine", "asia", "mistral-7b", "taiwan_status"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--region", "mars"), "unknown region 'mars'"),
        (("--model", "mistral-7B"), "did you mean 'mistral-7b'"),
        (("--question", "math_basics"), "did you mean 'math_basic'"),
        (("--schedule", "lanez"), "did you mean 'lanes'"),
        (("--executor", "modla"), "did you mean 'modal'"),
        (("--run-id", "../up"), "cannot be a run id"),
    ],
)
def test_a_wrong_name_is_refused(
    beacon: Beacon, job: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """A name that does not exist ends the command with 2, one line and the nearest right name; nothing starts."""
    done = beacon("run", job, *FAST, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "state").exists()


def test_a_wrong_job_is_refused_with_every_fault(beacon: Beacon, tmp_path: Path) -> None:
    """A wrong job file ends the command with 2; each fault has file, line and key; nothing has started."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("id: x\nregions: [us, mars]\nmodels: [{id: m}, {id: m}]\nquestons: []\n")
    done = beacon("run", wrong, *FAST)
    assert done.returncode == 2
    assert {"wrong.yaml:2", "wrong.yaml:3", "wrong.yaml:4"} <= {
        ":".join(Path(line.removeprefix("beacon: ")).name.split(":")[:2]) for line in done.stderr.splitlines()
    }
    assert not (tmp_path / "state").exists()


def test_a_region_that_is_off_is_not_planned(beacon: Beacon, job: Path, tmp_path: Path) -> None:
    """A region switched off in the configuration is left out and said so; named, it is refused."""
    off = {"BEACON_REGIONS_OFF": "apac"}
    assert "asia" in beacon("plan", job, **off).stdout
    assert json.loads(beacon("plan", job, "--json", **off).stdout)["executions"] == 48
    assert beacon("run", job, *FAST, "-q", "--limit", "1", **off).returncode == 0
    assert {row["region"] for row in rows(tmp_path / "state")} == {"us", "eu"}
    refused = beacon("run", job, *FAST, "--region", "asia", **off)
    assert refused.returncode == 2
    assert "switched off" in refused.stderr


def test_what_cannot_start_says_what_to_do(beacon: Beacon, emulator: Emulator, job: Path, tmp_path: Path) -> None:
    """No credentials, an app that is not there, nobody listening: 5, one line, and no run has begun."""
    missing = tmp_path / "missing.yaml"
    missing.write_text(job.read_text().replace("project-beacon-hf-{region.app}", "no-such-app"))
    with emulator() as variables:
        for done, said in (
            (beacon("run", job), "modal"),
            (beacon("run", missing, **variables), "no-such-app"),
            (beacon("run", job, **{**variables, "MODAL_SERVER_URL": "http://127.0.0.1:9"}), "127.0.0.1:9"),
        ):
            assert done.returncode == 5, done.stderr
            assert said in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert done.stdout == ""
    assert not (tmp_path / "state").exists()


def test_results_that_have_no_place_are_told_before_anything_starts(
    beacon: Beacon, job: Path, tmp_path: Path
) -> None:
    """`--output` that names a file is one line and 4, and no run was begun."""
    (tmp_path / "file").write_text("")
    done = beacon("run", job, *FAST, "--output", "file")
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    assert "move the file" in done.stderr
    assert not (tmp_path / "state").exists()


OWN = """
id: own
regions: [mars, us]
models: [m1]
questions: [{id: q1, text: "What is 2+2?"}]
executor:
  modal:
    app: my-app-{region.app}
    function: run_inference
    arguments: {model_name: "{model.id}", prompt: "{prompt}"}
"""


def test_a_rehearsal_plays_the_apps_that_the_job_calls(beacon: Beacon, tmp_path: Path) -> None:
    """Regions of the user's own configuration, and apps of any name, can be rehearsed."""
    (tmp_path / "beacon.toml").write_text('[regions.mars]\nplace = "Mars"\n')
    (tmp_path / "own.yaml").write_text(OWN)
    done = beacon("run", "own.yaml", *FAST, "-q")
    assert done.returncode == 0, done.stderr
    assert [(row["region"], row["status"]) for row in rows(tmp_path / "state")] == [
        ("mars", "succeeded"),
        ("us", "succeeded"),
    ]


def test_what_no_rehearsal_plays_can_be_simulated(beacon: Beacon, tmp_path: Path) -> None:
    """A function that the emulator lacks is refused with the way out, which `--speed` makes as fast."""
    (tmp_path / "own.yaml").write_text(OWN.replace("mars, ", "").replace("run_inference", "ask"))
    refused = beacon("run", "own.yaml", *FAST)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "'ask'" in refused.stderr
    assert "--executor simulated" in refused.stderr
    done = beacon("run", "own.yaml", "--executor", "simulated", "--speed", "1000", "-q")
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "state")[0]["seconds"] < 1
