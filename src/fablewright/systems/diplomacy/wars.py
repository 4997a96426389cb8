"""What the commands about wars do; a noun of its own beside relations.

Locks, in this order: memberships, regions, factions, relations, wars with their parties, what war made of factions,
markets.
What a war is worth in numbers is decided by `battle`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY
from fablewright.core.system import Handler, TimerKind
from fablewright.core.transaction import EventRecord, Timer, Transaction
from fablewright.systems.diplomacy import battle, war_views
from fablewright.systems.diplomacy.campaigns import json_parts, locked, party_of, told_parts, view, weary
from fablewright.systems.diplomacy.causes import bound_to_come, legitimacy, promised
from fablewright.systems.diplomacy.relations import Book, ordered
from fablewright.systems.diplomacy.service import peek as peek_relations
from fablewright.systems.diplomacy.service import relations_book, relations_of, write
from fablewright.systems.diplomacy.war_commands import (
    AnswerCall,
    CallToArms,
    DeclareWar,
    MakePeace,
)
from fablewright.systems.diplomacy.war_events import (
    AllyCalled,
    CallAnswered,
    PeaceMade,
    PromiseRecalled,
    WarDeclared,
    WarPartyLeft,
)
from fablewright.systems.diplomacy.war_views import WAR, WarDetail
from fablewright.systems.factions import service as factions
from fablewright.systems.markets import service as markets
from fablewright.systems.markets.rules import Restraint, Restriction
from fablewright.systems.regions import service as regions

CALL_LAPSES: Final = "diplomacy.call_lapses"
"""The kind of timer that takes silence for a no; its data names the war and the faction."""
CALL_WITHIN: Final = 30 * DAY
"""So long a faction that was called has for its answer (world ms)."""
MOST_JUDGES: Final = 40
"""So many of those who know the victim think about who attacked it."""
CAME: Final = (30.0, 0.2, 3.0, "came when we called")
STAYED_AWAY: Final = {
    True: (-30.0, -0.25, -5.0, "broke its word to come when we called"),
    False: (-10.0, -0.05, 0.0, "did not come when we called"),
}
"""What an answer does to the caller's opinion and trust, and to one's reputation; a no by whether one had promised."""
CLEAR: Final = 25.0
"""From this war score on a war that ends is won."""
SIDES: Final = {"attacker": "defender", "defender": "attacker"}

PEEK: Final = f"SELECT {WAR} FROM wars WHERE world_id = $1 AND id = $2"  # noqa: S608
ADD: Final = """
INSERT INTO wars (world_id, id, name, attacker_id, defender_id, cause, cause_id, reason, legitimacy,
                  legitimacy_parts, by_id, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12)
"""
ADD_PARTY: Final = """
INSERT INTO war_parties (world_id, war_id, faction_id, side, state, called_by_id, regions, at)
SELECT $1, $2, $3, $4, $5, $6, count(*), $7 FROM regions
WHERE world_id = $1 AND controller_id = $3 AND removed_at IS NULL
ON CONFLICT (world_id, war_id, faction_id) DO UPDATE SET
    side = excluded.side, state = excluded.state, called_by_id = excluded.called_by_id, at = excluded.at,
    left_at = NULL
"""
STANDING: Final = """
SELECT id, region_id, holder_id, occupier_id FROM occupations
WHERE world_id = $1 AND war_id = $2 AND until_at IS NULL ORDER BY region_id
"""
ALLIANCES: Final = """
SELECT count(*) FROM treaties t
WHERE t.world_id = $1 AND t.kind = 'alliance' AND t.state IN ('in_force', 'suspended')
  AND (SELECT count(*) FROM treaty_parties p WHERE p.world_id = $1 AND p.treaty_id = t.id
       AND p.faction_id = ANY($2::uuid[]) AND p.withdrawn_at IS NULL) = 2
