"""Proving from the queue's own log that its caps and its order held."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import msgspec

from beacon_cli import moments, queue_check, wiring
from beacon_cli.display import paper
from beacon_cli.display.words import count
from beacon_cli.errors import StoreError, UsageError
from beacon_cli.model import JsonObject
from beacon_cli.names import quoted
from beacon_cli.queue_check import Proof

_MOST = 100
"""Violations that are told one by one."""


def check(*, since: str, until: str, rehearsal: bool, as_json: bool) -> None:
    """Replay the log and say what it proves, of all or of a period; its ends are as ISO 8601, in UTC.

    Raises:
        UsageError: `since` or `until` is no point in time.
        StoreError: the store failed, or its log shows a violation: what it kept was not what it promised.
    """
    begin = _moment("since", since) if since else 0.0
    end = _moment("until", until) if until else math.inf
    store = wiring.store_if_any(wiring.settings(), rehearsal=rehearsal)
    if store is None:
        proof = queue_check.check(())
    else:
        with closing(store):
            proof = queue_check.check(store.log(), begin, end)
    if as_json:
        paper.put(json.dumps(_record(proof), indent=2), sys.stdout)
    else:
        paper.say(_lines(proof, is_period=bool(since or until)), sys.stdout, whole=True)
    if proof.violations:
        found = count(len(proof.violations), "violation")
        raise StoreError(f"the queue's log shows {found} of its caps or its order: report it, with `--json`")


def _lines(proof: Proof, *, is_period: bool) -> Iterator[str]:
    for each in proof.violations[:_MOST]:
        yield f"entry {each.seq}, {moments.utc(each.at)}: {each.rule}: {each.found}"
    if len(proof.violations) > _MOST:
        yield f"and {len(proof.violations) - _MOST:,} more"
    if proof.first_at is None or proof.last_at is None:
        yield "the queue's log has nothing of that time" if is_period else "the queue's log is empty"
        if is_period and not proof.is_whole:
            yield "some of it has been forgotten: nothing is proved of it"
        return
    peaks = [f"{most} in {region}" for region, most in sorted(proof.peaks.items()) if region]
    yield (
        f"{count(proof.entries, 'entry', 'entries')} and {count(proof.grants, 'turn')} checked,"
        f" from {moments.utc(proof.first_at)} to {moments.utc(proof.last_at)}"
    )
    yield ", ".join([f"most GPUs at once: {proof.peaks['']} over all", *peaks])
    if not proof.is_whole:
        yield f"what came before {moments.utc(proof.first_at)} has been forgotten: nothing is proved of it"
    if not proof.violations:
        yield "caps, order and leases held"


def _record(proof: Proof) -> JsonObject:
    def moment(at: float | None) -> str | None:
        return None if at is None else moments.utc(at)

    return {
        "entries": proof.entries,
        "turns": proof.grants,
        "first_at": moment(proof.first_at),
        "last_at": moment(proof.last_at),
        "whole": proof.is_whole,
        "most_gpus": {
            "over_all": proof.peaks[""],
            "regions": {region: most for region, most in proof.peaks.items() if region},
        },
        "violations": [{**msgspec.to_builtins(each), "at": moment(each.at)} for each in proof.violations],
    }


def _moment(option: str, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--{option} {quoted(text)}: must be a time as 2026-01-31 or 2026-01-31T12:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
