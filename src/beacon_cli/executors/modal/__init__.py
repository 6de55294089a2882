"""Attempts on Modal, through the real SDK, which is imported in this room and nowhere else.

* `executor`: `ModalExecutor`, the port's adapter: connects, looks up what the job calls, places calls
* `calls`: waiting for a call that was placed, and ending it
* `border`: what the SDK raises, and what is made of it
* `bridge`: how coroutines of the SDK's own event loop are awaited and cancelled
"""

from beacon_cli.executors.modal.executor import ModalExecutor

__all__ = ["ModalExecutor"]
