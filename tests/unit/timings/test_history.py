"""What plans are told: measured where there is anything, else the original system's figures, and which of both."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.journals import PLAN, attempt_started, start, succeeded, write

from beacon_cli import events as ev
from beacon_cli.errors import StoreError
from beacon_cli.operations import histories
from beacon_cli.timings import waterfall
from beacon_cli.timings.claims import Claims
from beacon_cli.timings.history import Figures, History
from beacon_cli.timings.samples import Sample
from beacon_cli.timings.spread import Source

FIRST = next(PLAN.executions())
SAID = {"seconds": {"boot": 20.0, "load": 30.0, "queue": 0.0, "generation": 4.0}, "gpu": "T4"}


def journal(home: Path, name: str, *, rehearsal: bool = False, at: float = 1_000.0) -> Path:
    """A run with one cold answer that came 60 s after `at`."""
    folder = home / "runs" / name
    folder.mkdir(parents=True)
    opening = msgspec.structs.replace(start(), at=at, run_id=name, rehearsal=rehearsal, speed=1.0)
    told: list[ev.Event] = [
        opening,
        ev.RegionStarted(at=at, region=FIRST.region.id, waited=0.0),
        attempt_started(FIRST, 1, at),
        succeeded(FIRST, 1, at + 60.0, cold_start=True, container="c", provenance=SAID),
    ]
    return write(folder / "events.jsonl", told)


def test_what_was_measured_is_told() -> None:
    """Cold starts, answers and what came on top, of the region and model that were measured."""
    history = History()
    claims = Claims(cold=True, boot=20.0, load=30.0, generation=4.0, gpu="T4", container="c")
    history.add(Sample(region="eu", model="m", at=1.0, claims=claims, seen=56.0))
    start_up, answer, overhead = (
        history.start("eu", "m"),
        history.generation("eu", "m"),
        history.overhead("eu", "m"),
    )
    assert (start_up.n, start_up.source, start_up.quantile(0.9)) == (1, Source.MEASURED, 50.0)
    assert (answer.n, answer.quantile(0.5)) == (1, 4.0)
    assert overhead is not None
    assert overhead.quantile(0.5) == 2.0
    assert history.gpu("eu", "m") == "T4"


def test_where_nothing_was_measured_the_original_stands_in() -> None:
    """The original figures say that nothing stands behind them; APAC's are the slow ones."""
    history = History()
    answer, start_up, far = (
        history.generation("eu", "m"),
        history.start("eu", "m"),
        history.start("asia", "m"),
    )
    assert (answer.n, answer.source, answer.points) == (0, Source.ORIGINAL, (3.0, 5.0))
    assert start_up.points == (30.0, 90.0)
    assert far.quantile(0.0) == 360.0
    assert history.start("asia", "m", Figures()).points == (30.0, 90.0)
    assert (history.overhead("eu", "m"), history.gpu("eu", "m")) == (None, None)
    assert not history.cells, "asking leaves nothing behind"


def test_rehearsals_and_old_runs_are_kept_apart(tmp_path: Path) -> None:
    """Real runs and rehearsals are read apart, and nothing that came before the time asked for."""
    journal(tmp_path, "real")
    journal(tmp_path, "played", rehearsal=True)
    journal(tmp_path, "later", at=5_000.0)
    assert histories.history(tmp_path).n == 2
    assert histories.history(tmp_path, rehearsals=True).n == 1
    assert histories.history(tmp_path, since=4_000.0).n == 1
    os.utime(tmp_path / "runs" / "later" / "events.jsonl", (3_000.0, 3_000.0))
    assert histories.history(tmp_path, since=4_000.0).n == 0, "not written since, so not even read"


def test_memory_does_not_grow_with_a_run() -> None:
    """Four times as many answers take no more memory, once there are more than are kept as they are."""
    peaks = []
    for count in (3_000, 12_000):
        tracemalloc.start()
        history = History()
        for sample in waterfall.samples(long_run(count)):
            history.add(sample)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert history.n == count
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 2_000_000


def long_run(count: int) -> Iterator[ev.Event]:
    """A run of so many answers of one model."""
    yield msgspec.structs.replace(start(), at=1.0, speed=1.0)
    for number in range(count):
        each, at = msgspec.structs.replace(FIRST, id=f"e{number}"), 10.0 * number
        yield attempt_started(each, 1, at + 1.0)
        yield succeeded(each, 1, at + 2.0 + number % 7, cold_start=False, container="c", provenance=SAID)


def test_a_damaged_journal_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is named on stderr; what stands before the damage, and the other runs, still count."""
    journal(tmp_path, "good")
    bad = journal(tmp_path, "half")
    bad.write_bytes(bad.read_bytes() + b"{broken\n" + bad.read_bytes().splitlines(keepends=True)[1])
    (tmp_path / "runs" / "none").mkdir()
    newer = journal(tmp_path, "newer")
    newer.write_bytes(newer.read_bytes().replace(b'"schema":1', b'"schema":99'))
    assert histories.history(tmp_path).n == 2
    said = capsys.readouterr().err
    assert "half" in said
    assert "newer" in said
    assert "none" not in said


def test_a_home_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Without runs there is no history; a home that is none is an error and not an empty one."""
    assert histories.history(tmp_path / "nowhere").n == 0
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError):
        histories.history(tmp_path)
