"""A second process with the counter system: `python -m tests.counter_process URL FOLDER WORLD USER HOW_MANY`.

It gives that many commands, 32 at a time, and prints the `seq` that each was answered with.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from fablewright.app import BUILT_IN, open_runtime
from fablewright.core.actors import Actor
from fablewright.core.engine import Engine
from tests import counter
from tests.conftest import make_settings


async def write(engine: Engine, world: UUID, user: UUID, many: int) -> list[int]:
    """Half of them hot, half plain, each on one of a few rows; returns their `seq`s."""
    actor = Actor(f"user:{user}", user)
    turns = asyncio.Semaphore(32)

    async def one(number: int) -> int:
        async with turns:
            name = f"c{number % 7}"
            command = counter.Add(name=name) if number % 2 else counter.Touch(names=(name,))
            answer = await engine.execute(command, actor, world)
            assert answer.seq is not None
            return answer.seq

    return await asyncio.gather(*(one(number) for number in range(many)))


async def main(url: str, folder: str, world: str, user: str, many: str) -> None:
    settings = make_settings(Path(folder))
    async with open_runtime(settings, url, (*BUILT_IN, counter.system), work=False) as runtime:
        print(*await write(runtime.engine, UUID(world), UUID(user), int(many)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
