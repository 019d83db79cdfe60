"""The exercises of assignment 04: the parts of AlexNet, and what they cost.

Facts: Krizhevsky, Sutskever and Hinton 2012, sections 3.3 to 3.5 and 4.2.
"""

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    numbers,
    parts,
    recognise,
    response,
    shaped,
)

exercise = assignment("04_alexnet")


def lrn_of(a, n, k, alpha, beta, *, square=np.square, own=True):
    """Local response normalisation over the last axis, written with a band of ones."""
    channel = np.arange(a.shape[-1])
    near = np.abs(channel[:, None] - channel) <= n // 2
    near = near if own else near & ~np.eye(len(channel), dtype=bool)
    return a / (k + alpha * square(a) @ near.astype(float)) ** beta


@exercise(
    section="Local response normalisation",
    correct="this is the paper's formula. Caffe and PyTorch divide alpha by n, so there 5e-4 means "
    "the paper's 1e-4.",
    hints=(
        "Channel i is divided by (k + alpha * sum) ** beta. The sum holds the squares of the "
        "channels from i - n // 2 to i + n // 2, at the same pixel.",
        "Near the edge the window is cut: start at max(0, i - n // 2). A slice may end beyond the "
        "last channel, but a negative start means something else to Python.",
    ),
)
def lrn(answer):
    a = np.random.default_rng(3).normal(size=(2, 3, 7)) * 2
    n, k, alpha, beta = 3, 2.0, 0.5, 0.75
    square = a**2
    channels = range(a.shape[-1])

    def with_window(low, high):
        total = np.stack([square[..., low(i) : high(i)].sum(-1) for i in channels], axis=-1)
        return a / (k + alpha * total) ** beta

    wrapped = sum(np.roll(square, shift, axis=-1) for shift in (-1, 0, 1))
    expect(
        answer(a, n, k, alpha, beta),
        lrn_of(a, n, k, alpha, beta),
        {
            "alpha is divided by n, as Caffe and PyTorch do. The paper's formula does not.": (
                lrn_of(a, n, k, alpha / n, beta)
            ),
            "the window misses its last channel: it ends with i + n // 2 included, and a slice "
            "ends one before its second number.": (
                with_window(lambda i: max(0, i - 1), lambda i: i + 1)
            ),
            "at the first channels the window is empty: a negative start counts from the end. "
            "Use max(0, i - n // 2).": with_window(lambda i: i - 1, lambda i: i + 2),
            "the window reaches n channels to each side. It is n channels in all, n // 2 to each "
            "side.": with_window(lambda i: max(0, i - n), lambda i: i + n + 1),
            "the window wraps around from the first channel to the last. At the edge it is cut.": (
                a / (k + alpha * wrapped) ** beta
            ),
            "the window is always 5 channels wide. Use n.": lrn_of(a, 5, k, alpha, beta),
            "the activities are not squared inside the sum.": (
                lrn_of(a, n, k, alpha, beta, square=np.abs)
            ),
            "the channel itself is missing from its window.": (
                lrn_of(a, n, k, alpha, beta, own=False)
            ),
            "the sum runs over all channels. Only n neighbours count: that makes it local.": (
                a / (k + alpha * square.sum(-1, keepdims=True)) ** beta
            ),
            "the neighbours are pixels. In the paper they are channels at the same pixel: the "
            "last axis.": np.moveaxis(lrn_of(np.moveaxis(a, -1, 1), n, k, alpha, beta), 1, -1),
            "the exponent beta is missing.": lrn_of(a, n, k, alpha, 1.0),
            "the channel is multiplied by the power. It is divided by it.": (
                a * (a / lrn_of(a, n, k, alpha, beta))
            ),
            "k is taken as 1: use the argument (the paper's k is 2).": lrn_of(
                a, n, 1.0, alpha, beta
            ),
            "this is the divisor alone. The result is a divided by it.": (
                a / lrn_of(a, n, k, alpha, beta)
            ),
        },
    )
    expect(answer(a, 5, 1.0, 0.1, 0.5), lrn_of(a, 5, 1.0, 0.1, 0.5), {}, "With n = 5 the result")


