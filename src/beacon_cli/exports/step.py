"""The end of a run in a few lines of Markdown, as a CI service shows it beside a step. Standings in, text out.

Not a format of `beacon export`: it is made from the fold while no row has been read.
"""

from __future__ import annotations

from collections.abc import Iterator

from beacon_cli.counts import CellStanding, RegionStanding
from beacon_cli.exports.tables import line, table
from beacon_cli.results import Standings
from beacon_cli.rows import Status, of_region, tally

_MOST_ROWS = 200
_NAME = 100
_MESSAGE = 200


def summary(standings: Standings) -> str:
    """What ran, how many of what were answered, what failed; short whatever the run was."""
    return "".join(f"{text}\n" for text in _lines(standings))


def _lines(standings: Standings) -> Iterator[str]:
    run = standings.run
    if run is None:
        return
    yield from (f"### beacon: {line(run.spec.id, most=_NAME)}{' (rehearsal)' if run.rehearsal else ''}", "")
    if run.rehearsal:
        yield from ("> **REHEARSAL**: the answers are made up.", "")
    counts = tally(standings)
    yield f"Run {line(run.run_id)}: {counts[Status.SUCCEEDED]:,} of {sum(counts.values()):,} executions answered."
    if standings.interrupted is not None:
        yield f"Interrupted: {line(standings.interrupted, most=_MESSAGE)}."
    for region in standings.regions.values():
        if region.reason:
            yield from ("", f"{line(region.id)} was given up: {line(region.reason, most=_MESSAGE)}")
    yield from ("", *_counts(standings))
    if standings.failures:
        yield from ("", *_failures(standings))


def _counts(standings: Standings) -> Iterator[str]:
    cells = [row for region in standings.regions.values() for row in _of_region(standings, region)]
    yield from table(["region", "model", *Status], cells[:_MOST_ROWS], numbers=len(Status))
    if len(cells) > _MOST_ROWS:
        yield from ("", f"And {len(cells) - _MOST_ROWS:,} more.")


def _of_region(standings: Standings, region: RegionStanding) -> Iterator[list[str]]:
    """The region as a whole, then its models that have begun: what was skipped is known of the whole alone."""
    whole = of_region(region)
    yield [f"**{line(region.id, most=_NAME)}**", "", *(str(whole[status]) for status in Status)]
    for (place, model), cell in standings.cells.items():
        if place == region.id:
            yield ["", line(model, most=_NAME), *_of_model(cell)]


def _of_model(cell: CellStanding) -> list[str]:
    return [str(cell.succeeded), str(cell.failed), "", str(cell.cancelled)]


def _failures(standings: Standings) -> Iterator[str]:
    cells = (
        [
            kind.value,
            line(f"{failure.region} {failure.model} {failure.question}: {failure.message}", most=_MESSAGE),
            str(failure.count),
        ]
        for kind, failure in standings.failures.items()
    )
    return table(["failed with", "for example", "executions"], cells, numbers=1)
