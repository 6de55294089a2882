"""Windows that a run makes short: remembered before they are touched, put back by it or by the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from tests.support.housing import Building, Housed, Runner, job

from beacon_cli import events as ev
from beacon_cli.errors import StoreError
from beacon_cli.leftovers import Leftovers
from beacon_cli.model import Window
from beacon_cli.queues import memory
from beacon_cli.turns.windows import Windows

LONG, SHORT = Window(seconds=300), Window(seconds=2)
POOLS = tuple(f'{{"app": "us", "function": "m{n}"}}' for n in (1, 2, 3))


class Watched(Building):
    """A building that asks for what is remembered of a pool whenever its window is made short."""

    def __init__(self, kept: Leftovers) -> None:
        super().__init__()
        self.kept = kept
        self.known: list[bool] = []

    async def cool(self, pool: str) -> Window | None:
        """See `ports.Containers.cool`."""
        self.known.append(pool in {each.pool for each in self.kept.every()})
        return await super().cool(pool)


class Full(Leftovers):
    """What cannot remember anything more."""

    def remember(self, *_: object, **__: object) -> Window:
        """See `Leftovers.remember`: the disk is full."""
        raise StoreError("windows: no space left on device")


def go(*runners: Runner) -> None:
    """Carry the runs out one after the other, no longer than 20 s."""

    async def main() -> None:
        with anyio.fail_after(20):
            for each in runners:
                await each.go()

    anyio.run(main, backend="asyncio")


def crowded(kept: Leftovers, is_over: Callable[[str], bool] = lambda _: True) -> tuple[Watched, Runner, Runner]:
    """A building, a run that fills it, and one with other models."""
    store, building = memory.store(), Watched(kept)
    first = Runner(store, Housed(building), "a", leftovers=kept, is_over=is_over)
    other = Runner(store, Housed(building), "b", job(("m4", "m5")), leftovers=kept, is_over=is_over)
    return building, first, other


def test_a_window_is_on_disk_before_it_is_short(tmp_path: Path) -> None:
    """Each pool is remembered when it is cooled, and forgotten once its window is back."""
    kept = Leftovers(tmp_path)
    building, first, other = crowded(kept)
    go(first, other)
    assert building.known
    assert all(building.known)
    assert not building.cooled
    assert kept.every() == ()


def test_two_who_put_a_window_back_at_once_do_so_together(tmp_path: Path) -> None:
    """A pool that one region's wait and another's find empty at the same moment is put back once."""
    kept = Leftovers(tmp_path)
    building = Watched(kept)
    windows = Windows(building, kept, run_id="a", is_over=lambda _: True, clock=lambda: 1.0)

    async def main() -> None:
        await windows.shorten(POOLS[0])
        async with anyio.create_task_group() as group:
            group.start_soon(windows.put_back, POOLS[0])
            group.start_soon(windows.put_back, POOLS[0])

    anyio.run(main, backend="asyncio")
    assert building.rewarmed == [POOLS[0]]
    assert kept.every() == ()


def test_the_next_run_puts_back_what_a_crash_left(tmp_path: Path) -> None:
    """Windows that a dead run left short are what they were as soon as another run begins."""
    kept, building = Leftovers(tmp_path), Building()
    for pool in POOLS[:2]:
        kept.remember(pool, LONG, SHORT, run_id="dead", at=1.0)
        building.cooled.add(pool)
    go(Runner(memory.store(), Housed(building), "b", job(("m3",)), leftovers=kept))
    assert building.cooled == set()
    assert kept.every() == ()


def test_a_window_that_another_run_needs_short_stays_so(tmp_path: Path) -> None:
    """What a run that goes on has made short is its own business."""
    kept, building = Leftovers(tmp_path), Building()
    kept.remember(POOLS[0], LONG, SHORT, run_id="alive", at=1.0)
    building.cooled.add(POOLS[0])
    go(Runner(memory.store(), Housed(building), "b", job(("m3",)), leftovers=kept, is_over=lambda _: False))
    assert building.cooled == {POOLS[0]}
    assert [each.pool for each in kept.every()] == [POOLS[0]]


def test_a_window_that_somebody_set_since_is_left_alone(tmp_path: Path) -> None:
    """A pool that was deployed anew keeps the window that it has now, and is not remembered any more."""
    kept, building = Leftovers(tmp_path), Building()
    kept.remember(POOLS[0], Window(seconds=60), SHORT, run_id="dead", at=1.0)
    go(Runner(memory.store(), Housed(building), "b", job(("m3",)), leftovers=kept))
    assert kept.every() == ()
    assert building.rewarmed == []


def test_a_window_that_cannot_be_remembered_is_not_touched(tmp_path: Path) -> None:
    """With a full disk no window is made short: what is idle ends by itself."""
    building, first, other = crowded(Full(tmp_path))

    async def main() -> None:
        await first.go()
        with anyio.move_on_after(1.0):
            await other.go()

    anyio.run(main, backend="asyncio")
    assert building.known == []
    assert other.journal.of(ev.TurnAwaited)
    assert not other.journal.of(ev.RegionStarted)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_run_that_ends_while_it_waits_puts_its_windows_back(tmp_path: Path, *, is_shared: bool) -> None:
    """A window that was made short for a run that goes away is put back, unless another run needs it short."""
    kept = Leftovers(tmp_path)
    building, first, other = crowded(kept)
    building.is_stubborn = True  # idle containers stay, whatever their window

    async def main() -> None:
        await first.go()
        with anyio.move_on_after(1.0):
            await other.queue.knock(wait=True)
            async with other.queue.open(other.journal.append, other.standings):
                region = other.plan.regions[0]
                async with other.queue.turn(region, other.plan.models(region), 4):
                    raise AssertionError("the containers are there")
            # never here: the wait is cancelled

    async def share() -> None:
        while not kept.every():  # noqa: ASYNC110 - what is waited for is on disk
            await anyio.sleep(0.01)
        await anyio.sleep(0.2)
        for each in kept.every() if is_shared else ():
            kept.remember(each.pool, SHORT, SHORT, run_id="c", at=2.0)

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(share)
            await main()

    anyio.run(both, backend="asyncio")
    assert building.known
    assert bool(building.cooled) == bool(kept.every()) == is_shared


KEPT = Window(seconds=300, min_containers=1)


class Slow(Building):
    """A building whose first change of a window takes, and is done before its answer comes back."""

    async def rewarm(self, pool: str, window: Window) -> bool:
        """See `ports.Containers.rewarm`."""
        done = await super().rewarm(pool, window)
        if len(self.rewarmed) == 1:
            await anyio.sleep(5.0)
        return done


class Silent(Building):
    """A building that lets windows be changed, and confirms nothing."""

    async def rewarm(self, pool: str, window: Window) -> bool:
        """See `ports.Containers.rewarm`."""
        await super().rewarm(pool, window)
        return False


def changing(building: Building, kept: Leftovers) -> Windows:
    """The windows of run `a` in this building, where every other run is over."""
    return Windows(building, kept, run_id="a", is_over=lambda run: run != "a", clock=lambda: 1.0)


def test_a_stop_in_the_midst_of_a_change_puts_it_back(tmp_path: Path) -> None:
    """A minimum that the provider has taken, and not confirmed when Ctrl-C came, is not left running."""
    kept, building = Leftovers(tmp_path), Slow()
    windows = changing(building, kept)

    async def main() -> None:
        with anyio.move_on_after(0.05):
            await windows.keep(POOLS[0])
        await windows.put_all_back()

    anyio.run(main, backend="asyncio")
    assert building.windows == {POOLS[0]: LONG}
    assert (kept.every(), windows.changed) == ((), 0)


def test_what_is_remembered_and_damaged_keeps_nobody_from_putting_back(tmp_path: Path) -> None:
    """A file that cannot be read is somebody else's trouble: what this run keeps warm is let go at its end."""
    kept, building = Leftovers(tmp_path), Building()
    windows = changing(building, kept)

    async def main() -> None:
        for pool in POOLS:
            await windows.keep(pool)
        (tmp_path / "windows" / "0.json").write_text("{")
        await windows.put_all_back()

    anyio.run(main, backend="asyncio")
    assert building.windows == dict.fromkeys(POOLS, LONG)
    assert windows.changed == 0


