"""Answers to assignment 12."""

import math

import keras
import numpy as np

from answers import right, wrong
from course_lib import evidence, zoo

# pareto


def beaten(costs, errors, i):
    pairs = [(c, e) for c, e in zip(costs, errors)]
    return any(c <= costs[i] and e <= errors[i] and (c, e) != pairs[i] for c, e in pairs)


@wrong("pareto", "a high error is taken for good")
def front_of_errors(costs, errors):
    return front_by_scan(costs, [-e for e in errors])


@wrong("pareto", "the list is not in the order of the costs")
def front_unsorted(costs, errors):
    return [i for i in range(len(costs)) if not beaten(costs, errors, i)]


@wrong("pareto", "the dearest comes first")
def front_backwards(costs, errors):
    return front_by_scan(costs, errors)[::-1]


@wrong("pareto", "a network is beaten already if another has the same cost")
def front_strict(costs, errors):
    found = [
        i
        for i in range(len(costs))
        if not any(c < costs[i] and e < errors[i] for c, e in zip(costs, errors))
    ]
    return sorted(found, key=lambda i: costs[i])


@wrong("pareto", "these are all networks in the order of their costs")
def front_all(costs, errors):
    return np.argsort(costs, kind="stable")


@wrong("pareto", "this says of each network whether it is on the front")
def front_flags(costs, errors):
    return [not beaten(costs, errors, i) for i in range(len(costs))]


@wrong("pareto", "these are costs")
def front_costs(costs, errors):
    return [costs[i] for i in front_by_scan(costs, errors)]


@wrong("pareto", "these are the beaten ones")
def front_losers(costs, errors):
    return [i for i in np.argsort(costs, kind="stable") if beaten(costs, errors, i)]


@wrong("pareto", "these are the cheapest and the most accurate")
def front_ends(costs, errors):
    return [int(np.argmin(costs)), int(np.argmin(errors))]


@wrong("pareto", "The front has shape")
def front_cheapest(costs, errors):
    return [int(np.argmin(costs))]


@wrong("pareto", "two that agree in cost and in error")
def front_scan_strict(costs, errors):
    order = sorted(range(len(costs)), key=lambda i: (costs[i], errors[i]))
    found, best = [], np.inf
    for i in order:
        if errors[i] < best:
            found.append(i)
            best = errors[i]
    return found


@wrong("pareto", "a network does not beat itself")
def front_beats_itself(costs, errors):
    count = len(costs)
    found = [
        i
        for i in range(count)
        if not any(costs[j] <= costs[i] and errors[j] <= errors[i] for j in range(count) if j != i)
    ]
    return sorted(found, key=lambda i: costs[i])


@wrong("pareto", "changes an array that it was given")
def front_in_place(costs, errors):
    errors *= -1
    return front_by_scan(costs, -errors)


@right("pareto")
def front_by_scan(costs, errors):
    order = sorted(range(len(costs)), key=lambda i: (costs[i], errors[i]))
    found = []
    for i in order:
        last = found[-1] if found else None
        if last is None or errors[i] < errors[last]:
            found.append(i)
        elif errors[i] == errors[last] and costs[i] == costs[last]:
            found.append(i)
    return found


@right("pareto")
def front_by_pairs(costs, errors):
    found = [i for i in range(len(costs)) if not beaten(costs, errors, i)]
    return np.array(sorted(found, key=lambda i: costs[i]), "float32")


# entry


def image():
    return keras.Input((28, 28, 1))


def pooled(x):
    return keras.layers.GlobalAveragePooling2D()(x)


def small(x):
    return keras.layers.Conv2D(8, 5, strides=4, activation="relu")(x)


@wrong("entry", "The layer that costs most is `wide` with 11,289,600")
def entry_too_much_work():
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(image_ := image())
    x = keras.layers.Conv2D(100, 3, padding="same", name="wide")(x)
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "The layer that has most is `hidden` with 157,000")
def entry_too_many_weights():
    x = keras.layers.Dense(200, name="hidden")(keras.layers.Flatten()(image_ := image()))
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "a picture gives 100 numbers; there are 10 classes")
def entry_classes():
    x = small(image_ := image())
    return keras.Model(image_, keras.layers.Dense(100)(pooled(x)))


