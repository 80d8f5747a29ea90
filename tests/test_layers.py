"""The layers: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import skynet_tw

ROOT = Path(skynet_tw.__file__).parent

#: The words that all layers share.
VOCABULARY = {"errors", "handle", "message", "interfaces", "text"}

#: The values of messages, and the modules that it is made of.
VALUES = {"seri", "luavalue", "keys"}

#: What each layer may import of this package, besides itself.
ALLOWED = {
    "text": set[str](),
    "errors": set[str](),
    "handle": {"errors", "text"},
    "message": set[str](),
    "interfaces": VOCABULARY,
    "keys": set[str](),
    "luavalue": {"errors", "text", "keys"},
    "seri": {"errors", "luavalue", "text"},
    "wire": VOCABULARY | VALUES,
    "link": VOCABULARY | VALUES | {"wire"},
    "net": VOCABULARY | VALUES | {"wire", "link"},
    "node": VOCABULARY | VALUES,
}

#: Layers that know nothing of Twisted.
PURE = {
    "text",
    "errors",
    "handle",
    "message",
    "seri",
    "luavalue",
    "keys",
    "wire",
    "link",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package: its dotted name within it, and its source."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts), ast.parse(path.read_text(), str(path))


def layer(module: str) -> str:
    """The layer that a module is in."""
    return module.partition(".")[0]


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports at any level that happen when the program runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield from statements(other)
                if isinstance(other, ast.Import | ast.ImportFrom):
                    yield other
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        else:
            yield from statements(child)


def imports(module: str, tree: ast.Module) -> Iterator[str]:
    """The absolute dotted names that a module imports, as far as they can be told."""
    package = ["skynet_tw", *module.split(".")][:-1]
    for statement in statements(tree):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.name
            continue
        base = statement.module or ""
        if statement.level:
            up = package[: len(package) - statement.level + 1]
            base = ".".join([*up, base]) if base else ".".join(up)
        for alias in statement.names:
            yield f"{base}.{alias.name}"


class LayerTests(SynchronousTestCase):
    """Imports go one way."""

    def test_one_way(self) -> None:
        """Each layer imports itself and what is below it."""
        wrong = []
        for module, tree in modules():
            allowed = ALLOWED.get(layer(module))
            if allowed is None:
                continue
            for name in imports(module, tree):
                package, _, rest = name.partition(".")
                if package != "skynet_tw":
                    continue
                target = layer(rest)
                if target != layer(module) and target not in allowed:
                    wrong.append(f"{module} imports {name}")
        self.assertEqual(wrong, [])

    def test_pure(self) -> None:
        """The vocabulary, the values, wire and link work without Twisted."""
        wrong = [
            f"{module} imports {name}"
            for module, tree in modules()
            if layer(module) in PURE
            for name in imports(module, tree)
            if layer(name) == "twisted"
        ]
        self.assertEqual(wrong, [])

    def test_reactor(self) -> None:
        """Only ``tap`` takes the reactor, at whatever level of the source."""
        takers = {
            module
            for module, tree in modules()
            for name in imports(module, tree)
            if name.startswith("twisted.internet.reactor")
        }
        self.assertEqual(takers - {"tap"}, set())

    def test_all_layers_are_there(self) -> None:
        """The rules are about modules that exist."""
        there = {layer(module) for module, _ in modules()}
        self.assertEqual(set(ALLOWED) - there, set())

    def test_the_test(self) -> None:
        """Imports are found at every level and in every form."""
        source = """
import a
from . import b
from .. import errors
from ..link.peer import Peer
if TYPE_CHECKING:
    from ..net import never
else:
    import c
def function():
    try:
        from twisted.internet import reactor
    finally:
        import d.e
"""
        found = set(imports("node.actor", ast.parse(source)))
        expected = {
            "a",
            "c",
            "d.e",
            "skynet_tw.errors",
            "skynet_tw.link.peer.Peer",
            "skynet_tw.node.b",
            "twisted.internet.reactor",
        }
        self.assertEqual(found, expected)
