"""Writing a job: check it, describe its form, begin a new one. Imports no more than that needs."""

from __future__ import annotations

import json
from pathlib import Path

from beacon_cli import spec, wiring
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.names import printable
from beacon_cli.plan import Plan


def validate(job: Path) -> str:
    """One line on a job file that is right.

    Raises:
        SpecError: it is wrong; every fault is named.
    """
    _, parsed = wiring.job(job, wiring.settings())
    plan = Plan(parsed)
    parts = [
        _count(len(plan), "execution"),
        _count(len(plan.regions), "region"),
        _count(len(parsed.questions), "question"),
        _count(len(parsed.models), "model"),
        *([_count(len(parsed.contexts), "context")] if parsed.contexts else []),
        *([_count(parsed.repeats, "repeat")] if parsed.repeats > 1 else []),
    ]
    off = f"; switched off: {', '.join(parsed.regions_off)}" if parsed.regions_off else ""
    return f"{printable(str(job))} is valid: {', '.join(parts)}{off}"


def schema() -> str:
    """The JSON Schema of a job file."""
    return json.dumps(spec.json_schema(), indent=2, ensure_ascii=False)


def init(job: Path, *, force: bool) -> None:
    """Write the template of a job file.

    Raises:
        UsageError: the file is there already, or it is a folder.
        StoreError: it cannot be written.
    """
    if job.is_dir():
        raise UsageError(f"{printable(str(job))} is a folder; name a file")
    try:
        with job.open("w" if force else "x", encoding="utf-8") as file:
            file.write(spec.template())
    except FileExistsError:
        raise UsageError(f"{printable(str(job))} is there already; --force writes over it") from None
    except OSError as error:
        raise StoreError(f"{printable(str(job))} cannot be written: {error.strerror}") from error


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
