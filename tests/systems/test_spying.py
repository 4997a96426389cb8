"""Spies find secret treaties, or are caught; what comes of it is told to those it concerns."""

from uuid import UUID

import pytest

from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, UpdateCharacter
from fablewright.systems.diplomacy import spying
from fablewright.systems.diplomacy.treaty_commands import SpyOnFaction
from fablewright.systems.factions.commands import AddMember
from tests.support import Server
from tests.systems.test_treaties import AMB, ASH, ELM, OAK, PEACE, SERF, Court


async def spied(court: Court, skill: int) -> list[dict[str, object]]:
    """What Ash's spy, who is so able, comes to in tries at Elm until one finds something or is caught."""
    await court.do(AddMember(faction_id=ASH, member_id=(spy := UUID(int=304)), role="spymaster"))
    await court.do(UpdateCharacter(character_id=spy, skills=dict.fromkeys(spying.SKILLS, skill)))
    for _ in range(12):
        done = await court.do(SpyOnFaction(faction_id=ASH, target_id=ELM, character_id=spy))
        if done["treaty_id"] or done["caught"]:
            break
        await court.advance(11)
    return await court.events("spied")


@pytest.fixture
async def court(server: Server) -> Court:

    court = await Court(server).open()
    await court.do(CreateCharacter(id=UUID(int=304), name="Sly"))
    return court


async def test_who_is_able_finds_what_is_secret(court: Court) -> None:
    public = await court.signed(PEACE, parties=(ELM, ASH))
    own = await court.signed({**PEACE, "a_id": ASH}, parties=(ELM, ASH), secret=True)
    secret = await court.signed({"type": "custom", "text": "x"}, parties=(ELM, OAK), secret=True)
    told = await spied(court, 100)
    assert told[-1]["treaty_id"] == str(secret) and not told[-1]["caught"]
    (revealed,) = await court.events("treaty_revealed")
    assert (revealed["treaty_id"], revealed["how"]) == (str(secret), "a spy of Ash found it out")
    rows = await court.fetch("SELECT id, secret FROM treaties WHERE world_id = $1")
    assert {row["id"]: row["secret"] for row in rows} == {public: False, own: True, secret: False}
    rows = await court.fetch(
        "SELECT DISTINCT audience FROM events WHERE world_id = $1 AND type = 'diplomacy.spied'"
    )
    assert [list(row["audience"]) for row in rows] == [[ASH]]
    await court.sound()


async def test_who_is_not_is_caught(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spying, "NEEDED", 101.0)  # nobody is lucky
    secret = await court.signed({"type": "custom", "text": "x"}, parties=(ELM, OAK), secret=True)
    told = await spied(court, 0)
    assert told[-1]["caught"] and await court.events("treaty_revealed") == []
    (incident,) = await court.events("incident_occurred")
    assert (incident["kind"], incident["injured_id"], incident["accused_id"]) == (
        "spying",
        str(ELM),
        str(ASH),
    )
    (row,) = await court.fetch("SELECT tension FROM relations WHERE world_id = $1 AND low_id = $2", ASH)
    assert row["tension"] > 0
    assert (await court.fetch("SELECT secret FROM treaties WHERE id = $2 AND world_id = $1", secret))[0][
        "secret"
    ]
    await court.sound()


async def test_not_everybody_may_spy_and_not_all_the_time(court: Court) -> None:
    for who in (AMB, SERF):
        await court.refused("role_may_not", SpyOnFaction(faction_id=ASH, target_id=ELM, character_id=who))
    await court.refused("spies_on_itself", SpyOnFaction(faction_id=ASH, target_id=ASH))
    await court.refused("faction_not_found", SpyOnFaction(faction_id=ASH, target_id=UUID(int=9)))
    await court.do(SpyOnFaction(faction_id=ASH, target_id=ELM))
    refused: Refused = await court.refused("spy_still_out", SpyOnFaction(faction_id=ASH, target_id=ELM))
    assert refused.facts["from_ms"] > 0
    await court.do(SpyOnFaction(faction_id=ASH, target_id=OAK))
    await court.do(SpyOnFaction(faction_id=ELM, target_id=ASH))
    await court.advance(11)
    await court.do(SpyOnFaction(faction_id=ASH, target_id=ELM))
