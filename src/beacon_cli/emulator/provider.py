"""Carries calls out: drives the fleet by the event loop's clock, follows the script, writes the ledger.

Knows nothing of gRPC. Durations are the behaviour's divided by the speed. A call that was placed runs to its end
whether or not its client lives, and its result stays for `retention` seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, assert_never

import msgspec

from beacon_cli.behaviour import answers, fleet, timing
from beacon_cli.behaviour.script import Director, Effect, Rule, Script
from beacon_cli.emulator.deployment import Bound, Call
from beacon_cli.emulator.ledger import Ledger

CarryOut: TypeAlias = Callable[[Bound, Call, str], Any]
"""Gives what a call returns, in place of a drawn answer: real code, which is given the container's id too."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The call is not taken. `retry_after` is set where the provider is merely busy."""

    effect: Effect
    message: str
    retry_after: float | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended: with a `value`, or with `raised` (class and message) from the remote code, or neither."""

    how: fleet.Ended
    value: Any = None
    raised: tuple[str, str] | None = None


class Placed(msgspec.Struct, kw_only=True, eq=False):
    """A call that was taken. `how` is None until it has ended; what it gave is made when it is asked for."""

    id: str
    target: Bound
    call: Call
    format: str
    rule: Rule | None
    seconds: float
    placed_at: float
    done: asyncio.Event
    started_at: float | None = None
    container: str = ""
    cold: bool = False
    boot: float = 0.0
    restarts: int = 0
    how: fleet.Ended | None = None
    finished_at: float = 0.0
    carried_out: Result | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the emulated workspace behaves. `retention` is in real seconds, everything else in the apps' own."""

    seed: int = 0
    speed: float = 1.0
    gpus: int = 10
    retention: float = 7 * 86400.0
    script: Script = Script()
    timings: timing.Timings = timing.Timings()
    scaling: fleet.Scaling = fleet.Scaling()


