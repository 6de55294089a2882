"""Who is in step, and how a late model joins."""

from __future__ import annotations

import anyio

from beacon_cli.lineup import Lineup
from beacon_cli.model import Model

A, B, C = Model(id="a"), Model(id="b"), Model(id="c")


def test_all_are_in_step_where_none_is_late() -> None:
    """Without late models each wave has all of them, at once."""

    async def main() -> None:
        line = Lineup((A, B))
        assert await line.next() == {"a", "b"}
        assert await line.next() == {"a", "b"}

    anyio.run(main)


def test_a_late_model_joins_when_it_has_done_what_has_begun() -> None:
    """A late model is in step once it has done as many waves as have begun, and from the next wave on."""

    async def main() -> None:
        line = Lineup((A, B), late=(B,))
        assert await line.next() == {"a"}
        assert await line.next() == {"a"}
        assert not line.joins(B, 0)
        assert not line.joins(B, 1)
        assert line.joins(B, 2)
        assert await line.next() == {"a", "b"}

    anyio.run(main)


def test_the_first_who_comes_leads() -> None:
    """Where all are late the first wave waits for the first of them, and for no other."""

    async def main() -> None:
        line = Lineup((A, B, C), late=(A, B, C))
        with anyio.move_on_after(0.05) as waiting:
            await line.next()
        assert waiting.cancelled_caught
        assert line.joins(B, 0)
        assert await line.next() == {"b"}

    anyio.run(main)


def test_nobody_at_all_holds_nothing_up() -> None:
    """A group in which no model has work left goes through its waves without waiting."""

    async def main() -> None:
        assert await Lineup(()).next() == frozenset()

    anyio.run(main)
