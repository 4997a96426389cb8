"""What a system's router needs: the caller, commands, reading, pages, documented refusals.

router = APIRouter(tags=["characters"])

@router.post("/worlds/{world_id}/characters", status_code=201, responses=refusals(CreateCharacter))
async def create_character(world_id: UUID, body: CreateCharacter, caller: Caller) -> Committed[CharacterView]:
    return await caller.execute(body, world_id, status=201)
"""

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import Field
from starlette.requests import HTTPConnection

from fablewright.core.actors import ANONYMOUS, Actor, Role
from fablewright.core.engine import COMMON_REFUSALS, WORLD_REFUSALS
from fablewright.core.messages import Command, View
from fablewright.core.permissions import ROLE_TOO_LOW, SIGN_IN_FIRST, WORLD_NOT_FOUND
from fablewright.core.receipts import KEY_INVALID, KEY_REUSED
from fablewright.core.refusal import INVALID, Refusal
from fablewright.gateway.problems import PROBLEM, status_of
from fablewright.gateway.runtime import Runtime

T = TypeVar("T")

CURSOR_INVALID = Refusal(
    "cursor_invalid", INVALID, "This page cursor was not made by this server. Start without one."
)
PAGE_TOO_LARGE = Refusal("page_too_large", INVALID, "A page cannot hold so many items. Ask for fewer.")


class Committed(View, Generic[T]):
    """What a command did, and the `seq` of its last event in the world's log (null outside worlds)."""

    result: T
    seq: int | None = Field(None, description="The log position at which the change is visible.")


class Page(View, Generic[T]):
    """Some items, and the cursor of those that follow."""

    items: list[T]
    next_cursor: str | None = Field(None, description="Send it as `cursor` to go on; null at the end.")


@dataclass(slots=True)
class CallerInfo:
    """Who calls, and what they may do with the runtime."""

    request: HTTPConnection
    runtime: Runtime
    actor: Actor

    @property
    def address(self) -> str:
        """The network address of the caller, as far as trusted proxies let us know it."""
        return str(self.request.scope.get("state", {}).get("address", "unknown"))

    def signed_in(self) -> UUID:
        """The caller's user id. Refuses `not_signed_in`."""
        if self.actor.user_id is None:
            raise SIGN_IN_FIRST()
        return self.actor.user_id

    async def execute(
        self, command: Command | Sequence[Command], world_id: UUID | None = None, *, status: int = 200
    ) -> Any:
        """Run a command (or a list, as a whole) for the caller, once per `Idempotency-Key`."""
        answer = await self.runtime.engine.execute(
            command,
            self.actor,
            world_id,
            key=self.request.headers.get("idempotency-key"),
            correlation_id=self.request.scope.get("state", {}).get("correlation_id"),
        )
        headers = {"Idempotency-Replayed": "true"} if answer.replayed else None
        return Response(answer.body, status, headers=headers, media_type="application/json")

    @asynccontextmanager
    async def reading(self, world_id: UUID, least: Role = Role.OBSERVER) -> AsyncIterator[Any]:
        """A reading connection (raw asyncpg, autocommit), if the caller is a member of the world.

        Refuses `world_not_found` to strangers and `role_too_low`.
        """
        async with self.runtime.database.reading() as connection:
            self.require(
                await connection.fetchval(MEMBER_ROLE, world_id, self.actor.user_id), world_id, least
            )
            yield connection

    def require(self, role: int | None, world_id: UUID, least: Role = Role.OBSERVER) -> Role:
        """The caller's effective role, given that of the account. Refuses as `reading` does."""
        if self.actor is ANONYMOUS:
            raise SIGN_IN_FIRST()
        if role is None or self.actor.only_world not in (None, world_id):
            raise WORLD_NOT_FOUND(world_id=str(world_id))
        effective = min(Role(role), self.actor.most)
        if effective < least:
            raise ROLE_TOO_LOW(
                f"This needs the role {least.label}; yours is {effective.label}.", needed=least.label
            )
        return effective


