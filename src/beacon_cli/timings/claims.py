"""What an answer says of its own container and time; hostile until it has passed here. Pure.

An answer's provenance may hold `seconds: {boot, load, queue, generation}`, `inference_time`, `gpu`,
`gpu_memory_used` and `tokens_generated`. Whatever is not a length of time that can be is unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from beacon_cli.model import Succeeded

LONGEST = 1_000_000.0
"""Seconds over which nobody is believed: eleven days."""
_NAME = 80


class Claims(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer's own account, in seconds. None: it did not say, or nothing that can be.

    Of an answer from a warm container `boot` and `load` are 0, whatever it says: it did not wait for them.
    `memory` is that of the GPU, in the unit of the app (GB in the original system).
    """

    cold: bool | None = None
    boot: float | None = None
    load: float | None = None
    queue: float | None = None
    generation: float | None = None
    container: str | None = None
    gpu: str | None = None
    memory: float | None = None
    tokens: int | None = None

    def without_times(self) -> Claims:
        """The same, of which no length of time is believed."""
        return msgspec.structs.replace(self, boot=None, load=None, queue=None, generation=None)

    @property
    def start(self) -> float | None:
        """How long the container took to start for this answer, boot and load; None where neither is known."""
        if self.boot is None and self.load is None:
            return None
        return (self.boot or 0.0) + (self.load or 0.0)


def of_answer(answer: Succeeded) -> Claims:
    """What an answer claims."""
    return of_mapping(answer.provenance, cold=answer.cold_start, container=answer.container)


def of_mapping(said: Mapping[str, Any], *, cold: bool | None, container: str | None) -> Claims:
    """What a mapping of JSON types claims that has the fields of an answer."""
    given = said.get("seconds")
    parts: Mapping[str, Any] = given if isinstance(given, dict) else {}
    generation = length(parts.get("generation"))
    warm = cold is False
    return Claims(
        cold=cold,
        boot=0.0 if warm else length(parts.get("boot")),
        load=0.0 if warm else length(parts.get("load")),
        queue=length(parts.get("queue")),
        generation=length(said.get("inference_time")) if generation is None else generation,
        container=container,
        gpu=_name(said.get("gpu")),
        memory=length(said.get("gpu_memory_used")),
        tokens=_whole(said.get("tokens_generated")),
    )


def length(value: Any) -> float | None:
    """`value` if it is a number from 0 to `LONGEST`, else None: not negative, not NaN, not a text."""
    if type(value) not in {int, float} or not 0 <= value <= LONGEST:
        return None
    return float(value)


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= LONGEST else None


def _name(value: Any) -> str | None:
    return value[:_NAME] if type(value) is str and value.strip() else None
