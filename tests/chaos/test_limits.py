"""Time limits, throttling, and what cannot succeed: nothing runs on, nothing is asked in vain."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest
from tests.support.chaos import House, Told, ended, left, stop, until

pytestmark = pytest.mark.timeout(300)


def test_an_attempt_that_takes_too_long_is_cancelled(house: House, told: Told) -> None:
    """`limits.timeout` ends each attempt and its call; tried as often as the rule says, the code is 3."""
    told("limits.timeout")
    house.write_job(["It hangs"], limits="timeout: 500ms", retry="attempts: 2, first: 1ms")
    stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    assert stopped.code == 3, stopped.err
    executions = house.executions("r")
    assert not house.provider.alive(executions)
    assert house.provider.placed(executions) == dict.fromkeys(executions, 2)
    assert {row["error"]["kind"] for row in house.results("r")} == {"timeout"}


def test_a_run_that_takes_too_long_ends_as_by_ctrl_c(house: House, told: Told) -> None:
    """`limits.run_timeout` cancels what is in flight, leaves with 130, says how to go on; a resume goes on."""
    told("limits.run_timeout")
    house.write_job(["Why?", "It hangs"], limits="run_timeout: 1500ms")
    stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    assert stopped.code == 130, stopped.err
    assert not house.provider.alive(house.executions("r"))
    records = house.records("r")
    assert [each["reason"] for each in records if each["event"] == "run_interrupted"] == ["limits.run_timeout"]
    assert "beacon resume r" in stopped.out + stopped.err
    again = house.beacon("resume", "r", "--quiet")
    assert again.code == 130
    done = house.provider.done(house.executions("r"))
    assert list(done.values()) == [1] * 9


def test_retry_after_is_honoured(house: House, told: Told) -> None:
    """A throttled execution waits at least as long as the provider asked for, then has its answer."""
    told("throttled with Retry-After")
    house.write_job(["It is busy"], retry="attempts: 3, first: 1ms")
    stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    assert stopped.code == 0, stopped.err
    refused = {each["execution"]: each["at"] for each in house.records("r") if each["event"] == "attempt_failed"}
    second = {
        each["execution"]: each["at"]
        for each in house.records("r")
        if each["event"] == "attempt_started" and each["attempt"] == 2
    }
    assert len(refused) == len(second) == 9
    assert all(second[execution] - at >= 0.5 for execution, at in refused.items())


def test_a_connection_that_fails_once_is_tried_again(house: House, told: Told) -> None:
    """A transient failure costs one more attempt and no more."""
    told("a transient failure")
    house.write_job(["It is down"], retry="attempts: 3, first: 1ms")
    stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    assert stopped.code == 0, stopped.err
    attempts = Counter(each["execution"] for each in house.records("r") if each["event"] == "attempt_started")
    assert list(attempts.values()) == [2] * 9
    assert set(house.provider.placed(house.executions("r")).values()) == {1}


def test_what_cannot_succeed_is_tried_once(house: House, told: Told) -> None:
    """Arguments that the remote code does not take are sent once for each execution: 3."""
    told("what cannot succeed")
    house.write_job(["Why?"], arguments=", nonsense: true")
    stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    assert stopped.code == 3, stopped.err
    attempts = Counter(each["execution"] for each in house.records("r") if each["event"] == "attempt_started")
    assert list(attempts.values()) == [1] * 9
    assert {row["error"]["kind"] for row in house.results("r")} == {"bad_request"}


@pytest.mark.parametrize("wrong", ["app", "token"])
def test_what_cannot_start_asks_nothing(house: House, told: Told, wrong: str) -> None:
    """An app that is not deployed, or credentials that are refused: 5, one line, no run, no call."""
    told("what cannot start")
    house.write_job(["Why?"])
    if wrong == "app":
        text = house.job.read_text(encoding="utf-8")
        house.job.write_text(text.replace("project-beacon-hf", "no-such"), encoding="utf-8")
    else:
        house.environment["MODAL_TOKEN_SECRET"] = "as-wrong"  # noqa: S105 - wrong on purpose
    stopped = house.beacon("run", "job.yaml", "--run-id", "r", "--quiet")
    assert stopped.code == 5, stopped.err
    assert len(stopped.err.splitlines()) == 1
    assert house.records("r") == []


def test_resume_waits_for_a_call_no_longer_than_for_any_other(house: House, told: Told) -> None:
    """A call that hangs across a kill is waited for, cancelled at its time limit, and asked again."""
    told("limits.timeout of a re-attached call")
    house.write_job(["It hangs"], limits="timeout: 1s", retry="attempts: 1")
    process = house.start("run", "job.yaml", "--run-id", "r", "--quiet")
    until(lambda: len(left(house.records("r")).calls) == 9, "nine calls placed")
    stop(process, signal.SIGKILL)
    ended(process)
    began = time.monotonic()
    assert house.beacon("resume", "r", "--quiet").code == 3
    assert time.monotonic() - began < 15
    executions = house.executions("r")
    assert not house.provider.alive(executions)
    assert set(house.provider.placed(executions).values()) == {1}
