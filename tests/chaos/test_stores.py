"""Journals of other versions, damaged ones, runs that never began, two processes at one run."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from tests.support.chaos import House, Told, ended, left, stop, until, whole_records
from tests.support.remembering import Desk

from beacon_cli.errors import StoreError, UsageError
from beacon_cli.model import JsonObject
from beacon_cli.operations import carry_out, looking, reaping
from beacon_cli.operations.orders import Continuation
from beacon_cli.wiring import Show

_LATEST = Continuation(show=Show(progress=False))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A home with one interrupted run, `r`."""
    here = Desk(tmp_path, monkeypatch, small=False)
    here.crash_in_the_middle()
    return here


def _is_complete(desk: Desk, run_id: str = "r") -> bool:
    rows = whole_records(desk.run_folder(run_id) / "results.jsonl")
    return [row["status"] for row in rows] == ["succeeded"] * desk.executions


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def _line(record: JsonObject) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("resumed", [False, True])
def test_a_journal_of_a_newer_beacon_is_left_alone(
    desk: Desk, told: Told, capsys: pytest.CaptureFixture[str], *, resumed: bool
) -> None:
    """Resume, retry and reap refuse it with 4 and one line, and change nothing; `runs` shows it as unreadable."""
    told("a journal of a newer version")
    first, *others = desk.journal().read_bytes().splitlines(keepends=True)[:-1]
    record = {**json.loads(first), "schema": 2}
    newer = _line(
        {"event": "run_resumed", **{key: record[key] for key in record if key != "event"}} if resumed else record
    )
    lines = [first, *others, newer, b'{"event":"of the future"}\n'] if resumed else [newer, *others]
    desk.journal().write_bytes(b"".join(lines))
    before = _contents(desk.run_folder())
    for refused in (
        lambda: carry_out.go_on(desk.continuation()),
        lambda: carry_out.go_on(Continuation(run="r", again=True)),
        lambda: reaping.reap("r"),
        lambda: looking.run("r", as_json=False),
    ):
        with pytest.raises(StoreError, match="newer beacon") as raised:
            refused()
        assert raised.value.exit_code == 4
        assert "\n" not in str(raised.value)
    assert reaping.reap() == []
    capsys.readouterr()
    looking.runs(as_json=False)
    assert "unreadable" in capsys.readouterr().out
    assert _contents(desk.run_folder()) == before
    assert not desk.provider.began


def test_a_journal_of_an_older_form_goes_on(desk: Desk, told: Told) -> None:
    """A journal without the fields that were added later, and with some that nobody knows, is resumed."""
    told("a journal of an older form")
    first, *others = desk.journal().read_bytes().splitlines(keepends=True)
    record = json.loads(first)
    for added in ("schema", "selection", "job_file"):
        record.pop(added, None)
    desk.journal().write_bytes(_line({**record, "of_an_older_time": True}) + b"".join(others))
    assert carry_out.go_on(desk.continuation()) == 0
    assert _is_complete(desk)


def test_a_damaged_journal_stands_in_nobodys_way(desk: Desk, told: Told) -> None:
    """One run with a damaged journal is refused by name; the others are listed, reaped and resumed."""
    told("a damaged journal beside others")
    desk.crash_in_the_middle("broken")
    whole = desk.journal("broken").read_bytes()
    desk.journal("broken").write_bytes(whole.replace(b'"call_placed"', b'"call_misplaced"', 3))
    with pytest.raises(StoreError, match="damaged") as raised:
        carry_out.go_on(desk.continuation("broken"))
    assert raised.value.exit_code == 4
    looking.runs(as_json=False)
    assert [each.run_id for each in reaping.reap()] == ["r"]
    assert carry_out.go_on(_LATEST) == 0
    assert _is_complete(desk)


def test_a_run_that_never_began_hides_nothing(desk: Desk, told: Told) -> None:
    """A run killed before its first record is passed over for the interrupted one before it."""
    told("a run killed before its first record")
    for name in ("s-empty", "s-torn"):
        desk.run_folder(name).mkdir(mode=0o700)
        (desk.run_folder(name) / "job.yaml").write_bytes(desk.job.read_bytes())
    desk.journal("s-torn").write_bytes(b'{"event":"run_star')
    looking.runs(as_json=False)
    assert [each.run_id for each in reaping.reap()] == ["r"]
    assert carry_out.go_on(_LATEST) == 0
    assert _is_complete(desk)
    for name in ("s-empty", "s-torn"):
        with pytest.raises(UsageError, match="never began"):
            carry_out.go_on(desk.continuation(name))
        with pytest.raises(UsageError, match="never began"):
            reaping.reap(name)


def test_a_finished_run_that_was_reaped_stays_finished(desk: Desk, told: Told) -> None:
    """A call that outlived its time limit is reaped after the run's end; the run stays finished."""
    told("a call that outlived its run")
    assert carry_out.go_on(desk.continuation()) == 0
    lines = desk.journal().read_bytes().splitlines(keepends=True)
    execution = next(json.loads(line)["execution"] for line in lines if b'"attempt_succeeded"' in line)
    timed_out = {
        "event": "attempt_failed",
        "at": 1.0,
        "execution": execution,
        "attempt": 1,
        "seconds": 1.0,
        "failure": {"outcome": "timed_out", "after": 1.0},
        "ended": False,
        "retry_in": None,
    }
    lines[next(n for n, line in enumerate(lines) if b'"attempt_succeeded"' in line)] = _line(timed_out)
    finished = json.loads(lines[-1])
    lines[-1] = _line({**finished, "succeeded": finished["succeeded"] - 1, "failed": 1, "open_calls": 1})
    desk.journal().write_bytes(b"".join(lines))
    (reaped,) = reaping.reap()
    assert len(reaped.calls) == 1
    assert reaped.ended == reaped.calls
    assert reaping.reap() == []
    with pytest.raises(UsageError, match="no unfinished run"):
        carry_out.go_on(_LATEST)


def test_two_processes_at_one_run(house: House, told: Told) -> None:
    """Of two that resume a run at once, one is refused with 4 and one line; so is a reap."""
    told("two processes resume one run")
    house.write_job(["It hangs"])
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    until(lambda: len(left(house.records("r")).calls) == 9, "nine calls placed")
    stop(process, signal.SIGKILL)
    ended(process)
    both = [house.start("resume", "r", "--quiet") for _ in range(2)]
    until(lambda: any(each.poll() is not None for each in both), "one of the two is refused")
    refused, other = sorted(both, key=lambda each: each.poll() is None)
    said = ended(refused)
    assert said.code == 4, said.err
    assert len(said.err.splitlines()) == 1
    assert f"process {other.pid}" in said.err
    assert house.beacon("reap", "r").code == 4
    until(lambda: any(each["event"] == "call_reattached" for each in house.records("r")), "the other goes on")
    stop(other, signal.SIGTERM)
    assert ended(other).code == 143
    assert not house.provider.alive(house.executions("r"))
