"""The sick networks of the assignments are as sick as their texts say, within a few points."""

import re

import keras
import nbformat
import numpy as np
import pytest
from notebook_tools import NOTEBOOKS

from course_lib import zoo
from course_lib.checks import densenet, networks, shufflenet, squeezenet
from course_lib.layers import BatchNormalization

pytestmark = pytest.mark.slow  # trains


def told(name):
    """Return an assignment's text on its patient, and what the code in it defines."""
    book = nbformat.read(NOTEBOOKS / f"assignments/{name}.ipynb", as_version=4)
    (text,) = (cell.source for cell in book.cells if "The patient" in cell.source)
    code = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    space = {"keras": keras, "np": np}
    exec(code, space)
    return " ".join(text.split()), space


def accuracy(model, images, labels):
    return 100 * np.mean(model.predict(images, verbose=0).argmax(axis=1) == labels)


def test_pictures_of_the_test_that_are_scaled_in_another_way():
    text, space = told("02_convolution")
    numbers = re.search(r"(\d+) % of its training pictures right, and (\d+) %", text).groups()
    train, held_back = map(int, numbers)
    splits = networks.pictures(4000)
    raw = [np.round(255 * (x - x.min()) / np.ptp(x)) for x, _ in (splits.train, splits.test)]
    fitted, spoiled = space["prepared"](*raw)
    labels = splits.train[1]
    keras.utils.set_random_seed(0)
    model = zoo.build("convolution_small")
    networks.fitted(model, (fitted[:3000], labels[:3000]), 2e-3, 32, 4)
    assert accuracy(model, fitted[:3000], labels[:3000]) == pytest.approx(train, abs=6)
    assert accuracy(model, fitted[3000:], labels[3000:]) == pytest.approx(held_back, abs=6)
    assert accuracy(model, spoiled, splits.test[1]) < 25
    answers = model.predict(spoiled, verbose=0).argmax(axis=1)
    assert np.bincount(answers).max() > 0.7 * len(answers)


def test_averages_that_come_too_late():
    text, space = told("07_resnet")
    in_fit = int(re.search(r"`fit` says that (\d+) %", text)[1])
    after = int(re.search(r"`evaluate` on .* says (\d+) %", text)[1])
    images, labels = networks.pictures(2048).train
    keras.utils.set_random_seed(0)
    model = space["patient"]()
    history = networks.fitted(model, (images, labels), 1e-2, 64, 3)
    assert 100 * history["accuracy"][-1] == pytest.approx(in_fit, abs=6)
    assert accuracy(model, images, labels) == pytest.approx(after, abs=20) and after < in_fit - 30


def test_a_test_in_which_batches_are_normalised_by_themselves():
    text, space = told("08_densenet")
    evaluated = int(re.search(r"`evaluate` says (\d+) %", text)[1])
    mixed = int(re.search(r"it finds (\d+) % of", text)[1])
    by_class, single = map(int, re.search(r"boots: (\d+) %. .*? time: (\d+) %", text).groups())
    splits = networks.pictures(2000)
    images, labels = splits.validation
    keras.utils.set_random_seed(0)
    image = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(16, 3, 2, padding="same", use_bias=False)(image)
    x = densenet.block_of(keras.layers.AveragePooling2D(2)(x), 4, 8)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(10)(x))
    networks.fitted(model, splits.train, 5e-3, 32, 4)
    assert accuracy(model, images, labels) == pytest.approx(evaluated, abs=6)

    def found(order, batch):
        guesses = space["logits_of"](model, images[order], batch).argmax(axis=1)
        return 100 * np.mean(guesses == labels[order])

    order = np.arange(len(labels))
    assert found(order, 100) == pytest.approx(mixed, abs=6)
    assert found(np.argsort(labels, kind="stable"), 100) == pytest.approx(by_class, abs=6)
    assert found(order[:100], 1) == pytest.approx(single, abs=4)


def test_a_softmax_taken_twice():
    text, space = told("09_mobilenet")
    right = int(re.search(r"training pictures (\d+) % are right", text)[1])
    stays = float(re.search(r"loss stays at ([\d.]+) and", text)[1])
    images, labels = networks.pictures(3000).train
    keras.utils.set_random_seed(0)
    model = space["patient"]()
    model.fit(images, labels, 32, 12, verbose=0)
    found = model.evaluate(images, labels, verbose=0)
    assert accuracy(model, images, labels) == pytest.approx(right, abs=6)
    assert found == pytest.approx(stays, abs=0.06)


