"""What a run came to, shown at its end and at the head of `beacon show`. Pure: standings in, renderables out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from beacon_cli.counts import CellStanding, FailureStanding, RegionStanding, RegionState
from beacon_cli.display.columns import NONE, cell, name, number, paragraph, table, that_fit
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, PLAIN, STRONG
from beacon_cli.display.words import clock, count, precise
from beacon_cli.plan import of_one_address
from beacon_cli.results import Standings
from beacon_cli.rows import Status, of_region

if TYPE_CHECKING:  # only the end of a run needs it
    from beacon_cli.display.readings import Counts
    from beacon_cli.timings.shares import Shares

_MOST_ROWS = 60
"""With more rows than these, the models of a region are summed up."""
_EARLY = {RegionState.GIVEN_UP: "was given up", RegionState.STOPPED: "was stopped"}
_EXAMPLE = 160
_NAME = 32
_NUMBER = 4
_HEADINGS = ("answered", "failed", "skipped", "cancelled", "retries", "cold", "warm", "average", "slowest")


_SPARED = ("warm", "cold", "average", "retries", "slowest", "cancelled", "skipped")
"""Where the width does not do, these columns go, in this order."""


def summary(
    standings: Standings,
    width: int,
    *,
    results: str | None = None,
    hints: Sequence[tuple[str, str]] = (),
    counts: Counts | None = None,
    shares: Shares | None = None,
) -> RenderableType:
    """The end of a run: counts and times by region and model, failures by kind, and where to go from here.

    `results` is the folder that holds them; `hints` are pairs of a few words and the command that does it;
    `counts` are of how the answers read, `shares` of where the time went.
    """
    blank = Text("")
    parts: list[RenderableType] = [_headline(standings), blank, _counts(standings, width)]
    ended_early = [region for region in standings.regions.values() if region.state in _EARLY]
    if ended_early:
        parts += [blank, *(_ended_early(region) for region in ended_early)]
    off = standings.run.spec.regions_off if standings.run else ()
    if off:
        parts += [blank, _switched_off(off)]
    shared = of_one_address(standings.run.spec) if standings.run else ()
    if shared:
        parts += [blank, *(paragraph(each, ODD) for each in shared)]
    recovered = _recovered(standings)
    if recovered is not None:
        parts += [blank, recovered]
    if standings.failures:
        parts += [blank, _failures(standings)]
    if counts:
        from beacon_cli.display import readings

        rehearsal = standings.run is not None and standings.run.rehearsal
        parts += [blank, readings.readings(counts, width, rehearsal=rehearsal)]
    if shares:
        from beacon_cli.display import timing

        went = timing.brief(shares, speed=standings.run.speed if standings.run else None)
        parts += [blank, went] if went else []
    where = [("results", results)] if results else []
    if where or hints:
        parts += [blank, _pointers([*where, *hints])]
    return Group(*parts)


def _headline(standings: Standings) -> Text:
    run = standings.run
    line = Text(overflow="fold")
    if run is None:
        return line.append("the run has not started", FAINT)
    if run.rehearsal:
        line.append(" REHEARSAL ", LABEL).append(" ")
    line.append_text(cell(run.spec.id, STRONG)).append("  ").append_text(cell(run.run_id, FAINT)).append("  ")
    end = standings.finished
    if standings.interrupted is not None:
        answered = f"{standings.total('succeeded'):,} of {count(standings.planned, 'execution')} answered"
        line.append_text(cell(f"interrupted ({standings.interrupted}), {answered}", BAD))
    elif end is None:
        return line.append("not finished", ODD)
    elif end.succeeded == standings.planned:
        line.append(f"all {count(end.succeeded, 'execution')} answered", GOOD)
    else:
        line.append(f"{end.succeeded:,} of {count(standings.planned, 'execution')} answered", BAD)
    return line.append(f" in {clock(end.seconds)}") if end else line


def _counts(standings: Standings, width: int) -> Table:
    """One row for each region in bold, under it one for each of its models."""
    models = {region: _models_of(standings, region) for region in standings.regions}
    in_full = sum(1 + len(cells) for cells in models.values()) <= _MOST_ROWS
    names = [*standings.regions, *(f"  {model}" for cells in models.values() for model in cells)]
    columns = {"": min(_NAME, max((len(each) for each in names), default=0))}
    columns |= {heading: max(_NUMBER, len(heading)) for heading in _HEADINGS}
    cancelled = {region.id: _cancelled(region, standings) for region in standings.regions.values()}
    if not any(cancelled.values()):
        del columns["cancelled"]
    kept = that_fit(columns, _SPARED, width)
    made = table(kept, right=range(1, len(kept)))
    for region in standings.regions.values():
        own = models[region.id]
        numbers = _numbers(region, _whole(own)) | {"cancelled": number(cancelled[region.id], ODD)}
        made.add_row(name(region.id, STRONG, cells=_NAME), *(numbers[heading] for heading in kept[1:]))
        for model, standing in own.items() if in_full else ():
            numbers = _numbers(standing, standing)
            indented = Text("  ").append_text(name(model, cells=_NAME - 2))
            made.add_row(indented, *(numbers[heading] for heading in kept[1:]))
    return made


def _cancelled(region: RegionStanding, standings: Standings) -> int:
    """The region's executions that a stop ended, or kept from ever beginning; these no model has begun."""
    return region.cancelled if standings.finished is None else of_region(region)[Status.CANCELLED]


