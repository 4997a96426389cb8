"""How treaties stand in a pack: `treaties.yaml`, or several files in `treaties/`.

Dates are world ms and may lie before the world begins: what has become of a treaty since it started follows from them,
so that history can be loaded and then played forward. Drafts and breaches stay behind.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, Keys, PackModel, PackSection, Ref, Snapshot
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.clauses import (
    CLAUSE,
    MOST_CLAUSES,
    MOST_DAYS,
    MOST_PAID,
    AnyClause,
    Currency,
    Good,
    Text,
    check,
)
from fablewright.systems.diplomacy.treaty_commands import (
    LONGEST_DAYS,
    MOST_PARTIES,
    ImportTreaty,
    Name,
    OnBreach,
    Outcome,
    TreatyKind,
    Why,
    Words,
    WorldMs,
)

FactionKey = Annotated[str, Ref("factions")]
OtherKey = Annotated[str, Ref("factions", or_id=True)]
RegionKey = Annotated[str, Ref("regions", or_id=True)]
CharacterKey = Annotated[str, Ref("characters", or_id=True)]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS)]


class _Entry(PackModel):
    """A clause, with keys in the places of ids."""

    type: str

    def terms(self, ids: Ids) -> AnyClause:
        """The clause. Refuses what the clause itself does."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        for name in given.keys() & NAMES:
            given[f"{name}_id"] = ids.of(_section(name), given.pop(name))
        return CLAUSE.validate_python(given)


class PayEntry(_Entry):
    """One faction pays another, once or every so many days."""

    type: Literal["pay"]
    payer: FactionKey = Field(alias="from")
    payee: FactionKey = Field(alias="to")
    amount: int = Field(ge=1, le=MOST_PAID)
    currency: Currency = "points"
    every_days: Days | None = Field(None, description="Left out: once, at the start.")


class KeepOutEntry(_Entry):
    """A faction keeps its people out of a region."""

    type: Literal["keep_out"]
    faction: FactionKey
    region: RegionKey
    served: FactionKey | None = Field(None, alias="for", description="Left out: all parties.")


class NoTradeEntry(_Entry):
    """A faction does not trade with another."""

    type: Literal["no_trade"]
    faction: FactionKey
    shunned: OtherKey = Field(alias="with")
    good: Good | None = Field(None, description="Left out: anything.")


class DefendEntry(_Entry):
    """A faction comes to the aid of another when that is attacked."""

    type: Literal["defend"]
    protector: FactionKey
    protected: FactionKey


class HandOverEntry(_Entry):
    """A faction hands a character over."""

    type: Literal["hand_over"]
    faction: FactionKey
    receiver: FactionKey = Field(alias="to")
    character: CharacterKey
    region: RegionKey | None = None
    within_days: Days = 30


class ShareInformationEntry(_Entry):
    """A faction tells another what it learns."""

    type: Literal["share_information"]
    faction: FactionKey
    receiver: FactionKey = Field(alias="to")


class OpenBordersEntry(_Entry):
    """A faction lets the people of another pass through its regions."""

    type: Literal["open_borders"]
    faction: FactionKey
    receiver: FactionKey = Field(alias="to")


class NoAttackEntry(_Entry):
    """Neither of two factions attacks the other."""

    type: Literal["no_attack"]
    a: FactionKey
    b: FactionKey


class SupportInWarEntry(_Entry):
    """A faction joins the wars of its ally."""

    type: Literal["support_in_war"]
    faction: FactionKey
    ally: FactionKey
    against: OtherKey | None = Field(None, description="Left out: whomever.")


class CustomEntry(_Entry):
    """Anything else, in words."""

    type: Literal["custom"]
    text: Text
    faction: FactionKey | None = Field(None, description="Whom it binds; left out, all parties.")


AnyEntry = (
    PayEntry
    | KeepOutEntry
    | NoTradeEntry
    | DefendEntry
    | HandOverEntry
    | ShareInformationEntry
    | OpenBordersEntry
    | NoAttackEntry
    | SupportInWarEntry
    | CustomEntry
)
ENTRIES: Final[dict[str, type[_Entry]]] = {
    get_args(entry.model_fields["type"].annotation)[0]: entry for entry in get_args(AnyEntry)
}
NAMES: Final = frozenset((
    "from", "to", "faction", "region", "for", "with", "protector", "protected", "character", "a", "b", "ally",
    "against",
))  # fmt: skip
"""Under which names clauses of packs name somebody; with `_id` behind it, it is that of the clause."""


def _section(name: str) -> str:
    return {"region": "regions", "character": "characters"}.get(name, "factions")


class TreatyEntry(PackModel):
    """A treaty that all its parties have signed. Its state follows from its dates."""

    id: UUID | None = Field(None, description="Its id in the world; left out, it follows from the key.")
    name: Name
    kind: TreatyKind = "custom"
    text: Words = ""
    parties: list[FactionKey] = Field(min_length=2, max_length=MOST_PARTIES)
    clauses: list[Annotated[AnyEntry, Field(discriminator="type")]] = Field([], max_length=MOST_CLAUSES)
    starts_at: WorldMs | None = Field(None, description="World ms; left out: when the world begins.")
    ends_at: WorldMs | None = Field(None, description="World ms; left out: after its duration.")
    duration_days: int | None = Field(None, ge=1, le=LONGEST_DAYS, description="Left out: for good.")
    closed_at: WorldMs | None = Field(None, description="When it ended, if not by its time; world ms.")
    outcome: Outcome = Field("terminated", description="How it ended at `closed_at`.")
    reason: Why = ""
    suspended: bool = False
    renews: bool = False
    notice_days: int = Field(30, ge=0, le=LONGEST_DAYS)
    grace_days: int = Field(10, ge=0, le=LONGEST_DAYS)
    secret: bool = False
    on_breach: OnBreach = "note"


