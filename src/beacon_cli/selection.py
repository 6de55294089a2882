"""A part of a job, as the command line asks for it: some regions, models, questions. Pure; knows `model` alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from beacon_cli.errors import UsageError
from beacon_cli.model import Model, Question, Region, Selection, Spec
from beacon_cli.names import RegionNames, quoted, suggestion

_Named = TypeVar("_Named", Model, Question)


def narrow(spec: Spec, selection: Selection, known: Iterable[Region]) -> Spec:
    """The spec with the selected parts alone, in the job's order; `known` are all regions of the configuration.

    Raises:
        UsageError: a name that the job does not have, or a region that the configuration has switched off.
    """
    regions = _regions(spec, selection.regions, RegionNames(known))
    models = _named("model", spec.models, selection.models)
    questions = _named("question", spec.questions, selection.questions)[: selection.limit]
    kept = {region.id for region in regions}
    models = tuple(model for model in models if model.regions is None or kept & set(model.regions))
    if not models:
        raise UsageError("no selected model runs in a selected region: choose others with --region or --model")
    return msgspec.structs.replace(
        spec,
        regions=regions,
        models=models,
        questions=questions,
        schedule=selection.schedule or spec.schedule,
    )


def _regions(spec: Spec, wanted: Iterable[str], known: RegionNames) -> tuple[Region, ...]:
    names = RegionNames(spec.regions)
    kept: set[str] = set()
    for name in wanted:
        region, elsewhere = names.get(name), known.get(name)
        if region is None and elsewhere is not None and elsewhere.id in spec.regions_off:
            raise UsageError(f"region {quoted(name)} is switched off in the configuration; nothing was started")
        if region is None:
            raise UsageError(f"{names.unknown(name)} in this job")
        kept.add(region.id)
    return tuple(region for region in spec.regions if not kept or region.id in kept)


def _named(kind: str, things: tuple[_Named, ...], wanted: Sequence[str]) -> tuple[_Named, ...]:
    known = [thing.id for thing in things]
    for name in wanted:
        if name not in known:
            raise UsageError(f"the job has no {kind} {quoted(name)}{suggestion(name, known)}")
    return tuple(thing for thing in things if not wanted or thing.id in wanted)
