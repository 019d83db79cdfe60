"""Answers to assignment 07."""

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.layers import BatchNormalization, ConvUnit
from course_lib.resnet import CifarResNet, ResidualBlock


def relu(x):
    return np.maximum(x, 0)


# way_back


def backwards(x, w1, w2, slope, y=None, after=None, mask=True, shortcut=True, branch=True):
    s = x @ w1
    h = relu(s)
    right_y = relu(h @ w2 + x)
    after = slope * (right_y > 0) if after is None else after
    before = (after @ w2.T) * (s > 0 if mask else 1)
    dx = (before @ w1.T if branch else 0) + (after if shortcut else 0)
    return right_y if y is None else y, dx, x.T @ before, h.T @ after


@wrong("way_back", "the shortcut is missing")
def back_plain(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, y=relu(relu(x @ w1) @ w2))


@wrong("way_back", "the last ReLU comes before the addition")
def back_relu_first(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, y=relu(relu(x @ w1) @ w2) + x)


@wrong("way_back", "the last ReLU is missing")
def back_without_last_relu(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, y=relu(x @ w1) @ w2 + x)


@wrong("way_back", "the ReLU between the two layers is missing")
def back_linear(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, y=relu(x @ w1 @ w2 + x))


@wrong("way_back", "x is added after the first layer")
def back_early(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, y=relu(relu(x @ w1 + x) @ w2))


@wrong("way_back", "there is a ReLU too many")
def back_three_relus(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, y=relu(relu(relu(x @ w1) @ w2) + x))


@wrong("way_back", "dw2 passes over the last ReLU")
def back_without_last_mask(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, after=slope)


@wrong("way_back", "dw1 passes over the ReLU between the layers")
def back_without_mask(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, mask=False)


@wrong("way_back", "dx lacks the way along the shortcut")
def back_branch_only(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, shortcut=False)


@wrong("way_back", "dx has only the way along the shortcut")
def back_shortcut_only(x, w1, w2, slope):
    return backwards(x, w1, w2, slope, branch=False)


@wrong("way_back", "on the shortcut the slope passes over the last ReLU")
def back_around(x, w1, w2, slope):
    y, dx, dw1, dw2 = backwards(x, w1, w2, slope, shortcut=False)
    return y, dx + slope, dw1, dw2


@wrong("way_back", "dw2 is transposed")
def back_transposed(x, w1, w2, slope):
    y, dx, dw1, dw2 = backwards(x, w1, w2, slope)
    return y, dx, dw1, dw2.T


@wrong("way_back", "dw2 is divided by the number of examples")
def back_mean(x, w1, w2, slope):
    y, dx, dw1, dw2 = backwards(x, w1, w2, slope)
    return y, dx, dw1 / len(x), dw2 / len(x)


@wrong("way_back", "dw2 is made with x")
def back_from_x(x, w1, w2, slope):
    y, dx, dw1, _ = backwards(x, w1, w2, slope)
    return y, dx, dw1, x.T @ (slope * (y > 0))


@wrong("way_back", "along the branch dx passes over the ReLU")
def back_dx_without_mask(x, w1, w2, slope):
    y, _, dw1, dw2 = backwards(x, w1, w2, slope)
    return y, backwards(x, w1, w2, slope, mask=False)[1], dw1, dw2


@wrong("way_back", "dw1 is transposed")
def back_first_transposed(x, w1, w2, slope):
    y, dx, dw1, dw2 = backwards(x, w1, w2, slope)
    return y, dx, dw1.T, dw2


@wrong("way_back", "dw1 is made with the hidden numbers")
def back_from_hidden(x, w1, w2, slope):
    y, dx, _, dw2 = backwards(x, w1, w2, slope)
    before = ((slope * (y > 0)) @ w2.T) * (x @ w1 > 0)
    return y, dx, relu(x @ w1).T @ before, dw2


@wrong("way_back", "dx is divided by the number of examples")
def back_dx_mean(x, w1, w2, slope):
    y, dx, dw1, dw2 = backwards(x, w1, w2, slope)
    return y, dx / len(x), dw1, dw2


@wrong("way_back", "3 things came back where there should be 4")
def back_without_y(*arguments):
    return backwards(*arguments)[1:]


