"""ImageNet's recipes: pictures cut and coloured as the papers say, a training from end to end.

The set is one of the same form, written by TensorFlow Datasets: many sizes, 1,000 names.
"""

import inspect
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_datasets as tfds
from test_devices import two_hosts

from course_lib import data, experiments, ilsvrc, ledger, photographs, training, zoo

ROOT = Path(__file__).resolve().parent.parent
RUNS = experiments.load("imagenet")
NOTHING = {**data.CUT, "mirror": False}
random = np.random.default_rng(0)


def picture(height, width):
    """Return a smooth picture, which a JPEG hardly changes."""
    coarse = random.uniform(0, 255, (4, 4, 3)).astype("float32")
    return tf.cast(tf.image.resize(coarse, (height, width)), tf.uint8).numpy()


# ---- one picture


def windows(cut, height, width, count=300, side=224):
    draws = random.random((count, 4)).astype("float32")
    one = tf.function(lambda d: photographs.window(d, height, width, side, {**NOTHING, **cut}))
    return np.array([one(d) for d in draws]).T


@pytest.mark.parametrize("height, width", [(300, 400), (500, 375), (100, 600), (700, 90)])
def test_a_window_by_area_keeps_to_its_bounds(height, width):
    top, left, tall, wide = windows({"area": (0.08, 1)}, height, width)
    assert min(top) >= 0 and min(left) >= 0
    assert max(top + tall) <= height and max(left + wide) <= width
    # A side is rounded by up to half a pixel.
    assert ((wide + 0.5) / (tall - 0.5) >= 3 / 4).all()
    assert ((wide - 0.5) / (tall + 0.5) <= 4 / 3).all()
    nearest = np.clip(width / height, 3 / 4, 4 / 3)
    most = min(width**2 / nearest, height**2 * nearest) / (height * width)
    share = tall * wide / (height * width)
    slack = (tall + wide) / (height * width)
    assert (share >= 0.08 - slack).all() and (share <= most + slack).all()
    assert share.min() < 0.15 and share.max() > 0.9 * most
    assert len(set(top)) > 20 and len(set(left)) > 20 or most < 1


@pytest.mark.parametrize("height, width", [(300, 400), (1300, 1000)])
def test_a_window_by_scale_is_a_square_of_the_scaled_picture(height, width):
    top, left, tall, wide = windows({"scale": (256, 480)}, height, width)
    shorter = min(height, width)
    assert (tall == wide).all() and max(top + tall) <= height and max(left + wide) <= width
    low, high = round(shorter * 224 / 480), round(shorter * 224 / 256)
    assert min(tall) >= low and max(tall) <= high and np.ptp(tall) > 0.9 * (high - low)
    one = tf.constant([0.0, 0.0, 0.9999999, 0.9999999])
    last = photographs.window(one, height, width, 224, {**NOTHING, "scale": (256, 256)})
    side = round(shorter * 224 / 256)
    assert last.numpy().tolist() == [height - side, width - side, side, side]
    for draw, wanted in ((0.0, high), (0.9999999, low)):
        one = tf.constant([draw, 0.0, 0.0, 0.0])
        cut = {**NOTHING, "scale": (256, 480)}
        found = photographs.window(one, height, width, 224, cut)
        assert found.numpy().tolist() == [0, 0, wanted, wanted]
    top, left, tall, _ = windows({"scale": (256, 256), "square": True}, height, width)
    for first, whole in ((top, height), (left, width)):
        before = (whole - shorter) // 2
        assert first.min() >= before and (first + tall).max() <= before + shorter
        assert first.max() - first.min() > 0.9 * (shorter - side)


@pytest.mark.parametrize("encode, most", [(tf.io.encode_jpeg, 3), (tf.io.encode_png, 0)])
def test_a_window_is_decoded_as_the_whole_is(encode, most):
    file = encode(picture(90, 130))
    assert photographs.size(file).numpy().tolist() == [90, 130]
    whole = photographs.decode(file).numpy().astype(int)
    part = photographs.decode(file, tf.constant([13, 40, 50, 61])).numpy().astype(int)
    assert np.abs(part - whole[13:63, 40:101]).max() <= most


