"""The layers: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import skynet_tw
from skynet_tw.net.wires import WIRES

ROOT = Path(skynet_tw.__file__).parent

#: The words that all layers share.
VOCABULARY = {
    "cluster_address",
    "errors",
    "handle",
    "message",
    "interfaces",
    "status",
    "text",
}

#: The values of messages, and the modules that it is made of.
VALUES = {"seri", "luavalue", "keys"}

#: What each layer may import of this package, besides itself.
ALLOWED = {
    "text": set[str](),
    "errors": set[str](),
    "handle": {"errors", "text"},
    "message": set[str](),
    "cluster_address": {"errors", "handle", "text"},
    "interfaces": VOCABULARY - {"status"},
    "status": {"handle", "interfaces"},
    "oneshot": set[str](),
    "repeater": set[str](),
    "luafile": {"lualiteral"},
    "keys": set[str](),
    "luavalue": {"errors", "text", "keys"},
    "seri": {"errors", "luavalue", "text"},
    "lualiteral": {"luavalue", "text"},
    "wire": VOCABULARY | VALUES,
    "link": VOCABULARY | VALUES | {"wire"},
    "net": VOCABULARY | VALUES | {"wire", "link", "oneshot", "repeater"},
    "node": VOCABULARY | VALUES | {"oneshot"},
    # Of `net` the kit's log lines only: a test below.
    "discovery": VOCABULARY
    | {"addresses", "luafile", "net", "oneshot", "reasons", "repeater", "Actor"},
    # Beside what it reads and writes, nothing but what is public.
    "cli": {"addresses", "errors", "handle", "lualiteral", "luavalue", "reasons"}
    | {"text", "Actor", "make_node", "__version__"},
}

#: Layers that know nothing of Twisted.
PURE = {
    "text",
    "cluster_address",
    "errors",
    "handle",
    "message",
    "seri",
    "luavalue",
    "keys",
    "luafile",
    "lualiteral",
    "wire",
    "link",
}


#: The floors of ``node``, from the ground: a module imports only lower ones, counting
#: what it imports for its types.
NODE_FLOORS = (
    {
        "cluster_names",
        "coroutines",
        "failures",
        "ledger",
        "limits",
        "luatable",
        "timeouts",
        "writes",
    },
    {"scheduler"},
    {"deferred"},
    {"requests", "section"},
    {"driven", "calls", "outbox", "backlog", "work"},
    {"reply", "core", "waits"},
    {"task"},
    {"channel", "callers"},
    {"outgoing", "cell"},
    {"debug", "ending", "forks"},
    {"dispatch"},
    {"cells", "incoming", "nameboxes", "namewaits", "sleeps"},
    {"names"},
    {"delivery"},
    {"agents", "snapshot"},
    {"cluster_calls", "receiver"},
    {"clustering"},
    # The public pair; the one circle that is allowed.
    {"actor", "node"},
    {"datacenter", "services"},
)

#: The folders of ``net``, one for each wire.
WIRE_FOLDERS = {"harbor", "harbor2013", "cluster"}

#: Most lines of a module, and methods of a class; and those that may have more.
MAX_LINES = 450
MAX_METHODS = 25
LARGER_MODULES = {
    "seri": 570,  # One codec: both directions of one format, fast paths included.
}
LARGER_CLASSES: dict[str, int] = {}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package: its dotted name within it, and its source."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts), ast.parse(path.read_text(), str(path))


def path_of(module: str) -> Path:
    """The file of a module, by its dotted name within the package."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def layer(module: str) -> str:
    """The layer that a module is in."""
    return module.partition(".")[0]


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def statements(
    node: ast.AST, types: bool = False
) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports at any level that happen when the program runs.

    :param types: also those that happen for a type checker only.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test) and not types:
            for other in child.orelse:
                yield from statements(other)
                if isinstance(other, ast.Import | ast.ImportFrom):
                    yield other
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        else:
            yield from statements(child, types)


def imports(module: str, tree: ast.Module, types: bool = False) -> Iterator[str]:
    """The absolute dotted names that a module imports, as far as they can be told.

    :param types: also those that it imports for a type checker only.
    """
    package = ["skynet_tw", *module.split(".")][:-1]
    for statement in statements(tree, types):
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

    def test_composition(self) -> None:
        """Only the command line and the test kit put nodes together."""
        callers = {
            module
            for module, tree in modules()
            for name in imports(module, tree)
            if name.startswith("skynet_tw.compose")
        }
        self.assertEqual(callers, {"tap", "testing.nodes"})

    def test_discovery(self) -> None:
        """What finds the nodes knows no wire: it takes the kit's log lines, no more."""
        taken = {
            name.rpartition(".")[0]
            for module, tree in modules()
            if layer(module) == "discovery"
            for name in imports(module, tree)
            if name.startswith("skynet_tw.net")
        }
        self.assertEqual(taken, {"skynet_tw.net.kit.logging"})

    def test_http_client(self) -> None:
        """Only what talks to etcd needs the HTTP client, which is an extra."""
        takers = {
            module
            for module, tree in modules()
            for name in imports(module, tree)
            if layer(name) == "treq"
        }
        self.assertEqual(takers, {"discovery.gateway"})

    def test_command_line(self) -> None:
        """Nobody but ``tap`` needs the command line."""
        callers = {
            module
            for module, tree in modules()
            for name in imports(module, tree)
            if name.startswith(("skynet_tw.options", "skynet_tw.tap"))
        }
        self.assertEqual(callers, {"tap"})

    def test_names_of_wires(self) -> None:
        """Nobody asks which wire it is: what differs is in the wire's row."""
        wrong = [
            f"{module}: {ast.unparse(node)}"
            for module, tree in modules()
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare | ast.MatchValue)
            for part in ast.walk(node)
            if isinstance(part, ast.Constant) and part.value in WIRES
        ]
        self.assertEqual(wrong, [])

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
        self.assertIn(
            "skynet_tw.net.never",
            set(imports("node.actor", ast.parse(source), types=True)),
        )


