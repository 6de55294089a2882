"""What a design can detect, and what it would take: the power of the whole-container test for a rate.

By simulation with a seed: container means are drawn as normal, rounded to the counts that they are, and go through
the permutation test itself, which at few containers has less power than a formula for t or F says. The acceptance
simulations hold it against answers drawn one by one. Must not know what a container or a region is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from beacon_cli.evidence.permutation import Floats, Ints, assignments, smallest_p

VARIANCE = 0.16
"""What one answer adds, p (1 - p): a fifth of the answers refuse. It is .25 at worst, where half of them do."""
FEWEST_STARTS = 4
"""Container starts in each group, below which no verdict is given: 3 against 3 cannot get below p = .10."""
WANTED = 0.8
"""The power at which a gap counts as detectable."""
MOST_STARTS = 40
MOST_PROMPTS = 5_000
SETS = 1_000
"""Simulated sets behind each figure: one of .80 is good to .025."""

_DRAWS = 999
_SEED = 20_251
_TIE = 1e-9


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large a comparison is: questions (times contexts), container starts in each group, groups."""

    prompts: int
    starts: int
    groups: int


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What varies beside the groups: an answer (its variance), and a container as a whole (sd of its rate)."""

    variance: float = VARIANCE
    container: float = 0.0

    def of_mean(self, prompts: int) -> float:
        """The variance of one container's mean over so many questions."""
        return self.container**2 + self.variance / prompts


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """What a design can do, for one model.

    `power` is the chance to find a true gap of `gap`, `detectable` the gap found in 80 of 100 cases (None if none
    is), `smallest_p` the smallest p that it can give, to be held against `level`, what the correction leaves of
    alpha. `enough_starts` and `enough_prompts`: what would do for `gap`, the other as it is; None if nothing does.
    """

    size: Size
    gap: float
    power: float
    detectable: float | None
    smallest_p: float
    level: float
    possible: bool
    enough_starts: int | None
    enough_prompts: int | None
    sentence: str


def power(size: Size, gap: float, *, alpha: float = 0.05, tests: int = 1, noise: Noise | None = None) -> Power:
    """What a design of this size can do about a gap of `gap` (.1 is ten points) in one group of several.

    `tests` primary tests share `alpha` by Holm's correction; the first of them has alpha / tests.
    """
    noise = noise or Noise()
    level = alpha / tests
    possible = _level(size, level) > 0
    detectable = smallest_detectable(size, level=level, noise=noise)
    starts = enough_starts(size, gap, level=level, noise=noise)
    prompts = enough_prompts(size, gap, level=level, noise=noise)
    chance = chance_of(size, gap, level=level, noise=noise)
    return Power(
        size=size,
        gap=gap,
        power=chance,
        detectable=detectable,
        smallest_p=smallest_p([size.starts] * size.groups) if size.groups > 1 else 1.0,
        level=level,
        possible=possible,
        enough_starts=starts,
        enough_prompts=prompts,
        sentence=_sentence(size, gap, level, chance, detectable),
    )


def chance_of(size: Size, gap: float, *, level: float, noise: Noise) -> float:
    """The chance that the test finds a gap between one group and all others, which are alike."""
    if _level(size, level) == 0:
        return 0.0
    group = np.repeat(np.arange(size.groups), size.starts)
    drawn = _normal((SETS, len(group))) * math.sqrt(noise.of_mean(size.prompts)) + gap * (group == group[-1])
    means = np.round(drawn * size.prompts) / size.prompts  # a rate is a count: ties cost power
    means -= means.mean(axis=1, keepdims=True)
    ways = assignments(group, seed=_SEED, exact=_DRAWS, draws=_DRAWS)
    observed = _spreads(means, ways.observed[None, :], size.groups)
    extreme = (_spreads(means, ways.rows, size.groups) >= observed * (1 - _TIE)).sum(axis=1)
    p = extreme / ways.count if ways.exact else (1 + extreme) / (1 + ways.count)
    return float((p <= level).mean())


