"""No leak, whatever the documents: units and families are whole, and each language that can be divided is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from quality.splits import Placed, Split, assign, cells_of, key_of

documents = st.lists(
    st.tuples(
        st.sampled_from(["go", "rust", "java"]),
        st.integers(0, 30),  # repository
        st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),  # folders
        st.integers(0, 12),  # family, beyond 9 its own
        st.integers(1, 10_000),  # bytes
    ),
    min_size=1,
    max_size=80,
)


def sides(placed: list[Placed], split: Split) -> dict[str, str]:
    members = Counter(d.family for d in placed)
    return {d.id: split.side[key_of(d, split.levels[d.language], shared=members[d.family] > 1)] for d in placed}


@settings(max_examples=150, deadline=None)
@given(documents, st.floats(0.01, 0.49), st.integers(0, 5))
def test_families_and_repositories_are_whole_and_both_sides_are_there(
    drawn: list[tuple[str, int, list[str], int, int]], share: float, seed: int
) -> None:
    placed = [
        Placed(
            str(n), language, f"r{repo}", "/".join([*folders, f"f{n}"]), f"F{family}" if family < 10 else f"{n}", size
        )
        for n, (language, repo, folders, family, size) in enumerate(drawn)
    ]
    languages = sorted({document.language for document in placed})
    split = assign(cells_of(placed), languages, share, seed)
    assert assign(cells_of(placed[::-1]), languages[::-1], share, seed) == split
    side = sides(placed, split)
    for language in {document.language for document in placed}:
        own = [document for document in placed if document.language == language]
        if split.unit[language] == "repository":
            assert_whole(side, own, "repo_name")
        if len({document.family for document in own}) == 1:
            assert {side[document.id] for document in own} in ({"train"}, {"validation"})
    assert_whole(side, placed, "family")
    assert "train" in side.values()
    if len({document.language for document in placed}) == 1 and len({document.family for document in placed}) > 1:
        assert set(side.values()) == {"train", "validation"}


def assert_whole(side: dict[str, str], placed: list[Placed], by: str) -> None:
    sides: dict[str, set[str]] = {}
    for document in placed:
        sides.setdefault(getattr(document, by), set()).add(side[document.id])
    assert all(len(found) == 1 for found in sides.values())
