"""The status of a queue that a server keeps, over HTTP. Knows the form of the answer, and no store.

What a server sends is hostile until `queue_view` has read it: its size is bounded, redirections are not followed,
and nothing of it is shown but what was checked.
"""

from __future__ import annotations

import re
import time
from typing import Any, Self

import httpx
import msgspec

from beacon_cli import queue_view
from beacon_cli.errors import StartError, UsageError
from beacon_cli.model import JsonObject
from beacon_cli.names import printable, quoted

PATH = "/queue/status"
LARGEST = 32_000_000
"""Bytes of an answer: some 80,000 waiting tickets."""
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
"""Hosts that are asked directly: for a proxy of the environment they are another machine."""
PATIENCE = 10.0
"""Seconds until an answer begins, and from there to its end."""


class Server:
    """A server's queue. `url` is its address, with or without the path of the status; used as `with Server(url)`.

    Raises:
        UsageError: that is no address of a server.
    """

    def __init__(self, url: str) -> None:
        try:
            address = httpx.URL(url.rstrip("/").removesuffix(PATH) + PATH)
        except (httpx.InvalidURL, ValueError) as error:
            raise UsageError(f"--url {quoted(url)}: {printable(str(error))}") from None
        if address.scheme not in {"http", "https"} or not re.fullmatch(r"[\w.:-]+", address.host):
            raise UsageError(f"--url {quoted(url)}: must be an address as http://127.0.0.1:8000")
        self._address = address
        self._shown = quoted(str(address.copy_with(userinfo=b"")))
        self._client = httpx.Client(
            timeout=PATIENCE,
            headers={"accept": "application/json"},
            mounts=dict.fromkeys((f"all://{host}" for host in _THIS_MACHINE), None),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def status(self) -> JsonObject:
        """What the server says now, checked.

        Raises:
            StartError: it does not answer, or says that something is wrong with it.
            UsageError: it answers with something else than the status of a queue.
        """
        try:
            with self._client.stream("GET", self._address) as response:
                self._accept(response)
                data = self._body(response)
        except httpx.TimeoutException:
            raise StartError(f"{self._shown} does not answer within {PATIENCE:g} s") from None
        except httpx.HTTPError as error:
            raise StartError(f"{self._shown} cannot be reached: {printable(str(error))}") from None
        try:
            record: Any = msgspec.json.decode(data)
            queue_view.read(record)
        except (ValueError, RecursionError) as error:
            said = printable(str(error))
            raise UsageError(f"{self._shown} does not give the status of a queue: {said}") from None
        checked: JsonObject = record
        return checked

    def _accept(self, response: httpx.Response) -> None:
        code = response.status_code
        if code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise StartError(f"{self._shown} answers {code}: something is wrong with the server")
        if code != httpx.codes.OK:
            raise UsageError(f"{self._shown} answers {code}: no beacon shows its queue there")

    def _body(self, response: httpx.Response) -> bytes:
        data, began = bytearray(), time.monotonic()
        for chunk in response.iter_bytes():
            data += chunk
            if time.monotonic() - began > PATIENCE:  # the client's own timeout begins anew with each byte
                raise httpx.ReadTimeout("")
            if len(data) > LARGEST:
                raise UsageError(f"{self._shown} sends more than {LARGEST // 1_000_000} MB: that is no status")
        return bytes(data)
