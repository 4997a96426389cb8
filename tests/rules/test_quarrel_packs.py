"""Quarrels in packs: what cannot have been is named with file, line and field."""

from pathlib import Path
from typing import Any

import pytest

from fablewright.app import BUILT_IN
from fablewright.core.refusal import Refused
from fablewright.packs.reader import Pack, read_pack
from fablewright.packs.syntax import dump
from fablewright.systems.director.why import sentence

NOW = 1_000
PACK: dict[str, Any] = {
    "world": {"name": "Fordwick", "begins_at": NOW},
    "factions": {"factions": {name: {"name": name} for name in ("ash", "birch", "cedar")}},
}
LEAGUE: dict[str, Any] = {
    "target": "ash",
    "since": 100,
    "members": {"birch": {"fear": 30.0, "since": 200}, "cedar": {}},
}

SLIGHT: dict[str, Any] = {
    "kind": "insult",
    "injured": "ash",
    "accused": "birch",
    "severity": 0.5,
    "since": 100,
}

TARIFF: dict[str, Any] = {
    "target": "ash", "kind": "tariff", "rate": 0.2, "reason": "Tolls.", "since": 100, "members": {"birch": {}},
}  # fmt: skip

NOW_SLIGHT: dict[str, Any] = {k: v for k, v in SLIGHT.items() if k != "since"}
NOW_FREEZE: dict[str, Any] = {
    "target": "ash",
    "kind": "asset_freeze",
    "reason": "Debts.",
    "members": {"birch": {}},
}
"""As it is left out, they began now: what happened in them did not happen before."""


def read(folder: Path, **files: Any) -> Pack:
    for name, content in {**PACK, **files}.items():
        (folder / f"{name}.yaml").write_text(dump(content))
    return read_pack(folder, BUILT_IN)


@pytest.mark.parametrize(
    ("section", "entry", "where", "says"),
    [
        ("incidents", {**SLIGHT, "accused": "ash"}, "accused", "nobody holds itself responsible"),
        ("incidents", {**SLIGHT, "accused": "oak"}, "accused", "names none of the factions"),
        ("incidents", {**SLIGHT, "region": "moor"}, "region", "names none of the regions"),
        ("incidents", {**SLIGHT, "follows": "that"}, "follows", "names none of the incidents"),
        ("incidents", {**SLIGHT, "state": "answered"}, "state", "say in `answer` how"),
        ("incidents", {**SLIGHT, "state": "open", "answer": "denial"}, "state", "it is `answered`, or over"),
        ("incidents", {**SLIGHT, "closed_at": 900}, "closed_at", "says since when, and nothing else"),
        ("incidents", {**SLIGHT, "since": NOW + 1}, "since", "that is to come"),
        ("incidents", {**SLIGHT, "changed_at": 99}, "changed_at", "before it began, which was at 100"),
        ("incidents", {**SLIGHT, "state": "faded", "closed_at": NOW + 1}, "closed_at", "that is to come"),
        ("incidents", {**SLIGHT, "follows": "it"}, "follows", "it answers another incident"),
        ("incidents", {**NOW_SLIGHT, "state": "settled", "closed_at": 500}, "closed_at", "which was at 1000"),
        ("incidents", {**NOW_SLIGHT, "changed_at": 500}, "changed_at", "which was at 1000"),
        ("incidents", {**SLIGHT, "rung": "murder"}, "rung", "it must be 'friction'"),
        ("coalitions", {**LEAGUE, "since": NOW + 1, "members": {"cedar": {}}}, "since", "that is to come: it is 1000"),
        ("coalitions", {**LEAGUE, "members": {}}, "members", "at least 1 item"),
        ("coalitions", {**LEAGUE, "members": {"oak": {}}}, "members.oak", "names none of the factions"),
        ("coalitions", {**LEAGUE, "members": {"ash": {}}}, "members.ash", "nobody stands against itself"),
        ("coalitions", {**LEAGUE, "members": {"cedar": {"since": 99}}}, "members.cedar.since", "before it began"),
        ("coalitions", {**LEAGUE, "members": {"cedar": {"since": NOW + 1}}}, "members.cedar.since", "is to come"),
        ("coalitions", {"target": "ash", "members": {"cedar": {"since": 500}}}, "members.cedar.since", "was at 1000"),
        ("sanctions", {**NOW_FREEZE, "members": {"cedar": {"since": 500}}}, "members.cedar.since", "was at 1000"),
        ("sanctions", {**NOW_FREEZE, "currency": "gold"}, "currency", "say in `frozen` how much"),
        ("sanctions", {**NOW_FREEZE, "currency": "gold", "frozen": 0}, "currency", "say in `frozen` how much"),
        ("sanctions", {**TARIFF, "currency": "gold"}, "currency", "say in `frozen` how much"),
        ("sanctions", {**TARIFF, "rate": 0.0}, "rate", "a tariff has a rate above 0"),
        ("sanctions", {**TARIFF, "kind": "embargo"}, "rate", "and nothing else has one"),
        ("sanctions", {**TARIFF, "kind": "travel_ban", "rate": 0.0, "good": "salt"}, "good", "only an embargo or"),
        ("sanctions", {**TARIFF, "frozen": 9}, "frozen", "only a freeze of assets"),
        ("sanctions", {**TARIFF, "until_at": NOW}, "until_at", "it is over: it is 1000"),
        ("sanctions", {**TARIFF, "since": NOW + 1}, "since", "that is to come"),
        ("sanctions", {**TARIFF, "members": {"ash": {}}}, "members.ash", "nobody stands against itself"),
        ("sanctions", {**TARIFF, "members": {"birch": {"since": 99}}}, "members.birch.since", "before it began"),
        ("sanctions", {**TARIFF, "lift_when": [{"kind": "incident_settled"}]}, "lift_when[1]", "name the incident"),
        ("sanctions", {**TARIFF, "lift_when": [{"kind": "tension_below"}]}, "lift_when[1]", "no tension is below 0"),
        ("sanctions", {**TARIFF, "incident": "that"}, "incident", "names none of the incidents"),
        ("sanctions", {**TARIFF, "coalition": "that"}, "coalition", "names none of the coalitions"),
        ("coalitions", {**LEAGUE, "foe": "ash"}, "foe", "there is no field of this name"),
    ],
)  # fmt: skip
def test_what_cannot_have_been_is_named_with_its_place(
    tmp_path: Path, section: str, entry: dict[str, Any], where: str, says: str
) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, **{section: {section: {"it": entry}}})
    (fault,) = refused.value.facts["faults"]
    assert (fault["file"], fault["field"]) == (f"{section}.yaml", f"{section}.it.{where}")
    assert says in fault["message"]
    line = (tmp_path / f"{section}.yaml").read_text().splitlines()[fault["line"] - 1]
    assert where.rpartition(".")[2].removesuffix("[1]").replace("lift_when", "kind") in line


