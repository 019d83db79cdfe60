"""The exercises of assignment 05: stacks of small windows, the block, signals in many layers.

Facts: Simonyan and Zisserman 2015, sections 2.1, 2.3 and 3.2, table 1.
"""

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    parts,
    recognise,
    response,
)

exercise = assignment("05_vgg")

VGG_16 = [(3, 1)] * 2 + [(2, 2)] + [(3, 1)] * 2 + [(2, 2)]
VGG_16 += 3 * ([(3, 1)] * 3 + [(2, 2)])


def field_of(layers, start=1, at_once=False):
    """The receptive field, from the first layer on; `at_once` counts a stride in its own layer."""
    field, step = start, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step * (stride if at_once else 1)
        step *= stride
    return field


def field_backwards(layers):
    """The same from the last layer to the first: the pixels that one output covers, unrolled."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


@exercise(
    section="How far does a stack see?",
    correct="two 3 x 3 windows see 5 pixels, three see 7, and one number of VGG-16's last map sees "
    "212 of the 224 pixels.",
    hints=(
        "Before the first layer, a number sees 1 pixel, and neighbours are 1 pixel apart. What "
        "does each layer change in these two?",
        "A kernel of k spans k - 1 steps, so the field grows by (k - 1) * step. Then the step "
        "is multiplied by the stride, for the layers that follow.",
    ),
)
def receptive_field(answer):
    cases = [[(3, 1)] * 2, [(3, 1)] * 3, [(11, 4), (3, 2), (5, 1)], VGG_16]
    got = [answer(layers) for layers in cases]

    def each(of):
        return [of(layers) for layers in cases]

    recognise(
        got,
        {
            "the kernels are added up. Neighbouring windows overlap: a further kernel of k adds "
            "k - 1.": each(lambda layers: sum(k for k, _ in layers)),
            "the strides are ignored. After a stride of 2, neighbours are 2 pixels apart, and the "
            "next kernel reaches twice as far.": each(
                lambda layers: 1 + sum(k - 1 for k, _ in layers)
            ),
            "a stride already counts in its own layer. It moves the windows apart, so it counts "
            "for the layers after it.": each(lambda layers: field_of(layers, at_once=True)),
            "the first pixel is missing: begin with a field of 1.": each(
                lambda layers: field_of(layers, start=0)
            ),
            "the layers are taken from the last to the first. The step grows from the input on.": (
                each(lambda layers: field_of(layers[::-1]))
            ),
            "this is the step between neighbours, not how far one of them sees.": each(
                lambda layers: int(np.prod([s for _, s in layers]))
            ),
        },
    )
    for layers, result in zip(cases, got, strict=True):
        what = f"receptive_field({layers})" if len(layers) < 5 else "For VGG-16 the result"
        expect(result, field_backwards(layers), {}, what)


def stack_of(c_in, c_out, n, first=9, others=9, bias=0):
    channels = [c_in] + [c_out] * n
    pairs = list(zip(channels, channels[1:]))
    weights = first * c_in * c_out + sum(others * a * b for a, b in pairs[1:])
    return weights + bias * n * c_out


@exercise(
    section="What does it cost?",
    correct="with equal channels the one window needs 25 to 18 or 49 to 27. Where the first layer "
    "doubles the channels, one 5 x 5 has fewer weights than two 3 x 3.",
    hints=(
        "A window of k x k pixels from a to b channels has k * k * a * b weights. Write the list "
        "of channels that the stack passes: c_in, c_out, c_out, ...",
        "The stack: 9 * c_in * c_out for its first layer and 9 * c_out * c_out for each of the "
        "n - 1 others. The one window is 2 * n + 1 pixels wide.",
    ),
)
def stack_cost(answer):
    c_in, c_out, n = 6, 10, 3
    names = ("weights of the stack", "weights of the one window")
    stack, single = parts(answer(c_in, c_out, n), names)
    expect(
        stack,
        9 * c_out * (c_in + (n - 1) * c_out),
        {
            "each layer of the stack is counted from c_in to c_out. From the second on, c_out "
            "channels come in.": 9 * n * c_in * c_out,
            "the first layer of the stack is counted with c_out channels coming in, not c_in.": (
                9 * n * c_out * c_out
            ),
            "the layers before the last are counted with c_in channels out. Each layer of the "
            "stack makes c_out.": 9 * (c_in * c_in * (n - 1) + c_in * c_out),
            "the stack's windows are squares: 3 x 3 is 9 weights for each pair of channels.": (
                stack_of(c_in, c_out, n, 3, 3)
            ),
            "the stack's biases are counted. The exercise asks for the weights alone.": (
                stack_of(c_in, c_out, n, bias=1)
            ),
            "only one layer of the stack is counted.": 9 * c_in * c_out,
            "the two numbers are swapped: the stack comes first.": 49 * c_in * c_out,
        },
        "The stack's number of weights",
    )
    expect(
        single,
        (4 * n * n + 4 * n + 1) * c_in * c_out,
        {
            "the one window is 3 n wide. It should see as far as the stack: 2 n + 1.": (
                9 * n * n * c_in * c_out
            ),
            "the one window is a square: its side counts twice.": (2 * n + 1) * c_in * c_out,
            "the one window goes from c_in to c_out, as the stack does from end to end.": (
                (2 * n + 1) ** 2 * c_out * c_out
            ),
            "the one window's biases are counted. The exercise asks for the weights alone.": (
                (2 * n + 1) ** 2 * c_in * c_out + c_out
            ),
        },
        "The one window's number of weights",
    )
    again = parts(answer(4, 5, 2), names)
    recognise(
        again,
        {
            "the one window is always 7 x 7. Two layers see 5 pixels across.": (
                stack_of(4, 5, 2),
                49 * 20,
            )
        },
    )
    expect(again, (stack_of(4, 5, 2), 25 * 20), {}, "stack_cost(4, 5, 2)")


def composed(first, second):
    """Multiply the spectra: the full convolution of two kernels."""
    side = len(first) + len(second) - 1
    spectra = [np.fft.rfft2(kernel, (side, side)) for kernel in (first, second)]
    return np.fft.irfft2(spectra[0] * spectra[1], (side, side))


@exercise(
    section="What does it cost?",
    correct="without a ReLU between them two small kernels are one large one. The ReLU is what a "
    "stack has and one window has not.",
    hints=(
        "out[i] = sum over b of second[b] * mid[i + b], and mid[j] = sum over a of first[a] * "
        "x[j + a]. Put the second line into the first: which pixels of x appear?",
        "x[i + a + b] appears with first[a] * second[b]. So for each place (r, c) of second, add "
        "second[r, c] * first to the part of the result that starts at (r, c).",
    ),
)
def compose(answer):
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 3, 3))
    right = composed(first, second)
    expect(
        answer(first, second),
        right,
        {
            "the second kernel is turned around. In a network neither kernel is flipped, so "
            "first[a] * second[b] belongs at a + b.": composed(first, second[::-1, ::-1]),
            "the first kernel is turned around. In a network neither kernel is flipped, so "
            "first[a] * second[b] belongs at a + b.": composed(first[::-1, ::-1], second),
            "the result is turned around: it begins with first[0, 0] * second[0, 0].": (
                right[::-1, ::-1]
            ),
            "rows and columns are swapped.": right.T,
            "the border is cut off. Two 3 x 3 kernels see 5 x 5 pixels.": right[1:-1, 1:-1],
            "the kernels are multiplied number by number. They act one after the other, so each "
            "number of one meets each number of the other.": first * second,
            "this is the matrix product. Kernels are laid over pixels, not multiplied as "
            "matrices.": first @ second,
            "the kernels are added. The second one weighs what the first one made: multiply.": (
                composed(np.ones((3, 3)), second) + composed(first, np.ones((3, 3)))
            ),
        },
        "The one kernel",
    )
    five = rng.normal(size=(5, 5))
    expect(answer(first, five), composed(first, five), {}, "With a second kernel of 5 x 5 it")


def convolved(x, kernel, bias):
    """A padded 3 x 3 convolution in NumPy: (height, width, in) -> (height, width, out)."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows, kernel) + bias


