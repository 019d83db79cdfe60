"""Chapter 02's convolution against Keras and SciPy, its small network, and its records."""

import keras
import numpy as np
import pytest
from scipy import signal

from course_lib import zoo
from course_lib.audit import audit
from course_lib.convolution import ConvNet, conv2d, max_pool, output_side, permute, shift
from course_lib.experiments import load_records
from course_lib.mlp import MLP

RNG = np.random.default_rng(0)
PICTURES = RNG.normal(size=(3, 11, 9, 4)).astype("float32")


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 5)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_conv2d_equals_keras(size, stride, padding):
    kernel = RNG.normal(size=(*size, 4, 6)).astype("float32")
    bias = RNG.normal(size=6).astype("float32")
    margin = (padding, padding)
    padded = np.pad(PICTURES, ((0, 0), margin, margin, (0, 0)))
    wanted = keras.ops.conv(padded, kernel, stride, "valid") + bias
    got = conv2d(PICTURES, kernel, bias, stride, padding)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_conv2d_equals_scipys_correlation_and_does_not_flip():
    picture, kernel = PICTURES[0, ..., 0], RNG.normal(size=(3, 3))
    got = conv2d(picture[None, ..., None], kernel[..., None, None], padding=1)[0, ..., 0]
    np.testing.assert_allclose(got, signal.correlate2d(picture, kernel, "same"), atol=1e-6)
    assert np.abs(got - signal.convolve2d(picture, kernel, "same")).max() > 1


@pytest.mark.parametrize("size,stride", [(2, None), (3, 2), (3, 1), (4, None)])
def test_max_pool_equals_keras(size, stride):
    wanted = keras.ops.max_pool(PICTURES, size, stride or size, "valid")
    np.testing.assert_array_equal(max_pool(PICTURES, size, stride), wanted)


def test_pooling_of_negative_numbers_has_no_zero_padding_in_it():
    assert max_pool(-np.ones((1, 4, 4, 1), "float32")).max() == -1


def test_output_side_counts_positions():
    for side, window, stride, padding in [(5, 3, 1, 0), (28, 3, 1, 1), (28, 2, 2, 0), (7, 2, 2, 0)]:
        starts = range(-padding, side + padding - window + 1, stride)
        assert output_side(side, window, stride, padding) == len(starts)


def test_shift_moves_and_fills_with_zero():
    x = np.arange(1, 10, dtype="float32").reshape(1, 3, 3, 1)
    assert shift(x, right=1)[0, ..., 0].tolist() == [[0, 1, 2], [0, 4, 5], [0, 7, 8]]
    assert shift(x, down=-2)[0, ..., 0].tolist() == [[7, 8, 9], [0, 0, 0], [0, 0, 0]]
    assert shift(x, 1, 1)[0, ..., 0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 4, 5]]
    assert not shift(x, right=5).any()
    np.testing.assert_array_equal(shift(x), x)


def test_convolution_follows_a_shift():
    """Move the picture, and the map moves along: what "the same filter everywhere" means."""
    frame = np.pad(PICTURES, ((0, 0), (5, 5), (5, 5), (0, 0)))
    kernel = RNG.normal(size=(3, 3, 4, 2)).astype("float32")
    moved_first = conv2d(shift(frame, 2, -3), kernel, padding=1)
    np.testing.assert_allclose(
        moved_first, shift(conv2d(frame, kernel, padding=1), 2, -3), atol=1e-5
    )


def test_permute_uses_one_order_for_all_pictures_and_loses_nothing():
    numbered = np.arange(28 * 28, dtype="float32").reshape(1, 28, 28, 1)
    order = permute(numbered).ravel().astype(int)
    assert sorted(order) == list(range(28 * 28)) and (order != np.arange(28 * 28)).mean() > 0.9
    x = RNG.random((5, 28, 28, 3), dtype="float32")
    np.testing.assert_array_equal(permute(x).reshape(5, -1, 3), x.reshape(5, -1, 3)[:, order])
    assert (permute(numbered, seed=1) != permute(numbered)).any()