def test_one_coalition_stands_against_a_faction(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'one' stands against it already"):
        read(tmp_path, coalitions={"coalitions": {"one": LEAGUE, "two": LEAGUE}})


def test_a_sanction_is_about_its_target(tmp_path: Path) -> None:
    theirs: dict[str, Any] = {
        "incidents": {"incidents": {"slight": SLIGHT}}, "coalitions": {"coalitions": {"league": LEAGUE}},
    }  # fmt: skip
    read(tmp_path, **theirs, sanctions={"sanctions": {"it": {**TARIFF, "coalition": "league"}}})
    wrong = {**TARIFF, "target": "cedar", "coalition": "league", "incident": "slight"}
    with pytest.raises(Refused) as refused:
        read(tmp_path, **theirs, sanctions={"sanctions": {"it": wrong}})
    told = {fault["field"]: fault["message"] for fault in refused.value.facts["faults"]}
    assert "it stands against 'ash'" in told["sanctions.it.coalition"]
    assert "it is one of 'birch'" in told["sanctions.it.incident"]


def test_keys_of_digits_are_keys(tmp_path: Path) -> None:
    """What is wrong with the faction `2` is not told of the second of the members."""
    members = {"3": {}, "2": {"since": 5}}
    factions = {"factions": {name: {"name": name} for name in ("1", "2", "3")}}
    league = {"target": "1", "since": 100, "members": members}
    with pytest.raises(Refused) as refused:
        read(tmp_path, factions=factions, coalitions={"coalitions": {"it": league}})
    (fault,) = refused.value.facts["faults"]
    assert fault["field"] == "coalitions.it.members.2.since"
    assert "since: 5" in (tmp_path / "coalitions.yaml").read_text().splitlines()[fault["line"] - 1]


@pytest.mark.parametrize(("state", "held"), [("open", "held"), ("answered", "held"), ("faded", "had held")])
def test_an_incident_that_is_brought_in_is_told_as_what_was(state: str, held: str) -> None:
    data = {"injured_id": "a", "accused_id": "b", "kind": "border_clash", "state": state, "description": ""}
    told = sentence("diplomacy.incident_imported", data, {"a": "Ash", "b": "Birch"})
    assert told == f"Ash {held} Birch responsible (border clash)."
