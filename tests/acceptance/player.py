"""Plays a run that never was on the terminal: `python -m tests.acceptance.player SPEED HALT [troubled|many]`.

`SPEED` seconds of the run go by in one; when `HALT` seconds of it have gone, the time stands still for a second,
so that what is on the screen can be looked at, and then the run goes on to its end.
"""

from __future__ import annotations

import sys
import time

import anyio
from rich.console import Console
from tests.unit.display.streams import BEGIN, Plot, stream

from beacon_cli.display.choice import choose
from beacon_cli.display.summary import summary
from beacon_cli.results import Standings

PLOTS = {
    "troubled": Plot(retried=0.15, failing=0.05, dead=("asia",)),
    "many": Plot(regions=tuple(f"region-{number}" for number in range(20)), retried=0.1, failing=0.05),
}
_STILL = 1.0


async def play(plot: Plot, speed: float, halt: float) -> Standings:
    """Tell the displays of each event in its time; the standings at the end."""
    standings, begun = Standings(), time.monotonic()

    def now() -> float:
        gone = (time.monotonic() - begun) * speed
        return BEGIN + (gone if gone < halt else max(halt, gone - _STILL * speed))

    async with choose(sys.stdout, sys.stderr, Console(stderr=True), now=now) as displays:
        for event in stream(plot):
            while (wait := event.at - now()) > 0:  # noqa: ASYNC110  the time stands still in between
                await anyio.sleep(min(0.05, wait / speed))
            standings.apply(event)
            await displays.handle(event, standings)
    return standings


def main(speed: str, halt: str, plot: str = "troubled") -> None:
    """Play, then show the summary."""
    standings = anyio.run(play, PLOTS[plot], float(speed), float(halt))
    console = Console()
    console.print(summary(standings, console.width))


if __name__ == "__main__":
    main(*sys.argv[1:])
