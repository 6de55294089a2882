"""The contract of `ports.Executor`, held against every adapter. Modal's is the real SDK against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import msgspec
import pytest

from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.emulator import ledger as ledgers
from beacon_cli.emulator import server
from beacon_cli.emulator.deployment import APPS, App
from beacon_cli.emulator.provider import Settings
from beacon_cli.errors import StartError
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.executors.simulated import SimulatedExecutor
from beacon_cli.model import (
    Cancelled,
    ErrorKind,
    Execution,
    Failed,
    Limits,
    ModalTarget,
    Model,
    Outcome,
    Question,
    Region,
    Sampling,
    SimulatedTarget,
    Succeeded,
)
from beacon_cli.ports import Executor, Placed

pytestmark = pytest.mark.anyio

US = Region(id="us", app="us", place="the United States")
ASIA = Region(id="asia", app="apac", place="Asia")
LLAMA = Model(id="llama3.2-1b")
QWEN = Model(id="qwen2.5-1.5b")
CELLS = [(region, model) for region in (US, ASIA) for model in (LLAMA, QWEN)]
SPEED = 1000.0

CLASS_FORM = ModalTarget(
    app="project-beacon-hf-{region.app}",
    cls="Model",
    parameters={"model": "{model.id}"},
    method="generate",
    arguments={
        "prompt": "{prompt}",
        "system_prompt": "{system_prompt}",
        "temperature": "{sampling.temperature}",
        "max_tokens": "{sampling.max_tokens}",
        "seed": "{sampling.seed}",
        "execution_id": "{execution.id}",
        "attempt": "{attempt}",
    },
)
FUNCTION_FORM = ModalTarget(
    app="project-beacon-hf-{region.app}",
    function="run_inference",
    arguments={
        "model_name": "{model.id}",
        "prompt": "{prompt}",
        "temperature": "{sampling.temperature}",
        "max_tokens": "{sampling.max_tokens}",
    },
)
SAMPLING = Sampling(temperature=0.1, max_tokens=500)
DEPLOYED = tuple(msgspec.structs.replace(app, timeout=1e6) for app in APPS)
PICKLING = tuple(msgspec.structs.replace(app, formats=("pickle",)) for app in DEPLOYED)

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Executor]]


def asking(region: Region = US, model: Model = LLAMA, text: str = "What is 2+2?", key: str = "e1") -> Execution:
    """One execution that asks `text`."""
    question = Question(id="q", text=text)
    return Execution(
        id=key,
        region=region,
        model=model,
        question=question,
        context=None,
        repeat=1,
        system_prompt="You are a helpful assistant.",
        order=0,
    )


class Book:
    """Remembers the call ids that an executor says it has placed."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def placed(self, call_id: str) -> None:
        """Give way once, as a journal does."""
        await anyio.lowlevel.checkpoint()
        self.ids.append(call_id)


@contextmanager
def emulating(
    script: Script, ledger: Path | None = None, apps: tuple[App, ...] = DEPLOYED, retention: float = 3600.0
) -> Iterator[server.Address]:
    """An emulator that runs fast."""
    settings = Settings(speed=SPEED, script=script, retention=retention)
    with server.running(settings, ledger=ledger, apps=apps) as address:
        yield address


def on_modal(address: server.Address, target: ModalTarget = CLASS_FORM, **more: Any) -> ModalExecutor:
    """The executor of the real SDK against this emulator."""
    return ModalExecutor(
        target,
        sampling=more.pop("sampling", SAMPLING),
        server_url=address.url,
        token=more.pop("token", (address.token_id, address.token_secret)),
        **more,
    )


