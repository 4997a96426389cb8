"""Wars in packs: what cannot have been, or contradicts the rest of the pack, is named with file, line and field."""

from pathlib import Path
from typing import Any

import pytest

from fablewright.app import BUILT_IN
from fablewright.core.refusal import Refused
from fablewright.packs.reader import Pack, read_pack
from fablewright.packs.syntax import dump
from fablewright.systems.diplomacy.history_commands import ImportWar, SetWarlike

NOW = 1_000
PACK: dict[str, Any] = {
    "world": {"name": "Fordwick", "begins_at": NOW},
    "regions": {"regions": {name: {"name": name} for name in ("gate", "hill", "isle")}},
    "factions": {
        "factions": {name: {"name": name} for name in ("birch", "cedar", "fir")}
        | {"ash": {"name": "ash", "holds": ["gate"], "warlike": {"aggression": 12.5}}}
    },
    "relations": {"relations": [{"from": "birch", "to": "ash", "status": "war"}]},
    "incidents": {
        "incidents": {"theft": {"kind": "spying", "injured": "birch", "accused": "ash", "severity": 0.5}}
    },
    "treaties": {"treaties": {"pact": {"name": "Pact", "parties": ["ash", "birch"], "secret": True}}},
}
WAR: dict[str, Any] = {
    "attacker": "ash",
    "defender": "birch",
    "since": 100,
    "parties": {
        "ash": {"losses": 20.0},
        "cedar": {"side": "defender", "since": 200},
        "fir": {"side": "attacker", "state": "called", "called_by": "ash"},
    },
    "occupations": [{"region": "gate", "holder": "birch", "occupier": "ash", "since": 300}],
}
OVER: dict[str, Any] = {"ended_at": 900, "occupations": [], "parties": {}}
TAKEN: dict[str, Any] = WAR["occupations"][0]


def read(folder: Path, **wars: dict[str, Any]) -> Pack:
    for name, content in {**PACK, "wars": {"wars": wars}}.items():
        (folder / f"{name}.yaml").write_text(dump(content))
    return read_pack(folder, BUILT_IN)


def party(**fields: Any) -> dict[str, Any]:
    return {"parties": {"cedar": {"side": "defender", **fields}}}


def taken(**fields: Any) -> dict[str, Any]:
    return {"occupations": [{**TAKEN, **fields}]}


