"""Lanes over one client of pyreqwest's, answers thrown away. Runs in an environment of its own.

python pyreqwest_loop.py URL REQUESTS AT_ONCE
"""

import asyncio
import json
import sys

from pyreqwest.client import ClientBuilder


async def main(url: str, requests: int, at_once: int) -> None:
    """Ask so many questions, so many at once."""
    numbers = iter(range(requests))
    async with ClientBuilder().no_proxy().http1_only().build() as client:

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
                response = await client.post(url + "/chat/completions").body_json(body).build().send()
                answer = json.loads(bytes(await response.bytes()))
                assert answer["choices"][0]["message"]["content"]  # noqa: S101 - the server gives one

        await asyncio.gather(*(lane() for _ in range(at_once)))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
