"""How a job stands, as the server says it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.support.queueing import Hands, part, request

from beacon_cli.queues import memory
from beacon_cli.runs import RunState, Summary
from beacon_cli.server import openapi, view
from beacon_cli.server.book import Entry, Stage
from beacon_cli.tickets import Entered, Granted, Snapshot

ENTRY = Entry(run_id="a", job_id="bias", at=1_800_000_000.0, stage=Stage.STARTED)
BEGUN = Summary(run_id="a", state=RunState.RUNNING, started_at=0.0, job="bias", planned=24, succeeded=2)


def queue(*runs: str, regions: tuple[str, ...] = ("us",), turns: int = 1) -> Snapshot:
    """A queue that these runs have entered, of whom the first `turns` have their turn in the first region."""
    hands = Hands()
    store = memory.store(clock=hands, wall=hands.wall)
    for region in regions:
        entrance = store.enter(request("past", region))
        assert isinstance(entrance, Entered)
        answer = store.claim(entrance.ticket, "host:past")
        assert isinstance(answer, Granted)
        store.leave(entrance.ticket, answer.token, part(), {})
    for place, run in enumerate(runs):
        for region in regions:
            entrance = store.enter(request(run, region))
            assert isinstance(entrance, Entered)
            if place < turns and region == regions[0]:
                store.claim(entrance.ticket, f"host:{run}")
        hands.pass_by(1.0)
    return store.snapshot()


def stands(snapshot: Snapshot, *, summary: Summary | None = None, entry: Entry = ENTRY) -> dict[str, Any]:
    """The record, held against what /openapi.json says of it."""
    record = view.job(entry, summary, snapshot)
    document = openapi.document("0")
    schema = {"$ref": "#/components/schemas/Job", "components": document["components"]}
    Draft202012Validator(schema).validate(record)
    assert document["components"]["schemas"]["Job"]["properties"]["state"]["enum"] == list(view.STATES)
    return record


def test_without_a_ticket_it_is_accepted_until_it_began() -> None:
    """What asks an endpoint takes none."""
    assert stands(queue())["state"] == "accepted"
    assert stands(queue(), summary=BEGUN)["state"] == "running"


def test_while_it_waits_its_position_and_its_expected_start_are_said() -> None:
    """Of the region whose turn is nearest."""
    found = stands(queue("b", "c", "a"), summary=BEGUN)
    assert (found["state"], found["position"]) == ("waiting", 2)
    assert found["expected_at"].endswith("Z")
    assert found["executions"]["succeeded"] == 2


def test_with_a_turn_in_one_region_it_runs_and_waits_in_the_others() -> None:
    """Each region says its own."""
    found = stands(queue("a", regions=("us", "eu")))
    assert (found["state"], found["position"], found["expected_at"]) == ("running", None, None)
    assert [(place["region"], place["position"]) for place in found["regions"]] == [("EU", 1), ("US", None)]


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage not in {Stage.ACCEPTED, Stage.STARTED}])
def test_a_job_that_has_ended_says_how(stage: Stage) -> None:
    """Whatever is still in the queue of it."""
    entry = Entry(run_id="a", job_id="bias", at=0.0, stage=stage, reason="because")
    found = stands(queue("a"), entry=entry)
    assert (found["state"], found["reason"], found["position"]) == (stage.value, "because", None)
