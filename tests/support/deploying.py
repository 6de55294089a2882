"""A control plane that apps can be deployed to: it keeps what the SDK sends, and gives everything an id.

Nothing is built and nothing is stored; what counts is what would have been.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from grpclib.server import Stream
from modal_proto import api_pb2

from beacon_cli.emulator import plane, server


class Deployed:
    """What the SDK sent, in its own messages, and the ids that it was given."""

    def __init__(self) -> None:
        self.published: list[api_pb2.AppPublishRequest] = []
        self.functions: dict[str, api_pb2.Function] = {}
        self.images: dict[str, api_pb2.Image] = {}
        self.mounts: dict[str, list[str]] = {}
        self.volumes: dict[str, str] = {}
        self.secrets: dict[str, api_pb2.SecretGetOrCreateRequest] = {}

    def publish(self, request: api_pb2.AppPublishRequest) -> Message:
        """An app is whole."""
        self.published.append(request)
        return api_pb2.AppPublishResponse(url=f"https://modal.test/{request.name}", deployed_at=1.0)

    def volume(self, request: api_pb2.VolumeGetOrCreateRequest) -> Message:
        """A Volume by its name."""
        named = self.volumes.setdefault(request.deployment_name, _id("vo", len(self.volumes) + 1))
        return api_pb2.VolumeGetOrCreateResponse(volume_id=named)

    def secret(self, request: api_pb2.SecretGetOrCreateRequest) -> Message:
        """A secret by its name, or the environment of a function."""
        named = _id("st", len(self.secrets) + 1)
        self.secrets[named] = request
        return api_pb2.SecretGetOrCreateResponse(secret_id=named)

    def image(self, request: api_pb2.ImageGetOrCreateRequest) -> Message:
        """An image, as if it was built already."""
        named = _id("im", len(self.images) + 1)
        self.images[named] = request.image
        return api_pb2.ImageGetOrCreateResponse(
            image_id=named,
            result=api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS),
            metadata=api_pb2.ImageMetadata(image_builder_version=request.builder_version),
        )

    def mount(self, request: api_pb2.MountGetOrCreateRequest) -> Message:
        """Files that go along."""
        named = _id("mo", len(self.mounts) + 1)
        self.mounts[named] = [file.filename for file in request.files]
        return api_pb2.MountGetOrCreateResponse(mount_id=named)

    def function(self, request: api_pb2.FunctionCreateRequest) -> Message:
        """A function, or a class by the name `Name.*`."""
        function = request.function
        if request.HasField("function_data") and request.function_data.ranked_functions:
            function = request.function_data.ranked_functions[0].function
        self.functions[function.function_name] = function
        ranked = [api_pb2.FunctionData.RankedFunction(rank=0, function=function)]
        return api_pb2.FunctionCreateResponse(
            function_id=request.existing_function_id,
            function_data=api_pb2.FunctionData(ranked_functions=ranked),
            handle_metadata=api_pb2.FunctionHandleMetadata(function_name=function.function_name),
        )


def _id(kind: str, number: int) -> str:
    return f"{kind}-{number:022d}"


def _environment() -> Message:
    settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
    metadata = api_pb2.EnvironmentMetadata(name="main", settings=settings)
    return api_pb2.EnvironmentGetOrCreateResponse(environment_id=_id("en", 1), metadata=metadata)


def _precreated(request: api_pb2.FunctionPrecreateRequest) -> Message:
    return api_pb2.FunctionPrecreateResponse(
        function_id=f"fu-{request.function_name}",
        handle_metadata=api_pb2.FunctionHandleMetadata(function_name=request.function_name),
    )


class Taking(plane.ControlPlane):
    """The emulator's control plane, which also takes deployments, and keeps them in `kept`; see `modal.runner`."""

    def __init__(self, kept: Deployed, *args: Any) -> None:
        super().__init__(*args)
        self._kept = kept

    async def AppGetByDeploymentName(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: api_pb2.AppGetByDeploymentNameResponse())

    async def AppCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(
            stream, lambda _request: api_pb2.AppCreateResponse(app_id=_id("ap", len(self._kept.published) + 1))
        )

    async def AppHeartbeat(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: Empty())

    async def AppClientDisconnect(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: Empty())

    async def EnvironmentGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: _environment())

    async def MountBatchedCheckExistence(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: api_pb2.MountBatchedCheckExistenceResponse())

    async def MountPutFile(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: api_pb2.MountPutFileResponse(exists=True))

    async def FunctionPrecreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, _precreated)

    async def ClassCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, lambda _request: api_pb2.ClassCreateResponse(class_id=_id("cs", 1)))

    async def AppPublish(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, self._kept.publish)

    async def VolumeGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, self._kept.volume)

    async def SecretGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, self._kept.secret)

    async def ImageGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, self._kept.image)

    async def MountGetOrCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, self._kept.mount)

    async def FunctionCreate(self, stream: Stream[Any, Any]) -> None:  # noqa: D102, N802 - the RPC's name says it
        await self._answer(stream, self._kept.function)


@contextmanager
def taking_deployments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Lead the SDK of this process to a workspace that apps can be deployed to, and show what came."""
    kept = Deployed()
    monkeypatch.setattr(server, "ControlPlane", partial(Taking, kept))
    with server.running() as address:
        for name, value in address.environment().items():
            monkeypatch.setenv(name, value)
        yield kept
