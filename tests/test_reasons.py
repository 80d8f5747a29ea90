"""Why something of the user's failed, in one line."""

from __future__ import annotations

from types import CodeType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skynet_tw import reasons
from skynet_tw.reasons import import_failed, one_line, start_failed


def raised(*levels: tuple[str, str]) -> BaseException:
    """An error from a stack of calls, outermost first: each a file and a module.

    It is raised in line 3 of the last one; the others call in line 2.
    """
    call: Any = None
    for file, module in reversed(levels):
        source = (
            "def f():\n call() if call else fail()\ndef fail(): raise ValueError('x')"
        )
        code: CodeType = compile(source, file, "exec")
        scope: dict[str, Any] = {"__name__": module, "call": call}
        exec(code, scope)
        call = scope["f"]
    try:
        call()
    except ValueError as error:
        # Without the level of this function, which has a file as well.
        assert error.__traceback__ is not None
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError


GAME = ("/srv/game.py", "game")
RULES = ("/srv/rules.py", "rules")
JSON = (reasons._LIBRARIES[1] + "json/decoder.py", "json.decoder")
PIPPED = ("/venv/lib/python3/site-packages/other/it.py", "other.it")
OURS = (reasons.__file__, "skynet_tw.reasons")
IMPORTER = ("<frozen importlib._bootstrap>", "importlib._bootstrap")


class PlaceTests(SynchronousTestCase):
    """The file and the line."""

    def test_import(self) -> None:
        """Of an import, it is the last level in the user's files."""
        for levels, place in [
            ([IMPORTER, GAME], "/srv/game.py:3"),
            ([OURS, IMPORTER, GAME, IMPORTER, RULES], "/srv/rules.py:3"),
            ([IMPORTER, GAME, JSON, JSON], "/srv/game.py:2"),
            ([IMPORTER, GAME, PIPPED], "/srv/game.py:2"),
            ([IMPORTER, GAME, OURS], "/srv/game.py:2"),
        ]:
            said = import_failed(raised(*levels), "game")
            self.assertEqual(said, f"ValueError: x ({place})")

    def test_installed(self) -> None:
        """Actors that are installed are the user's files as well."""
        said = import_failed(raised(IMPORTER, PIPPED, JSON), "other.actors")
        self.assertEqual(said, f"ValueError: x ({PIPPED[0]}:2)")

    def test_nobodys(self) -> None:
        """An import that fails in no file of the user's has no place."""
        self.assertEqual(import_failed(raised(OURS, IMPORTER), "g"), "ValueError: x")

    def test_started(self) -> None:
        """Of a start, it is the last level in the actor's module, if it has one."""
        for levels, place in [
            ([OURS, GAME, RULES, JSON], "/srv/game.py:2"),
            ([OURS, GAME, RULES, GAME], "/srv/game.py:3"),
            ([OURS, RULES, JSON], "/srv/rules.py:2"),
            ([OURS, JSON], f"{JSON[0]}:3"),
        ]:
            said = start_failed(raised(*levels), "game")
            self.assertEqual(said, f"ValueError: x ({place})")
        self.assertEqual(start_failed(ValueError("x"), "game"), "ValueError: x")

    def test_hostile(self) -> None:
        """An error whose attributes raise is told all the same."""

        class Rude(Exception):
            @property
            def __traceback__(self) -> Any:  # type: ignore[override]
                raise SystemExit

        self.assertEqual(start_failed(Rude("x"), "game"), "Rude: x")


class OneLineTests(SynchronousTestCase):
    """Texts of several lines."""

    def test_lines(self) -> None:
        """Lines are put one behind the other; what is no text is escaped."""
        self.assertEqual(one_line("a\n\n  b\r\nc "), "a; b; c")
        self.assertEqual(one_line("é \x1b \udcff \t"), r"é \x1b \udcff")

    @given(st.text(st.characters(exclude_categories=())))
    def test_any(self, text: str) -> None:
        """Whatever the text, the line can be printed and encoded."""
        line = one_line(text)
        self.assertTrue(line.isprintable())
        line.encode()
