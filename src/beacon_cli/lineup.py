"""Which models of a group are in step, question by question; a late one catches up first. Knows nothing of why."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from beacon_cli.model import Model


class Lineup:
    """The models that go on together. Those that are `late` join when they have done what the others have begun.

    Nobody waits for a late model, but where all are late: then the first who comes leads.
    """

    def __init__(self, models: Iterable[Model], *, late: Iterable[Model] = ()) -> None:
        behind = {model.id for model in late}
        self._present = {model.id for model in models} - behind
        self._begun = 0
        self._led = anyio.Event()
        if self._present or not behind:
            self._led.set()

    async def next(self) -> frozenset[str]:
        """The ids of the models that are in step, for the next wave, which begins now."""
        await self._led.wait()
        self._begun += 1
        return frozenset(self._present)

    def joins(self, model: Model, done: int) -> bool:
        """Whether a model that has done so many waves by itself is in step: from the next wave on if so."""
        if done != self._begun:
            return False
        self._present.add(model.id)
        self._led.set()
        return True
