"""Mishaps: incidents between neighbours that nobody had in mind, such as a quarrel about a toll. Pure.

They give peaceful worlds something to answer; how it goes on is up to the factions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fablewright.core.dice import Dice
from fablewright.systems.director.realms import Land, Stage

CHANCE: Final = 0.008
"""Of a mishap between two neighbours, in 30 world days."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """What happened between two neighbours; one holds the other responsible."""

    kind: str
    injured_id: UUID
    accused_id: UUID
    severity: float
    evidence: float
    region_id: UUID | None
    text: str


def mishaps(stage: Stage, dice: Dice, days: float) -> Iterator[Mishap]:
    """What goes wrong in so many days between neighbours that run themselves and are not at war."""
    pairs = sorted({(min(a, b), max(a, b)) for a, near in stage.borders.items() for b in near})
    for a, b in pairs:
        if not dice.chance(min(0.5, CHANCE * days / 30.0)):
            continue
        one, other = (a, b) if dice.chance(0.5) else (b, a)
        both = stage.realms.get(one), stage.realms.get(other)
        bond = stage.bond(one, other)
        if (
            None in both
            or not all(r is not None and r.self_run for r in both)
            or bond.status in ("war", "allied")
        ):
            continue
        yield _mishap(stage, dice, one, other)


def _mishap(stage: Stage, dice: Dice, injured: UUID, accused: UUID) -> Mishap:
    bond, them = stage.bond(injured, accused), stage.realms[accused]
    lands = sorted(
        (land for land in stage.held.get(injured, ()) if _touches(stage, land, accused)),
        key=lambda land: land.id,
    )
    land = dice.choice(lands) if lands else None
    where = land.name if land else "the border"
    kinds = {
        "trade_dispute": 3.0, "border_clash": 1.0 + bond.tension / 20.0, "insult": 1.0 + max(0.0, -bond.opinion) / 40.0,
        "refugee_crisis": 3.0 * min(1, them.wars), "assassination": 0.6 * (bond.status == "hostile"),
    }  # fmt: skip
    kind = dice.weighted(list(kinds), list(kinds.values()))
    texts = {
        "trade_dispute": f"Merchants of {them.name} and of {where} came to blows about tolls.",
        "border_clash": f"Herdsmen of {them.name} and watchmen of {where} fought over a pasture.",
        "insult": f"A song that mocks the people of {where} is sung all over {them.name}.",
        "refugee_crisis": f"Hungry people from {them.name} crowd {where}.",
        "assassination": f"A magistrate of {where} was found dead, with coins of {them.name} in the room.",
    }
    return Mishap(
        kind, injured, accused, round(dice.uniform(0.2, 0.9), 2), round(dice.uniform(0.3, 1.0), 2),
        land.id if land else None, texts[kind],
    )  # fmt: skip


def _touches(stage: Stage, land: Land, other: UUID) -> bool:
    return any(stage.lands[i].holder_id == other for i in land.neighbours if i in stage.lands)
