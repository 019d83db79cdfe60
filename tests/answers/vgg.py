"""Answers to assignment 05."""

import functools

import keras
import numpy as np

from answers import hasty, in_a_class, right, wrong
from course_lib.vgg import SMALL, VGG

# compose


def put_together(first, second):
    """Follow one bright pixel backwards: which weight does each place of the picture get?"""
    side = len(first) + len(second) - 1
    return np.array(
        [
            [
                sum(
                    first[r - i, c - j] * second[i, j]
                    for i in range(len(second))
                    for j in range(len(second))
                    if 0 <= r - i < len(first) and 0 <= c - j < len(first)
                )
                for c in range(side)
            ]
            for r in range(side)
        ]
    )


@wrong("compose", "the second kernel is turned around")
def compose_second_flipped(first, second):
    return put_together(first, second[::-1, ::-1])


@wrong("compose", "the first kernel is turned around")
def compose_first_flipped(first, second):
    return put_together(first[::-1, ::-1], second)


@wrong("compose", "the result is turned around")
def compose_result_flipped(first, second):
    return put_together(first, second)[::-1, ::-1]


@wrong("compose", "rows and columns are swapped")
def compose_transposed(first, second):
    return put_together(first.T, second.T)


@wrong("compose", "the border is cut off")
def compose_cut(first, second):
    return put_together(first, second)[1:-1, 1:-1]


@wrong("compose", "the kernels are multiplied number by number")
def compose_product(first, second):
    return first * second


@wrong("compose", "this is the matrix product")
def compose_matrix_product(first, second):
    return first @ second


@wrong("compose", "the kernels are added")
def compose_added(first, second):
    result = np.zeros((5, 5))
    for r in range(3):
        for c in range(3):
            result[r : r + 3, c : c + 3] += first + second[r, c]
    return result


@wrong("compose", "changes an array that it was given (argument 1)")
def compose_in_place(first, second):
    first *= second[0, 0]
    return first


@wrong("compose", "With a second kernel of 5 x 5 it has shape (5, 5)")
def compose_always_five(first, second):
    return put_together(first, second[:3, :3])


@right("compose")
def compose_impulse(first, second):
    return put_together(second, first)


@right("compose")
def compose_keras(first, second):
    """A bright pixel in the middle shows the kernel turned around; turn it back."""
    side = len(first) + len(second) - 1
    picture = np.zeros((1, 2 * side - 1, 2 * side - 1, 1), "float32")
    picture[0, side - 1, side - 1] = 1
    for kernel in (first, second):
        picture = keras.ops.conv(picture, kernel[..., None, None].astype("float32"))
    return np.asarray(picture)[0, ::-1, ::-1, 0]


# design

GOOD = [(3, 4), "pool", (3, 8), "pool", (3, 16), (3, 16), (3, 64)]


def designed(name, says, layers):
    def answer():
        return layers

    answer.__name__ = name
    return (wrong("design", says) if says else right("design"))(answer)


