"""Makes types ready to be read before threads meet at them. Pure.

msgspec works out how a type is read when it first reads one. Where two threads come to that at the same time, one
of them finds it half worked out, and the process ends by a segmentation fault (msgspec 0.22). So every module
primes the types that it reads as it is imported; tests/unit/test_priming.py finds those that do not.
"""

from __future__ import annotations

import msgspec


def prime(*kinds: type) -> None:
    """Work out how these types, and all types within them, are read."""
    for kind in kinds:
        msgspec.json.Decoder(kind)
