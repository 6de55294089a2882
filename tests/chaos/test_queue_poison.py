"""A run that kills its holder every time stands in nobody's way for longer than a lease."""

from __future__ import annotations

import pytest
from tests.support.chaos import Told, ended, stop, until
from tests.support.contest import Contest

from beacon_cli.tickets import POISON, LogKind

pytestmark = pytest.mark.timeout(120)


def test_a_poisonous_run_is_set_aside(contest: Contest, told: Told) -> None:
    """After three dead holders a run is refused with the reason; the next job starts; it can be released."""
    told("a run that kills its holder each time")
    contest.job("poison", ["It hangs"], regions=["us"])
    contest.job("next", regions=["us"])
    for number in range(POISON):
        process = contest.resume("poison")
        _await_turn(contest, number + 1)
        if number == POISON - 1:
            contest.begin("next")
            until(lambda: contest.waiting("us") == ["next"], "the next one waits")
        stop(process)
        ended(process)
    refused = contest.beacon("resume", "poison", "--quiet")
    assert refused.code == 5, refused
    assert "set aside" in refused.err
    assert len(refused.err.splitlines()) == 1
    until(lambda: bool(contest.told("next", "region_started")), "the next one has its turn")
    contest.finish("next")
    assert contest.store.set_aside() == {"poison": ("us",)}
    assert contest.beacon("queue", "release", "poison").code == 0
    assert contest.store.set_aside() == {}
    contest.verify("next")


def _await_turn(contest: Contest, nth: int) -> None:
    kinds = {LogKind.GRANTED, LogKind.INHERITED}

    def has_come() -> bool:
        turns = [each for each in contest.store.log() if each.run_id == "poison" and each.kind in kinds]
        return sum(each.token > 0 for each in turns) >= nth

    until(has_come, "it has its turn")
