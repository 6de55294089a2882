"""Beacon's default executor and the apps agree on which class serves which model."""

from __future__ import annotations

from beacon_app import settings
from beacon_cli.operations import bare_jobs
from beacon_cli.spec.load import SMALLER


def test_each_model_is_asked_through_the_cheapest_class_that_holds_it() -> None:
    """What beacon asks by default is the class that the apps' own table names as the cheapest."""
    chosen = {name: SMALLER.get(name, "Model") for name in bare_jobs.MODELS}
    assert chosen == {card.id: settings.cheapest(card) for card in settings.MODELS}
