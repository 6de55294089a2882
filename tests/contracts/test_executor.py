"""The contract of `ports.Executor`, held against every adapter. Modal's is the real SDK against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest
from tests.contracts.executing import (
    ASIA,
    CELLS,
    CLASS_FORM,
    DEPLOYED,
    FUNCTION_FORM,
    LLAMA,
    PATIENT,
    PICKLING,
    SPEED,
    US,
    Book,
    asking,
    at_endpoints,
    emulating,
    failed,
    on_modal,
)

from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.errors import StoreError
from beacon_cli.executors.simulated import SimulatedExecutor
from beacon_cli.model import (
    Cancelled,
    ErrorKind,
    Execution,
    Limits,
    Outcome,
    SimulatedTarget,
    Succeeded,
)
from beacon_cli.ports import Executor, Placed

pytestmark = pytest.mark.anyio

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Executor]]


KEEPING = ["simulated", "modal-class", "modal-function", "modal-pickle"]
"""The executors whose provider runs calls in containers and keeps their outcomes; an HTTP endpoint does not."""


@asynccontextmanager
async def _open(kind: str, *rules: Rule, limits: Limits | None = None) -> AsyncIterator[Executor]:
    script = Script(rules=rules)
    if kind == "simulated":
        played = SimulatedTarget(speed=SPEED)
        async with SimulatedExecutor(played, script=script, limits=limits, scaling=PATIENT) as simulated:
            await simulated.prepare(CELLS)
            yield simulated
    elif kind == "openai":
        async with at_endpoints(script, limits=limits) as executor:
            yield executor
    else:
        apps = PICKLING if kind == "modal-pickle" else DEPLOYED
        target = FUNCTION_FORM if kind == "modal-function" else CLASS_FORM
        with emulating(script, apps=apps) as address:
            async with on_modal(address, target, limits=limits) as modal:
                await modal.prepare(CELLS)
                yield modal


@pytest.fixture(params=[*KEEPING, "openai"])
def opened(request: pytest.FixtureRequest, anyio_backend: object) -> Open:  # noqa: ARG001 - one backend for both
    """Opens an executor of each kind, prepared, with a script of failures."""
    return partial(_open, request.param)


@pytest.fixture(params=KEEPING)
def keeping(request: pytest.FixtureRequest, anyio_backend: object) -> Open:  # noqa: ARG001 - as above
    """As `opened`, for executors whose provider keeps calls."""
    return partial(_open, request.param)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ignores a gentle cancellation is given less time than in earnest."""
    monkeypatch.setattr("beacon_cli.executors.modal.calls._GENTLE", 0.3)


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


async def test_an_answer_comes_with_its_text_and_where_it_was_made(keeping: Open) -> None:
    """A good answer is `Succeeded` with response, container and warmth, the first one cold, the next warm."""
    async with keeping() as executor:
        first = await executor.attempt(asking(), 1, Book().placed)
        second = await executor.attempt(asking(key="e2"), 1, Book().placed)
    assert isinstance(first, Succeeded)
    assert isinstance(second, Succeeded)
    assert "4" in first.response
    assert (first.cold_start, second.cold_start) == (True, False)
    assert first.container == second.container != ""
    assert first.provenance["model"] == LLAMA.id
    assert first.provenance["seconds"]["boot"] > 0


async def test_the_call_is_told_once_and_before_the_outcome(opened: Open) -> None:
    """`placed` is awaited exactly once, with an id, before the attempt has its outcome."""
    book = Book()
    async with opened() as executor:
        await executor.attempt(asking(), 1, book.placed)
    assert len(book.ids) == 1
    assert book.ids[0]


async def test_a_store_that_fails_is_no_failure_of_the_model(opened: Open) -> None:
    """What the journal raises while the call's id is written passes through the executor as it is."""

    async def full(_call_id: str) -> None:
        raise StoreError("disk full")

    async with opened() as executor:
        with pytest.raises(StoreError, match="disk full"):
            await executor.attempt(asking(), 1, full)


async def test_an_answer_that_comes_before_its_id_is_on_disk_is_kept(opened: Open) -> None:
    """A call may end while its id is still being written: its answer is given all the same."""
    async with opened() as executor:
        await executor.attempt(asking(), 1, Book().placed)  # warm: the next answer takes milliseconds

        async def slow_disk(_call_id: str) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(executor.attempt, asking(key="e3"), 1, Book().placed)
                await anyio.sleep(0.1)

        outcome = await executor.attempt(asking(key="e2"), 1, slow_disk)
    assert isinstance(outcome, Succeeded)


async def test_a_model_that_errs_may_be_asked_again(opened: Open) -> None:
    """`status: error` is a transient failure of kind `model` with the model's words; the next attempt succeeds."""
    async with opened(Rule(effect=Effect.MODEL_ERROR, calls=(1, 1), message="out of memory")) as executor:
        first = failed(await executor.attempt(asking(), 1, Book().placed))
        second = await executor.attempt(asking(), 2, Book().placed)
    assert (first.kind, first.transient, first.message) == (ErrorKind.MODEL, True, "out of memory")
    assert isinstance(second, Succeeded)


