"""Experiments as data: what an entry says, what a record keeps, running, stopping, going on."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from course_lib import data, experiments, training, weights, zoo

TOY = """
[base]
network = "mlp_small"
changes = {hidden = [8]}
data = {train_limit = 256}
recipe = {epochs = 2, learning_rate = 0.01}
seeds = [0, 3]

[wide]
like = "base"
changes = {hidden = [16], activation = "tanh"}
recipe = {keep = "last"}
candidates = {learning_rate = [0.1, 0.01]}

[deeper]
like = "wide"
start = {run = "base", layers = ["output"]}
changes = {hidden = [8]}
after = ["probes.shifts"]

[shipped]
like = "base"
ship = true

[wild]
like = "base"
recipe = {optimizer = "sgd", learning_rate = 1e30}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A course with the one chapter "toy", in an empty folder."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "toy.toml").write_text(TOY)
    monkeypatch.setattr(experiments, "HERE", tmp_path)
    monkeypatch.setattr(weights, "HERE", tmp_path)
    monkeypatch.chdir(tmp_path)
    experiments.load.cache_clear()
    yield tmp_path
    experiments.load.cache_clear()


def test_an_entry_takes_over_what_it_is_like(toy):
    runs = experiments.load("toy")
    wide = runs["wide"]
    assert wide.changes == {"hidden": [16], "activation": "tanh"}
    assert wide.data == {"train_limit": 256} and list(wide.seeds) == [0, 3]
    assert wide.recipe == {"epochs": 2, "learning_rate": 0.01, "keep": "last"}
    tried = runs["wide_at0.1"]
    assert tried.recipe["learning_rate"] == 0.1 and tried.seeds == (experiments.TUNING_SEED,)
    assert not any(label.startswith("deeper_at") for label in runs)


@pytest.mark.parametrize(
    "entry, message",
    [
        ('[a]\nlike = "b"', r"\[a\] is like 'b'; allowed: a"),
        ('[a]\nnetwork = "mlp_small"\nepochs = 3', r"toy.toml \[a\]: .*epochs"),
    ],
)
def test_a_wrong_entry_is_named(toy, entry, message):
    (toy / "experiments" / "toy.toml").write_text(entry)
    with pytest.raises(ValueError, match=message):
        experiments.load("toy")


def test_none_is_written_as_a_word(toy):
    (toy / "experiments" / "toy.toml").write_text(
        '[a]\nnetwork = "resnet_small"\nchanges = {normalization = "none"}'
    )
    assert experiments.load("toy")["a"].changes == {"normalization": None}


def test_unknown_names_are_answered_with_those_there_are(toy):
    assert [run.label for run in experiments.find(["toy/wide"])] == ["wide"]
    with pytest.raises(ValueError, match="no run is called 'toy/no'; toy has: base, wide"):
        experiments.find(["toy/no"])
    with pytest.raises(ValueError, match="no experiments are called 'no'; allowed: toy"):
        experiments.find(["no"])


@pytest.mark.slow
def test_a_record_says_how_it_was_made(toy):
    run = experiments.load("toy")["deeper"]
    assert experiments.train_and_save(run, 3)
    read = experiments.load_records("toy", "deeper")[0]
    assert run.differs(read) == ""
    assert read["seed"] == 3 and read["start"] == run.start
    assert read["parameters"] == zoo.build("mlp_small", hidden=[8]).count_params()
    assert set(read["versions"]) >= {"python", "keras", "numpy"}
    assert read["device"]["cores"] >= 1 and read["input"] == "tf.data"
    assert (read["training"]["images"], read["test"]["images"]) == (256, 10_000)
    assert read["after"]["shifts"]["0"] == pytest.approx(read["test"]["accuracy"], abs=1e-3)
    assert read["train_seconds"] > 0
    assert run.missing() == [0]


