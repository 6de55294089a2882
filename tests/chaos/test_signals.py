"""Ctrl-C, `kill`, a terminal that goes away: nothing is left running, in any phase."""

from __future__ import annotations

import random
import signal
import time

import pytest
from tests.support.chaos import (
    EXECUTIONS,
    House,
    Record,
    Told,
    at_size,
    catches,
    count,
    dice,
    draws,
    ended,
    left,
    stop,
    until,
)
from tests.support.forks import Forked

pytestmark = pytest.mark.timeout(300)

_JOURNAL = 75_000
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
_EACH = list(_CODES)


def _underway(house: House, rng: random.Random, *, word: str = "hangs") -> Forked:
    """A run that answers some questions and hangs at a random one; gives it back at a random point."""
    stuck = rng.randrange(8)
    house.write_job([f"It {word}" if n == stuck else "Why?" for n in range(8)])
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    at_size(process, house.journal("r"), int(rng.random() * _JOURNAL * (stuck + 0.5) / 8))
    time.sleep(rng.random() * 0.2)
    return process


def _cancelled(records: list[Record]) -> int:
    return sum(record["event"] == "attempt_cancelled" for record in records)


def _stuck(house: House, word: str, run_id: str = "r") -> Forked:
    """A run whose nine first executions all hang, with their ids on disk."""
    house.write_job([f"It {word}"] * 2)
    process = house.start("run", "job.yaml", "--run-id", run_id, "--quiet")
    until(lambda: len(left(house.records(run_id)).calls) == 9, "nine calls placed")
    executions = house.executions(run_id)
    until(lambda: house.provider.count("started", executions) == 9, "nine calls run")
    return process


@draws(6, 50)
def test_nothing_runs_after_a_signal(house: House, told: Told, draw: int) -> None:
    """Ctrl-C at a random point: the code of the signal, no call alive 5 s after, and the way to go on."""
    rng = dice("signal", draw)
    number = signal.SIGINT if draw % 3 else rng.choice(_EACH)
    process = _underway(house, rng, word=rng.choice(["hangs", "hangs", "stubborn"]))
    stop(process, number)
    began = time.monotonic()
    stopped = ended(process)
    seconds = time.monotonic() - began
    executions = house.executions("r")
    gone = until(lambda: not house.provider.alive(executions), "no call alive 5 s after the exit", 5)
    records = house.records("r")
    told("a signal at a random point", calls_cancelled=_cancelled(records))
    assert stopped.code == _CODES[number], stopped.err
    assert seconds < 8, f"{seconds:.1f} s until the exit"
    assert gone < 5
    if not records:
        return
    assert records[-1]["event"] == "run_finished"
    assert left(records).calls == {}
    assert "beacon resume r" in stopped.out + stopped.err
    assert len(house.results("r")) == EXECUTIONS


@draws(2, 50)
def test_no_answer_is_lost_to_a_signal(house: House, told: Told, draw: int) -> None:
    """Stopped at a random point and resumed: no execution has two answers at the provider, all have one here."""
    rng = dice("stop and go", draw)
    house.write_job(["Why?"] * 8, schedule=rng.choice(["lockstep", "lanes"]))
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    at_size(process, house.journal("r"), int((0.1 + 0.8 * rng.random()) * _JOURNAL))
    stop(process, signal.SIGINT)
    assert ended(process).code == 130
    resumed = house.beacon("resume", "r", "--quiet")
    assert resumed.code == 0, resumed.err
    executions = house.executions("r")
    records = house.records("r")
    done = house.provider.done(executions)
    told(
        "Ctrl-C, then resume to the end",
        calls_cancelled=_cancelled(records),
        answers_that_crossed_it=sum(record["event"] == "call_reattached" for record in records)
        - sum(record["event"] == "attempt_failed" for record in records),
    )
    assert len(done) == EXECUTIONS
    assert set(done.values()) == {1}
    assert [row["status"] for row in house.results("r")] == ["succeeded"] * EXECUTIONS


@pytest.mark.parametrize("number", _EACH, ids=lambda number: number.name)
def test_the_second_signal_leaves_at_once(house: House, told: Told, number: signal.Signals) -> None:
    """It exits within 1 s, names each call that may still run and the command that ends them; that one does."""
    process = _stuck(house, "stubborn")
    stop(process, number)
    time.sleep(0.3)
    stop(process, number)
    began = time.monotonic()
    stopped = ended(process)
    seconds = time.monotonic() - began
    alive = house.provider.alive(house.executions("r"))
    told("two signals", calls_left=len(alive))
    assert stopped.code == _CODES[number]
    assert seconds < 1
    assert alive
    assert all(call in stopped.err for call in alive), stopped.err
    assert "beacon reap r" in stopped.err
    assert "beacon resume r" in stopped.err
    reaped = house.beacon("reap", "r")
    assert reaped.code == 0, reaped.err
    assert not house.provider.alive(alive)


@draws(9, 60)
def test_no_traceback_at_the_start(house: House, told: Told, draw: int) -> None:
    """A signal while beacon is being imported, or is looking up what it will call, ends it without a word."""
    rng = dice("start", draw)
    number = _EACH[draw % 3]
    house.write_job(["Why?"] * 8)
    process = house.start_anew("run", "job.yaml", "--run-id", "r", "--quiet")
    until(lambda: catches(process, signal.SIGTERM), "beacon's own first line has run")
    time.sleep(rng.random() * 1.5)
    stop(process, number)
    stopped = ended(process)
    told("a signal during start-up")
    assert stopped.code in {_CODES[number], 0}
    assert not house.provider.alive(house.executions("r"))


@draws(4, 40)
def test_no_traceback_at_the_end(house: House, told: Told, draw: int) -> None:
    """A signal while results are written and connections closed: no traceback, and the run is whole."""
    rng = dice("end", draw)
    number = _EACH[draw % 3]
    house.write_job(["Why?"])
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    until(lambda: any(each["event"] == "run_finished" for each in house.records("r")), "the run's last event")
    time.sleep(rng.random() * 0.3)
    stop(process, number)
    stopped = ended(process)
    told("a signal during shutdown")
    assert stopped.code in {0, _CODES[number]}, stopped.err
    assert house.beacon("resume", "r", "--quiet").code == 0
    assert len(house.results("r")) == 9


def test_a_signal_storm(house: House, told: Told) -> None:
    """Nine signals of all kinds within a tenth of a second: one of their codes, no traceback."""
    storms = count(1, 10)
    told("nine signals at once", storms)
    for storm in range(storms):
        process = _stuck(house, "hangs", f"r{storm}")
        for number in _EACH * 3:
            stop(process, number)
            time.sleep(0.01)
        assert ended(process).code in _CODES.values()
        assert house.beacon("reap", f"r{storm}").code == 0
        assert not house.provider.alive(house.executions(f"r{storm}"))