async def test_an_exception_of_the_remote_code_is_the_models_failure(opened: Open) -> None:
    """What the remote function raises is a value of kind `model` that carries the exception's words."""
    async with opened(Rule(effect=Effect.RAISES, value="ValueError", message="no such layer")) as executor:
        outcome = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (outcome.kind, outcome.transient) == (ErrorKind.MODEL, True)
    assert "ValueError" in outcome.message
    assert "no such layer" in outcome.message


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
async def test_a_remote_exit_does_not_end_this_process(opened: Open, name: str) -> None:
    """Remote code that calls `sys.exit()` has failed; the executor lives on."""
    async with opened(Rule(effect=Effect.RAISES, value=name, calls=(1, 1))) as executor:
        outcome = failed(await executor.attempt(asking(), 1, Book().placed))
        assert isinstance(await executor.attempt(asking(), 2, Book().placed), Succeeded)
    assert outcome.kind is ErrorKind.MODEL
    assert name in outcome.message


async def test_a_remote_timeout_error_is_not_taken_for_a_wait_that_ran_out(opened: Open) -> None:
    """A `TimeoutError` that the remote code raises ends the attempt at once as the model's failure."""
    async with opened(Rule(effect=Effect.RAISES, value="TimeoutError", message="socket")) as executor:
        with anyio.fail_after(10):
            outcome = failed(await executor.attempt(asking(), 1, Book().placed))
    assert outcome.kind is ErrorKind.MODEL


async def test_a_container_that_dies_is_the_platforms_failure(opened: Open) -> None:
    """An internal failure of the provider is transient and of kind `platform`."""
    async with opened(Rule(effect=Effect.PLATFORM)) as executor:
        outcome = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (outcome.kind, outcome.transient) == (ErrorKind.PLATFORM, True)


async def test_a_dead_region_takes_no_call_and_leaves_the_others_alone(opened: Open) -> None:
    """A region that cannot be reached gives `connection`, without an id; another region answers."""
    book = Book()
    async with opened(Rule(effect=Effect.UNREACHABLE, region="asia")) as executor:
        dead = failed(await executor.attempt(asking(ASIA), 1, book.placed))
        alive = await executor.attempt(asking(US), 1, Book().placed)
    assert (dead.kind, dead.transient) == (ErrorKind.CONNECTION, True)
    assert book.ids == []
    assert isinstance(alive, Succeeded)


async def test_a_provider_that_asks_for_patience_is_heard(opened: Open) -> None:
    """Throttling is transient and carries the provider's own wait."""
    async with opened(Rule(effect=Effect.THROTTLED, amount=7 * SPEED)) as executor:
        outcome = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (outcome.kind, outcome.transient, outcome.retry_after) == (ErrorKind.THROTTLED, True, 7.0)


@pytest.mark.parametrize(
    "value",
    [None, [], "text", 7, {}, {"response": None}, {"response": ["a"]}],
)
async def test_what_is_not_of_the_agreed_form_is_a_bad_answer(opened: Open, value: Any) -> None:
    """Anything but a mapping of JSON types with a text is `bad_answer`, for good."""
    async with opened(Rule(effect=Effect.BAD_ANSWER, value=value)) as executor:
        outcome = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (outcome.kind, outcome.transient) == (ErrorKind.BAD_ANSWER, False)


async def test_an_answer_with_bytes_is_a_bad_answer(keeping: Open) -> None:
    """What JSON has no word for is `bad_answer`, however deep it lies."""
    value = {"response": "a", "deep": {"b": b"c"}}
    async with keeping(Rule(effect=Effect.BAD_ANSWER, value=value)) as executor:
        outcome = failed(await executor.attempt(asking(), 1, Book().placed))
    assert (outcome.kind, outcome.transient) == (ErrorKind.BAD_ANSWER, False)


async def test_hostile_text_arrives_as_it_is(opened: Open) -> None:
    """Escapes, markup and right-to-left marks in an answer are data and stay as they are."""
    hostile = "\x1b[2J\u202e[/red]\x00\u2028</script>=1+1\U0001f600"
    async with opened(Rule(effect=Effect.BAD_ANSWER, value={"response": hostile})) as executor:
        outcome = await executor.attempt(asking(), 1, Book().placed)
    assert isinstance(outcome, Succeeded)
    assert outcome.response == hostile


async def test_a_huge_answer_is_cut_and_says_so(opened: Open) -> None:
    """An answer over the limit is cut to it, and its full length is noted."""
    limits = Limits(answer_bytes=1000)
    async with opened(Rule(effect=Effect.HUGE, amount=9_000_000), limits=limits) as executor:
        outcome = await executor.attempt(asking(), 1, Book().placed)
    assert isinstance(outcome, Succeeded)
    assert len(outcome.response.encode()) == 1000
    assert outcome.cut_from == 9_000_000


