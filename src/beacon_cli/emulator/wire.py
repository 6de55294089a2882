"""What goes over the wire: between the emulator's own records and Modal's messages, in both directions."""

from __future__ import annotations

import builtins
import io
import pickle
from typing import Any

import cbor2
from grpclib.const import Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.exceptions import GRPCError
from modal_proto import api_pb2

from beacon_cli.behaviour.fleet import UNBOUNDED, Ended, Scaling
from beacon_cli.behaviour.script import Effect
from beacon_cli.emulator.deployment import METHODS, PARAMETER, App, Bound
from beacon_cli.emulator.provider import Placed, Refusal, Result

_INLINE = 256 * 1024 * 1024
_FORMATS = {"pickle": api_pb2.DATA_FORMAT_PICKLE, "cbor": api_pb2.DATA_FORMAT_CBOR}
_STATUS = {
    Ended.CRASHED: api_pb2.GenericResult.GENERIC_STATUS_INTERNAL_FAILURE,
    Ended.TIMED_OUT: api_pb2.GenericResult.GENERIC_STATUS_TIMEOUT,
    Ended.CANCELLED: api_pb2.GenericResult.GENERIC_STATUS_TERMINATED,
}
_WORDS = {
    Ended.CRASHED: "the container ended before the call did",
    Ended.TIMED_OUT: "the call ran into the function's own time limit",
    Ended.CANCELLED: "",
}


class StatusDetails(StatusDetailsCodecBase):
    """Packs what a refusal says beyond its status in the way that the SDK unpacks it."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        """The status with its details, as bytes for the trailing metadata."""
        packed = api_pb2.RPCStatus(code=status.value, message=message or "")
        for detail in details or ():
            packed.details.add().Pack(detail, type_url_prefix="type.modal.com/")
        return packed.SerializeToString()

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:  # noqa: ARG002 - the base's form
        """A server never reads any."""
        return None


def function_metadata(target: Bound, name: str, *, method: str = "") -> api_pb2.FunctionHandleMetadata:
    """What a client is told of a function, or of a method of a class. Payloads of any size go inline."""
    return api_pb2.FunctionHandleMetadata(
        function_name=name,
        function_type=api_pb2.Function.FUNCTION_TYPE_FUNCTION,
        is_method=bool(method),
        use_method_name=method,
        supported_input_formats=[_FORMATS[name] for name in ("pickle", "cbor") if _speaks(target.app, name)],
        supported_output_formats=[_FORMATS[name] for name in target.app.formats],
        max_object_size_bytes=_INLINE,
        max_async_object_size_bytes=_INLINE,
    )


def _speaks(app: App, name: str) -> bool:
    return name == "pickle" or "cbor" in app.formats


def class_metadata(target: Bound) -> api_pb2.FunctionHandleMetadata:
    """What a client is told of the class: its one parameter, and its methods."""
    metadata = function_metadata(target, target.tag)
    metadata.class_parameter_info.CopyFrom(
        api_pb2.ClassParameterInfo(
            format=api_pb2.ClassParameterInfo.PARAM_SERIALIZATION_FORMAT_PROTO,
            schema=[
                api_pb2.ClassParameterSpec(
                    name=PARAMETER,
                    type=api_pb2.PARAM_TYPE_STRING,
                    full_type=api_pb2.GenericPayloadType(base_type=api_pb2.PARAM_TYPE_STRING),
                )
            ],
        )
    )
    for method in METHODS:
        metadata.method_handle_metadata[method].CopyFrom(
            function_metadata(target, f"{target.cls}.{method}", method=method)
        )
    return metadata


def autoscaler_settings(scaling: Scaling) -> api_pb2.AutoscalerSettings:
    """A pool's scaling; no maximum is written as 0."""
    return api_pb2.AutoscalerSettings(
        min_containers=scaling.min_containers,
        max_containers=0 if scaling.max_containers == UNBOUNDED else scaling.max_containers,
        scaledown_window=round(scaling.scaledown_window),
    )


def decode_arguments(data: bytes, data_format: str) -> tuple[Any, Any]:
    """The positional and named arguments of a call: plain data, since a pickle could make anything else.

    Raises:
        GRPCError: they cannot be decoded.
    """
    try:
        args, kwargs = cbor2.loads(data) if data_format == "cbor" else _PlainPickle(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - whatever a malformed payload raises, the client is told the same
        raise GRPCError(Status.INVALID_ARGUMENT, f"the arguments are not valid {data_format}") from None
    return args, kwargs


class _PlainPickle(pickle.Unpickler):
    """Reads data and makes nothing else: any user of this machine can send something here."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is no plain data")


def refusal_error(refusal: Refusal) -> GRPCError:
    """The status with which a call is not taken."""
    if refusal.effect is Effect.THROTTLED:
        details = None
        if refusal.retry_after is not None:
            details = [api_pb2.RPCRetryPolicy(retry_after_secs=refusal.retry_after)]
        return GRPCError(Status.RESOURCE_EXHAUSTED, refusal.message, details)
    return GRPCError(Status.UNAVAILABLE, refusal.message)


def input_id(placed: Placed) -> str:
    """The id of a call's one input."""
    return placed.id.replace("fc-", "in-")


def output_item(placed: Placed, result: Result) -> api_pb2.FunctionGetOutputsItem:
    """What a call gave, in the format that its function speaks."""
    if result.raised is not None:
        outcome = _raised(placed, *result.raised)
    elif result.how is Ended.DONE:
        data = cbor2.dumps(result.value) if placed.format == "cbor" else pickle.dumps(result.value, protocol=4)
        outcome = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS, data=data)
    else:
        outcome = api_pb2.GenericResult(status=_STATUS[result.how], exception=_WORDS[result.how])
    return api_pb2.FunctionGetOutputsItem(
        result=outcome,
        idx=0,
        input_id=input_id(placed),
        data_format=_FORMATS[placed.format],
        task_id=placed.container,
    )


def _raised(placed: Placed, name: str, message: str) -> api_pb2.GenericResult:
    """A failure of the remote code: pickled where that is spoken, else as text, as Modal's containers do it."""
    kind = getattr(builtins, name, None)
    known = isinstance(kind, type) and issubclass(kind, BaseException)
    error = kind(message) if known else RuntimeError(f"{name}: {message}")  # type: ignore[misc]
    return api_pb2.GenericResult(
        status=api_pb2.GenericResult.GENERIC_STATUS_FAILURE,
        exception=repr(error) if known else f"{name}({message!r})",
        data=b"" if placed.format == "cbor" else pickle.dumps(error, protocol=4),
    )
