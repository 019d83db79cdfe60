"""ResNet: equal to keras.applications where that has it, and to the paper's formulas elsewhere."""

import keras
import numpy as np
import pytest
from reference import images, outputs, randomize, relative_error, unit

from course_lib.pretrained import load_keras_applications
from course_lib.resnet import CifarResNet, ResidualBlock, ResNet


@pytest.mark.slow
@pytest.mark.parametrize("depth", [50, 101, 152])
def test_every_block_equals_keras_applications(depth):
    builder = getattr(keras.applications, f"ResNet{depth}")
    size = (64, 64, 3)
    theirs = builder(weights=None, input_shape=size, classes=7, classifier_activation=None)
    randomize(theirs)
    ours = ResNet(depth, size, 7, conv_bias=True)
    load_keras_applications(ours, theirs)
    blocks = [layer.name for layer in ours.layers if isinstance(layer, ResidualBlock)]
    assert len(blocks) == (depth - 2) // 3
    pairs = {"conv1": "conv1_relu", "pool1": "pool1_pool", "avgpool": "avg_pool"}
    pairs.update({name: name.replace("_", "_block") + "_out" for name in blocks})
    pairs["fc"] = "predictions"
    x = images(size)
    found = outputs(ours, pairs, x)
    expected = outputs(theirs, pairs.values(), x)
    errors = {a: relative_error(found[a], expected[b]) for a, b in pairs.items()}
    assert max(errors.values()) < 1e-4, errors


def residual_block(x, block, filters, strides, bottleneck, shortcut, stride_on):
    """Eq. 1 and 2 of the paper with options A, B, C, in NumPy."""
    part = {layer.name: layer for layer in block.branch}
    if bottleneck:
        on_1x1, on_3x3 = (strides, 1) if stride_on == "1x1" else (1, strides)
        y = unit(x, part["1x1a"], on_1x1)
        y = unit(y, part["3x3"], on_3x3)
        y = unit(y, part["1x1b"], relu=False)
    else:
        y = unit(x, part["3x3a"], strides)
        y = unit(y, part["3x3b"], relu=False)
    out = 4 * filters if bottleneck else filters
    if shortcut == "C" or (shortcut == "B" and (strides == 2 or x.shape[-1] != out)):
        y = y + unit(x, block.projection, strides, relu=False)
    elif shortcut:
        zeros = np.zeros_like(y)
        zeros[..., : x.shape[-1]] = x[:, ::strides, ::strides]
        y = y + zeros
    return np.maximum(y, 0)


@pytest.mark.parametrize("normalization", ["batch", None])
@pytest.mark.parametrize("channels, strides", [(6, 2), (6, 1), (12, 1), (12, 2)])
@pytest.mark.parametrize("shortcut", ["A", "B", "C", False])
@pytest.mark.parametrize("bottleneck, stride_on", [(False, "1x1"), (True, "1x1"), (True, "3x3")])
def test_block_equals_the_formula(
    bottleneck, stride_on, shortcut, channels, strides, normalization
):
    filters = 3 if bottleneck else 12
    options = {"bottleneck": bottleneck, "shortcut": shortcut, "stride_on": stride_on}
    block = ResidualBlock(filters, strides, normalization=normalization, **options)
    x = images((9, 6, channels))
    block.build(x.shape)
    randomize(block)
    expected = residual_block(x, block, filters, strides, **options)
    assert relative_error(block(x, training=False), expected) < 1e-5
    assert block.compute_output_shape(x.shape) == expected.shape
    has_projection = any("projection" in weight.path for weight in block.weights)
    changes = strides == 2 or channels != 12
    assert has_projection == (shortcut == "C" or (shortcut == "B" and changes))


def test_block_comes_back_from_its_configuration():
    options = {
        "filters": 3,
        "strides": 2,
        "bottleneck": True,
        "shortcut": "C",
        "stride_on": "3x3",
        "normalization": None,
        "conv_bias": True,
    }
    config = ResidualBlock(**options, name="conv3_1").get_config()
    again = ResidualBlock.from_config(config)
    assert {key: again.get_config()[key] for key in options} == options


@pytest.mark.slow
def test_saved_network_with_conv_bias_is_the_same(tmp_path):
    model = randomize(ResNet(18, (32, 32, 3), 5, conv_bias=True))
    model.save(tmp_path / "resnet.keras")
    again = keras.models.load_model(tmp_path / "resnet.keras")
    x = images((32, 32, 3))
    np.testing.assert_array_equal(again(x), model(x))
    assert again.get_layer("conv1").norm.epsilon == 1.001e-5


