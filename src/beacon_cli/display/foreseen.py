"""What a run will take, as a table of ways and a picture of its GPU slots over time, in 80 cells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from beacon_cli.display.columns import cell, name, paragraph, table
from beacon_cli.display.strokes import FAINT, GOOD, ODD, STRONG
from beacon_cli.display.words import clock, count, precise
from beacon_cli.planning.courses import Course, Life
from beacon_cli.planning.forecasts import Estimate, Forecast, Name, Outlook

_SAID: Mapping[Name, str] = {
    Name.COLD: "not prewarmed",
    Name.PREWARMED: "prewarmed",
    Name.KEPT_WARM: "kept warm",
    Name.LANES: "lanes, prewarmed",
}
_START, _BUSY, _IDLE, _NONE = range(4)
_SIGNS: Mapping[int, tuple[str, str, Style]] = {
    _START: ("▒", "s", Style(color="blue")),
    _BUSY: ("█", "#", GOOD),
    _IDLE: ("·", ".", FAINT),
    _NONE: (" ", " ", FAINT),
}
_NAME = 24
_LEAST_BAR = 20
_WIDEST_BAR = 56
_MOST_ROWS = 40
_MOST_NAMED = 3


class ForeseenView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown: the `time`, with the picture, the `cost`, or both. `window` as the outlook took it."""

    job_id: str
    executions: int
    outlook: Outlook
    window: float
    time: bool
    cost: bool
    at_endpoint: bool = False
    rehearsals: bool = False


def foreseen(view: ForeseenView, width: int, *, ascii_only: bool = False) -> RenderableType:
    """The whole picture."""
    head = cell(view.job_id, STRONG).append(f"  {count(view.executions, 'execution')}", FAINT)
    parts: list[RenderableType] = [head]
    if view.time:
        parts += [Text(""), _walls(view.outlook)]
        if not view.at_endpoint:
            parts += [Text(""), *_slots(view.outlook, width, ascii_only=ascii_only)]
    if view.cost:
        parts += [Text(""), _costs(view)]
    return Group(*parts, Text(""), *(paragraph(line, FAINT) for line in _remarks(view)))


def _walls(found: Outlook) -> Table:
    made = table(["wall time", "low", "expected", "high", "of it cold starts"], right={1, 2, 3, 4})
    for way in found.forecasts.values():
        made.add_row(_said(way, found), *_clocks(way.wall), Text(clock(way.cold_wall)))
    return made


def _costs(view: ForeseenView) -> Table:
    made = table(
        ["USD", "low", "expected", "high", "of it cold", "GPU time", "cold", "idle"], right=set(range(1, 8))
    )
    for way in view.outlook.forecasts.values():
        money = (
            [Text("unknown", ODD)] * 4 if way.usd is None else [*_usd(way.usd), Text(f"{way.cold_usd or 0:.4f}")]
        )
        seconds = [Text(clock(each)) for each in (way.gpu.expected, way.cold_gpu, way.idle_gpu)]
        made.add_row(_said(way, view.outlook), *money, *seconds)
    return made


def _said(way: Forecast, found: Outlook) -> Text:
    return Text(_SAID[way.name], STRONG if way.name is found.taken else Style())


def _clocks(each: Estimate) -> list[Text]:
    return [Text(clock(seconds)) for seconds in (each.low, each.expected, each.high)]


def _usd(each: Estimate) -> list[Text]:
    return [Text(f"{usd:.4f}") for usd in (each.low, each.expected, each.high)]