def _spreads(means: Floats, rows: Ints, groups: int) -> Floats:
    """The squared group sums of every set (rows) in every assignment (columns)."""
    total: Floats = np.zeros((len(means), len(rows)))
    for group in range(groups):
        total += (means @ (rows == group).T.astype(np.float64)) ** 2
    return total


def _normal(shape: tuple[int, int]) -> Floats:
    """Standard normal figures from the raw stream of PCG64, the same in every version of NumPy."""
    from scipy.special import ndtri

    raw = np.random.PCG64(_SEED).random_raw(shape[0] * shape[1])
    return np.asarray(ndtri((np.right_shift(raw, np.uint64(11)) + 0.5) * 2.0**-53)).reshape(shape)


def smallest_detectable(size: Size, *, level: float, noise: Noise, wanted: float = WANTED) -> float | None:
    """The smallest gap that the test finds with a chance of `wanted`, to a thousandth; None if it finds none."""
    if chance_of(size, 1.0, level=level, noise=noise) < wanted:
        return None
    found = _least(1, 1_000, lambda gap: chance_of(size, gap / 1_000, level=level, noise=noise) >= wanted)
    return found / 1_000


def enough_starts(size: Size, gap: float, *, level: float, noise: Noise) -> int | None:
    """Container starts in each group that find `gap` in 80 of 100 cases, the questions as they are."""

    def is_enough(starts: int) -> bool:
        return chance_of(_with(size, starts=starts), gap, level=level, noise=noise) >= WANTED

    return _least(FEWEST_STARTS, MOST_STARTS, is_enough) if is_enough(MOST_STARTS) else None


def enough_prompts(size: Size, gap: float, *, level: float, noise: Noise) -> int | None:
    """Questions that find `gap` in 80 of 100 cases, the container starts as they are."""

    def is_enough(prompts: int) -> bool:
        return chance_of(_with(size, prompts=prompts), gap, level=level, noise=noise) >= WANTED

    if size.starts < FEWEST_STARTS or not is_enough(MOST_PROMPTS):
        return None
    return _least(1, MOST_PROMPTS, is_enough)


def _least(low: int, high: int, is_enough: Callable[[int], bool]) -> int:
    """The least number from `low` to `high` that is enough, where `high` is."""
    while low < high:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle + 1
    return high


def _with(size: Size, *, starts: int | None = None, prompts: int | None = None) -> Size:
    return Size(prompts=prompts or size.prompts, starts=starts or size.starts, groups=size.groups)


def _level(size: Size, level: float) -> float:
    """The level that a permutation test of this size really reaches: a whole number of its smallest p, or 0."""
    if size.groups < 2 or size.starts < 2 or size.prompts < 1:  # noqa: PLR2004 - a comparison needs two of each
        return 0.0
    step = smallest_p([size.starts] * size.groups)
    return math.floor(level / step + 1e-9) * step


def _sentence(size: Size, gap: float, level: float, chance: float, detectable: float | None) -> str:
    if size.groups < 2:  # noqa: PLR2004 - a comparison needs two
        return "There is one group alone: nothing can be compared."
    if size.starts < FEWEST_STARTS:
        least = smallest_p([size.starts] * 2)
        return (
            f"{size.starts} container starts a region can never settle anything: between two regions the smallest"
            f" possible p is {least:.3f}. It takes at least {FEWEST_STARTS}"
        )
    if _level(size, level) == 0:
        least = smallest_p([size.starts] * size.groups)
        return (
            f"This design can never show a difference: the smallest possible p is {least:.4f}, and the correction"
            f" leaves {level:.4f}. It takes more container starts"
        )
    found = f"{100 * detectable:.1f} points" if detectable is not None else "none at all"
    return (
        f"A gap of {100 * gap:g} points is found in {100 * chance:.0f} of 100 such runs;"
        f" the smallest found in {100 * WANTED:.0f} of 100: {found}"
    )
