"""The demo's sources are pinned, each by version and checksum, and read by the same models as any study's."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import Source, parse_spec
from quality.languages import LANGUAGES

DEMO = Path(__file__).parents[3] / "pipelines" / "demo.toml"


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    return tomllib.loads(DEMO.read_text())


def test_every_source_is_a_package_of_one_version_with_a_checksum(demo: dict[str, Any]) -> None:
    sources = [Source.model_validate(entry) for entry in demo["sources"]]
    assert all(source.sha256 for source in sources)
    for source in sources:
        spec = parse_spec(source.spec)
        assert spec.kind in ("pypi", "npm", "deb", "deb-src")
        assert spec.version
    names = [source.label for source in sources]
    assert len(set(names)) == len(names)


def test_it_covers_the_registry_around_a_pivot_of_its_own(demo: dict[str, Any]) -> None:
    assert set(demo["languages"]) == set(LANGUAGES)
    assert demo["pivot"] in demo["languages"]
    assert isinstance(demo["seed"], int)
