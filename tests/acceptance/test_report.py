"""`beacon report` and `compare` as a user runs them: of a run, of a file, in CI, without what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.conftest import BEACON, ROOT, Beacon
from tests.support.stories import job as spec_of
from tests.support.stories import story

from beacon_cli import rows

FAST = ("--rehearse", "--speed", "200", "-q")


@pytest.fixture
def run(beacon: Beacon, job: Path) -> str:
    """A run called `first`, rehearsed."""
    done = beacon("run", job, *FAST, "--limit", "5", "--run-id", "first")
    assert done.returncode == 0, done.stderr
    assert "how the answers read" in done.stdout
    assert "beacon report first" in done.stdout
    return "first"


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """Answers collected elsewhere, in which asia refuses half of what it is asked."""
    lines = map(rows.to_line, story(spec_of(questions=12), asia=0.5))
    file = tmp_path / "collected.jsonl"
    file.write_bytes(b"".join(lines).replace(b"REFUSED to say.", b"I'm sorry, but I can't help with that."))
    return file


def test_a_run_is_judged_and_never_beyond_what_it_bears(beacon: Beacon, run: str, tmp_path: Path) -> None:
    """A rehearsal of one wave: marked everywhere, inconclusive for every model, with what would settle it."""
    done = beacon("report", run, "--html", "page.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "REHEARSAL" in done.stdout
    assert done.stdout.count("INCONCLUSIVE") == 3
    assert "What would settle it: `design: {container_starts: 5}` or more" in " ".join(done.stdout.split())
    assert "REHEARSAL" in (tmp_path / "page.html").read_text(encoding="utf-8")
    again = beacon("report", run, "--html", "page.html")
    assert (again.returncode, "--force writes over it" in again.stderr) == (2, True)


def test_answers_from_elsewhere_are_judged(beacon: Beacon, collected: Path) -> None:
    """Any results.jsonl of the documented form gets its verdict; neither design nor prompts are known."""
    found = json.loads(beacon("report", collected, "--json").stdout)
    (verdict,) = found["verdicts"]
    assert (verdict["verdict"], verdict["called"]) == ("difference", "difference of unknown cause")
    assert found["design"]["registered"] is False
    assert any("not fixed before the answers came" in note for note in found["notes"])
    assert found["recompute"] == f"beacon report {collected}"


def test_a_gate_that_is_crossed_ends_with_six(beacon: Beacon, collected: Path) -> None:
    """Each gate says by how much, on stderr; the report is on stdout all the same."""
    done = beacon(
        "report", collected, "--fail-on", "difference", "--fail-on", "refusals>10%", "--fail-on", "missing>5%"
    )
    assert done.returncode == 6
    assert "DIFFERENCE" in done.stdout
    first, second = done.stderr.splitlines()
    assert first.startswith("beacon: --fail-on difference: m: Difference for m")
    assert second == "beacon: --fail-on refusals>10%: m in asia: 50.0 % (24 of 48)"
    assert beacon("report", collected, "--fail-on", "missing>5%").returncode == 0
    assert beacon("report", collected, "--fail-on", "refusal").returncode == 2


def test_two_runs_are_compared_on_what_both_have(beacon: Beacon, run: str, job: Path) -> None:
    """`compare` names both runs, counts what is not in both, and gives no verdict on so little."""
    assert beacon("run", job, *FAST, "--limit", "3", "--run-id", "second").returncode == 0
    found = json.loads(beacon("compare", run, "second", "--json").stdout)
    assert (found["axis"], found["groups"]) == ("run", ["first", "second"])
    assert {each["verdict"] for each in found["verdicts"]} == {"inconclusive"}
    assert {each["not_shared"] for each in found["survivors"] if each["group"] == "first"} == {6}
    assert "beacon compare first second" in beacon("compare", run, "second").stdout
    same = json.loads(beacon("compare", run, run, "--json").stdout)
    assert same["groups"] == ["first (1)", "first (2)"]


@pytest.mark.parametrize("form", ["page", "json", "words"])
def test_the_same_journal_gives_the_same_bytes(
    form: str, run: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Two processes that order sets by other seeds, in other time zones, give the same report to the byte."""
    given = []
    for seed in ("1", "2"):
        page = tmp_path / f"{seed}.html"
        more = {"page": ["--html", str(page)], "json": ["--json"], "words": []}[form]
        done = subprocess.run(
            [str(BEACON), "report", run, *more],
            env={**environment, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"},
            capture_output=True,
            check=True,
            timeout=90,
        )
        given.append(page.read_bytes() if form == "page" else done.stdout)
    assert given[0] == given[1]


def test_a_step_of_github_gets_the_verdicts(beacon: Beacon, collected: Path, tmp_path: Path) -> None:
    """Where GitHub asks for a summary, the report's is appended."""
    summary = tmp_path / "summary.md"
    assert beacon("report", collected, GITHUB_STEP_SUMMARY=str(summary)).returncode == 0
    assert "- **difference**, m: Difference for m" in summary.read_text(encoding="utf-8")


def test_without_its_extra_a_report_says_what_to_install(run: str, environment: dict[str, str]) -> None:
    """One line and code 5; nothing else of beacon needs it."""
    hidden = "import sys\nfor name in ('numpy', 'scipy', 'rapidfuzz', 'sacrebleu'): sys.modules[name] = None\n"
    main = "sys.argv[0] = 'beacon'\nfrom beacon_cli.__main__ import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", hidden + main, "report", run],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 5
    assert done.stderr == "beacon: a report needs numpy: pip install 'beacon-cli[report]'\n"
    shown = [sys.executable, "-c", hidden + main, "show", run]
    assert subprocess.run(shown, env=environment, capture_output=True, check=False, timeout=90).returncode == 0


