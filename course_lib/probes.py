"""Look inside a network: its gradients, its responses, and what it does without a block.

Nothing here changes the network: weights and moving averages are what they were before.
"""

import contextlib
import dataclasses

import keras
import numpy as np

from course_lib.convolution import shift
from course_lib.training import evaluate, fit


def _layers(model, kind):
    """Return a model's layers of a kind in the order of their weights, however deep inside."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


def _path(weight):
    """Return where a weight belongs, without the weight's own name and without "conv", "norm"."""
    parts = weight.path.split("/")[:-1]
    return "/".join(p for p in parts if p not in ("conv", "norm"))


def gradient_norms(model, images, labels):
    """Return {layer: norm of the loss's gradient for its kernel}, from the input to the output.

    The loss is the mean cross-entropy of one batch, with batch normalisation as in training.

    Args:
        model: a `keras.Model` that returns logits.
        images, labels: one batch.

    Raises:
        ValueError: the backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(f"the backend is {keras.backend.backend()}; allowed: tensorflow.")
    import tensorflow as tf

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    moving = [np.asarray(v) for v in model.non_trainable_variables]
    with tf.GradientTape() as tape:
        value = loss(labels, model(images, training=True))
    gradients = tape.gradient(value, [v.value for v in kernels])
    for variable, before in zip(model.non_trainable_variables, moving):
        variable.assign(before)
    # In double precision, because a vanished gradient squared is zero in single.
    norms = [float(np.linalg.norm(np.asarray(g, "float64"))) for g in gradients]
    return {_path(kernel): norm for kernel, norm in zip(kernels, norms)}


@contextlib.contextmanager
def _calls(layers, wrap):
    """Let each layer run wrap(layer, its own call) instead of its call, while the context lasts."""
    try:
        for layer in layers:
            object.__setattr__(layer, "call", wrap(layer, layer.call))
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)


def response_deviations(model, images):
    """Return {layer: standard deviation of what its batch normalisation gives}.

    That is before the activation and before anything is added. The moving averages are used, as
    in evaluation. Shortcuts are left out.
    """
    found = {}

    def wrap(layer, call):
        def observed(*args, **kwargs):
            outputs = call(*args, **kwargs)
            found[_path(layer.gamma)] = float(np.std(np.asarray(outputs)))
            return outputs

        return observed

    layers = _layers(model, keras.layers.BatchNormalization)
    layers = [layer for layer in layers if "/shortcut/" not in layer.gamma.path]
    with _calls(layers, wrap):
        model(images, training=False)
    return found


def error(model, images, labels, batch_size=500):
    """Return the share of pictures that a classifier gets wrong, computed without compiling."""
    wrong = 0
    for i in range(0, len(labels), batch_size):
        logits = np.asarray(model(images[i : i + batch_size], training=False))
        wrong += int((logits.argmax(axis=1) != labels[i : i + batch_size]).sum())
    return wrong / len(labels)


@contextlib.contextmanager
def without(model, name):
    """Take one block out of a network while the context lasts: its input passes on unchanged.

    Where the block changes the shape, its input is subsampled and filled up with zeros, or goes
    through the block's projection if it has one.

    Args:
        model: the network; call it directly, since compiled functions do not notice.
        name: a layer with a method `shortcut`, such as `course_lib.resnet.ResidualBlock`.

    Raises:
        ValueError: the layer cannot be taken out.
    """
    block = model.get_layer(name)
    if not hasattr(block, "shortcut"):
        raise ValueError(f"{name} is a {type(block).__name__}; allowed: a layer with a shortcut.")

    def wrap(layer, call):
        return lambda inputs, training=None: keras.ops.relu(layer.shortcut(inputs, training))

    with _calls([block], wrap):
        yield


# What a run of course_lib/experiments does after training (`after = ["probes.gradients"]`). Each
# takes the trained network, the splits as arrays, and a function that builds the untrained network
# again; it returns what the record keeps.

BATCH, TEST_IMAGES = 256, 1000
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def gradients(model, splits, untrained):
    """Return the gradient norms of one batch before and after training.

    {"start", "end": {"layers": as `gradient_norms`, "first": the first layer's norm,
    "first_over_last": that over the last convolution's}}.
    """
    images, labels = (part[:BATCH] for part in splits.train)
    found = {}
    for when, network in (("start", untrained()), ("end", model)):
        norms = gradient_norms(network, images, labels)
        first, *_, last, _ = norms.values()
        found[when] = {"layers": norms, "first": first, "first_over_last": first / last}
    return found


def responses(model, splits, untrained):
    """Return {"layers": as `response_deviations`, "mean": their mean} for one training batch."""
    found = response_deviations(model, splits.train[0][:BATCH])
    return {"layers": found, "mean": float(np.mean(list(found.values())))}


def blocks(model, splits, untrained):
    """Return the test error whole and without each residual block, on the first test pictures."""
    images, labels = (part[:TEST_IMAGES] for part in splits.test)
    removed = {}
    for layer in model.layers:
        if hasattr(layer, "shortcut"):
            with without(model, layer.name):
                removed[layer.name] = error(model, images, labels)
    return {"whole": error(model, images, labels), "removed": removed}


def shifts(model, splits, untrained):
    """Return the test accuracy on pictures moved by 0 to 4 pixels, the mean of four directions.

    {"0": ..., "4": ..., "lost": points of accuracy lost, mean of 1 to 4 pixels}.
    """
    images, labels = splits.test
    found = {}
    for pixels in range(5):
        moved = [shift(images, pixels * right, pixels * down) for right, down in DIRECTIONS]
        each = [evaluate(model, (pictures, labels))["accuracy"] for pictures in moved]
        found[str(pixels)] = float(np.mean(each))
    lost = [found["0"] - found[str(pixels)] for pixels in range(1, 5)]
    return {**found, "lost": 100 * float(np.mean(lost))}


def features(model, splits, untrained):
    """Return the test error in percent of one linear layer on pixels and on convolved features.

    {"pixels", "random": features of the untrained network, "learned": of the trained one}: the
    maps before the network is flattened. Each layer is trained on the same pictures.
    """
    keras.utils.set_random_seed(0)
    found = {}
    for name, network in (("pixels", None), ("random", untrained()), ("learned", model)):
        parts = {part: getattr(splits, part) for part in ("train", "validation", "test")}
        if network is not None:
            maps = keras.Model(network.input, network.get_layer("flatten").input)
            parts = {
                part: (maps.predict(images, batch_size=512, verbose=0), labels)
                for part, (images, labels) in parts.items()
            }
        changed = dataclasses.replace(splits, **parts)
        image = keras.Input(changed.train[0].shape[1:])
        logits = keras.layers.Dense(splits.classes)(keras.layers.Flatten()(image))
        layer = keras.Model(image, logits)
        fit(layer, changed, epochs=10, learning_rate=3e-3, progress=False)
        found[name] = 100 * evaluate(layer, changed.test)["error"]
    return found
