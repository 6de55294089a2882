"""What became of containers that were to start: told line by line as it happens, and as a whole at the end."""

from __future__ import annotations

import json
import sys

import msgspec

from beacon_cli import events as ev
from beacon_cli.display import paper
from beacon_cli.display.clean import excerpt
from beacon_cli.display.plain import Telling
from beacon_cli.display.words import precise
from beacon_cli.model import Spec
from beacon_cli.results import Standings

NOT_ALL = 3
"""The exit code where not everything is as it was asked for."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """How one model's container came. `seconds` is None where it did not; `cold` where it did not say."""

    region: str
    model: str
    ready: bool
    seconds: float | None = None
    cold: bool | None = None
    container: str | None = None
    reason: str = ""


class Watcher:
    """Tells people what happens, line by line, and keeps what came of each model."""

    def __init__(self, *, quiet: bool) -> None:
        self.ready: dict[tuple[str, str], Ready] = {}
        self.lost: list[str] = []
        self._telling = Telling()
        self._quiet = quiet

    async def handle(self, event: ev.Event, standings: Standings) -> None:
        """See `ports.Listener.handle`."""
        match event:
            case ev.RunStarted() | ev.RegionStarted():
                return
            case ev.Warmed(region=region, model=model, answer=answer):
                self.ready[region, model] = Ready(
                    region=region,
                    model=model,
                    ready=True,
                    seconds=round(event.seconds, 3),
                    cold=answer.cold_start,
                    container=answer.container,
                )
            case ev.WarmingFailed(region=region, model=model, failure=failure):
                reason = getattr(failure, "message", "") or f"not ready within {precise(event.seconds)}"
                self.ready[region, model] = Ready(region=region, model=model, ready=False, reason=reason)
                if not self._quiet:
                    where = f"{excerpt(region, 40)} {excerpt(model, 40)}"
                    paper.say([f"{where}: NOT READY: {excerpt(reason, 300)}"], sys.stdout)
                return
            case ev.TurnLost(region=region, reason=reason):
                self.lost.append(f"{region}: {reason}")
        if not self._quiet:
            paper.say(self._telling.lines(event, standings), sys.stdout)

    def slowest(self, region: str) -> str:
        """How long a region's containers took to start, at most."""
        here = [each for each in self.ready.values() if each.region == region]
        starts = [each.seconds for each in here if each.seconds is not None]
        if not starts:
            return f"{region}: no container started: leave it off"
        return f"{region}: the slowest container started in {precise(max(starts))}; all are let go again"


def tell(spec: Spec, watcher: Watcher, *, as_json: bool) -> int:
    """What became of every model; the exit code says whether all are ready."""
    every: list[Ready] = []
    for region in spec.regions:
        for model in spec.models:
            if model.regions is not None and region.id not in model.regions:
                continue
            none = Ready(region=region.id, model=model.id, ready=False, reason=_UNWOKEN)
            every.append(watcher.ready.get((region.id, model.id), none))
    unwoken = [each for each in every if each.reason == _UNWOKEN]
    if as_json:
        paper.put(json.dumps([msgspec.to_builtins(each) for each in every]), sys.stdout, whole=False)
    elif not watcher.lost:
        paper.say((f"{each.region} {each.model}: NOT READY: {each.reason}" for each in unwoken), sys.stdout)
    return 0 if all(each.ready for each in every) else NOT_ALL


_UNWOKEN = (
    "nothing can be called there but the model; name an address as `health` under [regions.…] in beacon.toml,"
    " or deploy beacon's own apps"
)
