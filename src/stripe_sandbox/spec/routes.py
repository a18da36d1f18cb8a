"""Finds Stripe's routes in the service classes of the ``stripe`` package.

One route is one method and path template with the names of its parameter TypedDict and of what
it returns. Leaves parameters to ``coercion``.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from stripe_sandbox.spec.source import ClassRef, load, package_folder


@dataclass(frozen=True)
class Route:
    """One route, for example ``GET /v1/prices/{price}``."""

    method: str
    """In capitals."""
    template: str
    """The path with ``{name}`` for each id."""
    params: ClassRef | None
    """The TypedDict of the parameters; None if the route takes none."""
    returns: str
    """What comes back, as the SDK annotates it: ``Price``, ``ListObject[Price]``."""
    declared_in: ClassRef
    """The SDK's class in which the names in `returns` mean something."""


@dataclass
class _Node:
    """One path segment: what may follow it, and the route if the path may end here."""

    following: dict[str, "_Node"] = field(default_factory=dict)
    route: Route | None = None


_ID = "{}"


def match(method: str, path: str) -> Route | None:
    """Return the route for a request path such as ``/v1/prices/price_1``, if Stripe has it.

    The first call reads the package (well under a second); later calls take microseconds.
    """
    return _descend(_tree(method.upper()), path.strip("/").split("/"), 0)


@cache
def routes() -> tuple[Route, ...]:
    """Return every route of the package, sorted by path and method."""
    found: set[Route] = set()
    folder = package_folder()
    for file in folder.rglob("*_service.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        found.update(_routes_of(".".join(("stripe", *parts))))
    return tuple(sorted(found, key=lambda route: (route.template, route.method, route.returns)))


def _descend(node: _Node, segments: list[str], depth: int) -> Route | None:
    """Walk down the tree; a literal segment beats an id (``/v1/products/search``)."""
    if depth == len(segments):
        return node.route
    if not segments[depth]:
        return None
    for name in (segments[depth], _ID):
        child = node.following.get(name)
        found = _descend(child, segments, depth + 1) if child else None
        if found:
            return found
    return None


@cache
def _tree(method: str) -> _Node:
    root = _Node()
    for route in routes():
        if route.method == method:
            node = root
            for segment in route.template.strip("/").split("/"):
                name = _ID if segment.startswith("{") else segment
                node = node.following.setdefault(name, _Node())
            node.route = node.route or route
    return root


def _routes_of(module_name: str) -> Iterator[Route]:
    module = load(module_name)
    for name, declaring in module.classes.items():
        for function in declaring.body:
            if isinstance(function, ast.FunctionDef):
                call = _request_call(function)
                if call:
                    yield Route(
                        method=_text(call.args[0]).upper(),
                        template=_text(call.args[1]),
                        params=_params(function, module.imports),
                        returns=_text(function.returns),
                        declared_in=ClassRef(module_name, name),
                    )


def _request_call(function: ast.FunctionDef) -> ast.Call | None:
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"_request", "_request_stream"}
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "self"
        ):
            return node
    return None


def _text(node: ast.expr | None) -> str:
    """Return a string constant, or the one that ``"…".format(…)`` is called on."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    return node.value


def _params(function: ast.FunctionDef, imports: dict[str, ClassRef]) -> ClassRef | None:
    """Find the annotation of ``params``: ``Optional["XParams"]`` or ``"XParams"``."""
    for argument in function.args.args:
        if argument.arg == "params" and argument.annotation:
            for node in ast.walk(argument.annotation):
                if isinstance(node, ast.Constant) and node.value in imports:
                    return imports[str(node.value)]
    return None
