"""Attempts at OpenAI-compatible endpoints, over HTTP; aiohttp is imported here.

An HTTP request has no id before its answer, and nobody can come back to it later: beacon makes up an id, a request
lives as long as its connection, and to cancel is to close it. What answers mean is in `completions`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import secrets
import ssl
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import cache, partial
from types import TracebackType
from typing import Self

import aiohttp
import anyio
import msgspec
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.payload import BytesPayload
from yarl import URL

from beacon_cli.errors import StartError
from beacon_cli.executors import completions, connections
from beacon_cli.executors.answers import bad_answer, shorten
from beacon_cli.executors.connections import Way
from beacon_cli.model import (
    Cancelled,
    ErrorKind,
    Execution,
    Failed,
    JsonObject,
    Limits,
    Model,
    OpenaiTarget,
    Outcome,
    Region,
    Sampling,
)
from beacon_cli.ports import Listing, MayPlace, Placed, always

# What the HTTP library raises, held against these from the first to the last. (types, kind, transient)
_TABLE: tuple[tuple[tuple[type[BaseException], ...], ErrorKind, bool], ...] = (
    ((aiohttp.ClientConnectorCertificateError, ssl.CertificateError), ErrorKind.CONNECTION, False),
    ((aiohttp.InvalidURL,), ErrorKind.BAD_REQUEST, False),
    ((aiohttp.SocketTimeoutError,), ErrorKind.TIMEOUT, True),
    ((aiohttp.ClientError, OSError, TimeoutError), ErrorKind.CONNECTION, True),
)

_BODY = 10_000_000
_SMALL = 500_000
"""Bytes of an answer up to which any number may be held at once."""
_ESCAPED = 6
"""Bytes that one character of ASCII takes where an encoder escapes it."""
_ERROR_BODY = 100_000
_CLOSING = 1.0
_SEE_OTHER = 303
_FETCHES = 20
"""As often as browsers do: 50 minutes at Modal."""
_MADE_UP = re.compile(r"<\w+Error: 400, message='(?P<text>[^']*)'>|\b400, message:\s*(?P<rest>.*)", re.DOTALL)
_STALE = "the connection held an answer to no question of ours"


class _SilentError(StartError):
    """The endpoint took the connection and has not answered so far."""


class _Body(BytesPayload):
    """A request's body that says when it has been sent: from then on the request may cost money."""

    def __init__(self, value: bytes, sent: asyncio.Future[bool]) -> None:
        super().__init__(value, content_type="application/json")
        self._sent = sent
        self._protocol: ResponseHandler | None = None

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        protocol = getattr(writer, "protocol", None)
        if isinstance(protocol, ResponseHandler):
            self._protocol = protocol
            if protocol.should_close:
                raise aiohttp.ClientConnectionError(_STALE)
        await super().write_with_length(writer, content_length)
        if not self._sent.done():
            self._sent.set_result(True)

    def was_the_last(self, response: aiohttp.ClientResponse) -> None:
        """Let the connection carry no other question; to be called before the event loop has its next turn."""
        if self._protocol is None:
            return
        if response.connection is None:  # read to its end already, and free for whoever comes
            self._protocol.close()
        else:
            self._protocol.force_close()


