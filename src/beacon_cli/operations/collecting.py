"""Answers by the name of a run, or from a file of rows that is somewhere else. Changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from beacon_cli import collected, moments, replay
from beacon_cli.collected import LONGEST_LINE, Collection
from beacon_cli.disk import explained
from beacon_cli.errors import UsageError
from beacon_cli.names import quoted
from beacon_cli.plan import Plan
from beacon_cli.runs import RunFolder, Runs

_SUFFIX = ".jsonl"


def collect(name: str, runs: Runs) -> Collection:
    """The answers of the named run, of the latest if `name` is empty, or of the file that `name` is the path of.

    A path has a folder in it or ends with `.jsonl`; no run's id has the first, and few have the second.

    Raises:
        UsageError: there is no such run or file, or the run never began.
        SpecError: a line of the file is not of the form of `results.jsonl`; it is named.
        StoreError: the journal or the file cannot be read.
    """
    if is_path(name):
        return _of_file(Path(name))
    return _of_run(runs.find(name) if name else runs.latest())


def is_path(name: str) -> bool:
    """Whether `name` is that of a file, and of no run."""
    return name.endswith(_SUFFIX) or any(mark in name for mark in (os.sep, os.altsep) if mark)


def _of_run(folder: RunFolder) -> Collection:
    recovered, began = folder.recover()
    plan = Plan(began.spec)
    return Collection(
        title=began.spec.id,
        rows=lambda: iter(replay.result_rows(folder.journal, plan.executions())),
        run_id=began.run_id,
        job_id=began.spec.id,
        rehearsal=began.rehearsal,
        began_at=moments.utc(began.at),
        beacon=began.beacon,
        interrupted=recovered.standings.interrupted,
        sampling=msgspec.to_builtins(began.spec.sampling),
        questions={question.id: question for question in began.spec.questions},
        prompts=partial(_prompts, plan),
        spec=began.spec,
        design=began.design,
    )


def _prompts(plan: Plan) -> dict[str, str]:
    return {each.id: each.system_prompt for each in plan.executions() if each.system_prompt is not None}


def _of_file(path: Path) -> Collection:
    return collected.gathered(lambda: collected.read(_lines(path), str(path)), path.name)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a regular file, each no longer than what is refused anyway."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with explained(path):
        try:
            descriptor = os.open(path, flags)  # a pipe without a writer must not hang
        except FileNotFoundError:
            raise UsageError(f"there is no file {quoted(str(path), most=200)}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{quoted(str(path), most=200)} is no regular file; answers are read twice")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield from iter(lambda: file.readline(LONGEST_LINE + 1), b"")
        finally:
            os.close(descriptor)