@exercise(
    section="224 or 227?",
    correct="227 pixels give 55, 224 give 54. The paper prints 224 and 55: its arithmetic needs "
    "227, or 224 with a padding of 2.",
    hints=(
        "How many places are there where the kernel fits? The first is at the left edge; each "
        "further one is `stride` pixels on.",
        "The padded side has size + 2 * padding pixels. The kernel can move size + 2 * padding - "
        "kernel pixels: divide by the stride, round down, and count the first place too.",
    ),
)
def output_size(answer):
    sides = np.array(
        [[227, 11, 4, 0], [224, 11, 4, 0], [224, 11, 4, 2], [27, 5, 1, 2], [30, 11, 4, 0]]
    )
    size, kernel, stride, padding = sides.T
    room = size + 2 * padding - kernel
    right = room // stride + 1
    got = [numbers(answer(*map(int, side))) for side in sides]
    recognise(
        got,
        {
            "always one too few: the first place counts too, so add 1.": room // stride,
            "rounded up. A kernel that hangs over the edge does not count: round down.": (
                -(-room // stride) + 1
            ),
            "rounded to the nearest number. A kernel that hangs over the edge does not count: "
            "round down.": np.round(room / stride) + 1,
            "not always a whole number: divide with //, which rounds down.": room / stride + 1,
            "the padding is ignored.": (size - kernel) // stride + 1,
            "the padding is added once. It is on both sides: 2 * padding.": (
                (size + padding - kernel) // stride + 1
            ),
            "the stride is ignored.": room + 1,
            "this is the size with padding='same': the kernel has to count.": -(-size // stride),
            "the 1 is added before the division. Divide first.": (room + 1) // stride,
        },
    )
    for side, places, wanted in zip(sides.tolist(), got, right.tolist(), strict=True):
        expect(places, wanted, what=f"output_size{tuple(side)}")


@exercise(
    section="Two towers: grouped convolution",
    correct="conv2 has 307,456 parameters and 223,948,800 multiply-adds. In one group it would "
    "have twice the multiply-adds and nearly twice the parameters.",
    hints=(
        "In a grouped convolution an output channel sees only in_channels / groups input channels.",
        "Weights: kernel * kernel * (in_channels // groups) * out_channels. One bias for each "
        "output channel, however many groups.",
        "A multiply-add is one weight used at one output pixel. Biases are not counted.",
    ),
)
def grouped_cost(answer):
    layers = np.array([[96, 256, 5, 27, 2], [384, 384, 3, 13, 3]])
    c_in, c_out, kernel, side, groups = layers.T
    full, places = kernel**2 * c_in * c_out, side**2
    weights = full // groups
    names = ("parameters", "multiply_adds")
    got = [parts(answer(*map(int, layer)), names) for layer in layers]
    parameters, multiply_adds = ([numbers(cost[i], names[i]) for cost in got] for i in (0, 1))
    recognise(
        parameters,
        {
            "the parameters ignore the groups: an output channel sees only in_channels / groups "
            "channels.": full + c_out,
            "the parameters are divided by groups twice. Only the input side is divided: all "
            "groups together have all output channels.": full // groups**2 + c_out,
            "the parameters lack the biases: one for each output channel.": weights,
            "the biases are divided by groups too. There is one for each output channel.": (
                weights + c_out // groups
            ),
            "one bias for each output channel, not for each input channel.": weights + c_in,
            "the kernel is a square: kernel * kernel.": weights // kernel + c_out,
        },
    )
    recognise(
        multiply_adds,
        {
            "the multiply-adds ignore the groups.": full * places,
            "the multiply-adds are divided by groups twice.": full // groups**2 * places,
            "the biases are no multiply-adds: count the weights only.": (weights + c_out) * places,
            "one multiply-add is a multiplication and an addition together: do not count two.": (
                2 * weights * places
            ),
            "the multiply-adds are those of one output pixel. Every weight is used at every output "
            "pixel: side * side times.": weights,
            "the output is a square: side * side pixels.": weights * side,
        },
    )
    for i, layer in enumerate(layers.tolist()):
        call = f"grouped_cost{tuple(layer)}"
        expect(parameters[i], weights[i] + c_out[i], what=f"The number of parameters of {call}")
        expect(
            multiply_adds[i], weights[i] * places[i], what=f"The number of multiply-adds of {call}"
        )


def pool_of(x, window, stride, reduce=np.max):
    """Pooling over (height, width, channels), from all windows at once."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (window, window), axis=(0, 1))
    return reduce(windows, axis=(-2, -1))[::stride, ::stride]


@exercise(
    section="Overlapping pooling",
    correct="windows of 3 at stride 2 overlap by one pixel, as in the paper.",
    hints=(
        "Output pixel (row, column) looks at x[row * stride : row * stride + window, ...]. Take "
        "the maximum over height and width, not over channels: .max(axis=(0, 1)).",
        "The output has (height - window) // stride + 1 rows: see `output_size`. Width alike.",
    ),
)
def max_pool(answer):
    x = np.random.default_rng(5).normal(size=(7, 9, 2)) - 4
    right = pool_of(x, 3, 2)
    expect(
        answer(x, 3, 2),
        right,
        {
            "this is the mean of each window. Take the maximum.": pool_of(x, 3, 2, np.mean),
            "this is the minimum of each window. Take the maximum.": pool_of(x, 3, 2, np.min),
            "the windows do not overlap: they move on by the window. Move on by stride.": (
                pool_of(x, 3, 3)
            ),
            "the windows move on by one pixel. Move on by stride.": pool_of(x, 3, 1),
            "the last row and column of windows are missing: range() ends one before its second "
            "number.": right[:-1, :-1],
            "a window of negative numbers gives 0: do not start from zeros, take the maximum of "
            "the window alone.": np.maximum(right, 0),
            "the maximum is taken over the channels too. Each channel keeps its own.": (
                right.max(axis=-1)
            ),
            "height and width are swapped.": right.transpose(1, 0, 2),
            "the windows are `stride` wide. They are `window` wide and move on by `stride`.": (
                pool_of(x, 2, 2)
            ),
        },
    )
    even = np.random.default_rng(6).normal(size=(8, 8, 1))
    hanging = np.pad(even, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    expect(
        answer(even, 3, 2),
        pool_of(even, 3, 2),
        {
            "on 8 x 8 pixels the last windows hang over the edge. Only whole windows count.": (
                pool_of(hanging, 3, 2)
            )
        },
        "On 8 x 8 pixels the result",
    )
    expect(answer(even, 2, 2), pool_of(even, 2, 2), {}, "With window 2 and stride 2 the result")


@exercise(
    section="Dropout and augmentation",
    correct="dropout as the paper did it. Keras scales in training instead, by 1 / (1 - rate), and "
    "leaves testing alone: the same in the mean.",
    hints=(
        "In training every number is kept with probability 1 - rate, otherwise set to 0: compare "
        "rng.random(x.shape) with rate.",
        "In testing nothing is dropped, so the next layer would get more than it is used to. "
        "Multiply by 1 - rate.",
    ),
)
def dropout(answer):
    x = 1 + np.random.default_rng(7).random((200, 500))
    rate = 0.25
    expect(
        answer(x, rate, False, np.random.default_rng(0)),
        x * (1 - rate),
        {
            "in testing nothing happens. The paper multiplies by 1 - rate there.": x,
            "in testing the numbers are multiplied by rate. Multiply by 1 - rate, the share that "
            "was kept.": x * rate,
            "in testing the numbers are divided by 1 - rate. They get smaller, not larger.": (
                x / (1 - rate)
            ),
        },
        "In testing the result",
    )
    y = answer(x, rate, True, np.random.default_rng(0))
    y = shaped(y, x.shape, "In training the result")
    kept = y != 0
    if kept.all():
        raise Mistake("in training nothing is dropped.")
    if np.all(kept == kept[:1]):
        raise Mistake(
            "in training every example loses the same units. Draw for every number: "
            "rng.random(x.shape)."
        )
    if np.all(kept == kept[:, :1]):
        raise Mistake("in training whole examples are dropped. Draw for every number.")
    if abs(kept.mean() - rate) < 0.02:
        raise Mistake(f"in training {rate:.0%} are kept. `rate` is the share that is dropped.")
    if abs(kept.mean() - (1 - rate)) > 0.02:
        raise Mistake(f"in training {1 - kept.mean():.0%} are dropped; it should be {rate:.0%}.")
    expect(
        y[kept],
        x[kept],
        {
            "in training the kept numbers are divided by 1 - rate, as Keras does. The paper "
            "leaves them as they are and multiplies in testing.": x[kept] / (1 - rate),
            "in training the kept numbers are scaled too. Multiply by 1 - rate in testing only.": (
                x[kept] * (1 - rate)
            ),
            "in training the kept numbers became 1: multiply the mask by x.": np.ones(kept.sum()),
        },
        "In training the kept numbers, flattened,",
    )
    again = numbers(answer(x, rate, True, np.random.default_rng(0)))
    if not np.array_equal(again, y):
        raise Mistake("the same rng gives another result: draw from the rng that is passed in.")


def second_stage_of(x, kernel, bias, steps="conv relu lrn pool"):
    """The stage in NumPy; `kernel` is (5, 5, in / groups, out). x is (height, width, in)."""
    groups = x.shape[-1] // kernel.shape[2]
    for step in steps.split():
        if step == "conv":
            padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(0, 1))
            halves = [
                np.einsum("hwcij,ijco->hwo", w, k)
                for w, k in zip(
                    np.split(windows, groups, axis=2),
                    np.split(kernel, groups, axis=-1),
                    strict=True,
                )
            ]
            x = np.concatenate(halves, axis=-1) + bias
        elif step == "relu":
            x = np.maximum(x, 0)
        elif step == "lrn":
            x = lrn_of(x, 5, 2.0, 1e-4, 0.75)
        elif step == "pool":
            x = pool_of(x, 3, 2)
        elif step == "pool2":
            x = pool_of(x, 2, 2)
        elif step == "mean":
            x = pool_of(x, 3, 2, np.mean)
    return x


@exercise(
    section="The network",
    correct="conv2 of the paper: two groups, ReLU, normalisation, overlapping pooling. At full "
    "size it has 307,456 parameters and turns 27 x 27 x 96 into 13 x 13 x 256.",
    hints=(
        "Four steps in the paper's order: convolution, ReLU, local response normalisation, "
        "max-pooling. keras.Sequential([keras.Input(input_shape), ...]) is a keras.Model.",
        "GroupedConv2D(filters, 5, padding='same', groups=groups, activation='relu'), then "
        "LocalResponseNormalization() with its defaults.",
        "keras.layers.MaxPooling2D(3, strides=2): without strides, Keras moves on by the window.",
    ),
)
def second_stage(answer):

    side, c_in, filters, groups = 17, 8, 6, 2
    model = answer((side, side, c_in), filters, groups)
    model = expect_model(model, (side, side, c_in))
    shape = tuple(model.output_shape[1:])
    reasons = {
        (9, 9, filters): "the pooling is padded. The paper's is not: leave padding at 'valid'.",
        (5, 5, filters): "the pooling moves on by 3. Pass strides=2.",
        (6, 6, filters): "the convolution shrinks the image. Pad it: padding='same'.",
        (side, side, filters): "the pooling is missing.",
        (8, 8, c_in): "the convolution should have `filters` output channels.",
    }
    if shape != (8, 8, filters):
        raise Mistake(
            f"from {(side, side, c_in)} the model makes {shape}, it should make "
            f"{(8, 8, filters)}: {reasons.get(shape, 'check kernel, padding and strides.')}"
        )
    expect(
        model.count_params(),
        25 * c_in // groups * filters + filters,
        {
            "the convolution has no groups: pass groups=groups.": 25 * c_in * filters + filters,
            "the convolution has no bias. The paper's has one, and starts it at 1.": (
                25 * c_in // groups * filters
            ),
            "the kernel is 3 x 3. The paper's conv2 has 5 x 5.": (
                9 * c_in // groups * filters + filters
            ),
            "there is batch normalisation in it. The paper, of 2012, has local response "
            "normalisation.": 25 * c_in // groups * filters + 5 * filters,
        },
        "The number of parameters",
    )
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=w.shape).astype("float32") for w in model.get_weights()]
    model.set_weights(weights)
    kernel = np.concatenate([w for w in weights if w.ndim == 4], axis=-1).astype("float64")
    bias = np.concatenate([w for w in weights if w.ndim == 1]).astype("float64")
    x = 20 * rng.normal(size=(side, side, c_in)).astype("float32")
    got = response(model, x)

    def after(steps):
        return second_stage_of(x.astype("float64"), kernel, bias, steps)

    expect(
        got,
        after("conv relu lrn pool"),
        {
            "the normalisation comes after the pooling, as in CaffeNet. In the paper it comes "
            "before.": after("conv relu pool lrn"),
            "the normalisation comes before the ReLU. In the paper it comes after.": (
                after("conv lrn relu pool")
            ),
            "the ReLU is missing.": after("conv lrn pool"),
            "the normalisation is missing.": after("conv relu pool"),
            "the windows of the pooling do not overlap: they are 3 wide at stride 2.": (
                after("conv relu lrn pool2")
            ),
            "this is average pooling. The paper takes the maximum.": after("conv relu lrn mean"),
        },
        "With random weights the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )
