"""Modal's control plane, as far as the SDK needs it to look up, call, wait, cancel and scale.

The RPCs that are not here answer UNIMPLEMENTED with their name. Results travel inline whatever their size, so
that no blob store is needed. Credentials are checked on every RPC.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase

from beacon_cli.behaviour.fleet import UNBOUNDED
from beacon_cli.emulator.deployment import CLASSES, FUNCTIONS, METHODS, PARAMETER, App, Bound, bound, understand
from beacon_cli.emulator.provider import Placed, Provider, Refusal
from beacon_cli.emulator.wire import (
    autoscaler_settings,
    class_metadata,
    decode_arguments,
    function_metadata,
    input_id,
    output_item,
    refusal_error,
)

_APP = "ap-"
_REMEMBERED = 10_000
"""How many idempotency keys are kept."""


def _refusing(name: str) -> Callable[[Any, Stream[Any, Any]], Awaitable[None]]:
    async def refuse(_self: object, _stream: Stream[Any, Any]) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, f"the emulator does not play {name}")

    return refuse


_Unimplemented: Any = type(
    "_Unimplemented",
    (ModalClientBase,),
    {name: _refusing(name) for name in ModalClientBase.__abstractmethods__},
)


class ControlPlane(_Unimplemented):  # type: ignore[misc]  # the base is made above, from the names of the RPCs
    """Answers the SDK for one workspace that holds `apps` and admits the holder of `credentials`."""

    def __init__(self, provider: Provider, apps: tuple[App, ...], credentials: tuple[str, str]) -> None:
        self._provider = provider
        self._apps = {app.name: app for app in apps}
        self._credentials = credentials
        self._functions: dict[str, Bound] = {}
        self._keys: OrderedDict[str, Placed] = OrderedDict()
        self._ordinals: dict[str, int] = {}
        self._began = time.time()

    async def ClientHello(self, stream: Stream[Any, Any]) -> None:  # noqa: N802 - the RPC's name
        """Greet a client."""
        await self._answer(stream, lambda _request: api_pb2.ClientHelloResponse())

    async def AuthTokenGet(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Give a token that nothing reads."""
        await self._answer(stream, lambda _request: api_pb2.AuthTokenGetResponse(token="e30.e30.e30"))  # noqa: S106

    async def AppGetByDeploymentName(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Look an app up, as the SDK's command does."""
        await self._answer(stream, self._app_by_name)

    async def AppDeploymentHistory(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Say how often an app was deployed: once, when the emulator began."""
        await self._answer(stream, self._deployments)

    async def FunctionGet(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Look a function up, or a class by the tag `Name.*`."""
        await self._answer(stream, self._function_get)

    async def ClassGet(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Look a class up."""
        await self._answer(stream, self._class_get)

    async def FunctionBindParams(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Bind a class to its parameters."""
        await self._answer(stream, self._bind)

    async def FunctionMap(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Take a call with its one input."""
        await self._answer(stream, lambda request: self._map(request, _metadata(stream, "x-idempotency-key")))

    async def FunctionGetOutputs(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Wait for a call's result, as long as the client is willing to."""
        request = await self._receive(stream)
        placed = self._provider.call(request.function_call_id)
        if placed is None:
            # The SDK reads "nothing there and nothing under way" as an expired result.
            response = api_pb2.FunctionGetOutputsResponse(num_unfinished_inputs=0)
        else:
            if request.timeout > 0 and not placed.done.is_set():
                await _wait(placed.done, request.timeout)
            result = self._provider.result(placed)
            response = api_pb2.FunctionGetOutputsResponse(num_unfinished_inputs=int(result is None))
            if result is not None:
                response.outputs.append(output_item(placed, result))
        await stream.send_message(response)

    async def FunctionCallFromId(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Describe a call."""
        await self._answer(stream, self._from_id)

    async def FunctionCallCancel(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Ask a call to end."""
        await self._answer(stream, self._cancel)

    async def FunctionGetCurrentStats(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Count a function's inputs and containers, those that start or stand idle included."""
        await self._answer(stream, self._stats)

    async def FunctionGetSchedulingParams(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Say how a function scales."""
        await self._answer(
            stream,
            lambda request: api_pb2.FunctionGetSchedulingParamsResponse(
                autoscaler_configuration=api_pb2.AutoscalerConfiguration(
                    settings=autoscaler_settings(self._provider.scaling(self._known(request.function_id)))
                )
            ),
        )

    async def FunctionUpdateSchedulingParams(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
        """Change how a function scales."""
        await self._answer(stream, self._scale)

    async def _receive(self, stream: Stream[Any, Any]) -> Any:
        request = await stream.recv_message()
        given = _metadata(stream, "x-modal-token-id"), _metadata(stream, "x-modal-token-secret")
        if not all(
            hmac.compare_digest(one.encode(), other.encode())
            for one, other in zip(given, self._credentials, strict=True)
        ):
            raise GRPCError(Status.UNAUTHENTICATED, "token ID or token secret is wrong")
        return request

    async def _answer(self, stream: Stream[Any, Any], handle: Callable[[Any], Message]) -> None:
        await stream.send_message(handle(await self._receive(stream)))

    def _app_by_name(self, request: api_pb2.AppGetByDeploymentNameRequest) -> Message:
        return api_pb2.AppGetByDeploymentNameResponse(app_id=f"{_APP}{self._app(request.name).name}")

    def _deployments(self, request: api_pb2.AppDeploymentHistoryRequest) -> Message:
        self._app(request.app_id.removeprefix(_APP))
        only = api_pb2.AppDeploymentHistory(
            app_id=request.app_id, version=1, deployed_at=self._began, deployed_by="emulator"
        )
        return api_pb2.AppDeploymentHistoryResponse(app_deployment_histories=[only])

    def _function_get(self, request: api_pb2.FunctionGetRequest) -> Message:
        app = self._app(request.app_name)
        tag = request.object_tag
        if tag in {f"{name}.*" for name in CLASSES}:
            base = self._remember(bound(app, tag))
            metadata = class_metadata(base)
        elif tag in FUNCTIONS:
            base = self._remember(bound(app, tag))
            metadata = function_metadata(base, tag)
        else:
            raise GRPCError(Status.NOT_FOUND, f"no function {tag!r} in app {app.name!r}")
        function = api_pb2.Function(
            function_name=tag,
            resources=api_pb2.Resources(gpu_config=api_pb2.GPUConfig(gpu_type=base.gpu, count=app.gpus)),
            timeout_secs=int(app.timeout),
            scheduler_placement=api_pb2.SchedulerPlacement(regions=app.placement),
            autoscaler_settings=autoscaler_settings(self._provider.scaling(base)),
        )
        ranked = [api_pb2.FunctionData.RankedFunction(rank=0, function=function)]
        return api_pb2.FunctionGetResponse(
            function_id=base.id,
            handle_metadata=metadata,
            function=api_pb2.FunctionData(
                function_name=tag,
                timeout_secs=int(app.timeout),
                ranked_functions=ranked,
                is_class=tag.endswith(".*"),
            ),
        )

    def _class_get(self, request: api_pb2.ClassGetRequest) -> Message:
        app = self._app(request.app_name)
        if request.object_tag not in CLASSES:
            raise GRPCError(Status.NOT_FOUND, f"no class {request.object_tag!r} in app {app.name!r}")
        base = self._remember(bound(app, f"{request.object_tag}.*"))
        return api_pb2.ClassGetResponse(
            class_id=base.id.replace("fu-", "cs-"),
            handle_metadata=api_pb2.ClassHandleMetadata(
                class_function_id=base.id, class_function_metadata=class_metadata(base)
            ),
        )

    def _bind(self, request: api_pb2.FunctionBindParamsRequest) -> Message:
        base = self._known(request.function_id)
        try:
            given = api_pb2.ClassParameterSet.FromString(request.serialized_params).parameters
        except DecodeError:
            raise GRPCError(Status.INVALID_ARGUMENT, "the class parameters cannot be read") from None
        values = {parameter.name: parameter.string_value for parameter in given}
        if set(values) != {PARAMETER}:
            raise GRPCError(Status.INVALID_ARGUMENT, f"{base.cls} takes one parameter, {PARAMETER!r}")
        target = self._remember(bound(base.app, base.tag, values[PARAMETER]))
        return api_pb2.FunctionBindParamsResponse(
            bound_function_id=target.id, handle_metadata=class_metadata(target)
        )

    def _map(self, request: api_pb2.FunctionMapRequest, key: str) -> Message:
        placed = self._keys.get(key)
        if placed is None:
            placed = self._place(request)
            if key:
                self._keys[key] = placed
                if len(self._keys) > _REMEMBERED:
                    self._keys.popitem(last=False)
        return api_pb2.FunctionMapResponse(
            function_call_id=placed.id,
            pipelined_inputs=[api_pb2.FunctionPutInputsResponseItem(idx=0, input_id=input_id(placed))],
        )

    def _place(self, request: api_pb2.FunctionMapRequest) -> Placed:
        target = self._known(request.function_id)
        if len(request.pipelined_inputs) != 1:
            raise GRPCError(Status.UNIMPLEMENTED, "the emulator takes calls of one input, sent with the call")
        item = request.pipelined_inputs[0].input
        if item.args_blob_id:
            raise GRPCError(Status.UNIMPLEMENTED, "the emulator keeps no blobs")
        data_format = "cbor" if item.data_format == api_pb2.DATA_FORMAT_CBOR else "pickle"
        args, kwargs = decode_arguments(item.args, data_format)
        method = item.method_name
        if target.model is not None and method not in METHODS:
            raise GRPCError(Status.NOT_FOUND, f"{target.cls} has no method {method!r}")
        ordinal = self._ordinals[target.pool] = self._ordinals.get(target.pool, 0) + 1
        output = data_format if data_format in target.app.formats else target.app.formats[0]
        call = understand(target, method, list(args), dict(kwargs), ordinal)
        placed = self._provider.place(target, call, output)
        if isinstance(placed, Refusal):
            raise refusal_error(placed)
        return placed

    def _from_id(self, request: api_pb2.FunctionCallFromIdRequest) -> Message:
        placed = self._provider.call(request.function_call_id)
        if placed is None:
            raise GRPCError(Status.NOT_FOUND, f"no call {request.function_call_id!r}")
        return api_pb2.FunctionCallFromIdResponse(function_call_id=placed.id, num_inputs=1)

    def _cancel(self, request: api_pb2.FunctionCallCancelRequest) -> Message:
        if not self._provider.cancel(request.function_call_id, terminate=request.terminate_containers):
            raise GRPCError(Status.NOT_FOUND, f"no call {request.function_call_id!r}")
        return Empty()

    def _stats(self, request: api_pb2.FunctionGetCurrentStatsRequest) -> Message:
        stats = self._provider.stats(self._known(request.function_id))
        return api_pb2.FunctionStats(
            backlog=stats.backlog,
            num_total_tasks=stats.containers,
            num_running_inputs=stats.running,
            input_headroom=stats.containers - stats.running,
        )

    def _scale(self, request: api_pb2.FunctionUpdateSchedulingParamsRequest) -> Message:
        target = self._known(request.function_id)
        scaling = self._provider.scaling(target)
        settings = request.settings
        changes: dict[str, float] = {}
        if settings.HasField("min_containers"):
            changes["min_containers"] = settings.min_containers
        if settings.HasField("max_containers"):
            changes["max_containers"] = settings.max_containers or UNBOUNDED
        if settings.HasField("scaledown_window"):
            changes["scaledown_window"] = float(settings.scaledown_window)
        scaling = msgspec.structs.replace(scaling, **changes)
        if scaling.min_containers > scaling.max_containers:
            raise GRPCError(Status.INVALID_ARGUMENT, "min_containers is more than max_containers")
        self._provider.scale(target, scaling)
        return api_pb2.FunctionUpdateSchedulingParamsResponse(current_settings=autoscaler_settings(scaling))

    def _app(self, name: str) -> App:
        app = self._apps.get(name)
        if app is None:
            raise GRPCError(Status.NOT_FOUND, f"no app {name!r} is deployed")
        return app

    def _known(self, function_id: str) -> Bound:
        target = self._functions.get(function_id)
        if target is None:
            raise GRPCError(Status.NOT_FOUND, f"no function {function_id!r}")
        return target

    def _remember(self, target: Bound) -> Bound:
        return self._functions.setdefault(target.id, target)


def _metadata(stream: Stream[Any, Any], name: str) -> str:
    return str(stream.metadata.get(name, "")) if stream.metadata else ""


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
