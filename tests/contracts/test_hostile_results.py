"""Results as a hostile provider may send them, through the real SDK: each is an outcome, and the run goes on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, NoReturn, TypeAlias

import anyio.from_thread
import cbor2
import modal.exception as sdk
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modal_proto import api_pb2
from tests.support.hostile import CORPUS, TEXTS

from beacon_cli import events as ev
from beacon_cli.behaviour.script import Script
from beacon_cli.emulator import plane, server
from beacon_cli.emulator.deployment import APPS
from beacon_cli.emulator.provider import Settings
from beacon_cli.executors.modal import ModalExecutor
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
    Succeeded,
)

US = Region(id="us", app="us", place="the United States")
LLAMA = Model(id="llama3.2-1b")
ANSWER_BYTES = 1_000
ASKING = Execution(
    id="e1",
    region=US,
    model=LLAMA,
    question=Question(id="q", text="What is 2+2?"),
    context=None,
    repeat=1,
    system_prompt=None,
    order=0,
)
TARGET = ModalTarget(
    app="project-beacon-hf-{region.app}",
    cls="Model",
    parameters={"model": "{model.id}"},
    method="generate",
    arguments={"prompt": "{prompt}"},
)
GOOD = api_pb2.GenericResult.GENERIC_STATUS_SUCCESS
BAD = api_pb2.GenericResult.GENERIC_STATUS_FAILURE
CBOR = api_pb2.DATA_FORMAT_CBOR
PICKLE = api_pb2.DATA_FORMAT_PICKLE

Ask: TypeAlias = Callable[..., Outcome]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask once; what the provider sends back is given: payload, its format, status and words."""
    sent: list[Any] = []

    def output(placed: Any, _result: Any) -> api_pb2.FunctionGetOutputsItem:
        payload, data_format, status, words = sent[-1]
        return api_pb2.FunctionGetOutputsItem(
            result=api_pb2.GenericResult(status=status, data=payload, exception=words),
            idx=0,
            input_id=placed.id.replace("fc-", "in-"),
            data_format=data_format,
        )

    async def placed(_call_id: str) -> None:
        await anyio.lowlevel.checkpoint()

    async def opened(stack: AsyncExitStack, address: server.Address) -> ModalExecutor:
        token = (address.token_id, address.token_secret)
        executor = ModalExecutor(
            TARGET, limits=Limits(answer_bytes=ANSWER_BYTES), server_url=address.url, token=token
        )
        await stack.enter_async_context(executor)
        await executor.prepare([(US, LLAMA)])
        return executor

    with (
        pytest.MonkeyPatch.context() as patch,
        server.running(Settings(speed=10_000.0, script=Script()), apps=APPS) as address,
        anyio.from_thread.start_blocking_portal("asyncio") as portal,
    ):
        patch.setattr(plane, "output_item", output)
        stack = AsyncExitStack()
        executor = portal.call(opened, stack, address)

        def asked(payload: bytes, data_format: int = CBOR, status: int = GOOD, words: str = "") -> Outcome:
            sent.append((payload, data_format, status, words))
            return portal.call(executor.attempt, ASKING, 1, placed)

        yield asked
        portal.call(stack.aclose)


def kept(outcome: Outcome) -> Outcome:
    """The outcome, which the journal must carry as strict JSON and give back."""
    record = msgspec.to_builtins(outcome)
    json.dumps(record, allow_nan=False)
    if isinstance(outcome, Succeeded):
        event = ev.AttemptSucceeded(at=0.0, execution="e", attempt=1, seconds=0.0, answer=outcome)
        assert ev.from_line(ev.to_line(event)) == event
        assert len(outcome.response.encode("utf-8", "surrogatepass")) <= ANSWER_BYTES
    return outcome


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS.filter(lambda text: "\ud800" not in text)
    | st.binary(max_size=50)
    | st.datetimes().map(lambda moment: moment.replace(tzinfo=None).isoformat())
    | st.decimals()
    | st.uuids()
    | st.just(cbor2.undefined)
    | st.builds(cbor2.CBORTag, st.integers(10_000, 20_000), st.integers())
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
RETURNED = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("response", "status", "error", "container", "task_id", "cold_start", "token", "more", "dropped"), VALUES
    ),
)


