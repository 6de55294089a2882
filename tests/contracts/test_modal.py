"""What only the executor on Modal must keep: the real SDK against the emulator."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.lowlevel
import msgspec
import pytest
from tests.contracts.executing import (
    CELLS,
    CLASS_FORM,
    DEPLOYED,
    PICKLING,
    SPEED,
    Book,
    asking,
    emulating,
    failed,
    on_modal,
)

from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.emulator import ledger as ledgers
from beacon_cli.emulator import server
from beacon_cli.errors import StartError
from beacon_cli.executors.simulated import SimulatedExecutor
from beacon_cli.model import (
    ErrorKind,
    ModalTarget,
    Outcome,
    SimulatedTarget,
    Succeeded,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ignores a gentle cancellation is given less time than in earnest."""
    monkeypatch.setattr("beacon_cli.executors.modal.calls._GENTLE", 0.3)


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"


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

    @pytest.mark.parametrize("allowed", [0, 1])
    async def test_what_may_not_be_placed_does_not_leave(self, tmp_path: Path, allowed: int) -> None:
        """A request allowed at first, and not when its bytes were to be written, was never at the provider."""
        book, path, asked = Book(), tmp_path / "ledger.jsonl", list[bool]()

        def may_place() -> bool:
            asked.append(len(asked) < allowed)
            return asked[-1]

        with emulating(Script(), path) as address:
            async with on_modal(address) as executor:
                await executor.prepare(CELLS)
                withheld = failed(await executor.attempt(asking(), 1, book.placed, may_place))
                assert (withheld.kind, withheld.transient) == (ErrorKind.INTERRUPTED, True)
                assert asked == [True] * allowed + [False]
                assert book.ids == []
                many = list[Outcome]()

                async def attempt(key: str, *, goes: bool) -> None:
                    many.append(await executor.attempt(asking(key=key), 1, book.placed, lambda: goes))

                async with anyio.create_task_group() as group:
                    for number in range(6):
                        group.start_soon(partial(attempt, f"e{number}", goes=number % 2 == 0))
        placed = {line["execution"] for line in ledgers.read(path) if line["event"] == "placed"}
        assert placed == {"e0", "e2", "e4"}, "each request is asked about for itself"
        assert sum(isinstance(each, Succeeded) for each in many) == 3

    async def test_another_client_collects_what_one_has_placed(self) -> None:
        """A client that comes later collects what a client that went away has placed."""
        book = Book()
        with emulating(Script(rules=(Rule(effect=Effect.SLOW, amount=300.0),))) as address:
            async with on_modal(address) as executor:
                await executor.prepare(CELLS)
                with anyio.move_on_after(0.1):
                    await executor.attempt(asking(), 1, book.placed)
            async with on_modal(address) as other:
                assert isinstance(await other.collect(asking(), book.ids[0]), Succeeded)

    async def test_a_wait_outlives_a_broken_connection(self) -> None:
        """A connection that breaks, and stays away longer than the SDK tries, costs neither answer nor call."""
        book = Book()
        outcomes: list[Outcome] = []
        with emulating(Script(rules=(Rule(effect=Effect.SLOW, amount=2000.0),))) as address:
            async with (
                Wire(address) as wire,
                on_modal(wire.address) as executor,
                anyio.create_task_group() as group,
            ):
                await executor.prepare(CELLS)

                async def attempt() -> None:
                    outcomes.append(await executor.attempt(asking(), 1, book.placed))

                group.start_soon(attempt)
                while not book.ids:  # noqa: ASYNC110 - the executor tells by the list
                    await anyio.sleep(0.01)
                await wire.cut(seconds=1.5)
        assert isinstance(outcomes[0], Succeeded)
        assert len(book.ids) == 1


class Wire:
    """A wire to the emulator that can be cut."""

    def __init__(self, address: server.Address) -> None:
        self._far = address
        self._to = int(address.url.rpartition(":")[2])
        self._down = False
        self._ends: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.address = server.Address(url, self._far.token_id, self._far.token_secret)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._hang_up()

    async def cut(self, seconds: float) -> None:
        """Break every connection, and take none for so long."""
        self._down = True
        await self._hang_up()
        await anyio.sleep(seconds)
        self._down = False

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.append(writer)
        if self._down:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends.append(far_writer)
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def _hang_up(self) -> None:
        ends, self._ends = self._ends, []
        for writer in ends:
            writer.close()
        await asyncio.sleep(0.01)


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
            address = server.Address(f"http://127.0.0.1:{port}", "ak-any", "as-any")
            line = await self.refused(address, patience=0.5)
        assert "did not answer" in line
