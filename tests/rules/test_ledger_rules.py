"""The book of the ledger: what it plans, what it refuses, and that it never lies."""

from collections.abc import Callable, Iterator
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fablewright.core.refusal import Refused
from fablewright.systems.ledger.book import (
    MINT,
    SINK,
    AccountState,
    Book,
    Currency,
    HoldState,
    TransferState,
)
from fablewright.systems.ledger.rules import MOST_AMOUNT

ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))
GOLD = "gold"
Asks = tuple[tuple[str, Callable[[], object]], ...]
CURRENCIES = {"gold": Currency("gold", "Gold"), "gems": Currency("gems", "Gems", 100)}


def ids() -> Callable[[], UUID]:
    numbers: Iterator[int] = count(1_000)
    return lambda: UUID(int=next(numbers))


def book(
    *accounts: AccountState, earlier: tuple[TransferState, ...] = (), holds: tuple[HoldState, ...] = (),
    missing: tuple[tuple[UUID, str], ...] = (), now: int = 50,
) -> Book:  # fmt: skip
    given_ = accounts or (AccountState(ADA, GOLD, 100), AccountState(BEN, GOLD, 5))
    return Book(given_, CURRENCIES, new_id=ids(), now=now, earlier=earlier, holds=holds, missing=missing)


def balances(b: Book, currency: str = GOLD) -> dict[UUID, tuple[int, int]]:
    return {owner: (a.balance, a.held) for (owner, c), a in b.accounts.items() if c == currency}


def state(b: Book) -> object:
    """All that planning may change."""
    return (
        dict(b.accounts), dict(b.planned), dict(b.holds), dict(b.new_holds), dict(b.closed_holds),
        dict(b.earlier), dict(b.earlier_holds),
    )  # fmt: skip


# -- transfers -----------------------------------------------------------------------------------------------


def test_a_transfer_moves_a_sum_and_says_what_it_leaves() -> None:
    b = book()
    made = b.transfer(ADA, BEN, GOLD, 30, kind="gift", reason="thanks", reference="r1")
    assert balances(b) == {ADA: (70, 0), BEN: (35, 0)}
    assert made == TransferState(
        UUID(int=1_000), GOLD, ADA, BEN, 30, "gift", "thanks", "r1", None, None, 70, 35, 50
    )
    assert list(b.planned.values()) == [made]
    assert made.owners == [ADA, BEN]


def test_mint_and_sink_have_no_balance() -> None:
    b = book()
    minted = b.transfer(MINT, ADA, GOLD, 7, kind="award", reason="")
    spent = b.transfer(BEN, SINK, GOLD, 5, kind="spend", reason="")
    assert (minted.debit_after, minted.credit_after) == (None, 107)
    assert (spent.debit_after, spent.credit_after) == (0, None)
    assert balances(b) == {ADA: (107, 0), BEN: (0, 0)}
    assert (minted.owners, spent.owners) == ([ADA], [BEN])


def test_a_missing_account_is_made_when_it_is_touched() -> None:
    b = book(missing=((CYN, GOLD), (CYN, "gems"), (MINT, GOLD)))
    assert CYN not in balances(b)
    with pytest.raises(Refused, match="insufficient_funds"):
        b.transfer(CYN, ADA, GOLD, 1, kind="gift", reason="")
    assert CYN not in balances(b)
    b.transfer(ADA, CYN, GOLD, 1, kind="gift", reason="")
    assert balances(b)[CYN] == (1, 0)
    assert (CYN, "gems") not in b.accounts


