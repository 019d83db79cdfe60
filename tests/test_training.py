"""The recipe: it learns, it repeats, it resumes, it refuses what it cannot train on."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from course_lib import training
from course_lib.metrics import top_k_error

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


@pytest.mark.slow
def test_it_learns_and_says_so_in_one_line_an_epoch_without_times(capsys):
    model = network()
    history = training.fit(model, splits(), epochs=8, learning_rate=0.02)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == [f"epoch {n}/8" for n in range(1, 9)]
    assert all(len(line.split()) == 12 for line in lines)
    assert history["interrupted"] is False
    assert training.evaluate(model, splits().test)["accuracy"] > 0.95


@pytest.mark.slow
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


AVERAGED = {"optimizer": "nesterov", "label_smoothing": 0.1, "averaging": 0.9, "keep": "last"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, AVERAGED], ids=["plain", "averaged"])
def test_resuming_equals_never_having_been_interrupted(tmp_path, monkeypatch, capsys, more):
    recipe = {"epochs": 4, "learning_rate": 0.01, **more}
    whole = network()
    history = training.fit(whole, splits(), **recipe, progress=False)

    file = tmp_path / "run.npz"
    with monkeypatch.context() as patch:
        patch.setattr(training, "Progress", lambda epochs: StopAfter(2))
        stopped = training.fit(network(), splits(), **recipe, resume=file)
    assert stopped["interrupted"] is True
    assert len(stopped["epochs"]) == 2
    assert f"interrupted after 2 of 4 epochs; run again to go on from {file}" in (
        capsys.readouterr().out
    )
    resumed = network(seed=5)  # whatever it starts from, the file decides
    again = training.fit(resumed, splits(), **recipe, resume=file, progress=False)
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
        model, splits(), epochs=5, learning_rate=0.3, schedule="constant", progress=False
    )
    best = max(row["val_accuracy"] for row in history["epochs"])
    assert history["epochs"][history["best_epoch"] - 1]["val_accuracy"] == best
    assert training.evaluate(model, splits().validation)["accuracy"] == pytest.approx(
        best, abs=1e-6
    )


@pytest.mark.slow
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
        ({"epochs": 1, "optimizer": "rmsprop"}, "'rmsprop'; allowed: 'adam', 'sgd', 'nesterov'"),
        ({"epochs": 1, "label_smoothing": 1}, "label_smoothing is 1; allowed: at least 0"),
        ({"epochs": 1, "averaging": -0.5}, "averaging is -0.5; allowed: at least 0"),
        ({"epochs": 1, "averaging": 0.9}, "keep is 'best'; allowed: 'last'"),
        ({"epochs": 1, "decayed": "gamma"}, "decayed is 'gamma'; allowed: 'kernels', 'all'"),
        ({"epochs": 1, "schedule": "step"}, "'step'; allowed: 'cosine', 'constant'"),
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
        network(), splits(), epochs=5, learning_rate=1e30, optimizer="sgd", schedule="constant"
    )
    assert len(history["epochs"]) < 5
    assert "stopped: the loss is" in capsys.readouterr().out


@pytest.mark.slow
def test_mixed_precision_is_an_explicit_choice_and_is_undone():
    with training.precision("mixed_bfloat16"):
        model = network()
    assert model.layers[1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    training.fit(model, splits(), epochs=8, learning_rate=0.02, progress=False)
    assert training.evaluate(model, splits().test)["accuracy"] > 0.9


def test_a_single_step_is_a_training():
    assert (
        training.fit(network(), splits(stripes(128)), epochs=1, progress=False)["best_epoch"] == 1
    )


def test_the_accuracy_while_it_trains_is_that_of_the_courses_judge():
    rng = np.random.default_rng(0)
    logits, labels = rng.integers(0, 4, (500, 10)).astype("float32"), rng.integers(0, 10, 500)
    found = np.asarray(training.accuracy(labels, logits))
    assert found.mean() == pytest.approx(1 - top_k_error(logits, labels)) and 0 < found.mean() < 1
    assert np.asarray(training.accuracy(labels[:1], np.full((1, 10), np.nan))) == [0]
    image = keras.Input((2,))
    tied = keras.Model(image, keras.layers.Dense(3, kernel_initializer="zeros")(image))
    training.compile_for(tied, keras.optimizers.SGD(), 0)
    shown = tied.evaluate(np.ones((4, 2)), np.zeros((4, 1), int), verbose=0, return_dict=True)
    assert shown["accuracy"] == 0  # Keras's own says 1


def test_smoothed_labels_are_those_of_the_formula():
    logits, labels = RNG.normal(size=(6, 4)).astype("float32"), np.array([0, 1, 2, 3, 0, 1])
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = 0.9 * np.eye(4)[labels] + 0.1 / 4
    found = training.SmoothedCrossentropy(0.1)(labels, logits)
    assert float(found) == pytest.approx(-(wanted * log_shares).sum(axis=1).mean(), rel=1e-5)


def test_a_model_trained_with_smoothed_labels_can_be_saved_and_loaded(tmp_path):
    model = network()
    training.fit(model, splits(stripes(64)), epochs=1, label_smoothing=0.2, progress=False)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.share == 0.2


@pytest.mark.slow
def test_a_model_is_left_with_the_average_of_its_weights():
    """It begins with the weights after the first step."""
    path = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            path.append(self.model.get_weights()[0])

    def fitted(**more):
        model = network(dropout=0)
        recipe = {"learning_rate": 0.1, "optimizer": "sgd", "schedule": "constant", "keep": "last"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "Progress", lambda epochs: Watch())
            training.fit(model, splits(), epochs=1, batch_size=64, **recipe, **more)
        return model.get_weights()[0]

    last = fitted()
    average, *later = path
    for weight in later:
        average = 0.5 * average + 0.5 * weight
    found = fitted(averaging=0.5)
    assert np.allclose(found, average, rtol=1e-4, atol=1e-6)
    assert not np.allclose(found, last, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("decayed", ["kernels", "all"])
def test_decay_reaches_the_kernels_or_all_weights(decayed):
    def scales(**more):
        model = network(dropout=0)
        recipe = {"learning_rate": 0.01, "optimizer": "sgd", "keep": "last", "decayed": decayed}
        training.fit(model, splits(), epochs=1, progress=False, **recipe, **more)
        return model.layers[1].get_weights()[0], model.layers[2].gamma.numpy()

    (kernel, gamma), (small_kernel, small_gamma) = scales(), scales(weight_decay=30.0)
    assert np.abs(small_kernel).sum() < 0.95 * np.abs(kernel).sum()
    assert (np.abs(small_gamma).sum() < 0.95 * np.abs(gamma).sum()) is np.bool_(decayed == "all")
