"""`beacon export` as a user runs it: from a run or a file, to stdout or a file, whatever became of the run."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pyarrow import parquet
from tests.acceptance.conftest import BEACON, Beacon

FAST = ("--rehearse", "--speed", "200", "-q")
FORMATS = ("jsonl", "csv", "parquet", "json", "markdown", "junit", "inspect")


@pytest.fixture
def results(beacon: Beacon, job: Path, tmp_path: Path) -> Path:
    """A run called `first`, rehearsed, and its results."""
    assert beacon("run", job, *FAST, "--limit", "2", "--run-id", "first").returncode == 0
    return tmp_path / "state" / "runs" / "first" / "results.jsonl"


def test_every_format_holds_every_execution(beacon: Beacon, results: Path, tmp_path: Path) -> None:
    """A run comes out in each format with all of its 18 executions, marked as a rehearsal."""
    for form in FORMATS:
        done = beacon("export", "fir", "--format", form, "--output", f"out.{form}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    out = {form: (tmp_path / f"out.{form}").read_bytes() for form in FORMATS}
    assert out["jsonl"] == results.read_bytes()
    table = list(csv.DictReader(io.StringIO(out["csv"].decode("utf-8-sig"))))
    assert [each["rehearsal"] for each in table] == ["true"] * 18
    assert parquet.read_table(io.BytesIO(out["parquet"])).column("rehearsal").to_pylist() == [True] * 18
    document = json.loads(out["json"])
    assert (len(document["answers"]), document["rehearsal"], document["run_id"]) == (18, True, "first")
    assert "What is 2+2?" in {each["text"] for each in document["questions"]}
    assert "REHEARSAL" in out["markdown"].decode()
    cases = ET.fromstring(out["junit"]).iter("testcase")  # noqa: S314 - our own
    assert Counter(len(case) for case in cases) == {0: 18}
    log = json.loads(out["inspect"])
    assert (len(log["samples"]), log["eval"]["tags"]) == (18, ["rehearsal"])


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_journal_gives_the_same_bytes(
    form: str, results: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """Two processes that order sets and dictionaries by other seeds write the same file; so does stdout."""
    command = [str(BEACON), "export", results.parent.name, "--format", form]
    written = []
    for seed in ("1", "2"):
        out = tmp_path / f"out.{seed}"
        given = {**environment, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"}
        subprocess.run([*command, "--output", str(out)], env=given, check=True, timeout=60)
        written.append(out.read_bytes())
    piped = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60).stdout
    assert written[0] == written[1] == piped
    assert written[0]


def test_answers_collected_elsewhere(beacon: Beacon, tmp_path: Path) -> None:
    """A results file of somebody else's is exported as a run is; a bad line is named, and nothing is written."""
    line = {"region": "mars", "model": "m", "question_id": "q", "status": "succeeded", "response": "=1"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(line) + "\n")
    done = beacon("export", "mine.jsonl", "--format", "csv")
    assert "'=1" in done.stdout
    (tmp_path / "mine.jsonl").write_text(json.dumps(line) + "\n\n" + json.dumps({**line, "repeat": 0}) + "\n")
    done = beacon("export", tmp_path / "mine.jsonl", "--format", "csv", "--output", "out.csv")
    assert done.returncode == 2
    assert f"{tmp_path / 'mine.jsonl'}:3: repeat: has to be a whole number from 1" in done.stderr
    assert list(tmp_path.glob("*out.csv*")) == []


def test_a_file_is_written_over_only_by_force_and_never_through_a_link(
    beacon: Beacon, results: Path, tmp_path: Path
) -> None:
    """What is there stays unless `--force` is given; a link, a folder or a device is refused even then."""
    export = ("export", results, "--format", "json", "--output")
    (tmp_path / "mine.json").write_text("mine")
    refused = beacon(*export, "mine.json")
    assert (refused.returncode, refused.stderr) == (
        2,
        "beacon: mine.json is there already; --force writes over it\n",
    )
    (tmp_path / "link.json").symlink_to("mine.json")
    (tmp_path / "gone.json").symlink_to("nowhere.json")
    for name in ("link.json", "gone.json", ".", "/dev/null"):
        refused = beacon(*export, name, "--force")
        assert (refused.returncode, "is no regular file" in refused.stderr) == (2, True)
    assert (tmp_path / "mine.json").read_text() == "mine"
    assert not (tmp_path / "nowhere.json").exists()
    assert beacon(*export, "mine.json", "--force").returncode == 0
    assert len(json.loads((tmp_path / "mine.json").read_text())["answers"]) == 18


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nothing", "--format", "csv"), 2, "there is no run 'nothing'"),
        (("nothing.jsonl", "--format", "csv"), 2, "there is no file 'nothing.jsonl'"),
        ((".", "--format", "csv"), 2, "there is no run '.'"),
        (("./", "--format", "csv"), 2, "is no regular file"),
        (("/dev/null", "--format", "csv"), 2, "is no regular file"),
        (("--format", "cvs"), 2, "--format: there is no 'cvs'; did you mean 'csv'?"),
        ((), 2, "Missing option '--format'"),
        (("--format", "csv"), 2, "there is no run yet"),
        (("", "--format", "csv"), 2, "RUN is empty"),
    ],
)
def test_what_cannot_be_exported(beacon: Beacon, arguments: tuple[str, ...], code: int, said: str) -> None:
    """A wrong name, path or format ends with one line that says what is wrong."""
    done = beacon("export", *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert said in done.stderr


def test_a_run_that_was_stopped_before_its_end(beacon: Beacon, results: Path, tmp_path: Path) -> None:
    """What was not asked any more is cancelled in each format, and the export is as whole as that of any run."""
    journal = results.with_name("events.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"torn')
    for form in FORMATS:
        assert beacon("export", "--format", form, "--output", f"out.{form}").returncode == 0
    answers = json.loads((tmp_path / "out.json").read_text())["answers"]
    assert len(answers) == 18
    assert Counter(each["status"] for each in answers)["cancelled"] >= 5
    root = ET.fromstring((tmp_path / "out.junit").read_bytes())  # noqa: S314 - our own
    assert len(list(root.iter("skipped"))) == Counter(each["status"] for each in answers)["cancelled"]
    assert json.loads((tmp_path / "out.inspect").read_text())["status"] == "cancelled"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_an_output_that_cannot_take_it_all_is_told(results: Path, environment: dict[str, str]) -> None:
    """A full stdout ends the command with an error: a part must not pass for the whole. A closed pipe does not."""
    command = [str(BEACON), "export", str(results), "--format", "jsonl"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (4, 1)
    assert "no space left on device" in done.stderr
    piped = f"{sys.executable} -c 'import sys; sys.stdin.close()'"
    script = f"set -o pipefail; {' '.join(command)} | {piped}"
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_step_of_github_shows_how_the_run_ended(beacon: Beacon, job: Path, tmp_path: Path) -> None:
    """With `GITHUB_STEP_SUMMARY` the end of a run is appended there; where that fails, nothing else does."""
    page = tmp_path / "step.md"
    page.write_text("before\n")
    command = ("run", job, *FAST, "--limit", "1")
    assert beacon(*command, "--run-id", "one", GITHUB_STEP_SUMMARY=str(page)).returncode == 0
    text = page.read_text()
    assert text.startswith("before\n### beacon: bias-detection (rehearsal)\n")
    assert "Run one: 9 of 9 executions answered." in text
    refused = beacon(*command, GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "step.md"))
    assert refused.returncode == 0
    assert "GITHUB_STEP_SUMMARY" in refused.stderr