@pytest.fixture(params=["simulated", "modal-class", "modal-function", "modal-pickle"])
def opened(request: pytest.FixtureRequest, anyio_backend: object) -> Open:  # noqa: ARG001 - one backend for both
    """Opens an executor of each kind, prepared, with a script of failures."""

    @asynccontextmanager
    async def open_it(*rules: Rule, limits: Limits | None = None) -> AsyncIterator[Executor]:
        script = Script(rules=rules)
        if request.param == "simulated":
            async with SimulatedExecutor(SimulatedTarget(speed=SPEED), script=script, limits=limits) as simulated:
                await simulated.prepare(CELLS)
                yield simulated
            return
        apps = PICKLING if request.param == "modal-pickle" else DEPLOYED
        target = FUNCTION_FORM if request.param == "modal-function" else CLASS_FORM
        with emulating(script, apps=apps) as address:
            async with on_modal(address, target, limits=limits) as executor:
                await executor.prepare(CELLS)
                yield executor

    return open_it


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ignores a gentle cancellation is given less time than in earnest."""
    monkeypatch.setattr("beacon_cli.executors.modal._GENTLE", 0.3)


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


def failed(outcome: Outcome) -> Failed:
    """The outcome, which must be a failure."""
    assert isinstance(outcome, Failed), outcome
    return outcome


async def test_an_answer_comes_with_its_text_and_where_it_was_made(opened: Open) -> None:
    """A good answer is `Succeeded` with response, container and warmth, the first one cold, the next warm."""
    async with opened() as executor:
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
    [None, [], "text", 7, {}, {"response": None}, {"response": ["a"]}, {"response": "a", "deep": {"b": b"c"}}],
)
async def test_what_is_not_of_the_agreed_form_is_a_bad_answer(opened: Open, value: Any) -> None:
    """Anything but a mapping of JSON types with a text is `bad_answer`, for good."""
    async with opened(Rule(effect=Effect.BAD_ANSWER, value=value)) as executor:
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


async def test_collecting_asks_nothing_anew_and_gives_the_same(opened: Open) -> None:
    """`collect` of an ended call gives the very outcome that the attempt gave, as often as it is asked."""
    book = Book()
    async with opened() as executor:
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
    """`cancel` is True once the call has ended, by its container where it must be; `collect` says cancelled."""
    book = Book()
    async with opened(Rule(effect=Effect.HANG, stubborn=stubborn)) as executor:
        with anyio.move_on_after(0.15):
            await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        assert isinstance(await executor.collect(asking(), book.ids[0]), Cancelled)


async def test_cancelling_what_has_ended_is_no_error(opened: Open) -> None:
    """`cancel` of an ended call is True and changes nothing."""
    book = Book()
    async with opened() as executor:
        first = await executor.attempt(asking(), 1, book.placed)
        assert await executor.cancel(book.ids[0])
        assert await executor.cancel("fc-0000unknown")
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


class TestModal:
    """What only the executor on Modal must keep."""

    async def test_both_executors_say_the_same(self) -> None:
        """A rehearsal's answer is the one that the simulated executor predicts."""
        execution = asking(text="Describe the situation in Hong Kong in 2019.")
        async with SimulatedExecutor(SimulatedTarget(speed=SPEED)) as simulated:
            predicted = await simulated.attempt(execution, 1, Book().placed)
        with emulating(Script()) as address:
            async with on_modal(address) as executor:
                await executor.prepare(CELLS)
                rehearsed = await executor.attempt(execution, 1, Book().placed)
        assert isinstance(predicted, Succeeded)
        assert isinstance(rehearsed, Succeeded)
        assert rehearsed.response == predicted.response
        assert rehearsed.provenance["inference_time"] == predicted.provenance["inference_time"]

    async def test_the_ledger_tells_every_call(self, tmp_path: Path) -> None:
        """The emulator's own ledger shows a call placed, started and cancelled, with what the client passed."""
        book = Book()
        path = tmp_path / "ledger.jsonl"
        with emulating(Script(rules=(Rule(effect=Effect.HANG, stubborn=True),)), path) as address:
            async with on_modal(address) as executor:
                await executor.prepare(CELLS)
                with anyio.move_on_after(0.3):
                    await executor.attempt(asking(key="an-execution"), 2, book.placed)
                assert await executor.cancel(book.ids[0])
        lines = [line for line in ledgers.read(path) if line.get("call") == book.ids[0]]
        assert [line["event"] for line in lines] == [
            "placed",
            "started",
            "cancel_asked",
            "cancel_asked",
            "finished",
        ]
        assert [line["terminate"] for line in lines if line["event"] == "cancel_asked"] == [False, True]
        assert lines[-1]["how"] == "cancelled"
        assert (lines[0]["execution"], lines[0]["attempt"], lines[0]["region"]) == ("an-execution", 2, "us")

    async def test_a_result_that_expired_is_gone(self) -> None:
        """`collect` after the provider's retention is `gone`, and comes back at once."""
        book = Book()
        with emulating(Script(), retention=0.2) as address:
            async with on_modal(address) as executor:
                await executor.prepare(CELLS)
                assert isinstance(await executor.attempt(asking(), 1, book.placed), Succeeded)
                await anyio.sleep(0.3)
                with anyio.fail_after(5):
                    outcome = failed(await executor.collect(asking(), book.ids[0]))
        assert outcome.kind is ErrorKind.GONE

    async def test_arguments_that_do_not_fit_are_tried_once(self) -> None:
        """A TypeError about the arguments is `bad_request`, for good, also where it comes as text."""
        target = msgspec.structs.replace(CLASS_FORM, arguments={"prompt": "{prompt}", "colour": "red"})
        for apps in (DEPLOYED, PICKLING):
            with emulating(Script(), apps=apps) as address:
                async with on_modal(address, target) as executor:
                    await executor.prepare(CELLS)
                    outcome = failed(await executor.attempt(asking(), 1, Book().placed))
            assert (outcome.kind, outcome.transient) == (ErrorKind.BAD_REQUEST, False)
            assert "colour" in outcome.message

    async def test_a_wait_outlives_a_broken_connection(self, tmp_path: Path) -> None:
        """A client that comes later collects what a client that went away has placed."""
        book = Book()
        with emulating(Script(rules=(Rule(effect=Effect.SLOW, amount=300.0),)), tmp_path / "l") as address:
            async with on_modal(address) as executor:
                await executor.prepare(CELLS)
                with anyio.move_on_after(0.1):
                    await executor.attempt(asking(), 1, book.placed)
            async with on_modal(address) as other:
                assert isinstance(await other.collect(asking(), book.ids[0]), Succeeded)


