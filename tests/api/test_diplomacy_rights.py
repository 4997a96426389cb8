"""Every act of factions, markets, diplomacy and quests as somebody who may not.

`LINES` has one line for each command of these systems; a new command without one fails. A line is an example that
works when somebody gives it who may: what is refused to others is refused for who they are, and for nothing else.
Nothing here changes the world: what is allowed stands before a command that is refused, so that all is rolled back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.actors import ANONYMOUS, Actor, Role
from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.factions.commands import Leave
from fablewright.systems.factions.rules import DEFAULT_ROLES
from tests.support import Person, Server

SYSTEMS = ("factions", "markets", "diplomacy", "quests")

ASH, BIRCH, ELM, OAK, FIR, YEW = FACTIONS = ("ash", "birch", "elm", "oak", "fir", "yew")
ROLES: dict[str, Any] = {
    **DEFAULT_ROLES, "broker": ("negotiate",), "steward": ("manage_members",), "treasurer": ("spend_treasury",),
    "envoy": ("sign_treaty",),
}  # fmt: skip
"""What the roles of House Ash may do. The characters of Ash are called as their roles are; `squire` has none."""
OURS = (*ROLES, "squire")
THEIRS = ("birch_ruler", "elm_ruler", "fir_ruler", "nobody")

TALK = {"type": "custom", "text": "A fair each spring."}
TERMS: dict[str, Any] = {"name": "Fair", "parties": ["ash", "birch"], "clauses": [TALK]}
QUEST = {"name": "Errand", "objectives": [{"key": "go", "name": "Go", "choice": True}]}


@dataclass(frozen=True)
class Line:
    """An example of a command; values that are names of ids in the court stand for these.

    `acts` are what a role must allow; without any, who acts does so for itself (`own`: the character that does) or
    must be the `leader`. `answers` is the refusal that the example meets when its rights are in order; else it works.
    """

    payload: dict[str, Any]
    acts: tuple[str, ...] = ()
    own: str = ""
    leader: bool = False
    answers: str = ""


def of(faction: str = "ash", **payload: Any) -> dict[str, Any]:
    return {"faction_id": faction, **payload}


LINES: dict[str, Line] = {
    "factions.found_faction": Line({"name": "House Pine"}),
    "factions.change_faction": Line(of(description="Poor.")),
    "factions.grant_treasury": Line(of(amount=5)),
    "factions.set_strength": Line(of(strength=5)),
    "factions.muster": Line(of(troops=5), ("muster",)),
    "factions.dissolve_faction": Line(of(), leader=True),
    "factions.set_leader": Line(of(member_id="squire"), leader=True),
    "factions.add_member": Line(of(member_id="free"), ("manage_members",)),
    "factions.remove_member": Line(of(member_id="squire"), ("manage_members",)),
    "factions.set_rank": Line(of(member_id="squire", rank="page"), ("manage_members",)),
    "factions.spend_treasury": Line(of(amount=5), ("spend_treasury",)),
    "factions.leave": Line({}, own="squire"),
    "markets.define_goods": Line({"goods": [{"key": "salt", "name": "Salt", "base_price": 2}]}),
    "markets.set_market": Line({"region_id": "vale", "good": "grain", "supply": 5}),
    "markets.set_stock": Line({"owner_id": "ash", "good": "grain", "units": 5}),
    "markets.impose_restriction": Line({"kind": "embargo"}),
    "markets.lift_restriction": Line({"restriction_id": "restriction"}),
    "markets.open_route": Line(
        of(from_region="fens", to_region="vale", good="grain", per_day=3), ("trade",)
    ),
    "markets.close_route": Line({"route_id": "route"}, ("trade",)),
    "markets.buy": Line(of(region_id="vale", good="grain", units=1), ("spend_treasury",)),
    "markets.sell": Line(of(region_id="vale", good="grain", units=1), ("spend_treasury",)),
    "diplomacy.set_relation": Line({"a_id": "ash", "b_id": "elm", "tension": 5}),
    "diplomacy.set_relations": Line({"relations": [{"a_id": "ash", "b_id": "elm", "tension": 5}]}),
    "diplomacy.add_opinion": Line(
        {"holder_id": "ash", "about_id": "elm", "key": "x", "amount": 5, "reason": "songs"}
    ),
    "diplomacy.drop_opinion": Line({"holder_id": "ash", "about_id": "oak", "key": "dread"}),
    "diplomacy.propose_treaty": Line(of(**TERMS), ("propose_treaty",)),
    "diplomacy.change_draft": Line(of(**TERMS, treaty_id="draft"), ("propose_treaty",)),
    "diplomacy.sign_treaty": Line(of(treaty_id="draft"), ("sign_treaty",)),
    "diplomacy.reject_treaty": Line(of(treaty_id="draft"), ("sign_treaty",)),
    "diplomacy.withdraw_from_treaty": Line(of(treaty_id="treaty"), ("sign_treaty",)),
    "diplomacy.suspend_treaty": Line(of(treaty_id="treaty"), ("sign_treaty",)),
    "diplomacy.terminate_treaty": Line(of(treaty_id="treaty"), ("sign_treaty",)),
    "diplomacy.renew_treaty": Line(of(treaty_id="treaty"), ("sign_treaty",)),
    "diplomacy.accuse_of_breach": Line(of(treaty_id="treaty", accused_id="birch", clause=1), ("accuse",)),
    "diplomacy.import_treaty": Line({**TERMS, "starts_at": -5 * DAY}),
    "diplomacy.spy_on_faction": Line(of(target_id="birch"), ("spy",)),
    "diplomacy.reveal_treaty": Line({"treaty_id": "secret"}),
    "diplomacy.open_negotiation": Line(of(with_ids=["elm"], kind="trade"), ("negotiate",)),
    "diplomacy.make_offer": Line(of(negotiation_id="talks", clauses=[TALK, {"type": "custom", "text": "Two."}]),
                                 ("negotiate",)),
    "diplomacy.answer_offer": Line(of(negotiation_id="talks", number=1, accept=False), ("negotiate",)),
    "diplomacy.deliberate": Line(of(negotiation_id="talks")),
    "diplomacy.persuade": Line(of(negotiation_id="talks", other_faction_id="birch", approach="charm"), ("negotiate",)),
    "diplomacy.walk_out": Line(of(negotiation_id="talks"), ("negotiate",)),
    "diplomacy.report_incident": Line(
        {"kind": "insult", "injured_id": "ash", "accused_id": "birch", "severity": 0.2}, ("accuse",)
    ),
    "diplomacy.answer_incident": Line({"incident_id": "charge", "answer": "denial"}, ("answer_incident",)),
    "diplomacy.settle_incident": Line({"incident_id": "slight", "forgive": True}, ("answer_incident",)),
    "diplomacy.escalate_incident": Line({"incident_id": "old_slight"}, ("accuse",)),
    "diplomacy.declare_war": Line({"attacker_id": "ash", "defender_id": "elm"}, ("declare_war",)),
    "diplomacy.import_incident": Line(
        {"kind": "insult", "injured_id": "ash", "accused_id": "elm", "severity": 0.5, "since": -5 * DAY}
    ),
    "diplomacy.import_sanction": Line(
        {"target_id": "elm", "kind": "travel_ban", "reason": "Plague.", "members": [{"faction_id": "birch"}]}
    ),
    "diplomacy.import_coalition": Line({"target_id": "elm", "members": [{"faction_id": "ash", "fear": 40}]}),
    "diplomacy.import_war": Line({"attacker_id": "ash", "defender_id": "elm", "since": -5 * DAY}),
    "diplomacy.set_warlike": Line(of(exhaustion=5)),
    "diplomacy.call_to_arms": Line(of(war_id="war", ally_id="elm"), ("declare_war",)),
    "diplomacy.answer_call": Line(of(war_id="their_war", come=False), ("declare_war",)),
    "diplomacy.fight_battle": Line(of(war_id="war", enemy_id="fir"), ("fight",)),
    "diplomacy.make_peace": Line(of(war_id="war", agreed_by="fir_ruler"), ("make_peace",)),
    "diplomacy.impose_sanction": Line(
        of(target_id="birch", kind="embargo", reason="Spite."), ("sanction",)
    ),
    "diplomacy.join_sanction": Line(of(sanction_id="their_sanction"), ("sanction",)),
    "diplomacy.leave_sanction": Line(of(sanction_id="sanction"), ("sanction",)),
    "diplomacy.issue_ultimatum": Line(
        of(target_id="elm", demands=[{"type": "pay", "from_id": "elm", "to_id": "ash", "amount": 5}],
           consequence={"kind": "incident"}),
        ("issue_ultimatum",),
    ),
    "diplomacy.answer_ultimatum": Line({"ultimatum_id": "their_ultimatum", "accept": False}, ("answer_ultimatum",)),
    "diplomacy.withdraw_ultimatum": Line({"ultimatum_id": "ultimatum"}, ("issue_ultimatum",)),
    "diplomacy.form_coalition": Line(of(target_id="oak"), ("sign_treaty",), answers="coalition_stands"),
    "diplomacy.join_coalition": Line(of(coalition_id="coalition"), ("sign_treaty",), answers="in_coalition"),
    "diplomacy.leave_coalition": Line(of(coalition_id="coalition"), ("sign_treaty",)),
    "quests.define_quest": Line({"key": "another", "definition": QUEST}),
    "quests.remove_quest": Line({"key": "errand"}),
    "quests.generate_quest": Line({"template": "parley", "facts": {"from_id": "ash", "with_id": "birch"}}),
    "quests.offer_quest": Line({"key": "errand", "taker_ids": ["broker"]}),
    "quests.reach_objective": Line({"key": "errand", "taker_id": "squire", "objective": "go"}),
    "quests.end_quest": Line({"key": "errand", "taker_id": "squire"}),
    "quests.accept_quest": Line({"key": "errand"}, own="broker"),
    "quests.decline_quest": Line({"key": "errand"}, own="envoy"),
    "quests.abandon_quest": Line({"key": "errand"}, own="squire"),
    "quests.choose_objective": Line({"key": "errand", "objective": "go"}, own="squire"),
}  # fmt: skip


COMMON = {
    "quests.accept_quest": "common_open",
    "quests.decline_quest": "common_offered",
    "quests.abandon_quest": "common_taken",
    "quests.choose_objective": "common_taken",
}
"""Quests of a faction as a whole, on which its members decide in its name."""


# -- the court -----------------------------------------------------------------------------------------------


pytestmark = pytest.mark.uncounted


class Court:
    """A world in which every line works. One player controls all characters of Ash, another those of the others."""

    def __init__(self, server: Server):
        self.server = server
        self.ids: dict[str, UUID] = {}
        self.refused: Refused
        """What `asked` met last."""

    async def open(self) -> "Court":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        self.ours, self.theirs = [await self.member("player") for _ in range(2)]
        self.observer, self.stranger = await self.member("observer"), await self.server.person()
        for name in (*OURS, *THEIRS, "free", "hermit"):
            # Who makes peace speaks for both sides, so Ash's player has the enemy's ruler, too.
            user = self.theirs if name in THEIRS and name != "fir_ruler" else self.ours
            await self.make(name, "characters.create_character", name=name, user_id=str(user.id))
        await self._land()
        await self._papers()
        await self._quarrels()
        return self

    async def _land(self) -> None:
        for place in ("vale", "fens"):
            self.ids[place] = UUID(int=len(self.ids) + 1)
        regions = [{"id": name, "name": name, "resources": {"grain": 50}} for name in ("vale", "fens")]
        await self.give("regions.define_regions", regions=regions)
        members: list[Any] = [{"character_id": name, "role": name} for name in ROLES if name != "ruler"]
        for member in members:
            member["rank"] = "knight" if member["role"] in ("steward", "general") else "page"
        members.append({"character_id": "squire"})
        roles = {name: list(acts) for name, acts in ROLES.items()}
        ash = {"leader_id": "ruler", "members": members, "roles": roles, "ranks": ["lord", "knight", "page"]}
        for name in FACTIONS:
            rulers = {"leader_id": f"{name}_ruler"} if f"{name}_ruler" in THEIRS else {}
            fields = ash if name == ASH else rulers
            await self.make(name, "factions.found_faction", name=name, treasury=900, strength=500, **fields)
        for place, holder in (("vale", ASH), ("fens", OAK)):
            await self.give("regions.set_control", region_id=place, controller_id=holder)
        goods = [{"key": "grain", "name": "Grain", "base_price": 4}]
        await self.give("markets.define_goods", goods=goods)
        await self.make(
            "route", "markets.open_route", faction_id=ASH, from_region="vale", to_region="fens", good="grain",
            per_day=5,
        )  # fmt: skip
        await self.give("markets.buy", faction_id=ASH, region_id="vale", good="grain", units=2)
        made = await self.give("markets.impose_restriction", kind="tariff", rate=0.1)
        self.ids["restriction"] = UUID(str(made["ids"][0]))
        await self.give("quests.define_quest", key="errand", definition=QUEST)
        await self.give("quests.accept_quest", key="errand", character_id="squire")
        await self.give("quests.offer_quest", key="errand", taker_ids=["envoy"])
        for key in ("common_open", "common_offered", "common_taken"):
            await self.give("quests.define_quest", key=key, definition={**QUEST, "takers": "faction"})
        await self.give("quests.offer_quest", key="common_offered", taker_ids=[ASH])
        await self.give("quests.accept_quest", key="common_taken", **of(), character_id="ruler")

    async def _papers(self) -> None:
        """A draft that Birch has signed, treaties in force, and talks in which Birch has made an offer."""
        birch = {"faction_id": BIRCH, "character_id": "birch_ruler"}
        await self.make("draft", "diplomacy.propose_treaty", **TERMS, **birch)
        await self.give("diplomacy.sign_treaty", treaty_id="draft", **birch)
        forever = {**TERMS, "name": "Tolls", "starts_at": -DAY, "duration_days": 900}
        await self.make("treaty", "diplomacy.import_treaty", **forever)
        hidden = {**forever, "name": "Daggers", "secret": True, "parties": [BIRCH, ELM]}
        await self.make("secret", "diplomacy.import_treaty", **hidden)
        await self.make("talks", "diplomacy.open_negotiation", **birch, with_ids=[ASH], kind="trade")
        await self.give("diplomacy.make_offer", **birch, negotiation_id="talks", clauses=[TALK], days=90)
        elm = {"faction_id": ELM, "character_id": "elm_ruler"}
        await self.make(
            "whispers", "diplomacy.open_negotiation", **elm, with_ids=[BIRCH], kind="trade", in_secret=True
        )

    async def _quarrels(self) -> None:
        """Incidents, ultimatums, sanctions, wars, and Oak whom the others fear."""
        for key, injured, accused, evidence in (
            ("slight", ASH, BIRCH, 0.5), ("charge", BIRCH, ASH, 0.5), ("old_slight", ASH, ELM, 1.0),
        ):  # fmt: skip
            await self.make(
                key, "diplomacy.report_incident", kind="insult", injured_id=injured, accused_id=accused,
                severity=0.6, evidence=evidence,
            )  # fmt: skip
        await self.give("diplomacy.answer_incident", incident_id="old_slight", answer="denial")
        pay = [{"type": "pay", "from_id": "birch", "to_id": "ash", "amount": 5}]
        back = [{"type": "pay", "from_id": "ash", "to_id": "birch", "amount": 5}]
        threat: Any = {"consequence": {"kind": "incident"}}
        await self.make(
            "ultimatum", "diplomacy.issue_ultimatum", **of(target_id=BIRCH, demands=pay, **threat)
        )
        await self.make(
            "their_ultimatum", "diplomacy.issue_ultimatum", **of(BIRCH, target_id=ASH, demands=back, **threat)
        )
        embargo = {"kind": "embargo", "good": "grain", "reason": "Spite."}
        await self.make("sanction", "diplomacy.impose_sanction", **of(target_id=ELM, **embargo))
        await self.make("their_sanction", "diplomacy.impose_sanction", **of(BIRCH, target_id=ELM, **embargo))
        await self.make("war", "diplomacy.declare_war", attacker_id=ASH, defender_id=FIR)
        await self.make("their_war", "diplomacy.declare_war", attacker_id=OAK, defender_id=YEW)
        await self.give("diplomacy.declare_war", attacker_id=OAK, defender_id=FIR)
        await self.give("diplomacy.call_to_arms", war_id="their_war", faction_id=YEW, ally_id=ASH)
        for holder in (ASH, BIRCH):
            await self.give(
                "diplomacy.add_opinion",
                holder_id=holder,
                about_id=OAK,
                key="dread",
                amount=-100,
                reason="Wolves.",
            )
            await self.give("diplomacy.set_relation", a_id=holder, b_id=OAK, tension=90)
        await self.make("coalition", "diplomacy.form_coalition", **of(target_id=OAK))
        await self.give("diplomacy.join_coalition", **of(BIRCH, coalition_id="coalition"))

    # -- how it is asked -------------------------------------------------------------------------------------

    async def member(self, role: str) -> Person:
        return await self.server.member(self.world_id, self.owner, role)

    def filled(self, value: Any) -> Any:
        """A payload in which names stand for the ids of the court."""
        if isinstance(value, dict):
            # Roles and names of things are words, not ids.
            words = {"role", "name", "type", "kind", "good", "key", "roles"}
            return {k: v if k in words else self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    def command(self, kind: str, payload: dict[str, Any]) -> Command:
        made = self.server.runtime.engine.commands.get(kind)
        assert made is not None, kind
        return made.model_validate(self.filled(payload))

    async def give(self, kind: str, /, **payload: Any) -> Any:
        return await self.server.do(self.command(kind, payload), self.owner.actor, self.world_id)

    async def make(self, key: str, kind: str, /, **payload: Any) -> None:
        made = await self.give(kind, **payload)
        self.ids[key] = UUID(str(made["id"] if isinstance(made, dict) else made.id))

    async def asked(self, kind: str, actor: Actor, /, **more: Any) -> str:
        """The code by which the line of a command is refused to somebody; empty if it is done. Nothing remains of it.

        After it stands a command that nobody may give: who belongs to nothing cannot leave.
        """
        line = LINES[kind]
        own = {"character_id": line.own} if line.own else {}
        first = self.command(kind, {**line.payload, **own, **more})
        after = Leave(character_id=self.ids["nobody" if actor == self.theirs.actor else "hermit"])
        with pytest.raises(Refused) as error:
            await self.server.do([first, after], actor, self.world_id)  # type: ignore[arg-type]
        self.refused = error.value
        done = (self.refused.facts.get("index"), self.refused.code) == (1, "not_a_member")
        return "" if done else self.refused.code

    async def state(self) -> list[Any]:
        """The head of the log: what is refused leaves it where it is."""
        return await self.server.fetch("SELECT seq FROM world_heads WHERE world_id = $1", self.world_id)


@pytest.fixture(scope="module")
async def court(server: Server) -> Court:
    return await Court(server).open()


def listed(court: Court) -> list[type[Command]]:
    """The commands of these systems."""
    return [c for c in court.server.runtime.engine.commands if c.message_type.split(".")[0] in SYSTEMS]


IN_NAME = {kind: line for kind, line in LINES.items() if line.acts or line.leader}
"""What is done in a faction's name."""
BY_PLAYERS = {kind: line for kind, line in LINES.items() if line.acts or line.leader or line.own}


