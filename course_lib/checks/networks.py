"""What the checks of several assignments share: whole networks, trainings, experiments, patients.

`expect_network` compares a whole network with the course's, weight by weight; `expect_trained` asks
a network that a learner has trained; `experiment` keeps a prediction until the numbers are there;
`diagnosed` judges what a learner says of a network that fails.
"""

import dataclasses
import functools
import zlib

import numpy as np

from course_lib.checks import Mistake, expect_model, numbers, parts, same

# ---- build: a whole network ---------------------------------------------------------------------


def fill(model):
    """Give every weight numbers that depend on its kind and shape alone.

    Two networks of one structure then give the same output, in whatever order and with whatever
    layers their weights were made.
    """
    for weight in model.weights:
        shape, kind = tuple(weight.shape), weight.name
        if len(shape) > 1:
            kind = "kernel"
        rng = np.random.default_rng(zlib.crc32(repr((kind, shape)).encode()))
        value = rng.normal(size=shape)
        if kind == "kernel":
            fan_in = np.prod(shape[:-1]) if shape[-1] > 1 or len(shape) < 4 else shape[0] ** 2
            value *= np.sqrt(2 / fan_in)
        elif kind in ("gamma", "moving_variance"):
            value = 1 + 0.3 * np.abs(value)
        else:
            value *= 0.2
        weight.assign(value.astype("float32"))


@dataclasses.dataclass
class Facts:
    """What tells two networks apart: counts, shapes of kernels, and the output from `fill`."""

    params: int
    macs: int
    kernels: list
    kinds: dict
    rows: list
    output: np.ndarray
    drops: bool


def kernels_of(model):
    """Return what is counted first, since it is quick: the parameters and the shapes of kernels."""
    return model.count_params(), sorted(tuple(w.shape) for w in model.weights if len(w.shape) > 1)


def facts(model, scale=1.0):
    """Return the facts of a built model; its weights are those of `fill` afterwards."""
    import keras

    from course_lib.audit import audit

    try:
        counted = audit(model)
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise Mistake(
            f"its layers cannot be counted ({type(error).__name__}: {reason}). Use Keras's layers."
        ) from None
    fill(model)
    drops = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise)
    kinds = {}
    for weight in model.weights:
        kinds[weight.name] = kinds.get(weight.name, 0) + 1
    shape = tuple(model.inputs[0].shape[1:])
    x = scale * np.random.default_rng(5).normal(size=(3, *shape)).astype("float32")
    rows = [row for row in counted.rows if row.macs]
    dropping = [layer for layer in model._flatten_layers() if isinstance(layer, drops)]
    return Facts(
        counted.params,
        counted.macs,
        kernels_of(model)[1],
        kinds,
        rows,
        logits_of(model, x),
        any(rate_of(layer) > 0 for layer in dropping),
    )


@functools.cache
def course_model(make):
    """Return a network of the course's, built once."""
    return make()


@functools.cache
def course_facts(make, scale):
    """Return its facts, counted once."""
    return facts(course_model(make), scale)


def rate_of(layer):
    """Return the share that a layer drops, or the deviation of the noise it adds."""
    return getattr(layer, "rate", None) or getattr(layer, "stddev", 0)


def alike(one, other, tolerance=2e-2):
    """Say whether two facts belong to the same network. Epsilons are free, hence the tolerance."""
    if (one.params, one.macs, one.kernels) != (other.params, other.macs, other.kernels):
        return False
    return same(one.output, other.output, tolerance)


def names_of(shapes, most=3):
    """Return kernels as text, for a message."""
    text = [" x ".join(map(str, shape)) for shape in shapes[:most]]
    return ", ".join(text) + (" and others" if len(shapes) > most else "")


def left_over(some, others):
    """Return what is in the first list and not in the second, each as often as it is left."""
    rest, others = [], list(others)
    for item in some:
        others.remove(item) if item in others else rest.append(item)
    return rest


def expect_network(model, shape, right, mistakes=None, scale=1.0):
    """Raise `Mistake` unless a model is the same network as the course's.

    Compared are the parameters, the kernels, the multiply-adds, and the output of both when their
    weights are filled with the same numbers.

    Args:
        model: what the answer returned; anything.
        shape: (height, width, channels) of the pictures.
        right: a function that returns the course's network. It is called once for all checks.
        mistakes: message -> a function that returns the network which this mistake makes. It is
            called only if the answer is not right, and once for all checks if it is the same.
        scale: of the pictures that are compared; local response normalisation needs large ones.

    Returns:
        A sentence with the network's parameters and multiply-adds.
    """
    model = expect_model(model, shape)
    wanted, found = course_facts(right, scale), facts(model, scale)
    if alike(found, wanted):
        if found.drops and not wanted.drops:
            raise Mistake("there is a Dropout layer in it; this network has none.")
        if wanted.drops and not found.drops:
            raise Mistake("the Dropout is missing.")
        return f"It has {wanted.params:,} parameters and does {wanted.macs:,} multiply-adds."
    last = getattr(getattr(model.layers[-1], "activation", None), "__name__", "linear")
    if last == "softmax" or np.allclose(found.output.sum(axis=-1), 1, atol=1e-3):
        raise Mistake("the network ends in a softmax. Return the logits; the loss takes them.")
    for message, make in (mistakes or {}).items():
        same_kernels = kernels_of(course_model(make)) == (found.params, found.kernels)
        if same_kernels and alike(found, course_facts(make, scale)):
            raise Mistake(message)
    if found.output.shape != wanted.output.shape:
        raise Mistake(
            f"a picture gives an output of shape {found.output.shape[1:]}; it should be "
            f"{wanted.output.shape[1:]}."
        )
    different(found, wanted)