@pytest.mark.slow
def test_a_changed_recipe_is_seen(toy):
    run = experiments.load("toy")["base"]
    record, _ = experiments.train(run, 0, progress=False)
    assert run.differs(record) == ""
    text = TOY.replace("epochs = 2", "epochs = 3")
    (toy / "experiments" / "toy.toml").write_text(text)
    experiments.load.cache_clear()
    assert re.search(
        "recipe: the record has .*'epochs': 2", experiments.load("toy")["base"].differs(record)
    )


def test_a_record_names_the_accelerator(monkeypatch):
    from course_lib import profile

    monkeypatch.setattr(profile, "accelerator", lambda: "Tesla T4")
    device = experiments.surroundings()["device"]
    assert (device["kind"], device["accelerator"]) == ("gpu", "Tesla T4")


@pytest.mark.slow
def test_a_run_begins_as_another_ends(toy, monkeypatch):
    started = []
    fit = training.fit

    def watched(model, *args, **kwargs):
        started.append([np.asarray(w) for w in model.get_layer("output").weights])
        found = fit(model, *args, **kwargs)
        started.append([np.asarray(w) for w in model.get_layer("output").weights])
        return found

    monkeypatch.setattr(training, "fit", watched)
    experiments.train(experiments.load("toy")["deeper"], 0, progress=False)
    first_ends, second_begins = started[1], started[2]
    assert all(np.array_equal(a, b) for a, b in zip(first_ends, second_begins))


@pytest.mark.slow
def test_a_training_that_diverges_is_recorded_as_that(toy, capsys):
    assert experiments.train_and_save(experiments.load("toy")["wild"], 0)
    read = experiments.load_records("toy", "wild")[0]
    assert read["diverged"] is True and "test" not in read
    assert "toy/wild seed 0: diverged" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_never_with_other_settings(toy, monkeypatch):
    whole, _ = experiments.train(experiments.load("toy")["base"], 0, progress=False)
    run = experiments.load("toy")["base"]
    with monkeypatch.context() as patch:
        keeper = training.Keeper

        class Stopped(keeper):
            def on_epoch_begin(self, epoch, logs=None):
                super().on_epoch_begin(epoch, logs)
                if epoch == 1:
                    raise KeyboardInterrupt

        patch.setattr(training, "Keeper", Stopped)
        assert not experiments.train_and_save(run, 0)
    assert run.missing() == [0, 3] and len(list((toy / "runs").iterdir())) == 1
    experiments.train_and_save(experiments.load("toy")["wide"], 0)  # does not take that file
    assert len(list((toy / "runs").iterdir())) == 1
    assert experiments.train_and_save(run, 0)
    assert not list((toy / "runs").iterdir())
    again = experiments.load_records("toy", "base")[0]
    assert [row["loss"] for row in again["epochs"]] == [row["loss"] for row in whole["epochs"]]


@pytest.mark.slow
@pytest.mark.parametrize("word", ["vgg", "resnet", "mobilenet", "shufflenet"])
def test_the_cost_is_near_what_was_recorded_and_that_where_it_was(toy, monkeypatch, word):
    """Depthwise and full convolutions differ by 20 in time for a multiply-add."""
    monkeypatch.undo()  # the records of the course
    experiments.load.cache_clear()
    run = experiments.load("race")[f"epochs_{word}"]
    records = experiments.load_records("race", run.label)
    took = np.median([record["processor_seconds"] for record in records]) / 60
    monkeypatch.setattr(experiments, "HERE", toy)  # where there are none
    assert took / 2.5 < experiments.minutes(run) < 2.5 * took
    other = run.changes | {"classes": 9}
    on_gpu = {"processor_seconds": 1e9, "device": {"kind": "gpu"}}
    for record, label in ((records[0] | on_gpu, "gpu"), (records[0] | {"changes": other}, "other")):
        experiments.save_record(record, toy / f"records/toy/{label}_seed0.json")
    one = records[0]["processor_seconds"] / 60
    assert experiments.minutes(run) == pytest.approx(one, rel=0.02)
    experiments.save_record(records[0], toy / "records/toy/same_seed0.json")
    assert experiments.minutes(run) == pytest.approx(one)