def agree(found: Mapping[Any, str], expected: Mapping[Any, str]) -> None:
    """Each case was answered as expected; the others are shown, all at once."""
    assert {case: code for case, code in found.items() if code != expected[case]} == {}


async def test_each_command_has_its_line(court: Court) -> None:
    """A line that names acts, an actor or the leader, if its command lets players act as characters."""
    assert {c.message_type for c in listed(court)} == LINES.keys()
    for command in listed(court):
        role = command.allowed.role
        assert role in (Role.PLAYER, Role.GAME_MASTER), command
        as_characters = command.message_type in BY_PLAYERS
        assert as_characters == (role is Role.PLAYER) == ("character_id" in command.allowed.acts_as), command


async def test_who_is_nobody_here_is_refused(court: Court) -> None:
    whose = {
        "not_signed_in": ANONYMOUS, "world_not_found": court.stranger.actor, "role_too_low": court.observer.actor,
    }  # fmt: skip
    before = await court.state()
    cases = {(kind, code): await court.asked(kind, who) for kind in LINES for code, who in whose.items()}
    agree(cases, {case: case[1] for case in cases})
    assert await court.state() == before


async def test_what_game_masters_do_players_do_not(court: Court) -> None:
    before = await court.state()
    masters = LINES.keys() - BY_PLAYERS.keys()
    agree(
        {k: await court.asked(k, court.ours.actor) for k in masters}, dict.fromkeys(masters, "role_too_low")
    )
    agree({k: await court.asked(k, court.owner.actor) for k in masters}, dict.fromkeys(masters, ""))
    assert await court.state() == before