def test_bad_files_and_runs_are_said_to_be(beacon: Beacon, tmp_path: Path) -> None:
    """No run, no file, a line that is no row, a file without rows: a line each, or a report that says so."""
    assert beacon("report").returncode == 2
    assert "there is no file" in beacon("report", "nowhere.jsonl").stderr
    (tmp_path / "bad.jsonl").write_text('{"region": "us"}\n')
    assert beacon("report", "./bad.jsonl").stderr.startswith("beacon: bad.jsonl:1: model: missing")
    (tmp_path / "empty.jsonl").write_text("")
    done = beacon("report", "empty.jsonl")
    assert (done.returncode, "There is no answer to compare." in done.stdout) == (0, True)


def test_power_warns_of_one_wave(beacon: Beacon, job: Path) -> None:
    """One wave at three containers a region can never be significant, and the plan says so."""
    text = beacon("plan", job, "--power").stdout
    assert "WARNING: 3 container starts a region can never settle anything" in text
    assert "the smallest possible p is 0.100" in text


def test_the_shipped_job_can_reach_a_verdict(beacon: Beacon) -> None:
    """jobs/refusals.yaml finds ten points in 80 of 100 runs, where containers are alike."""
    found = json.loads(beacon("plan", ROOT / "jobs" / "refusals.yaml", "--power", "--json").stdout)
    assert found["alike"]["possible"] is True
    assert found["alike"]["power"] >= 0.8
    assert found["alike"]["size"] == {"prompts": 104, "starts": 5, "groups": 2}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_half_a_report_does_not_pass_for_the_whole(
    more: tuple[str, ...], collected: Path, environment: dict[str, str]
) -> None:
    """On a full disk the code is 4 and a line says why; a reader that has gone away is no error."""
    command = [str(BEACON), "report", str(collected), *more]
    with Path("/dev/full").open("w", encoding="ascii") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert "no space left on device" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (gone.returncode, gone.stderr) == (0, b"")


def test_patterns_of_ones_own_are_told(beacon: Beacon, collected: Path, environment: dict[str, str]) -> None:
    """Whoever changes patterns after the answers chooses what is found: a report that used them says so."""
    home = Path(environment["BEACON_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    mine = collected.with_name("mine.toml")
    rule = 'name = "x"\nlanguage = "en"\nkind = "hard"\nwhere = "opening"\nmatch = "answer"'
    mine.write_text(f"[[pattern]]\n{rule}\n")
    collected.with_name("beacon.toml").write_text('patterns = ["mine.toml"]\n')
    done = beacon("report", collected, "--json")
    assert any("patterns of your own too (mine.toml)" in note for note in json.loads(done.stdout)["notes"])
