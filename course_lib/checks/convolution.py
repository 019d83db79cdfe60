"""The exercises of assignment 02: convolution by hand, its cost, and how far it sees."""

import numpy as np

from course_lib.checks import assignment, expect, numbers, parts, recognise, shaped

exercise = assignment("02_convolution")


def windows_of(x, k):
    """All windows of (height, width, in): the result is (rows, columns, in, k, k)."""
    return np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))


def maps_of(x, kernel, bias=0.0, stride=1):
    """Convolution of (height, width, in) with (k, k, in, out), from all windows at once."""
    sums = np.einsum("hwcij,ijco->hwo", windows_of(x, len(kernel)), kernel)
    return sums[::stride, ::stride] + bias


def map_of(picture, kernel, bias=0.0):
    """The same for one channel and one filter: (height, width) -> (rows, columns)."""
    return maps_of(picture[..., None], kernel[..., None, None], bias)[..., 0]


@exercise(
    section="One filter, by hand",
    correct="nine weights and a bias, used at every place of the picture.",
    hints=(
        "The window of the place (i, j) is picture[i : i + k, j : j + k]. Multiply it by the "
        "kernel number by number (*, not @), add everything up, add the bias once.",
        "With k = len(kernel) the map has picture.shape[0] - k + 1 rows, and columns alike from "
        "picture.shape[1]. Fill an array of that shape in two loops.",
    ),
)
def feature_map(answer):
    rng = np.random.default_rng(2)
    picture, kernel, bias = rng.normal(size=(6, 8)), rng.normal(size=(3, 3)), 0.75
    right = map_of(picture, kernel, bias)
    windows = windows_of(picture[..., None], 3)[:, :, 0]
    padded = np.pad(picture, 1)
    expect(
        answer(picture, kernel, bias),
        right,
        {
            "the bias is missing.": right - bias,
            "the bias is added to every product. Add it once, to the sum.": right + 8 * bias,
            "these are the means of the products. Add the products up.": (right - bias) / 9 + bias,
            "the kernel is turned by 180 degrees, as mathematics does. Networks lay it on the "
            "picture as it is.": map_of(picture, kernel[::-1, ::-1], bias),
            "rows and columns of the kernel are swapped.": map_of(picture, kernel.T, bias),
            "window and kernel are multiplied as matrices (@). Multiply number by number: *.": (
                np.einsum("hwij,jk->hw", windows, kernel) + bias
            ),
            "negative sums became 0. The ReLU is a step of its own and comes later.": (
                np.maximum(right, 0)
            ),
            "the last row and the last column are missing: there are height - k + 1 rows.": (
                right[:-1, :-1]
            ),
            "the map is as large as the picture, so zeros were added around it. Here there is no "
            "padding.": map_of(padded, kernel, bias),
            "the kernel moves on by its own side. Move on by one pixel.": right[::3, ::3],
            "height and width are swapped.": right.T,
        },
        "The map",
    )
    kernel = rng.normal(size=(2, 2))
    expect(answer(picture, kernel, bias), map_of(picture, kernel, bias), {}, "With k = 2 the map")


