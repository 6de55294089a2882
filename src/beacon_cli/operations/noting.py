"""Leaves a note of a run or a report where a CI service looks for one: GitHub's step summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from beacon_cli.display import paper
from beacon_cli.names import printable
from beacon_cli.results import Standings

_GITHUB = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file to append to."""


def note(standings: Standings, environ: Mapping[str, str]) -> None:
    """Append the end of the run to the step's summary, if this is a step of GitHub Actions.

    What cannot be written is said on stderr and changes nothing: the run has its results.
    """
    if not environ.get(_GITHUB):
        return
    from beacon_cli.exports import step

    append(step.summary(standings), environ)


def append(text: str, environ: Mapping[str, str]) -> None:
    """Append Markdown to the step's summary, if this is a step of GitHub Actions. Never ends the command."""
    path = environ.get(_GITHUB)
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        paper.tell([f"beacon: {_GITHUB}={printable(path)}: no summary was added: {error.strerror}"])
