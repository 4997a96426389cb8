"""How relations between factions stand in a pack: `relations.yaml`, or several files in `relations/`."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.diplomacy import service
from fablewright.systems.diplomacy.commands import (
    Amount,
    HalfLife,
    OpinionFields,
    OpinionKey,
    RelationValue,
    Tension,
    Trust,
    Why,
    in_commands,
)
from fablewright.systems.diplomacy.relations import STILL, Book
from fablewright.systems.diplomacy.rules import (
    MOST_MODIFIERS,
    OPINION_HALF_LIFE_DAYS,
    TRUST_OF_STRANGERS,
    Status,
)

FactionKey = Annotated[str, Ref("factions")]


class OpinionEntry(PackModel):
    """A named reason why the first faction thinks well or badly of the second."""

    key: OpinionKey
    amount: Amount
    reason: Why
    half_life_days: HalfLife | None = Field(OPINION_HALF_LIFE_DAYS, description="World days; null for never.")
    cap: float = Field(100.0, gt=0.0, le=100.0)
    secret: bool = False


Opinions = Annotated[list[OpinionEntry], Field(max_length=MOST_MODIFIERS)]


class RelationEntry(PackModel):
    """What stands between two factions when the world begins."""

    first: FactionKey = Field(alias="from")
    second: FactionKey = Field(alias="to")
    status: Status = "neutral"
    tension: Tension = 0.0
    truce_days: float | None = Field(
        None, gt=0.0, le=1_000_000.0, description="For how many world days yet neither may go to war."
    )
    trust: Trust | None = Field(None, description="How far the first trusts the second.")
    trust_back: Trust | None = Field(None, description="How far the second trusts the first.")
    opinions: Opinions = Field([], description="What the first thinks of the second.")
    opinions_back: Opinions = Field([], description="What the second thinks of the first.")
    because: Why | None = Field(None, description="Why it is so, for who asks.")


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """As few commands as hold all relations."""
    seen: dict[frozenset[str], str] = {}
    for item in items:
        pair = frozenset((item.value.first, item.value.second))
        if len(pair) == 1:
            ids.mistake(item, "to", f"{item.value.first!r} has a relation with itself: name another faction")
        elif pair in seen:
            ids.mistake(item, "to", f"relation {seen[pair]} is between these two already: keep one")
        if item.value.status == "war" and item.value.truce_days is not None:
            ids.mistake(item, "truce_days", "there is no truce in a war: leave it out")
        seen.setdefault(pair, item.key)
    return [] if ids.mistakes else list(in_commands([_value(item.value, ids) for item in items]))


def _value(entry: RelationEntry, ids: Ids) -> RelationValue:
    until = None if entry.truce_days is None else ids.now + max(1, round(entry.truce_days * DAY))
    more: dict[str, Any] = {} if entry.because is None else {"reason": entry.because}
    return RelationValue(
        a_id=ids.of("factions", entry.first), b_id=ids.of("factions", entry.second), status=entry.status,
        tension=entry.tension, truce_until=until, trust=entry.trust, trust_back=entry.trust_back,
        opinions=[OpinionFields(**o.model_dump()) for o in entry.opinions],
        opinions_back=[OpinionFields(**o.model_dump()) for o in entry.opinions_back], **more,
    )  # fmt: skip


async def read(snapshot: Snapshot) -> list[Item]:
    """The relations by the keys of the two, as they are now."""
    connection, world_id, now = snapshot.connection, snapshot.world_id, snapshot.now
    rows = await connection.fetch("SELECT low_id, high_id FROM relations WHERE world_id = $1", world_id)
    known = [
        (row["low_id"], row["high_id"]) for row in rows
        if snapshot.keys.has("factions", row["low_id"]) and snapshot.keys.has("factions", row["high_id"])
    ]  # fmt: skip
    book = await service.peek(connection, world_id, now, known)
    items = [Item("", _entry(book, pair, snapshot)) for pair in known]
    return sorted(items, key=lambda item: (item.value.first, item.value.second))


def _entry(book: Book, pair: tuple[Any, Any], snapshot: Snapshot) -> RelationEntry:
    first, second = sorted(pair, key=lambda faction_id: snapshot.keys.of("factions", faction_id))
    relation, now = book.relation(first, second), snapshot.now
    days = None
    if relation.truce_until is not None and relation.truce_holds(now):
        days = (relation.truce_until - now) / DAY
    names = {"from": snapshot.keys.of("factions", first), "to": snapshot.keys.of("factions", second)}
    return RelationEntry(
        **names, status=relation.status, tension=_told(book.tension(first, second), 0.0), truce_days=days,
        trust=_told(book.trusted(first, second), TRUST_OF_STRANGERS),
        trust_back=_told(book.trusted(second, first), TRUST_OF_STRANGERS),
        opinions=_opinions(book, first, second), opinions_back=_opinions(book, second, first),
    )  # fmt: skip


def _told(value: float, still: float) -> float:
    """A value, or what it drifts to if it has come so near that the difference is none."""
    return still if abs(value - still) < STILL else value


def _opinions(book: Book, holder: Any, about: Any) -> list[OpinionEntry]:
    """The reasons for an opinion, without the events they come from, which stay behind with the log."""
    return [
        OpinionEntry(
            key=m.key, amount=m.now(book.now), reason=m.reason, half_life_days=m.half_life_days,
            cap=max(m.cap, abs(m.now(book.now))), secret=m.secret,
        )
        for m in sorted(book.feelings[holder, about].modifiers.values(), key=lambda m: m.key)
        if abs(m.now(book.now)) >= STILL
    ]  # fmt: skip


PACK: Final = (
    PackSection(
        "relations", ("relations.yaml", "relations/*.yaml"), Form.LISTED, RelationEntry, commands, read,
        top="relations",
    ),
)  # fmt: skip
