"""The models of an SDK package: classes whose constructors and `from_map` describe fields.

The older generation has all classes in models.py, the newer one a file in models/ for each group of classes, which
models/__init__.py lists. A file is parsed when one of its classes is needed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crawler.catalog.sdk.sources import Source, parse

_SCALARS = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "Any": "json",
    "dict": "map",
    "Dict": "map",
    "list": "list",
    "List": "list",
}
_LISTS = {"List", "list"}
_MAPS = {"Dict", "dict"}
# No answer of an official SDK has a tenth of these. A tree that ends early has `json` there.
_DEEPEST, _MOST_NODES = 40, 20_000


@dataclass(frozen=True, slots=True)
class TypeNode:
    """The type of a value: a scalar's kind as in schema files, `struct` with fields, `list` or `map` with an item.

    `is_cut`: the SDK has more below: the model contains itself, or the tree is larger than any real one.
    """

    kind: str
    fields: tuple[Field, ...] = ()
    item: TypeNode | None = None
    is_cut: bool = False

    @property
    def named(self) -> dict[str, Field]:
        """The fields by wire name."""
        return {found.wire: found for found in self.fields}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a model: its wire name, its attribute in Python, its type, and the comment above its assignment."""

    wire: str
    attribute: str
    node: TypeNode
    comment: str = ""
    is_required: bool = False


JSON = TypeNode("json")
EMPTY = TypeNode("struct")
_CUT = TypeNode("json", is_cut=True)


@dataclass(slots=True)
class _Budget:
    """How many nodes one tree may still get, and the models above the current one."""

    left: int = _MOST_NODES
    above: list[str] = field(default_factory=list)


class Models:
    """All classes of a package's models, parsed on demand."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._classes: dict[str, tuple[ast.ClassDef, list[str]]] = {}
        self._files: dict[str, str] = {}  # class → the file that defines it
        self._parsed: set[str] = set()
        self._fields: dict[str, list[_RawField]] = {}
        content = source.read("models.py")
        if content is not None:
            self._add_file("models.py", content)
        elif (listed := source.read("models/__init__.py")) is not None:
            self._files = dict(_imports(parse(source, "models/__init__.py", listed)[0]))

    def tree(self, annotation: ast.expr | None) -> TypeNode:
        """Return the type that an annotation names."""
        return self._node(annotation, _Budget()) if annotation is not None else JSON

    def _node(self, annotation: ast.expr, budget: _Budget) -> TypeNode:
        budget.left -= 1
        if budget.left < 0 or len(budget.above) > _DEEPEST:
            return _CUT
        if isinstance(annotation, ast.Subscript):
            return self._generic(annotation, budget)
        name = _last_name(annotation)
        if (kind := _SCALARS.get(name)) is not None:
            return TypeNode(kind, item=JSON) if kind in {"map", "list"} else TypeNode(kind)
        return self._model(name, budget) if self._find(name) else TypeNode(name or "json")

    def _generic(self, annotation: ast.Subscript, budget: _Budget) -> TypeNode:
        """Return the type of `List[X]` or `Dict[str, X]`; another generic type can hold anything."""
        name, arguments = _last_name(annotation.value), annotation.slice
        if name == "Optional":
            return self._node(arguments, budget)
        budget.above.append("")  # a level, so that List[List[…]] ends, too
        try:
            if name in _LISTS:
                return TypeNode("list", item=self._node(arguments, budget))
            if name in _MAPS and isinstance(arguments, ast.Tuple) and len(arguments.elts) == 2:
                return TypeNode("map", item=self._node(arguments.elts[1], budget))
        finally:
            budget.above.pop()
        return JSON

    def _model(self, name: str, budget: _Budget) -> TypeNode:
        if name in budget.above:
            return _CUT
        budget.above.append(name)
        try:
            fields = tuple(
                Field(raw.wire, raw.attribute, self._node(raw.annotation, budget), raw.comment, raw.is_required)
                for raw in self._raw_fields(name)
            )
        finally:
            budget.above.pop()
        return TypeNode("struct", fields)

    def _raw_fields(self, name: str) -> list[_RawField]:
        if name not in self._fields:
            self._fields[name] = list(_read_class(*self._classes[name]))
        return self._fields[name]

    def _find(self, name: str) -> bool:
        """Whether there is a class of this name; its file is parsed."""
        path = self._files.get(name, "")
        if name not in self._classes and path and path not in self._parsed:
            self._parsed.add(path)
            content = self._source.read(path)
            if content is not None:
                self._add_file(path, content)
        return name in self._classes

    def _add_file(self, path: str, content: bytes) -> None:
        module, lines = parse(self._source, path, content)
        for node in ast.walk(module) if any(_has_classes(node) for node in module.body) else module.body:
            if isinstance(node, ast.ClassDef):
                self._classes.setdefault(node.name, (node, lines))


@dataclass(frozen=True, slots=True)
class _RawField:
    wire: str
    attribute: str
    annotation: ast.expr
    comment: str
    is_required: bool


def _has_classes(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(isinstance(inner, ast.ClassDef) for inner in node.body)


def _imports(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (class, file) for each `from ._file import Class`."""
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module and node.module.isidentifier():
            for alias in node.names:
                yield alias.name, f"models/{node.module}.py"


