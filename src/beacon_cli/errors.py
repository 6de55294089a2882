"""The tree of beacon's own errors. Knows nothing of any other room.

A model that errs or a region that is down is the user's failure and a value (`model.Outcome`); what is
raised from here is beacon's own, ends the command, and says in one line what is wrong and what to do::

    BeaconError                 1    a fault of beacon itself
    ├── UsageError              2    the command line asks for what cannot be
    ├── SpecError               2    the job file or the configuration is wrong; holds every fault found
    ├── RunFailed               3    the run ended and some executions failed
    ├── StoreError              4    a journal, a run folder or another store cannot be read or written
    ├── StartError              5    nothing could start: no credentials, app not deployed, unreachable
    │   └── QueueError          5    the queue does not let it start: other caps, refused, no waiting wanted
    ├── GateCrossed             6    a gate that the user set with --fail-on was crossed
    ├── BudgetReached               7    the run's budget leaves nothing for another answer; it can be resumed
    └── Interrupted       129/130/143  a signal ended the run; it can be resumed
"""

from __future__ import annotations

from typing import NamedTuple


class BeaconError(Exception):
    """The root. `exit_code` is what the command line leaves with; `str(error)` is the line for stderr."""

    exit_code = 1


class UsageError(BeaconError):
    """What was asked for on the command line cannot be: a region that is off, a run that does not exist."""

    exit_code = 2


class Fault(NamedTuple):
    """One thing that is wrong in a file that the user wrote.

    `line` and `column` count from 1 and are None where the fault has no place (an empty file).
    `key` is the path within the file, as `models[1].regions`.
    """

    file: str
    message: str
    line: int | None = None
    column: int | None = None
    key: str = ""

    def __str__(self) -> str:
        """`job.yaml:12:5: models[1].id: what is wrong`."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class SpecError(BeaconError):
    """A job file or a configuration file is wrong. Mend the named places and run the command again."""

    exit_code = 2

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class RunFailed(BeaconError):
    """The run came to its end and some executions failed or were skipped; the summary says which."""

    exit_code = 3


class StoreError(BeaconError):
    """A store failed: disk full, folder read-only, a journal damaged or written by a newer beacon."""

    exit_code = 4


class StartError(BeaconError):
    """Nothing could start: log in, deploy the app, or mend the connection, as the message says."""

    exit_code = 5


class QueueError(StartError):
    """The queue does not let it start: its caps differ, the run is refused, or it would have to wait."""


class GateCrossed(BeaconError):
    """What a report found crosses a gate of `--fail-on`; the report is whole all the same."""

    exit_code = 6


class BudgetReached(BeaconError):
    """The run's budget leaves nothing for another answer; with a higher one it can be resumed."""

    exit_code = 7


class Interrupted(BeaconError):
    """A signal ended the run. `signal_number` decides the exit code, as shells do: 128 + the signal."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
