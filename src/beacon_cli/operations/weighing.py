"""What a job's design can find before anything is paid for: `beacon plan --power`. Starts nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from beacon_cli import selection, wiring
from beacon_cli.display import paper
from beacon_cli.model import Analysis, Selection, Spec
from beacon_cli.operations.reporting import check_installed

if TYPE_CHECKING:
    from beacon_cli.evidence import power as powers

_WARM = 3
"""Containers in a region that one wave can have at most: what the workspace allows a region at a time."""
_MODERATE = 0.05
"""How much a container's own rate varies, as a standard deviation, where containers do differ."""


def power(job: Path, chosen: Selection, *, as_json: bool) -> None:
    """Say what the design of a job can detect and what it would take, for containers that differ and that do not.

    Raises:
        SpecError: the job is wrong; every fault is named.
        StartError: what it computes with is not installed.
    """
    check_installed()
    settings = wiring.settings()
    spec = selection.narrow(wiring.job(job, settings)[1], chosen, settings.regions)
    from beacon_cli.evidence import power as powers
    from beacon_cli.report import power as words

    size = powers.Size(
        prompts=len(spec.questions) * (len(spec.contexts) or 1), starts=_starts(spec), groups=len(spec.regions)
    )
    analysis = spec.analysis or Analysis()
    found = words.Weighed(
        job=spec.id,
        models=len(spec.models),
        primary=analysis.primary,
        is_declared=spec.design.container_starts is not None,
        alike=_of(size, analysis, spec, powers.Noise()),
        varying=_of(size, analysis, spec, powers.Noise(container=_MODERATE)),
        container=_MODERATE,
    )
    if as_json:
        paper.put(json.dumps(msgspec.to_builtins(found), indent=2), sys.stdout)
    else:
        paper.say(words.lines(found), sys.stdout, whole=True)


def _starts(spec: Spec) -> int:
    return spec.design.container_starts or min(_WARM, spec.limits.per_region)


def _of(size: powers.Size, analysis: Analysis, spec: Spec, noise: powers.Noise) -> powers.Power:
    from beacon_cli.evidence.power import power as weigh

    return weigh(size, analysis.smallest_gap, alpha=analysis.alpha, tests=len(spec.models), noise=noise)
