"""Answers to assignment 04."""

import functools

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.alexnet import CAFFENET, SMALL, AlexNet
from course_lib.layers import GroupedConv2D, LocalResponseNormalization

# pool_back


def pooled(x, window, stride, slope, places=None, reduce=np.max, channels=True):
    """Return the maxima; `places(side)` are the first rows or columns of the windows."""
    starts = places or (lambda side: range(0, side - window + 1, stride))
    axes = (0, 1) if channels else (0, 1, 2)
    return np.array(
        [
            [reduce(x[r : r + window, c : c + window], axis=axes) for c in starts(x.shape[1])]
            for r in starts(x.shape[0])
        ]
    )


def came_back(x, window, stride, slope, slip=""):
    dx = np.zeros_like(x)
    step = window if slip == "apart" else stride
    for r, c, k in np.ndindex(slope.shape):
        part = x[r * step : r * step + window, c * step : c * step + window, k]
        back = dx[r * step : r * step + window, c * step : c * step + window, k]
        best = (part == part.max()) if part.size else False
        if slip == "set":
            back[best] = slope[r, c, k]
        elif slip == "all":
            back += slope[r, c, k]
        elif slip == "shared":
            back += slope[r, c, k] / window**2
        elif slip == "ones":
            back += best
        elif part.size:
            back += best * slope[r, c, k]
    return dx


def pool_wrong(name, says, **changes):
    def answer(x, window, stride, slope):
        wanted = {key: make(window, stride) for key, make in changes.items()}
        return pooled(x, window, stride, slope, **wanted), came_back(x, window, stride, slope)

    answer.__name__ = name
    return wrong("pool_back", says)(answer)


def every(value):
    return lambda window, stride: value


pool_mean = pool_wrong("pool_mean", "this is the mean of each window", reduce=every(np.mean))
pool_minimum = pool_wrong(
    "pool_minimum", "this is the minimum of each window", reduce=every(np.min)
)
pool_apart = pool_wrong(
    "pool_apart",
    "the windows do not overlap",
    places=lambda w, s: lambda side: range(0, side - w + 1, w),
)
pool_every_pixel = pool_wrong(
    "pool_every_pixel",
    "the windows move on by one pixel",
    places=lambda w, s: lambda side: range(0, side - w + 1),
)
pool_short_range = pool_wrong(
    "pool_short_range",
    "the last row and column of windows are missing",
    places=lambda w, s: lambda side: range(0, side - w, s),
)
pool_from_zeros = pool_wrong(
    "pool_from_zeros",
    "a window of negative numbers gives 0",
    reduce=every(lambda part, axis: np.maximum(part.max(axis=axis), 0)),
)
pool_channels = pool_wrong(
    "pool_channels", "the maximum is taken over the channels too", channels=every(False)
)
pool_hanging = pool_wrong(
    "pool_hanging",
    "the last windows hang over the edge",
    places=lambda w, s: lambda side: range(0, side - 1, s),
)


@wrong("pool_back", "the windows are `stride` wide")
def pool_small_windows(x, window, stride, slope):
    return pooled(x, stride, stride, slope), came_back(x, window, stride, slope)


def back_wrong(name, says, slip):
    def answer(x, window, stride, slope):
        return pooled(x, window, stride, slope), came_back(x, window, stride, slope, slip)

    answer.__name__ = name
    return wrong("pool_back", says)(answer)


back_set = back_wrong("back_set", "has the slope of the last one only", "set")
back_shared = back_wrong("back_shared", "the slope is shared by the whole window", "shared")
back_all = back_wrong("back_all", "every pixel of a window gets its slope", "all")
back_ones = back_wrong("back_ones", "every winner gets 1", "ones")
back_apart = back_wrong("back_apart", "on the way back the windows move on by the window", "apart")


@wrong("pool_back", "one thing came back where there should be 2: y, dx")
def back_alone(*arguments):
    return {"dx": came_back(*arguments)}


@right("pool_back")
def back_with_masks(*arguments):
    return pooled(*arguments), came_back(*arguments)


@right("pool_back")
def back_by_tape(x, window, stride, slope):
    import tensorflow as tf

    x = tf.Variable(x[None])
    with tf.GradientTape() as tape:
        y = tf.nn.max_pool2d(x, window, stride, "VALID")
    return [y[0], tape.gradient(y, x, output_gradients=slope[None])[0]]


# second_stage


def stage(*layers):
    """Return an answer made of functions (filters, groups) -> layer."""

    def answer(input_shape, filters, groups):
        made = [layer(filters, groups) for layer in layers]
        return keras.Sequential([keras.Input(input_shape), *made])

    return answer