def _last_name(annotation: ast.expr) -> str:
    """Return `X` of `X`, `main_models.X` or `'X'`."""
    if isinstance(annotation, ast.Attribute):
        return annotation.attr
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value.split(".")[-1]
    return annotation.id if isinstance(annotation, ast.Name) else ""


def _read_class(model: ast.ClassDef, lines: list[str]) -> Iterator[_RawField]:
    """Yield the fields of a model in the order of `from_map`."""
    methods: dict[str, Any] = {node.name: node for node in model.body if isinstance(node, ast.FunctionDef)}
    constructor, reader = methods.get("__init__"), methods.get("from_map")
    if constructor is None or reader is None:
        return
    annotations = {argument.arg: argument.annotation for argument in constructor.args.args if argument.annotation}
    comments = dict(_comments(constructor, lines))
    required = set(_validated(methods.get("validate")))
    for wire, attribute in _mapped(reader):
        if attribute in annotations:
            comment, is_required = comments.get(attribute, ("", False))
            yield _RawField(wire, attribute, annotations[attribute], comment, is_required or attribute in required)


def _mapped(reader: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Yield (wire name, attribute) for each `if m.get('Wire') is not None: … self.attribute …`."""
    for node in reader.body:
        if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
            continue
        call = node.test.left
        if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        attributes = [_own_attribute(inner) for statement in node.body for inner in ast.walk(statement)]
        name = next(filter(None, attributes), "")
        if isinstance(call.args[0].value, str) and name:
            yield call.args[0].value, name


def _own_attribute(node: ast.AST) -> str:
    """Return `x` of `self.x`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return ""


def _comments(constructor: ast.FunctionDef, lines: list[str]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Yield (attribute, (comment, whether it says that the parameter is required)) for each assignment.

    The comment is the block of comment lines right above the assignment.
    """
    for node in constructor.body:
        if not isinstance(node, ast.Assign) or not (attribute := _own_attribute(node.targets[0])):
            continue
        block: list[str] = []
        for line in reversed(lines[: node.lineno - 1]):
            if not (text := line.strip()).startswith("#"):
                break
            block.append(text.removeprefix("#").strip())
        comment = "\n".join(reversed(block)).strip()
        yield attribute, (comment, "This parameter is required." in comment)


def _validated(method: ast.FunctionDef | None) -> Iterator[str]:
    """Yield each attribute that `validate` requires: `self.validate_required(self.x, 'x')`."""
    for node in ast.walk(method) if method is not None else ():
        if isinstance(node, ast.Call) and _own_attribute(node.func) == "validate_required" and node.args:
            yield _own_attribute(node.args[0])
