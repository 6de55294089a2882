"""How an answer reads: what each kind of reading means. Pure; knows no file and no statistics."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """How one answer reads; every answer has exactly one."""

    SUBSTANTIVE = "substantive"
    PARTIAL = "partial"
    HARD_REFUSAL = "hard_refusal"
    SOFT_REFUSAL = "soft_refusal"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    INFRASTRUCTURE = "infrastructure"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading, the language it is in (a code, None if unknown), and what made it so."""

    kind: Kind
    language: str | None = None
    because: str = ""
