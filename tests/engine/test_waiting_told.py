"""What is told of the wait for a turn: when it may be expected, and not the same again and again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.queue_scenes import Idler, turn
from tests.support.queueing import Hands, part, request

from beacon_cli import events as ev
from beacon_cli.ports import Store
from beacon_cli.queues import memory, sqlite
from beacon_cli.tickets import Caps
from beacon_cli.turns import waiting
from beacon_cli.turns.waiting import Wait


def told(
    store: Store, caps: Caps, hands: Hands, meanwhile: Callable[[], None] = lambda: None
) -> list[ev.TurnAwaited]:
    """What is told of a wait in `us`, in which `meanwhile` happens again and again."""
    found: list[ev.TurnAwaited] = []

    async def emit(event: ev.Event) -> None:
        assert isinstance(event, ev.TurnAwaited)
        found.append(event)

    idler: Any = Idler()
    wait = Wait(store, request("waits"), caps=caps, mender=idler, emit=emit, clock=hands.wall)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(wait.over)
            for _ in range(20):
                await anyio.sleep(0.02)
                meanwhile()
            group.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
    return found


@pytest.mark.parametrize("why", ["user", "paused"])
def test_who_is_held_back_is_promised_no_start(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What turns took in the past says nothing of a pause or of a user's limits; and it is told once."""
    monkeypatch.setattr(waiting, "_TOLD_ANEW", 0.0)
    hands, caps = Hands(), Caps(jobs_running=1)
    store = memory.store(hands, hands.wall)
    store.agree(caps)
    ticket, token = turn(store, "before", "us")
    store.leave(ticket, token, part(), {})
    if why == "paused":
        store.pause("us", paused=True)
    else:
        turn(store, "other", "eu")
    assert [event.starts_at for event in told(store, caps, hands, lambda: hands.pass_by(1))] == [None]


def test_a_new_store_is_not_told_anew_each_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts the seconds down for half an hour; each is no news, but now and then how many are left is."""
    hands, caps, path = Hands(), Caps(), tmp_path / "queue.db"
    sqlite.store(path, clock=hands, wall=hands.wall).close()
    for each in tmp_path.glob("queue.db*"):
        each.unlink()
    with closing(sqlite.store(path, clock=hands, wall=hands.wall)) as store:
        store.agree(caps)
        assert store.snapshot().quiet == 1833
        events = told(store, caps, hands, lambda: hands.pass_by(1))
        assert [event.reason.count(" s on") for event in events] == [1]
        monkeypatch.setattr(waiting, "_COUNTED_DOWN", 0.2)
        assert len(told(store, caps, hands, lambda: hands.pass_by(1))) > 1
