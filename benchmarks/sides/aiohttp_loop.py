"""The least that aiohttp allows: lanes over one session, answers thrown away.

python aiohttp_loop.py URL REQUESTS AT_ONCE
"""

import asyncio
import sys

import aiohttp


async def main(url: str, requests: int, at_once: int) -> None:
    """Ask so many questions, so many at once."""
    numbers = iter(range(requests))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def lane() -> None:
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
                async with session.post(url + "/chat/completions", json=body) as response:
                    answer = await response.json()
                    assert answer["choices"][0]["message"]["content"]  # noqa: S101 - the server gives one

        await asyncio.gather(*(lane() for _ in range(at_once)))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
