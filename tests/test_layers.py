"""The shared layers against Keras's own, and against the papers' formulas in plain NumPy."""

import keras
import numpy as np
import pytest
from keras import ops
from reference import ceil_pool, local_response

from course_lib import arguments, layers

RNG = np.random.default_rng(0)


def images(*shape):
    return RNG.normal(size=shape).astype("float32")


def numpy_of(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def relative_error(ours, reference):
    ours, reference = numpy_of(ours), numpy_of(reference)
    return np.abs(ours - reference).max() / (np.abs(reference).max() or 1)


def gradients(layer, x):
    """Return d(sum of (output - 1)^2) / d(each trainable weight), on any backend."""
    model = keras.Sequential([layer, keras.layers.Flatten()])
    model.build(x.shape)
    before = [numpy_of(w) for w in layer.trainable_weights]
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, p: ops.sum(ops.square(p - 1), axis=-1))
    model.train_on_batch(x, np.zeros(len(x)))
    return [b - numpy_of(w) for b, w in zip(before, layer.trainable_weights)]


def test_batch_normalization_is_keras_own_in_training_and_in_testing():
    ours = layers.BatchNormalization()
    reference = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    x = 3 * images(4, 5, 7, 6) + 1
    for _ in range(3):
        assert relative_error(ours(x, training=True), reference(x, training=True)) < 1e-5
    for mine, theirs in zip(ours.weights, reference.weights):
        assert relative_error(mine, theirs) < 1e-5, mine.name
    assert relative_error(ours(x), reference(x)) < 1e-5


def test_batch_normalization_has_keras_own_gradients():
    x = images(4, 5, 7, 6)
    pair = layers.BatchNormalization(), keras.layers.BatchNormalization(epsilon=1e-5)
    for mine, theirs in zip(*(gradients(layer, x) for layer in pair)):
        assert relative_error(mine, theirs) < 1e-4


