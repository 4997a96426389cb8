"""What may be done to a world, its clock and its members. Pure."""

from fablewright.core.actors import Role
from fablewright.core.clock import DAY, WorldClock
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal

MAX_ADVANCE_MS = 3_650 * DAY

ADVANCE_BACKWARDS = Refusal(
    "advance_backwards", INVALID, "A world can only be advanced to a later time. Choose a time after now."
)
ADVANCE_TOO_FAR = Refusal(
    "advance_too_far", INVALID, "A world can be advanced by 3,650 days at a time. Take several steps."
)
NOT_ADVANCING = Refusal(
    "not_advancing", CONFLICT, "The world is not being advanced, so there is nothing to stop."
)
ADVANCE_NOT_FOUND = Refusal("advance_not_found", NOT_FOUND, "There is no such advance in this world.")
MEMBER_NOT_FOUND = Refusal("member_not_found", NOT_FOUND, "This account is not a member of the world.")
USER_NOT_FOUND = Refusal(
    "user_not_found", NOT_FOUND, "There is no account with this id. Its owner finds it under /account."
)
LAST_OWNER = Refusal(
    "last_owner", CONFLICT, "A world needs an owner. Make someone else the owner first, or delete it."
)
ROLE_ABOVE_YOURS = Refusal(
    "role_above_yours", FORBIDDEN, "You can give and take only roles below your own; an owner can give any."
)
WORLD_ID_TAKEN = Refusal(
    "world_id_taken", CONFLICT, "There is a world with this id already. Leave the id out."
)


def advance_target(now: int, *, by_ms: int | None, to_ms: int | None) -> int:
    """Where an advance goes. Refuses `advance_backwards`, `advance_too_far`."""
    target = to_ms if to_ms is not None else now + (by_ms or 0)
    if target <= now:
        raise ADVANCE_BACKWARDS(f"It is {now} in the world; {target} is not later.", now=now)
    if target - now > MAX_ADVANCE_MS:
        raise ADVANCE_TOO_FAR(max_ms=MAX_ADVANCE_MS)
    return target


def check_role_change(mine: Role | None, theirs: Role | None, wanted: Role | None, *, owners: int) -> None:
    """Whether someone with the role `mine` may turn `theirs` into `wanted` (None: not a member).

    `owners` is how many owners the world has. The server itself has no role and may do all.
    Refuses `role_above_yours`, `last_owner`.
    """
    if mine is not None and mine < Role.OWNER and any(r is not None and r >= mine for r in (theirs, wanted)):
        raise ROLE_ABOVE_YOURS()
    if theirs is Role.OWNER and wanted is not Role.OWNER and owners <= 1:
        raise LAST_OWNER()


def new_clock(
    clock: WorldClock, now: int, real_ms: int, *, rate: float | None, paused: bool | None
) -> WorldClock:
    """The clock that goes on from here with another rate or pause; time itself does not jump."""
    return WorldClock(
        anchor_world_ms=now,
        anchor_real_ms=real_ms,
        rate=clock.rate if rate is None else rate,
        paused=clock.paused if paused is None else paused,
        advancing=clock.advancing,
    )
