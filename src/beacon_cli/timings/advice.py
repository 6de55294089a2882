"""What to do about cold starts: the original system's decision tree, its limits in one table. Pure.

Each piece of advice has its numbers, what it gains for each job, what it costs in a month, and the command. What
is not known (a price, whether something was tried) is said to be so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

import msgspec

from beacon_cli.rates import Rates
from beacon_cli.timings.habits import Habits
from beacon_cli.timings.metrics import Group


class Threshold(msgspec.Struct, frozen=True):
    """A limit of the tree, and where it comes from."""

    value: float
    unit: str
    source: str


_TREE = "the original system's architecture analysis, decision tree"
THRESHOLDS: Mapping[str, Threshold] = {
    "fine_below": Threshold(0.20, "share of cold answers", _TREE),
    "keep_warm_over": Threshold(0.40, "share of cold answers", f"{_TREE}: if it stays over it, keep one warm"),
    "recommended_over": Threshold(0.60, "share of cold answers", "the same analysis, O2.1: only over 60 %"),
    "window": Threshold(1800.0, "seconds", "the same analysis, O1.5: scaledown_window 30 minutes"),
    "window_before": Threshold(
        300.0, "seconds", "the apps' settings table, SCALEDOWN_WINDOW; the original had 120"
    ),
    "measure_days": Threshold(3.0, "days", "the same analysis: after 3 to 5 days of metrics"),
    "measure_again_days": Threshold(7.0, "days", "the same analysis: measure again after a week"),
    "slow_start": Threshold(360.0, "seconds", "the same analysis: APAC switched off at over 6 minutes"),
    "hours_a_month": Threshold(10 * 5 * 52 / 12, "hours", "Monday to Friday, 08:00 to 18:00"),
}
"""Every limit that advice depends on, in one place."""


_NO_PRICE = "unknown: not every GPU has a price"
_HOURS = "Mon-Fri 08:00-18:00 Europe/London"


class Kind(StrEnum):
    """What is advised."""

    UNKNOWN = "measure first"
    FINE = "leave it"
    WINDOW = "longer window"
    PREWARM = "pre-warm"
    KEEP_WARM = "keep warm"
    SWITCH_OFF = "switch off"
    TRY_AGAIN = "try again"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a region. `prewarmed` says whether jobs were pre-warmed; None: the journals do not tell."""

    region: str
    group: Group
    habits: Habits
    prewarmed: bool | None = None

    @property
    def has_long_window(self) -> bool | None:
        """Whether containers stay as long as is advised, by what they did; None where no rest was long enough."""
        wanted = 0.9 * THRESHOLDS["window"].value
        if self.habits.survived is not None and self.habits.survived >= wanted:
            return True
        return False if self.habits.lost is not None and self.habits.lost < wanted else None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of advice. `gain_seconds` (of a job) and `usd_per_month` are at most; None: unknown."""

    region: str
    kind: Kind
    says: str
    numbers: str
    commands: tuple[str, ...] = ()
    gain_seconds: float | None = None
    usd_per_month: float | None = None
    price: str = ""


def advise(
    facts: Collection[Facts],
    rates: Rates,
    *,
    regions_off: Collection[str] = (),
    slow_start: float = THRESHOLDS["slow_start"].value,
) -> list[Advice]:
    """Advice for each region, in the order in which it should be followed.

    `regions_off` are those that the configuration has switched off; `slow_start` is the longest median cold start
    with which a region is kept, in seconds.
    """
    found = []
    for each in facts:
        found += _tried_again(each) if each.region in regions_off else _of_region(each, rates, slow_start)
    known = {each.region for each in facts}
    return found + [
        _try_again(region, "nothing is known of it yet") for region in regions_off if region not in known
    ]


def _of_region(facts: Facts, rates: Rates, slow_start: float) -> list[Advice]:
    rate = facts.group.rate
    if rate is None:
        says = "no answer said whether its container was warm"
        return [Advice(region=facts.region, kind=Kind.UNKNOWN, says=says, numbers=f"{facts.group.n} answers")]
    found = _switched_off(facts, slow_start)
    if rate < THRESHOLDS["fine_below"].value:
        return found or _fine(facts, rates)
    if rate <= THRESHOLDS["keep_warm_over"].value:
        return [*found, _prewarm(facts), _window(facts, rates)]
    return [*found, *_over(facts, rates, rate)]


def _switched_off(facts: Facts, slow_start: float) -> list[Advice]:
    starts = facts.group.starts
    median = starts.quantile(0.5)
    if median is None or median <= slow_start:
        return []
    numbers = f"half of {starts.n} cold starts took over {median:.0f} s, the limit is {slow_start:.0f} s"
    says = "its cold starts are too slow; without it a job ends sooner, and has no answers from there"
    commands = (f'add "{facts.region}" to regions_off in beacon.toml',)
    gain = facts.habits.cold_seconds.mean
    kind = Kind.SWITCH_OFF
    return [
        Advice(
            region=facts.region,
            kind=kind,
            says=says,
            numbers=numbers,
            commands=commands,
            gain_seconds=gain,
            usd_per_month=0.0,
        )
    ]


def _fine(facts: Facts, rates: Rates) -> list[Advice]:
    fine = Advice(
        region=facts.region,
        kind=Kind.FINE,
        says="few answers are cold: it is fine as it is",
        numbers=_numbers(facts),
    )
    if not facts.group.cold or facts.has_long_window:
        return [fine]
    return [fine, msgspec.structs.replace(_window(facts, rates), says="at most a longer window, if anything")]


def _over(facts: Facts, rates: Rates, rate: float) -> list[Advice]:
    """Over 40 %: what is free first; what is not once that was tried, or as what comes next."""
    warm = _keep_warm(facts, rates, recommended=rate > THRESHOLDS["recommended_over"].value)
    tried = facts.has_long_window, facts.prewarmed
    if tried == (True, True):
        return [warm]
    first = [] if facts.prewarmed else [_prewarm(facts)]
    first += [] if facts.has_long_window else [_window(facts, rates)]
    unknown = [name for name, known in (("pre-warming", tried[1]), ("a longer window", tried[0])) if known is None]
    unsure = f" (whether {' or '.join(unknown)} was tried, the journals do not say)" if unknown else ""
    limit = 100 * THRESHOLDS["keep_warm_over"].value
    later = f"only if that was done and it stays over {limit:.0f} %{unsure}: {warm.says}"
    return [*first, msgspec.structs.replace(warm, says=later)]


def _prewarm(facts: Facts) -> Advice:
    days = THRESHOLDS["measure_again_days"].value
    return Advice(
        region=facts.region,
        kind=Kind.PREWARM,
        says="wake its containers before they are asked, as a run does without --no-prewarm;"
        f" measure again after {days:.0f} days",
        numbers=_numbers(facts),
        commands=(f"beacon prewarm JOB --region {facts.region} --wait",),
        gain_seconds=facts.habits.cold_seconds.mean,
        price="unknown, and small: the seconds for which they wait for the first question",
    )


def _window(facts: Facts, rates: Rates) -> Advice:
    window, before = THRESHOLDS["window"].value, THRESHOLDS["window_before"].value
    per_second = _per_second(facts, rates)
    per_job = None if per_second is None else per_second * (window - before)
    pace = facts.habits.jobs_per_month
    usd = None if per_job is None or pace is None else per_job * pace
    price = _NO_PRICE
    if per_job is not None:
        price = f"at most {per_job:.2f} USD after each job, for containers that stand idle"
    return Advice(
        region=facts.region,
        kind=Kind.WINDOW,
        says=f"let containers stay for {window:.0f} s, not {before:.0f}; {_seen_window(facts)}",
        numbers=_numbers(facts),
        commands=(
            f"SCALEDOWN_WINDOW = {window:.0f} in modal_apps/beacon_app/settings.py",
            f"beacon deploy --region {facts.region}",
        ),
        gain_seconds=_window_gain(facts, window),
        usd_per_month=usd,
        price=price,
    )


def _seen_window(facts: Facts) -> str:
    habits = facts.habits
    stayed = None if habits.survived is None else f"one answered after {habits.survived:.0f} s of rest"
    gone = None if habits.lost is None else f"one was gone after {habits.lost:.0f} s"
    seen = ", ".join(each for each in (stayed, gone) if each)
    return f"seen here: {seen}" if seen else "how long they stay now was not seen"


def _window_gain(facts: Facts, window: float) -> float | None:
    """The cold starts that came after a shorter rest than the window, shared out over the jobs."""
    rests, start = facts.habits.rests, facts.group.starts.mean
    if start is None or not facts.habits.jobs:
        return None
    models = max(1, len(facts.habits.gpus))
    return rests.count_below(window) * start / facts.habits.jobs / models


def _keep_warm(facts: Facts, rates: Rates, *, recommended: bool) -> Advice:
    hours = THRESHOLDS["hours_a_month"].value
    per_second = _per_second(facts, rates)
    usd = None if per_second is None else per_second * hours * 3600
    word = "recommended" if recommended else "suggested"
    models = len(facts.habits.gpus)
    return Advice(
        region=facts.region,
        kind=Kind.KEEP_WARM,
        says=f"min_containers=1 in business hours is {word}, for each of its models ({models})",
        numbers=_numbers(facts),
        commands=(
            f'in the job: keep_warm: {{hours: "{_HOURS}", regions: [{facts.region}]}}',
            "beacon warm JOB --apply",
        ),
        gain_seconds=(facts.habits.cold_seconds.mean or 0.0) + (facts.habits.warming.mean or 0.0),
        usd_per_month=usd,
        price=_NO_PRICE if usd is None else f"for {hours:.0f} hours a month on each GPU ({models})",
    )


def _per_second(facts: Facts, rates: Rates) -> float | None:
    """What one container of each model costs together, USD for a second; None where one has no price."""
    prices = [rates.per_second(gpu, facts.region) for gpu in facts.habits.gpus.values()]
    return None if None in prices else sum(each for each in prices if each is not None)


def _tried_again(facts: Facts) -> list[Advice]:
    median = facts.group.starts.quantile(0.5)
    known = "no cold start of it was timed"
    if median is not None:
        known = f"half of {facts.group.starts.n} cold starts took over {median:.0f} s"
    return [_try_again(facts.region, known)]


def _try_again(region: str, numbers: str) -> Advice:
    return Advice(
        region=region,
        kind=Kind.TRY_AGAIN,
        says="it is switched off: try whether it starts in time now",
        numbers=numbers,
        commands=(f"beacon probe --region {region}",),
    )


def _numbers(facts: Facts) -> str:
    group = facts.group
    low, high = group.interval or (0.0, 1.0)
    share = f"{100 * (group.rate or 0.0):.0f} % ({100 * low:.0f} to {100 * high:.0f})"
    said = f"{group.cold} of {group.told} answers cold: {share}"
    inside = [
        limit.value
        for name in ("fine_below", "keep_warm_over", "recommended_over")
        if low < (limit := THRESHOLDS[name]).value < high
    ]
    if inside:
        limits = " and ".join(f"{100 * value:.0f} %" for value in inside)
        said += f"; so few that it may as well lie beyond {limits}"
    warming = facts.habits.warming
    if warming.n:
        took = f"{warming.quantile(0.5) or 0.0:.0f} s"
        said += f"; {warming.n} of {facts.habits.jobs} jobs woke containers first, half of them for over {took}"
    return said
