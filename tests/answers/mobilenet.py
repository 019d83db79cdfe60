"""Answers to assignment 09."""

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.mobilenet import SMALL, DepthwiseSeparable, MobileNet

# separated


def by_svd(kernel, column=lambda u, s: u * s, row=lambda v, s: v):
    windows, mix = [], []
    for m in range(kernel.shape[2]):
        u, s, v = np.linalg.svd(kernel[:, :, m].reshape(9, -1))
        windows.append(column(u[:, 0], s[0]).reshape(3, 3))
        mix.append(row(v[0], s[0]))
    return np.stack(windows, axis=-1), np.stack(mix)


@wrong("separated", "the sizes are missing")
def separated_without_sizes(kernel):
    return by_svd(kernel, lambda u, s: u)


@wrong("separated", "the sizes are in both parts")
def separated_sizes_twice(kernel):
    return by_svd(kernel, row=lambda v, s: v * s)


@wrong("separated", "the window is the mean over the outputs")
def separated_mean(kernel):
    return kernel.mean(axis=3), np.ones(kernel.shape[2:])


@wrong("separated", "the window is that of the first output")
def separated_first(kernel):
    return kernel[..., 0], np.ones(kernel.shape[2:])


@wrong("separated", "The window of one output is taken for all")
def separated_divided(kernel):
    return kernel[..., 0], kernel[0, 0] / kernel[0, 0, :, :1]


@wrong("separated", "The mean of the windows is a good guess")
def separated_mean_fitted(kernel):
    mean = kernel.mean(axis=3)
    mix = [
        np.linalg.lstsq(mean[:, :, m].reshape(9, 1), kernel[:, :, m].reshape(9, -1))[0][0]
        for m in range(mean.shape[2])
    ]
    return mean, np.array(mix)


@wrong("separated", "windows has shape (4, 3, 3); it should have shape (3, 3, 4)")
def separated_axes(kernel):
    windows, mix = by_svd(kernel)
    return np.moveaxis(windows, -1, 0), mix


@wrong("separated", "there should be 2: windows, mix")
def separated_product(kernel):
    windows, mix = by_svd(kernel)
    return [windows[..., None] * mix]


@right("separated")
def separated_at_once(kernel):
    tables = np.moveaxis(kernel, 2, 0).reshape(kernel.shape[2], 9, -1)
    u, s, v = np.linalg.svd(tables, full_matrices=False)
    root = np.sqrt(s[:, 0])
    windows = (u[:, :, 0] * root[:, None]).T.reshape(3, 3, -1)
    return windows.astype("float32"), (v[:, 0] * root[:, None]).tolist()


@right("separated")
def separated_by_turns(kernel):
    """Power iteration: window from mix, mix from window."""
    mix = np.random.default_rng(0).normal(size=kernel.shape[2:])
    for _ in range(3000):
        windows = np.einsum("ijmn,mn->ijm", kernel, mix) / (mix**2).sum(axis=1)
        mix = np.einsum("ijmn,ijm->mn", kernel, windows) / (windows**2).sum((0, 1))[:, None]
    return windows, mix


# block

layers = keras.layers


def chain(*steps):
    """Return an answer made of functions (filters, strides) -> layer."""

    def answer(input_shape, filters, strides):
        image = x = keras.Input(input_shape)
        for step in steps:
            x = step(filters, strides)(x)
        return keras.Model(image, x)

    return answer


def deep(filters, strides):
    return layers.DepthwiseConv2D(3, strides, "same", use_bias=False)


def point(filters, strides):
    return layers.Conv2D(filters, 1, use_bias=False)


def norm(filters, strides):
    return layers.BatchNormalization()


def relu(filters, strides):
    return layers.ReLU()


@wrong("block", "return a keras.Model; this is a list")
def block_list(input_shape, filters, strides):
    return [deep(filters, strides), point(filters, strides)]


@wrong("block", "the model should have one input of shape (6, 8, 4)")
def block_fixed_shape(input_shape, filters, strides):
    return block_sequential((112, 112, 32), filters, strides)


@wrong("block", "the model should have one output")
def block_two_outputs(input_shape, filters, strides):
    model = block_grouped(input_shape, filters, strides)
    return keras.Model(model.input, [model.layers[1].output, model.output])


@wrong("block", "there should be two batch normalisations; this model has 1")
def block_parametric(*arguments):
    def slope(filters, strides):
        return layers.PReLU(shared_axes=[1, 2])

    return chain(deep, norm, relu, point, slope, slope, slope, slope)(*arguments)


@wrong("block", "there is a full 3 x 3 convolution")
def block_full(*arguments):
    def full(filters, strides):
        return layers.Conv2D(filters, 3, strides, "same", use_bias=False)

    return chain(full, norm, relu)(*arguments)


@wrong("block", "there is no depthwise 3 x 3 step")
def block_pointwise_only(*arguments):
    return chain(point, norm, relu)(*arguments)