"""
COMMON_WARS: Final = """
SELECT 1 FROM wars w
JOIN war_parties a ON a.world_id = $1 AND a.war_id = w.id AND a.faction_id = $2 AND a.state = 'fighting'
JOIN war_parties b ON b.world_id = $1 AND b.war_id = w.id AND b.faction_id = $3 AND b.state = 'fighting'
WHERE w.world_id = $1 AND w.ended_at IS NULL AND w.id <> $4 AND a.side <> b.side
"""


# -- declaring -----------------------------------------------------------------------------------------------


async def declare(tx: Transaction, command: DeclareWar) -> WarDetail:
    """Go to war."""
    if command.attacker_id == command.defender_id:
        raise battle.WAR_WITH_ONESELF(faction_id=str(command.attacker_id))
    await factions.may(tx, command.attacker_id, command.character_id, "declare_war")
    return await wage(
        tx, command.attacker_id, command.defender_id, command.cause, command.cause_id, reason=command.reason,
        name=command.name, by_id=command.character_id,
    )  # fmt: skip


async def wage(
    tx: Transaction, attacker_id: UUID, defender_id: UUID, cause: str, cause_id: UUID | None, *, reason: str = "",
    name: str = "", by_id: UUID | None = None, cause_event: EventRecord | None = None,
) -> WarDetail:  # fmt: skip
    """Let a war begin; for what leads to one by itself, too. The defender's allies are called.

    Refuses `already_at_war`, `cause_unfounded`, `status_move_illegal`, `truce_holds`, `faction_not_found`,
    `faction_dissolved`.
    """
    sides = await factions.require(tx, [attacker_id, defender_id])
    attacker, defender = sides[attacker_id], sides[defender_id]
    known = await relations_of(tx, tx.world_id, tx.now, defender_id)
    just, cause_id = await legitimacy(tx, attacker, defender, cause, cause_id)
    await factions.judge(
        tx, attacker_id, battle.reputation_of(just.value), f"declared war on {defender.name}"
    )
    others = _others(known, defender_id, attacker_id)
    book = await relations_book(
        tx,
        [
            (attacker_id, defender_id),
            *((attacker_id, o) for o in others),
            *((defender_id, o) for o in others),
        ],
    )
    if book.status(attacker_id, defender_id) == "war":
        raise battle.ALREADY_AT_WAR(attacker_id=str(attacker_id), defender_id=str(defender_id))
    said = reason or f"{cause.replace('_', ' ')}"
    book.move(attacker_id, defender_id, "war", f"{attacker.name} declared war: {said}"[:200])
    war_id = tx.new_id()
    await tx.execute(
        ADD, tx.world_id, war_id, name or f"War of {attacker.name} on {defender.name}", attacker_id, defender_id,
        cause, cause_id, reason, just.value, json_parts(just.parts), by_id, tx.now,
    )  # fmt: skip
    for faction_id, side in sorted(((attacker_id, "attacker"), (defender_id, "defender"))):
        await tx.execute(ADD_PARTY, tx.world_id, war_id, faction_id, side, "fighting", None, tx.now)
        frightens = battle.aggression(just.value) if side == "attacker" else 0.0
        await weary(tx, faction_id, wars=1, aggression=frightens)
    told = tx.emit(
        WarDeclared(
            war_id=war_id, name=name or f"War of {attacker.name} on {defender.name}", attacker_id=attacker_id,
            defender_id=defender_id, cause=cause, cause_id=cause_id, reason=reason, legitimacy=just.value,
            parts=told_parts(just.parts), by_id=by_id,
        ),
        cause=cause_event,
    )  # fmt: skip
    book.tense(attacker_id, defender_id, 40.0, "war")
    book.opine(defender_id, attacker_id, "declared_war", -40.0, "declared war on us", 720, told.id)
    for other in others:
        closeness = book.opinion(other, defender_id) / 100
        thinks = battle.judgement(just.value, closeness)
        if thinks:
            book.opine(
                other, attacker_id, "warmonger", thinks, f"fell on {defender.name}", 360, told.id, cap=60
            )
    allies = [
        o for o in others
        if book.status(defender_id, o) == "allied" and book.status(attacker_id, o) != "war"
    ]  # fmt: skip
    await write(tx, book)
    await blockade(tx, war_id, attacker_id, [defender_id], told)
    await _summon(tx, war_id, attacker_id, defender_id, cause, allies, told)
    return await view(tx, war_id)


async def _summon(
    tx: Transaction, war_id: UUID, attacker_id: UUID, defender_id: UUID, why: str, allies: Iterable[UUID],
    cause: EventRecord,
) -> None:  # fmt: skip
    """Call the defender's allies and who is known to be bound to come; remind those who promised it in secret."""
    bound = await bound_to_come(tx, attacker_id, defender_id, why)
    calls = dict.fromkeys((defender_id, ally) for ally in allies)
    calls |= dict.fromkeys(pair for pair, known in bound.items() if known)
    for caller, ally in calls:
        await call(tx, war_id, caller, ally, cause=cause)
    enemy = {attacker_id: defender_id, defender_id: attacker_id}
    for caller, ally in bound:
        if (caller, ally) not in calls:
            recalled = PromiseRecalled(
                war_id=war_id, faction_id=ally, by_id=None, ally_id=caller, against_id=enemy[caller]
            )
            tx.emit(recalled, cause=cause)


