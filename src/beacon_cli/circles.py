"""When Python looks for circles of garbage. Pure but for that; knows nothing of what is made.

Hardly anything here is part of a circle, and a look goes through every new object. A command makes some hundred
thousand as it starts, nearly all of them classes that stay.
"""

from __future__ import annotations

import gc

_STARTS = 1_000_000
"""New objects until the first look: more than any command makes before its work."""
_WORKS = 10_000


def put_off() -> None:
    """Look for none while a command starts: some 10 of the 200 ms that a short one takes."""
    gc.set_threshold(_STARTS, 10, 10)


def look() -> None:
    """Look from now on, seldom, and only among what is new: called where work begins that may go on for long."""
    gc.freeze()
    gc.set_threshold(_WORKS, 10, 10)