class TestPrepare:
    """What is missing is told before anything starts, in one line that says what to do."""

    async def refused(self, address: server.Address, target: ModalTarget = CLASS_FORM, **more: Any) -> str:
        """The line with which preparing is refused."""
        with pytest.raises(StartError) as told:
            async with on_modal(address, target, **more) as executor:
                await executor.prepare(CELLS)
        line = str(told.value)
        assert "\n" not in line
        return line

    async def test_every_app_that_is_not_deployed_is_named(self) -> None:
        """Unknown apps are all named in one line, once each, with the command that deploys them."""
        target = msgspec.structs.replace(CLASS_FORM, app="nowhere-{region.app}")
        with emulating(Script()) as address:
            line = await self.refused(address, target)
        assert line.count("nowhere-us") == line.count("nowhere-apac") == 1
        assert "modal deploy" in line

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"method": "sing"}, "Model.sing"),
            ({"cls": "Piano"}, "Piano"),
            ({"parameters": {"model": "m", "colour": "red"}}, "colour"),
            ({"function": "walk"}, "walk"),
        ],
    )
    async def test_what_the_app_lacks_is_named(self, change: dict[str, Any], word: str) -> None:
        """A class, method, parameter or function that is not there is named."""
        with emulating(Script()) as address:
            assert word in await self.refused(address, msgspec.structs.replace(CLASS_FORM, **change))

    async def test_wrong_credentials_are_told(self) -> None:
        """Credentials that the provider refuses give a line that says how to get the right ones."""
        with emulating(Script()) as address:
            line = await self.refused(address, token=("ak-wrong", "as-wrong"))
        assert "credentials" in line
        assert "modal token new" in line

    async def test_nobody_listening_is_told_at_once(self) -> None:
        """A refused connection is told within a few seconds, though the SDK would try for a minute."""
        with emulating(Script()) as address:
            pass
        with anyio.fail_after(5):
            line = await self.refused(address)
        assert "cannot be reached" in line
        assert address.url in line

    async def test_silence_is_told_after_the_patience(self) -> None:
        """A server that takes the connection and says nothing is given up after `patience` seconds."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as silent:
            port = silent.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - no Django here
            address = server.Address(url=f"http://127.0.0.1:{port}")
            line = await self.refused(address, patience=0.5)
        assert "did not answer" in line