def test_a_residual_branch_of_zero_leaves_the_identity():
    x = images((8, 8, 4))
    for shortcut, expected in (("A", np.maximum(x, 0)), (False, np.zeros_like(x))):
        block = ResidualBlock(4, shortcut=shortcut)
        block.build(x.shape)
        block.branch[-1].norm.gamma.assign(np.zeros(4))
        np.testing.assert_array_equal(block(x, training=True), expected)
        assert not np.any(block.residual(x))


def weighted_layers(model):
    """Count convolutions and dense layers on the main path."""
    paths = [weight.path for weight in model.weights if weight.name == "kernel"]
    return sum("/projection/" not in path for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("depth, shortcut", [(18, "A"), (18, "C"), (34, False), (50, "B")])
def test_imagenet_form(depth, shortcut):
    model = ResNet(depth, shortcut=shortcut)
    assert weighted_layers(model) == depth
    last = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}[depth]
    channels = 64 if depth < 50 else 256
    for stage, (side, block) in enumerate(zip((56, 28, 14, 7), last)):
        shape = model.get_layer(f"conv{stage + 2}_{block}").output.shape
        assert shape == (None, side, side, channels * 2**stage)
        assert f"conv{stage + 2}_{block + 1}" not in [layer.name for layer in model.layers]


@pytest.mark.slow
@pytest.mark.parametrize("side", [28, 32])
@pytest.mark.parametrize("depth", [8, 14, 20, 56])
def test_cifar_form_and_its_plain_counterpart(depth, side):
    residual = CifarResNet(depth, (side, side, 1))
    plain = CifarResNet(depth, (side, side, 1), shortcut=False)
    assert weighted_layers(residual) == weighted_layers(plain) == depth
    assert residual.count_params() == plain.count_params()
    n = (depth - 2) // 6
    for model in (residual, plain):
        for stage in (1, 2, 3):
            small = side // 2 ** (stage - 1)
            shape = model.get_layer(f"stage{stage}_{n}").output.shape
            assert shape == (None, small, small, 8 * 2**stage)
    for ours, other in zip(residual.weights, plain.weights):
        other.assign(ours)
    x = images((side, side, 1))
    assert relative_error(plain(x), residual(x)) > 0.1


def test_without_normalization_a_deep_plain_network_loses_its_signal_and_a_residual_one_keeps_it():
    keras.utils.set_random_seed(0)
    x = images((28, 28, 1))
    for shortcut in (False, "A"):
        model = CifarResNet(20, (28, 28, 1), shortcut=shortcut, normalization=None)
        assert not any(w.name in ("gamma", "moving_mean") for w in model.weights)
        first, last = outputs(model, ["stage1_1", "stage3_3"], x).values()
        assert (last.std() > first.std()) == (shortcut == "A")


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: ResNet(51), "depth is 51; allowed: 18, 34, 50, 101, 152"),
        (lambda: ResNet(18, shortcut="D"), "shortcut is 'D'; allowed: 'A', 'B', 'C', False"),
        (lambda: ResNet(50, stride_on="5x5"), "stride_on is '5x5'; allowed: '1x1', '3x3'"),
        (lambda: ResNet(18, normalization="layer"), "normalization is 'layer'; allowed: 'batch'"),
        (lambda: ResNet(18, (224, 224)), "input_shape is"),
        (lambda: ResNet(18, classes=1), "classes is 1"),
        (lambda: CifarResNet(21), "depth is 21; allowed: 6n \\+ 2"),
        (lambda: CifarResNet(2), "depth is 2; allowed: 6n \\+ 2"),
        (lambda: CifarResNet(20.0), "depth is 20.0; allowed"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_stem_with_strides_halves_every_map_and_keeps_the_weights():
    models = [CifarResNet(8, (28, 28, 1), stem_strides=s) for s in (1, 2)]
    assert models[0].count_params() == models[1].count_params()
    for model, sides in zip(models, ([28, 28, 14, 7], [14, 14, 7, 4])):
        names = ("conv1", "stage1_1", "stage2_1", "stage3_1")
        assert [model.get_layer(name).output.shape[1] for name in names] == sides
    with pytest.raises(ValueError, match="stem_strides is 3; allowed: 1, 2"):
        CifarResNet(8, stem_strides=3)
