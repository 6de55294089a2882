"""What earlier runs say of how long things take, for each region and model; for plans and advice. Pure.

Where nothing was measured the original system's figures stand in, and say so.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import msgspec

from beacon_cli.timings.samples import Sample
from beacon_cli.timings.spread import Distribution, Spread, assumed, measured


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed before anything was measured: seconds, evenly between bounds; `starts` by region's id."""

    generation: tuple[float, float] = (3.0, 5.0)
    start: tuple[float, float] = (30.0, 90.0)
    starts: dict[str, tuple[float, float]] = {}


ORIGINAL_FIGURES = Figures(starts={"asia": (360.0, 420.0)})
"""The original system's architecture analysis: answers 3 to 5 s, cold starts 30 to 90 s, in APAC over 6 minutes.

How far over six minutes it does not say; here up to seven.
"""


_MOST_GPUS = 50
"""Names of GPUs that are kept of one model in one region: answers may name any."""


class CellHistory:
    """What was measured of one model in one region."""

    def __init__(self) -> None:
        self.start = Spread()
        """Seconds of cold starts, boot and load."""
        self.generation = Spread()
        self.overhead = Spread()
        """Seconds of answers that their containers do not account for: backlog, network, beacon itself."""
        self.cold = 0
        self.warm = 0
        self.gpus: Counter[str] = Counter()


class History:
    """Samples of any number of runs; `n` counts answers. Memory is bounded by the regions and models."""

    def __init__(self) -> None:
        self.cells: defaultdict[tuple[str, str], CellHistory] = defaultdict(CellHistory)
        self.n = 0

    def add(self, sample: Sample) -> None:
        """Take one more answer into account, or one more container that was woken."""
        cell = self.cells[sample.region, sample.model]
        claims = sample.claims
        if not sample.woken:
            self._answered(cell, sample)
        if claims.cold and claims.start is not None:
            cell.start.add(claims.start)
        if claims.gpu is not None and (claims.gpu in cell.gpus or len(cell.gpus) < _MOST_GPUS):
            cell.gpus[claims.gpu] += 1

    def _answered(self, cell: CellHistory, sample: Sample) -> None:
        self.n += 1
        claims = sample.claims
        if claims.generation is not None:
            cell.generation.add(claims.generation)
        if claims.cold is not None:
            cell.cold += claims.cold
            cell.warm += not claims.cold
        if sample.overhead is not None:
            cell.overhead.add(sample.overhead)

    def start(self, region: str, model: str, instead: Figures = ORIGINAL_FIGURES) -> Distribution:
        """How long a container of this model takes to start cold in this region, boot and load, in seconds."""
        cell = self.cells.get((region, model))
        return (measured(cell.start) if cell else None) or assumed(*instead.starts.get(region, instead.start))

    def generation(self, region: str, model: str, instead: Figures = ORIGINAL_FIGURES) -> Distribution:
        """How long an answer takes in a warm container, in seconds."""
        cell = self.cells.get((region, model))
        return (measured(cell.generation) if cell else None) or assumed(*instead.generation)

    def overhead(self, region: str, model: str) -> Distribution | None:
        """What comes on top of both for each answer, in seconds; None where nothing was measured."""
        cell = self.cells.get((region, model))
        return measured(cell.overhead) if cell else None

    def gpu(self, region: str, model: str) -> str | None:
        """The GPU that answers most often came from, as the answers name it; None where nobody said."""
        cell = self.cells.get((region, model))
        return cell.gpus.most_common(1)[0][0] if cell and cell.gpus else None