@wrong("way_back", "changes an array that it was given")
def back_in_place(x, w1, w2, slope):
    slope *= relu(x @ w1) @ w2 + x > 0
    return backwards(x, w1, w2, slope)


@right("way_back")
def back_by_tape(x, w1, w2, slope):
    import tensorflow as tf

    x, w1, w2 = (tf.Variable(a) for a in (x, w1, w2))
    with tf.GradientTape() as tape:
        y = tf.nn.relu(tf.nn.relu(x @ w1) @ w2 + x)
    return [y, *tape.gradient(y, [x, w1, w2], output_gradients=slope)]


@right("way_back")
def back_one_by_one(x, w1, w2, slope):
    dw1, dw2, dx, y = np.zeros_like(w1), np.zeros_like(w2), [], []
    for row, given in zip(x, slope, strict=True):
        s = w1.T @ row
        h = np.where(s > 0, s, 0)
        out = w2.T @ h + row
        after = np.where(out > 0, given, 0)
        before = np.where(s > 0, w2 @ after, 0)
        dw1 += np.outer(row, before)
        dw2 += np.outer(h, after)
        dx.append(w1 @ before + after)
        y.append(np.where(out > 0, out, 0))
    return y, dx, dw1, dw2


# block


def unit(filters, size, strides=1, bias=False, norm=True, same=False):
    """Return a function x -> convolution and normalisation, padded on every side."""

    def apply(x):
        if size == 3 and not same:
            x = keras.layers.ZeroPadding2D(1)(x)
        padding = "same" if same else "valid"
        x = keras.layers.Conv2D(filters, size, strides, padding, use_bias=bias)(x)
        return keras.layers.BatchNormalization()(x) if norm else x

    return apply


def option_a(image, filters, strides):
    new = filters - image.shape[-1]
    return keras.ops.pad(image[:, ::strides, ::strides], [(0, 0)] * 3 + [(0, new)])


def blocks(end="add relu", late=False, middle=True, short=option_a, **changes):
    """Return an answer; `end` are the steps after the second convolution."""

    def answer(input_shape, filters, strides):
        image = keras.Input(input_shape)
        first, second = (1, strides) if late else (strides, 1)
        y = unit(filters, 3, first, **changes)(image)
        y = keras.layers.ReLU()(y) if middle else y
        y = unit(filters, 3, second, **changes)(y)
        for step in end.split():
            if step == "relu":
                y = keras.layers.ReLU()(y)
            else:
                y = keras.layers.add([y, short(image, filters, strides)])
        return keras.Model(image, y)

    return answer


def block_wrong(name, says, *arguments, **changes):
    answer = blocks(*arguments, **changes)
    answer.__name__ = name
    return wrong("block", says)(answer)


def pooled(layer):
    def short(image, filters, strides):
        return option_a(layer(strides)(image), filters, 1)

    return short


def in_front(image, filters, strides):
    new = filters - image.shape[-1]
    return keras.ops.pad(image[:, ::strides, ::strides], [(0, 0)] * 3 + [(new, 0)])


def repeated(image, filters, strides):
    x = image[:, ::strides, ::strides]
    return keras.ops.concatenate([x, x], axis=-1)[..., :filters]


def projected(image, filters, strides):
    if image.shape[-1] == filters:
        return image
    return unit(filters, 1, strides)(image)


block_open = block_wrong("block_open", "the last ReLU is missing", "add")
block_early = block_wrong("block_early", "the last ReLU comes before the addition", "relu add")
block_plain = block_wrong("block_plain", "the shortcut is missing", "relu")
block_many = block_wrong("block_many", "there is a ReLU too many", "relu add relu")
block_same = block_wrong("block_same", "padding='same' with stride 2", same=True)
block_late = block_wrong("block_late", "the second convolution strides", late=True)
block_linear = block_wrong(
    "block_linear", "the ReLU between the two convolutions is missing", middle=False
)
block_biased = block_wrong("block_biased", "the convolutions have biases", bias=True)
block_bare = block_wrong("block_bare", "there is no batch normalisation", bias=True, norm=False)
block_projected = block_wrong("block_projected", "the shortcut has a projection", short=projected)
block_mean = block_wrong(
    "block_mean", "takes the mean of each window", short=pooled(keras.layers.AveragePooling2D)
)
block_max = block_wrong(
    "block_max", "takes the largest of each window", short=pooled(keras.layers.MaxPooling2D)
)
block_front = block_wrong("block_front", "the zeros stand before the old", short=in_front)
block_repeated = block_wrong("block_repeated", "the new channels repeat the old", short=repeated)


