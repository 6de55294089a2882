"""A log of Inspect AI, version 2 of its `.json` form: `inspect view` shows it, `read_eval_log` reads it.

Written without the package, which a test reads it with. One log holds the whole run: a sample for each execution,
its region and model in the sample's id, the repeat as its epoch. The one score, `answered`, is 1 or 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from beacon_cli import rows
from beacon_cli.collected import Collection, Row, said
from beacon_cli.exports.visible import visible, whole
from beacon_cli.model import JsonObject
from beacon_cli.rows import Status

_VERSION = 2
_NEVER = "1970-01-01T00:00:00.000Z"
_SCORE = "answered"
_STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
"""Inspect's words for why an answer ended, by an endpoint's."""
_LONG = 2**63
_TOKENS = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "total_tokens": "total_tokens"}


class _Survey(msgspec.Struct):
    """What the head of the log says, which stands before the samples."""

    models: dict[str, None] = {}
    samples: int = 0
    answered: int = 0
    cancelled: int = 0
    repeats: int = 1
    began_at: str | None = None
    ended_at: str | None = None

    def take(self, row: Row) -> None:
        self.models.setdefault(row["model"])
        self.samples += 1
        self.answered += row["status"] == Status.SUCCEEDED
        self.cancelled += row["status"] == Status.CANCELLED
        self.repeats = max(self.repeats, row["repeat"])
        began, ended = row["started_at"], row["finished_at"]
        self.began_at = min(filter(None, (self.began_at, began)), default=None)
        self.ended_at = max(filter(None, (self.ended_at, ended)), default=None)


def export(collection: Collection) -> Iterator[bytes]:
    """The log, a sample a line. The rows are gone through twice: the head counts what follows it."""
    survey = _Survey()
    for row in collection.rows():
        survey.take(row)
    prompts = collection.prompts()
    yield rows.to_line(_clean(_head(collection, survey))).removesuffix(b"}\n") + b',"samples":['
    separator = b"\n"
    for row in collection.rows():
        yield separator + rows.to_line(_clean(_sample(collection, row, prompts))).rstrip()
        separator = b",\n"
    yield b"\n]}\n"


def _head(collection: Collection, survey: _Survey) -> JsonObject:
    began_at = collection.began_at or survey.began_at or _NEVER
    run = collection.run_id or ""
    tags = ["rehearsal"] if collection.rehearsal else []
    mean = survey.answered / survey.samples if survey.samples else 0.0
    return {
        "version": _VERSION,
        "status": "cancelled" if collection.interrupted or survey.cancelled else "success",
        "eval": {
            "eval_id": run,
            "run_id": run,
            "created": began_at,
            "task": collection.title,
            "task_id": collection.title,
            "tags": tags,
            "dataset": {"name": collection.title, "samples": survey.samples},
            "model": ", ".join(survey.models) or "none",
            "model_generate_config": dict(collection.sampling),
            "config": {"epochs": survey.repeats, "fail_on_error": False},
            "packages": {"beacon-cli": collection.beacon} if collection.beacon else {},
            "metadata": collection.about(),
        },
        "plan": {"name": "beacon", "steps": [], "config": dict(collection.sampling)},
        "results": {
            "total_samples": survey.samples,
            "completed_samples": survey.answered,
            "scores": [
                {
                    "name": _SCORE,
                    "scorer": _SCORE,
                    "scored_samples": survey.samples,
                    "unscored_samples": 0,
                    "metrics": {"mean": {"name": "mean", "value": mean}},
                }
            ],
        },
        "stats": {"started_at": began_at, "completed_at": survey.ended_at or began_at},
        "tags": tags,
    }


def _sample(collection: Collection, row: Row, prompts: Mapping[str, str]) -> JsonObject:
    question = collection.questions.get(row["question_id"])
    asked = question.text if question else row["question_id"]
    prompt = prompts.get(row["execution_id"])
    answered = row["status"] == Status.SUCCEEDED
    answer = {"role": "assistant", "content": row["response"], "source": "generate", "model": row["model"]}
    messages = [
        *([{"role": "system", "content": prompt}] if prompt is not None else []),
        {"role": "user", "content": asked, "source": "input"},
        *([answer] if answered else []),
    ]
    why = "" if answered else said(row)
    usage = _usage(row)
    kept = ("region", "model", "question_id", "context", "repeat", "status", "error", "attempts", "call_id")
    return {
        "id": _id(collection, row),
        "epoch": row["repeat"],
        "input": asked,
        "target": "",
        "messages": messages,
        "output": {
            "model": row["model"],
            "choices": [{"message": answer, "stop_reason": _stop(row)}] if answered else [],
            "completion": row["response"] or "",
            "time": row["seconds"],
            **({"usage": usage} if usage else {}),
            **({} if answered else {"error": why}),
        },
        "scores": {_SCORE: {"value": int(answered), **({} if answered else {"explanation": why})}},
        "metadata": {
            **{name: row[name] for name in (*kept, "container", "cold_start", "cut_from", "rehearsal")},
            "provenance": dict(row["provenance"]),
        },
        "model_usage": {row["model"]: usage} if usage else {},
        **({"uuid": row["execution_id"]} if row["execution_id"] else {}),
        **({"started_at": row["started_at"]} if row["started_at"] else {}),
        **({"completed_at": row["finished_at"]} if row["finished_at"] else {}),
        **({"total_time": row["seconds"]} if row["seconds"] is not None else {}),
        **({} if answered else {"error": {"message": why, "traceback": "", "traceback_ansi": ""}}),
    }


def _id(collection: Collection, row: Row) -> str:
    """Unique within the log together with the repeat: samples that share both would be shown as one.

    Inspect makes file names of ids, and loses a sample whose id holds a NUL.
    """
    run = [] if collection.run_id is not None else [row["run_id"]]
    parts = [*run, row["question_id"], row["context"], row["region"], row["model"]]
    return " · ".join(visible(part) for part in parts if part is not None)


def _stop(row: Row) -> str:
    finish = row["provenance"].get("finish_reason")
    return _STOPS.get(finish, "unknown") if isinstance(finish, str) else "unknown"


def _usage(row: Row) -> dict[str, int]:
    """The tokens that an endpoint counted, if it did."""
    usage = row["provenance"].get("usage")
    if not isinstance(usage, dict):
        return {}
    counts = {ours: usage.get(theirs) for ours, theirs in _TOKENS.items()}
    known = {name: count for name, count in counts.items() if type(count) is int and 0 <= count < _LONG}
    return known if len(known) == len(counts) else {}


def _clean(value: Any) -> Any:
    """The same without lone surrogates, which Inspect's reader refuses."""
    match value:
        case str():
            return whole(value)
        case dict():
            return {whole(key): _clean(each) for key, each in value.items()}
        case list():
            return [_clean(each) for each in value]
    return value