@pytest.mark.parametrize(
    ("code", "debit", "credit", "currency", "amount", "facts"),
    [
        ("same_account", ADA, ADA, GOLD, 1, {}),
        ("same_account", MINT, MINT, GOLD, 1, {}),
        ("currency_not_found", ADA, BEN, "silver", 1, {"currency": "silver"}),
        ("account_not_found", ADA, CYN, GOLD, 1, {"owner_id": str(CYN), "currency": GOLD}),
        ("account_not_found", CYN, ADA, GOLD, 1, {"owner_id": str(CYN)}),
        ("account_not_found", ADA, BEN, "gems", 1, {"currency": "gems"}),
        ("insufficient_funds", BEN, ADA, GOLD, 6, {"available": 5, "needed": 6}),
        ("balance_limit", MINT, BEN, GOLD, MOST_AMOUNT, {"max_balance": MOST_AMOUNT, "balance": 5}),
    ],
)
def test_what_a_transfer_is_refused(
    code: str, debit: UUID, credit: UUID, currency: str, amount: int, facts: dict[str, object]
) -> None:
    b = book()
    before = state(b)
    with pytest.raises(Refused) as error:
        b.transfer(debit, credit, currency, amount, kind="gift", reason="")
    assert error.value.code == code
    assert error.value.facts.items() >= facts.items()
    assert state(b) == before


def test_the_limit_of_an_account_goes_before_that_of_its_currency() -> None:
    b = book(
        AccountState(ADA, "gems"),
        AccountState(BEN, "gems", max_balance=150),
        AccountState(CYN, "gems", 9, 0, 0),
    )
    for owner, most in ((ADA, 100), (BEN, 150)):
        b.transfer(MINT, owner, "gems", most, kind="award", reason="")
        with pytest.raises(Refused) as error:
            b.transfer(MINT, owner, "gems", 1, kind="award", reason="")
        assert (error.value.code, error.value.facts["max_balance"]) == ("balance_limit", most)
    with pytest.raises(Refused, match="balance_limit"):
        b.transfer(MINT, CYN, "gems", 1, kind="award", reason="")
    assert b.transfer(CYN, SINK, "gems", 9, kind="spend", reason="").debit_after == 0


# -- references ----------------------------------------------------------------------------------------------


def test_the_same_terms_find_the_earlier_transfer() -> None:
    b = book()
    first = b.transfer(ADA, BEN, GOLD, 30, kind="gift", reason="thanks", reference="r1")
    again = b.transfer(ADA, BEN, GOLD, 30, kind="gift", reason="other words", reference="r1")
    assert (again.id, again.replayed, again.reason) == (first.id, True, "thanks")
    later = book(earlier=(first,)).transfer(ADA, BEN, GOLD, 30, kind="gift", reason="", reference="r1")
    assert (later.id, later.replayed) == (first.id, True)
    assert balances(b) == {ADA: (70, 0), BEN: (35, 0)}
    assert len(b.planned) == 1
    b.told(again, UUID(int=7))
    assert b.event_ids == {}


@pytest.mark.parametrize(
    ("debit", "credit", "amount", "kind"),
    [(ADA, BEN, 31, "gift"), (BEN, ADA, 30, "gift"), (ADA, SINK, 30, "gift"), (ADA, BEN, 30, "fee")],
)
def test_other_terms_are_refused(debit: UUID, credit: UUID, amount: int, kind: str) -> None:
    b = book()
    first = b.transfer(ADA, BEN, GOLD, 30, kind="gift", reason="", reference="r1")
    before = state(b)
    with pytest.raises(Refused) as error:
        b.transfer(debit, credit, GOLD, amount, kind=kind, reason="", reference="r1")
    assert (error.value.code, error.value.facts["transfer_id"]) == ("reference_reused", str(first.id))
    assert state(b) == before


def test_transfers_and_holds_share_their_references() -> None:
    b = book()
    b.transfer(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="t")
    held = b.hold(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="h")
    with pytest.raises(Refused, match="reference_reused"):
        b.hold(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="t")
    with pytest.raises(Refused, match="reference_reused"):
        b.transfer(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="h")
    with pytest.raises(Refused, match="reference_reused"):
        b.hold(ADA, BEN, GOLD, 2, kind="gift", reason="", reference="h")
    again = b.hold(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="h")
    assert (again.id, again.replayed) == (held.id, True)
    posted = b.post(held)
    assert posted.reference == "h"
    assert b.transfer(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="h").id == posted.id
    assert b.hold(ADA, BEN, GOLD, 1, kind="gift", reason="", reference="h").state == "posted"


