"""What changed in a job since its run began, and whether the run can go on with it. Pure.

What was answered must stay an answer to the same question: a run may grow, never shrink or change its meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from beacon_cli.model import Model, Spec
from beacon_cli.names import quoted

_Thing = TypeVar("_Thing", bound=msgspec.Struct)


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """`added` may go into a run that is amended; with `refused` it must be a new run. Each says what, in words."""

    added: tuple[str, ...]
    refused: tuple[str, ...]


def changes(before: Spec, now: Spec) -> Changes:
    """What differs between the spec that the run began with and the one that its job file gives today."""
    added: list[str] = []
    refused: list[str] = []
    for is_growth, what in _differences(before, now):
        (added if is_growth else refused).append(what)
    return Changes(added=tuple(added), refused=tuple(refused))


def _differences(before: Spec, now: Spec) -> Iterator[tuple[bool, str]]:
    """Each difference, and whether it only adds to the run."""
    for field in ("id", "system_prompt", "sampling", "target", "analysis", "design"):
        if getattr(before, field) != getattr(now, field):
            yield False, f"{_NAMES.get(field, field)} changed"
    off = {region.id for region in before.regions} & set(now.regions_off)
    for name in sorted(off):
        yield False, f"region {quoted(name)} is switched off in the configuration now"
    kept = {region.id: region for region in before.regions if region.id not in off}
    yield from _things("region", kept, {region.id: region for region in now.regions})
    yield from _things("question", {q.id: q for q in before.questions}, {q.id: q for q in now.questions})
    yield from _things("context", {c.id: c for c in before.contexts}, {c.id: c for c in now.contexts})
    if bool(before.contexts) != bool(now.contexts):
        yield False, "contexts take the place of the system prompt that was asked before"
    yield from _models({m.id: m for m in before.models}, {m.id: m for m in now.models}, now)
    if before.repeats != now.repeats:
        yield now.repeats > before.repeats, f"repeats: {before.repeats} before, {now.repeats} now"
    for field in ("limits", "retry", "breaker", "schedule", "description"):
        if getattr(before, field) != getattr(now, field):
            yield True, f"{field} changed"


_NAMES = {
    "id": "the job's id",
    "system_prompt": "the system prompt",
    "target": "the executor",
    "analysis": "the analysis",
    "design": "the design",
}


def _things(kind: str, before: Mapping[str, _Thing], now: Mapping[str, _Thing]) -> Iterator[tuple[bool, str]]:
    for name in before.keys() - now.keys():
        yield False, f"{kind} {quoted(name)} is no longer there"
    for name in now.keys() - before.keys():
        yield True, f"{kind} {quoted(name)} is new"
    for name in before.keys() & now.keys():
        if before[name] != now[name]:
            yield False, f"{kind} {quoted(name)} changed"


def _models(before: Mapping[str, Model], now: Mapping[str, Model], spec: Spec) -> Iterator[tuple[bool, str]]:
    everywhere = frozenset(region.id for region in spec.regions)

    def runs_in(model: Model) -> frozenset[str]:
        return everywhere if model.regions is None else frozenset(model.regions)

    for name in before.keys() - now.keys():
        yield False, f"model {quoted(name)} is no longer there"
    for name in now.keys() - before.keys():
        yield True, f"model {quoted(name)} is new"
    for name in before.keys() & now.keys():
        was, runs = runs_in(before[name]), runs_in(now[name])
        if was != runs:
            yield was <= runs, f"model {quoted(name)} runs in other regions"
