"""What the command line asks for, as values: the order of a run and the part of a job."""

from __future__ import annotations

from pathlib import Path

import msgspec

from beacon_cli.errors import UsageError
from beacon_cli.model import ModalTarget, OpenaiTarget, Schedule, Selection, SimulatedTarget, Spec
from beacon_cli.names import quoted, suggestion
from beacon_cli.tickets import Priority
from beacon_cli.wiring import Show

REHEARSAL_SPEED = 10.0
"""How many times faster than life a rehearsal runs unless told otherwise."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a run takes its turns. Without `wait` it does not begin where it would have to wait for one.

    `prewarm` says whether models are warm before they are asked; None: where there is more than one question. With
    `keep_warm` a container of each stays until the turn is over.
    """

    priority: Priority = Priority.NORMAL
    wait: bool = True
    prewarm: bool | None = None
    keep_warm: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What `beacon run` was asked for.

    Without `job` the job is not from a file. With `resume` it goes on with the latest run that the same command
    began, if that was interrupted.
    """

    job: Path = Path()
    selection: Selection = Selection()
    executor: str | None = None
    rehearse: bool = False
    speed: float = REHEARSAL_SPEED
    run_id: str | None = None
    output: Path | None = None
    resume: bool = False
    terms: Terms = Terms()
    show: Show = Show()


class Continuation(msgspec.Struct, frozen=True, kw_only=True):
    """What `beacon resume` and `beacon retry` were asked for. Without `run`, the latest unfinished one.

    With `again`, what failed or was skipped is asked again, without `run` in the latest one; with `amend`, the job
    file may have grown.
    """

    run: str = ""
    again: bool = False
    amend: bool = False
    speed: float = REHEARSAL_SPEED
    output: Path | None = None
    terms: Terms = Terms()
    show: Show = Show()


def show(*, json: bool, quiet: bool) -> Show:
    """What is shown while a run goes on."""
    return Show(progress=not quiet, json=json)


def terms(priority: str, *, no_wait: bool, prewarm: bool | None = None, keep_warm: bool = False) -> Terms:
    """How a run takes its turns, with the priority that `--priority` names.

    Raises:
        UsageError: there is none of that name.
    """
    if priority.lower() not in list(Priority):
        raise UsageError(f"--priority: there is no {quoted(priority)}{suggestion(priority, list(Priority))}")
    return Terms(priority=Priority(priority.lower()), wait=not no_wait, prewarm=prewarm, keep_warm=keep_warm)


def select(
    regions: list[str] | None,
    models: list[str] | None,
    questions: list[str] | None,
    limit: int | None,
    schedule: str | None,
) -> Selection:
    """What the command line keeps of a job.

    Raises:
        UsageError: there is no such schedule.
    """
    if schedule is not None and schedule not in list(Schedule):
        raise UsageError(f"--schedule: there is no {quoted(schedule)}{suggestion(schedule, list(Schedule))}")
    return Selection(
        regions=tuple(regions or ()),
        models=tuple(models or ()),
        questions=tuple(questions or ()),
        limit=limit,
        schedule=Schedule(schedule) if schedule else None,
    )


def retargeted(spec: Spec, executor: str | None, *, speed: float) -> Spec:
    """The spec with the executor that `--executor` names; a simulated one not of the job has this `speed`.

    Raises:
        UsageError: there is none of that name, or the job says nothing of it.
    """
    match executor:
        case None:
            return spec
        case "simulated":
            target = spec.target if isinstance(spec.target, SimulatedTarget) else SimulatedTarget(speed=speed)
            return msgspec.structs.replace(spec, target=target)
        case "modal" if isinstance(spec.target, ModalTarget):
            return spec
        case "openai" if isinstance(spec.target, OpenaiTarget):
            return spec
        case "openai":
            raise UsageError("--executor openai: the job names no endpoint; give it an executor.openai block")
        case "modal":
            raise UsageError("--executor modal: the job says nothing of Modal; give it an executor.modal block")
    known = ("modal", "openai", "simulated")
    raise UsageError(f"--executor: there is no {quoted(executor)}{suggestion(executor, known)}")
