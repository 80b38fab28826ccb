"""Files come after what they import, in every language, by one set of patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.import_order import import_order

REPOSITORIES = {
    "python": {
        "pkg/app.py": "import os\nfrom pkg.core import run\nfrom .helpers import (a, b)\n",
        "pkg/core.py": "from . import types\n",
        "pkg/types.py": "import sys\n",
        "pkg/helpers.py": "from pkg import core\n",
    },
    "javascript": {
        "src/app.js": "const b = require('./b');\nimport { x } from '../lib/c.js';\n",
        "src/b.js": "import {\n  one,\n  two,\n} from './deep';\n",
        "src/deep/index.js": "export const one = 1;\n",
        "lib/c.js": "export * from '../src/b';\n",
    },
    "java": {
        "src/org/acme/App.java": "package org.acme;\nimport org.acme.util.Text;\nimport java.util.List;\n",
        "src/org/acme/util/Text.java": "package org.acme.util;\nimport static org.acme.core.Base.f;\n",
        "src/org/acme/core/Base.java": "package org.acme.core;\n",
    },
    "csharp": {
        "Source/App.cs": "using System;\nusing Acme.Core;\n",
        "Source/Acme/Core/Base.cs": "namespace Acme.Core {}\n",
    },
    "go": {
        "main.go": 'package main\n\nimport (\n\t"fmt"\n\n\t"github.com/acme/tool/pkg/store"\n)\n',
        "pkg/store/store.go": 'package store\n\nimport "github.com/acme/tool/pkg/base"\n',
        "pkg/base/base.go": "package base\n",
    },
    "rust": {
        "src/main.rs": "mod store;\nuse crate::base::types::Item;\n",
        "src/store.rs": "use super::base::types;\n",
        "src/base/mod.rs": "pub mod types;\n",
        "src/base/types.rs": "use std::fmt;\n",
    },
}
BEFORE = {
    "python": [("types", "core"), ("core", "helpers"), ("helpers", "app")],
    "javascript": [("deep", "src/b"), ("src/b", "lib/c"), ("lib/c", "src/app")],
    "java": [("Base", "Text"), ("Text", "App")],
    "csharp": [("Base", "App")],
    "go": [("base.go", "store.go"), ("store.go", "main.go")],
    "rust": [("types.rs", "mod.rs"), ("types.rs", "store.rs"), ("store.rs", "main.rs")],
}


@pytest.mark.parametrize("language", REPOSITORIES)
def test_what_is_imported_comes_first(language: str) -> None:
    files = list(REPOSITORIES[language].items())
    for given_order in (files, files[::-1]):
        names = [given_order[index][0] for index in import_order(given_order)]
        for first, second in BEFORE[language]:
            place = [next(i for i, name in enumerate(names) if word in name) for word in (first, second)]
            assert place[0] < place[1], names


def test_circles_go_by_name() -> None:
    files = [("b.py", "import a\n"), ("a.py", "import b\n"), ("c.py", "import a\nimport nothing\n")]
    assert [files[index][0] for index in import_order(files)] == ["a.py", "b.py", "c.py"]


words = st.sampled_from(["a", "b", "lib", "index", "__init__", "x.y", "", "..", "é"])
files = st.dictionaries(
    st.lists(words.filter(bool), min_size=1, max_size=3).map("/".join),
    st.lists(st.tuples(st.sampled_from(["import ", "from ", "use ", "require('./"]), words), max_size=4).map(
        lambda lines: "".join(f"{keyword}{word}\n" for keyword, word in lines)
    ),
    max_size=8,
)  # fmt: skip


@given(files)
def test_every_file_comes_once(repository: dict[str, str]) -> None:
    given_files = list(repository.items())
    order = import_order(given_files)
    assert sorted(order) == list(range(len(given_files)))
    names = [given_files[index][0] for index in order]
    again = given_files[::-1]
    assert [again[index][0] for index in import_order(again)] == names, "the order they come in changes nothing"
