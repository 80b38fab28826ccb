"""Which candidates file names, notes and test vectors add to those of the index."""

from __future__ import annotations

from typing import Any

import pytest

from parallel_mining import channels
from parallel_mining.candidates import Candidate, candidates
from parallel_mining.channels import Channel, meetings
from parallel_mining.clues import Clues
from parallel_mining.pairs import Program
from parallel_mining.signatures import Parameter, Signature
from parallel_mining.types import parse_type
from parallel_mining.units import Origin, Unit, extract


def unit(
    language: str,
    number: int,
    words: list[str],
    answers: tuple[str, ...],
    asks: tuple[str, ...] | None = None,
    takes: str = "int",
) -> Unit:
    clues = Clues(answers, answers if asks is None else asks)
    program = Program(language, f"code {language} {number}", "f")
    signature = Signature((Parameter("x", parse_type(takes)),))
    return Unit(f"{number:032x}", program, signature, Origin("d", "r", "p"), dict.fromkeys(words, 1), (), clues=clues)


# Words that keep any two of the units below apart; one word is common to all of a test's.
def noise(language: str, number: int) -> list[str]:
    return [f"id:{language}{number}{part}" for part in "abcdefgh"]


def found(units: list[Unit], **options: Any) -> dict[tuple[int, int], str]:
    return {
        (int(c.left.unit_id, 16), int(c.right.unit_id, 16)): c.channel
        for c in candidates(units, "python", min_mutual_score=0.25, **options)
    }


def far(language: str, number: int, *keys: str, asks: tuple[str, ...] | None = None, **more: Any) -> Unit:
    return unit(language, number, ["id:common", *noise(language, number)], keys, asks, **more)


def test_units_of_files_of_one_name_are_added() -> None:
    units = [far("python", 1, "stem:gcd"), far("go", 2, "stem:gcd"), far("go", 3, "stem:other")]
    assert found(units) == {(1, 2): "stem"}
    assert found(units, per_channel=0) == {}


def test_a_note_is_answered_in_either_direction() -> None:
    asking = far("python", 1, "port:package own", asks=("port:package other",))
    asked = far("go", 2, "port:package other", asks=())
    assert found([asking, asked]) == {(1, 2): "port"}
    asking = far("go", 2, "port:package own", asks=("port:package other",))
    asked = far("python", 1, "port:package other", asks=())
    assert found([asking, asked]) == {(1, 2): "port"}
    assert found([far("python", 1, "port:package a", asks=()), far("go", 2, "port:package a", asks=())]) == {}


def test_one_shared_literal_is_chance() -> None:
    both = ("vectors:s kitten", "vectors:s sitting")
    units = [far("python", 1, *both), far("go", 2, *both), far("go", 3, both[0], "vectors:s other")]
    assert found(units) == {(1, 2): "vectors"}


def test_what_the_index_gives_is_marked_and_needs_no_more() -> None:
    same = ["fold:gcd", "id:rest"]
    units = [
        unit("python", 1, same, ("stem:gcd",)),
        unit("go", 2, same, ("stem:gcd",)),
        far("go", 3, "stem:gcd"),
        far("python", 4, "stem:gcd"),
        unit("java", 5, same, ()),
    ]
    assert found(units) == {(1, 2): "index+stem", (1, 5): "index", (4, 3): "stem"}


def test_channels_are_sorted_and_joined() -> None:
    units = [far("python", 1, "port:file gcd", "stem:gcd"), far("go", 2, "port:file gcd", "stem:gcd")]
    assert found(units) == {(1, 2): "port+stem"}


def test_only_what_can_be_called_alike_and_shares_a_word_is_added() -> None:
    units = [
        far("python", 1, "stem:gcd"),
        far("go", 2, "stem:gcd", takes="str"),
        unit("go", 3, noise("go", 3), ("stem:gcd",)),
    ]
    assert found(units) == {}


def test_each_side_keeps_the_nearest() -> None:
    def near(language: str, number: int, count: int) -> Unit:
        return unit(
            language, number, [*["id:common", "id:near", "id:nearer"][:count], *noise(language, number)], ("stem:s",)
        )

    units = [near("python", 1, 2), near("python", 2, 3), *(near("go", 10 + n, n) for n in (1, 3))]
    # Both propose themselves to the nearest right one, which keeps the nearest of them.
    assert found(units, per_channel=1) == {(2, 13): "stem"}
    assert len(found(units, per_channel=2)) == 4


def test_keys_of_many_units_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clues = [Clues(("stem:s",), ("stem:s",))] * 3
    assert len(meetings(clues, clues[:1])) == 3
    monkeypatch.setitem(channels.CHANNELS, "stem", Channel(most_units=2, least_keys=1))
    assert meetings(clues, clues[:1]) == {}


def test_the_same_for_the_same_units_in_any_order() -> None:
    units = [far(language, 10 * at + n, "stem:s") for at, language in enumerate(("python", "go")) for n in range(5)]

    def rows(made: list[Candidate]) -> list[tuple[str, str, str]]:
        return [(c.left.unit_id, c.right.unit_id, c.channel) for c in made]

    assert rows(candidates(units, "python")) == rows(candidates(units[::-1], "python"))


def test_from_files_to_candidates() -> None:
    files = [
        (
            "python",
            "pypi:a",
            "easter_day.py",
            "def easter(year):\n    golden = year % 19\n    return golden * 11 % 30\n",
        ),
        ("javascript", "npm:b", "easter-day/index.js", "module.exports = function (y) { let d = y; return d / 4; };\n"),
    ]
    rows = [
        {
            "id": f"{i}",
            "text": text,
            "language": language,
            "repo_name": repo,
            "path": path,
            "license_type": "permissive",
        }
        for i, (language, repo, path, text) in enumerate(files)
    ]
    units = extract(rows, workers=1).units
    assert len(units) == 2
    [only] = candidates(units, "python", min_score=0.9, min_mutual_score=0.9)
    assert only.channel == "stem"
