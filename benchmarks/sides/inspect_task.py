"""The work as an evaluation of Inspect AI's; its log is written. Runs in Inspect's own environment.

python inspect_task.py URL REQUESTS AT_ONCE FOLDER
"""

import sys

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import generate, system_message

url, requests, at_once, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
config = GenerateConfig(max_connections=at_once, temperature=0.1, max_tokens=500)
task = Task(
    dataset=MemoryDataset([Sample(input=f"What is the answer to question {n}?") for n in range(requests)]),
    solver=[system_message("You are a helpful assistant."), generate(cache=False)],
)
[log] = evaluate(
    task,
    model=get_model("openai-api/bench/gpt-4o-mini", base_url=url, api_key="none", config=config),
    display="none",
    log_dir=folder,
    max_samples=at_once,
    log_realtime=False,
    log_model_api=False,
    ctl_server=False,
    acp_server=False,
    score=False,
)
if log.status != "success" or sum(bool(sample.output.completion) for sample in log.samples or ()) != requests:
    sys.exit(f"{log.status}: not every answer came")