def test_colours_change_as_in_numpy():
    image = picture(20, 30).astype("float32") / 255
    none, strengths = np.zeros(3, "float32"), np.float32([0.3, -0.2, 0.1])
    columns = np.array(photographs.VECTORS)
    found = photographs.colours(image, 0, none, strengths).numpy()
    wanted = ilsvrc.shift_colours(image, photographs.VALUES, columns, strengths)
    assert np.abs(found - wanted).max() < 1e-6 < np.abs(found - image).max()
    # The components are orthogonal unit vectors, up to the digits that are given.
    assert np.abs(columns.T @ columns - np.eye(3)).max() < 2e-3

    draws = np.float32([0.9, 0.2, 0.7])
    brightness, contrast, saturation = 1 + 0.4 * (2 * draws - 1)
    wanted = image * brightness
    grey = (wanted @ photographs.GREY).mean()
    wanted = grey + contrast * (wanted - grey)
    own = (wanted @ photographs.GREY)[..., None]
    wanted = own + saturation * (wanted - own) + columns @ (strengths * photographs.VALUES)
    found = photographs.colours(image, 0.4, tf.constant(draws), strengths).numpy()
    assert np.abs(found - np.clip(wanted, 0, 1)).max() < 1e-5
    assert found.max() == 1 < wanted.max() and np.abs(found - image).max() > 0.1
    still = photographs.colours(image, 0.4, none + 0.5, none).numpy()
    assert np.abs(still - image).max() < 1e-6


def test_ten_crops_are_those_of_chapter_03():
    image = picture(40, 61).astype("float32") / 255
    found = photographs.squares(tf.constant(image), 32, 10).numpy()
    assert np.array_equal(found, ilsvrc.ten_crops(image[:, 10:50], 32))
    assert np.array_equal(photographs.squares(tf.constant(image), 32, 1).numpy()[0], found[4])


def test_a_drawn_square_is_mirrored_by_its_draw():
    file = tf.io.encode_png(picture(40, 50))
    cut = {**data.CUT, "scale": (32, 48)}
    draws = random.random(photographs.DRAWS).astype("float32")
    normal = np.zeros(3, "float32")

    def square(**more):
        return photographs.drawn(file, 16, {**cut, **more}, tf.constant(draws), normal).numpy()

    draws[4] = 0.49
    mirrored, plain = square(), square(mirror=False)
    assert np.array_equal(mirrored, plain[:, ::-1]) and not np.array_equal(mirrored, plain)
    draws[4] = 0.5
    assert np.array_equal(square(), plain)
    for more in ({"jitter": 0.4}, {"lighting": 0.1}):
        normal = np.ones(3, "float32")
        assert np.abs(square(**more) - plain).max() > 0.01


# ---- recipes

# What the papers say: iterations (None where they count epochs), batch, rate, decay, as in the
# sources that experiments/imagenet.toml names.
PAPERS = {
    "alexnet": (None, 128, 0.01, 0.0005),
    "vgg": (370_000, 256, 0.01, 0.0005),
    "googlenet": (2_400_000, 32, 0.01, 0.0002),
    "resnet50": (600_000, 256, 0.1, 0.0001),
    "densenet": (None, 256, 0.1, 0.0001),
    "mobilenet": (None, 64, 0.045, 0.00004),
    "squeezenet": (170_000, 512, 0.04, 0.0002),
    "shufflenet": (300_000, 1024, 0.5, 0.00004),
}
PICTURES = ledger.load("ilsvrc").table("size of the 1,000-class set, used from 2012 on")[0][
    "images"
]


def test_the_recipes_are_those_of_the_eight_papers():
    assert set(PAPERS) == set(RUNS) - {"modern", "rehearsal"}
    assert {RUNS[name].network for name in PAPERS} <= {
        name for word in zoo.PAPERS for name in ledger.load(word).variants
    }
    for name, (iterations, batch, rate, decay) in PAPERS.items():
        recipe, given = RUNS[name].recipe, RUNS[name].data
        assert (given["batch_size"], recipe["learning_rate"]) == (batch, rate)
        factor = 1 if recipe["optimizer"] == "plain" else 10
        assert recipe["weight_decay"] == pytest.approx(factor * decay)
        if iterations:
            assert recipe["epochs"] == round(iterations * batch / PICTURES)
    for word in ("squeezenet", "shufflenet"):
        rows = ledger.load(word).deviations
        (said,) = (row["paper"] for row in rows if "iterations" in row["paper"])
        iterations, batch, rate, decay = PAPERS[word]
        numbers = (f"batches of {batch:,}", f"rate {rate} ", f"{iterations:,} iter", f"{decay:.5f}")
        assert all(number.rstrip("0") in said for number in numbers), said
    modern, first = RUNS["modern"], RUNS["resnet50"]
    larger = modern.data["batch_size"] / first.data["batch_size"]
    assert modern.recipe["learning_rate"] == larger * first.recipe["learning_rate"]
    (claim,) = (claim for claim in ledger.load("devices").claims if "warm-up" in claim["number"])
    assert claim["number"].startswith(f"{modern.recipe['warm_up']} epochs")


