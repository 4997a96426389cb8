"""What the ledger refuses, and the small rules around it. The arithmetic itself is in `book`."""

from typing import Final
from uuid import UUID

from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal, Refused

MOST_AMOUNT: Final = 2**53
"""The largest sum of one transfer, and the most an account can hold: what a JSON number keeps exactly."""
MOST_CURRENCIES: Final = 100
"""Currencies of a world."""
POINTS: Final = "points"
"""The currency that every world has, also if nobody has defined it."""

INSUFFICIENT_FUNDS = Refusal(
    "insufficient_funds", CONFLICT,
    "The account has less available than is needed. Take less, or wait until held sums are released.",
)  # fmt: skip
BALANCE_LIMIT = Refusal(
    "balance_limit", CONFLICT,
    "The account would hold more than its limit allows. Give less, or raise the limit.",
)  # fmt: skip
ACCOUNT_NOT_FOUND = Refusal(
    "account_not_found", NOT_FOUND, "The owner has no account of this currency. Open one first."
)
ACCOUNT_EXISTS = Refusal(
    "account_exists", CONFLICT, "The owner has an account of this currency already. Use it, or change its limit."
)  # fmt: skip
CURRENCY_NOT_FOUND = Refusal(
    "currency_not_found", NOT_FOUND, "This world has no such currency. Define it first, or choose another."
)
TOO_MANY_CURRENCIES = Refusal(
    "too_many_currencies", CONFLICT, "The world has as many currencies as it can have. Change one of them instead."
)  # fmt: skip
SAME_ACCOUNT = Refusal(
    "same_account", INVALID, "A sum goes from one account to another. Name two different ones."
)
WORLD_ACCOUNT = Refusal(
    "world_account", INVALID,
    "Mint and sink are the world's own: they need no account and have no limit. Name another owner.",
)  # fmt: skip
HOLD_NOT_FOUND = Refusal("hold_not_found", NOT_FOUND, "There is no such hold. List the holds of the account.")
HOLD_NOT_OPEN = Refusal(
    "hold_not_open", CONFLICT, "The hold was posted or released, or has expired. Make a new one."
)
AMOUNT_TOO_LARGE = Refusal(
    "amount_too_large", INVALID, "No more can be posted than the hold reserves. Post less, or leave the amount out."
)  # fmt: skip
EXPIRES_IN_THE_PAST = Refusal(
    "expires_in_the_past", INVALID, "A hold must expire after the world's now. Choose a later world time."
)
REFERENCE_REUSED = Refusal(
    "reference_reused", CONFLICT,
    "This reference belongs to something with other terms. Send the same terms again, or use a new reference.",
)  # fmt: skip
TRANSFER_NOT_FOUND = Refusal(
    "transfer_not_found", NOT_FOUND, "There is no such transfer. Take its id from a statement."
)
ALREADY_REVERSED = Refusal(
    "already_reversed", CONFLICT, "Another transfer has reversed this one. Nothing is left to do."
)
KEPT_BY_ANOTHER_SYSTEM = Refusal(
    "kept_by_another_system", CONFLICT,
    "Another system made this and counts on it. Use that system's commands, so that it knows: `system` names it. "
    "What points gave is reversed, and what waits there is reviewed, through points.",
)  # fmt: skip
ACCOUNT_IS_PRIVATE = Refusal(
    "account_is_private", FORBIDDEN,
    "Accounts are shown to game masters and to who controls their owner. Ask one of these.",
)  # fmt: skip


def check_own(kind: str) -> None:
    """Refuses `kept_by_another_system` for a kind with a dot: what stands before it is the system that keeps it."""
    system, dot, _ = kind.partition(".")
    if dot:
        raise KEPT_BY_ANOTHER_SYSTEM(
            f"It is of the kind {kind!r}, which {system} keeps.", kind=kind, system=system
        )


# -- payments that players order -----------------------------------------------------------------------------


def kept_reference(who: UUID, sent: str | None) -> str | None:
    """How the ledger keeps the reference that a player's payment out of the account of `who` was sent with.

    What one player calls a payment thus cannot be in the way of another's, nor of what the game itself pays.
    """
    return None if sent is None else f"{who}:{sent}"


def sent_reference(who: UUID, kept: str | None) -> str | None:
    """With which reference a payment out of the account of `who` was sent, that the ledger keeps under this one."""
    return None if kept is None else kept.removeprefix(f"{who}:")


def for_payer(refused: Refused, reference: str | None, *, knows_all: bool) -> Refused:
    """A refusal as it is told to who pays: with the reference that was sent, and what the other side has only to who
    knows all accounts."""
    facts = refused.facts
    if refused.refusal is REFERENCE_REUSED:
        said = f"Another payment has the reference {reference!r}."
        return Refused(REFERENCE_REUSED, said, facts | {"reference": reference})
    if refused.refusal is BALANCE_LIMIT and not knows_all:
        return Refused(BALANCE_LIMIT, None, {name: facts[name] for name in ("owner_id", "currency")})
    return refused
