"""Who plays the provider of a run, and how fast: nobody, the run itself, or an emulator that outlives it."""

from __future__ import annotations

from beacon_cli import events as ev
from beacon_cli import wiring
from beacon_cli.errors import UsageError
from beacon_cli.model import SimulatedTarget, Spec


def speed(spec: Spec, asked: float, *, rehearsal: bool) -> float:
    """How many times faster than life the provider is: journals say it, so that times can be read."""
    if isinstance(spec.target, SimulatedTarget):
        return spec.target.speed
    return asked if rehearsal else 1.0


def played_still(began: ev.RunStarted, spec: Spec) -> float | None:
    """How fast the emulator is on which the run goes on that it began on, if it was one that outlives it.

    Raises:
        UsageError: a rehearsal would go on for real, or the other way round.
    """
    if began.ends_its_provider:
        return None
    played = wiring.played(spec)
    if began.emulator and played is None:
        raise UsageError(
            f"run {began.run_id} was a rehearsal on an emulator that was started by itself: export the variables"
            " that `beacon emulator` prints, or begin a new run"
        )
    if not began.emulator and played is not None:
        raise UsageError(
            f"run {began.run_id} is real, and the environment leads to an emulator: unset the variables that"
            " `beacon emulator` printed"
        )
    return played