def different(found, wanted):
    """Raise `Mistake` with the first difference between the facts of two networks."""
    missing = left_over(wanted.kernels, found.kernels)
    extra = left_over(found.kernels, wanted.kernels)
    if missing or extra:
        lacks = f"there is none of {names_of(missing)}" if missing else "none is missing"
        has = f"there is one of {names_of(extra)} too many" if extra else "none is too many"
        raise Mistake(
            f"the kernels (window, channels in, channels out) are not those of the network: {lacks}"
            f", and {has}."
        )
    names = {"bias": "biases", "gamma": "batch normalisations"}
    for kind, what in names.items():
        has, should = found.kinds.get(kind, 0), wanted.kinds.get(kind, 0)
        if has != should:
            raise Mistake(f"{has} layers have {what}; it should be {should}.")
    if found.params != wanted.params:
        raise Mistake(
            f"the network has {found.params:,} parameters; it should have {wanted.params:,}."
        )
    if found.macs != wanted.macs:
        sides = [(row.output_shape, row) for row in wanted.rows]
        for row in found.rows:
            if all(shape != row.output_shape for shape, _ in sides):
                raise Mistake(
                    f"the layer `{row.path}` makes maps of {row.output_shape}, which no layer of "
                    "the network does. Look at the strides, the padding and the poolings before it."
                )
        raise Mistake(
            f"the network does {found.macs:,} multiply-adds; it should do {wanted.macs:,}. Look at "
            "the strides, the padding and where the poolings stand."
        )
    raise Mistake(
        "all weights and shapes are right, and with the same numbers in them the output is "
        "another. Look at the activations, the kind of pooling and the order of the layers."
    )


# ---- train --------------------------------------------------------------------------------------


@functools.cache
def pictures(train, validation=1000, tested=1000):
    """Return the course's splits of Fashion-MNIST, cut to so many pictures each."""
    from course_lib import data

    splits = data.load(numpy=True, train_limit=train)

    def cut(pair, number):
        return tuple(part[:number] for part in pair)

    return dataclasses.replace(
        splits,
        validation=cut(splits.validation, validation),
        test=cut(splits.test, tested),
    )


def a_model(model, shape):
    """Return what `expect_model` makes of an answer that should be a trained network."""
    if type(model).__name__ == "History":
        raise Mistake("this is what fit returns, the history. Return the model itself.")
    return expect_model(model, shape)


def expect_own(model, right):
    """Raise `Mistake` unless a model has as many parameters as the network of another exercise.

    Args:
        model: from `a_model`.
        right: a function that returns the course's network, see `expect_network`.
    """
    found, wanted = model.count_params(), course_model(right).count_params()
    if found != wanted:
        raise Mistake(f"this model has {found:,} parameters; your `network` has {wanted:,}.")


def expect_small(model, most):
    """Raise `Mistake` where a network has more than `most` parameters; return its 4-D kernels."""
    if model.count_params() > most:
        raise Mistake(f"it has {model.count_params():,} parameters; {most:,} are allowed.")
    return [tuple(w.shape) for w in model.weights if len(w.shape) == 4]


def no_full_convolution(kernels, mine):
    """Raise `Mistake` where one of a network's kernels sees both neighbours and channels.

    Args:
        kernels: from `expect_small`.
        mine: what stands behind the first convolution, "blocks" or "units".
    """
    full = [k for k in kernels if k[0] > 1 and k[2] > 1 and k[3] > 1]
    if full:
        raise Mistake(
            f"there is a full convolution in it, {' x '.join(map(str, full[0]))}. Only the first "
            f"may be one; behind it stand your {mine}."
        )


def fitted(model, pair, rate, batch_size, epochs):
    """Train a network of logits with Adam, in the order of seed 0; return what `fit` says.

    Args:
        pair: pictures and labels.
    """
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    keras.utils.set_random_seed(0)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)  # in the first step, it is traced twice
    return model.fit(*pair, batch_size, epochs, verbose=0).history


def expect_cured(model, splits, recipe, bound, reason=""):
    """Return a sentence on how many new pictures a mended network sorts right, trained again.

    Args:
        recipe: (rate, batch size, epochs), the friend's.
        bound: the share that must be right.
        reason: what it means if fewer are.

    Raises:
        Mistake: fewer are right.
    """
    fitted(model, splits.train, *recipe)
    images, labels = splits.validation
    right = float((logits_of(model, images).argmax(axis=1) == labels).mean())
    if not right > bound:
        raise Mistake(
            f"trained again, it sorts {right:.0%} of new pictures right; {bound:.0%} are asked. "
            f"{reason}".rstrip()
        )
    return f"Trained again by the same recipe: {right:.0%} of new pictures are right."