def test_the_rates_are_those_that_the_recipes_say():
    def of(schedule, epochs, *steps, **more):
        rates = training.rates(schedule, 0.1, 100, epochs, **more)
        return [float(rates(step)) for step in steps]

    at = {"factor": 0.1, "at": [30, 60]}
    assert of(at, 90, 0, 2999, 3000, 5999, 6000, 8999) == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )
    every = {"factor": 0.94, "every": 2.5}
    assert of(every, 90, 249, 250, 8999) == pytest.approx([0.1, 0.094, 0.1 * 0.94**35])
    assert of("linear", 90, 0, 4500, 9000) == pytest.approx([0.1, 0.05, 0], abs=1e-6)
    warm = of("cosine", 90, 250, 500, 4750, 9000, warm_up=5)
    assert warm == pytest.approx([0.0505, 0.1, 0.05, 0], abs=1e-6)
    assert of("cosine", 90, 1800, 5400) == pytest.approx([0.1, 0.05], abs=1e-6)


@pytest.mark.parametrize(
    "recipe, message",
    [
        ({"schedule": {"factor": 0.1}}, "allowed: 'cosine', 'constant', 'linear', or a dictionary"),
        ({"schedule": {"factor": 2, "every": 1}}, "factor is 2; allowed: above 0 and below 1"),
        ({"schedule": {"factor": 0.1, "at": [2, 1]}}, "epochs that rise, between 0 and 3"),
        ({"schedule": {"factor": 0.1, "at": [3]}}, "epochs that rise, between 0 and 3"),
        ({"schedule": "linear", "warm_up": 1}, "warm_up is 1; allowed: with the schedule 'cosine'"),
        ({"decayed": "none"}, "'none'; allowed: 'kernels', 'all', 'no depthwise'"),
    ],
)
def test_a_wrong_schedule_is_named(recipe, message):
    with pytest.raises(ValueError, match=message):
        training.fit(None, None, epochs=3, **recipe)


def test_a_step_is_the_paper_s():
    """Plain: no momentum, and no decay of depthwise kernels. Momentum: ten times the decay."""
    image = keras.Input((4, 4, 2))
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(image)
    block = keras.Model(image, x, name="block")
    model = keras.Sequential([keras.Input((4, 4, 2)), block, keras.layers.Dense(3, name="fc")])
    paths = [v.path for v in model.trainable_variables]
    for weight in model.trainable_variables:
        weight.assign(np.ones(weight.shape))
    start = model.get_weights()
    slopes = [np.full(v.shape, 0.5, "float32") for v in model.trainable_variables]
    chosen = training.make_optimizer(
        "plain", 0.1, 0.01, "no depthwise", 0.0, model.trainable_variables
    )
    chosen.build(model.trainable_variables)
    for step in (1, 2):
        chosen.apply([tf.constant(slope) for slope in slopes], model.trainable_variables)
        for path, weight in zip(paths, model.get_weights()):
            decays = "kernel" in path and "depthwise" not in path
            wanted = 1.0
            for _ in range(step):
                wanted = (0.999 if decays else 1) * wanted - 0.1 * 0.5
            assert weight == pytest.approx(wanted, abs=1e-6), path
    assert sum("depthwise" in path for path in paths) == 2

    # A constant weight that only decays: by the paper's rule as fast as by ours in the long run.
    model.set_weights(start)
    speed, by_paper = 0.0, 1.0
    for _ in range(300):
        speed = 0.9 * speed - 0.1 * 0.001 * by_paper
        by_paper += speed
    ours = training.make_optimizer("sgd", 0.1, 0.01, "all", 0.0)
    ours.build(model.trainable_variables)
    none = [tf.zeros(v.shape) for v in model.trainable_variables]
    for _ in range(300):
        ours.apply(none, model.trainable_variables)
    assert float(model.get_weights()[0].mean()) == pytest.approx(by_paper, abs=0.01)
    assert by_paper < 0.8