design_series = designed(
    "design_series",
    "in the layer (3, 64), into which 64 channels come",
    [(3, 8), "pool", (3, 16), "pool", (3, 32), (3, 64), (3, 64)],
)
design_flat = designed(
    "design_flat",
    "it sees 13 pixels across, and 28 are asked for. Without a pooling",
    [(3, 8)] * 5 + [(3, 64)],
)
design_late = designed(
    "design_late", "it sees 20 pixels across", [(3, 4)] * 4 + ["pool", "pool", (3, 64)]
)
design_pools = designed(
    "design_pools",
    "the last map has 3 x 3 places",
    [(3, 8), "pool", (3, 16), "pool", (3, 16), "pool", (3, 16), (3, 64)],
)
design_few = designed(
    "design_few", "there are 3 convolutions", [(7, 4), "pool", (7, 8), "pool", (7, 64)]
)
design_narrow = designed(
    "design_narrow", "the last convolution has 32 channels", [*GOOD[:-1], (3, 32)]
)
design_dear = designed(
    "design_dear",
    "A weight is used once for each place of the map",
    [(3, 8), (3, 8), "pool", "pool", (3, 8), (3, 8), (3, 8), (3, 8), (3, 64)],
)
design_point = designed("design_point", "has a window of 1 pixels", [*GOOD[:-1], (1, 64)])
design_swapped = designed(
    "design_swapped", "The side comes first", [(4, 3), "pool", (8, 3), "pool", (64, 3)]
)
design_words = designed("design_words", "a layer is (side, channels)", [("conv", 3, 8), *GOOD])
design_none = designed("design_none", "it needs 1 or more", [(3, 0), *GOOD])
design_text = designed("design_text", "return a list of layers", "3x3, pool, 3x3")
design_nearly = designed(
    "design_nearly",
    "it sees 26 pixels across",
    [(3, 4), (3, 4), (3, 4), "pool", "pool", (3, 8), (3, 64)],
)
design_exactly = designed(
    "design_exactly", None, [(3, 4), (3, 4), "pool", (3, 8), "pool", (3, 16), (3, 64)]
)
design_thick = designed(
    "design_thick", None, ((3, 8), "pool", (3, 8), "pool", (3, 16), (3, 16), (3, 64))
)
design_large = designed(
    "design_large", None, ["pool", (5, 4), (5, 8), "pool", (5, 8), (5, 8), [3, 64]]
)


# network


def vgg(
    blocks,
    widths=(12, 24, 48, 96, 96),
    pool=lambda: keras.layers.MaxPooling2D(2, padding="same"),
    start="he_normal",
    inner="relu",
    dense="relu",
    last=None,
    hidden=2,
    drop=0.5,
    order="cp",
    end=keras.layers.Flatten,
    stride=1,
):
    image = x = keras.Input((28, 28, 1))
    for channels, count in zip(widths, blocks, strict=False):
        for step in order:
            if step == "p":
                x = pool()(x) if pool else x
                continue
            for layer in range(count):
                final = layer == count - 1
                x = keras.layers.Conv2D(
                    channels,
                    3,
                    stride if final else 1,
                    padding="same",
                    activation="relu" if inner == "last" and final else inner.strip("last") or None,
                    kernel_initializer=start,
                )(x)
    x = end()(x)
    for _ in range(hidden):
        x = keras.layers.Dense(128, dense, kernel_initializer=start)(x)
        if drop:
            x = keras.layers.Dropout(drop)(x)
    return keras.Model(image, keras.layers.Dense(10, last, kernel_initializer=start)(x))


def network_wrong(name, says, **changes):
    def answer(blocks):
        return vgg(blocks, **changes)

    answer.__name__ = name
    return wrong("network", says)(answer)


network_mean = network_wrong(
    "network_mean",
    "there is average pooling in it",
    pool=lambda: keras.layers.AveragePooling2D(2, padding="same"),
)
network_overlap = network_wrong(
    "network_overlap",
    "the poolings overlap",
    pool=lambda: keras.layers.MaxPooling2D(3, 2, padding="same"),
)
network_first = network_wrong("network_first", "the pooling opens a block", order="pc")
network_strides = network_wrong(
    "network_strides", "there are strides in the place of the poolings", pool=None, stride=2
)
network_linear = network_wrong("network_linear", "the convolutions have no ReLU", inner="")
network_late = network_wrong(
    "network_late", "only the last convolution of a block has a ReLU", inner="last"
)
network_bare = network_wrong(
    "network_bare", "the two hidden fully connected layers have no ReLU", dense=None
)
network_cut = network_wrong("network_cut", "the logits go through a ReLU", last="relu")
network_softmax = network_wrong("network_softmax", "the network ends in a softmax", last="softmax")
network_double = network_wrong(
    "network_double", "the channels double in the last block too", widths=(12, 24, 48, 96, 192)
)
network_one = network_wrong("network_one", "there is one hidden fully connected layer", hidden=1)
network_wide = network_wrong(
    "network_wide", "there is one of 3 x 3 x 1 x 16", widths=(16, 32, 64, 128, 128)
)
network_undropped = network_wrong("network_undropped", "the Dropout is missing", drop=0)
network_fifth = network_wrong("network_fifth", "the dropouts drop 0.2 and 0.2", drop=0.2)
network_glorot = network_wrong("network_glorot", "starts by Glorot's rule", start="glorot_uniform")
network_small = network_wrong(
    "network_small",
    "; He's rule asks for",
    start=keras.initializers.RandomNormal(stddev=0.01),
)


