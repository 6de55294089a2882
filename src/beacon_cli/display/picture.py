"""The picture of a run: standings, time and size in, lines out. Pure; draws, and writes nowhere.

Wide, each region is one line with a column for each model::

                                                           llama3.2-1b   mistral-7b    qwen2.5-1.5b
    ▶ us    ━━━━━━━━━━━━╸─────── 15/24  taiwan_status      warm 3s       starting 41s  retry in 4s

Narrower, the models have a line of their own under the region; where the height does not do, that line goes
first, then regions are summed up in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from operator import attrgetter
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from beacon_cli.counts import Progress, RegionStanding, RegionState, State
from beacon_cli.display.clean import clean, excerpt, fit, shorten, squeeze
from beacon_cli.display.pace import left
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, PLAIN, STRONG, Part, bar, cells, joined, line
from beacon_cli.display.words import UNICODE, Signs, brief, clock, count, rough
from beacon_cli.events import RunStarted
from beacon_cli.results import Standings

_LOOKS = {
    RegionState.QUEUED: FAINT,
    RegionState.RUNNING: STRONG,
    RegionState.STOPPED: ODD,
    RegionState.GIVEN_UP: BAD,
    RegionState.FINISHED: GOOD,
}
_BY_CONCERN = (
    RegionState.RUNNING,
    RegionState.GIVEN_UP,
    RegionState.STOPPED,
    RegionState.QUEUED,
    RegionState.FINISHED,
)
"""Where there is no room for every region, these come first."""

_SIGNS = {
    RegionState.QUEUED: attrgetter("queued"),
    RegionState.RUNNING: attrgetter("running"),
    RegionState.STOPPED: attrgetter("given_up"),
    RegionState.GIVEN_UP: attrgetter("given_up"),
    RegionState.FINISHED: attrgetter("finished"),
}


class Totals(NamedTuple):
    """The sums over all regions."""

    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    retries: int

    @classmethod
    def of(cls, standings: Standings) -> Totals:
        """The sums of these standings."""
        return cls(*(standings.total(name) for name in cls._fields))


_INDENT = 4
"""Where a line of models begins."""
_NAME = 16
"""A region's or model's name is squeezed beyond this."""
_NARROW = 50
"""Below this width there are no bars."""
_STATE = len("starting 41s")
"""Cells that a model's state takes."""
_QUESTION = 24
"""A question's id is shortened beyond this."""
_TROUBLE = len("12 failed · 34 retries")
_GAP = 2
_MINUTE = 60
_MOST_SLOTS = 20
"""More slots than these are not drawn one by one."""


def render(
    standings: Standings, now: float, width: int, height: int | None = None, signs: Signs = UNICODE
) -> tuple[Text, ...]:
    """The picture at `now` (seconds since the epoch): lines of at most `width` cells, at most `height` of them."""
    if standings.run is None:
        return (line(width, [("starting", FAINT)]),)
    scene = _Scene(
        standings, standings.run, now, signs, _by_cell(standings), _frame(standings, standings.run, width)
    )
    head, foot = _title(scene), _foot(scene)
    room = None if height is None else max(0, height - 1 - len(foot))
    body = _body(scene, room)
    if room is None or len(body) + 2 <= room:
        blank = Text(end="")
        return (head, blank, *body, blank, *foot)
    return (head, *body, *foot)[:height]


class _Frame(NamedTuple):
    """The columns that all regions share; widths in cells."""

    width: int
    name: int
    bar: int
    counts: int
    label: int
    """The question, or the region's state."""
    troubles: int
    """Failures and retries; 0 where they follow the label directly."""
    column: int
    """One model's; 0 where the models have a line of their own."""

    @property
    def models(self) -> int:
        """Where the models' columns begin."""
        return _before(self.name, self.bar, self.counts) + self.label + self.troubles


class _Scene(NamedTuple):
    standings: Standings
    run: RunStarted
    now: float
    signs: Signs
    busy: Mapping[tuple[str, str], Progress]
    """What each model in each region is at."""
    frame: _Frame


