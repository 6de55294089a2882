"""How the answers of a run read, by region and model: the short form of a report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import NONE, name, number, table, that_fit
from beacon_cli.display.kinds import WORDS
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, STRONG
from beacon_cli.evidence.readings import Kind

LOOKS: Mapping[Kind, Style] = MappingProxyType(
    {
        Kind.SUBSTANTIVE: GOOD,
        Kind.PARTIAL: ODD,
        Kind.HARD_REFUSAL: BAD,
        Kind.SOFT_REFUSAL: BAD,
        Kind.EMPTY: ODD,
        Kind.TRUNCATED: ODD,
        Kind.INFRASTRUCTURE: BAD,
    }
)

_SPARED = ("empty", "cut off", "partial", "no answer", "evaded")
"""Where the width does not do, these columns go, in this order."""
_NAME = 32
_MOST_ROWS = 60

Counts = Mapping[tuple[str, str], Mapping[Kind, int]]
"""By region and model."""


def readings(counts: Counts, width: int, *, rehearsal: bool) -> RenderableType:
    """How many answers read how, and the share of refusals among those that say something, without intervals."""
    heading = Text("how the answers read", FAINT)
    if rehearsal:
        heading = Text.assemble((" REHEARSAL ", LABEL), " ", heading)
    return Group(heading, _table(counts, width))


def _table(counts: Counts, width: int) -> Table:
    regions: dict[str, dict[str, Mapping[Kind, int]]] = {}
    for (region, model), each in counts.items():
        regions.setdefault(region, {})[model] = each
    names = [*regions, *(f"  {model}" for models in regions.values() for model in models)]
    columns = {"": min(_NAME, max((len(each) for each in names), default=0))}
    columns |= {word: max(4, len(word)) for word in WORDS.values()} | {"refusals": 8}
    kept = that_fit(columns, _SPARED, width)
    made = table(kept, right=range(1, len(kept)))
    in_full = len(names) <= _MOST_ROWS
    for region, models in regions.items():
        whole = {kind: sum(each.get(kind, 0) for each in models.values()) for kind in Kind}
        made.add_row(name(region, STRONG, cells=_NAME), *_cells(whole, kept))
        for model, each in models.items() if in_full else ():
            indented = Text("  ").append_text(name(model, cells=_NAME - 2))
            made.add_row(indented, *_cells(each, kept))
    return made


def _cells(counts: Mapping[Kind, int], kept: list[str]) -> list[Text]:
    shown = {word: number(counts.get(kind, 0), LOOKS[kind]) for kind, word in WORDS.items()}
    said = sum(counts.get(kind, 0) for kind in Kind if kind.is_answer)
    refused = sum(counts.get(kind, 0) for kind in Kind if kind.is_refusal)
    shown["refusals"] = Text(f"{100 * refused / said:.0f} %") if said else Text(NONE, FAINT)
    return [shown[word] for word in kept[1:]]
