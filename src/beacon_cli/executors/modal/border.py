"""The border of the SDK: what it raises, and what is made of that. One table says it, read from first to last.

Knows the SDK's exceptions and beacon's outcomes; places no calls and waits for nothing.
"""

from __future__ import annotations

import re

import grpclib.exceptions
import h2.exceptions
import modal.exception as sdk
import msgspec
from modal_proto import api_pb2

from beacon_cli.errors import StartError
from beacon_cli.executors.answers import bad_answer, shorten
from beacon_cli.model import Cancelled, ErrorKind, Failed, Outcome

# Held against an exception from the first to the last: (types, kind, transient).
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

OF_THE_REQUEST = (
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


class Escaped(Exception):
    """What the remote code raised is no ordinary exception (it called `sys.exit()`): to us a value, no order."""


def told(error: BaseException) -> Failed | Cancelled:
    """What an exception of the SDK means, by the table; what is not in it was raised by the remote code."""
    if isinstance(error, Escaped):
        return _of_text(words(error))
    if isinstance(error, sdk.RemoteError):
        return _remote(words(error))
    if isinstance(error, sdk.ExecutionError):  # the remote exception is of a class that this machine lacks
        return Failed(kind=ErrorKind.MODEL, message=shorten(words(error)), transient=True)
    return _by_table(error) or _by_package(error) or of_remote_code(error)


def unsettled(outcome: Outcome) -> Outcome:
    """Mark a failure of the wait itself: the call may still give its answer."""
    if isinstance(outcome, Failed) and (outcome.kind in _UNTOLD or lost_connection(outcome)):
        return msgspec.structs.replace(outcome, unsettled=True)
    return outcome


def lost_connection(outcome: Outcome) -> bool:
    """Whether it was the connection that failed, and perhaps nothing else."""
    return isinstance(outcome, Failed) and outcome.kind is ErrorKind.CONNECTION


def _by_table(error: BaseException) -> Failed | None:
    for types, kind, transient in _TABLE:
        if isinstance(error, types):
            return Failed(
                kind=kind,
                message=shorten(words(error) or type(error).__name__),
                transient=transient,
                retry_after=_retry_after(error) if kind is ErrorKind.THROTTLED else None,
            )
    return None


def _by_package(error: BaseException) -> Failed | None:
    package = type(error).__module__.partition(".")[0]
    if package in {"cbor2", "_cbor2"}:
        return bad_answer(f"the answer cannot be decoded: {words(error)}")
    if package == "aiohttp":  # a large answer is fetched over HTTP
        return Failed(kind=ErrorKind.CONNECTION, message=shorten(words(error)), transient=True)
    return None


def _remote(message: str) -> Failed | Cancelled:
    """A failure that comes as text: of the remote code where it reads like an exception, else of its container."""
    if _OF_REMOTE_CODE.match(message):
        return _of_text(message)
    if not message or _CANCELLED.search(message):
        return Cancelled(message=shorten(message or "the call was cancelled"))
    return Failed(kind=ErrorKind.PLATFORM, message=shorten(message), transient=True)


def of_remote_code(error: BaseException) -> Failed:
    """An exception that the remote code raised itself."""
    return _of_text(f"{type(error).__name__}: {words(error)}")


def _of_text(message: str) -> Failed:
    """A failure of the remote code; arguments that do not fit it will not fit it the next time either."""
    wrong = message.startswith("TypeError") and _WRONG_ARGUMENTS.search(message) is not None
    kind = ErrorKind.BAD_REQUEST if wrong else ErrorKind.MODEL
    return Failed(kind=kind, message=shorten(message), transient=not wrong)


def words(error: BaseException) -> str:
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


def line(error: BaseException) -> str:
    """What an exception says, in one line of bounded length."""
    return shorten(" ".join(words(error).split())) or type(error).__name__


def start_error(error: BaseException, url: str) -> StartError:
    """Why nothing can start, and what to do about it."""
    said = line(error)
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