async def blockade(
    tx: Transaction, war_id: UUID, faction_id: UUID, enemies: Sequence[UUID], cause: EventRecord
) -> None:
    """Let nothing be traded between a faction and its enemies while it is in this war."""
    cuts = [
        Restriction(_source(war_id, faction_id, enemy), Restraint.BLOCKADE, None, faction_id, enemy, 1.0, "war")
        for enemy in enemies
    ]  # fmt: skip
    await markets.restrict(tx, cuts, cause=cause)


async def unblock(
    tx: Transaction, war_id: UUID, pairs: Iterable[tuple[UUID, UUID]], cause: EventRecord
) -> None:
    """Let these pairs of enemies trade again, as far as this war kept them from it."""
    for a, b in pairs:
        await markets.lift(tx, _source(war_id, a, b), cause=cause)


def _source(war_id: UUID, a: UUID, b: UUID) -> str:
    """By which name the blockade between two enemies stands in the markets."""
    low, high = ordered(a, b)
    return f"war:{war_id}:{low}:{high}"


def _others(known: Any, of: UUID, but: UUID) -> list[UUID]:
    """Those who know a faction, who think most of it (well or badly) first; at most `MOST_JUDGES`, by id."""
    ids = [low if high == of else high for low, high in known.pairs]
    ids = [i for i in ids if i != but]
    weight = {i: (known.status(i, of) != "allied", -abs(known.opinion(i, of)), i) for i in ids}
    return sorted(sorted(ids, key=lambda i: weight[i])[:MOST_JUDGES])


# -- allies --------------------------------------------------------------------------------------------------


async def call(
    tx: Transaction, war_id: UUID, caller_id: UUID, ally_id: UUID, *, by_id: UUID | None = None,
    cause: EventRecord | None = None,
) -> bool:  # fmt: skip
    """Ask a faction to fight on the caller's side; False if it was asked before in this war, or is in it.

    For treaties whose clauses call allies in, too. Refuses `war_not_found`, `war_over`, `not_at_war`.
    """
    war, parties = await locked(tx, war_id)
    caller = party_of(parties, caller_id)
    if ally_id in parties:
        return False
    await tx.execute(ADD_PARTY, tx.world_id, war_id, ally_id, caller["side"], "called", caller_id, tx.now)
    answer_by = tx.now + CALL_WITHIN
    tx.emit(
        AllyCalled(
            war_id=war_id, faction_id=caller_id, ally_id=ally_id, against_id=_leader(war, SIDES[caller["side"]]),
            side=caller["side"], by_id=by_id, answer_by=answer_by,
        ),
        cause=cause,
    )  # fmt: skip
    await tx.schedule(CALL_LAPSES, answer_by, {"war_id": str(war_id), "faction_id": str(ally_id)})
    return True


async def call_to_arms(tx: Transaction, command: CallToArms) -> WarDetail:
    """A party asks for help."""
    await factions.may(tx, command.faction_id, command.character_id, "declare_war")
    await factions.require(tx, [command.ally_id], lock=False)
    if not await call(tx, command.war_id, command.faction_id, command.ally_id, by_id=command.character_id):
        raise battle.ALREADY_AT_WAR("That faction was called already, or is in this war.")
    return await view(tx, command.war_id)


