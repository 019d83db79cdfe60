"""Answers to assignment 02."""

import math

import numpy as np

from answers import right, wrong

# feature_map


def map_with(value, places=None, step=1):
    """Return an answer that fills the map with `value(window, kernel, bias)`."""

    def answer(picture, kernel, bias):
        k = len(kernel)
        starts = places or (lambda side, k: range(0, side - k + 1, step))
        return np.array(
            [
                [
                    value(picture[i : i + k, j : j + k], kernel, bias)
                    for j in starts(picture.shape[1], k)
                ]
                for i in starts(picture.shape[0], k)
            ]
        )

    return answer


def weighted(window, kernel, bias):
    return np.sum(window * kernel) + bias


map_right = map_with(weighted)


@wrong("feature_map", "the bias is missing")
def map_without_bias(picture, kernel, bias):
    return map_right(picture, kernel, 0)


@wrong("feature_map", "the bias is added to every product")
def map_bias_in_sum(picture, kernel, bias):
    return map_with(lambda w, k, b: np.sum(w * k + b))(picture, kernel, bias)


@wrong("feature_map", "these are the means of the products")
def map_mean(picture, kernel, bias):
    return map_with(lambda w, k, b: np.mean(w * k) + b)(picture, kernel, bias)


@wrong("feature_map", "the kernel is turned by 180 degrees")
def map_mathematical(picture, kernel, bias):
    return map_right(picture, np.rot90(kernel, 2), bias)


@wrong("feature_map", "rows and columns of the kernel are swapped")
def map_kernel_transposed(picture, kernel, bias):
    return map_right(picture, kernel.T, bias)


@wrong("feature_map", "window and kernel are multiplied as matrices")
def map_matrices(picture, kernel, bias):
    return map_with(lambda w, k, b: np.sum(w @ k) + b)(picture, kernel, bias)


@wrong("feature_map", "negative sums became 0")
def map_relu(picture, kernel, bias):
    return map_with(lambda w, k, b: max(0, weighted(w, k, b)))(picture, kernel, bias)


@wrong("feature_map", "the last row and the last column are missing")
def map_short_range(picture, kernel, bias):
    return map_with(weighted, lambda side, k: range(side - k))(picture, kernel, bias)