@wrong("entry", "a picture gives 6 x 6 x 10 numbers: maps are left over")
def entry_maps():
    x = small(image_ := image())
    return keras.Model(image_, keras.layers.Conv2D(10, 1)(x))


@wrong("entry", "the last layer is a softmax")
def entry_softmax():
    x = small(image_ := image())
    return keras.Model(image_, keras.layers.Dense(10, activation="softmax")(pooled(x)))


@wrong("entry", "the last layer has an activation")
def entry_relu():
    x = keras.layers.Dense(10)(keras.layers.Flatten()(small(image_ := image())))
    return keras.Model(image_, keras.layers.ReLU()(x))


@wrong("entry", "return a keras.Model; this is a list")
def entry_layers():
    return [keras.layers.Flatten(), keras.layers.Dense(10)]


@wrong("entry", "nothing comes back")
def entry_none():
    keras.Sequential([image(), keras.layers.Flatten(), keras.layers.Dense(10)])


@wrong("entry", "the model should have one input of shape (28, 28, 1)")
def entry_colour():
    x = small(image_ := keras.Input((32, 32, 3)))
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "the network is not built")
def entry_unbuilt():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])


@wrong("entry", "the batch size is fixed")
def entry_batch():
    x = small(image_ := keras.Input(batch_shape=(128, 28, 28, 1)))
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "the model should have one output; it has 2")
def entry_two_outputs():
    x = pooled(small(image_ := image()))
    return keras.Model(image_, [keras.layers.Dense(10)(x), keras.layers.Dense(10)(x)])


@wrong("entry", "the audit cannot count")
def entry_attention():
    x = keras.layers.Reshape((28, 28))(image_ := image())
    x = keras.layers.MultiHeadAttention(2, 8)(x, x)
    return keras.Model(image_, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@wrong("entry", "the audit cannot count `matmul")
def entry_matmul():
    x = keras.layers.Reshape((28, 28))(image_ := image())
    x = keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1)))
    return keras.Model(image_, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@wrong("entry", "it has no trainable weights")
def entry_frozen():
    x = pooled(small(image_ := image()))
    model = keras.Model(image_, keras.layers.Dense(10)(x))
    model.trainable = False
    return model


@wrong("entry", "every picture gets the same ten numbers")
def entry_zeros():
    x = keras.layers.Dense(64, activation="relu", kernel_initializer="zeros")(
        keras.layers.Flatten()(image_ := image())
    )
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "it does not learn")
def entry_tiny_start():
    x = keras.layers.Flatten()(image_ := image())
    for _ in range(5):
        start = keras.initializers.RandomNormal(stddev=1e-3)
        x = keras.layers.Dense(16, activation="relu", kernel_initializer=start)(x)
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "before any training the network already gives nan or infinity")
def entry_huge():
    start = keras.initializers.RandomNormal(stddev=1e20)
    x = keras.layers.Flatten()(image_ := image())
    for _ in range(2):
        x = keras.layers.Dense(50, kernel_initializer=start)(x)
    return keras.Model(image_, keras.layers.Dense(10, kernel_initializer=start)(x))


@wrong("entry", "stops with NameError")
def entry_typo():
    return keras.Model(imag, keras.layers.Dense(10)(imag))  # noqa: F821


@wrong("entry", "80% are wanted")
def entry_sigmoids():
    x = keras.layers.Flatten()(image_ := image())
    for _ in range(2):
        x = keras.layers.Dense(24, activation="sigmoid")(x)
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "The moving averages of batch normalisation change too slowly")
def entry_slow_averages():
    x = keras.layers.Conv2D(32, 5, strides=4, padding="same")(image_ := image())
    for _ in range(3):
        x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.999)(x))
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


