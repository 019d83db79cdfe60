"""ShuffleNet: shuffle and units against plain NumPy, and who can see whom."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import convolve, images, normalize, randomize, relative_error, shapes_only

from course_lib.audit import audit
from course_lib.shufflenet import STAGE2, ChannelShuffle, ShuffleNet, ShuffleUnit, multiple


def grouped(x, unit, groups):
    """A 1x1 convolution in groups, one matrix product a group, then normalisation."""
    kernel = unit.conv.get_weights()[0][0, 0]  # (in / groups, out)
    parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1))
    return normalize(np.concatenate([part @ k for part, k in parts], axis=-1), unit.norm)


def shuffle(x, groups):
    """Channel i * n + j of g groups of n moves to place j * g + i."""
    n = x.shape[-1] // groups
    out = np.empty_like(x)
    for i in range(groups):
        for j in range(n):
            out[..., j * groups + i] = x[..., i * n + j]
    return out


def depthwise(x, layer, stride):
    kernel = layer.get_weights()[0]
    channels = [
        convolve(x[..., i : i + 1], kernel[:, :, i : i + 1], stride, 1) for i in range(x.shape[-1])
    ]
    return np.concatenate(channels, axis=-1)


def average_pool(x):
    """3x3 at stride 2, one zero on every side, and the zeros count."""
    return np.concatenate(
        [
            convolve(x[..., i : i + 1], np.full((3, 3, 1, 1), 1 / 9), 2, 1)
            for i in range(x.shape[-1])
        ],
        axis=-1,
    )


def unit_in_numpy(x, unit):
    """Fig. 2 (b) and (c)."""
    c = unit.config
    y = np.maximum(grouped(x, unit.gconv1, c["first_groups"] or c["groups"]), 0)
    y = shuffle(y, c["groups"]) if c["shuffle"] else y
    y = normalize(depthwise(y, unit.depthwise, c["strides"]), unit.depthwise_norm)
    y = grouped(y, unit.gconv2, c["groups"])
    y = x + y if c["strides"] == 1 else np.concatenate([average_pool(x), y], axis=-1)
    return np.maximum(y, 0)


@pytest.mark.parametrize("groups, channels", [(1, 4), (2, 6), (3, 12), (4, 8), (8, 24)])
def test_shuffle_moves_each_channel_where_the_paper_says(groups, channels):
    x = images((3, 2, channels))
    np.testing.assert_array_equal(ChannelShuffle(groups)(x), shuffle(x, groups))
    back = ChannelShuffle(channels // groups)(ChannelShuffle(groups)(x))
    np.testing.assert_array_equal(back, x)


def test_a_unit_takes_images_of_any_size():
    image = keras.Input((None, None, 24))
    model = keras.Model(image, ShuffleUnit(48, 3, strides=2)(ShuffleUnit(24, 3)(image)))
    assert model.output_shape == (None, None, None, 48)
    for sides in ((6, 8), (7, 5)):
        x = np.random.default_rng(0).normal(size=(2, *sides, 24)).astype("float32")
        assert model.predict(x, verbose=0).shape == (2, -(-sides[0] // 2), -(-sides[1] // 2), 48)


def test_shuffle_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="groups is 3; allowed: a divisor of the 8 channels"):
        ChannelShuffle(3)(images((2, 2, 8)))


@pytest.mark.parametrize("sides", [(6, 8), (7, 5), (1, 2)])
@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("strides, channels", [(1, 24), (2, 12)])
@pytest.mark.parametrize("groups, first_groups", [(1, 1), (2, 2), (3, 1), (3, 3)])
def test_unit_equals_numpy(groups, first_groups, strides, channels, shuffled, sides):
    unit = ShuffleUnit(24, groups, strides, first_groups=first_groups, shuffle=shuffled)
    x = images((*sides, channels))
    unit.build(x.shape)
    randomize(unit)
    expected = unit_in_numpy(x, unit)
    assert relative_error(unit(x, training=False), expected) < 1e-5
    assert unit.compute_output_shape(x.shape) == expected.shape
    again = ShuffleUnit.from_config(unit.get_config())
    assert again.get_config() == unit.get_config()


def test_units_of_the_papers_widths_equal_numpy():
    model = randomize(ShuffleNet((32, 32, 3), 5, groups=8, width=0.25, units=(2, 1, 1)))
    x = images((32, 32, 3))
    names = ("maxpool", "stage2_1", "stage2_2", "stage3_1", "stage4_1", "fc")
    layers = [model.get_layer(name) for name in names]
    found = [np.asarray(y) for y in keras.Model(model.input, [la.output for la in layers])(x)]
    for before, layer, after in zip(found, layers[1:-1], found[1:-1]):
        assert relative_error(after, unit_in_numpy(before, layer)) < 1e-5, layer.name
    kernel, bias = layers[-1].get_weights()
    assert relative_error(found[-1], found[-2].mean(axis=(1, 2)) @ kernel + bias) < 1e-4


def reach(layers, x):
    """Return a boolean matrix: does input channel i reach output channel j? By gradients."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x
        for layer in layers:
            y = layer(y, training=False)
        sums = [tf.reduce_sum(y[..., j]) for j in range(y.shape[-1])]
    gradients = [tape.gradient(total, x) for total in sums]
    return np.stack([np.abs(g).max(axis=(0, 1, 2)) > 0 for g in gradients], axis=1)


