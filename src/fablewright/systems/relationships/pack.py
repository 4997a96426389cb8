"""How ties stand in a pack: `ties.yaml`, or several files in `ties/`."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.relationships import rules
from fablewright.systems.relationships.commands import (
    HabitValue,
    Kind,
    Labels,
    ReasonValue,
    Strength,
    TieValue,
    Trust,
    Why,
    WorldMs,
    in_commands,
)
from fablewright.systems.relationships.rules import (
    FAMILIARITY_SET,
    MOST_HABITS,
    MOST_REASONS,
    TRUST_OF_STRANGERS,
)
from fablewright.systems.relationships.service import COLUMNS, state_of

MOST_IN_ONE_FILE: Final = 5_000
"""Ties; an export of more writes a file for each character."""

CharacterKey = Annotated[str, Ref("characters")]


class ReasonEntry(PackModel):
    """Why a tie changed, when (world ms) and by how much."""

    at: WorldMs
    why: Why
    strength: float = Field(0.0, ge=-2.0, le=2.0, allow_inf_nan=False)
    trust: float = Field(0.0, ge=-1.0, le=1.0, allow_inf_nan=False)


class TieEntry(PackModel):
    """How one character (`from`) feels about another (`to`) when the world begins."""

    source: CharacterKey = Field(alias="from")
    target: CharacterKey = Field(alias="to")
    strength: Strength = Field(description="-1 (hate) to 1 (love).")
    trust: Trust = TRUST_OF_STRANGERS
    familiarity: Trust = FAMILIARITY_SET
    labels: Labels = Field([], description="Such as kin, mentor, spouse. Friend and rival follow the values.")
    because: Why | None = Field(None, description="Why it is so, for who asks.")
    resting_strength: Strength | None = Field(None, description="To where the strength drifts, if anywhere.")
    resting_trust: Trust | None = Field(None, description="To where the trust drifts, if anywhere.")
    interaction_count: int = Field(0, ge=0, lt=2**31, description="How often the two have met.")
    last_interaction_at: WorldMs | None = None
    reasons: list[ReasonEntry] = Field([], max_length=MOST_REASONS, description="Newest last.")
    habits: dict[Kind, HabitValue] = Field({}, max_length=MOST_HABITS)


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """As few commands as hold all ties."""
    seen: dict[tuple[str, str], str] = {}
    for item in items:
        pair = (item.value.source, item.value.target)
        if pair[0] == pair[1]:
            ids.mistake(item, "to", f"{pair[0]!r} has a tie with itself: name somebody else")
        elif pair in seen:
            ids.mistake(item, "to", f"tie {seen[pair]} is from {pair[0]!r} to {pair[1]!r} already: keep one")
        if item.value.last_interaction_at is not None and not item.value.interaction_count:
            ids.mistake(item, "last_interaction_at", "it needs an interaction_count of at least 1")
        seen.setdefault(pair, item.key)
    return [] if ids.mistakes else list(in_commands([_value(item.value, ids) for item in items]))


def _value(tie: TieEntry, ids: Ids) -> TieValue:
    reasons = [ReasonValue(**r.model_dump()) for r in tie.reasons]
    if tie.because is not None:
        because = ReasonValue(
            at=ids.now, why=tie.because, strength=tie.strength, trust=tie.trust - TRUST_OF_STRANGERS
        )
        reasons = [because, *reasons][:MOST_REASONS]
    lived: dict[str, Any] = {}
    if tie.interaction_count:
        lived = {"interaction_count": tie.interaction_count, "last_interaction_at": tie.last_interaction_at}
    return TieValue(
        source_id=ids.of("characters", tie.source), target_id=ids.of("characters", tie.target),
        strength=tie.strength, trust=tie.trust, familiarity=tie.familiarity, labels=tie.labels or None,
        resting_strength=tie.resting_strength, resting_trust=tie.resting_trust, reasons=reasons or None,
        habits=tie.habits or None, **lived,
    )  # fmt: skip


async def read(snapshot: Snapshot) -> list[Item]:
    """The ties by the keys of the two, drifted to now."""
    keys = snapshot.keys
    rows = await snapshot.connection.fetch(
        f"SELECT {COLUMNS} FROM ties t WHERE t.world_id = $1",  # noqa: S608
        snapshot.world_id,
    )
    items = []
    for row in rows:
        if not (keys.has("characters", row["source_id"]) and keys.has("characters", row["target_id"])):
            continue
        tie = state_of(row).now(snapshot.now)
        both = {
            "from": keys.of("characters", row["source_id"]), "to": keys.of("characters", row["target_id"])
        }  # fmt: skip
        entry = TieEntry(
            **both, strength=tie.strength, trust=tie.trust, familiarity=tie.familiarity,
            # Labels that follow the values follow those of now.
            labels=list(rules.labelled(tie.labels, tie.strength, tie.trust, tie.familiarity)),
            resting_strength=None if tie.resting_strength == tie.strength else tie.resting_strength,
            resting_trust=None if tie.resting_trust == tie.trust else tie.resting_trust,
            interaction_count=tie.interaction_count, last_interaction_at=tie.last_interaction_at,
            # The events that reasons point to stay behind with the log.
            reasons=[ReasonEntry(at=r.at, why=r.why, strength=r.strength, trust=r.trust) for r in tie.reasons],
            habits={kind: HabitValue(at=h.at, heat=h.heat) for kind, h in sorted(tie.habits.items())},
        )  # fmt: skip
        items.append(Item("", entry, entry.source if len(rows) > MOST_IN_ONE_FILE else ""))
    return sorted(items, key=lambda item: (item.value.source, item.value.target))


PACK: Final = (
    PackSection(
        "ties", ("ties.yaml", "ties/*.yaml"), Form.LISTED, TieEntry, commands, read, top="ties"
    ),
)  # fmt: skip
