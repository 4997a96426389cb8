"""What is read of memories."""

from typing import Any, Final

import orjson

from fablewright.systems.memory.rules import MemoryState

COLUMNS: Final = (
    "m.id, m.character_id, m.fact_id, m.kind, m.text, m.subject_id, m.about, m.place_id, m.at, m.importance, "
    "m.certainty, m.valence, m.secret, m.tellers, m.claim::text AS claim, m.truth, m.event_id, m.evidence, "
    "m.heard_from"
)
"""The columns of a memory, in the order of the fields of `MemoryState`."""


def state_of(row: Any) -> MemoryState:
    """A memory from a row with `COLUMNS`."""
    claim = row["claim"]
    return MemoryState(
        row["id"], row["character_id"], row["fact_id"], row["kind"], row["text"], row["subject_id"],
        tuple(row["about"]), row["place_id"], row["at"], row["importance"], row["certainty"], row["valence"],
        row["secret"], tuple(row["tellers"]), None if claim is None else orjson.loads(claim), row["truth"],
        row["event_id"], tuple(row["evidence"]), tuple(row["heard_from"]),
    )  # fmt: skip