# ---- a set of the same form


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An imagenet2012 of 200 and 12 small pictures, with its 1,000 names."""
    where = tmp_path_factory.mktemp("tfds")
    names = [f"n{number:08}" for number in range(1000)]
    features = {
        "image": tfds.features.Image(encoding_format="jpeg"),
        "label": tfds.features.ClassLabel(names=names),
        "file_name": tfds.features.Text(),
    }
    sizes = random.integers(40, 90, (212, 2))
    pictures = [
        (i, {"image": picture(*size), "label": 4 * i, "file_name": f"{names[4 * i]}_{i}.JPEG"})
        for i, size in enumerate(sizes)
    ]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="imagenet2012",
        version="5.1.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": pictures[:200], "validation": pictures[200:]},
        data_dir=where,
    )
    return where


@pytest.mark.parametrize("name", [name for name in RUNS if name != "rehearsal"])
def test_every_recipe_feeds_its_network(folder, name):
    run = RUNS[name]
    builder, arguments = zoo.variants()[run.network]
    usual = inspect.signature(builder).parameters["input_shape"].default
    wanted = arguments.get("input_shape", usual)
    small = {**run.data, "batch_size": 8, "train_limit": 8}
    splits = data.load(data_dir=folder, **small)
    images, labels = next(splits.train.as_numpy_iterator())
    assert images.shape == (8, *wanted) and splits.classes == 1000
    assert len(set(labels)) == 8 and labels.max() > 10
    old = name in ("alexnet", "vgg", "googlenet", "squeezenet")  # only the mean is subtracted
    unit = 255 if old else 1 / 0.229
    assert unit / 10 < images.std() < unit and np.abs(images.mean()) < unit / 2
    training.check_schedule(
        run.recipe.get("schedule", "cosine"), run.recipe["epochs"], run.recipe.get("warm_up")
    )


def test_each_process_has_its_part(folder):
    """Together they have every picture once, but for what fills no batch."""
    options = {"name": "imagenet2012", "image_size": 16, "batch_size": 64, "data_dir": folder}
    seen = []
    for which in range(2):
        splits = data.load(part=(which, 2), augment=True, **{**options, "batch_size": 2})
        assert splits.sizes == {"train": 99, "validation": 1, "test": 12} and splits.parts == 2
        (labels,) = ([y for _, y in splits.train.as_numpy_iterator()],)
        assert [len(y) for y in labels] == [1] * 99
        seen.append(set(np.concatenate(labels)))
    assert len(seen[0]) == len(seen[1]) == 99 and not seen[0] & seen[1]
    whole = data.load(**options)
    assert len(np.concatenate([y for _, y in whole.test.as_numpy_iterator()])) == 12
    with pytest.raises(
        ValueError, match=r"train\[99%:\] has 2 pictures, too few for a batch of 64"
    ):
        data.load(part=(0, 2), **options)
    with pytest.raises(ValueError, match="batch_size is 64; allowed in 3 parts: a multiple"):
        data.load(part=(0, 3), **options)


TINY = """
[tiny]
like = "vgg"
changes = {depth = "A", input_shape = [40, 40, 3], width = 0.125, hidden = 32, dropout = 0.0}
data = {image_size = 40, batch_size = 66, augment = {scale = [44, 60], lighting = 0.1}}
recipe = {epochs = 3, optimizer = "adam", learning_rate = 0.003, schedule = "linear"}
precision = "float32"
views = [{crops = 1, scale = 46}, {crops = 10, scale = 46}]

[tiny16]
like = "tiny"
recipe = {epochs = 1}
precision = "mixed_bfloat16"
"""

ONE = """
import json, os, signal, sys
from pathlib import Path
import tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
import course_lib
from course_lib import experiments, training
experiments.HERE = Path.cwd()
if sys.argv[1:] == ["kill"]:
    class Killed(training.Keeper):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            os.kill(os.getpid(), signal.SIGKILL)
    training.Keeper = Killed
