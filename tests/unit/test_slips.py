"""What people type by mistake, at every command: one line that names it, and the code of wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from beacon_cli.cli import application
from beacon_cli.cli.exits import exit_code
from beacon_cli.operations import exporting

JOB = """\
id: framed
regions: [us]
models: [a, b]
questions: [{id: q, text: "What is 2+2?"}]
contexts: [{id: plain, system_prompt: Be plain.}, {id: kind, system_prompt: Be kind.}]
repeats: 3
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a job, a folder and a file in it, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEACON_HOME", str(tmp_path / "home"))
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    (tmp_path / "folder").mkdir()
    return tmp_path


def left(*arguments: str) -> int:
    """The code that `beacon` leaves with."""
    try:
        return int(application(arguments)(arguments, standalone_mode=False) or 0)
    except Exception as error:  # noqa: BLE001 - as `__main__` does
        return exit_code(error, debug=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "job.yaml", "--rehearse", "--speed", "inf"), "--speed"),
        (("run", "job.yaml", "--rehearse", "--speed", "1e300"), "--speed"),
        (("emulator", "--speed", "inf"), "--speed"),
        (("run", "job.yaml", "--rehearse", "--run-id", ""), "'' cannot be a run id"),
        (("retry", ""), "RUN"),
        (("resume", ""), "RUN"),
        (("reap", ""), "RUN"),
        (("show", ""), "RUN"),
        (("report", ""), "RUN"),
        (("init", "folder"), "folder is a folder"),
        (("init", "folder", "--force"), "folder is a folder"),
        (("metrics", "--from-logs", "folder"), "folder is a folder"),
        (("deploy", "--dry-run", "--apps", "nowhere"), "nowhere is no folder"),
        (("deploy", "--dry-run", "--apps", "job.yaml"), "job.yaml is no folder"),
    ],
)
def test_a_slip_is_named_before_anything_begins(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code is 2 and one line has the word that was wrong; an empty one is not taken for one left out."""
    assert left(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("beacon: ")
    assert said.count("\n") == 1
    assert words in said


def test_an_extra_that_is_missing_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a format's library is not installed the code is 5, as for every extra."""

    def missing(_: str) -> None:
        raise ModuleNotFoundError(name="pyarrow")

    monkeypatch.setattr(exporting, "import_module", missing)
    assert left("export", "--format", "parquet") == 5
    assert "pip install 'beacon-cli[export]'" in capsys.readouterr().err


def test_a_valid_job_is_told_with_all_that_its_executions_are_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Contexts and repeats multiply executions, so the line has them where there are more than one."""
    assert left("validate", "job.yaml") == 0
    assert "12 executions, 1 region, 1 question, 2 models, 2 contexts, 3 repeats" in capsys.readouterr().out