class Provider:
    """The workspace: its fleet, its calls, its ledger. Lives within one running event loop.

    With `carry_out`, which only Python code of this process can pass, what calls return is made by it, in a
    thread, once their drawn time is over; the fleet goes on meanwhile.
    """

    def __init__(self, settings: Settings, ledger: Ledger, carry_out: CarryOut | None = None) -> None:
        self._carry_out = carry_out
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._ledger = ledger
        self._director = Director(settings.script, settings.seed)
        self._scaling = settings.scaling
        self._targets: dict[str, Bound] = {}
        self._fleet = fleet.Fleet(self._boot_seconds, gpus=settings.gpus, scaling=self._scaled(settings.scaling))
        self._calls: dict[str, Placed] = {}
        self._ended: deque[Placed] = deque()
        self._count = 0
        self._start = f"{int(self._loop.time() * 1e6):x}"
        self._timer: asyncio.TimerHandle | None = None

    def place(self, target: Bound, call: Call, data_format: str) -> Placed | Refusal:
        """Take a call, or refuse it as the script orders."""
        self._tick()
        now = self._loop.time()
        rule = self._director.order(call.asked)
        if rule and rule.effect in {Effect.UNREACHABLE, Effect.THROTTLED}:
            self._ledger.write("refused", now, why=str(rule.effect), **self._about(target, call))
            busy = rule.effect is Effect.THROTTLED
            return Refusal(
                effect=rule.effect,
                message=rule.message or ("too many requests" if busy else f"{target.app.name} cannot be reached"),
                retry_after=rule.amount / self._settings.speed if busy and rule.amount else None,
            )
        seconds = 0.0
        if call.method != "health" and call.fault is None:
            seconds = timing.service_seconds(self._settings.timings, self._settings.seed, call.asked)
        if rule and rule.effect is Effect.SLOW:
            seconds += rule.amount
        placed = Placed(
            id=f"fc-{self._start}{self._next():06d}",
            target=target,
            call=call,
            format=data_format,
            rule=rule,
            seconds=seconds,
            placed_at=now,
            done=asyncio.Event(),
        )
        self._calls[placed.id] = placed
        self._ledger.write("placed", now, call=placed.id, **self._about(target, call))
        self._know(target, now)
        self._happened(self._fleet.submit(target.pool, placed.id, self._work(placed), now))
        return placed

    def call(self, call_id: str) -> Placed | None:
        """The call with this id. None: there never was one, or its result has expired."""
        self._forget_expired()
        return self._calls.get(call_id)

    def result(self, placed: Placed) -> Result | None:
        """What a call gave; None: it has not ended."""
        how, rule = placed.how, placed.rule
        if how is not fleet.Ended.DONE:
            return None if how is None else Result(how=how)
        if placed.call.fault is not None:
            return Result(how=how, raised=("TypeError", placed.call.fault))
        if rule and rule.effect is Effect.RAISES:
            name = rule.value if isinstance(rule.value, str) else "RuntimeError"
            return Result(how=how, raised=(name, rule.message or "the remote code failed, as the script ordered"))
        if self._carry_out is not None:
            return placed.carried_out
        return Result(how=how, value=self._value(placed))

    def cancel(self, call_id: str, *, terminate: bool) -> bool:
        """Ask a call to end; False: no such call."""
        self._tick()
        placed = self.call(call_id)
        if placed is None:
            return False
        now = self._loop.time()
        self._ledger.write("cancel_asked", now, call=call_id, terminate=terminate)
        self._happened(self._fleet.cancel(call_id, now, terminate=terminate))
        return True

    def stats(self, target: Bound) -> fleet.PoolStats:
        """How the target's pool stands now."""
        self._know(target, self._loop.time())
        self._tick()
        return self._fleet.stats(target.pool)

    def scaling(self, target: Bound) -> fleet.Scaling:
        """The target's scaling, in the app's own seconds."""
        self._know(target, self._loop.time())
        scaling = self._fleet.scaling(target.pool)
        return msgspec.structs.replace(scaling, scaledown_window=scaling.scaledown_window * self._settings.speed)

    def scale(self, target: Bound, scaling: fleet.Scaling) -> None:
        """Change the target's scaling; `scaledown_window` in the app's own seconds."""
        now = self._loop.time()
        self._know(target, now)
        self._tick()
        self._ledger.write(
            "scaled",
            now,
            app=target.app.name,
            region=target.app.region,
            pool=target.pool,
            min_containers=scaling.min_containers,
            max_containers=scaling.max_containers,
            scaledown_window=scaling.scaledown_window,
        )
        self._happened(self._fleet.scale(target.pool, self._scaled(scaling), now))

    def close(self) -> None:
        """Stop the clock. Calls that run are left as they are, and the ledger says how many."""
        if self._timer is not None:
            self._timer.cancel()
        running = sum(placed.how is None for placed in self._calls.values())
        self._ledger.write("closed", self._loop.time(), running=running)

    def _know(self, target: Bound, now: float) -> None:
        """Give a pool that is seen for the first time the GPUs that its app asks for."""
        if target.pool not in self._targets:
            self._targets[target.pool] = target
            scaling = msgspec.structs.replace(self._fleet.scaling(target.pool), gpus=target.app.gpus)
            self._happened(self._fleet.scale(target.pool, scaling, now))

    def _work(self, placed: Placed) -> fleet.Work:
        speed = self._settings.speed
        rule = placed.rule
        effect = rule.effect if rule else None
        return fleet.Work(
            seconds=float("inf") if effect is Effect.HANG else placed.seconds / speed,
            timeout=placed.target.app.timeout / speed,
            crash=effect is Effect.PLATFORM,
            preempt_after=rule.amount / speed if rule and effect is Effect.PREEMPTED else None,
            stubborn=rule.stubborn if rule else False,
        )

    def _scaled(self, scaling: fleet.Scaling) -> fleet.Scaling:
        window = scaling.scaledown_window / self._settings.speed
        return msgspec.structs.replace(scaling, scaledown_window=window)

    def _boot_seconds(self, pool: str, nth: int) -> float:
        target = self._targets[pool]
        model = target.model or target.tag
        settings = self._settings
        return timing.boot_seconds(settings.timings, settings.seed, target.app.region, model, nth) / settings.speed

    def _tick(self) -> None:
        self._happened(self._fleet.advance(self._loop.time()))

    def _happened(self, happenings: list[fleet.Happening]) -> None:
        for happening in happenings:
            self._tell(happening)
        if self._timer is not None:
            self._timer.cancel()
        due = self._fleet.next_at()
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    def _tell(self, happening: fleet.Happening) -> None:
        """Bring a call up to date with what happened to it, and write it down."""
        match happening:
            case fleet.Booted(at, container, pool, seconds):
                self._write_container("container_up", at, container, pool, seconds=round(seconds, 6))
            case fleet.Gone(at, container, pool, reason):
                self._write_container("container_down", at, container, pool, reason=reason)
            case fleet.Started(at, call_id, container, cold, boot):
                placed = self._calls[call_id]
                placed.started_at, placed.container, placed.cold, placed.boot = at, container, cold, boot
                self._write_call("started", at, placed, container=container, cold=cold)
            case fleet.Preempted(at, call_id, container):
                placed = self._calls[call_id]
                placed.restarts += 1
                self._write_call("preempted", at, placed, container=container)
            case fleet.Finished(at, call_id, container, how):
                placed = self._calls[call_id]
                self._write_call("finished", at, placed, container=container, how=str(how))
                placed.how, placed.finished_at = how, at
                self._end(placed)
                self._ended.append(placed)
                self._forget_expired()
            case _:
                assert_never(happening)

    def _end(self, placed: Placed) -> None:
        """Say that the call has ended; where real code carries it out, when that has."""
        if self._carry_out is None or placed.how is not fleet.Ended.DONE:
            placed.done.set()
            return
        work = self._loop.run_in_executor(None, self._carry_out, placed.target, placed.call, placed.container)
        work.add_done_callback(lambda done: self._carried_out(placed, done))

    def _carried_out(self, placed: Placed, done: asyncio.Future[Any]) -> None:
        error = done.exception()
        placed.carried_out = Result(
            how=fleet.Ended.DONE,
            value=None if error else done.result(),
            raised=None if error is None else (type(error).__name__, str(error)),
        )
        placed.done.set()

    def _value(self, placed: Placed) -> Any:
        app = placed.target.app
        speed = self._settings.speed
        boot = placed.boot * speed if placed.cold else 0.0
        started = placed.started_at if placed.started_at is not None else placed.placed_at
        served = answers.Served(
            container=placed.container,
            cold=placed.cold,
            boot=boot,
            queue=max(0.0, (started - placed.placed_at) * speed - boot),
            generation=placed.seconds,
            modal_region=app.modal_region,
            cloud=app.cloud,
            gpu=placed.target.gpu,
        )
        if placed.call.method == "health":
            return answers.health(placed.call.asked, served)
        return answers.reply(self._settings.seed, placed.call.asked, served, placed.rule)

    def _forget_expired(self) -> None:
        oldest = self._loop.time() - self._settings.retention
        while self._ended and self._ended[0].finished_at < oldest:
            self._calls.pop(self._ended.popleft().id, None)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _about(self, target: Bound, call: Call) -> dict[str, Any]:
        return {
            "app": target.app.name,
            "region": target.app.region,
            "model": call.asked.model,
            "execution": call.execution,
            "attempt": call.attempt,
        }

    def _write_call(self, event: str, at: float, placed: Placed, **more: Any) -> None:
        self._ledger.write(event, at, call=placed.id, **self._about(placed.target, placed.call), **more)

    def _write_container(self, event: str, at: float, container: str, pool: str, **more: Any) -> None:
        app = self._targets[pool].app
        self._ledger.write(
            event,
            at,
            container=container,
            app=app.name,
            region=app.region,
            pool=pool,
            gpus=app.gpus,
            **more,
        )
