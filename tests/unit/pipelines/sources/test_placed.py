"""The nearest statement of a licence counts, and one that nobody can read is no permission."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pipelines.sources.placed import UNKNOWN, PlacedLicenses, placed_licenses
from quality.licences import license_type

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in the"
    " Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,"
    " distribute, sublicense, and/or sell copies. The above copyright notice and this permission notice shall be"
    " included in all copies or substantial portions of the Software.\n"
)
GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n"
OWN = "You may look at this code on Tuesdays, and on no other day.\n"


def placed(files: Mapping[str, str], declared: str = "", stated: tuple[str, ...] = ()) -> PlacedLicenses:
    data = {path: text.encode() for path, text in files.items()}
    return placed_licenses({path: len(text) for path, text in data.items()}, data.get, declared, stated)


def test_the_nearest_folder_with_a_statement_counts() -> None:
    found = placed({"LICENSE": MIT, "a/x.py": "", "a/b/COPYING": GPL, "a/b/c/y.py": "", "a/b/d/LICENSE.txt": MIT})
    assert found.of("a/x.py") == ("MIT",)
    assert found.of("a/b/c/y.py") == ("GPL-3.0-only",)
    assert found.of("a/b/d/z.py") == ("MIT",)
    assert found.of("a/bc.py") == ("MIT",)


def test_below_a_licence_that_is_not_recognised_nothing_is_under_the_one_above() -> None:
    found = placed({"LICENSE": MIT, "vendor/x/LICENSE": OWN, "vendor/x/a.py": ""})
    assert found.of("vendor/x/a.py") == (UNKNOWN,)
    assert license_type(found.of("vendor/x/a.py")) == "non_permissive"
    assert found.of("vendor/a.py") == ("MIT",)
    assert placed({"LICENSE": OWN}).of("a.py") == (UNKNOWN,)
    assert placed({"a.py": ""}).of("a.py") == ()


def test_an_empty_licence_file_states_nothing() -> None:
    assert placed({"LICENSE": MIT, "a/LICENSE": " \n"}).of("a/x.py") == ("MIT",)


def test_what_is_declared_holds_where_nothing_is_recognised_and_nowhere_else() -> None:
    assert placed({"LICENSE": OWN, "a/LICENSE": OWN, "b/LICENSE": GPL}, "ISC").of("a/x.py") == ("ISC",)
    assert placed({"LICENSE": OWN, "b/LICENSE": GPL}, "ISC").of("b/x.py") == ("GPL-3.0-only",)
    assert placed({"LICENSE": GPL}, "ISC").of("x.py") == ("GPL-3.0-only",)


def test_a_package_inside_states_its_own_licence_in_its_metadata() -> None:
    files = {
        "package.json": '{"license": "MIT"}',
        "node_modules/g/package.json": '{"license": "GPL-3.0-only"}',
        "node_modules/g/lib/a.js": "",
        "crates/c/Cargo.toml": '[package]\nlicense = "MIT OR Apache-2.0"',
        "packages/p/package.json": '{"name": "p"}',
    }
    found = placed(files)
    assert found.of("a.js") == ("MIT",)
    assert found.of("node_modules/g/lib/a.js") == ("GPL-3.0-only",)
    assert found.of("crates/c/src/lib.rs") == ("Apache-2.0 OR MIT",)
    assert found.of("packages/p/a.js") == ("MIT",)


def test_a_registry_s_statement_holds_for_a_package_that_has_none() -> None:
    assert placed({"a.js": ""}, stated=("ISC",)).of("a.js") == ("ISC",)
    assert placed({"a.js": "", "LICENSE": GPL}, stated=("BSD",)).of("a.js") == ("GPL-3.0-only",)
    assert placed({"a.js": "", "package.json": '{"license": "MIT"}'}, stated=("ISC",)).of("a.js") == ("MIT",)


def test_a_licence_file_beside_a_file_holds_for_it_alone() -> None:
    found = placed(
        {
            "LICENSE": MIT,
            "x.py": "",
            "x.py.license": "SPDX-FileCopyrightText: 2020 X\n\nSPDX-License-Identifier: GPL-2.0-or-later\n",
            "y.py": "",
            "y.py.license": "SPDX-License-Identifier: Tuesday-1.0\n",
            "z.license": "SPDX-License-Identifier: GPL-2.0-or-later\n",
        }
    )
    assert found.of("x.py") == ("GPL-2.0-or-later",)
    assert found.of("y.py") == (UNKNOWN,)
    assert found.of("z") == ("MIT",)


def test_annotations_hold_for_the_paths_they_name_and_the_last_one_counts() -> None:
    toml = """
version = 1
[[annotations]]
path = "**"
SPDX-License-Identifier = "Apache-2.0"
[[annotations]]
path = ["vendor/*.js", 'odd\\*.py']
SPDX-License-Identifier = "GPL-3.0-only"
"""
    found = placed({"LICENSE": MIT, "REUSE.toml": toml, "sub/REUSE.toml": toml, "a.py": "", "sub/a.py": ""})
    assert found.of("a.py") == found.of("deep/b.py") == ("Apache-2.0",)
    assert found.of("vendor/x.js") == found.of("odd*.py") == ("GPL-3.0-only",)
    assert found.of("vendor/deep/x.js") == found.of("oddly.py") == ("Apache-2.0",)
    assert found.of("sub/vendor/x.js") == ("GPL-3.0-only",)
    assert placed({"LICENSE": MIT, "REUSE.toml": "[[annotations"}).of("a.py") == ("MIT",)
    assert placed({"LICENSE": MIT, "REUSE.toml": "annotations = 3"}).of("a.py") == ("MIT",)


@pytest.mark.parametrize("path", [".reuse/dep5", "debian/copyright"])
def test_a_copyright_file_holds_for_the_paths_it_names(path: str) -> None:
    text = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: X
License: Expat

Files: vendor/* src/gen?.c
 more/*.js
Copyright: Y
License: GPL-2+

Files: odd/*
Copyright: Z
License: Tuesday
"""
    found = placed({path: text, "vendor/deep/a.py": ""})
    assert found.of("a.py") == ("MIT",)
    for one in ("vendor/deep/a.py", "src/gen1.c", "more/x/y.js"):
        assert found.of(one) == ("GPL-2.0-or-later",)
    assert found.of("odd/a.py") == (UNKNOWN,)


def test_texts_in_licenses_hold_together_where_nothing_else_is_said() -> None:
    only = placed({"LICENSES/MIT.txt": MIT, "a.py": ""})
    assert only.of("a.py") == ("MIT",)
    both = placed({"LICENSES/MIT.txt": MIT, "LICENSES/GPL-3.0-only.txt": GPL, "a.py": ""})
    assert both.of("a.py") == ("GPL-3.0-only", "MIT")
    assert license_type(both.of("a.py")) == "non_permissive"
    said = placed({"LICENSES/MIT.txt": MIT, "LICENSES/GPL-3.0-only.txt": GPL, "LICENSE": MIT, "a.py": ""})
    assert said.of("a.py") == ("MIT",)
