"""Every variant of every ledger is built and compared with it, number by number."""

import keras
import pytest
from scipy import stats

from course_lib import ledger, zoo

# The ledgers themselves carry the facts; this count keeps a variant from being dropped silently.
VARIANTS_BY_PAPER = {
    "alexnet": 6,
    "vgg": 10,
    "googlenet": 4,
    "resnet": 38,
    "densenet": 20,
    "mobilenet": 18,
    "squeezenet": 7,
    "shufflenet": 24,
}
CASES = [(word, name) for word in VARIANTS_BY_PAPER for name in ledger.load(word).variants]


@pytest.mark.parametrize("word,name", CASES)
def test_variant_equals_its_paper(word, name):
    keras.backend.clear_session()
    rows = ledger.compare(zoo.build(name), word, name)
    assert len(rows) >= 7, "the ledger names fewer than three stages"
    assert [row for row in rows if not row[-1]] == []


@pytest.mark.parametrize("word", VARIANTS_BY_PAPER)
def test_ledger_is_complete(word):
    paper = ledger.load(word)
    assert paper.word == word
    assert set(paper.citation) == {"authors", "title", "venue", "year", "arxiv"}
    assert len(paper.variants) == VARIANTS_BY_PAPER[word]
    assert set(paper.variants) | {f"{word}_small"} <= set(zoo.names(word))
    assert [claim["id"] for claim in paper.claims] == list(range(1, len(paper.claims) + 1))
    assert all(claim["text"] and claim["where"] for claim in paper.claims)
    for result in paper.results:
        assert all(len(row) == len(result["columns"]) for row in result["rows"])
    for row in paper.deviations:
        assert set(row) == {"quantity", "paper", "ours", "reason"}


def test_a_wrong_network_is_found():
    model = zoo.build("alexnet_onetower_nogroups")
    differing = [row[0] for row in ledger.compare(model, "alexnet", "alexnet_paper") if not row[-1]]
    assert differing == ["parameters", "trainable parameters", "multiply-adds"]


def test_judge_needs_three_runs_and_decides_by_the_interval():
    assert ledger.judge([10, 11, 12], [20, 21, 22])[0] == ledger.HOLDS
    assert ledger.judge([20, 21, 22], [10, 11, 12])[0] == ledger.CONTRADICTS
    assert ledger.judge([10, 15, 20], [11, 16, 21])[0] == ledger.UNSEEN
    with pytest.raises(ValueError, match="2 and 3 runs"):
        ledger.judge([1, 2], [3, 4, 5])


def test_judge_agrees_with_a_t_interval_computed_by_scipy():
    better, worse = [8.1, 8.4, 8.2], [8.6, 8.8, 9.1]
    _, difference, half = ledger.judge(better, worse)
    error = (stats.sem(better) ** 2 + stats.sem(worse) ** 2) ** 0.5
    assert difference == pytest.approx(0.6, abs=1e-9)
    assert half == pytest.approx(stats.t.ppf(0.975, 2) * error, rel=1e-3)


def test_wrong_names_are_answered_with_the_right_ones():
    with pytest.raises(ValueError, match="alexnet, .*vgg"):
        ledger.load("lenet")
    with pytest.raises(ValueError, match="claims 1 to 8"):
        ledger.load("alexnet").claim(9)
    with pytest.raises(ValueError, match="alexnet_paper"):
        ledger.compare(zoo.build("alexnet_small"), "alexnet", "paper")
    with pytest.raises(ValueError, match="Nearest: alexnet_small"):
        zoo.build("alexnet_smal")
    with pytest.raises(ValueError, match="holds here"):
        ledger.verdict("alexnet", 1, "no", "proven")
