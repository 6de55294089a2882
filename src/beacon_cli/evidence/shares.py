"""Bounds for a share. Needs nothing beyond the standard library, so that readings can have them too."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(count: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for the share `count` / `of` (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Raises:
        ValueError: `of` is 0.
    """
    if not of:
        raise ValueError("a share of nothing has no interval")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = count / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    reach = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))
