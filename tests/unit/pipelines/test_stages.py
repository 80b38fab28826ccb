"""Stages are skipped, refused, redone and survive a stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stages import Stage, advance, states_of
from quality.artifacts import creating
from quality.mistakes import BadInput, Stale


class Kitchen:
    """Two stages, `flour` and `bread` made from it, that count how often they ran."""

    def __init__(self, turn: Path, grain: str = "rye", heat: int = 200) -> None:
        self.turn, self.ran = turn, list[str]()
        self.fail = ""
        self.stages = [
            Stage("flour", "grind", (), {"grain": grain}, self._maker("flour", {"grain": grain})),
            Stage("bread", "bake", ("flour",), {"heat": heat}, self._maker("bread", {"heat": heat, "grain": grain})),
        ]

    def _maker(self, kind: str, identity: dict[str, object]):
        def make(folder: Path) -> None:
            with creating(folder, kind, identity) as draft:
                (draft.path / "text").write_text(str(identity))
                if self.fail == kind:
                    raise RuntimeError("power cut")
            self.ran.append(kind)

        return make


def states(kitchen: Kitchen) -> dict[str, str]:
    return {state.kind: state.state for state in states_of(kitchen.stages, kitchen.turn)}


def test_a_second_run_skips_everything(tmp_path: Path) -> None:
    first = Kitchen(tmp_path)
    assert [what for _, what, _ in advance(first.stages, tmp_path)] == ["ran", "ran"]
    second = Kitchen(tmp_path)
    assert [what for _, what, _ in advance(second.stages, tmp_path)] == ["skipped", "skipped"]
    assert second.ran == []


def test_a_changed_field_is_refused_by_name_and_nothing_runs(tmp_path: Path) -> None:
    advance(Kitchen(tmp_path).stages, tmp_path)
    changed = Kitchen(tmp_path, heat=250)
    with pytest.raises(Stale, match="heat: made with 200, the study says 250") as caught:
        advance(changed.stages, tmp_path)
    assert caught.value.exit_code == 3
    assert changed.ran == []
    assert states(changed) == {"flour": "done", "bread": "stale"}


def test_redo_also_makes_what_depends_on_it(tmp_path: Path) -> None:
    advance(Kitchen(tmp_path).stages, tmp_path)
    changed = Kitchen(tmp_path, grain="oat")
    with pytest.raises(Stale, match="grain"):
        advance(changed.stages, tmp_path)
    advance(changed.stages, tmp_path, redo=["flour"])
    assert changed.ran == ["flour", "bread"]
    assert states(changed) == {"flour": "done", "bread": "done"}


def test_a_stage_that_fails_leaves_nothing_finished(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.fail = "bread"
    with pytest.raises(RuntimeError):
        advance(kitchen.stages, tmp_path)
    assert states(kitchen) == {"flour": "done", "bread": "missing"}
    kitchen.fail = ""
    advance(kitchen.stages, tmp_path)
    assert kitchen.ran == ["flour", "bread"]


def test_an_unsigned_artifact_counts_as_unfinished(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    kitchen.stages[0].run(tmp_path / "flour")
    assert states(kitchen)["flour"] == "partial"
    advance(kitchen.stages, tmp_path)
    assert kitchen.ran == ["flour", "flour", "bread"]


def test_unknown_stages_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        advance(Kitchen(tmp_path).stages, tmp_path, redo=["dough"], until="cake")
    assert len(caught.value.mistakes) == 2


def test_two_processes_do_not_share_a_turn(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path)
    inner = Stage("flour", "grind", (), {}, lambda _: advance(kitchen.stages, tmp_path) and None)
    with pytest.raises(BadInput, match="another polymix process"):
        advance([inner], tmp_path)
