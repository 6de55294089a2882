"""Where the time of a run went, as a table with bars, in 80 cells. Pure: sums in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import NONE, cell, name, number, paragraph, table
from beacon_cli.display.strokes import BAD, FAINT, GOOD, LABEL, ODD, PLAIN, STRONG
from beacon_cli.display.words import count, precise
from beacon_cli.timings.shares import Shares, Tally
from beacon_cli.timings.waterfall import ASIDE, COLD, Part, Waterfall

_LOOKS: Mapping[Part, tuple[str, str, Style]] = {
    Part.TURN: ("'", "'", FAINT),
    Part.ORDER: (".", ".", FAINT),
    Part.STOPPED: (" ", " ", FAINT),
    Part.WARMING: ("▗", "w", Style(color="yellow")),
    Part.SLOT: ("·", ":", FAINT),
    Part.FAILED: ("x", "x", BAD),
    Part.RETRY: ("~", "~", ODD),
    Part.BACKLOG: ("░", "q", ODD),
    Part.BOOT: ("▒", "b", Style(color="blue")),
    Part.LOAD: ("▓", "l", Style(color="cyan")),
    Part.GENERATION: ("█", "#", GOOD),
    Part.NETWORK: ("─", "-", PLAIN),
    Part.UNTOLD: ("?", "?", FAINT),
}
"""Of each part its sign, the same for terminals that are not set to UTF-8, and its look."""
_WORDS = {Part.NETWORK: "network and the rest"}
_MOST_ROWS = 60
_SLOWEST = 10
_NAME = 24
_BAR = 28
_LEAST_BAR = 12
_SEEN = 0.005
"""A share that rounds to one per cent or more."""


class TimingView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of one run. `slowest` are the executions whose own time was longest, the longest first.

    `speeds` are how many times faster than life its processes played the provider; None: not known.
    """

    run_id: str
    job_id: str
    rehearsal: bool
    shares: Shares
    slowest: Sequence[Waterfall]
    speeds: Sequence[float | None] = (1.0,)
    on_the_way: int = 0


def timing(view: TimingView, width: int, *, ascii_only: bool = False) -> RenderableType:
    """The whole picture: shares by region and model, the waits, the slowest executions, the signs' meanings."""
    head = Text(overflow="fold")
    if view.rehearsal:
        head.append(" REHEARSAL ", LABEL).append(" ")
    head.append_text(cell(view.job_id, STRONG)).append("  ").append_text(cell(view.run_id, FAINT))
    if not view.shares.regions:
        return Group(head, Text(""), Text("no execution has ended yet: nothing to show", FAINT))
    blank = Text("")
    parts: list[RenderableType] = [
        head,
        *_units(view.speeds),
        blank,
        _shares(view.shares, width, ascii_only=ascii_only),
    ]
    parts += [blank, _waits(view.shares)]
    parts += [blank, _slowest(view.slowest, width, ascii_only=ascii_only), blank]
    parts.append(_meanings(view, ascii_only=ascii_only))
    parts += [paragraph(line, FAINT) for line in _remarks(view)]
    return Group(*parts)


def _units(speeds: Sequence[float | None]) -> Iterable[Text]:
    if any(speed is None for speed in speeds):
        yield Text("how fast it was played is not in its journal: times are this machine's", ODD, overflow="fold")
    elif any(speed != 1 for speed in speeds):
        said = " and ".join(f"{speed:g}" for speed in dict.fromkeys(speeds))
        yield Text(
            f"times are the provider's seconds: this machine's, multiplied by {said}", FAINT, overflow="fold"
        )


def _shares(shares: Shares, width: int, *, ascii_only: bool) -> Table:
    in_full = len(shares.regions) + len(shares.models) <= _MOST_ROWS
    names = [*shares.regions, *(f"  {model}" for _, model in shares.models)]
    first = min(_NAME, max(map(len, names)))
    bar = min(_BAR, width - first - sum(map(len, ("executions", "each  ", "cold", "answer"))) - 5 * 2)
    headings = ["", "executions", "each", "cold", "answer", *(["where it went"] if bar >= _LEAST_BAR else [])]
    made = table(headings, right={1, 2, 3, 4})
    for region, tally in shares.regions.items():
        made.add_row(name(region, STRONG, cells=_NAME), *_row(tally, bar, ascii_only=ascii_only))
        for (where, model), own in shares.models.items() if in_full else ():
            if where == region:
                indented = Text("  ").append_text(name(model, cells=_NAME - 2))
                made.add_row(indented, *_row(own, bar, ascii_only=ascii_only))
    return made


def _row(tally: Tally, bar: int, *, ascii_only: bool) -> list[Text]:
    each = Text(precise(tally.own / tally.n)) if tally.n else Text(NONE, FAINT)
    cells = [number(tally.n), each, _percent(tally, *COLD), _percent(tally, Part.GENERATION)]
    if bar >= _LEAST_BAR:
        own = {part: float(tally.parts[part]) for part in Part if part not in ASIDE}
        cells.append(strip(own, bar, ascii_only=ascii_only))
    return cells


