"""What came through a door, and what is answered."""

from dataclasses import dataclass
from typing import Any

from fablewright.core import receipts
from fablewright.core.actors import Actor
from fablewright.core.receipts import KEY_REUSED, Claim
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did.

    `body` is its JSON (`{"result": …, "seq": …}`, for a list `{"results": […], "seq": …}`); `result` the
    handler's value (a list for a list), None for a replay.
    """

    body: bytes
    seq: int | None
    result: Any = None
    replayed: bool = False


@dataclass(slots=True)
class Ask:
    """What came through a door: one command or a list, by one actor, perhaps under a key."""

    requests: list[Request]
    actor: Actor
    is_list: bool
    claim: Claim | None
    result: Any = None


@dataclass(frozen=True, slots=True)
class Done:
    """What one of a batch did: its result, that as JSON, and how many events of the commit there were by its last."""

    result: Any
    answer: bytes
    last: int


def body_json(result: bytes, seq: int | None, is_list: bool) -> bytes:
    """An answer as JSON."""
    name = b"results" if is_list else b"result"
    return b'{"%s":%s,"seq":%s}' % (name, result, b"null" if seq is None else str(seq).encode())


def replayed(replay: receipts.Replay, is_list: bool) -> Answer:
    """The answer of a command that had run before. Refuses `idempotency_key_reused`."""
    if receipts.reused(replay):
        raise KEY_REUSED()
    return Answer(body_json(replay.answer, replay.seq, is_list), replay.seq, None, replayed=True)


def answer_of(outcome: Answer | Refused | Done, base: int | None) -> Answer | BaseException:
    """What one of a batch is answered; `base` is the `seq` before the commit's first event."""
    if not isinstance(outcome, Done):
        return outcome
    seq = base + outcome.last if base is not None and outcome.last else None
    return Answer(body_json(outcome.answer, seq, False), seq, outcome.result)


def in_list(refused: Refused, index: int) -> Refused:
    """The refusal of a list, because of its command number `index`."""
    return Refused(refused.refusal, refused.detail, refused.facts | {"index": index})
