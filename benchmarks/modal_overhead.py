"""What beacon's own layer adds to the Modal SDK: CPU of this process for each call, against a bare spawn and get.

Both make the same calls, ten at once and in turns, to one emulator in a process of its own. Prints one line
for each round and the median ratio; the bound is 1.2. Run: python benchmarks/modal_overhead.py [calls] [rounds]
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable

import anyio

os.environ.setdefault("MODAL_PAYLOAD_FORMAT", "cbor")

import modal
from modal_proto import api_pb2

from beacon_cli.emulator.server import Address
from beacon_cli.executors.modal import ModalExecutor
from beacon_cli.model import Execution, ModalTarget, Model, Question, Region, Sampling, Succeeded

LANES = 10
BOUND = 1.2
REGION = Region(id="us", app="us", place="the United States")
MODELS = [Model(id=f"model-{number}") for number in range(LANES)]
TARGET = ModalTarget(
    app="project-beacon-hf-{region.app}",
    cls="Model",
    parameters={"model": "{model.id}"},
    method="generate",
    arguments={
        "prompt": "{prompt}",
        "system_prompt": "{system_prompt}",
        "temperature": "{sampling.temperature}",
        "max_tokens": "{sampling.max_tokens}",
        "execution_id": "{execution.id}",
        "attempt": "{attempt}",
    },
)
SERVE = "from beacon_cli.emulator import server; server.main(speed=80, gpus=20)"


def cpu() -> float:
    """Seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def in_lanes(calls: int, call: Callable[[int, int], Awaitable[None]]) -> float:
    """CPU in milliseconds for each of `calls` calls, made in lanes."""

    async def lane(number: int) -> None:
        for turn in range(calls // LANES):
            await call(number, turn)

    before = cpu()
    async with anyio.create_task_group() as group:
        for number in range(LANES):
            group.start_soon(lane, number)
    return (cpu() - before) / calls * 1000


async def bare(address: Address, calls: int) -> float:
    """The SDK alone."""
    token = address.token_id, address.token_secret
    async with modal.Client(address.url, api_pb2.CLIENT_TYPE_CLIENT, token) as client:
        cls = modal.Cls.from_name("project-beacon-hf-us", "Model", client=client)
        await cls.hydrate.aio()
        methods = [cls(model=model.id).generate for model in MODELS]
        for method in methods:
            await method.hydrate.aio()

        async def call(number: int, turn: int) -> None:
            placed = await methods[number].spawn.aio(
                prompt="What is 2+2?",
                system_prompt="You are a helpful assistant.",
                temperature=0.1,
                max_tokens=500,
                execution_id=f"{number}-{turn}",
                attempt=1,
            )
            await placed.get.aio()

        return await in_lanes(calls, call)


async def ours(address: Address, calls: int) -> float:
    """The same through beacon's executor."""
    sampling = Sampling(temperature=0.1, max_tokens=500)
    token = address.token_id, address.token_secret
    async with ModalExecutor(TARGET, sampling=sampling, server_url=address.url, token=token) as executor:
        await executor.prepare([(REGION, model) for model in MODELS])

        async def placed(_call_id: str) -> None: ...

        async def call(number: int, turn: int) -> None:
            execution = Execution(
                id=f"{number}-{turn}",
                region=REGION,
                model=MODELS[number],
                question=Question(id="q", text="What is 2+2?"),
                context=None,
                repeat=1,
                system_prompt="You are a helpful assistant.",
                order=0,
            )
            outcome = await executor.attempt(execution, 1, placed)
            if not isinstance(outcome, Succeeded):
                raise SystemExit(f"a call failed: {outcome}")

        return await in_lanes(calls, call)


def main(calls: int = 1000, rounds: int = 5) -> None:
    """Measure and print."""
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as emulator:
        try:
            lines = [emulator.stdout.readline() if emulator.stdout else "" for _ in range(3)]
            address = Address(*(line.rpartition("=")[2].strip() for line in lines))
            anyio.run(bare, address, 200)
            ratios = []
            for _ in range(rounds):
                theirs, mine = anyio.run(bare, address, calls), anyio.run(ours, address, calls)
                ratios.append(mine / theirs)
                print(f"SDK alone {theirs:.2f} ms, beacon {mine:.2f} ms a call: {ratios[-1]:.2f}")
            print(f"median {statistics.median(ratios):.2f} (bound {BOUND})")
        finally:
            emulator.terminate()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
