"""Runs the flows and prints the table: `python -m benchmarks [FLOW …]`."""

import asyncio
import sys

from benchmarks import (
    achievements,
    boards,
    commands,
    diplomacy,
    evaluator,
    feed,
    graph,
    ledger,
    live,
    markets,
    points,
    recall,
    relations,
    world,
    years,
)
from benchmarks.stage import Row, staged

FLOWS = {
    "rest": live.rest,
    "interactions": commands.interactions,
    "reading": commands.reading,
    "batched": commands.batched,
    "quiet": live.quiet,
    "busy": live.busy,
    "log": world.reading_log,
    "director": world.director,
    "ten_thousand": world.ten_thousand,
    "feed": feed.feed,
    "answer": feed.answer,
    "graph": graph.answers,
    "relations": relations.matrix,
    "recall": recall.recall,
    "award": points.award,
    "bulk": points.bulk,
    "listened": achievements.listened,
    "check": achievements.check,
    "million": boards.million,
    "submissions": boards.submissions,
    "top": boards.top,
    "integrity": ledger.integrity,
    "signing": diplomacy.signing,
    "watching": diplomacy.watching,
    "award_memory": points.award_memory,
    "offers": evaluator.offers,
    "years": years.years,
    "trade": markets.trade_days,
}


def main() -> int:
    names = sys.argv[1:] or list(FLOWS)
    rows: list[Row] = []
    for name in names:
        with staged() as stage:  # a server of its own for each, so that none inherits another's memory
            rows += asyncio.run(FLOWS[name](stage))
            print(f"… {name} done", file=sys.stderr)
    print("| flow | measured | to reach | raw baseline | ratio | |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.flow} | {row.measured} | {row.target} | {row.baseline} | {row.ratio} | {'✓' if row.met else '✗'} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
