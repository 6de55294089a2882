"""Spec to plan: which executions, in which order, with which ids. Pure: the same spec gives the same plan.

Executions are generated, never stored: a plan of a hundred thousand weighs no more than its spec.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from beacon_cli.model import Context, Execution, Model, OpenaiTarget, Rate, Region, Schedule, Spec
from beacon_cli.templates import fill

Wave: TypeAlias = tuple[Execution, ...]
"""The executions of one question (in one context and repeat) in one region: one for each model of a group."""

_ID_BYTES = 10


def of_one_address(spec: Spec) -> tuple[str, ...]:
    """What is said of regions that are asked at one address: they cannot differ by their region."""
    regions: dict[str, list[str]] = {}
    for region in spec.regions:
        regions.setdefault(_address(spec, region), []).append(region.id)
    return tuple(
        f"{' and '.join(together)} have one address: no difference between them comes from the region"
        for together in regions.values()
        if len(together) > 1
    )


def _address(spec: Spec, region: Region) -> str:
    return spec.target.url(region.id).rstrip("/") if isinstance(spec.target, OpenaiTarget) else region.id


class Group(NamedTuple):
    """Models that have containers in a region side by side, through these repeats.

    `is_fresh`: their containers have to start after the group before it has ended.
    """

    models: tuple[Model, ...]
    repeats: range
    is_fresh: bool


class Plan:
    """The executions of a spec, in order. Within a region: group of models, repeat, context, question."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.planned = {region.id: self._count(region) for region in spec.regions if self._count(region)}
        """How many executions each region has; a region in which no model runs is left out."""

    def __len__(self) -> int:
        return sum(self.planned.values())

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions that have something to do."""
        return tuple(region for region in self.spec.regions if region.id in self.planned)

    @property
    def fingerprint(self) -> str:
        """The hash of what shapes an answer beside the prompt: sampling and target."""
        shaping = msgspec.json.encode((self.spec.sampling, self.spec.target), order="sorted")
        return hashlib.sha256(shaping).hexdigest()[:16]

    @property
    def rate(self) -> Rate:
        """What one endpoint may be asked in a minute."""
        return self.spec.target.rate if isinstance(self.spec.target, OpenaiTarget) else Rate()

    def endpoint(self, region: Region) -> str:
        """A name for where the region's calls go; regions that share an endpoint share it."""
        return _address(self.spec, region)

    def models(self, region: Region) -> tuple[Model, ...]:
        """The models that run in a region, in the job's order."""
        return tuple(model for model in self.spec.models if model.regions is None or region.id in model.regions)

    def cells(self) -> Iterator[tuple[Region, Model]]:
        """Every pair of region and model that will be called."""
        return ((region, model) for region in self.regions for model in self.models(region))

    def groups(self, region: Region) -> tuple[Group, ...]:
        """A region's work in groups, one after another, of as many models as may have containers there at once.

        Where the design asks for container starts, each repeat is a group of its own.
        """
        models, every = self.models(region), range(1, self.spec.repeats + 1)
        size = self.spec.limits.models_at_once or len(models)
        several = self.spec.design.container_starts is not None
        parts = [range(repeat, repeat + 1) for repeat in every] if several else [every]
        return tuple(
            Group(models[first : first + size], repeats, is_fresh=several and repeats.start > 1)
            for first in range(0, len(models), size)
            for repeats in parts
        )

    def size(self, group: Group) -> int:
        """How many executions a group of a region's work has."""
        asked = len(self.spec.contexts or (None,)) * len(self.spec.questions)
        return len(group.models) * len(group.repeats) * asked

    def waves(self, region: Region, group: Group | None = None) -> Iterator[Wave]:
        """The region's executions, one wave after another; of one group alone, or of all in turn."""
        if group is None:
            yield from (wave for each in self.groups(region) for wave in self.waves(region, each))
            return
        every, models = self.models(region), group.models
        contexts = self._contexts(region, models)
        in_repeat = len(contexts) * len(self.spec.questions)
        order = every.index(models[0]) * (self.planned[region.id] // len(every))
        order += (group.repeats.start - 1) * in_repeat * len(models)
        cells = [_part(region.id) + _part(model.id) for model in models]
        parted = ((question, _part(question.id) + _part(question.text)) for question in self.spec.questions)
        is_once = len(contexts) * len(group.repeats) == 1  # thousands of questions are kept for a second time only
        questions = parted if is_once else list(parted)
        for repeat in group.repeats:
            repeat_part = _part(str(repeat))
            for context, prompts in contexts:
                tails = [_context_part(context, prompt) + repeat_part for prompt in prompts]
                for question, question_part in questions:
                    yield tuple(
                        Execution(
                            id=_digest(cell + question_part + tail),
                            region=region,
                            model=model,
                            question=question,
                            context=context,
                            repeat=repeat,
                            system_prompt=prompt,
                            order=order + place,
                        )
                        for place, (model, cell, prompt, tail) in enumerate(
                            zip(models, cells, prompts, tails, strict=True)
                        )
                    )
                    order += len(models)

    def lane(self, region: Region, group: Group, model: Model) -> Iterator[Execution]:
        """A group's executions of one of its models, in order."""
        place = group.models.index(model)
        return (wave[place] for wave in self.waves(region, group))

    def executions(self) -> Iterator[Execution]:
        """Every execution: region after region, each in its order."""
        return (execution for region in self.regions for wave in self.waves(region) for execution in wave)

    def lower_bound(self, seconds: Callable[[Execution], float]) -> float:
        """The least wall time, in seconds, if each execution takes `seconds(execution)` and nothing else costs.

        Lockstep: the slowest region's sum over its waves of the slowest model; lanes: the slowest model's sum;
        neither below what the slots in a region and over all allow.
        """
        limits = self.spec.limits
        slots = min(limits.per_region, limits.concurrency)
        longest = work = 0.0
        for region in self.regions:
            in_region = 0.0
            for group in self.groups(region):
                least, group_work = self._group_bound(region, group, slots, seconds)
                in_region += least
                work += group_work
            longest = max(longest, in_region)
        return max(longest, work / limits.concurrency)

    def _group_bound(
        self, region: Region, group: Group, slots: int, seconds: Callable[[Execution], float]
    ) -> tuple[float, float]:
        """The least wall time of a group, and the sum of its executions' times."""
        in_lockstep = work = 0.0
        in_lanes = dict.fromkeys((model.id for model in group.models), 0.0)
        for wave in self.waves(region, group):
            costs = [seconds(execution) for execution in wave]
            work += sum(costs)
            in_lockstep += max(*costs, sum(costs) / slots)
            for execution, cost in zip(wave, costs, strict=True):
                in_lanes[execution.model.id] += cost
        if self.spec.schedule is Schedule.LOCKSTEP:
            return in_lockstep, work
        strands = self.spec.in_flight
        return max(*(lane / strands for lane in in_lanes.values()), work / slots), work

    def _count(self, region: Region) -> int:
        contexts = len(self.spec.contexts) or 1
        return len(self.models(region)) * len(self.spec.questions) * contexts * self.spec.repeats

    def _contexts(
        self, region: Region, models: tuple[Model, ...]
    ) -> list[tuple[Context | None, list[str | None]]]:
        """Each context with its system prompt rendered for each model; without contexts, the job's own prompt."""
        contexts = self.spec.contexts or (None,)
        return [
            (context, [self._system_prompt(region, model, context) for model in models]) for context in contexts
        ]

    def _system_prompt(self, region: Region, model: Model, context: Context | None) -> str | None:
        template = context.system_prompt if context else self.spec.system_prompt
        if template is None:
            return None
        values = {"region.id": region.id, "region.place": region.place, "model.id": model.id}
        return str(fill(template, values))


def _part(text: str) -> bytes:
    """A length before each text, so that no two different cells have the same bytes."""
    data = text.encode()
    return b"%d:" % len(data) + data


def _context_part(context: Context | None, prompt: str | None) -> bytes:
    return _part(context.id if context else "") + (b"-" if prompt is None else _part(prompt))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_ID_BYTES).hexdigest()
