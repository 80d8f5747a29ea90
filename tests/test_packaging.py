"""What is installed: the package, the plugin, and nothing that is not ours.

Each install goes into a fresh virtual environment, which borrows what the package needs
from the one that runs the tests: no network, and nothing is compiled.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

import skynet_tw

ROOT = Path(__file__).resolve().parent.parent

#: What is needed to install.
SOURCES = ("skynet_tw", "twisted", "LICENSE", "README.md", "pyproject.toml")
SETUP = ("setup.cfg", "setup.py")

#: What a source distribution has besides: all that ``make test`` needs.
FOLDERS = ("tests", "docs", "examples", "benchmarks", "newsfragments", ".ci")
FILES = ("Makefile", "CONTRIBUTING.md", "SECURITY.md", "ruff.toml", "towncrier.toml")

#: What a checkout has that is nobody's source.
_IGNORED = shutil.ignore_patterns(
    "__pycache__", "*.pyc", "*.so", "dropin.cache", "_build"
)

#: ``twistd`` of an environment that has no scripts.
TWISTD = "from twisted.scripts.twistd import run; run()"

#: Prints the version that the metadata say, and that the package says.
VERSION = (
    "import importlib.metadata as it, skynet_tw; "
    "print(it.version('skynet_tw'), skynet_tw.__version__)"
)


class Environment:
    """A virtual environment with no package of its own.

    :param directory: where it is made.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        venv.create(directory / "venv", with_pip=False, symlinks=True)
        self.python = str(directory / "venv" / "bin" / "python")
        [packages] = (directory / "venv" / "lib").glob("python*/site-packages")
        borrowed = directory / "borrowed"
        borrowed.mkdir()
        for name in ("twisted", "setuptools"):
            found = importlib.util.find_spec(name)
            assert found is not None and found.origin is not None, name
            self._borrow(Path(found.origin).parent.parent, borrowed)
        (packages / "borrowed.pth").write_text(f"{borrowed}\n")

    @staticmethod
    def _borrow(packages: Path, borrowed: Path) -> None:
        """Link to all packages but our own."""
        for entry in packages.iterdir():
            link = borrowed / entry.name
            ours = re.search("skynet", entry.name, re.I)
            if not (ours or entry.suffix == ".pth" or link.exists()):
                link.symlink_to(entry)

    def run(self, *arguments: str) -> str:
        """Run this environment's Python in a directory of nobody's."""
        elsewhere = self._directory / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return _run([self.python, *arguments], elsewhere)

    def pip(self, *arguments: str) -> str:
        """Run the tests' own pip for this environment."""
        pip = [sys.executable, "-m", "pip", "--python", self.python]
        return _run([*pip, "--disable-pip-version-check", *arguments], self._directory)

    def install(self, *what: str) -> str:
        """Install without looking for anything elsewhere."""
        way = ("--no-index", "--no-deps", "--no-build-isolation")
        return self.pip("install", *way, *what)


def files(directory: Path) -> set[str]:
    """All files of a tree, by their paths within it."""
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file()
    }


def _run(command: list[str], directory: Path) -> str:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SKYNET_TW_PURE": "1",
    }
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}")
    return done.stdout