def logits_of(model, images):
    """Return what a model makes of many pictures, as float64.

    Raises:
        Mistake: it fails.
    """
    import keras

    try:
        found = [
            keras.ops.convert_to_numpy(model(images[i : i + 250], training=False))
            for i in range(0, len(images), 250)
        ]
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise Mistake(f"the model stops with {type(error).__name__} ({reason}).") from None
    return numbers(np.concatenate(found))


def expect_trained(model, splits, bound, slow="More passes, or another rate."):
    """Return a sentence on how many new pictures a trained model sorts right.

    Args:
        model: from `expect_model`, trained by the learner on all pictures of `splits.train`.
        bound: the share of the validation pictures that must be right.
        slow: what helps a network that learns too slowly.

    Raises:
        Mistake: fewer are right, with what can be seen of the reason.
    """
    (x, labels), (new_x, new_labels) = splits.train, splits.validation
    logits = logits_of(model, new_x)
    if logits.ndim != 2 or logits.shape[1] <= new_labels.max():
        raise Mistake(
            f"a picture gives an output of shape {logits.shape[1:]}; it should give one number a "
            "class."
        )
    if not np.all(np.isfinite(logits)):
        raise Mistake(
            "the outputs are nan or infinite: the learning rate is too high, or the loss got what "
            "it does not take."
        )
    guesses = logits.argmax(axis=1)
    new = float((guesses == new_labels).mean())
    if new >= bound:
        seen = float((logits_of(model, x[:500]).argmax(axis=1) == labels[:500]).mean())
        return f"Right: {seen:.1%} of pictures that it has seen, {new:.1%} of new ones."
    if np.all(guesses == guesses[0]):
        raise Mistake(
            f"it has not learned: it says class {guesses[0]} to every picture. Nothing has moved, "
            "or the learning rate is too high."
        )
    if new < 0.25:
        raise Mistake(
            f"it has not learned: of new pictures {new:.1%} are right, about as by guessing. Is "
            "the model that you return the one that you trained, on these labels?"
        )
    raise Mistake(f"it learns too slowly: {new:.1%}, and {bound:.0%} are wanted. {slow}")


# ---- predict, then measure ----------------------------------------------------------------------

predictions = {}  # exercise -> the first prediction; it stays while the notebook runs


def experiment(answer, choices, measure):
    """Call `answer(predict, measure)` and return ({arguments: number}, what it concludes).

    The first prediction is kept, and shown beside the conclusion. It is not marked.

    Args:
        choices: the sentences that can be predicted and concluded.
        measure: a function of hashable arguments; it is called once for each.

    Raises:
        Mistake: measured before predicted, no prediction, or a word that is no choice.
    """
    measured, said_now = {}, []
    allowed = ", ".join(f"{choice!r}" for choice in choices)

    def predict(choice):
        if choice not in choices:
            raise Mistake(f"predict takes one of {allowed}; it got {choice!r}.")
        said_now.append(choice)
        predictions.setdefault(answer.name, choice)
        return choice

    def measuring(*arguments):
        if not said_now:
            raise Mistake("predict first, then measure: what do you expect, before you look?")
        if arguments not in measured:
            measured[arguments] = measure(*arguments)
        return measured[arguments]

    concluded = answer(predict, measuring)
    if not said_now:
        raise Mistake("there is no prediction. Call predict(...) in the first line.")
    if not measured:
        raise Mistake("nothing was measured. Call measure(...) before you conclude.")
    if not isinstance(concluded, str) or concluded not in choices:
        raise Mistake(f"return one of {allowed}; this is {str(concluded)[:60]!r}.")
    return measured, concluded


def tell(name, measured, concluded):
    """Return what was predicted, measured and concluded, for the learner."""
    rows = "; ".join(
        f"measure({', '.join(map(repr, arguments))}) = {value:.1f}"
        for arguments, value in measured.items()
    )
    return f"You predicted {predictions[name]!r}. Measured: {rows}. You conclude {concluded!r}."


# ---- the sick network ---------------------------------------------------------------------------


def diagnosed(result, right, causes, cure="the mended part"):
    """Return what an answer gives beside the cause, or raise `Mistake` where the cause is wrong.

    Args:
        result: (cause, cure), as an answer returned it.
        right: the cause.
        causes: each other cause -> why it is not this one, from what can be seen.
    """
    cause, mended = parts(result, ("the cause", cure))
    if not isinstance(cause, str) or cause not in (right, *causes):
        allowed = ", ".join(f"{name!r}" for name in sorted((right, *causes)))
        raise Mistake(f"the cause should be one of {allowed}; this is {str(cause)[:60]!r}.")
    if cause != right:
        raise Mistake(f"{cause!r} is not the cause: {causes[cause]}")
    return mended
