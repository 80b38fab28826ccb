"""What must hold of every order, whatever the stores, the shares and the sizes."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quality.mistakes import BadInput
from training.allocation import Allocation, Stage, staged
from training.order import Infeasible, Order, Stream, apportion, plan_order
from training.stores import TokenStore
from training.turns import interleave, interleave_stages

SOURCES = ("python", "java", "javascript", "typescript", "csharp", "go", "rust", "pair:python-go", "pair:python-rust")


def store(source: str, lengths: Sequence[int]) -> TokenStore:
    """A store in memory whose i-th token is i, so that every token can be told from every other."""
    ends = np.cumsum(np.array(lengths, np.int64))
    ids = np.arange(int(ends[-1]), dtype=np.uint32)
    return TokenStore(Path(source), source, "train", "t", ids, ends, np.array(lengths), np.ones(len(ids), np.int64))


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=25)
mixtures = st.dictionaries(
    st.sampled_from(SOURCES), st.tuples(lengths, st.floats(0.001, 1)), min_size=1, max_size=len(SOURCES)
)


def allocation_of(weights: Mapping[str, float]) -> Allocation:
    total = sum(weights.values())
    return Allocation({source: weight / total for source, weight in weights.items()})


def prepared(mixture: Mapping[str, tuple[list[int], float]]) -> tuple[dict[str, TokenStore], Allocation]:
    stores = {source: store(source, own) for source, (own, _) in mixture.items()}
    return stores, allocation_of({source: weight for source, (_, weight) in mixture.items()})


@settings(deadline=None, max_examples=80)
@given(mixtures, st.integers(1, 30), st.integers(1, 60), st.integers(0, 2**31))
def test_every_source_and_every_prefix_is_exact_to_a_sequence(
    mixture: dict[str, tuple[list[int], float]], length: int, sequences: int, seed: int
) -> None:
    stores, allocation = prepared(mixture)
    tokens = length * sequences + seed % length
    order = plan_order(stores, allocation, tokens, length, seed, max_epochs=1e6)
    assert len(order) == tokens // length
    drawn = [order.source_of(index) for index in range(len(order))]
    for source, share in allocation.shares.items():
        own = np.cumsum([name == source for name in drawn])
        assert abs(own[-1] * length - share * tokens) < length * (1 + 1e-9)
        assert order.tokens.get(source, 0) == own[-1] * length
        share_of_order = own[-1] / len(order)
        assert np.all(np.abs(own - share_of_order * np.arange(1, len(order) + 1)) < 1)
        positions = [order.position_of(i) for i, name in enumerate(drawn) if name == source]
        assert positions == list(range(own[-1]))


@settings(deadline=None, max_examples=60)
@given(lengths, st.integers(1, 30), st.floats(0.3, 4), st.integers(0, 2**31))
def test_a_document_comes_again_only_after_all_others(own: list[int], length: int, epochs: float, seed: int) -> None:
    stores = {"go": store("go", own)}
    supply = sum(own)
    tokens = max(length, int(epochs * supply) // length * length)
    order = plan_order(stores, Allocation({"go": 1.0}), tokens, length, seed, max_epochs=1e6)
    rows = [order.sequence(index) for index in range(len(order))]
    assert all(left[-1] == right[0] for left, right in pairwise(rows)), "the last target is the next input"
    stream = np.concatenate([row[:-1] for row in rows])
    starts = np.concatenate([[0], np.cumsum(own)])
    for epoch in range(0, len(stream), supply):
        read = stream[epoch : epoch + supply]
        assert len(set(read.tolist())) == len(read), "a token was read twice in an epoch"
        jumps = np.flatnonzero(np.diff(read) != 1)
        assert set(read[jumps + 1].tolist()) <= set(starts.tolist()), "a document was cut"
        assert set((read[jumps] + 1).tolist()) <= set(starts.tolist())
        assert read[0] in starts


@settings(deadline=None, max_examples=40)
@given(mixtures, st.integers(1, 20), st.integers(2, 40), st.integers(0, 2**31), st.sampled_from([2, 3, 8]))
def test_an_order_has_no_state(
    mixture: dict[str, tuple[list[int], float]], length: int, sequences: int, seed: int, world: int
) -> None:
    stores, allocation = prepared(mixture)

    def planned() -> Order:
        return plan_order(stores, allocation, length * sequences, length, seed, max_epochs=1e6)

    forward = [planned().sequence(index).tolist() for index in range(sequences)]
    order = planned()
    backward = [order.sequence(index).tolist() for index in reversed(range(sequences))]
    assert backward[::-1] == forward
    ranks = [planned() for _ in range(world)]
    assert [ranks[index % world].sequence(index).tolist() for index in range(sequences)] == forward
    shuffled = dict(reversed(stores.items()))
    other = plan_order(shuffled, allocation, length * sequences, length, seed, max_epochs=1e6)
    assert [other.sequence(index).tolist() for index in range(sequences)] == forward


@settings(deadline=None, max_examples=150)
@given(mixtures, st.integers(1, 30), st.integers(1, 400), st.floats(0.5, 5))
def test_what_is_infeasible_says_what_is_feasible(
    mixture: dict[str, tuple[list[int], float]], length: int, sequences: int, max_epochs: float
) -> None:
    stores, allocation = prepared(mixture)
    try:
        order = plan_order(stores, allocation, length * sequences, length, 0, max_epochs)
    except Infeasible as error:
        report = error.report
    else:
        assert all(repeats <= max_epochs for repeats in order.repeats.values())
        return
    assert report["shortage"]
    for source, short in report["shortage"].items():
        assert short["wanted"] - short["missing"] == short["available"] <= max_epochs * stores[source].tokens
    nearest = report["nearest"]
    if nearest is None:
        assert all(max_epochs * own.tokens < length for own in stores.values())
        return
    fitting = Allocation(nearest["allocation"]["shares"])
    order = plan_order(stores, fitting, nearest["tokens"], length, 0, max_epochs)
    assert len(order) * length == nearest["tokens"]
    same = report["same_shares_tokens"]
    assert same < length * sequences
    if same >= length:
        plan_order(stores, allocation, same, length, 0, max_epochs)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=24))
def test_turns_keep_to_the_quota(counts: list[int]) -> None:
    turns = interleave(counts)
    total = sum(counts)
    assert total % len(turns) == 0
    taken = np.zeros(len(counts), np.int64)
    for turn, index in enumerate(turns, start=1):
        taken[index] += 1
        assert np.all(np.abs(taken * total - turn * np.array(counts)) < total)
    assert (taken * (total // len(turns))).tolist() == counts


def one_after_another(counts: list[int]) -> list[int]:
    """Turns given plainly: to the source whose next sequence is due first, among those that may have one."""
    total, given = sum(counts), [0] * len(counts)
    turns: list[int] = []
    for turn in range(total):
        ready = [
            (-(-(given[source] + 1) * total // count), source)
            for source, count in enumerate(counts)
            if given[source] < count and given[source] * total // count <= turn
        ]
        turns.append(min(ready)[1])
        given[turns[-1]] += 1
    return turns


counted = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 400)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=150)
@given(counted, st.sampled_from([1, 2, 3, 7, 40, 8192]))
def test_stretches_worked_out_side_by_side_are_turns_given_one_after_another(counts: list[int], lanes: int) -> None:
    common = math.gcd(*counts)
    with patch("training.turns._LANES", lanes):
        assert interleave(counts).tolist() == one_after_another([count // common for count in counts])


def test_turns_that_64_bits_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(BadInput, match="sequence_length: 3000000001 sequences are more than"):
        interleave([3_000_000_000, 1])


@given(st.dictionaries(st.sampled_from(SOURCES), st.floats(1e-9, 1), min_size=1), st.integers(1, 10**13))
def test_apportioning_keeps_to_the_quota_at_any_scale(weights: dict[str, float], tokens: int) -> None:
    counts = apportion(weights, tokens, 2048)
    total = sum(weights.values())
    assert sum(counts.values()) == tokens // 2048
    for source, weight in weights.items():
        quota = weight / total * tokens / 2048
        assert abs(counts[source] - quota) < 1 + 1e-9 * quota


@settings(deadline=None, max_examples=80)
@given(mixtures, st.integers(1, 30), st.integers(1, 60), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_sequences_read_together_are_those_read_alone(
    mixture: dict[str, tuple[list[int], float]], length: int, sequences: int, seed: int, random: Random
) -> None:
    stores, allocation = prepared(mixture)
    order = plan_order(stores, allocation, length * sequences, length, seed, max_epochs=1e6)
    places = [random.randrange(sequences) for _ in range(random.randrange(2 * sequences))]
    with patch("training.order._BLOCK", random.choice([1, 2, 7, 1024])):
        found = order.sequences(np.array(places, np.int64))
        assert found.shape == (len(places), length + 1)
        assert found.tolist() == [order.sequence(index).tolist() for index in places]
        assert order.positions_of(np.arange(sequences)).tolist() == [order.position_of(i) for i in range(sequences)]
        drawn = order.codes_of(np.arange(sequences)).tolist()
        assert [order.sources[code] for code in drawn] == [order.source_of(index) for index in range(sequences)]
    for outside in (-1, sequences):
        with pytest.raises(IndexError, match=f"sequence {outside} of {sequences}"):
            order.sequences(np.array([0, outside]))


def test_the_order_itself_is_frozen() -> None:
    """A change here would change every mixture that was ever planned."""
    order = plan_order(
        {"python": store("python", [3, 4, 5, 6, 7]), "go": store("go", [2] * 9)},
        Allocation({"python": 0.7, "go": 0.3}),
        tokens=40,
        sequence_length=4,
        seed=1,
    )
    assert [order.source_of(index) for index in range(10)] == FROZEN_SOURCES
    assert np.concatenate([order.sequence(index)[:-1] for index in range(10)]).tolist() == FROZEN_TOKENS
    with pytest.raises(IndexError, match="sequence 10 of 10"):
        order.sequence(10)
    with pytest.raises(IndexError, match="sequence -1"):
        order.sequence(-1)


FROZEN_SOURCES = ["python", "python", "go", "python", "python", "go", "python", "python", "go", "python"]
FROZEN_TOKENS = [
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    3,
    4,
    5,
    10,
    11,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    2,
    3,
    12,
    13,
    12,
    13,
    14,
    15,
    16,
    17,
    0,
    1,
    14,
    15,
    6,
    7,
    2,
    7,
    8,
    9,
]


def test_an_order_travels_without_its_caches() -> None:
    order = plan_order({"go": store("go", [5, 6, 7])}, Allocation({"go": 1.0}), 40, 4, 3, max_epochs=9)
    before = order.sequence(5).tolist()
    assert "streams" not in order.__getstate__()
    fields = order.__getstate__()
    assert Order(**fields).sequence(5).tolist() == before
    error = pickle.loads(pickle.dumps(Infeasible({"shortage": {"go": {"wanted": 3, "available": 1}}})))
    assert "shares.go: 3 tokens wanted, at most 1 available" in str(error)


curricula = st.lists(
    st.tuples(st.integers(1, 500), st.lists(st.floats(0, 1), min_size=4, max_size=4)), min_size=1, max_size=4
)


def curriculum_of(drawn: Sequence[tuple[int, list[float]]]) -> Allocation:
    stages, until = [], 0
    for length, weights in drawn:
        until += length
        weights = [weight if weight > 1e-6 else 0.0 for weight in weights]
        weights[0] += 0.01
        shares = {name: weight / sum(weights) for name, weight in zip(SOURCES, weights, strict=False)}
        stages.append(Stage(until, shares))
    return staged(stages)


@settings(deadline=None, max_examples=70)
@given(curricula, st.integers(1, 17), st.floats(0.2, 1))
def test_every_prefix_of_a_curriculum_is_exact_to_a_sequence(
    drawn: list[tuple[int, list[float]]], length: int, cut: float
) -> None:
    allocation = curriculum_of(drawn)
    tokens = int(allocation.stages[-1].until_tokens * cut)
    assume(tokens >= length)
    stores = {name: store(name, [5, 9, 2]) for name in SOURCES[:4]}
    order = plan_order(stores, allocation, tokens, length, 3, max_epochs=1e6)
    assert len(order) == tokens // length
    given_out = [order.source_of(index) for index in range(len(order))]
    for source in SOURCES[:4]:
        own = np.cumsum([name == source for name in given_out])
        assert order.tokens.get(source, 0) == own[-1] * length
        for index in {1, len(order), *range(1, len(order), 1 + len(order) // 25)}:
            had = own[index - 1]
            earned = allocation.targets(index * length)[source] / length
            assert math.floor(earned) <= had <= math.ceil(earned), "not the curriculum's share of this prefix"


@settings(deadline=None, max_examples=70)
@given(curricula, st.integers(1, 9), st.lists(st.integers(0, 60), min_size=4, max_size=4), st.floats(0.5, 3))
def test_an_infeasible_curriculum_has_a_shorter_one(
    drawn: list[tuple[int, list[float]]], length: int, supply: list[int], max_epochs: float
) -> None:
    allocation = curriculum_of(drawn)
    tokens = allocation.stages[-1].until_tokens
    assume(tokens >= length)
    stores = {name: store(name, [own]) for name, own in zip(SOURCES, supply, strict=False) if own}
    try:
        plan_order(stores, allocation, tokens, length, 0, max_epochs)
    except Infeasible as error:
        nearest = error.report["nearest"]
        if nearest is None:
            return
        shorter = staged([Stage(**stage) for stage in nearest["allocation"]["stages"]])
        assert 0 < nearest["tokens"] <= tokens
        order = plan_order(stores, shorter, nearest["tokens"], length, 0, max_epochs)
        assert len(order) * length == nearest["tokens"]


def test_one_stage_is_no_curriculum() -> None:
    counts = [7, 3, 11, 1]
    shares = [Fraction(count, sum(counts)) for count in counts]
    alone = interleave(counts)
    assert interleave_stages([(Fraction(sum(counts)), shares)]).tolist() == alone.tolist()
    halves = [(Fraction(19, 3), shares), (Fraction(sum(counts)), shares)]
    assert interleave_stages(halves).tolist() == alone.tolist(), "a border between equal shares changes nothing"
    with pytest.raises(BadInput, match="end at 10 tokens, but 11"):
        plan_order({}, staged([Stage(10, {"go": 1.0})]), 11, 1, 0)


@settings(deadline=None, max_examples=80)
@given(lengths, st.floats(0, 3), st.integers(0, 99), st.lists(st.booleans(), min_size=25, max_size=25))
def test_what_was_drawn_and_what_comes_next_are_a_stream_s_pieces(
    own: list[int], epochs: float, seed: int, kept: list[bool]
) -> None:
    source = store("go", own)
    stream, tokens = Stream(source, seed), max(1, int(epochs * sum(own)))
    pieces = stream.pieces(0, tokens)
    assert sum(length for _, _, length in pieces) == tokens
    assert stream.drawn(tokens).tolist() == sorted({document for document, _, _ in pieces})
    for document, begin, length in pieces:
        assert source.starts[document] <= begin < begin + length <= source.ends[document]
    # Documents begun before and those that come after are, together, whole epochs in their order.
    epoch, begun = stream.begun(tokens)
    assert pieces[-1][0] == stream.epoch(epoch)[0][begun - 1] if begun else epoch > 0
    ahead = [document for document, _, _ in itertools.islice(stream.further(epoch, begun), 2 * len(own))]
    assert ahead[: len(own) - begun] == stream.epoch(epoch)[0][begun:].tolist()
    assert ahead[len(own) - begun :][: len(own)] == stream.epoch(epoch + 1)[0].tolist()[: len(own) + begun]
    mask = np.array(kept[: len(own)])
    if mask.any():
        filtered = Stream(source, seed, mask).further(epoch, begun)
        wanted = [document for document in ahead if mask[document]]
        assert [document for document, _, _ in itertools.islice(filtered, len(wanted))] == wanted


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 99), st.integers(1, 9))
def test_repositories_are_drawn_as_wholes(sizes: list[int], seed: int, length: int) -> None:
    ends = np.cumsum(sizes)
    documents = store("go", [3] * int(ends[-1]))
    whole = replace(documents, repositories=ends)
    order = plan_order(
        {"go": whole}, Allocation({"go": 1.0}), 2 * whole.tokens // length * length or length, length, seed
    )
    stream = np.concatenate([order.sequence(index)[:-1] for index in range(len(order))])
    for start in range(0, len(stream) - whole.tokens + 1, whole.tokens):
        epoch = stream[start : start + whole.tokens]
        assert sorted(epoch.tolist()) == list(range(whole.tokens))
        jumps = epoch[1:][np.diff(epoch) != 1]
        assert set(jumps.tolist()) <= {0, *(3 * ends).tolist()}, "a repository was torn apart"
