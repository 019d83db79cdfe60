"""What the checks of several assignments share: whole networks, trainings, experiments, patients.

`expect_network` compares a whole network with the course's, weight by weight; `learn` and `Bench`
train by one recipe on fixed pictures; `experiment` keeps a prediction until the numbers are there;
`diagnosed` judges what a learner says of a network that fails.
"""

import contextlib
import dataclasses
import functools
import io
import json
import zlib

import numpy as np

from course_lib.checks import Mistake, expect_model, parts, same

BATCH, RATE = 64, 3e-3


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


def facts(model):
    """Return the facts of a built model; its weights are those of `fill` afterwards."""
    import keras

    from course_lib.audit import audit

    counted = audit(model)
    fill(model)
    kinds = {}
    for weight in model.weights:
        kinds[weight.name] = kinds.get(weight.name, 0) + 1
    kernels = sorted(tuple(w.shape) for w in model.weights if len(w.shape) > 1)
    shape = tuple(model.inputs[0].shape[1:])
    x = np.random.default_rng(5).normal(size=(3, *shape)).astype("float32")
    output = np.asarray(keras.ops.convert_to_numpy(model(x, training=False)), "float64")
    rows = [row for row in counted.rows if row.macs]
    return Facts(counted.params, counted.macs, kernels, kinds, rows, output)


def alike(one, other, tolerance=2e-2):
    """Say whether two facts belong to the same network. Epsilons are free, hence the tolerance."""
    return (
        (one.params, one.macs, one.kernels) == (other.params, other.macs, other.kernels)
        and one.kinds == other.kinds
        and same(one.output, other.output, tolerance)
    )


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


def expect_network(model, right, mistakes=None):
    """Raise `Mistake` unless a model is the same network as the course's.

    Compared are the parameters, the kernels, the multiply-adds, and the output of both when their
    weights are filled with the same numbers.

    Args:
        model: what the answer returned; anything.
        right: a function that returns the course's network.
        mistakes: message -> a function that returns the network which this mistake makes. It is
            called only if the answer is not right.
    """
    right = right()
    shape = tuple(right.inputs[0].shape[1:])
    model = expect_model(model, shape)
    wanted, found = facts(right), facts(model)
    if alike(found, wanted):
        random_in_training(model, right)
        return
    last = getattr(getattr(model.layers[-1], "activation", None), "__name__", "linear")
    if last == "softmax" or np.allclose(found.output.sum(axis=-1), 1, atol=1e-3):
        raise Mistake("the network ends in a softmax. Return the logits; the loss takes them.")
    for message, make in (mistakes or {}).items():
        if alike(found, facts(make())):
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


def random_in_training(model, right):
    """Raise `Mistake` if one of two equal networks drops out and the other does not."""
    import keras

    kinds = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise)
    has, should = (
        sum(isinstance(layer, kinds) and layer.rate > 0 for layer in m._flatten_layers())
        for m in (model, right)
    )
    if has and not should:
        raise Mistake("there is a Dropout layer in it; this network has none.")
    if should and not has:
        raise Mistake("the Dropout is missing.")


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


def learn(model, splits, epochs, **recipe):
    """Train a model quietly by the course's recipe and return one row an epoch.

    Raises:
        Mistake: training stops with an error, is interrupted, or the loss is no number.
    """
    from course_lib import training

    recipe = {"batch_size": BATCH, "learning_rate": RATE, **recipe}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            history = training.fit(model, splits, epochs=epochs, **recipe, progress=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise Mistake(f"training stops with {type(error).__name__} ({reason}).") from None
    if history["interrupted"]:
        raise Mistake("training was interrupted. Run the check again.")
    if not np.isfinite(history["epochs"][-1]["loss"]):
        raise Mistake(
            "the training loss is not a number. A start with large weights does this: take Keras's "
            "default, or batch normalisation after each convolution."
        )
    return history["epochs"]


def curve(losses):
    """Return a learner's losses as text, at most eight of them."""
    losses = list(losses)
    step = max(1, -(-len(losses) // 8))
    shown = losses[::step]
    if losses and (len(losses) - 1) % step:
        shown.append(losses[-1])
    return ", ".join(f"{loss:.2f}" for loss in shown)


def structure(model):
    """Return a text that is the same for two models of one structure, whatever their names."""
    layers = [
        (type(layer).__name__, {k: v for k, v in layer.get_config().items() if k != "name"})
        for layer in model._flatten_layers(include_self=False)
        if not hasattr(layer, "layers")
    ]
    counted = facts(model)
    return json.dumps([layers, counted.params, counted.macs], default=str)


def new_start(model, seed):
    """Return a copy of a model with weights of its own, drawn anew from its initialisers.

    Raises:
        Mistake: its structure cannot be read, as with a class of its own.
    """
    import keras

    keras.utils.set_random_seed(seed)
    try:
        return keras.models.clone_model(model)
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise Mistake(
            f"no new network can be made from this one ({type(error).__name__}: {reason}). Write "
            "it with keras.Sequential or keras.Model(image, x) and Keras's own layers."
        ) from None


class Bench:
    """Trains networks by one short recipe from any seed, and remembers what came out.

    A network is traced once, however many seeds it is started from.
    """

    def __init__(self, train=1000, epochs=3, batch=50, rate=RATE):
        self.train, self.epochs, self.batch, self.rate = train, epochs, batch, rate
        self.models, self.scores = {}, {}

    def score(self, model, seed):
        """Return the accuracy in % on 1,000 validation pictures after the short training."""
        key = structure(model)
        if (key, seed) in self.scores:
            return self.scores[key, seed]
        import keras

        (x, labels), (new_x, new_labels) = (
            getattr(pictures(self.train), name) for name in ("train", "validation")
        )
        fresh = new_start(model, seed)
        if key not in self.models:
            rate = keras.optimizers.schedules.CosineDecay(
                self.rate, self.epochs * -(-len(x) // self.batch)
            )
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            fresh.compile(keras.optimizers.Adam(rate), loss)
            fresh.optimizer.build(fresh.trainable_variables)
            self.models[key] = fresh
        used = self.models[key]
        if used is not fresh:
            used.set_weights(fresh.get_weights())
            for variable in used.optimizer.variables:
                variable.assign(np.zeros(variable.shape, variable.dtype))
        used.fit(x, labels, self.batch, self.epochs, verbose=0)
        right = used.predict(new_x, batch_size=500, verbose=0).argmax(axis=1) == new_labels
        self.scores[key, seed] = float(100 * right.mean())
        return self.scores[key, seed]


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
