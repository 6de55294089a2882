"""The work as rows for bespokelabs-curator; its responses and dataset are written. Runs in its own environment.

python curator_rows.py URL REQUESTS AT_ONCE FOLDER
"""

import sys
from typing import Any

from bespokelabs import curator

url, requests, at_once, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


class Asker(curator.LLM):  # type: ignore[misc]  # its types are not here
    """Asks what stands in a row, and puts the answer beside it."""

    def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """The messages of a row."""
        return [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": row["question"]},
        ]

    def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
        """The row with its answer."""
        return {**row, "answer": response}


asker = Asker(
    model_name="gpt-4o-mini",
    backend="openai",
    generation_params={"temperature": 0.1, "max_tokens": 500},
    backend_params={
        "base_url": url,
        "api_key": "none",
        "max_concurrent_requests": at_once,
        "max_requests_per_minute": 10_000_000,
        "max_tokens_per_minute": 10_000_000_000,
    },
)
answered = asker(
    [{"question": f"What is the answer to question {n}?"} for n in range(requests)], working_dir=folder
)
if sum(bool(row["answer"]) for row in answered.dataset) != requests:
    sys.exit("not every answer came")