def test_what_is_missing_is_trained_side_by_side_and_failures_are_counted(toy, capsys, monkeypatch):
    real = subprocess.Popen
    seen, most, now = [], [0], [0]

    class Process:
        def __init__(self, words, env=None):
            seen.append(" ".join(words[-2:]))
            code = 2 if "wild" in words[-2] else 0
            program = f"import time; time.sleep(0.5); raise SystemExit({code})"
            self.process = real([sys.executable, "-S", "-c", program])
            self.pid, self.open = self.process.pid, True
            now[0] += 1
            most[0] = max(most[0], now[0])

        def poll(self):
            code = self.process.poll()
            if code is not None and self.open:
                self.open, now[0] = False, now[0] - 1
            return code

        @property
        def returncode(self):
            return self.process.returncode

    monkeypatch.setattr(experiments.subprocess, "Popen", Process)
    (toy / "records" / "toy").mkdir(parents=True)
    (toy / "records" / "toy" / "base_seed0.json").write_text("{}")
    failed = experiments.run_all(experiments.find(["toy/base", "toy/wild"]), jobs=2)
    assert seen == ["toy/base 3", "toy/wild 0", "toy/wild 3"]
    assert most == [2] and failed == 2
    assert "toy/wild seed 3 failed with exit status 2" in capsys.readouterr().out


