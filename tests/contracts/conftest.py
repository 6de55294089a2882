"""What contracts share: the adapters of the queue's store, a Redis for each file, the forms of deployed models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contracts.executing import CLASS_FORM, FUNCTION_FORM
from tests.support.queueing import Given, Hands
from tests.support.redis import Server, queue_name

from beacon_cli.model import ModalTarget
from beacon_cli.ports import Store
from beacon_cli.queues import memory, redis, sqlite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis for all tests of a file; each has a queue of its own in it."""
    with Server(tmp_path_factory.mktemp("redis"), 'save ""') as started:
        yield started


@pytest.fixture(params=["memory", "sqlite", "redis"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    """An empty store that was made long ago, and the clock that it reads."""
    hands = Hands()
    store: Store
    match request.param:
        case "memory":
            store = memory.store(hands, hands.wall)
        case "sqlite":
            store = sqlite.store(tmp_path / "home" / "queue.db", clock=hands, wall=hands.wall)
        case _:
            url = request.getfixturevalue("server").url
            hands.pass_by(-100)
            store = redis.store(url, queue=queue_name(), clock=hands, wall=hands.wall)
            store.begin()
            hands.pass_by(100)
    yield store, hands
    store.close()


@pytest.fixture(params=[CLASS_FORM, FUNCTION_FORM], ids=["class", "function"])
def target(request: pytest.FixtureRequest) -> ModalTarget:
    """Both forms in which models are deployed."""
    assert isinstance(request.param, ModalTarget)
    return request.param