def strides(norm=True, filters=(24, 48), side=5, last=keras.layers.Flatten):
    x = image_ = image()
    for channels in filters:
        x = keras.layers.Conv2D(channels, side, 2, "same")(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x) if norm else x
        x = keras.layers.ReLU()(x)
    return keras.Model(image_, keras.layers.Dense(10)(last()(x)))


once = []


@wrong("entry", "the same model comes back from two calls")
def entry_made_once():
    if not once:
        once.append(strides())
    return once[0]


@wrong("entry", "two calls share layers")
def entry_shared_layer():
    if len(once) < 2:
        once.extend([strides(), keras.layers.Dense(10)])
    image_ = image()
    return keras.Model(image_, once[-1](keras.layers.Flatten()(image_)))


def some_pictures():
    return np.ones((8, 28, 28, 1), "float32"), np.arange(8)


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@wrong("entry", "`fit` is called while the network is built: that is training")
def entry_fitted():
    model = strides()
    model.compile("adam", LOSS)
    model.fit(*some_pictures(), verbose=0)
    return model


@wrong("entry", "`train_on_batch` is called while the network is built: that is training")
def entry_trained_on_a_batch():
    model = strides()
    model.compile("adam", LOSS)
    model.train_on_batch(*some_pictures())
    return model


@wrong("entry", "`apply` is called while the network is built: that is training")
def entry_own_loop():
    model = strides()
    optimizer = keras.optimizers.Adam()
    optimizer.apply(
        [keras.ops.ones(w.shape) for w in model.trainable_variables], model.trainable_variables
    )
    return model


@wrong("entry", "`set_weights` is called while the network is built")
def entry_weights_kept():
    model = strides()
    model.set_weights(model.get_weights())
    return model


@wrong("entry", "has the same numbers: weights that are stored")
def entry_stored_kernel():
    model = strides()
    kernel = model.layers[1].kernel
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    return model


@wrong("entry", "this network has seen pictures")
def entry_averages_moved():
    model = strides()
    model(np.random.default_rng(0).normal(size=(8, 28, 28, 1)), training=True)
    return model


@wrong("entry", "two calls give different networks")
def entry_by_chance():
    once.append(None)
    return strides(filters=(8 + len(once),))


@right("entry")
def entry_of_strides():
    return strides()


# champion


@wrong("champion", "The best of the eight")
def champion_narrow():
    return strides(filters=(4, 8), side=3)


@wrong("champion", "are over the budget of 3,000,000")
def champion_resnet():
    return zoo.build("resnet_small")


@wrong("champion", "`load_weights` is called while the network is built")
def champion_loaded():
    model = strides()
    model.load_weights("my.weights.h5")
    return model


@right("champion")
def champion_of_strides():
    return strides()


# ablations

THREE = {
    "half the filters": lambda: tiny(filters=(2,)),
    "a small window": lambda: tiny(side=3),
    "the mean of each map": lambda: tiny(last=keras.layers.GlobalAveragePooling2D),
}


def tiny(filters=(4,), side=5, last=keras.layers.Flatten):
    return strides(False, filters, side, last)


def told(predict, measure, changes=THREE):
    for name in changes:
        predict(name, "worse")
    own = measure("own", tiny)
    said = {}
    for name, build in changes.items():
        _, low, high = evidence.welch(own, measure(name, build))
        said[name] = "better" if low > 0 else "worse" if high < 0 else "undecided"
    return said


@wrong("ablations", "has no prediction")
def ablations_unpredicted(predict, measure):
    return {name: measure(name, build) for name, build in THREE.items()}


@wrong("ablations", "there is no prediction")
def ablations_typed(predict, measure):
    return {name: "worse" for name in THREE}


@wrong("ablations", "predict 'better' or 'worse'")
def ablations_own_words(predict, measure):
    predict("half the filters", "a bit worse")


@wrong("ablations", "a change needs a name other than 'own'")
def ablations_own(predict, measure):
    predict("own", "better")


@wrong("ablations", "there are predictions for 1 changes")
def ablations_one(predict, measure):
    predict("half the filters", "worse")
    return {"half the filters": "worse"}


