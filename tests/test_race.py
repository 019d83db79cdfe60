"""The capstone of assignment 12: attempts that are kept, and builders that may not train."""

import json

import keras
import pytest

from course_lib.checks import Mistake, race


class Counted:
    params, macs = 53_218, 1_552_320


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "_table", lambda: tmp_path / race.TABLE)
    monkeypatch.setattr(race, "attempts", [])
    return tmp_path


def test_attempts_are_kept_for_another_day(folder, monkeypatch, capsys):
    row = race.note_attempt(Counted, 0.827)
    row["held"] = 0.826
    race._keep()
    monkeypatch.setattr(race, "attempts", [])
    race.note_attempt(Counted, 0.5)
    race.table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1", "53,218", "1,552,320", "82.7", "%", "82.6", "%"]
    assert lines[2].split() == ["2", "53,218", "1,552,320", "50.0", "%"]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": 1}', '[{"parameters": "x"}]'])
def test_a_table_that_cannot_be_read_starts_anew(folder, text, capsys):
    (folder / race.TABLE).write_text(text)
    race.note_attempt(Counted, 0.5)
    assert "starts anew" in capsys.readouterr().out
    assert len(json.loads((folder / race.TABLE).read_text())) == 1


def test_nothing_stays_patched_when_a_builder_trains():
    before = keras.Model.fit, keras.Model.set_weights, keras.Model.load_weights
    with pytest.raises(Mistake, match="set_weights"), race._nothing_trains():
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).set_weights([])
    assert before == (keras.Model.fit, keras.Model.set_weights, keras.Model.load_weights)
    assert "fit" not in vars(keras.Model)


def test_no_one_of_the_eight_reaches_what_is_asked_for():
    rows = race.eight()
    assert len(rows) == 8
    best = max(row["held"] for row in rows.values())
    assert best + 0.02 < race.WINNER
    assert max(len(row["seeds"]) for row in rows.values()) == 3
