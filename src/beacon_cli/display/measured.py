"""Warm and cold answers of many runs, as tables. Pure: figures in, renderables out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import NONE, cell, name, number, paragraph, table, that_fit
from beacon_cli.display.strokes import FAINT, LABEL, STRONG
from beacon_cli.display.words import count, precise
from beacon_cli.timings.metrics import NEEDED, Against, Group, Metrics, against, day, quantile
from beacon_cli.timings.spread import Spread

_NAME = 24
_MOST_ROWS = 60
_MOST_DAYS = 14
_SPARED = ("GPU memory", "warm p99", "cold p99", "warm p95", "cold p95", "95 %", "answers")
"""Where the width does not do, these columns go, in this order."""


class MetricsView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown: the figures, where they are from in words, and what has to be said beside them."""

    metrics: Metrics
    origin: str
    rehearsals: bool = False
    remarks: Sequence[str] = ()


def metrics(view: MetricsView, width: int) -> RenderableType:
    """Rates and times by region and model, Europe against the United States, the trend by day."""
    found, blank = view.metrics, Text("")
    head = Text(overflow="fold")
    if view.rehearsals:
        head.append(" REHEARSALS ", LABEL).append(" ")
    head.append(f"{count(found.n, 'answer')}", STRONG).append(" ").append_text(paragraph(view.origin, FAINT))
    remarks = [paragraph(remark, FAINT) for remark in view.remarks]
    if not found.n:
        return Stack(head, *remarks)
    parts: list[RenderableType] = [head, blank, _groups(found, width)]
    held = against(found)
    if held is not None:
        parts += [blank, _against(held)]
    if len(found.days) > 1:
        parts += [blank, _days(found)]
    return Stack(*parts, blank, *_woken(found), _small(), *remarks)


def _groups(found: Metrics, width: int) -> Table:
    regions = found.regions
    in_full = len(regions) + len(found.models) <= _MOST_ROWS
    rows = []
    for region, group in regions.items():
        rows.append((name(region, STRONG, cells=_NAME), _cells(group)))
        for (where, model), own in found.by_name() if in_full else ():
            if where == region:
                rows.append((Text("  ").append_text(name(model, cells=_NAME - 2)), _cells(own)))
    widths = {"": max(label.cell_len for label, _ in rows)}
    widths |= {heading: max(len(heading), *(each[heading].cell_len for _, each in rows)) for heading in rows[0][1]}
    kept = that_fit(widths, _SPARED, width)
    made = table(kept, right=range(1, len(kept)))
    for label, cells in rows:
        made.add_row(label, *(cells[heading] for heading in kept[1:]))
    return made


def _cells(group: Group) -> dict[str, Text]:
    cells = {"answers": number(group.n), "cold": _share(group.rate), "95 %": _interval(group)}
    for word, values in (("warm", group.warm_seconds), ("cold", group.cold_seconds)):
        for share in NEEDED:
            cells[f"{word} p{100 * share:g}"] = _seconds(quantile(values, share))
    cells["GPU memory"] = Text(f"{group.memory.most:.1f}") if group.memory.n else Text(NONE, FAINT)
    return cells


def _share(share: float | None) -> Text:
    return Text(NONE, FAINT) if share is None else Text(f"{100 * share:.0f} %")


def _interval(group: Group) -> Text:
    if group.interval is None:
        return Text(NONE, FAINT)
    low, high = group.interval
    return Text(f"{100 * low:.0f} to {100 * high:.0f}", FAINT)


def _seconds(seconds: float | None) -> Text:
    return Text(NONE, FAINT) if seconds is None else Text(precise(seconds))


def _against(held: Against) -> Text:
    said = [
        f"{word} {precise(pair[0])} against {precise(pair[1])}, of {n[0]:,} and {n[1]:,} answers"
        for word, pair, n in (("warm", held.warm, held.warm_n), ("cold", held.cold, held.cold_n))
        if pair is not None
    ]
    line = Text.assemble((f"{held.region} against {held.other}: ", FAINT), overflow="fold")
    if not said:
        return line.append("nothing that both have timed")
    return line.append(f"{'; '.join(said)} (medians)")


def _days(found: Metrics) -> Table:
    made = table(["day (UTC)", "answers", "cold", "95 %", "warm p50", "cold p50"], right=range(1, 6))
    for each in sorted(found.days)[-_MOST_DAYS:]:
        group = found.days[each]
        made.add_row(
            cell(day(each)),
            number(group.n),
            _share(group.rate),
            _interval(group),
            *(_seconds(_median(values)) for values in (group.warm_seconds, group.cold_seconds)),
        )
    return made


def _median(values: Spread) -> float | None:
    return quantile(values, 0.5)


def _woken(found: Metrics) -> list[Text]:
    """How many containers were woken before they were asked: their starts are in no rate and no answer."""
    group = found.all
    if not group.woken:
        return []
    median = quantile(group.starts, 0.5)
    took = f"; half of {count(group.starts.n, 'start')} took over {precise(median)}" if median is not None else ""
    said = f"{count(group.woken, 'container')} had been woken before being asked{took}"
    return [Text(said, FAINT, overflow="fold")]


def _small() -> Text:
    return Text(
        "seconds are those inside the container, a cold answer's with its start; "
        f"p95 needs {NEEDED[0.95]} values, p99 {NEEDED[0.99]}: with fewer there is none",
        FAINT,
        overflow="fold",
    )
