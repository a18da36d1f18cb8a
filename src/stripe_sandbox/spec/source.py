"""Reads modules of the installed ``stripe`` package as syntax trees, without importing them.

Knows names: which class a name means inside a module or a class body, through imports that are
only there for type checkers. Leaves the meaning of annotations to ``annotations``.
"""

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_REEXPORTS = 5
"""How many packages may pass a name on before it counts as lost."""


@dataclass(frozen=True)
class ClassRef:
    """A class of the package: its module and its dotted name inside that module."""

    module: str
    name: str


@dataclass(frozen=True)
class Module:
    """One parsed module: classes by dotted name, functional TypedDicts, imported names."""

    name: str
    classes: dict[str, ast.ClassDef]
    typed_dicts: dict[str, dict[str, ast.expr]]
    imports: dict[str, ClassRef]


@cache
def package_folder() -> Path:
    """Return the folder of the installed ``stripe`` package."""
    found = find_spec("stripe")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@cache
def load(name: str) -> Module:
    """Parse the module `name`, for example ``stripe._price``."""
    path = package_folder().joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    module = Module(name=name, classes={}, typed_dicts={}, imports={})
    for statement in tree.body:
        _collect(statement, module)
    return module


def class_body(ref: ClassRef) -> ast.ClassDef:
    """Return the syntax of a class; the class must exist."""
    return load(ref.module).classes[ref.name]


def resolve(name: str, scope: ClassRef) -> ClassRef:
    """Return the class that `name` means in the body of the class `scope`.

    Python's own rule: names of the class body first, then names of the module; the classes
    around a nested class do not count.
    """
    module = load(scope.module)
    for candidate in (f"{scope.name}.{name}", name):
        if candidate in module.classes:
            return ClassRef(scope.module, candidate)
    return _definition(module.imports[name])


def _definition(ref: ClassRef) -> ClassRef:
    for _ in range(_REEXPORTS):
        module = load(ref.module)
        if ref.name in module.classes:
            return ref
        ref = module.imports[ref.name]
    message = f"{ref.module}.{ref.name} is passed on too often"
    raise AssertionError(message)


def _collect(statement: ast.stmt, module: Module) -> None:
    if isinstance(statement, ast.ClassDef):
        _collect_class(statement, "", module)
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            target = ClassRef(statement.module or "", alias.name)
            module.imports[alias.asname or alias.name] = target
    elif isinstance(statement, ast.If):
        for inner in statement.body:
            _collect(inner, module)
    elif isinstance(statement, ast.Assign):
        _collect_typed_dict(statement, module)


def _collect_class(node: ast.ClassDef, prefix: str, module: Module) -> None:
    name = prefix + node.name
    module.classes[name] = node
    for statement in node.body:
        if isinstance(statement, ast.ClassDef):
            _collect_class(statement, f"{name}.", module)


def _collect_typed_dict(node: ast.Assign, module: Module) -> None:
    """Note ``Base = TypedDict("Base", {"from": str})``, used for keys that are keywords."""
    target, call = node.targets[0], node.value
    if not (isinstance(target, ast.Name) and isinstance(call, ast.Call)):
        return
    if not (isinstance(call.func, ast.Name) and call.func.id == "TypedDict"):
        return
    fields = call.args[1]
    assert isinstance(fields, ast.Dict)
    module.typed_dicts[target.id] = {
        key.value: value
        for key, value in zip(fields.keys, fields.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
