"""Values that somebody pasted into the settings: what comes along with them by accident."""

from __future__ import annotations

_QUOTES = ("'", '"', "`")


class PastedWrongError(ValueError):
    """What is wrong with a setting: a stable word for ``tallybook doctor``, and what to do."""

    def __init__(self, code: str, message: str) -> None:
        """Say it without the value, which may be a secret."""
        super().__init__(message)
        self.code = code


def as_copied(text: str, *, whole: bool = True) -> None:
    """Refuse what came along when a value was copied; not ``whole``: inside it there may be spaces.

    Raises:
        PastedWrongError: quotes or white space.
    """
    if text[:1] in _QUOTES or text[-1:] in _QUOTES:
        raise PastedWrongError("secret_has_quotes", "has quotes around it: set it again without")
    if any(letter.isspace() for letter in (text if whole else (text[:1], text[-1:]))):
        raise PastedWrongError(
            "secret_has_white_space", "has white space around it or in it: copy it again without"
        )