@wrong("network", "`blocks` is not used: this is A again")
def network_always_a(blocks):
    return vgg((1, 1, 2, 2, 2))


@wrong("network", "there is a pooling after each convolution")
def network_pooled_often(blocks):
    image = x = keras.Input((28, 28, 1))
    for channels, count in zip((12, 24, 48, 96, 96), blocks, strict=True):
        for _ in range(count):
            x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
            x = keras.layers.MaxPooling2D(2, padding="same")(x)
    x = keras.layers.Flatten()(x)
    for _ in range(2):
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(128, "relu")(x))
    return keras.Model(image, keras.layers.Dense(10)(x))


@wrong("network", "the last block has no pooling")
def network_open(blocks):
    model = vgg(blocks)
    x = model.layers[-8].output  # the last convolution; the last pooling follows it
    x = keras.layers.Flatten()(x)
    for _ in range(2):
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(128, "relu")(x))
    return keras.Model(model.input, keras.layers.Dense(10)(x))


@wrong("network", "stops with ValueError")
def network_valid_pools(blocks):
    return vgg(blocks, pool=lambda: keras.layers.MaxPooling2D(2))


@wrong("network", "the network has 1 dropouts")
def network_one_dropout(blocks):
    model = vgg(blocks, drop=0)
    x = keras.layers.Dropout(0.5)(model.layers[-2].output)
    return keras.Model(model.input, keras.layers.Dense(10)(x))


@wrong("network", "this is what a layer gave back, not yet a model")
def network_tensor(blocks):
    return vgg(blocks).outputs[0]


@right("network")
def network_of_the_course(blocks):
    return VGG(**{**SMALL, "depth": "B" if blocks[0] == 2 else "A"})


@right("network")
def network_sequential(blocks):
    he = {"kernel_initializer": keras.initializers.HeUniform()}
    model = keras.Sequential()
    for channels, count in zip((12, 24, 48, 96, 96), blocks, strict=True):
        for _ in range(count):
            model.add(keras.layers.ZeroPadding2D(1))
            model.add(keras.layers.Conv2D(channels, 3, **he))
            model.add(keras.layers.ReLU())
        model.add(keras.layers.MaxPooling2D(2, padding="same"))
    model.add(keras.layers.GlobalAveragePooling2D())  # of one pixel
    for _ in range(2):
        model.add(keras.layers.Dense(128, "relu", **he))
        model.add(keras.layers.Dropout(0.5))
    model.add(keras.layers.Dense(10, **he))
    return model


@right("network")
def network_in_a_class(blocks):
    return in_a_class(vgg)(blocks)


# train


def trained(x, labels, epochs, optimizer=None, build=network_of_the_course):
    keras.utils.set_random_seed(0)
    model = build((1, 1, 2, 2, 2))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(1.5e-3), loss)
    model.fit(x, labels, 32, epochs, verbose=0)
    return model


@wrong("train", "it says class")
def train_not_at_all(x, labels):
    model = network_of_the_course((1, 1, 2, 2, 2))
    model.layers[-1].bias.assign(np.eye(10)[3] * 100)
    return model


@wrong("train", "it has not learned")
def train_another_model(x, labels):
    keras.utils.set_random_seed(0)
    return network_of_the_course((1, 1, 2, 2, 2))


@wrong("train", "the learning rate is too high")
def train_to_nan(x, labels):
    return trained(x[:320], labels[:320], 1, keras.optimizers.SGD(1e4))


@wrong("train", "this model has 7,850 parameters")
def train_other(x, labels):
    return keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )


@wrong("train", "this is what fit returns, the history")
def train_history(x, labels):
    model = train_other(x, labels)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.fit(x[:64], labels[:64], verbose=0)


