"""What a run used and cost: its journal read once, at the rates of the configuration. Changes nothing."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from beacon_cli import replay, wiring
from beacon_cli.disk import explained
from beacon_cli.display import costing, paper
from beacon_cli.errors import UsageError
from beacon_cli.names import printable, quoted
from beacon_cli.rates import Rates, of_billing
from beacon_cli.runs import Runs
from beacon_cli.settings import Settings
from beacon_cli.timings.accounts import Account
from beacon_cli.timings.costs import WINDOW, record

_LARGEST = 1_000_000
"""Bytes of what `modal billing rates --json` printed."""


def show(name: str, *, rates: Path | None, window: float = WINDOW, as_json: bool) -> None:
    """Show what a run used and cost, the latest if it is not named.

    Raises:
        BeaconError: there is no such run, or it or the rates cannot be read.
    """
    settings = wiring.settings()
    prices = rates_of(settings, rates)
    home = Runs(settings.home)
    folder = home.find(name) if name else home.latest()
    account = Account()
    for event in replay.read(folder.journal):
        account.apply(event)
    run = account.fold.run
    if run is None:
        raise UsageError(f"run {folder.run_id} never began; it cost nothing")
    if as_json:
        head = {"run_id": run.run_id, "job_id": run.spec.id, "rehearsal": run.rehearsal}
        losses = account.losses
        more = {
            "unfinished": account.fold.on_the_way,
            "unsettled": {"calls": losses.unsettled, "at_most_seconds": round(losses.unsettled_seconds, 3)},
            "kept_warm_still": sorted(account.costs.kept),
        }
        paper.put_json({**head, **record(account.costs, prices, window), **more}, sys.stdout)
        return
    view = costing.CostView(
        run_id=run.run_id,
        job_id=run.spec.id,
        rehearsal=run.rehearsal,
        costs=account.costs,
        rates=prices,
        window=window,
        unsettled=account.losses.unsettled,
        unsettled_seconds=account.losses.unsettled_seconds,
    )
    paper.show(lambda width: costing.cost(view, width), sys.stdout)


def rates_of(settings: Settings, billing: Path | None) -> Rates:
    """The rates of the configuration; with `billing`, what `modal billing rates --json` printed there goes first.

    Raises:
        UsageError: that file is not there, is no JSON, or holds no price of a GPU that is known.
        StoreError: it cannot be read.
    """
    shipped = wiring.rates(settings)
    if billing is None:
        return shipped
    shown = quoted(str(billing), most=200)
    try:
        found = of_billing(_text(billing), shipped.gpu)
    except ValueError as error:
        wanted = "it takes what `modal billing rates --json` prints"
        raise UsageError(f"--rates {shown}: {printable(str(error))}; {wanted}") from None
    if not found:
        raise UsageError(f"--rates {shown}: no price of a GPU was found in it; known: {', '.join(shipped.gpu)}")
    today = datetime.fromtimestamp(time.time(), UTC).date().isoformat()
    return msgspec.structs.replace(
        shipped,
        gpu=shipped.gpu | found,
        dated=today if set(found) >= set(shipped.gpu) else shipped.dated,
        source=f"modal billing rates ({', '.join(found)}); {shipped.source}",
    )


def _text(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read(_LARGEST)
    with explained(path):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                return file.read(_LARGEST)
        except FileNotFoundError:
            raise UsageError(f"there is no file {quoted(str(path), most=200)}") from None
