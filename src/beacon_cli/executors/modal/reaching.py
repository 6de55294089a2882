"""Whether anybody listens at Modal's address, before the SDK is asked to connect. Knows nothing of the SDK."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio

from beacon_cli.errors import StartError


async def reach(address: str) -> None:
    """Fail at once where nobody listens: the SDK itself would go on trying for a minute.

    Where a proxy stands between, only the SDK can tell.

    Raises:
        StartError: there is no such host, or nobody listens there.
    """
    url = urlsplit(address.partition(",")[0].strip())
    if getproxies() and not proxy_bypass(url.hostname or ""):
        return
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        stream = await anyio.connect_tcp(url.hostname or "", port)
    except (OSError, socket.gaierror) as error:
        reason = error.strerror or str(error)
        raise StartError(f"{address} cannot be reached ({reason}): check the network connection") from None
    await stream.aclose()
