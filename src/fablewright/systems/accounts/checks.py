"""The invariants of accounts, for `doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "accounts.one_usable_token_per_session",
        "SELECT NULL::uuid AS world_id, 'session ' || s.id || ' has ' || count(t.hash) || ' tokens' AS text "
        "FROM sessions s LEFT JOIN refresh_tokens t ON t.session_id = s.id AND t.used_at IS NULL "
        "GROUP BY s.id HAVING count(t.hash) <> 1",
    ),
    Check(
        "accounts.session_ends_with_its_token",
        "SELECT NULL::uuid AS world_id, 'session ' || s.id || ' ends apart from its token' AS text "
        "FROM sessions s JOIN refresh_tokens t ON t.session_id = s.id AND t.used_at IS NULL "
        "WHERE t.expires_at <> s.expires_at",
    ),
    Check(
        "accounts.no_session_outlives_its_user",
        "SELECT NULL::uuid AS world_id, 'session ' || s.id || ' belongs to nobody' AS text "
        "FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = s.user_id)",
    ),
    Check(
        "accounts.locked_for_a_reason",
        "SELECT NULL::uuid AS world_id, 'user ' || id || ' is locked without a wrong password' AS text "
        "FROM users WHERE locked_until IS NOT NULL AND failed_logins = 0",
    ),
)
"""`world_id` is always null: accounts stand outside worlds."""
