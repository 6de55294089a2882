"""A Redis that goes away, stands still or forgets while three runs work: they wait or stop, no cap is broken."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as client
from tests.support.chaos import Told, dice, draws, until
from tests.support.contest import Contest, pause
from tests.support.emulated import Emulated
from tests.support.forks import Nursery
from tests.support.redis import Proxy, Server

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A Redis that keeps what it acknowledges."""
    with Server(tmp_path / "redis", "appendonly yes", "appendfsync always") as serving:
        yield serving


@pytest.fixture
def way(server: Server) -> Iterator[Proxy]:
    """How the runs reach it."""
    with Proxy(server.port) as between:
        yield between


@pytest.fixture
def contest(tmp_path: Path, crowded: Emulated, nursery: Nursery, way: Proxy) -> Iterator[Contest]:
    """A home whose queue is in that Redis."""
    here = Contest(tmp_path, crowded, nursery, queue=way.url)
    yield here
    here.close()


def _restarted(server: Server, _way: Proxy) -> None:
    server.stop()
    server.start()


def _away(server: Server, _way: Proxy) -> None:
    server.stop()
    pause(2.5)
    server.start()


def _stalled(server: Server, _way: Proxy) -> None:
    server.signal(signal.SIGSTOP)
    pause(2.5)
    server.signal(signal.SIGCONT)


def _parted(_server: Server, way: Proxy) -> None:
    way.cut()
    pause(2.5)
    way.mend()


def _emptied(server: Server, _way: Proxy) -> None:
    client.Redis.from_url(server.url).flushall()


_FAULTS: dict[str, Callable[[Server, Proxy], None]] = {
    "cut off for 2.5 leases": _parted,
    "emptied (FLUSHALL)": _emptied,
    "killed and started": _restarted,
    "away for 2.5 leases": _away,
    "stopped for 2.5 leases": _stalled,
}


@pytest.mark.parametrize("fault", _FAULTS)
@draws(1, 10)
def test_runs_outlive_their_redis(
    contest: Contest, server: Server, way: Proxy, told: Told, fault: str, draw: int
) -> None:
    """Whatever becomes of it, and when: all runs come to their ends, each execution once, no cap broken."""
    told(f"Redis {fault}")
    rng = dice(fault, draw)
    for name in ("a", "b", "c"):
        contest.job(name)
        contest.begin(name)
    until(lambda: all(contest.records(name) for name in ("a", "b", "c")), "all have begun")
    pause(rng.random() * 1.5)
    _FAULTS[fault](server, way)
    contest.finish(seconds=120.0)
    contest.verify()
