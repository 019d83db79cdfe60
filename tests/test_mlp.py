"""The network of chapter 01: its arithmetic by hand, its slopes three ways, and its Keras form."""

import keras
import numpy as np
import pytest

from course_lib import mlp
from course_lib.training import check_batch

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
ANSWER = np.array([0, 1, 1, 0])


def example(sizes=(6, 5, 4, 3), n=7, dtype="float64"):
    """Return (layers, x, labels): random weights and biases, random inputs."""
    rng = np.random.default_rng(1)
    layers = [
        (w, rng.normal(size=b.shape).astype(dtype)) for w, b in mlp.initialise(sizes, 2, dtype)
    ]
    return layers, rng.normal(size=(n, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], n)


def descend(layers, x, labels, steps, learning_rate=0.3, activation="relu"):
    for _ in range(steps):
        outputs = mlp.forward(layers, x, activation)
        slopes = mlp.backward(layers, outputs, labels, activation)
        layers = mlp.step(layers, slopes, learning_rate)
    return layers, mlp.loss(mlp.forward(layers, x, activation)[-1], labels)


def test_forward_is_the_arithmetic_of_the_neuron():
    first = (np.array([[1.0, -1.0], [2.0, 0.5]]), np.array([-1.0, 0.25]))
    second = (np.array([[3.0, 1.0], [1.0, -2.0]]), np.array([0.5, -0.5]))
    x, hidden, logits = mlp.forward([first, second], np.array([[1.0, 2.0], [-1.0, 1.0]]))
    np.testing.assert_array_equal(x, [[1, 2], [-1, 1]])
    np.testing.assert_array_equal(hidden, [[4, 0.25], [0, 1.75]])
    np.testing.assert_array_equal(logits, [[12.75, 3], [2.25, -4]])


@pytest.mark.parametrize("name", mlp.ACTIVATIONS)
def test_activations_are_those_of_keras_and_their_slopes_are_theirs(name):
    function, slope = mlp.ACTIVATIONS[name]
    s = np.array([-100.0, -1.5, -0.1, 0.2, 3.0, 100.0])
    theirs = keras.ops.convert_to_numpy(keras.activations.get(name)(keras.ops.array(s, "float64")))
    np.testing.assert_allclose(function(s), theirs, atol=1e-12)
    change = (function(s + 1e-6) - function(s - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope(function(s)), change, atol=1e-8)


def test_loss_of_equal_scores_is_the_logarithm_of_the_classes():
    assert mlp.loss(np.full((4, 10), 7.0), np.array([0, 3, 9, 9])) == pytest.approx(np.log(10))


def test_loss_is_right_where_exp_would_overflow():
    assert mlp.loss(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([1, 1])) == 500
    apart = np.array([[1000.0, 1001.0], [-1000.0, -999.0]])
    assert mlp.loss(apart, np.array([1, 1])) == pytest.approx(np.log(1 + np.exp(-1)))


@pytest.mark.parametrize("activation", mlp.ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(6, 3), (6, 5, 3), (6, 5, 4, 3)])
def test_backward_agrees_with_finite_differences_for_every_weight(sizes, activation):
    layers, x, labels = example(sizes)
    slopes = mlp.backward(layers, mlp.forward(layers, x, activation), labels, activation)
    arrays = [array for pair in layers for array in pair]
    for array, slope in zip(arrays, [slope for pair in slopes for slope in pair]):
        assert slope.shape == array.shape
        for place in np.ndindex(array.shape):
            kept, losses = array[place], []
            for moved in (kept + 1e-6, kept - 1e-6):
                array[place] = moved
                losses.append(mlp.loss(mlp.forward(layers, x, activation)[-1], labels))
            array[place] = kept
            assert slope[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-8)


def keras_twin(layers, activation="relu"):
    """Return the Keras network with the same weights, for inputs of one row of pixels."""
    model = mlp.MLP(
        (1, len(layers[0][0]), 1),
        len(layers[-1][1]),
        hidden=tuple(len(b) for _, b in layers[:-1]),
        activation=activation,
    )
    model.set_weights([array for pair in layers for array in pair])
    return model


@pytest.mark.parametrize("activation", mlp.ACTIVATIONS)
def test_backward_agrees_with_automatic_differentiation(activation):
    tf = pytest.importorskip("tensorflow")
    layers, x, labels = example(dtype="float32")
    model = keras_twin(layers, activation)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = cross_entropy(labels, model(x[:, None, :, None]))
    theirs = tape.gradient(value, [v.value for v in model.trainable_variables])
    outputs = mlp.forward(layers, x, activation)
    slopes = mlp.backward(layers, outputs, labels, activation)
    assert float(value) == pytest.approx(mlp.loss(outputs[-1], labels), rel=1e-5)
    for slope, other in zip([slope for pair in slopes for slope in pair], theirs):
        np.testing.assert_allclose(slope, other, atol=1e-6)