def blocks(groups, channels):
    """Which input channels share a group with which output channels."""
    owner = np.arange(channels) // (channels // groups)
    return owner[:, None] == owner


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 3])
def test_without_shuffle_groups_never_meet_and_with_it_they_do(groups):
    channels = 12 * groups  # a bottleneck of 3 * groups: each group has one for every other
    x = images((9, 9, channels), batch=8)
    for shuffled in (False, True):
        units = [ShuffleUnit(channels, groups, shuffle=shuffled) for _ in range(2)]
        for unit in units:
            unit.build(x.shape)
            randomize(unit)
        reached = reach(units, x)
        if shuffled:
            assert reached.all()
        else:
            np.testing.assert_array_equal(reached, blocks(groups, channels))


def test_one_shuffled_unit_gives_every_group_something_of_every_other():
    groups, channels = 3, 36
    x = images((9, 9, channels), batch=8)
    unit = ShuffleUnit(channels, groups)
    unit.build(x.shape)
    randomize(unit)
    by_group = reach([unit], x).reshape(groups, 12, groups, 12).any(axis=(1, 3))
    assert by_group.all()


@pytest.mark.slow
@pytest.mark.parametrize("groups, channels", list(STAGE2.items()))
def test_channels_of_table_1(groups, channels):
    model = ShuffleNet(groups=groups, units=(1, 1, 1))
    shapes = [model.get_layer(f"stage{stage}_1").output.shape[1:] for stage in (2, 3, 4)]
    assert shapes == [(28, 28, channels), (14, 14, 2 * channels), (7, 7, 4 * channels)]
    assert model.get_layer("stage2_1").config["first_groups"] == 1
    assert model.get_layer("stage3_1").config["first_groups"] == groups


def test_units_of_table_1_and_its_fifty_layers():
    model = ShuffleNet()
    units = [layer for layer in model.layers if isinstance(layer, ShuffleUnit)]
    assert [unit.name.split("_")[0] for unit in units].count("stage3") == 8
    assert [unit.name for unit in units if unit.config["strides"] == 2] == [
        "stage2_1",
        "stage3_1",
        "stage4_1",
    ]
    assert all(unit.config["bottleneck"] == unit.config["filters"] // 4 for unit in units)
    kernels = [weight for weight in model.weights if weight.name == "kernel"]
    assert len(kernels) == 50


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 8])
def test_without_shuffle_nothing_else_changes(groups):
    arguments = {"groups": groups, "units": (2, 1, 1), "width": 0.5}
    with_it, without = ShuffleNet(**arguments), ShuffleNet(shuffle=False, **arguments)
    assert with_it.count_params() == without.count_params()
    assert audit(with_it).macs == audit(without).macs
    for ours, other in zip(with_it.weights, without.weights):
        assert ours.path == other.path


@pytest.mark.parametrize(
    "value, groups, width, expected",
    [
        (25, 2, 0.5, 26),  # bottlenecks: half-way, up at 0.5x
        (34, 4, 0.5, 36),
        (12.5, 2, 0.25, 12),  # nearest
        (17, 4, 0.25, 16),
        (25, 2, 0.25, 24),  # half-way, down at 0.25x
        (12, 8, 0.5, 16),  # conv1 before eight groups
        (12, 8, 0.25, 8),
        (12, 3, 0.25, 12),
        (384, 8, 1.0, 384),
        (1, 4, 0.25, 4),  # never none
    ],
)
def test_rounding_of_widths_that_do_not_divide(value, groups, width, expected):
    assert multiple(value, groups, width) == expected


@pytest.mark.slow
@given(
    groups=st.sampled_from(list(STAGE2)),
    width=st.floats(0.2, 1.2),
    shuffled=st.booleans(),
    stem=st.sampled_from(["paper", "small"]),
    sides=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(deadline=None, max_examples=30, derandomize=True)
@example(groups=8, width=0.2, shuffled=True, stem="paper", sides=(1, 1))
@shapes_only()
def test_what_is_accepted_builds(groups, width, shuffled, stem, sides):
    options = {"groups": groups, "width": width, "shuffle": shuffled, "stem": stem}
    model = ShuffleNet((*sides, 1), 5, units=(2, 1, 1), **options)
    assert model.output.shape == (None, 5)
    result = audit(model)
    assert result.params == model.count_params() and result.notes == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"groups": 5}, "groups is 5; allowed: 1, 2, 3, 4, 8"),
        ({"width": 0}, "width is 0; allowed: a number above 0"),
        ({"width": 0.02}, "beside 12 input channels at stride 2, a positive"),
        (
            {"conv1": 25},
            "filters is 240; allowed: .* beside 25 input channels at stride 2, .* 3 groups",
        ),
        ({"units": (4, 8)}, r"units is \(4, 8\); allowed: three counts"),
        ({"stem": "cifar"}, "stem is 'cifar'; allowed: 'paper', 'small'"),
        ({"input_shape": (0, 224, 3)}, "three positive"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShuffleNet(**arguments)


def test_wrong_units():
    with pytest.raises(ValueError, match="strides is 3; allowed: 1, 2"):
        ShuffleUnit(24, 3, 3)
    with pytest.raises(ValueError, match="groups is 4; allowed: a divisor of the bottleneck's 6"):
        ShuffleUnit(24, 4)
    with pytest.raises(ValueError, match="the input has 12 channels; allowed: 24"):
        ShuffleUnit(24, 3)(images((4, 4, 12)))
