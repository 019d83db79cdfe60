"""Verdicts: against scipy, against groups whose truth is known, and on records made for a case."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from course_lib import evidence, experiments, figures, ledger
from course_lib.evidence import CONTRADICTS, HOLDS, UNDECIDED, UNSEEN, UNTESTED


def record(seed, errors, test=10.0, training=5.0):
    """A record with these training and validation errors an epoch, in percent."""
    rows = [{"accuracy": 1 - e / 100, "val_accuracy": 1 - e / 100, "loss": 1.0} for e in errors]
    shares = {"test": {"error": test / 100}, "training": {"error": training / 100}}
    device = {"processor": "a processor", "kind": "cpu"}
    return {"seed": seed, "epochs": rows, "device": device, **shares}


# ---- statistics


def test_welch_is_scipys():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.normal(0, 1, rng.integers(2, 9)), rng.normal(0.5, 3, rng.integers(2, 9))
        difference, low, high = evidence.welch(a, b)
        n, m = len(a), len(b)
        va, vb = np.var(a, ddof=1) / n, np.var(b, ddof=1) / m
        freedom = (va + vb) ** 2 / (va**2 / (n - 1) + vb**2 / (m - 1))
        half = stats.t.ppf(0.975, freedom) * np.sqrt(va + vb)
        assert difference == pytest.approx(b.mean() - a.mean())
        assert (low, high) == pytest.approx((difference - half, difference + half))


def test_pairs_are_compared_by_the_spread_of_their_differences():
    before, after = [10.0, 14.0, 12.0], [11.0, 15.5, 12.5]
    half = stats.t.ppf(0.975, 2) * 0.5 / np.sqrt(3)  # differences 1, 1.5 and 0.5
    assert evidence.paired(before, after) == pytest.approx((1.0, 1.0 - half, 1.0 + half))
    assert evidence.welch(before, after)[1] < -3  # the same numbers as two groups


def test_groups_without_spread_have_an_interval_of_no_width():
    assert evidence.welch([1.0, 1.0, 1.0], [3.0, 3.0, 3.0]) == (2.0, 2.0, 2.0)
    assert evidence.paired([1.0, 3.0], [3.0, 5.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    "low, high, words, outcome",
    [
        (0.1, 3, {"effect": 1}, HOLDS),
        (-3, -0.1, {"effect": 1}, CONTRADICTS),
        (-0.9, 0.9, {"effect": 1}, UNSEEN),
        (-0.9, 1.1, {"effect": 1}, UNDECIDED),
        (-1.1, 0.9, {"effect": 1}, UNDECIDED),
        (0.1, 3, {"effect": 1, "finished": False}, UNDECIDED),
        (-3, -0.1, {"effect": 1, "finished": False}, UNDECIDED),
        (math.nan, math.nan, {"effect": 1}, UNDECIDED),
        (-0.9, 0.9, {"within": (-1, 1)}, HOLDS),
        (-5, 0.9, {"within": (-math.inf, 1)}, HOLDS),
        (1.1, 2, {"within": (-1, 1)}, CONTRADICTS),
        (-3, -1.1, {"within": (-1, 1)}, CONTRADICTS),
        (0.5, 1.5, {"within": (-1, 1)}, UNDECIDED),
    ],
)
def test_five_outcomes(low, high, words, outcome):
    assert evidence.decide(low, high, **words) == outcome


def test_a_test_asks_for_a_direction_or_for_closeness():
    for words in ({}, {"effect": 1, "within": (0, 1)}):
        with pytest.raises(ValueError, match="allowed: one of the two"):
            evidence.decide(0, 1, **words)


def share(outcome, truth, spread, n, effect=1.0, draws=1000):
    """How often `outcome` comes out when the sides truly differ by `truth`."""
    rng = np.random.default_rng(1)
    found = 0
    for lower, higher in zip(
        rng.normal(0, spread, (draws, n)), rng.normal(truth, spread, (draws, n))
    ):
        _, low, high = evidence.welch(lower, higher)
        found += evidence.decide(low, high, effect=effect) == outcome
    return found / draws


@pytest.mark.slow
def test_how_often_each_outcome_comes_out():
    """Stated in CONTRIBUTING. The bounds are seven standard errors of 1,000 draws wide."""
    # No difference at all: three seeds call it one way or the other in fewer than 1 of 20 cases.
    wrong = share(HOLDS, 0.0, 0.5, 3) + share(CONTRADICTS, 0.0, 0.5, 3)
    assert 0 < wrong < 0.05 + 7 * 0.007
    # An effect of the paper's size, seeds that spread by a fifth of it: seen in most cases.
    assert share(HOLDS, 1.0, 0.2, 3) > 0.95
    # Seeds that spread as much as the effect: mostly undecided, hardly ever the wrong way round.
    assert share(UNDECIDED, 1.0, 1.0, 3) > 0.6
    assert share(CONTRADICTS, 1.0, 1.0, 3) < 0.02
    # "Does not show" is earned: with an effect of the paper's size it is rare.
    assert share(UNSEEN, 1.0, 0.2, 3) < 0.05
    assert share(UNSEEN, 0.0, 0.2, 3) > 0.8
    # Five seeds decide more than three.
    assert share(HOLDS, 1.0, 0.5, 5) > share(HOLDS, 1.0, 0.5, 3) + 0.1


# ---- measures


def test_measures_of_one_record():
    run = record(0, [50, 30, 20, 10], test=12, training=4)
    expected = {"test_error": 12, "training_error": 4, "running_training_error": 10, "gap": 8}
    for name, value in {**expected, "validation_error": 10, "epochs_to_25": 2.5}.items():
        assert evidence.measure(run, name)[0] == pytest.approx(value), name
    assert evidence.measure(run, "epochs_to_50")[0] == 1.0
    assert math.isnan(evidence.measure(run, "epochs_to_5")[0])
    assert evidence.measure(run, "epochs_to_converge")[0] == pytest.approx(3.9)
    run["after"] = {"gradients": {"start": {"first": 3.5}}}
    assert evidence.measure(run, "after.gradients.start.first")[0] == 3.5
    for name in ("no", "after.gradients.end.first"):
        with pytest.raises(ValueError, match=f"no measure '{name}'.*allowed: test_error"):
            evidence.measure(run, name)


FLAT_ERRORS = [40, 30, 20, 15, 12, *[10] * 15]
FALLING = [40 - i for i in range(20)]


def test_a_run_reached_its_end_when_it_is_flat():
    falling, flat, short = record(0, FALLING), record(0, FLAT_ERRORS), record(0, [10] * 19)
    assert not evidence.reached_end([falling, falling])
    assert evidence.reached_end([record(0, [10] * 20)]) and not evidence.reached_end([short])
    # 1.8 points in the last quarter: flat for a training error, not for a test error
    slow = record(0, [*[12] * 15, 11.6, 11.2, 10.8, 10.5, 10.2])
    assert evidence.reached_end([slow, slow]) and evidence.reached_end([slow], "gap")
    assert not evidence.reached_end([slow, slow], "test_error")
    assert not evidence.reached_end([flat, short])
    # each error by its own curve
    for row in slow["epochs"]:
        row["val_accuracy"] = 0.9
    assert evidence.reached_end([slow], "test_error")


# ---- a whole test, from records to a verdict

CASE = """
word = "toy"

