"""What a reading is called wherever it is shown. Pure; a room of its own, since few commands need it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from beacon_cli.evidence.readings import Kind

WORDS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.SUBSTANTIVE: "answer",
        Kind.PARTIAL: "partial",
        Kind.HARD_REFUSAL: "refused",
        Kind.SOFT_REFUSAL: "evaded",
        Kind.EMPTY: "empty",
        Kind.TRUNCATED: "cut off",
        Kind.INFRASTRUCTURE: "no answer",
    }
)
"""What a table calls each reading: hard refusals refuse, soft ones evade."""
