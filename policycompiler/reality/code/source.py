"""What the source of an application says about tasks: a program for the application's own interpreter.

It parses files and imports none of them. So it also finds tasks that no process registers, and tasks that
are sent by name. It needs Python 3.9 or newer, and no package. Constants, enums, environment variables with
a default, and imports of all these are followed; what remains is named as unresolved.

Usage: source.py ANSWER ASKED, where ANSWER is the file to write and ASKED is JSON: `folders`, to read.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
_SKIPPED = frozenset(
    {"__pycache__", "build", "dist", "migrations", "node_modules", "site-packages", "venv", "env"}
)
_TEST = re.compile(r"(^|/)(tests?|testing)(/|$)|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
_NOT_OPTIONS = frozenset({"base", "bind", "name", "pydantic", "shared", "typing", "lazy"})
_SENDING = frozenset({"delay", "apply_async", "send_task"})
_TRANSACTIONS = frozenset({"atomic", "begin", "begin_nested", "commit_on_success", "transaction"})
_MOST_STEPS = 20
"""How many names and imports a constant is followed through."""


class Unresolved(Exception):
    """An expression whose value the source alone does not show."""


class Module(NamedTuple):
    """A parsed file: its dotted name, its path, its tree, and the expressions of its names."""

    name: str
    path: str
    tree: ast.Module
    names: dict[str, ast.expr]
    classes: dict[str, ast.ClassDef]
    imports: dict[str, str]


def main() -> None:
    """Write what the folders have."""
    answer, asked = sys.argv[1], json.loads(sys.argv[2])
    found = Source(asked["folders"]).document()
    with open(answer, "w", encoding="utf-8") as file:
        json.dump({**found, "format": FORMAT}, file)


class Source:
    """All modules below some folders."""

    def __init__(self, folders: list[str]) -> None:
        self.unparsable: list[dict[str, str]] = []
        self.modules = {each.name: each for folder in folders for each in self._read(folder)}

    def document(self) -> dict[str, Any]:
        """Tasks, sends by name, sends inside transactions, and files that do not parse."""
        found: dict[str, list[dict[str, Any]]] = {"tasks": [], "sends": [], "in_transactions": []}
        for _, module in sorted(self.modules.items()):
            walk = Walk(self, module)
            walk.visit(module.tree)
            found["tasks"] += walk.tasks
            found["sends"] += walk.sends
            found["in_transactions"] += walk.in_transactions
        return {**found, "unparsable": self.unparsable}

    def _read(self, folder: str) -> Iterator[Module]:
        for path in _files(folder):
            try:
                with open(path, "rb") as file:
                    tree = ast.parse(file.read(), path)
            except (SyntaxError, ValueError, OSError, RecursionError) as problem:
                line = getattr(problem, "lineno", None) or 1
                self.unparsable.append({"place": f"{os.path.relpath(path)}:{line}", "text": str(problem)})
                continue
            yield _module(path, tree)

    def value(self, module: Module, node: ast.expr, steps: int = 0) -> Any:
        """The value of an expression. Raises `Unresolved`."""
        if steps > _MOST_STEPS:
            raise Unresolved
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, MemoryError, RecursionError):
            return self._computed(module, node, steps + 1)

    def _computed(self, module: Module, node: ast.expr, steps: int) -> Any:
        if isinstance(node, ast.Name):
            return self._named(module, node.id, steps)
        if isinstance(node, ast.Attribute):
            return self._attribute(module, node, steps)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self._item(module, each, steps) for each in node.elts]
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self.value(module, node.values[-1], steps)
        if isinstance(node, ast.BinOp):
            return self._arithmetic(module, node, steps)
        if isinstance(node, ast.Call):
            return self._default_of(module, node, steps)
        raise Unresolved

    def _item(self, module: Module, node: ast.expr, steps: int) -> Any:
        """An item of a list; a class is said by its name."""
        try:
            return self.value(module, node, steps)
        except Unresolved:
            return self._class_name(module, node)

    def _class_name(self, module: Module, node: ast.expr) -> str:
        text = _dotted(node)
        if text is None:
            raise Unresolved
        first, _, rest = text.partition(".")
        if first in module.classes and not rest:
            return f"{module.name}.{first}"
        imported = module.imports.get(first)
        return (f"{imported}.{rest}" if rest else imported) if imported else text

    def _named(self, module: Module, name: str, steps: int) -> Any:
        if name in module.names:
            return self.value(module, module.names[name], steps)
        target = module.imports.get(name)
        if target is None:
            raise Unresolved
        return self._imported(target, steps)

    def _imported(self, target: str, steps: int) -> Any:
        owner, _, name = target.rpartition(".")
        if owner not in self.modules:
            raise Unresolved
        return self._named(self.modules[owner], name, steps + 1)

    def _attribute(self, module: Module, node: ast.Attribute, steps: int) -> Any:
        """`Enum.MEMBER`, `Enum.MEMBER.value`, or a name of an imported module."""
        if node.attr == "value" and isinstance(node.value, ast.Attribute):
            return self._attribute(module, node.value, steps)
        text = _dotted(node.value)
        if text is None:
            raise Unresolved
        first, _, rest = text.partition(".")
        whole = ".".join(filter(None, (module.imports.get(first, first), rest)))
        if text in module.classes:
            return self._member(module, module.classes[text], node.attr, steps)
        owner, _, name = whole.rpartition(".")
        if owner in self.modules and name in self.modules[owner].classes:
            return self._member(self.modules[owner], self.modules[owner].classes[name], node.attr, steps)
        return self._imported(f"{whole}.{node.attr}", steps)

    def _member(self, module: Module, owner: ast.ClassDef, name: str, steps: int) -> Any:
        for statement in owner.body:
            if isinstance(statement, ast.Assign) and name in map(_dotted, statement.targets):
                return self.value(module, statement.value, steps)
        raise Unresolved

    def _arithmetic(self, module: Module, node: ast.BinOp, steps: int) -> Any:
        left, right = self.value(module, node.left, steps), self.value(module, node.right, steps)
        try:
            if isinstance(node.op, ast.Mult):
                return left * right
            if isinstance(node.op, ast.Add):
                return left + right
            if isinstance(node.op, ast.Sub):
                return left - right
        except TypeError:
            pass
        raise Unresolved

    def _default_of(self, module: Module, node: ast.Call, steps: int) -> Any:
        """The default of an environment variable, also below `int(…)` and the like."""
        called = _dotted(node.func) or ""
        if called in ("int", "float", "str", "bool") and len(node.args) == 1:
            kinds: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
            try:
                return kinds[called](self.value(module, node.args[0], steps))
            except (TypeError, ValueError):
                raise Unresolved from None
        if called.endswith(("environ.get", "getenv")) and node.args[1:]:
            return self.value(module, node.args[1], steps)
        raise Unresolved


class Walk(ast.NodeVisitor):
    """The tasks and the sends of one module."""

    def __init__(self, source: Source, module: Module) -> None:
        self.source, self.module = source, module
        self.tasks: list[dict[str, Any]] = []
        self.sends: list[dict[str, Any]] = []
        self.in_transactions: list[dict[str, Any]] = []
        self._inside: list[str] = []
        self._transactions = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A task, or a function that sends tasks."""
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """The same for a coroutine."""
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """A function that runs later, for instance after the commit."""
        outer, self._transactions = self._transactions, 0
        self.generic_visit(node)
        self._transactions = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class task, if a base is one and it has a name."""
        if any((_dotted(base) or "").rpartition(".")[2].endswith("Task") for base in node.bases):
            self._class_task(node)
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    def visit_With(self, node: ast.With) -> None:
        """A block that may be a transaction."""
        opens = sum(_is_transaction(item.context_expr) for item in node.items)
        self._transactions += opens
        self.generic_visit(node)
        self._transactions -= opens

    def visit_Call(self, node: ast.Call) -> None:
        """A send."""
        self.generic_visit(node)
        called = (_dotted(node.func) or "").rpartition(".")[2] or getattr(node.func, "attr", "")
        if called in _SENDING and isinstance(node.func, ast.Attribute):
            if self._transactions:
                self.in_transactions.append({"place": self._place(node), "call": called})
            name = node.args[0] if called == "send_task" and node.args else None
            self._note_send(node, name)
        elif called == "signature" and node.args:
            self._note_send(node, node.args[0])

    def _note_send(self, node: ast.Call, name: ast.expr | None) -> None:
        queue = next((each.value for each in node.keywords if each.arg == "queue"), None)
        found = {"place": self._place(node), "task": self._text(name), "queue": self._text(queue)}
        if found["task"] or found["queue"]:
            self.sends.append(found)

    def _text(self, node: ast.expr | None) -> str | None:
        if node is None:
            return None
        try:
            value = self.source.value(self.module, node)
        except Unresolved:
            return None
        return value if isinstance(value, str) else None

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            if _is_task(decorator):
                self._decorated(node, decorator)
        outer, self._transactions = self._transactions, sum(map(_is_transaction, node.decorator_list))
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()
        self._transactions = outer

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef, decorator: ast.expr) -> None:
        keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
        given = {each.arg: each.value for each in keywords if each.arg}
        name = self._text(given.get("name"))
        found: dict[str, Any] = {
            "name": name or f"{self.module.name}.{node.name}",
            "explicit": name is not None,
            "named": "name" not in given or name is not None,
            "place": f"{os.path.relpath(self.module.path)}:{node.lineno}",
            # The code object of a function begins at its first decorator.
            "begins": min(each.lineno for each in node.decorator_list),
            "nested": bool(self._inside),
        }
        found["options"], found["unresolved"] = self._options(given)
        self.tasks.append(found)

    def _class_task(self, node: ast.ClassDef) -> None:
        given = {
            target.id: statement.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        name = self._text(given.get("name"))
        has_run = any(isinstance(each, ast.FunctionDef) and each.name == "run" for each in node.body)
        if name is None or not has_run:
            return  # a base class of tasks
        options, unresolved = self._options({key: value for key, value in given.items() if key.islower()})
        place = f"{os.path.relpath(self.module.path)}:{node.lineno}"
        found = {"name": name, "explicit": True, "named": True, "place": place, "begins": node.lineno}
        self.tasks.append({**found, "nested": False, "options": options, "unresolved": unresolved})

    def _options(self, given: dict[str, ast.expr]) -> tuple[dict[str, Any], list[str]]:
        options, unresolved = {}, []
        for key, node in sorted(given.items()):
            if key in _NOT_OPTIONS:
                continue
            try:
                options[key] = self.source.value(self.module, node)
            except Unresolved:
                unresolved.append(key)
        return options, unresolved

    def _place(self, node: ast.expr) -> str:
        return f"{os.path.relpath(self.module.path)}:{node.lineno}"


def _files(folder: str) -> Iterator[str]:
    """The Python files below a folder, sorted, without tests and without other projects."""
    if os.path.isfile(folder):
        yield folder
        return
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            each
            for each in folders
            if each not in _SKIPPED
            and not each.startswith(".")
            and not os.path.exists(os.path.join(here, each, "pyvenv.cfg"))
        )
        for name in sorted(files):
            path = os.path.join(here, name)
            if name.endswith(".py") and not _TEST.search(os.path.relpath(path, folder).replace(os.sep, "/")):
                yield path


def _module(path: str, tree: ast.Module) -> Module:
    package, names = os.path.dirname(os.path.abspath(path)), [os.path.basename(path)[: -len(".py")]]
    while os.path.exists(os.path.join(package, "__init__.py")):
        names.insert(0, os.path.basename(package))
        package = os.path.dirname(package)
    is_package = names[-1] == "__init__"
    name = ".".join(names[:-1] if is_package else names)
    found = Module(name, path, tree, {}, {}, {})
    found.imports.update(_imports(tree, name, is_package=is_package))
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            found.classes[statement.name] = statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found.names[target.id] = statement.value
    return found


def _imports(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[tuple[str, str]]:
    """Each imported name with what it stands for, also below functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                yield alias.asname or first, alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(name, node, is_package=is_package)
            for alias in node.names:
                yield alias.asname or alias.name, f"{origin}.{alias.name}"


def _origin(name: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    """The module from which names are imported, relative ones resolved."""
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    up = node.level - 1 if is_package else node.level
    base = parts[: len(parts) - up] if up else parts
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_task(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    text = _dotted(called) or ""
    last = text.rpartition(".")[2]
    return last in ("shared_task", "periodic_task") or (last == "task" and "." in text)


def _is_transaction(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    text = _dotted(called) or ""
    last = text.rpartition(".")[2]
    return last in _TRANSACTIONS and (last == "atomic" or "." in text)


def _dotted(node: ast.expr | None) -> str | None:
    """The text of a dotted name; None for another expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


if __name__ == "__main__":
    main()
