"""What the tests of executors share: questions, a book of call ids, a fast emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
from yarl import URL

from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.behaviour.script import Effect, Script
from beacon_cli.emulator import endpoint, server
from beacon_cli.emulator.deployment import APPS, App
from beacon_cli.emulator.provider import Settings
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.executors.openai import OpenaiExecutor
from beacon_cli.model import (
    Execution,
    Failed,
    Limits,
    ModalTarget,
    Model,
    OpenaiTarget,
    Outcome,
    Question,
    Region,
    Sampling,
)

US = Region(id="us", app="us", place="the United States")
ASIA = Region(id="asia", app="apac", place="Asia")
LLAMA = Model(id="llama3.2-1b")
QWEN = Model(id="qwen2.5-1.5b")
CELLS = [(region, model) for region in (US, ASIA) for model in (LLAMA, QWEN)]
SPEED = 1000.0
NOBODY = "http://127.0.0.1:1/v1/chat/completions"
"""Where nobody listens."""
PATIENT = Scaling(scaledown_window=1e6)
"""Containers that stay warm however long a slow machine takes between two calls."""

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

    async def placed(self, call_id: str | None) -> None:
        """Give way once, as a journal does."""
        await anyio.lowlevel.checkpoint()
        assert call_id is not None
        self.ids.append(call_id)


@contextmanager
def emulating(
    script: Script, ledger: Path | None = None, apps: tuple[App, ...] = DEPLOYED, retention: float = 3600.0
) -> Iterator[server.Address]:
    """An emulator that runs fast."""
    settings = Settings(speed=SPEED, script=script, retention=retention, scaling=PATIENT)
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


@asynccontextmanager
async def at_endpoints(script: Script, limits: Limits | None = None) -> AsyncIterator[OpenaiExecutor]:
    """The executor of HTTP endpoints, prepared, against an endpoint of our own in a thread."""
    with endpoint.running(endpoint.Endpoint(script=script, speed=SPEED)) as url:
        target = OpenaiTarget(base_url={region.id: f"{url}/{region.id}/v1" for region in (US, ASIA)})
        async with OpenaiExecutor(target, sampling=SAMPLING, limits=limits, environ={}) as executor:
            await executor.prepare(CELLS)
            for rule in script.rules:
                if rule.effect is Effect.UNREACHABLE and rule.region:
                    dead = msgspec.structs.replace(executor._endpoints[rule.region], completions=URL(NOBODY))
                    executor._endpoints[rule.region] = dead
            yield executor


def failed(outcome: Outcome) -> Failed:
    """The outcome, which must be a failure."""
    assert isinstance(outcome, Failed), outcome
    return outcome
