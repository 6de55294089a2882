"""A queue in one SQLite file, for all processes of one machine.

Its clock is the machine's own, which runs alike for every process whatever has become of the wall clock. A file of
a machine that was started anew since holds leases of processes that are gone: they count as not renewed. Must not
be on a network file system, whose locks do not hold.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from beacon_cli.errors import StoreError
from beacon_cli.queues import logbook, places, usage
from beacon_cli.queues.clocks import ticking
from beacon_cli.queues.tabled import TabledStore
from beacon_cli.queues.tables import Tally
from beacon_cli.tickets import Caps, FailedExecution, LogEntry, Ticket, TicketState, Warm

_HELD = (
    ": another process has held it for long; if `ps -eo pid,stat,args` shows a beacon that is stopped (T),"
    " let it go on (kill -CONT PID) or end it"
)
_LOCKED_OUT = (
    ": its folder cannot be written to, and even who only looks needs that for the locks; make it writable, or set"
    " BEACON_HOME to a folder that is"
)
_REMEDIES = (
    ("SQLITE_FULL", ": no space left on device; free some space"),
    ("SQLITE_IOERR", ": no more room for it, or a disk that fails"),
    ("SQLITE_READONLY", ": make it writable, or set BEACON_HOME to a folder that is"),
    ("SQLITE_CANTOPEN", ": only whoever made it may read it; set BEACON_HOME to a folder of your own"),
    ("SQLITE_BUSY", _HELD),
    ("SQLITE_CORRUPT", ": when nothing runs it may be deleted; then: beacon queue begin"),
    ("SQLITE_NOTADB", ": when nothing runs it may be deleted; then: beacon queue begin"),
)
"""What helps, by the beginning of SQLite's name of an error."""

VERSION = 2
"""The form of the file. A file with a higher number is refused and left untouched."""

_PATIENCE = 10.0
"""Seconds that a transaction waits for those of other processes."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE tickets (
  id INTEGER PRIMARY KEY, run_id TEXT, region TEXT, user TEXT, holder TEXT, state TEXT, is_waiting INTEGER,
  rank REAL, expires REAL, record BLOB
);
CREATE INDEX tickets_order ON tickets (region, rank, id) WHERE is_waiting;
CREATE INDEX tickets_state ON tickets (state, expires);
CREATE INDEX tickets_run ON tickets (run_id, region);
CREATE INDEX tickets_user ON tickets (user);
CREATE INDEX tickets_holder ON tickets (holder);
CREATE TABLE tallies (region TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID;
CREATE TABLE warm (region TEXT, pool TEXT, record BLOB, PRIMARY KEY (region, pool)) WITHOUT ROWID;
CREATE TABLE lost (run_id TEXT, region TEXT, holder TEXT);
CREATE INDEX lost_run ON lost (run_id, region);
CREATE TABLE failures (run_id TEXT, region TEXT, execution TEXT, at REAL, record BLOB);
CREATE INDEX failures_run ON failures (run_id, region);
CREATE TABLE asked (user TEXT, at REAL, executions INTEGER);
CREATE INDEX asked_user ON asked (user, at);
CREATE TABLE log (seq INTEGER PRIMARY KEY, record BLOB);
"""
_STEPS = {
    1: """
ALTER TABLE lost RENAME TO counted;
CREATE TABLE lost (run_id TEXT, region TEXT, holder TEXT);
CREATE INDEX lost_run ON lost (run_id, region);
WITH RECURSIVE each(run_id, region, nth) AS (
  SELECT run_id, region, count FROM counted UNION ALL SELECT run_id, region, nth - 1 FROM each WHERE nth > 1
) INSERT INTO lost SELECT run_id, region, 'nameless ' || nth FROM each;
DROP TABLE counted;
""",
}
"""What makes a file of the next form out of one of this form."""


