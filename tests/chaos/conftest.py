"""One provider for all, a house for each test, the seed in the header, the table of figures at the end."""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.chaos import House, Provider, Record, Told, is_full, provider
from tests.support.contest import Contest
from tests.support.emulated import Emulated
from tests.support.forks import Nursery
from tests.support.redis import Server

RULES: list[Record] = [
    {"effect": "hang", "question": "*stubborn*", "stubborn": True},
    {"effect": "hang", "question": "*hangs*"},
    {"effect": "throttled", "question": "*busy*", "attempts": [1, 1], "amount": 100.0},
    {"effect": "model_error", "question": "*errs*", "message": "no"},
    {"effect": "unreachable", "question": "*down*", "attempts": [1, 1]},
]
"""What goes wrong with a question, by a word in it."""
_TABLE = "chaos"


def pytest_configure() -> None:
    """Draw the seed once, before worker processes inherit the environment."""
    os.environ.setdefault("BEACON_CHAOS_SEED", str(secrets.randbelow(1_000_000)))


def pytest_report_header() -> str:
    """How to replay what follows."""
    return (
        f"chaos: BEACON_CHAOS_SEED={os.environ['BEACON_CHAOS_SEED']}, {'full' if is_full() else 'reduced'} counts"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried, how often, and how often it failed."""
    runs: dict[str, int] = defaultdict(int)
    violations: dict[str, int] = defaultdict(int)
    figures: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, (failure, number, more) in getattr(report, "user_properties", ()):
                if key != _TABLE or report.when != "call":
                    continue
                runs[failure] += number
                violations[failure] += report.failed
                for name, value in more.items():
                    figures[failure][name] += value
    if not runs:
        return
    terminalreporter.section("chaos")
    terminalreporter.line("| failure | runs | violations | 95 % bound | seed | seen |")
    terminalreporter.line("|---|---|---|---|---|---|")
    for failure in sorted(runs):
        seen = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in figures[failure].items())
        bound = f"{3 / runs[failure]:.2g}" if runs[failure] else ""
        terminalreporter.line(
            f"| {failure} | {runs[failure]} | {violations[failure]} | {bound} |"
            f" {os.environ['BEACON_CHAOS_SEED']} | {seen} |"
        )


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Told:
    """Adds a line to the table: `told("what failed", runs=1, calls_recovered=3)`."""

    def tell(failure: str, runs: int = 1, **figures: int) -> None:
        record_property(_TABLE, (failure, runs, figures))

    return tell


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider that outlives every beacon of this session."""
    with provider(tmp_path_factory.mktemp("provider"), RULES) as serving:
        yield serving


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where beacons are forked."""
    here = Nursery(tmp_path_factory.mktemp("outputs"))
    yield here
    here.close()


@pytest.fixture
def house(tmp_path: Path, workspace: Provider, nursery: Nursery) -> Iterator[House]:
    """An empty home and no job yet."""
    here = House(tmp_path, workspace, nursery)
    yield here
    here.close()


CALLS: list[Record] = [
    {"effect": "hang", "question": "*stubborn*", "stubborn": True},
    {"effect": "hang", "question": "*hangs*"},
    {"effect": "slow", "question": "*slow*", "amount": 500.0, "stubborn": True},
    {"effect": "unreachable", "question": "*down*", "attempts": [1, 1]},
]
"""What goes wrong with a question of a contest, by a word in it. `slow`: five seconds at its speed."""


@pytest.fixture(scope="session")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """A workspace for runs that want the same GPUs; it outlives them all."""
    with Emulated(tmp_path_factory.mktemp("crowded"), CALLS) as serving:
        yield serving


@pytest.fixture(params=["sqlite", "redis"] if is_full() else ["sqlite"])
def queue_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the queue is: the address of a Redis of its own, or empty for a file.

    The reduced counts leave Redis to `test_queue_redis`.
    """
    if request.param == "sqlite":
        yield ""
        return
    with Server(tmp_path / "redis", "appendonly yes", "appendfsync always") as server:
        yield server.url


@pytest.fixture
def contest(tmp_path: Path, crowded: Emulated, nursery: Nursery, queue_at: str) -> Iterator[Contest]:
    """A home with a queue and no job yet; leases last one second."""
    here = Contest(tmp_path, crowded, nursery, queue=queue_at)
    yield here
    here.close()