def test_what_is_left_out_follows_from_the_rest(tmp_path: Path) -> None:
    pack = read(tmp_path, feud={"attacker": "ash", "defender": "birch"})
    (war,) = [c for c in pack.commands if isinstance(c, ImportWar)]
    assert (war.begun(NOW), war.cause, [(p.side, p.state) for p in war.told_parties()]) == (
        NOW, "decree", [("attacker", "fighting"), ("defender", "fighting")],
    )  # fmt: skip
    pack = read(tmp_path, feud={**WAR, **party(state="called")})
    (war,) = [c for c in pack.commands if isinstance(c, ImportWar)]
    assert war.told_parties()[-1].called_by_id == war.defender_id, "who leads waits for the answer"
    assert [c.aggression for c in pack.commands if isinstance(c, SetWarlike)] == [12.5]


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        ({"defender": "ash", "parties": {}, "occupations": []}, "defender", "it leads both sides"),
        ({"defender": "cedar", "parties": {}, "occupations": []}, "defender", "the relations these two are not at war"),
        ({"since": NOW + 1, "parties": {}, "occupations": []}, "since", "that is to come: it is 1000"),
        ({"legitimacy_parts": [{"what": "cause", "amount": 0.4}]}, "legitimacy_parts", "0.4 instead of 0.5"),
        ({"incident": "spying"}, "incident", "names none of the incidents"),
        ({"incident": "theft"}, "incident", "its cause is another"),
        ({"incident": "theft", "cause": "incident"}, "incident", "the attacker is not injured in it"),
        ({**OVER, "treaty": "pact"}, "treaty", "it is secret"),
        ({"treaty": "pact"}, "treaty", "the war is not over"),
        ({"outcome": "attacker"}, "outcome", "the war is not over"),
        ({"score": 9.0}, "score", "the war is not over"),
        ({"winner": "ash"}, "winner", "there is no field of this name"),
        ({**OVER, "ended_at": NOW + 1}, "ended_at", "that is to come"),
        ({**OVER, "ended_at": 99}, "ended_at", "that is before it began, which was at 100"),
        ({**OVER, "score": 9.0, "score_parts": [{"what": "battles", "amount": 8.0}]}, "score_parts", "8 instead of 9"),
        ({**OVER, **party(state="called")}, "parties.cedar.state", "the war is over"),
        ({**OVER, "occupations": [TAKEN]}, "occupations[1]", "the war is over: say when this was"),
        ({**OVER, "occupations": [{**TAKEN, "until": 901}]}, "occupations[1].until", "after its end, which was at 900"),
        ({"parties": {"cedar": {}}}, "parties.cedar", "say on which side it is"),
        ({"parties": {"birch": {"side": "attacker"}}}, "parties.birch.side", "it leads the defenders"),
        ({"parties": {"birch": {"state": "refused"}}}, "parties.birch.state", "who leads a side fights to the end"),
        ({"parties": {"oak": {"side": "attacker"}}}, "parties.oak", "names none of the factions"),
        (party(called_by="oak"), "parties.cedar.called_by", "names none of the factions"),
        (party(called_by="cedar"), "parties.cedar.called_by", "that does not fight on its side"),
        (party(state="called", called_by="ash"), "parties.cedar.called_by", "that does not fight on its side"),
        (party(state="out"), "parties.cedar", "who is out says when it left"),
        (party(left_at=400), "parties.cedar.left_at", "who is out says when it left, and nobody else"),
        (party(since=99), "parties.cedar.since", "that is before it began"),
        (party(since=NOW + 1), "parties.cedar.since", "that is to come"),
        (party(state="out", since=300, left_at=299), "parties.cedar.left_at", "that is before it began"),
        (taken(occupier="fir"), "occupations[1].occupier", "it does not fight in this war"),
        (taken(occupier="cedar"), "occupations[1].occupier", "'ash' holds it, by the factions"),
        (taken(holder="ash"), "occupations[1].occupier", "nobody takes what it holds by right"),
        (taken(since=99), "occupations[1].since", "that is before it began"),
        (taken(region="moor"), "occupations[1].region", "names none of the regions"),
        ({"occupations": [TAKEN, TAKEN]}, "occupations[2].region", "it is occupied already"),
    ],
)  # fmt: skip
def test_what_cannot_have_been_is_named_with_its_place(
    tmp_path: Path, fields: dict[str, Any], where: str, says: str
) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, feud={**WAR, **fields})
    faults = refused.value.facts["faults"]
    fault = next(f for f in faults if says in f["message"])
    assert (fault["file"], fault["field"]) == ("wars.yaml", f"wars.feud.{where}"), faults
    name = where.rpartition(".")[2]
    line = (tmp_path / "wars.yaml").read_text().splitlines()[fault["line"] - 1]
    assert ("region" if "[" in name else name) in line


def test_wars_do_not_contradict_each_other(tmp_path: Path) -> None:
    """The same two lead one war against each other, and a region is occupied in one; what is over is no matter."""
    read(tmp_path, feud=WAR, old={**WAR, **OVER})
    with pytest.raises(Refused) as refused:
        read(
            tmp_path,
            feud=WAR,
            grudge={**WAR, "attacker": "birch", "defender": "ash", **party(side="attacker")},
        )
    told = {f["field"]: f["message"] for f in refused.value.facts["faults"]}
    assert "fight each other in 'feud' already" in told["wars.grudge.defender"]
    assert "occupied in 'feud' already" in told["wars.grudge.occupations[1].region"]
