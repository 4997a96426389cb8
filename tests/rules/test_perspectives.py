"""How factions see each other at the table: by tables, without a database."""

from uuid import UUID

import pytest

from fablewright.systems.diplomacy import perspectives, stakes
from fablewright.systems.diplomacy.relations import Book, Relation, ordered
from fablewright.systems.factions.rules import Faction, Holding, power

ASH, OAK = UUID(int=1), UUID(int=2)
FEN = Holding(UUID(int=21), "Fen", goods=4.0, population=1_000, stability=1.0)


@pytest.mark.parametrize(
    ("amount", "known"), [(0, 0), (7, 7), (10, 10), (19, 10), (999, 900), (1_234, 1_000), (-5, 0)]
)
def test_others_know_a_sum_by_its_first_digit(amount: int, known: int) -> None:
    assert stakes.roughly(amount) == known


def test_a_treasury_moves_no_share_of_power() -> None:
    poor, rich, oak = (power(i, 100.0, [FEN], money) for i, money in ((ASH, 0), (ASH, 10**6), (OAK, 50)))
    shares = [perspectives.share({ASH: ash, OAK: oak}, ASH, OAK) for ash in (poor, rich)]
    assert shares[0] == shares[1] == pytest.approx(0.5)
    assert perspectives.share({}, ASH, OAK) == 0.5
    stronger = power(ASH, 300.0, [FEN], 0)
    assert perspectives.share({ASH: stronger, OAK: oak}, ASH, OAK) > 0.5


def test_wealth_is_what_one_has_and_ten_months() -> None:
    assert stakes.wealth(0, 0.0) == 100
    assert stakes.wealth(500, power(ASH, 0.0, [FEN], 0).economic) == 500 + 10 * 30 * 4


@pytest.mark.parametrize(
    ("status", "tension", "treasury", "more"),
    [
        ("neutral", 0.0, 1_000, {"security": 0.0, "peace": 0.2, "aid": 0.2}),
        ("neutral", 80.0, 1_000, {"security": 0.8}),
        ("war", 0.0, 1_000, {"security": 0.5, "peace": 0.7, "aid": 0.8}),
        ("neutral", 0.0, 0, {"money": 1.0}),
        ("neutral", 0.0, 50, {"money": 0.5}),
    ],
)
def test_what_one_needs(status: str, tension: float, treasury: int, more: dict[str, float]) -> None:
    relation = Relation(tension, status=status)  # type: ignore[arg-type]
    found = perspectives.needs(
        Faction(ASH, "Ash"), [OAK], Book(0, {ordered(ASH, OAK): relation}, {}, {}), {}, treasury
    )
    assert {name: found[name] for name in more} == pytest.approx(more)
    assert all(0 <= value <= 1 for value in found.values())
