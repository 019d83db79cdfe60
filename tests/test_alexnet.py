"""AlexNet's own arithmetic, switches and refusals. Its variants: tests/test_papers.py."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import reference

from course_lib import zoo
from course_lib.alexnet import AlexNet
from course_lib.audit import audit


def test_the_papers_initialization():
    model = zoo.build("alexnet_onegpu_halfkernels")
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            assert kernel.std() == pytest.approx(0.01, rel=0.05), layer.name
            assert abs(kernel.mean()) < 1e-3
            expected = 1 if layer.name in ("conv2", "conv4", "conv5", "fc6", "fc7") else 0
            assert np.all(bias == expected), layer.name


def test_the_two_gpus_do_not_see_each_other_until_conv3():
    """Silence the second half of conv1's channels: the first half of conv2's must not change."""
    model = zoo.build("alexnet_small", normalization=None)
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")

    def outputs():
        probe = keras.Model(model.input, [model.get_layer(n).output for n in ("conv2", "conv3")])
        return [np.asarray(y) for y in probe.predict(x, verbose=0)]

    conv2, conv3 = outputs()
    kernel, bias = model.get_layer("conv1").get_weights()
    kernel[..., kernel.shape[-1] // 2 :] = 0
    model.get_layer("conv1").set_weights([kernel, bias])
    silenced2, silenced3 = outputs()
    half = conv2.shape[-1] // 2
    assert np.array_equal(conv2[..., :half], silenced2[..., :half])
    assert not np.allclose(conv2[..., half:], silenced2[..., half:])
    assert not np.allclose(conv3[..., : half // 2], silenced3[..., : half // 2])


def test_fc6_holds_62_percent_of_the_parameters():
    result = audit(AlexNet())
    share = {row.path: row.params / result.params for row in result.rows}
    assert share["fc6"] == pytest.approx(0.619, abs=5e-4)
    assert share["conv3"] == pytest.approx(0.0145, abs=5e-5)


@pytest.mark.parametrize(
    "changes,gone",
    [
        ({"normalization": None}, {"norm1", "norm2"}),
        ({"dropout": 0}, {"drop6", "drop7"}),
        ({"without": "conv3"}, {"conv3"}),
        ({"overlapping": False}, set()),
        ({"activation": "tanh"}, set()),
    ],
)
def test_a_switch_changes_what_it_names(changes, gone):
    base, changed = zoo.build("alexnet_small"), zoo.build("alexnet_small", **changes)
    names = [{layer.name for layer in m.layers if layer.name != "image"} for m in (base, changed)]
    assert names[0] - names[1] == gone
    for name in ("pool1", "pool2", "pool5"):
        expected = (2, 2) if changes.get("overlapping") is False else (3, 3)
        assert changed.get_layer(name).pool_size == expected
    assert changed.get_layer("conv2").activation.__name__ == changes.get("activation", "relu")


def test_the_smallest_image_is_computed_right():
    small = {"classes": 2, "widths": (2, 4, 4, 4, 4), "hidden": 4}
    assert AlexNet((67, 67, 3), **small).get_layer("pool5").output.shape[1:] == (1, 1, 4)
    with pytest.raises(ValueError, match="at least 67 x 67 pixels"):
        AlexNet((66, 66, 3), **small)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"activation": "elu"}, "activation is 'elu'; allowed: 'relu', 'tanh'"),
        ({"normalization": "batch"}, "normalization is 'batch'; allowed: 'lrn', None"),
        ({"without": "conv5"}, "without is 'conv5'; allowed: None, 'conv2', 'conv3', 'conv4'"),
        ({"dropout": 1}, "dropout is 1; allowed: 0 <= dropout < 1"),
        ({"groups": 5}, "groups is 5; allowed: a positive integer that divides"),
        ({"widths": (96, 256)}, "five channel counts"),
        ({"classes": 1}, "classes is 1"),
        ({"input_shape": (28, 28, 1)}, "AlexNet needs images of at least 67 x 67"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        AlexNet(**arguments)


ON_JAX = """
import json, numpy as np, keras
from types import SimpleNamespace
from course_lib import training, zoo
from course_lib.data import load
assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
model = zoo.build("alexnet_small")
data = load(numpy=True)
few = lambda pair, n: tuple(part[:n] for part in pair)
small = SimpleNamespace(train=few(data.train, 256), validation=few(data.validation, 64))
rates = {"learning_rate": 0.002, "batch_size": 64}
history = training.fit(model, small, epochs=2, progress=False, **rates)
print(json.dumps([row["loss"] for row in history["epochs"]]))
"""


@pytest.mark.slow
def test_it_trains_on_jax():
    environment = {**os.environ, **reference.ON_JAX}
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, last = json.loads(done.stdout.splitlines()[-1])
    assert last < first
