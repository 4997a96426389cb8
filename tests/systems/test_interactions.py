"""The depth of interactions against the real database: places, memories, rumours, bystanders, own types and texts."""

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, SetStatus
from fablewright.systems.dialogue.commands import (
    DefineInteractionType,
    Interact,
    RemoveGrammar,
    RemoveInteractionType,
    SetGrammar,
)
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.dialogue.events import Interaction
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.regions.commands import (
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
    Walk,
)
from fablewright.systems.relationships.commands import SetTie
from tests.support import Person, Server

MILL, INN = UUID(int=101), UUID(int=102)
ORLA, WAT, BRAM, TAMSIN = (UUID(int=n) for n in (1, 2, 3, 4))
NAMES = ("Orla Fen", "Wat Tolliver", "Bram Holloway", "Tamsin Ash")


class Stage:
    """A world with four people at a mill, an inn down the road, and somebody who may do everything."""

    def __init__(self, server: Server, owner: Person, world_id: UUID):
        self.server, self.owner, self.world_id = server, owner, world_id

    async def do(self, command: Any) -> Any:
        return (await self.server.runtime.engine.execute(command, self.owner.actor, self.world_id)).result

    async def interact(self, a: UUID, b: UUID, kind: str = "chat", **fields: Any) -> Interaction:
        result: Interaction = await self.do(Interact(initiator_id=a, target_id=b, type=kind, **fields))
        return result

    async def memories(self, who: UUID) -> list[Any]:
        return await self.server.fetch(
            "SELECT * FROM memories WHERE world_id = $1 AND character_id = $2 ORDER BY at, id",
            self.world_id,
            who,
        )

    async def reasons(self, source: UUID, target: UUID) -> list[str]:
        return [reason["why"] for reason in (await self.tie(source, target))["reasons"]]

    async def tie(self, source: UUID, target: UUID) -> Any:
        rows = await self.server.fetch(
            "SELECT * FROM ties WHERE world_id = $1 AND source_id = $2 AND target_id = $3",
            self.world_id, source, target,
        )  # fmt: skip
        return rows[0] if rows else None

    async def findings(self) -> list[str]:
        return [f for f in await self.server.findings() if str(self.world_id) in f]


@pytest.fixture
async def stage(server: Server) -> Stage:
    owner = await server.person()
    world_id = await server.world(owner)
    made = Stage(server, owner, world_id)
    await made.do([CreateCharacter(id=UUID(int=n + 1), name=name) for n, name in enumerate(NAMES)])
    await made.do(
        DefinePlaces(
            places=[
                PlaceValue(id=MILL, name="the mill", kind="work"),
                PlaceValue(id=INN, name="the inn", kind="tavern"),
            ],
            paths=[PathValue(a_id=MILL, b_id=INN, minutes=5)],
        )
    )
    await made.do(
        PlaceCharacters(placements=[Placement(character_id=UUID(int=n + 1), place_id=MILL) for n in range(4)])
    )
    return made


async def refused(stage: Stage, *args: Any, **fields: Any) -> str:
    with pytest.raises(Refused) as error:
        await stage.interact(*args, **fields)
    return error.value.code


# -- may they? -----------------------------------------------------------------------------------------------


async def test_place_walk_and_sleep_are_refused_by_name(stage: Stage) -> None:
    await stage.do(Walk(character_id=WAT, place_id=INN))
    assert await refused(stage, ORLA, WAT) == "on_the_way"
    await stage.do(PlaceCharacters(placements=[Placement(character_id=BRAM, place_id=INN)]))
    assert await refused(stage, ORLA, BRAM) == "elsewhere"
    await stage.do(SetStatus(character_id=TAMSIN, status="asleep"))
    assert await refused(stage, ORLA, TAMSIN) == "asleep"
    assert await refused(stage, TAMSIN, ORLA) == "asleep"
    assert await refused(stage, ORLA, BRAM, "waltz") == "interaction_type_unknown"
    assert await stage.server.fetch("SELECT 1 FROM ties WHERE world_id = $1", stage.world_id) == []


