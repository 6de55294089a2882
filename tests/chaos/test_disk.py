"""A disk that fails, fills up or cannot be written: exit 4, one line, no further remote work, resumable."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.chaos import EXECUTIONS, House, Told, ended, is_full, left, stop, until, whole_records
from tests.support.faulty import FaultyDisk
from tests.support.remembering import Desk

from beacon_cli.errors import StoreError
from beacon_cli.operations import carry_out
from beacon_cli.runs import RunFolder

pytestmark = pytest.mark.timeout(600)

_STRIDE = 1 if is_full() else 2
_CODES = (errno.ENOSPC, errno.EIO, errno.EROFS)


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("resumes", [False, True], ids=["run", "resume"])
def test_a_failure_at_every_call_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, *, for_good: bool, resumes: bool
) -> None:
    """Whichever write, sync, rename or mkdir fails: 4, one line, nothing asked after it; mended, it goes on."""
    tried = 0
    for number in range(1, 10_000, _STRIDE):
        (tmp_path / str(number)).mkdir()
        desk = Desk(tmp_path / str(number), monkeypatch, small=False)
        disk = FaultyDisk(number, code=_CODES[number % 3], for_good=for_good)
        if resumes:
            desk.crash_in_the_middle()
        asked_before = desk.provider.asked
        failure = _carry_out(desk, disk, resumes=resumes)
        if not disk.has_failed:
            break
        tried += 1
        if failure is not None:
            _check_the_end(desk, failure, asked_before)
            kept = len(whole_records(desk.journal()))
            # One record that was written and not synced: nobody was told that it was kept.
            assert resumes or kept == 1 or ("beacon resume r" in str(failure)) == bool(kept)
        _mend(desk, asked_before)
    told("a failure at the Nth call to the disk, then mended", runs=tried)
    assert tried > 10


def _carry_out(desk: Desk, disk: FaultyDisk, *, resumes: bool) -> StoreError | None:
    """None: it came to its end all the same."""
    try:
        code = carry_out.go_on(desk.continuation(), disk) if resumes else carry_out.run(desk.order(), disk)
    except StoreError as error:
        return error
    assert code == 0
    return None


def _check_the_end(desk: Desk, failure: StoreError, asked_before: Counter[str]) -> None:
    """One line; no call without its intent on disk; no call left that nobody cancelled or got the answer of."""
    assert failure.exit_code == 4
    assert "\n" not in str(failure)
    records = whole_records(desk.journal())
    intents = {record["execution"] for record in records if record["event"] == "attempt_started"}
    assert set(desk.provider.asked - asked_before) <= intents
    assert len(desk.provider.in_flight) == 0
    assert set(left(records).calls.values()) <= {*desk.provider.cancelled, *desk.provider.remembered}


def _mend(desk: Desk, asked_before: Counter[str]) -> None:
    """Go on with a disk that works, or begin where nothing had begun."""
    before = whole_records(desk.journal())
    if before:
        run_id = "r"
        assert carry_out.go_on(desk.continuation()) == 0
    else:
        run_id = "again"
        assert carry_out.run(desk.order(run_id)) == 0
    records = whole_records(desk.journal(run_id))
    succeeded = Counter(record["execution"] for record in records if record["event"] == "attempt_succeeded")
    assert len(succeeded) == desk.executions
    assert set(succeeded.values()) == {1}
    assert len(whole_records(desk.run_folder(run_id) / "results.jsonl")) == desk.executions
    for execution, times in (desk.provider.asked - asked_before).items():
        unknown = sum(r["event"] == "attempt_started" and r["execution"] == execution for r in before)
        assert times <= 1 + unknown


def test_a_file_that_may_not_grow(house: House, told: Told) -> None:
    """A file at the limit of its size ends the run with 4 and one line; with room again it goes on, or begins."""
    limits = (9_000, 30_000) if not is_full() else range(3_000, 72_000, 7_000)
    told("no more room in a file, for real", runs=len(limits))
    for limit in limits:
        run_id = f"r{limit}"
        house.write_job(["Why?"] * 8)
        stopped = house.beacon(
            "run",
            "job.yaml",
            "--run-id",
            run_id,
            "--quiet",
            preexec_fn=_no_file_beyond(limit),
        )
        if house.journal(run_id).exists():
            _is_a_store_failure(house, run_id, stopped.code, stopped.err)
            continue
        assert (stopped.code, len(stopped.err.splitlines())) == (4, 1), stopped.err
        assert house.beacon("run", "job.yaml", "--run-id", run_id, "--quiet").code == 0


def _no_file_beyond(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.fixture
def tiny(house: House) -> Iterator[House]:
    """A home on a disk of 48 KiB; only root can make one."""
    house.home.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can make a tiny disk")
    (house.folder / "queue.db").touch(0o600)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", house.home], check=False)
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    (house.home / "queue.db").symlink_to(house.folder / "queue.db")  # it needs more than that
    yield house
    house.close()
    subprocess.run(["umount", house.home], check=True)


def test_a_full_disk(tiny: House, told: Told) -> None:
    """A disk without room ends the run with 4 and one line; after it was given room, resume completes it."""
    told("a full disk, for real")
    tiny.write_job(["Why?"] * 8)
    stopped = tiny.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    subprocess.run(["mount", "-o", "remount,size=1m", tiny.home], check=True)
    assert "no space left on device; free some space" in stopped.err
    _is_a_store_failure(tiny, "r", stopped.code, stopped.err)


def test_reap_without_room_to_write(house: House, told: Told) -> None:
    """Calls are ended although there is no room to write that down: 4 and one line."""
    told("reap without room to write, for real")
    house.write_job(["It hangs"])
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    until(lambda: len(left(house.records("r")).calls) == 9, "nine calls placed")
    stop(process)
    ended(process)
    reaped = house.beacon("reap", "r", preexec_fn=_no_file_beyond(house.journal("r").stat().st_size))
    assert reaped.code == 4, reaped.err
    assert len(reaped.err.splitlines()) == 1
    assert not house.provider.alive(house.executions("r"))
    assert house.beacon("reap", "r").code == 0


def test_a_lock_without_its_number_is_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    """Where there is no room for the holder's number, the run is held all the same, by nobody in particular."""
    told("a lock on a full disk")
    desk = Desk(tmp_path, monkeypatch, small=True)
    assert carry_out.run(desk.order()) == 0
    holder, other = RunFolder(desk.run_folder(), FaultyDisk(3)), RunFolder(desk.run_folder())
    with holder.writing(), pytest.raises(StoreError, match="written by another process"), other.writing():
        pass


