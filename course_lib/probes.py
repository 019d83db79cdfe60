"""Look inside a network: its gradients, responses, connections, and what it does without a block.

Every network of the course can be asked. Nothing here changes it: weights and moving averages are
what they were before.
"""

import contextlib
import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from course_lib import compression
from course_lib.arguments import check_choice
from course_lib.audit import calls
from course_lib.convolution import shift
from course_lib.metrics import near_duplicates
from course_lib.training import evaluate, fit, main_output


def _layers(model, kind):
    """Return a model's layers of a kind in the order of their weights, however deep inside."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


def _path(weight):
    """Return where a weight belongs: its path without its own name, and without a last "conv" or
    "norm" below another name."""
    parts = weight.path.split("/")[:-1]
    return "/".join(parts[:-1] if parts[1:] and parts[-1] in ("conv", "norm") else parts)


def _gradients(function, values):
    """Return the gradients of a number for a list of arrays."""
    check_choice("the backend", keras.backend.backend(), ("tensorflow", "jax"))
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)(values)
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for value in values:
            tape.watch(value)
        number = function(values)
    return tape.gradient(number, values)


def gradient_norms(model, images, labels):
    """Return {layer: norm of the loss's gradient for its kernel}, from the input to the output.

    The loss is the mean cross-entropy of one batch, with batch normalisation as in training.

    Args:
        model: a `keras.Model` that returns logits; auxiliary classifiers have no part in the loss.
        images, labels: one batch.

    Raises:
        ValueError: the backend is neither TensorFlow nor JAX.
    """
    variables = [v.value for v in model.trainable_variables]
    state = [v.value for v in model.non_trainable_variables]

    def loss(values):
        outputs, _ = model.stateless_call(values, state, images, training=True)
        entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return entropy(labels, main_output(outputs))

    gradients = _gradients(loss, variables)
    norms = {}
    for variable, gradient in zip(model.trainable_variables, gradients):
        if variable.name == "kernel" and gradient is not None:
            # In double precision, because a vanished gradient squared is zero in single.
            norms[_path(variable)] = float(np.linalg.norm(np.asarray(gradient, "float64")))
    return norms


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
    layers = [layer for layer in layers if "/projection/" not in layer.gamma.path]
    with calls(layers, wrap):
        model(images, training=False)
    return found


def fine_layer(model, side=6):
    """Return the last layer whose maps have at least `side` pixels a side.

    Raises:
        ValueError: there is none.
    """
    layers = [x for x in model.layers[1:] if len(getattr(x.output, "shape", ())) == 4]
    fine = [layer for layer in layers if layer.output.shape[1] >= side]
    if not fine:
        raise ValueError(f"no layer of {model.name!r} has maps of at least {side} x {side} pixels.")
    return fine[-1]


def grad_cam(model, images, classes, side=6):
    """Return where each picture raised the logit of a class: Grad-CAM (Selvaraju et al., ICCV
    2017, section 3).

    The maps of one layer are added up, each weighted by the mean gradient of the logit for it;
    what is below zero becomes zero. The layer is `fine_layer`: in the small forms, the very last
    maps are too coarse to show a place.

    Args:
        model: a `keras.Model` that returns logits.
        images: (n, height, width, channels).
        classes: n class numbers.
        side: pixels.

    Returns:
        (n, h, w) numbers of at least 0, h x w those of the layer's maps.

    Raises:
        ValueError: no layer has such maps, or the backend is neither TensorFlow nor JAX.
    """
    maps = fine_layer(model, side).output
    head = keras.Model(maps, main_output(model.output))
    values = keras.Model(model.input, maps)(images, training=False)

    def score(values):
        chosen = keras.ops.one_hot(np.asarray(classes), head.output.shape[-1])
        return keras.ops.sum(chosen * head(values[0], training=False))

    (gradient,) = _gradients(score, [values])
    importance = np.asarray(gradient).mean(axis=(1, 2), keepdims=True)
    return np.maximum((importance * np.asarray(values)).sum(axis=3), 0)


def error(model, images, labels, batch_size=500):
    """Return the share of pictures that a classifier gets wrong, computed without compiling."""
    wrong = 0
    for i in range(0, len(labels), batch_size):
        logits = np.asarray(main_output(model(images[i : i + batch_size], training=False)))
        wrong += int((logits.argmax(axis=1) != labels[i : i + batch_size]).sum())
    return wrong / len(labels)


@contextlib.contextmanager
def without(model, name):
    """Take one residual layer out of a network while the context lasts.

    Of a block with a shortcut the input passes on: where the shape changes, subsampled and filled
    up with zeros, or through the block's projection if it has one. A layer that an `Add` joins to
    its own input gives zeros.

    Args:
        model: the network; call it directly, since compiled functions do not notice.
        name: a layer with a method `skip`, such as `resnet.ResidualBlock` or
            `shufflenet.ShuffleUnit` at stride 1, or one beside a bypass, as in SqueezeNet.

    Raises:
        ValueError: the layer cannot be taken out.
    """
    block = model.get_layer(name)
    skip = getattr(block, "skip", None)
    if skip is not None and skip(block.input).shape != block.output.shape:
        skip = None  # it is concatenated, not added
    sums = [n.operation for n in block._outbound_nodes if isinstance(n.operation, keras.layers.Add)]
    if skip is None and not any(block.input is part for total in sums for part in total.input):
        raise ValueError(
            f"{name} is a {type(block).__name__}; allowed: a layer that is added to its input."
        )

    def wrap(layer, call):
        if skip is not None:
            return lambda x: keras.ops.relu(skip(x))
        return lambda *args, **kwargs: keras.ops.zeros_like(call(*args, **kwargs))

    with calls([block], wrap):
        yield


def connections(block):
    """Return how strongly each layer of a `densenet.DenseBlock` uses each of its sources.

    Returns:
        An array (sources, layers): the mean absolute weight that a layer's first convolution
        gives to a source. Source 0 is the block's input, source s the output of layer s. NaN
        where a layer comes too early to see the source.

    Raises:
        ValueError: the block adds, so that the sources cannot be told apart.
    """
    if block.config["connection"] != "concatenate":
        raise ValueError("connection is 'add'; sources are told apart only by 'concatenate'.")
    count, growth = block.config["count"], block.config["growth"]
    strength = np.full((count, count), np.nan)
    for i, layer in enumerate(block.dense_layers):
        first = next(weight for weight in layer.weights if weight.name == "kernel")
        kernel = np.abs(keras.ops.convert_to_numpy(first))
        channels = kernel.shape[2] - i * growth  # of the block's input
        ends = [channels + s * growth for s in range(i)]
        for source, part in enumerate(np.split(kernel, ends, axis=2)):
            strength[source, i] = part.mean()
    return strength


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
        if hasattr(layer, "skip"):
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


def without_duplicates(model, splits, untrained):
    """Return the test error in percent on pictures that no training picture nearly equals.

    {"near_duplicates": how many test pictures do, "error"}; see `metrics.near_duplicates`.
    """
    images, labels = splits.test
    double = near_duplicates(images, splits.train[0])
    error = 100 * evaluate(model, (images[~double], labels[~double]))["error"]
    return {"near_duplicates": int(double.sum()), "error": error}


def silent_classes(model, splits, untrained):
    """Return how many classes get a logit above zero from no test picture."""
    logits = main_output(model.predict(splits.test[0], batch_size=512, verbose=0))
    return int((logits.max(axis=0) <= 0).sum())


def compressed(model, splits, untrained):
    """Return the test error in percent after each step of Deep Compression, and the bytes.

    "trained"; "unpruned", the control: trained on as long as the pruned network is; "pruned" by
    `compression.SQUEEZENET_KEEP`; "retrained"; and "files": for 8, 6, 4 and 2 bits the "error" of
    the network restored from the file, the bytes of the "file" and of the "original" parameters.
    """

    def percent(network):
        return 100 * evaluate(network, splits.test)["error"]

    def train_on(network):
        recipe = {"epochs": 10, "learning_rate": 1e-3, "weight_decay": 0.05, "keep": "last"}
        fit(network, splits, **recipe, progress=False)
        return percent(network)

    control = untrained()
    control.set_weights(model.get_weights())
    found = {"trained": percent(model), "unpruned": train_on(control)}
    compression.prune(model, compression.SQUEEZENET_KEEP)
    found |= {"pruned": percent(model), "retrained": train_on(model), "files": {}}
    with TemporaryDirectory() as folder:
        for bits in (8, 6, 4, 2):
            file = Path(folder) / f"{bits}.dc"
            sizes = dataclasses.asdict(compression.write(model, file, bits))
            restored = compression.restore(untrained(), file)
            found["files"][str(bits)] = {**sizes, "error": percent(restored)}
    return found
