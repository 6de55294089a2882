"""A server in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from beacon_cli.emulator.beside import beside

NAME = "a-server"


@asynccontextmanager
async def serving(seen: list[str], *, fails: str = "") -> AsyncIterator[str]:
    """Serves nothing, and says where it does so; fails at its start or at its end."""
    if fails == "start":
        raise OSError("the port is taken")
    seen.append(threading.current_thread().name)
    yield "here"
    seen.append("ended")
    if fails == "end":
        raise OSError("it would not close")


def test_it_serves_for_as_long_as_the_body_lasts() -> None:
    """What is served is there within the body, in another thread, and ends with it."""
    seen: list[str] = []
    with beside(serving(seen), NAME) as served:
        assert served == "here"
        assert seen == [NAME]
    assert seen == [NAME, "ended"]
    assert NAME not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("fails", "said"), [("start", "the port is taken"), ("end", "it would not close")])
def test_its_failure_is_told_here(fails: str, said: str) -> None:
    """Whatever it raises, at its start or at its end, reaches who asked for it."""
    with pytest.raises(OSError, match=said), beside(serving([], fails=fails), NAME):
        pass


def test_a_failure_of_the_body_ends_it_too() -> None:
    """A body that fails leaves no server behind, and its own failure is what is told."""
    seen: list[str] = []
    with pytest.raises(ValueError, match="mine"), beside(serving(seen), NAME):
        raise ValueError("mine")
    assert seen[-1] == "ended"
