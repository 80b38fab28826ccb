from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from quality import splits
from quality.splits import MIN_REPOSITORIES, Placed, cells_of, key_of


@dataclass(frozen=True)
class Sides:
    side: dict[str, str]
    unit: dict[str, str]


def assign(documents: list[Placed], share: float, seed: int) -> Sides:
    split = splits.assign(cells_of(documents), sorted({d.language for d in documents}), share, seed)
    members = Counter(d.family for d in documents)
    side = {d.id: split.side[key_of(d, split.levels[d.language], shared=members[d.family] > 1)] for d in documents}
    return Sides(side, split.unit)


def repositories(count: int, *, language: str = "go", size: int = 100) -> list[Placed]:
    return [
        Placed(f"{language}{r}.{f}", language, f"repo{r}", f"src/d{f % 3}/f{f}", f"{language}{r}.{f}", size)
        for r in range(count)
        for f in range(6)
    ]


def test_many_repositories_are_divided_by_repository() -> None:
    documents = repositories(MIN_REPOSITORIES * 5)
    split = assign(documents, 0.1, seed=1)
    sides: dict[str, set[str]] = {}
    for document in documents:
        sides.setdefault(document.repo_name, set()).add(split.side[document.id])
    assert all(len(found) == 1 for found in sides.values())
    assert sum(side == "validation" for side in split.side.values()) == 60
    assert split.unit == {"go": "repository"}


def test_few_repositories_are_divided_by_the_folder_where_their_documents_part() -> None:
    documents = repositories(2)
    split = assign(documents, 0.2, seed=1)
    sides: dict[tuple[str, str], set[str]] = {}
    for document in documents:
        sides.setdefault((document.repo_name, document.path.split("/")[1]), set()).add(split.side[document.id])
    assert len(sides) == 6
    assert all(len(found) == 1 for found in sides.values())
    assert set(split.side.values()) == {"train", "validation"}
    assert split.unit == {"go": "folder"}


def test_a_family_draws_its_units_together_across_languages() -> None:
    go, rust = repositories(2), repositories(2, language="rust")
    shared = [Placed(d.id, d.language, d.repo_name, d.path, "F", d.bytes) if d.path.endswith("f0") else d for d in go]
    shared += [
        Placed(d.id, d.language, d.repo_name, d.path, "F", d.bytes) if d.path.endswith("f1") else d for d in rust
    ]
    for seed in range(20):
        split = assign(shared, 0.3, seed)
        assert len({split.side[d.id] for d in shared if d.family == "F"}) == 1


def test_one_folder_is_divided_deeper_and_at_last_by_family() -> None:
    deeper = [Placed(f"{i}", "go", "r", f"a/b{i % 2}/c{i}/x", f"{i}", 10) for i in range(8)]
    tied = [Placed(d.id, "go", "r", d.path, "F" if d.id in ("0", "1") else d.family, 10) for d in deeper]
    flat = [Placed(f"{i}", "go", "r", f"x{i}", f"{i // 2}", 10) for i in range(8)]
    alone = [Placed(f"{i:03x}", "go", "r", f"x{i}", f"{i:03x}", 10) for i in range(8)]
    assert assign(deeper, 0.2, 1).unit == {"go": "folder"}
    assert assign(tied, 0.2, 1).unit == {"go": "deeper folder"}
    split = assign(flat, 0.2, 1)
    assert split.unit == {"go": "family"}
    assert sorted(split.side.values()) == ["train"] * 6 + ["validation"] * 2
    split = assign(alone, 0.2, 1)
    assert split.unit == {"go": "family"}
    assert sorted(split.side.values()) == ["train"] * 6 + ["validation"] * 2


def test_a_single_document_is_trained_on() -> None:
    assert assign([Placed("a", "go", "r", "p", "a", 1)], 0.05, 1).side == {"a": "train"}
    assert assign([], 0.05, 1).side == {}


def test_another_seed_holds_out_something_else() -> None:
    documents = repositories(60)
    first, again, other = (assign(documents, 0.1, seed).side for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_order_of_documents_does_not_matter() -> None:
    documents = repositories(30)
    assert assign(documents, 0.1, 3) == assign(documents[::-1], 0.1, 3)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_must_leave_both_sides(share: float) -> None:
    with pytest.raises(ValueError, match="validation share"):
        assign(repositories(2), share, 1)


def test_cells_of_a_large_corpus_are_few() -> None:
    documents = repositories(MIN_REPOSITORIES, size=1)
    cells = cells_of(documents)({"go": 0})
    assert len(cells) == MIN_REPOSITORIES
    assert sum(cell.bytes for cell in cells) == len(documents)
