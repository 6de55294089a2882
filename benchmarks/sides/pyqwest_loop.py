"""Lanes over one client of pyqwest's, answers thrown away. Runs in an environment of its own.

python pyqwest_loop.py URL REQUESTS AT_ONCE
"""

import asyncio
import json
import sys

from pyqwest import Client, HTTPTransport, HTTPVersion


async def main(url: str, requests: int, at_once: int) -> None:
    """Ask so many questions, so many at once."""
    numbers = iter(range(requests))
    headers = {"content-type": "application/json"}
    transport = HTTPTransport(
        http_version=HTTPVersion.HTTP1, pool_max_idle_per_host=at_once, use_system_dns=True, enable_otel=False
    )
    async with transport:
        client = Client(transport)

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
                response = await client.post(url + "/chat/completions", headers, json.dumps(body).encode())
                answer = json.loads(response.content)
                assert answer["choices"][0]["message"]["content"]  # noqa: S101 - the server gives one

        await asyncio.gather(*(lane() for _ in range(at_once)))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
