"""Our own part of the engine on vLLM, with a stand-in for vLLM itself: only a GPU can show the rest."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beacon_app import settings
from beacon_app.engine import Asked, Broken, Refused
from beacon_app.vllm_engine import VllmEngine

CARD = settings.MODELS[0]


class EngineDeadError(Exception):
    """As vLLM names it."""


class Tokenizer:
    """Words are tokens."""

    chat_template = "a template"

    def apply_chat_template(self, conversation: list[dict[str, str]], **_: Any) -> str:
        """Roles and contents."""
        return " ".join(f"<{message['role']}> {message['content']}" for message in conversation)

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """A number for each word."""
        return {"input_ids": list(range(len(text.split()) + int(add_special_tokens)))}


class Server:
    """Answers once all that it waits for are there; remembers its requests."""

    def __init__(self, together: int) -> None:
        self.requests: dict[str, tuple[Any, Any]] = {}
        self.model_config = SimpleNamespace(get_diff_sampling_param=lambda: {"temperature": 0.6, "top_k": 20})
        self.raises: Exception | None = None
        self._together = together
        self._all = asyncio.Event()

    async def generate(self, prompt: Any, sampling_params: Any, request_id: str) -> AsyncIterator[Any]:
        """The answer in two pieces, the second whole."""
        self.requests[request_id] = (prompt, sampling_params)
        if self.raises is not None:
            raise self.raises
        if len(self.requests) >= self._together:
            self._all.set()
        await self._all.wait()
        for text, reason in (("fo", None), (" four ", "length")):
            piece = SimpleNamespace(text=text, token_ids=[1, 2], finish_reason=reason)
            times = SimpleNamespace(queued_ts=5.0, scheduled_ts=5.25)
            yield SimpleNamespace(outputs=[piece], metrics=times if reason else None)

    async def get_tokenizer(self) -> Tokenizer:
        """The tokenizer."""
        return Tokenizer()


class Vllm:
    """The module, as far as it is used."""

    __version__ = "0.99"

    def __init__(self, together: int) -> None:
        self.arguments: dict[str, Any] = {}
        self.server: Server
        self.AsyncLLMEngine = SimpleNamespace(from_engine_args=self._start)
        self._together = together

    def AsyncEngineArgs(self, **arguments: Any) -> dict[str, Any]:  # noqa: N802 - vLLM's name
        """Keep them."""
        self.arguments = arguments
        return arguments

    def SamplingParams(self, **given: Any) -> dict[str, Any]:  # noqa: N802 - vLLM's name
        """As they were given."""
        return given

    def _start(self, _arguments: Any) -> Server:
        self.server = Server(self._together)
        return self.server


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Vllm:
    """A module of that name."""
    module = Vllm(getattr(request, "param", 1))
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)))
    return module


@pytest.fixture
def engine(vllm: Vllm) -> Iterator[VllmEngine]:
    """An engine that is awake."""
    engine = VllmEngine(CARD)
    engine.load(Path("/weights/somewhere"))
    made = engine.wake()
    assert (made.engine, made.version, made.dtype, made.gpu) == ("vllm", "0.99", "float16", None)
    assert vllm.arguments == {"model": "/weights/somewhere", "dtype": "float16", "seed": 0}
    yield engine
    engine._loop.call_soon_threadsafe(engine._loop.stop)
    for thread in threading.enumerate():
        if thread.name == "vllm":
            thread.join()
    engine._loop.close()


def test_a_snapshot_holds_nothing_of_vllm(vllm: Vllm) -> None:
    """Before the snapshot vLLM is not even imported: it looks at the GPU."""
    VllmEngine(CARD).load(Path("/weights/somewhere"))
    assert vllm.arguments == {}


def test_the_whole_answer_is_taken(engine: VllmEngine, vllm: Vllm) -> None:
    """The last piece is the answer; counts, end and wait are vLLM's own."""
    said = engine.generate(Asked(prompt="2 + 2 ?", system_prompt="be brief", max_tokens=9, seed=7))
    assert (said.text, said.finish_reason, said.tokens, said.prompt_tokens) == ("four", "length", 2, 8)
    assert (said.chat, said.queue) == ("template", 0.25)
    ((prompt, _),) = vllm.server.requests.values()
    assert prompt == {"prompt_token_ids": list(range(8))}


def test_what_the_caller_does_not_set_is_the_models_own(engine: VllmEngine, vllm: Vllm) -> None:
    """The model's settings for sampling hold where the caller says nothing; temperature 0 is kept."""
    engine.generate(Asked(prompt="a", max_tokens=9, seed=7))
    engine.generate(Asked(prompt="b", max_tokens=9, seed=8, temperature=0.0, top_p=0.5))
    assert [sampling for _, sampling in vllm.server.requests.values()] == [
        {"temperature": 0.6, "top_k": 20, "seed": 7, "max_tokens": 9},
        {"temperature": 0.0, "top_k": 20, "top_p": 0.5, "seed": 8, "max_tokens": 9},
    ]


@pytest.mark.parametrize("vllm", [3], indirect=True)
def test_several_questions_are_answered_at_once(engine: VllmEngine, vllm: Vllm) -> None:
    """Inputs of a container come in threads, and all of them are with vLLM before the first is answered."""
    with ThreadPoolExecutor(3) as threads:
        asked = [Asked(prompt=f"question {number}", max_tokens=9, seed=number) for number in range(3)]
        said = list(threads.map(engine.generate, asked))
    assert [each.text for each in said] == ["four"] * 3
    assert len(vllm.server.requests) == 3


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("the prompt is too long"), Refused),
        (EngineDeadError("gone"), Broken),
        (RuntimeError("something else"), RuntimeError),
    ],
)
def test_what_vllm_raises_is_told_apart(
    engine: VllmEngine, vllm: Vllm, raised: Exception, expected: type[Exception]
) -> None:
    """A question that it refuses, a server that has died, and all else are three things."""
    vllm.server.raises = raised
    with pytest.raises(expected, match=str(raised)):
        engine.generate(Asked(prompt="a", max_tokens=9, seed=7))
