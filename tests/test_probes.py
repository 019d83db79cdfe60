"""What the probes report, against finite differences, NumPy and networks with known answers."""

import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import reference

from course_lib import probes, zoo
from course_lib.densenet import DenseBlock
from course_lib.resnet import CifarResNet


def network(**changes):
    keras.utils.set_random_seed(1)
    return CifarResNet(14, (12, 12, 1), 5, width=4, **changes)


def batch(n=6):
    random = np.random.default_rng(0)
    return random.normal(size=(n, 12, 12, 1)).astype("float32"), np.arange(n) % 5


@pytest.mark.slow
def test_gradient_norms_are_those_of_finite_differences():
    model, (images, labels) = network(normalization=None), batch()
    found = probes.gradient_norms(model, images, labels)
    assert list(found)[:3] == ["conv1", "stage1_1/3x3a", "stage1_1/3x3b"]
    assert list(found)[-1] == "fc" and len(found) == 14
    last = model.get_layer("fc")
    features = keras.Model(model.input, last.input)(images)  # they do not hang on fc's kernel
    kernel = last.kernel
    before, slopes = np.asarray(kernel), []
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for place in np.ndindex(before.shape):
        values = []
        for step in (1e-2, -1e-2):
            moved = before.copy()
            moved[place] += step
            kernel.assign(moved)
            values.append(float(loss(labels, last(features))))
        slopes.append((values[0] - values[1]) / 2e-2)
    assert found["fc"] == pytest.approx(np.linalg.norm(slopes), rel=1e-2)


def test_gradient_norms_leave_the_moving_averages_alone():
    model = network()
    before = model.get_weights()
    probes.gradient_norms(model, *batch())
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


ON_JAX = """
import json, sys
from course_lib import probes
from course_lib.resnet import CifarResNet
assert keras.backend.backend() == "jax"
with np.load(sys.argv[1]) as given:
    model = CifarResNet(14, (12, 12, 1), 5, width=4)
    model.set_weights([given[f"w{i}"] for i in range(len(model.weights))])
    norms = probes.gradient_norms(model, given["images"], given["labels"])
print(json.dumps(norms))
"""


