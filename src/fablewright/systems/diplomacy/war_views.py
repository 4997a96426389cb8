"""What is read of incidents, ultimatums, sanctions, wars and coalitions: queries and response models."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.messages import View
from fablewright.systems.diplomacy import battle, ladder
from fablewright.systems.diplomacy.ladder import LADDER, Incident

INCIDENT: Final = (
    "id, kind, injured_id, accused_id, severity, evidence, description, region_id, event_id, follows_id, state, "
    "rung, answer, paid, tried, answer_by, by_id, at, changed_at, closed_at"
)
SANCTION: Final = (
    "id, target_id, kind, good, rate, reason, lift_when::text AS lift_when, incident_id, coalition_id, hold_id, "
    "frozen, until_at, by_id, at, lifted_at, lift_reason"
)
WAR: Final = (
    "id, name, attacker_id, defender_id, cause, cause_id, reason, legitimacy, "
    "legitimacy_parts::text AS legitimacy_parts, battle_score, treaty_id, outcome, final_score, "
    "final_parts::text AS final_parts, by_id, at, ended_at"
)


class PartView(View):
    """One of the numbers that another is made of."""

    what: str
    amount: float


# -- incidents -------------------------------------------------------------------------------------------------


class IncidentView(View):
    """Something between two factions that one of them takes ill."""

    id: UUID
    kind: str
    injured_id: UUID
    accused_id: UUID
    severity: float = Field(description="0 to 1.")
    evidence: float = Field(description="0 (a suspicion) to 1 (beyond doubt).")
    description: str
    region_id: UUID | None
    event_id: UUID | None = Field(description="The event that shows it.")
    follows_id: UUID | None = Field(description="The incident that this one answers.")
    state: str = Field(description="`open`, `answered`, `settled` or `faded`.")
    rung: str = Field(description=f"Where on the ladder it is: {', '.join(LADDER)}.")
    answer: str | None
    paid: int
    answer_by: int = Field(description="World time (ms) until which the accused may be silent.")
    by_id: UUID | None
    at: int
    closed_at: int | None
    legal_answers: list[str] = Field(description="How the accused may answer now.")
    reparation_due: int = Field(description="What settles it by itself.")
    casus_belli: bool = Field(description="Whether it is reason enough for war.")


def incident_of(row: Any) -> Incident:
    """An incident as rules see it, from a row of `INCIDENT`."""
    return Incident(
        row["kind"], row["severity"], row["evidence"], row["state"], row["rung"], row["answer"], row["paid"],
        row["answer_by"],
    )  # fmt: skip


def incident_view(row: Any, now: int) -> IncidentView:
    """An incident as it is answered."""
    state = incident_of(row)
    fields = {name: row[name] for name in IncidentView.model_fields if name in row and name != "rung"}
    return IncidentView.model_construct(
        **fields, rung=LADDER[row["rung"]], legal_answers=list(ladder.legal_answers(state)),
        reparation_due=ladder.reparation_due(state.kind, state.severity, state.rung),
        casus_belli=ladder.casus_belli(state),
    )  # fmt: skip


async def incident(connection: Any, world_id: UUID, incident_id: UUID, now: int) -> IncidentView | None:
    """One incident; None if it is unknown."""
    row = await connection.fetchrow(
        f"SELECT {INCIDENT} FROM incidents WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id, incident_id,
    )  # fmt: skip
    return None if row is None else incident_view(row, now)


async def list_incidents(
    connection: Any, world_id: UUID, now: int, *, faction_id: UUID | None, state: str | None,
    after: UUID | None, limit: int,
) -> list[IncidentView]:  # fmt: skip
    """Up to `limit` incidents, newest first, before one."""
    rows = await connection.fetch(
        f"SELECT {INCIDENT} FROM incidents WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR injured_id = $2 OR accused_id = $2) AND ($3::text IS NULL OR state = $3) "
        "AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        world_id, faction_id, state, after, limit,
    )  # fmt: skip
    return [incident_view(row, now) for row in rows]


# -- wars ------------------------------------------------------------------------------------------------------


class PartyView(View):
    """A faction in a war."""

    faction_id: UUID
    side: str
    state: str = Field(description="`called`, `fighting`, `refused` or `out`.")
    called_by_id: UUID | None
    regions: int = Field(description="How many it held when it came into the war.")
    losses: float = Field(description="Troops lost in battles so far.")
    exhaustion: float = Field(description="War exhaustion now, 0 to 100.")
    at: int
    left_at: int | None


class BattleView(View):
    """A battle that was fought."""

    id: UUID
    attacker_id: UUID
    defender_id: UUID
    region_id: UUID | None
    attacker_troops: float
    defender_troops: float
    attacker_losses: float
    defender_losses: float
    winner: str
    rounds: int
    score: float = Field(description="What it adds to the war score, from the view of the war's attacker.")
    parts: list[PartView]
    by_id: UUID | None
    at: int


class OccupationView(View):
    """A region taken in a war."""

    region_id: UUID
    holder_id: UUID
    occupier_id: UUID
    at: int
    until_at: int | None


class WarView(View):
    """A war, and how it stands."""

    id: UUID
    name: str
    attacker_id: UUID
    defender_id: UUID
    cause: str
    cause_id: UUID | None
    reason: str
    legitimacy: float = Field(description="How just it seemed when it was declared, 0 to 1.")
    legitimacy_parts: list[PartView]
    score: float = Field(description="How it stands for the attacker, or ended, -100 to 100.")
    score_parts: list[PartView]
    parties: list[PartyView]
    outcome: str | None
    treaty_id: UUID | None
    by_id: UUID | None
    at: int
    ended_at: int | None


class WarDetail(WarView):
    """A war with its battles and what was taken."""

    battles: list[BattleView]
    occupations: list[OccupationView]


PARTIES: Final = """
SELECT p.war_id, p.faction_id, p.side, p.state, p.called_by_id, p.regions, p.losses, p.at, p.left_at,
       l.exhaustion, l.exhaustion_at, coalesce(l.wars, 0) AS wars