[[claims]]
id = 1
text = "A is better than B."
number = "2 points"
where = "table 1"

[[claims.tests]]
kind = "trained"
says = "a errs less than b"
lower = "a"
higher = "b"
measure = "test_error"
effect = 2.0

[[claims]]
id = 2
text = "A large claim."
number = ""
where = "sec. 1"
untested = "needs a large machine"
"""
RUNS = '[a]\nnetwork = "mlp_small"\n[b]\nlike = "a"\nchanges = {hidden = []}\n'


@pytest.fixture
def case(tmp_path, monkeypatch):
    """Return a function that settles the toy claims from given test errors."""
    for folder in ("experiments", "papers", "records/toy"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "experiments" / "toy.toml").write_text(RUNS)
    (tmp_path / "papers" / "toy.toml").write_text(CASE)
    monkeypatch.setattr(experiments, "HERE", tmp_path)
    monkeypatch.setattr(ledger.importlib.resources, "files", lambda package: tmp_path)
    experiments.load.cache_clear()

    def settle(a, b, errors=FLAT_ERRORS, replaced=("", ""), **more):
        (tmp_path / "papers" / "toy.toml").write_text(CASE.replace(*replaced))
        for label, tests in (("a", a), ("b", b)):
            for seed, test in enumerate(tests):
                file = tmp_path / "records" / "toy" / f"{label}_seed{seed}.json"
                file.write_text(json.dumps(record(seed, errors, test) | more))
        return evidence.settle("toy")

    yield settle
    experiments.load.cache_clear()


def test_from_records_to_a_verdict(case):
    first, second = case([10, 10.2, 9.8], [13, 13.1, 12.9])
    assert (first.outcome, first.seeds, first.finished) == (HOLDS, (3, 3), True)
    assert first.difference == pytest.approx(3.0) and first.low < 3 < first.high
    assert first.effect == 2.0 and first.paper == "2 points"
    assert repr(first) == (
        "[1] trained: a errs less than b · +3.00 (+2.58 to +3.42) points of test error · holds here"
    )
    assert second.outcome == UNTESTED and second.why == "needs a large machine"
    assert repr(second) == "[2] needs a large machine · not tested here"
    assert isinstance(evidence.settle("toy", 1) + evidence.settle("toy", 2), evidence.Verdicts)
    table = evidence.settle("toy")._repr_markdown_().splitlines()
    assert "**holds here**" in table[2] and "an effect of 2" in table[2]
    assert "**not tested here**" in table[3] and table[5].startswith("<details>")
    assert table[7:9] == [
        "- **a**: mlp_small; all training pictures; 20 epochs; adam at 0.001; seeds 0, 1, 2; "
        "a processor",
        "- **b**: mlp_small (hidden=[]); all training pictures; 20 epochs; adam at 0.001; "
        "seeds 0, 1, 2; a processor",
    ]


def test_the_line_of_a_side_names_its_batches_and_how_the_rate_falls():
    data, falls = {"batch_size": 32}, {"factor": 0.1, "at": [15, 22]}
    run = experiments.Run("toy", "a", "mlp_small", data=data, recipe={"schedule": falls})
    said = evidence.describe(run, [record(0, FLAT_ERRORS, 10)])
    assert (
        "20 epochs in batches of 32; adam at 0.001; rate times 0.1 after epochs 15 and 22" in said
    )
    run = experiments.Run("toy", "a", "mlp_small", recipe={"schedule": "constant"})
    assert "adam at 0.001; constant rate; seeds 0" in evidence.describe(
        run, [record(0, FLAT_ERRORS, 10)]
    )


def test_too_few_runs_and_unfinished_ones_decide_nothing(case):
    assert case([10, 10.1], [13, 13.1])[0].outcome == UNDECIDED
    assert "2 and 2 runs are recorded" in repr(case([10, 10.1], [13, 13.1])[0])
    found = case([10, 10.2, 9.8], [13, 13.1, 12.9], errors=FALLING)[0]
    assert found.outcome == UNDECIDED and found.finished is False
    assert "not trained to the end" in repr(found)


def test_a_diverged_training_decides_nothing_and_is_named(case):
    found = case([10, 10.2, 9.8], [13, 13.1, 12.9], diverged=True)[0]
    assert found.outcome == UNDECIDED and "a training diverged" in repr(found)


def test_an_effect_is_called_the_papers_where_a_paper_has_one(case):
    for number, name in (("2 points", "the paper"), ("", "effect asked for")):
        found = case([10, 10.2, 9.8], [13, 13.1, 12.9], replaced=('"2 points"', f'"{number}"'))
        (legend,) = found.forest("toy").legends
        assert [text.get_text() for text in legend.get_texts()][1:] == [name]


def test_a_test_without_runs_is_no_row_of_the_forest_plot_and_a_line_counts_it(case, monkeypatch):
    waiting = case([10, 10.1], [13, 13.1])
    found = case([10, 10.2, 9.8], [13, 13.1, 12.9])
    assert waiting.forest("toy") is None
    figure = (found + waiting + waiting).forest("toy")
    assert figures.collisions(figure) == []
    assert [text.get_text() for text in figure.axes[0].texts] == ["+ holds here"]
    words = "2 further tests wait for their trainings (table below)"
    assert figure.legends[0].get_title().get_text() == words
    assert found.forest("toy").legends[0].get_title().get_text() == ""
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda one, **kwargs: sent.append(one))
    waiting.draw("toy")
    (found + waiting).draw("toy")
    assert sent[0] is waiting
    assert sent[1]["text/plain"] == f"[figure: {found[0]}\n{waiting[0]}]"


def test_factors_and_closeness(case):
    factor = case([10, 10.2, 9.8], [30, 30.1, 29.9], replaced=("effect", "ratio = true\neffect"))[0]
    assert factor.outcome == HOLDS and factor.difference == pytest.approx(3, rel=0.01)
    assert factor.unit == "times the points of test error"
    close = case([10, 10.2, 9.8], [10.1, 10, 10.2], replaced=("effect = 2.0", "within = [-1, 1]"))[
        0
    ]
    assert close.outcome == HOLDS and close.effect == [-1, 1]
    apart = case([10, 10.2, 9.8], [13, 13.1, 12.9], replaced=("effect = 2.0", "within = [-1, 1]"))[
        0
    ]
    assert apart.outcome == CONTRADICTS


def test_two_numbers_of_the_same_trainings_are_paired(case):
    both = '"a"\nmeasure = ["gap", "test_error"]'
    found = case([10, 14, 12], [], replaced=('"b"\nmeasure = "test_error"', both))[0]
    assert (found.difference, found.low, found.high) == pytest.approx((5, 5, 5))  # training error


def test_counts_are_of_registered_networks_or_arithmetic():
    assert evidence._count("3 * 3 * 3", "weights") == 27
    assert evidence._count("mlp_small", "parameters") == 101_770
    side = {"network": "mlp_small", "changes": {"hidden": [10]}, "blocks": "hidden1"}
    assert evidence._count(side, "multiply-adds") == 7840
    side = {"network": "resnet_small", "layers": "stage.*"}
    rest = {"network": "resnet_small", "layers": "(?!stage).*"}
    parts = [evidence._count(one, "multiply-adds") for one in (side, rest)]
    assert parts[0] > 0 and sum(parts) == evidence._count("resnet_small", "multiply-adds")
    with pytest.raises(ValueError, match="no network is called"):
        evidence._count("__import__('os')", "parameters")


def test_what_computed_is_named():
    assert evidence._device({"kind": "cpu", "processor": "P", "cores": 2}) == "P"
    assert evidence._device({"kind": "gpu", "processor": "P", "cores": 2}) == "a GPU"
    assert evidence._device({"kind": "gpu", "processor": "P", "accelerator": "G"}) == "G"


# ---- the committed ledgers


@pytest.mark.parametrize("word", ledger.words())
def test_every_claim_has_a_test_or_says_why_not(word):
    for claim in ledger.load(word).claims:
        assert claim.get("tests") or claim.get("untested"), f"{word} [{claim['id']}]"


@pytest.mark.slow
@pytest.mark.parametrize("word", ledger.words())
def test_every_test_can_be_settled(word):
    verdicts = evidence.settle(word)
    assert {v.claim for v in verdicts} == {c["id"] for c in ledger.load(word).claims}
    for verdict in verdicts:
        assert verdict.outcome in evidence.OUTCOMES
        if verdict.kind == "trained" and verdict.outcome in (HOLDS, CONTRADICTS, UNSEEN):
            assert verdict.finished and min(verdict.seeds) >= 3
        if verdict.outcome == UNTESTED:
            assert verdict.why
        if verdict.kind == "counted":
            assert verdict.outcome in (HOLDS, CONTRADICTS) and verdict.seeds == ()


def test_the_command_prints_one_object_a_test(capsys):
    evidence.show(["vgg"], as_json=True)  # has bounds that are infinite, which JSON does not know
    lines = capsys.readouterr().out.splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert len(rows) == len(evidence.settle("vgg"))
    assert [None, 0.5] in [row["effect"] for row in rows]
    wanted = {"word", "claim", "test", "kind", "outcome", "difference", "low", "high", "effect"}
    assert all(wanted | {"seeds", "finished"} <= set(row) for row in rows)