def store(
    path: Path,
    *,
    clock: Callable[[], float] = ticking,
    wall: Callable[[], float] = time.time,
    outlived: bool = True,
    log_kept: int = logbook.KEPT,
) -> TabledStore:
    """The store in this file, which is made if there is none, readable by its owner alone.

    A file that was there before and is gone was deleted: what it knew may live on, and nobody is served for a
    while. Not so where nothing lives longer than who made it (`outlived` is false). `log_kept`: see `logbook`.

    Raises:
        StoreError: it cannot be made or read, is on a network file system, or was written by a newer beacon.
    """
    return TabledStore(_SqliteTables(path, clock, outlived=outlived), clock=clock, wall=wall, log_kept=log_kept)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, msgspec.DecodeError, json.JSONDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        told = getattr(error, "sqlite_errorname", "")
        remedy = next((help_ for kind, help_ in _REMEDIES if told.startswith(kind)), "")
        if told.startswith("SQLITE_CANTOPEN") and not os.access(path.parent, os.W_OK):
            remedy = _LOCKED_OUT
        raise StoreError(f"queue {path}: {reason}{remedy}") from None


class _SqliteTables:
    """See `tables.Tables`."""

    def __init__(self, path: Path, clock: Callable[[], float], *, outlived: bool) -> None:
        self._path = path
        self._clock = clock
        self._outlived = outlived
        self._lock = threading.RLock()
        self._decode_ticket = msgspec.json.Decoder(Ticket).decode
        self._encode = msgspec.json.Encoder().encode
        with _explained(path):
            places.prepare(path)
            self._opened = path.stat()
            self._base = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            with _explained(path):
                self._open()
        except BaseException:
            self._base.close()
            raise

    @contextmanager
    def transaction(self, *, writes: bool = True, durable: bool = True) -> Iterator[None]:
        with self._lock, _explained(self._path):
            self._see_that_it_is_there()
            if writes:
                self._base.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            self._base.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:  # SQLite has ended it by itself where the disk failed it
                    self._base.execute("ROLLBACK")
                raise

    def _see_that_it_is_there(self) -> None:
        """A deleted file can be written to for ever, while other processes agree on a new one."""
        there = self._path.stat() if self._path.exists() else None
        if there is None or not os.path.samestat(there, self._opened):
            raise StoreError(f"queue {self._path}: was deleted or replaced while it was in use")

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def caps(self) -> Caps | None:
        kept = self._fact("caps")
        return None if kept is None else msgspec.json.decode(kept, type=Caps)

    def set_caps(self, caps: Caps) -> None:
        self._set_fact("caps", self._encode(caps))

    def emptied(self) -> float | None:
        kept = self._fact("emptied")
        return None if kept is None else float(kept)

    def begin(self) -> None:
        self._base.execute("DELETE FROM facts WHERE name = 'emptied'")

    def number(self) -> int:
        number = int(self._fact("number") or 0) + 1
        self._set_fact("number", number)
        return number

    def entered(self, now: float) -> float:
        entered = max(float(self._fact("entered") or 0.0), now)
        self._set_fact("entered", entered)
        return entered

    def ticket(self, number: int) -> Ticket | None:
        return next(self._tickets("WHERE id = ?", number), None)

    def tickets(self, *, run_id: str = "", region: str = "", user: str = "", holder: str = "") -> list[Ticket]:
        given = {"run_id": run_id, "region": region, "user": user, "holder": holder}
        named = {name: value for name, value in given.items() if value}
        where = " AND ".join(f"{name} = ?" for name in named)
        return list(self._tickets(f"{'WHERE ' if where else ''}{where} ORDER BY id", *named.values()))

    def active(self) -> list[Ticket]:
        states = (TicketState.HOLDING.value, TicketState.RECLAIMING.value)
        return list(self._tickets("WHERE state IN (?, ?) ORDER BY id", *states))

    def overdue(self, now: float) -> list[Ticket]:
        return list(self._tickets("WHERE state = ? AND expires < ? ORDER BY id", TicketState.WAITING.value, now))

    def waiting(self, region: str) -> Iterator[Ticket]:
        return self._tickets("WHERE is_waiting AND region = ? ORDER BY rank, id", region)

    def waits(self, region: str, now: float) -> int:
        query = "SELECT count(*) FROM tickets WHERE is_waiting AND region = ? AND expires >= ?"
        return int(self._one(query, region, now)[0])

    def position(self, ticket: Ticket) -> int:
        query = "SELECT count(*) FROM tickets WHERE is_waiting AND region = ? AND (rank, id) < (?, ?)"
        return 1 + int(self._one(query, ticket.region, ticket.rank, ticket.id)[0])

    def waited_in(self) -> list[str]:
        # One step through the index for each region, however many wait there.
        query = """
            WITH RECURSIVE each(region) AS (
              SELECT min(region) FROM tickets WHERE is_waiting
              UNION ALL
              SELECT (SELECT min(region) FROM tickets WHERE is_waiting AND region > each.region)
              FROM each WHERE each.region IS NOT NULL
            ) SELECT region FROM each WHERE region IS NOT NULL
        """
        return [row[0] for row in self._base.execute(query)]

    def put(self, ticket: Ticket) -> None:
        is_waiting = ticket.state is TicketState.WAITING and not ticket.cancelled_by
        self._base.execute(
            "INSERT OR REPLACE INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                ticket.id,
                ticket.run_id,
                ticket.region,
                ticket.user,
                ticket.holder,
                ticket.state.value,
                int(is_waiting),
                ticket.rank,
                ticket.expires,
                self._encode(ticket),
            ),
        )

    def remove(self, number: int) -> None:
        self._base.execute("DELETE FROM tickets WHERE id = ?", (number,))

    def tally(self, region: str) -> Tally:
        row = self._base.execute("SELECT record FROM tallies WHERE region = ?", (region,)).fetchone()
        return msgspec.json.decode(row[0], type=Tally) if row else Tally()

    def put_tally(self, region: str, tally: Tally) -> None:
        self._base.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?)", (region, self._encode(tally)))

    def tallied(self) -> list[str]:
        return [row[0] for row in self._base.execute("SELECT region FROM tallies ORDER BY region")]

    def warm(self) -> list[Warm]:
        rows = self._base.execute("SELECT record FROM warm ORDER BY region, pool")
        return [msgspec.json.decode(row[0], type=Warm) for row in rows]

    def put_warm(self, warm: Warm) -> None:
        row = (warm.region, warm.pool, self._encode(warm))
        self._base.execute("INSERT OR REPLACE INTO warm VALUES (?, ?, ?)", row)

    def remove_warm(self, region: str, pool: str) -> None:
        self._base.execute("DELETE FROM warm WHERE region = ? AND pool = ?", (region, pool))

    def lost(self) -> dict[tuple[str, str], tuple[str, ...]]:
        lost: dict[tuple[str, str], tuple[str, ...]] = {}
        for run_id, region, holder in self._base.execute("SELECT run_id, region, holder FROM lost ORDER BY rowid"):
            lost[run_id, region] = (*lost.get((run_id, region), ()), holder)
        return lost

    def set_lost(self, run_id: str, region: str, holders: Sequence[str]) -> None:
        self._base.execute("DELETE FROM lost WHERE run_id = ? AND region = ?", (run_id, region))
        rows = ((run_id, region, holder) for holder in holders)
        self._base.executemany("INSERT INTO lost VALUES (?, ?, ?)", rows)

    def failures(self, run_id: str = "", region: str = "") -> list[FailedExecution]:
        one = "WHERE run_id = ? AND region = ? " if run_id else ""
        query = f"SELECT record FROM failures {one}ORDER BY at, execution, run_id, region"  # noqa: S608 - our own words
        rows = self._base.execute(query, (run_id, region) if run_id else ())
        return [msgspec.convert(json.loads(row[0]), FailedExecution) for row in rows]

    def put_failures(self, run_id: str, region: str, failures: Sequence[FailedExecution]) -> None:
        self._base.execute("DELETE FROM failures WHERE run_id = ? AND region = ?", (run_id, region))
        # What a model said may hold lone surrogates, which json alone can write.
        told = ((each, json.dumps(msgspec.structs.asdict(each))) for each in failures)
        rows = ((run_id, region, each.execution, each.at, record) for each, record in told)
        self._base.executemany("INSERT INTO failures VALUES (?, ?, ?, ?, ?)", rows)

    def failed_parts(self) -> list[tuple[str, str, int]]:
        query = "SELECT run_id, region, count(*) FROM failures GROUP BY run_id, region ORDER BY max(rowid)"
        return [(run_id, region, int(count)) for run_id, region, count in self._base.execute(query)]

    def asked(self, user: str, since: float) -> int:
        query = "SELECT coalesce(sum(executions), 0) FROM asked WHERE user = ? AND at >= ?"
        return int(self._one(query, user, since)[0])

    def add_asked(self, user: str, now: float, executions: int) -> None:
        self._base.execute("INSERT INTO asked VALUES (?, ?, ?)", (user, now, executions))
        self._base.execute("DELETE FROM asked WHERE at < ?", (now - usage.HOUR,))

    def log(self, since: int) -> list[LogEntry]:
        rows = self._base.execute("SELECT seq, record FROM log WHERE seq > ? ORDER BY seq", (since,))
        decode = msgspec.json.Decoder(LogEntry).decode
        return [msgspec.structs.replace(decode(record), seq=seq) for seq, record in rows]

    def append(self, entry: LogEntry) -> int:
        return int(
            self._base.execute("INSERT INTO log (record) VALUES (?)", (self._encode(entry),)).lastrowid or 0
        )

    def forget_log(self, before: int) -> None:
        self._base.execute("DELETE FROM log WHERE seq < ?", (before,))

    def checkpoint(self) -> tuple[int, int]:
        return int(self._fact("checkpoint") or 0), int(self._fact("checkpointed") or 0)

    def set_checkpoint(self, first: int, last: int) -> None:
        self._set_fact("checkpoint", first)
        self._set_fact("checkpointed", last)

    def _open(self) -> None:
        """Make the tables, or see that they are of a form that is known; forget what an earlier start left."""
        self._base.execute("PRAGMA journal_mode = WAL")
        version = self._one("PRAGMA user_version")[0]
        if version > VERSION:
            raise StoreError(f"queue {self._path} was written by a newer beacon: use that one")
        if version == VERSION and self._fact("boot") == _boot_id():
            places.make_known(self._path)
            return  # nothing is written: whoever only looks waits for nobody
        with self.transaction():
            version = self._one("PRAGMA user_version")[0]  # another process may have been here in between
            for script in [_SCHEMA] if version == 0 else [_STEPS[each] for each in range(version, VERSION)]:
                for statement in script.split(";"):
                    self._base.execute(statement)
            if version == 0 and self._outlived and places.was_known(self._path):
                self._set_fact("emptied", self._clock())
            if version != VERSION:
                self._base.execute(f"PRAGMA user_version = {VERSION}")
            boot = _boot_id()
            if self._fact("boot") != boot:
                self._set_fact("boot", boot)
                self._forget_clock()
        places.make_known(self._path)

    def _forget_clock(self) -> None:
        """The clock has begun anew: nobody who wrote here is still there, and no time in here means anything."""
        self._set_fact("entered", 0.0)
        if self.emptied() is not None:
            self._set_fact("emptied", self._clock())
        self._base.execute("DELETE FROM asked")
        for each in self.tickets():
            self.put(msgspec.structs.replace(each, expires=-1.0))
        for idle in self.warm():
            self.put_warm(msgspec.structs.replace(idle, since=0.0))

    def _tickets(self, where: str, *values: Any) -> Iterator[Ticket]:
        rows = self._base.execute(f"SELECT record FROM tickets {where}", values)  # noqa: S608 - our own words
        return (self._decode_ticket(row[0]) for row in rows)

    def _fact(self, name: str) -> Any:
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set_fact(self, name: str, value: Any) -> None:
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _one(self, query: str, *values: Any) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._base.execute(query, values).fetchone()
        return row


if sys.platform == "darwin":  # pragma: no cover

    def _boot_id() -> str:
        command = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()  # noqa: S603

else:

    def _boot_id() -> str:
        try:
            return _BOOT.read_text(encoding="ascii").strip()
        except OSError:
            return ""