@wrong("train", "not yet a model")
def train_logits(x, labels):
    return network_of_the_course((1, 1, 2, 2, 2)).outputs[0]


@right("train")
def train_rmsprop(x, labels):
    return trained(x, labels, 3, keras.optimizers.RMSprop(1e-3))


# mended

DIES = "the signal dies on its way"


@functools.cache
def spread(power, factor=1.0):
    """Return a rule n -> initializer with the standard deviation factor * (2 / n) ** power."""
    return lambda n: keras.initializers.RandomNormal(stddev=factor * (2 / n) ** power)


def plain(rule, channels=(8, 16, 32), norm=False, outer=False):
    image = keras.Input((28, 28, 1))
    x = keras.layers.AveragePooling2D(2)(image)
    for width in channels:
        for _ in range(4):
            start = rule(9 * x.shape[-1])
            x = keras.layers.Conv2D(width, 3, padding="same", kernel_initializer=start)(x)
            x = keras.layers.BatchNormalization()(x) if norm else x
            x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


def mended_cause(cause, says):
    def answer():
        return cause, None

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_rate = mended_cause("learning rate too low", "at a rate ten times as high")
mended_few = mended_cause("too few pictures", "learned by heart")
mended_dead = mended_cause("dead units", "a dead unit gives zero to every picture")
mended_deep = mended_cause("too deep without shortcuts", "can be trained as they stand")
mended_own_words = mended_cause("bad start", "the cause should be one of")


@wrong("mended", "the signal still dies")
def mended_unchanged():
    return DIES, plain(spread(1))


@wrong("mended", "now the signal explodes")
def mended_ones():
    return DIES, plain(lambda n: keras.initializers.RandomNormal(stddev=1.0))


@wrong("mended", "there is a normalisation in it")
def mended_normalised():
    return DIES, plain(spread(1), norm=True)


@wrong("mended", "this is another network")
def mended_wide():
    return DIES, plain(spread(0.5), (16, 32, 64))


@wrong("mended", "cannot be reached one by one")
def mended_inside():
    return DIES, in_a_class(lambda: plain(spread(0.5)), called=True)()


@wrong("mended", "there should be 2: the cause, the mended network")
def mended_alone():
    return plain(spread(0.5))


@wrong("mended", "return a keras.Model; this is a float")
def mended_number():
    return DIES, 0.118


@right("mended")
def mended_by_name():
    return [DIES, plain(lambda n: "he_normal")]


# other_remedy

HARMLESS = "with batch normalisation a small start does no harm"


def measured(predict, measure, shares=(0.5, 1), forms=(False, True)):
    predict(HARMLESS)
    return {(s, n): measure(s, n) for s in shares for n in forms}


remedy_unpredicted, remedy_unmeasured, remedy_own_words = hasty("other_remedy", HARMLESS, 1, True)


@wrong("other_remedy", "measure one small start")
def remedy_only_he(predict, measure):
    measured(predict, measure, (1,))
    return HARMLESS


@wrong("other_remedy", "with batch normalisation and without")
def remedy_without_plain(predict, measure):
    measured(predict, measure, forms=(True,))
    return HARMLESS


@wrong("other_remedy", "measure He's start too")
def remedy_only_small(predict, measure):
    measured(predict, measure, (0.5,))
    return HARMLESS


@wrong("other_remedy", "does not fit")
def remedy_still_harm(predict, measure):
    measured(predict, measure)
    return "a small start does harm, with batch normalisation too"


@wrong("other_remedy", "allowed: a number from 0.1 to 2")
def remedy_zero(predict, measure):
    return measured(predict, measure, (0,))


@wrong("other_remedy", "allowed: True and False")
def remedy_one(predict, measure):
    return measured(predict, measure, forms=("with", "without"))


@wrong("other_remedy", "return one of")
def remedy_numbers(predict, measure):
    return measured(predict, measure)


@right("other_remedy")
def remedy_very_small(predict, measure):
    measured(predict, measure, (0.2, 1.0))
    return HARMLESS
