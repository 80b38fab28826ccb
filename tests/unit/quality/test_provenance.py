"""Dates, counts and addresses are read however they are written, and what cannot be true is unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from quality.provenance import PROVENANCE_FIELDS, Provenance, address_in, count, instant, states_address, web_address

WHEN = datetime(2023, 9, 6, 5, 21, 32, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        WHEN,
        WHEN.replace(tzinfo=None),
        WHEN.astimezone(timezone(timedelta(hours=9))),
        "2023-09-06T05:21:32Z",
        "2023-09-06 05:21:32",
        "2023-09-06 05:21:32 UTC",
        "2023-09-06T07:21:32+02:00",
        1693977692,
        1693977692.0,
        1693977692_000,
        1693977692_000_000,
        1693977692_000_000_000,
    ],
)
def test_a_date_is_an_instant_in_utc_however_it_is_written(value: Any) -> None:
    assert instant(value) == WHEN
    assert instant(value).utcoffset() == timedelta(0)  # type: ignore[union-attr]


def test_a_day_is_its_beginning() -> None:
    assert instant(date(2020, 2, 29)) == datetime(2020, 2, 29, tzinfo=UTC)
    assert instant("2020-02-29") == datetime(2020, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [None, "", " ", "never", True, 0, -1, 10**30, float("nan"), float("inf"), "1980-01-01", datetime(1985, 10, 26),
     datetime(1, 1, 1), datetime(2100, 1, 1), datetime.max, [], {}, "9" * 5000],
)  # fmt: skip
def test_what_is_no_date_or_a_placeholder_is_unknown(value: Any) -> None:
    assert instant(value) is None


def test_counts() -> None:
    assert [count(value) for value in (0, 7, 7.0, "7", 2**63 - 1)] == [0, 7, 7, 7, 2**63 - 1]
    wrong = (None, -1, True, "many", float("nan"), float("inf"), 2**63, [], "9" * 5000)
    assert [count(value) for value in wrong] == [None] * len(wrong)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://host.invalid/o/n", "https://host.invalid/o/n"),
        ("https://host.invalid:8443/o/n.git", "https://host.invalid:8443/o/n"),
        ("https://me:secret@host.invalid/o/n/?token=1#x", "https://host.invalid/o/n"),
        ("https://token@host.invalid/o/n", "https://host.invalid/o/n"),
        ("git+https://host.invalid/o/n.git", "https://host.invalid/o/n"),
        ("git@host.invalid:o/n.git", "ssh://host.invalid/o/n"),
        ("ssh://git@host.invalid/o/n", "ssh://host.invalid/o/n"),
        ("/home/me/secret/place", None),
        ("file:///home/me/place", None),
        ("C:/place", None),
        ("https://[::1/o", None),
        ("https://host.invalid:99999/o", None),
        ("https://host.invalid/a b", None),
        ("https://host.invalid/a\nb", None),
        ("ext::sh -c touch% x", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_addresses_lose_logins_and_paths_are_none(address: Any, expected: str | None) -> None:
    assert web_address(address) == expected


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("package.json", b'{"repository": {"url": "git+https://u:p@h.invalid/o/n.git"}}', "https://h.invalid/o/n"),
        ("package.json", b'{"repository": "https://h.invalid/o/n"}', "https://h.invalid/o/n"),
        ("package.json", b'{"repository": "github:o/n"}', None),
        ("package.json", b"[1]", None),
        ("package.json", b"[" * 100_000, None),
        ("Cargo.toml", b'[package]\nrepository = "https://h.invalid/o/n"', "https://h.invalid/o/n"),
        ("Cargo.toml", b"[package", None),
        ("pyproject.toml", b'[project.urls]\n"Source Code" = "https://h.invalid/o/n"', "https://h.invalid/o/n"),
        (
            "x.dist-info/METADATA",
            b"Home-page: https://h.invalid/page\nProject-URL: Repository, https://h.invalid/o/n\n\nProject-URL: a, b",
            "https://h.invalid/o/n",
        ),
        ("PKG-INFO", b"Home-page: https://h.invalid/page\n\n", "https://h.invalid/page"),
        ("PKG-INFO", b"\xff\xfe\0", None),
    ],
)
def test_a_package_s_metadata_may_say_where_its_repository_is(path: str, data: bytes, expected: str | None) -> None:
    assert states_address(path)
    assert address_in(path, data) == expected


def test_only_the_package_s_own_metadata_is_asked() -> None:
    assert not any(map(states_address, ("node_modules/a/package.json", "a/PKG-INFO", "package.json.py")))


def test_columns_rows_and_what_is_stated_agree() -> None:
    known = Provenance(repo_url="https://h.invalid/o/n", visit_date=WHEN, star_events_count=0)
    schema = pa.schema(list(PROVENANCE_FIELDS))
    assert list(known.row()) == schema.names
    assert pa.Table.from_pylist([known.row(), Provenance().row()], schema).to_pylist()[0]["visit_date"] == WHEN
    assert known.stated() == {
        "repo_url": "https://h.invalid/o/n",
        "visit_date": "2023-09-06T05:21:32+00:00",
        "star_events_count": 0,
    }
    assert Provenance().stated() == {}
