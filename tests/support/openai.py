"""An executor opened against a server of a test, and what one attempt there gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from tests.contracts.executing import LLAMA, US, Book, asking
from tests.support.endpoint import Reply, Server, serving

from beacon_cli.executors.openai import OpenaiExecutor
from beacon_cli.model import Limits, OpenaiTarget, Outcome, Sampling

KEY = "sesame-4711-open"


@asynccontextmanager
async def opened(
    server: Server,
    *,
    sampling: Sampling | None = None,
    limits: Limits | None = None,
    environ: Mapping[str, str] | None = None,
    ignore: tuple[str, ...] = (),
    **target: Any,
) -> AsyncIterator[OpenaiExecutor]:
    """An executor prepared against the server."""
    about = OpenaiTarget(**{"base_url": server.url, **target})
    async with OpenaiExecutor(
        about, sampling=sampling, limits=limits, environ=environ or {}, ignore=ignore
    ) as executor:
        await executor.prepare([(US, LLAMA)])
        yield executor


async def outcome(reply: Reply, **options: Any) -> Outcome:
    """What one attempt gives where the server answers so."""
    async with serving(reply) as server, opened(server, **options) as executor:
        with anyio.fail_after(20):
            return await executor.attempt(asking(), 1, Book().placed)
