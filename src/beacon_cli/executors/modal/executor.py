"""The executor on Modal: connects, looks up what the job calls, and makes attempts.

Every call is spawned, never called: its id is on disk before the wait, and it outlives this process. What the SDK
raises is told by `border`, its coroutines are awaited over `bridge`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
import modal
import modal.exception as sdk
from modal.config import config, logger
from modal_proto import api_pb2

from beacon_cli import templates
from beacon_cli.errors import StartError
from beacon_cli.executors.modal import calls, placing
from beacon_cli.executors.modal.border import line, start_error
from beacon_cli.executors.modal.bridge import theirs
from beacon_cli.executors.modal.containers import ModalContainers
from beacon_cli.executors.modal.gate import Gate
from beacon_cli.executors.modal.pools import Handle, Pool, Unfound, find
from beacon_cli.executors.modal.reaching import reach
from beacon_cli.model import Cancelled, Execution, Failed, Limits, ModalTarget, Model, Outcome, Region, Sampling
from beacon_cli.ports import MayPlace, Placed, always


class ModalExecutor:
    """Makes attempts on Modal; see `ports.Executor`. Use with `async with`, on asyncio.

    Without `server_url` and `token` (id and secret) the user's own Modal configuration and credentials hold.
    `patience` is how many seconds connecting, and looking everything up, may each take before anything starts.
    `addresses` are health endpoints that wake containers, see `ModalContainers`.
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
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self._target = target
        self._sampling = sampling or Sampling()
        self._answer_bytes = (limits or Limits()).answer_bytes
        self._server_url = server_url
        self._token = token
        self._patience = patience
        self._addresses = addresses or {}
        self._functions: dict[tuple[str, str], Handle] = {}
        self._stack = AsyncExitStack()
        self._client: modal.Client
        self._containers: ModalContainers
        self._gate: Gate

    async def __aenter__(self) -> Self:
        # Read by the SDK at each use. What the user has set holds.
        os.environ.setdefault("MODAL_PAYLOAD_FORMAT", "cbor")
        os.environ.setdefault("MODAL_MAX_THROTTLE_WAIT", "0")  # the retry policy is ours
        logger.handlers.clear()  # they write what they are told as it is; our own take their place
        try:
            with anyio.fail_after(self._patience):
                await reach(self._url())
                await self._connect()
                self._gate = Gate(self._client)
                self._containers = ModalContainers(self._target, self._client, self._gate, self._addresses)
        except BaseException as error:
            await self.__aexit__(None, None, None)
            if isinstance(error, TimeoutError):
                raise self._silent() from None
            if isinstance(error, sdk.Error):
                raise start_error(error, self._url()) from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._functions.clear()
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    @property
    def containers(self) -> ModalContainers:
        """The containers behind the cells; see `ports.Executor.containers`."""
        return self._containers

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

    async def attempt(
        self, execution: Execution, number: int, placed: Placed, may_place: MayPlace = always
    ) -> Outcome:
        """Spawn one call and wait for it; see `ports.Executor.attempt`.

        An argument whose value the job does not set (null) is left out: the remote default holds.
        """
        function = self._functions[execution.region.id, execution.model.id]
        values = templates.argument_values(execution, number, self._sampling)
        filled: dict[str, Any] = templates.fill(self._target.arguments, values)
        arguments = {name: value for name, value in filled.items() if value is not None}
        call = await placing.place(function, arguments, gate=self._gate, placed=placed, may_place=may_place)
        if isinstance(call, Failed | Cancelled):
            return call
        return await calls.settled(call, self._answer_bytes)

    async def collect(self, execution: Execution, call_id: str) -> Outcome:  # noqa: ARG002 - the port's form
        """Wait for a call placed earlier; see `ports.Executor.collect`."""
        call = modal.FunctionCall.from_id(call_id, client=self._client)
        return await calls.collected(call, self._answer_bytes)

    async def cancel(self, call_id: str) -> bool:
        """End a call; see `ports.Executor.cancel`."""
        return await calls.ended(modal.FunctionCall.from_id(call_id, client=self._client))

    async def _connect(self) -> None:
        """Open the client: the SDK connects at once, and its stack closes it whatever happens."""
        if self._server_url and self._token:
            self._client = modal.Client(self._server_url, api_pb2.CLIENT_TYPE_CLIENT, self._token)
        else:
            self._client = await theirs(modal.Client.from_env.aio())
        self._stack.push_async_callback(self._client.close.aio)
        await theirs(self._client.__aenter__())  # type: ignore[no-untyped-call]  # as the SDK declares it

    def _url(self) -> str:
        return self._server_url or str(config["server_url"])

    def _silent(self) -> StartError:
        seconds = f"{self._patience:g} s"
        return StartError(f"{self._url()} did not answer within {seconds}: check the network connection")

    async def _resolve(
        self, region: Region, model: Model, missing: dict[str, None], problems: list[StartError]
    ) -> None:
        """Look one pair up. What is not there is added to `missing`, what else is wrong to `problems`."""
        pool = Pool.of(self._target, region, model)
        try:
            function = await find(pool, self._client)
        except sdk.NotFoundError:
            missing[f"{pool.called} in app {pool.app}"] = None
        except (sdk.InvalidError, TypeError, Unfound) as error:
            problems.append(StartError(f"{pool.called} in app {pool.app} does not fit the job: {line(error)}"))
        except sdk.Error as error:
            problems.append(start_error(error, self._url()))
        else:
            self._functions[region.id, model.id] = function
