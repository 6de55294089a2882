"""The contract of `ports.Containers`: the real SDK against the emulator, whose ledger has the last word."""

from __future__ import annotations

from pathlib import Path

import anyio
import modal
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
from tests.support.pools import AT_ONCE, EMPTY, HANGING, IDLE, NEVER, asked_everything, opened, place, seen

from beacon_cli.behaviour import timing
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.emulator import ledger as ledgers
from beacon_cli.emulator import server
from beacon_cli.emulator.provider import Settings
from beacon_cli.executors.modal.pools import Handle
from beacon_cli.executors.simulated import SimulatedExecutor
from beacon_cli.model import (
    Failed,
    ModalTarget,
    Model,
    PoolStanding,
    Region,
    SimulatedTarget,
    Succeeded,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


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
