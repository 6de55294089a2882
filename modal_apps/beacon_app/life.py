"""One container: when it began, loaded and was ready; which input had to wait for that; where it stands.

Everything that a snapshot of memory would carry into another container (clock, task id, counts) is read after the
snapshot. Knows no engine and no Modal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from beacon_app.settings import STARTUP_TIMEOUT

_AT_ONCE = 2.0
"""Seconds after a container is ready within which an input that was waiting for it is given to it."""
_CLOCK_TICKS = "SC_CLK_TCK"


@dataclass
class Life:
    """What a container knows of itself. `clock` gives seconds since the epoch, `environ` is read at each use."""

    clock: Callable[[], float] = time.time
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    began: Callable[[], float | None] = field(default_factory=lambda: process_began)
    boot: float | None = None
    load: float = 0.0
    ready_at: float | None = None
    restored: bool = False
    _loaded_in: str = ""
    _finished: int = 0

    def loading(self) -> Callable[[], None]:
        """The weights are being read; call what this gives when they are."""
        start = self.clock()
        self._loaded_in = self.task
        began = self.began()
        if began is not None and 0 <= start - began <= STARTUP_TIMEOUT:
            self.boot = start - began

        def loaded() -> None:
            self.load = self.clock() - start

        return loaded

    def waking(self) -> Callable[[], None]:
        """The weights go onto the GPU; call what this gives when the container is ready for its first input."""
        start = self.clock()
        self.restored = self._loaded_in != self.task
        if self.restored:
            # Another container's; and when a restored process began, its system may tell by another's clock.
            self.load, self.boot = 0.0, None
        self._finished = 0

        def awake() -> None:
            self.ready_at = self.clock()
            self.load += self.ready_at - start

        return awake

    def cold(self, at: float) -> bool:
        """Whether an input that began at `at` had to wait for this container's start.

        It had if none was done before it, and it was there as soon as the container was ready.
        """
        return self.ready_at is not None and self._finished == 0 and at - self.ready_at < _AT_ONCE

    def finished(self) -> None:
        """An input is done: none that begins from now on has waited for the container's start."""
        self._finished += 1

    @property
    def task(self) -> str:
        """The container's id."""
        return self.environ.get("MODAL_TASK_ID", "")

    def where(self) -> dict[str, str]:
        """Where the container stands, as Modal says it; one by one, as the environment holds credentials too."""
        return {
            "region": self.environ.get("BEACON_REGION", ""),
            "cloud": self.environ.get("MODAL_CLOUD_PROVIDER", ""),
            "modal_region": self.environ.get("MODAL_REGION", ""),
            "container": self.task,
            "image": self.environ.get("MODAL_IMAGE_ID", ""),
        }


def process_began() -> float | None:
    """When this process was started, in seconds since the epoch; None where the system does not say (no Linux)."""
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
        since_boot = Path("/proc/uptime").read_text(encoding="ascii")
        ticks = int(stat.rpartition(")")[2].split()[19])
        return time.time() - float(since_boot.split()[0]) + ticks / os.sysconf(_CLOCK_TICKS)
    except (OSError, ValueError, IndexError):
        return None