class PackagingTests(SynchronousTestCase):
    """Installs, and what they leave."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name).resolve()
        self.source = self.directory / "source"
        self.source.mkdir()
        for name in (*SOURCES, *SETUP):
            there = ROOT / name
            if there.is_dir():
                shutil.copytree(there, self.source / name, ignore=_IGNORED)
            elif there.exists():
                shutil.copy(there, self.source)
        # What Twisted leaves behind in a checkout from which it was run.
        (self.source / "twisted" / "plugins" / "dropin.cache").write_bytes(b"old")

    def commands(self, environment: Environment) -> set[str]:
        """What ``twistd --help`` lists."""
        text = environment.run("-c", TWISTD, "--help")
        return set(re.findall(r"^    (\S+) ", text.partition("Commands:")[2], re.M))

    def assert_works(self, *install: str) -> None:
        """Install, find the plugin and the package, uninstall, and find neither."""
        environment = Environment(self.directory)
        before = self.commands(environment)
        self.assertIn("web", before)
        self.assertNotIn("skynet", before)
        environment.install(*install)
        self.assertEqual(self.commands(environment), before | {"skynet"})
        text = environment.run("-c", TWISTD, "skynet", "--help")
        self.assertIn("--harbor", text)
        script = Path(environment.python).with_name("skynet-tw")
        text = environment.run(str(script), "--version")
        self.assertEqual(text.split(), ["skynet-tw", skynet_tw.__version__])
        environment.pip("uninstall", "--yes", "skynet_tw")
        self.assertFalse(script.exists())
        self.assertEqual(self.commands(environment), before)
        found = environment.run(
            "-c", "import importlib.util as it; print(it.find_spec('skynet_tw'))"
        )
        self.assertEqual(found.strip(), "None")

    def test_install(self) -> None:
        """After ``pip install .`` twistd lists the node, after uninstall its own."""
        self.assert_works(str(self.source))

    def test_editable(self) -> None:
        """After ``pip install -e .`` too; and what is edited is what runs."""
        self.assert_works("-e", str(self.source))

    def test_wheel(self) -> None:
        """The wheel has the package, its types and licence, and one plugin."""
        environment = Environment(self.directory)
        target = str(self.directory)
        way = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", target)
        environment.pip("wheel", *way, str(self.source))
        [wheel] = self.directory.glob("skynet_tw-*.whl")
        with ZipFile(wheel) as archive:
            names = set(archive.namelist())
        about = {name for name in names if ".dist-info/" in name}
        self.assertTrue(any(name.endswith("LICENSE") for name in about), about)
        plugins = {name for name in names if name.startswith("twisted/")}
        self.assertEqual(plugins, {"twisted/plugins/skynet_tw_plugin.py"})
        modules = {
            str(path.relative_to(self.source))
            for path in (self.source / "skynet_tw").rglob("*")
            if path.suffix in (".py", ".pyi") or path.name == "py.typed"
        }
        self.assertIn("skynet_tw/py.typed", modules)
        self.assertEqual(names - about - plugins, modules)

    def test_sdist(self) -> None:
        """A source distribution has all of the tree, and a wheel is built from it."""
        for name in FOLDERS:
            shutil.copytree(ROOT / name, self.source / name, ignore=_IGNORED)
        for name in (*FILES, "MANIFEST.in"):
            shutil.copy(ROOT / name, self.source)
        there = files(self.source) - {"twisted/plugins/dropin.cache"}
        environment = Environment(self.directory)
        build = "from setuptools import build_meta as it; it.build_sdist('..')"
        _run([environment.python, "-c", build], self.source)
        [archive] = self.directory.glob("skynet_tw-*.tar.gz")
        with tarfile.open(archive) as sdist:
            sdist.extractall(self.directory, filter="data")
        [unpacked] = (it for it in self.directory.glob("skynet_tw-*") if it.is_dir())
        self.assertEqual(there - files(unpacked), set())
        made = {it for it in files(unpacked) - there if ".egg-info/" not in it}
        self.assertEqual(made, {"PKG-INFO"})
        environment.install(str(unpacked))
        self.assertEqual(
            environment.run("-c", VERSION).split(), [skynet_tw.__version__] * 2
        )

    def test_version(self) -> None:
        """The version stands in one place, and is read without Twisted."""
        for name in ("setup.cfg", "setup.py", "pyproject.toml", "towncrier.toml"):
            self.assertNotIn(skynet_tw.__version__, (ROOT / name).read_text(), name)
        source = "print(skynet_tw.__version__, 'twisted' in sys.modules)"
        command = [sys.executable, "-c", f"import skynet_tw, sys; {source}"]
        said = _run(command, ROOT)
        self.assertEqual(said.split(), [skynet_tw.__version__, "False"])

    def test_plugin_package(self) -> None:
        """Nothing in our ``twisted`` turns it into a package of its own."""
        there = {path.name for path in (ROOT / "twisted").rglob("*") if path.is_file()}
        self.assertNotIn("__init__.py", there)
        ignored = (ROOT / ".gitignore").read_text().splitlines()
        self.assertTrue({"dropin.cache", "twisted/plugins/dropin.cache"} & {*ignored})
