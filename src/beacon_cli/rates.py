"""What a GPU costs: a dated table, from a file or from `modal billing rates --json`. Pure; reads no file.

A price that is not there is unknown, which is None and never 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from beacon_cli.model import JsonObject
from beacon_cli.names import quoted, suggestion

KEYS = ("dated", "source", "gpu", "region")
_DEAREST = 1.0
"""USD for a GPU-second over which a price is taken for a mistake: a hundred times the dearest there is."""
_LARGEST = 100.0
"""The largest multiplier of a region."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 300
_MOST = 200


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """USD for a GPU-second by GPU, a multiplier by region's id, and when and where they were read.

    `dated` is the oldest date of any value in use (ISO), empty if unknown.
    """

    gpu: dict[str, float] = {}
    region: dict[str, float] = {}
    dated: str = ""
    source: str = ""

    def per_second(self, gpu: str | None, region: str) -> float | None:
        """USD for a second of this GPU, as an answer or a configuration names it, in this region (by id)."""
        name = known_gpu(gpu, self.gpu)
        factor = self.region.get(region)
        return None if name is None or factor is None else self.gpu[name] * factor


def known_gpu(said: str | None, known: Mapping[str, float]) -> str | None:
    """The name in `known` of a GPU that is said otherwise: `NVIDIA A10G` is A10, `Tesla T4` is T4. None: none.

    `A100` alone may be either size: it is none of them.
    """
    words = _words(said or "")
    if "A100" in words:
        words = [f"A100-{size}" for size in ("40GB", "80GB") if size in words]
    found = {name for name in known if _canonical(name) in words}
    return found.pop() if len(found) == 1 else None


def _words(said: str) -> list[str]:
    return [_canonical(word) for word in re.split(r"[^A-Za-z0-9]+", said[:_LONGEST].upper()) if word]


def _canonical(name: str) -> str:
    return {"A10G": "A10"}.get(name.upper(), name.upper())


def merged(shipped: Rates, given: JsonObject) -> Rates:
    """The shipped rates with what a configuration says in the place of theirs; `given` has passed `check`."""
    own = read(given)
    dates = [date for date in (shipped.dated, own.dated) if date]
    return Rates(
        gpu=shipped.gpu | own.gpu,
        region=shipped.region | own.region,
        # Of values from two tables the older date is the one that holds for both.
        dated=own.dated if set(own.gpu) >= set(shipped.gpu) else min(dates, default=""),
        source="; ".join(each for each in (own.source, shipped.source) if each),
    )


def read(table: JsonObject) -> Rates:
    """The rates in a table that has passed `check`."""
    numbers = {
        key: {name: float(value) for name, value in table.get(key, {}).items()} for key in ("gpu", "region")
    }
    return Rates(
        gpu=numbers["gpu"],
        region=numbers["region"],
        dated=str(table.get("dated", "")),
        source=str(table.get("source", "")),
    )


def check(value: Any) -> JsonObject:
    """A table of rates as people write it: `dated`, `source`, `[gpu]` and `[region]`, each as it may be.

    Raises:
        ValueError: it is of another form, or a value cannot be; the message says what.
    """
    if not isinstance(value, dict):
        raise ValueError("must be a table: [rates]")  # noqa: TRY004 - callers gather ValueErrors
    for key, entry in value.items():
        if key not in KEYS:
            raise ValueError(f"unknown key {quoted(key)}{suggestion(key, KEYS)}")
        if key in {"gpu", "region"}:
            _check_numbers(key, entry, _DEAREST if key == "gpu" else _LARGEST)
        elif key == "dated" and not _DATE.fullmatch(str(entry)):
            raise ValueError(f"dated must be a date, as 2026-07-01, not {quoted(str(entry))}")
        elif key == "source" and (not isinstance(entry, str) or len(entry) > _LONGEST):
            raise ValueError("source must be text: where the prices were read")
    return {key: str(entry) if key == "dated" else entry for key, entry in value.items()}


def _check_numbers(key: str, entry: Any, most: float) -> None:
    if not isinstance(entry, dict) or len(entry) > _MOST:
        raise ValueError(f"{key} must be a table of numbers: [rates.{key}]")
    for name, number in entry.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= most:
            what = "USD for a second" if key == "gpu" else "a multiplier"
            raise ValueError(
                f"{key}.{quoted(name)} must be {what}, over 0 and up to {most:g}, not {quoted(str(number))}"
            )


_HOURLY = re.compile(r"hour|(?:^|_)hr?(?:_|$)", re.IGNORECASE)
_SECONDLY = re.compile(r"sec", re.IGNORECASE)
_HOUR = 3600


def of_billing(text: str, known: Mapping[str, float]) -> dict[str, float]:
    """USD for a GPU-second by GPU, from what `modal billing rates --json` prints: names and decimal texts.

    Its names are not documented: those in which exactly one GPU of `known` is found and that say their unit
    (`hour`, `sec`) are taken, everything else is passed over.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        said = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(said, dict):
        raise ValueError("is no JSON object of names and prices")  # noqa: TRY004 - callers gather ValueErrors
    found: dict[str, float] = {}
    for key, value in said.items():
        price = _per_second(key, value)
        name = known_gpu(key, known)
        if name is not None and price is not None:
            found[name] = price
    return found


def _per_second(key: str, value: Any) -> float | None:
    try:
        number = float(value) if type(value) in {str, int, float} else -1.0
    except (ValueError, OverflowError):
        return None
    if bool(_HOURLY.search(key)) is bool(_SECONDLY.search(key)):
        return None
    price = number / _HOUR if _HOURLY.search(key) else number
    return price if 0 < price <= _DEAREST else None
