"""What else differs between the groups, and so what a difference may be called.

A difference is *regional* only where the region alone differs and everything else is known to be the same. Another
prompt in each region compares framings; another model or revision compares models; another image, GPU or engine
compares deployments. Must not know whether there is a difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from beacon_cli.evidence.answers import Answer, Deployment, Exclusion, Fact, Prompt, Survivors
from beacon_cli.evidence.findings import Attribution, Axis, Difference, Parity
from beacon_cli.model import JsonObject, Spec
from beacon_cli.templates import fill

FACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "model": ("served_model", "model"),
        "revision": ("revision", "model_revision", "model_sha", "system_fingerprint"),
        "dtype": ("dtype", "quantization"),
        "engine": ("engine", "backend"),
        "engine version": ("engine_version", "vllm_version", "transformers_version"),
        "image": ("image", "image_id", "modal_image_id"),
        "GPU": ("gpu", "gpu_name"),
        "driver": ("driver", "gpu_driver", "driver_version"),
        "chat template": ("chat_template_sha256", "template_sha256", "chat_template"),
        "cloud": ("cloud",),
        "platform region": ("modal_region", "served_region"),
        "finish reason": ("finish_reason",),
        "temperature": ("temperature",),
        "seed": ("seed",),
    }
)
"""What is told of each answer's making, and the keys of its provenance that may tell it, the first that does."""

REQUIRED = ("revision", "image", "GPU")
"""What has to be known before a difference may be called regional; an image fixes engine, dtype and template."""

_MODELS = frozenset({"model", "revision"})
_PLACES = frozenset({"cloud", "platform region", "finish reason"})
"""They differ because the region does, or because the answers do."""
_WORDS = MappingProxyType(
    {
        Attribution.REGION: "regional difference",
        Attribution.FRAMING: "difference between framings",
        Attribution.MODELS: "difference between models",
        Attribution.DEPLOYMENT: "difference between deployments",
        Attribution.UNATTRIBUTED: "difference of unknown cause",
        Attribution.RUNS: "difference between runs",
    }
)
_MOST_NAMED = 5
"""Questions that are named."""
_LONGEST = 200
"""Characters of a value; hostile, for answers tell them."""


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """How the groups were asked, as far as answers do not tell it: what differs, and what nobody knows."""

    differs: tuple[Difference, ...] = ()
    unknown: tuple[str, ...] = ()


def of_runs(specs: Mapping[str, Spec | None]) -> Beside:
    """What two runs, by name, were asked otherwise: prompts of questions that both have, sampling, executor."""
    known = {name: spec for name, spec in specs.items() if spec is not None}
    if len(known) < len(specs):
        return Beside(unknown=("prompt", "sampling"))
    hashes = {name: _hashes(spec) for name, spec in known.items()}
    both = set.intersection(*map(set, hashes.values()))
    other = sorted(cell for cell in both if len({each[cell] for each in hashes.values()}) > 1)
    differs = []
    if other:
        names = tuple(name for name, _ in other[:_MOST_NAMED]) + ("…",) * (len(other) > _MOST_NAMED)
        differs.append(Difference(what="prompt", values=dict.fromkeys(known, names)))
    told: dict[str, tuple[str, ...]] = {
        name: tuple(f"{key} {value}" for key, value in _sampling(spec)) for name, spec in known.items()
    }
    if len(set(told.values())) > 1:
        differs.append(Difference(what="sampling", values=told))
    asked: dict[str, tuple[str, ...]] = {name: (_digest(spec.target),) for name, spec in known.items()}
    if len(set(asked.values())) > 1:
        differs.append(Difference(what="executor", values=asked))
    return Beside(differs=tuple(differs))


def _hashes(spec: Spec) -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """The prompts of each question in each context."""
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for each in prompts(spec):
        found.setdefault((each.question, each.context or ""), set()).add((each.region or "", each.sha256))
    return {cell: frozenset(hashes) for cell, hashes in found.items()}


def _sampling(spec: Spec) -> list[tuple[str, object]]:
    return sorted(msgspec.to_builtins(spec.sampling).items())


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:12]


def parity(
    model: str,
    answers: Sequence[Answer],
    survivors: Sequence[Survivors],
    prompts: Sequence[Prompt],
    axis: Axis,
    beside: Beside | None = None,
) -> Parity:
    """What differs between the groups for one model; `answers` are its own, `survivors` its groups'."""
    beside = beside or Beside()
    answered = [answer for answer in answers if answer.excluded is not Exclusion.NO_ANSWER]
    groups = [each.group for each in survivors]
    facts = {group: _facts([answer for answer in answered if answer.group == group]) for group in groups}
    by_region = _prompts(prompts, answered) if axis is Axis.REGION else []
    differs = [*by_region, *beside.differs, *_told(facts)]
    unknown = beside.unknown + tuple(
        name
        for name in REQUIRED
        if any(fact.unknown for each in facts.values() for fact in each if fact.name == name)
    )
    attribution = _attribution({difference.what for difference in differs}, unknown, axis)
    return Parity(
        model=model,
        attribution=attribution,
        differs=(*differs, *_missing(survivors)),
        unknown=unknown,
        words=_WORDS[attribution],
    )


