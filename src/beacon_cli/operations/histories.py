"""What the journals of earlier runs say of times: read one event at a time, each journal once. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from beacon_cli import replay
from beacon_cli.display import paper
from beacon_cli.errors import StoreError
from beacon_cli.names import printable
from beacon_cli.runs import RunFolder, Runs
from beacon_cli.timings import waterfall
from beacon_cli.timings.history import History
from beacon_cli.timings.samples import Sample


def journals(home: Path, *, since: float = 0.0, rehearsals: bool = False) -> Iterator[RunFolder]:
    """The runs that began and had anything written since then (seconds since the epoch), rehearsals or real ones.

    One that cannot be read is told of on stderr and passed over: the others still say something.

    Raises:
        StoreError: the home cannot be read.
    """
    for folder in Runs(home).folders():
        try:
            if not folder.journal.exists() or folder.journal.stat().st_mtime < since:
                continue
            began, _ = replay.ends(folder.journal)
        except (OSError, StoreError) as error:
            paper.tell([f"beacon: run {printable(folder.run_id)} is left out: {error}"])
            continue
        if began is not None and began.rehearsal is rehearsals:
            yield folder


def history(home: Path, *, since: float = 0.0, rehearsals: bool = False) -> History:
    """What the answers of all those runs say: the times of each region and model. Constant memory.

    Raises:
        StoreError: the home cannot be read.
    """
    found = History()
    for sample in samples(home, since=since, rehearsals=rehearsals):
        found.add(sample)
    return found


def samples(home: Path, *, since: float = 0.0, rehearsals: bool = False) -> Iterator[Sample]:
    """The answers of all those runs since then, run by run in the order of their ids.

    Raises:
        StoreError: the home cannot be read.
    """
    for folder in journals(home, since=since, rehearsals=rehearsals):
        try:
            for sample in waterfall.samples(replay.read(folder.journal)):
                if sample.at is None or sample.at >= since:
                    yield sample
        except StoreError as error:
            paper.tell([f"beacon: run {printable(folder.run_id)} is not read to its end: {error}"])
