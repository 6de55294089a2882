"""Attempts on Modal, through the real SDK, which is imported in this room and nowhere else.

* `executor`: `ModalExecutor`, the port's adapter: connects, looks up what the job calls, places calls
* `containers`: how the containers behind the cells stand, and how they are let go
* `pools`: what a job calls, as a key that any process can read, and the SDK's handle for it
* `calls`: waiting for a call that was placed, and ending it
* `waking`, `addresses`: starting a container by a call that asks nothing, or over HTTP
* `deploying`: what `modal deploy` does, for the files of the apps
* `versions`: which version of an app is deployed, by the SDK's own command
* `reaching`: whether anybody listens at Modal's address
* `border`: what the SDK raises, and what is made of it
* `gate`: the last look before a call's request leaves
* `bridge`: how coroutines of the SDK's own event loop are awaited and cancelled
"""

from beacon_cli.executors.modal.executor import ModalExecutor

__all__ = ["ModalExecutor"]
