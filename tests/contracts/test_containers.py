"""The contract of `ports.Containers`: the real SDK against the emulator, whose ledger has the last word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import modal
import msgspec
import pytest
from tests.contracts.executing import (
    ASIA,
    CELLS,
    CLASS_FORM,
    DEPLOYED,
    FUNCTION_FORM,
    LLAMA,
    PATIENT,
    QWEN,
    SPEED,
    US,
    Book,
    asking,
    at_endpoints,
    on_modal,
)
from tests.support.ledger import peaks

from beacon_cli.behaviour import timing
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.emulator import ledger as ledgers
from beacon_cli.emulator import server
from beacon_cli.emulator.provider import Settings
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.executors.modal.pools import Handle
from beacon_cli.executors.simulated import SimulatedExecutor
from beacon_cli.model import (
    Execution,
    Failed,
    ModalTarget,
    Model,
    PoolStanding,
    Region,
    SimulatedTarget,
    Succeeded,
    Window,
)
from beacon_cli.ports import Containers

pytestmark = pytest.mark.anyio

HANGING = Script(rules=(Rule(effect=Effect.HANG),))
EMPTY = PoolStanding(alive=0, running=0, backlog=0)
IDLE = PoolStanding(alive=1, running=0, backlog=0)
AT_ONCE = timing.Timings(boot=(0.0, 0.0))
NEVER = timing.Timings(boot=(1e9, 1e9))
"""Containers that are there at once, and such as go on starting."""


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


@pytest.fixture(params=[CLASS_FORM, FUNCTION_FORM], ids=["class", "function"])
def target(request: pytest.FixtureRequest) -> ModalTarget:
    """Both forms in which models are deployed."""
    assert isinstance(request.param, ModalTarget)
    return request.param


@asynccontextmanager
async def opened(
    target: ModalTarget = CLASS_FORM,
    *,
    script: Script | None = None,
    timings: timing.Timings = AT_ONCE,
    scaling: Scaling = PATIENT,
    gpus: int = 1000,
    ledger: Path | None = None,
) -> AsyncIterator[ModalExecutor]:
    """An executor on an emulator of its own, prepared. The emulator's own limit on GPUs hides nothing."""
    settings = Settings(speed=SPEED, script=script or Script(), timings=timings, scaling=scaling, gpus=gpus)
    with server.running(settings, ledger=ledger, apps=DEPLOYED) as address:
        async with on_modal(address, target) as executor:
            await executor.prepare(CELLS)
            yield executor


async def place(executor: ModalExecutor, execution: Execution) -> str:
    """Place a call, and leave it to itself."""
    ids: list[str] = []
    with anyio.CancelScope() as waiting:

        async def placed(call_id: str) -> None:
            ids.append(call_id)
            waiting.cancel()

        await executor.attempt(execution, 1, placed)
    return ids[0]


async def seen(containers: Containers, pool: str, wanted: Callable[[PoolStanding], bool]) -> PoolStanding:
    """The first standing of this kind."""
    with anyio.fail_after(10):
        while True:
            standing = await containers.standing(pool)
            if standing is not None and wanted(standing):
                return standing
            await anyio.sleep(0.005)


async def asked_everything(containers: Containers, pool: str) -> list[object]:
    """What every question about a pool is answered with."""
    return [
        await containers.standing(pool),
        await containers.window(pool),
        await containers.cool(pool),
        await containers.rewarm(pool, Window(seconds=60)),
    ]


NOTHING = [None, None, None, False]
"""What is answered where nobody can be asked."""


