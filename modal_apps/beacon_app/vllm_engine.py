"""The engine on vLLM: several questions at once in one container. Thin, and typed against what it uses of vLLM.

vLLM reads the weights onto the GPU itself, so a snapshot of main memory holds nothing of them. It runs in an event
loop of its own, in a thread: the inputs of a container come in threads, one each, and meet there.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from beacon_app.chat import fingerprint, write
from beacon_app.engine import Asked, Broken, Made, Refused, Said
from beacon_app.settings import Card


class _Piece(Protocol):
    text: str
    token_ids: list[int]
    finish_reason: str | None


class _Times(Protocol):
    queued_ts: float
    scheduled_ts: float


class _Output(Protocol):
    outputs: list[_Piece]
    metrics: _Times | None


class Server(Protocol):
    """What is needed of vLLM's `AsyncLLMEngine`. `model_config` knows the model's own settings for sampling."""

    model_config: Any

    def generate(self, prompt: Any, sampling_params: Any, request_id: str) -> AsyncIterator[_Output]:
        """The answer as it grows; the last one is whole."""

    async def get_tokenizer(self) -> Any:
        """The model's tokenizer."""


class VllmEngine:
    """One model in vLLM."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._weights = Path()
        self._loop: asyncio.AbstractEventLoop
        self._server: Server
        self._tokenizer: Any = None
        self._own: dict[str, Any] = {}
        self._vllm: Any = None
        self._count = 0
        self._lock = threading.Lock()

    def load(self, weights: Path) -> None:
        """Remember where the weights are: importing vLLM looks at the GPU, and a snapshot must not."""
        self._weights = weights

    def wake(self) -> Made:
        """Start vLLM, which reads the weights onto the GPU."""
        self._vllm = importlib.import_module("vllm")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True).start()
        arguments = self._vllm.AsyncEngineArgs(model=str(self._weights), dtype=self._card.dtype, seed=0)
        self._server = self._await(self._start(arguments))
        self._tokenizer = self._await(self._server.get_tokenizer())
        self._own = dict(self._server.model_config.get_diff_sampling_param())
        return Made(
            engine="vllm",
            version=str(self._vllm.__version__),
            dtype=self._card.dtype,
            template=fingerprint(self._tokenizer),
            gpu=_gpu(),
        )

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
        try:
            output: _Output = self._await(self._collect(ids, self._sampling(asked), name))
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
            queue=_waited(output.metrics),
        )

    async def _start(self, arguments: Any) -> Server:
        server: Server = self._vllm.AsyncLLMEngine.from_engine_args(arguments)
        return server

    async def _collect(self, ids: list[int], sampling: Any, name: str) -> _Output:
        """The whole answer."""
        last: _Output | None = None
        async for output in self._server.generate({"prompt_token_ids": ids}, sampling, name):
            last = output
        if last is None:
            raise Broken("vLLM gave nothing back")
        return last

    def _sampling(self, asked: Asked) -> Any:
        """How to generate: the model's own settings, with the caller's in their place."""
        given = {"temperature": asked.temperature, "top_p": asked.top_p}
        set_by_caller = {name: value for name, value in given.items() if value is not None}
        return self._vllm.SamplingParams(
            **{**self._own, **set_by_caller, "seed": asked.seed, "max_tokens": asked.max_tokens}
        )

    def _await(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _waited(times: _Times | None) -> float:
    """Seconds between vLLM's taking a question in and taking it up, where it says so."""
    return max(0.0, times.scheduled_ts - times.queued_ts) if times else 0.0


def _gpu() -> str | None:
    torch: Any = importlib.import_module("torch")
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
