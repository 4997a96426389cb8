"""Ledger: what everybody has of what a world counts, and how it came to them.

Nouns: *currency* (points, gold, …; whole numbers), *account* (an owner's balance of a currency), *transfer* (a sum that
went from a debit to a credit account, for good), *mint* and *sink* (the world's own accounts, from which sums come and
to which they go), *hold* (a sum reserved, to be posted or released), *reference* (a word by which a repeat is known),
*reversal* (the transfer that takes another one back).

Invariants:

- of each currency, the sum over all accounts, mint and sink is zero;
- every balance equals its transfers and is not negative, and what is held of it is what its open holds reserve;
- a transfer is never changed nor deleted, and reversed once at most;
- a hold is open, or was posted by exactly one transfer, or released, or has expired.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.ledger import service
from fablewright.systems.ledger.checks import CHECKS
from fablewright.systems.ledger.commands import (
    DefineCurrency,
    Hold,
    LimitAccount,
    OpenAccount,
    PostHold,
    ReleaseHold,
    ReverseTransfer,
    Transfer,
    TransferLinked,
)
from fablewright.systems.ledger.events import (
    AccountLimited,
    AccountOpened,
    CurrencyDefined,
    Held,
    HoldPosted,
    HoldReleased,
    Reversed,
    Transferred,
)
from fablewright.systems.ledger.pack import PACK
from fablewright.systems.ledger.router import router
from fablewright.systems.ledger.timers import EXPIRY

system = System(
    name="ledger",
    handlers=(
        Handler(DefineCurrency, one=service.define_currency),
        Handler(OpenAccount, one=service.open_account),
        Handler(LimitAccount, one=service.limit_account),
        Handler(Transfer, many=service.transfer),
        Handler(TransferLinked, one=service.transfer_linked),
        Handler(Hold, one=service.hold),
        Handler(PostHold, one=service.post_hold),
        Handler(ReleaseHold, one=service.release_hold),
        Handler(ReverseTransfer, one=service.reverse_transfer),
    ),
    events=(
        CurrencyDefined, AccountOpened, AccountLimited, Transferred, Held, HoldPosted, HoldReleased, Reversed,
    ),
    timers=(EXPIRY,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)  # fmt: skip
