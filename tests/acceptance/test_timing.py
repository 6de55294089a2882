"""Where the time went, warm and cold, advice and cost, as a user asks for them: on rehearsals, and on a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Beacon, Emulator

FAST = ("--rehearse", "--speed", "100", "-q", "--limit", "2", "--no-prewarm")


@pytest.fixture
def rehearsed(beacon: Beacon, job: Path) -> Beacon:
    """A beacon that has rehearsed a job of two questions."""
    assert beacon("run", job, *FAST, "--run-id", "first").returncode == 0
    return beacon


def read(beacon: Beacon, *arguments: str | Path) -> Any:
    """What a command says as JSON."""
    said = beacon(*arguments, "--json")
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    return json.loads(said.stdout)


def test_the_parts_of_every_execution_add_up(rehearsed: Beacon) -> None:
    """Each execution has its waterfall, in the provider's seconds, and its parts are its wall time."""
    said = read(rehearsed, "show", "first", "--timing")
    assert said["speeds"] == [100.0]
    assert said["executions"]
    for each in said["executions"]:
        assert sum(each["seconds"].values()) == pytest.approx(each["wall_seconds"], abs=0.01)
        assert each["trusted"]
        start = each["seconds"].get("boot", 0.0) + each["seconds"].get("load", 0.0)
        assert (30 <= start <= 90) is each["cold_start"]
        assert 3 <= each["seconds"]["generation"] <= 5
    assert all(0.5 < region["cold_share"] < 1 for region in said["regions"])


def test_the_time_is_shown_in_80_columns(rehearsed: Beacon) -> None:
    """`show --timing` fits an old terminal, and says whose seconds it shows."""
    shown = rehearsed("show", "--timing", COLUMNS="80")
    assert shown.returncode == 0
    assert "multiplied by 100" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_the_summary_says_where_the_time_went(beacon: Beacon, job: Path) -> None:
    """The end of a run names each region's share of cold starts."""
    shown = beacon("run", job, *FAST)
    assert "eu cold starts took" in shown.stdout


def test_what_was_woken_first_is_said(beacon: Beacon, job: Path) -> None:
    """A run that wakes its containers first says how long that took, and counts it in no answer's time."""
    shown = beacon("run", job, *FAST[:-1])
    assert "eu was warmed in" in shown.stdout
    said = read(beacon, "show", "--timing")
    assert all(each["seconds"]["warming"] >= 30 for each in said["executions"])
    assert all(each["own_seconds"] < 30 for each in said["executions"])
    found = read(beacon, "metrics", "--rehearsals")["all"]
    assert (found["cold"], found["woken"], found["start_seconds"]["n"]) == (0, 9, 9)
    assert sum(each["gpu_seconds"]["cold"] for each in read(beacon, "show", "--cost")["usages"]) > 9 * 30


def test_metrics_count_warm_and_cold(rehearsed: Beacon) -> None:
    """Half of two questions' answers are cold; rehearsals are counted only where they are asked for."""
    said = read(rehearsed, "metrics", "--rehearsals", "--since", "1d")
    assert said["all"]["cold_rate"] == 0.5
    assert {region["region"] for region in said["regions"]} >= {"us", "eu"}
    assert said["eu_against_us"]["warm_p50"]
    assert said["all"]["warm_seconds"]["p99"] is None
    assert read(rehearsed, "metrics")["all"]["n"] == 0
    assert "--rehearsals" in rehearsed("metrics").stdout
    wrong = rehearsed("metrics", "--since", "yesterday")
    assert wrong.returncode == 2
    assert "12h, 5d or 2w" in wrong.stderr


def test_metrics_read_an_apps_log(beacon: Beacon, tmp_path: Path) -> None:
    """`--from-logs` reads lines with the mark, knows regions by any name, and counts what is broken."""
    line = {
        "model": "m",
        "region": "EU-West",
        "cold_start": False,
        "inference_time": 3.5,
        "at": "2026-11-20T12:00:00Z",
    }
    (tmp_path / "app.log").write_text(f"noise\n12:00 [METRICS] {json.dumps(line)}\n[METRICS] {{broken\n")
    said = read(beacon, "metrics", "--from-logs", "app.log")
    assert [(region["region"], region["n"]) for region in said["regions"]] == [("eu", 1)]
    assert said["remarks"] == ["1 line with [METRICS] cannot be read"]
    assert beacon("metrics", "--from-logs", "none.log").returncode == 2