def conv(size=5, activation="relu", **changes):
    return lambda filters, groups: GroupedConv2D(
        filters, size, **{"padding": "same", "groups": groups, **changes}, activation=activation
    )


def norm(filters, groups):
    return LocalResponseNormalization()


def pool(size=3, **changes):
    return lambda filters, groups: keras.layers.MaxPooling2D(size, **{"strides": 2, **changes})


@wrong("second_stage", "the normalisation comes after the pooling, as in CaffeNet")
def stage_caffenet(*arguments):
    return stage(conv(), pool(), norm)(*arguments)


@wrong("second_stage", "the normalisation comes before the ReLU")
def stage_relu_late(*arguments):
    relu = lambda filters, groups: keras.layers.ReLU()  # noqa: E731
    return stage(conv(activation=None), norm, relu, pool())(*arguments)


@wrong("second_stage", "the ReLU is missing")
def stage_linear(*arguments):
    return stage(conv(activation=None), norm, pool())(*arguments)


@wrong("second_stage", "the normalisation is missing")
def stage_without_norm(*arguments):
    return stage(conv(), pool())(*arguments)


@wrong("second_stage", "the windows of the pooling do not overlap")
def stage_pool_two(*arguments):
    return stage(conv(), norm, pool(2))(*arguments)


@wrong("second_stage", "this is average pooling")
def stage_average(*arguments):
    average = lambda filters, groups: keras.layers.AveragePooling2D(3, 2)  # noqa: E731
    return stage(conv(), norm, average)(*arguments)


@wrong("second_stage", "the pooling is padded")
def stage_padded_pool(*arguments):
    return stage(conv(), norm, pool(padding="same"))(*arguments)


@wrong("second_stage", "the pooling moves on by 3")
def stage_default_stride(*arguments):
    return stage(conv(), norm, pool(strides=None))(*arguments)


@wrong("second_stage", "the convolution shrinks the image")
def stage_valid(*arguments):
    return stage(conv(padding="valid"), norm, pool())(*arguments)


@wrong("second_stage", "the pooling is missing")
def stage_without_pool(*arguments):
    return stage(conv(), norm)(*arguments)


@wrong("second_stage", "the convolution should have `filters` output channels")
def stage_input_channels(input_shape, filters, groups):
    return stage(conv(), norm, pool())(input_shape, input_shape[-1], groups)


@wrong("second_stage", "the convolution has no groups")
def stage_ungrouped(*arguments):
    return stage(conv(groups=1), norm, pool())(*arguments)


@wrong("second_stage", "the convolution has no bias")
def stage_without_bias(*arguments):
    return stage(conv(use_bias=False), norm, pool())(*arguments)


@wrong("second_stage", "the kernel is 3 x 3")
def stage_small_kernel(*arguments):
    return stage(conv(3), norm, pool())(*arguments)


@wrong("second_stage", "there is batch normalisation in it")
def stage_batch_norm(*arguments):
    batch = lambda filters, groups: keras.layers.BatchNormalization()  # noqa: E731
    return stage(conv(), batch, pool())(*arguments)


@wrong("second_stage", "return a keras.Model; this is a list")
def stage_list(input_shape, filters, groups):
    return [conv()(filters, groups), norm(filters, groups), pool()(filters, groups)]


@wrong("second_stage", "the model should have one input of shape (17, 17, 8)")
def stage_at_full_size(input_shape, filters, groups):
    return stage(conv(), norm, pool())((27, 27, 96), 256, 2)


@right("second_stage")
def stage_functional(input_shape, filters, groups):
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(filters, 5, padding="same", groups=groups)(image)
    x = LocalResponseNormalization(n=5, k=2, alpha=1e-4, beta=0.75)(keras.ops.relu(x))
    return keras.Model(image, keras.layers.MaxPool2D((3, 3), (2, 2))(x))


