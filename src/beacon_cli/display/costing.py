"""What a run used of GPUs, and what that cost, as a table in 80 cells. Pure: sums in, renderables out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import NONE, cell, name, number, paragraph, table, that_fit
from beacon_cli.display.strokes import FAINT, LABEL, ODD, STRONG
from beacon_cli.display.words import count, precise
from beacon_cli.rates import Rates
from beacon_cli.timings.costs import Costs, Key, Usage, price, total

_SPARED = ("containers", "idle", "GPU", "cold")
_NAME = 24


class CostView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of one run. `window` is how long its containers are taken to stand idle at most.

    `unsettled` are the calls of which no end is known, and their seconds at most.
    """

    run_id: str
    job_id: str
    rehearsal: bool
    costs: Costs
    rates: Rates
    window: float
    unsettled: int = 0
    unsettled_seconds: float = 0.0


def cost(view: CostView, width: int) -> RenderableType:
    """GPU seconds by region and model, their price, and what is not known."""
    head = Text(overflow="fold")
    if view.rehearsal:
        head.append(" REHEARSAL ", LABEL).append(" ")
    head.append_text(cell(view.job_id, STRONG)).append("  ").append_text(cell(view.run_id, FAINT))
    if not view.costs.usages:
        rest = (paragraph(line, FAINT) for line in _unsettled(view))
        return Group(head, Text(""), Text("no execution has ended yet: nothing to show", FAINT), *rest)
    blank = Text("")
    parts: list[RenderableType] = [head, blank, _usages(view, width), blank, _total(view)]
    parts += [paragraph(line, FAINT) for line in _remarks(view)]
    return Group(*parts)


def _usages(view: CostView, width: int) -> Table:
    rows = [(key, _cells(key, usage, view.rates)) for key, usage in sorted(view.costs.usages.items())]
    labels = {key: name(f"{key.region} {key.model}", cells=_NAME) for key, _ in rows}
    widths = {"": max(label.cell_len for label in labels.values())}
    widths |= {
        heading: max(len(heading), *(cells[heading].cell_len for _, cells in rows)) for heading in rows[0][1]
    }
    kept = that_fit(widths, _SPARED, width)
    made = table(kept, right=[index for index, heading in enumerate(kept) if heading not in {"", "GPU"}])
    for key, cells in rows:
        made.add_row(labels[key], *(cells[heading] for heading in kept[1:]))
    return made


def _cells(key: Key, usage: Usage, rates: Rates) -> dict[str, Text]:
    return {
        "GPU": cell(key.gpu, cells=16) if key.gpu else Text("unknown", ODD),
        "answers": number(usage.answers),
        "containers": number(usage.containers),
        "answering": _seconds(usage.generation),
        "cold": _seconds(usage.cold),
        "idle": _seconds(usage.idle),
        "USD": _usd(price(usage.known, key, rates) if usage.known or not usage.untold else None),
    }


def _seconds(seconds: float) -> Text:
    return Text(precise(seconds)) if seconds else Text(NONE, FAINT)


def _usd(amount: float | None) -> Text:
    return Text("unknown", ODD) if amount is None else Text(f"{amount:.4f}")


def _total(view: CostView) -> Text:
    usages, money = view.costs.usages.values(), total(view.costs, view.rates)
    known = sum(usage.known for usage in usages)
    cold = sum(usage.cold for usage in usages)
    is_whole = known and not any(usage.untold for usage in usages)
    share = f", {100 * cold / known:.0f} % of it cold starts," if is_whole else ""
    line = Text(f"{precise(known)} of GPU time{share}", overflow="fold")
    if money.unknown and not money.known:
        return line.append(": its price is unknown", ODD)
    least = "at least " if money.unknown else ""
    would = "would have cost" if view.rehearsal else "cost"
    return line.append(f" {would} {least}{money.known:.4f} USD", STRONG)


def _remarks(view: CostView) -> list[str]:
    usages = view.costs.usages.values()
    remarks = []
    if tail := view.costs.tail(view.window):
        remarks.append(
            f"after their last answers {count(view.costs.containers, 'container')} may have stood idle for"
            f" {precise(sum(tail.values()))} more: at most {_priced(view, tail)}, if the scaledown window is"
            f" {view.window:g} s"
        )
    if failed := {key: usage.failed for key, usage in view.costs.usages.items() if usage.failed}:
        remarks.append(
            f"calls without an answer took {precise(sum(failed.values()))}: at most {_priced(view, failed)} were"
            " paid for them"
        )
    if before := {key: usage.before for key, usage in view.costs.usages.items() if usage.before}:
        remarks.append(
            f"containers that were kept warm may have stood there for {precise(sum(before.values()))} before they"
            f" answered first: at most {_priced(view, before)}"
        )
    if unnamed := sum(usage.unnamed for usage in usages):
        remarks.append(
            f"{count(unnamed, 'answer')} did not name their container: what it stood idle between them is unknown"
        )
    if untold := sum(usage.untold for usage in usages):
        waited = precise(sum(usage.untold_seconds for usage in usages))
        remarks.append(
            f"{count(untold, 'answer')} did not say their seconds: unknown ({waited} were waited for them)"
        )
    remarks += _unsettled(view)
    dated = view.rates.dated or "unknown"
    remarks.append(f"rates of {dated}, GPUs alone, from {view.rates.source or 'an unknown source'}; prices change")
    return remarks


def _priced(view: CostView, seconds: Mapping[Key, float]) -> str:
    prices = [price(each, key, view.rates) for key, each in seconds.items()]
    return "an unknown sum" if None in prices else f"{sum(filter(None, prices)):.4f} USD"


def _unsettled(view: CostView) -> Iterator[str]:
    """What is not in the figures, since nobody saw its end."""
    if view.unsettled:
        yield (
            f"{count(view.unsettled, 'call')} had begun and not ended: not in these figures, at most"
            f" {precise(view.unsettled_seconds)} of GPU time"
        )
    if view.costs.kept:
        yield (
            f"containers in {', '.join(sorted(view.costs.kept))} were being kept warm when the run's process died,"
            " and cost until they are let go: beacon cool"
        )
