"""Coalitions are written into packs, read again, and go on as they would have."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.quarrel_commands import CoalitionMemberValue, ImportCoalition
from fablewright.systems.diplomacy.war_commands import FormCoalition, JoinCoalition
from tests.support import Server
from tests.systems.test_coalitions import frightened
from tests.systems.test_incidents import advance
from tests.systems.test_wars import sound, told
from tests.systems.test_wars_pack import exported, imported

STATE = {
    "coalitions": "SELECT id, target_id, at FROM coalitions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY 1",
    "their members": "SELECT coalition_id, faction_id, fear, at FROM coalition_members "
    "WHERE world_id = $1 AND left_at IS NULL ORDER BY 1, 2",
    "timers": "SELECT kind, due_at, data ->> 'coalition_id' FROM timers "
    "WHERE world_id = $1 AND kind = 'diplomacy.coalition_review' ORDER BY 1, 2, 3",
}


async def equal(server: Server, one: UUID, two: UUID) -> None:
    """Both worlds have the same quarrels, and some of each kind."""
    for name, sql in STATE.items():
        rows = [[tuple(row) for row in await server.fetch(sql, world)] for world in (one, two)]
        assert rows[0] and rows[0] == rows[1], name


async def test_who_stands_together_still_does(server: Server, tmp_path: Path) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await advance(server, owner, world_id, 9 * DAY)
    await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    await equal(server, world_id, copy)
    await sound(server, copy)
    for world in (world_id, copy):  # and it is over when the fear has passed
        await advance(server, owner, world, 721 * DAY)
    ends = [await told(server, world, "diplomacy.coalition_dissolved") for world in (world_id, copy)]
    assert ends[0] and ends[0] == ends[1]
    await sound(server, copy)


async def test_what_the_world_contradicts_is_refused(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    member = CoalitionMemberValue(faction_id=c)
    for command, code in (
        (ImportCoalition(target_id=a, members=[member]), "coalition_stands"),
        (ImportCoalition(target_id=b, members=[member], id=made.id), "history_exists"),
        (ImportCoalition(target_id=uuid4(), members=[member]), "faction_not_found"),
        (ImportCoalition(target_id=b, members=[member, member]), "history_unsound"),
    ):
        with pytest.raises(Refused, match=code):
            await server.do(command, owner.actor, world_id)
