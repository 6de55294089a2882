"""Findings for programs: the verdicts with their figures in one flat record each, then all else. Pure.

The form is docs/report.md's; later versions may add fields. The answers themselves are not in it: `beacon export`
has them.
"""

from __future__ import annotations

import json

import msgspec

from beacon_cli.evidence.findings import Effect, Findings, NoiseFloor, Parity, Role, Verdict
from beacon_cli.model import JsonObject
from beacon_cli.report.frame import Frame

LEFT_OUT = ("answers", "prompts")


def document(findings: Findings, frame: Frame) -> str:
    """One JSON object in ASCII, indented; half characters in names are escapes, as they came."""
    whole = msgspec.to_builtins(msgspec.structs.replace(findings, answers=(), prompts=()))
    verdicts = [_verdict(verdict, findings) for verdict in findings.verdicts]
    rest = {name: value for name, value in whole.items() if name not in {*LEFT_OUT, "verdicts", "schema"}}
    sources = msgspec.to_builtins(frame.sources)
    made = {"schema": findings.schema, "verdicts": verdicts, "sources": sources, **rest}
    return json.dumps(made, indent=2, allow_nan=False)


def _verdict(verdict: Verdict, findings: Findings) -> JsonObject:
    primary = _of(findings.effects, verdict.model)
    parity = _parity(findings.parity, verdict.model)
    return {
        "model": verdict.model,
        "verdict": verdict.outcome.value,
        "larger_than": verdict.larger_than,
        "sentence": verdict.sentence,
        "why": list(verdict.why),
        "settle": verdict.settle,
        "rehearsal": verdict.rehearsal,
        "called": parity.words if parity else None,
        **_figures(primary),
        "noise_floor": _noise(findings.noise, verdict.model),
    }


def _of(effects: tuple[Effect, ...], model: str) -> Effect | None:
    return next((each for each in effects if each.model == model and each.role is Role.PRIMARY), None)


def _parity(found: tuple[Parity, ...], model: str) -> Parity | None:
    return next((each for each in found if each.model == model), None)


def _figures(effect: Effect | None) -> JsonObject:
    """The primary test's; each null where there is none."""
    return {
        "measure": effect.measure if effect else None,
        "between": list(effect.widest) if effect and effect.widest else None,
        "gap": effect.gap if effect else None,
        "low": effect.low if effect else None,
        "high": effect.high if effect else None,
        "confidence": effect.confidence if effect else None,
        "p": effect.p if effect else None,
        "p_adjusted": effect.p_adjusted if effect else None,
        "tests": effect.family if effect else 0,
        "containers": {each.group: each.containers for each in effect.starts} if effect else {},
        "questions": effect.questions if effect else 0,
        "questions_planned": effect.questions_planned if effect else 0,
        "smallest_detectable": effect.smallest_detectable if effect else None,
    }


def _noise(floors: tuple[NoiseFloor, ...], model: str) -> JsonObject | None:
    floor = next((each for each in floors if each.model == model and each.group is None), None)
    if floor is None:
        return None
    return {
        "repeats": floor.repeats,
        "questions": floor.questions,
        "tar_raw": floor.tar_raw,
        "tar_answer": floor.tar_answer,
        "within": {each.measure: each.mean for each in floor.within},
    }