@wrong("block", "the second convolution is missing")
def block_one_layer(input_shape, filters, strides):
    image = keras.Input(input_shape)
    y = unit(filters, 3, strides)(image)
    return keras.Model(image, keras.ops.relu(y + option_a(image, filters, strides)))


@wrong("block", "there is a Dropout layer in it")
def block_dropout(input_shape, filters, strides):
    model = blocks()(input_shape, filters, strides)
    return keras.Model(model.inputs, keras.layers.Dropout(0.2)(model.outputs[0]))


@wrong("block", "return a keras.Model; this is a ResidualBlock")
def block_layer_only(input_shape, filters, strides):
    return ResidualBlock(filters, strides)


@right("block")
def block_keras(*arguments):
    return blocks()(*arguments)


@right("block")
def block_from_the_course(input_shape, filters, strides):
    image = keras.Input(input_shape)
    return keras.Model(image, ResidualBlock(filters, strides, shortcut="A")(image))


@right("block")
def block_in_a_class(*arguments):
    return in_a_class(block_keras)(*arguments)


@right("block")
def block_concatenated(input_shape, filters, strides):
    def short(image, filters, strides):
        x = keras.layers.MaxPooling2D(1, strides)(image)
        new = filters - image.shape[-1]
        return keras.layers.Concatenate()([x, 0 * x[..., :1]] + [0 * x[..., :1]] * (new - 1))

    if input_shape[-1] == filters:
        return blocks(short=lambda image, *_: image)(input_shape, filters, strides)
    return blocks(short=short)(input_shape, filters, strides)


# network


def whole(stages=((16, 1), (32, 2), (64, 2)), stem=None, end=None, last=None):
    image = keras.Input((28, 28, 1))
    x = (stem or ConvUnit(16, 3, padding=1))(image)
    for filters, strides in stages:
        x = blocks()(x.shape[1:], filters, strides)(x)
    x = (end or keras.layers.GlobalAveragePooling2D())(x)
    return keras.Model(image, keras.layers.Dense(10, last)(x))


@wrong("network", "the first block strides too")
def network_strides():
    return whole(((16, 2), (32, 2), (64, 2)))


@wrong("network", "no block strides")
def network_large():
    return whole(((16, 1), (32, 1), (64, 1)))


@wrong("network", "the maps are flattened")
def network_flat():
    return whole(end=keras.layers.Flatten())


@wrong("network", "there is no ReLU after the first convolution")
def network_linear_stem():
    return whole(stem=ConvUnit(16, 3, padding=1, activation=None))


@wrong("network", "lacks its batch normalisation")
def network_bare_stem():
    stem = keras.layers.Conv2D(16, 3, padding="same", activation="relu")
    return whole(stem=stem)


@wrong("network", "there are two stages")
def network_two_stages():
    return whole(((16, 1), (32, 2)))


@wrong("network", "there are two blocks a stage")
def network_14():
    return CifarResNet(14, (28, 28, 1))


@wrong("network", "the shortcuts have projections")
def network_b():
    return CifarResNet(8, (28, 28, 1), shortcut="B")


@wrong("network", "the shortcuts are missing")
def network_plain():
    return CifarResNet(8, (28, 28, 1), shortcut=False)


@wrong("network", "the network ends in a softmax")
def network_softmax():
    return whole(last="softmax")


@wrong("network", "they begin with 16".replace("they", "They"))
def network_wide():
    return CifarResNet(8, (28, 28, 1), width=32)


@wrong("network", "the kernels (window, channels in, channels out)")
def network_other_widths():
    return whole(((16, 1), (24, 2), (64, 2)))


@wrong("network", "this is what a layer gave back, not yet a model")
def network_tensor():
    return whole().outputs[0]


@right("network")
def network_of_the_course():
    return CifarResNet(8, (28, 28, 1))