def _models_of(standings: Standings, region: str) -> dict[str, CellStanding]:
    own = {model: standing for (place, model), standing in standings.cells.items() if place == region}
    order = [model.id for model in standings.run.spec.models] if standings.run else []
    return {model: own[model] for model in dict.fromkeys([*order, *own]) if model in own}


def _whole(models: dict[str, CellStanding]) -> CellStanding:
    return CellStanding(
        succeeded=sum(standing.succeeded for standing in models.values()),
        seconds=sum(standing.seconds for standing in models.values()),
        slowest=max((standing.slowest for standing in models.values()), default=0.0),
    )


def _numbers(counts: RegionStanding | CellStanding, times: CellStanding) -> dict[str, Text]:
    answers = times.succeeded
    none = Text(NONE, FAINT)
    return {
        "answered": number(counts.succeeded, GOOD),
        "failed": number(counts.failed, BAD),
        "skipped": number(counts.skipped, BAD) if isinstance(counts, RegionStanding) else Text(""),
        "cancelled": Text(""),
        "retries": number(counts.retries, ODD),
        "cold": number(counts.cold),
        "warm": number(counts.warm),
        "average": Text(precise(times.seconds / answers)) if answers else none,
        "slowest": Text(precise(times.slowest)) if answers else none,
    }


def _ended_early(region: RegionStanding) -> Text:
    how = f" {_EARLY[region.state]}: "
    return Text.assemble(cell(region.id, STRONG), (how, BAD), cell(region.reason, cells=_EXAMPLE))


def _switched_off(regions: Sequence[str]) -> Text:
    named = ", ".join(cell(region).plain for region in regions)
    return Text.assemble(
        ("off: ", FAINT), f"{named}, switched off in the configuration, not asked", overflow="fold"
    )


def _recovered(standings: Standings) -> Text | None:
    """What resuming found of the calls placed before; None where nothing was in flight then."""
    found = standings.recovery
    facts = [
        f"{count(found.reattached, 'call')} found again" if found.reattached else "",
        f"{count(found.recovered, 'answer')} recovered, paid for once" if found.recovered else "",
        f"{found.gone} gone and asked again" if found.gone else "",
        f"{found.may_have_run} may have run, asked again" if found.may_have_run else "",
    ]
    said = ", ".join(fact for fact in facts if fact)
    return Text.assemble(("resumed: ", FAINT), said, overflow="fold") if said else None


def _failures(standings: Standings) -> Table:
    made = table(["failures", "", "for example"], right=[1], wrapped=[2])
    for kind, failure in sorted(standings.failures.items(), key=lambda item: -item[1].count):
        made.add_row(Text(kind.value, BAD), number(failure.count), _example(failure))
    return made


def _example(failure: FailureStanding) -> Text:
    where = cell(f"{failure.region} {failure.model}, {failure.question}: ", FAINT)
    return Text.assemble(where, cell(failure.message, cells=_EXAMPLE), overflow="fold")


def _pointers(pairs: Sequence[tuple[str, str]]) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for words, target in pairs:
        made.add_row(cell(words, FAINT), paragraph(target, PLAIN))
    return made
