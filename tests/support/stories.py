"""Rows of results with a story in them, and a reader that knows how they read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beacon_cli.evidence.design import design
from beacon_cli.evidence.findings import Effect, Findings, Role
from beacon_cli.evidence.gathering import asked, gather
from beacon_cli.evidence.judging import Material, compared, findings
from beacon_cli.evidence.readings import Kind, Reading
from beacon_cli.evidence.registration import design_hash
from beacon_cli.model import Analysis, JsonObject, Model, Question, SimulatedTarget, Spec
from beacon_cli.settings import REGIONS

SEEN = {"us": "us-east-1", "eu": "europe-west4-a", "asia": "ap-northeast-1"}
"""What the platform reports where each region's answers come from."""


class Prefixes:
    """Reads an answer by its first word."""

    def read_row(self, row: Mapping[str, Any]) -> Reading:
        """REFUSED, EMPTY and CUT say themselves what they are; without a response nothing came."""
        text = row.get("response")
        if not isinstance(text, str):
            return Reading(kind=Kind.INFRASTRUCTURE, because="no answer")
        kinds = {"REFUSED": Kind.HARD_REFUSAL, "EMPTY": Kind.EMPTY, "CUT": Kind.TRUNCATED}
        kind = kinds.get(text.split(" ")[0].strip("."), Kind.SUBSTANTIVE)
        return Reading(kind=kind, language="en", because="its first word")


def job(questions: int = 8, starts: int = 4, models: tuple[str, ...] = ("m",), **values: Any) -> Spec:
    """A spec of so many questions, every fourth a control, repeated on so many container starts."""
    return Spec(
        **{
            "id": "job",
            "regions": REGIONS,
            "models": tuple(Model(id=name) for name in models),
            "questions": tuple(
                Question(id=f"q{n}", text=f"Question {n}?", category="" if n % 4 else "control")
                for n in range(questions)
            ),
            "target": SimulatedTarget(),
            "repeats": starts,
            "analysis": Analysis(),
            **values,
        }
    )


def row(region: str, question: str, repeat: int, response: str | None = "Yes.", **values: Any) -> JsonObject:
    """A row of results.jsonl of the documented form."""
    model = values.get("model", "m")
    return {
        "run_id": "run",
        "job_id": "job",
        "execution_id": f"{model}-{region}-{question}-{repeat}",
        "region": region,
        "model": model,
        "question_id": question,
        "context": None,
        "repeat": repeat,
        "status": "succeeded" if response is not None else "failed",
        "response": response,
        "error": None if response is not None else {"kind": "platform", "message": "gone"},
        "attempts": 1,
        "call_id": "fc-1",
        "container": f"ta-{model}-{region}-{repeat}" if response is not None else None,
        "cold_start": True,
        "queued_at": None,
        "started_at": "2026-11-21T19:37:43.614Z",
        "finished_at": "2026-11-21T19:37:44.614Z",
        "seconds": 1.0,
        "provenance": {
            "modal_region": SEEN[region],
            "cloud": "CLOUD_PROVIDER_AWS",
            "revision": "abc",
            "image": "im-1",
            "gpu": "T4",
            "finish_reason": "stop",
            "tokens_generated": 7,
        },
        "cut_from": None,
        "rehearsal": False,
        **values,
    }


def story(spec: Spec, **refusals: float) -> list[JsonObject]:
    """Every row of the spec, of which the given share of each region's questions is refused in every repeat."""
    return [
        row(
            region.id,
            question.id,
            repeat,
            "REFUSED to say."
            if number < round(refusals.get(region.id, 0.0) * len(spec.questions))
            else f"Answer {number} of {repeat}.",
            model=model.id,
        )
        for model in spec.models
        for region in spec.regions
        for number, question in enumerate(spec.questions)
        for repeat in range(1, spec.repeats + 1)
    ]


def found(rows: list[JsonObject], spec: Spec | None, *, registered: bool = True, **values: Any) -> Findings:
    """The findings on these rows."""
    plan = design(spec, design_hash(spec) if spec and registered else None)
    about = Material(
        **{
            "job": "job",
            "runs": ("run",),
            "rehearsal": False,
            "recompute": "beacon report run",
            "spec": spec,
            **values,
        }
    )
    return findings(gather(rows, Prefixes(), asked(spec, REGIONS)), plan, about)


def primary(these: Findings, model: str = "m") -> Effect:
    """The primary test of one model."""
    return next(each for each in these.effects if each.role is Role.PRIMARY and each.model == model)


def runs(spec: Spec, first: list[JsonObject], second: list[JsonObject]) -> Findings:
    """Two runs of one job, compared."""
    about = Material(job="job", runs=("A", "B"), rehearsal=False, recompute="beacon compare A B", spec=spec)
    one, other = (
        [each | {"container": f"{name}{each['container']}"} for each in rows]
        for name, rows in (("A", first), ("B", second))
    )
    known = asked(spec)
    return compared(
        gather(one, Prefixes(), known, by_run="A"),
        gather(other, Prefixes(), known, by_run="B"),
        design(spec, design_hash(spec)),
        about,
    )
