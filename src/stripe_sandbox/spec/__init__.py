"""Stripe's contract, read from the source of the installed ``stripe`` package.

Three questions are answered: which route a request is for (`match`), what its parameters mean
and whether Stripe would refuse them (`coerce`, `ParamError`), and whether an object or event
looks as Stripe publishes it (`check`, `check_answer`, `check_error`). Nothing of the package is executed or copied: its
modules are parsed, lazily, and kept for the life of the process.

The sandbox server decodes forms, makes the objects and words the HTTP answers. What the Python
types cannot tell (a field that may be absent but never null) is left to the contract tests,
which read the TypeScript declarations.
"""

from stripe_sandbox.spec.coercion import ParamError, coerce
from stripe_sandbox.spec.conformance import check, check_answer, check_error
from stripe_sandbox.spec.routes import Route, match, routes

__all__ = ["ParamError", "Route", "check", "check_answer", "check_error", "coerce", "match", "routes"]
