from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipelines import near
from pipelines.near import components, groups_of


def reference(links: list[tuple[int, int]], nodes: int) -> list[int]:
    label = list(range(nodes))
    changed = True
    while changed:
        changed = False
        for left, right in links:
            low = min(label[left], label[right])
            changed |= label[left] != low or label[right] != low
            label[left] = label[right] = low
    return label


@pytest.mark.parametrize("seed", range(20))
def test_components_are_what_links_connect(seed: int) -> None:
    random_ = random.Random(seed)
    nodes = random_.randrange(1, 60)
    links = [(random_.randrange(nodes), random_.randrange(nodes)) for _ in range(random_.randrange(60))]
    left, right = (np.array([link[side] for link in links], np.int64) for side in (0, 1))
    assert components(left, right, nodes).tolist() == reference(links, nodes)


def test_a_long_chain_in_any_order_is_one_component() -> None:
    order = np.random.default_rng(1).permutation(20_000)
    assert set(components(order[:-1], order[1:], len(order)).tolist()) == {0}


def test_connected_pairs_share_a_group_and_others_do_not() -> None:
    left, right = np.array([1, 2, 10, 20]), np.array([2, 3, 11, 21])
    groups = groups_of(left, right).tolist()
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


def test_a_family_beyond_bounds_is_cut_so_that_no_group_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "GROUP_DOCUMENTS", 40)
    monkeypatch.setattr(near, "_BLOCK", 20)
    random_ = random.Random(3)
    pairs = [(random_.randrange(4), n) for n in range(4, 300) for _ in range(3)]
    left, right = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    groups = groups_of(left, right)
    for group in set(groups.tolist()):
        own = groups == group
        assert len({*left[own].tolist(), *right[own].tolist()}) <= 40


def test_only_pairs_of_the_threshold_are_edges_with_their_true_similarity() -> None:
    sets = {"a": range(10), "b": range(1, 10), "c": range(4, 10), "d": range(50, 60)}
    members = pa.table(
        {
            "preference": pa.array([name.encode() for name in sets], pa.binary()),
            "language": pa.array(["go", "go", "rust", "go"]),
            "shingles": pa.array([list(values) for values in sets.values()], pa.list_(pa.int32())),
        }
    )
    pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "d")]
    asked = pa.table({"better": [x.encode() for x, _ in pairs], "worse": [y.encode() for _, y in pairs]})
    found = near._verified(members, asked, 0.65).to_pylist()
    assert [(row["better"], row["worse"], row["similarity"]) for row in found] == [
        (b"a", b"b", 0.9),
        (b"b", b"c", pytest.approx(2 / 3)),
    ]
    assert [row["worse_language"] for row in found] == ["go", "rust"]
