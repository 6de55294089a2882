"""Starting a container over HTTP, where the configuration names an address for it. Knows nothing of the SDK.

Imported where it is needed: most runs have no such address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import anyio
import httpx
import msgspec

from beacon_cli import templates
from beacon_cli.executors.answers import shorten
from beacon_cli.executors.modal.waking import BYTES, healthy
from beacon_cli.model import ErrorKind, Failed, Model, Outcome, Region

_CONNECT = 10.0
_AGAIN = 1.0
"""Seconds before an address that is not ready yet is asked again."""


async def by_address(address: str, region: Region, model: Model) -> Outcome:
    """Ask the address until it answers that all is well; redirections, with which Modal makes long waits, hold.

    Args:
        address: a template as the job's, `{model.id}` and `{region.id}` in it.
        region: where.
        model: whose container is to serve.
    """
    values = {name: quote(str(value), safe="") for name, value in templates.cell_values(region, model).items()}
    url = str(templates.fill(address, values))
    timeout = httpx.Timeout(None, connect=_CONNECT)
    async with httpx.AsyncClient(timeout=timeout, follow_redirects=True, max_redirects=100) as client:
        while True:
            try:
                async with client.stream("GET", url) as response:
                    body = await _body(response)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = str(error) or type(error).__name__
                return Failed(kind=ErrorKind.CONNECTION, message=shorten(f"health: {reason}"), transient=True)
            if response.status_code == httpx.codes.OK:
                return healthy(_mapping(body), BYTES)
            if response.status_code not in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}:
                said = f"health: the address answers {response.status_code}"
                return Failed(kind=ErrorKind.PLATFORM, message=said, transient=True)
            await anyio.sleep(_AGAIN)


async def _body(response: httpx.Response) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > BYTES:
            break
    return bytes(data[:BYTES])


def _mapping(body: bytes) -> Any:
    """What the address said; whatever is no mapping says nothing of the container, and that it is well."""
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return said if type(said) is dict else {}