def test_when_a_hold_expires_is_none_of_its_terms() -> None:
    """Who asks again, "in an hour" anew, means the same hold."""
    b = book()
    first = b.hold(ADA, BEN, GOLD, 1, kind="bid", reason="", reference="h", expires_at=60)
    b.now = 55
    for expires_at in (65, None, 40):
        again = b.hold(ADA, BEN, GOLD, 1, kind="bid", reason="", reference="h", expires_at=expires_at)
        assert (again.id, again.replayed, again.expires_at) == (first.id, True, 60)


def test_a_hold_is_posted_without_a_reference_that_another_transfer_got() -> None:
    other = book().transfer(BEN, SINK, GOLD, 1, kind="fee", reason="", reference="h")
    held = book().hold(ADA, BEN, GOLD, 10, kind="bid", reason="", reference="h")
    b = book(AccountState(ADA, GOLD, 100, 10), AccountState(BEN, GOLD, 5), earlier=(other,), holds=(held,))
    assert b.post(held).reference is None
    assert b.earlier["h"].id == other.id
    assert book(AccountState(ADA, GOLD, 100, 10), AccountState(BEN, GOLD, 5)).post(held).reference == "h"


# -- holds ---------------------------------------------------------------------------------------------------


def test_a_hold_reserves_and_is_posted_in_part() -> None:
    b = book()
    held = b.hold(ADA, BEN, GOLD, 60, kind="bid", reason="the blue vase")
    assert balances(b) == {ADA: (100, 60), BEN: (5, 0)}
    assert b.accounts[ADA, GOLD].available == 40
    with pytest.raises(Refused) as error:
        b.transfer(ADA, BEN, GOLD, 41, kind="gift", reason="")
    assert error.value.facts["available"] == 40
    made = b.post(held, 25)
    assert balances(b) == {ADA: (75, 0), BEN: (30, 0)}
    assert (made.amount, made.hold_id, made.kind, made.reason) == (25, held.id, "bid", "the blue vase")
    closed = b.holds[held.id]
    assert (closed.state, closed.posted, closed.closed_at) == ("posted", 25, 50)


def test_a_hold_of_everything_is_posted_whole() -> None:
    b = book()
    made = b.post(b.hold(ADA, BEN, GOLD, 100, kind="bid", reason=""))
    assert (made.amount, balances(b)) == (100, {ADA: (0, 0), BEN: (105, 0)})


@pytest.mark.parametrize(("expired", "name"), [(False, "released"), (True, "expired")])
def test_a_released_hold_gives_everything_back(expired: bool, name: str) -> None:
    b = book()
    held = b.hold(ADA, SINK, GOLD, 60, kind="bid", reason="", expires_at=51)
    b.now = 51 if expired else 50
    assert b.release(held, expired=expired).state == name
    assert balances(b)[ADA] == (100, 0)
    tries: list[Callable[[], object]] = [lambda: b.release(held), lambda: b.post(held)]
    for again in tries:
        with pytest.raises(Refused) as error:
            again()
        assert (error.value.code, error.value.facts["state"]) == ("hold_not_open", name)


def test_a_hold_of_the_mint_reserves_nothing_and_waits() -> None:
    b = book(missing=((CYN, GOLD),))
    held = b.hold(MINT, CYN, GOLD, 60, kind="award", reason="")
    assert balances(b) == {ADA: (100, 0), BEN: (5, 0), CYN: (0, 0)}
    assert b.post(held).credit_after == 60
    other = b.hold(MINT, CYN, GOLD, 60, kind="award", reason="")
    b.release(other)
    assert balances(b)[CYN] == (60, 0)