@exercise(
    section="Padding and stride",
    correct="28, 14, 14, 7, 7, 3 for the network of the notebook: each map is the next picture.",
    hints=(
        "Use the formula for the first layer. What it gives is n for the second layer.",
        "In a loop: side = (side + 2 * padding - window) // stride + 1, then append side to a "
        "list. // rounds down.",
    ),
)
def sides(answer):
    stacks = [
        (28, [(3, 1, 1), (2, 2, 0), (3, 1, 1), (2, 2, 0), (3, 1, 1), (2, 2, 0)]),
        (30, [(5, 2, 1), (3, 3, 2), (4, 1, 0)]),
        (8, [(3, 2, 0)]),
    ]

    def chain(rule):
        found = []
        for side, layers in stacks:
            for window, stride, padding in layers:
                side = rule(side, window, stride, padding)
                found.append(side)
        return np.array(found)

    # counted one by one: the places where the window starts and still ends inside
    right = chain(lambda n, k, s, p: len(range(-p, n + p - k + 1, s)))
    got = [numbers(answer(side, list(layers))) for side, layers in stacks]
    flat = np.concatenate([g.ravel() for g in got])
    ends = np.cumsum([len(layers) for _, layers in stacks])
    each = np.split(right, ends[:-1])
    recognise(
        flat,
        {
            "always one too few: the first place counts too, so add 1.": (
                chain(lambda n, k, s, p: (n + 2 * p - k) // s)
            ),
            "rounded up. A window that hangs over the edge does not count: round down.": (
                chain(lambda n, k, s, p: -((k - n - 2 * p) // s) + 1)
            ),
            "not always a whole number: divide with //, which rounds down.": (
                chain(lambda n, k, s, p: (n + 2 * p - k) / s + 1)
            ),
            "the padding is ignored.": chain(lambda n, k, s, p: (n - k) // s + 1),
            "the padding is added once. It is on both sides: 2 * padding.": (
                chain(lambda n, k, s, p: (n + p - k) // s + 1)
            ),
            "the stride is ignored.": chain(lambda n, k, s, p: n + 2 * p - k + 1),
            "the 1 is added before the division. Divide first.": (
                chain(lambda n, k, s, p: (n + 2 * p - k + 1) // s)
            ),
            "every layer starts from the picture again. The map of a layer is the picture of the "
            "next.": [(side + 2 * p - k) // s + 1 for side, layers in stacks for k, s, p in layers],
            "the side of the picture itself is in the list. Begin after the first layer.": (
                np.concatenate([[s, *list_] for (s, _), list_ in zip(stacks, each, strict=True)])
            ),
            "this is the side after the last layer only. Return a list, one number a layer.": (
                right[ends - 1]
            ),
        },
    )
    for (side, layers), result, wanted in zip(stacks, got, each, strict=True):
        expect(result, wanted, what=f"sides({side}, {layers})")


@exercise(
    section="Channels, weights and work",
    correct="this is the layer of every network in this course, written out.",
    hints=(
        "Pad height and width, not the channels: np.pad(x, ((p, p), (p, p), (0, 0))). The window "
        "of the place (i, j) starts at row i * stride and column j * stride.",
        "A window has the shape (k, k, in). (window[..., None] * kernel).sum(axis=(0, 1, 2)) is "
        "one number a filter. Add bias to it, and the row of `out` numbers is done.",
    ),
)
def conv2d(answer):
    rng = np.random.default_rng(4)
    x, kernel, bias = rng.normal(size=(7, 9, 2)), rng.normal(size=(3, 3, 2, 4)), rng.normal(size=4)
    stride, padding = 2, 1

    def padded(before, after, mode="constant"):
        return np.pad(x, ((before, after), (before, after), (0, 0)), mode=mode)

    x_padded = padded(1, 1)
    right = maps_of(x_padded, kernel, bias, stride)
    one_by_one = np.einsum("hwcij,ijco->hwco", windows_of(x_padded, 3), kernel)[::2, ::2]
    expect(
        answer(x, kernel, bias, stride, padding),
        right,
        {
            "the biases are missing.": right - bias,
            "the bias of a filter is added to every product. Add it once, to the sum.": (
                right + 17 * bias
            ),
            "the padding is ignored.": maps_of(x, kernel, bias, stride),
            "the zeros are added at the bottom and on the right only. Add them on every side.": (
                maps_of(padded(0, 2), kernel, bias, stride)
            ),
            "the zeros are added at the top and on the left only. Add them on every side.": (
                maps_of(padded(1, 0), kernel, bias, stride)
            ),
            "the border repeats the pixels at the edge. Padding adds zeros.": (
                maps_of(padded(1, 1, "edge"), kernel, bias, stride)
            ),
            "the stride is ignored.": maps_of(x_padded, kernel, bias),
            "the map has the right size, but its windows lie one pixel apart: start them at "
            "i * stride and j * stride.": (maps_of(x_padded, kernel, bias)[:4, :5]),
            "only the first input channel is used. A filter reaches through all of them.": (
                maps_of(x_padded[..., :1], kernel[:, :, :1], bias, stride)
            ),
            "the input channels are averaged. Add them up.": (right - bias) / 2 + bias,
            "the input channels are still apart. A filter adds up over all of them and gives one "
            "number a place.": one_by_one + bias,
            "the kernel is turned by 180 degrees, as mathematics does. Networks lay it on the "
            "picture as it is.": maps_of(x_padded, kernel[::-1, ::-1], bias, stride),
            "the maps are the first axis. They are the channels of the result: the last axis.": (
                np.moveaxis(right, -1, 0)
            ),
        },
        "The result",
    )
    kernel = rng.normal(size=(1, 1, 2, 3))
    expect(
        answer(x, kernel, bias[:3], 1, 0),
        maps_of(x, kernel, bias[:3]),
        {},
        "With a kernel of 1 x 1 and no padding the result",
    )


@exercise(
    section="Channels, weights and work",
    correct="the same map from one matrix product. For a kernel of 5 x 5 and a picture of 8 x 8, "
    "400 of its 1,024 weights are not zero, and they are 25 numbers, repeated.",
    hints=(
        "One column of W is one place of the map. In it, k * k rows hold the weights of the "
        "kernel; all others are 0.",
        "The place (i, j) puts kernel[a, b] on the pixel in row i + a, column j + b. That pixel "
        "has the number (i + a) * side + (j + b); the place has the number i * m + j. Four loops.",
    ),
)
def dense_matrix(answer):
    rng = np.random.default_rng(6)

    def matrix(kernel, side, change=map_of):
        pictures = np.eye(side * side).reshape(-1, side, side)  # one bright pixel each
        return np.array([change(picture, kernel).ravel() for picture in pictures])

    def laid_out(kernel, side, pixel, place):
        """A matrix from loops, with its numbers of pixels and places given."""
        k = len(kernel)
        m = side - k + 1
        w = np.zeros((side * side, m * m))
        for i, j, a, b in np.ndindex(m, m, k, k):
            w[pixel(i, j, a, b) % len(w), place(i, j)] = kernel[a, b]
        return w

    side, kernel = 6, rng.normal(size=(3, 3))
    m = side - 2
    right = matrix(kernel, side)
    result = answer(kernel, side)
    expect(
        result,
        right,
        {
            "rows and columns of W are swapped. A row belongs to a pixel, a column to a place of "
            "the map.": right.T,
            "the kernel is turned by 180 degrees.": matrix(kernel[::-1, ::-1], side),
            "rows and columns of the kernel are swapped.": matrix(kernel.T, side),
            "every place of the map sees the upper left corner. Place (i, j) sees the window that "
            "starts in row i and column j.": (
                laid_out(kernel, side, lambda i, j, a, b: a * side + b, lambda i, j: i * m + j)
            ),
            "the rows of the kernel follow one another without a gap. In the list of pixels the "
            "next row of the picture begins `side` numbers later.": (
                laid_out(
                    kernel,
                    side,
                    lambda i, j, a, b: i * side + j + a * 3 + b,
                    lambda i, j: i * m + j,
                )
            ),
            "the pixels are numbered as if the picture had rows of m pixels. They have `side`.": (
                laid_out(
                    kernel, side, lambda i, j, a, b: (i + a) * m + j + b, lambda i, j: i * m + j
                )
            ),
            "the places of the map are numbered down the columns. ravel() goes along the rows: "
            "i * m + j.": (
                laid_out(
                    kernel, side, lambda i, j, a, b: (i + a) * side + j + b, lambda i, j: j * m + i
                )
            ),
            "there is a column for every pixel. Without padding the map has only m * m places, "
            "m = side - k + 1.": matrix(kernel, side, lambda x, w: map_of(np.pad(x, 1), w)),
            "the window of a place holds ones. It should hold the weights of the kernel.": (
                matrix(np.ones((3, 3)), side)
            ),
        },
        "W",
    )
    kernel = rng.normal(size=(2, 2))
    expect(answer(kernel, 5), matrix(kernel, 5), {}, "With k = 2 and side 5, W")


@exercise(
    section="Channels, weights and work",
    correct="160 parameters against 9,847,040 in the notebook's example: the price of knowing "
    "nothing about pictures.",
    hints=(
        "A filter has kernel * kernel * channels weights and one bias, wherever it lies. Each of "
        "its weights is used at each of the side * side places.",
        "In the fully connected layer each of side * side * channels inputs is joined to each of "
        "side * side * filters outputs, and each output has a bias. Each weight is used once.",
    ),
)
def layer_costs(answer):
    layers = np.array([[28, 3, 1, 16], [14, 5, 12, 32]])
    side, k, c, f = layers.T
    places, filters = side**2, k**2 * c * f
    inputs, outputs = places * c, places * f
    names = ("conv_parameters", "conv_multiply_adds", "dense_parameters", "dense_multiply_adds")
    got = [parts(answer(*map(int, layer)), names) for layer in layers]
    found = [[shaped(cost[i], (), names[i]) for cost in got] for i in range(4)]
    right = (
        np.array([160, (5 * 5 * 12 + 1) * 32]),  # 160: what the audit counts in conv1
        np.array([112896, 5 * 5 * 12 * 32 * 196]),
        np.array([784 * 12544 + 12544, (196 * 12 + 1) * 196 * 32]),
        np.array([784 * 12544, 196 * 12 * 196 * 32]),
    )
    mistakes = (
        {
            "conv_parameters lacks the biases: one for each filter.": filters,
            "conv_parameters has one bias for the layer. Each filter has its own.": filters + 1,
            "conv_parameters has one bias for each input channel. A filter has one.": filters + c,
            "conv_parameters ignores the input channels. A filter reaches through all of them.": (
                k**2 * f + f
            ),
            "conv_parameters has a flat kernel. It is a square: kernel * kernel.": k * c * f + f,
            "conv_parameters counts the weights again at each place. They are the same weights "
            "everywhere.": filters * places + f,
        },
        {
            "conv_multiply_adds is that of one place. They are used at side * side places.": (
                filters
            ),
            "conv_multiply_adds is that of one row of the map. It has side * side places.": (
                filters * side
            ),
            "conv_multiply_adds counts the biases. They are added, not multiplied.": (
                (filters + f) * places
            ),
            "conv_multiply_adds counts a multiplication and an addition as two. Together they are "
            "one.": 2 * filters * places,
            "conv_multiply_adds is for a map without padding. Here the map is as large as the "
            "picture.": filters * (side - k + 1) ** 2,
        },
        {
            "dense_parameters lacks the biases: one for each output.": inputs * outputs,
            "dense_parameters has one bias for each filter. Every output is a neuron and has its "
            "own.": inputs * outputs + f,
            "dense_parameters has the biases on the wrong side: one for each output.": (
                inputs * outputs + inputs
            ),
            "dense_parameters has `filters` outputs. It needs side * side * filters.": (
                inputs * f + f
            ),
            "dense_parameters has side * side inputs. It needs side * side * channels.": (
                places * outputs + outputs
            ),
        },
        {
            "dense_multiply_adds counts the biases. They are added, not multiplied.": (
                inputs * outputs + outputs
            ),
            "dense_multiply_adds counts a multiplication and an addition as two. Together they "
            "are one.": 2 * inputs * outputs,
            "dense_multiply_adds counts a weight at every place. Without sharing each weight is "
            "used once.": inputs * outputs * places,
        },
    )
    for numbers_found, reasons in zip(found, mistakes, strict=True):
        recognise(np.array(numbers_found), reasons)
    for name, numbers_found, wanted in zip(names, found, right, strict=True):
        for layer, number, correct in zip(layers.tolist(), numbers_found, wanted, strict=True):
            expect(number, correct, what=f"{name} of layer_costs{tuple(layer)}")


@exercise(
    section="The receptive field",
    correct="22 of 28 pixels for the network of the notebook, from kernels of 3 and poolings of 2.",
    hints=(
        "The field grows by (kernel - 1) * step. Then the step grows: it is multiplied by the "
        "stride. In this order.",
        "conv 3, pool 2 with stride 2, conv 3: the field is 1, 3, 4, 8, the step 1, 1, 2, 2.",
    ),
)
def receptive_field(answer):
    stacks = (
        [(3, 1), (2, 2), (3, 1), (2, 2), (3, 1), (2, 2)],
        [(3, 1), (3, 1), (3, 1)],
        [(7, 2), (3, 2), (5, 3), (3, 1)],
        [(5, 4)],
    )

    def backwards(layers):
        """The other way round: what must one neuron of the last layer be given?"""
        needed = 1
        for kernel, stride in reversed(layers):
            needed = (needed - 1) * stride + kernel
        return needed

    def forwards(rule, start=1):
        found = []
        for layers in stacks:
            field, step = start, 1
            for kernel, stride in layers:
                field, step = rule(field, step, kernel, stride)
            found.append(field)
        return found

    got = [numbers(answer(list(layers))) for layers in stacks]
    right = list(map(backwards, stacks))
    recognise(
        got,
        {
            "the strides are ignored: neurons of a later layer lie `step` pixels apart.": (
                forwards(lambda f, step, k, s: (f + k - 1, step))
            ),
            "the kernels are added up. A kernel adds only its side minus 1, times the step.": (
                forwards(lambda f, step, k, s: (f + k, step), 0)
            ),
            "the step is multiplied before the field grows. A layer's own stride counts from the "
            "next layer on.": forwards(lambda f, step, k, s: (f + (k - 1) * step * s, step * s)),
            "the step is the stride of the layer before. It is the product of all before.": (
                forwards(lambda f, step, k, s: (f + (k - 1) * step, s))
            ),
            "the strides are added up. The step is their product.": (
                forwards(lambda f, step, k, s: (f + (k - 1) * step, step + s - 1))
            ),
            "one pixel too few: the field starts at 1.": [r - 1 for r in right],
            "the field grows by kernel * step. The neuron in the middle is there already: "
            "(kernel - 1) * step.": forwards(lambda f, step, k, s: (f + k * step, step * s)),
            "the sides of the kernels are multiplied. The field grows by addition.": (
                forwards(lambda f, step, k, s: (f * k, step))
            ),
            "this is the step. Return the field.": (forwards(lambda f, step, k, s: (f * s, step))),
            "the layers are taken from the last to the first. Begin at the picture.": (
                [backwards(layers[::-1]) for layers in stacks]
            ),
        },
    )
    for layers, field, wanted in zip(stacks, got, right, strict=True):
        expect(field, wanted, what=f"receptive_field({layers})")
