"""One question to one model in one region: a job of one execution, carried out and kept as any other."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from beacon_cli import replay, rows, selection, wiring
from beacon_cli.display import paper
from beacon_cli.display.clean import Lines, clean
from beacon_cli.errors import SpecError, UsageError
from beacon_cli.model import JsonObject, ModalTarget, Question, Selection, Spec
from beacon_cli.names import RegionNames
from beacon_cli.operations import carry_out
from beacon_cli.operations.orders import Order
from beacon_cli.plan import Plan
from beacon_cli.settings import Settings

_QUESTION = "question"
"""The id of the question that is asked."""
_OPTIONS = {
    "sampling.temperature": "--temperature",
    "sampling.max_tokens": "--max-tokens",
    "models[0].id": "--model",
    "questions[0].text": "QUESTION",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What `beacon ask` was asked for. `job` names a file in which all else stands: executor, prompt, limits."""

    question: str
    model: str
    region: str
    job: Path | None = None
    temperature: float | None = None
    max_tokens: int | None = None


def ask(asked: Asked, order: Order, *, as_json: bool) -> int:
    """Ask, and print the answer alone on stdout, or with `as_json` its row; gives the exit code of the run.

    Raises:
        UsageError: there is no such region.
        BeaconError: as `carry_out.run`.
    """
    settings = wiring.settings()
    job, spec = _of_file(asked, asked.job, settings) if asked.job else _alone(asked, settings)
    ended = carry_out.begin(order, settings, job, spec)
    (row,) = replay.result_rows(ended.folder.journal, Plan(spec).executions())
    if as_json:
        paper.put(rows.to_line(row).decode().rstrip(), sys.stdout, whole=False)
    elif row["response"] is not None:
        paper.put(clean(row["response"], lines=Lines.KEEP), sys.stdout, whole=False)
    else:
        run_id, error = ended.folder.run_id, row["error"] or {}
        said = error.get("message", row["status"])
        paper.tell([f"beacon: no answer: {said}. Again:  beacon {_again(row)} {run_id}"])
    return ended.code


def _alone(asked: Asked, settings: Settings) -> tuple[bytes, Spec]:
    """The job file that somebody would have written for the question, and what it says."""
    names = RegionNames(settings.regions)
    if names.get(asked.region) is None:
        raise UsageError(f"--region: {names.unknown(asked.region)}")
    given = {"temperature": asked.temperature, "max_tokens": asked.max_tokens}
    sampling = {name: value for name, value in given.items() if value is not None}
    job: JsonObject = {
        "id": "ask",
        "regions": [asked.region],
        "models": [{"id": asked.model}],
        "questions": [{"id": _QUESTION, "text": asked.question}],
        **({"sampling": sampling} if sampling else {}),
    }
    written = _yaml(job)
    try:
        return written, wiring.parsed(written, Path("ask"), settings)
    except SpecError as error:
        found = (f"{_OPTIONS.get(fault.key, fault.key)}: {fault.message}" for fault in error.faults)
        raise UsageError("; ".join(found)) from None


def _of_file(asked: Asked, path: Path, settings: Settings) -> tuple[bytes, Spec]:
    """The job file as it is, and its spec with the one question in place of its own."""
    job, spec = wiring.job(path, settings)
    spec = selection.narrow(spec, Selection(regions=(asked.region,), models=(asked.model,)), settings.regions)
    given = {"temperature": asked.temperature, "max_tokens": asked.max_tokens}
    sampling = {name: value for name, value in given.items() if value is not None}
    for name in sampling:
        if isinstance(spec.target, ModalTarget) and f"{{sampling.{name}}}" not in str(spec.target):
            raise UsageError(f"{_OPTIONS[f'sampling.{name}']}: no argument in {path} carries it")
    return job, msgspec.structs.replace(
        spec,
        models=tuple(msgspec.structs.replace(model, regions=None) for model in spec.models),
        questions=(Question(id=_QUESTION, text=asked.question),),
        contexts=(),
        repeats=1,
        in_flight=1,
        sampling=msgspec.structs.replace(spec.sampling, **sampling),
    )


def _yaml(job: Any) -> bytes:
    """JSON whose escapes mean the same in YAML, which knows no pairs of surrogates."""
    text = json.dumps(job, ensure_ascii=False, indent=1)
    return re.sub(r"[^\n\x20-\x7e]", lambda char: f"\\U{ord(char[0]):08x}", text).encode("ascii") + b"\n"


def _again(row: JsonObject) -> str:
    return "retry" if row["status"] in {"failed", "skipped"} else "resume"
