"""VGG: equal to keras.applications where that has it, and to table 1 in NumPy elsewhere."""

import keras
import numpy as np
import pytest
from reference import (
    convolve,
    images,
    local_response,
    normalize,
    outputs,
    randomize,
    relative_error,
)

from course_lib.audit import audit
from course_lib.pretrained import load_keras_applications
from course_lib.vgg import VGG, dense_evaluation, start_from

TABLE_1 = {
    "A": "64 | 128 | 256 256 | 512 512 | 512 512",
    "A-LRN": "64 LRN | 128 | 256 256 | 512 512 | 512 512",
    "B": "64 64 | 128 128 | 256 256 | 512 512 | 512 512",
    "C": "64 64 | 128 128 | 256 256 1x1-256 | 512 512 1x1-512 | 512 512 1x1-512",
    "D": "64 64 | 128 128 | 256 256 256 | 512 512 512 | 512 512 512",
    "E": "64 64 | 128 128 | 256 256 256 256 | 512 512 512 512 | 512 512 512 512",
}


@pytest.mark.slow
@pytest.mark.parametrize("depth, layers", [("D", 16), ("E", 19)])
def test_every_block_equals_keras_applications(depth, layers):
    builder = getattr(keras.applications, f"VGG{layers}")
    size = (64, 64, 3)
    theirs = builder(weights=None, input_shape=size, classes=7, classifier_activation=None)
    randomize(theirs)
    ours = load_keras_applications(VGG(depth, size, 7), theirs)
    pairs = {f"pool{block}": f"block{block}_pool" for block in range(1, 6)}
    pairs.update({"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"})
    x = images(size)
    found = outputs(ours, pairs, x)
    expected = outputs(theirs, pairs.values(), x)
    errors = {a: relative_error(found[a], expected[b]) for a, b in pairs.items()}
    assert max(errors.values()) < 1e-4, errors


def forward(model, depth, x):
    """Table 1 in NumPy with the weights of our network; returns the pools and the logits."""
    get = model.get_layer
    pools = []
    for block, row in enumerate(TABLE_1[depth].split(" | "), start=1):
        layer = 0
        for word in row.split():
            if word == "LRN":
                x = local_response(x)
                continue
            layer += 1
            name = f"conv{block}_{layer}"
            kernel, bias = get(name).get_weights()
            side = 1 if word.startswith("1x1") else 3
            assert kernel.shape[:2] == (side, side)
            assert kernel.shape[-1] == int(word.removeprefix("1x1-")) // 16
            x = convolve(x, kernel, padding=side // 2, bias=bias)
            if f"{name}_norm" in [each.name for each in model.layers]:
                x = normalize(x, get(f"{name}_norm"))
            x = np.maximum(x, 0)
        n, h, w, c = x.shape
        x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
        pools.append(x)
    x = x.reshape(len(x), -1)
    for name in ("fc6", "fc7", "fc8"):
        kernel, bias = get(name).get_weights()
        x = x @ kernel + bias
        x = np.maximum(x, 0) if name != "fc8" else x
    return [*pools, x]


@pytest.mark.slow
@pytest.mark.parametrize("normalization", [None, "batch"])
@pytest.mark.parametrize("depth", list(TABLE_1))
def test_every_configuration_equals_table_1(depth, normalization):
    size = (37, 64, 3)  # an odd side: the last row falls out of the pooling
    model = VGG(
        depth,
        size,
        5,
        normalization=normalization,
        initialization="he_normal",
        width=1 / 16,
        hidden=24,
    )
    randomize(model)
    x = images(size) * 10  # large enough for the local response normalisation to matter
    names = [f"pool{block}" for block in range(1, 6)] + ["fc8"]
    expected = forward(model, depth, x)
    found = outputs(model, names, x)
    for name, value in zip(names, expected):
        assert relative_error(found[name], value) < 1e-4, name


@pytest.mark.parametrize("depth, letter", [(11, "A"), (13, "B"), (16, "D"), (19, "E")])
def test_a_depth_by_its_number_of_layers(depth, letter):
    small = {"input_shape": (32, 32, 3), "classes": 10, "width": 1 / 16, "hidden": 8}
    number, named = VGG(depth, **small), VGG(letter, **small)
    assert number.name == named.name
    assert [w.path for w in number.weights] == [w.path for w in named.weights]
    assert sum(weight.name == "kernel" for weight in number.weights) == depth


def test_the_layers_are_counted_as_in_table_1():
    for depth, layers in zip(TABLE_1, (11, 11, 13, 16, 16, 19)):
        model = VGG(depth, (32, 32, 3), 10, width=1 / 16, hidden=8)
        assert sum(weight.name == "kernel" for weight in model.weights) == layers
        assert [layer.name for layer in model.layers].count("lrn") == (depth == "A-LRN")


def test_stages_at_224():
    model = VGG("A", width=1 / 16, hidden=8)
    for block, (side, channels) in enumerate(
        [(112, 4), (56, 8), (28, 16), (14, 32), (7, 32)], start=1
    ):
        assert model.get_layer(f"pool{block}").output.shape == (None, side, side, channels)


def test_dense_evaluation_has_the_same_numbers_at_the_size_of_training():
    model = randomize(VGG("A", width=1 / 16, hidden=32, classes=9))
    dense = dense_evaluation(model, (224, 224, 3))
    x = images((224, 224, 3))
    scores = dense.predict(x, verbose=0)
    assert scores.shape == (2, 1, 1, 9)
    assert relative_error(scores[:, 0, 0], model(x, training=False)) < 1e-5
    assert dense.get_layer("fc6").kernel.shape == (7, 7, 32, 32)


def test_dense_evaluation_slides_the_classifier_over_a_larger_image():
    model = randomize(VGG("B", (64, 64, 3), 9, width=1 / 16, hidden=32))
    dense = dense_evaluation(model)
    x = images((160, 96, 3))
    pool5, scores = outputs(dense, ["pool5", "fc8"], x).values()
    assert scores.shape == (2, 4, 2, 9)
    for row in range(4):
        for column in range(2):
            hidden = pool5[:, row : row + 2, column : column + 2].reshape(2, -1)
            for name in ("fc6", "fc7", "fc8"):
                kernel, bias = model.get_layer(name).get_weights()
                hidden = hidden @ kernel + bias
                hidden = np.maximum(hidden, 0) if name != "fc8" else hidden
            assert relative_error(scores[:, row, column], hidden) < 1e-5


def test_dense_evaluation_refuses_an_image_smaller_than_the_window():
    model = VGG("A", (64, 64, 3), 9, width=1 / 16, hidden=8)
    with pytest.raises(ValueError, match=r"input_shape is \(32, 64, 3\); allowed: at least"):
        dense_evaluation(model, (32, 64, 3))


@pytest.mark.parametrize(
    "initialization, spread",
    [
        ("paper", 0.1),
        ("paper_deviation", 0.01),
        (0.03, 0.03),
        ("he_normal", (2 / (9 * 64)) ** 0.5),
        ("glorot_uniform", (2 / (9 * 192)) ** 0.5),
    ],
)
def test_initialization(initialization, spread):
    keras.utils.set_random_seed(0)
    model = VGG("A", (32, 32, 3), 10, hidden=64, initialization=initialization)
    kernel, bias = model.get_layer("conv2_1").get_weights()
    assert abs(kernel.std() / spread - 1) < 0.02
    assert not bias.any()
    if initialization in (0.03, "paper", "paper_deviation"):
        assert abs(model.get_layer("fc6").get_weights()[0].std() / spread - 1) < 0.02


@pytest.mark.parametrize("depth, sides", [("B", [5] * 5), ("D", [5, 5, 7, 7, 7])])
def test_one_large_kernel_sees_as_much_as_the_stack_that_it_replaces(depth, sides):
    arguments = {"input_shape": (224, 224, 3), "width": 1 / 16, "hidden": 8}
    stacked, single = (VGG(depth, stacked=each, **arguments) for each in (True, False))
    kernels = [weight.shape for weight in single.weights if len(weight.shape) == 4]
    assert [kernel[0] for kernel in kernels] == [kernel[1] for kernel in kernels] == sides
    fields = [
        {row.path: row.field for row in audit(model).rows if row.path.startswith("pool")}
        for model in (stacked, single)
    ]
    assert len(fields[0]) == 5 and fields[0] == fields[1]


def test_a_deeper_network_starts_from_network_a():
    arguments = {"input_shape": (32, 32, 3), "classes": 10, "width": 1 / 16, "hidden": 8}
    trained, deeper = VGG("A", **arguments), VGG("E", **arguments)
    before = {layer.name: layer.get_weights() for layer in deeper.layers}
    assert start_from(deeper, trained) is deeper
    copied = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
    for layer in deeper.layers:
        expected = trained.get_layer(layer.name) if layer.name in copied else None
        expected = expected.get_weights() if expected else before[layer.name]
        for found, wanted in zip(layer.get_weights(), expected):
            np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match="shape"):
        start_from(VGG("B", **{**arguments, "width": 1 / 8}), trained)