async def test_the_estranged_do_not_talk_and_may_make_up(stage: Stage) -> None:
    await stage.do(SetTie(source_id=WAT, target_id=ORLA, strength=-0.95, trust=0.1))
    assert await refused(stage, ORLA, WAT) == "estranged"
    result = await stage.interact(ORLA, WAT, "apology")
    assert result.accepted in (True, False)
    assert (
        await stage.interact(WAT, ORLA, "chat")
    ).answer  # who hates may speak; it is the other who decides


async def test_the_same_again_at_once_is_too_soon(stage: Stage) -> None:
    await stage.interact(ORLA, WAT, "greeting")
    assert await refused(stage, ORLA, WAT, "greeting") == "too_soon"
    assert await refused(stage, WAT, ORLA, "greeting") == "too_soon"  # it holds for the pair
    await stage.interact(WAT, TAMSIN, "greeting")


# -- words ---------------------------------------------------------------------------------------------------


async def test_without_content_the_initiator_finds_its_own_words(stage: Stage) -> None:
    result = await stage.interact(ORLA, WAT, "chat")
    assert result.content and result.answer and result.content != result.answer
    assert result.answer_tone is not None and result.answer_tone.manner in ("warm", "plain", "cold")


async def test_the_tone_is_recognised_and_has_its_effect(stage: Stage) -> None:
    kind = await stage.interact(ORLA, WAT, content="Thank you, you are wonderful, I am so happy!")
    rude = await stage.interact(BRAM, TAMSIN, content="You liar. I hate your stupid, ugly mill.")
    assert (kind.tone.label, rude.tone.label) == ("thanks", "insult")
    assert kind.tone.sentiment > 0.5 > -0.5 > rude.tone.sentiment
    assert kind.ties[1].strength_after > 0 > rude.ties[1].strength_after
    assert rude.states[1].emotion_after.pleasure < rude.states[1].emotion_before.pleasure
    assert "anger" in rude.states[1].felt
    assert rude.ties[1].parts["words"] < 0