def pooled(x, size=2, reduce=np.max):
    rows, columns = ((side - size) // 2 + 1 for side in x.shape[:2])
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
    return reduce(windows[::2, ::2][:rows, :columns], axis=(-2, -1))


@exercise(
    section="The code",
    correct="this is a block of VGG. Five of them, with 64 to 512 channels, and three fully "
    "connected layers are the whole network.",
    hints=(
        "keras.Sequential([keras.Input(input_shape), ...]) is a keras.Model; `[layer, layer]` may "
        "come from a loop. Make a new layer each time.",
        "keras.layers.Conv2D(channels, 3, padding='same', activation='relu'), `layers` times, then "
        "keras.layers.MaxPooling2D(2).",
    ),
)
def vgg_block(answer):
    import keras  # only this exercise needs it

    side, c_in, channels, layers = 13, 4, 6, 3
    model = answer((side, side, c_in), channels, layers)
    model = expect_model(model, (side, side, c_in))
    shape = tuple(model.output_shape[1:])
    reasons = {
        (13, 13, 6): "the pooling is missing.",
        (3, 3, 6): "the convolutions shrink the picture. Pad them: padding='same'.",
        (1, 1, 6): "there is a pooling after each convolution. The block has one, at its end.",
        (12, 12, 6): "the pooling moves on by 1. It should halve the picture.",
        (7, 7, 6): "the pooling is padded. The paper's is not: leave padding at 'valid'.",
        (6, 6, 4): "the convolutions should have `channels` output channels.",
    }
    strided = [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Conv2D) and max(layer.strides) > 1
    ]
    if strided:
        raise Mistake(
            f"the convolution `{strided[0]}` has a stride. VGG's convolutions keep the size; a "
            "max-pooling at the end halves it."
        )
    if shape != (6, 6, channels):
        raise Mistake(
            f"from {(side, side, c_in)} the model makes {shape}, it should make "
            f"{(6, 6, channels)}: {reasons.get(shape, 'check windows, padding and steps.')}"
        )
    right = stack_of(c_in, channels, layers, bias=1)
    expect(
        model.count_params(),
        right,
        {
            "there is only one convolution. The argument `layers` says how many.": (
                stack_of(c_in, channels, 1, bias=1)
            ),
            "the same layer is used again, or one is missing: a block of 3 has 3 layers with "
            "weights of their own.": stack_of(c_in, channels, 2, bias=1),
            "the convolutions have no bias. The paper's have one.": stack_of(
                c_in, channels, layers
            ),
            "the windows are 5 x 5. VGG has 3 x 3 throughout.": (
                stack_of(c_in, channels, layers, 25, 25, bias=1)
            ),
            "there is batch normalisation in it. The paper has none.": (
                stack_of(c_in, channels, layers, bias=5)
            ),
        },
        "The number of parameters",
    )
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=w.shape).astype("float32") for w in model.get_weights()]
    model.set_weights(weights)
    kernels, biases = weights[::2], weights[1::2]
    x = rng.normal(size=(side, side, c_in)).astype("float32")
    got = response(model, x)

    def after(active=(True, True, True), pool=pooled):
        y = x.astype("float64")
        for kernel, bias, relu in zip(kernels, biases, active, strict=True):
            y = convolved(y, kernel, bias)
            y = np.maximum(y, 0) if relu else y
        return pool(y)

    expect(
        got,
        after(),
        {
            "there is no ReLU. Without it the stack is one large linear window.": after(
                [False] * 3
            ),
            "only the last convolution has a ReLU. Each needs one.": after([False, False, True]),
            "the last convolution lacks its ReLU.": after([True, True, False]),
            "this is average pooling. The paper takes the maximum.": after(
                pool=lambda y: pooled(y, 2, np.mean)
            ),
            "the pooling window is 3 pixels wide, as in AlexNet. VGG has 2 at stride 2.": after(
                pool=lambda y: pooled(y, 3)
            ),
        },
        "With random weights the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )


@exercise(
    section="Why does it not start?",
    correct="with a standard deviation of 0.01 the signal of VGG falls in every layer, with 0.1 it "
    "grows. He's rule, sqrt(2 / n), keeps it.",
    hints=(
        "One layer multiplies the size by spread * sqrt(n / 2). The layers come one after the "
        "other, so the next one starts from what this one made.",
        "Keep a variable `size`, multiply it in a loop over `inputs`, and append it to a list.",
    ),
)
def signal_sizes(answer):
    size, inputs, spread = 3.0, [27, 576, 1152, 50], 0.05
    n = np.array(inputs, dtype="float64")

    def chain(gains):
        return size * np.exp(np.cumsum(np.log(gains)))

    right = chain(spread * np.sqrt(n / 2))
    expect(
        answer(size, inputs, spread),
        right,
        {
            "the ReLU is forgotten. It cuts half of the numbers to zero: n / 2 under the root.": (
                chain(spread * np.sqrt(n))
            ),
            "the half stands outside the root. Half of the *squares* is gone: sqrt(n / 2).": (
                chain(spread * np.sqrt(n) / 2)
            ),
            "the root is missing. Sizes of independent terms grow with the root of their number.": (
                chain(spread * n / 2)
            ),
            "the spread is squared. That is the variance; the size goes with the standard "
            "deviation.": chain(spread**2 * np.sqrt(n / 2)),
            "each layer starts from the first size. It should start from what the layer before "
            "it made.": size * spread * np.sqrt(n / 2),
            "the first size is forgotten: multiply it in.": right / size,
            "the first size stands in the list. Return one number for each layer.": (
                np.concatenate([[size], right])
            ),
            "only the last size came back. Return one for each layer.": right[-1],
        },
        "The list of sizes",
    )
    few = [2, 8, 32]
    expect(answer(1.0, few, 1.0), np.array([1.0, 2.0, 8.0]), {}, f"signal_sizes(1.0, {few}, 1.0)")


@exercise(
    section="Fully connected layers turned into convolutions",
    correct="the same numbers in another form. On a larger map this kernel finds more places to "
    "stand, and each gives an answer.",
    hints=(
        "Flatten writes a map of (height, width, channels) row by row, pixel by pixel, and within "
        "a pixel channel by channel. The rows of the matrix are in that order.",
        "The order of the numbers stays, so one reshape is enough: (height, width, channels, "
        "units). The channels follow from the number of rows.",
    ),
)
def as_kernel(answer):
    height, width, channels, units = 2, 3, 4, 5
    weights = np.random.default_rng(6).normal(size=(height * width * channels, units))
    right = np.stack(
        [
            [weights[(r * width + c) * channels :][:channels] for c in range(width)]
            for r in range(height)
        ]
    )
    expect(
        answer(weights, height, width),
        right,
        {
            "the channels are taken first, as in PyTorch. Keras has them last: row, column, "
            "channel.": np.moveaxis(weights.reshape(channels, height, width, units), 0, 2),
            "the axes are (channels, height, width, units). Keras wants (height, width, channels, "
            "units).": weights.reshape(channels, height, width, units),
            "height and width are swapped.": weights.reshape(width, height, channels, units),
            "the columns are taken before the rows. Flatten goes along a row first.": (
                weights.reshape(width, height, channels, units).swapaxes(0, 1)
            ),
            "the last two axes are swapped: input channels come before units.": (
                right.swapaxes(2, 3)
            ),
            "the units are mixed up: (units, ...) as first axis needs the transposed matrix, and "
            "Keras has the units last anyway.": weights.reshape(units, height, width, channels),
            "the kernel is turned around. In a network a kernel is not flipped.": (
                right[::-1, ::-1]
            ),
            "nothing changed: this is still the matrix.": weights,
        },
        "The kernel",
    )
