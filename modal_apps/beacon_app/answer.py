"""The mapping that a call gives back: the original system's keys, and where the answer came from. Pure.

A good one has `status: success` and `response`; a failed one `status: error` and `error`. The rest is the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from beacon_app.engine import Made, Said

Answer: TypeAlias = dict[str, Any]

METRICS = "[METRICS]"
_TEXTS = frozenset({"response", "error"})
_LONGEST_ERROR = 2_000


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a call before its engine has said anything. Seconds are those of the container.

    `model` is the name that the caller used; `repository` and `revision` are what was loaded for it; `drawn_seed`
    is the seed where the caller gave none.
    """

    model: str
    repository: str
    revision: str
    where: dict[str, str]
    made: Made | None
    driver: str | None
    cold: bool
    restored: bool
    boot: float | None
    load: float
    started_at: float
    seed: int | None
    drawn_seed: int | None
    execution_id: str | None
    attempt: int | None


def success(about: About, said: Said, *, seconds: float) -> Answer:
    """The answer of an engine, after `seconds` of work."""
    return {
        "status": "success",
        "response": said.text,
        "tokens_generated": said.tokens,
        "gpu_memory_used": said.memory_gb,
        "finish_reason": said.finish_reason,
        "prompt_tokens": said.prompt_tokens,
        "chat": said.chat,
        **_about(about, seconds=seconds, queue=said.queue),
    }


def failure(about: About, error: str, *, seconds: float) -> Answer:
    """A failure, in words of one line or more."""
    return {"status": "error", "error": error[:_LONGEST_ERROR], **_about(about, seconds=seconds, queue=0.0)}


def metrics(answer: Answer) -> str:
    """The line of the log for one inference: everything but the texts, as JSON."""
    said = {key: value for key, value in answer.items() if key not in _TEXTS}
    return f"{METRICS} {json.dumps(said, sort_keys=True)}"


def _about(about: About, *, seconds: float, queue: float) -> Answer:
    made = about.made
    generation = max(0.0, seconds - queue)
    return {
        "model": about.model,
        "repository": about.repository,
        "model_revision": about.revision,
        "inference_time": round(generation, 3),
        **about.where,
        "gpu": made.gpu if made else None,
        "driver": about.driver,
        "engine": made.engine if made else None,
        "engine_version": made.version if made else None,
        "dtype": made.dtype if made else None,
        "chat_template_sha256": made.template if made else None,
        "cold_start": about.cold,
        "from_snapshot": about.restored,
        "started_at": round(about.started_at, 3),
        "seconds": {
            "boot": None if about.boot is None else round(about.boot, 3),
            "load": round(about.load, 3),
            "queue": round(queue, 3),
            "generation": round(generation, 3),
        },
        "seed": about.seed,
        "drawn_seed": about.drawn_seed,
        "execution_id": about.execution_id,
        "attempt": about.attempt,
    }