MEMBER_ROLE = "SELECT role FROM world_members WHERE world_id = $1 AND user_id = $2"


def runtime_of(connection: HTTPConnection) -> Runtime:
    """The runtime of the process that serves this connection."""
    runtime: Runtime = connection.app.state.runtime
    return runtime


async def _caller(request: Request) -> CallerInfo:
    return CallerInfo(request, runtime_of(request), request.scope["state"]["actor"])


Caller = Annotated[CallerInfo, Depends(_caller)]
"""Dependency: who calls. The token was checked by the middleware."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for: at most `limit` items after the position `after` (None at the start)."""

    limit: int
    after: list[Any] | None


def _page(
    caller: Caller,
    limit: Annotated[int, Query(ge=1, description="Most items to return.")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=1000, description="`next_cursor` of the page before.")
    ] = None,
) -> PageRequest:
    most = caller.runtime.settings.max_page
    if limit > most:
        raise PAGE_TOO_LARGE(f"A page holds at most {most} items.", max_page=most)
    return PageRequest(limit, decode_cursor(cursor) if cursor else None)


Paging = Annotated[PageRequest, Depends(_page)]
"""Dependency: the page asked for."""


def encode_cursor(position: Sequence[Any]) -> str:
    """An opaque cursor for a position: the sort values of a page's last item."""
    return base64.urlsafe_b64encode(orjson.dumps(list(position), default=str)).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The position of a cursor. Refuses `cursor_invalid`."""
    try:
        value = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise CURSOR_INVALID() from error
    if not isinstance(value, list):
        raise CURSOR_INVALID()
    return value


def position_of(paging: PageRequest, *read: Callable[[Any], Any]) -> list[Any] | None:
    """The position after which a page begins, each of its values read by a function; None at the start.

    Refuses `cursor_invalid`.
    """
    if paging.after is None:
        return None
    try:
        return [reading(value) for reading, value in zip(read, paging.after, strict=True)]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise CURSOR_INVALID() from error


def moment(value: Any) -> datetime:
    """A point in real time from a cursor. Raises `ValueError`, `TypeError`."""
    return datetime.fromisoformat(value).astimezone(UTC)


def page_of(rows: Sequence[T], paging: PageRequest, position: Callable[[T], Sequence[Any]]) -> Page[T]:
    """A page from up to `limit + 1` rows; `position(item)` gives an item's sort values."""
    items = list(rows[: paging.limit])
    more = len(rows) > paging.limit
    return Page(items=items, next_cursor=encode_cursor(position(items[-1])) if more else None)


def refusals(
    *sources: type[Command] | Refusal | Iterable[Refusal], world: bool = True, keyed: bool = True
) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for every refusal of these commands and those of every door.

    With `keyed=False` the route takes no Idempotency-Key, since it takes or gives a secret.
    """
    common = COMMON_REFUSALS + (WORLD_REFUSALS if world else ())
    found: dict[str, Refusal] = {r.code: r for r in common if keyed or r not in (KEY_INVALID, KEY_REUSED)}
    for source in sources:
        declared = [source] if isinstance(source, Refusal) else getattr(source, "refusals", source)
        found.update({r.code: r for r in declared})  # type: ignore[union-attr]
    by_status: dict[int, list[Refusal]] = {}
    for refusal in found.values():
        by_status.setdefault(status_of(refusal), []).append(refusal)
    return {
        status: {
            "description": "; ".join(f"`{r.code}`: {r.title}" for r in listed),
            "content": {PROBLEM: {"examples": {r.code: {"value": example(r)} for r in listed}}},
        }
        for status, listed in sorted(by_status.items())
    }


def example(refusal: Refusal) -> dict[str, Any]:
    """What a refusal looks like on the wire."""
    return {
        "type": f"urn:fablewright:refusal:{refusal.code}", "title": refusal.title, "status": status_of(refusal),
        "code": refusal.code, "detail": refusal.title,
    }  # fmt: skip