@wrong("block", "the kernels should be (3, 3, 4, 1), then (1, 1, 4, 5)")
def block_filter_only(*arguments):
    return chain(deep, norm, relu)(*arguments)


@wrong("block", "with strides=1 the model makes (4, 6, 5) of (6, 8, 4)")
def block_valid(*arguments):
    def valid(filters, strides):
        return layers.DepthwiseConv2D(3, strides, use_bias=False)

    return chain(valid, norm, relu, point, norm, relu)(*arguments)


@wrong("block", "with strides=2 the model makes (6, 8, 5) of (6, 8, 4)")
def block_without_stride(*arguments):
    def still(filters, strides):
        return deep(filters, 1)

    return chain(still, norm, relu, point, norm, relu)(*arguments)


def biased_deep(filters, strides):
    return layers.DepthwiseConv2D(3, strides, "same")


def biased_point(filters, strides):
    return layers.Conv2D(filters, 1)


@wrong("block", "there is no batch normalisation; it follows each")
def block_without_norm(*arguments):
    return chain(deep, relu, point, relu)(*arguments)


@wrong("block", "biases and no batch normalisation")
def block_biases_only(*arguments):
    return chain(biased_deep, relu, biased_point, relu)(*arguments)


@wrong("block", "batch normalisation has a shift of its own")
def block_biases(*arguments):
    return chain(biased_deep, norm, relu, biased_point, norm, relu)(*arguments)


@wrong("block", "batch normalisation follows the pointwise step only")
def block_late_norm(*arguments):
    return chain(deep, relu, point, norm, relu)(*arguments)


@wrong("block", "batch normalisation follows the depthwise step only")
def block_early_norm(*arguments):
    return chain(deep, norm, relu, point, relu)(*arguments)


@wrong("block", "there is no ReLU")
def block_linear(*arguments):
    return chain(deep, norm, point, norm)(*arguments)


@wrong("block", "the ReLU after the depthwise step is missing")
def block_one_relu(*arguments):
    return chain(deep, norm, point, norm, relu)(*arguments)


@wrong("block", "the ReLU at the end is missing")
def block_open_end(*arguments):
    return chain(deep, norm, relu, point, norm)(*arguments)


@wrong("block", "the stride is in the pointwise step")
def block_late_stride(*arguments):
    def still(filters, strides):
        return deep(filters, 1)

    def strided(filters, strides):
        return layers.Conv2D(filters, 1, strides, use_bias=False)

    return chain(still, norm, relu, strided, norm, relu)(*arguments)


@wrong("block", "the ReLU stands before the batch normalisation")
def block_relu_first(*arguments):
    return chain(deep, relu, norm, point, relu, norm)(*arguments)


@right("block")
def block_sequential(input_shape, filters, strides):
    steps = [deep, norm, relu, point, norm, relu]
    made = [step(filters, strides) for step in steps]
    return keras.Sequential([keras.Input(input_shape), *made])


@right("block")
def block_grouped(input_shape, filters, strides):
    image = keras.Input(input_shape)
    x = layers.DepthwiseConv2D((3, 3), (strides, strides), padding="same", use_bias=False)(image)
    x = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x))
    x = layers.Conv2D(filters, (1, 1), padding="same", use_bias=False)(x)
    return keras.Model(image, layers.Activation("relu")(layers.BatchNormalization()(x)))


@right("block")
def block_grouped_in_a_class(*arguments):
    return in_a_class(block_grouped)(*arguments)


@right("block")
def block_grouped_in_a_class_called(*arguments):
    return in_a_class(block_grouped, called=True)(*arguments)


@right("block")
def block_without_input(input_shape, filters, strides):
    return keras.Sequential([s(filters, strides) for s in (deep, norm, relu, point, norm, relu)])


@wrong("block", "the picture is padded on all four sides")
def block_padded_around(input_shape, filters, strides):
    image = keras.Input(input_shape)
    x = layers.ZeroPadding2D(1)(image)
    x = layers.DepthwiseConv2D(3, strides, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.ReLU()(layers.BatchNormalization()(point(filters, strides)(x)))
    return keras.Model(image, x)


@wrong("block", "the input is added. MobileNet, of 2017, has no shortcut")
def block_shortcut(input_shape, filters, strides):
    model = block_grouped(input_shape, filters, strides)
    if strides > 1 or filters != input_shape[-1]:
        return model
    return keras.Model(model.input, layers.add([model.input, model.output]))


# network

ROWS = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]


def whole(rows=ROWS, end=None, last=None):
    image = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    for filters, strides in rows:
        x = DepthwiseSeparable(filters, strides)(x)
    x = (end or keras.layers.GlobalAveragePooling2D())(x)
    return keras.Model(image, keras.layers.Dense(10, last)(x))


@wrong("network", "the first convolution strides")
def network_stem_two():
    return MobileNet(**{**SMALL, "stem_strides": 2})


@wrong("network", "the last block strides too")
def network_last_stride():
    return whole([*ROWS[:-1], (256, 2)])


