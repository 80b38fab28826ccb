"""How every part of the project reports bad input: all mistakes at once, each with the place it was found.

`BadInput` is a `ValueError`, so library users catch what they expect; the command line turns it into exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True)
class Mistake:
    """One thing wrong with an input.

    Args:
        where: The file, field or option it was found in, such as `study.toml: sweep.sizes[1]`.
        what: The bad value, the allowed ones, and what to do next.
    """

    where: str
    what: str

    def __str__(self) -> str:
        # A name may hold line feeds and worse; a mistake is one line.
        where = "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in self.where)
        return f"{where}: {self.what}"


class BadInput(ValueError):
    """Input that cannot be used, with every mistake found in it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class Stale(BadInput):
    """What is there already was made from something else than is asked for (exit code 3)."""

    exit_code = 3


class Mistakes:
    """Mistakes of several checks, told together."""

    def __init__(self) -> None:
        self._found: list[Mistake] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Go on after a check that finds mistakes, and remember them (the same one once)."""
        try:
            yield
        except BadInput as error:
            self.add(error.mistakes)

    def add(self, found: Iterable[Mistake]) -> None:
        """Remember mistakes, the same one once."""
        self._found += [mistake for mistake in found if mistake not in self._found]

    def tell(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            BadInput: All mistakes.
        """
        if self._found:
            raise BadInput(self._found)


class Failure(RuntimeError):
    """Work that ended without its result, though its input was good; the message says what and what to do next."""


def bad_input(where: object, what: str) -> NoReturn:
    """Raise `BadInput` for a single mistake.

    Args:
        where: The file, field or option.
        what: The bad value, the allowed ones, and what to do next.

    Raises:
        BadInput: Always.
    """
    raise BadInput([Mistake(str(where), what)])
