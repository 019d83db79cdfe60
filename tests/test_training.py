"""The recipe: it learns, it repeats, it resumes, it refuses what it cannot train on."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from course_lib import training

RNG = np.random.default_rng(0)


def stripes(n, seed=0):
    """Return n 8x8 pictures of horizontal (0) or vertical (1) stripes in noise, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n).astype("int32")
    rows = np.tile(np.arange(8) % 2, (8, 1))
    clean = np.where(labels[:, None, None], rows, rows.T)[..., None]
    return (clean + 0.5 * rng.normal(size=(n, 8, 8, 1))).astype("float32"), labels


def splits(train=None):
    return SimpleNamespace(
        train=train or stripes(256), validation=stripes(64, 1), test=stripes(64, 2)
    )


def network(seed=0, dropout=0.3):
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(2)(x))


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_it_learns_and_says_so_in_one_line_an_epoch_without_times(capsys):
    model = network()
    history = training.fit(model, splits(), epochs=8, learning_rate=0.02)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == [f"epoch {n}/8" for n in range(1, 9)]
    assert all(len(line.split()) == 12 for line in lines)
    assert history["interrupted"] is False
    assert training.evaluate(model, splits().test)["accuracy"] > 0.95


def test_the_same_seed_gives_the_same_weights():
    first, second, other = network(), network(), network(1)
    for model, seed in ((first, 0), (second, 0), (other, 1)):
        training.fit(model, splits(), epochs=2, seed=seed, progress=False)
    assert np.array_equal(weights(first), weights(second))
    assert not np.array_equal(weights(first), weights(other))