class TestPool:
    """One pool has one key, wherever it is asked for."""

    async def test_each_class_with_its_parameters_is_a_pool(self) -> None:
        """Every pair of region and model has its own key."""
        async with opened(CLASS_FORM) as executor:
            assert len({executor.containers.pool(*cell) for cell in CELLS}) == len(CELLS)

    async def test_models_behind_one_function_share_its_pool(self) -> None:
        """A function has one key, whatever is asked through it; that of another region has another."""
        async with opened(FUNCTION_FORM) as executor:
            pool = executor.containers.pool
            assert pool(US, LLAMA) == pool(US, QWEN) != pool(ASIA, LLAMA)

    async def test_a_key_finds_its_pool_from_another_job(self, target: ModalTarget) -> None:
        """A client of a job that calls something else finds the containers by the key alone."""
        other = ModalTarget(app="elsewhere", function="nothing")
        with server.running(Settings(speed=SPEED, timings=AT_ONCE, scaling=PATIENT), apps=DEPLOYED) as address:
            async with on_modal(address, target) as first, on_modal(address, other) as second:
                await first.prepare(CELLS)
                await first.attempt(asking(ASIA, QWEN), 1, Book().placed)
                pool = first.containers.pool(ASIA, QWEN)
                assert await second.containers.standing(pool) == IDLE
                assert await second.containers.cool(pool) is not None
                await seen(first.containers, pool, lambda standing: standing.empty)


class TestStanding:
    """A GPU counts while its container lives."""

    async def test_a_pool_that_nobody_has_called_is_empty(self, target: ModalTarget) -> None:
        """No call, no container."""
        async with opened(target) as executor:
            standing = await executor.containers.standing(executor.containers.pool(US, LLAMA))
            assert standing == EMPTY
            assert standing.empty

    async def test_a_container_that_starts_is_alive(self, target: ModalTarget) -> None:
        """While it starts its input waits, and it holds its GPU also when that input has been cancelled."""
        async with opened(target, timings=NEVER) as executor:
            pool = executor.containers.pool(US, LLAMA)
            call = await place(executor, asking())
            assert await executor.containers.standing(pool) == PoolStanding(alive=1, running=0, backlog=1)
            assert await executor.cancel(call)
            standing = await executor.containers.standing(pool)
            assert standing == IDLE
            assert not standing.empty

    async def test_what_runs_what_waits_and_what_idles_is_told_apart(self, target: ModalTarget) -> None:
        """One input runs and two wait for the pool's one container; when all have ended it lives on, idle."""
        async with opened(target, script=HANGING) as executor:
            pool = executor.containers.pool(US, LLAMA)
            calls = [await place(executor, asking(key=f"e{number}")) for number in range(3)]
            assert await seen(executor.containers, pool, lambda standing: standing.running == 1) == PoolStanding(
                alive=1, running=1, backlog=2
            )
            for call in calls:
                assert await executor.cancel(call)
            assert await executor.containers.standing(pool) == IDLE

    async def test_other_pools_are_not_counted(self) -> None:
        """A pool of another model, or of another region, stands by itself."""
        async with opened(CLASS_FORM) as executor:
            await executor.attempt(asking(US, LLAMA), 1, Book().placed)
            for cell in ((US, QWEN), (ASIA, LLAMA)):
                assert await executor.containers.standing(executor.containers.pool(*cell)) == EMPTY


