"""Which model is live, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlu.shelf import Shelf, ShelfError


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    for number in range(1, 8):
        (tmp_path / f"heatline-{number}.tar.gz").touch()
    (tmp_path / "heatline-7.json").write_text('{"held_out_accuracy": 0.9}', encoding="utf-8")
    return Shelf(tmp_path)


def test_nothing_is_live_before_the_first_promotion(shelf: Shelf) -> None:
    assert shelf.live() is None
    assert [model.name for model in shelf.models()][:2] == ["heatline-7", "heatline-6"]
    assert shelf.models()[0].measured == {"held_out_accuracy": 0.9}


def test_a_rollback_undoes_one_promotion_at_a_time(shelf: Shelf) -> None:
    for name in ("heatline-1", "heatline-2", "heatline-3.tar.gz"):
        shelf.promote(name)
    assert shelf.rollback().name == "heatline-2"
    assert shelf.rollback().name == "heatline-1"
    with pytest.raises(ShelfError, match="No earlier model"):
        shelf.rollback()


def test_promoting_the_live_model_again_changes_nothing(shelf: Shelf) -> None:
    shelf.promote("heatline-1")
    shelf.promote("heatline-2")
    shelf.promote("heatline-2")
    assert shelf.rollback().name == "heatline-1"


def test_an_unknown_model_is_refused(shelf: Shelf) -> None:
    with pytest.raises(ShelfError, match="heatline nlu models"):
        shelf.promote("heatline-9")
    assert shelf.live() is None


def test_the_last_five_stay_and_the_live_one_with_its_forerunner(shelf: Shelf) -> None:
    shelf.promote("heatline-1")
    shelf.promote("heatline-2")
    assert shelf.prune() == []
    shelf.promote("heatline-7")
    assert shelf.prune() == ["heatline-1"]
    assert shelf.rollback().name == "heatline-2"


def test_a_live_model_whose_archive_is_gone_is_not_live(shelf: Shelf) -> None:
    shelf.promote("heatline-1").path.unlink()
    assert shelf.live() is None