def test_what_holds_are_refused() -> None:
    b = book(AccountState(ADA, GOLD, 100, 90), AccountState(BEN, GOLD, 5, 0, 10))
    before = state(b)
    asks: Asks = (
        ("insufficient_funds", lambda: b.hold(ADA, BEN, GOLD, 11, kind="bid", reason="")),
        ("account_not_found", lambda: b.hold(ADA, CYN, GOLD, 1, kind="bid", reason="")),
        ("same_account", lambda: b.hold(ADA, ADA, GOLD, 1, kind="bid", reason="")),
        ("currency_not_found", lambda: b.hold(ADA, BEN, "silver", 1, kind="bid", reason="")),
        ("expires_in_the_past", lambda: b.hold(ADA, BEN, GOLD, 1, kind="bid", reason="", expires_at=50)),
    )
    for code, ask in asks:
        with pytest.raises(Refused, match=code):
            ask()
        assert state(b) == before
    held = b.hold(ADA, BEN, GOLD, 10, kind="bid", reason="", expires_at=51)
    before = state(b)
    asks = (("amount_too_large", lambda: b.post(held, 11)), ("balance_limit", lambda: b.post(held)))
    for code, ask in asks:
        with pytest.raises(Refused, match=code):
            ask()
        assert state(b) == before
    b.now = 51  # before its timer fires
    tries: list[Callable[[], object]] = [lambda: b.post(held, 1), lambda: b.release(held)]
    for ask in tries:
        with pytest.raises(Refused) as error:
            ask()
        assert (error.value.code, error.value.facts["state"]) == ("hold_not_open", "expired")


# -- reversals, accounts, limits -----------------------------------------------------------------------------


def test_a_reversal_names_what_it_takes_back() -> None:
    b = book()
    made = b.transfer(ADA, BEN, GOLD, 30, kind="gift", reason="")
    back = b.reverse(made, reason="by mistake")
    assert (back.debit, back.credit, back.amount, back.kind, back.reverses) == (
        BEN,
        ADA,
        30,
        "reversal",
        made.id,
    )
    assert balances(b) == {ADA: (100, 0), BEN: (5, 0)}


def test_what_is_spent_cannot_be_taken_back() -> None:
    b = book()
    made = b.transfer(MINT, BEN, GOLD, 10, kind="award", reason="")
    b.transfer(BEN, SINK, GOLD, 6, kind="spend", reason="")
    with pytest.raises(Refused, match="insufficient_funds"):
        b.reverse(made, reason="by mistake")


def test_accounts_are_opened_and_limited() -> None:
    b = book()
    assert b.open(CYN, GOLD, 9) == AccountState(CYN, GOLD, 0, 0, 9)
    assert b.limit(ADA, GOLD, 50).balance == 100  # what it has, it keeps
    with pytest.raises(Refused, match="balance_limit"):
        b.transfer(BEN, ADA, GOLD, 1, kind="gift", reason="")
    b.limit(ADA, GOLD, None)
    b.transfer(BEN, ADA, GOLD, 1, kind="gift", reason="")
    asks: Asks = (
        ("account_exists", lambda: b.open(CYN, GOLD)),
        ("world_account", lambda: b.open(MINT, GOLD)),
        ("world_account", lambda: b.limit(SINK, GOLD, 1)),
        ("currency_not_found", lambda: b.open(CYN, "silver")),
        ("account_not_found", lambda: b.limit(CYN, "gems", 1)),
    )
    for code, ask in asks:
        with pytest.raises(Refused, match=code):
            ask()


# -- linked --------------------------------------------------------------------------------------------------


def test_linked_plans_are_undone_together() -> None:
    b = book(missing=((CYN, GOLD),))
    held = b.hold(ADA, BEN, GOLD, 10, kind="bid", reason="")
    before = state(b)
    with pytest.raises(Refused, match="insufficient_funds"), b.atomic():
        b.transfer(ADA, CYN, GOLD, 20, kind="gift", reason="", reference="r")
        with b.atomic():
            b.post(held, 5)
            b.hold(BEN, CYN, GOLD, 2, kind="bid", reason="", reference="h")
        b.limit(ADA, GOLD, 1)
        b.transfer(ADA, BEN, GOLD, 1_000, kind="gift", reason="")
    assert state(b) == before


