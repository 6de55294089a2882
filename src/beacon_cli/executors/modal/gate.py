"""The last look before a call's request leaves this process: whether it may still be placed.

Between the caller's own look and the socket lie a change of threads, the packing of the arguments and the SDK's
repetitions of a request that failed. A process that is stopped there sends what was allowed before it was stopped.
So the question is asked once more as the request's bytes are written, in the SDK's thread, from where only a few
microseconds of Python are left to the operating system. What is withheld there was never placed.

The SDK gives the way to its channel under a public name that it does not support: where it is gone, the caller's
own look is the last one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import modal
from grpclib.events import SendMessage, listen
from modal_proto import api_pb2

from beacon_cli.ports import always

_may_place: ContextVar[Callable[[], bool]] = ContextVar("may_place", default=always)
"""Goes with the call into the SDK's thread."""


class Withheld(Exception):
    """The request was not sent: it may not be placed any more."""


class Gate:
    """Stands before the channel of an open client."""

    def __init__(self, client: modal.Client) -> None:
        self._watched: object = None
        self._stub: object = None
        with warnings.catch_warnings(), suppress(AttributeError):
            warnings.simplefilter("ignore")  # that it is not supported is why it may be missing
            self._stub = client.stub

    @contextmanager
    def asking(self, may_place: Callable[[], bool]) -> Iterator[None]:
        """Calls that are placed in the body are withheld once `may_place` says no, which any thread may ask.

        Raises:
            Withheld: it says so already.
        """
        self._watch()
        if not may_place():
            raise Withheld
        token = _may_place.set(may_place)
        try:
            yield
        finally:
            _may_place.reset(token)

    def _watch(self) -> None:
        with suppress(AttributeError):
            channel = self._stub.FunctionMap.wrapped_method.channel  # type: ignore[attr-defined]  # see above
            if channel is not self._watched:
                listen(channel, SendMessage, _look)
                self._watched = channel


async def _look(event: SendMessage) -> None:
    if isinstance(event.message, api_pb2.FunctionMapRequest) and not _may_place.get()():
        raise Withheld
