"""A reader that goes away: quiet, the journal whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.chaos import EXECUTIONS, House, Told, until

pytestmark = pytest.mark.timeout(300)


def _is_whole(house: House) -> None:
    records = house.records("r")
    assert records[-1]["event"] == "run_finished"
    assert records[-1]["succeeded"] == EXECUTIONS
    assert len(house.results("r")) == EXECUTIONS


@pytest.mark.parametrize("lines", [0, 1, 100])
def test_a_reader_that_has_seen_enough(house: House, told: Told, lines: int) -> None:
    """`beacon run --json | head`: nothing on stderr but the summary, and every answer is kept."""
    told("a pipe closed by its reader")
    house.write_job(["Why?"] * 8)
    process = house.start_anew("run", "job.yaml", "--run-id", "r", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert "Traceback" not in said
    assert "roken pipe" not in said
    assert "72" in said
    _is_whole(house)


@pytest.mark.parametrize("options", [("--json",), ("--quiet",), ()], ids=["json", "quiet", "progress"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_is_full(house: House, told: Told, stream: str, options: tuple[str, ...]) -> None:
    """With an output on `/dev/full` the run is carried out, all answers are kept, and the code is 0."""
    told("an output on /dev/full")
    house.write_job(["Why?"] * 8)
    with Path("/dev/full").open("w", encoding="ascii") as full:
        stopped = house.beacon("run", "job.yaml", "--run-id", "r", *options, **{stream: full})
    assert stopped.code == 0, stopped.err
    _is_whole(house)


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=["stdout", "stderr", "all"])
def test_a_stream_that_is_closed(house: House, told: Told, closed: tuple[int, ...]) -> None:
    """Started without stdout or stderr, the run is carried out and writes into no file of its own."""
    told("an output closed from the start")
    house.write_job(["Why?"] * 8)

    def close() -> None:
        for number in closed:
            os.close(number)

    stopped = house.beacon("run", "job.yaml", "--run-id", "r", preexec_fn=close)
    assert stopped.code == 0, stopped.err
    _is_whole(house)


def test_a_terminal_that_goes_away_under_nohup(house: House, told: Told) -> None:
    """A run that ignores hang-ups from its start goes on when its terminal goes away."""
    told("SIGHUP under nohup")
    house.write_job(["Why?"] * 8)
    command = ["nohup", sys.executable, "-m", "beacon_cli", "run", "job.yaml", "--run-id", "r", "--quiet"]
    with subprocess.Popen(command, env=house.environment, cwd=house.folder, stdout=subprocess.DEVNULL) as process:
        until(lambda: len(house.records("r")) > 20, "the run is under way")
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    _is_whole(house)
