"""The tables of `beacon queue-status` and `beacon queue`. Pure: plain data in, renderables out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from beacon_cli.display.clean import excerpt
from beacon_cli.display.columns import NONE, cell, fit, name, number, paragraph, table, that_fit
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, PLAIN, STRONG
from beacon_cli.display.words import clock, count
from beacon_cli.queue_view import Gpus, Job, RegionStatus, Status, Waiter, seconds_since
from beacon_cli.tickets import Caps, FailedExecution

_MOST_WAITING = 10
"""Of more jobs that wait in a region than these the rest is counted, not shown."""
_MOST_FAILURES = 200
_REGION = 12
_RUN = 24
_LONGEST_KEY = 4_000
_WORKING = {"region": 0, "run": 0, "job": 1, "user": 4, "for": 2, "asks": 0, "models in flight": 0}
_WAITING = {"region": 0, "place": 0, "run": 0, "job": 1, "user": 3, "priority": 2, "starts": 0, "executions": 4}
"""Where the width does not do, the columns with the highest number go first; those with none stay."""
_NUMBERS = frozenset({"place", "for", "executions"})


def status(view: Status, width: int) -> RenderableType:
    """The whole queue: regions, who has a turn, who waits, what stands idle, which runs are set aside."""
    regions = list(view.queues.values())
    parts: list[RenderableType] = [_headline(view, regions), Text(""), _regions(regions, width)]
    working = [_working_cells(region, job, view.at) for region in regions for job in region.working]
    if working:
        parts += [Text(""), _rows("has its turn", _WORKING, working, width)]
    waiting = [
        _waiting_cells(region, each, view.at) for region in regions for each in region.waiting[:_MOST_WAITING]
    ]
    if waiting:
        parts += [Text(""), _rows("waits", _WAITING, waiting, width)]
        parts += [
            Text(f"and {more:,} more in {excerpt(region.region, _REGION)}", FAINT)
            for region in regions
            if (more := region.queue_size - len(region.waiting[:_MOST_WAITING])) > 0
        ]
    notes = [
        *_quiet(view),
        *_held(regions),
        *_idle(regions, view.at),
        *_reclaiming(regions),
        *_set_aside(view.set_aside),
    ]
    return Group(*parts, *([Text("")] if notes else []), *notes)


def failures(found: Sequence[FailedExecution], width: int) -> RenderableType:
    """The executions that failed for good, the newest last, and what asks them again."""
    if not found:
        return Text("no execution has failed for good", FAINT)
    shown = found[-_MOST_FAILURES:]
    headings = ("run", "region", "model", "question", "kind", "message")
    rows = [
        {
            "run": name(each.run_id, STRONG, cells=_RUN),
            "region": name(each.region, cells=_REGION),
            "model": name(each.model, cells=20),
            "question": cell(each.question, cells=24),
            "kind": cell(each.kind, BAD, cells=12),
            "message": cell(each.message, cells=160),
        }
        for each in shown
    ]
    widths = {heading: max(len(heading), *(row[heading].cell_len for row in rows)) for heading in headings}
    kept = that_fit({**widths, "message": min(widths["message"], 24)}, ("message", "question", "kind"), width)
    made = table(kept, wrapped=[kept.index("message")] if "message" in kept else [])
    for row in rows:
        made.add_row(*(row[heading] for heading in kept))
    more = len(found) - len(shown)
    parts: list[RenderableType] = [Text(f"and {more:,} before these", FAINT)] if more else []
    runs = list(dict.fromkeys(each.run_id for each in found))
    hints = [paragraph(f"ask again: beacon retry {run}", FAINT) for run in runs[-3:]]
    return Group(*parts, made, Text(""), *hints)


def caps(kept: Caps | None, ours: Caps) -> RenderableType:
    """The caps that the store keeps beside those of the configuration; None: there is no store yet."""
    made = table(["cap", "in the queue", "in the configuration", ""])
    for field in Caps.__struct_fields__:
        there = None if kept is None else getattr(kept, field)
        here = getattr(ours, field)
        differs = kept is not None and there != here
        made.add_row(
            Text(field),
            Text("not set" if kept is None else _cap(there), BAD if differs else PLAIN),
            Text(_cap(here)),
            Text("differs" if differs else "", BAD),
        )
    return made


def _cap(value: float | None) -> str:
    return "no limit" if value is None else f"{value:g}"


def _headline(view: Status, regions: Sequence[RegionStatus]) -> Text:
    waiting = sum(region.queue_size for region in regions)
    working = sum(len(region.working) for region in regions)
    said = [f"{count(working, 'turn')} taken", f"{waiting:,} waiting"]
    if view.gpus.limit is not None:
        said.insert(0, f"{_share(view.gpus)} GPUs in use")
    line = Text.assemble((" queue ", LABEL), "  ", ", ".join(said))
    if view.at is not None:
        line.append(f"  {view.at.strftime('%H:%M:%S')} UTC", FAINT)
    return line


def _regions(regions: Sequence[RegionStatus], width: int) -> RenderableType:
    rows = [
        {
            "region": name(region.region.lower(), STRONG, cells=_REGION),
            "GPUs": Text(_share(region.gpus), PLAIN if region.gpus.in_use else FAINT),
            "idle": number(region.gpus.idle, ODD),
            "waiting": number(region.queue_size),
            "completed": number(region.completed, GOOD),
            "failed": number(region.failed, BAD),
            "state": _state(region),
        }
        for region in regions
    ]
    if not rows:
        return Text("no regions", FAINT)
    widths = {heading: max(len(heading), *(row[heading].cell_len for row in rows)) for heading in rows[0]}
    kept = that_fit(widths, ("idle", "failed", "completed", "state"), width)
    made = table(
        kept,
        right=[index for index, heading in enumerate(kept) if heading not in {"region", "state"}],
        widths=widths if fit(widths, kept, width) else None,
    )
    for row in rows:
        made.add_row(*(row[heading] for heading in kept))
    return made


def _state(region: RegionStatus) -> Text:
    said: list[tuple[str, Style]] = []
    if region.working:
        said.append(("working", GOOD))
    if region.reclaiming:
        said.append(("reclaiming", ODD))
    if region.paused:
        said.append(("paused", BAD))
    if not said:
        return Text("free", FAINT)
    return Text(", ").join(Text(word, style) for word, style in said)


def _share(gpus: Gpus) -> str:
    return f"{gpus.in_use}" if gpus.limit is None else f"{gpus.in_use} of {gpus.limit}"


def _working_cells(region: RegionStatus, job: Job, now: datetime | None) -> dict[str, Text]:
    since = seconds_since(job.started_at, now)
    return {
        "region": name(region.region.lower(), STRONG, cells=_REGION),
        "run": name(job.run_id, cells=_RUN),
        "job": cell(job.job_id, cells=24),
        "user": cell(job.user, cells=12),
        "for": Text(NONE, FAINT) if since is None else Text(clock(since)),
        "asks": cell(job.question, cells=24),
        "models in flight": cell(", ".join(job.models) or job.model, cells=80),
    }


def _waiting_cells(region: RegionStatus, each: Waiter, now: datetime | None) -> dict[str, Text]:
    left = seconds_since(now, each.expected_at)
    starts = "not known" if left is None else f"in about {clock(left)}" if left > 0 else "now"
    if each.held:
        starts = "held back"
    return {
        "region": name(region.region.lower(), STRONG, cells=_REGION),
        "place": Text(f"{each.position:,}"),
        "run": name(each.run_id, cells=_RUN),
        "job": cell(each.job_id, cells=24),
        "user": cell(each.user, cells=12),
        "priority": cell(each.priority, ODD if each.priority not in {"", "normal"} else PLAIN, cells=8),
        "starts": Text(starts, ODD if each.held else FAINT if left is None else PLAIN),
        "executions": number(each.executions),
    }


def _rows(
    title: str, columns: Mapping[str, int], rows: Sequence[Mapping[str, Text]], width: int
) -> RenderableType:
    widths = {heading: max(len(heading), *(row[heading].cell_len for row in rows)) for heading in columns}
    last = list(columns)[-1]
    if last == "models in flight":
        widths[last] = min(widths[last], 30)  # it wraps
    spared = sorted((heading for heading, rank in columns.items() if rank), key=lambda each: -columns[each])
    kept = that_fit(widths, spared, width)
    made = table(
        kept,
        right=[index for index, heading in enumerate(kept) if heading in _NUMBERS],
        wrapped=[kept.index(last)] if last == "models in flight" else [],
        widths=widths if fit(widths, kept, width) else None,
    )
    made.title, made.title_justify, made.title_style = title, "left", STRONG
    for row in rows:
        made.add_row(*(row[heading] for heading in kept))
    return made


def _quiet(view: Status) -> Iterable[Text]:
    left = seconds_since(view.at, view.quiet_until)
    if left is not None and left > 0:
        yield Text.assemble(
            ("no turn  ", ODD),
            f"for {clock(left)}: the queue is new, was restarted or lost its data, and containers of before may"
            " live; if none does: beacon queue begin",
            overflow="fold",
        )


def _held(regions: Iterable[RegionStatus]) -> Iterable[Text]:
    """The limits that hold jobs back, each once, as far as such jobs are shown."""
    reasons = (each.held for region in regions for each in region.waiting[:_MOST_WAITING] if each.held)
    for reason in dict.fromkeys(reasons):
        yield Text.assemble(("held back  ", ODD), excerpt(reason, 160), overflow="fold")


def _idle(regions: Iterable[RegionStatus], now: datetime | None) -> Iterable[Text]:
    for region in regions:
        for each in region.warm:
            since = seconds_since(each.since, now)
            ago = "" if since is None else f", for {clock(since)}"
            yield Text.assemble(
                ("idle  ", ODD),
                f"{excerpt(region.region.lower(), _REGION)}: {pool_name(each.pool)}",
                (f" ({count(each.gpus, 'GPU')}{ago})", FAINT),
                overflow="fold",
            )


def _reclaiming(regions: Iterable[RegionStatus]) -> Iterable[Text]:
    for region in regions:
        for run in region.reclaiming:
            where, who = excerpt(region.region.lower(), _REGION), excerpt(run, 40)
            yield Text.assemble(
                ("reclaiming  ", ODD), f"{where}: what run {who} left behind is being ended", overflow="fold"
            )


def _set_aside(runs: Mapping[str, Iterable[str]]) -> Iterable[Text]:
    for run, where in runs.items():
        who, places = excerpt(run, 40), ", ".join(excerpt(each, _REGION) for each in where)
        yield Text.assemble(
            ("set aside  ", BAD), f"run {who} in {places}; find out why, then: beacon queue release {who}",
            overflow="fold",
        )  # fmt: skip


def pool_name(key: str) -> str:
    """A pool as people call it, `app Class(model)` or `app/function`, clean; a key of another form as it is."""
    try:
        parts = json.loads(key) if len(key) <= _LONGEST_KEY else None
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, dict) or not isinstance(parts.get("app"), str):
        return excerpt(key, 60)
    app, called = parts["app"], parts.get("function")
    if isinstance(called, str):
        return excerpt(f"{app}/{called}", 60)
    given = parts.get("parameters")
    values = ", ".join(str(value) for value in given.values()) if isinstance(given, dict) else ""
    return excerpt(f"{app} {parts.get('cls') or parts.get('class') or ''}({values})", 60)
