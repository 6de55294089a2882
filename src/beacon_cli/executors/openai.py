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
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
import msgspec
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload
from yarl import URL

from beacon_cli.errors import StartError
from beacon_cli.executors import completions
from beacon_cli.executors.answers import bad_answer, shorten
from beacon_cli.masking import MASK, masked
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
from beacon_cli.ports import MayPlace, Placed, always

# What the HTTP library raises, held against these from the first to the last. (types, kind, transient)
_TABLE: tuple[tuple[tuple[type[BaseException], ...], ErrorKind, bool], ...] = (
    ((aiohttp.ClientConnectorCertificateError, ssl.CertificateError), ErrorKind.CONNECTION, False),
    ((aiohttp.InvalidURL,), ErrorKind.BAD_REQUEST, False),
    ((aiohttp.SocketTimeoutError,), ErrorKind.TIMEOUT, True),
    ((aiohttp.ClientError, OSError, TimeoutError), ErrorKind.CONNECTION, True),
)

_CONNECT = 10.0
"""Seconds for a connection to come about, TLS included."""
_IDLE = 4.0
"""Seconds that a connection is kept without use: servers of this kind close theirs after five."""
_BODY = 10_000_000
_ESCAPED = 6
"""Bytes that one character of ASCII takes where an encoder escapes it."""
_ERROR_BODY = 100_000
_CLOSING = 1.0

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class _Endpoint(msgspec.Struct, frozen=True):
    """Where a region's requests go. `secrets` are the texts that may stand nowhere else."""

    completions: URL
    models: URL
    shown: str
    session: aiohttp.ClientSession
    secrets: tuple[str, ...]


