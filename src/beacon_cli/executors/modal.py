"""Attempts on Modal, through the real SDK, which is imported here and nowhere else.

Every call is spawned, never called: its id is on disk before the wait, and it outlives this process. The SDK keeps
an event loop in a thread of its own; `_theirs` is the bridge over which its coroutines are awaited and cancelled.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import grpclib.exceptions
import h2.exceptions
import modal
import modal.exception as sdk
import msgspec
from modal.config import config, logger
from modal_proto import api_pb2

from beacon_cli import templates
from beacon_cli.errors import StartError
from beacon_cli.executors.answers import bad_answer, outcome_of, shorten
from beacon_cli.model import (
    Cancelled,
    ErrorKind,
    Execution,
    Failed,
    Limits,
    ModalTarget,
    Model,
    Outcome,
    Region,
    Sampling,
)
from beacon_cli.ports import Placed

# The border: what the SDK raises, held against these from the first to the last. (types, kind, transient)
_TABLE: tuple[tuple[tuple[type[BaseException], ...], ErrorKind, bool], ...] = (
    ((sdk.OutputExpiredError,), ErrorKind.GONE, True),
    ((sdk.FunctionTimeoutError,), ErrorKind.TIMEOUT, True),
    ((sdk.AuthError, sdk.PermissionDeniedError), ErrorKind.AUTH, False),
    ((sdk.NotFoundError,), ErrorKind.NOT_FOUND, False),
    ((sdk.ResourceExhaustedError,), ErrorKind.THROTTLED, True),
    ((sdk.ConnectionError, sdk.ServiceError), ErrorKind.CONNECTION, True),
    ((grpclib.exceptions.StreamTerminatedError, h2.exceptions.ProtocolError), ErrorKind.CONNECTION, True),
    ((sdk.InternalFailure, sdk.InternalError, sdk.DataLossError, sdk.ConflictError), ErrorKind.PLATFORM, True),
    ((sdk.InvalidError, sdk.SerializationError, sdk.RequestSizeError), ErrorKind.BAD_REQUEST, False),
    ((sdk.DeserializationError,), ErrorKind.BAD_ANSWER, False),
    ((sdk.VersionError, sdk.UnimplementedError), ErrorKind.PLATFORM, False),
    ((sdk.ClientClosed,), ErrorKind.INTERRUPTED, True),
    ((grpclib.exceptions.GRPCError,), ErrorKind.PLATFORM, True),
)
_WRONG_ARGUMENTS = re.compile(
    r"\w+\(\) (got an unexpected|got multiple values|missing (a |\d+ )|takes \d)|"
    r"missing a required argument|unexpected keyword argument|too many positional arguments"
)
_OF_REMOTE_CODE = re.compile(r"[A-Za-z_][\w.]*\(")
_CANCELLED = re.compile(r"cancell?ed|terminated", re.IGNORECASE)

_WINDOW = 50.0
"""How long one wait for an answer lasts before it is renewed, in seconds."""
_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""The pauses before a wait that lost its connection is taken up again, in seconds."""
_GENTLE = 3.0
_HARD = 1.5
_SPAWN_LIMIT = 60.0

_OF_THE_REQUEST = (
    sdk.AuthError,
    sdk.ClientClosed,
    sdk.ConnectionError,
    sdk.InternalError,
    sdk.InvalidError,
    sdk.PermissionDeniedError,
    sdk.ResourceExhaustedError,
    sdk.ServiceError,
    sdk.UnimplementedError,
    sdk.VersionError,
    grpclib.exceptions.GRPCError,
    grpclib.exceptions.StreamTerminatedError,
    h2.exceptions.ProtocolError,
)
_UNTOLD = frozenset({ErrorKind.AUTH, ErrorKind.THROTTLED, ErrorKind.INTERRUPTED})
"""Failures of the request itself, which say nothing about the call."""

_Handle: TypeAlias = "modal.Function[Any, Any, Any]"


