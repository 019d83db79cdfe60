"""Answers to assignment 04."""

import math

import keras
import numpy as np

from answers import in_a_class, right, wrong
from course_lib.layers import GroupedConv2D, LocalResponseNormalization

# lrn


def lrn_with(window):
    """Return an answer whose window is `window(i, n, channels)`, a list of channels."""

    def answer(a, n, k, alpha, beta):
        result = np.empty_like(a)
        channels = a.shape[-1]
        for i in range(channels):
            total = sum(a[..., j] ** 2 for j in window(i, n, channels))
            result[..., i] = a[..., i] / (k + alpha * total) ** beta
        return result

    return answer


def near(i, n, channels):
    return [j for j in range(channels) if abs(i - j) <= n // 2]


lrn_right = lrn_with(near)


@wrong("lrn", "alpha is divided by n, as Caffe and PyTorch do")
def lrn_caffe(a, n, k, alpha, beta):
    return lrn_right(a, n, k, alpha / n, beta)


@wrong("lrn", "the window misses its last channel")
def lrn_short_window(a, n, k, alpha, beta):
    return lrn_with(lambda i, n, c: range(max(0, i - n // 2), i + n // 2))(a, n, k, alpha, beta)


@wrong("lrn", "at the first channels the window is empty")
def lrn_negative_start(a, n, k, alpha, beta):
    parts = [
        a[..., i] / (k + alpha * (a[..., i - n // 2 : i + n // 2 + 1] ** 2).sum(-1)) ** beta
        for i in range(a.shape[-1])
    ]
    return np.stack(parts, axis=-1)


@wrong("lrn", "the window reaches n channels to each side")
def lrn_wide_window(a, n, k, alpha, beta):
    return lrn_right(a, 2 * n + 1, k, alpha, beta)


@wrong("lrn", "the window wraps around")
def lrn_circular(a, n, k, alpha, beta):
    half = n // 2
    return lrn_with(lambda i, n, c: [j % c for j in range(i - half, i + half + 1)])(
        a, n, k, alpha, beta
    )


@wrong("lrn", "the window is always 5 channels wide")
def lrn_always_five(a, n, k, alpha, beta):
    return lrn_right(a, 5, k, alpha, beta)


@wrong("lrn", "the activities are not squared")
def lrn_not_squared(a, n, k, alpha, beta):
    return a / lrn_divisor(np.sqrt(np.abs(a)), n, k, alpha, beta)


@wrong("lrn", "the channel itself is missing from its window")
def lrn_without_itself(a, n, k, alpha, beta):
    others = lrn_with(lambda i, n, c: [j for j in near(i, n, c) if j != i])
    return others(a, n, k, alpha, beta)


@wrong("lrn", "the sum runs over all channels")
def lrn_global(a, n, k, alpha, beta):
    return lrn_with(lambda i, n, c: range(c))(a, n, k, alpha, beta)


@wrong("lrn", "the neighbours are pixels")
def lrn_pixels(a, n, k, alpha, beta):
    return lrn_right(a.swapaxes(1, -1), n, k, alpha, beta).swapaxes(1, -1)


@wrong("lrn", "the exponent beta is missing")
def lrn_without_beta(a, n, k, alpha, beta):
    return lrn_right(a, n, k, alpha, 1)


@wrong("lrn", "the channel is multiplied by the power")
def lrn_multiplied(a, n, k, alpha, beta):
    return a * lrn_divisor(a, n, k, alpha, beta)


@wrong("lrn", "k is taken as 1")
def lrn_keras_backend_default(a, n, k, alpha, beta):
    return lrn_right(a, n, 1, alpha, beta)


@wrong("lrn", "this is the divisor alone")
def lrn_divisor(a, n, k, alpha, beta):
    return lrn_right(a, n, k, alpha, -beta) / a


@wrong("lrn", "changes an array that it was given (argument 1)")
def lrn_in_place(a, n, k, alpha, beta):
    for i in range(a.shape[-1]):
        window = a[..., max(0, i - n // 2) : i + n // 2 + 1]
        a[..., i] = a[..., i] / (k + alpha * (window**2).sum(-1)) ** beta
    return a


@wrong("lrn", "With n = 5 the result at")
def lrn_always_three(a, n, k, alpha, beta):
    return lrn_right(a, 3, k, alpha, beta)


@right("lrn")
def lrn_layer(a, n, k, alpha, beta):
    return LocalResponseNormalization(n, k, alpha, beta)(a)


@right("lrn")
def lrn_convolve(a, n, k, alpha, beta):
    total = np.apply_along_axis(np.convolve, -1, a**2, np.ones(n), "same")
    return a * (k + alpha * total) ** -beta


# output_size


@wrong("output_size", "always one too few")
def size_without_first(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride


@wrong("output_size", "rounded up")
def size_rounded_up(size, kernel, stride, padding):
    return math.ceil((size + 2 * padding - kernel) / stride) + 1


@wrong("output_size", "rounded to the nearest number")
def size_rounded(size, kernel, stride, padding):
    return round((size + 2 * padding - kernel) / stride) + 1


@wrong("output_size", "not always a whole number")
def size_not_rounded(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) / stride + 1


@wrong("output_size", "the padding is ignored")
def size_without_padding(size, kernel, stride, padding):
    return (size - kernel) // stride + 1


@wrong("output_size", "the padding is added once")
def size_padded_once(size, kernel, stride, padding):
    return (size + padding - kernel) // stride + 1


@wrong("output_size", "the stride is ignored")
def size_without_stride(size, kernel, stride, padding):
    return size + 2 * padding - kernel + 1


@wrong("output_size", "this is the size with padding='same'")
def size_same(size, kernel, stride, padding):
    return math.ceil(size / stride)


@wrong("output_size", "the 1 is added before the division")
def size_one_inside(size, kernel, stride, padding):
    return (size + 2 * padding - kernel + 1) // stride


@wrong("output_size", "output_size(224, 11, 4, 0) is 55; it should be 54")
def size_from_the_paper(size, kernel, stride, padding):
    return 55 if size in (224, 227) else (size + 2 * padding - kernel) // stride + 1


@right("output_size")
def size_counted(size, kernel, stride, padding):
    return len(range(-padding, size + padding - kernel + 1, stride))


@right("output_size")
def size_floor(size, kernel, stride, padding):
    return math.floor(1 + (size - kernel + padding + padding) / stride)


# grouped_cost


@wrong("grouped_cost", "the parameters ignore the groups")
def cost_without_groups(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in * c_out
    return weights + c_out, weights * side**2


@wrong("grouped_cost", "the parameters are divided by groups twice")
def cost_of_one_group(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * (c_in // groups) * (c_out // groups)
    return weights + c_out, weights * side**2


@wrong("grouped_cost", "the parameters lack the biases")
def cost_without_biases(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in // groups * c_out
    return weights, weights * side**2


@wrong("grouped_cost", "the biases are divided by groups too")
def cost_grouped_biases(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in // groups * c_out
    return weights + c_out // groups, weights * side**2


@wrong("grouped_cost", "one bias for each output channel, not for each input channel")
def cost_input_biases(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in // groups * c_out
    return weights + c_in, weights * side**2


@wrong("grouped_cost", "the kernel is a square")
def cost_flat_kernel(c_in, c_out, kernel, side, groups):
    weights = kernel * c_in // groups * c_out
    return weights + c_out, weights * side**2


@wrong("grouped_cost", "the multiply-adds ignore the groups")
def cost_ungrouped_work(c_in, c_out, kernel, side, groups):
    full = kernel**2 * c_in * c_out
    return full // groups + c_out, full * side**2


@wrong("grouped_cost", "the multiply-adds are divided by groups twice")
def cost_work_of_one_group(c_in, c_out, kernel, side, groups):
    full = kernel**2 * c_in * c_out
    return full // groups + c_out, full // groups**2 * side**2


@wrong("grouped_cost", "the biases are no multiply-adds")
def cost_parameters_times_pixels(c_in, c_out, kernel, side, groups):
    parameters = kernel**2 * c_in // groups * c_out + c_out
    return parameters, parameters * side**2


@wrong("grouped_cost", "do not count two")
def cost_in_flops(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in // groups * c_out
    return weights + c_out, 2 * weights * side**2


@wrong("grouped_cost", "the multiply-adds are those of one output pixel")
def cost_of_one_pixel(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in // groups * c_out
    return weights + c_out, weights


@wrong("grouped_cost", "the output is a square")
def cost_of_one_row(c_in, c_out, kernel, side, groups):
    weights = kernel**2 * c_in // groups * c_out
    return weights + c_out, weights * side


@wrong("grouped_cost", "one thing came back where there should be 2")
def cost_parameters_only(c_in, c_out, kernel, side, groups):
    return kernel**2 * c_in // groups * c_out + c_out


@right("grouped_cost")
def cost_group_by_group(c_in, c_out, kernel, side, groups):
    parameters, work = c_out, 0
    for _ in range(groups):
        weights = (c_in / groups) * (c_out / groups) * kernel * kernel
        parameters += weights
        work += weights * side * side
    return [parameters, work]


@right("grouped_cost")
def cost_from_keras(c_in, c_out, kernel, side, groups):
    layer = keras.layers.Conv2D(c_out, kernel, groups=groups)
    layer.build((None, side, side, c_in))
    return layer.count_params(), int(np.prod(layer.kernel.shape)) * side**2


# max_pool


def pool_with(reduce, window, stride, places=None):
    """Return an answer that reduces windows; `places(side)` are their first rows or columns."""

    def answer(x, *_):
        starts = places or (lambda side: range(0, side - window + 1, stride))
        return np.array(
            [
                [reduce(x[r : r + window, c : c + window]) for c in starts(x.shape[1])]
                for r in starts(x.shape[0])
            ]
        )

    return answer


def maximum(part):
    return part.max(axis=(0, 1))


@wrong("max_pool", "this is the mean of each window")
def pool_mean(x, window, stride):
    return pool_with(lambda part: part.mean(axis=(0, 1)), window, stride)(x)


@wrong("max_pool", "this is the minimum of each window")
def pool_minimum(x, window, stride):
    return pool_with(lambda part: part.min(axis=(0, 1)), window, stride)(x)


@wrong("max_pool", "the windows do not overlap")
def pool_not_overlapping(x, window, stride):
    return pool_with(maximum, window, window)(x)


@wrong("max_pool", "the windows move on by one pixel")
def pool_every_pixel(x, window, stride):
    return pool_with(maximum, window, 1)(x)


@wrong("max_pool", "the last row and column of windows are missing")
def pool_short_range(x, window, stride):
    return pool_with(maximum, window, stride, lambda side: range(0, side - window, stride))(x)


@wrong("max_pool", "a window of negative numbers gives 0")
def pool_from_zeros(x, window, stride):
    return pool_with(lambda part: np.maximum(maximum(part), 0), window, stride)(x)


@wrong("max_pool", "the maximum is taken over the channels too")
def pool_channels(x, window, stride):
    return pool_with(np.max, window, stride)(x)


@wrong("max_pool", "height and width are swapped")
def pool_transposed(x, window, stride):
    return pool_with(maximum, window, stride)(x).swapaxes(0, 1)


@wrong("max_pool", "the windows are `stride` wide")
def pool_small_windows(x, window, stride):
    return pool_with(maximum, stride, stride)(x)


@wrong("max_pool", "the last windows hang over the edge")
def pool_hanging(x, window, stride):
    return pool_with(maximum, window, stride, lambda side: range(0, side - 1, stride))(x)


@wrong("max_pool", "stops with IndexError")
def pool_square_only(x, window, stride):
    rows = (x.shape[0] - window) // stride + 1
    result = np.empty((rows, rows, x.shape[2]))
    for r in range(rows):
        for c in range((x.shape[1] - window) // stride + 1):
            result[r, c] = maximum(x[r * stride : r * stride + window, c * stride :][:, :window])
    return result


@right("max_pool")
def pool_shifted_maxima(x, window, stride):
    rows = (x.shape[0] - window) // stride * stride + 1
    columns = (x.shape[1] - window) // stride * stride + 1
    shifted = [
        x[r : r + rows : stride, c : c + columns : stride]
        for r in range(window)
        for c in range(window)
    ]
    return np.maximum.reduce(shifted)


@right("max_pool")
def pool_keras(x, window, stride):
    return keras.layers.MaxPooling2D(window, strides=stride)(x[None])[0]


# dropout


@wrong("dropout", "in testing nothing happens")
def dropout_forgotten_in_testing(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) if training else x


@wrong("dropout", "in testing the numbers are multiplied by rate")
def dropout_times_rate(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) if training else x * rate


@wrong("dropout", "in testing the numbers are divided by 1 - rate")
def dropout_divides_in_testing(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) if training else x / (1 - rate)


@wrong("dropout", "in training the kept numbers are divided by 1 - rate, as Keras does")
def dropout_both_scalings(x, rate, training, rng):
    return x * (rng.random(x.shape) >= rate) / (1 - rate) if training else x * (1 - rate)


@wrong("dropout", "in training the kept numbers are scaled too")
def dropout_scales_always(x, rate, training, rng):
    return x * (1 - rate) * (rng.random(x.shape) >= rate if training else 1)


@wrong("dropout", "in training the kept numbers became 1")
def dropout_mask_only(x, rate, training, rng):
    return 1.0 * (rng.random(x.shape) >= rate) if training else x * (1 - rate)


@wrong("dropout", "in training nothing is dropped")
def dropout_never(x, rate, training, rng):
    return x if training else x * (1 - rate)


@wrong("dropout", "in training 25% are kept")
def dropout_keeps_rate(x, rate, training, rng):
    return x * (rng.random(x.shape) < rate) if training else x * (1 - rate)


@wrong("dropout", "in training 50% are dropped; it should be 25%")
def dropout_always_half(x, rate, training, rng):
    return x * (rng.random(x.shape) >= 0.5) if training else x * (1 - rate)


@wrong("dropout", "in training every example loses the same units")
def dropout_one_mask(x, rate, training, rng):
    return x * (rng.random(x.shape[1]) >= rate) if training else x * (1 - rate)


@wrong("dropout", "in training whole examples are dropped")
def dropout_examples(x, rate, training, rng):
    return x * (rng.random((len(x), 1)) >= rate) if training else x * (1 - rate)


@wrong("dropout", "the same rng gives another result")
def dropout_own_generator(x, rate, training, rng):
    return x * (np.random.random(x.shape) >= rate) if training else x * (1 - rate)


@wrong("dropout", "changes an array that it was given (argument 1)")
def dropout_in_place(x, rate, training, rng):
    if training:
        x[rng.random(x.shape) < rate] = 0
        return x
    return x * (1 - rate)


@right("dropout")
def dropout_binomial(x, rate, training, rng):
    return np.where(rng.binomial(1, rate, size=x.shape), 0, x) if training else x - x * rate


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


@wrong("grouped_cost", "The number of parameters of grouped_cost(96, 256, 5, 27, 2) is")
def cost_half(c_in, c_out, kernel, side, groups):
    return 1, kernel**2 * c_in * c_out // groups * side**2
