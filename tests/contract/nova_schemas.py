"""What Nova itself says about its wire, read from its own sources: routes, microversions, JSON schemas of the answers.

`make venv` unpacks the release of requirements/nova.txt beside the environment.  Nova is
not imported, as that would need all that Nova needs: its routes and the decorators of its
controllers are read as syntax, and of its modules only those that hold schemas are run, with
empty ones in place of what they import beyond each other.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from api.microversions import MAXIMUM, MINIMUM, Microversion

HOME = Path(sys.prefix) / "nova"
_COMPUTE = "nova/api/openstack/compute"
#: these are run; anything else of Nova is an empty module
_RUN = re.compile(r"nova\.api\.(validation\.(parameter|response)_types|openstack\.compute\.schemas\.\w+)")
#: the few values that those take from the rest of Nova
_CONSTANTS: dict[str, dict[str, Any]] = {
    "nova.i18n": {"_": str},
    "nova.objects.instance": {"MAX_TAG_COUNT": 50},
    "nova.objects.tag": {"MAX_TAG_LENGTH": 60},
}
#: microversions that decorators name
_NAMED = {"MAX_PROXY_API_SUPPORT_VERSION": "2.35"}


@dataclass(frozen=True)
class Range:
    """Microversions, both ends included."""

    first: Microversion = MINIMUM
    last: Microversion = MAXIMUM

    def __contains__(self, version: Microversion) -> bool:
        return self.first <= version <= self.last


@dataclass
class Method:
    """One method of a controller: when it is served, and how its queries and answers look."""

    served: Range = Range()
    answers: list[tuple[str, Range]] = field(default_factory=list)  # name of the schema → when it holds
    queries: list[tuple[str, Range]] = field(default_factory=list)


class NovaSchemas:
    """Nova's wire, by method and path."""

    def __init__(self, home: Path = HOME) -> None:
        if not (home / _COMPUTE).is_dir():
            raise FileNotFoundError(f"Nova's sources are not in {home}: run `make venv`")
        self._home = home
        self._found: dict[tuple[str, str], tuple[str, list[Method]]] = {}

    def serves(self, method: str, path: str, version: Microversion) -> bool:
        """Whether Nova knows the request in that microversion."""
        return any(version in one.served for one in self._methods(method, path)[1])

    def answer(self, method: str, path: str, version: Microversion) -> dict[str, Any] | None:
        """The JSON schema of the answer; None: an empty body."""
        module, methods = self._methods(method, path)
        for one in methods:
            for name, holds in one.answers:
                if version in one.served and version in holds:
                    schema = getattr(self._schemas(module), name)
                    return None if schema == {"type": "null"} else schema
        raise LookupError(f"Nova has no schema for {method} {path} in {version}")

    def query(self, method: str, path: str, version: Microversion) -> dict[str, Any]:
        """The JSON schema of the query string: an array of words by parameter."""
        module, methods = self._methods(method, path)
        for one in methods:
            for name, holds in one.queries:
                if version in one.served and version in holds:
                    found: dict[str, Any] = getattr(self._schemas(module), name)
                    return found
        raise LookupError(f"Nova has no query schema for {method} {path} in {version}")

    def named(self, module: str, name: str) -> dict[str, Any]:
        """A schema that belongs to no microversion: of what is asked before one is chosen."""
        found: dict[str, Any] = getattr(self._schemas(module), name)
        return found

    def _methods(self, method: str, path: str) -> tuple[str, list[Method]]:
        route = method, _normal(path)
        if route not in self._found:
            module, controller, name = self._routes[route]
            self._found[route] = module, [_method(one) for one in _functions(self._tree(module), controller, name)]
        return self._found[route]

    def _schemas(self, module: str) -> ModuleType:
        return _load(self._home, f"nova.api.openstack.compute.schemas.{'versions' if module == 'versionsV21' else module}")

    @cached_property
    def _routes(self) -> dict[tuple[str, str], tuple[str, str, str]]:
        """(method, path) → module, class and method of the controller."""
        tree = self._tree("routes")
        controllers = dict(_controllers(tree))
        table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and _name(node.targets[0]) == "ROUTE_LIST")
        assert isinstance(table, ast.Tuple)
        return {
            (_constant(verb), _normal(_constant(path))): (*controllers[_name(target.elts[0])], _constant(target.elts[1]))
            for path, verbs in (entry.elts for entry in table.elts if isinstance(entry, ast.Tuple))
            if isinstance(verbs, ast.Dict)
            for verb, target in zip(verbs.keys, verbs.values, strict=True)
            if isinstance(target, ast.List)
        }

    def _tree(self, module: str) -> ast.Module:
        return ast.parse((self._home / _COMPUTE / f"{module}.py").read_text())


def _controllers(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """``x_controller = functools.partial(_create_controller, module.Class, …)``, as name → module, class."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.value.args) > 1:
            target = node.value.args[1]
            if isinstance(target, ast.Attribute):
                yield _name(node.targets[0]), (_name(target.value), target.attr)


def _functions(tree: ast.Module, controller: str, name: str) -> list[ast.FunctionDef]:
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == controller)
    return [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]


def _method(function: ast.FunctionDef) -> Method:
    made = Method()
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
            continue
        if decorator.func.attr == "api_version":
            made.served = _range(decorator.args)
        elif decorator.func.attr in {"response_body_schema", "query_schema"}:
            schema = decorator.args[0]
            assert isinstance(schema, ast.Attribute)
            kept = made.queries if decorator.func.attr == "query_schema" else made.answers
            kept.append((schema.attr, _range(decorator.args[1:])))
    return made


def _range(words: Sequence[ast.expr]) -> Range:
    return Range(*(Microversion.parse(_constant(word)) for word in words))


def _name(node: ast.expr) -> str:
    assert isinstance(node, ast.Name)
    return node.id


def _constant(node: ast.expr | None) -> str:
    if isinstance(node, ast.Name):
        return _NAMED[node.id]
    assert isinstance(node, ast.Constant)
    return str(node.value)


def _normal(path: str) -> str:
    """``/servers/{}``, whatever the parameter is called."""
    return re.sub(r"[<{][^>}]*[>}]", "{}", path)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds Nova's modules of schemas; every other module of Nova is empty."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] != "nova":
            return None
        file = self._home / f"{fullname.replace('.', '/')}.py"
        if _RUN.fullmatch(fullname) and file.exists():
            return importlib.util.spec_from_file_location(fullname, file)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_CONSTANTS.get(module.__name__, {}))


def _load(home: Path, name: str) -> ModuleType:
    finder = _Finder(home)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)