async def test_a_preempted_call_still_gives_its_answer(opened: Open) -> None:
    """A call that starts again in a new container has one id and one answer."""
    book = Book()
    async with opened(Rule(effect=Effect.PREEMPTED, amount=1.0)) as executor:
        outcome = await executor.attempt(asking(), 1, book.placed)
    assert isinstance(outcome, Succeeded)
    assert len(book.ids) == 1


async def test_a_cancelled_attempt_leaves_the_call_to_be_collected(opened: Open) -> None:
    """Cancelling the wait does not cancel the call: `collect` gives its answer later."""
    book = Book()
    async with opened(Rule(effect=Effect.SLOW, amount=300.0)) as executor:
        with anyio.move_on_after(0.15):
            await executor.attempt(asking(), 1, book.placed)
        collected = await executor.collect(asking(), book.ids[0])
    assert isinstance(collected, Succeeded)


async def test_collecting_asks_nothing_anew_and_gives_the_same(keeping: Open) -> None:
    """`collect` of an ended call gives the very outcome that the attempt gave, as often as it is asked."""
    book = Book()
    async with keeping() as executor:
        first = await executor.attempt(asking(), 1, book.placed)
        again = [await executor.collect(asking(), book.ids[0]) for _ in range(2)]
    assert again == [first, first]


async def test_a_call_that_nobody_knows_is_gone(opened: Open) -> None:
    """`collect` of an unknown call is a failure of kind `gone`."""
    async with opened() as executor:
        outcome = failed(await executor.collect(asking(), "fc-0000unknown"))
    assert outcome.kind is ErrorKind.GONE


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancel_ends_a_call_and_confirms_it(opened: Open, stubborn: bool) -> None:  # noqa: FBT001 - a parameter
    """`cancel` is True once the call has ended, by its container where it must be; no answer comes of it."""
    book = Book()
    async with opened(Rule(effect=Effect.HANG, stubborn=stubborn)) as executor:
        with anyio.move_on_after(0.15):
            await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        with anyio.fail_after(10):
            collected = await executor.collect(asking(), book.ids[0])
    assert isinstance(collected, Cancelled) or failed(collected).kind is ErrorKind.GONE


async def test_a_cancelled_call_is_remembered_as_such(keeping: Open) -> None:
    """`collect` of a call that was cancelled says so."""
    book = Book()
    async with keeping(Rule(effect=Effect.HANG)) as executor:
        with anyio.move_on_after(0.15):
            await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        assert isinstance(await executor.collect(asking(), book.ids[0]), Cancelled)


async def test_cancelling_what_has_ended_is_no_error(opened: Open) -> None:
    """`cancel` of an ended or unknown call is True."""
    book = Book()
    async with opened() as executor:
        await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        assert await executor.cancel("fc-0000unknown")


async def test_cancelling_what_has_ended_changes_nothing(keeping: Open) -> None:
    """The outcome of an ended call is the same after `cancel`."""
    book = Book()
    async with keeping() as executor:
        first = await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        assert await executor.collect(asking(), book.ids[0]) == first


async def test_a_call_that_someone_else_cancels_is_cancelled(opened: Open) -> None:
    """An attempt whose call is cancelled meanwhile returns `Cancelled`."""
    book = Book()
    outcomes: list[Outcome] = []
    async with opened(Rule(effect=Effect.HANG)) as executor, anyio.create_task_group() as group:

        async def attempt() -> None:
            outcomes.append(await executor.attempt(asking(), 1, book.placed))

        group.start_soon(attempt)
        while not book.ids:  # noqa: ASYNC110 - the executor tells by the list
            await anyio.sleep(0.01)
        await executor.cancel(book.ids[0])
    assert isinstance(outcomes[0], Cancelled)


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.004, 0.02])
async def test_no_cancellation_comes_between_the_call_and_its_being_told(opened: Open, delay: float) -> None:
    """Whenever an attempt is cancelled, every call that was placed has been told."""
    told: list[str] = []

    async def slowly(call_id: str) -> None:
        await anyio.sleep(0.03)
        told.append(call_id)

    async with opened(Rule(effect=Effect.HANG)) as executor:
        for number in range(5):
            with anyio.move_on_after(delay):
                await executor.attempt(asking(key=f"e{number}"), 1, slowly)
        assert len(told) == len(set(told))
        for call_id in told:
            assert await executor.cancel(call_id)


async def test_calls_of_one_model_are_served_in_turn_and_none_is_lost(opened: Open) -> None:
    """Twelve attempts at once, over all cells, all get their answers."""
    outcomes: list[Outcome] = []

    async with opened() as executor:

        async def attempt(execution: Execution, placed: Placed) -> None:
            outcomes.append(await executor.attempt(execution, 1, placed))

        async with anyio.create_task_group() as group:
            for number in range(3):
                for region, model in CELLS:
                    group.start_soon(attempt, asking(region, model, key=f"e{number}"), Book().placed)
    assert len(outcomes) == 12
    assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