def test_a_home_that_cannot_be_written(house: House, told: Told) -> None:
    """A home that is read-only, or no folder, ends the run with 4 and one line before anything was asked."""
    house.write_job(["Why?"])
    file = house.folder / "file"
    file.touch()
    homes = [file / "home", Path("/sys/beacon")]
    told("a home that cannot be written", runs=len(homes))
    for home in homes:
        house.environment["BEACON_HOME"] = str(home)
        stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
        assert stopped.code == 4, stopped.err
        assert stopped.err.count("\n") == 1


def _is_a_store_failure(house: House, run_id: str, code: int, said: str) -> None:
    """It left with 4 and one line, nothing runs, and a resume completes the run."""
    assert code == 4, said
    assert len(said.splitlines()) == 1, said
    assert f"beacon resume {run_id}" in said
    assert not house.provider.alive(house.executions(run_id))
    before = house.provider.placed(house.executions(run_id))
    resumed = house.beacon("resume", run_id, "--quiet")
    assert resumed.code == 0, resumed.err
    assert [row["status"] for row in house.results(run_id)] == ["succeeded"] * EXECUTIONS
    after = house.provider.placed(house.executions(run_id))
    assert sum(after.values()) <= EXECUTIONS + 9
    assert len(before) < EXECUTIONS
