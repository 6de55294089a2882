"""Warm and cold answers counted and timed, over any number of runs or from an app's own log. Pure.

Small numbers stay small: a quantile is given only where enough values stand behind it (`NEEDED`), a rate always
with its interval. Memory is bounded whatever comes in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from beacon_cli.evidence.shares import wilson
from beacon_cli.model import JsonObject
from beacon_cli.timings.claims import of_mapping
from beacon_cli.timings.samples import Sample
from beacon_cli.timings.spread import Spread

NEEDED = {0.5: 1, 0.95: 20, 0.99: 100}
"""So many values at least for each quantile: with fewer it would be the largest of them under another name."""
MOST_CELLS = 500
MOST_DAYS = 400
OTHERS = "(others)"
"""Stands for the names past `MOST_CELLS`."""
NOT_SAID = "(not said)"
MARK = "[METRICS]"
"""Before the JSON object of a line in an app's log."""

_DAY = 86_400
_LAST = 4_102_444_800.0
"""The year 2100: no answer comes from later."""
_LONGEST_NAME = 80


class Group:
    """The answers of one region, one model in it, or one day."""

    def __init__(self) -> None:
        self.n = 0
        self.cold = 0
        self.warm = 0
        self.woken = 0
        """Containers that were started, or found, before they were asked; no answers."""
        self.warm_seconds = Spread()
        """Of answers from warm containers: how long each took inside."""
        self.cold_seconds = Spread()
        """Of answers that a container started for: its start and the answer."""
        self.starts = Spread()
        """The starts alone, boot and load; those of containers that were woken too."""
        self.memory = Spread()
        """Of the GPU, as the answers report it."""

    def add(self, sample: Sample) -> None:
        """Take one more answer into account, or one more container that was woken."""
        claims, seconds = sample.claims, sample.seconds
        if claims.cold and claims.start is not None:
            self.starts.add(claims.start)
        if sample.woken:
            self.woken += 1
            return
        self.n += 1
        if claims.memory is not None:
            self.memory.add(claims.memory)
        if claims.cold is None:
            return
        self.cold += claims.cold
        self.warm += not claims.cold
        if seconds is not None:
            (self.cold_seconds if claims.cold else self.warm_seconds).add(seconds)

    def merge(self, other: Group) -> None:
        """Take all answers of another group into account."""
        self.n += other.n
        self.cold += other.cold
        self.warm += other.warm
        self.woken += other.woken
        for mine, theirs in zip(self._spreads, other._spreads, strict=True):
            mine.merge(theirs)

    @property
    def _spreads(self) -> tuple[Spread, ...]:
        return self.warm_seconds, self.cold_seconds, self.starts, self.memory

    @property
    def told(self) -> int:
        """The answers that said how their container was."""
        return self.cold + self.warm

    @property
    def rate(self) -> float | None:
        """The share of cold ones; None where none said."""
        return self.cold / self.told if self.told else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the rate, as if answers were independent; None where none said."""
        return wilson(self.cold, self.told) if self.told else None


class Metrics:
    """All of it. Only `add` changes it."""

    def __init__(self) -> None:
        self.models: defaultdict[tuple[str, str], Group] = defaultdict(Group)
        """By region and model."""
        self.days: defaultdict[int, Group] = defaultdict(Group)
        """By the number of the day since 1970-01-01, in UTC."""
        self.undated = 0
        self.earliest: float | None = None
        self.latest: float | None = None

    def add(self, sample: Sample) -> None:
        """Take one more answer into account."""
        cell = (sample.region, sample.model)
        if cell not in self.models and len(self.models) >= MOST_CELLS:
            cell = (OTHERS, OTHERS)
        self.models[cell].add(sample)
        if sample.at is None or not 0 <= sample.at < _LAST:
            self.undated += 1
        else:
            self.earliest = min(self.earliest or sample.at, sample.at)
            self.latest = max(self.latest or sample.at, sample.at)
            self._add_to_day(int(sample.at // _DAY), sample)

    def _add_to_day(self, number: int, sample: Sample) -> None:
        """Only the newest `MOST_DAYS` are kept."""
        if number not in self.days and len(self.days) >= MOST_DAYS:
            oldest = min(self.days)
            if number < oldest:
                return
            del self.days[oldest]
        self.days[number].add(sample)

    @property
    def n(self) -> int:
        """All answers."""
        return sum(group.n for group in self.models.values())

    def by_name(self) -> list[tuple[tuple[str, str], Group]]:
        """The models by the names of their regions and their own, the rest of all last; not as answers came."""
        return sorted(self.models.items(), key=lambda each: (each[0][0] == OTHERS, each[0]))

    @property
    def regions(self) -> dict[str, Group]:
        """The groups of all models of each region together."""
        found = defaultdict[str, Group](Group)
        for (region, _), group in self.by_name():
            found[region].merge(group)
        return dict(found)

    @property
    def all(self) -> Group:
        """All answers together."""
        whole = Group()
        for group in self.models.values():
            whole.merge(group)
        return whole


def quantile(values: Spread, share: float) -> float | None:
    """A quantile of `NEEDED`, where enough values stand behind it."""
    return values.quantile(share) if values.n >= NEEDED[share] else None


def day(number: int) -> str:
    """The date of a day by its number since 1970-01-01."""
    return datetime.fromtimestamp(number * _DAY, UTC).date().isoformat()


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """The medians of one region held against those of another; None where either has none.

    `n` counts all answers of both, `warm_n` and `cold_n` those that the medians are of.
    """

    region: str
    other: str
    warm: tuple[float, float] | None
    cold: tuple[float, float] | None
    n: tuple[int, int]
    warm_n: tuple[int, int]
    cold_n: tuple[int, int]


def against(metrics: Metrics, region: str = "eu", other: str = "us") -> Against | None:
    """Europe against the United States, unless others are named; None where one of them has no answers."""
    regions = metrics.regions
    mine, theirs = regions.get(region), regions.get(other)
    if mine is None or theirs is None:
        return None

    def pair(one: Spread, two: Spread) -> tuple[float, float] | None:
        first, second = one.quantile(0.5), two.quantile(0.5)
        return None if first is None or second is None else (first, second)

    return Against(
        region=region,
        other=other,
        warm=pair(mine.warm_seconds, theirs.warm_seconds),
        cold=pair(mine.cold_seconds, theirs.cold_seconds),
        n=(mine.n, theirs.n),
        warm_n=(mine.warm_seconds.n, theirs.warm_seconds.n),
        cold_n=(mine.cold_seconds.n, theirs.cold_seconds.n),
    )


def record(group: Group) -> JsonObject:
    """A group for programs: seconds; None for what too few values stand behind."""
    interval = group.interval
    return {
        "n": group.n,
        "cold": group.cold,
        "warm": group.warm,
        "woken": group.woken,
        "cold_rate": None if group.rate is None else round(group.rate, 4),
        "cold_rate_interval": None if interval is None else [round(bound, 4) for bound in interval],
        "warm_seconds": _spread(group.warm_seconds),
        "cold_seconds": _spread(group.cold_seconds),
        "start_seconds": _spread(group.starts),
        "gpu_memory": {"n": group.memory.n, "p50": quantile(group.memory, 0.5), "max": _most(group.memory)},
    }


def _spread(values: Spread) -> JsonObject:
    found = {f"p{100 * share:g}": quantile(values, share) for share in NEEDED}
    return {
        "n": values.n,
        **{name: _rounded(each) for name, each in found.items()},
        "max": _rounded(_most(values)),
    }


def _most(values: Spread) -> float | None:
    return values.most if values.n else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def of_log_line(line: str) -> Sample | None:
    """The answer that a line of an app's log tells of; None for every other line.

    Raises:
        ValueError: it has the mark, and what follows is no JSON object.
    """
    _, mark, rest = line.partition(MARK)
    if not mark:
        return None
    try:
        said, _ = _DECODER.raw_decode(rest.lstrip())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError("no JSON object follows the mark")  # noqa: TRY004 - callers count ValueErrors
    cold, container = said.get("cold_start"), said.get("container")
    return Sample(
        region=_name(said.get("region")),
        model=_name(said.get("model")),
        at=_moment(said.get("at", said.get("started_at"))),
        claims=of_mapping(
            said,
            cold=cold if type(cold) is bool else None,
            container=container if type(container) is str else None,
        ),
    )


_DECODER = json.JSONDecoder()


def _name(value: Any) -> str:
    return value[:_LONGEST_NAME] if type(value) is str and value else NOT_SAID


def _moment(value: Any) -> float | None:
    """A point in time as an app may write it: seconds since the epoch, or ISO 8601 (UTC unless it says)."""
    if type(value) in {int, float}:
        return float(value) if 0 <= value < _LAST else None
    if type(value) is not str:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
