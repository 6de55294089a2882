"""`beacon metrics`: warm and cold over all runs, or from an app's own log. Reads as it goes; changes nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from beacon_cli import moments, wiring
from beacon_cli.disk import explained
from beacon_cli.display import measured, paper
from beacon_cli.display.words import count
from beacon_cli.errors import UsageError
from beacon_cli.model import JsonObject
from beacon_cli.names import RegionNames, printable, quoted
from beacon_cli.operations import histories
from beacon_cli.settings import Settings
from beacon_cli.timings import metrics as figures
from beacon_cli.timings.metrics import Metrics
from beacon_cli.timings.samples import Sample

_LONGEST_LINE = 100_000
"""Bytes of a line in a log; what is longer comes in pieces, of which none but the first can have the mark."""


def metrics(since: str | None, *, rehearsals: bool, logs: Path | None, as_json: bool) -> None:
    """Show rates and times, of real runs unless rehearsals are asked for.

    Raises:
        UsageError: `since` is no length of time, or there is no such file.
        StoreError: the home or the file cannot be read.
    """
    settings, start = wiring.settings(), moment_since(since)
    found, remarks = Metrics(), list[str]()
    if logs is None:
        for sample in histories.samples(settings.home, since=start, rehearsals=rehearsals):
            found.add(sample)
        kind = "rehearsals" if rehearsals else "real runs"
        origin = f"of the {kind} in {settings.home}"
        if not found.n and not rehearsals:
            remarks.append("rehearsals are left out: --rehearsals shows them alone")
    else:
        origin = f"in {logs}"
        remarks += _read_logs(logs, settings, start, found)
    if since:
        origin += f", since {moments.utc(start)[:16]}Z"
    if as_json:
        paper.put_json(_document(found, origin, remarks, rehearsals=rehearsals), sys.stdout)
        return
    view = measured.MetricsView(
        metrics=found, origin=origin, rehearsals=rehearsals and logs is None, remarks=remarks
    )
    paper.show(lambda width: measured.metrics(view, width), sys.stdout)


def moment_since(text: str | None) -> float:
    """So long ago, in seconds since the epoch; 0 if nothing is asked for.

    Raises:
        UsageError: it is no length of time.
    """
    if text is None:
        return 0.0
    try:
        return max(0.0, time.time() - moments.length(text))
    except ValueError as error:
        raise UsageError(f"--since {quoted(text)}: {error}") from None


def _read_logs(path: Path, settings: Settings, since: float, found: Metrics) -> list[str]:
    """Take the answers of a log into account; gives what has to be said of it."""
    names = RegionNames(settings.regions)
    broken = undated = 0
    for line in _lines(path):
        try:
            sample = figures.of_log_line(line)
        except ValueError:
            broken += 1
            continue
        if sample is None:
            continue
        if since and sample.at is None:
            undated += 1
        elif sample.at is None or sample.at >= since:
            found.add(_renamed(sample, names))
    remarks = [f"{count(broken, 'line')} with {figures.MARK} cannot be read"] if broken else []
    remarks += [f"{undated:,} that say no time are left out: --since cannot place them"] if undated else []
    if not found.n:
        remarks.append(f"no line with {figures.MARK} in it: is this what `modal app logs` printed?")
    return remarks


def _renamed(sample: Sample, names: RegionNames) -> Sample:
    """With the region's id in the place of another name of it."""
    region = names.get(sample.region)
    if region is None or region.id == sample.region:
        return sample
    return Sample(region=region.id, model=sample.model, at=sample.at, claims=sample.claims)


def _lines(path: Path) -> Iterator[str]:
    if str(path) == "-":
        yield from _pieces(sys.stdin.buffer)
        return
    with explained(path):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise UsageError(f"there is no file {quoted(str(path), most=200)}") from None
        except IsADirectoryError:
            raise UsageError(f"{printable(str(path))} is a folder; name a file") from None
        with file:
            yield from _pieces(file)


def _pieces(file: BinaryIO) -> Iterator[str]:
    return (line.decode("utf-8", "replace") for line in iter(lambda: file.readline(_LONGEST_LINE), b""))


def _document(found: Metrics, origin: str, remarks: list[str], *, rehearsals: bool) -> JsonObject:
    held = figures.against(found)
    return {
        "origin": origin,
        "rehearsals": rehearsals,
        "earliest": None if found.earliest is None else moments.utc(found.earliest),
        "latest": None if found.latest is None else moments.utc(found.latest),
        "all": figures.record(found.all),
        "regions": [{"region": region, **figures.record(group)} for region, group in found.regions.items()],
        "models": [
            {"region": region, "model": model, **figures.record(group)}
            for (region, model), group in found.by_name()
        ],
        "days": [{"day": figures.day(each), **figures.record(found.days[each])} for each in sorted(found.days)],
        "eu_against_us": held
        and {
            "warm_p50": held.warm,
            "cold_p50": held.cold,
            "n": held.n,
            "warm_n": held.warm_n,
            "cold_n": held.cold_n,
        },
        "undated": found.undated,
        "remarks": remarks,
    }
