"""Looking at the queue, here or on a server: as a table, as JSON, once or again and again. Changes nothing."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from beacon_cli import ascii_json, queue_form, queue_view, signals, wiring
from beacon_cli.display import paper
from beacon_cli.errors import BeaconError, UsageError
from beacon_cli.model import JsonObject
from beacon_cli.names import RegionNames, printable, quoted
from beacon_cli.settings import Settings
from beacon_cli.tickets import RegionLine, Snapshot

if TYPE_CHECKING:  # whoever only looks needs no more than what it is called
    from beacon_cli.ports import Store

_EVERY = 1.0
"""Seconds between two looks of a watch."""

_SHOWN = 10
"""So many who wait in a region are told one by one: as many as `display.queueing` shows."""

Look = Callable[[], JsonObject]


def show(*, region: str, url: str, rehearsal: bool, as_json: bool) -> None:
    """Show the queue once; with `region` that one's part alone.

    Raises:
        UsageError: there is no such region, or nothing at `url` that says how a queue stands.
        StartError: the server does not answer.
        StoreError: the store cannot be read.
    """
    with _looking(region, url, None if as_json else _SHOWN, rehearsal=rehearsal) as look:
        record = look()
        if as_json:
            shown = next(iter(record["queues"].values())) if region else record
            text = ascii_json.encoded(shown) or json.dumps(shown).encode("ascii")
            paper.put(msgspec.json.format(text, indent=2).decode("ascii"), sys.stdout)
            return
    from beacon_cli.display import queueing

    view = queue_view.read(record)
    paper.show(lambda width: queueing.status(view, width), sys.stdout)


def watch(*, region: str, url: str, rehearsal: bool) -> int:
    """Show the queue again each second, until a signal comes; gives the exit code: Ctrl-C is how a watch ends.

    Raises:
        UsageError: stdout is no terminal, or as `show`.
        StartError: as `show`.
        StoreError: as `show`; later failures are shown in the picture.
    """
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; --json once in a while does for programs")
    from beacon_cli.display import queueing
    from beacon_cli.display.pane import Pane

    over, heard = threading.Event(), list[signal.Signals]()

    def end(number: signal.Signals) -> None:
        heard.append(number)
        over.set()

    with _looking(region, url, _SHOWN, rehearsal=rehearsal) as look, signals.caught(end):
        pane, view, trouble = Pane(sys.stdout), queue_view.read(look()), ""
        while True:
            pane.paint(partial(queueing.status, view), trouble)
            if over.wait(_EVERY) or pane.is_closed:
                return 0 if heard in ([], [signal.SIGINT]) else 128 + heard[0]
            try:
                view, trouble = queue_view.read(look()), ""
            except BeaconError as error:
                trouble = str(error)


def snapshot(store: Store | None, settings: Settings, most: int | None = None) -> Snapshot:
    """The queue as it is, see `ports.Store.snapshot`; empty where there is no store yet."""
    if store is not None:
        return store.snapshot(most)
    return Snapshot(at=time.time(), now=0.0, caps=wiring.caps(settings), regions={})


def region_id(name: str, settings: Settings, also: Sequence[str] = ()) -> str:
    """The id of the region that a name means; `also` are regions that the queue knows beside the configuration's.

    Raises:
        UsageError: there is none; the known ones are named.
    """
    names = RegionNames(settings.regions)
    found = names.get(name)
    if found is not None:
        return found.id
    if name.lower() in also:
        return name.lower()
    known = ", ".join(dict.fromkeys([*(each.id for each in settings.regions), *map(printable, also)]))
    raise UsageError(f"unknown region {quoted(name)}; known: {known}")


@contextmanager
def _looking(region: str, url: str, most: int | None, *, rehearsal: bool) -> Iterator[Look]:
    """What gives the status each time that it is called, checked; for `region` with that one alone.

    Here, not on a server, only the first `most` that wait in each region are read, and the others counted.
    """
    settings = wiring.settings()
    if url:
        if rehearsal:
            raise UsageError("--rehearsal: a server shows its own queue; leave it out with --url")
        with wiring.remote_status(url) as fetch:
            yield lambda: _of_server(fetch(), region, settings)
        return
    store = wiring.store_if_any(settings, rehearsal=rehearsal)
    if store is None:
        yield lambda: _of_store(None, region, settings, most)
        return
    with closing(store):
        yield lambda: _of_store(store, region, settings, most)


def _of_store(store: Store | None, region: str, settings: Settings, most: int | None) -> JsonObject:
    now = snapshot(store, settings, most)
    aside = {} if store is None else store.set_aside()
    if not region:
        return queue_form.to_record(now, [each.id for each in settings.regions], aside)
    name = region_id(region, settings, tuple(now.regions))
    here = now.regions.get(name, RegionLine(region=name))
    alone = msgspec.structs.replace(now, regions={name: here})
    return queue_form.to_record(alone, [name], {run: where for run, where in aside.items() if name in where})


def _of_server(record: JsonObject, region: str, settings: Settings) -> JsonObject:
    if not region:
        return record
    also = [name.lower() for name in record["queues"]]
    wanted = region.lower() if region.lower() in also else region_id(region, settings, also)
    for name, part in record["queues"].items():
        if name.lower() == wanted:
            aside = record.get("set_aside", {}).items()
            return {**record, "queues": {name: part}, "set_aside": {run: on for run, on in aside if wanted in on}}
    raise UsageError(f"the server has no region {quoted(region)}; known: {', '.join(map(printable, also))}")