class OpenaiExecutor:
    """Makes attempts at endpoints; see `ports.Executor`. Use with `async with`, on asyncio.

    `ignore` names the settings of the job that are not sent. Keys and the variables in headers are taken from
    `environ`, when the regions are known. `patience` is how many seconds the endpoints may take to be reached.
    """

    def __init__(
        self,
        target: OpenaiTarget,
        *,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        ignore: Collection[str] = (),
        environ: Mapping[str, str] | None = None,
        patience: float = 20.0,
    ) -> None:
        limits = limits or Limits()
        self._target = target
        self._environ = os.environ if environ is None else environ
        self._patience = patience
        self._trust = cache(partial(connections.trust, self._environ))
        self._answer_bytes = limits.answer_bytes
        self._largest = max(_BODY, _ESCAPED * limits.answer_bytes)
        self._silence = limits.timeout
        self._system = not {"system_prompt", "contexts"} & set(ignore)
        drawn: JsonObject = msgspec.to_builtins(sampling or Sampling())
        self._fixed = {
            **target.extra,
            **{name: value for name, value in drawn.items() if name not in ignore},
            **({"stop": list(target.stop)} if target.stop else {}),
        }
        self._encode = msgspec.json.Encoder().encode
        self._endpoints: dict[str, Way] = {}
        self._calls: dict[str, asyncio.Task[Outcome]] = {}
        self._mark = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._end(list(self._calls.values()))
            for endpoint in self._endpoints.values():
                await endpoint.session.close()
            self._endpoints.clear()

    @property
    def containers(self) -> None:
        """An endpoint's machines are its own: no GPU of the workspace is held."""

    async def prepare(self, cells: Iterable[tuple[Region, Model]]) -> None:
        """Find every key, and see whether every endpoint lets us in; see `ports.Executor.prepare`."""
        regions = list(dict.fromkeys(region.id for region, _ in cells))
        self._open(regions)
        problems: dict[str, str] = {}
        async with anyio.create_task_group() as group:
            for region in regions:
                group.start_soon(self._reach, region, problems)
        if problems:
            told = "; ".join(problems[region] for region in regions if region in problems)
            others = [f"--region {region}" for region in regions if region not in problems]
            alone = f", or ask the others alone: {' '.join(others)}" if others else ""
            raise StartError(f"{told}. Check address, key and network{alone}")

    def _open(self, regions: list[str]) -> None:
        """Find the keys of these regions, and have a way to each."""
        named = connections.variables(self._target, regions)
        missing = [name for name in named if not self._environ.get(name)]
        if missing:
            raise StartError(f"not set in the environment: {', '.join(missing)}; the job's executor needs that")
        for region in regions:
            if region not in self._endpoints:
                self._endpoints[region] = connections.way(
                    self._target, region, self._environ, self._silence, self._trust
                )

    async def attempt(
        self,
        execution: Execution,
        number: int,  # noqa: ARG002 - the port's form
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - as above
    ) -> Outcome:
        """Send one request and wait for its answer; see `ports.Executor.attempt`."""
        endpoint = self._endpoints[execution.region.id]
        sent: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._exchange(endpoint, execution, sent))
        call_id = f"http-{self._mark}-{next(self._numbers)}"
        self._calls[call_id] = task

        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ended(_: object) -> None:
            del self._calls[call_id]
            if not sent.done():
                sent.set_result(False)
            if not answered.done():
                answered.set_result(None)

        task.add_done_callback(ended)
        try:
            is_placed = await sent
        except asyncio.CancelledError:
            task.cancel()  # nobody was told of it: it is not left behind
            raise
        if is_placed:
            with anyio.CancelScope(shield=True):
                await placed(call_id)
        await answered  # who stops waiting leaves the request as it is
        return _outcome(task)

    async def collect(self, execution: Execution, call_id: str) -> Outcome:  # noqa: ARG002 - the port's form
        """Wait for a request of this process; any other is gone. See `ports.Executor.collect`."""
        task = self._calls.get(call_id)
        if task is not None:
            await asyncio.wait([task])
            return _outcome(task)
        message = "it ended with its connection; asked again, it may be paid twice"
        return Failed(kind=ErrorKind.GONE, message=message, transient=True)

    async def cancel(self, call_id: str) -> bool:
        """Close the request's connection; see `ports.Executor.cancel`."""
        task = self._calls.get(call_id)
        return task is None or await self._end([task])

    async def _end(self, tasks: list[asyncio.Task[Outcome]]) -> bool:
        for task in tasks:
            task.cancel()
        if not tasks:
            return True
        _, left = await asyncio.wait(tasks, timeout=_CLOSING)
        return not left

    async def _exchange(self, endpoint: Way, execution: Execution, sent: asyncio.Future[bool]) -> Outcome:
        body = _Body(self._encode(self._request(execution)), sent)
        try:
            async with endpoint.session.post(
                endpoint.completions, data=body, headers=endpoint.headers, allow_redirects=False
            ) as response:
                if not sent.done() and completions.is_success(response.status):
                    response.close()  # it came before the question was out
                    raise aiohttp.ClientConnectionError(_STALE)  # noqa: TRY301 - told as the library's own are
                if completions.may_answer_yet(response.status):
                    body.was_the_last(response)
                later = _later(endpoint, response)
                if later is None:
                    return await self._read(endpoint, response)
            return await self._fetched(endpoint, later)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is told by the table
            return _told(error, endpoint)

    async def _fetched(self, endpoint: Way, at: URL) -> Outcome:
        """The answer to a request that the endpoint is still at work on, fetched where it said."""
        left = _FETCHES
        while True:
            left -= 1
            async with endpoint.session.get(at, headers=endpoint.headers, allow_redirects=False) as response:
                next_one = _later(endpoint, response) if left else None
                if next_one is None:
                    return await self._read(endpoint, response)
                at = next_one

    def _request(self, execution: Execution) -> JsonObject:
        messages = [{"role": "user", "content": execution.question.text}]
        if execution.system_prompt is not None and self._system:
            messages.insert(0, {"role": "system", "content": execution.system_prompt})
        model = execution.model.id
        return {"model": self._target.models.get(model, model), "messages": messages, **self._fixed}

    async def _read(self, endpoint: Way, response: aiohttp.ClientResponse) -> Outcome:
        status, secrets = response.status, endpoint.secrets
        headers = completions.told(response.headers, secrets.masked)
        succeeded = completions.is_success(status)
        body = await _bounded(response, self._largest if succeeded else _ERROR_BODY, endpoint.large)
        if body is None:
            response.close()
            body = b""
            if succeeded:
                return bad_answer(f"the endpoint's answer is longer than {self._largest:,} bytes")
        body = secrets.out_of(body)
        if not succeeded:
            return completions.of_status(status, body, headers, time.time())
        return completions.of_body(body, headers, self._answer_bytes, time.time())

    async def listed(self, region: Region) -> Listing:
        """Which models the region's endpoint says that it has; see `ports.Endpoints.listed`."""
        self._open([region.id])
        status, body = await self._models(region.id)
        if not completions.is_success(status):
            return Listing(models=None, said=f"HTTP {status}")
        models = completions.models(body)
        return Listing(models=models, said="" if models is not None else "an answer of another form")

    async def _reach(self, region: str, problems: dict[str, str]) -> None:
        """Whether the endpoint is there and lets us in: few must say which models they have.

        One that is there and silent may have a model to load: the questions wait for it as long as the job allows.
        """
        try:
            await self._models(region)
        except _SilentError:
            return
        except StartError as error:
            problems[region] = str(error)

    async def _models(self, region: str) -> tuple[int, bytes]:
        """What the endpoint answers when asked for its models: status and body, empty if beyond measure."""
        endpoint = self._endpoints[region]
        where = f"the endpoint of {region}, {endpoint.shown},"
        try:
            async with asyncio.timeout(self._patience):
                async with endpoint.session.get(
                    endpoint.models, headers=endpoint.headers, allow_redirects=False
                ) as response:
                    status = response.status
                    body = await _bounded(response, self._largest, endpoint.large) or b""
                    body = endpoint.secrets.out_of(body)
        except aiohttp.ConnectionTimeoutError:
            raise StartError(f"{where} cannot be reached (no connection within the time limit)") from None
        except TimeoutError:
            raise _SilentError(f"{where} did not answer within {self._patience:g} s; it may be starting") from None
        except ssl.CertificateError as error:
            hint = "name its authority's file in SSL_CERT_FILE"
            raise StartError(f"{where} is not trusted ({_words(error, endpoint)}); {hint}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a host that cannot be one
            raise StartError(f"{where} cannot be reached ({_words(error, endpoint)})") from None
        if completions.refuses_key(status, body):
            names = ", ".join(connections.secret(self._target, region))
            what = f"the key in {names}" if names else "a request without a key; set api_key_env"
            raise StartError(f"{where} refuses {what} (HTTP {status})")
        return status, body


def _later(endpoint: Way, response: aiohttp.ClientResponse) -> URL | None:
    """Where the answer will be, if this is none yet."""
    return connections.later(endpoint, response.headers.get("location")) if response.status == _SEE_OTHER else None


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    """What became of a request that has ended."""
    return Cancelled(message="the request was closed") if task.cancelled() else task.result()


async def _bounded(response: aiohttp.ClientResponse, most: int, large: asyncio.Semaphore) -> bytes | None:
    """The body, or None if it is longer than `most` bytes; no more than that is ever held.

    Few that are `large` are held at once: the others wait on their way, where the kernel holds them back.
    """
    if response.content_length is not None and "Content-Encoding" not in response.headers:
        if response.content_length <= _SMALL:
            return await response.read()
        async with large:
            return await response.read() if response.content_length <= most else None
    chunks: list[bytes] = []
    size = 0
    async with AsyncExitStack() as held:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > most:
                return None
            if size > _SMALL >= size - len(chunk):
                await held.enter_async_context(large)
            chunks.append(chunk)
    return b"".join(chunks)


def _told(error: Exception, endpoint: Way) -> Failed:
    """What an exception of the library means."""
    for kinds, kind, transient in _TABLE:
        if isinstance(error, kinds):
            return Failed(kind=kind, message=_words(error, endpoint), transient=transient)
    return Failed(kind=ErrorKind.CONNECTION, message=_words(error, endpoint), transient=True)


def _words(error: BaseException, endpoint: Way) -> str:
    said = " ".join(_said(error).split()).replace(" ssl:default", "") or type(error).__name__
    return shorten(endpoint.secrets.masked(said))


def _said(error: BaseException) -> str:
    """The library's words without the status 400 that it makes up for what it cannot read."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}: {error.message}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"what came is no HTTP that can be read: {error.message}"
    return _MADE_UP.sub(lambda found: found["text"] or found["rest"] or "", str(error))
