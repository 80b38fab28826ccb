from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from pipelines.tokenizer import END_OF_TEXT, Encoder, encoding, end_of_text_id, load_tokenizer, train_tokenizer
from quality.mistakes import BadInput
from training.stores import DTYPES, token_byte_lengths

TEXTS = [path.read_text() for path in sorted(Path(json.__file__).parent.glob("*.py"))]
UINT16 = DTYPES["uint16"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    file.write_text(train_tokenizer(TEXTS, 600))
    return file


def ids(packed: bytes) -> list[int]:
    return np.frombuffer(packed, UINT16).tolist()


def test_end_of_text_is_id_0_and_every_byte_has_an_id(path: Path) -> None:
    tokenizer = load_tokenizer(path)
    assert end_of_text_id(tokenizer) == 0
    assert tokenizer.get_vocab_size() == 600
    lengths = token_byte_lengths(path)
    assert lengths[0] == 0
    assert (lengths == 1).sum() == 256
    assert lengths.min() == 0
    assert (lengths[1:] >= 1).all()


def test_text_that_spells_a_control_token_stays_text(path: Path) -> None:
    text = f'print("{END_OF_TEXT}")  # {END_OF_TEXT}\n'
    plain = Tokenizer.from_file(str(path))
    assert 0 in plain.encode(text).ids, "the library itself does take it for a control token"
    for given in (text, text + "é"):
        found = ids(Encoder(path, UINT16).encode([given])[0])
        assert 0 not in found
        assert load_tokenizer(path).decode(found, skip_special_tokens=False) == given


def with_control_tokens(path: Path, kind: str) -> list[str]:
    """Change a tokenizer into one that others might bring, and return how its control tokens are spelt."""
    given = json.loads(path.read_text())
    spelt = ["<s>", "</s>", "<|im_start|>", "<|fim_prefix|>", "[INST]", "<tool_call>", "<\uff5cUser\uff5c>"]
    for content in spelt:
        index = given["model"]["vocab"]["a"] + 10_000 + len(given["added_tokens"])
        token = {"id": index, "content": content, "single_word": False, "lstrip": False, "rstrip": False}
        given["added_tokens"].append({**token, "normalized": False, "special": content not in spelt[3:]})
    if kind == "other words":
        step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        given["pre_tokenizer"] = step
    if kind == "looked up before merging":
        given["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        ]}  # fmt: skip
        given["model"]["ignore_merges"] = True
        for place, token in enumerate(given["added_tokens"][1:], len(given["model"]["vocab"])):
            token["id"] = given["model"]["vocab"][token["content"]] = place
    path.write_text(json.dumps(given))
    return [*spelt, END_OF_TEXT]


@pytest.mark.parametrize("kind", ["ours", "other words", "looked up before merging"])
def test_no_control_token_of_a_given_tokenizer_comes_out_of_text(path: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "tokenizer.json"
    other.write_text(path.read_text())
    spelt = with_control_tokens(other, kind)
    encoder = Encoder(other, UINT16)
    plain = Tokenizer.from_file(str(other))
    control = {plain.token_to_id(content) for content in spelt}
    assert len(control) == len(spelt) == 8
    for content in spelt:
        assert not control.isdisjoint(plain.encode(content).ids), "the library itself does take it for a control token"
    texts = [*spelt, "".join(spelt), " ".join(spelt), "é".join(spelt), "<s<s>", "a\n".join(spelt) + TEXTS[0]]
    for text, packed in zip(texts, encoder.encode(texts), strict=True):
        assert control.isdisjoint(ids(packed))
        assert encoder.tokenizer.decode(ids(packed), skip_special_tokens=False) == text


def test_added_white_space_is_still_text(path: Path, tmp_path: Path) -> None:
    given = json.loads(path.read_text())
    token = {"id": 600, "content": " " * 40, "single_word": False, "lstrip": False, "rstrip": False}
    given["added_tokens"].append({**token, "normalized": False, "special": False})
    other = tmp_path / "tokenizer.json"
    other.write_text(json.dumps(given))
    assert ids(Encoder(other, UINT16).encode([" " * 40])[0]) == [600]


def test_digits_are_tokens_of_their_own(path: Path) -> None:
    assert len(load_tokenizer(path).encode("1234567890").ids) == 10


def test_training_gives_the_same_bytes_at_any_number_of_threads() -> None:
    program = (
        "import sys, json, pathlib; from pipelines.tokenizer import train_tokenizer;"
        "texts = [p.read_text() for p in sorted(pathlib.Path(json.__file__).parent.glob('*.py'))];"
        "sys.stdout.write(train_tokenizer(texts, 600))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **threads}, capture_output=True, check=True
        ).stdout.decode()
        for threads in ({"RAYON_NUM_THREADS": "1"}, {"RAYON_NUM_THREADS": "3", "PYTHONHASHSEED": "7"})
    }
    assert found == {train_tokenizer(reversed(TEXTS), 600)}


def test_processes_give_what_one_process_gives(path: Path) -> None:
    batches = [TEXTS[:2], [], ["", "é\n" * 3], TEXTS[2:]]
    with encoding(path, UINT16, 0, processes=1) as encoded:
        alone = list(encoded(batches))
    with encoding(path, UINT16, 0, processes=2) as encoded:
        together = list(encoded(batches))
    assert together == alone
    assert [len(batch) for batch in alone] == [2, 0, 2, len(TEXTS) - 2]
    assert load_tokenizer(path).decode(ids(alone[0][1])) == TEXTS[1]


def test_a_tokenizer_of_others_is_used_as_it_is(path: Path, tmp_path: Path) -> None:
    changed = json.loads(path.read_text())
    changed["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    changed["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    other = tmp_path / "tokenizer.json"
    other.write_text(json.dumps(changed))
    (packed,) = Encoder(other, UINT16).encode([TEXTS[0]])
    assert load_tokenizer(other).decode(ids(packed)) == TEXTS[0], "its truncation must not cut documents"
    assert ids(packed) != ids(Encoder(path, UINT16).encode([TEXTS[0]])[0])


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"model": 3}'])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"not a tokenizer\.json"):
        load_tokenizer(file)
    with pytest.raises(BadInput, match="no such file"):
        load_tokenizer(tmp_path / "missing.json")


def test_a_tokenizer_needs_an_end_of_text(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(path.read_text().replace(END_OF_TEXT, "<|stop|>"))
    with pytest.raises(BadInput, match="has no end-of-text token"):
        end_of_text_id(load_tokenizer(file), file)


def test_a_vocabulary_holds_at_least_the_bytes() -> None:
    with pytest.raises(BadInput, match="at least 257"):
        train_tokenizer(TEXTS, 256)
