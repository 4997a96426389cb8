"""Seeded randomness, and the ids made from it. Pure, except for `random_uuid` and `random_token`.

Chance inside a world comes from `Dice`, keyed by the world's secret seed and the id of the command being
run, so that the same commands in the same order give the same world. Nothing else in the project may be
random: an architecture test sees to that.
"""

import hashlib
import os
import random
import secrets
import uuid
from collections.abc import MutableSequence, Sequence
from typing import Any, Final, TypeVar

import orjson

T = TypeVar("T")

_UUID4 = 0x4 << 76
_UUID7 = 0x7 << 76
_UUID8 = 0x8 << 76
_VARIANT = 0x2 << 62
_CHANCE = (1 << 128) - 1 & ~((0xF << 76) | (0x3 << 62))
"""The bits of a UUID that say neither version nor variant."""
_TIME_MASK = (1 << 48) - 1

_SET_INT: Final[Any] = vars(uuid.UUID)["int"].__set__
_SET_SAFE: Final[Any] = vars(uuid.UUID)["is_safe"].__set__
_UNKNOWN: Final = uuid.SafeUUID.unknown


def uuid_of(number: int) -> uuid.UUID:
    """The UUID with these 128 bits, without what the constructor checks: hot paths make several each."""
    made: uuid.UUID = object.__new__(uuid.UUID)
    _SET_INT(made, number)
    _SET_SAFE(made, _UNKNOWN)
    return made


def text_of(id_: uuid.UUID) -> str:
    """`str(id_)`, but faster."""
    return orjson.dumps(id_)[1:-1].decode() if type(id_) is uuid.UUID else str(id_)


def random_uuid() -> uuid.UUID:
    """A random (version 4) UUID for what has no cause to derive it from, such as an unkeyed command."""
    return uuid_of(int.from_bytes(os.urandom(16), "big") & _CHANCE | _UUID4 | _VARIANT)


def random_token(bytes_of_entropy: int = 32) -> str:
    """A URL-safe secret from the operating system's source."""
    return secrets.token_urlsafe(bytes_of_entropy)


def random_seed() -> int:
    """A secret world seed, 0 <= seed < 2**63, from the operating system's source."""
    return secrets.randbits(63)


def jitter() -> float:
    """A number in [0, 1) to spread retries; it never touches the state of a world."""
    return secrets.randbelow(1 << 30) / (1 << 30)


def derived_uuid(*parts: object) -> uuid.UUID:
    """The UUID (version 8) that belongs to these parts: equal parts give equal ids."""
    texts = [text_of(part) if isinstance(part, uuid.UUID) else str(part) for part in parts]
    digest = hashlib.blake2b("\x1f".join(texts).encode(), digest_size=16).digest()
    return uuid_of(int.from_bytes(digest, "big") & _CHANCE | _UUID8 | _VARIANT)


class Dice:
    """A stream of chance for one command. Equal keys give equal streams."""

    def __init__(self, *key: object):
        digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).digest()
        self._random = random.Random(int.from_bytes(digest, "big"))  # noqa: S311  games want repeatable chance

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number between `low` and `high`."""
        return self._random.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        """A whole number, `low` and `high` included."""
        return self._random.randint(low, high)

    def gauss(self, mean: float, deviation: float) -> float:
        """A normally distributed number."""
        return self._random.gauss(mean, deviation)

    def chance(self, probability: float) -> bool:
        """True with this probability (0..1)."""
        return self._random.random() < probability

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely; the sequence must not be empty."""
        return options[self._random.randrange(len(options))]

    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T:
        """One of the options, with probability in proportion to its weight (>= 0, not all 0)."""
        return self._random.choices(options, weights)[0]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Put the items in a random order, in place."""
        self._random.shuffle(items)

    def uuid(self, world_ms: int) -> uuid.UUID:
        """An id with the layout of UUID version 7 (RFC 9562): 48 bits of world time, then chance."""
        number = ((world_ms & _TIME_MASK) << 80) | _UUID7
        return uuid_of(number | self._random.getrandbits(12) << 64 | _VARIANT | self._random.getrandbits(62))
