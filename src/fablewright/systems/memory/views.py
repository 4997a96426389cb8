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
    """A memory from a row that begins with `COLUMNS`. Unpacked at once: scenes read thousands of them."""
    (id_, character_id, fact_id, kind, text, subject_id, about, place_id, at, importance, certainty, valence,
     secret, tellers, claim, truth, event_id, evidence, heard_from, *_) = row  # fmt: skip
    return MemoryState(
        id_, character_id, fact_id, kind, text, subject_id, tuple(about), place_id, at, importance, certainty,
        valence, secret, tuple(tellers), None if claim is None else orjson.loads(claim), truth, event_id,
        tuple(evidence), tuple(heard_from),
    )  # fmt: skip
