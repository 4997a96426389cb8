"""What `app` puts together and every route works with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fablewright.core.actors import Actor
from fablewright.core.database import Database
from fablewright.core.engine import Engine
from fablewright.core.system import System
from fablewright.settings import Settings


class Authenticate(Protocol):
    """Turns a bearer token or API key into an actor. Refuses `token_invalid`, `token_expired`."""

    def __call__(self, credentials: str) -> Awaitable[Actor]: ...


@dataclass(slots=True)
class Runtime:
    """One process of the server: its settings and its parts."""

    settings: Settings
    database: Database
    engine: Engine
    systems: Sequence[System]
    authenticate: Authenticate
    ready: Callable[[], Awaitable[list[str]]]
    """What keeps this process from serving; empty when it is ready."""
    parts: dict[str, Any] = field(default_factory=dict)
    """What systems keep for themselves, by system name, such as the token signer."""