async def test_nobody_acts_as_a_character_of_others(court: Court) -> None:
    asked = {
        k: await court.asked(k, court.theirs.actor, character_id=line.own or "ruler")
        for k, line in BY_PLAYERS.items()
    }
    agree(asked, dict.fromkeys(asked, "not_your_character"))
    both = {"character_id": "ruler", "agreed_by": "elm_ruler"}
    assert await court.asked("diplomacy.make_peace", court.ours.actor, **both) == "not_your_character"


async def test_players_say_as_whom_they_act(court: Court) -> None:
    """Game masters may leave it out."""
    asked = {k: await court.asked(k, court.ours.actor) for k in IN_NAME}
    agree(asked, dict.fromkeys(asked, "name_who_acts"))
    agree(
        {k: await court.asked(k, court.owner.actor) for k in IN_NAME},
        {k: line.answers for k, line in IN_NAME.items()},
    )


async def test_a_role_may_what_it_lists_and_nothing_else(court: Court) -> None:
    before = await court.state()
    found, expected, wrong = {}, {}, []
    for kind, line in IN_NAME.items():
        for name in OURS if line.acts else ():
            may = set(ROLES.get(name, ()))
            allowed = may.issuperset(line.acts)
            found[kind, name] = await court.asked(kind, court.ours.actor, character_id=name)
            expected[kind, name] = line.answers if allowed else "role_may_not"
            facts = court.refused.facts
            if not allowed and (
                facts.get("act") not in set(line.acts) - may
                or facts["roles"] != sorted(role for role, acts in ROLES.items() if facts["act"] in acts)
                or facts["role"] != (name if name in ROLES else None)
            ):
                wrong.append((kind, name, facts))
    agree(found, expected)
    assert wrong == []
    assert await court.state() == before