class _Body(BytesPayload):
    """A request's body that says when it has been sent: from then on the request may cost money."""

    def __init__(self, value: bytes, sent: asyncio.Future[bool]) -> None:
        super().__init__(value, content_type="application/json")
        self._sent = sent

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await super().write_with_length(writer, content_length)
        if not self._sent.done():
            self._sent.set_result(True)


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
        self._answer_bytes = limits.answer_bytes
        self._largest = max(_BODY, _ESCAPED * limits.answer_bytes)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=limits.timeout)
        self._system = not {"system_prompt", "contexts"} & set(ignore)
        drawn: JsonObject = msgspec.to_builtins(sampling or Sampling())
        self._fixed = {
            **target.extra,
            **{name: value for name, value in drawn.items() if name not in ignore},
            **({"stop": list(target.stop)} if target.stop else {}),
        }
        self._encode = msgspec.json.Encoder().encode
        self._endpoints: dict[str, _Endpoint] = {}
        self._open_at: dict[str, float] = {}
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
        missing = [name for name in self._variables(regions) if not self._environ.get(name)]
        if missing:
            raise StartError(f"not set in the environment: {', '.join(missing)}; the job's executor names them")
        for region in regions:
            self._endpoints[region] = self._endpoint(region)
        problems: dict[str, str] = {}
        async with anyio.create_task_group() as group:
            for region in regions:
                group.start_soon(self._reach, region, problems)
        if problems:
            told = "; ".join(problems[region] for region in regions if region in problems)
            raise StartError(f"{told}. Check address, key and network")

    async def attempt(
        self,
        execution: Execution,
        number: int,  # noqa: ARG002 - the port's form
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - as above
    ) -> Outcome:
        """Send one request and wait for its answer; see `ports.Executor.attempt`."""
        endpoint = self._endpoints[execution.region.id]
        await self._budget(execution.region.id)
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
        message = f"the request {call_id} ended with its connection; its answer cannot be fetched again"
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

    async def _budget(self, region: str) -> None:
        """Wait where the endpoint has said that nothing is left of a budget."""
        left = self._open_at.get(region, 0.0) - time.monotonic()
        if left > 0:
            await anyio.sleep(left)

    async def _exchange(self, endpoint: _Endpoint, execution: Execution, sent: asyncio.Future[bool]) -> Outcome:
        body = self._encode(self._request(execution))
        try:
            async with endpoint.session.post(
                endpoint.completions, data=_Body(body, sent), allow_redirects=False
            ) as response:
                return await self._read(endpoint, execution.region.id, response)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is told by the table
            return _told(error, endpoint)

    def _request(self, execution: Execution) -> JsonObject:
        messages = [{"role": "user", "content": execution.question.text}]
        if execution.system_prompt is not None and self._system:
            messages.insert(0, {"role": "system", "content": execution.system_prompt})
        model = execution.model.id
        return {"model": self._target.models.get(model, model), "messages": messages, **self._fixed}

    async def _read(self, endpoint: _Endpoint, region: str, response: aiohttp.ClientResponse) -> Outcome:
        headers, status = response.headers, response.status
        succeeded = completions.is_success(status)
        body = await _bounded(response, self._largest if succeeded else _ERROR_BODY)
        if body is None:
            response.close()
            body = b""
            if succeeded:
                return bad_answer(f"the endpoint's answer is longer than {self._largest:,} bytes")
        for secret in endpoint.secrets:
            if secret.encode() in body:
                body = body.replace(secret.encode(), MASK.encode())
        if not succeeded:
            return completions.of_status(status, body, headers, time.time())
        hold = completions.spent(headers)
        if hold:
            self._open_at[region] = time.monotonic() + hold
        about = completions.request_id(headers)
        return completions.of_body(body, headers.get("content-type", ""), self._answer_bytes, about)

    def _variables(self, regions: Iterable[str]) -> list[str]:
        """The names of the environment variables that the target speaks of, each once."""
        keys = [self._key_name(region) for region in regions]
        referred = [name for value in self._target.headers.values() for name in _REFERENCE.findall(value)]
        return list(dict.fromkeys(name for name in [*keys, *referred] if name))

    def _key_name(self, region: str) -> str | None:
        names = self._target.api_key_env
        return names.get(region) if isinstance(names, dict) else names

    def _endpoint(self, region: str) -> _Endpoint:
        """Everything that the region's requests share."""
        base = self._target.url(region)
        names = self._key_name(region)
        hidden = [self._environ[name] for name in self._variables([region])]
        headers = {
            name: _REFERENCE.sub(lambda match: self._environ[match[1]], value)
            for name, value in self._target.headers.items()
        }
        if names is not None:
            headers["Authorization"] = f"Bearer {self._environ[names]}"
        for name, value in headers.items():
            if not value.isprintable() or not value.isascii():
                raise StartError(f"the header {name} for {region} would hold more than printable ASCII")
        proxy = _proxy(base)
        is_tls = "https" in {urlsplit(base).scheme, urlsplit(proxy or "").scheme}
        tls = _tls(self._environ) if is_tls else True  # reading the authorities takes 25 ms
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "beacon",
                **headers,
            },
            timeout=self._timeout,
            proxy=proxy,
        )
        return _Endpoint(
            completions=_joined(base, "/chat/completions"),
            models=_joined(base, "/models"),
            shown=masked(base, hidden),
            session=session,
            secrets=tuple(secret for secret in hidden if secret),
        )

    async def _reach(self, region: str, problems: dict[str, str]) -> None:
        """Ask which models there are: few endpoints must say, but all must be there and let us in."""
        endpoint = self._endpoints[region]
        where = f"the endpoint of {region}, {endpoint.shown},"
        try:
            async with asyncio.timeout(self._patience):
                async with endpoint.session.get(endpoint.models, allow_redirects=False) as response:
                    status = response.status
                    await _bounded(response, self._largest)
        except TimeoutError:
            problems[region] = f"{where} did not answer within {self._patience:g} s"
        except (aiohttp.ClientError, OSError) as error:
            problems[region] = f"{where} cannot be reached ({_words(error, endpoint)})"
        else:
            if status in {401, 403}:
                name = self._key_name(region)
                what = f"the key in {name}" if name else "a request without a key; set api_key_env"
                problems[region] = f"{where} refuses {what} (HTTP {status})"


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    """What became of a request that has ended."""
    return Cancelled(message="the request was closed") if task.cancelled() else task.result()


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The body, or None if it is longer than `most` bytes; no more than that is ever held."""
    if response.content_length is not None and "Content-Encoding" not in response.headers:
        return await response.read() if response.content_length <= most else None
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _told(error: Exception, endpoint: _Endpoint) -> Failed:
    """What an exception of the library means."""
    for kinds, kind, transient in _TABLE:
        if isinstance(error, kinds):
            return Failed(kind=kind, message=_words(error, endpoint), transient=transient)
    return Failed(kind=ErrorKind.CONNECTION, message=_words(error, endpoint), transient=True)


def _words(error: BaseException, endpoint: _Endpoint) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return shorten(masked(said, endpoint.secrets))


def _joined(base: str, path: str) -> URL:
    """`base` with `path` at the end of its own path, whatever stands after a question mark."""
    url = urlsplit(base)
    return URL(urlunsplit(url._replace(path=url.path.rstrip("/") + path)), encoded=True)


def _proxy(base: str) -> str | None:
    """The proxy that the environment names for this address; none for this machine itself."""
    url = urlsplit(base)
    if url.hostname in _LOOPBACK or proxy_bypass(url.netloc):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext | bool:
    """How servers are verified: by the system's authorities, or by those in `SSL_CERT_FILE`.

    Raises:
        StartError: that file cannot be read.
    """
    bundle = environ.get("SSL_CERT_FILE")
    if not bundle:
        return True
    with suppress(OSError, ssl.SSLError):
        return ssl.create_default_context(cafile=bundle)
    raise StartError(f"SSL_CERT_FILE: {bundle} cannot be read as a file of certificates")
