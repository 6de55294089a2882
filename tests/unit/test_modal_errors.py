"""What the SDK raises is told in beacon's words, by one table."""

from __future__ import annotations

from typing import Any

import grpclib.exceptions
import h2.exceptions
import modal.exception as sdk
import pytest
from grpclib.const import Status

from beacon_cli.executors.modal.border import told
from beacon_cli.executors.modal.calls import end
from beacon_cli.model import Cancelled, ErrorKind, Failed


@pytest.mark.parametrize(
    ("error", "kind", "transient"),
    [
        (sdk.AuthError("who?"), ErrorKind.AUTH, False),
        (sdk.PermissionDeniedError("no"), ErrorKind.AUTH, False),
        (sdk.NotFoundError("gone"), ErrorKind.NOT_FOUND, False),
        (sdk.InvalidError("bad"), ErrorKind.BAD_REQUEST, False),
        (sdk.SerializationError("bad"), ErrorKind.BAD_REQUEST, False),
        (sdk.RequestSizeError("big"), ErrorKind.BAD_REQUEST, False),
        (sdk.ConflictError("busy"), ErrorKind.PLATFORM, True),
        (sdk.ResourceExhaustedError("slow down"), ErrorKind.THROTTLED, True),
        (sdk.ConnectionError("refused"), ErrorKind.CONNECTION, True),
        (sdk.ServiceError("unavailable"), ErrorKind.CONNECTION, True),
        (grpclib.exceptions.StreamTerminatedError("lost"), ErrorKind.CONNECTION, True),
        (h2.exceptions.ProtocolError("lost"), ErrorKind.CONNECTION, True),
        (sdk.InternalFailure("lost"), ErrorKind.PLATFORM, True),
        (sdk.InternalError("oops"), ErrorKind.PLATFORM, True),
        (sdk.DataLossError("oops"), ErrorKind.PLATFORM, True),
        (grpclib.exceptions.GRPCError(Status.UNKNOWN, "?"), ErrorKind.PLATFORM, True),
        (sdk.UnimplementedError("what?"), ErrorKind.PLATFORM, False),
        (sdk.VersionError("old"), ErrorKind.PLATFORM, False),
        (sdk.FunctionTimeoutError("900 s"), ErrorKind.TIMEOUT, True),
        (sdk.OutputExpiredError("7 days"), ErrorKind.GONE, True),
        (sdk.DeserializationError("torch"), ErrorKind.BAD_ANSWER, False),
        (sdk.ClientClosed(), ErrorKind.INTERRUPTED, True),
        (sdk.ExecutionError("Could not deserialize remote exception"), ErrorKind.MODEL, True),
        (ValueError("of the remote code"), ErrorKind.MODEL, True),
        (OSError("of the remote code"), ErrorKind.MODEL, True),
        (sdk.RemoteError("ValueError('x')"), ErrorKind.MODEL, True),
        (sdk.RemoteError("torch.cuda.OutOfMemoryError('x')"), ErrorKind.MODEL, True),
        (sdk.RemoteError("container exited with code 137"), ErrorKind.PLATFORM, True),
        (TypeError("generate() got an unexpected keyword argument 'x'"), ErrorKind.BAD_REQUEST, False),
        (TypeError("generate() missing 1 required positional argument: 'x'"), ErrorKind.BAD_REQUEST, False),
        (
            sdk.RemoteError("TypeError(\"Model.generate() got an unexpected keyword argument 'x'\")"),
            ErrorKind.BAD_REQUEST,
            False,
        ),
        (TypeError("unsupported operand type(s) for +: 'int' and 'str'"), ErrorKind.MODEL, True),
    ],
)
def test_each_exception_has_its_kind(error: Exception, kind: ErrorKind, transient: bool) -> None:  # noqa: FBT001
    """Kind and whether it may be tried again follow from the exception alone."""
    outcome = told(error)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.transient) == (kind, transient)
    assert outcome.message


@pytest.mark.parametrize("text", ["", "Input was cancelled by user", "the function call was terminated"])
def test_a_call_that_was_ended_is_cancelled(text: str) -> None:
    """The text that Modal gives for a cancelled call, or none, is a cancellation and no failure."""
    assert isinstance(told(sdk.RemoteError(text)), Cancelled)


def test_a_message_of_any_length_is_shortened() -> None:
    """A remote exception cannot fill the journal."""
    outcome = told(ValueError("x" * 10**6))
    assert isinstance(outcome, Failed)
    assert len(outcome.message) < 3000


class _Request:
    """Stands for one of the SDK's methods: `aio` raises what the test says, or gives nothing."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def aio(self, **_: Any) -> None:
        if self._error is not None:
            raise self._error


class _Call:
    def __init__(self, cancel: Exception | None, get: Exception | None) -> None:
        self.cancel = _Request(cancel)
        self.get = _Request(get)


@pytest.mark.parametrize(
    ("cancel", "get", "ended"),
    [
        (None, None, True),
        (None, sdk.RemoteError("the call was cancelled"), True),
        (None, ValueError("of the remote code"), True),
        (None, sdk.OutputExpiredError("7 days"), True),
        (sdk.NotFoundError("no such call"), None, True),
        (None, TimeoutError(), False),
        (sdk.InternalError("oops"), None, False),
        (sdk.InvalidError("no id of ours"), None, False),
        (sdk.ConnectionError("refused"), None, False),
        (None, sdk.ServiceError("unavailable"), False),
        (None, sdk.AuthError("who?"), False),
        (grpclib.exceptions.GRPCError(Status.UNKNOWN, "?"), None, False),
    ],
)
@pytest.mark.anyio
async def test_only_what_the_provider_says_confirms_an_end(
    cancel: Exception | None,
    get: Exception | None,
    ended: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A call counts as ended when the provider says so; a request that failed confirms nothing."""
    call: Any = _Call(cancel, get)
    assert await end(call, terminate=False) is ended


@pytest.fixture
def anyio_backend() -> str:
    """The SDK knows asyncio alone."""
    return "asyncio"
