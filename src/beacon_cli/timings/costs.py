"""GPU seconds that a run used, and what they cost: used, cold and idle, and what nobody can know. Pure.

A container is taken to hold one GPU. Its time is counted once, also where it answers several questions at once.
What is not known (a GPU without a price, an answer without its seconds) is counted as unknown, never as nothing.
"""

from __future__ import annotations

from collections import defaultdict
from math import inf

import msgspec

from beacon_cli.model import JsonObject
from beacon_cli.rates import Rates
from beacon_cli.timings.losses import Lost
from beacon_cli.timings.samples import Sample

WINDOW = 300.0
"""Seconds that a container of beacon's own apps may stand idle before it goes, as their settings table has it."""


class Usage(msgspec.Struct, kw_only=True):
    """The seconds of one GPU type in one region for one model.

    `generation` answered, `cold` started containers, `idle` lay between two answers of one container. `failed` is
    what calls without an answer took, attempts and wakings: at most that was paid for. `untold` counts answers
    that did not say their seconds, `untold_seconds` what was waited for them. `unnamed` counts answers that did
    not say which container they came from: the time between them is unknown. `before` is for how long containers
    that were kept warm may have stood there before they answered first.
    """

    answers: int = 0
    containers: int = 0
    generation: float = 0.0
    cold: float = 0.0
    idle: float = 0.0
    failed: float = 0.0
    untold: int = 0
    untold_seconds: float = 0.0
    unnamed: int = 0
    before: float = 0.0

    @property
    def at_most(self) -> float:
        """The seconds that may have been paid for besides those that are known, but for the last windows."""
        return self.failed + self.untold_seconds + self.before

    @property
    def known(self) -> float:
        """The seconds that are known to have been paid for."""
        return self.generation + self.cold + self.idle


class Key(msgspec.Struct, frozen=True, order=True):
    """Whose seconds they are. `gpu` as the answers name it, empty where none did."""

    region: str
    model: str
    gpu: str


class _Container(msgspec.Struct):
    key: Key
    until: float
    """When it last answered, on our clock."""
    kept: float = 0.0
    """The provider's seconds for which it was kept warm after that."""


