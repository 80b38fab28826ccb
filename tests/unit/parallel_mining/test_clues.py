"""What else than words says of which function another is a translation."""

from __future__ import annotations

import pytest

from parallel_mining.clues import clues_of, notes_in, package_of, stem_of, vectors_in, vectors_of_tests
from parallel_mining.comments import comments_in, without_comments
from parallel_mining.units import Unit, extract
from quality.languages import LANGUAGES


@pytest.mark.parametrize(
    ("path", "repo", "stem"),
    [
        ("src/edit_distance.py", "r", "editdistance"),
        ("a/b/EditDistance.java", "r", "editdistance"),
        ("lib/edit-distance.test.js", "r", "editdistance"),
        ("edit-distance/index.js", "r", "editdistance"),
        ("src/cases/snakecase/mod.rs", "r", "snakecase"),
        ("index.js", "npm:leven", "leven"),
        ("src/index.ts", "npm:@scope/ts-levenshtein", "tslevenshtein"),
        ("src/lib.rs", "deb:librust-strsim-dev", "strsim"),
        ("a/utils.py", "r", ""),
        ("src/main.go", "npm:utils", ""),
        ("a/io.py", "r", ""),
    ],
)
def test_a_file_has_the_name_of_its_kind_in_any_language(path: str, repo: str, stem: str) -> None:
    assert stem_of(path, repo) == stem


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        ("pypi:inflection", "inflection"),
        ("npm:@noble/hashes", "hashes"),
        ("npm:jalaali-js", "jalaali"),
        ("deb:golang-github-iancoleman-strcase-dev", "strcase"),
        ("deb:librust-num-integer-dev", "numinteger"),
        ("deb-src:libcommons-lang3-java", "commonslang3"),
        ("owner/simple-statistics", "simplestatistics"),
    ],
)
def test_a_package_is_called_what_people_call_it(repo: str, name: str) -> None:
    assert package_of(repo) == name


@pytest.mark.parametrize(
    ("note", "asked"),
    [
        ("# A port of difflib to this language.", {"port:package difflib"}),
        ("// Ported from the Python library inflection.", {"port:package inflection"}),
        (
            "/* Translation of\n * `difflib.get_close_matches`. Nothing of heapq is used. */",
            {
                "port:package difflibgetclosematches",
                "port:file difflibgetclosematches",
                "port:package difflib",
                "port:file difflib",
                "port:function difflib",
                "port:package getclosematches",
                "port:file getclosematches",
                "port:function closematches",
            },
        ),
        ("# Based on the number of items in difflib, and on the heapq.", set()),
        ("# The port is free.", set()),
    ],
)
def test_notes_say_what_something_was_ported_from(note: str, asked: set[str]) -> None:
    found = notes_in(note)
    assert asked <= found
    if not asked:
        assert not found
    assert "port:package heapq" not in found
    assert "port:package python" not in found


def test_what_follows_based_on_must_look_like_code() -> None:
    assert "port:function maybesplit" in notes_in("based on `maybe_split`")
    assert "port:package lodash" in notes_in("Based on https://github.com/lodash/lodash/blob/main/lodash.js")
    assert not notes_in("based on the statistics of each column")
    assert "port:function split" not in notes_in("based on `split()`")


def test_vectors_are_literals_that_few_examples_have() -> None:
    text = "assert f('kitten', 'sitting') == 3; f('foo bar', 1024, 12345, 0.5); f(0.961111, 0.96114, 6.25e-3, 'abc')"
    assert vectors_in(text) == [
        "vectors:f 0.9611",
        "vectors:f 0.9611",
        "vectors:f 0.00625",
        "vectors:s kitten",
        "vectors:s sitting",
    ]


def test_tests_tell_the_vectors_of_what_they_call() -> None:
    found = vectors_of_tests(
        [
            "def test_one():\n    assert jaro('martha', 'marhta') == 0.944\n\ndef test_two():\n    twice('kitten')\n",
            'mod tests {\n    #[test]\n    fn two() {\n        assert_eq!(twice("sitting"), 2);\n    }\n}\n',
            "jaro('dwayne')\n",
        ]
    )
    assert found["jaro"] == ("vectors:f 0.944", "vectors:s marhta", "vectors:s martha")
    assert found["twice"] == ("vectors:s kitten", "vectors:s sitting")


def test_examples_of_the_documentation_are_vectors_and_prose_is_not() -> None:
    own = (
        'def jaro(a, b):\n    """Compare, as "Winkler 1990" does.\n\n'
        "    >>> jaro('martha', 'marhta')\n    0.9444\n\n    See \"elsewhere\".\n    \"\"\"\n    return 'body'\n"
    )
    [clues] = clues_of("python", "pypi:strings", "strings.py", own, [(("jaro",), own)], {})
    vectors = {key for key in clues.asks if key.startswith("vectors")}
    assert vectors == {"vectors:f 0.9444", "vectors:s martha", "vectors:s marhta"}
    assert vectors <= set(clues.answers)


def cut(language: str, repo: str, path: str, text: str) -> dict[str, Unit]:
    row = {"id": "0", "text": text, "language": language, "repo_name": repo, "path": path, "license_type": "permissive"}
    return {unit.entry: unit for unit in extract([row], workers=1).units}


def test_a_note_above_a_function_is_its_own_and_one_above_all_is_everyones() -> None:
    text = (
        "// Ported from textdistance.\n\n/** Based on `get_close_matches`. */\n"
        "function closest(a) { return a.length * 2 + 1; }\nfunction other(a) { return a + a * 2; }\n"
        "module.exports = { closest, other };\n"
    )
    units = cut("javascript", "npm:near", "near.js", text)
    both = {key for key in units["other"].clues.asks if key.startswith("port")}
    assert both == {"port:package textdistance"}
    assert {*both, "port:function closematches"} <= set(units["closest"].clues.asks)
    assert set(units["other"].clues.answers) == {
        "stem:near",
        "port:package near",
        "port:file near",
        "port:function other",
    }


def test_trivial_functions_have_no_clues() -> None:
    units = cut("python", "pypi:near", "near.py", "def add(a, b):\n    return a + b\n")
    assert units["add"].trivial
    assert not units["add"].clues.answers


@pytest.mark.parametrize("language", LANGUAGES)
def test_comments_and_code_are_each_others_complement(language: str) -> None:
    row = LANGUAGES[language]
    opening, closing = row.block_comments[0]
    code = f'a = "{row.line_comment} no"\n{opening} one {closing}\nb = 1 {row.line_comment} two\n'
    assert " ".join(comments_in(language, code)).split() == [
        *f"{opening} one {closing}".split(),
        *f"{row.line_comment} two".split(),
    ]
    assert without_comments(language, code).split() == ["a", "=", f'"{row.line_comment}', 'no"', "b", "=", "1"]