async def test_no_listener_hears_a_line_twice_within_fifty(stage: Stage) -> None:
    heard: dict[UUID, list[str]] = defaultdict(list)
    people = (ORLA, WAT, BRAM, TAMSIN)
    for n in range(120):
        a, b = people[n % 4], people[(n + 1 + n // 4 % 3) % 4]
        result = await stage.interact(a, b, "chat")
        for listener, line in ((b, result.content), (a, result.answer or "")):
            assert line not in heard[listener][-50:]
            heard[listener].append(line)
    assert await stage.findings() == []


# -- memories and rumours ------------------------------------------------------------------------------------


async def test_both_remember_and_reasons_are_kept(stage: Stage) -> None:
    result = await stage.interact(ORLA, WAT, "conflict")
    assert {m.character_id for m in result.memories} >= {ORLA, WAT}
    assert len({m.fact_id for m in result.memories if m.character_id in (ORLA, WAT)}) == 1
    did, saw = await stage.memories(ORLA), await stage.memories(WAT)
    assert [(m["kind"], m["subject_id"]) for m in (*did, *saw)] == [("did", WAT), ("saw", ORLA)]
    assert "Orla Fen" in saw[0]["text"] and "the mill" in saw[0]["text"]
    assert [r for r in await stage.reasons(WAT, ORLA) if "quarrelled with me" in r]
    assert (await stage.tie(WAT, ORLA))["strength"] < 0


async def test_a_secret_travels_by_a_chain_of_tellers(stage: Stage) -> None:
    await stage.do(SetTie(source_id=WAT, target_id=ORLA, strength=0.6, trust=0.9))
    await stage.do(SetTie(source_id=TAMSIN, target_id=BRAM, strength=0.3, trust=0.5))
    await stage.do(
        PlantMemory(
            character_id=ORLA, text="Bram Holloway hides a moonstone under the hearth.", about_ids=[BRAM],
            importance=0.9, valence=-0.8, is_secret=True,
        )
    )  # fmt: skip
    known = (await stage.memories(ORLA))[0]
    told = await stage.interact(ORLA, WAT, "confide", memory_id=known["id"])
    assert "moonstone" in told.content
    assert [(m.speaker_id, m.memory_id, m.tellers) for m in told.mentions if m.part == "content"] == [
        (ORLA, known["id"], [])
    ]
    first = next(m for m in await stage.memories(WAT) if m["fact_id"] == known["fact_id"])
    assert (first["kind"], first["tellers"], first["secret"]) == ("told", [ORLA], True)
    passed = await stage.interact(WAT, TAMSIN, "gossip", memory_id=first["id"])
    assert "moonstone" in passed.content
    second = next(m for m in await stage.memories(TAMSIN) if m["fact_id"] == known["fact_id"])
    assert second["tellers"] == [ORLA, WAT]
    assert second["certainty"] < first["certainty"] < 1
    change = next(c for c in passed.bystanders if c.character_id == TAMSIN)
    assert change.about_id == BRAM and change.strength_after < change.strength_before
    (reason,) = await stage.reasons(TAMSIN, BRAM)
    assert reason.startswith("heard from Wat Tolliver: Bram Holloway hides")
    assert (first["secret"], second["secret"]) == (True, False)  # what is told openly is out
    assert await stage.findings() == []


async def test_nobody_speaks_of_a_secret_unless_it_confides(stage: Stage) -> None:
    await stage.do(
        PlantMemory(
            character_id=ORLA, text="Bram Holloway hides a moonstone under the hearth.", about_ids=[BRAM],
            importance=1.0, is_secret=True,
        )
    )  # fmt: skip
    for n in range(40):
        result = await stage.interact(*((ORLA, WAT) if n % 2 else (WAT, ORLA)), "chat")
        assert "moonstone" not in f"{result.content} {result.answer}".lower()
    assert not any("moonstone" in m["text"] for m in await stage.memories(WAT))


async def test_what_one_does_not_remember_one_cannot_tell(stage: Stage) -> None:
    await stage.do(PlantMemory(character_id=ORLA, text="Wat sings at night.", about_ids=[WAT]))
    known = (await stage.memories(ORLA))[0]
    assert await refused(stage, BRAM, TAMSIN, "gossip", memory_id=known["id"]) == "memory_not_found"
    assert await refused(stage, BRAM, TAMSIN, "gossip") == "nothing_to_tell"
    result = await stage.interact(ORLA, TAMSIN, "gossip")
    assert "sings at night" in result.content
    assert await refused(stage, ORLA, WAT, "gossip", memory_id=UUID(int=77)) == "memory_not_found"


async def test_only_the_two_and_game_masters_see_what_is_confided(stage: Stage) -> None:
    await stage.do(PlantMemory(character_id=ORLA, text="Bram cannot read.", about_ids=[BRAM], is_secret=True))
    await stage.interact(ORLA, WAT, "confide")
    await stage.interact(ORLA, WAT, "chat")
    rows = await stage.server.fetch(
        "SELECT audience, data ->> 'type' AS type FROM events WHERE world_id = $1 AND type = 'dialogue.interacted' "
        "ORDER BY seq",
        stage.world_id,
    )
    assert [(row["type"], row["audience"]) for row in rows] == [("confide", [ORLA, WAT]), ("chat", None)]
    observer = await stage.server.member(stage.world_id, stage.owner, "observer")
    url = f"/api/v1/worlds/{stage.world_id}"
    for path in ("/events?types=dialogue.*", "/story?from=0&to=1000", "/relationships"):
        answer = await stage.server.client.get(url + path, headers=observer.headers)
        assert answer.status_code == 200
        assert "cannot read" not in answer.text


async def test_news_of_a_deed_moves_the_tie_to_who_did_it(stage: Stage) -> None:
    for who in (ORLA, WAT):
        await stage.do(SetTie(source_id=TAMSIN, target_id=who, strength=0.5))
    await stage.do(PlaceCharacters(placements=[Placement(character_id=TAMSIN, place_id=INN)]))
    seen: list[Any] = []
    for _ in range(8):
        await stage.interact(ORLA, WAT, "conflict")
        seen = [m for m in await stage.memories(BRAM) if m["kind"] == "saw"]
        if seen:
            break
    assert seen
    await stage.do(PlaceCharacters(placements=[Placement(character_id=TAMSIN, place_id=MILL)]))
    before = {who: (await stage.tie(TAMSIN, who))["strength"] for who in (ORLA, WAT)}
    result = await stage.interact(BRAM, TAMSIN, "gossip", memory_id=seen[0]["id"])
    assert [c.about_id for c in result.bystanders if c.character_id == TAMSIN] == [ORLA]
    assert (await stage.tie(TAMSIN, ORLA))["strength"] < before[ORLA]
    assert (await stage.tie(TAMSIN, WAT))["strength"] == before[WAT]


async def test_who_is_told_of_itself_remembers_it(stage: Stage) -> None:
    await stage.do(
        PlantMemory(character_id=WAT, text="Bram means to burn the boat of Orla.", about_ids=[BRAM, ORLA])
    )
    known = (await stage.memories(WAT))[0]
    await stage.interact(WAT, ORLA, "gossip", memory_id=known["id"])
    assert [m["tellers"] for m in await stage.memories(ORLA) if m["fact_id"] == known["fact_id"]] == [[WAT]]


async def test_only_types_that_tell_take_a_memory(stage: Stage) -> None:
    await stage.do(PlantMemory(character_id=ORLA, text="Wat sings at night.", about_ids=[WAT]))
    known = (await stage.memories(ORLA))[0]
    assert await refused(stage, ORLA, BRAM, "greeting", memory_id=known["id"]) == "type_tells_nothing"


async def test_what_was_quoted_stays_between_the_two(stage: Stage) -> None:
    await stage.do(DefineInteractionType(name="duel", definition=DUEL))
    await stage.interact(ORLA, WAT, "duel", content="My real name is Prince Aldric, keep it to yourself.")
    own = next(m for m in await stage.memories(WAT) if m["kind"] == "saw")
    assert "Aldric" in own["text"]
    told = await stage.interact(WAT, BRAM, "gossip", memory_id=own["id"])
    assert "Aldric" not in told.content
    for _ in range(10):
        result = await stage.interact(WAT, BRAM)
        assert "Aldric" not in f"{result.content} {result.answer}"
    assert not [m for m in await stage.memories(BRAM) if "Aldric" in m["text"]]


async def test_news_travels_within_one_list_as_one_by_one(server: Server, stage: Stage) -> None:
    await stage.do(PlantMemory(character_id=ORLA, text="The flour is watered.", about_ids=[UUID(int=4)]))
    first = Interact(initiator_id=ORLA, target_id=WAT, type="gossip")
    second = Interact(initiator_id=WAT, target_id=BRAM, type="gossip")
    again = Interact(initiator_id=ORLA, target_id=WAT, type="confide")
    _, passed = await stage.do([first, second])
    assert "flour is watered" in passed.content
    with pytest.raises(Refused, match="nothing_to_tell"):
        await stage.do([again])


async def test_strangers_who_watch_form_an_opinion(stage: Stage) -> None:
    changes: list[Any] = []
    for _ in range(8):
        changes += (await stage.interact(ORLA, WAT, "conflict")).bystanders
    assert changes
    assert changes[0].strength_before == 0.0 > changes[0].strength_after
    assert await stage.findings() == []


async def test_what_a_player_makes_up_has_the_player_as_its_source(stage: Stage) -> None:
    await stage.interact(ORLA, WAT, "gossip", content="The miller waters the flour.")
    (told,) = [m for m in await stage.memories(WAT) if m["kind"] == "told"]
    assert (told["text"], told["tellers"]) == ("The miller waters the flour.", [ORLA])
    assert told["certainty"] < 1


async def test_bystanders_remember_and_take_sides(stage: Stage) -> None:
    for who in (BRAM, TAMSIN):
        await stage.do(SetTie(source_id=who, target_id=ORLA, strength=0.2))
        await stage.do(SetTie(source_id=who, target_id=WAT, strength=0.8))
    changes = []
    for _ in range(8):
        result = await stage.interact(ORLA, WAT, "conflict")
        changes += [c for c in result.bystanders if c.character_id in (BRAM, TAMSIN)]
    assert changes
    assert all(c.about_id == ORLA and c.strength_after < c.strength_before for c in changes)
    assert all(c.strength_before - c.strength_after <= 0.1 for c in changes)
    seen = [m for who in (BRAM, TAMSIN) for m in await stage.memories(who)]
    assert {m["subject_id"] for m in seen} == {ORLA}
    assert {m["kind"] for m in seen} == {"saw"}
    assert [r for r in await stage.reasons(WAT, ORLA) if r.startswith("quarrelled with me before ")]


async def test_sleepers_and_the_absent_hear_nothing(stage: Stage) -> None:
    await stage.do(SetStatus(character_id=BRAM, status="asleep"))
    await stage.do(PlaceCharacters(placements=[Placement(character_id=TAMSIN, place_id=INN)]))
    for _ in range(6):
        assert (await stage.interact(ORLA, WAT, "conflict")).bystanders == []
    assert await stage.memories(BRAM) == await stage.memories(TAMSIN) == []


# -- a world's own types and texts ---------------------------------------------------------------------------

DUEL = TypeDefinition(
    effects={"strength": -0.25, "trust": 0.1}, hostile=True, overheard=0.8, importance=0.9, energy=0.2,
    valence=-0.7, deeds=("crossed blades with",), own="we crossed blades", other="crossed blades with me",
    like="conflict",
)  # fmt: skip


async def test_a_world_has_types_of_its_own(stage: Stage) -> None:
    with pytest.raises(Refused, match="like"):
        await stage.do(DefineInteractionType(name="duel", definition=DUEL.model_copy(update={"like": None})))
    await stage.do(DefineInteractionType(name="duel", definition=DUEL))
    result = await stage.interact(ORLA, WAT, "duel")
    assert result.answer and result.states[0].energy_after == pytest.approx(0.8)
    assert "crossed blades with" in (await stage.memories(WAT))[0]["text"]
    await stage.do(DefineInteractionType(name="chat", definition=TypeDefinition(energy=0.5, like="chat")))
    assert (await stage.interact(BRAM, TAMSIN)).states[0].energy_after == pytest.approx(0.5)
    for name in ("duel", "chat"):
        await stage.do(RemoveInteractionType(name=name))
    assert await refused(stage, ORLA, WAT, "duel") == "interaction_type_unknown"
    assert (await stage.interact(TAMSIN, BRAM)).states[0].energy_after > 0.7
    with pytest.raises(Refused, match="interaction_type_not_found"):
        await stage.do(RemoveInteractionType(name="duel"))


async def test_a_change_that_rolls_back_leaves_no_trace(stage: Stage) -> None:
    loud = DUEL.model_copy(update={"energy": 0.0})
    await stage.do(DefineInteractionType(name="duel", definition=DUEL))
    with pytest.raises(Refused):
        await stage.do(
            [
                DefineInteractionType(name="duel", definition=loud),
                Interact(initiator_id=ORLA, target_id=WAT, type="duel"),
                Interact(initiator_id=ORLA, target_id=ORLA, type="duel"),
            ]
        )
    assert (await stage.interact(ORLA, WAT, "duel")).states[0].energy_after == pytest.approx(0.8)


async def test_texts_of_a_world_are_checked_and_spoken(stage: Stage) -> None:
    with pytest.raises(Refused) as error:
        await stage.do(SetGrammar(name="odd", content={"lines": {"nonsense": []}}))
    assert error.value.code == "grammar_invalid"
    assert await stage.server.fetch("SELECT 1 FROM grammars WHERE world_id = $1", stage.world_id) == []
    with pytest.raises(Refused, match="grammar_not_found"):
        await stage.do(RemoveGrammar(name="odd"))