class FloorTests(SynchronousTestCase):
    """The modules of ``node`` stand on one another, in no circle."""

    def test_floors(self) -> None:
        """Each module imports only those of lower floors, also for its types."""
        floor = {name: n for n, names in enumerate(NODE_FLOORS) for name in names}
        wrong = []
        for module, tree in modules():
            if layer(module) != "node" or module == "node.__init__":
                continue
            own = module.partition(".")[2]
            for name in imports(module, tree, types=True):
                parts = name.split(".")
                if parts[:2] != ["skynet_tw", "node"]:
                    continue
                pair = {own, parts[2]} == {"actor", "node"}
                if not pair and floor[parts[2]] >= floor[own]:
                    wrong.append(f"{own} imports {parts[2]}")
        self.assertEqual(wrong, [])

    def test_all_floors(self) -> None:
        """Every module of ``node`` has its floor, and every floor its modules."""
        named = [name for names in NODE_FLOORS for name in names]
        there = {m.partition(".")[2] for m, _ in modules() if layer(m) == "node"}
        self.assertEqual(sorted(named), sorted(there - {"__init__"}))


class WireTests(SynchronousTestCase):
    """Each wire has a folder of its own, over one kit."""

    def test_apart(self) -> None:
        """A wire imports the kit and itself; the kit imports no wire."""
        wrong = []
        for module, tree in modules():
            folder = module.split(".")[1] if module.startswith("net.") else ""
            if folder not in WIRE_FOLDERS | {"kit"}:
                continue
            for name in imports(module, tree, types=True):
                parts = name.split(".")
                if parts[:2] == ["skynet_tw", "net"] and (
                    parts[2] not in {folder, "kit"}
                ):
                    wrong.append(f"{module} imports {name}")
        self.assertEqual(wrong, [])

    def test_one_writer(self) -> None:
        """Only the kit writes to transports."""
        wrong = {
            module
            for module, tree in modules()
            if not module.startswith("net.kit.")
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in {"write", "writeSequence"}
            and ast.unparse(node.value).endswith("transport")
        }
        self.assertEqual(wrong, set())


class SizeTests(SynchronousTestCase):
    """Modules and classes have one job."""

    def test_modules(self) -> None:
        """No module is larger than is usual here, but for those that are named."""
        wrong = []
        for module, _ in modules():
            lines = len(path_of(module).read_text().splitlines())
            if lines > LARGER_MODULES.get(module, MAX_LINES):
                wrong.append(f"{module}: {lines} lines")
        self.assertEqual(wrong, [])

    def test_classes(self) -> None:
        """No class has more methods than is usual here, but for those named."""
        wrong = []
        for module, tree in modules():
            for cls in ast.walk(tree):
                if not isinstance(cls, ast.ClassDef):
                    continue
                name = f"{module}.{cls.name}"
                kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
                methods = sum(isinstance(item, kinds) for item in cls.body)
                if methods > LARGER_CLASSES.get(name, MAX_METHODS):
                    wrong.append(f"{name}: {methods} methods")
        self.assertEqual(wrong, [])

    def test_exceptions(self) -> None:
        """What is named as larger is there, and is larger."""
        sizes = {m: len(path_of(m).read_text().splitlines()) for m, _ in modules()}
        for module in LARGER_MODULES:
            self.assertGreater(sizes[module], MAX_LINES, module)


class BooksTests(SynchronousTestCase):
    """The ledger is written by its own verbs only."""

    def test_fields(self) -> None:
        """No module but the ledger's assigns to a field of a ledger."""
        wrong = []
        for module, tree in modules():
            if module == "node.ledger":
                continue
            for node in ast.walk(tree):
                targets: list[ast.expr] = []
                if isinstance(node, ast.Assign):
                    targets = node.targets
                elif isinstance(node, ast.AugAssign | ast.AnnAssign):
                    targets = [node.target]
                wrong += [
                    f"{module}: {ast.unparse(target)}"
                    for target in targets
                    if isinstance(target, ast.Attribute)
                    and ast.unparse(target.value).endswith("ledger")
                ]
        self.assertEqual(wrong, [])
