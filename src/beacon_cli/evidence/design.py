"""What a job says it will ask of its answers, and whether it said so before the first of them.

Must not know what came of it.
"""

from __future__ import annotations

from beacon_cli.evidence.findings import Design
from beacon_cli.evidence.registration import analysis_hash, design_hash
from beacon_cli.model import Analysis, DesignRule, Measure, Spec

_ASKS = {
    Measure.REFUSALS: "Does the share of refusals differ",
    Measure.HARD_REFUSALS: "Does the share of hard refusals differ",
    Measure.SOFT_REFUSALS: "Does the share of soft refusals differ",
    Measure.PARTIAL: "Does the share of partial answers differ",
    Measure.SUBSTANTIVE: "Does the share of substantive answers differ",
}


def design(spec: Spec | None, registered: str | None, *, analysis: Analysis | None = None) -> Design:
    """The design of a run: of its spec, or of `analysis` where answers come without one.

    `registered` is the hash that stood in the journal before the first execution, if any.
    """
    declared = analysis or (spec.analysis if spec else None)
    chosen = declared or Analysis()
    rule = spec.design if spec else DesignRule()
    hashed = design_hash(spec) if spec and analysis is None else analysis_hash(chosen)
    asked = _ASKS.get(
        chosen.primary, "Are answers of different regions farther apart than answers of the same one"
    )
    return Design(
        question=chosen.question or f"{asked}{' between the regions' if chosen.primary in _ASKS else ''}?",
        primary=chosen.primary,
        alpha=chosen.alpha,
        smallest_gap=chosen.smallest_gap,
        container_starts=rule.container_starts,
        control_category=chosen.control_category or None,
        repeats=spec.repeats if spec else 0,
        hash=hashed,
        registered=registered == hashed,
        declared=declared is not None,
    )


def asked_of_runs(primary: Measure) -> str:
    """The question of a comparison of runs, whatever the job's own is about regions."""
    if primary in _ASKS:
        return f"{_ASKS[primary]} between the runs?"
    return "Are answers of different runs farther apart than answers of the same one?"


def seed(design: Design) -> int:
    """The seed of all permutations: 63 bits of the design's hash."""
    return int(design.hash[:16], 16) >> 1