def test_grad_cam_of_averaged_maps_is_their_sum_with_the_weights_of_the_class():
    model, (images, labels) = network(), batch()
    reference.randomize(model)
    found = probes.grad_cam(model, images, labels, side=3)
    maps = reference.outputs(model, ["stage3_2"], images)["stage3_2"]
    weights = model.get_layer("fc").kernel.numpy()[:, labels]
    expected = np.maximum(np.einsum("nhwc,cn->nhw", maps, weights) / 9, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.shape == (6, 3, 3) and 0 < (found == 0).mean() < 1
    assert probes.grad_cam(model, images, labels).shape == (6, 6, 6)  # a stage before
    with pytest.raises(ValueError, match="no layer of .* at least 13 x 13"):
        probes.grad_cam(model, images, labels, side=13)


@pytest.mark.slow
@pytest.mark.parametrize("word", zoo.PAPERS)
def test_grad_cam_works_for_every_small_form(word):
    keras.utils.set_random_seed(0)
    model = zoo.build(f"{word}_small")
    image = np.random.default_rng(0).normal(size=(1, 28, 28, 1)).astype("float32")
    found = probes.grad_cam(model, image, [3])
    assert found.shape[1:] in ((6, 6), (7, 7)) and np.isfinite(found).all()


@pytest.mark.slow
def test_gradient_norms_are_the_same_on_jax(tmp_path):
    model, (images, labels) = network(), batch()
    weights = {f"w{i}": weight for i, weight in enumerate(model.get_weights())}
    np.savez(tmp_path / "given.npz", images=images, labels=labels, **weights)
    done = subprocess.run(
        [sys.executable, "-c", reference.NO_RANDOM_START + ON_JAX, str(tmp_path / "given.npz")],
        env={**os.environ, **reference.ON_JAX},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == pytest.approx(probes.gradient_norms(model, images, labels), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("word", zoo.PAPERS)
def test_every_network_can_be_asked(word):
    changes = {"auxiliary": True} if word == "googlenet" else {}
    model = zoo.build(f"{word}_small", **changes)
    x = np.random.default_rng(0).normal(size=(6, 28, 28, 1)).astype("float32")
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    norms = probes.gradient_norms(model, x, np.arange(6))
    asked = [v for v in kernels if not v.path.startswith("aux")]
    assert len(norms) == len(asked) and all(norms.values()), "names must differ"
    scales = [v for v in model.trainable_variables if v.name == "gamma"]
    responses = probes.response_deviations(model, x)
    assert len(responses) == len(scales) and "" not in responses
    assert 0 <= probes.error(model, x, np.arange(6)) <= 1


def test_without_a_unit_of_shufflenet_its_input_passes_on():
    model = zoo.build("shufflenet_small")
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    unit = model.get_layer("stage3_2")
    probe = keras.Model(model.input, [unit.input, unit.output])
    with probes.without(model, "stage3_2"):
        entering, leaving = (np.asarray(y) for y in probe(x))
    np.testing.assert_array_equal(entering, leaving)
    assert np.any(leaving != np.asarray(probe(x)[1]))
    with (
        pytest.raises(
            ValueError, match="stage3_1 is a ShuffleUnit; allowed: a layer that is added"
        ),
        probes.without(model, "stage3_1"),
    ):
        pass


def test_without_a_bypassed_fire_module_its_input_passes_on():
    model = zoo.build("squeezenet_small", bypass="simple")
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    probe = keras.Model(model.input, model.get_layer("bypass3").input + [model.output])
    sums = keras.Model(model.input, model.get_layer("bypass3").output)
    with probes.without(model, "fire3"):
        entering, added, changed = (np.asarray(y) for y in probe(x))
        np.testing.assert_array_equal(sums(x), entering)
    assert not added.any() and np.any(np.asarray(model(x)) != changed)
    with (
        pytest.raises(ValueError, match="fire4 is a Fire; allowed"),
        probes.without(model, "fire4"),
    ):
        pass


@pytest.mark.parametrize("shortcut", ["A", "C", False])
def test_responses_are_the_deviations_before_activation_and_addition(shortcut):
    model, (images, _) = network(shortcut=shortcut), batch()
    model.get_layer("stage2_1").branch[0].norm.gamma.assign(np.full(8, 3.0))
    found = probes.response_deviations(model, images)
    assert len(found) == 13 and not any("projection" in name for name in found)
    before = keras.Model(model.input, model.get_layer("stage1_2").output)(images)
    first = model.get_layer("stage2_1").branch[0]
    expected = np.std(np.asarray(first.norm(first.conv(first.pad(before)), training=False)))
    assert found["stage2_1/3x3a"] == pytest.approx(expected, rel=1e-4)
    residual = model.get_layer("stage2_1").residual(before)
    assert found["stage2_1/3x3b"] == pytest.approx(np.std(np.asarray(residual)), rel=1e-4)
    assert "call" not in vars(first.norm)


@pytest.mark.slow
@pytest.mark.parametrize("shortcut", ["A", False])
@pytest.mark.parametrize("name", ["stage1_2", "stage2_1"])
def test_without_a_block_its_input_passes_on(shortcut, name):
    model, (images, _) = network(shortcut=shortcut), batch()
    whole = np.asarray(model(images))
    block = model.get_layer(name)
    probe = keras.Model(model.input, [block.input, block.output])
    with probes.without(model, name):
        entering, leaving = (np.asarray(x) for x in probe(images))
        changed = np.asarray(model(images))
    if name == "stage1_2":
        np.testing.assert_array_equal(leaving, entering)
    else:
        np.testing.assert_array_equal(leaving[..., :4], entering[:, ::2, ::2])
        assert not leaving[..., 4:].any()
    assert np.abs(changed - whole).max() > 1e-3
    np.testing.assert_array_equal(model(images), whole)


def test_only_a_block_can_be_taken_out():
    with (
        pytest.raises(ValueError, match="conv1 is a ConvUnit; allowed"),
        probes.without(network(), "conv1"),
    ):
        pass


def test_a_class_is_silent_if_no_picture_raises_its_logit():
    image = keras.Input((2,))
    model = keras.Model(image, keras.layers.Dense(3, "relu")(image))
    model.set_weights([np.array([[1, -1, 0], [1, -1, 1]], "float32"), np.zeros(3, "float32")])
    splits = types.SimpleNamespace(test=(np.array([[1, 0], [0, 2]], "float32"), np.array([0, 2])))
    assert probes.silent_classes(model, splits, None) == 1
    splits.test = (splits.test[0][:1], splits.test[1][:1])  # the third class is silent too
    assert probes.silent_classes(model, splits, None) == 2


def test_error_counts_the_wrong_ones():
    model, (images, _) = network(), batch(7)
    guesses = np.asarray(model(images)).argmax(axis=1)
    assert probes.error(model, images, guesses, batch_size=3) == 0
    guesses[2] = (guesses[2] + 1) % 5
    assert probes.error(model, images, guesses, batch_size=3) == pytest.approx(1 / 7)


def test_connections_tell_the_sources_apart():
    block = DenseBlock(3, 2)
    block.build((None, 8, 8, 5))
    first = [layer.conv1x1 for layer in block.dense_layers]
    kernels = [np.zeros(conv.kernel.shape, "float32") for conv in first]
    kernels[0][:, :, :5] = -1  # layer 1 has the block's input alone
    kernels[1][:, :, 5:7] = 2  # layer 2 uses the output of layer 1
    kernels[2][:, :, 0] = 5  # layer 3: one channel of five of the input
    kernels[2][:, :, 7:9] = -3  # and the output of layer 2
    for conv, kernel in zip(first, kernels):
        conv.kernel.assign(kernel)
    nan = np.nan
    np.testing.assert_array_equal(
        probes.connections(block), [[1, 0, 1], [nan, 2, 0], [nan, nan, 3]]
    )
    with pytest.raises(ValueError, match="connection is 'add'"):
        probes.connections(DenseBlock(3, 5, connection="add"))
