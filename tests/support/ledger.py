"""What the provider's ledger proves by itself: how many containers lived at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def peaks(records: Iterable[dict[str, Any]], by: str = "region") -> dict[str, int]:
    """The most containers that ever lived at once: by region (or "pool", or "app"), and over all under "".

    A container lives, and holds its GPU, from the moment in which it begins to start until it is gone. The lines
    of a ledger stand in the order of what happened. Those of an emulator that was started anew begin with
    `serving`: the containers of the one before it ended with its process.
    """
    alive: dict[str, str] = {}
    most = {"": 0}
    for record in records:
        match record["event"]:
            case "serving":
                alive.clear()
            case "container_up":
                place = alive[record["container"]] = record[by]
                here = sum(other == place for other in alive.values())
                most[place] = max(most.get(place, 0), here)
                most[""] = max(most[""], len(alive))
            case "container_down":
                del alive[record["container"]]
    return most
