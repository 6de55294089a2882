"""A control plane that apps can be deployed to: it keeps what the SDK sends, and gives everything an id.

Nothing is built and nothing is stored; what counts is what would have been.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from grpclib.server import Stream
from modal_proto import api_pb2

from beacon_cli.emulator import plane, server


class Deployed:
    """What the SDK sent, in its own messages."""

    def __init__(self) -> None:
        self.apps: list[api_pb2.AppGetOrCreateRequest] = []
        self.published: list[api_pb2.AppPublishRequest] = []
        self.functions: dict[str, api_pb2.Function] = {}
        self.images: dict[str, api_pb2.Image] = {}
        self.mounts: dict[str, list[str]] = {}
        self.volumes: dict[str, str] = {}
        self.secrets: dict[str, api_pb2.SecretGetOrCreateRequest] = {}


def _id(kind: str, number: int) -> str:
    return f"{kind}-{number:022d}"


def plane_for(kept: Deployed) -> type[plane.ControlPlane]:
    """The emulator's control plane, which also takes deployments and keeps them in `kept`."""

    class Taking(plane.ControlPlane):
        """Answers what `App.deploy` calls; see `modal.runner`."""

        async def AppGetByDeploymentName(self, stream: Stream[Any, Any]) -> None:  # noqa: N802 - the RPC's name
            await self._answer(stream, lambda _: api_pb2.AppGetByDeploymentNameResponse())

        async def AppCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            await self._answer(stream, lambda _: api_pb2.AppCreateResponse(app_id=_id("ap", 1)))

        async def AppHeartbeat(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            await self._answer(stream, lambda _: Empty())

        async def AppClientDisconnect(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            await self._answer(stream, lambda _: Empty())

        async def AppPublish(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def publish(request: api_pb2.AppPublishRequest) -> api_pb2.AppPublishResponse:
                kept.published.append(request)
                return api_pb2.AppPublishResponse(url=f"https://modal.test/{request.name}", deployed_at=1.0)

            await self._answer(stream, publish)

        async def EnvironmentGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
            metadata = api_pb2.EnvironmentMetadata(name="main", settings=settings)
            response = api_pb2.EnvironmentGetOrCreateResponse(environment_id=_id("en", 1), metadata=metadata)
            await self._answer(stream, lambda _: response)

        async def VolumeGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def create(request: api_pb2.VolumeGetOrCreateRequest) -> api_pb2.VolumeGetOrCreateResponse:
                named = kept.volumes.setdefault(request.deployment_name, _id("vo", len(kept.volumes) + 1))
                return api_pb2.VolumeGetOrCreateResponse(volume_id=named)

            await self._answer(stream, create)

        async def SecretGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def create(request: api_pb2.SecretGetOrCreateRequest) -> api_pb2.SecretGetOrCreateResponse:
                named = _id("st", len(kept.secrets) + 1)
                kept.secrets[named] = request
                return api_pb2.SecretGetOrCreateResponse(secret_id=named)

            await self._answer(stream, create)

        async def ImageGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def create(request: api_pb2.ImageGetOrCreateRequest) -> api_pb2.ImageGetOrCreateResponse:
                named = _id("im", len(kept.images) + 1)
                kept.images[named] = request.image
                done = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)
                return api_pb2.ImageGetOrCreateResponse(
                    image_id=named,
                    result=done,
                    metadata=api_pb2.ImageMetadata(image_builder_version=request.builder_version),
                )

            await self._answer(stream, create)

        async def MountBatchedCheckExistence(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            await self._answer(stream, lambda _: api_pb2.MountBatchedCheckExistenceResponse())

        async def MountPutFile(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            await self._answer(stream, lambda _: api_pb2.MountPutFileResponse(exists=True))

        async def MountGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def create(request: api_pb2.MountGetOrCreateRequest) -> api_pb2.MountGetOrCreateResponse:
                named = _id("mo", len(kept.mounts) + 1)
                kept.mounts[named] = [file.filename for file in request.files]
                return api_pb2.MountGetOrCreateResponse(mount_id=named)

            await self._answer(stream, create)

        async def FunctionPrecreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def create(request: api_pb2.FunctionPrecreateRequest) -> api_pb2.FunctionPrecreateResponse:
                named = f"fu-{request.function_name}"
                return api_pb2.FunctionPrecreateResponse(
                    function_id=named,
                    handle_metadata=api_pb2.FunctionHandleMetadata(function_name=request.function_name),
                )

            await self._answer(stream, create)

        async def FunctionCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            def create(request: api_pb2.FunctionCreateRequest) -> api_pb2.FunctionCreateResponse:
                function = request.function
                if request.HasField("function_data") and request.function_data.ranked_functions:
                    function = request.function_data.ranked_functions[0].function
                kept.functions[function.function_name] = function
                ranked = [api_pb2.FunctionData.RankedFunction(rank=0, function=function)]
                return api_pb2.FunctionCreateResponse(
                    function_id=request.existing_function_id,
                    function_data=api_pb2.FunctionData(ranked_functions=ranked),
                    handle_metadata=api_pb2.FunctionHandleMetadata(function_name=function.function_name),
                )

            await self._answer(stream, create)

        async def ClassCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: N802
            await self._answer(stream, lambda _: api_pb2.ClassCreateResponse(class_id=_id("cs", 1)))

    return Taking


@contextmanager
def taking_deployments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Lead the SDK of this process to a workspace that apps can be deployed to, and show what came."""
    kept = Deployed()
    monkeypatch.setattr(server, "ControlPlane", plane_for(kept))
    with server.running() as address:
        for name, value in address.environment().items():
            monkeypatch.setenv(name, value)
        yield kept