FROM war_parties p LEFT JOIN warlike l ON l.world_id = p.world_id AND l.faction_id = p.faction_id
WHERE p.world_id = $1 AND p.war_id = ANY($2::uuid[]) ORDER BY p.war_id, p.side, p.at, p.faction_id
"""
OCCUPATIONS: Final = """
SELECT o.war_id, o.region_id, o.holder_id, o.occupier_id, o.at, o.until_at FROM occupations o
WHERE o.world_id = $1 AND o.war_id = ANY($2::uuid[]) ORDER BY o.war_id, o.id
"""
BATTLES: Final = """
SELECT id, attacker_id, defender_id, region_id, attacker_troops, defender_troops, attacker_losses, defender_losses,
       winner, rounds, score, parts::text AS parts, by_id, at
FROM war_battles WHERE world_id = $1 AND war_id = $2 ORDER BY id
"""


def exhaustion_of(row: Any, now: int) -> float:
    """War exhaustion (0..100) at `now` of a row with `exhaustion`, `exhaustion_at`, `wars`."""
    if row["exhaustion"] is None:
        return 0.0
    return battle.exhaustion_now(row["exhaustion"], row["exhaustion_at"], now, at_war=row["wars"] > 0)


def score_of(war: Any, parties: Sequence[Any], occupations: Sequence[Any], now: int) -> battle.WarScore:
    """How a war stands for its attacker: from its row, parties and the occupations that stand."""
    sides = {p["faction_id"]: p["side"] for p in parties}
    held = {"attacker": 0, "defender": 0}
    for p in parties:
        if p["state"] in ("fighting", "out"):
            held[p["side"]] += p["regions"]
    standing = [o for o in occupations if o["until_at"] is None]
    taken = sum(sides.get(o["occupier_id"]) == "attacker" for o in standing)
    tired = {
        side: max(
            (exhaustion_of(p, now) for p in parties if (p["side"], p["state"]) == (side, "fighting")), default=0.0
        )
        for side in ("attacker", "defender")
    }  # fmt: skip
    return battle.war_score(
        war["battle_score"], taken, held["defender"], len(standing) - taken, held["attacker"], tired["attacker"],
        tired["defender"],
    )  # fmt: skip


def parts_view(parts: Sequence[battle.Part]) -> list[PartView]:
    """Parts as they are answered."""
    return [PartView.model_construct(what=part.what, amount=part.amount) for part in parts]


def _war_fields(war: Any, parties: Sequence[Any], occupations: Sequence[Any], now: int) -> dict[str, Any]:
    fields = dict(war)
    del fields["battle_score"]
    final, parts = fields.pop("final_score"), fields.pop("final_parts")
    if final is None:
        score = score_of(war, parties, occupations, now)
        final, told = score.value, parts_view(score.parts)
    else:
        told = [PartView(**part) for part in orjson.loads(parts)]
    fields["legitimacy_parts"] = [PartView(**part) for part in orjson.loads(war["legitimacy_parts"])]
    return fields | {
        "score": final, "score_parts": told,
        "parties": [
            PartyView.model_construct(
                **{n: p[n] for n in PartyView.model_fields if n != "exhaustion"}, exhaustion=exhaustion_of(p, now)
            )
            for p in parties
        ],
    }  # fmt: skip


async def war(connection: Any, world_id: UUID, war_id: UUID, now: int) -> WarDetail | None:
    """One war with its battles; None if it is unknown."""
    row = await connection.fetchrow(
        f"SELECT {WAR} FROM wars WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id,
        war_id,
    )
    if row is None:
        return None
    parties = await connection.fetch(PARTIES, world_id, [war_id])
    occupations = await connection.fetch(OCCUPATIONS, world_id, [war_id])
    battles = await connection.fetch(BATTLES, world_id, war_id)
    return WarDetail.model_construct(
        **_war_fields(row, parties, occupations, now),
        battles=[
            BattleView.model_construct(**(dict(b) | {"parts": [PartView(**p) for p in orjson.loads(b["parts"])]}))
            for b in battles
        ],
        occupations=[
            OccupationView.model_construct(**{n: o[n] for n in OccupationView.model_fields}) for o in occupations
        ],
    )  # fmt: skip


async def list_wars(
    connection: Any, world_id: UUID, now: int, *, faction_id: UUID | None, over: bool | None,
    after: UUID | None, limit: int,
) -> list[WarView]:  # fmt: skip
    """Up to `limit` wars, newest first, before one; of one faction, and only those that are over (or not)."""
    rows = await connection.fetch(
        f"SELECT {WAR} FROM wars w WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR EXISTS (SELECT 1 FROM war_parties p WHERE p.world_id = $1 AND p.war_id = w.id "
        "AND p.faction_id = $2)) AND ($3::bool IS NULL OR (ended_at IS NOT NULL) = $3) "
        "AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        world_id, faction_id, over, after, limit,
    )  # fmt: skip
    ids = [row["id"] for row in rows]
    parties = await connection.fetch(PARTIES, world_id, ids)
    occupations = await connection.fetch(OCCUPATIONS, world_id, ids)
    return [
        WarView.model_construct(
            **_war_fields(
                row, [p for p in parties if p["war_id"] == row["id"]],
                [o for o in occupations if o["war_id"] == row["id"]], now,
            )
        )
        for row in rows
    ]  # fmt: skip


# -- sanctions -------------------------------------------------------------------------------------------------


class SanctionMemberView(View):
    """A faction that takes part in a sanction."""

    faction_id: UUID
    joined_at: int
    left_at: int | None


class BreachView(View):
    """That a member did what its own sanction forbids."""

    faction_id: UUID
    event_id: UUID = Field(description="The evidence.")
    words: str
    at: int


class SanctionView(View):
    """What a bloc does to a faction short of war."""

    id: UUID
    target_id: UUID
    kind: str
    good: str | None
    rate: float
    reason: str
    lift_when: list[dict[str, Any]] = Field(description="When all of these hold, it ends by itself.")
    incident_id: UUID | None
    coalition_id: UUID | None = Field(description="The coalition whose members take part, if it is one's.")
    frozen: int = Field(description="How much of the treasury a freeze holds.")
    until_at: int | None
    by_id: UUID | None
    at: int
    lifted_at: int | None
    lift_reason: str | None
    members: list[SanctionMemberView]
    breaches: list[BreachView]


MEMBERS: Final = """
SELECT sanction_id, faction_id, joined_at, left_at FROM sanction_members
WHERE world_id = $1 AND sanction_id = ANY($2::uuid[]) ORDER BY sanction_id, joined_at, faction_id
"""
BREACHES: Final = """
SELECT sanction_id, faction_id, event_id, words, at FROM sanction_breaches
WHERE world_id = $1 AND sanction_id = ANY($2::uuid[]) ORDER BY sanction_id, id
"""


async def _sanctions(connection: Any, world_id: UUID, rows: Sequence[Any]) -> list[SanctionView]:
    ids = [row["id"] for row in rows]
    members = await connection.fetch(MEMBERS, world_id, ids)
    breaches = await connection.fetch(BREACHES, world_id, ids)
    return [
        SanctionView.model_construct(
            **{n: row[n] for n in SanctionView.model_fields if n in row and n != "lift_when"},
            lift_when=orjson.loads(row["lift_when"]),
            members=[
                SanctionMemberView.model_construct(**{n: m[n] for n in SanctionMemberView.model_fields})
                for m in members if m["sanction_id"] == row["id"]
            ],
            breaches=[
                BreachView.model_construct(**{n: b[n] for n in BreachView.model_fields})
                for b in breaches if b["sanction_id"] == row["id"]
            ],
        )
        for row in rows
    ]  # fmt: skip


async def sanction(connection: Any, world_id: UUID, sanction_id: UUID) -> SanctionView | None:
    """One sanction; None if it is unknown."""
    rows = await connection.fetch(
        f"SELECT {SANCTION} FROM sanctions WHERE world_id = $1 AND id = $2",  # noqa: S608
        world_id, sanction_id,
    )  # fmt: skip
    return (await _sanctions(connection, world_id, rows))[0] if rows else None


async def list_sanctions(
    connection: Any,
    world_id: UUID,
    *,
    faction_id: UUID | None,
    lifted: bool | None,
    after: UUID | None,
    limit: int,
) -> list[SanctionView]:
    """Up to `limit` sanctions, newest first, before one; of or by a faction, and only those lifted (or not)."""
    rows = await connection.fetch(
        f"SELECT {SANCTION} FROM sanctions s WHERE world_id = $1 "  # noqa: S608
        "AND ($2::uuid IS NULL OR target_id = $2 OR EXISTS (SELECT 1 FROM sanction_members m WHERE m.world_id = $1 "
        "AND m.sanction_id = s.id AND m.faction_id = $2)) AND ($3::bool IS NULL OR (lifted_at IS NOT NULL) = $3) "
        "AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        world_id, faction_id, lifted, after, limit,
    )  # fmt: skip
    return await _sanctions(connection, world_id, rows)
