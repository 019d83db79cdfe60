"""The weights that the course ships: of which networks, how good they are, another beginning."""

import keras
import numpy as np
import pytest

from course_lib import data, training, weights, zoo


def test_every_paper_has_weights_and_they_are_small():
    assert {f"{word}_small" for word in zoo.PAPERS} <= set(weights.shipped())
    sizes = [weights.file_of(name).stat().st_size for name in weights.shipped()]
    assert sum(sizes) < 10e6


@pytest.mark.slow
@pytest.mark.parametrize("name", weights.shipped())
def test_they_err_as_often_as_their_record_says(name):
    model = zoo.build(name, weights="fashion_mnist")
    images, labels = data.load(numpy=True).test
    _, record = weights.read(name)
    error = training.evaluate(model, (images[:2000], labels[:2000]))["error"]
    told = record["shipped"]["test"]["error"]
    assert abs(error - told) < 4 * (told / 2000) ** 0.5  # deviations of a count
    assert abs(told - record["test"]["error"]) < 0.001, "half precision costs accuracy"


def test_another_network_begins_with_them():
    model, random = zoo.begin("resnet_small", classes=4, input_shape=(32, 32, 3))
    assert random == ["fc"] and model.output.shape == (None, 4)
    trained = zoo.build("resnet_small", weights="fashion_mnist")
    grey = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    model, random = zoo.begin("resnet_small", classes=10, input_shape=(28, 28, 3))
    assert random == ["fc"]  # ten classes again, but others
    for each in (trained, model):
        each.body = keras.Model(each.input, each.layers[-2].output)
    same = trained.body(grey), model.body(np.repeat(grey, 3, axis=3))
    np.testing.assert_allclose(*map(np.asarray, same), rtol=1e-3, atol=1e-4)
    _, random = zoo.begin("alexnet_small", classes=4, input_shape=(32, 32, 1))
    assert random == ["fc6", "fc8"]