@wrong("feature_map", "the map is as large as the picture")
def map_padded(picture, kernel, bias):
    return map_right(np.pad(picture, len(kernel) // 2), kernel, bias)


@wrong("feature_map", "the kernel moves on by its own side")
def map_tiles(picture, kernel, bias):
    return map_with(weighted, step=len(kernel))(picture, kernel, bias)


@wrong("feature_map", "height and width are swapped")
def map_transposed(picture, kernel, bias):
    return map_right(picture, kernel, bias).T


@wrong("feature_map", "With k = 2 the map")
def map_of_three(picture, kernel, bias):
    large = np.zeros((3, 3))
    large[: len(kernel), : len(kernel)] = kernel
    return map_right(picture, large, bias)


@wrong("feature_map", "changes an array that it was given (argument 2)")
def map_in_place(picture, kernel, bias):
    result = map_right(picture, kernel, bias)
    kernel *= picture[-3:, -3:]
    return result


@right("feature_map")
def map_pixel_by_pixel(picture, kernel, bias):
    k = len(kernel)
    rows, columns = picture.shape[0] - k + 1, picture.shape[1] - k + 1
    result = [[bias] * columns for _ in range(rows)]
    for i, j, a, b in np.ndindex(rows, columns, k, k):
        result[i][j] += picture[i + a][j + b] * kernel[a][b]
    return result


@right("feature_map")
def map_shifted_pictures(picture, kernel, bias):
    k = len(kernel)
    rows, columns = picture.shape[0] - k + 1, picture.shape[1] - k + 1
    shifted = (
        kernel[a, b] * picture[a : a + rows, b : b + columns] for a in range(k) for b in range(k)
    )
    return sum(shifted) + bias


@right("feature_map")
def map_float32(picture, kernel, bias):
    return map_right(picture.astype("float32"), kernel.astype("float32"), bias)


# sides


def sides_with(rule):
    """Return an answer that applies `rule(side, window, stride, padding)` layer after layer."""

    def answer(side, layers):
        result = []
        for layer in layers:
            side = rule(side, *layer)
            result.append(side)
        return result

    return answer


@wrong("sides", "always one too few")
def sides_without_first(side, layers):
    return sides_with(lambda n, k, s, p: (n + 2 * p - k) // s)(side, layers)


@wrong("sides", "rounded up")
def sides_rounded_up(side, layers):
    return sides_with(lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1)(side, layers)


@wrong("sides", "not always a whole number")
def sides_not_rounded(side, layers):
    return sides_with(lambda n, k, s, p: (n + 2 * p - k) / s + 1)(side, layers)


@wrong("sides", "the padding is ignored")
def sides_without_padding(side, layers):
    return sides_with(lambda n, k, s, p: (n - k) // s + 1)(side, layers)


@wrong("sides", "the padding is added once")
def sides_padded_once(side, layers):
    return sides_with(lambda n, k, s, p: (n + p - k) // s + 1)(side, layers)


@wrong("sides", "the stride is ignored")
def sides_without_stride(side, layers):
    return sides_with(lambda n, k, s, p: n + 2 * p - k + 1)(side, layers)


@wrong("sides", "the 1 is added before the division")
def sides_one_inside(side, layers):
    return sides_with(lambda n, k, s, p: (n + 2 * p - k + 1) // s)(side, layers)


@wrong("sides", "every layer starts from the picture again")
def sides_not_chained(side, layers):
    return [(side + 2 * p - k) // s + 1 for k, s, p in layers]


@wrong("sides", "the side of the picture itself is in the list")
def sides_with_picture(side, layers):
    return [side, *sides_counted(side, layers)]


@wrong("sides", "this is the side after the last layer only")
def sides_last(side, layers):
    return sides_counted(side, layers)[-1]


@wrong("sides", "sides(28, [(3, 1, 1)")
def sides_with_same(side, layers):
    return sides_with(lambda n, k, s, p: math.ceil(n / s))(side, layers)


@wrong("sides", "stops with ValueError (not enough values to unpack")
def sides_of_pairs(side, layers):
    return [(side - k) // s + 1 for k, s, p, _ in layers]


@right("sides")
def sides_counted(side, layers):
    if not layers:
        return []
    (window, stride, padding), *rest = layers
    side = len(range(0, side + 2 * padding - window + 1, stride))
    return [side, *sides_counted(side, rest)]


@right("sides")
def sides_array(side, layers):
    result = np.zeros(len(layers))
    for i, (window, stride, padding) in enumerate(layers):
        before = side if i == 0 else result[i - 1]
        result[i] = np.floor((before - window + padding + padding) / stride + 1)
    return result


# conv2d


def conv_with(padded=None, value=None, start=None):
    """Return an answer: how to pad, what to make of a window, where windows start."""

    def zeros(x, p):
        return np.pad(x, ((p, p), (p, p), (0, 0)))

    def summed(window, kernel, bias):
        return np.tensordot(window, kernel, axes=3) + bias

    def answer(x, kernel, bias, stride, padding):
        k = len(kernel)
        x = (padded or zeros)(x, padding)
        rows, columns = ((side - k) // stride + 1 for side in x.shape[:2])
        step = start or stride
        return np.array(
            [
                [
                    (value or summed)(x[i : i + k, j : j + k], kernel, bias)
                    for j in range(0, columns * step, step)
                ]
                for i in range(0, rows * step, step)
            ]
        )

    return answer


conv_right = conv_with()


@wrong("conv2d", "the biases are missing")
def conv_without_bias(x, kernel, bias, stride, padding):
    return conv_right(x, kernel, 0 * bias, stride, padding)


@wrong("conv2d", "the bias of a filter is added to every product")
def conv_bias_in_sum(*arguments):
    value = lambda w, k, b: (w[..., None] * k + b).sum(axis=(0, 1, 2))  # noqa: E731
    return conv_with(value=value)(*arguments)


@wrong("conv2d", "the padding is ignored")
def conv_without_padding(x, kernel, bias, stride, padding):
    return conv_right(x, kernel, bias, stride, 0)


@wrong("conv2d", "the zeros are added at the bottom and on the right only")
def conv_padded_below(*arguments):
    return conv_with(lambda x, p: np.pad(x, ((0, 2 * p), (0, 2 * p), (0, 0))))(*arguments)


@wrong("conv2d", "the zeros are added at the top and on the left only")
def conv_padded_above(*arguments):
    return conv_with(lambda x, p: np.pad(x, ((p, 0), (p, 0), (0, 0))))(*arguments)


@wrong("conv2d", "the border repeats the pixels at the edge")
def conv_padded_edge(*arguments):
    edge = lambda x, p: np.pad(x, ((p, p), (p, p), (0, 0)), mode="edge")  # noqa: E731
    return conv_with(edge)(*arguments)


@wrong("conv2d", "the stride is ignored")
def conv_without_stride(x, kernel, bias, stride, padding):
    return conv_right(x, kernel, bias, 1, padding)


@wrong("conv2d", "its windows lie one pixel apart")
def conv_close_windows(*arguments):
    return conv_with(start=1)(*arguments)


@wrong("conv2d", "only the first input channel is used")
def conv_first_channel(x, kernel, bias, stride, padding):
    return conv_right(x[..., :1], kernel[:, :, :1], bias, stride, padding)


@wrong("conv2d", "the input channels are averaged")
def conv_channel_mean(*arguments):
    value = lambda w, k, b: (w[..., None] * k).sum(axis=(0, 1)).mean(axis=0) + b  # noqa: E731
    return conv_with(value=value)(*arguments)


@wrong("conv2d", "the input channels are still apart")
def conv_channels_apart(*arguments):
    value = lambda w, k, b: (w[..., None] * k).sum(axis=(0, 1)) + b  # noqa: E731
    return conv_with(value=value)(*arguments)


@wrong("conv2d", "the kernel is turned by 180 degrees")
def conv_mathematical(x, kernel, bias, stride, padding):
    return conv_right(x, kernel[::-1, ::-1], bias, stride, padding)


@wrong("conv2d", "the maps are the first axis")
def conv_channels_first(*arguments):
    return conv_right(*arguments).transpose(2, 0, 1)


@wrong("conv2d", "With a kernel of 1 x 1 and no padding the result")
def conv_always_padded(x, kernel, bias, stride, padding):
    return conv_right(x, kernel, bias, stride, 1)


@right("conv2d")
def conv_one_number_at_a_time(x, kernel, bias, stride, padding):
    k, _, c_in, c_out = kernel.shape
    rows = (x.shape[0] + 2 * padding - k) // stride + 1
    columns = (x.shape[1] + 2 * padding - k) // stride + 1
    result = np.tile(bias, (rows, columns, 1))
    for i, j, a, b in np.ndindex(rows, columns, k, k):
        row, column = i * stride + a - padding, j * stride + b - padding
        if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:  # else a zero of the padding
            for c in range(c_in):
                for f in range(c_out):
                    result[i, j, f] += x[row, column, c] * kernel[a, b, c, f]
    return result


@right("conv2d")
def conv_one_matrix_product(x, kernel, bias, stride, padding):
    k, _, c_in, c_out = kernel.shape
    x = np.pad(x, [(padding, padding)] * 2 + [(0, 0)])
    rows = range(0, x.shape[0] - k + 1, stride)
    columns = range(0, x.shape[1] - k + 1, stride)
    windows = np.array([x[i : i + k, j : j + k].ravel() for i in rows for j in columns])
    return (windows @ kernel.reshape(-1, c_out) + bias).reshape(len(rows), len(columns), c_out)


@right("conv2d")
def conv_keras(x, kernel, bias, stride, padding):
    import keras

    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))[None]
    return keras.ops.conv(x, kernel, stride, "valid")[0] + bias


# dense_matrix


def matrix_with(pixel=None, place=None):
    """Return an answer in loops: the numbers of the pixel and of the place are given."""

    def answer(kernel, side):
        k = len(kernel)
        m = side - k + 1
        w = np.zeros((side * side, m * m))
        for i, j, a, b in np.ndindex(m, m, k, k):
            row = pixel(i, j, a, b, side, m) if pixel else (i + a) * side + j + b
            w[row, place(i, j, m) if place else i * m + j] = kernel[a, b]
        return w

    return answer


matrix_right = matrix_with()


@wrong("dense_matrix", "rows and columns of W are swapped")
def matrix_transposed(kernel, side):
    return matrix_right(kernel, side).T


@wrong("dense_matrix", "the kernel is turned by 180 degrees")
def matrix_mathematical(kernel, side):
    return matrix_right(kernel[::-1, ::-1], side)


@wrong("dense_matrix", "rows and columns of the kernel are swapped")
def matrix_kernel_transposed(kernel, side):
    return matrix_right(kernel.T, side)


@wrong("dense_matrix", "every place of the map sees the upper left corner")
def matrix_corner(kernel, side):
    return matrix_with(lambda i, j, a, b, side, m: a * side + b)(kernel, side)


@wrong("dense_matrix", "the rows of the kernel follow one another without a gap")
def matrix_without_gap(kernel, side):
    k = len(kernel)
    return matrix_with(lambda i, j, a, b, side, m: i * side + j + a * k + b)(kernel, side)


@wrong("dense_matrix", "the pixels are numbered as if the picture had rows of m pixels")
def matrix_rows_of_m(kernel, side):
    return matrix_with(lambda i, j, a, b, side, m: (i + a) * m + j + b)(kernel, side)


@wrong("dense_matrix", "the places of the map are numbered down the columns")
def matrix_places_down(kernel, side):
    return matrix_with(place=lambda i, j, m: j * m + i)(kernel, side)


@wrong("dense_matrix", "there is a column for every pixel")
def matrix_same_size(kernel, side):
    w = matrix_right(kernel, side + 2).reshape(side + 2, side + 2, -1)
    return w[1:-1, 1:-1].reshape(side * side, -1)


@wrong("dense_matrix", "the window of a place holds ones")
def matrix_of_ones(kernel, side):
    return matrix_right(np.ones_like(kernel), side)


@wrong("dense_matrix", "stops with IndexError")
def matrix_places_of_pixels(kernel, side):
    return matrix_with(place=lambda i, j, m: i * side + j)(kernel, side)


@wrong("dense_matrix", "With k = 2 and side 5, W")
def matrix_for_three(kernel, side):
    return matrix_right(np.pad(kernel, ((0, 3 - len(kernel)),) * 2), side)


@right("dense_matrix")
def matrix_from_pictures(kernel, side):
    w = []
    for number in range(side**2):
        picture = np.zeros((side, side))
        picture[number // side, number % side] = 1
        w.append(map_shifted_pictures(picture, kernel, 0).ravel())
    return w


@right("dense_matrix")
def matrix_shifted_columns(kernel, side):
    k = len(kernel)
    first = np.zeros((side, side))
    first[:k, :k] = kernel
    places = range(side - k + 1)
    return np.stack(
        [np.roll(first, (i, j), (0, 1)).ravel() for i in places for j in places], axis=1
    )


# layer_costs


def costs(side, kernel, channels, filters, **changes):
    """The right four numbers, unless `changes` names another for one of them."""
    weights = kernel**2 * channels * filters
    inputs, outputs = side**2 * channels, side**2 * filters
    names = ("conv_params", "conv_work", "dense_params", "dense_work")
    values = (weights + filters, weights * side**2, (inputs + 1) * outputs, inputs * outputs)
    return tuple({**dict(zip(names, values, strict=True)), **changes}.values())


@wrong("layer_costs", "conv_parameters lacks the biases")
def costs_without_biases(s, k, c, f):
    return costs(s, k, c, f, conv_params=k * k * c * f)


@wrong("layer_costs", "conv_parameters has one bias for the layer")
def costs_one_bias(s, k, c, f):
    return costs(s, k, c, f, conv_params=k * k * c * f + 1)


@wrong("layer_costs", "conv_parameters has one bias for each input channel")
def costs_input_bias(s, k, c, f):
    return costs(s, k, c, f, conv_params=k * k * c * f + c)


@wrong("layer_costs", "conv_parameters ignores the input channels")
def costs_flat_filters(s, k, c, f):
    return costs(s, k, c, f, conv_params=(k * k + 1) * f)


@wrong("layer_costs", "conv_parameters has a flat kernel")
def costs_flat_kernel(s, k, c, f):
    return costs(s, k, c, f, conv_params=(k * c + 1) * f)


@wrong("layer_costs", "conv_parameters counts the weights again at each place")
def costs_unshared(s, k, c, f):
    return costs(s, k, c, f, conv_params=k * k * c * f * s * s + f)


@wrong("layer_costs", "conv_multiply_adds is that of one place")
def costs_one_place(s, k, c, f):
    return costs(s, k, c, f, conv_work=k * k * c * f)


@wrong("layer_costs", "conv_multiply_adds is that of one row of the map")
def costs_one_row(s, k, c, f):
    return costs(s, k, c, f, conv_work=k * k * c * f * s)


@wrong("layer_costs", "conv_multiply_adds counts the biases")
def costs_conv_bias_work(s, k, c, f):
    return costs(s, k, c, f, conv_work=(k * k * c + 1) * f * s * s)


@wrong("layer_costs", "conv_multiply_adds counts a multiplication and an addition as two")
def costs_conv_operations(s, k, c, f):
    return costs(s, k, c, f, conv_work=2 * k * k * c * f * s * s)


@wrong("layer_costs", "conv_multiply_adds is for a map without padding")
def costs_valid(s, k, c, f):
    return costs(s, k, c, f, conv_work=k * k * c * f * (s - k + 1) ** 2)


@wrong("layer_costs", "dense_parameters lacks the biases")
def costs_dense_without_biases(s, k, c, f):
    return costs(s, k, c, f, dense_params=s**4 * c * f)


@wrong("layer_costs", "dense_parameters has one bias for each filter")
def costs_dense_filter_bias(s, k, c, f):
    return costs(s, k, c, f, dense_params=s**4 * c * f + f)


@wrong("layer_costs", "dense_parameters has the biases on the wrong side")
def costs_dense_input_bias(s, k, c, f):
    return costs(s, k, c, f, dense_params=s**4 * c * f + s * s * c)


@wrong("layer_costs", "dense_parameters has `filters` outputs")
def costs_dense_few_outputs(s, k, c, f):
    return costs(s, k, c, f, dense_params=(s * s * c + 1) * f)


@wrong("layer_costs", "dense_parameters has side * side inputs")
def costs_dense_grey(s, k, c, f):
    return costs(s, k, c, f, dense_params=(s * s + 1) * s * s * f)


@wrong("layer_costs", "dense_multiply_adds counts the biases")
def costs_dense_bias_work(s, k, c, f):
    return costs(s, k, c, f, dense_work=(s * s * c + 1) * s * s * f)


@wrong("layer_costs", "dense_multiply_adds counts a multiplication and an addition as two")
def costs_dense_operations(s, k, c, f):
    return costs(s, k, c, f, dense_work=2 * s**4 * c * f)


@wrong("layer_costs", "dense_multiply_adds counts a weight at every place")
def costs_dense_shared(s, k, c, f):
    return costs(s, k, c, f, dense_work=s**6 * c * f)


@wrong("layer_costs", "2 things came back where there should be 4")
def costs_of_one_layer(s, k, c, f):
    return costs(s, k, c, f)[:2]


@wrong("layer_costs", "conv_parameters of layer_costs(14, 5, 12, 32)")
def costs_always_three(s, k, c, f):
    return costs(s, 3, c, f)


@right("layer_costs")
def costs_neuron_by_neuron(s, k, c, f):
    neurons = s * s * f
    filter_weights, neuron_weights = k * k * c, s * s * c
    return [
        (filter_weights + 1) * f,
        sum(filter_weights for _ in range(neurons)),
        sum(neuron_weights + 1 for _ in range(neurons)),
        float(neurons * neuron_weights),
    ]


@right("layer_costs")
def costs_from_shapes(s, k, c, f):
    kernel, bias = np.empty((k, k, c, f)), np.empty(f)
    full = (s * s * c) * (s * s * f)
    return np.array(kernel.size + bias.size), kernel.size * s * s, full + s * s * f, full


# receptive_field


def field_with(rule, start=1):
    """Return an answer that applies `rule(field, step, kernel, stride)` layer after layer."""

    def answer(layers):
        field, step = start, 1
        for kernel, stride in layers:
            field, step = rule(field, step, kernel, stride)
        return field

    return answer


@wrong("receptive_field", "the strides are ignored")
def field_without_strides(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@wrong("receptive_field", "the kernels are added up")
def field_sum(layers):
    return sum(kernel for kernel, _ in layers)


@wrong("receptive_field", "the step is multiplied before the field grows")
def field_step_first(layers):
    return field_with(lambda f, t, k, s: (f + (k - 1) * t * s, t * s))(layers)


@wrong("receptive_field", "the step is the stride of the layer before")
def field_last_stride(layers):
    return field_with(lambda f, t, k, s: (f + (k - 1) * t, s))(layers)


@wrong("receptive_field", "the strides are added up")
def field_added_strides(layers):
    return field_with(lambda f, t, k, s: (f + (k - 1) * t, t + s - 1))(layers)


@wrong("receptive_field", "one pixel too few")
def field_from_zero(layers):
    return field_with(lambda f, t, k, s: (f + (k - 1) * t, t * s), start=0)(layers)


@wrong("receptive_field", "the field grows by kernel * step")
def field_whole_kernel(layers):
    return field_with(lambda f, t, k, s: (f + k * t, t * s))(layers)


@wrong("receptive_field", "the sides of the kernels are multiplied")
def field_product(layers):
    return math.prod(kernel for kernel, _ in layers)


@wrong("receptive_field", "this is the step")
def field_step(layers):
    return math.prod(stride for _, stride in layers)


@wrong("receptive_field", "the layers are taken from the last to the first")
def field_reversed(layers):
    return field_with(lambda f, t, k, s: (f + (k - 1) * t, t * s))(layers[::-1])


@wrong("receptive_field", "receptive_field([(3, 1), (3, 1), (3, 1)]) is 22; it should be 7")
def field_of_the_notebook(layers):
    return 22


@right("receptive_field")
def field_backwards(layers):
    needed = 1
    for kernel, stride in layers[::-1]:
        needed = kernel + (needed - 1) * stride
    return needed


@right("receptive_field")
def field_sum_of_products(layers):
    strides = [stride for _, stride in layers]
    return 1 + sum((k - 1) * math.prod(strides[:i]) for i, (k, _) in enumerate(layers))