def test_advice_follows_the_rate(rehearsed: Beacon) -> None:
    """With half of the answers cold: pre-warm and a longer window first, then a warm container, with its price."""
    said = read(rehearsed, "advise", "--rehearsals")
    kinds = [each["kind"] for each in said["advice"] if each["region"] == "eu"]
    assert kinds == ["pre-warm", "longer window", "keep warm"]
    assert said["advice"][-1]["usd_per_month"] > 100
    assert said["thresholds"]["window"]["value"] == 1800.0
    shown = rehearsed("advise", "--rehearsals", "--slow-start", "20", BEACON_REGIONS_OFF="asia")
    assert "beacon probe --region asia" in shown.stdout
    assert 'add "eu" to regions_off' in shown.stdout


def test_the_cost_is_shown_at_dated_rates(rehearsed: Beacon, tmp_path: Path) -> None:
    """GPU seconds and USD by region and model; other rates change the sum, none make it unknown."""
    said = read(rehearsed, "show", "--cost")
    assert said["usd"] == pytest.approx(sum(each["usd"] for each in said["usages"]), abs=1e-4)
    assert said["rates"]["dated"]
    (tmp_path / "rates.json").write_text('{"gpu_t4_hour": "5.90"}')
    dearer = read(rehearsed, "show", "--cost", "--rates", "rates.json")
    times = {"T4": 5.90 / 3600 / 0.000164, "A10G": 1.0}
    expected = sum(each["usd"] * times[each["gpu"]] for each in said["usages"])
    assert dearer["usd"] == pytest.approx(expected, rel=0.001)
    (tmp_path / "beacon.toml").write_text("[rates.region]\nus = 0.0\n")
    refused = rehearsed("show", "--cost")
    assert refused.returncode == 2
    assert "rates" in refused.stderr
    (tmp_path / "beacon.toml").unlink()
    both = rehearsed("show", "--cost", "--timing")
    assert both.returncode == 2


def test_what_nobody_prices_is_unknown(beacon: Beacon, job: Path) -> None:
    """The simulated executor names no GPU: its money is unknown, never 0."""
    assert beacon("run", job, "--executor", "simulated", "--speed", "300", "-q", "--limit", "1").returncode == 0
    said = read(beacon, "show", "--cost")
    assert said["usd"] is None
    assert "unknown" in beacon("show", "--cost").stdout


def test_a_run_on_an_emulator_of_its_own_is_a_rehearsal_at_its_speed(
    beacon: Beacon, job: Path, emulator: Emulator
) -> None:
    """Its times are the provider's, it enters no real history, and it never goes on elsewhere than it began."""
    with emulator() as variables:
        leading = {**variables, "BEACON_EMULATOR_SPEED": "300"}
        short = ("run", job, "-q", "--limit", "2", "--region", "eu", "--run-id")
        done = beacon(*short, "first", **leading)
        assert done.returncode == 0, done.stderr
        assert "REHEARSAL" in done.stdout
        assert beacon(*short, "real", **variables).returncode == 0
        assert "is real, and the environment leads to an emulator" in beacon("retry", "real", **leading).stderr
    said = read(beacon, "show", "first", "--timing")
    assert said["speeds"] == [300.0]
    assert all(3 <= each["seconds"]["generation"] <= 5 for each in said["executions"])
    counted = [read(beacon, "metrics", *more)["all"]["n"] for more in ((), ("--rehearsals",))]
    assert counted == [6, 6]
    refused = beacon("retry", "first")
    assert (refused.returncode, "export the variables" in refused.stderr) == (2, True)
    lost = beacon("run", job, MODAL_SERVER_URL="https://api.modal.com", BEACON_EMULATOR_SPEED="300")
    assert (lost.returncode, "leads to no emulator" in lost.stderr) == (2, True)
