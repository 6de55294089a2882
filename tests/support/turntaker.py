"""A process that takes turn after turn in a queue's file, as runs do, and works for a moment in each.

python -m tests.support.turntaker FILE TURNS NAME
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from tests.support.queueing import part, request

from beacon_cli.queues import sqlite
from beacon_cli.tickets import Entered, Granted, Waiting
from beacon_cli.turns.waiting import poll


def main() -> None:
    """Take the turns."""
    path, turns, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    store = sqlite.store(path)
    for number in range(turns):
        run = f"{name}-{number}"
        entrance = store.enter(request(run))
        if not isinstance(entrance, Entered):
            raise TypeError(entrance)
        while not isinstance(answer := store.claim(entrance.ticket, f"host:{run}"), Granted):
            if not isinstance(answer, Waiting):
                raise TypeError(answer)
            store.renew(f"host:{run}")
            time.sleep(poll(answer.position, store.poll_seconds))
        time.sleep(random.random() * 0.01)  # noqa: S311 - no secret
        store.leave(entrance.ticket, answer.token, part(), {})
    store.close()


if __name__ == "__main__":
    main()