def test_dropout_follows_the_first_two_fully_connected_layers():
    names = [layer.name for layer in VGG("A", (32, 32, 3), 10, width=1 / 16, hidden=8).layers]
    assert names[-5:] == ["fc6", "drop6", "fc7", "drop7", "fc8"]
    model = VGG("A", (32, 32, 3), 10, width=1 / 16, hidden=8, dropout=0)
    assert [layer.name for layer in model.layers][-3:] == ["fc6", "fc7", "fc8"]
    assert VGG("A", (32, 32, 3), 10, width=1 / 16).get_layer("drop6").rate == 0.5


def test_small_images_pass_all_blocks_with_same_padding():
    model = VGG("E", (28, 28, 1), 10, width=1 / 16, hidden=8, pool_padding="same")
    sides = [model.get_layer(f"pool{block}").output.shape[1] for block in range(1, 6)]
    assert sides == [14, 7, 4, 2, 1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth": 17}, "depth is 17; allowed: 'A', 'A-LRN', 'B', 'C', 'D', 'E', 11, 13, 16, 19"),
        ({"normalization": "lrn"}, "normalization is 'lrn'; allowed: 'batch', None"),
        ({"initialization": "zeros"}, "initialization is 'zeros'; allowed: 'paper'"),
        ({"initialization": 0.0}, "initialization is 0.0; allowed: a number above 0"),
        ({"initialization": True}, "initialization is True; allowed: 'paper'"),
        ({"pool_padding": 1}, "pool_padding is 1; allowed: 'valid', 'same'"),
        ({"input_shape": (31, 64, 3)}, "at least 32 x 32 pixels"),
        ({"classes": 1}, "classes is 1"),
        ({"dropout": 1}, "dropout is 1; allowed: 0 <= dropout < 1"),
        ({"width": 0.001}, "width is 0.001; allowed: at least 0.015625"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        VGG(**arguments)