def test_an_inner_plan_is_undone_alone() -> None:
    b = book()
    with b.atomic():
        b.transfer(ADA, BEN, GOLD, 1, kind="gift", reason="")
        with pytest.raises(Refused), b.atomic():
            b.transfer(ADA, BEN, GOLD, 2, kind="gift", reason="")
            b.transfer(ADA, BEN, GOLD, 1_000, kind="gift", reason="")
    assert balances(b) == {ADA: (99, 0), BEN: (6, 0)}
    assert len(b.planned) == 1


OWNERS = st.sampled_from([ADA, BEN, CYN, MINT, SINK])
AMOUNTS = st.integers(1, 120)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("transfer"), OWNERS, OWNERS, AMOUNTS),
        st.tuples(st.just("hold"), OWNERS, OWNERS, AMOUNTS),
        st.tuples(st.just("post"), st.integers(0, 5), AMOUNTS),
        st.tuples(st.just("release"), st.integers(0, 5)),
        st.tuples(st.just("reverse"), st.integers(0, 5)),
    ),
    max_size=25,
)


def step(b: Book, what: tuple[object, ...]) -> None:
    """One step of a story; `Refused` changes nothing."""
    holds, made = list(b.holds.values()), list(b.planned.values())
    match what:
        case ("transfer", UUID() as debit, UUID() as credit, int(amount)):
            b.transfer(debit, credit, GOLD, amount, kind="gift", reason="")
        case ("hold", UUID() as debit, UUID() as credit, int(amount)):
            b.hold(debit, credit, GOLD, amount, kind="bid", reason="")
        case ("post", int(n), int(amount)) if n < len(holds):
            b.post(holds[n], amount)
        case ("release", int(n)) if n < len(holds):
            b.release(holds[n])
        case ("reverse", int(n)) if n < len(made):
            b.reverse(made[n], reason="")


def agrees(b: Book) -> None:
    """Every account equals its transfers, is not negative, and holds what its open holds reserve."""
    start = {ADA: 100, BEN: 5, CYN: 0}
    for owner, (balance, held) in balances(b).items():
        moved = sum(
            (t.credit == owner) * t.amount - (t.debit == owner) * t.amount for t in b.planned.values()
        )
        reserved = sum(h.amount for h in b.holds.values() if h.state == "open" and h.debit == owner)
        assert balance == start[owner] + moved
        assert 0 <= held == reserved <= balance
    world = sum(
        (t.debit in (MINT, SINK)) * t.amount - (t.credit in (MINT, SINK)) * t.amount
        for t in b.planned.values()
    )
    assert sum(balance for balance, _ in balances(b).values()) == 105 + world
    for hold in b.holds.values():
        posted = sum(t.amount for t in b.planned.values() if t.hold_id == hold.id)
        assert posted == hold.posted <= hold.amount
        assert (hold.state == "posted") == (hold.posted > 0)


@given(STEPS)
@settings(max_examples=150)
def test_no_story_makes_it_lie(story: list[tuple[object, ...]]) -> None:
    b = book(AccountState(ADA, GOLD, 100), AccountState(BEN, GOLD, 5, 0, 130), missing=((CYN, GOLD),))
    for what in story:
        before = state(b)
        try:
            step(b, what)
        except Refused:
            assert state(b) == before
        agrees(b)


@given(STEPS, STEPS)
@settings(max_examples=60)
def test_what_is_undone_leaves_no_trace(
    story: list[tuple[object, ...]], undone: list[tuple[object, ...]]
) -> None:
    b = book(missing=((CYN, GOLD),))

    def tell(steps: list[tuple[object, ...]]) -> None:
        for what in steps:
            try:
                step(b, what)
            except Refused:
                continue

    tell(story)
    before = state(b)
    with pytest.raises(ZeroDivisionError), b.atomic():
        tell(undone)
        raise ZeroDivisionError
    assert state(b) == before
