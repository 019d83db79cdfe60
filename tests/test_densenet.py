"""DenseNet: equal to keras.applications where that has it, to the formulas elsewhere."""

import keras
import numpy as np
import pytest
from reference import convolve, images, normalize, outputs, randomize, relative_error

from course_lib.densenet import LAYERS, DenseBlock, DenseLayer, DenseNet, Transition


@pytest.mark.slow
@pytest.mark.parametrize("depth", [121, 169, 201])
def test_every_block_equals_keras_applications(depth):
    size = (64, 64, 3)
    builder = getattr(keras.applications, f"DenseNet{depth}")
    theirs = builder(weights=None, input_shape=size, classes=7, classifier_activation=None)
    randomize(theirs)
    ours = DenseNet(depth, size, 7)
    assert len(ours.weights) == len(theirs.weights)
    for weight, other in zip(ours.weights, theirs.weights):
        assert weight.name == other.name
        weight.assign(other)
    pairs = {"convolution": "conv1_relu", "pooling": "pool1"}
    for block, count in enumerate(LAYERS[depth], 1):
        pairs[f"dense_block{block}"] = f"conv{block + 1}_block{count}_concat"
        if block < 4:
            pairs[f"transition{block}"] = f"pool{block + 1}_pool"
    pairs.update(relu="relu", global_pooling="avg_pool", classification="predictions")
    x = images(size)
    found = outputs(ours, pairs, x)
    expected = outputs(theirs, pairs.values(), x)
    errors = {a: relative_error(found[a], expected[b]) for a, b in pairs.items()}
    assert max(errors.values()) < 1e-4, errors


