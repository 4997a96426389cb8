"""Invariants of the ledger, for `fablewright doctor` and for a world's integrity report."""

from typing import Final

from fablewright.core.system import Check
from fablewright.systems.ledger.book import MINT, SINK

WORLDS: Final = f"('{MINT}'::uuid, '{SINK}'::uuid)"

# One pass over the transfers, which need not be grouped by account for this.
SUMS: Final = f"""
SELECT world_id, currency, coalesce(sum(balance), 0) AS accounts, coalesce(sum(held), 0) AS held,
       coalesce(sum(mint), 0) AS mint, coalesce(sum(sink), 0) AS sink, coalesce(sum(owners), 0) AS owners,
       coalesce(sum(lines), 0) AS lines
FROM (
    SELECT world_id, currency, sum(balance) AS balance, sum(held) AS held, NULL::numeric AS mint,
           NULL::numeric AS sink, count(*) AS owners, NULL::bigint AS lines
    FROM ledger_accounts WHERE {{accounts}} GROUP BY world_id, currency
    UNION ALL
    SELECT world_id, currency, NULL, NULL,
           sum(CASE '{MINT}'::uuid WHEN credit THEN amount WHEN debit THEN -amount END),
           sum(CASE '{SINK}'::uuid WHEN credit THEN amount WHEN debit THEN -amount END), NULL, count(*)
    FROM ledger_transfers WHERE {{transfers}} GROUP BY world_id, currency
) parts GROUP BY world_id, currency ORDER BY currency
"""  # noqa: S608  fixed texts only
ZERO: Final = f"""
SELECT world_id, 'the sum of all ' || currency || ' is ' || accounts + mint + sink || ', not zero'
FROM ({SUMS}) sums WHERE accounts + mint + sink <> 0
"""  # noqa: S608  fixed texts only
# Each transfer is seen from both of its accounts.
BALANCES: Final = f"""
SELECT world_id, 'account ' || owner_id || ' of ' || currency || ' has a balance of ' || coalesce(a.balance, 0)
       || ', its transfers make ' || coalesce(m.delta, 0)
FROM (
    SELECT t.world_id, v.owner_id, t.currency, sum(v.delta) AS delta
    FROM ledger_transfers t
    CROSS JOIN LATERAL (VALUES (t.debit, -t.amount), (t.credit, t.amount)) AS v (owner_id, delta)
    WHERE {{transfers}} AND v.owner_id NOT IN {WORLDS}
    GROUP BY t.world_id, v.owner_id, t.currency
) m
FULL JOIN (SELECT * FROM ledger_accounts WHERE {{accounts}}) a USING (world_id, owner_id, currency)
WHERE coalesce(a.balance, 0) <> coalesce(m.delta, 0)
"""  # noqa: S608  fixed texts only
STATEMENTS: Final = """
SELECT a.world_id, 'account ' || a.owner_id || ' of ' || a.currency || ' has a balance of ' || a.balance
       || ', its newest transfer left ' || coalesce(n.after::text, 'nothing')
FROM ledger_accounts a LEFT JOIN LATERAL (
    SELECT after FROM (
        (SELECT number, debit_after AS after FROM ledger_transfers t
         WHERE t.world_id = a.world_id AND t.debit = a.owner_id AND t.currency = a.currency
         ORDER BY number DESC LIMIT 1)
        UNION ALL
        (SELECT number, credit_after FROM ledger_transfers t
         WHERE t.world_id = a.world_id AND t.credit = a.owner_id AND t.currency = a.currency
         ORDER BY number DESC LIMIT 1)
    ) newest ORDER BY number DESC LIMIT 1
) n ON true
WHERE {accounts} AND a.balance <> coalesce(n.after, 0)
"""
HELD: Final = f"""
SELECT world_id, 'account ' || owner_id || ' of ' || currency || ' holds ' || coalesce(a.held, 0)
       || ', its open holds reserve ' || coalesce(h.amount, 0)
FROM (SELECT world_id, debit AS owner_id, currency, sum(amount) AS amount FROM ledger_holds
      WHERE {{holds}} AND state = 'open' AND debit NOT IN {WORLDS} GROUP BY 1, 2, 3) h
FULL JOIN (SELECT * FROM ledger_accounts WHERE {{accounts}} AND held > 0) a USING (world_id, owner_id, currency)
WHERE coalesce(a.held, 0) <> coalesce(h.amount, 0)
"""  # noqa: S608  fixed texts only
POSTED: Final = """
SELECT world_id, 'hold ' || id || ' is ' || coalesce(h.state, 'not there') || ' with ' || coalesce(h.posted, 0)
       || ' posted, ' || coalesce(t.many, 0) || ' transfers of it make ' || coalesce(t.amount, 0)
FROM (SELECT * FROM ledger_holds WHERE {holds}) h
FULL JOIN (
    SELECT world_id, hold_id AS id, count(*) AS many, sum(amount) AS amount FROM ledger_transfers
    WHERE {transfers} AND hold_id IS NOT NULL GROUP BY 1, 2) t USING (world_id, id)
WHERE coalesce(h.posted, 0) <> coalesce(t.amount, 0) OR coalesce(t.many, 0) > 1
"""
MIRRORED: Final = """
SELECT r.world_id, 'transfer ' || r.id || ' does not take back what ' || r.reverses || ' moved'
FROM (SELECT * FROM ledger_transfers WHERE {transfers} AND reverses IS NOT NULL) r
LEFT JOIN ledger_transfers t ON t.world_id = r.world_id AND t.id = r.reverses
WHERE t.id IS NULL OR (t.debit, t.credit, t.currency, t.amount) <> (r.credit, r.debit, r.currency, r.amount)
"""
TIMED: Final = """
SELECT h.world_id, 'hold ' || h.id || ' is ' || h.state || ', and ' || count(t.id) || ' timers will end it'
FROM ledger_holds h
LEFT JOIN timers t ON t.world_id = h.world_id AND t.kind = 'ledger.hold_expires' AND t.due_at = h.expires_at
     AND t.data ->> 'hold_id' = h.id::text
WHERE {holds} AND h.expires_at IS NOT NULL
GROUP BY h.world_id, h.id, h.state
HAVING count(t.id) <> (h.state = 'open')::int
"""
LOGGED: Final = """
SELECT t.world_id, 'transfer ' || t.id || ' is of event ' || t.event_id || ', which the log does not have'
FROM ledger_transfers t
LEFT JOIN events e ON e.world_id = t.world_id AND e.id = t.event_id
WHERE {transfers} AND e.id IS NULL
"""

FAULTS: Final = (
    ("ledger.every_balance_equals_its_transfers", BALANCES),
    ("ledger.every_statement_ends_at_its_balance", STATEMENTS),
    ("ledger.what_is_held_is_what_open_holds_reserve", HELD),
    ("ledger.every_hold_equals_its_transfer", POSTED),
    ("ledger.every_reversal_mirrors_its_transfer", MIRRORED),
)
"""What an integrity report looks for, besides the sums: a name, and SQL with conditions to fill in."""


def of_world(sql: str) -> str:
    """The statement for the world `$1`."""
    return sql.format(transfers="world_id = $1", accounts="world_id = $1", holds="world_id = $1")


def of_all(sql: str) -> str:
    """The statement for all worlds."""
    return sql.format(transfers="true", accounts="true", holds="true")


CHECKS = tuple(
    Check(name, of_all(sql))
    for name, sql in (
        *FAULTS,
        ("ledger.every_sum_is_zero", ZERO),
        ("ledger.every_hold_that_expires_has_its_timer", TIMED),
        ("ledger.every_transfer_is_in_the_log", LOGGED),
    )
)