class ModalExecutor:
    """Makes attempts on Modal; see `ports.Executor`. Use with `async with`, on asyncio.

    Without `server_url` and `token` (id and secret) the user's own Modal configuration and credentials hold.
    `patience` is how many seconds connecting, and looking everything up, may each take before anything starts.
    """

    def __init__(
        self,
        target: ModalTarget,
        *,
        sampling: Sampling | None = None,
        limits: Limits | None = None,
        server_url: str | None = None,
        token: tuple[str, str] | None = None,
        patience: float = 20.0,
    ) -> None:
        self._target = target
        self._sampling = sampling or Sampling()
        self._answer_bytes = (limits or Limits()).answer_bytes
        self._server_url = server_url
        self._token = token
        self._patience = patience
        self._functions: dict[tuple[str, str], _Handle] = {}
        self._stack = AsyncExitStack()
        self._client: modal.Client

    async def __aenter__(self) -> Self:
        # Read by the SDK at each use. What the user has set holds.
        os.environ.setdefault("MODAL_PAYLOAD_FORMAT", "cbor")
        os.environ.setdefault("MODAL_MAX_THROTTLE_WAIT", "0")  # the retry policy is ours
        logger.handlers.clear()  # they write what they are told as it is; our own take their place
        try:
            with anyio.fail_after(self._patience):
                await self._reach()
                await self._connect()
        except BaseException as error:
            await self.__aexit__(None, None, None)
            if isinstance(error, TimeoutError):
                raise self._silent() from None
            if isinstance(error, sdk.Error):
                raise _start_error(error, self._url()) from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._functions.clear()
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    async def prepare(self, cells: Iterable[tuple[Region, Model]]) -> None:
        """Look up every function or method that will be called; see `ports.Executor.prepare`."""
        missing: dict[str, None] = {}
        problems: list[StartError] = []
        try:
            with anyio.fail_after(self._patience):
                async with anyio.create_task_group() as group:
                    for region, model in dict.fromkeys(cells):
                        group.start_soon(self._resolve, region, model, missing, problems)
        except TimeoutError:
            raise self._silent() from None
        if problems:
            raise problems[0]
        if missing:
            names = ", ".join(sorted(missing))
            raise StartError(f"not deployed on Modal: {names}; `modal deploy` each app, then run again")

    async def attempt(self, execution: Execution, number: int, placed: Placed) -> Outcome:
        """Spawn one call and wait for it; see `ports.Executor.attempt`.

        An argument whose value the job does not set (null) is left out: the remote default holds.
        """
        function = self._functions[execution.region.id, execution.model.id]
        values = templates.argument_values(execution, number, self._sampling)
        filled: dict[str, Any] = templates.fill(self._target.arguments, values)
        arguments = {name: value for name, value in filled.items() if value is not None}
        with anyio.move_on_after(_SPAWN_LIMIT, shield=True) as limit:
            try:
                call = await _theirs(function.spawn.aio(**arguments))
            except Exception as error:  # noqa: BLE001 - whatever the SDK raises is told by the table
                return _told(error)
            limit.deadline = float("inf")
            await placed(call.object_id)
        if limit.cancelled_caught:
            message = f"the call was not taken within {_SPAWN_LIMIT:g} s; it may have been placed all the same"
            return Failed(kind=ErrorKind.CONNECTION, message=message, transient=True)
        return await self._outcome(call)

    async def collect(self, execution: Execution, call_id: str) -> Outcome:  # noqa: ARG002 - the port's form
        """Wait for a call placed earlier; see `ports.Executor.collect`."""
        call = modal.FunctionCall.from_id(call_id, client=self._client)
        try:
            # An expired result shows only in a wait of no length: a longer one would go on asking.
            return outcome_of(await _theirs(call.get.aio(timeout=0)), self._answer_bytes)
        except TimeoutError:
            return await self._outcome(call)
        except sdk.NotFoundError as error:
            return Failed(kind=ErrorKind.GONE, message=shorten(_words(error)), transient=True)
        except Exception as error:  # noqa: BLE001 - as above
            outcome = _told(error)
            return await self._outcome(call) if _lost_connection(outcome) else outcome

    async def cancel(self, call_id: str) -> bool:
        """End a call; see `ports.Executor.cancel`."""
        call: modal.FunctionCall[Any] = modal.FunctionCall.from_id(call_id, client=self._client)
        for terminate, patience in ((False, _GENTLE), (True, _HARD)):
            with anyio.move_on_after(patience):
                if await _end(call, terminate=terminate):
                    return True
        return False

    async def _connect(self) -> None:
        """Open the client: the SDK connects at once, and its stack closes it whatever happens."""
        if self._server_url and self._token:
            self._client = modal.Client(self._server_url, api_pb2.CLIENT_TYPE_CLIENT, self._token)
        else:
            self._client = await _theirs(modal.Client.from_env.aio())
        self._stack.push_async_callback(self._client.close.aio)
        await _theirs(self._client.__aenter__())  # type: ignore[no-untyped-call]  # as the SDK declares it

    def _url(self) -> str:
        return self._server_url or str(config["server_url"])

    def _silent(self) -> StartError:
        seconds = f"{self._patience:g} s"
        return StartError(f"{self._url()} did not answer within {seconds}: check the network connection")

    async def _reach(self) -> None:
        """Fail at once where nobody listens: the SDK itself would go on trying for a minute."""
        url = urlsplit(self._url().split(",")[0].strip())
        if getproxies() and not proxy_bypass(url.hostname or ""):
            return
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            stream = await anyio.connect_tcp(url.hostname or "", port)
        except (OSError, socket.gaierror) as error:
            reason = error.strerror or str(error)
            raise StartError(f"{self._url()} cannot be reached ({reason}): check the network connection") from None
        await stream.aclose()

    async def _resolve(
        self, region: Region, model: Model, missing: dict[str, None], problems: list[StartError]
    ) -> None:
        """Look one pair up. What is not there is added to `missing`, what else is wrong to `problems`."""
        values = templates.cell_values(region, model)
        app = str(templates.fill(self._target.app, values))
        name = str(templates.fill(self._target.function or self._target.cls or "", values))
        try:
            if self._target.function is not None:
                function: _Handle = modal.Function.from_name(app, name, client=self._client)
            else:
                parameters: Mapping[str, Any] = templates.fill(self._target.parameters, values)
                method = str(templates.fill(self._target.method or "", values))
                cls = modal.Cls.from_name(app, name, client=self._client)
                await _theirs(cls.hydrate.aio())
                name = f"{name}.{method}"
                function = getattr(cls(**parameters), method)
            await _theirs(function.hydrate.aio())
        except sdk.NotFoundError:
            missing[f"{name} in app {app}"] = None
        except (sdk.InvalidError, TypeError) as error:
            problems.append(StartError(f"{name} in app {app} does not fit the job: {_line(error)}"))
        except sdk.Error as error:
            problems.append(_start_error(error, self._url()))
        else:
            self._functions[region.id, model.id] = function

    async def _outcome(self, call: modal.FunctionCall[Any]) -> Outcome:
        """Wait for a call that was placed, in windows; a lost connection is taken up again a few times."""
        pauses = iter(_PATIENCE)
        while True:
            began = monotonic()
            try:
                returned = await _theirs(call.get.aio(timeout=_WINDOW))
            except TimeoutError as error:
                if monotonic() - began >= _WINDOW - 1 and not error.args:
                    continue
                return _of_remote_code(error)
            except Exception as error:  # noqa: BLE001 - as above
                outcome = _told(error)
                pause = next(pauses, None) if _lost_connection(outcome) else None
                if pause is None:
                    return _unsettled(outcome)
                await anyio.sleep(pause)
            else:
                return outcome_of(returned, self._answer_bytes)


