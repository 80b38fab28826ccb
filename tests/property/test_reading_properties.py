"""Decoding, classification, licences and paths hold for any input."""

from __future__ import annotations

from typing import get_args

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.archives import Skipped, safe_path
from pipelines.sources import RawFile
from pipelines.sources.tables import COLUMN_NAMES, files_of_row
from quality.classify import Decoded, Kind, classify, classify_decoded, decode
from quality.languages import LANGUAGES
from quality.licences import PERMISSIVE, RESTRICTED, from_header, from_metadata, from_text, license_type

ENDINGS = st.sampled_from([ending for row in LANGUAGES.values() for ending in row.extensions] + ["", ".md", ".c"])


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200))
def test_any_text_survives_utf8_and_utf16(text: str) -> None:
    for codec in ("utf-8", "utf-8-sig", "utf-16"):
        found = decode(text.encode(codec))
        assert isinstance(found, Decoded)
        assert found.text == text.removeprefix("\ufeff") if codec == "utf-8" else found.text == text


PATHS = st.one_of(
    st.just(""),
    ENDINGS.map("a/b{}".format),
    st.text(max_size=30),
    st.builds("{}/{}{}".format, st.sampled_from(["vendor", "tests", "..", "a\nb", ""]), st.text(max_size=5), ENDINGS),
)
CONTENTS = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from(
            [
                "print 'x'",
                "def f(",
                "class A {",
                "\n",
                "  ",
                "// a",
                "/*",
                "*/",
                "#!",
                "`",
                '"""',
                "func",
                "é",
                "<?xml",
                "{",
                "}",
            ]
        ),
        max_size=40,
    ).map(lambda parts: "".join(parts).encode()),
)


@given(CONTENTS, PATHS)
def test_any_bytes_under_any_path_get_exactly_one_verdict(data: bytes, path: str) -> None:
    found = classify(path, data)
    assert found.language is None or found.language in LANGUAGES
    assert found.kind in get_args(Kind)
    assert 0 <= found.confidence <= 1
    assert found.reason
    assert found.language is not None or not found.dialect
    assert classify_decoded(path, data, decode(data)) == found


identifiers = st.sampled_from(sorted(PERMISSIVE | RESTRICTED))
expressions = st.recursive(
    identifiers,
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=6,
)


@given(expressions)
@example("(0BSD OR LicenseRef-Commons-Clause)")
@settings(max_examples=200)
def test_an_expression_keeps_its_meaning_when_it_is_normalised(expression: str) -> None:
    normal = from_metadata([expression])
    assert normal
    assert license_type(normal) == license_type([expression])
    assert from_metadata(normal) == normal


@given(expressions, identifiers)
def test_adding_a_condition_never_makes_it_permissive(expression: str, more: str) -> None:
    if license_type([expression]) == "non_permissive":
        assert license_type([expression, more]) == "non_permissive"
        assert license_type([f"{expression} AND {more}"]) == "non_permissive"


@given(st.text(max_size=400))
def test_any_text_is_searched_for_licences_without_harm(text: str) -> None:
    for found in (from_text(text), from_header(text), from_metadata([text])):
        assert all(isinstance(one, str) and one for one in found)


@given(st.text(alphabet="ab./\\:\0-", max_size=20))
def test_a_safe_path_stays_below_its_folder(name: str) -> None:
    clean = safe_path(name)
    if clean is not None:
        parts = clean.split("/")
        assert ".." not in parts
        assert "." not in parts
        assert "" not in parts
        assert safe_path(clean) == clean


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
columns = st.sampled_from(
    sorted({name for names in COLUMN_NAMES.values() for name in names} | {"files", "github_metadata"})
)
rows = st.dictionaries(columns, values, max_size=8)


@given(rows, st.lists(rows | values, max_size=3))
@settings(max_examples=200)
def test_any_row_ends_as_one_file_or_one_reason_for_each_file_in_it(
    row: dict[str, object], nested: list[object]
) -> None:
    row.pop("files", None)
    for one, expected in ((row, 1), ({"repo_name": "o/n", "files": nested}, len(nested))):
        found = list(files_of_row(one, "t:1"))
        assert len(found) == expected
        for file in found:
            file.path.encode()
            assert file.path
            if isinstance(file, RawFile):
                assert safe_path(file.path) == file.path
                "".join((file.repo_name, file.revision_id, *file.licenses)).encode()
                repr(file.provenance.stated()).encode()
            else:
                assert isinstance(file, Skipped)
                assert file.reason in {"no_content", "lone_surrogate", "unsafe_path"}
