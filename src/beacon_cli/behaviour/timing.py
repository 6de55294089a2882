"""How long things take: draws that depend on a seed and on what is asked, never on order. Pure.

The figures are those of the original system: 3 to 5 s for an answer, 30 to 90 s for a cold start.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

_UNIT = 2.0**-64


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one call asks, as far as the provider can see it.

    `key` tells repeats of the same question apart: the execution's id where it is passed, else a count.
    `attempt` counts from 1. `question` is the question's id, empty where only the text is known.
    """

    region: str
    model: str
    prompt: str
    system_prompt: str = ""
    key: str = ""
    attempt: int = 1
    question: str = ""


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, drawn evenly between the two bounds; `slower` multiplies the cold starts of a region (by id)."""

    service: tuple[float, float] = (3.0, 5.0)
    boot: tuple[float, float] = (30.0, 90.0)
    slower: Mapping[str, float] = {}


def draw(seed: int, *parts: object) -> float:
    """An even draw from 0 up to but not including 1, the same for the same arguments everywhere."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11 << 11) * _UNIT


def between(bounds: tuple[float, float], at: float) -> float:
    """The value at `at` (0 to 1) of the way from the first bound to the second."""
    low, high = bounds
    return low + (high - low) * at


def service_seconds(timings: Timings, seed: int, asked: Asked) -> float:
    """How long the model takes over this answer, in a warm container."""
    drawn = draw(seed, "service", asked.region, asked.model, asked.prompt, asked.key, asked.attempt)
    return between(timings.service, drawn)


def boot_seconds(timings: Timings, seed: int, region: str, model: str, nth: int) -> float:
    """How long the `nth` container (from 1) of this model in this region takes to start."""
    drawn = draw(seed, "boot", region, model, nth)
    return between(timings.boot, drawn) * timings.slower.get(region, 1.0)