class TestWake:
    """A container is there before its model is asked."""

    async def test_a_call_that_asks_nothing_starts_the_container(self, tmp_path: Path) -> None:
        """The class's container serves once the waking ends, says that it was cold, and has the first question."""
        ledger = tmp_path / "ledger.jsonl"
        async with opened(CLASS_FORM, ledger=ledger, timings=timing.Timings(boot=(5.0, 5.0))) as executor:
            book = Book()
            woken = await executor.containers.wake(US, LLAMA, book.placed)
            assert isinstance(woken, Succeeded)
            assert (woken.response, woken.cold_start) == ("", True)
            assert woken.provenance["seconds"]["boot"] + woken.provenance["seconds"]["load"] == pytest.approx(5.0)
            assert len(book.ids) == 1
            pool = executor.containers.pool(US, LLAMA)
            assert await executor.containers.standing(pool) == IDLE
            answer = await executor.attempt(asking(US, LLAMA), 1, Book().placed)
            assert isinstance(answer, Succeeded)
            assert (answer.container, answer.cold_start) == (woken.container, False)
        assert sum(entry["event"] == "container_up" for entry in ledgers.read(ledger)) == 1

    async def test_a_warm_container_says_so(self) -> None:
        """Woken again, it is the same container, and was warm already."""
        async with opened(CLASS_FORM) as executor:
            first = await executor.containers.wake(US, LLAMA, Book().placed)
            again = await executor.containers.wake(US, LLAMA, Book().placed)
            assert isinstance(first, Succeeded)
            assert isinstance(again, Succeeded)
            assert (again.container, again.cold_start) == (first.container, False)

    async def test_a_function_cannot_be_woken_without_a_question(self) -> None:
        """Nothing is called in a function's containers: there is nothing to call but the model."""
        async with opened(FUNCTION_FORM) as executor:
            book = Book()
            assert await executor.containers.wake(US, LLAMA, book.placed) is None
            assert book.ids == []
            assert await executor.containers.standing(executor.containers.pool(US, LLAMA)) == EMPTY

    async def test_the_call_that_wakes_can_be_ended(self) -> None:
        """Who gives up waiting ends the call by its id, as any other."""
        async with opened(CLASS_FORM, timings=NEVER) as executor:
            book = Book()
            with anyio.move_on_after(0.5) as waiting:
                await executor.containers.wake(US, LLAMA, book.placed)
            assert waiting.cancelled_caught
            (call,) = book.ids
            assert await executor.cancel(call)

    async def test_an_app_that_is_gone_is_a_failure_of_the_provider(self) -> None:
        """Where nobody answers, the failure is a value."""
        async with opened(CLASS_FORM) as executor:
            containers = executor.containers
        woken = await containers.wake(US, LLAMA, Book().placed)
        assert isinstance(woken, Failed)


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


class TestWhoCannotBeAsked:
    """A provider that cannot be asked is a value; nothing is raised, and nothing is taken for free."""

    @pytest.mark.parametrize(
        "key",
        [
            '{"app":"nowhere","function":"run_inference"}',
            '{"app":"project-beacon-hf-us","function":"walk"}',
            '{"app":"project-beacon-hf-us","cls":"Piano","method":"generate","parameters":{"model":"m"}}',
            '{"app":"project-beacon-hf-us","cls":"Model","method":"sing","parameters":{"model":"m"}}',
        ],
    )
    async def test_a_pool_that_is_not_deployed_has_no_containers(self, key: str) -> None:
        """An app that is not deployed, or what an app lacks, is known to be empty; there is nothing to let go."""
        async with opened() as executor:
            assert await asked_everything(executor.containers, key) == [EMPTY, *NOTHING[1:]]

    @pytest.mark.parametrize(
        "key",
        [
            '{"app":"project-beacon-hf-us","cls":"Model","method":"generate","parameters":{"colour":"red"}}',
            '{"app":"project-beacon-hf-us","cls":"Model","method":"generate","parameters":{"self":1}}',
            '{"app":"project-beacon-hf-us","cls":"Model","method":"update_autoscaler","parameters":{"model":"m"}}',
            '{"app":"project-beacon-hf-us","cls":"Model","method":"__init__","parameters":{"model":"m"}}',
            "no key",
            "",
        ],
    )
    async def test_a_pool_that_cannot_be_is_not_known(self, key: str) -> None:
        """What does not fit its app, or is no key: not known, in every respect."""
        async with opened() as executor:
            assert await asked_everything(executor.containers, key) == NOTHING

    async def test_a_provider_that_is_gone_is_not_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With nobody listening every question ends within its patience, also about a pool known before."""
        monkeypatch.setattr("beacon_cli.executors.modal.containers._PATIENCE", 0.2)
        with server.running(Settings(speed=SPEED), apps=DEPLOYED) as address:
            executor = on_modal(address)
            await executor.__aenter__()
            known, unknown = (executor.containers.pool(US, model) for model in (LLAMA, QWEN))
            assert await executor.containers.standing(known) == EMPTY
        try:
            with anyio.fail_after(5):
                assert await asked_everything(executor.containers, known) == NOTHING
                assert await asked_everything(executor.containers, unknown) == NOTHING
        finally:
            await executor.__aexit__(None, None, None)
        assert await asked_everything(executor.containers, known) == NOTHING

    async def test_an_app_that_is_deployed_anew_is_found_again(self) -> None:
        """A handle that the provider no longer knows is looked up afresh, and only then taken for gone."""
        async with opened() as executor:
            pool = executor.containers.pool(US, LLAMA)
            assert await executor.containers.standing(pool) == EMPTY
            stopped: Handle = modal.Function.from_name("stopped", "f", client=executor._client)
            executor.containers._found[pool] = stopped
            await executor.containers.standing(pool)
            assert executor.containers._found[pool] is not stopped

    async def test_another_environment_is_not_mistaken_for_this_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pool of the default environment is not counted in the one that is configured here."""
        async with opened() as executor:
            pool = executor.containers.pool(US, LLAMA)
            monkeypatch.setenv("MODAL_ENVIRONMENT", "dev")
            assert await asked_everything(executor.containers, pool) == NOTHING
            assert await executor.containers.standing(executor.containers.pool(US, LLAMA)) == EMPTY

    async def test_a_cancellation_passes(self) -> None:
        """Whoever waits for an answer can stop waiting, and the client goes on."""
        async with opened() as executor:
            pool = executor.containers.pool(US, LLAMA)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await executor.containers.standing(pool)
            assert scope.cancelled_caught
            assert await executor.containers.standing(pool) == EMPTY