class _Escaped(Exception):
    """What the remote code raised is no ordinary exception (it called `sys.exit()`): to us a value, no order."""


async def _theirs(work: Coroutine[Any, Any, Any]) -> Any:
    """Await a coroutine that crosses into the SDK's own loop.

    A cancellation is passed on exactly once and then waited for. anyio would repeat it until the task gives way,
    which the SDK's bridge between the loops does not survive without leaving a future behind.
    """
    task = asyncio.ensure_future(_contained(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it
        raise


async def _contained(work: Coroutine[Any, Any, Any]) -> Any:
    """Keep what would end this process's event loop or cancel its tasks from doing so: it was raised elsewhere."""
    try:
        return await work
    except Exception:
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # nobody else: we were told to stop waiting
        raise _Escaped(f"{type(error).__name__}: {_words(error)}") from None


async def _end(call: modal.FunctionCall[Any], *, terminate: bool) -> bool:
    """Ask a call to end, and wait until it has. A request that failed says nothing about the call: not known."""
    try:
        await _theirs(call.cancel.aio(terminate_containers=terminate))
        await _theirs(call.get.aio(timeout=_WINDOW))
    except sdk.NotFoundError:
        return True
    except (TimeoutError, *_OF_THE_REQUEST):
        return False
    except Exception:  # noqa: BLE001 - how it ended does not matter, that it ended does
        return True
    return True


def _unsettled(outcome: Outcome) -> Outcome:
    """Mark a failure of the wait itself: the call may still give its answer."""
    if isinstance(outcome, Failed) and (outcome.kind in _UNTOLD or _lost_connection(outcome)):
        return msgspec.structs.replace(outcome, unsettled=True)
    return outcome


def _lost_connection(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and outcome.kind is ErrorKind.CONNECTION


def _told(error: BaseException) -> Failed | Cancelled:
    """What an exception of the SDK means, by the table; what is not in it was raised by the remote code."""
    if isinstance(error, _Escaped):
        return _of_text(_words(error))
    if isinstance(error, sdk.RemoteError):
        return _remote(_words(error))
    if isinstance(error, sdk.ExecutionError):  # the remote exception is of a class that this machine lacks
        return Failed(kind=ErrorKind.MODEL, message=shorten(_words(error)), transient=True)
    return _by_table(error) or _by_package(error) or _of_remote_code(error)


def _by_table(error: BaseException) -> Failed | None:
    for types, kind, transient in _TABLE:
        if isinstance(error, types):
            return Failed(
                kind=kind,
                message=shorten(_words(error) or type(error).__name__),
                transient=transient,
                retry_after=_retry_after(error) if kind is ErrorKind.THROTTLED else None,
            )
    return None


def _by_package(error: BaseException) -> Failed | None:
    package = type(error).__module__.partition(".")[0]
    if package in {"cbor2", "_cbor2"}:
        return bad_answer(f"the answer cannot be decoded: {_words(error)}")
    if package == "aiohttp":  # a large answer is fetched over HTTP
        return Failed(kind=ErrorKind.CONNECTION, message=shorten(_words(error)), transient=True)
    return None


def _remote(message: str) -> Failed | Cancelled:
    """A failure that comes as text: of the remote code where it reads like an exception, else of its container."""
    if _OF_REMOTE_CODE.match(message):
        return _of_text(message)
    if not message or _CANCELLED.search(message):
        return Cancelled(message=shorten(message or "the call was cancelled"))
    return Failed(kind=ErrorKind.PLATFORM, message=shorten(message), transient=True)


def _of_remote_code(error: BaseException) -> Failed:
    return _of_text(f"{type(error).__name__}: {_words(error)}")


def _of_text(message: str) -> Failed:
    """A failure of the remote code; arguments that do not fit it will not fit it the next time either."""
    wrong = message.startswith("TypeError") and _WRONG_ARGUMENTS.search(message) is not None
    kind = ErrorKind.BAD_REQUEST if wrong else ErrorKind.MODEL
    return Failed(kind=kind, message=shorten(message), transient=not wrong)


def _words(error: BaseException) -> str:
    """What an exception says. One that remote code has sent may be unable to."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever its own method raises
        return ""


def _retry_after(error: BaseException) -> float | None:
    for detail in getattr(error, "_grpc_details", None) or ():
        if isinstance(detail, api_pb2.RPCRetryPolicy):
            return max(0.0, detail.retry_after_secs)
    return None


def _line(error: BaseException) -> str:
    return shorten(" ".join(_words(error).split())) or type(error).__name__


def _start_error(error: BaseException, url: str) -> StartError:
    """Why nothing can start, and what to do about it."""
    said = _line(error)
    if isinstance(error, sdk.AuthError) and "Token missing" in said:
        return StartError(
            "no Modal credentials: run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET; "
            "`--rehearse` needs none"
        )
    if isinstance(error, sdk.AuthError | sdk.PermissionDeniedError):
        return StartError(f"{url} refuses the credentials ({said}): run `modal token new`, or set the right ones")
    if isinstance(error, sdk.VersionError):
        return StartError(f"{url} does not speak with this version of the Modal SDK ({said}): upgrade beacon")
    if isinstance(error, sdk.ConnectionError | sdk.ServiceError):
        return StartError(f"{url} cannot be reached ({said}): check the network connection")
    return StartError(f"Modal could not look up what the job calls: {said}")
