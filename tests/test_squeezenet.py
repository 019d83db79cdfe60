"""SqueezeNet: each part and the whole against plain NumPy, and the sizes that the paper prints."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ceil_pool, images, randomize, relative_error, shapes_only, unit

from course_lib.audit import audit
from course_lib.squeezenet import SMALL, Fire, SqueezeNet


def fire(x, layer):
    squeezed = unit(x, layer.squeeze)
    sides = [unit(squeezed, layer.expand1x1), unit(squeezed, layer.expand3x3)]
    return np.concatenate(sides, axis=-1)


def network(x, model, stride, pools, bypass, conv10_padding=0):
    """Table 1 and fig. 2 in NumPy, with the weights of a model; `stride` is conv1's."""
    x = ceil_pool(unit(x, model.get_layer("conv1"), stride, padding=0))
    for i in range(2, 10):
        y = fire(x, model.get_layer(f"fire{i}"))
        if bypass and i % 2:
            y = y + x
        elif bypass == "complex":
            kernel, bias = model.get_layer(f"bypass{i}_conv").get_weights()
            y = y + x @ kernel[0, 0] + bias
        x = ceil_pool(y) if i in pools else y
    return unit(x, model.get_layer("conv10"), padding=conv10_padding).mean(axis=(1, 2))


def test_fire_equals_its_definition():
    layer = Fire(3, 4, 5)
    x = images((6, 7, 8))
    layer.build(x.shape)
    randomize(layer)
    expected = fire(x, layer)
    assert (expected == 0).any() and (expected > 0).any()
    assert relative_error(layer(x), expected) < 1e-5
    assert layer.compute_output_shape(x.shape) == expected.shape == (2, 6, 7, 9)
    again = Fire.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    start = {"initialization": "lecun_uniform"}
    assert layer.config == {"squeeze": 3, "expand1x1": 4, "expand3x3": 5, **start}


def test_initialization_reaches_every_kernel_but_conv10s():
    model = SqueezeNet((64, 64, 3), 10, initialization="zeros")
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    assert len(kernels) == 26
    assert [v.path for v in kernels if np.any(v)] == ["conv10/conv/kernel"]


def test_an_initializer_object_starts_every_kernel_with_other_numbers():
    model = SqueezeNet((64, 64, 3), 10, initialization=keras.initializers.HeNormal())
    two, three = (model.get_layer(name).expand1x1.conv.kernel for name in ("fire2", "fire3"))
    assert two.shape == three.shape and not np.any(np.asarray(two) == np.asarray(three))


def test_kernels_start_as_caffes_xavier_filler_does():
    keras.utils.set_random_seed(0)
    model = SqueezeNet((64, 64, 3), 10)
    for name in ("squeeze", "expand1x1", "expand3x3"):
        kernel = np.asarray(getattr(model.get_layer("fire9"), name).conv.kernel)
        limit = np.sqrt(3 / np.prod(kernel.shape[:3]))  # uniform, variance 1 / inputs
        assert 0.99 * limit < np.abs(kernel).max() <= limit


@pytest.mark.slow
@pytest.mark.parametrize("bypass", [None, "simple", "complex"])
@pytest.mark.parametrize(
    "version, stride, pools, sides",
    [("1.0", 2, (4, 8), (43, 50)), ("1.1", 2, (3, 5), (37, 40)), ("1.1", 1, (3, 5), (28, 28))],
)
def test_network_equals_numpy(version, stride, pools, sides, bypass):
    stem = (12, 3, 1) if stride == 1 else None
    options = {"base_e": 16, "incr_e": 16, "version": version, "bypass": bypass, "stem": stem}
    model = randomize(SqueezeNet((*sides, 3), 7, **options))
    x = images((*sides, 3))
    expected = network(x, model, stride, pools, bypass)
    assert np.count_nonzero(expected) > len(expected.ravel()) / 4
    assert relative_error(model(x, training=False), expected) < 1e-4


def test_padded_conv10_adds_a_border_of_biases():
    model = randomize(SqueezeNet((43, 43, 3), 7, base_e=16, incr_e=16, conv10_padding=1))
    x = images((43, 43, 3))
    expected = network(x, model, 2, (4, 8), None, conv10_padding=1)
    plain = network(x, model, 2, (4, 8), None)
    assert relative_error(model(x, training=False), expected) < 1e-4
    assert relative_error(plain, expected) > 0.01
    assert model.get_layer("conv10").output.shape == (None, 4, 4, 7)  # 2 x 2 without


def test_without_its_relu_conv10_lets_negative_logits_through():
    sizes = {"input_shape": (43, 43, 3), "classes": 7, "base_e": 16, "incr_e": 16}
    cut, free = randomize(SqueezeNet(**sizes)), SqueezeNet(**sizes, conv10_relu=False)
    free.set_weights(cut.get_weights())
    x = images((43, 43, 3))
    below = keras.Model(free.input, free.get_layer("conv10").output)(x)
    assert (np.asarray(below) < 0).any()
    assert np.allclose(np.maximum(below, 0).mean(axis=(1, 2)), cut(x, training=False), atol=1e-5)
    assert np.allclose(np.mean(below, axis=(1, 2)), free(x, training=False), atol=1e-5)


