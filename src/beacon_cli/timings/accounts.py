"""A run's account: its events folded into what it used of GPUs, known and at most. Pure.

The one place that says which event is an answer, a loss, or the end of a container's being kept warm.
"""

from __future__ import annotations

from beacon_cli import events as ev
from beacon_cli.timings.costs import Costs
from beacon_cli.timings.losses import Losses
from beacon_cli.timings.waterfall import Waterfalls


class Account:
    """Of one run, over all of its processes. `apply` is told of every event in turn."""

    def __init__(self) -> None:
        self.fold = Waterfalls()
        self.costs = Costs()
        self.losses = Losses()
        self._keeps = False

    def apply(self, event: ev.Event) -> None:
        """Take one more event into account."""
        for lost in self.losses.apply(event):
            self.costs.lose(lost)
        self._follow(event)
        told = self.fold.apply(event)
        if told is not None and told.sample is not None:
            self.costs.add(told.sample)

    def _follow(self, event: ev.Event) -> None:
        """Containers that are kept, let go, or end with their provider."""
        costs, speed = self.costs, self.fold.speed
        match event:
            case ev.RunStarted() | ev.RunResumed():
                # What a process that died has kept is put back by the next; a played provider ended with it.
                costs.let_go(self.losses.latest if self.losses.is_played_anew else event.at, speed)
                if isinstance(event, ev.RunResumed) and self.losses.is_played_anew:
                    costs.end_containers()
                self._keeps = event.keep_warm
            case ev.RegionStarted(region=region) if self._keeps:
                costs.keep(region, event.at)
            case ev.RegionFinished(region=region) | ev.RegionGivenUp(region=region):
                costs.let_go(event.at, speed, region)
            case ev.RunInterrupted() | ev.RunFinished():
                costs.let_go(event.at, speed)
            case _:
                pass
