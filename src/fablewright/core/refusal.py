"""The one domain error: a refusal with a stable code that says what to do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class RefusalKind(StrEnum):
    """What sort of "no" it is. The gateway turns it into an HTTP status."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A named way to say no, declared once and listed by the commands that may answer with it."""

    code: str
    kind: RefusalKind
    title: str
    """One sentence: what is wrong and what to do about it."""

    def __call__(self, detail: str | None = None, **facts: Any) -> "Refused":
        """Make the error to raise; `facts` are machine-readable values that go with it."""
        return Refused(self, detail, facts)


class Refused(Exception):
    """A command or request was refused; nothing was changed.

    `facts` holds JSON-ready values for the caller, such as `retry_after_seconds`.
    """

    def __init__(self, refusal: Refusal, detail: str | None = None, facts: Mapping[str, Any] | None = None):
        super().__init__(f"{refusal.code}: {detail or refusal.title}")
        self.refusal = refusal
        self.detail = detail or refusal.title
        self.facts = dict(facts or {})

    @property
    def code(self) -> str:
        return self.refusal.code

    def __reduce__(self) -> tuple[Any, ...]:
        return (Refused, (self.refusal, self.detail, self.facts))


INVALID, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_LARGE, TOO_MANY, UNAVAILABLE = RefusalKind

# What dead letters are refused with stands here, since pure command modules name it.
DEAD_LETTER_NOT_FOUND = Refusal(
    "dead_letter_not_found", NOT_FOUND, "There is no such open dead letter. List them again."
)
REPLAY_FAILED = Refusal(
    "replay_failed", CONFLICT, "It failed again, so nothing was changed. Mend the cause first."
)
REPLAY_IMPOSSIBLE = Refusal(
    "replay_impossible",
    CONFLICT,
    "What failed is not installed any more. Install it again, or drop the letter.",
)
DELIVERY_CANNOT_BE_REPLAYED = Refusal(
    "delivery_cannot_be_replayed", CONFLICT,
    "A delivery to the outside cannot run inside a transaction. Rewind its consumer's cursor, or drop the letter.",
)  # fmt: skip