@wrong("network", "the maps are flattened")
def network_flat():
    return whole(end=keras.layers.Flatten())


@wrong("network", "blocks 7 to 11")
def network_shallow():
    return whole([*ROWS[:6], *ROWS[11:]])


@wrong("network", "the network ends in a softmax")
def network_softmax():
    return whole(last="softmax")


@wrong("network", "the kernels (window, channels in, channels out)")
def network_four_middle():
    return whole([*ROWS[:6], *ROWS[7:]])


@right("network")
def network_of_the_course():
    return MobileNet(**SMALL)


@right("network")
def network_in_a_class():
    return in_a_class(whole)()


# where_the_work_is


work_unpredicted, work_unmeasured, work_own_words = hasty(
    "where_the_work_is", "only alpha moves it", 1.0, 224
)


@wrong("where_the_work_is", "you cannot tell what the side does")
def work_alpha_only(predict, measure):
    predict("only alpha moves it")
    measure(1.0, 224), measure(0.25, 224)
    return "only alpha moves it"


@wrong("where_the_work_is", "you cannot tell what alpha does")
def work_both_at_once(predict, measure):
    predict("both dials move it")
    measure(1.0, 224), measure(0.25, 128)
    return "both dials move it"


def measured(predict, measure):
    predict("both dials move it")
    measure(1.0, 224), measure(0.25, 224), measure(1.0, 128)


@wrong("where_the_work_is", "'both dials move it' does not fit")
def work_both(predict, measure):
    measured(predict, measure)
    return "both dials move it"


@wrong("where_the_work_is", "'neither dial moves it' does not fit")
def work_neither(predict, measure):
    measured(predict, measure)
    return "neither dial moves it"


@wrong("where_the_work_is", "allowed: a number from 0.1 to 1")
def work_too_wide(predict, measure):
    predict("only alpha moves it")
    return measure(2, 224)


@right("where_the_work_is")
def work_predicted_wrongly(predict, measure):
    measured(predict, measure)
    return "only alpha moves it"


# train


def small(widths=(24, 48, 96), first=16, block=DepthwiseSeparable):
    image = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(first, 3, 2, padding="same", activation="relu")(image)
    for width in widths:
        x = block(width, 1 if width == widths[0] else 2)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(10)(x))


@wrong("train", "10,000 are allowed")
def train_large(x, labels):
    return small((64, 128, 256))


@wrong("train", "there is a full convolution in it")
def train_full(x, labels):
    return small((8, 16), block=lambda n, s: keras.layers.Conv2D(n, 3, s, padding="same"))


@wrong("train", "there are 2 depthwise layers in it")
def train_two_blocks(x, labels):
    return small((24, 48))


train_history, train_nan, train_dead = untrained(small)


@right("train")
def train_momentum(x, labels):
    keras.utils.set_random_seed(3)
    model = small((32, 64, 64))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    model.fit(x, np.eye(10)[labels], 32, 4, verbose=0)
    return model


# mended

TWICE = "softmax taken twice"


def patient(activation=None, from_logits=True, width=16, loss=None, compiled=True, more=()):
    layers = [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(width, 3, 2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation=activation),
        *more,
    ]
    model = keras.Sequential(layers)
    if compiled:
        named = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        model.compile("adam", loss or named)
    return model


def mended_cause(cause, says):
    def answer():
        return cause, patient()

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_rate = mended_cause("learning rate too low", "'learning rate too low' is not the cause")
mended_labels = mended_cause("labels wrong", "'labels wrong' is not the cause")
mended_overfitting = mended_cause("overfitting", "'overfitting' is not the cause")
mended_few = mended_cause("too few pictures", "'too few pictures' is not the cause")


@wrong("mended", "the softmax is still taken twice")
def mended_not():
    return TWICE, patient("softmax", False, more=[keras.layers.Softmax()])


@wrong("mended", "now nobody takes the softmax")
def mended_too_much():
    return TWICE, patient(from_logits=False)


@wrong("mended", "the network is not compiled")
def mended_uncompiled():
    return TWICE, patient(compiled=False)


@wrong("mended", "this is another network")
def mended_wide():
    return TWICE, patient(width=32)


@wrong("mended", "the loss does not take class numbers")
def mended_one_hot():
    return TWICE, patient(loss=keras.losses.CategoricalCrossentropy(from_logits=True))


@wrong("mended", "The loss of a picture for each label")
def mended_squares():
    return TWICE, patient(loss="mean_squared_error")


@right("mended")
def mended_in_the_layer():
    return TWICE, patient("softmax", loss="sparse_categorical_crossentropy")


@right("mended")
def mended_in_a_layer_of_its_own():
    return TWICE, patient(from_logits=False, more=[keras.layers.Softmax()])


@right("mended")
def mended_in_a_class():
    model = in_a_class(lambda: patient(compiled=False), called=True)()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return [TWICE, model]
