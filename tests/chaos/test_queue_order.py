"""First come, first served across processes, and the caps over all regions at once."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.chaos import Told, count, dice, draws
from tests.support.contest import Contest

from beacon_cli import queue_check
from beacon_cli.queues import sqlite
from beacon_cli.tickets import LogKind

pytestmark = pytest.mark.timeout(900)

_PROCESSES = 3
_BEGINS = "attempt_started"


def test_no_run_overtakes_another(contest: Contest, told: Told) -> None:
    """Three processes with many small jobs each: turns come in the order of entry, and the ledger agrees."""
    jobs = count(3, 50)
    lanes = [[f"p{process}-{number}" for number in range(jobs)] for process in range(_PROCESSES)]
    for name in (name for lane in lanes for name in lane):
        contest.job(name, ["Why?"], models=["llama3.2-1b"])
    contest.relay(lanes, seconds=600.0)
    contest.verify()
    entered: dict[str, list[str]] = defaultdict(list)
    granted: dict[str, list[str]] = defaultdict(list)
    log = list(contest.store.log())
    lapsed = {entry.ticket for entry in log if entry.kind is LogKind.EXPIRED}  # on a busy machine, and taken anew
    for entry in log:
        if entry.kind in {LogKind.ENTERED, LogKind.GRANTED} and entry.ticket not in lapsed:
            (entered if entry.kind is LogKind.ENTERED else granted)[entry.region].append(entry.run_id)
    assert entered == granted
    worked: dict[str, dict[str, None]] = defaultdict(dict)
    whose = {each["execution"]: name for lane in lanes for name in lane for each in contest.told(name, _BEGINS)}
    for record in contest.book.records():
        if record["event"] == "placed":
            worked[record["region"]][whose[record["execution"]]] = None
    assert {region: list(runs) for region, runs in worked.items()} == granted
    told("one job after another, in 3 processes", runs=_PROCESSES * jobs, turns=sum(map(len, granted.values())))


def test_many_processes_keep_their_order(tmp_path: Path, told: Told) -> None:
    """Fifty processes (or a few) that take turn after turn in one file: none overtakes another."""
    processes, turns = count(6, 50), 4
    path = tmp_path / "queue.db"
    sqlite.store(path).close()
    command = [sys.executable, "-m", "tests.support.turntaker", str(path), str(turns)]
    started = [subprocess.Popen([*command, f"p{number}"]) for number in range(processes)]
    assert [each.wait(300) for each in started] == [0] * processes
    with closing(sqlite.store(path)) as store:
        log = list(store.log())
    assert queue_check.check(log).violations == ()
    entered = [each.run_id for each in log if each.kind is LogKind.ENTERED]
    assert entered == [each.run_id for each in log if each.kind is LogKind.GRANTED]
    assert len(entered) == processes * turns
    told(f"{processes} processes take turns in one file", turns=len(entered))


@draws(1, 10)
def test_many_regions_and_models_share_one_total(contest: Contest, told: Told, draw: int) -> None:
    """Five regions, up to five models a job, ten GPUs: the caps hold while pools are cooled and taken over."""
    rng = dice("mixed", draw)
    models = ["llama3.2-1b", "mistral-7b", "qwen2.5-1.5b", "gemma-2", "phi-3"]
    for name in ("a", "b", "c", "d"):
        regions = rng.sample(["us", "eu", "asia", "mars", "moon"], rng.randint(2, 5))
        contest.job(name, ["Why?"] * 3, regions=regions, models=rng.sample(models, rng.randint(1, 5)))
        contest.begin(name)
    contest.finish()
    peaks = contest.verify()
    told("4 jobs over 5 regions, other models each", most_at_once=peaks[""])