@right("network")
def network_sequential():
    return keras.Sequential(
        [
            ConvUnit(16, 3),
            *(ResidualBlock(f, s, shortcut="A") for f, s in ((16, 1), (32, 2), (64, 2))),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )


# half_a_shortcut

WHOLE = "only the whole shortcut makes a deep network train well"


half_unpredicted, half_unmeasured, half_own_words = hasty("half_a_shortcut", WHOLE, 2, 1)


@wrong("half_a_shortcut", "Below 12 blocks it is not deep")
def half_shallow(predict, measure):
    predict(WHOLE)
    for share in (0, 0.5, 1):
        measure(2, share)
    return WHOLE


@wrong("half_a_shortcut", "measure a network of 2 blocks too")
def half_deep_only(predict, measure):
    predict(WHOLE)
    for share in (0, 0.5, 1):
        measure(16, share)
    return WHOLE


@wrong("half_a_shortcut", "does not fit")
def half_as_good(predict, measure):
    half_deep_only(predict, measure)
    measure(2, 1)
    return predict("half a shortcut is as good as a whole one")


@wrong("half_a_shortcut", "allowed: 0, 0.5 and 1")
def half_double(predict, measure):
    predict(WHOLE)
    return measure(16, 2)


@wrong("half_a_shortcut", "allowed: 1 to 20")
def half_too_deep(predict, measure):
    predict(WHOLE)
    return measure(100, 1)


@right("half_a_shortcut")
def half_predicted_wrongly(predict, measure):
    predict("half a shortcut is better than a whole one")
    for blocks, share in ((16, 0), (16, 0.5), (16, 1), (2, 1)):
        measure(blocks, share)
    return WHOLE


# train


def trained(x, labels, epochs=4, batch=32, model=None, optimizer=None):
    keras.utils.set_random_seed(1)
    model = model or network_of_the_course()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(3e-3), loss)
    model.fit(x, labels, batch, epochs, verbose=0)
    return model


train_history, train_nan, train_dead = untrained(network_of_the_course)


@wrong("train", "this model has 78,426 parameters")
def train_another(x, labels):
    return CifarResNet(8, (28, 28, 1), shortcut="B", classes=10)


@wrong("train", "not yet a model")
def train_logits(x, labels):
    return network_of_the_course().outputs[0]


@right("train")
def train_momentum(x, labels):
    return trained(x, labels, 3, optimizer=keras.optimizers.SGD(0.05, momentum=0.9))


# mended

LATE = "averages of batch normalisation come too late"


def small(momentum=0.9, filters=(8, 16, 32), norm=True, trainable=True):
    image = x = keras.Input((28, 28, 1))
    for width in filters:
        x = keras.layers.Conv2D(width, 3, 2, "same", use_bias=not norm)(x)
        if norm:
            layer = keras.layers.BatchNormalization(momentum=momentum)
            layer.trainable = trainable
            x = layer(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(10)(x))


def mended_cause(cause, says):
    def answer():
        return cause, small()

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_overfitting = mended_cause("overfitting", "'overfitting' is not the cause")
mended_rate = mended_cause("learning rate too high", "'learning rate too high' is not the cause")
mended_dying = mended_cause("dying units", "'dying units' is not the cause")
mended_scaled = mended_cause("pictures scaled in another way", "were given the same array")


@wrong("mended", "still hold 38% of their start")
def mended_default():
    return LATE, small(0.99)


@wrong("mended", "the averages never move")
def mended_one():
    return LATE, small(1.0)


@wrong("mended", "0 batch normalisations are left of three")
def mended_without():
    return LATE, small(norm=False)


@wrong("mended", "keeps the averages it started with")
def mended_frozen():
    return LATE, small(trainable=False)


@wrong("mended", "this is another network")
def mended_wide():
    return LATE, small(filters=(16, 32, 64))


@wrong("mended", "there should be 2: the cause, the mended network")
def mended_alone():
    return small()


@wrong("mended", "return a keras.Model; this is a float")
def mended_number():
    return LATE, 0.9


@right("mended")
def mended_with_the_course_layer():
    layers = []
    for width in (8, 16, 32):
        layers.append(keras.layers.Conv2D(width, 3, 2, "same", use_bias=False))
        layers += [BatchNormalization(), keras.layers.ReLU()]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    return [LATE, keras.Sequential(layers)]
