"""What a job will take, and a budget that holds: the installed commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Beacon: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]

OFFICE = """\
id: office
regions: [us, eu]
models: [m1, m2]
questions: [{id: q, text: "why?"}, {id: r, text: "how?"}, {id: s, text: "so?"}]
"""


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """Two models in two regions, three questions."""
    path = tmp_path / "office.yaml"
    path.write_text(OFFICE)
    return path


def test_a_plan_shows_time_slots_and_money_in_80_cells(beacon: Beacon, office: Path) -> None:
    """Four ways, each low, expected and high, a line for each slot, the date of the rates; no line is wider."""
    done = beacon("plan", office, "--time", "--cost", "--gpu", "T4", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("not prewarmed", "prewarmed", "kept warm", "lanes", "eu m1", "us m2", "rates of 20", "T4"):
        assert said in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_without_a_gpu_the_cost_is_unknown(beacon: Beacon, office: Path) -> None:
    """Nobody has said which GPU: the cost is unknown, said with the remedy, and null for programs."""
    done = beacon("plan", office, "--cost")
    assert "unknown" in done.stdout
    assert "--gpu" in done.stdout
    found = json.loads(beacon("plan", office, "--cost", "--json").stdout)
    assert {way["usd"] for way in found["ways"].values()} == {None}
    assert found["ways"]["cold"]["wall_seconds"]["low"] > 30


def test_wrong_wishes_are_refused(beacon: Beacon, office: Path) -> None:
    """A GPU without a price, and two pictures at once, are wrong usage."""
    for wishes in (("--cost", "--gpu", "abacus"), ("--time", "--power")):
        assert beacon("plan", office, *wishes).returncode == 2


def test_a_budget_stops_a_run_and_a_higher_one_goes_on(beacon: Beacon, office: Path) -> None:
    """It leaves with 7 once nothing fits, having spent no more; with more it is resumed to its end."""
    done = beacon("run", office, "--rehearse", "--speed", "60", "--run-id", "poor", "--max-cost", "0.12")
    assert done.returncode == 7
    assert "budget of 0.12 USD reached" in done.stdout
    assert "--max-cost USD" in done.stdout
    spent = json.loads(beacon("show", "poor", "--cost", "--window", "120", "--json").stdout)
    assert sum(each["usd_at_most"] for each in spent["usages"]) <= 0.12
    again = beacon("resume", "poor", "--speed", "60")
    assert again.returncode == 7
    assert "--max-cost" in again.stderr
    assert beacon("resume", "poor", "--speed", "60", "--max-cost", "3").returncode == 0


def test_a_budget_of_the_job_warms_only_what_it_can_pay(beacon: Beacon, office: Path) -> None:
    """`budget:` holds as the option does; where warming all does not fit, none is warmed, and it is said."""
    office.write_text(OFFICE + "budget: 0.15\n")
    done = beacon("run", office, "--rehearse", "--speed", "60")
    assert done.returncode == 7
    assert "not started before their models are asked" in done.stderr


def test_a_budget_needs_prices(beacon: Beacon, office: Path) -> None:
    """Where nothing is paid by the second a budget cannot be kept: nothing starts, with code 5."""
    done = beacon("run", office, "--executor", "simulated", "--max-cost", "1")
    assert done.returncode == 5
    assert "unknown" in done.stderr


@pytest.mark.parametrize("sum_", ["0", "-1", "nan", "inf", "1e99"])
def test_a_budget_that_can_be_none_is_refused(beacon: Beacon, job: Path, sum_: str) -> None:
    """Nothing, less than nothing, no number and a sum beyond all sense: refused before anything starts."""
    refused = beacon("run", "--rehearse", "--max-cost", sum_, job)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--max-cost" in refused.stderr