def composite(x, layer):
    """H(x) of sec. 3 in NumPy: BN, ReLU, convolution, once or twice."""
    steps = [(layer.norm2, layer.conv3x3)]
    for norm, conv in [(layer.norm1, layer.conv1x1), *steps] if layer.bottleneck else steps:
        kernel = conv.get_weights()[0]
        x = convolve(np.maximum(normalize(x, norm), 0), kernel, padding=kernel.shape[0] // 2)
    return x


@pytest.mark.parametrize("bottleneck", [True, False])
@pytest.mark.parametrize("connection", ["concatenate", "add"])
def test_dense_layer_and_block_equal_their_definition(connection, bottleneck):
    x = images((5, 6, 4))
    block = DenseBlock(3, 4, bottleneck, connection)
    block.build(x.shape)
    randomize(block)
    sources = [x]
    for layer in block.dense_layers:
        seen = np.concatenate(sources, axis=-1) if connection == "concatenate" else sum(sources)
        sources.append(composite(seen, layer))
        sides = [w.shape[0] for w in layer.weights if w.name == "kernel"]
        assert sides == ([1, 3] if bottleneck else [3])
    expected = np.concatenate(sources, axis=-1) if connection == "concatenate" else sum(sources)
    assert relative_error(block(x), expected) < 1e-5
    assert block.compute_output_shape(x.shape) == expected.shape
    assert expected.shape[-1] == (16 if connection == "concatenate" else 4)
    assert DenseBlock.from_config(block.get_config()).get_config() == block.get_config()
    assert DenseLayer.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("sides", [(6, 8), (7, 5)])
def test_transition_equals_its_definition(sides):
    x = images((*sides, 6))
    layer = Transition(3)
    layer.build(x.shape)
    randomize(layer)
    kernel = layer.conv.get_weights()[0]
    y = np.maximum(normalize(x, layer.norm), 0) @ kernel[0, 0]
    rows, columns = (side // 2 for side in sides)
    y = y[:, : 2 * rows, : 2 * columns].reshape(2, rows, 2, columns, 2, 3).mean(axis=(2, 4))
    assert relative_error(layer(x), y) < 1e-5
    assert layer.compute_output_shape(x.shape) == y.shape
    assert Transition.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("part", [DenseLayer(3, dropout=0.5), Transition(3, dropout=0.5)])
def test_dropout_acts_in_training_only(part):
    x = images((6, 6, 5))
    part.build(x.shape)
    statistics = [w for w in part.weights if w.name.startswith("moving")]
    for weight in statistics:
        weight.assign(np.ones(weight.shape))
    part.trainable = False  # normalisation keeps its statistics; dropout still follows `training`
    np.testing.assert_array_equal(part(x, training=False), part(x, training=False))
    assert np.any(part(x, training=True) != part(x, training=True))


def weighted_layers(model):
    return sum(weight.name == "kernel" for weight in model.weights)


@pytest.mark.slow
@pytest.mark.parametrize("bottleneck, depth", [(True, 22), (True, 40), (False, 13), (False, 40)])
@pytest.mark.parametrize("stem, side", [("cifar", 32), ("small", 16)])
def test_cifar_form(stem, side, bottleneck, depth):
    shape, half = (32, 32, 3), 0.5 if bottleneck else 1.0
    model = DenseNet(depth, shape, 10, growth=6, bottleneck=bottleneck, compression=half, stem=stem)
    assert weighted_layers(model) == depth
    channels = 12 if bottleneck else 16
    assert model.get_layer("convolution").output.shape == (None, side, side, channels)
    for block in (1, 2, 3):
        channels += 6 * ((depth - 4) // (6 if bottleneck else 3))
        assert model.get_layer(f"dense_block{block}").output.shape == (None, side, side, channels)
        if block < 3:
            side, channels = side // 2, int(half * channels)
            transition = model.get_layer(f"transition{block}")
            assert transition.output.shape == (None, side, side, channels)


@pytest.mark.slow
def test_imagenet_depths_count_weighted_layers():
    counted = {depth: 2 * sum(counts) + 5 for depth, counts in LAYERS.items()}
    assert counted == {121: 121, 161: 161, 169: 169, 201: 201, 264: 265}  # see the ledger
    assert weighted_layers(DenseNet(121)) == 121


def test_addition_keeps_the_width_through_the_network():
    model = DenseNet(22, (28, 28, 1), 10, growth=20, stem="small", connection="add")
    for name in ("convolution", "dense_block1", "transition1", "dense_block3"):
        assert model.get_layer(name).output.shape[-1] == 20
    assert model(images((28, 28, 1))).shape == (2, 10)


@pytest.mark.slow
@pytest.mark.parametrize("stem, smallest", [("imagenet", 29), ("cifar", 4), ("small", 7)])
def test_the_smallest_image_works_and_a_smaller_one_is_refused(stem, smallest):
    depth = 121 if stem == "imagenet" else 10
    model = DenseNet(depth, (smallest, smallest, 1), 2, growth=2, stem=stem)
    last = "dense_block4" if stem == "imagenet" else "dense_block3"
    assert model.get_layer(last).output.shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=f"at least {smallest} x {smallest} pixels"):
        DenseNet(depth, (smallest, smallest - 1, 1), 2, growth=2, stem=stem)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: DenseNet(100), "depth is 100; allowed: 121, 161, 169, 201, 264"),
        (lambda: DenseNet(41, stem="cifar"), r"depth is 41; allowed: 6n \+ 4, that is 10, 16"),
        (
            lambda: DenseNet(41, stem="cifar", bottleneck=False),
            r"depth is 41; allowed: 3n \+ 4, that is 7, 10",
        ),
        (lambda: DenseNet(stem="vgg"), "stem is 'vgg'; allowed: 'imagenet', 'cifar', 'small'"),
        (lambda: DenseNet(connection="sum"), "connection is 'sum'; allowed: 'concatenate', 'add'"),
        (lambda: DenseNet(compression=0), "compression is 0; allowed: 0 < compression <= 1"),
        (lambda: DenseNet(dropout=1.0), "dropout is 1.0; allowed: 0 <= dropout < 1"),
        (lambda: DenseNet(growth=0), "growth is 0; allowed: a positive integer"),
        (
            lambda: DenseLayer(4, connection="add").build((None, 8, 8, 3)),
            "the input has 3 channels; allowed: 4",
        ),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()