@pytest.mark.parametrize("who", ["birch_ruler", "elm_ruler", "nobody"])
async def test_nobody_acts_for_a_faction_that_is_not_theirs(court: Court, who: str) -> None:
    """Not even who may do everything in another one, or is the other side of this very matter."""
    before = await court.state()
    asked = {}
    for kind, line in IN_NAME.items():
        more = {"agreed_by": who} if "agreed_by" in line.payload else {}
        asked[kind] = await court.asked(kind, court.theirs.actor, character_id=who, **more)
    agree(asked, dict.fromkeys(asked, "not_a_member"))
    assert await court.state() == before


async def test_who_may_negotiate_decides_on_the_quests_of_its_faction(court: Court) -> None:
    before = await court.state()
    found, expected = {}, {}
    for kind, key in COMMON.items():
        for name in OURS:
            asked = await court.asked(kind, court.ours.actor, **of(key=key, character_id=name))
            found[kind, name] = asked
            expected[kind, name] = "" if "negotiate" in ROLES.get(name, ()) else "role_may_not"
        for name in ("birch_ruler", "nobody"):
            asked = await court.asked(kind, court.theirs.actor, **of(key=key, character_id=name))
            found[kind, name], expected[kind, name] = asked, "not_a_member"
    agree(found, expected)
    assert await court.state() == before


