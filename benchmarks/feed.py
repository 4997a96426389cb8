"""What the characters say: how varied it is, and how long an answer takes."""

import asyncio
import re
import statistics
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from benchmarks.population import beside
from benchmarks.stage import Row, Stage
from fablewright.core.clock import HOUR
from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.packs.demo import demo_commands
from fablewright.systems.dialogue import service
from fablewright.systems.dialogue.voice import GrammarVoice, Line, Moment
from fablewright.systems.director.commands import ConfigureDirector

ANSWERS = 2_000
WINDOW = 50
SAMPLE = 60


@dataclass
class Measures:
    """Of a feed; shares are 0..1."""

    answers: int
    heard_within_window: float
    """Share of lines that their listener had heard within its last 50 lines."""
    heard_before: float
    """Share of lines that their listener had ever heard before."""
    repeats: float
    """Share of answers that anybody had given before."""
    words: int
    """Distinct words."""
    shared: float
    """Share of answers that refer to something that the two share."""
    length: float
    """Mean words per answer."""


def measured(events: list[dict[str, Any]]) -> Measures:
    """Measures of `dialogue.interacted` events in their order."""
    heard: dict[str, list[str]] = defaultdict(list)
    again_soon = again = lines = repeats = shared = 0
    said: set[str] = set()
    words: set[str] = set()
    lengths: list[int] = []
    for event in events:
        for listener, line in (
            (event["target_id"], event["content"]),
            (event["initiator_id"], event["answer"]),
        ):
            if line is None:
                continue
            lines += 1
            again_soon += line in heard[listener][-WINDOW:]
            again += line in heard[listener]
            heard[listener].append(line)
        if event["answer"] is None:
            continue
        repeats += event["answer"] in said
        said.add(event["answer"])
        spoken = re.findall(r"[a-z']+", event["answer"].lower().replace("’", "'"))
        words.update(spoken)
        lengths.append(len(spoken))
        shared += event["shared"]
    n = len(lengths)
    return Measures(
        n, again_soon / lines, again / lines, repeats / n, len(words), shared / n, statistics.mean(lengths)
    )


async def feed(stage: Stage) -> list[Row]:
    """The demo world, fast-forwarded until 2,000 answers are given."""
    world_id = UUID(int=0xFEED)
    lively = ConfigureDirector(enabled=True, beats_per_minute=0.5, acts_per_beat=1, council_days=None)
    async with beside(stage) as (runtime, owner):
        await runtime.engine.execute([*demo_commands(world_id), lively], owner)
    base = f"/api/v1/worlds/{world_id}"
    stage.call("PUT", base + "/clock", {"paused": True})
    connection = await stage.connect()
    events: list[dict[str, Any]] = []
    while len(events) < ANSWERS:
        job = stage.call("POST", base + "/advance", {"by_ms": 12 * HOUR}, 202)["result"]["id"]
        while stage.call("GET", f"{base}/advances/{job}")["state"] == "running":
            await asyncio.sleep(0.1)
        rows = await connection.fetch(
            "SELECT at, data::text AS data FROM events WHERE world_id = $1 AND type = 'dialogue.interacted' "
            "ORDER BY seq",
            world_id,
        )
        events = [orjson.loads(row["data"]) | {"at": row["at"]} for row in rows]
    names = {
        str(row["id"]): row["name"]
        for row in await connection.fetch("SELECT id, name FROM characters WHERE world_id = $1", world_id)
    }
    await connection.close()
    found = measured(events[:ANSWERS])
    _print_sample(events, names)
    return [
        Row("feed: lines that the listener heard within its last 50", f"{found.heard_within_window:.2%}", "0",
            met=found.heard_within_window == 0),
        Row("feed: lines that the listener ever heard before", f"{found.heard_before:.2%}", "—"),
        Row("feed: answers that anybody gave before", f"{found.repeats:.2%} of {found.answers:,}", "< 5 %",
            met=found.repeats < 0.05),
        Row("feed: answers that refer to something shared", f"{found.shared:.1%}", "> 25 %", met=found.shared > 0.25),
        Row("feed: distinct words, mean length", f"{found.words:,} words, {found.length:.1f} words each", "—"),
    ]  # fmt: skip


def _print_sample(events: list[dict[str, Any]], names: dict[str, str]) -> None:
    """Sixty lines from the middle, as they come."""
    start = len(events) // 2
    for event in events[start : start + SAMPLE // 2]:
        a, b = names[event["initiator_id"]], names[event["target_id"]]
        print(f"{a} ({event['type']}): “{event['content']}”")
        print(f"    {b}: “{event['answer']}”")


async def answer(stage: Stage) -> list[Row]:
    """One line of a character's, in moments that came up in the demo world."""
    world_id = UUID(int=0xA5)
    kinds = ("chat", "greeting", "conflict", "praise", "tease", "ask_for_help", "gossip")
    spoken: list[tuple[GrammarVoice, Moment]] = []
    speak = GrammarVoice.speak

    def recording(voice: GrammarVoice, moment: Moment, dice: Dice) -> Line:
        spoken.append((voice, moment))
        return speak(voice, moment, dice)

    GrammarVoice.speak = recording  # type: ignore[assignment, method-assign]
    try:
        async with beside(stage) as (runtime, owner):
            await runtime.engine.execute(demo_commands(world_id), owner)
            ids = [row["id"] for row in await _characters(stage, world_id)]
            for n in range(3_000):
                pair = ids[n % len(ids)], ids[(n * 7 + n // len(ids) + 3) % len(ids)]
                with suppress(Refused):  # asleep, elsewhere, too soon
                    await runtime.engine.execute(
                        service.interaction(*pair, kinds[n % len(kinds)]), owner, world_id
                    )
    finally:
        GrammarVoice.speak = speak  # type: ignore[method-assign]
    return _timed(spoken)


async def _characters(stage: Stage, world_id: UUID) -> list[Any]:
    connection = await stage.connect()
    rows = await connection.fetch("SELECT id FROM characters WHERE world_id = $1 ORDER BY id", world_id)
    await connection.close()
    return list(rows)


def _timed(spoken: list[tuple[GrammarVoice, Moment]]) -> list[Row]:
    took = []
    for n, (voice, moment) in enumerate(spoken * 3):
        dice = Dice("bench", n)
        start = time.perf_counter()
        voice.speak(moment, dice)
        took.append(time.perf_counter() - start)
    took.sort()
    median, p99 = (took[int(q * (len(took) - 1))] * 1000 for q in (0.5, 0.99))
    measured = f"median {median:.2f} ms, p99 {p99:.2f} ms ({len(spoken):,} moments of the demo world)"
    return [Row("one answer generated", measured, "< 1 ms", met=p99 < 1)]
