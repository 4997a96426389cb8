"""How events are read as acts: who did what to whom, and who did nothing."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.systems.diplomacy.clauses import Act
from fablewright.systems.diplomacy.treaty_acts import READERS, Known

ASH, ELM, OAK = (UUID(int=n) for n in range(1, 4))
IDA, SPY = UUID(int=11), UUID(int=12)
HILL, DALE = UUID(int=21), UUID(int=22)
MILL, FORD, GREEN, MOOR = (UUID(int=n) for n in range(31, 35))

KNOWN = Known({IDA: {ASH}}, {HILL: ASH, DALE: ELM}, {MILL: HILL, FORD: DALE, GREEN: DALE})


def walk(place: UUID, start: UUID, who: UUID = IDA) -> tuple[str, dict[str, Any]]:
    return "regions.arrived", {"character_id": str(who), "place_id": str(place), "from_id": str(start)}


def put(place: UUID | None, to: UUID | None = None) -> tuple[str, dict[str, Any]]:
    placed = {"character_id": str(IDA), "place_id": place and str(place), "to_id": to and str(to)}
    return "regions.characters_placed", {"placements": [placed]}


def route(owner: UUID | None) -> tuple[str, dict[str, Any]]:
    ends = {"from_region": str(HILL), "to_region": str(DALE), "good": "salt"}
    return "markets.route_opened", {"owner_id": owner and str(owner), **ends}


def deal(owner: UUID, region: UUID) -> tuple[str, dict[str, Any]]:
    return "markets.bought", {"owner_id": str(owner), "region_id": str(region), "good": "salt"}


@pytest.mark.parametrize(
    ("event", "acts"),
    [
        (walk(FORD, MILL), [Act("came", IDA, DALE), Act("entered", ASH, DALE)]),
        (walk(FORD, MILL, SPY), [Act("came", SPY, DALE)]),
        (walk(FORD, MOOR), [Act("came", IDA, DALE), Act("entered", ASH, DALE)]),
        (walk(FORD, GREEN), []),
        (walk(MOOR, FORD), []),
        (put(FORD), [Act("came", IDA, DALE)]),
        (put(FORD, to=MILL), []),
        (put(MOOR), []),
        (put(None), []),
        (route(ASH), [Act("traded", ASH, ELM, good="salt")]),
        (route(OAK), [Act("traded", OAK, ASH, good="salt"), Act("traded", OAK, ELM, good="salt")]),
        (route(None), []),
        (deal(ELM, HILL), [Act("traded", ELM, ASH, good="salt")]),
        (deal(ASH, HILL), []),
        (deal(ASH, UUID(int=29)), []),
    ],
)
def test_an_act_is_that_of_who_did_it(event: tuple[str, dict[str, Any]], acts: list[Act]) -> None:
    kind, data = event
    assert READERS[kind](data, KNOWN) == acts