async def test_who_holds_no_gpu_has_no_containers() -> None:
    """The simulated executor and endpoints have none to count."""
    async with SimulatedExecutor(SimulatedTarget()) as simulated, at_endpoints(Script()) as endpoints:
        assert (simulated.containers, endpoints.containers) == (None, None)


class TestLedger:
    """From the ledger alone it shows how many containers lived at once."""

    @pytest.mark.parametrize(("gpus", "most"), [(1000, 12), (10, 10)])
    async def test_more_than_the_limit_would_show(self, gpus: int, most: int, tmp_path: Path) -> None:
        """With GPUs to spare, whoever holds too many is seen; the emulator's own limit would hide it."""
        regions = [US, ASIA, Region(id="eu", app="eu", place="Europe")]
        cells = [(region, Model(id=f"m{number}")) for region in regions for number in range(4)]
        ledger = tmp_path / "ledger.jsonl"
        async with opened(ledger=ledger, gpus=gpus, script=HANGING) as executor:
            await executor.prepare(cells)
            calls = [await place(executor, asking(*cell)) for cell in cells]
            assert await executor.cancel(calls[0])
        found = peaks(ledgers.read(ledger))
        assert found[""] == most
        assert most == 10 or {found["us"], found["eu"], found["asia"]} == {4}

    async def test_a_pool_keeps_to_its_maximum(self, target: ModalTarget, tmp_path: Path) -> None:
        """However many inputs wait, crash or lose their container, a pool never has more than it may."""
        ledger = tmp_path / "ledger.jsonl"
        rules = (
            Rule(effect=Effect.PLATFORM, calls=(1, 2)),
            Rule(effect=Effect.PREEMPTED, calls=(1, 3), amount=1.0),
        )
        scaling = Scaling(max_containers=2, scaledown_window=3)
        async with (
            opened(target, ledger=ledger, script=Script(rules=rules), scaling=scaling) as executor,
            anyio.create_task_group() as group,
        ):
            for number in range(20):
                group.start_soon(executor.attempt, asking(key=f"e{number}"), 1, Book().placed)
        records = list(ledgers.read(ledger))
        assert {line.get("reason") for line in records} >= {"crashed", "preempted"}
        assert max(peaks(records, by="pool").values()) == 2