async def answer_call(tx: Transaction, command: AnswerCall) -> WarDetail:
    """Come, or refuse."""
    await factions.may(tx, command.faction_id, command.character_id, "declare_war")
    await _answer(tx, command.war_id, command.faction_id, command.come, command.character_id)
    return await view(tx, command.war_id)


async def lapse(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Who has not answered a call in time has refused it."""
    for timer in timers:
        war_id, faction_id = UUID(timer.data["war_id"]), UUID(timer.data["faction_id"])
        if await tx.fetchval(
            "SELECT state = 'called' FROM war_parties WHERE world_id = $1 AND war_id = $2 AND faction_id = $3",
            tx.world_id, war_id, faction_id,
        ):  # fmt: skip
            await _answer(tx, war_id, faction_id, False, None, silent=True)


async def _answer(
    tx: Transaction, war_id: UUID, faction_id: UUID, come: bool, by_id: UUID | None, *, silent: bool = False
) -> None:
    parties = await _parties(tx, war_id)
    called = parties.get(faction_id)
    caller_id = None if called is None else called["called_by_id"]
    side: Any = None if called is None else called["side"]
    enemies = [i for i, p in parties.items() if p["state"] == "fighting" and side == SIDES[p["side"]]]
    pairs = [(faction_id, i) for i in (*(enemies if come else ()), caller_id) if i is not None]
    book = await relations_book(tx, pairs)
    war, _ = await locked(tx, war_id)
    if called is None or called["state"] != "called":
        raise battle.NO_CALL(war_id=str(war_id), faction_id=str(faction_id))
    if come:
        await tx.execute(ADD_PARTY, tx.world_id, war_id, faction_id, side, "fighting", caller_id, tx.now)
        await weary(tx, faction_id, wars=1)
        leader = _leader(war, SIDES[side])
        for enemy in enemies:
            # With who does not lead, a truce or an alliance may stand: those two do not fight each other.
            if enemy == leader or book.may_move(faction_id, enemy, "war") is None:
                book.move(faction_id, enemy, "war", "came to the aid of an ally")
    else:
        await tx.execute(
            "UPDATE war_parties SET state = 'refused' WHERE world_id = $1 AND war_id = $2 AND faction_id = $3",
            tx.world_id, war_id, faction_id,
        )  # fmt: skip
    await tx.cancel_timers(CALL_LAPSES, war_id=str(war_id), faction_id=str(faction_id))
    enemy = _leader(war, SIDES[side])
    excused = not come and await _kept_away(tx, faction_id, enemy)
    known: bool | None = None
    if caller_id is not None:
        allied = book.status(caller_id, faction_id) == "allied"
        known = allied or await promised(tx, war, faction_id, caller_id, enemy)
    told = tx.emit(
        CallAnswered(
            war_id=war_id, faction_id=faction_id, caller_id=caller_id, against_id=enemy, come=come, side=side,
            by_id=by_id, silent=silent, bound=known is True, excused=excused,
        )
    )  # fmt: skip
    if caller_id is not None:
        await _remembered(tx, book, faction_id, caller_id, come, None if excused else known, told.id)
    await write(tx, book)
    if come:
        fought = [i for i in enemies if book.status(faction_id, i) == "war"]
        await blockade(tx, war_id, faction_id, fought, told)


async def _kept_away(tx: Transaction, faction_id: UUID, enemy_id: UUID) -> bool:
    """Whether a truce, or an alliance with the enemy, keeps a faction from coming."""
    known = await peek_relations(tx, tx.world_id, tx.now, [(faction_id, enemy_id)])
    return known.may_move(faction_id, enemy_id, "war") is not None


async def _remembered(
    tx: Transaction, book: Book, faction_id: UUID, caller_id: UUID, come: bool, known: bool | None, event_id: UUID
) -> None:  # fmt: skip
    """What an answer to a call does: nobody forgets who came, and all hear who broke a promise to.

    `known`: whether all know of the promise, None without one. A secret one that is broken the two know alone.
    """
    amount, trust, face, words = CAME if come else STAYED_AWAY[known is not None]
    secret = known is False and not come
    key = "secret_promise" if secret else "call_to_arms"
    book.opine(caller_id, faction_id, key, amount, words, 540, event_id, cap=60, secret=secret)
    book.trust(caller_id, faction_id, trust, words, secret=secret)
    if known:
        reason = "came to the aid of an ally" if come else "did not come to the aid of an ally"
        await factions.judge(tx, faction_id, face, reason)
    alone = not come and book.status(caller_id, faction_id) == "allied"
    if alone and not await alliances(tx, faction_id, caller_id):
        book.move(caller_id, faction_id, "neutral", words)


async def alliances(tx: Transaction, a: UUID, b: UUID) -> int:
    """How many alliances in force these two have signed."""
    found: int = await tx.fetchval(ALLIANCES, tx.world_id, [a, b])
    return found


# -- peace ---------------------------------------------------------------------------------------------------


async def make_peace(tx: Transaction, command: MakePeace) -> WarDetail:
    """The two leaders end their war."""
    war = await tx.fetchrow(PEEK, tx.world_id, command.war_id)
    if war is None:
        raise battle.WAR_NOT_FOUND(war_id=str(command.war_id))
    leaders = {war["attacker_id"], war["defender_id"]}
    if command.faction_id not in leaders:
        raise battle.NOT_A_LEADER(leaders=sorted(map(str, leaders)))
    (other,) = leaders - {command.faction_id}
    await factions.may_each(
        tx,
        [(command.faction_id, command.character_id, "make_peace"), (other, command.agreed_by, "make_peace")],
    )
    await end(
        tx, command.war_id, keep=command.keep, by_id=command.character_id, faction_id=command.faction_id
    )
    return await view(tx, command.war_id)


async def halt(tx: Transaction, war_id: UUID) -> tuple[dict[UUID, str], list[Any]]:
    """Let a war stand still until the commit: by faction that fights, its side; and the occupations that stand.

    Whoever fights, comes or takes a region locks its own faction and its enemies' before: what is read once all of
    them are locked stays true.
    """
    standing = await tx.fetch(STANDING, tx.world_id, war_id)
    await regions.regions(tx, [o["region_id"] for o in standing], lock=True)
    parties = await _parties(tx, war_id, also=[o["holder_id"] for o in standing])
    fighting = {i: p["side"] for i, p in parties.items() if p["state"] == "fighting"}
    return fighting, await tx.fetch(STANDING, tx.world_id, war_id)


async def _parties(tx: Transaction, war_id: UUID, *, also: Iterable[UUID] = ()) -> dict[UUID, Any]:
    """The parties of a war as they stay until the commit, by faction: all of them are locked, and these others."""
    seen: set[UUID] | None = None
    while True:
        parties = {p["faction_id"]: p for p in await tx.fetch(war_views.PARTIES, tx.world_id, [war_id])}
        if seen is not None and parties.keys() <= seen:
            return parties
        seen = parties.keys() | set(also)
        await factions.load(tx, seen)


async def give_back(tx: Transaction, occupations: Sequence[Any], cause: EventRecord) -> None:
    """Let those who held regions before they were taken hold them again, if they still stand.

    Who holds one by now without having taken it keeps it, and one that is off the map goes to nobody.
    """
    holders = await factions.load(tx, {o["holder_id"] for o in occupations})
    lands = await regions.regions(tx, [o["region_id"] for o in occupations], lock=True)
    for o in occupations:
        land = lands.get(o["region_id"])
        taken = land is not None and land.controller_id in (o["occupier_id"], None)
        if taken and holders[o["holder_id"]].dissolved_at is None:
            await regions.set_control(
                tx, o["region_id"], o["holder_id"], reason="given back in peace", cause=cause
            )


async def end(
    tx: Transaction, war_id: UUID, *, keep: Iterable[UUID] = (), treaty_id: UUID | None = None,
    signed: Iterable[UUID] = (), by_id: UUID | None = None, faction_id: UUID | None = None,
    cause: EventRecord | None = None,
) -> None:  # fmt: skip
    """End a war: a truce holds between the sides, regions that are not kept go back to who held them.

    For peace treaties, too: `signed` are the parties of one, among whom it has made a truce already; `treaty_id` names
    it if all may know of it. Refuses `war_not_found`, `war_over`, `not_of_the_enemy`.
    """
    fighting, standing = await halt(tx, war_id)
    kept, agreed = set(keep), set(signed)
    if unknown := kept - {o["region_id"] for o in standing}:
        raise battle.NOT_OF_THE_ENEMY(
            "Only regions occupied in this war can be kept.", region_ids=sorted(map(str, unknown))
        )
    pairs = [
        (a, b) for a in fighting for b in fighting if fighting[a] == "attacker" and fighting[b] == "defender"
    ]
    book = await relations_book(tx, pairs)
    war, parties = await locked(tx, war_id)
    final = war_views.score_of(
        war, list(parties.values()), [{**o, "until_at": None} for o in standing], tx.now
    )
    score = final.value
    outcome = "attacker" if score >= CLEAR else "defender" if score <= -CLEAR else "draw"
    for a, b in pairs:
        # How long a truce holds that a treaty has made is for the war to say.
        ends = book.status(a, b) == "war" or (book.status(a, b) == "truce" and {a, b} <= agreed)
        if ends and not await tx.fetchval(COMMON_WARS, tx.world_id, a, b, war_id):
            book.move(a, b, "truce", "peace was made", truce_days=battle.truce_days(score))
            book.tense(a, b, -15.0, "peace was made")
    truce = book.relation(war["attacker_id"], war["defender_id"])
    told = tx.emit(
        PeaceMade(
            war_id=war_id, faction_id=faction_id or war["attacker_id"], attacker_id=war["attacker_id"],
            defender_id=war["defender_id"], outcome=outcome, score=score, kept=sorted(kept), treaty_id=treaty_id,
            truce_until=truce.truce_until if truce.status == "truce" else None, by_id=by_id,
        ),
        cause=cause,
    )  # fmt: skip
    await write(tx, book)
    await _close(tx, war_id, outcome, final, treaty_id)
    await give_back(tx, [o for o in standing if o["region_id"] not in kept], told)
    for party in sorted(fighting):
        took = sum(o["occupier_id"] == party and o["region_id"] in kept for o in standing)
        await weary(tx, party, wars=-1, aggression=battle.AGGRESSION_OF_REGION * took)
    await unblock(tx, war_id, pairs, told)


async def _close(
    tx: Transaction, war_id: UUID, outcome: str, final: battle.WarScore, treaty_id: UUID | None
) -> None:
    await tx.execute(
        "UPDATE wars SET ended_at = $3, outcome = $4, final_score = $5, final_parts = $6::jsonb, treaty_id = $7 "
        "WHERE world_id = $1 AND id = $2",
        tx.world_id, war_id, tx.now, outcome, final.value, json_parts(final.parts), treaty_id,
    )  # fmt: skip
    await tx.execute(
        "UPDATE war_parties SET state = 'out', left_at = $3 WHERE world_id = $1 AND war_id = $2 AND state <> 'refused'",
        tx.world_id, war_id, tx.now,
    )  # fmt: skip
    await tx.execute(
        "UPDATE occupations SET until_at = $3 WHERE world_id = $1 AND war_id = $2 AND until_at IS NULL",
        tx.world_id, war_id, tx.now,
    )  # fmt: skip
    await tx.cancel_timers(CALL_LAPSES, war_id=str(war_id))


# -- helpers -------------------------------------------------------------------------------------------------


def _leader(war: Any, side: str) -> UUID:
    leader: UUID = war[f"{side}_id"]
    return leader


HANDLERS = (
    Handler(DeclareWar, one=declare),
    Handler(CallToArms, one=call_to_arms),
    Handler(AnswerCall, one=answer_call),
    Handler(MakePeace, one=make_peace),
)
EVENTS = (WarDeclared, AllyCalled, PromiseRecalled, CallAnswered, PeaceMade, WarPartyLeft)
KINDS = (TimerKind(CALL_LAPSES, lapse),)
