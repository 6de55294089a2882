"""What no text on a terminal may hold, decided by Unicode's own table and not by the code under test."""

from __future__ import annotations

import unicodedata

_REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def unsafe(text: str, allowed: str = "\n") -> set[str]:
    """The code points of `text` that a terminal might obey, or that show as nothing."""
    return {
        f"U+{ord(char):04X}"
        for char in set(text) - set(allowed)
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(char) in _REORDERS
    }
