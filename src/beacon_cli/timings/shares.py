"""The parts of many waterfalls summed up, by region and by model. Pure; its size is that of regions and models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from beacon_cli.model import JsonObject
from beacon_cli.timings.waterfall import ASIDE, COLD, Part, Waterfall


class Tally(msgspec.Struct, kw_only=True):
    """What so many executions took, in the provider's seconds.

    `doubted` counts answers that claimed more seconds than there were; `untold` in `parts` holds their time.
    """

    n: int = 0
    answered: int = 0
    doubted: int = 0
    cold: int = 0
    parts: dict[Part, float] = msgspec.field(default_factory=lambda: dict.fromkeys(Part, 0.0))

    def add(self, waterfall: Waterfall) -> None:
        """Take one more into account."""
        self.n += 1
        self.answered += waterfall.answered
        self.doubted += not waterfall.trusted
        self.cold += waterfall.claims.cold is True
        for part, seconds in waterfall.parts.items():
            self.parts[part] += seconds

    @property
    def own(self) -> float:
        """The seconds that were the executions' own: without the waits for turn and order."""
        return sum(seconds for part, seconds in self.parts.items() if part not in ASIDE)

    def share(self, *parts: Part) -> float | None:
        """How much of `own` these parts took, from 0 to 1; None where nothing took any time."""
        own = self.own
        return sum(self.parts[part] for part in parts) / own if own > 0 else None

    @property
    def cold_share(self) -> float | None:
        """How much of `own` went into cold starts, boot and load."""
        return self.share(*COLD)


class Shares:
    """Where the time of a run went. Only `add` changes it."""

    def __init__(self) -> None:
        self.regions: defaultdict[str, Tally] = defaultdict(Tally)
        self.models: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)

    def add(self, waterfall: Waterfall) -> None:
        """Take one more execution into account."""
        self.regions[waterfall.region].add(waterfall)
        self.models[waterfall.region, waterfall.model].add(waterfall)

    def ordered(self, regions: Sequence[str], models: Sequence[str]) -> Shares:
        """The same in the order of these names, whichever ended first; what is not among them comes last."""
        where, who = ({name: number for number, name in enumerate(names)} for names in (regions, models))
        found = Shares()
        found.regions.update(sorted(self.regions.items(), key=lambda each: where.get(each[0], len(where))))
        found.models.update(sorted(self.models.items(), key=lambda each: who.get(each[0][1], len(who))))
        return found


def record(tally: Tally) -> JsonObject:
    """A tally for programs: `seconds` and `shares` by part; a share is None where there was no time."""
    return {
        "executions": tally.n,
        "answered": tally.answered,
        "cold": tally.cold,
        "doubted": tally.doubted,
        "seconds": {part.value: round(seconds, 3) for part, seconds in tally.parts.items() if seconds},
        "shares": {
            part.value: round(share, 4)
            for part in tally.parts
            if part not in ASIDE and (share := tally.share(part))
        },
        "own_seconds": round(tally.own, 3),
        "cold_share": None if tally.cold_share is None else round(tally.cold_share, 4),
    }
