"""Incidents and coalitions are written into packs, read again, and go on as they would have."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.quarrel_commands import (
    CoalitionMemberValue,
    ImportCoalition,
    ImportIncident,
)
from fablewright.systems.diplomacy.war_commands import (
    AnswerIncident,
    DeclareWar,
    EscalateIncident,
    FormCoalition,
    JoinCoalition,
    ReportIncident,
    SettleIncident,
)
from fablewright.systems.factions.commands import DissolveFaction
from tests.support import Server
from tests.systems.test_coalitions import frightened
from tests.systems.test_incidents import advance, found, happened, relation, spying, two
from tests.systems.test_wars import region, sound, told
from tests.systems.test_wars_pack import exported, imported

STATE = {
    "incidents": "SELECT id, kind, injured_id, accused_id, severity, evidence, description, region_id, follows_id, "
    "state, rung, answer, paid, tried, answer_by, at, changed_at, closed_at FROM incidents WHERE world_id = $1 "
    "AND accused_id IN (SELECT id FROM factions WHERE world_id = $1 AND dissolved_at IS NULL) ORDER BY 1",
    "coalitions": "SELECT id, target_id, at FROM coalitions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY 1",
    "their members": "SELECT coalition_id, faction_id, fear, at FROM coalition_members "
    "WHERE world_id = $1 AND left_at IS NULL ORDER BY 1, 2",
    "timers": "SELECT kind, due_at, data ->> 'coalition_id' FROM timers "
    "WHERE world_id = $1 AND kind = 'diplomacy.coalition_review' ORDER BY 1, 2, 3",
}


async def equal(server: Server, one: UUID, two: UUID, *names: str) -> None:
    """Both worlds have the same quarrels of these kinds, and some of each."""
    for name in names:
        rows = [[tuple(row) for row in await server.fetch(STATE[name], world)] for world in (one, two)]
        assert rows[0] and rows[0] == rows[1], name


async def test_what_lies_between_two_still_does(server: Server, tmp_path: Path) -> None:
    owner, world_id, a, b = await two(server, treasury=900)
    gate = await region(server, owner, world_id, "Gate", a)
    gone = await found(server, owner, world_id, "Cedar")

    async def do(command: Any) -> Any:
        return await server.do(command, owner.actor, world_id)

    spied = await do(spying(a, b, region_id=gate, description="In our own hall."))
    await do(spying(a, gone))
    await do(DissolveFaction(faction_id=gone))
    insult = ReportIncident(kind="insult", injured_id=b, accused_id=a, severity=0.3, evidence=0.4)
    answers = ("apology", "denial", "retaliation")
    given = [(await do(insult)).id for _ in (*answers, "none")]
    for incident_id, said in zip(given, answers, strict=False):
        await do(AnswerIncident(incident_id=incident_id, answer=said))
    await do(SettleIncident(incident_id=given[0]))
    await advance(server, owner, world_id, 11 * DAY)
    await do(EscalateIncident(incident_id=spied.id))
    war = await do(DeclareWar(attacker_id=a, defender_id=b, cause="incident", cause_id=spied.id))
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    await equal(server, world_id, copy, "incidents")
    rows = await server.fetch("SELECT cause_id FROM wars WHERE world_id = $1 AND id = $2", copy, war.id)
    assert rows[0]["cause_id"] == spied.id
    assert "diplomacy.incident_occurred" not in await happened(server, copy), "nobody takes it ill again"
    assert await relation(server, world_id, a, b) == await relation(server, copy, a, b)
    await sound(server, copy)
    for world in (world_id, copy):  # and what nobody speaks of any more is forgotten at the same time
        await server.do(AnswerIncident(incident_id=given[3], answer="apology"), owner.actor, world)
        await advance(server, owner, world, 400 * DAY)
    assert len(await told(server, copy, "diplomacy.incident_resolved")) > 3
    await equal(server, world_id, copy, "incidents")
    await sound(server, copy)


async def test_who_stands_together_still_does(server: Server, tmp_path: Path) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await advance(server, owner, world_id, 9 * DAY)
    await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    await equal(server, world_id, copy, "coalitions", "their members", "timers")
    await sound(server, copy)
    for world in (world_id, copy):  # and it is over when the fear has passed
        await advance(server, owner, world, 721 * DAY)
    ends = [await told(server, world, "diplomacy.coalition_dissolved") for world in (world_id, copy)]
    assert ends[0] and ends[0] == ends[1]
    await sound(server, copy)


async def test_what_the_world_contradicts_is_refused(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    gone = await found(server, owner, world_id, "Gone")
    await server.do(DissolveFaction(faction_id=gone), owner.actor, world_id)
    slight: dict[str, Any] = {"kind": "insult", "severity": 0.5}
    member = CoalitionMemberValue(faction_id=c)
    for command, code in (
        (ImportIncident(**slight, injured_id=a, accused_id=a), "history_unsound"),
        (ImportIncident(**slight, injured_id=a, accused_id=uuid4()), "faction_not_found"),
        (ImportIncident(**slight, injured_id=a, accused_id=gone), "faction_dissolved"),
        (ImportIncident(**slight, injured_id=a, accused_id=b, region_id=gone), "region_not_found"),
        (ImportCoalition(target_id=a, members=[member]), "coalition_stands"),
        (ImportCoalition(target_id=b, members=[member], id=made.id), "history_exists"),
        (ImportCoalition(target_id=uuid4(), members=[member]), "faction_not_found"),
        (ImportCoalition(target_id=b, members=[member, member]), "history_unsound"),
    ):
        with pytest.raises(Refused, match=code):
            await server.do(command, owner.actor, world_id)
