"""MobileNet: equal to keras.applications at four widths, and to the paper's formulas elsewhere."""

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import images, normalize, outputs, randomize, relative_error, shapes_only

from course_lib.audit import audit
from course_lib.mobilenet import BLOCKS, SMALL, DepthwiseSeparable, MobileNet, unit


def load(ours, theirs):
    """Copy every weight of keras.applications' MobileNet into ours, layer by layer."""

    def copy(name, *layers):
        layers[0].set_weights(theirs.get_layer(name).get_weights())
        layers[1].set_weights(theirs.get_layer(f"{name}_bn").get_weights())

    stem = ours.get_layer("conv1")
    copy("conv1", stem.conv, stem.norm)
    for i in range(1, 14):
        block = ours.get_layer(f"separable{i}")
        copy(f"conv_dw_{i}", block.depthwise, block.depthwise_norm)
        copy(f"conv_pw_{i}", block.pointwise, block.pointwise_norm)
    kernel, bias = theirs.get_layer("conv_preds").get_weights()  # a 1x1 convolution there
    ours.get_layer("fc").set_weights([kernel[0, 0], bias])


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75, 1.0])
def test_every_block_equals_keras_applications(alpha):
    keras.utils.set_random_seed(0)
    size = (64, 96, 3)
    theirs = keras.applications.MobileNet(
        size, alpha=alpha, weights=None, classes=7, classifier_activation=None
    )
    for weight in randomize(theirs).weights:
        if weight.name == "gamma":  # large enough for activations to reach 6
            weight.assign(3 * weight)
    ours = MobileNet(size, 7, alpha=alpha, activation="relu6")
    assert ours.count_params() == theirs.count_params()
    load(ours, theirs)
    pairs = {"conv1": "conv1_relu", "fc": "predictions"}
    pairs |= {f"separable{i}": f"conv_pw_{i}_relu" for i in range(1, 14)}
    x = images(size)
    found = outputs(ours, list(pairs), x)
    expected = outputs(theirs, list(pairs.values()), x)
    errors = {n: relative_error(found[n], expected[theirs]) for n, theirs in pairs.items()}
    assert max(errors.values()) < 1e-4, errors
    assert sum(output.max() == 6 for output in expected.values()) > 6  # ReLU would differ


