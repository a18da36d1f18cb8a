"""Decodes Stripe's form encoding: ``a[b][0][c]=x`` becomes nested dictionaries of strings.

Leaves types and unknown names to ``spec``. Indexed lists stay dictionaries with index keys,
``a[]=x`` becomes a list; ``spec.coerce`` understands both.
"""

import re
from urllib.parse import parse_qsl

from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

_NAME = re.compile(r"^[^\[\]]+(\[[^\[\]]*\])*$")
_PART = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST = 12
_MOST_FIELDS = 5000


def decode(text: str) -> Json:
    """Decode a query string or form body; raises `ApiError` on names that make no sense."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError) as problem:
        message = "Invalid request: the parameters could not be decoded."
        raise ApiError(message) from problem
    tree: Json = {}
    for name, value in pairs:
        _place(tree, _path(name), value)
    return tree


def _path(name: str) -> list[str]:
    if not _NAME.match(name):
        message = f"Invalid parameter name: {name[:80]}"
        raise ApiError(message, code="parameter_unknown", param=name[:80])
    head = name.split("[", 1)[0]
    path = [head, *_PART.findall(name)]
    if len(path) > _DEEPEST:
        message = f"Parameter nested too deeply: {name[:80]}"
        raise ApiError(message, param=head)
    return path


def _place(tree: Json, path: list[str], value: str) -> None:
    node = tree
    for depth, part in enumerate(path[:-1]):
        following = path[depth + 1]
        if following == "" and depth + 1 == len(path) - 1:
            items = node.setdefault(part, [])
            if not isinstance(items, list):
                raise _clash(path)
            items.append(value)
            return
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise _clash(path)
        node = child
    if isinstance(node.get(path[-1]), dict | list):
        raise _clash(path)
    node[path[-1]] = value


def _clash(path: list[str]) -> ApiError:
    return ApiError(f"Invalid {path[0]}: given both as a value and as an object.", param=path[0])
