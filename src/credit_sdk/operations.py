"""Turns the description of a request into a call: blocking on one client, awaited on the other.

So each call is written once, in ``requests.py`` and its neighbours; the twins cannot drift apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from credit_sdk.requests import Request
from credit_sdk.transport import Awaiting, Blocking

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", Blocking, Awaiting)


class Group(Generic[S]):
    """Calls about one noun, over a sender that blocks or one that is awaited."""

    def __init__(self, sender: S) -> None:
        """The client makes its groups; ``sender`` is shared among them."""
        self.sender: S = sender


class Operation(Generic[P, T]):
    """A call of a group, derived from the function that describes its request."""

    def __init__(self, describe: Callable[P, Request[T]]) -> None:
        """Take the signature and the docstring of ``describe``."""
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, group: None, owner: type) -> Operation[P, T]: ...

    @overload
    def __get__(self, group: Group[Blocking], owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, group: Group[Awaiting], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, group: Group[Any] | None, owner: type) -> Any:
        """The call bound to the group's sender."""
        if group is None:
            return self

        @functools.wraps(self.describe)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return group.sender.send(self.describe(*args, **kwargs))

        return call
