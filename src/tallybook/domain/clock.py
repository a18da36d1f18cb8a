"""The clock that is given from above: no rule asks the operating system for the time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""Gives the time now, as an aware UTC ``datetime``."""