SAME: Final = (
    "name", "kind", "text", "starts_at", "ends_at", "duration_days", "closed_at", "outcome", "reason", "suspended",
    "renews", "notice_days", "grace_days", "secret", "on_breach",
)  # fmt: skip
"""Fields that the command has, too."""


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """One command for each treaty."""
    made: list[Command] = []
    for item in items:
        entry: TreatyEntry = item.value
        _check_dates(item, entry, ids)
        if len(set(entry.parties)) < len(entry.parties):
            ids.mistake(item, "parties", "a faction stands there twice: name each once")
            continue
        parties = [ids.of("factions", key) for key in entry.parties]
        clauses: list[AnyClause] = []
        for place, clause in enumerate(entry.clauses, 1):
            try:
                clauses.append(clause.terms(ids))
            except Refused as refused:
                ids.mistake(item, f"clauses.{place}", refused.detail)
        try:
            check(clauses, parties)
        except Refused as refused:
            ids.mistake(item, "clauses", refused.detail)
        if not ids.mistakes:
            fields: dict[str, Any] = {name: getattr(entry, name) for name in SAME}
            made.append(
                ImportTreaty(id=ids.of("treaties", item.key), parties=parties, clauses=clauses, **fields)
            )
    return [] if ids.mistakes else made


def _check_dates(item: Item, entry: TreatyEntry, ids: Ids) -> None:
    start = ids.now if entry.starts_at is None else entry.starts_at
    if entry.ends_at is not None and entry.ends_at <= start:
        ids.mistake(item, "ends_at", "it ends before it starts: change one of the two")
    if entry.closed_at is None:
        return
    if entry.starts_at is None or entry.closed_at < entry.starts_at:
        ids.mistake(item, "closed_at", "it is over before it starts: say in `starts_at` when it started")
    if entry.closed_at > ids.now:
        ids.mistake(item, "closed_at", f"the world begins at {ids.now}, so that is to come: leave it out")


# -- writing -------------------------------------------------------------------------------------------------

TREATIES: Final = """
SELECT t.id, t.name, t.kind, t.text, t.state, t.secret, t.starts_at, t.ends_at, t.duration_ms, t.closed_at, t.reason,
       t.renews, t.notice_ms, t.grace_ms, t.on_breach,
       array(SELECT p.faction_id FROM treaty_parties p WHERE p.world_id = t.world_id AND p.treaty_id = t.id
             AND p.withdrawn_at IS NULL ORDER BY p.faction_id) AS parties,
       array(SELECT c.terms::text FROM treaty_clauses c WHERE c.world_id = t.world_id AND c.treaty_id = t.id
             ORDER BY c.number) AS clauses
FROM treaties t
WHERE t.world_id = $1 AND t.agreed_at IS NOT NULL ORDER BY t.id
"""


async def read(snapshot: Snapshot) -> list[Item]:
    """The treaties that all have signed, by key. Those of a party that is no more, or that never began, stay behind."""
    keys = snapshot.keys
    rows = [
        row for row in await snapshot.connection.fetch(TREATIES, snapshot.world_id)
        if len(row["parties"]) > 1 and all(keys.has("factions", p) for p in row["parties"])
        and (row["closed_at"] is None or (row["starts_at"] is not None and row["starts_at"] <= row["closed_at"]))
    ]  # fmt: skip
    keys.name("treaties", [(row["id"], row["name"]) for row in rows])
    return sorted((_item(row, keys) for row in rows), key=lambda item: item.key)


def _item(row: Any, keys: Keys) -> Item:
    ended = row["closed_at"] is not None
    span, parties = row["duration_ms"], set(row["parties"])
    clauses = [CLAUSE.validate_json(terms) for terms in row["clauses"]]
    value = TreatyEntry(
        id=keys.id_to_write("treaties", row["id"]), name=row["name"], kind=row["kind"], text=row["text"],
        parties=sorted(keys.of("factions", p) for p in parties),
        # A clause whose party has left binds nobody any more.
        clauses=[_clause(clause, keys) for clause in clauses if clause.factions() <= parties],
        starts_at=row["starts_at"], ends_at=row["ends_at"],
        duration_days=span // DAY if span is not None and span % DAY == 0 and span <= LONGEST_DAYS * DAY else None,
        closed_at=row["closed_at"],
        outcome=row["state"] if ended and row["state"] in get_args(Outcome) else "terminated",
        reason=row["reason"], suspended=row["state"] == "suspended", renews=row["renews"],
        notice_days=row["notice_ms"] // DAY, grace_days=row["grace_ms"] // DAY, secret=row["secret"],
        on_breach=row["on_breach"],
    )  # fmt: skip
    return Item(keys.of("treaties", row["id"]), value)


def _clause(clause: Any, keys: Keys) -> Any:
    given = {k: v for k, v in orjson.loads(clause.model_dump_json()).items() if v is not None}
    for name in NAMES:
        if (id_ := given.pop(f"{name}_id", None)) is not None:
            given[name] = keys.of(_section(name), UUID(id_))
    return ENTRIES[clause.type].model_validate(given)


PACK: Final = (
    PackSection(
        "treaties",
        ("treaties.yaml", "treaties/*.yaml"),
        Form.KEYED,
        TreatyEntry,
        commands,
        read,
        top="treaties",
    ),
)
