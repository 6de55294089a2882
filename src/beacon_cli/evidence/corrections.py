"""p-values of several tests, made to hold together: Holm for the few, Benjamini-Hochberg for the list.

Must not know what was tested. A test that gave no p (None) takes no place in its family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from beacon_cli.evidence.permutation import Floats


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values: the chance of one false alarm or more in the family (Holm 1979, jstor:4615733)."""
    return _over_present(ps, _holm)


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """q-values: the share of false alarms among those called (Benjamini and Hochberg 1995, jstor:2346101)."""
    return _over_present(ps, _false_discovery)


def _holm(ps: Floats) -> Floats:
    order = np.argsort(ps, kind="stable")
    adjusted = np.minimum(1.0, np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)))
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back


def _false_discovery(ps: Floats) -> Floats:
    # As scipy.stats.false_discovery_control, against which the tests hold it and whose import takes a second.
    order = np.argsort(ps, kind="stable")[::-1]
    adjusted = np.minimum(1.0, np.minimum.accumulate(ps[order] * len(ps) / np.arange(len(ps), 0, -1)))
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back


def _over_present(ps: Sequence[float | None], adjust: Callable[[Floats], Floats]) -> list[float | None]:
    present = np.array([p for p in ps if p is not None], dtype=np.float64)
    adjusted = iter(adjust(present).tolist() if len(present) else [])
    return [None if p is None else next(adjusted) for p in ps]