def test_batch_normalization_returns_its_new_averages_where_keras_holds_the_state():
    x = 3 * images(4, 5, 7, 6) + 1
    pair = layers.BatchNormalization(), keras.layers.BatchNormalization(momentum=0.9)
    states = []
    for layer in pair:
        layer.build(x.shape)
        weights = [
            [v.value for v in vs]
            for vs in (layer.trainable_variables, layer.non_trainable_variables)
        ]
        states.append(layer.stateless_call(*weights, x, training=True)[1])
        assert np.all(numpy_of(layer.moving_mean) == 0), "the layer's own state has changed"
    for mine, theirs in zip(*states):
        assert relative_error(mine, theirs) < 1e-5


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 1, 1, 3), (4, 5, 7, 3)])
@pytest.mark.parametrize("known", [True, False])
def test_batch_normalization_moves_its_averages_for_any_number_of_pixels(shape, known):
    x = 3 * images(*shape) + 1
    pair = layers.BatchNormalization(), keras.layers.BatchNormalization(momentum=0.9)
    for layer in pair:
        image = keras.Input(batch_shape=shape if known else (None, None, None, 3))
        model = keras.Model(image, layer(image))
        model.compile(keras.optimizers.SGD(0.0), loss="mse")
        model.train_on_batch(x, x)
    for mine, theirs in zip(*(layer.non_trainable_variables for layer in pair)):
        assert relative_error(mine, theirs) < 1e-5, mine.name


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_batch_normalization_is_keras_own_in_other_types(dtype):
    ours = layers.BatchNormalization(dtype=dtype)
    reference = keras.layers.BatchNormalization(dtype=dtype, momentum=0.9, epsilon=1e-5)
    x = images(4, 5, 5, 3) + 2
    y, expected = ours(x, training=True), reference(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    assert np.array_equal(*(numpy_of(ops.cast(each, "float64")) for each in (y, expected)))


def test_batch_normalization_trains_on_keras_3_13_which_knows_no_renorm():
    layer = layers.BatchNormalization()
    layer.build((4, 5, 5, 3))
    vars(layer).pop("renorm", None)
    x = images(4, 5, 5, 3) + 2
    assert abs(numpy_of(layer(x, training=True)).mean()) < 1e-5


def test_frozen_batch_normalization_uses_and_keeps_its_moving_statistics():
    layer = layers.BatchNormalization()
    x = images(4, 5, 5, 3) + 2
    layer.build(x.shape)
    layer.trainable = False
    assert relative_error(layer(x, training=True), x / np.sqrt(1 + 1e-5)) < 1e-5
    assert np.all(numpy_of(layer.moving_mean) == 0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_batch_normalization_under_mixed_precision(policy):
    layer, exact = layers.BatchNormalization(dtype=policy), layers.BatchNormalization()
    x = images(4, 5, 5, 3)
    y = layer(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    assert relative_error(ops.cast(y, "float32"), exact(x, training=True)) < 0.02


@pytest.mark.parametrize(
    "kernel,strides,padding", [(1, 1, "same"), (3, 2, "same"), (5, 1, "valid")]
)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_convolution_is_keras_own(groups, kernel, strides, padding):
    x = images(2, 9, 9, 8)
    arguments = {"strides": strides, "padding": padding, "groups": groups, "activation": "relu"}
    ours = layers.GroupedConv2D(12, kernel, **arguments)
    reference = keras.layers.Conv2D(12, kernel, **arguments)
    ours.build(x.shape)
    reference.build(x.shape)
    reference.set_weights(ours.get_weights())
    assert relative_error(ours(x), reference(x)) < 1e-5
    for mine, theirs in zip(gradients(ours, x), gradients(reference, x)):
        assert relative_error(mine, theirs) < 1e-4


def test_grouped_convolution_takes_images_of_any_size():
    image = keras.Input((None, None, 4))
    model = keras.Model(image, layers.GroupedConv2D(6, 1, groups=2)(image))
    assert model(images(2, 5, 7, 4)).shape == (2, 5, 7, 6)


@pytest.mark.parametrize("n,channels", [(5, 12), (3, 2), (1, 4), (5, 3)])
def test_local_response_normalization_is_the_papers_sum(n, channels):
    a = 30 * images(2, 3, 3, channels)
    ours = layers.LocalResponseNormalization(n=n)(a)
    assert relative_error(ours, local_response(a, n)) < 1e-5


def test_local_response_normalization_survives_half_precision():
    a = 300 * images(1, 3, 3, 8)  # the squares exceed float16's 65,504
    y = layers.LocalResponseNormalization(dtype="mixed_float16")(a)
    exact = layers.LocalResponseNormalization()(a)
    assert relative_error(ops.cast(y, "float32"), exact) < 0.01


def test_conv_unit_pads_on_every_side_as_papers_do():
    x = images(1, 8, 8, 3)
    unit = layers.ConvUnit(4, 3, strides=2, padding=1, normalization=None, activation=None)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    unit.build(x.shape)
    expected = ops.conv(padded, unit.conv.kernel, strides=2, padding="valid")
    assert relative_error(unit(x), expected) < 1e-5
    same = layers.ConvUnit(4, 3, strides=2, normalization=None, activation=None)
    same.build(x.shape)
    same.set_weights(unit.get_weights())
    assert relative_error(same(x), expected) > 0.1, "'same' pads one side only; they must differ"


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 6, 13, 54, 55])
@pytest.mark.parametrize("columns", [2, 3, 8, 9])
def test_max_pool_is_caffes_ceil_mode(rows, columns):
    x = images(2, rows, columns, 3) - 10  # negative: padding with zeros would be seen
    image = keras.Input(x.shape[1:])
    model = keras.Model(image, layers.max_pool(image, "pool"))
    expected = ceil_pool(x)
    assert x.max() < 0 and expected.shape[1:3] == (rows // 2, columns // 2)
    assert np.array_equal(numpy_of(model(x)), expected)


@pytest.mark.parametrize("sides", [(1, 2), (8, 9)])
def test_padded_pool_counts_a_border_of_zeros(sides):
    x = images(2, *sides, 3) - 1
    image = keras.Input(x.shape[1:])
    model = keras.Model(image, layers.padded_pool(image, "pool"))
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    assert np.array_equal(numpy_of(model(x)), windows[:, ::2, ::2].max(axis=(4, 5)))
    assert [layer.name for layer in model.layers[1:]] == ["pool_pad", "pool"]


class TwoBranches(layers.Block):
    """A block as the papers have them, with an initialiser among its arguments."""

    def __init__(self, filters, strides=2, start="he_normal", **kwargs):
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy, "kernel_initializer": start}
        self.three = layers.ConvUnit(filters, 3, strides, 1, name="three", **own)
        self.one = layers.ConvUnit(filters, 1, strides, 0, name="one", **own)
        self.drop = keras.layers.Dropout(0.5, dtype=self.dtype_policy)

    def call(self, x):
        return self.drop(self.three(x) + self.one(x))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_block_is_its_init_and_its_call(policy, tmp_path):
    start = keras.initializers.RandomNormal(stddev=0.1)
    block = TwoBranches(4, start=start, dtype=policy, name="block")
    block.build((2, 9, 6, 3))
    paths = [weight.path for weight in block.weights]
    assert len(paths) == 10 and paths[0] == "block/three/conv/kernel"
    assert block.compute_output_shape((2, 9, 6, 3)) == (2, 5, 3, 4)
    assert block.compute_output_shape((None, None, 6, 3)) == (None, None, 3, 4)
    assert block.config == {"filters": 4, "strides": 2, "start": start}
    x = images(2, 9, 6, 3)
    assert np.any(numpy_of(block(x, training=True) != block(x, training=True)))  # dropout
    image = keras.Input((9, 6, 3))
    for turn in range(2):  # what was loaded can be saved again
        model = keras.Model(image, block(image))
        model.save(tmp_path / f"{turn}.keras")
        again = keras.models.load_model(tmp_path / f"{turn}.keras", safe_mode=True)
        assert [weight.path for weight in again.layers[1].weights] == paths
        assert again.layers[1].three.conv.compute_dtype == block.compute_dtype
        assert np.array_equal(*(numpy_of(ops.cast(m(x), "float32")) for m in (model, again)))
        block = again.layers[1]


def test_a_network_is_built_with_one_call_of_each_block(monkeypatch):
    called, call = [], layers.ConvUnit.call
    monkeypatch.setattr(
        layers.ConvUnit, "call", lambda unit, x: called.append(unit) or call(unit, x)
    )
    block = TwoBranches(4)
    keras.Model(image := keras.Input((9, 6, 3)), block(image))
    assert called == [block.three, block.one]
    block.build((None, 9, 6, 3))  # as a learner may
    assert block.compute_output_shape((None, 9, 6, 3)) == (None, 5, 3, 4)
    assert len(called) == 2


@pytest.mark.parametrize("normalization,weights", [("batch", 5), (None, 2)])
def test_conv_unit_has_a_bias_only_without_normalization(normalization, weights):
    unit = layers.ConvUnit(4, 3, normalization=normalization)
    unit.build((None, 8, 8, 3))
    assert len(unit.weights) == weights
    assert tuple(unit(images(2, 8, 8, 3)).shape) == unit.compute_output_shape((2, 8, 8, 3))


def test_composite_layers_survive_saving(tmp_path):
    image = keras.Input((8, 8, 4))
    x = layers.ConvUnit(8, 3, 2, padding=1, groups=2)(image)
    x = layers.LocalResponseNormalization(n=3)(x)
    model = keras.Model(image, layers.ConvUnit(2, 1, normalization=None)(x))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    x = images(2, 8, 8, 4)
    assert np.array_equal(numpy_of(model(x)), numpy_of(again(x)))


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: layers.LocalResponseNormalization(n=4), "n is 4; allowed: an odd"),
        (lambda: layers.ConvUnit(4, 3, normalization="layer"), "'layer'; allowed: 'batch', None"),
        (lambda: layers.ConvUnit(4, 3, padding=-1), "padding is -1; allowed"),
        (lambda: arguments.check_image_input((28, 28), 10, 8, "Net"), r"input_shape is \(28, 28\)"),
        (lambda: arguments.check_image_input((8, 28, 1), 10, 9, "Net"), "at least 9 x 9 pixels"),
        (lambda: arguments.check_image_input((28, 28, 1), 1, 9, "Net"), "classes is 1; allowed"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