def _percent(tally: Tally, *parts: Part) -> Text:
    """A share; where some of the time is not accounted for it may be more, and where all of it, nobody knows."""
    share, untold = tally.share(*parts), tally.share(Part.UNTOLD) or 0.0
    if share is None or (untold and not share):
        return Text(NONE, FAINT)
    return Text(f"{'>' if untold >= _SEEN else ''}{100 * share:.0f} %")


def strip(parts: Mapping[Part, float], length: int, *, ascii_only: bool = False) -> Text:
    """A bar of so many cells, divided as the parts are; each part's end is where its share ends, rounded."""
    whole = sum(parts.values())
    bar, done, drawn = Text(no_wrap=True), 0.0, 0
    for part in Part:
        done += parts.get(part, 0.0)
        upto = round(length * done / whole) if whole > 0 else 0
        sign, plain, look = _LOOKS[part]
        bar.append((plain if ascii_only else sign) * (upto - drawn), look)
        drawn = max(drawn, upto)
    return bar


def _waits(shares: Shares) -> Text:
    """What each region waited for its turn, and how long its executions waited for those before them."""
    line = Text(overflow="fold")
    line.append("waited before that, on average: ", FAINT)
    for region, tally in shares.regions.items():
        turn, order = (precise(tally.parts[part] / tally.n) for part in (Part.TURN, Part.ORDER))
        warming = warmed(shares, region)
        waking = f" {precise(warming)} for its slowest container to be warmed," if warming else ""
        said = f"{cell(region).plain} {turn} for its turn in the queue,{waking} {order} for the questions before; "
        line.append(said)
    line.right_crop(2)
    return line


def warmed(shares: Shares, region: str) -> float:
    """How long the slowest container of a region was warmed before it was asked, in seconds; 0 if none was."""
    own = [tally for (where, _), tally in shares.models.items() if where == region and tally.n]
    return max((tally.parts[Part.WARMING] / tally.n for tally in own), default=0.0)


def _slowest(waterfalls: Sequence[Waterfall], width: int, *, ascii_only: bool) -> Table:
    shown = waterfalls[:_SLOWEST]
    longest = max((each.own for each in shown), default=0.0)
    bar = max(_LEAST_BAR, min(_BAR, width - 50))
    made = table(["the slowest", "", "", "own", ""], right={3})
    for each in shown:
        own = {part: seconds for part, seconds in each.parts.items() if part not in ASIDE}
        length = max(1, round(bar * each.own / longest)) if longest > 0 else 0
        made.add_row(
            name(each.question, cells=18),
            name(each.region, cells=8),
            name(each.model, cells=14),
            Text(precise(each.own)),
            strip(own, length, ascii_only=ascii_only),
        )
    return made


def _meanings(view: TimingView, *, ascii_only: bool) -> Text:
    used = [
        part for part in Part if part not in ASIDE and any(t.parts[part] for t in view.shares.regions.values())
    ]
    line = Text(overflow="fold")
    for part in used:
        sign, plain, look = _LOOKS[part]
        words = _WORDS.get(part, part.value)
        line.append(plain if ascii_only else sign, look).append(f" {words}   ", FAINT)
    line.rstrip()
    return line


def _remarks(view: TimingView) -> Iterable[str]:
    regions = view.shares.regions.values()
    if doubted := sum(tally.doubted for tally in regions):
        yield f"{count(doubted, 'answer')} claimed more seconds than passed: not believed, shown as untold"
    if view.on_the_way:
        yield f"{count(view.on_the_way, 'execution')} had begun and not ended: not in these figures"


def brief(shares: Shares, *, speed: float | None = None) -> Text | None:
    """Where the time went, in a line for each region, for the end of a run; regions that do not say are left out.

    `speed` is how many times faster than life the run was, so that its seconds are told from those of the table
    above. None where no region says.
    """
    unit = "" if speed in {None, 1.0} else f", in the provider's seconds (those above, times {speed:g})"
    lines = []
    for region, tally in shares.regions.items():
        if tally.own <= 0 or tally.parts[Part.UNTOLD] > tally.own / 2:
            continue
        rest = {part: tally.share(part) or 0.0 for part in Part if part not in ASIDE | COLD}
        named = sorted(((share, part) for part, share in rest.items() if share >= _SEEN), reverse=True)
        said = ", ".join(f"{part.value} {100 * share:.0f} %" for share, part in named[:3])
        share = tally.cold_share or 0.0
        warming = warmed(shares, region)
        cold = f"cold starts took {100 * share:.0f} % of its executions' time; "
        cold = f"was warmed in {precise(warming)}; then {cold if share >= _SEEN else ''}" if warming else cold
        lines.append(Text.assemble(cell(region, STRONG), f" {cold}{said}", overflow="fold"))
    return Text("\n").join([Text(f"where the time went{unit}", FAINT), *lines]) if lines else None
