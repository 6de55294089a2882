"""An OpenAI-compatible endpoint of our own on loopback, one path for each region: `/us/v1/chat/completions`.

It answers like the emulated apps, in the time that a hosted model takes, and obeys the same scripts of failures.
There are no containers behind it, so nothing is cold. Binds 127.0.0.1 and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import msgspec
from aiohttp import web

from beacon_cli.behaviour import answers as said
from beacon_cli.behaviour import timing
from beacon_cli.behaviour.script import Director, Effect, Rule, Script
from beacon_cli.emulator.beside import beside

HOST = "127.0.0.1"
_LARGEST_REQUEST = 32 * 1024 * 1024
_CLOSING = 0.2
_TURNS = 5


class Endpoint:
    """Answers requests; `speed` divides every duration. Keeps count of the requests that it holds at once."""

    def __init__(self, *, seed: int = 0, speed: float = 1.0, script: Script | None = None) -> None:
        self._seed = seed
        self._speed = speed
        self._timings = timing.Timings()
        self._director = Director(script or Script(), seed)
        self._asked: Counter[tuple[str, bytes]] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The application to be served."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_get("/{region}/v1/models", self._models)
        app.router.add_post("/{region}/v1/chat/completions", self._completions)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"object": "list", "data": []})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        region = request.match_info["region"]
        self.in_flight[region] += 1
        self.peak[region] = max(self.peak[region], self.in_flight[region])
        try:
            return await self._answer(request, region, await request.read())
        finally:
            self.in_flight[region] -= 1

    async def _answer(self, request: web.Request, region: str, body: bytes) -> web.StreamResponse:
        try:
            asked = self._understood(region, body)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return _error(400, f"not a request for a chat completion: {error}")
        rule = self._director.order(asked)
        effect = rule.effect if rule else None
        if rule and effect is Effect.UNREACHABLE:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if rule and effect is Effect.THROTTLED:
            headers = {"Retry-After": f"{rule.amount / self._speed:g}"} if rule.amount else {}
            return _error(429, rule.message or "too many requests", headers)
        if effect is Effect.HANG:
            await asyncio.Event().wait()
        seconds = timing.service_seconds(self._timings, self._seed, asked)
        if rule and effect in {Effect.SLOW, Effect.PREEMPTED}:
            seconds += rule.amount
        await asyncio.sleep(seconds / self._speed)
        if effect is Effect.PLATFORM:
            return _error(500, "internal error")
        if rule and effect is Effect.RAISES:  # as a gateway reports what its model's own code raised
            name = rule.value if isinstance(rule.value, str) else "RuntimeError"
            return _json({"error": {"message": f"{name}: {rule.message}", "type": "server_error"}})
        return self._completion(asked, rule, seconds)

    def _understood(self, region: str, body: bytes) -> timing.Asked:
        request = msgspec.json.decode(body)
        messages = {message["role"]: str(message["content"]) for message in request["messages"]}
        model = str(request["model"])
        self._asked[region, body] += 1
        count = self._asked[region, body]
        return timing.Asked(
            region=region,
            model=model,
            prompt=messages["user"],
            system_prompt=messages.get("system", ""),
            key=str(count),
            attempt=count,
        )

    def _completion(self, asked: timing.Asked, rule: Rule | None, seconds: float) -> web.Response:
        served = said.Served(container="", cold=False, boot=0.0, queue=0.0, generation=seconds)
        reply = said.reply(self._seed, asked, served, rule)
        if rule and rule.effect is Effect.BAD_ANSWER:
            return _json(_agreed(reply, asked.model))
        if reply["status"] == "error":
            return _json({"error": {"message": reply["error"], "type": "server_error"}})
        refused = said.refuses(asked)
        return _json(
            {
                **_agreed(reply, asked.model),
                "id": f"chatcmpl-{timing.draw(self._seed, 'id', asked.prompt, asked.model, asked.key):.12f}",
                "object": "chat.completion",
                "system_fingerprint": "fp_rehearsal",
                "usage": _usage(asked, reply["tokens_generated"]),
                "synthetic": True,
                "refused": refused,
            }
        )


def _agreed(reply: Any, model: str) -> Any:
    """The form of a completion around a text; what is no mapping with `response` stays as it is."""
    if not isinstance(reply, dict) or "response" not in reply:
        return reply
    message = {"role": "assistant", "content": reply["response"]}
    rest = {key: value for key, value in reply.items() if key == "deep"}
    return {"model": model, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **rest}


def _usage(asked: timing.Asked, generated: int) -> dict[str, int]:
    prompt = max(1, (len(asked.prompt) + len(asked.system_prompt)) // 4)
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


def _json(value: Any) -> web.Response:
    """The standard library's escapes carry lone surrogates."""
    return web.Response(body=json.dumps(value, default=repr).encode("ascii"), content_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)


async def _turns() -> None:
    """Let the event loop take, or close, the connections that it is about to."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(endpoint: Endpoint, port: int = 0) -> AsyncIterator[str]:
    """Serve within the running event loop (asyncio) for as long as the body lasts; gives the address.

    Raises:
        OSError: the port cannot be used.
    """
    runner = web.AppRunner(endpoint.app(), shutdown_timeout=_CLOSING, handler_cancellation=True)
    await runner.setup()
    listener = socket.create_server((HOST, port), backlog=1024)
    try:
        await web.SockSite(runner, listener).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        # asyncio trips over a connection that it has accepted when its server closes: let that come to rest.
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().remove_reader(listener)
        await _turns()
        await runner.cleanup()
        await _turns()


@contextmanager
def running(endpoint: Endpoint, port: int = 0) -> Iterator[str]:
    """Serve from a thread and event loop of its own for the body; gives the address without region.

    Raises:
        OSError: as `serving`.
    """
    with beside(serving(endpoint, port), "beacon-endpoint") as address:
        yield address
