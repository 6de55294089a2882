from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.faulty import FaultyDisk
from tests.support.journals import PLAN, attempt_started, call_placed, start, whole, write

from beacon_cli import events as ev
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.model import TimedOut
from beacon_cli.runs import Runs, RunState, check_run_id, new_run_id

JOB = b"id: small\r\nregions: [us]  # \xe2\x82\xac\n"
NOW = 1795284902.5  # 2026-11-21 18:15:02.5 UTC
FIRST, SECOND = list(PLAN.executions())[:2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is not there yet."""
    return tmp_path / "state" / "beacon"


@pytest.fixture
def runs(home: Path) -> Runs:
    """The runs of that home."""
    return Runs(home)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each umask in turn."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def started(at: float) -> ev.RunStarted:
    """The start of a run at that time."""
    record = ev.to_record(start())
    event = ev.from_record({**record, "at": at})
    assert isinstance(event, ev.RunStarted)
    return event


def finished(*, succeeded: int = 8, cancelled: int = 0) -> ev.RunFinished:
    """The end of a run."""
    return ev.RunFinished(at=9.0, seconds=8.0, succeeded=succeeded, failed=0, skipped=0, cancelled=cancelled)


# Names


def test_a_run_id_says_when() -> None:
    """A run id begins with the date and time in UTC and can be a run id."""
    run_id = new_run_id(NOW, lambda: 0.999)
    assert run_id == "20261121-181502-g0zy"
    assert check_run_id(run_id) == run_id


@given(st.floats(0, 4e9), st.floats(0.002, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_run_ids_sort_by_time(now: float, later: float, one: float, other: float) -> None:
    """Of two runs two milliseconds apart or more the later has the greater id, whatever was drawn."""
    assert new_run_id(now, lambda: one) < new_run_id(now + later, lambda: other)


def test_run_ids_of_one_moment_differ() -> None:
    """Runs that start in the same millisecond differ by what was drawn, a thousand ways."""
    assert len({new_run_id(NOW, partial(float, n / 1024)) for n in range(1024)}) == 1024


@pytest.mark.parametrize("name", ["a", "nightly", "v1.2_final-3", "0", "con-1", "com10", "A" * 100, "x.con"])
def test_names_that_are_safe(name: str) -> None:
    """A plain name is a run id as it is."""
    assert check_run_id(name) == name


UNSAFE = [
    *("", ".", "..", "a..b", "../a", "a/b", "a\\b", "/etc", "C:", "a\x00b", "a\nb", "a b", "-a", ".a", "_a", "a."),
    *(
        "con",
        "NUL",
        "com1",
        "lpt9.txt",
        "Aux.log",
        "A" * 101,
        "é",
        "\u0661",
        "a\u202eb",
        "\ud800",
        "~",
        "$HOME",
        "*",
    ),
]


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_are_not(name: str, home: Path) -> None:
    """Names that could leave the folder, that some system forbids or that cannot be typed are refused, safely."""
    with pytest.raises(UsageError) as caught:
        Runs(home).create(name, JOB)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    assert not home.exists()


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_not_found(name: str, runs: Runs, tmp_path: Path) -> None:
    """Looking for a name never reaches outside the runs, whatever it is."""
    runs.create("kept", JOB)
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError) as caught:
        runs.find(name)
    assert str(caught.value).isprintable()


@given(name=st.text(max_size=120))
def test_what_is_safe_is_one_name(name: str) -> None:
    """Whatever passes is the name of one file, on every system."""
    try:
        check_run_id(name)
    except UsageError:
        return
    assert Path("runs", name).parent == Path("runs")
    assert name.isascii()
    assert not set(name) & set('/\\:*?"<>|\x00')
    assert len(name) <= 100


# Making


def test_the_job_is_kept_as_it_was(runs: Runs, home: Path) -> None:
    """The job file in the run's folder is the user's, byte for byte."""
    run = runs.create("one", JOB)
    assert run.path == home / "runs" / "one"
    assert run.job.read_bytes() == JOB


@pytest.mark.usefixtures("umask")
def test_modes(runs: Runs, home: Path) -> None:
    """Every folder that is made is 0700 and every file 0600, whatever the umask."""
    run = runs.create("one", JOB)
    with run.writing():
        run.write_results([b"{}\n"])
    for path in (home.parent, home, home / "runs", run.path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.path.iterdir()}
    assert names == {"job.yaml": 0o600, "lock": 0o600, "results.jsonl": 0o600}


def test_a_name_that_is_taken(runs: Runs) -> None:
    """A second run of one name is refused and the first left as it is."""
    runs.create("one", JOB)
    with pytest.raises(UsageError, match="there is a run 'one' already"):
        runs.create("one", b"other")
    assert runs.find("one").job.read_bytes() == JOB


def test_whichever_call_fails_nothing_stays(tmp_path: Path) -> None:
    """A folder that cannot be made whole is not there afterwards, and the same name can be used again."""
    for number in count(1):
        home = tmp_path / str(number)
        disk = FaultyDisk(number)
        failure = None
        try:
            Runs(home, disk).create("one", JOB)
        except StoreError as error:
            failure = str(error)
        assert (failure is not None) == disk.has_failed
        if failure is not None:
            assert str(home.parent) in failure
            assert not (home / "runs" / "one").exists()
            Runs(home).create("one", JOB)
        assert Runs(home).find("one").job.read_bytes() == JOB
        if not disk.has_failed:
            return


@pytest.mark.parametrize("blocked", ["state", "state/beacon", "state/beacon/runs"])
def test_a_home_that_cannot_be(tmp_path: Path, home: Path, blocked: str) -> None:
    """A file where a folder has to be is one line that names it and the way out."""
    (tmp_path / blocked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / blocked).write_text("in the way")
    runs = Runs(home)
    with pytest.raises(StoreError) as caught:
        runs.create("one", JOB)
    assert str(caught.value).startswith(f"{tmp_path / blocked}: not a directory; move the file")
    with pytest.raises(StoreError, match="move the file"):
        runs.summaries()


# Writing


def test_one_writer(runs: Runs) -> None:
    """A run that is being written is refused to a second writer, who learns which process has it."""
    run = runs.create("one", JOB)
    with run.writing(), pytest.raises(StoreError) as caught, run.writing():
        raise AssertionError
    assert f"run one is being written by process {os.getpid()}" in str(caught.value)
    with run.writing():
        pass


def test_the_lock_dies_with_its_process(runs: Runs) -> None:
    """A writer that is killed leaves no lock behind, and its run is interrupted, not running."""
    run = runs.create("one", JOB)
    write(run.journal, [start()])
    code = (
        "import sys; from pathlib import Path; from beacon_cli.runs import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).writing(): print('mine', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert run.summary().state is RunState.RUNNING
        with pytest.raises(StoreError, match=f"process {process.pid}"), run.writing():
            raise AssertionError
        process.kill()
    assert run.summary().state is RunState.INTERRUPTED
    with run.writing():
        pass


def test_looking_is_no_writing(runs: Runs) -> None:
    """Asking where a run stands makes no file."""
    run = runs.create("one", JOB)
    runs.summaries()
    assert [path.name for path in run.path.iterdir()] == ["job.yaml"]


def test_results_are_replaced_in_one_step(runs: Runs) -> None:
    """New results take the place of the old ones, and results that cannot be written leave them."""
    run = runs.create("one", JOB)
    run.write_results([b"1\n"])
    run.write_results([b"2\n", b"3\n"])
    assert run.results.read_bytes() == b"2\n3\n"
    with pytest.raises(StoreError):
        Runs(run.path.parent.parent, FaultyDisk(3)).find("one").write_results([b"4\n"])
    assert run.results.read_bytes() == b"2\n3\n"


def test_a_copy_for_the_user(runs: Runs, tmp_path: Path) -> None:
    """The user's folder is made, and the copy is the results byte for byte."""
    run = runs.create("one", JOB)
    run.write_results([b"x" * 200_000, b"\n"])
    copy = run.copy_results(tmp_path / "out" / "deep")
    assert copy == tmp_path / "out" / "deep" / "results.jsonl"
    assert copy.read_bytes() == run.results.read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        run.copy_results(tmp_path / "file")


# Finding


def test_find(runs: Runs) -> None:
    """A run is found by its id, or by a beginning that no other has; the id itself goes before longer ones."""
    for name in ("20261121-181502-aaaa", "20261121-191502-bbbb", "nightly", "nightly-2"):
        runs.create(name, JOB)
    assert runs.find("nightly").run_id == "nightly"
    assert runs.find("nightly-").run_id == "nightly-2"
    assert runs.find("20261121-18").run_id == "20261121-181502-aaaa"
    with pytest.raises(UsageError, match="2 runs begin with '2026'"):
        runs.find("2026")
    with pytest.raises(UsageError, match="did you mean nightly"):
        runs.find("nihgtly")
    with pytest.raises(UsageError, match="there is no run ''"):
        runs.find("")


def test_no_runs_yet(runs: Runs, home: Path) -> None:
    """A home that is not there has no runs, and looking does not make it."""
    assert runs.summaries() == []
    with pytest.raises(UsageError, match="there is no run yet"):
        runs.latest()
    assert not home.exists()


def test_strangers_are_no_runs(runs: Runs, home: Path, tmp_path: Path) -> None:
    """Files, hidden folders and links out of the home are not taken for runs."""
    runs.create("one", JOB)
    (home / "runs" / "notes.txt").write_text("")
    (home / "runs" / ".hidden").mkdir()
    (home / "runs" / "link").symlink_to(tmp_path)
    assert [summary.run_id for summary in runs.summaries()] == ["one"]


def test_latest_is_by_time_not_by_name(runs: Runs) -> None:
    """The latest run is the one that started last, whatever it is called; unfinished ones can be asked for."""
    for name, at, end in (("z-old", 100.0, []), ("b", 200.0, []), ("a-new", 300.0, [finished()])):
        write(runs.create(name, JOB).journal, [started(at), *end])
    assert [summary.run_id for summary in runs.summaries()] == ["a-new", "b", "z-old"]
    assert runs.latest().run_id == "a-new"
    assert runs.latest(unfinished=True).run_id == "b"
    write(runs.find("b").journal, [started(200.0), finished()])
    write(runs.find("z-old").journal, [started(100.0), finished()])
    with pytest.raises(UsageError, match="no unfinished run"):
        runs.latest(unfinished=True)


# Summaries


def test_a_finished_run(runs: Runs) -> None:
    """Of a run that came to its end the counts are those of its last event; nothing in between is read."""
    run = runs.create("one", JOB)
    path = write(run.journal, [started(NOW), *whole(FIRST), finished()])
    path.write_bytes(path.read_bytes().replace(b"answer of", b"\xff\xfe\xfd"))
    summary = run.summary()
    assert (summary.state, summary.job, summary.started_at) == (RunState.FINISHED, "small", NOW)
    assert (summary.planned, summary.succeeded, summary.cancelled) == (8, 8, 0)


def test_a_run_that_was_amended_is_counted_whole(runs: Runs) -> None:
    """What a run has gained since it began counts as planned, while it runs and after its end."""
    run = runs.create("one", JOB)
    began = start()
    grown = ev.RunResumed(at=7.0, run_id="one", spec=began.spec, planned={"us": 4, "eu": 8}, beacon="0")
    write(run.journal, [began, grown])
    assert run.summary().planned == 12
    write(run.journal, [began, grown, finished(succeeded=12)])
    assert (run.summary().planned, run.summary().succeeded) == (12, 12)


def test_a_stopped_run_can_be_resumed(runs: Runs) -> None:
    """A run that ended in order with executions left is interrupted, not finished."""
    run = runs.create("one", JOB)
    write(run.journal, [start(), *whole(FIRST), finished(succeeded=1, cancelled=7)])
    assert run.summary().state is RunState.INTERRUPTED
    assert (run.summary().succeeded, run.summary().cancelled) == (1, 7)


def test_a_finished_run_may_leave_calls_behind(runs: Runs) -> None:
    """Calls whose end nobody confirmed are counted after the run's end, and it stays finished once they ended."""
    run = runs.create("one", JOB)
    timed_out = ev.AttemptFailed(
        at=5.0, execution=FIRST.id, attempt=1, seconds=3.0, failure=TimedOut(after=3.0), retry_in=None, ended=False
    )
    left = msgspec.structs.replace(finished(succeeded=7), failed=1, open_calls=1)
    story: list[ev.Event] = [start(), attempt_started(FIRST), call_placed(FIRST), timed_out, left]
    write(run.journal, story)
    assert (run.summary().state, run.summary().open_calls) == (RunState.FINISHED, 1)
    write(run.journal, [*story, ev.OrphanEnded(at=99.0, call_id=call_placed(FIRST).call_id)])
    assert (run.summary().state, run.summary().open_calls) == (RunState.FINISHED, 0)
    assert (run.summary().seconds, run.summary().failed) == (8.0, 1)


def test_a_run_that_never_began_is_none_to_go_on_with(runs: Runs) -> None:
    """A folder that a crash left without a first event does not stand before a run that can be resumed."""
    write(runs.create("begun", JOB).journal, [started(100.0)])
    runs.create("empty", JOB)
    assert runs.latest(unfinished=True).run_id == "begun"


@pytest.mark.parametrize("content", [None, b"", b'{"event":"run_st'])
def test_a_run_that_never_began_holds_nothing(runs: Runs, content: bytes | None) -> None:
    """A run without a first event, or without a journal even, is told as one that never began."""
    run = runs.create("one", JOB)
    if content is not None:
        run.journal.write_bytes(content)
    with pytest.raises(UsageError, match="run one never began"):
        run.recover()


def test_a_killed_run_is_counted(runs: Runs) -> None:
    """Of a run that ended without a word the counts are those of the whole journal, its torn tail passed over."""
    run = runs.create("one", JOB)
    path = write(run.journal, [start(), *whole(FIRST), attempt_started(SECOND), call_placed(SECOND)])
    path.write_bytes(path.read_bytes() + b'{"event":"attempt_')
    summary = run.summary()
    assert summary.state is RunState.INTERRUPTED
    assert (summary.planned, summary.succeeded, summary.cancelled) == (8, 1, 7)
    assert summary.open_calls == 1
    with run.writing():
        assert run.summary().state is RunState.RUNNING


@pytest.mark.parametrize("content", [None, b"", b'{"event":"run_st'])
def test_a_run_that_hardly_began(runs: Runs, content: bytes | None) -> None:
    """A run that was killed before its first event is interrupted, with nothing known of it."""
    run = runs.create("one", JOB)
    if content is not None:
        run.journal.write_bytes(content)
    summary = run.summary()
    assert (summary.state, summary.job, summary.planned) == (RunState.INTERRUPTED, None, 0)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b'{"event":"run_started","schema":99}\n', "newer beacon"),
        (b'garbage\n{"event":"run_finished"}\n', "damaged"),
        (b'{"event":"run_started"}\n', "damaged"),
        (ev.to_line(start()) + b"garbage\n" + ev.to_line(attempt_started(FIRST)), "damaged"),
    ],
)
def test_one_bad_run_hides_no_other(runs: Runs, content: bytes, note: str) -> None:
    """A damaged or newer journal is listed as that, beside the others."""
    runs.create("bad", JOB).journal.write_bytes(content)
    write(runs.create("good", JOB).journal, [start(), finished()])
    states = {summary.run_id: summary for summary in runs.summaries()}
    assert states["bad"].state is RunState.UNREADABLE
    assert note in states["bad"].note
    assert states["good"].state is RunState.FINISHED