def test_a_signal_that_dies_on_its_way():
    text, space = told("05_vgg")
    stays = float(re.search(r"loss stays at ([\d.]+),", text)[1])
    right = int(re.search(r"(\d+) % are right", text)[1])
    images, labels = networks.pictures(2000).train
    keras.utils.set_random_seed(0)
    model = space["patient"]()
    history = networks.fitted(model, (images, labels), 3e-3, 32, 2)
    assert history["loss"][-1] == pytest.approx(stays, abs=0.02)
    assert accuracy(model, images, labels) == pytest.approx(right, abs=4)


def test_a_network_that_is_built_again_for_use():
    text, space = told("06_googlenet")
    in_fit = int(re.search(r"main output (\d+) % are right", text)[1])
    build, built = space["build"], []
    space["build"] = lambda heads: built.append(build(heads)) or built[-1]
    images, labels = networks.pictures(2000).train
    keras.utils.set_random_seed(0)
    used = space["friend"](images, labels)
    history = built[0].history.history
    assert 100 * history["main_accuracy"][-1] == pytest.approx(in_fit, abs=6)
    assert accuracy(used, images, labels) < 30


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pruned_weights_that_grow_back(seed):
    text, space = told("10_squeezenet")
    error = int(re.search(r"the error is (\d+) %, as low as before", text)[1])
    grown = int(re.search(r"(\d+) % of the weights are not zero", text)[1])
    dense = squeezenet.dense(seed)
    masks = squeezenet.masks_of(dense, 0.1)
    slopes = squeezenet.slopes_on(squeezenet.batches(9))
    found = space["trained_on"](dense, masks, slopes, 200, 0.02)
    assert squeezenet.error_of(dense) == pytest.approx(error, abs=5)
    assert squeezenet.error_of(found) == pytest.approx(error, abs=3)
    row = np.concatenate([w.ravel() for w in found])
    assert 100 * np.mean(row != 0) == pytest.approx(grown, abs=3)


def test_a_shuffle_that_mixes_pixels():
    text, space = told("11_shufflenet")
    there = int(re.search(r"There (\d+) % of new pictures were right", text)[1])
    places = [tuple(map(int, pair)) for pair in re.findall(r"\[0, (\d), (\d)\]", text)]

    def network(shuffle):
        image = keras.Input((28, 28, 1))
        x = keras.layers.Conv2D(12, 3, 2, "same", use_bias=False)(image)
        x = keras.layers.ReLU()(BatchNormalization()(x))
        for filters, strides, first in ((60, 2, 1), (120, 2, 3), (120, 1, 3)):
            x = shufflenet.unit_of(x, filters, 3, strides, first, shuffle)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(image, keras.layers.Dense(10)(x))

    splits = networks.pictures(2000)
    keras.utils.set_random_seed(0)
    model = network(None)
    networks.fitted(model, splits.train, 1e-2, 32, 5)
    moved = network(space["shuffle"])
    moved.set_weights(model.get_weights())
    assert accuracy(model, *splits.validation) == pytest.approx(there, abs=6)
    assert accuracy(moved, *splits.validation) < 20
    x = np.arange(192.0).reshape(1, 4, 4, 12)
    y = x.copy()
    y[0][places[0]] += 1000
    changed = np.asarray(space["shuffle"](x, 3)) != np.asarray(space["shuffle"](y, 3))
    assert {(int(r), int(c)) for _, r, c, _ in np.argwhere(changed)} == set(places[1:])


def test_a_schedule_that_counts_passes():
    text, space = told("12_race")
    last, second = map(float, re.search(r"loss is ([\d.]+)\. .*? was ([\d.]+)\.", text).groups())
    in_fit, constant = map(int, re.search(r"says that (\d+) %.*? to (\d+) %", text).groups())
    images, labels = networks.pictures(2000).train

    def network():
        keras.utils.set_random_seed(0)
        image = x = keras.Input((28, 28, 1))
        for filters in (16, 32):
            x = keras.layers.Conv2D(filters, 3, 2, "same", activation="relu")(x)
        return keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x)))

    history = space["friend"](network(), images, labels)
    assert history["loss"][-1] == pytest.approx(last, abs=0.15)
    assert history["loss"][1] == pytest.approx(second, abs=0.15)
    assert history["loss"][1] == pytest.approx(history["loss"][-1], abs=1e-3)
    assert 100 * history["accuracy"][-1] == pytest.approx(in_fit, abs=10)
    held = networks.fitted(network(), (images, labels), 3e-3, 32, 6)
    assert 100 * held["accuracy"][-1] == pytest.approx(constant, abs=5)