experiments.main(["one", "imagenet/tiny", "0", "--devices", "all"])
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The course's recipes and a tiny one, in an empty folder."""
    text = (experiments.HERE / "experiments" / "imagenet.toml").read_text(encoding="utf-8")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "imagenet.toml").write_text(text + TINY, encoding="utf-8")
    monkeypatch.setattr(experiments, "HERE", tmp_path)
    monkeypatch.chdir(tmp_path)
    experiments.load.cache_clear()
    yield tmp_path
    experiments.load.cache_clear()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_from_end_to_end_on_two_devices_killed_and_gone_on_with(
    course, folder, monkeypatch
):
    """The real command gives what one device gives that trains without an interruption."""
    monkeypatch.setenv("COURSE_DATA_DIR", str(folder))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    for words, code in ((["kill"], -signal.SIGKILL), ([], 0)):
        done = subprocess.run(
            [sys.executable, "-c", ONE, *words], env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr[-3000:]
        assert len(list((course / "runs").iterdir())) == (1 if words else 0)
    assert "epoch 2/3" in done.stdout and "epoch 1/3" not in done.stdout  # not trained again
    run = experiments.load("imagenet")["tiny"]
    record = experiments.read_record(run.file(0))
    assert run.differs(record) == "" and record["precision"] == "float32"
    assert record["devices"]["count"] == 2 and [row["epoch"] for row in record["epochs"]] == [
        1,
        2,
        3,
    ]
    one, model = experiments.train(run, 0, progress=False)
    for name in ("loss", "val_loss"):
        found, wanted = ([row[name] for row in made["epochs"]] for made in (record, one))
        # A pass of other pictures, or an optimiser without its state, is ten times as far away.
        assert found == pytest.approx(wanted, rel=1e-4 if name == "loss" else 2e-3)
        assert np.ptp(wanted) > 0.03 * wanted[0]  # something is learned meanwhile
    assert [test["images"] for test in record["tests"]] == [12, 12]
    assert record["test"] == record["tests"][0] == pytest.approx(one["test"])
    assert model.dtype_policy.name == "float32"


class Rigged:
    """A model that sees in a picture's first pixels the logits of three classes."""

    def predict_on_batch(self, images):
        return np.concatenate([images[:, 0, 0], np.full((len(images), 5), -9, "float32")], axis=1)


def test_the_judge_takes_the_mean_of_the_views_and_five_guesses():
    views = np.zeros((3, 2, 1, 1, 3), "float32")
    views[0, :, 0, 0] = [[5, 4.8, 0], [0, 4.8, 5]]  # the mean is for class 1, no single view is
    views[1, :, 0, 0] = [[3, 2, 1], [3, 2, 1]]
    views[2, :, 0, 0] = [[1, 2, 3], [1, 2, 3]]
    labels = np.array([1, 1, 7], "int32")  # the last is one of five that score alike
    batches = tf.data.Dataset.from_tensor_slices((views, labels)).batch(2)
    found = training.evaluate_views(Rigged(), batches)
    assert found["images"] == 3 and found["accuracy"] == 1 - found["error"]
    assert found["error"] == pytest.approx(2 / 3) and found["top5_error"] == pytest.approx(1 / 3)
    one = tf.data.Dataset.from_tensor_slices((views[:, :1], np.array([0, 0, 2], "int32"))).batch(3)
    assert training.evaluate_views(Rigged(), one)["error"] == 0


def test_views_are_the_squares_of_every_test_picture(folder):
    given = {"image_size": 16, "batch_size": 16, "standardize": False, "data_dir": folder}
    splits = data.load("imagenet2012", **given)
    ten, one = (list(splits.views(crops, 20).as_numpy_iterator()) for crops in (10, 1))
    assert [images.shape for images, _ in ten] == [(1, 10, 16, 16, 3)] * 12
    assert [images.shape for images, _ in one] == [(12, 1, 16, 16, 3)]
    centres = np.concatenate([images[:, 4] for images, _ in ten])
    assert np.array_equal(centres, one[0][0][:, 0])
    assert np.array_equal(np.concatenate([labels for _, labels in ten]), one[0][1])
    [(usual, _)] = splits.test.as_numpy_iterator()
    assert np.array_equal(usual, next(splits.views().as_numpy_iterator())[0][:, 0])
    for arguments, message in (((5,), "crops is 5; allowed: 1, 10"), ((1, 15), "scale is 15; all")):
        with pytest.raises(ValueError, match=message):
            splits.views(*arguments)
    with pytest.raises(
        ValueError, match="views are for pictures that differ in size; those of fash"
    ):
        data.load(train_limit=10).views()


@pytest.mark.slow
def test_16_bits_compute_and_32_bits_are_kept_and_judged(course, folder, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(folder))
    fit, trained = training.fit, []

    def watched(model, *args, **kwargs):
        trained.append(model)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(training, "fit", watched)
    run = experiments.load("imagenet")["tiny16"]
    record, judged = experiments.train(run, 0, resume=course / "run.npz", progress=False)
    (model,) = trained
    assert record["precision"] == "mixed_bfloat16" and np.isfinite(record["test"]["error"])
    assert {layer.compute_dtype for layer in model.layers[1:]} == {"bfloat16"}
    assert {layer.compute_dtype for layer in judged.layers} == {"float32"}
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), judged.get_weights()))
    with np.load(course / "run.npz") as saved:
        kinds = {saved[name].dtype.name for name in saved.files if name.startswith(("state", "b"))}
    assert kinds <= {"float32", "int32", "int64", "uint32"} and "float32" in kinds