def windows(x, strides):
    """3x3 windows under "same" padding, by the definition TensorFlow documents."""
    pads = []
    for side in x.shape[1:3]:
        total = max((-(-side // strides) - 1) * strides + 3 - side, 0)
        pads.append((total // 2, total - total // 2))
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return view[:, ::strides, ::strides]  # (batch, rows, columns, channels, 3, 3)


RELU = {"relu": lambda x: np.maximum(x, 0), "relu6": lambda x: np.clip(x, 0, 6)}


@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("sides", [(8, 6), (7, 5), (2, 3), (1, 1)])
def test_separable_layer_is_equation_3_then_a_mix_of_channels(sides, strides, activation):
    block = DepthwiseSeparable(10, strides, activation)
    x = 20 * images((*sides, 4))
    block.build(x.shape)
    randomize(block)
    block.depthwise.kernel.assign(images((3, 3, 4, 1), batch=1)[0])
    block.pointwise.kernel.assign(images((1, 1, 4, 10), batch=1)[0])
    relu = RELU[activation]
    depthwise, pointwise = np.asarray(block.depthwise.kernel), np.asarray(block.pointwise.kernel)
    between = np.einsum("nrcixy,xyi->nrci", windows(x, strides), depthwise[..., 0])
    between = relu(normalize(between, block.depthwise_norm))
    expected = relu(normalize(between @ pointwise[0, 0], block.pointwise_norm))
    assert relative_error(block(x, training=False), expected) < 1e-5
    assert block.compute_output_shape(x.shape) == expected.shape
    assert (expected.max() == 6) == (activation == "relu6")


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("sides", [(8, 6), (7, 5)])
def test_full_convolution_is_equation_1(sides, strides):
    block = unit(10, strides)
    x = images((*sides, 4))
    block.build(x.shape)
    randomize(block)
    kernel = np.asarray(block.conv.kernel)
    expected = np.einsum("nrcixy,xyio->nrco", windows(x, strides), kernel)
    expected = np.maximum(normalize(expected, block.norm), 0)
    assert block.norm.epsilon == 1e-3
    assert relative_error(block(x, training=False), expected) < 1e-5


@pytest.mark.slow
def test_saved_networks_are_the_same(tmp_path):
    for separable in (True, False):
        model = randomize(MobileNet(**{**SMALL, "separable": separable}))
        model.save(tmp_path / "mobilenet.keras")
        again = keras.models.load_model(tmp_path / "mobilenet.keras")
        x = images((28, 28, 1))
        np.testing.assert_array_equal(again(x), model(x))


def test_multiply_adds_by_type_are_table_2():
    rows = audit(MobileNet()).rows
    macs = {"1x1": 0, "depthwise": 0, "3x3": 0, "dense": 0}
    for row in rows:
        part = row.path.split("/")[-1]
        kind = {"pointwise": "1x1", "depthwise": "depthwise", "conv": "3x3", "fc": "dense"}
        if part in kind:
            macs[kind[part]] += row.macs
    total = sum(macs.values())
    shares = {kind: round(100 * n / total, 2) for kind, n in macs.items()}
    # The paper prints 1.19 for the 3x3 convolution; its column then sums to 99.29.
    assert shares == {"1x1": 94.86, "depthwise": 3.06, "3x3": 1.91, "dense": 0.18}


@pytest.mark.slow
def test_a_separable_layer_costs_a_ninth_and_one_nth():
    def costs(separable):
        macs = {}
        for row in audit(MobileNet((32, 32, 3), separable=separable)).rows:
            block = row.path.split("/")[0]
            macs[block] = macs.get(block, 0) + row.macs
        return macs

    separable, full = costs(True), costs(False)
    for number, (filters, _) in enumerate(BLOCKS, 1):
        ratio = separable[f"separable{number}"] / full[f"conv{number + 1}"]
        assert ratio == pytest.approx(1 / filters + 1 / 9, rel=1e-9)


def test_shallow_network_lacks_the_five_layers_of_512_channels():
    full, shallow = MobileNet(), MobileNet(shallow=True)
    gone = {layer.name for layer in full.layers} - {layer.name for layer in shallow.layers}
    assert gone == {f"separable{i}" for i in range(7, 12)}
    for name in gone:
        assert full.get_layer(name).output.shape == (None, 14, 14, 512)


def test_each_layer_sees_only_its_own_channel_before_the_pointwise_convolution():
    block = DepthwiseSeparable(4)
    x = images((5, 5, 3))
    block.build(x.shape)
    changed = x.copy()
    changed[..., 1] += 1
    moved = np.abs(np.asarray(block.depthwise(x) - block.depthwise(changed))).max(axis=(0, 1, 2))
    assert moved[0] == moved[2] == 0 < moved[1]


@pytest.mark.slow
@given(
    alpha=st.floats(0.05, 1.5),
    separable=st.booleans(),
    shallow=st.booleans(),
    stem_strides=st.sampled_from([1, 2]),
    side=st.integers(1, 50),
    classes=st.integers(2, 20),
)
@settings(deadline=None, max_examples=30, derandomize=True)
@example(alpha=0.05, separable=True, shallow=True, stem_strides=2, side=1, classes=2)
@shapes_only()
def test_what_is_accepted_builds(alpha, separable, shallow, stem_strides, side, classes):
    model = MobileNet(
        (side, side + 3, 1),
        classes,
        alpha=alpha,
        separable=separable,
        shallow=shallow,
        stem_strides=stem_strides,
    )
    assert model.output.shape == (None, classes)
    narrowest = min(layer.output.shape[-1] for layer in model.layers[1:-1])
    assert narrowest == max(int(32 * alpha), 8)
    result = audit(model)
    assert result.params == model.count_params() and result.notes == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"alpha": 0}, "alpha is 0; allowed: a number above 0"),
        ({"activation": "tanh"}, "activation is 'tanh'; allowed: 'relu', 'relu6'"),
        ({"stem_strides": 4}, "stem_strides is 4; allowed: 1, 2"),
        ({"dropout": 1}, "dropout is 1; allowed: 0 <= dropout < 1"),
        ({"input_shape": (224, 224)}, "three positive"),
        ({"classes": 1}, "classes is 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MobileNet(**arguments)
