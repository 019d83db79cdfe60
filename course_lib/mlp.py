"""The multilayer perceptron (MLP) of chapter 01: written out in NumPy, and built in Keras.

In NumPy a network is a list of layers, and a layer is a pair (w, b): the weights, one column a
neuron, (inputs, neurons), and the biases (neurons,). Every layer but the last ends in the
activation. The last gives logits, one score a class. Arrays keep their type, float32 or float64.
"""

import keras
import numpy as np

from course_lib.arguments import check_choice, check_image_input
from course_lib.layers import PixelPermutation

# name: (the function of the sum s, its slope written with the function's own output h)
ACTIVATIONS = {
    "relu": (lambda s: np.maximum(s, 0), lambda h: (h > 0).astype(h.dtype)),
    "sigmoid": (lambda s: (1 + np.tanh(s / 2)) / 2, lambda h: h * (1 - h)),
    "tanh": (np.tanh, lambda h: 1 - h**2),
    "linear": (lambda s: s, np.ones_like),
}


def initialise(sizes, seed=0, dtype="float32"):
    """Return random first weights, normal with deviation sqrt(2 / inputs), and biases of zero.

    Args:
        sizes: neurons of each layer, the inputs first, for example (784, 128, 10).
        seed: fixes the random numbers.
        dtype: "float32", or "float64" where rounding must not matter.

    Source: He et al. 2015, arXiv:1502.01852, section 2.2.

    Raises:
        ValueError: sizes is not at least two positive integers.
    """
    if len(sizes) < 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"sizes is {sizes!r}; allowed: two or more positive integers.")
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, neurons in zip(sizes, sizes[1:]):
        w = rng.normal(0, np.sqrt(2 / inputs), (inputs, neurons))
        layers.append((w.astype(dtype), np.zeros(neurons, dtype)))
    return layers


def forward(layers, x, activation="relu"):
    """Return the output of every layer: first x itself, last the logits (examples, classes).

    Args:
        layers: the network.
        x: (examples, inputs).
        activation: a name in `ACTIVATIONS`, for every layer but the last.

    Raises:
        ValueError: the activation is unknown, or x does not have the first layer's inputs.
    """
    check_choice("activation", activation, tuple(ACTIVATIONS))
    if x.ndim != 2 or x.shape[1] != len(layers[0][0]):
        raise ValueError(f"x has shape {x.shape}; allowed: (examples, {len(layers[0][0])}).")
    function, _ = ACTIVATIONS[activation]
    outputs = [x]
    for w, b in layers[:-1]:
        outputs.append(function(outputs[-1] @ w + b))
    w, b = layers[-1]
    outputs.append(outputs[-1] @ w + b)
    return outputs


def log_softmax(logits):
    """Return the logarithms of the probabilities: (examples, classes) -> the same."""
    s = logits - logits.max(axis=1, keepdims=True)  # changes no probability, keeps exp small
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def loss(logits, labels):
    """Return the mean cross-entropy: minus the log probability of the right class.

    Args:
        logits: (examples, classes).
        labels: (examples,), class numbers.

    Raises:
        ValueError: a label is not a class number, or there is not one an example.
    """
    n, classes = logits.shape
    if labels.shape != (n,) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels has shape {labels.shape} and runs from {labels.min()} to {labels.max()}; "
            f"allowed: shape ({n},), 0 to {classes - 1}."
        )
    return -log_softmax(logits)[np.arange(n), labels].mean()


def backward(layers, outputs, labels, activation="relu"):
    """Backpropagation: return the slope of `loss` for every weight and bias.

    Args:
        layers, labels, activation: as in `forward` and `loss`.
        outputs: what `forward` returned.

    Returns:
        A list of (slope of w, slope of b), one pair a layer, shaped like the layers.
    """
    _, slope = ACTIVATIONS[activation]
    n = len(labels)
    delta = np.exp(log_softmax(outputs[-1]))  # the slope for the logits: probabilities ...
    delta[np.arange(n), labels] -= 1  # ... less 1 at the right class ...
    delta /= n  # ... and the loss is a mean over n examples
    slopes = []
    for i in reversed(range(len(layers))):
        slopes.insert(0, (outputs[i].T @ delta, delta.sum(axis=0)))
        if i > 0:  # through the weights, then through the activation, to the layer before
            w, _ = layers[i]
            delta = (delta @ w.T) * slope(outputs[i])
    return slopes


def step(layers, slopes, learning_rate):
    """Gradient descent: return the layers, each weight moved a little against its slope."""
    return [
        (w - learning_rate * dw, b - learning_rate * db) for (w, b), (dw, db) in zip(layers, slopes)
    ]


def MLP(
    input_shape=(28, 28, 1),
    classes=10,
    *,
    hidden=(128,),
    activation="relu",
    permuted=False,
    name="mlp",
):
    """Build the same network in Keras.

    Shapes: (batch, height, width, channels) -> (batch, classes), logits.

    Args:
        input_shape: (height, width, channels).
        classes: number of classes.
        hidden: neurons of each hidden layer; () builds a single layer, without a hidden one.
        activation: "relu", "sigmoid", "tanh", or "linear", which is none.
        permuted: put the pixels into a fixed random order first, as chapter 02 does.

    The weights start as in `initialise`, but Keras cuts the normal distribution off at two
    deviations and widens it to keep the deviation.

    Raises:
        ValueError: an argument is not one of the above.
    """
    check_image_input(input_shape, classes, 1, "MLP")
    check_choice("activation", activation, tuple(ACTIVATIONS))
    if not all(isinstance(units, int) and units > 0 for units in hidden):
        raise ValueError(f"hidden is {hidden!r}; allowed: positive integers, one a hidden layer.")
    image = keras.Input(input_shape, name="image")
    x = PixelPermutation(name="permuted")(image) if permuted else image
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate(hidden, start=1):
        x = keras.layers.Dense(
            units, activation, kernel_initializer="he_normal", name=f"hidden{number}"
        )(x)
    logits = keras.layers.Dense(classes, kernel_initializer="he_normal", name="output")(x)
    return keras.Model(image, logits, name=name)


VARIANTS = {"mlp_small": (MLP, {})}
