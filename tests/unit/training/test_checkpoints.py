"""A sealed checkpoint that changed is named, file by file; what nobody sealed is taken as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from quality.mistakes import BadInput
from training.checkpoints import check_last, check_seals, is_sealed, seal, step_folder, step_folders


def written(checkpoints: Path, step: int, ranks: int = 2) -> Path:
    folder = step_folder(checkpoints, step)
    folder.mkdir(parents=True)
    for rank in range(ranks):
        (folder / f"__{rank}_0.distcp").write_bytes(bytes([rank, step]) * 100)
    (folder / ".metadata").write_bytes(b"all")
    return folder


def test_every_file_that_changed_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, 50)
    check_seals(folder, "")
    for rank in range(2):
        assert not is_sealed(folder, rank)
        seal(folder, rank)
        assert is_sealed(folder, rank)
    check_seals(folder, "train again")
    (folder / "__1_0.distcp").write_bytes(b"other")
    (folder / ".metadata").unlink()
    with pytest.raises(BadInput) as caught:
        check_seals(folder, "train again")
    assert [str(one) for one in caught.value.mistakes] == [
        f"{folder / '.metadata'}: missing; train again",
        f"{folder / '__1_0.distcp'}: damaged after it was written (its SHA-256 differs); train again",
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_seal_is_named(tmp_path: Path, content: bytes) -> None:
    folder = written(tmp_path, 50)
    (folder / ".sha256-0.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"\.sha256-0\.json: damaged"):
        check_seals(folder, "train again")


def test_the_last_finished_checkpoint_is_what_a_run_goes_on_from(tmp_path: Path) -> None:
    check_last(tmp_path / "none")
    for step in (50, 100, 150):
        seal(written(tmp_path, step), 0)
    assert [folder.name for folder in step_folders(tmp_path)] == ["step-50", "step-100", "step-150"]
    (tmp_path / "step-150" / ".metadata").unlink()
    (tmp_path / "step-50" / "__0_0.distcp").write_bytes(b"other")
    check_last(tmp_path)
    (tmp_path / "step-100" / "__0_0.distcp").write_bytes(b"other")
    with pytest.raises(BadInput, match=r"step-100/__0_0\.distcp: damaged .* remove .*step-100, "):
        check_last(tmp_path)


def test_a_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="step-3: missing; train again"):
        check_seals(step_folder(tmp_path, 3), "train again")