@wrong("ablations", "'own' was not measured")
def ablations_without_own(predict, measure):
    for name in THREE:
        predict(name, "worse")
    return {name: "worse" for name in THREE}


@wrong("ablations", "not entry()")
def ablations_a_model(predict, measure):
    predict("half the filters", "worse")
    return measure("half the filters", tiny(filters=(2,)))


@wrong("ablations", "it is the same network")
def ablations_unchanged(predict, measure):
    return told(predict, measure, THREE | {"a small window": tiny})


@wrong("ablations", "predict all changes first")
def ablations_late(predict, measure):
    predict("half the filters", "worse")
    measure("own", tiny)
    predict("a small window", "worse")


@wrong("ablations", "return a dictionary with your 3 names")
def ablations_list(predict, measure):
    return list(told(predict, measure).values())


@wrong("ablations", "say one of 'better', 'worse', 'undecided'")
def ablations_numbers(predict, measure):
    return dict.fromkeys(told(predict, measure), -3.5)


@wrong("ablations", "and not 'better'")
def ablations_better(predict, measure):
    return dict.fromkeys(told(predict, measure), "better")


@right("ablations")
def ablations_of_a_tiny_one(predict, measure):
    return told(predict, measure)


# mended

EARLY = "the schedule ends too early"


def mended_cause(cause, says):
    def answer(pictures, batch, epochs):
        return cause, None

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_rate = mended_cause("learning rate too high", "then a constant 0.003 would fail too")
mended_overfitting = mended_cause("overfitting", "the pictures are those that it trains on")
mended_dying = mended_cause("dying units", "the same network learns with a constant rate")
mended_passes = mended_cause("too few passes", "nothing moves at all")
mended_own_words = mended_cause("decay_steps", "the cause should be one of")


def cosine(steps, rate=3e-3):
    return keras.optimizers.schedules.CosineDecay(rate, steps)


def mended_wrong(name, says, schedule):
    def answer(pictures, batch, epochs):
        return EARLY, schedule(pictures, batch, epochs)

    answer.__name__ = name
    return wrong("mended", says)(answer)


mended_epochs = mended_wrong("mended_epochs", "still counts passes", lambda p, b, e: cosine(e))
mended_one_pass = mended_wrong(
    "mended_one_pass", "ends with the first pass", lambda p, b, e: cosine(math.ceil(p / b))
)
mended_pictures = mended_wrong(
    "mended_pictures", "these are pictures, not steps", lambda p, b, e: cosine(p * e)
)
mended_one_pass_of_pictures = mended_wrong(
    "mended_one_pass_of_pictures", "the pictures of one pass", lambda p, b, e: cosine(p)
)
mended_half = mended_wrong(
    "mended_half", "the schedule ends half-way", lambda p, b, e: cosine(math.ceil(p / b) * e / 2)
)
mended_constant = mended_wrong(
    "mended_constant", "the rate is the same at every step", lambda p, b, e: lambda step: 3e-3
)
mended_other_rate = mended_wrong(
    "mended_other_rate",
    "the schedule begins at 0.01",
    lambda p, b, e: cosine(math.ceil(p / b) * e, 1e-2),
)
mended_exponential = mended_wrong(
    "mended_exponential",
    "half-way and",
    lambda p, b, e: keras.optimizers.schedules.ExponentialDecay(3e-3, math.ceil(p / b) * e, 0.1),
)
mended_optimizer = mended_wrong(
    "mended_optimizer",
    "this is an optimiser",
    lambda p, b, e: keras.optimizers.Adam(cosine(math.ceil(p / b) * e)),
)
mended_number = mended_wrong("mended_number", "this is a int", lambda p, b, e: math.ceil(p / b) * e)


@right("mended")
def mended_whole_batches(pictures, batch, epochs):
    return EARLY, cosine(pictures // batch * epochs)


@right("mended")
def mended_by_hand(pictures, batch, epochs):
    last = -(-pictures // batch) * epochs
    return [EARLY, lambda step: 0.0015 * (1 + math.cos(math.pi * min(1, step / last)))]
