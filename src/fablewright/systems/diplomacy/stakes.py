"""What a clause gives to whom, and what such a thing is worth. Pure.

`evaluator` weighs offers by it: each clause is read as *stakes*. All coefficients are our own, tuned for play.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from fablewright.systems.diplomacy.clauses import (
    AnyClause,
    Defend,
    HandOver,
    KeepOut,
    NoAttack,
    NoTrade,
    OpenBorders,
    Pay,
    ShareInformation,
    SupportInWar,
)

NEEDS: Final = ("money", "security", "peace", "trade", "knowledge", "land", "aid")
"""What a faction can be short of."""
MOST_OF_A_KIND: Final = 2.0
"""Of things of one kind that somebody promises (to keep out of a region, to hand somebody over), together no more
counts, unless `WORTH` says less: a list of promises is not worth more the longer it is."""


class Stake(NamedTuple):
    """Something that `giver` gives to `taker` (None: to all the others but who it is `against`) by a clause: how much
    of it. `subject` is the character or region that it is about. Whom it is against pays for it, too."""

    kind: str
    giver: UUID
    taker: UUID | None
    size: float = 1.0
    subject: UUID | None = None
    promise: bool = True
    """Whether one must trust in it; what happens at the signing is none."""
    what: str | None = None
    """Of money: in which currency. Of trade: in which good (None: in all)."""
    against: UUID | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """What a kind of stake is worth: to who gets it and to who gives it (points), the need that it meets, how traits
    of the giver (`costs`) and of the taker (`gains`) move it, around 0.5, whether the power of the other side does,
    and how much of it counts together (`most`)."""

    gain: float
    cost: float
    need: str
    costs: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)
    by_power: bool = False
    most: float = MOST_OF_A_KIND


WORTH: Final[Mapping[str, Worth]] = {
    "pay": Worth(100.0, 100.0, "money", {"mercantile": 0.3}, {"mercantile": 0.3}),
    "keep_out": Worth(8.0, 7.0, "security", {"aggressive": 0.8}, {"isolationist": 0.4}, by_power=True),
    "no_trade": Worth(6.0, 9.0, "trade", {"mercantile": 0.8}, {}, most=1.0),
    "defend": Worth(16.0, 13.0, "security", {"isolationist": 0.8, "aggressive": -0.4}, {}, by_power=True),
    "hand_over": Worth(14.0, 18.0, "knowledge", {"honourable": 0.6}, {"aggressive": 0.4}),
    "share_information": Worth(5.0, 4.0, "knowledge", {"isolationist": 0.6}, {}),
    "open_borders": Worth(6.0, 5.0, "trade", {"isolationist": 1.0}, {"mercantile": 0.6}),
    "no_attack": Worth(11.0, 6.0, "peace", {"aggressive": 1.2}, {"aggressive": -0.6}, by_power=True),
    "support_in_war": Worth(18.0, 15.0, "aid", {"isolationist": 0.8, "aggressive": -0.6}, {}, by_power=True),
}
"""By kind of stake. Money is per share of one's wealth; what cannot be weighed (custom text) is not listed."""
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "pay": ("money we get", "money we pay"),
    "keep_out": ("their troops stay out", "our troops stay out"),
    "no_trade": ("trade they give up", "trade we give up"),
    "defend": ("they defend us", "we defend them"),
    "hand_over": ("someone is handed over to us", "we hand someone over"),
    "share_information": ("what they tell us", "what we tell them"),
    "open_borders": ("their borders are open to us", "our borders are open to them"),
    "no_attack": ("they do not attack us", "we do not attack them"),
    "support_in_war": ("their help in war", "our help in war"),
}
"""In words: what the taker gets and what the giver gives."""
CUT_OFF: Final = "trade they cut us off from"
"""In words: what is given to others against us."""


def roughly(amount: int) -> int:
    """A sum as others know it: its first digit, and zeros."""
    digit = 10 ** (len(str(amount)) - 1) if amount > 0 else 1
    return max(0, amount // digit * digit)


def wealth(treasury: float, month: float) -> float:
    """What 100 points are worth in money: what one has, and ten times what one gets in a month."""
    return max(100.0, treasury + 10.0 * month)


def need_of_money(treasury: float, month: float) -> float:
    """How short of money one is, 0..1, who has so much and gets so much in a month."""
    return 1.0 / (1.0 + treasury / max(50.0, month))


def stakes(clause: AnyClause, days: int) -> tuple[Stake, ...]:
    """What a clause of a treaty of so many days gives to whom; nothing for what cannot be weighed."""
    found: tuple[Stake, ...] = ()
    match clause:
        case Pay():
            often = clause.every_days
            paid = float(clause.amount * (1 if often is None else max(1, days // often)))
            found = (
                Stake("pay", clause.from_id, clause.to_id, paid, None, often is not None, clause.currency),
            )
        case KeepOut():
            found = (Stake("keep_out", clause.faction_id, clause.for_id, 1.0, clause.region_id),)
        case NoTrade():
            size = 1.0 if clause.good is None else 0.5
            found = (
                Stake("no_trade", clause.faction_id, None, size, None, True, clause.good, clause.with_id),
            )
        case Defend():
            found = (Stake("defend", clause.protector_id, clause.protected_id),)
        case HandOver():
            found = (Stake("hand_over", clause.faction_id, clause.to_id, 1.0, clause.character_id),)
        case ShareInformation() | OpenBorders():
            found = (Stake(clause.type, clause.faction_id, clause.to_id),)
        case NoAttack():
            a, b = clause.a_id, clause.b_id
            found = (Stake("no_attack", a, b), Stake("no_attack", b, a))
        case SupportInWar():
            size = 1.0 if clause.against_id is None else 0.7
            found = (Stake("support_in_war", clause.faction_id, clause.ally_id, size),)
        case _:
            pass  # words, which bind only by honour
    return found
