"""What a design can find, in lines for a terminal. Pure; whoever prints them makes them safe."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from beacon_cli.evidence.power import FEWEST_STARTS, Power
from beacon_cli.report.gates import RATES


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """The power of a job's design, if containers are `alike` and if their rates vary by `container` (an sd).

    `is_declared`: the job says how many container starts; else the most that one wave has is taken.
    """

    job: str
    models: int
    primary: str
    is_declared: bool
    alike: Power
    varying: Power
    container: float


def lines(found: Weighed) -> Iterator[str]:
    """What it can find, what it would take, and why a small one can find nothing."""
    size, gap = found.alike.size, _points(found.alike.gap)
    each = f"{found.models} {'model' if found.models == 1 else 'models'} (each at p {found.alike.level:.4f})"
    yield (
        f"{found.job}: {size.prompts:,} questions x {size.starts} container starts in each of"
        f" {size.groups} regions, {each}"
    )
    if not found.is_declared:
        yield f"The job does not say how many container starts it wants; one wave has {size.starts} a region."
    if found.primary not in {*map(str, RATES)}:
        yield f"The primary measure is a distance ({found.primary}); the figures are those of a rate, as a guide."
    yield ""
    if size.groups < 2 or size.starts < FEWEST_STARTS:  # noqa: PLR2004 - a comparison needs two
        yield f"WARNING: {found.alike.sentence.rstrip('.')}."
        if size.groups > 1:
            yield f"Ask for more: `design: {{container_starts: {FEWEST_STARTS + 1}}}`"
        return
    yield f"containers that are alike:        {found.alike.sentence}"
    yield f"containers that vary by {_points(found.container)} points: {found.varying.sentence}"
    yield ""
    yield from _needed(f"to find a gap of {gap} points in 80 of 100 runs, containers alike", found.alike)
    yield from _needed("the same where they vary", found.varying)


def _needed(said: str, power: Power) -> Iterator[str]:
    starts = "no number of container starts up to 40" if power.enough_starts is None else str(power.enough_starts)
    prompts = "no number up to 5,000" if power.enough_prompts is None else f"{power.enough_prompts:,}"
    yield f"{said}:"
    yield f"  {power.size.prompts:,} questions x {starts} container starts, or"
    yield f"  {prompts} questions x {power.size.starts} container starts"


def _points(share: float) -> str:
    return f"{100 * share:g}"
