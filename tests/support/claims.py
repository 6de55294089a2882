"""What hostile answers may say of their own time: Hypothesis strategies for provenance."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from tests.support.journals import texts

_HOSTILE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.lists(st.floats(), max_size=2)
    | st.sampled_from([-1, -0.0, math.nan, math.inf, -math.inf, 10**400, "3", 1e6, 1e7])
)
provenances = st.fixed_dictionaries(
    {},
    optional={
        "seconds": _HOSTILE | st.dictionaries(st.sampled_from(["boot", "load", "queue", "generation"]), _HOSTILE),
        "inference_time": _HOSTILE,
        "gpu": _HOSTILE,
        "gpu_memory_used": _HOSTILE,
        "tokens_generated": _HOSTILE,
    },
)
"""The provenance of an answer whose figures may be anything that JSON can carry, and more."""