@right("second_stage")
def stage_two_towers(input_shape, filters, groups):
    image = keras.Input(input_shape)
    towers = [
        keras.layers.Conv2D(filters // groups, 5, padding="same", activation="relu")(part)
        for part in keras.ops.split(image, groups, axis=-1)
    ]
    x = LocalResponseNormalization()(keras.layers.Concatenate()(towers))
    return keras.Model(image, keras.layers.MaxPooling2D(3, 2)(x))


@right("second_stage")
def stage_functional_in_a_class(*arguments):
    return in_a_class(stage_functional)(*arguments)


@right("second_stage")
def stage_functional_in_a_class_called(*arguments):
    return in_a_class(stage_functional, called=True)(*arguments)


@right("second_stage")
def stage_without_input(input_shape, filters, groups):
    return keras.Sequential(
        [conv()(filters, groups), norm(filters, groups), keras.layers.MaxPooling2D(3, 2)]
    )


@wrong("second_stage", "there is a Dropout layer in it")
def stage_dropout(*arguments):
    model = stage_functional(*arguments)
    return keras.Sequential([model, keras.layers.Dropout(0.5)])


@wrong("second_stage", "this is what a layer gave back, not yet a model")
def stage_tensor(input_shape, filters, groups):
    return conv()(filters, groups)(keras.Input(input_shape))


@wrong("second_stage", "a class comes back, not what it makes")
def stage_class(input_shape, filters, groups):
    return keras.Sequential


@wrong("second_stage", "the batch size is fixed")
def stage_batch(input_shape, filters, groups):
    image = keras.Input(batch_shape=(1, *input_shape))
    return keras.Model(image, conv()(filters, groups)(image))


@wrong("second_stage", "the model does not take pictures of shape (17, 17, 8): ValueError")
def stage_dense_shapes(input_shape, filters, groups):
    return keras.Sequential([keras.layers.Conv1D(filters, 5), keras.layers.MaxPooling2D(3, 2)])


# network


def small(**changes):
    return AlexNet(**{**SMALL, **changes})


def by_hand(pooling=None, norms=(1, 2), pools=(1, 2, 5), fc="relu", drop=0.5, end=None, **last):
    layers = keras.layers
    image = x = keras.Input((28, 28, 1))
    rows = ((12, 5, 1), (32, 5, 2), (48, 3, 1), (48, 3, 2), (32, 3, 2))
    for number, (filters, size, groups) in enumerate(rows, 1):
        x = layers.Conv2D(filters, size, padding="same", groups=groups, activation="relu")(x)
        x = LocalResponseNormalization()(x) if number in norms else x
        x = (pooling or layers.MaxPooling2D)(3, 2)(x) if number in pools else x
    x = (end or layers.Flatten())(x)
    for _ in range(2):
        x = layers.Dense(256, fc)(x)
        x = layers.Dropout(drop)(x) if drop else x
    return keras.Model(image, layers.Dense(10, **last)(x))


@wrong("network", "no convolution has groups")
def network_one_tower():
    return small(groups=1)


@wrong("network", "the normalisation comes after the pooling, as in CaffeNet")
def network_caffenet():
    return small(swapped=CAFFENET)


@wrong("network", "the local response normalisation is missing")
def network_without_norm():
    return small(normalization=None)


@wrong("network", "all five convolutions are normalised")
def network_five_norms():
    return by_hand(norms=(1, 2, 3, 4, 5))


@wrong("network", "the poolings do not overlap")
def network_plain_pools():
    return small(overlapping=False)


@wrong("network", "the poolings are padded")
def network_padded():
    return by_hand(pooling=lambda k, s: keras.layers.MaxPooling2D(k, s, "same"))


@wrong("network", "this is average pooling")
def network_average():
    return by_hand(pooling=keras.layers.AveragePooling2D)


@wrong("network", "the pooling after conv5 is missing")
def network_two_pools():
    return by_hand(pools=(1, 2))


@wrong("network", "AlexNet flattens them")
def network_global():
    return by_hand(end=keras.layers.GlobalAveragePooling2D())


@wrong("network", "the two hidden fully connected layers have no ReLU")
def network_linear():
    return by_hand(fc=None)


@wrong("network", "the activation is tanh")
def network_tanh():
    return small(activation="tanh")


@wrong("network", "conv3 is missing")
def network_without_conv3():
    return small(without="conv3")


@wrong("network", "the Dropout is missing")
def network_without_dropout():
    return by_hand(drop=0)


@wrong("network", "the network ends in a softmax")
def network_softmax():
    return by_hand(activation="softmax")


@wrong("network", "the kernels (window, channels in, channels out)")
def network_wide():
    return small(widths=(24, 32, 48, 48, 32))


@right("network")
def network_of_the_course():
    return small()


@right("network")
def network_of_keras_layers():
    return by_hand()


@right("network")
def network_in_a_class():
    return in_a_class(by_hand)()


# highest_rate

TWICE = "nearly twice as high"


def searched(predict, measure, momenta=(0, 0.9), within=1.05):
    predict("ten times lower")
    for momentum in momenta:
        works, breaks = 0.01, 100.0
        while breaks > within * works:
            rate = (works * breaks) ** 0.5
            if measure(rate, momentum) < 0.505:
                works = rate
            else:
                breaks = rate


rate_unpredicted, rate_unmeasured, rate_own_words = hasty("highest_rate", TWICE, 1, 0)


@wrong("highest_rate", "with momentum 0.9 you have measured no rate that works")
def rate_one_side(predict, measure):
    searched(predict, measure, momenta=(0,))
    return TWICE


@wrong("highest_rate", "Come closer: within a tenth")
def rate_coarse(predict, measure):
    searched(predict, measure, within=1.5)
    return TWICE


@wrong("highest_rate", "'ten times lower' does not fit")
def rate_lower(predict, measure):
    searched(predict, measure)
    return "ten times lower"


@wrong("highest_rate", "'ten times higher' does not fit")
def rate_higher(predict, measure):
    searched(predict, measure)
    return "ten times higher"


@wrong("highest_rate", "allowed: 0 and 0.9")
def rate_other_momentum(predict, measure):
    predict(TWICE)
    return measure(1.0, 0.5)


@right("highest_rate")
def rate_in_small_steps(predict, measure):
    predict("the same")
    for momentum in (0, 0.9):
        for rate in np.arange(1.0, 5.0, 0.1):
            measure(float(rate), momentum)
    return TWICE


# train


train_history, train_nan, train_dead = untrained(small)


@wrong("train", "parameters; your `network` has 137,762")
def train_another(x, labels):
    return small(groups=1)


@right("train")
def train_with_labels_one_hot(x, labels):
    keras.utils.set_random_seed(2)
    model = small()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(x, np.eye(10)[labels], 50, 4, verbose=0)
    return model


# mended

AWAKE = "dropout works in the test too"


def caused(function):
    """Return an answer that names the right cause."""

    @functools.wraps(function)
    def answer(*arguments):
        return AWAKE, function(*arguments)

    return answer


def mended_cause(cause, says):
    def answer(x, rate, training, rng):
        return cause, x * (rng.random(x.shape) >= rate) if training else x * (1 - rate)

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_overfitting = mended_cause("overfitting", "'overfitting' is not the cause")
mended_learning = mended_cause("learning rate too high", "'learning rate too high' is not the")
mended_shuffled = mended_cause("pictures shuffled", "'pictures shuffled' is not the cause")
mended_unsaved = mended_cause("weights not saved", "'weights not saved' is not the cause")


@wrong("mended", "in the test numbers are still set to 0")
@caused
def mended_not(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate)


@wrong("mended", "there should be 2: the cause, the numbers after dropout")
def mended_alone(x, rate, training, rng):
    return x


@wrong("mended", "in testing nothing happens")
@caused
def dropout_forgotten_in_testing(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) if training else x


@wrong("mended", "in testing the numbers are multiplied by rate")
@caused
def dropout_times_rate(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) if training else x * rate


@wrong("mended", "in testing the numbers are divided by 1 - rate")
@caused
def dropout_divides_in_testing(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) if training else x / (1 - rate)


@wrong("mended", "in training the kept numbers are divided by 1 - rate, as Keras does")
@caused
def dropout_both_scalings(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) / (1 - rate) if training else x * (1 - rate)


@wrong("mended", "in training the kept numbers are scaled too")
@caused
def dropout_scales_always(x, rate, training, rng):
    return x * (1 - rate) * (rng.random(x.shape) >= rate if training else 1)


@wrong("mended", "in training the kept numbers became 1")
@caused
def dropout_mask_only(x, rate, training, rng):
    return 1.0 * (rng.random(x.shape) >= rate) if training else x * (1 - rate)


@wrong("mended", "in training nothing is dropped")
@caused
def dropout_never(x, rate, training, rng):
    return x if training else x * (1 - rate)


@wrong("mended", "in training 25% are kept")
@caused
def dropout_keeps_rate(x, rate, training, rng):
    return x * (rng.random(x.shape) < rate) if training else x * (1 - rate)


@wrong("mended", "in training 50% are dropped; it should be 25%")
@caused
def dropout_always_half(x, rate, training, rng):
    return x * (rng.random(x.shape) >= 0.5) if training else x * (1 - rate)


@wrong("mended", "in training every example loses the same units")
@caused
def dropout_one_mask(x, rate, training, rng):
    return x * (rng.random(x.shape[1]) >= rate) if training else x * (1 - rate)


@wrong("mended", "in training whole examples are dropped")
@caused
def dropout_examples(x, rate, training, rng):
    return x * (rng.random((len(x), 1)) >= rate) if training else x * (1 - rate)


@wrong("mended", "the same rng gives another result")
@caused
def dropout_own_generator(x, rate, training, rng):
    return x * (np.random.random(x.shape) >= rate) if training else x * (1 - rate)


@wrong("mended", "changes an array that it was given (argument 1)")
@caused
def dropout_in_place(x, rate, training, rng):
    if training:
        x[rng.random(x.shape) < rate] = 0
        return x
    return x * (1 - rate)


@right("mended")
@caused
def dropout_binomial(x, rate, training, rng):
    return np.where(rng.binomial(1, rate, size=x.shape), 0, x) if training else x - x * rate