def test_a_missing_set_is_answered_with_where_to_get_it(course, tmp_path, monkeypatch, capsys):
    (tmp_path / "sets").mkdir()
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "sets"))
    with pytest.raises(SystemExit) as stopped:
        experiments.main(["one", "imagenet/tiny", "0"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "https://image-net.org/download-images" in said and said.count("\n") == 1
    assert f"ILSVRC2012_img_val.tar into {tmp_path / 'sets' / 'downloads' / 'manual'}" in said


def test_the_list_counts_no_photographs_as_hours_of_a_core(course, capsys):
    experiments.main(["list", "imagenet"])
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[3] == "imagenet/resnet50: missing seeds 0, for GPUs: IMAGENET.md says what they take"
    )
    assert lines[-2:] == [
        "missing: about 0.0 core-hours on the processors of the records",
        f"not counted: {len(RUNS) + 2} trainings for GPUs",
    ]


# Two processes, each with its part, and one that is given the parts side by side.
PARTS = """
import json, sys
from types import SimpleNamespace
import course_lib, keras
import numpy as np
import tensorflow as tf
from course_lib import data, devices, training
devices.join()
folder = sys.argv[1]

def parts(which, count):
    options = dict(image_size=8, batch_size=2, standardize=True, augment=True, data_dir=folder)
    return data.load("imagenet2012", part=(which, count), **options)

def side_by_side(split):
    both = [list(getattr(parts(i, 2), split).as_numpy_iterator()) for i in range(2)]
    batches = [[np.concatenate(pair) for pair in zip(*row)] for row in zip(*both)]
    images, labels = (np.stack(column) for column in zip(*batches))
    return tf.data.Dataset.from_tensor_slices((images, labels))

keras.utils.set_random_seed(0)
with devices.use(sys.argv[2]) as used:
    image = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Conv2D(4, 3)(image))
    model = keras.Model(image, keras.layers.Dense(1000)(keras.layers.Flatten()(x)))
    if used:
        splits = parts(devices.process(), devices.processes())
    else:
        train, validation = map(side_by_side, ("train", "validation"))
        from_the_start = {"train": train, "train_from": lambda epoch, spare: train}
        splits = SimpleNamespace(**from_the_start, validation=validation)
    recipe = {"learning_rate": 0.01, "optimizer": "sgd", "keep": "last", "progress": False}
    found = training.fit(model, splits, epochs=1, **recipe)
print(json.dumps([[row["loss"], row["val_loss"]] for row in found["epochs"]]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_processes_that_read_their_parts_train_as_one_that_reads_all(folder):
    def answers(where, *each):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", PARTS, str(folder), where]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(words, env={**environment, **more}, **pipes) for more in each]
        said = [process.communicate(timeout=800) for process in started]
        for process, (_, problems) in zip(started, said):
            assert process.returncode == 0, problems[-3000:]
        return [json.loads(out.splitlines()[-1]) for out, _ in said]

    [[(loss, of_validation)]] = answers("one", reference.ON_JAX)
    assert abs(loss - math.log(1000)) > 0.01
    for found in answers("all", *two_hosts()):
        assert found == [pytest.approx([loss, of_validation], rel=1e-4)]
