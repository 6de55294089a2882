"""What a region's jobs are like: how many, how much of each went into cold starts, how long containers stay. Pure.

Windows are seen from what containers did, for no journal tells of settings: one that answered after so long a
rest had at least that window, and one that was gone after so long had less.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from beacon_cli.timings.samples import Sample
from beacon_cli.timings.spread import Spread

_AT_ONCE = 1.0
"""Seconds: a container that starts so soon after an answer was needed beside the first."""


class _Latest(msgspec.Struct):
    container: str
    at: float


class Habits:
    """Of one region. Answers come run by run, each run's in their order; `close` ends the last run.

    With `across_runs` False a container of one run is none of the next, whatever its id.
    """

    def __init__(self, *, across_runs: bool = True) -> None:
        self._across_runs = across_runs
        self.jobs = 0
        self.prewarmed_jobs = 0
        """Jobs before which any container was woken."""
        self.cold_seconds = Spread()
        """For each job: the cold starts of the model that had most of them, for models start side by side."""
        self.warming = Spread()
        """For each job that woke containers which had to start: the start of the slowest."""
        self.rests = Spread()
        """For each cold start after an earlier answer of its model: how long the model had rested."""
        self.survived: float | None = None
        """The longest rest after which the same container answered."""
        self.lost: float | None = None
        """The shortest rest after which another container had to start."""
        self.gpus: dict[str, str | None] = {}
        """The GPU of each model, None where no answer named it."""
        self.earliest: float | None = None
        self.latest: float | None = None
        self._run: str | None = None
        self._is_prewarmed = False
        self._woken = 0.0
        self._colds: defaultdict[str, float] = defaultdict(float)
        self._last: dict[str, _Latest] = {}

    def add(self, sample: Sample) -> None:
        """Take one more answer into account."""
        if sample.run != self._run:
            self.close()
            self._run = sample.run
        claims = sample.claims
        self._is_prewarmed |= sample.woken
        self.gpus[sample.model] = claims.gpu or self.gpus.get(sample.model)
        if claims.cold and claims.start is not None:
            if sample.woken:
                self._woken = max(self._woken, claims.start)
            else:
                self._colds[sample.model] += claims.start
        if sample.at is not None:
            self.earliest = min(self.earliest or sample.at, sample.at)
            self.latest = max(self.latest or sample.at, sample.at)
            self._rest(sample, sample.at)

    def _rest(self, sample: Sample, at: float) -> None:
        claims, before = sample.claims, self._last.get(sample.model)
        if claims.container is None or claims.cold is None:
            return
        self._last[sample.model] = _Latest(claims.container, at)
        inside = sample.seen if claims.cold else sample.seconds
        if before is None or inside is None:
            return
        rest = (at - before.at) * sample.speed - inside
        if rest <= _AT_ONCE:
            return
        if before.container == claims.container:
            self.survived = max(self.survived or 0.0, rest)
        elif claims.cold:
            self.lost = min(self.lost or rest, rest)
            self.rests.add(rest)

    def close(self) -> None:
        """End the run whose answers came last."""
        if self._run is not None:
            self.jobs += 1
            self.prewarmed_jobs += self._is_prewarmed
            self.cold_seconds.add(max(self._colds.values(), default=0.0))
            if self._woken:
                self.warming.add(self._woken)
        self._run = None
        self._is_prewarmed = False
        self._woken = 0.0
        self._colds.clear()
        if not self._across_runs:
            self._last.clear()

    @property
    def prewarmed(self) -> bool:
        """Whether most of its jobs were."""
        return 2 * self.prewarmed_jobs > self.jobs

    @property
    def jobs_per_month(self) -> float | None:
        """At the pace of the days that were seen; None where they are too few to say."""
        if self.earliest is None or self.latest is None or self.latest - self.earliest < _ENOUGH:
            return None
        return self.jobs * _MONTH / (self.latest - self.earliest)


_ENOUGH = 86_400.0
_MONTH = 30.4 * 86_400