def _by_cell(standings: Standings) -> dict[tuple[str, str], Progress]:
    """A running execution comes before one that waits."""
    at: dict[tuple[str, str], Progress] = {}
    for progress in (*standings.waiting.values(), *standings.running.values()):
        at[progress.region, progress.model] = progress
    return at


def _before(name: int, length: int, counts: int) -> int:
    return 2 + name + 1 + (length + 1 if length else 0) + counts + _GAP


def _frame(standings: Standings, run: RunStarted, width: int) -> _Frame:
    name = min(
        max((cell_len(clean(region)) for region in standings.regions), default=0), _NAME, max(2, width // 5)
    )
    counts = 2 * len(str(standings.planned)) + 1
    length = 0
    if width >= _NARROW:
        name, length = max(name, len("slots")), max(8, min(24, width // 6))
    taken = _before(name, length, counts)
    longest = max((min(cell_len(clean(model.id)), _NAME) for model in run.spec.models), default=0)
    column = max(longest, _STATE) + _GAP
    label = (
        max(_STATE, min(_QUESTION, max((len(question.id) for question in run.spec.questions), default=0))) + _GAP
    )
    troubles = _TROUBLE + _GAP
    if taken + label + troubles + len(run.spec.models) * column - _GAP <= width:
        return _Frame(width, name, length, counts, label, troubles, column)
    return _Frame(width, name, length, counts, max(0, width - taken), 0, 0)


def _title(scene: _Scene) -> Text:
    run, standings, width = scene.run, scene.standings, scene.frame.width
    label: list[Part] = [(" REHEARSAL ", LABEL), (" ", PLAIN)] if run.rehearsal else []
    tail: list[Part] = []
    if standings.interrupted is not None and standings.finished is None:
        tail = [(f"  stopping: {excerpt(standings.interrupted, 24)}", BAD)]
    run_id = excerpt(run.run_id, 48)
    room = max(0, width - cells(label) - cells(tail))
    job = squeeze(excerpt(run.spec.id, 200), max(room - cell_len(run_id) - _GAP, min(room, _NAME)))
    return line(width, [*label, (job, STRONG), *tail, (f"  {run_id}", FAINT)])


# --- the regions


def _body(scene: _Scene, room: int | None) -> list[Text]:
    regions = list(scene.standings.regions.values())
    head = [_model_names(scene)] if scene.frame.column else []
    blocks = [_region(scene, region) for region in regions]
    full = [text for block in blocks for text in block]
    if room is None or len(head) + len(full) <= room:
        return head + full
    if len(blocks) <= room:
        return [block[0] for block in blocks]
    order = sorted(range(len(regions)), key=lambda index: _BY_CONCERN.index(regions[index].state))
    shown = set(order[: max(0, room - 1)])
    rest = [region for index, region in enumerate(regions) if index not in shown]
    return [*(blocks[index][0] for index in sorted(shown)), _others(scene, rest)][:room]


def _model_names(scene: _Scene) -> Text:
    frame = scene.frame
    names = [(fit(squeeze(clean(model.id), _NAME), frame.column), FAINT) for model in scene.run.spec.models]
    return line(frame.width, [(" " * frame.models, PLAIN), *names])


def _region(scene: _Scene, region: RegionStanding) -> list[Text]:
    """One line, or two where the models do not fit beside."""
    frame, look = scene.frame, _LOOKS[region.state]
    name = fit(squeeze(clean(region.id), frame.name), frame.name)
    parts: list[Part] = [(f"{_SIGNS[region.state](scene.signs)} {name} ", look)]
    if frame.bar:
        parts += [*bar(frame.bar, region.succeeded, region.failed, region.planned, scene.signs), (" ", PLAIN)]
    done = f"{region.succeeded + region.failed}/{region.planned}"
    parts += [(f"{done:>{frame.counts}}  ", PLAIN)]
    if frame.column and region.state is RegionState.QUEUED and region.position is not None:
        waits = [_said(scene, region), (excerpt(region.reason, frame.width), FAINT)]
        return [line(frame.width, [*parts, *joined(waits, scene.signs)])]  # no model is at anything: all is room
    parts += _label(scene, region)
    models = _models(scene, region)
    if frame.column:
        return [line(frame.width, [*parts, *models])]
    own = [line(frame.width, [(" " * _INDENT, PLAIN), *models])] if models else []
    return [line(frame.width, parts), *own]


def _label(scene: _Scene, region: RegionStanding) -> list[Part]:
    """What the region is at, then its troubles; in columns where the frame has them."""
    frame = scene.frame
    troubles = joined(_troubles(region), scene.signs)
    said, look = _said(scene, region)
    if frame.troubles:
        room = min(frame.label - _GAP, frame.label + frame.troubles - cells(troubles) - 2 * _GAP)
        pad = frame.label + frame.troubles - room - _GAP - cells(troubles)
        return [(fit(said, room) + "  ", look), *troubles, (" " * pad, PLAIN)]
    if not troubles:
        return [(shorten(said, frame.label), look)]
    room = frame.label - _GAP - cells(troubles)
    if room < min(len(said), _NAME // 2):
        return troubles
    return [(fit(said, min(room, _QUESTION)) + "  ", look), *troubles]


def _said(scene: _Scene, region: RegionStanding) -> Part:
    if region.state is RegionState.RUNNING and not region.question:
        warming = any(where == region.id for where, _ in scene.standings.warming)
        return "warming" if warming else "waiting for a slot", FAINT
    if region.state is RegionState.RUNNING:
        return excerpt(region.question, 100), PLAIN
    if region.state is RegionState.FINISHED and region.started_at is not None and region.ended_at is not None:
        return f"finished in {clock(region.ended_at - region.started_at)}", FAINT
    if region.state is RegionState.QUEUED and region.position is not None:
        place = f"number {region.position} in the queue" if region.position else "waiting to queue"
        starts = f", in about {clock(max(0.0, region.starts_at - scene.now))}" if region.starts_at else ""
        return f"{place}{starts}", FAINT
    return region.state.value, _LOOKS[region.state]


def _troubles(counts: RegionStanding | Totals) -> list[Part]:
    return [
        (f"{counts.failed} failed" if counts.failed else "", BAD),
        (f"{counts.skipped} skipped" if counts.skipped else "", BAD),
        (f"{counts.cancelled} cancelled" if counts.cancelled else "", ODD),
        (count(counts.retries, "retry", "retries") if counts.retries else "", ODD),
    ]


def _models(scene: _Scene, region: RegionStanding) -> list[Part]:
    """What each model in the region is at, or why the region was given up; empty when there is nothing to say."""
    frame = scene.frame
    busy = {model.id: scene.busy.get((region.id, model.id)) for model in scene.run.spec.models}
    if not any(busy.values()) and region.reason:
        return [(excerpt(region.reason, frame.width), FAINT if region.state is RegionState.QUEUED else BAD)]
    if region.state is not RegionState.RUNNING and not any(busy.values()):
        return []
    states = {
        model: _state(scene, progress, scene.standings.warming.get((region.id, model)))
        for model, progress in busy.items()
    }
    if frame.column:
        return [(fit(text, frame.column), look) for text, look in states.values()]
    names = {model: squeeze(clean(model), _NAME) for model in states}
    if _INDENT + sum(cell_len(name) + 1 + _STATE + _GAP for name in names.values()) - _GAP <= frame.width:
        return [
            part
            for model, (text, look) in states.items()
            for part in ((f"{names[model]} ", look), (fit(text, _STATE), look), ("  ", PLAIN))
        ]
    active = [
        (f"{names[model]} {text}", look) for model, (text, look) in states.items() if text != scene.signs.idle
    ]
    return _as_many_as_fit(active, frame.width - _INDENT)


def _state(scene: _Scene, progress: Progress | None, warming: float | None) -> Part:
    if progress is None and warming is not None:
        return f"starting {rough(scene.now - warming)}", FAINT
    if progress is None:
        return scene.signs.idle, FAINT
    if progress.state is State.WAITING:
        wait = ceil((progress.until or scene.now) - scene.now)
        return (f"retry in {max(0, wait)}s" if wait < _MINUTE else f"retry {clock(wait)}"), ODD
    since = scene.now - progress.started_at
    if (progress.region, progress.model) not in scene.standings.warmth:
        return f"starting {rough(since)}", FAINT
    return f"warm {brief(since)}", PLAIN


def _as_many_as_fit(entries: list[Part], width: int) -> list[Part]:
    shown: list[Part] = []
    for index, entry in enumerate(entries):
        more = f"+{len(entries) - index} more"
        last = index == len(entries) - 1
        if cells([*shown, entry]) + (0 if last else _GAP + len(more)) > width:
            return [*shown, (more, FAINT)] if shown else [(f"{len(entries)} in flight", PLAIN)]
        shown += [entry] if last else [entry, ("  ", PLAIN)]
    return shown


def _others(scene: _Scene, regions: list[RegionStanding]) -> Text:
    """One line for the regions that have no line of their own."""
    states = [(state, sum(region.state is state for region in regions)) for state in _BY_CONCERN]
    said = ", ".join(f"{number} {state.value}" for state, number in states if number)
    failed = sum(region.failed for region in regions)
    parts = [
        (f"and {count(len(regions), 'more region')}: {said}", FAINT),
        (f"{failed} failed" if failed else "", BAD),
    ]
    return line(scene.frame.width, [("  ", PLAIN), *joined(parts, scene.signs)])


# --- the whole run


def _foot(scene: _Scene) -> list[Text]:
    frame, standings = scene.frame, scene.standings
    totals = Totals.of(standings)
    ended = totals.succeeded + totals.failed
    parts: list[Part] = [("  ", PLAIN), (fit("all", frame.name) + " ", STRONG)]
    if frame.bar:
        parts += [*bar(frame.bar, totals.succeeded, totals.failed, standings.planned, scene.signs), (" ", PLAIN)]
    parts += [(f"{f'{ended}/{standings.planned}':>{frame.counts}}  ", STRONG)]
    percent: Part = (f"{100 * ended // max(1, standings.planned)} %", STRONG)
    choices = [joined([percent, (time, PLAIN)], scene.signs) for time in _times(scene)]
    room = frame.width - cells(parts)
    parts += next((choice for choice in choices if cells(choice) <= room), [percent])
    return [line(frame.width, parts), _slots(scene, totals)]


def _times(scene: _Scene) -> list[str]:
    """Elapsed time and expected time to the end, in fewer and fewer words."""
    if scene.standings.finished is not None:
        done = clock(scene.standings.finished.seconds)
        return [f"finished in {done}", done]
    elapsed, rest = clock(scene.now - scene.standings.began_at), left(scene.standings, scene.now)
    if rest is None:
        return [f"{elapsed} elapsed, time left not known yet", f"{elapsed}, left: unknown", elapsed]
    rest = max(1, ceil(rest))
    return [f"{elapsed} elapsed, about {clock(rest)} left", f"{elapsed}, {clock(rest)} left", elapsed]


def _slots(scene: _Scene, totals: Totals) -> Text:
    frame, signs = scene.frame, scene.signs
    if scene.standings.finished is not None:
        answered: Part = (f"{totals.succeeded} answered", GOOD)
        return line(frame.width, [("  ", PLAIN), *joined([answered, *_troubles(totals)], signs)])
    limit, used = scene.run.spec.limits.concurrency, len(scene.standings.running)
    parts: list[Part] = [("  ", PLAIN), (fit("slots", max(frame.name, len("slots"))) + " ", FAINT)]
    if frame.bar and limit <= min(_MOST_SLOTS, frame.bar):
        parts += [(signs.busy * min(used, limit), GOOD), (signs.free * max(0, limit - used), FAINT)]
        parts += [(" " * (frame.bar - limit + 1), PLAIN)]
    elif frame.bar:
        parts += [(" " * (frame.bar + 1), PLAIN)]
    return line(frame.width, [*parts, *joined([(f"{used} of {limit} in use", PLAIN), *_troubles(totals)], signs)])