async def test_the_leader_alone_decides_on_the_lead(court: Court) -> None:
    cases = [(kind, name) for kind, line in LINES.items() if line.leader for name in OURS]
    agree(
        {(k, name): await court.asked(k, court.ours.actor, character_id=name) for k, name in cases},
        {case: "" if case[1] == "ruler" else "only_the_leader" for case in cases},
    )


async def test_ranks_bound_who_manages(court: Court) -> None:
    """The steward has the rank of those around it, so it neither sends away nor promotes them; the leader does."""
    for kind, more in (
        ("factions.remove_member", {"member_id": "general"}), ("factions.remove_member", {"member_id": "ruler"}),
        ("factions.set_rank", {"member_id": "squire", "rank": "lord"}), ("factions.add_member", {"rank": "knight"}),
    ):  # fmt: skip
        for name, code in (("steward", "rank_too_low"), ("ruler", "")):
            assert await court.asked(kind, court.ours.actor, **more, character_id=name) == code, (kind, name)


async def test_who_manages_hands_out_no_more_than_it_may_itself(court: Court) -> None:
    for kind, more in (
        ("factions.set_rank", {"role": "general"}), ("factions.add_member", {"role": "general", "rank": "page"}),
        ("factions.set_rank", {"role": "steward"}),
    ):  # fmt: skip
        own = more["role"] == "steward"
        for name, code in (("steward", "" if own else "role_may_not"), ("ruler", "")):
            assert await court.asked(kind, court.ours.actor, **more, character_id=name) == code, (kind, name)
    assert await court.asked("factions.set_rank", court.ours.actor, role="general", character_id="steward")
    assert court.refused.facts["act"] == "declare_war"


