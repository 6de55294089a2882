"""A queue in Redis, for the processes of several machines. Each operation is one script, run by the server alone.

The scripts (`lua/`) say the rules of `granting` and `tabled` again; `tests/contracts` holds them equal. The clock
is the server's. A server that loses its data, or comes back after a restart, must not grant what is held already:
until every lease of before must have ended it serves nobody (`Why.NEW_STORE`). That holds for one server that
takes writes; what several of them, cut off from each other, would grant is beyond it (docs/queue.md).

No operation is tried again here. Whether one whose answer was lost had been carried out is not known, and need not
be: `enter`, `claim`, `renew`, `hold`, `note`, `reclaim` name who asks and give the same again; what `leave` and
`reclaimed` did once they refuse the second time; the others say what is to be, not what is to change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import resources
from typing import Any, TypeVar

import msgspec

from beacon_cli import granting
from beacon_cli.errors import QueueError
from beacon_cli.names import quoted
from beacon_cli.priming import prime
from beacon_cli.queues import logbook, usage
from beacon_cli.queues.link import PATIENCE, Link, Script
from beacon_cli.queues.tables import KEPT_FAILURES, KEPT_SERVICES, Tally
from beacon_cli.tickets import (
    POISON,
    STEPS,
    Answer,
    Caps,
    Entered,
    Entrance,
    FailedExecution,
    Granted,
    LogEntry,
    NotYet,
    Order,
    Part,
    Refused,
    RegionLine,
    Request,
    Service,
    Snapshot,
    Ticket,
    Unknown,
    Waiting,
    Warm,
)

FORM = 2
"""The form of the store. One with a higher number is refused and left untouched."""
_SCRIPTS = ("tables.lua", "granting.lua", "store.lua", "reading.lua")
T = TypeVar("T")


def store(
    url: str,
    *,
    queue: str = "queue",
    clock: Callable[[], float] | None = None,
    wall: Callable[[], float] | None = None,
    patience: float = PATIENCE,
    log_kept: int = logbook.KEPT,
) -> RedisStore:
    """The queue of this name in the Redis at `url`, which is made if there is none.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password, database and options as in redis-py.
        queue: part of the name of each key.
        clock: seconds, in place of the server's clock; for tests.
        wall: seconds since the epoch, for people, in place of the server's; for tests.
        patience: seconds to wait for a connection, and for each answer.
        log_kept: how many entries of the log are there at least, see `logbook`.

    Raises:
        StoreError: it cannot be reached, evicts keys, is a replica, or was written by a newer beacon.
    """
    made = RedisStore(Link(url, patience), Script(_source(log_kept)), queue=queue, clock=clock, wall=wall)
    try:
        made.prepare()
    except BaseException:
        made.close()
        raise
    return made


def _source(log_kept: int) -> str:
    """The script: what it shares with the other stores, then its parts."""
    steps = ", ".join(f"{priority} = {step}" for priority, step in STEPS.items())
    shared = (
        f"local POISON, KEPT_SERVICES, HOUR, FORM = {POISON}, {KEPT_SERVICES}, {usage.HOUR:.0f}, {FORM}",
        f"local QUIET, KEPT_LOG, KEPT_FAILURES = {granting.QUIET}, {log_kept}, {KEPT_FAILURES}",
        f"local CANCELLED = {granting.CANCELLED:.0f}",
        f"local STEPS = {{ {steps} }}",
        f"local DEFAULT_CAPS = [[{msgspec.json.encode(Caps()).decode()}]]",
    )
    folder = resources.files("beacon_cli.queues") / "lua"
    return "\n".join((*shared, *((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)))


class _Rest(msgspec.Struct, frozen=True):
    """What a snapshot has beside tickets.

    `times`: ids and when they expire by now, by turns; `waits`: how many wait, where not all are given; `quiet`:
    for how many seconds more nobody is served.
    """

    at: float
    now: float
    caps: Caps
    warm: tuple[Warm, ...]
    tallies: dict[str, Tally]
    times: tuple[list[str], ...]
    waits: dict[str, int]
    quiet: float

    def expires(self) -> dict[int, float]:
        """When each ticket expires; its record has the time as of its last change."""
        by_turns = (zip(each[::2], each[1::2], strict=True) for each in self.times)
        return {int(number): float(time) for each in by_turns for number, time in each}


prime(_Rest)


def _snapshot(answer: list[bytes], asked: Callable[[Collection[str]], dict[str, int]]) -> Snapshot:
    """What the script gives: the rest, then by turns a region (empty: active tickets) and records.

    `asked` says how many executions each of these users was granted in the last hour, where a cap is set on them.
    """
    rest = msgspec.json.decode(answer[0], type=_Rest)
    expires = rest.expires()
    texts: dict[str, list[bytes]] = {}
    for name, text in zip(answer[1::2], answer[2::2], strict=True):
        texts.setdefault(name.decode(), []).append(text)
    decode = msgspec.json.Decoder(tuple[Ticket, ...]).decode
    tickets = {
        name: [_until(each, expires[each.id]) for each in decode(b"[%s]" % b",".join(parts))]
        for name, parts in texts.items()
    }
    active = tickets.pop("", [])
    names = {*rest.tallies, *tickets} | {each.region for each in active} | {each.region for each in rest.warm}
    waiting = {name: tuple(each for each in tickets.get(name, ()) if each.expires >= rest.now) for name in names}
    users = {each.user for tickets_here in waiting.values() for each in tickets_here}
    granted = asked(users) if users and rest.caps.executions_per_hour is not None else {}
    lines = {
        name: RegionLine(
            region=name,
            active=tuple(each for each in active if each.region == name),
            waiting=waiting[name],
            held=usage.all_held(rest.caps, waiting[name], active, lambda user: granted.get(user, 0)),
            more=rest.waits.get(name, len(waiting[name])) - len(waiting[name]),
            warm=tuple(each for each in rest.warm if each.region == name),
            **msgspec.structs.asdict(rest.tallies.get(name, Tally())),
        )
        for name in sorted(names)
    }
    return Snapshot(at=rest.at, now=rest.now, caps=rest.caps, regions=lines, quiet=rest.quiet)


def _until(ticket: Ticket, expires: float) -> Ticket:
    return ticket if ticket.expires == expires else msgspec.structs.replace(ticket, expires=expires)


class RedisStore:
    """See `ports.Store`. `warnings` say what about the server may be meant otherwise; filled by `prepare`."""

    def __init__(
        self,
        link: Link,
        script: Script,
        *,
        queue: str,
        clock: Callable[[], float] | None,
        wall: Callable[[], float] | None,
    ) -> None:
        self._link = link
        self._prefix = f"beacon:{{{queue}}}:"
        self._clock = clock
        self._wall = wall
        self._script = script
        self.warnings: tuple[str, ...] = ()

    def prepare(self) -> None:
        """See that the server keeps what it is given, and make the queue if there is none.

        Raises:
            StoreError: it does not, or cannot be reached, or the queue was written by a newer beacon.
        """
        self.warnings = self._link.check()
        self._call("hello")

    @property
    def poll_seconds(self) -> float:
        """See `ports.Store.poll_seconds`: a turn is to be taken within 50 ms."""
        return 0.044

    def close(self) -> None:
        """See `ports.Store.close`."""
        self._link.close()

    def begin(self) -> bool:
        """See `ports.Store.begin`."""
        return self._ask(bool, "begin")

    def agree(self, caps: Caps) -> Caps:
        """See `ports.Store.agree`."""
        return self._ask(Caps, "agree", None, msgspec.json.encode(caps))

    def set_caps(self, caps: Caps) -> None:
        """See `ports.Store.set_caps`."""
        if count := self._ask(int, "set_caps", None, msgspec.json.encode(caps)):
            raise QueueError(f"{count} tickets are in the queue: change its caps when it is empty")

    def enter(self, request: Request) -> Entrance:
        """See `ports.Store.enter`."""
        asked = {**msgspec.structs.asdict(request), "gpus": request.gpus, "said": quoted(request.user)}
        match self._ask(list[Any], "enter", asked):
            case ["entered", ticket, token]:
                return Entered(ticket, token)
            case ["not yet", reason, dead]:
                return NotYet(reason, tuple(dead))
            case [_, reason]:
                return Refused(reason)
        raise AssertionError("enter has three answers")

    def claim(self, ticket: int, holder: str) -> Answer:
        """See `ports.Store.claim`."""
        match self._ask(list[Any], "claim", {"ticket": ticket, "holder": holder}):
            case ["granted", token]:
                return Granted(token)
            case ["unknown", by]:
                return Unknown(by)
            case [_, waits]:
                return msgspec.convert(waits, Waiting)
        raise AssertionError("claim has three answers")

    def renew(self, holder: str) -> tuple[Order, ...]:
        """See `ports.Store.renew`."""
        return self._ask(tuple[Order, ...], "renew", {"holder": holder})

    def hold(self, ticket: int, token: int, pools: Mapping[str, int]) -> bool:
        """See `ports.Store.hold`."""
        answer = self._call("hold", {"ticket": ticket, "token": token, "pools": dict(pools)})
        with self._link.explained():
            held = msgspec.json.decode(answer, type=bool | str)
        if isinstance(held, str):
            raise QueueError(held)
        return held

    def note(
        self,
        ticket: int,
        token: int,
        *,
        placed: Collection[str] = (),
        ended: Collection[str] = (),
        question: str | None = None,
        working: Collection[str] | None = None,
        progressed: bool = False,
    ) -> bool:
        """See `ports.Store.note`."""
        said = {
            "ticket": ticket,
            "token": token,
            "placed": list(placed),
            "ended": list(ended),
            "question": question,
            "working": None if working is None else list(working),
            "progressed": progressed,
        }
        return self._ask(bool, "note", said)

    def leave(self, ticket: int, token: int, part: Part, warm: Mapping[str, int]) -> bool:
        """See `ports.Store.leave`."""
        kept = part.failures[-KEPT_FAILURES:]
        said = {
            "ticket": ticket,
            "token": token,
            "failures": len(kept),
            "how": part.how,
            "succeeded": part.succeeded,
            "failed": part.failed,
            "warm": dict(warm),
        }
        service = msgspec.json.encode(Service(part.succeeded + part.failed, part.seconds))
        # What a model said may hold lone surrogates, which json alone can write.
        failures = json.dumps(msgspec.to_builtins(kept)).encode()
        return self._ask(bool, "leave", said, service, failures)

    def abandon(self, ticket: int, token: int) -> bool:
        """See `ports.Store.abandon`."""
        return self._ask(bool, "abandon", {"ticket": ticket, "token": token})

    def cancel(self, run_id: str, region: str | None, by: str) -> tuple[str, ...]:
        """See `ports.Store.cancel`."""
        return tuple(sorted(self._ask(list[str], "cancel", {"run_id": run_id, "region": region, "by": by})))

    def pause(self, region: str, *, paused: bool) -> None:
        """See `ports.Store.pause`."""
        self._call("pause", {"region": region, "paused": paused})

    def reclaim(self, ticket: int, holder: str) -> Ticket | None:
        """See `ports.Store.reclaim`."""
        left = self._call("reclaim", {"ticket": ticket, "holder": holder})
        with self._link.explained():
            return msgspec.json.decode(left, type=Ticket | None)

    def reclaimed(self, ticket: int, holder: str, warm: Mapping[str, int]) -> bool:
        """See `ports.Store.reclaimed`."""
        return self._ask(bool, "reclaimed", {"ticket": ticket, "holder": holder, "warm": dict(warm)})

    def gone(self, idle: Warm) -> None:
        """See `ports.Store.gone`."""
        self._call("gone", msgspec.structs.asdict(idle))

    def release(self, run_id: str) -> bool:
        """See `ports.Store.release`."""
        return self._ask(bool, "release", {"run_id": run_id})

    def failures(self, run_id: str = "", region: str = "") -> tuple[FailedExecution, ...]:
        """See `ports.Store.failures`."""
        told = self._call("failures", {"run_id": run_id, "region": region})
        with self._link.explained():
            parts = msgspec.convert(json.loads(told), list[list[FailedExecution]])
        every = (each for part in parts for each in part)
        return tuple(sorted(every, key=lambda each: (each.at, each.execution, each.run_id, each.region)))

    def set_aside(self) -> dict[str, tuple[str, ...]]:
        """See `ports.Store.set_aside`."""
        aside: dict[str, tuple[str, ...]] = {}
        for run_id, region in sorted(self._ask(list[tuple[str, str]], "set_aside")):
            aside[run_id] = (*aside.get(run_id, ()), region)
        return aside

    def snapshot(self, most: int | None = None) -> Snapshot:
        """See `ports.Store.snapshot`."""
        answer = self._call("snapshot", {} if most is None else {"most": most})
        with self._link.explained():
            return _snapshot(answer, self._granted)

    def log(self, since: int = 0) -> Iterable[LogEntry]:
        """See `ports.Store.log`."""
        decode = msgspec.json.Decoder(LogEntry).decode
        while True:
            forgotten = self._ask(int, "forgotten")
            with self._link.explained():
                lines = self._link.lines(f"{self._prefix}log", max(since - forgotten, 0))
                entries = list(map(decode, lines))
            numbers = range(max(since, forgotten) + 1, max(since, forgotten) + 1 + len(entries))
            if all(each.seq == number for each, number in zip(entries, numbers, strict=True)):
                return entries  # else the log lost its beginning while it was read

    def _granted(self, users: Collection[str]) -> dict[str, int]:
        """How many executions these users' turns were granted in the last hour."""
        named = list(users)
        return dict(zip(named, self._ask(list[int], "granted", {"users": named}), strict=True))

    def _ask(self, kind: type[T], operation: str, arguments: Any = None, *kept: bytes) -> T:
        answer = self._call(operation, arguments, *kept)
        with self._link.explained():
            return msgspec.json.decode(answer, type=kind)

    def _call(self, operation: str, arguments: Any = None, *kept: bytes) -> Any:
        """Have the server carry an operation out; `kept` stays word for word. Gives its answer, mostly JSON."""
        said = msgspec.json.encode({} if arguments is None else arguments)
        given: list[str | bytes] = [operation, _time(self._clock), _time(self._wall), said, *kept]
        return self._link.call(self._script, self._prefix, given)


def _time(clock: Callable[[], float] | None) -> str:
    """What a clock says, as exact as the store keeps it; empty without one."""
    return "" if clock is None else f"{clock():.4f}"