def test_fire_modules_are_those_of_table_1():
    sizes = [layer.config for layer in SqueezeNet().layers if isinstance(layer, Fire)]
    expected = [16, 16, 32, 32, 48, 48, 64, 64]
    assert [size["squeeze"] for size in sizes] == expected
    assert all(size["expand1x1"] == size["expand3x3"] == 4 * size["squeeze"] for size in sizes)


@pytest.mark.parametrize("ratio, megabytes", [(0.125, 4.8), (0.5, 13), (0.75, 19)])
def test_squeeze_ratios_give_the_sizes_of_figure_3(ratio, megabytes):
    size = 4 * SqueezeNet(squeeze_ratio=ratio).count_params()
    # Whether its MB are 10^6 or 2^20 bytes the paper does not say; its numbers lie between.
    assert size / 2**20 - 0.5 < megabytes < size / 1e6 + 0.5


def test_the_share_of_3x3_filters_and_the_growth():
    model = SqueezeNet(base_e=32, incr_e=8, freq=3, pct3x3=0.25, squeeze_ratio=0.5)
    sizes = [layer.config for layer in model.layers if isinstance(layer, Fire)]
    expand = [32, 32, 32, 40, 40, 40, 48, 48]
    assert [s["expand1x1"] + s["expand3x3"] for s in sizes] == expand
    assert [s["expand3x3"] for s in sizes] == [e // 4 for e in expand]
    assert [s["squeeze"] for s in sizes] == [e // 2 for e in expand]


@pytest.mark.slow
def test_bypasses_surround_the_modules_of_figure_2():
    names = {
        b: [layer.name for layer in SqueezeNet(bypass=b).layers] for b in ("simple", "complex")
    }
    plain = [layer.name for layer in SqueezeNet().layers]
    assert not any("bypass" in name for name in plain)
    assert [n for n in names["simple"] if "bypass" in n] == [f"bypass{i}" for i in (3, 5, 7, 9)]
    convolutions = [n for n in names["complex"] if n.endswith("_conv")]
    assert convolutions == [f"bypass{i}_conv" for i in (2, 4, 6, 8)]
    assert {f"bypass{i}" for i in range(2, 10)} <= set(names["complex"])


def test_dropout_works_in_training_alone():
    model = randomize(SqueezeNet(**SMALL))
    x = images((28, 28, 1))
    np.testing.assert_array_equal(model(x, training=False), model(x, training=False))
    assert relative_error(model(x, training=True), model(x, training=False)) > 0.01


@pytest.mark.slow
@given(
    version=st.sampled_from(["1.0", "1.1"]),
    bypass=st.sampled_from([None, "simple", "complex"]),
    base_e=st.integers(2, 40),
    incr_e=st.integers(0, 40),
    freq=st.integers(1, 9),
    pct3x3=st.floats(0.01, 0.99),
    squeeze_ratio=st.floats(0.01, 1),
    sides=st.tuples(st.integers(21, 60), st.integers(21, 60)),
)
@settings(deadline=None, max_examples=30, derandomize=True)
@shapes_only()
def test_what_is_accepted_builds(sides, **arguments):
    model = SqueezeNet((*sides, 2), 5, **arguments)
    assert model.output.shape == (None, 5)
    result = audit(model)
    assert result.params == model.count_params() and result.notes == []
    assert min(model.get_layer("conv10").output.shape[1:3]) >= 1


def test_the_smallest_image():
    for version, side in (("1.0", 21), ("1.1", 17)):
        model = SqueezeNet((side, side, 3), 5, version=version)
        assert model.get_layer("conv10").output.shape == (None, 1, 1, 5)
        with pytest.raises(ValueError, match=f"at least {side} x {side} pixels"):
            SqueezeNet((side - 1, side, 3), 5, version=version)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"version": "2"}, "version is '2'; allowed: '1.0', '1.1'"),
        ({"bypass": True}, "bypass is True; allowed: None, 'simple', 'complex'"),
        ({"conv10_padding": 2}, "conv10_padding is 2; allowed: 0, 1"),
        ({"base_e": 1}, "base_e, incr_e and freq are 1, 128 and 2; allowed: at least 2, 0, 1"),
        ({"freq": 0}, "base_e, incr_e and freq are 128, 128 and 0"),
        ({"pct3x3": 1}, "pct3x3 is 1; allowed: a share between 0 and 1"),
        ({"squeeze_ratio": 0}, "squeeze_ratio is 0; allowed: a share"),
        ({"dropout": 1.0}, "dropout is 1.0; allowed: 0 <= dropout < 1"),
        ({"classes": 1}, "classes is 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SqueezeNet(**arguments)
