"""What the live display costs: the CPU of nine regions of three models, at four frames a second.

    python benchmarks/live.py [--seconds 20]

The display writes to a pseudo-terminal of 160 columns that is read by nobody but a thread that throws it away. The
same run without a display is subtracted.
"""

from __future__ import annotations

import argparse
import os
import pty
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from rich.console import Console

from beacon_cli import __version__
from beacon_cli import events as ev
from beacon_cli.display.live import Live
from beacon_cli.model import Execution, Model, Question, Region, SimulatedTarget, Spec, Succeeded
from beacon_cli.plan import Plan
from beacon_cli.results import Standings

ANSWER = 4.0
"""Seconds an answer takes."""


def job() -> Plan:
    """Nine regions, three models, more questions than the time suffices for."""
    return Plan(
        Spec(
            id="bench",
            regions=tuple(Region(id=f"region-{n}", app=str(n), place=str(n)) for n in range(9)),
            models=tuple(Model(id=name) for name in ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")),
            questions=tuple(Question(id=f"question-{n}", text="Why?") for n in range(50)),
            target=SimulatedTarget(),
        )
    )


@contextmanager
def terminal() -> Iterator[Console]:
    """A console on a pseudo-terminal, and a reader that throws everything away."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 160))

    def read() -> None:
        while True:
            try:
                if not os.read(ours, 65536):
                    return
            except OSError:
                return

    threading.Thread(target=read, daemon=True).start()
    with os.fdopen(theirs, "w") as stream:
        yield Console(file=stream, force_terminal=True, width=160, height=50)
    os.close(ours)


async def watched(display: Live | None, seconds: float) -> float:
    """The CPU seconds that a run of so many seconds takes, with or without a display."""
    plan, standings = job(), Standings()
    waves = {region.id: plan.waves(region) for region in plan.regions}
    standings.apply(
        ev.RunStarted(
            at=time.time(),
            run_id="bench",
            spec=plan.spec,
            planned=plan.planned,
            fingerprint=plan.fingerprint,
            rehearsal=True,
            beacon=__version__,
        )
    )
    open_waves: dict[str, tuple[Execution, ...]] = {}
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        for region, upcoming in waves.items():
            for execution in open_waves.get(region, ()):
                await _tell(
                    display,
                    standings,
                    ev.AttemptSucceeded(
                        at=time.time(),
                        execution=execution.id,
                        attempt=1,
                        seconds=ANSWER,
                        answer=Succeeded(response="", cold_start=False),
                    ),
                )
            open_waves[region] = next(upcoming)
            for execution in open_waves[region]:
                await _tell(display, standings, _started(execution))
        await anyio.sleep(ANSWER)
    return time.process_time() - cpu


def _started(execution: Execution) -> ev.AttemptStarted:
    return ev.AttemptStarted(
        at=time.time(),
        execution=execution.id,
        attempt=1,
        region=execution.region.id,
        model=execution.model.id,
        question=execution.question.id,
        context=None,
        repeat=1,
        queued_at=time.time(),
    )


async def _tell(display: Live | None, standings: Standings, event: ev.Event) -> None:
    standings.apply(event)
    if display is not None:
        await display.handle(event, standings)


async def measure(seconds: float) -> tuple[float, float]:
    """Per cent of a core without and with the display."""
    without = await watched(None, seconds)
    with terminal() as console:
        async with Live(console) as display:
            with_display = await watched(display, seconds)
    return 100 * without / seconds, 100 * with_display / seconds


def main() -> None:
    """Print the share of a core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    without, with_display = anyio.run(measure, parser.parse_args().seconds)
    print(f"live display, nine regions, four frames a second: {with_display - without:.1f} % of one core")


if __name__ == "__main__":
    main()
