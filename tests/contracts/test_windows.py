"""The contract of `ports.Containers`: how long a pool stays warm is told, shortened and put back."""

from __future__ import annotations

from pathlib import Path

import modal
import msgspec
import pytest
from tests.contracts.executing import (
    DEPLOYED,
    LLAMA,
    SPEED,
    US,
    Book,
    asking,
    on_modal,
)
from tests.support.pools import IDLE, opened, place, seen

from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.emulator import ledger as ledgers
from beacon_cli.emulator import server
from beacon_cli.emulator.provider import Settings
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.model import (
    ModalTarget,
    Window,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


class TestCool:
    """Idle containers go as soon as the provider lets them; what runs is left alone."""

    async def test_an_idle_container_is_gone_within_the_least_window(
        self, target: ModalTarget, tmp_path: Path
    ) -> None:
        """It ends by itself, two of the provider's seconds after it fell idle or as soon as that is past."""
        ledger = tmp_path / "ledger.jsonl"
        async with opened(target, ledger=ledger) as executor:
            pool = executor.containers.pool(US, LLAMA)
            await executor.attempt(asking(), 1, Book().placed)
            assert await executor.containers.cool(pool) is not None
            await seen(executor.containers, pool, lambda standing: standing.empty)
        lines = {line["event"]: line for line in ledgers.read(ledger)}
        assert lines["container_down"]["reason"] == "idle"
        assert lines["scaled"]["scaledown_window"] == 2
        due = max(lines["scaled"]["mono"], lines["finished"]["mono"] + 2 / SPEED)
        assert lines["container_down"]["mono"] == pytest.approx(due, abs=1e-5)

    async def test_a_minimum_is_let_go_too(self) -> None:
        """A container that the provider keeps without calls goes as well."""
        async with opened(scaling=Scaling(min_containers=1, scaledown_window=1e6)) as executor:
            pool = executor.containers.pool(US, LLAMA)
            await seen(executor.containers, pool, lambda standing: standing == IDLE)
            before = await executor.containers.cool(pool)
            await seen(executor.containers, pool, lambda standing: standing.empty)
        assert before == Window(seconds=1_000_000, min_containers=1)

    async def test_what_runs_is_left_alone(self, target: ModalTarget) -> None:
        """A call in a cooled pool gives its answer; then its container goes, and a later call has a new one."""
        book = Book()
        async with opened(target, script=Script(rules=(Rule(effect=Effect.SLOW, amount=100.0),))) as executor:
            pool = executor.containers.pool(US, LLAMA)
            call = await place(executor, asking())
            assert await executor.containers.cool(pool) is not None
            first = await executor.collect(asking(), call)
            await seen(executor.containers, pool, lambda standing: standing.empty)
            second = await executor.attempt(asking(key="e2"), 1, book.placed)
        containers = {msgspec.to_builtins(outcome)["container"] for outcome in (first, second)}
        assert len(containers) == 2

    async def test_cooling_twice_gives_the_least_window(self) -> None:
        """The first window is the one to keep: afterwards there is only the least."""
        async with opened() as executor:
            pool = executor.containers.pool(US, LLAMA)
            first, second = await executor.containers.cool(pool), await executor.containers.cool(pool)
            assert second == executor.containers.coolest
        assert first == Window(seconds=1_000_000)
        assert second == Window(seconds=2)


class TestRewarm:
    """A window is put back exactly, by whoever has it."""

    async def settings(self, executor: ModalExecutor) -> tuple[int | None, ...]:
        """What any client of the SDK is told about the pool of `CLASS_FORM`."""
        cls = modal.Cls.from_name("project-beacon-hf-us", "Model", client=executor._client)
        await cls.hydrate.aio()
        told = await cls(model=LLAMA.id).generate.autoscaler.settings.aio()
        return told.min_containers, told.max_containers, told.scaledown_window, told.buffer_containers

    @pytest.mark.parametrize("minimum", [0, 1])
    async def test_all_is_as_it_was(self, minimum: int) -> None:
        """After `cool` and `rewarm` every setting of the pool is what it was, the minimum too."""
        async with opened(scaling=Scaling(min_containers=minimum, scaledown_window=120)) as executor:
            containers, pool = executor.containers, executor.containers.pool(US, LLAMA)
            before = await self.settings(executor)
            kept = await containers.window(pool)
            assert kept == await containers.cool(pool) == Window(seconds=120, min_containers=minimum)
            assert await self.settings(executor) == (0, 1, 2, None)
            assert await containers.rewarm(pool, kept)
            assert await self.settings(executor) == before
            assert await containers.window(pool) == kept

    async def test_another_process_can_do_it(self, target: ModalTarget) -> None:
        """A window survives being written down, and the key leads whoever reads it to the pool."""
        scaling = Scaling(scaledown_window=300)
        with server.running(Settings(speed=SPEED, scaling=scaling), apps=DEPLOYED) as address:
            async with on_modal(address, target) as first:
                pool = first.containers.pool(US, LLAMA)
                written = msgspec.json.encode([pool, await first.containers.cool(pool)])
            async with on_modal(address, ModalTarget(app="elsewhere", function="f")) as second:
                key, window = msgspec.json.decode(written, type=tuple[str, Window])
                assert await second.containers.rewarm(key, window)
                assert await second.containers.window(key) == Window(seconds=300)

    @pytest.mark.parametrize(
        "window",
        [
            Window(seconds=1),
            Window(seconds=3601),
            Window(seconds=-1),
            Window(seconds=60, min_containers=-2),
            Window(seconds=60, min_containers=2),
        ],
    )
    async def test_what_the_provider_does_not_take_is_not_put_back(self, window: Window) -> None:
        """A window out of Modal's bounds, or a minimum over the pool's maximum, is False and changes nothing."""
        async with opened(scaling=Scaling(scaledown_window=120)) as executor:
            pool = executor.containers.pool(US, LLAMA)
            assert not await executor.containers.rewarm(pool, window)
            assert await executor.containers.window(pool) == Window(seconds=120)
