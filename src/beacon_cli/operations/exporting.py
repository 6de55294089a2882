"""Writing a collection of answers in another form, to a file or to stdout."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from beacon_cli import wiring
from beacon_cli.collected import Collection
from beacon_cli.disk import explained, write_file
from beacon_cli.display import paper
from beacon_cli.errors import StartError, UsageError
from beacon_cli.names import printable, quoted, suggestion
from beacon_cli.operations.collecting import collect
from beacon_cli.runs import Runs

Exporter: TypeAlias = Callable[[Collection], Iterable[bytes]]


class Format(StrEnum):
    """The forms that answers are exported in."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    INSPECT = "inspect"


_MODULES = {
    Format.JSONL: "jsonl",
    Format.CSV: "spreadsheet",
    Format.PARQUET: "parquet",
    Format.JSON: "document",
    Format.MARKDOWN: "markdown",
    Format.JUNIT: "junit",
    Format.INSPECT: "inspect_log",
}


def export(name: str, form: str, output: Path | None, *, force: bool) -> None:
    """Write the answers of a run or of a file, the latest run's if none is named, to `output` or to stdout.

    Raises:
        UsageError: there is no such run, file or format, or `output` is there already.
        StartError: what the format needs is not installed.
        SpecError: the file holds a line that is no row of results.
        StoreError: something cannot be read or written.
    """
    exporter = _exporter(form)
    if output is not None:
        check_free(output, force=force)
    elif form == Format.PARQUET and sys.stdout.isatty():
        raise UsageError("parquet is no text: name a file with --output, or send it to one")
    chunks = exporter(collect(name, Runs(wiring.settings().home)))
    if output is None:
        paper.pour(chunks, sys.stdout)
    else:
        write_file(output, chunks)


def _exporter(form: str) -> Exporter:
    """The module of this format; the others are not imported, nor what they need."""
    if form not in list(Format):
        raise UsageError(f"--format: there is no {quoted(form)}{suggestion(form, list(Format))}")
    try:
        module = import_module(f"beacon_cli.exports.{_MODULES[Format(form)]}")
    except ModuleNotFoundError as error:
        raise StartError(f"{form} needs {error.name}: pip install 'beacon-cli[export]'") from error
    exporter: Exporter = module.export
    return exporter


def check_free(output: Path, *, force: bool) -> None:
    """Nothing stands there, or with `force` a regular file: never a link that leads elsewhere, nor a device."""
    shown = printable(str(output))
    with explained(output):
        try:
            mode = output.lstat().st_mode
        except FileNotFoundError:
            return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{shown} is no regular file, and only such a one is written over; name another")
    if not force:
        raise UsageError(f"{shown} is there already; --force writes over it")
