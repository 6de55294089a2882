"""How the containers at Modal stand, and how they are let go; see `ports.Containers`.

The three numbers come from `FunctionGetCurrentStats`. The SDK calls them live counts of inputs and containers and
says no more: `alive` is its `num_total_runners` (`num_total_tasks` on the wire), which stood beside a count of
*active* runners in earlier versions, so idle containers are in it. Whether one that still waits for its machine is
in it too, only a live account can show: until then its input is in `backlog`, and `PoolStanding.empty` asks both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import anyio
import modal
from modal.types import FunctionAutoscalerSettings

from beacon_cli.executors.modal import waking
from beacon_cli.executors.modal.bridge import theirs
from beacon_cli.executors.modal.gate import Gate
from beacon_cli.executors.modal.pools import Handle, Pool, find
from beacon_cli.model import Cancelled, Deployed, ModalTarget, Model, Outcome, PoolStanding, Region, Window
from beacon_cli.ports import Begun, MayPlace, always

LEAST_WINDOW = 2
"""The shortest window that Modal takes, in seconds; the SDK refuses others (`autoscaler.update`, modal 1.6)."""
_DEFAULT_WINDOW = 60
"""What holds at Modal where a function sets none, in seconds."""
_PATIENCE = 8.0
"""How long one question may take, in seconds: the SDK itself would go on trying."""

_Answer = TypeVar("_Answer")


class ModalContainers:
    """Asks over a client that is open; pools are looked up when they are first asked about.

    `addresses` gives, for regions by id, the template of a health endpoint that wakes the model's container.
    """

    def __init__(
        self, target: ModalTarget, client: modal.Client, gate: Gate, addresses: Mapping[str, str]
    ) -> None:
        self._target = target
        self._gate = gate
        self._addresses = addresses
        self._client = client
        self._found: dict[str, Handle] = {}

    def pool(self, region: Region, model: Model) -> str:
        """The key of the pair's pool; see `ports.Containers.pool`."""
        return Pool.of(self._target, region, model).key()

    def width(self, pool: str, inputs: int) -> int:
        """See `ports.Containers.width`."""
        parsed = Pool.parse(pool)
        return 1 if parsed is not None and parsed.cls is not None else inputs

    async def standing(self, pool: str) -> PoolStanding | None:
        """See `ports.Containers.standing`; what the numbers mean stands at the head of this file."""
        return await self._asked(pool, _standing, missing=PoolStanding(alive=0, running=0, backlog=0))

    async def window(self, pool: str) -> Window | None:
        """See `ports.Containers.window`."""
        return await self._asked(pool, _window)

    @property
    def coolest(self) -> Window:
        """See `ports.Containers.coolest`."""
        return Window(seconds=LEAST_WINDOW)

    async def cool(self, pool: str) -> Window | None:
        """Shorten the window and drop the minimum; see `ports.Containers.cool`. A redeploy undoes both."""
        return await self._asked(pool, _cool)

    async def rewarm(self, pool: str, window: Window) -> bool:
        """Put both back; see `ports.Containers.rewarm`."""

        async def rewarm(function: Handle) -> bool:
            return _said(await _set(function, window)) == window

        return await self._asked(pool, rewarm) or False

    async def deployed(self, region: Region, model: Model) -> Deployed | None:
        """See `ports.Containers.deployed`: what `Function.info` shows, and the window."""
        return await self._asked(self.pool(region, model), _deployed)

    async def wake(
        self, region: Region, model: Model, placed: Begun, may_place: MayPlace = always
    ) -> Outcome | None:
        """See `ports.Containers.wake`."""
        if address := self._addresses.get(region.id):
            from beacon_cli.executors.modal import addresses

            if not may_place():
                return Cancelled(message="the turn is over")
            await placed(None)
            return await addresses.by_address(address, region, model)
        pool = Pool.of(self._target, region, model)
        return await waking.by_call(pool, self._client, gate=self._gate, placed=placed, may_place=may_place)

    async def _asked(
        self, key: str, question: Callable[[Handle], Awaitable[_Answer]], *, missing: _Answer | None = None
    ) -> _Answer | None:
        """What Modal answers; None where anything fails: to say why is the business of calls, not of counts.

        `missing` is the answer for a pool that is not deployed: whatever it had is gone.
        """
        pool = Pool.parse(key)
        if pool is None:
            return None
        with anyio.move_on_after(_PATIENCE):
            try:
                if key in self._found:
                    with suppress(modal.exception.NotFoundError):  # deployed anew, it has other ids
                        return await question(self._found[key])
                self._found[key] = await find(pool, self._client)
                return await question(self._found[key])
            except modal.exception.NotFoundError:
                return missing
            except Exception:  # noqa: BLE001 - whatever the SDK raises: not known
                self._found.pop(key, None)
        return None


async def _standing(function: Handle) -> PoolStanding:
    stats = await theirs(function.get_current_stats.aio())
    return PoolStanding(alive=stats.num_total_runners, running=stats.num_running_inputs, backlog=stats.backlog)


async def _deployed(function: Handle) -> Deployed:
    about = await theirs(function.info.aio())
    concurrency = about.concurrency_info
    return Deployed(
        regions=tuple(about.regions or ()),
        gpus=tuple(name for name, _ in about.gpus),
        timeout=about.timeout or None,
        startup_timeout=about.startup_timeout,
        concurrent=(concurrency.max_inputs or 1) if concurrency else 1,
        window=await _window(function),
    )


async def _window(function: Handle) -> Window:
    return _said(await theirs(function.autoscaler.settings.aio()))


async def _cool(function: Handle) -> Window | None:
    before = await _window(function)
    least = Window(seconds=LEAST_WINDOW)
    return before if _said(await _set(function, least)) == least else None


async def _set(function: Handle, window: Window) -> FunctionAutoscalerSettings:
    update = function.autoscaler.update.aio(scaledown_window=window.seconds, min_containers=window.min_containers)
    settings: FunctionAutoscalerSettings = await theirs(update)
    return settings


def _said(settings: FunctionAutoscalerSettings) -> Window:
    """The two settings that keep idle containers; `buffer_containers` does so only while inputs come."""
    return Window(
        seconds=settings.scaledown_window or _DEFAULT_WINDOW, min_containers=settings.min_containers or 0
    )
