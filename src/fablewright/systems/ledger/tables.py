"""What is stored of the ledger."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from fablewright.core.tables import WORLD, Base


class Currency(Base):
    """What a world counts in whole numbers: points, gold, …"""

    __tablename__ = "currencies"
    __table_args__ = (
        CheckConstraint("code ~ '^[a-z][a-z0-9_]{0,29}$'", name="code_form"),
        CheckConstraint("max_balance > 0", name="max_balance_positive"),
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    max_balance: Mapped[int | None]


class LedgerAccount(Base):
    """What an owner (a character, a faction, …) has of a currency.

    `held` is the part of `balance` that open holds reserve. The world's own accounts, mint and sink, have no row:
    a balance there would be a hot row, and it follows from the others. Pages have room, so that updates stay on
    their page.
    """

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        CheckConstraint("balance >= 0", name="balance_not_negative"),
        CheckConstraint("held BETWEEN 0 AND balance", name="held_range"),
        CheckConstraint("max_balance >= 0", name="max_balance_range"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(server_default=text("0"))
    held: Mapped[int] = mapped_column(server_default=text("0"))
    max_balance: Mapped[int | None]


class LedgerTransfer(Base):
    """A sum that went from one account to another. Rows are only ever added: a trigger refuses to change them.

    `debit` and `credit` are owners; `debit_after` and `credit_after` the balances that this transfer left (null
    for mint and sink). `number` puts the transfers of an account in their order. Like events, they have no foreign
    key to `worlds`: it would take a lock per row.
    """

    __tablename__ = "ledger_transfers"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        Index("ix_ledger_transfers_debit", "world_id", "debit", "currency", "number"),
        Index("ix_ledger_transfers_credit", "world_id", "credit", "currency", "number"),
        Index(
            "ix_ledger_transfers_reference", "world_id", "reference", unique=True,
            postgresql_where=text("reference IS NOT NULL"),
        ),
        Index(
            "ix_ledger_transfers_reverses", "world_id", "reverses", unique=True,
            postgresql_where=text("reverses IS NOT NULL"),
        ),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    currency: Mapped[str]
    debit: Mapped[UUID]
    credit: Mapped[UUID]
    amount: Mapped[int]
    kind: Mapped[str]
    reason: Mapped[str]
    reference: Mapped[str | None]
    at: Mapped[int]
    event_id: Mapped[UUID]
    reverses: Mapped[UUID | None]
    hold_id: Mapped[UUID | None]
    debit_after: Mapped[int | None]
    credit_after: Mapped[int | None]


class LedgerHold(Base):
    """A sum reserved on the account of `debit`, to be posted (in whole or in part) to `credit`, or released."""

    __tablename__ = "ledger_holds"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("posted BETWEEN 0 AND amount", name="posted_range"),
        CheckConstraint("state IN ('open', 'posted', 'released', 'expired')", name="state_known"),
        CheckConstraint("(state = 'posted') = (posted > 0)", name="posted_has_amount"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="open_until_closed"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        UniqueConstraint("world_id", "reference"),
        Index("ix_ledger_holds_debit", "world_id", "debit", "id"),
        Index("ix_ledger_holds_credit", "world_id", "credit", "id"),
        Index("ix_ledger_holds_open", "world_id", "id", postgresql_where=text("state = 'open'")),
    )  # fmt: skip

    world_id: Mapped[UUID] = mapped_column(ForeignKey(WORLD, ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str]
    debit: Mapped[UUID]
    credit: Mapped[UUID]
    amount: Mapped[int]
    kind: Mapped[str]
    reason: Mapped[str]
    reference: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="open")
    posted: Mapped[int] = mapped_column(server_default=text("0"))
    at: Mapped[int]
    expires_at: Mapped[int | None]
    closed_at: Mapped[int | None]
    event_id: Mapped[UUID]