async def test_one_acts_for_oneself_as_oneself(court: Court) -> None:
    before = await court.state()
    own = [k for k, line in LINES.items() if line.own]
    agree({k: await court.asked(k, court.ours.actor) for k in own}, dict.fromkeys(own, ""))
    # What the faction has bought is not its ruler's.
    mine = {"faction_id": None, "character_id": "ruler"}
    assert await court.asked("markets.sell", court.ours.actor, **mine) == "not_enough_in_stock"
    assert await court.state() == before


async def test_what_is_secret_is_not_there_for_others(court: Court) -> None:
    """Who is no party of a public matter is told so; of a secret one it learns nothing."""
    elm = {"faction_id": "elm", "character_id": "elm_ruler"}
    found: dict[Any, str] = {}
    expected: dict[Any, str] = {}
    for kind, line in IN_NAME.items():
        for name, secret, public, code in (
            ("treaty_id", "secret", "not_a_party", "treaty_not_found"),
            ("negotiation_id", "whispers", "not_at_the_table", "negotiation_not_found"),
        ):
            if name in line.payload:
                mine = {"character_id": "ruler", name: secret}
                found[kind, secret] = await court.asked(kind, court.ours.actor, **mine)
                found[kind, name] = await court.asked(kind, court.theirs.actor, **elm)
                expected |= {(kind, secret): code, (kind, name): public}
    assert len(found) > 20
    agree(found, expected)


async def test_accepting_needs_the_right_to_negotiate(court: Court) -> None:
    """Who may not sign signs nothing by it: the treaty waits for somebody of the party who may."""
    expected = {"ruler": "", "ambassador": "", "broker": "", "envoy": "role_may_not"}
    yes = {"accept": True}
    asked = {
        name: await court.asked("diplomacy.answer_offer", court.ours.actor, character_id=name, **yes)
        for name in expected
    }
    agree(asked, expected)


async def test_a_faction_that_is_no_more_does_nothing(court: Court) -> None:
    """Whatever it began; not even by the word of a game master."""
    end = court.command("factions.dissolve_faction", {"faction_id": ASH})
    found = {}
    for kind, line in IN_NAME.items():
        with pytest.raises(Refused) as error:
            await court.server.do([end, court.command(kind, line.payload)], court.owner.actor, court.world_id)  # type: ignore[arg-type]
        found[kind] = (error.value.facts["index"], error.value.code)
    assert {k: v for k, v in found.items() if v != (1, "faction_dissolved")} == {}


async def test_the_court_was_left_in_order(court: Court) -> None:
    assert [found for found in await court.server.findings() if str(court.world_id) in found] == []
