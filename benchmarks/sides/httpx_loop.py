"""The least that httpx allows: lanes over one client or several, answers thrown away.

python httpx_loop.py URL REQUESTS AT_ONCE CLIENTS
"""

import asyncio
import contextlib
import sys

import httpx


async def main(url: str, requests: int, at_once: int, clients: int) -> None:
    """Ask so many questions, so many at once; the lanes share so many clients."""
    numbers = iter(range(requests))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)

    async def lane(client: httpx.AsyncClient) -> None:
        for number in numbers:
            body = {
                "model": "gpt-4o-mini",
                "temperature": 0.1,
                "max_tokens": 500,
                "messages": [
                    {"role": "system", "content": "You are a helpful assistant."},
                    {"role": "user", "content": f"What is the answer to question {number}?"},
                ],
            }
            answer = (await client.post(url + "/chat/completions", json=body)).json()
            assert answer["choices"][0]["message"]["content"]  # noqa: S101 - the server gives one

    async with contextlib.AsyncExitStack() as stack:
        pool = [
            await stack.enter_async_context(
                httpx.AsyncClient(limits=limits, timeout=60, verify=False)  # noqa: S501 - HTTP; else 25 ms each
            )
            for _ in range(clients)
        ]
        await asyncio.gather(*(lane(pool[number % clients]) for number in range(at_once)))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