def deployments(answers: Sequence[Answer], groups: Sequence[str], models: Sequence[str]) -> tuple[Deployment, ...]:
    """What ran in each group for each model, as the answers tell it."""
    parts: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        if answer.excluded is not Exclusion.NO_ANSWER:
            parts.setdefault((answer.group, answer.model), []).append(answer)
    return tuple(
        Deployment(group=group, model=model, facts=_facts(parts[group, model]))
        for group in groups
        for model in models
        if (group, model) in parts
    )


def prompts(spec: Spec | None) -> tuple[Prompt, ...]:
    """Every prompt of the spec, by region only where its system prompt differs by region."""
    if spec is None:
        return ()
    found: list[Prompt] = []
    for question in spec.questions:
        for context in spec.contexts or (None,):
            template = context.system_prompt if context else spec.system_prompt
            rendered = [
                (region.id, _rendered(template, region.id, region.place, model.id))
                for region in spec.regions
                for model in spec.models
            ]
            by_region = {region: {told for name, told in rendered if name == region} for region, _ in rendered}
            if len(set(map(frozenset, by_region.values()))) <= 1:  # the region makes no difference
                rendered = [("", system) for _, system in rendered]
            systems = list(dict.fromkeys(rendered))
            found += [
                Prompt(
                    question=question.id,
                    context=context.id if context else None,
                    region=region or None,
                    text=question.text,
                    system_prompt=system,
                    sha256=_sha256(system, question.text),
                )
                for region, system in systems
            ]
    return tuple(found)


def _rendered(template: str | None, region: str, place: str, model: str) -> str | None:
    if template is None:
        return None
    return str(fill(template, {"region.id": region, "region.place": place, "model.id": model}))


def _sha256(system: str | None, text: str) -> str:
    data = (system or "").encode("utf-8", "replace") + b"\0" + text.encode("utf-8", "replace")
    return hashlib.sha256(data).hexdigest()


def _facts(answers: Sequence[Answer]) -> tuple[Fact, ...]:
    facts = []
    for name, keys in FACTS.items():
        values = [_value(answer.provenance, keys) for answer in answers]
        told = sorted({value for value in values if value is not None})
        facts.append(Fact(name=name, values=tuple(told), unknown=sum(value is None for value in values)))
    return tuple(facts)


def _value(provenance: JsonObject, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value: Any = provenance.get(key)
        if isinstance(value, str | int | float) and value != "":
            return str(value)[:_LONGEST]
    return None


def _told(facts: Mapping[str, tuple[Fact, ...]]) -> list[Difference]:
    """What answers of one group tell that those of another do not."""
    found = []
    for name in FACTS:
        if name in _PLACES:
            continue
        values = {group: fact.values for group, each in facts.items() for fact in each if fact.name == name}
        if len(set(values.values()) - {()}) > 1:
            found.append(Difference(what=name, values=values))
    return found


def _prompts(prompts: Sequence[Prompt], answers: Sequence[Answer]) -> list[Difference]:
    """Whether a question's prompt is another in another region, among the questions that were answered."""
    asked = {(answer.question, answer.context) for answer in answers}
    by_region: dict[str, set[str]] = {}
    for prompt in prompts:
        if prompt.region is not None and (prompt.question, prompt.context) in asked:
            by_region.setdefault(prompt.region, set()).add(prompt.sha256[:12])
    values = {region: tuple(sorted(hashes)) for region, hashes in by_region.items()}
    return [Difference(what="prompt", values=values)] if len(set(values.values())) > 1 else []


def _missing(survivors: Sequence[Survivors]) -> list[Difference]:
    values: dict[str, tuple[str, ...]] = {each.group: (f"{100 * each.missing:.1f} %",) for each in survivors}
    return [Difference(what="missing answers", values=values)] if len(set(values.values())) > 1 else []


def _attribution(differs: set[str], unknown: tuple[str, ...], axis: Axis) -> Attribution:
    if axis is Axis.RUN:
        return Attribution.RUNS
    if "prompt" in differs:
        return Attribution.FRAMING
    if differs & _MODELS:
        return Attribution.MODELS
    if differs:
        return Attribution.DEPLOYMENT
    return Attribution.UNATTRIBUTED if unknown else Attribution.REGION
