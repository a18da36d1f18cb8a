"""Applies both published type sources to one object, list or event.

The Python types and the TypeScript declarations see different faults: the first know integers,
the second know which field may be absent and which may be null.
"""

from contract import node_types
from contract.node_types import Json

from stripe_sandbox import spec


def deviations(value: Json) -> list[str]:
    """Return every deviation with the source that found it; empty if `value` conforms."""
    found = [f"python types: {problem}" for problem in spec.check(value)]
    found.extend(f"typescript types: {problem}" for problem in node_types.deviations(value))
    return found


def assert_conforms(value: Json) -> None:
    """Fail with the list of deviations unless an object, list or event conforms to both."""
    found = deviations(value)
    assert not found, f"{value.get('object')} {value.get('id', '')}:\n" + "\n".join(found)
