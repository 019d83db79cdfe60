"""What the probes report, against finite differences, NumPy and networks with known answers."""

import keras
import numpy as np
import pytest

from course_lib import probes
from course_lib.resnet import CifarResNet


def network(**changes):
    keras.utils.set_random_seed(1)
    return CifarResNet(14, (12, 12, 1), 5, width=4, **changes)


def batch(n=6):
    random = np.random.default_rng(0)
    return random.normal(size=(n, 12, 12, 1)).astype("float32"), np.arange(n) % 5


def test_gradient_norms_are_those_of_finite_differences():
    model, (images, labels) = network(normalization=None), batch()
    found = probes.gradient_norms(model, images, labels)
    assert list(found)[:3] == ["conv1", "stage1_1/3x3a", "stage1_1/3x3b"]
    assert list(found)[-1] == "fc" and len(found) == 14
    kernel = model.get_layer("fc").kernel
    before, slopes = np.asarray(kernel), []
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for place in np.ndindex(before.shape):
        values = []
        for step in (1e-2, -1e-2):
            moved = before.copy()
            moved[place] += step
            kernel.assign(moved)
            values.append(float(loss(labels, model(images))))
        slopes.append((values[0] - values[1]) / 2e-2)
    assert found["fc"] == pytest.approx(np.linalg.norm(slopes), rel=1e-2)


def test_gradient_norms_leave_the_moving_averages_alone():
    model = network()
    before = model.get_weights()
    probes.gradient_norms(model, *batch())
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("shortcut", ["A", "C", False])
def test_responses_are_the_deviations_before_activation_and_addition(shortcut):
    model, (images, _) = network(shortcut=shortcut), batch()
    model.get_layer("stage2_1").branch[0].norm.gamma.assign(np.full(8, 3.0))
    found = probes.response_deviations(model, images)
    assert len(found) == 13 and not any("shortcut" in name for name in found)
    before = keras.Model(model.input, model.get_layer("stage1_2").output)(images)
    first = model.get_layer("stage2_1").branch[0]
    expected = np.std(np.asarray(first.norm(first.conv(first.pad(before)), training=False)))
    assert found["stage2_1/3x3a"] == pytest.approx(expected, rel=1e-4)
    residual = model.get_layer("stage2_1").residual(before)
    assert found["stage2_1/3x3b"] == pytest.approx(np.std(np.asarray(residual)), rel=1e-4)
    assert "call" not in vars(first.norm)


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


def test_error_counts_the_wrong_ones():
    model, (images, _) = network(), batch(7)
    guesses = np.asarray(model(images)).argmax(axis=1)
    assert probes.error(model, images, guesses, batch_size=3) == 0
    guesses[2] = (guesses[2] + 1) % 5
    assert probes.error(model, images, guesses, batch_size=3) == pytest.approx(1 / 7)