def test_the_time_limit_interrupts_and_says_how_to_go_on(toy, capsys, monkeypatch):
    real = subprocess.Popen
    program = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: pass"
    monkeypatch.setattr(
        experiments.subprocess,
        "Popen",
        lambda words, env=None: real([sys.executable, "-c", program]),
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
    before = time.monotonic()
    assert experiments.run_all(experiments.find(["toy"]), jobs=2, limit=1 / 60) == 0
    assert time.monotonic() - before < 20
    assert re.search(r"stopped; \d+ trainings are left. Run again", capsys.readouterr().out)


def test_records_are_found_by_label_or_the_labels_are_listed():
    runs = experiments.load_records("alexnet", "long")
    assert [run["seed"] for run in runs] == [0, 1, 2]
    with pytest.raises(ValueError, match="no records alexnet/lon; there are: .*long"):
        experiments.load_records("alexnet", "lon")


def test_a_damaged_record_is_named(toy, capsys):
    file = experiments.load("toy")["base"].file(0)
    file.parent.mkdir(parents=True)
    file.write_text("")
    with pytest.raises(ValueError, match="base_seed0.json is damaged .*; delete it to train it"):
        experiments.load_records("toy", "base")
    with pytest.raises(SystemExit):
        experiments.main(["list", "toy/wide"])
    assert "base_seed0.json is damaged" in capsys.readouterr().err


def test_recorded_runs_are_shown_with_what_they_saw():
    shown = experiments.show_records("alexnet", "long", "short")
    lines = repr(shown).splitlines()
    assert lines[0] == "long: alexnet_small, 20 epochs on all training pictures"
    assert re.fullmatch(
        r"  seed 0: test accuracy \d\d\.\d\d % \(cpu, keras 3\.\d+\.\d+\)", lines[1]
    )
    assert lines[4] == "short: alexnet_small, 3 epochs on 39,400 training pictures"
    table = shown._repr_markdown_().splitlines()
    assert len(table) == 4
    assert re.match(r"\| long \| alexnet_small \| 20 \| all \| (\d\d\.\d\d, ){2}\d", table[2])


def test_the_command_line_answers_in_one_line(capsys):
    for words, message in (
        (["list", "no"], "no experiments are called 'no'; allowed: alexnet"),
        (["run", "alexnet/no"], "no run is called 'alexnet/no'"),
        (["run", "alexnet", "--jobs", "0"], "--jobs is 0; allowed: at least 1"),
        (["verdicts", "no"], "no ledger is called 'no'"),
    ):
        with pytest.raises(SystemExit) as stopped:
            experiments.main(words)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


# ---- the committed records


@pytest.mark.parametrize("word", experiments.words())
def test_every_record_is_what_its_experiment_says(word):
    """A changed recipe, a renamed run and a record that nothing asks for are found here."""
    runs = experiments.load(word)
    files = sorted((experiments.HERE / "records" / word).glob("*.json"))
    strangers = [f.name for f in files if f.name.rpartition("_seed")[0] not in runs]
    assert not strangers, f"no entry of experiments/{word}.toml asks for {strangers}"
    wrong = []
    for run in runs.values():
        for seed in run.seeds:
            if run.file(seed).exists():
                record = json.loads(run.file(seed).read_text(encoding="utf-8"))
                wrong += (
                    [f"{run.file(seed).name}: {words}"] if (words := run.differs(record)) else []
                )
                assert record["seed"] == seed and not record["interrupted"]
                assert len(record["epochs"]) == run.recipe["epochs"] or record.get("diverged")
    assert not wrong, "; ".join(wrong)


def test_every_chapter_with_records_has_experiments():
    folders = {f.name for f in (experiments.HERE / "records").iterdir()}
    assert folders | {"imagenet"} == set(experiments.words())  # trained by nobody yet


@pytest.mark.parametrize(
    "run", [run for run in experiments.find([]) if run.candidates], ids=lambda run: run.name
)
def test_the_rate_is_the_best_of_its_candidates(run):
    """On the tuning seed and by the named measure; no verdict uses that seed."""
    from course_lib import evidence

    tried = {}
    for rate in run.candidates["learning_rate"]:
        candidate = experiments.load(run.word)[f"{run.label}_at{rate}"]
        if candidate.missing():
            assert not any(run.file(seed).exists() for seed in run.seeds), (
                f"{run.name} is recorded, its candidate {candidate.name} is not"
            )
            return
        record = json.loads(candidate.file(experiments.TUNING_SEED).read_text(encoding="utf-8"))
        value, _ = evidence.measure(record, run.candidates.get("by", "validation_error"))
        tried[rate] = np.inf if np.isnan(value) else value
    assert run.recipe["learning_rate"] == min(tried, key=tried.get), tried
    assert experiments.TUNING_SEED not in run.seeds


def test_the_weights_of_the_first_seed_are_shipped(toy):
    run = experiments.load("toy")["shipped"]
    assert experiments.load("toy")["base"].ship is False
    for seed in (0, 3):
        assert experiments.train_and_save(run, seed)
    record = experiments.read_record(run.file(0))
    assert "shipped" not in experiments.read_record(run.file(3))
    model = zoo.build("mlp_small", weights="fashion_mnist")
    assert model.count_params() == record["parameters"]  # with the run's own arguments
    splits = data.load(numpy=True, **run.data)
    assert training.evaluate(model, splits.test) == record["shipped"]["test"]
    assert abs(record["shipped"]["test"]["error"] - record["test"]["error"]) < 0.005

    with pytest.raises(ValueError, match="no trained weights of 'vgg_small'.*: mlp_small"):
        zoo.build("vgg_small", weights="fashion_mnist")
    with pytest.raises(ValueError, match="changes are .*classes"):
        zoo.build("mlp_small", weights="fashion_mnist", classes=3)
    with pytest.raises(ValueError, match="not the weights of.*first 'hidden1/bias'"):
        weights.load(zoo.build("mlp_small", hidden=[9]), weights.read("mlp_small")[0])
    file = weights.file_of("mlp_small")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match="is damaged"):
        zoo.build("mlp_small", weights="fashion_mnist")
    weights.save(zoo.build("mlp_small", hidden=[8]), "mlp_small", run.name, 0, run.changes)
    with pytest.raises(ValueError, match="its SHA-256 is not the one"):
        zoo.build("mlp_small", weights="fashion_mnist")
