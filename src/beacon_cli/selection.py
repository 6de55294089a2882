"""A part of a job, as the command line asks for it: some regions, models, questions. Pure; knows `model` alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

import msgspec

from beacon_cli.errors import UsageError
from beacon_cli.model import Model, Question, Region, Selection, Spec

_Named = TypeVar("_Named", Model, Question)


def narrow(spec: Spec, selection: Selection) -> Spec:
    """The spec with the selected parts alone, in the job's order.

    Raises:
        UsageError: a name that the job does not have, or a region that the configuration has switched off.
    """
    regions = _regions(spec, selection.regions)
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


def _regions(spec: Spec, wanted: Iterable[str]) -> tuple[Region, ...]:
    names = {name.casefold(): region for region in spec.regions for name in (region.id, *region.aliases)}
    kept: set[str] = set()
    for name in wanted:
        if name.casefold() in spec.regions_off:
            raise UsageError(f"region {name!r} is switched off in the configuration; nothing was started")
        if name.casefold() not in names:
            raise UsageError(f"the job has no region {name!r}{_nearest(name, list(names))}")
        kept.add(names[name.casefold()].id)
    return tuple(region for region in spec.regions if not kept or region.id in kept)


def _named(kind: str, things: tuple[_Named, ...], wanted: Sequence[str]) -> tuple[_Named, ...]:
    known = [thing.id for thing in things]
    for name in wanted:
        if name not in known:
            raise UsageError(f"the job has no {kind} {name!r}{_nearest(name, known)}")
    return tuple(thing for thing in things if not wanted or thing.id in wanted)


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(known)}"