def test_an_mlp_with_its_weights_reordered_does_not_notice_the_permutation():
    x = RNG.random((8, 28, 28, 1), dtype="float32")
    order = permute(np.arange(784.0).reshape(1, 28, 28, 1)).ravel().astype(int)
    model = zoo.build("mlp_small")
    before = model(x)
    first = model.get_layer("hidden1")
    weights, bias = first.get_weights()
    first.set_weights([weights[order], bias])
    np.testing.assert_allclose(model(permute(x)), before, atol=1e-5)


def test_the_network_is_the_one_of_the_chapter():
    counted = audit(zoo.build("convolution_small"))
    by_hand = (9 * 1 + 1) * 16 + (9 * 16 + 1) * 32 + (9 * 32 + 1) * 64 + 577 * 128 + 129 * 10
    assert counted.params == counted.trainable == by_hand
    assert {row.path: row.field[0] for row in counted.rows}["pool3"] == 22
    mlp = audit(zoo.build("mlp_small", hidden=(124,)))
    assert abs(mlp.params / counted.params - 1) < 0.002
    wide = audit(zoo.build("mlp_small", hidden=(1070, 1070)))
    assert abs(wide.macs / counted.macs - 1) < 0.001


@pytest.mark.parametrize(
    "call,message",
    [
        (lambda: conv2d(PICTURES[0], np.ones((3, 3, 4, 1))), r"x has shape \(11, 9, 4\)"),
        (lambda: conv2d(PICTURES, np.ones((3, 3, 1, 1))), r"kernel \(3, 3, 1, 1\)"),
        (lambda: conv2d(PICTURES, np.ones((3, 3, 4, 1)), stride=0), "stride is 0"),
        (lambda: conv2d(PICTURES, np.ones((3, 3, 4, 1)), padding=-1), "padding is -1"),
        (lambda: conv2d(PICTURES, np.ones((3, 3, 4, 1)), padding="same"), "padding is 'same'"),
        (lambda: conv2d(PICTURES, np.ones((3, 10, 4, 1))), "10 pixels, the padded picture 9"),
        (lambda: max_pool(PICTURES, 0), "window is 0"),
        (lambda: max_pool(PICTURES[0]), "x has shape"),
        (lambda: max_pool(PICTURES, 2, 1.5), "stride is 1.5"),
        (lambda: ConvNet((7, 28, 1)), "at least 8 x 8"),
        (lambda: ConvNet((28, 28)), "height, width, channels"),
        (lambda: ConvNet(classes=1), "classes is 1"),
        (lambda: ConvNet(widths=()), r"widths is \(\)"),
        (lambda: ConvNet(widths=(16, 0)), r"widths is \(16, 0\)"),
    ],
)
def test_wrong_input_is_answered(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("label", ["mlp", "cnn", "mlp_permuted", "cnn_permuted", "mlp_wide"])
def test_records_are_comparable_runs_of_todays_networks(label):
    runs = load_records("convolution", label)
    assert [run["seed"] for run in runs] == [0, 1, 2]
    for run in runs:
        recipe = load_records("convolution", "cnn")[0]["recipe"]
        if label == "mlp_wide":  # after 20 epochs it had not reached its end
            recipe = {**recipe, "epochs": 40}
        assert run["recipe"] == recipe
        assert run["parameters"] == zoo.build(run["network"], **run["changes"]).count_params()
        shifts = run["after"]["shifts"]
        assert shifts["0"] == pytest.approx(run["test"]["accuracy"], abs=1e-3)
        assert list(shifts) == ["0", "1", "2", "3", "4", "lost"]


def test_the_permuted_network_sees_the_pixels_in_the_order_of_the_chapter():
    pictures = np.random.default_rng(0).random((2, 28, 28, 1), "float32")
    for build, arguments in ((ConvNet, {}), (MLP, {"hidden": (8,)})):
        plain, permuted = build(**arguments), build(**arguments, permuted=True)
        permuted.set_weights(plain.get_weights())
        np.testing.assert_allclose(permuted(pictures), plain(permute(pictures)), atol=1e-5)