class StopAfter(keras.callbacks.Callback):
    """Interrupt as a keyboard would, in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            raise KeyboardInterrupt


def test_resuming_equals_never_having_been_interrupted(tmp_path, monkeypatch, capsys):
    whole = network()
    history = training.fit(whole, splits(), epochs=4, learning_rate=0.01, progress=False)

    file = tmp_path / "run.npz"
    with monkeypatch.context() as patch:
        patch.setattr(training, "Progress", lambda epochs: StopAfter(2))
        stopped = training.fit(network(), splits(), epochs=4, learning_rate=0.01, resume=file)
    assert stopped["interrupted"] is True
    assert len(stopped["epochs"]) == 2
    assert f"interrupted after 2 of 4 epochs; run again to go on from {file}" in (
        capsys.readouterr().out
    )
    resumed = network(seed=5)  # whatever it starts from, the file decides
    again = training.fit(
        resumed, splits(), epochs=4, learning_rate=0.01, resume=file, progress=False
    )
    assert np.array_equal(weights(whole), weights(resumed))
    same = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    for mine, theirs in zip(again["epochs"], history["epochs"]):
        assert [mine[k] for k in same] == [theirs[k] for k in same]


def test_a_damaged_or_foreign_file_is_named(tmp_path):
    file = tmp_path / "run.npz"
    training.fit(network(), splits(), epochs=1, resume=file, progress=False)
    other = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    with pytest.raises(ValueError, match="belongs to another model"):
        training.fit(other, splits(), epochs=2, resume=file, progress=False)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match="run.npz cannot be read"):
        training.fit(network(), splits(), epochs=2, resume=file, progress=False)


def test_the_best_epoch_by_validation_is_kept():
    model = network()
    history = training.fit(
        model, splits(), epochs=5, learning_rate=0.3, schedule=None, progress=False
    )
    best = max(row["val_accuracy"] for row in history["epochs"])
    assert history["epochs"][history["best_epoch"] - 1]["val_accuracy"] == best
    assert training.evaluate(model, splits().validation)["accuracy"] == pytest.approx(
        best, abs=1e-6
    )


def test_auxiliary_outputs_are_trained_with_weight_0_3(monkeypatch):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(image)
    heads = {name: keras.layers.Dense(2, name=name)(flat) for name in ("main", "aux1", "aux2")}
    model = keras.Model(image, heads)
    training.fit(model, splits(), epochs=1, progress=False)
    x, y = splits().test
    # The first two outputs start unequal, so their losses tell which weight each of them has.
    parts = model.evaluate(x, {name: y for name in heads}, verbose=0, return_dict=True)
    total = parts["main_loss"] + 0.3 * (parts["aux1_loss"] + parts["aux2_loss"])
    assert parts["loss"] == pytest.approx(total, rel=1e-5)
    assert training.predict(model, splits().test)[0].shape == (64, 2)


def broken(change):
    images, labels = stripes(256)
    return change(images.copy(), labels.copy())


def with_nan(images, labels):
    images[3, 0, 0, 0] = np.nan
    return images, labels


def with_infinity(images, labels):
    images[3, 0, 0, 0] = images[4, 0, 0, 0] = -np.inf
    return images, labels


@pytest.mark.parametrize(
    "change,message",
    [
        (with_nan, "1 of 256 images hold NaN"),
        (with_infinity, "2 of 256 images hold NaN or infinity"),
        (lambda x, y: (x, y + 1), r"labels run from 1 to 2; this model has classes 0 to 1"),
        (
            lambda x, y: (x[:, :6], y),
            r"images have shape \(6, 8, 1\); this model takes \(8, 8, 1\)",
        ),
        (lambda x, y: (x.repeat(3, -1), y), r"shape \(8, 8, 3\); this model takes \(8, 8, 1\)"),
        (lambda x, y: (x.astype("uint8"), y), "type uint8; allowed: floating point"),
        (lambda x, y: (x, np.eye(2)[y]), r"labels have shape \(256, 2\)"),
        (lambda x, y: (x, y[:-1]), r"labels have shape \(255,\)"),
    ],
)
def test_wrong_data_is_refused_before_training(change, message):
    model = network()
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        training.fit(model, splits(broken(change)), epochs=1)
    assert np.array_equal(before, weights(model))


@pytest.mark.parametrize(
    "argument,message",
    [
        ({"epochs": 0}, "epochs is 0; allowed"),
        ({"epochs": 1, "optimizer": "rmsprop"}, "'rmsprop'; allowed: 'adam', 'sgd'"),
        ({"epochs": 1, "schedule": "step"}, "'step'; allowed: 'cosine', None"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(argument, message):
    with pytest.raises(ValueError, match=message):
        training.fit(network(), splits(), **argument)
    with pytest.raises(ValueError, match="'half'; allowed: float32"):
        with training.precision("half"):
            pass


def test_a_loss_that_is_not_finite_stops_the_run(capsys):
    history = training.fit(
        network(), splits(), epochs=5, learning_rate=1e30, optimizer="sgd", schedule=None
    )
    assert len(history["epochs"]) < 5
    assert "stopped: the loss is" in capsys.readouterr().out


def test_mixed_precision_is_an_explicit_choice_and_is_undone():
    with training.precision("mixed_bfloat16"):
        model = network()
    assert model.layers[1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    training.fit(model, splits(), epochs=8, learning_rate=0.02, progress=False)
    assert training.evaluate(model, splits().test)["accuracy"] > 0.9


def test_a_record_says_how_it_was_made(tmp_path):
    record, model = training.run(
        "alexnet_small", seed=3, epochs=1, data={"train_limit": 256}, progress=False
    )
    training.save_record(record, tmp_path / "runs" / "short_seed3.json")
    read = json.loads((tmp_path / "runs" / "short_seed3.json").read_text())
    assert read["network"] == "alexnet_small"
    assert (read["seed"], read["recipe"], read["data"]) == (3, {"epochs": 1}, {"train_limit": 256})
    assert read["parameters"] == model.count_params()
    assert set(read["versions"]) >= {"python", "keras", "numpy"}
    assert read["device"]["cores"] >= 1
    assert read["test"]["images"] == 10_000
    assert read["train_seconds"] > 0


def test_a_single_step_is_a_training():
    assert (
        training.fit(network(), splits(stripes(128)), epochs=1, progress=False)["best_epoch"] == 1
    )


def test_a_seed_fixes_the_weights_of_the_first_network_of_a_process():
    program = (
        "from course_lib import training\n"
        "import numpy as np\n"
        "for _ in range(2):\n"
        "    words = {'epochs': 1, 'learning_rate': 0.0, 'optimizer': 'sgd', 'progress': False}\n"
        "    _, model = training.run('vgg_small', seed=0, changes={'width': 1 / 64},\n"
        "                            data={'train_limit': 128}, **words)\n"
        "    print('weights', np.asarray(model.weights[0]).ravel()[:3].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("weights")]
    assert len(found) == 2, done.stderr[-2000:]
    assert found[0] == found[1]


def test_an_interrupted_run_is_not_resumed_with_other_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "convolution_small --train-limit 384 --record records --seeds 0 --epochs".split()
    with monkeypatch.context() as patch:
        patch.setattr(training, "Progress", lambda epochs: StopAfter(1))
        with pytest.raises(SystemExit):
            training.main([*words, "2"])
    assert len(list((tmp_path / "runs").iterdir())) == 1
    training.main([*words, "3"])
    read = json.loads((tmp_path / "records" / "long_seed0.json").read_text())
    assert [row["epoch"] for row in read["epochs"]] == [1, 2, 3]
    assert "epoch 1/3" in capsys.readouterr().out


def test_records_are_found_by_label_or_the_labels_are_listed():
    runs = training.load_records("alexnet", "base")
    assert [run["seed"] for run in runs] == [0, 1, 2]
    with pytest.raises(ValueError, match="no records alexnet/bas; there are: .*base"):
        training.load_records("alexnet", "bas")


def test_command_line_refuses_in_one_line(capsys):
    for words, message in (
        (["alexnet_smal", "--epochs", "1"], "Nearest: alexnet_small"),
        (["alexnet_small", "--epochs", "1", "--set", "dropout"], "--set takes ARGUMENT=VALUE"),
        (["alexnet_small", "--epochs", "1", "--set", "dropout=2"], "dropout is 2; allowed"),
        (["alexnet_small", "--epochs", "1", "--image-size", "16"], "images have shape (16, 16, 1)"),
    ):
        with pytest.raises(SystemExit) as stopped:
            training.main(words)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def test_recorded_runs_are_shown_with_what_they_saw(capsys):
    training.show_records("alexnet", "long", "tanh")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "long: alexnet_small, 20 passes over all training pictures"
    assert re.fullmatch(
        r"  seed 0: test accuracy \d\d\.\d\d % \(cpu, keras 3\.\d+\.\d+\)", lines[1]
    )
    assert lines[4] == (
        "tanh: alexnet_small (activation='tanh', initialization='glorot_normal'), "
        "10 passes over 4,000 training pictures"
    )
