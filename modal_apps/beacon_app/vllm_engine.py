"""The engine on vLLM: several questions at once in one container. Thin, and typed against what it uses of vLLM.

vLLM reads the weights onto the GPU itself, so a snapshot of main memory holds nothing of them. It runs in an event
loop of its own, in a thread: the inputs of a container come in threads, one each, and meet there.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, TypedDict

from beacon_app.chat import write
from beacon_app.engine import Asked, Broken, Made, Refused, Said
from beacon_app.settings import Card


class _Piece(Protocol):
    text: str
    token_ids: list[int]
    finish_reason: str | None


class _Output(Protocol):
    prompt_token_ids: list[int] | None
    outputs: list[_Piece]


class Server(Protocol):
    """What is needed of vLLM's `AsyncLLMEngine`."""

    def generate(self, prompt: Any, sampling_params: Any, request_id: str) -> AsyncIterator[_Output]:
        """The answer as it grows; the last one is whole."""

    async def get_tokenizer(self) -> Any:
        """The model's tokenizer."""


class _Sampling(TypedDict, total=False):
    temperature: float
    top_p: float
    seed: int
    max_tokens: int


class VllmEngine:
    """One model in vLLM."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._weights = Path()
        self._loop = asyncio.new_event_loop()
        self._server: Server
        self._tokenizer: Any = None
        self._defaults: dict[str, Any] = {}
        self._vllm: Any = None
        self._count = 0
        self._lock = threading.Lock()

    def load(self, weights: Path) -> None:
        """Remember where the weights are: importing vLLM looks at the GPU, and a snapshot must not."""
        self._weights = weights

    def wake(self) -> Made:
        """Start vLLM, which reads the weights onto the GPU."""
        self._vllm = importlib.import_module("vllm")
        threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True).start()
        arguments = self._vllm.AsyncEngineArgs(model=str(self._weights), dtype=self._card.dtype, seed=0)
        self._server = self._await(self._start(arguments))
        self._tokenizer = self._await(self._server.get_tokenizer())
        return Made(engine="vllm", version=str(self._vllm.__version__), dtype=self._card.dtype, gpu=_gpu())

    def generate(self, asked: Asked) -> Said:
        """Answer.

        Raises:
            Refused: vLLM does not take the question.
            Broken: vLLM has died.
        """
        written = write(self._tokenizer, asked.prompt, asked.system_prompt)
        ids = self._tokenizer(written.text, add_special_tokens=written.special)["input_ids"]
        with self._lock:
            self._count += 1
            name = f"input-{self._count}"
        begun = time.monotonic()
        try:
            output, first = self._await(self._collect(ids, self._sampling(asked), name))
        except ValueError as error:
            raise Refused(str(error)) from error
        except Exception as error:
            if "EngineDead" in type(error).__name__:
                raise Broken(f"vLLM died: {error}") from error
            raise
        piece = output.outputs[0]
        return Said(
            text=piece.text.strip(),
            finish_reason=piece.finish_reason or "stop",
            prompt_tokens=len(ids),
            tokens=len(piece.token_ids),
            chat=str(written.form),
            queue=0.0 if first is None else max(0.0, first - begun),
        )

    async def _start(self, arguments: Any) -> Server:
        server: Server = self._vllm.AsyncLLMEngine.from_engine_args(arguments)
        return server

    async def _collect(self, ids: list[int], sampling: Any, name: str) -> tuple[_Output, float | None]:
        """The whole answer, and when vLLM took the question up, where it says so."""
        last: _Output | None = None
        async for output in self._server.generate({"prompt_token_ids": ids}, sampling, name):
            last = output
        if last is None:
            raise Broken("vLLM gave nothing back")
        return last, getattr(getattr(last, "metrics", None), "scheduled_ts", None)

    def _sampling(self, asked: Asked) -> Any:
        given: _Sampling = {"seed": asked.seed, "max_tokens": asked.max_tokens}
        if asked.temperature is not None:
            given["temperature"] = asked.temperature
        if asked.top_p is not None:
            given["top_p"] = asked.top_p
        return self._vllm.SamplingParams(**given)

    def _await(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _gpu() -> str | None:
    torch: Any = importlib.import_module("torch")
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