def test_what_cannot_be_put_back_is_counted_and_remembered(tmp_path: Path) -> None:
    """Where the provider does not answer at the end, the run knows how many pools it leaves changed."""
    kept = Leftovers(tmp_path)
    windows = changing(Silent(), kept)

    async def main() -> None:
        for pool in POOLS:
            await windows.keep(pool)
        await windows.put_all_back()

    anyio.run(main, backend="asyncio")
    assert windows.changed == 3
    assert {each.pool for each in kept.every()} == set(POOLS)


@pytest.mark.parametrize("is_first", [False, True])
def test_what_a_crash_kept_warm_is_taken_over(tmp_path: Path, *, is_first: bool) -> None:
    """A run that keeps warm too has its containers kept, and puts back what was there before the run that died."""
    kept, building = Leftovers(tmp_path), Building()
    kept.remember(POOLS[0], LONG, KEPT, run_id="dead", at=1.0)
    building.windows[POOLS[0]] = KEPT
    windows = changing(building, kept)

    async def main() -> None:
        left = await windows.left()
        if is_first:
            await windows.mend(left)
        await windows.keep(POOLS[0])
        await windows.mend(left)
        assert building.windows == {POOLS[0]: KEPT}
        await windows.put_all_back()

    anyio.run(main, backend="asyncio")
    assert building.windows == {POOLS[0]: LONG}
    assert kept.every() == ()


def test_what_a_command_keeps_warm_is_no_runs_to_let_go(tmp_path: Path) -> None:
    """`beacon warm --apply` keeps its containers also where a run that keeps warm has come and gone."""
    kept, building = Leftovers(tmp_path), Building()
    kept.remember(POOLS[0], LONG, KEPT, run_id="", at=1.0)
    building.windows[POOLS[0]] = KEPT
    windows = Windows(building, kept, run_id="a", is_over=bool, clock=lambda: 1.0)

    async def main() -> None:
        await windows.keep(POOLS[0])
        await windows.put_all_back()

    anyio.run(main, backend="asyncio")
    assert building.windows == {POOLS[0]: KEPT}
    assert len(kept.every()) == 1