@settings(max_examples=60, deadline=None)
@given(RETURNED | VALUES)
def test_any_value_becomes_an_outcome(ask: Ask, value: Any) -> None:
    """Whatever CBOR can say, agreed or not, becomes an answer or a bad answer that can be journalled."""
    assert isinstance(kept(ask(cbor2.dumps(value))), Succeeded | Failed)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_become_an_outcome(ask: Ask, payload: bytes) -> None:
    """Bytes that are no CBOR at all are a bad answer, not the end of the run."""
    outcome = kept(ask(payload))
    assert isinstance(outcome, Succeeded | Failed)
    assert not isinstance(outcome, Failed) or outcome.kind in {ErrorKind.BAD_ANSWER, ErrorKind.MODEL}


HEAD = bytes.fromhex("a2") + cbor2.dumps("response") + cbor2.dumps("a") + cbor2.dumps("more")
BOMBS = {
    "deep lists": HEAD + b"\x81" * 100_000 + b"\x00",
    "deep mappings": HEAD + b"\xa1\x00" * 100_000 + b"\x00",
    "deep tags": HEAD + b"\xc1" * 100_000 + b"\x00",
    "a list that says it is long": HEAD + b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "a mapping that says it is long": HEAD + b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
    "text that says it is long": HEAD + b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "bytes that say they are long": HEAD + b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
    "a list that holds itself": HEAD + b"\xd8\x1c\x81\xd8\x1d\x00",
    "a list told again and again": HEAD + b"\x83\xd8\x1c\x80" + b"\xd8\x1d\x00" * 2,
    "an integer of a million bits": HEAD + b"\xc2\x5a\x00\x02\x00\x00" + b"\xff" * 0x20000,
    "text that is no UTF-8": HEAD + b"\x63\xed\xa0\x80",
    "a number that is none": HEAD + b"\xf9\x7e\x00",
    "a mapping with a list for a key": HEAD + b"\xa1\x80\x00",
    "one key twice": b"\xa2" + (cbor2.dumps("response") + cbor2.dumps("a")) * 2,
    "a regular expression": HEAD + b"\xd8\x23" + cbor2.dumps("(a+)+$"),
    "no end": HEAD + b"\x9f" + b"\x00" * 60_000,
    "nothing": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_bad_answers(ask: Ask, name: str) -> None:
    """Payloads that lie about their length, nest without end or hold themselves neither crash nor stay."""
    outcome = kept(ask(BOMBS[name]))
    if isinstance(outcome, Succeeded):
        assert outcome.response == "a"
        assert len(json.dumps(msgspec.to_builtins(outcome))) < 2_000
    else:
        # The SDK itself follows a list that holds itself until it gives up, as remote code might.
        expected = ErrorKind.MODEL if name == "a list that holds itself" else ErrorKind.BAD_ANSWER
        assert isinstance(outcome, Failed)
        assert outcome.kind is expected, outcome


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_texts_arrive_as_they_are(ask: Ask, name: str) -> None:
    """Each text of the corpus, from an app that pickles, half characters included: kept to the letter, or cut."""
    text = CORPUS[name]
    outcome = kept(ask(pickle.dumps({"response": text}), PICKLE))
    assert isinstance(outcome, Succeeded)
    assert text.startswith(outcome.response)
    whole = len(text.encode("utf-8", "surrogatepass"))
    assert outcome.cut_from == (None if whole <= ANSWER_BYTES else whole)
    assert whole > ANSWER_BYTES or outcome.response == text
    failed = kept(ask(b"", CBOR, BAD, text.encode("utf-8", "replace").decode()))
    assert isinstance(failed, Failed | Cancelled)


class Mute(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self) -> NoReturn:
        raise RuntimeError("no words")


class Chatty(Exception):
    """An exception that says what is no text."""

    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307  what is shown here


@pytest.mark.parametrize(
    "raised",
    [
        Mute("a"),
        Chatty("a"),
        asyncio.CancelledError("a"),
        concurrent.futures.CancelledError("a"),
        asyncio.InvalidStateError("a"),
        ExceptionGroup("a", [ValueError("b")]),
        BaseExceptionGroup("a", [KeyboardInterrupt("b")]),
        KeyError(("a", "\x1b[2J")),
        sdk.ExecutionError("a"),
        json.JSONDecodeError("a", "b", 0),
        StopIteration("a"),
        StopAsyncIteration("a"),
        GeneratorExit("a"),
        SystemExit(3),
        KeyboardInterrupt("a"),
        MemoryError("a"),
        RecursionError("a"),
        BrokenPipeError(32, "a"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_remote_code_raises_is_its_own_failure(ask: Ask, raised: BaseException) -> None:
    """No exception of remote code ends this process, cancels a task of it, or is lost: it is a failed attempt."""
    outcome = kept(ask(pickle.dumps(raised), PICKLE, BAD, "it failed"))
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind is ErrorKind.MODEL, outcome