def test_keras_takes_the_same_steps():
    layers, x, labels = example(dtype="float32", n=32)
    model = keras_twin(layers)
    model.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    for _ in range(20):
        model.train_on_batch(x[:, None, :, None], labels)
    layers, _ = descend(layers, x, labels, 20, 0.1)
    for ours, theirs in zip([array for pair in layers for array in pair], model.get_weights()):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_only_a_hidden_layer_learns_xor():
    _, single = descend(mlp.initialise((2, 2), 0, "float64"), XOR, ANSWER, 3000)
    layers, double = descend(mlp.initialise((2, 8, 2), 0, "float64"), XOR, ANSWER, 3000)
    assert single == pytest.approx(np.log(2), abs=1e-6)
    assert double < 0.01
    assert (mlp.forward(layers, XOR)[-1].argmax(axis=1) == ANSWER).all()


def test_neurons_that_start_equal_stay_equal():
    _, x, labels = example((6, 5, 3))
    start = [(np.full((6, 5), 0.1), np.zeros(5)), (np.full((5, 3), 0.1), np.zeros(3))]
    ((w, b), (out, _)), _ = descend(start, x, labels, 50)
    assert (
        np.ptp(w, axis=1).max() < 1e-12 and np.ptp(b) < 1e-12 and np.ptp(out, axis=0).max() < 1e-12
    )
    assert np.abs(w - 0.1).max() > 0.01, "they did learn"


def test_layers_without_activation_are_one_layer():
    layers, x, _ = example()
    (w1, b1), (w2, b2), (w3, b3) = layers
    one = (w1 @ w2 @ w3, (b1 @ w2 + b2) @ w3 + b3)
    logits = mlp.forward(layers, x, "linear")[-1]
    np.testing.assert_allclose(mlp.forward([one], x)[-1], logits, atol=1e-12)
    assert np.abs(mlp.forward(layers, x, "relu")[-1] - logits).max() > 0.1


def test_start_depends_on_the_seed_and_has_the_stated_deviation():
    (w1, b1), (w2, _) = mlp.initialise((800, 400, 300), 0, "float64")
    assert w1.std() == pytest.approx(np.sqrt(2 / 800), rel=0.02)
    assert w2.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert not b1.any()
    np.testing.assert_array_equal(mlp.initialise((800, 400, 300), 0, "float64")[0][0], w1)
    assert not np.array_equal(mlp.initialise((800, 400, 300), 1, "float64")[0][0], w1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_keep_their_type(dtype):
    layers, x, labels = example(dtype=dtype)
    outputs = mlp.forward(layers, x)
    moved = mlp.step(layers, mlp.backward(layers, outputs, labels), 0.1)
    start = mlp.initialise((6, 3), 0, dtype)
    arrays = [*outputs, *(array for pair in [*start, *moved] for array in pair)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_nothing_that_is_given_is_changed():
    layers, x, labels = example()
    before = [array.copy() for pair in layers for array in pair]
    outputs = mlp.forward(layers, x)
    kept = [array.copy() for array in outputs]
    mlp.step(layers, mlp.backward(layers, outputs, labels), 0.1)
    for now, then in zip([*(a for pair in layers for a in pair), *outputs], before + kept):
        np.testing.assert_array_equal(now, then)


def test_keras_network_has_the_counted_parameters_and_names():
    builder, arguments = mlp.VARIANTS["mlp_small"]
    model = builder(**arguments)
    assert model.count_params() == 784 * 128 + 128 + 128 * 10 + 10 == 101_770
    assert [layer.name for layer in model.layers] == ["image", "flatten", "hidden1", "output"]
    check_batch(model, np.zeros((2, 28, 28, 1), "float32"), np.array([0, 9]))
    assert mlp.MLP(hidden=()).count_params() == 7850
    assert mlp.MLP(hidden=(128, 64)).count_params() == 109_386


def test_keras_network_is_saved_and_loaded(tmp_path):
    model = mlp.MLP(activation="tanh")
    model.save(tmp_path / "x.keras")
    again = keras.saving.load_model(tmp_path / "x.keras")
    x = np.random.default_rng(0).normal(size=(3, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(model.predict_on_batch(x), again.predict_on_batch(x))


WRONG = {
    "sizes": (lambda: mlp.initialise((784,)), r"sizes is \(784,\)"),
    "size": (lambda: mlp.initialise((784, 0, 10)), "positive integers"),
    "activation": (
        lambda: mlp.forward(mlp.initialise((2, 2)), XOR, "relu6"),
        "activation is 'relu6'; allowed: 'relu', 'sigmoid', 'tanh', 'linear'",
    ),
    "picture": (
        lambda: mlp.forward(mlp.initialise((784, 10)), np.zeros((5, 784, 1))),
        r"x has shape \(5, 784, 1\); allowed: \(examples, 784\)",
    ),
    "label": (lambda: mlp.loss(np.zeros((2, 3)), np.array([0, 3])), "0 to 3; allowed: .* 0 to 2"),
    "labels": (lambda: mlp.loss(np.zeros((2, 3)), np.array([0])), r"shape \(2,\)"),
    "hidden": (lambda: mlp.MLP(hidden=(128, 0)), r"hidden is \(128, 0\)"),
    "keras_activation": (lambda: mlp.MLP(activation="swish"), "activation is 'swish'"),
    "image": (lambda: mlp.MLP((28, 28)), "input_shape"),
    "classes": (lambda: mlp.MLP(classes=1), "classes is 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_named(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()
