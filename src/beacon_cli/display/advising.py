"""Advice about cold starts, as people read it. Pure: advice in, renderables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import cell, paragraph
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, STRONG
from beacon_cli.display.words import precise
from beacon_cli.rates import Rates
from beacon_cli.timings.advice import Advice, Kind

_LOOKS: Mapping[Kind, Style] = {Kind.FINE: GOOD, Kind.KEEP_WARM: ODD, Kind.SWITCH_OFF: BAD, Kind.UNKNOWN: FAINT}


def advice(found: Sequence[Advice], rates: Rates, remarks: Sequence[str], *, rehearsals: bool) -> RenderableType:
    """Region by region, what to do first standing first."""
    parts: list[RenderableType] = [Text.assemble((" REHEARSALS ", LABEL), " made-up times")] if rehearsals else []
    for region, pieces in groupby(found, key=lambda each: each.region):
        parts.append(cell(region, STRONG))
        known = ""
        for each in pieces:
            look = _LOOKS.get(each.kind, STRONG)
            parts += [
                Text.assemble("  ", (each.kind.value, look), f": {each.says}", overflow="fold"),
                _details(each, known),
            ]
            known = each.numbers
        parts.append(Text(""))
    parts += [paragraph(remark, FAINT) for remark in remarks]
    if any(each.usd_per_month or each.price for each in found):
        dated, source = rates.dated or "an unknown date", rates.source or "an unknown source"
        parts.append(paragraph(f"rates of {dated}, GPUs alone, from {source}", FAINT))
    return Group(*parts)


def _details(each: Advice, known: str) -> Table:
    """What stands behind a piece of advice, without numbers that are `known` from the piece before it."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    rows = [("because", each.numbers)] if each.numbers != known else []
    if each.gain_seconds is not None:
        rows.append(
            (
                "gains",
                f"up to {precise(each.gain_seconds)} a job" if each.gain_seconds else "nothing that was seen",
            )
        )
    if each.price or each.usd_per_month is not None:
        rows.append(("costs", _price(each)))
    rows += [("do", command) for command in each.commands]
    for label, text in rows:
        made.add_row(Text(f"    {label:<7}", FAINT), paragraph(text))
    return made


def _price(each: Advice) -> str:
    if each.usd_per_month is None:
        return each.price if "unknown" in each.price else f"{each.price}; for a month unknown"
    if not each.usd_per_month:
        return each.price or "nothing"
    return (
        f"{each.usd_per_month:.0f} USD a month: {each.price}"
        if each.price
        else f"{each.usd_per_month:.0f} USD a month"
    )
