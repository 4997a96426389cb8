"""`GET …/story`, `GET …/why/{seq}` and `GET …/arcs`."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core.clock import DAY, HOUR, Calendar
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.director import story
from fablewright.systems.director.story import Happened
from fablewright.systems.memory.commands import PlantMemory
from tests.api.test_life_api import Scene
from tests.support import Server
from tests.systems.test_director import acts, advance, direct, log, town

HOURS = 16


@pytest.fixture
async def scene(server: Server) -> Scene:
    return await opened(server)


@pytest.fixture(scope="module")
async def lived(server: Server) -> Scene:
    """A town after a day, which takes long to live: those that only read it share it."""
    scene = await opened(server)
    await direct(server, scene.owner, scene.world_id, beats=0.2)
    await advance(server, scene.owner, scene.world_id, HOURS * HOUR)
    return scene


async def opened(server: Server) -> Scene:
    scene = await Scene(server).open()
    scene.world_id = await town(server, scene.owner)
    scene.player = await server.member(scene.world_id, scene.owner, "player")
    scene.observer = await server.member(scene.world_id, scene.owner, "observer")
    return scene


# -- why -------------------------------------------------------------------------------------------------------


async def test_why_somebody_acted(lived: Scene) -> None:
    told = (await acts(lived.server, lived.world_id))[20]
    for who in (lived.owner, lived.player, lived.observer):
        why = await lived.ok("GET", f"/why/{told['seq']}", who)
        assert (why["seq"], why["type"], why["complete"]) == (told["seq"], "dialogue.interacted", True)
        initiator = f"C{UUID(told['initiator_id']).int - 1}"
        assert (
            why["because"].startswith(initiator)
            and why["because"].endswith(".")
            and " because " in why["because"]
        )
        chosen = why["options"][why["chosen"]]
        assert (chosen["type"], chosen["with_id"]) == (told["type"], told["target_id"])
        assert abs(chosen["weight"] - sum(chosen["parts"].values())) < 0.01
        assert [c["kind"] for c in why["causes"]] == ["event", "timer"]
        assert why["causes"][0]["seq"] == why["choice_seq"] < told["seq"]
        assert "director.beat" in why["causes"][1]["sentence"]


async def test_why_an_arc_began(lived: Scene) -> None:
    begun = (await log(lived.server, lived.world_id, "director.arc_started"))[0]
    why = await lived.ok("GET", f"/why/{begun['seq']}", lived.observer)
    assert [c["kind"] for c in why["causes"]] == ["event", "event", "timer"]
    assert why["sentence"] == begun["title"] and why["because"]


async def test_why_of_what_a_user_did(scene: Scene) -> None:
    command = Interact(initiator_id=UUID(int=1), target_id=UUID(int=2), type="chat", content="Good morning.")
    seq = (await scene.server.runtime.engine.execute(command, scene.owner.actor, scene.world_id)).seq
    assert seq is not None
    why = await scene.ok("GET", f"/why/{seq}", scene.player)
    assert [(c["kind"], c["type"]) for c in why["causes"]] == [("command", "dialogue.interact")]
    assert why["causes"][0]["actor"] == f"user:{scene.owner.id}"
    assert (why["because"], why["options"]) == (None, [])


async def test_what_one_may_not_see_has_no_why(scene: Scene) -> None:
    command = PlantMemory(character_id=UUID(int=1), text="The miller waters the wine.")
    seq = (await scene.server.runtime.engine.execute(command, scene.owner.actor, scene.world_id)).seq
    assert seq is not None
    assert (await scene.ok("GET", f"/why/{seq}", scene.owner))["type"] == "memory.planted"
    hidden = await scene.refused(404, "event_not_found", "GET", f"/why/{seq}", scene.player)
    missing = await scene.refused(404, "event_not_found", "GET", f"/why/{seq + 1000}", scene.player)
    assert hidden["title"] == missing["title"]
    await scene.refused(404, "world_not_found", "GET", f"/why/{seq}", scene.stranger)
    for wrong in ("0", "-1", str(2**70), "x"):
        assert (await scene.call("GET", f"/why/{wrong}", scene.owner)).status_code == 422


# -- story -----------------------------------------------------------------------------------------------------


async def test_a_story_is_told(lived: Scene) -> None:
    told = await lived.ok("GET", f"/story?from=0&to={HOURS * HOUR}", lived.observer)
    assert told["complete_to"] == HOURS * HOUR or told["complete_to"] > HOUR
    paragraphs = told["paragraphs"]
    assert len(paragraphs) >= 4
    assert {"morning", "evening"} <= {p["part"] for p in paragraphs} or told["complete_to"] < 12 * HOUR
    assert {p["date"] for p in paragraphs} == {"1 Deepwinter, year 1"}
    seqs = {
        row["seq"]
        for row in await lived.server.fetch("SELECT seq FROM events WHERE world_id = $1", lived.world_id)
    }
    for p in paragraphs:
        assert p["text"][0].isupper() and p["text"][-1] in ".!?”"
        assert p["seqs"] and set(p["seqs"]) <= seqs and len(p["seqs"]) <= 50
        narrated = re.sub("“[^”]*”", "", p["text"])
        assert "{" not in p["text"] and "somebody" not in narrated
    again = await lived.ok("GET", f"/story?from=0&to={HOURS * HOUR}", lived.owner)
    assert again["paragraphs"] == paragraphs
    day = await lived.ok("GET", "/story", lived.player)
    assert day["to_ms"] == HOURS * HOUR + 1 and day["to_ms"] - day["from_ms"] == DAY


async def test_a_story_goes_on_where_it_stopped(lived: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "MOST_EVENTS", 30)
    seqs: list[int] = []
    after, rounds, complete = 0, 0, 0
    while complete < HOURS * HOUR and rounds < 100:
        part = await lived.ok("GET", f"/story?from=0&to={HOURS * HOUR}&after={after}", lived.observer)
        assert part["up_to"] > after and part["complete_to"] >= complete
        seqs += [seq for p in part["paragraphs"] for seq in p["seqs"]]
        after, complete, rounds = part["up_to"], part["complete_to"], rounds + 1
    assert complete == HOURS * HOUR and len(seqs) == len(set(seqs))
    assert rounds > 2 and len(seqs) > 40


@pytest.mark.parametrize("span", ["from=5&to=5", "from=10&to=5", f"from=0&to={41 * DAY}"])
async def test_wrong_spans_are_refused(scene: Scene, span: str) -> None:
    await scene.refused(422, "story_span_invalid", "GET", f"/story?{span}", scene.owner)


async def test_strangers_are_told_nothing(scene: Scene) -> None:
    await scene.refused(404, "world_not_found", "GET", "/story", scene.stranger)
    await scene.refused(404, "world_not_found", "GET", "/arcs", scene.stranger)
    await scene.refused(401, "not_signed_in", "GET", "/story", None)


async def test_arcs_are_listed(lived: Scene) -> None:
    pages, cursor = [], ""
    while True:
        page = await lived.ok("GET", f"/arcs?state=all&limit=2{cursor}", lived.observer)
        pages += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    count = await lived.server.fetch("SELECT count(*) AS n FROM arcs WHERE world_id = $1", lived.world_id)
    assert len({a["id"] for a in pages}) == len(pages) == count[0]["n"] > 2
    assert [a["started_at"] for a in pages] == sorted((a["started_at"] for a in pages), reverse=True)
    open_ = (await lived.ok("GET", "/arcs?limit=200", lived.observer))["items"]
    assert all(a["outcome"] is None for a in open_)
    await lived.refused(
        422, "cursor_invalid", "GET", "/arcs?cursor=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwLCAieCJd", lived.owner
    )


# -- the telling itself ----------------------------------------------------------------------------------------

NAMES = {str(UUID(int=n)): name for n, name in enumerate(["Orla", "Wat", "Tamsin", "Corin"], 1)}
NAMES[str(UUID(int=9))] = "The Old Ford"


def met(seq: int, kind: str, a: int, b: int, *, at: int = 0, **fields: Any) -> Happened:
    data = {
        "initiator_id": str(UUID(int=a)), "target_id": str(UUID(int=b)), "type": kind, "content": "Well.",
        "place_id": str(UUID(int=9)), "ties": [], "accepted": None, **fields,
    }  # fmt: skip
    return Happened(seq, UUID(int=100 + seq), "dialogue.interacted", at, uuid4(), data)


def test_small_talk_is_merged() -> None:
    (paragraph,) = story.tell([met(1, "chat", 1, 2), met(2, "greeting", 2, 1)], NAMES, Calendar())
    assert (paragraph.place, paragraph.part, paragraph.seqs) == ("The Old Ford", "morning", [1, 2])
    assert (
        paragraph.text.startswith("At the Old Ford, ")
        and "Orla" in paragraph.text
        and "twice" in paragraph.text
    )
    (crowd,) = story.tell(
        [met(1, "chat", 1, 2), met(2, "chat", 2, 3), met(3, "chat", 4, 1)], NAMES, Calendar()
    )
    assert "Corin, Orla, Tamsin and Wat" in crowd.text


def test_the_telling_outweighs_the_rest() -> None:
    noise = [met(n, "tease", 1 + n % 2, 3 + n % 2, accepted=bool(n % 3)) for n in range(1, 30)]
    loud = met(40, "apology", 1, 2, accepted=False)
    (paragraph,) = story.tell([*noise, loud], NAMES, Calendar())
    assert 40 in paragraph.seqs and paragraph.text.count(". ") < story.MOST_SENTENCES + 2


def test_days_parts_and_places_are_apart() -> None:
    told = [
        met(1, "chat", 1, 2),
        met(2, "chat", 1, 2, at=14 * HOUR),
        met(3, "chat", 1, 2, at=DAY),
        met(4, "chat", 1, 2, place_id=None),
    ]
    found = story.tell(told, NAMES, Calendar())
    assert [(p.date[:1], p.part, p.place) for p in found] == [
        ("1", "morning", "The Old Ford"), ("1", "evening", "The Old Ford"), ("2", "morning", "The Old Ford"),
        ("1", "morning", None),
    ]  # fmt: skip


def test_labels_and_arcs_are_told() -> None:
    gained = [
        {
            "source_id": str(UUID(int=1)),
            "target_id": str(UUID(int=2)),
            "labels_gained": ["rival"],
            "labels_lost": [],
        }
    ]
    clash = met(1, "conflict", 1, 2, ties=gained)
    arc = Happened(
        2, uuid4(), "director.arc_started", 0, clash.id, {"title": "Orla and Wat have fallen out."}
    )
    (paragraph,) = story.tell([clash, arc], NAMES, Calendar())
    assert "a rival" in paragraph.text and paragraph.text.endswith("Orla and Wat have fallen out.")
    assert paragraph.seqs == [1, 2] and paragraph.place == "The Old Ford"


def test_what_is_mutual_is_told_once() -> None:
    ties = [
        {
            "source_id": str(UUID(int=a)),
            "target_id": str(UUID(int=b)),
            "labels_gained": ["friend"],
            "labels_lost": [],
        }
        for a, b in ((1, 2), (2, 1))
    ]
    (paragraph,) = story.tell([met(1, "chat", 1, 2, ties=ties)], NAMES, Calendar())
    assert paragraph.text.count("friends") == 1 and "a friend" not in paragraph.text


def test_newcomers_are_listed() -> None:
    made = [
        Happened(n, uuid4(), "characters.character_created", 0, uuid4(), {"character_id": str(UUID(int=n))})
        for n in range(1, 4)
    ]
    (paragraph,) = story.tell(made, NAMES, Calendar())
    assert paragraph.text == "Orla, Wat and Tamsin came into the world." and paragraph.place is None
