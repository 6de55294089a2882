"""An executor within beacon's own process, for tests in virtual time and for predictions.

Runs on any anyio backend. Timings, answers and failures come from `behaviour`, as the emulator's do. No task of
its own: whoever waits for an attempt moves the clockwork on, so nothing is left behind when it is dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from math import inf
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel
import msgspec

from beacon_cli.behaviour import answers as said
from beacon_cli.behaviour import fleet, timing
from beacon_cli.behaviour.script import Director, Effect, Rule, Script
from beacon_cli.executors.answers import outcome_of
from beacon_cli.model import (
    Cancelled,
    ErrorKind,
    Execution,
    Failed,
    Limits,
    Model,
    Outcome,
    Region,
    SimulatedTarget,
)
from beacon_cli.ports import MayPlace, Placed, always

RETAINED = 1_000
"""How many ended calls stay fetchable."""

_TIMEOUT = 900.0
_NO_TIME = timing.Timings(service=(0.0, 0.0), boot=(0.0, 0.0))


class _Call(msgspec.Struct, kw_only=True, eq=False):
    asked: timing.Asked
    rule: Rule | None
    seconds: float
    placed_at: float
    changed: anyio.Event
    started: fleet.Started | None = None
    started_at: float = 0.0
    outcome: Outcome | None = None


class SimulatedExecutor:
    """Plays a provider; see `ports.Executor`. A `speed` of infinity gives every answer at once.

    `gpus` is the limit of the whole workspace; `script` orders failures.
    """

    def __init__(
        self,
        target: SimulatedTarget,
        *,
        limits: Limits | None = None,
        script: Script | None = None,
        timings: timing.Timings | None = None,
        gpus: int = 10,
        scaling: fleet.Scaling | None = None,
    ) -> None:
        self._seed = target.seed
        self._speed = target.speed
        self._cold = target.cold
        self._answer_bytes = (limits or Limits()).answer_bytes
        self._timings = _NO_TIME if target.speed == inf else timings or timing.Timings()
        self._director = Director(script, target.seed) if script and script.rules else None
        self._instant = target.speed == inf and self._director is None
        self._cells: dict[str, tuple[str, str]] = {}
        scaling = scaling or fleet.Scaling()
        window = scaling.scaledown_window / self._speed if self._speed < inf else scaling.scaledown_window
        self._fleet = fleet.Fleet(
            self._boot_seconds, gpus=gpus, scaling=msgspec.structs.replace(scaling, scaledown_window=window)
        )
        self._open: dict[str, _Call] = {}
        self._ended: OrderedDict[str, Outcome] = OrderedDict()
        self._count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.clear()

    @property
    def containers(self) -> None:
        """They are played: no GPU of the workspace is held."""

    async def prepare(self, cells: Iterable[tuple[Region, Model]]) -> None:
        """Nothing needs to be resolved."""

    async def attempt(
        self,
        execution: Execution,
        number: int,
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - no GPU of the workspace
    ) -> Outcome:
        """Play one attempt; see `ports.Executor.attempt`."""
        if self._instant:
            return await self._attempt_at_once(execution, number, placed)
        asked = _asked(execution, number)
        rule = self._director.order(asked) if self._director else None
        if rule and rule.effect in {Effect.UNREACHABLE, Effect.THROTTLED}:
            await anyio.lowlevel.checkpoint()
            return self._refusal(rule, asked)
        call_id = self._new_id(execution, number)
        call = self._submit(call_id, asked, rule)
        with anyio.CancelScope(shield=True):
            await placed(call_id)
        return await self._wait(call)

    async def collect(self, execution: Execution, call_id: str) -> Outcome:  # noqa: ARG002 - the port's form
        """Wait for a call placed earlier at this executor; see `ports.Executor.collect`."""
        await anyio.lowlevel.checkpoint()
        self._advance(anyio.current_time())
        call = self._open.get(call_id)
        if call is not None:
            return await self._wait(call)
        return self._ended.get(call_id) or Failed(
            kind=ErrorKind.GONE, message=f"the call {call_id} is no longer known", transient=True
        )

    async def cancel(self, call_id: str) -> bool:
        """End a call, gently and then with its container; see `ports.Executor.cancel`."""
        for terminate in (False, True):
            self._happened(self._fleet.cancel(call_id, anyio.current_time(), terminate=terminate))
            if call_id not in self._open:
                break
        await anyio.lowlevel.checkpoint()
        return True

    async def _attempt_at_once(self, execution: Execution, number: int, placed: Placed) -> Outcome:
        asked = _asked(execution, number)
        call_id = self._new_id(execution, number)
        with anyio.CancelScope(shield=True):
            await placed(call_id)
        served = said.Served(container=f"{asked.region}/{asked.model}", cold=False, boot=0, queue=0, generation=0)
        outcome = outcome_of(said.reply(self._seed, asked, served, None), self._answer_bytes)
        self._remember(call_id, outcome)
        await anyio.lowlevel.checkpoint()
        return outcome

    def _submit(self, call_id: str, asked: timing.Asked, rule: Rule | None) -> _Call:
        now = anyio.current_time()
        self._advance(now)
        effect = rule.effect if rule else None
        seconds = timing.service_seconds(self._timings, self._seed, asked)
        if rule and effect is Effect.SLOW:
            seconds += rule.amount
        pool = f"{asked.region}/{asked.model}"
        self._cells[pool] = (asked.region, asked.model)
        call = self._open[call_id] = _Call(
            asked=asked, rule=rule, seconds=seconds, placed_at=now, changed=anyio.Event()
        )
        work = fleet.Work(
            seconds=inf if effect is Effect.HANG else seconds / self._speed,
            timeout=_TIMEOUT / self._speed if self._speed < inf else inf,
            crash=effect is Effect.PLATFORM,
            preempt_after=rule.amount / self._speed if rule and effect is Effect.PREEMPTED else None,
            stubborn=rule.stubborn if rule else False,
        )
        self._happened(self._fleet.submit(pool, call_id, work, now))
        self._advance(now)
        return call

    async def _wait(self, call: _Call) -> Outcome:
        """Sleep from one change to the next, moving the clockwork on, until the call has its outcome."""
        while call.outcome is None:
            due = self._fleet.next_at()
            if due is None:
                await call.changed.wait()
            else:
                with anyio.CancelScope(deadline=due):
                    await call.changed.wait()
            self._advance(anyio.current_time())
        await anyio.lowlevel.checkpoint()
        return call.outcome

    def _advance(self, now: float) -> None:
        due = self._fleet.next_at()
        if due is not None and due <= now:
            self._happened(self._fleet.advance(now))

    def _happened(self, happenings: list[fleet.Happening]) -> None:
        for happening in happenings:
            if isinstance(happening, fleet.Started):
                call = self._open[happening.input]
                call.started, call.started_at = happening, happening.at
            elif isinstance(happening, fleet.Finished):
                call = self._open.pop(happening.input)
                call.outcome = self._outcome(call, happening)
                call.changed.set()
                self._remember(happening.input, call.outcome)

    def _outcome(self, call: _Call, finished: fleet.Finished) -> Outcome:
        rule = call.rule
        match finished.how:
            case fleet.Ended.CANCELLED:
                return Cancelled(message="the call was cancelled")
            case fleet.Ended.CRASHED:
                message = "the container ended before the call did"
                return Failed(kind=ErrorKind.PLATFORM, message=message, transient=True)
            case fleet.Ended.TIMED_OUT:
                message = "the call ran into the function's own time limit"
                return Failed(kind=ErrorKind.TIMEOUT, message=message, transient=True)
            case fleet.Ended.DONE:
                pass
        if rule and rule.effect is Effect.RAISES:
            name = rule.value if isinstance(rule.value, str) else "RuntimeError"
            message = rule.message or "the remote code failed, as the script ordered"
            return Failed(kind=ErrorKind.MODEL, message=f"{name}: {message}", transient=True)
        return outcome_of(said.reply(self._seed, call.asked, self._served(call), rule), self._answer_bytes)

    def _served(self, call: _Call) -> said.Served:
        started = call.started
        boot = started.boot * self._speed if started and started.cold and self._speed < inf else 0.0
        waited = (call.started_at - call.placed_at) * (self._speed if self._speed < inf else 1.0)
        return said.Served(
            container=started.container if started else "",
            cold=bool(started and started.cold),
            boot=boot,
            queue=max(0.0, waited - boot),
            generation=call.seconds,
        )

    def _refusal(self, rule: Rule, asked: timing.Asked) -> Failed:
        if rule.effect is Effect.THROTTLED:
            return Failed(
                kind=ErrorKind.THROTTLED,
                message=rule.message or "too many requests",
                transient=True,
                retry_after=rule.amount / self._speed if rule.amount else None,
            )
        message = rule.message or f"{asked.region} cannot be reached"
        return Failed(kind=ErrorKind.CONNECTION, message=message, transient=True)

    def _boot_seconds(self, pool: str, nth: int) -> float:
        if not self._cold:
            return 0.0
        region, model = self._cells[pool]
        return timing.boot_seconds(self._timings, self._seed, region, model, nth) / self._speed

    def _remember(self, call_id: str, outcome: Outcome) -> None:
        self._ended[call_id] = outcome
        if len(self._ended) > RETAINED:
            self._ended.popitem(last=False)

    def _new_id(self, execution: Execution, number: int) -> str:
        self._count += 1
        return f"sim-{execution.id}-{number}-{self._count}"


def _asked(execution: Execution, number: int) -> timing.Asked:
    return timing.Asked(
        region=execution.region.id,
        model=execution.model.id,
        prompt=execution.question.text,
        system_prompt=execution.system_prompt or "",
        key=execution.id,
        attempt=number,
        question=execution.question.id,
    )