def _slots(found: Outlook, width: int, *, ascii_only: bool) -> Iterator[Text]:
    """A line for each region and model: what its GPU does from the run's start to its end."""
    course = found.typical
    lives: dict[tuple[str, str], list[Life]] = {}
    for life in course.lives:
        lives.setdefault(life.cell, []).append(life)
    labels = {each: name(" ".join(each), cells=_NAME) for each in lives}
    first = max(label.cell_len for label in labels.values())
    bar = min(_WIDEST_BAR, max(_LEAST_BAR, width - first - 2))
    end = clock(course.seconds)
    yield Text(" " * (first + 2) + "0:00" + end.rjust(bar - 4), FAINT)
    for each in sorted(lives)[:_MOST_ROWS]:
        line = Text(no_wrap=True, overflow="crop").append_text(labels[each])
        line.append(" " * (first + 2 - labels[each].cell_len))
        for kind in _kinds(lives[each], course, bar):
            sign, plain, look = _SIGNS[kind]
            line.append(plain if ascii_only else sign, look)
        yield line
    if len(lives) > _MOST_ROWS:
        yield Text(f"and {count(len(lives) - _MOST_ROWS, 'more slot')}", FAINT)
    start, busy, idle = (_SIGNS[kind][int(ascii_only)] for kind in (_START, _BUSY, _IDLE))
    peak = _peak(course)
    yield Text(f"{start} starting  {busy} answering  {idle} idle; at most {count(peak, 'GPU')} at once", FAINT)


def _kinds(lives: list[Life], course: Course, bar: int) -> list[int]:
    """What most of each cell's time is, from 0 to the run's end."""
    step = course.seconds / bar if course.seconds else 1.0
    return [_kind(lives, place * step, (place + 1) * step) for place in range(bar)]


def _kind(lives: list[Life], since: float, until: float) -> int:
    def within(first: float, last: float) -> float:
        return max(0.0, min(last, until) - max(first, since))

    start = sum(within(life.up, min(life.ready, life.down)) for life in lives)
    busy = sum(within(*span) for life in lives for span in life.busy)
    alive = sum(within(life.up, life.down) for life in lives)
    shares = {_START: start, _BUSY: busy, _IDLE: alive - start - busy, _NONE: until - since - alive}
    return max(shares, key=lambda kind: shares[kind])


def _peak(course: Course) -> int:
    steps = sorted(
        [(life.up, 1) for life in course.lives] + [(life.down, -1) for life in course.lives],
        key=lambda step: (step[0], step[1]),
    )
    alive = most = 0
    for _, change in steps:
        alive += change
        most = max(most, alive)
    return most


def _remarks(view: ForeseenView) -> Iterator[str]:
    found = view.outlook
    yield (
        f"low to high holds 80 % of {count(found.draws, 'imagined course')} of the run; `beacon run` takes the way"
        f" {_SAID[found.taken]!r}, and waiting in the queue, failures and retries come on top"
    )
    yield _basis(view)
    if view.at_endpoint:
        yield "an endpoint is not paid by the second: what it costs is unknown, and so is how its rate slows it"
        return
    if not view.cost:
        return
    prices = found.prices
    gpus = sorted({gpu for gpu in prices.gpus.values() if gpu is not None})
    yield (
        f"a container is paid for from its start until it has stood idle for {view.window:g} s after its last"
        " answer; 'kept warm' leaves out what it cost before the run"
    )
    vain = "an unknown sum" if found.vain_usd is None else f"{found.vain_usd:.4f} USD"
    yield (
        f"a container that does not come to serve costs up to {precise(found.vain_seconds)}, the job's time limit"
        f" and its window: {vain} at most, if one of each model in each region does not"
    )
    if prices.unknown:
        shown = ", ".join(" ".join(each) for each in prices.unknown[:_MOST_NAMED])
        rest = len(prices.unknown) - _MOST_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        remedy = "name it with --gpu, its price in [rates] of beacon.toml"
        yield f"unknown: the GPU of {shown}{more}, or its price; {remedy}"
    dated, source = prices.rates.dated or "unknown", prices.rates.source or "an unknown source"
    yield f"rates of {dated}, GPUs alone ({', '.join(gpus) or 'none known'}), from {source}; prices change"


def _basis(view: ForeseenView) -> str:
    measured = view.outlook.measured.values()
    starts, answers = sum(each[0] for each in measured), sum(each[1] for each in measured)
    assumed = sum(not starts for starts, _ in measured), sum(not answers for _, answers in measured)
    kind = "rehearsals" if view.rehearsals else "real runs"
    said = f"from {count(starts, 'cold start')} and {count(answers, 'answer')} of this machine's {kind}"
    if any(assumed):
        said += (
            f"; the original system's figures stand in where there are none: for the starts of"
            f" {assumed[0]} and the answers of {assumed[1]} of {count(len(measured), 'slot')}"
        )
    return said
