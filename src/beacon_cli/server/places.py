"""A job's places in the queue from the moment in which its process is started, which is seconds from asking.

Without this the order of jobs that are posted together would be that in which their processes happen to be ready.
The process takes the tickets up, as any run that is resumed takes up its own; one that never comes loses them with
the lease.
"""

from __future__ import annotations

from pathlib import Path

from beacon_cli import wiring
from beacon_cli.errors import BeaconError
from beacon_cli.model import ModalTarget, Region
from beacon_cli.operations import taking_turns
from beacon_cli.plan import Plan
from beacon_cli.ports import Store
from beacon_cli.settings import Settings
from beacon_cli.tickets import Priority, Request


class Places:
    """Takes tickets for jobs in one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def take(self, run_id: str, job: Path, priority: Priority) -> None:
        """Take a ticket in each region of a job that takes any, unless its run has some.

        What stands in the way its process will find and say: a job that is wrong by now, a store that refuses it.

        Raises:
            StoreError: the store failed.
        """
        try:
            plan = Plan(wiring.job(job, self._settings)[1])
        except BeaconError:
            return
        lines = self._store.snapshot().regions.values()
        runs = {each.run_id for line in lines for each in (*line.active, *line.waiting)}
        if not isinstance(plan.spec.target, ModalTarget) or run_id in runs:
            return
        holder = taking_turns.holder()
        for region in plan.regions:
            self._store.enter(self._request(run_id, plan, region, holder, priority))

    def _request(self, run_id: str, plan: Plan, region: Region, holder: str, priority: Priority) -> Request:
        """What the run will ask for, as far as that is known without the provider: a GPU for each model."""
        at_once = min(plan.spec.limits.per_region, plan.spec.limits.concurrency)
        return Request(
            run_id=run_id,
            job_id=plan.spec.id,
            region=region.id,
            user=self._settings.user or taking_turns.user(),
            holder=holder,
            pools={model.id: 1 for model in plan.groups(region)[0].models[:at_once]},
            executions=plan.planned[region.id],
            models=tuple(model.id for model in plan.models(region)),
            priority=priority,
        )
