"""Passwords: Argon2id in threads of their own, a bounded number at once."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2
from argon2.exceptions import VerifyMismatchError

from fablewright.systems.accounts.rules import PASSWORD_MOST, PASSWORDS_BUSY

T = TypeVar("T")

AT_ONCE: Final = 2
"""Passwords hashed at a time per process: each takes a core and `memory_kib` of memory."""

MOST_WAITING: Final = 200
"""Passwords under way or waiting per process; more are refused."""


class PasswordHasher:
    """Makes and compares Argon2id hashes.

    The parameters follow the OWASP password storage cheat sheet (46 MiB, one lane), with two passes instead
    of one. Tests pass cheaper ones. Passwords are compared in Unicode form NFKC, so that keyboards which
    compose characters differently give the same password.
    """

    def __init__(self, *, passes: int = 2, memory_kib: int = 47_104, lanes: int = 1):
        self._argon2 = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._under_way = 0
        # Well-formed and with the same parameters, so comparing takes as long, but no known password fits it.
        self.nobodys_hash = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${'A' * 22}${'A' * 43}"

    async def hash(self, password: str) -> str:
        """A salted hash of the password. Refuses `passwords_busy`."""
        return await self._run(lambda: self._argon2.hash(_normal(password)))

    async def matches(self, stored: str, password: str) -> bool:
        """Whether a stored hash was made of this password. Refuses `passwords_busy`."""

        def compare() -> bool:
            try:
                return self._argon2.verify(stored, _normal(password))
            except VerifyMismatchError:
                return False

        return await self._run(compare)

    def outdated(self, stored: str) -> bool:
        """Whether a stored hash was made with other parameters than those of today."""
        return self._argon2.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= MOST_WAITING:
            raise PASSWORDS_BUSY(retry_after_seconds=1)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1


def _normal(password: str) -> bytes:
    """The bytes to hash. What is longer than any password may be is cut, so that work stays bounded."""
    return unicodedata.normalize("NFKC", password[: PASSWORD_MOST + 1]).encode("utf-8", "surrogatepass")
