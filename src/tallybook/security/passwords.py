"""Passwords: argon2id with the cost of the OWASP cheat sheet, off the event loop, a few at a time.

What is fit to be a password is in ``refused_passwords.py``'s list and the lengths here; who may set one is not.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tallybook.domain.errors import PasswordUnfitError
from tallybook.security.refused_passwords import is_refused

LENGTH_MIN = 8
LENGTH_MAX = 256
MEMORY_KIB = 19_456
PASSES = 2
_Result = TypeVar("_Result")

# Each hash takes 19 MiB and a core for about 30 ms: more at once would only make everybody wait longer.
_THREADS = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="argon2")
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
_DUMMY_HASH = _HASHER.hash(os.urandom(16).hex())


def check_fitness(password: str, *, email: str = "", allow_common: bool = False) -> None:
    """Refuse what must not become a password; ``allow_common`` is for an operator's demo user.

    Raises:
        PasswordUnfitError: too short, too long, among the most common ones, or the e-mail itself.
    """
    if not LENGTH_MIN <= len(_normal(password)) <= LENGTH_MAX:
        raise PasswordUnfitError
    if password.lower() == email.lower() or (not allow_common and is_refused(password)):
        raise PasswordUnfitError


async def make_hash(password: str) -> str:
    """The hash to store, with its salt and cost in it."""
    normal = _normal(password)
    return await _threaded(lambda: _HASHER.hash(normal))


async def verify(stored_hash: str | None, password: str) -> bool:
    """Whether this is the password. Without a stored hash the same work is done, and the answer is no.

    So the time of the answer does not tell whether an account exists.
    """
    normal = _normal(password)
    matches = await _threaded(lambda: _matches(stored_hash or _DUMMY_HASH, normal))
    return matches and stored_hash is not None


def needs_rehash(stored_hash: str) -> bool:
    """Whether the hash was made with another cost than today's."""
    return _HASHER.check_needs_rehash(stored_hash)


def _matches(stored_hash: str, password: str) -> bool:
    # Beyond the limit nothing can match, and a huge text is not worth its hashing; the dummy still costs the same.
    fits = len(password) <= LENGTH_MAX
    try:
        _HASHER.verify(stored_hash, password if fits else "")
    except (VerificationError, InvalidHashError):
        return False
    return fits


def _normal(password: str) -> str:
    # The same characters may arrive composed or decomposed, depending on the keyboard (NIST SP 800-63B 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


async def _threaded(work: Callable[[], _Result]) -> _Result:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