class Costs:
    """What a run used. Holds no more than regions, models and containers."""

    def __init__(self) -> None:
        self.usages: defaultdict[Key, Usage] = defaultdict(Usage)
        self._containers: dict[str, _Container] = {}
        self._gone: list[_Container] = []
        self._left: list[tuple[str, str]] = []
        """The models whose containers were left behind unnamed."""
        self._gpus: dict[tuple[str, str], str] = {}
        self._kept: dict[str, float] = {}
        """The regions whose containers are kept warm, and since when."""

    @property
    def containers(self) -> int:
        """How many containers gave answers, by their ids."""
        return len(self._containers) + len(self._gone)

    def end_containers(self) -> None:
        """No container of before answers again, also if another has its id: the provider was played, and ended."""
        self._gone += self._containers.values()
        self._containers.clear()

    @property
    def kept(self) -> frozenset[str]:
        """The regions whose containers are kept warm still."""
        return frozenset(self._kept)

    def keep(self, region: str, at: float) -> None:
        """A container of each of a region's models lives from now on, asked or not."""
        self._kept.setdefault(region, at)

    def let_go(self, at: float, speed: float, region: str | None = None) -> None:
        """The containers of a region, or of all, are not kept any more: they stood there until now."""
        over = set(self._kept) if region is None else {region} & set(self._kept)
        for each in self._containers.values():
            if each.key.region in over:
                each.kept = max(0.0, at - each.until) * speed
        for name in over:
            del self._kept[name]

    def add(self, sample: Sample) -> None:
        """Take one more answer into account, or one more woken container."""
        cell, gpu = (sample.region, sample.model), sample.claims.gpu
        if gpu and cell not in self._gpus:
            self._gpus[cell] = gpu
            early = self.usages.pop(Key(*cell, ""), None)  # what was lost before the first answer named the GPU
            if early is not None:
                self.usages[Key(*cell, gpu if early == Usage(failed=early.failed) else "")] = early
        self._answered(Key(*cell, gpu or ""), sample)

    def lose(self, lost: Lost) -> None:
        """Take one more call without an answer into account."""
        cell = (lost.region, lost.model)
        key = Key(*cell, self._gpus.get(cell, ""))
        self.usages[key].failed += lost.seconds
        if lost.is_left:
            self._left.append(cell)

    def _answered(self, key: Key, sample: Sample) -> None:
        usage, claims = self.usages[key], sample.claims
        usage.answers += not sample.woken
        usage.unnamed += claims.container is None
        passed = self._passed(key, sample)
        if (claims.generation is None and not sample.woken) or (claims.cold is not False and claims.start is None):
            usage.untold += 1
            usage.untold_seconds += sample.seen or 0.0
            return
        cold = claims.start or 0.0
        inside = cold + (claims.generation or 0.0)
        # What lies before the container's last answer has been counted with that: it answered several at once.
        usage.idle += max(0.0, passed - inside) if passed < inf else 0.0
        usage.cold += min(cold, passed)
        usage.generation += max(0.0, min(inside, passed) - cold)

    def _passed(self, key: Key, sample: Sample) -> float:
        """The provider's seconds since the container's last answer; infinite if it gave none before."""
        container = sample.claims.container
        if container is None or sample.at is None:
            return inf
        found = self._containers.get(container)
        if found is None:
            self._containers[container] = _Container(key, sample.at)
            self.usages[key].containers += 1
            if key.region in self._kept:
                inside = (sample.claims.start or 0.0) + (sample.claims.generation or 0.0)
                stood = max(0.0, sample.at - self._kept[key.region]) * sample.speed
                self.usages[key].before += max(0.0, stood - inside)
            return inf
        passed = max(0.0, sample.at - found.until) * sample.speed
        found.until, found.kept = max(found.until, sample.at), 0.0
        return passed

    def tail(self, window: float) -> dict[Key, float]:
        """The most that containers may have stood idle after their last answers, if they go after `window`.

        One that was kept warm for longer stood there for so long. A model whose calls gave no answer, or none that
        named its container, is taken to have had one.
        """
        found = defaultdict[Key, float](float)
        for container in (*self._gone, *self._containers.values()):
            found[container.key] += max(window, container.kept)
        for cell in self._left:
            found[Key(*cell, self._gpus.get(cell, ""))] += window
        named = {(key.region, key.model) for key in found}
        for key, usage in self.usages.items():
            if (usage.failed or usage.unnamed) and (key.region, key.model) not in named:
                found[key] += window
        return dict(found)


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """USD. `known` is the sum of what has a price; `unknown` counts the parts that have none."""

    known: float = 0.0
    unknown: int = 0

    @property
    def amount(self) -> float | None:
        """The sum; None where a part of it has no price."""
        return None if self.unknown else self.known


def price(seconds: float, key: Key, rates: Rates) -> float | None:
    """What so many seconds cost; None where the GPU or the region has no price."""
    rate = rates.per_second(key.gpu, key.region)
    return None if rate is None else seconds * rate


def total(costs: Costs, rates: Rates) -> Money:
    """What the known seconds cost, over all."""
    prices = [price(usage.known, key, rates) for key, usage in costs.usages.items() if usage.known]
    untold = sum(usage.untold > 0 for usage in costs.usages.values())
    return Money(known=sum(each for each in prices if each is not None), unknown=prices.count(None) + untold)


def record(costs: Costs, rates: Rates, window: float) -> JsonObject:
    """All of it for programs: seconds and USD, None where unknown."""
    tails = costs.tail(window)
    whole = total(costs, rates)
    return {
        "usages": [
            {
                "region": key.region,
                "model": key.model,
                "gpu": key.gpu or None,
                "answers": usage.answers,
                "containers": usage.containers,
                "gpu_seconds": {
                    "generation": round(usage.generation, 3),
                    "cold": round(usage.cold, 3),
                    "idle": round(usage.idle, 3),
                },
                "at_most_seconds": {
                    "failed": round(usage.failed, 3),
                    "kept_before_the_first": round(usage.before, 3),
                    "idle_after_the_last": round(tails.get(key, 0.0), 3),
                },
                "untold": {"answers": usage.untold, "waited_seconds": round(usage.untold_seconds, 3)},
                "without_container": usage.unnamed,
                "usd_per_second": rates.per_second(key.gpu, key.region),
                "usd": _usd(price(usage.known, key, rates)),
                "usd_at_most": _usd(price(usage.known + usage.at_most + tails.get(key, 0.0), key, rates)),
            }
            for key, usage in sorted(costs.usages.items())
        ],
        "usd": _usd(whole.amount),
        "usd_known": _usd(whole.known),
        "without_price": whole.unknown,
        "scaledown_window": window,
        "rates": {"dated": rates.dated, "source": rates.source, "gpu": rates.gpu, "region": rates.region},
    }


def _usd(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 6)
