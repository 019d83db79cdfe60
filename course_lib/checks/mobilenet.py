"""The exercises of assignment 09: filtering, combining, what they save, the block, the two dials.

Facts: Howard et al. 2017, sections 3.1 to 3.4, figure 3, table 1; counts from the ledger.
"""

import numpy as np

from course_lib import ledger
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

exercise = assignment("09_mobilenet")


def filtered(x, kernel, stride=1, mode="constant"):
    """Filter (height, width, channels) channel by channel, as "same" padding at the bottom right.

    At stride 1 with a 3 x 3 window one pixel is padded on each side.
    """
    before = [(1, 1) if stride == 1 or side % 2 else (0, 1) for side in x.shape[:2]]
    x = np.pad(x, (*before, (0, 0)), mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (0, 1))[::stride, ::stride]
    return np.einsum("hwcij,ijc->hwc", windows, kernel)


@exercise(
    section="Filtering and combining",
    correct="this is the filtering step. No channel has seen another one.",
    hints=(
        "Pad one pixel of zeros on each side, so that the picture keeps its size.",
        "For each of the nine places (row, column) of the window: the padded picture, shifted, "
        "times kernel[row, column], which has one number for each channel. Add the nine up.",
        "padded[row : row + height, column : column + width] * kernel[row, column]",
    ),
)
def depthwise(answer):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(5, 6, 4)), rng.normal(size=(3, 3, 4))
    right = filtered(x, kernel)
    expect(
        answer(x, kernel),
        right,
        {
            "the window is turned by 180 degrees. Convolution layers do not turn it: "
            "kernel[0, 0] is for the neighbour at the upper left.": (
                filtered(x, kernel[::-1, ::-1])
            ),
            "rows and columns of the window are exchanged.": (
                filtered(x, kernel.transpose(1, 0, 2))
            ),
            "the channels are added up. Filtering leaves them apart; the pointwise step adds.": (
                right.sum(axis=-1)
            ),
            "every channel is filtered with the window of channel 0. Each has its own.": (
                filtered(x, kernel[..., :1] + 0 * kernel)
            ),
            "the border is missing. Pad one pixel of zeros on each side.": right[1:-1, 1:-1],
            "outside the picture its edge is repeated. There should be zeros.": (
                filtered(x, kernel, mode="edge")
            ),
            "the nine products are averaged. They are added up.": right / 9,
        },
    )
    x, kernel = rng.normal(size=(4, 3, 2)), rng.normal(size=(3, 3, 2))
    expect(
        answer(x, kernel), filtered(x, kernel), {}, "With 4 x 3 pixels and 2 channels the result"
    )


@exercise(
    section="The two steps by hand",
    correct="every separable layer is a full one whose output channels share their windows.",
    hints=(
        "windows[:, :, m] is the window of input channel m, mix[m, n] the weight from m to n.",
        "The full kernel at [i, j, m, n] is windows[i, j, m] * mix[m, n].",
        "Give windows one more axis, windows[..., None], and let NumPy repeat it.",
    ),
)
def full_kernel(answer):
    rng = np.random.default_rng(1)
    windows, mix = rng.normal(size=(3, 3, 4)), rng.normal(size=(4, 4))
    right = np.einsum("ijm,mn->ijmn", windows, mix)
    expect(
        answer(windows, mix),
        right,
        {
            "the last two axes are exchanged: channels in come before channels out.": (
                np.swapaxes(right, 2, 3)
            ),
            "mix is transposed: mix[m, n] leads from input m to output n.": (
                np.einsum("ijm,nm->ijmn", windows, mix)
            ),
            "the window is that of the output channel. It belongs to the input channel.": (
                np.einsum("ijn,mn->ijmn", windows, mix)
            ),
            "windows and mix are added. A pixel is multiplied by both, one after the other.": (
                windows[..., None] + mix
            ),
            "the input channels are added up. The layer does that; the kernel keeps their axis.": (
                right.sum(axis=2)
            ),
            "the mixing weights are missing: all output channels are alike.": (
                windows[..., None] + 0 * mix
            ),
        },
    )
    windows, mix = rng.normal(size=(3, 3, 2)), rng.normal(size=(2, 5))
    expect(
        answer(windows, mix),
        np.einsum("ijm,mn->ijmn", windows, mix),
        {},
        "With 2 channels in and 5 out the kernel",
    )


@exercise(
    section="What does it save?",
    correct="462,422,016 and 52,283,392 for the layer of the paper's table 3. Their ratio is "
    "1/512 + 1/9.",
    hints=(
        "Count the outputs, then the products that each of them is a sum of.",
        "Full: side x side x outputs numbers, each a sum of window x window x inputs products.",
        "Depthwise: side x side x inputs numbers of window x window products. Pointwise: "
        "side x side x outputs numbers of `inputs` products.",
    ),
)
def costs(answer):
    names = ("full", "separable")

    def called(*arguments):
        result = parts(answer(*arguments), names)
        return [
            shaped(one, (), f"The cost of the {name} layer") for one, name in zip(result, names)
        ]

    side, k, m, n = 14, 3, 512, 384
    full, deep, point = side**2 * k**2 * m * n, side**2 * k**2 * m, side**2 * m * n
    result = called(side, k, m, n)
    recognise(
        result,
        {
            "the two are exchanged: first the full layer, then the separable one.": (
                [deep + point, full]
            ),
            "these are weights. Each is used at side x side places.": (
                [full // side**2, (deep + point) // side**2]
            ),
            "these are the multiply-adds of one row. There are side x side places.": (
                [full // side, (deep + point) // side]
            ),
            "do not count two operations for a multiply-add.": [2 * full, 2 * (deep + point)],
        },
    )
    expect(
        result[0],
        full,
        {
            "the full layer's window has window x window pixels.": full // k,
            "the full layer sums over all input channels.": full // m,
            "the full layer has `outputs` output channels.": full // n,
        },
        "The cost of the full layer",
    )
    expect(
        result[1],
        deep + point,
        {
            "the depthwise step is missing.": point,
            "the pointwise step is missing.": deep,
            "the costs of the two steps are multiplied. They come one after the other.": (
                deep * point
            ),
            "the depthwise step has as many channels out as in: `inputs`.": (
                side**2 * k**2 * n + point
            ),
            "the depthwise step looks at one channel at a time; it does not sum over them.": (
                side**2 * k**2 * m * m + point
            ),
            "the pointwise step has a window of one pixel.": deep + full,
        },
        "The cost of the separable layer",
    )
    expect(
        called(7, 5, 10, 20),
        [245_000, 22_050],
        {},
        "With 7 x 7 pixels, a 5 x 5 window and 10 to 20 channels the pair",
    )


@exercise(
    section="The block in code",
    correct="figure 3 of the paper, on the right. Thirteen of these make MobileNet.",
    hints=(
        "Six layers in a row: depthwise, batch normalisation, ReLU, pointwise, batch "
        "normalisation, ReLU.",
        "keras.layers.DepthwiseConv2D(3, strides, 'same', use_bias=False), "
        "keras.layers.BatchNormalization(), keras.layers.ReLU(), "
        "keras.layers.Conv2D(filters, 1, use_bias=False).",
        "Begin with image = keras.Input(input_shape), end with keras.Model(image, x).",
    ),
)
def block(answer):
    import keras  # only this exercise needs it

    shape, filters = (6, 8, 4), 5
    models = {strides: answer(shape, filters, strides) for strides in (1, 2)}
    models = {strides: expect_model(model, shape) for strides, model in models.items()}
    kernels = [tuple(w.shape) for w in models[2].trainable_weights if len(w.shape) == 4]
    if (3, 3, 4, 5) in kernels:
        raise Mistake("there is a full 3 x 3 convolution. The 3 x 3 step is depthwise.")
    if (3, 3, 4, 1) not in kernels:
        raise Mistake(
            "there is no depthwise 3 x 3 step with one window for each of the 4 input channels. "
            f"Kernels of this model: {', '.join(map(str, kernels)) or 'none'}."
        )
    if kernels != [(3, 3, 4, 1), (1, 1, 4, 5)]:
        raise Mistake(
            "the kernels should be (3, 3, 4, 1), then (1, 1, 4, 5): filter, then combine. "
            f"Kernels of this model: {', '.join(map(str, kernels))}."
        )
    for strides, (height, width) in ((1, (6, 8)), (2, (3, 4))):
        got = tuple(models[strides].outputs[0].shape[1:])
        if got != (height, width, 5):
            raise Mistake(
                f"with strides={strides} the model makes {got} of {shape}; it should make "
                f"{(height, width, 5)}. Padding is 'same', and one of the steps has the stride."
            )
    weights = 36 + 20
    expect(
        models[2].count_params(),
        weights + 4 * (4 + 5),
        {
            "there is no batch normalisation; it follows each of the two steps.": weights,
            "biases and no batch normalisation: it should be the other way round.": weights + 9,
            "batch normalisation has a shift of its own, so use_bias=False.": weights + 5 * 9,
            "batch normalisation follows the pointwise step only.": weights + 4 * 5,
            "batch normalisation follows the depthwise step only.": weights + 4 * 4,
        },
        "The number of parameters",
    )
    model = models[2]
    epsilon = [
        layer.epsilon
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if len(epsilon) != 2:
        raise Mistake(f"there should be two batch normalisations; this model has {len(epsilon)}.")
    rng = np.random.default_rng(4)
    names = {"gamma": [], "beta": [], "moving_mean": [], "moving_variance": []}
    for weight in model.weights:
        scale = np.abs(rng.normal(size=weight.shape)) + 0.5
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign((scale if positive else rng.normal(size=weight.shape)).astype("float32"))
        if weight.name in names:
            names[weight.name].append(numbers(weight))
        elif weight.shape[0] == 3:
            window = numbers(weight)[..., 0]
        else:
            mix = numbers(weight)[0, 0]
    x = rng.normal(size=shape).astype("float32")
    got = response(model, x)

    def norm(value, i):
        gamma, beta, mean, variance = (names[name][i] for name in names)
        return gamma * (value - mean) / np.sqrt(variance + epsilon[i]) + beta

    def relu(value):
        return np.maximum(value, 0)

    def plain(value):
        return value

    def made(first=relu, second=relu, late=False, early=False):
        kept = x.astype("float64")
        if late:  # the stride is in the pointwise step
            value = filtered(kept, window)
        else:
            value = filtered(kept, window, 2)
        value = norm(relu(value), 0) if early else first(norm(value, 0))
        value = value @ mix
        value = norm(relu(value), 1) if early else second(norm(value, 1))
        return value[::2, ::2] if late else value

    filtering = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    if max(filtering[0].strides) > 1:
        elsewhere = (
            "the picture is padded on all four sides before the depthwise step. Here the padding "
            "is that of padding='same', which at stride 2 and even sides adds to the bottom and "
            "the right only, as the authors' code does."
        )
    else:
        elsewhere = (
            "the stride is in the pointwise step: three quarters of the filtered pixels are thrown "
            "away. The depthwise step has it."
        )
    expect(
        got,
        made(),
        {
            "there is no ReLU. One follows each batch normalisation.": made(plain, plain),
            "the ReLU after the depthwise step is missing.": made(first=plain),
            "the ReLU at the end is missing.": made(second=plain),
            elsewhere: made(late=True),
            "the ReLU stands before the batch normalisation. It comes after it.": made(early=True),
        },
        "With random weights and strides=2 the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )
    equal = expect_model(answer(shape, 4, 1), shape)
    for weight in equal.weights:
        scale = rng.normal(size=weight.shape) if len(weight.shape) == 4 else None
        if scale is not None:
            weight.assign(scale.astype("float32"))
    window, mix = (numbers(w) for w in equal.weights if len(w.shape) == 4)
    steps = relu(filtered(x.astype("float64"), window[..., 0])) @ mix[0, 0]
    expect(
        response(equal, x),
        relu(steps),
        {
            "at stride 1, with as many channels out as in, the input is added. MobileNet, of "
            "2017, has no shortcut; its second version has.": relu(steps) + x,
        },
        "With 4 channels in and out and strides=1 the output",
        tolerance=5e-3,
    )


# Table 1: channels and stride of the thirteen blocks; the last stride as in the authors' code.
TABLE = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
TABLE += [(1024, 2), (1024, 1)]


def layers_of(alpha, side, rounding=int):
    """Return the multiply-adds of each layer: (kind, number)."""
    side //= 2
    channels = rounding(32 * alpha)
    found = [("first", side**2 * 27 * channels)]
    for filters, stride in TABLE:
        side //= stride
        found.append(("depthwise", side**2 * 9 * channels))
        before, channels = channels, rounding(filters * alpha)
        found.append(("pointwise", side**2 * before * channels))
    return [*found, ("classifier", 1000 * channels)]


@exercise(
    section="Two dials",
    correct="568,740,352 multiply-adds for the whole network at 224 pixels, as the ledger has it; "
    "41 million with a quarter of the channels.",
    hints=(
        "Walk through the network with two numbers, the side and the channels. The first "
        "convolution and every block of stride 2 halve the side.",
        "A block: halve the side first if its stride is 2. Depthwise: side x side x 9 x channels "
        "in. Pointwise: side x side x channels in x channels out.",
        "The first convolution has 3 channels in, 9 x 3 products for each output; the classifier "
        "has channels x 1,000. alpha changes neither the 3 nor the 1,000.",
    ),
)
def network_cost(answer):
    facts = ledger.load("mobilenet").variants

    def of(alpha, side, left_out=(), rounding=int):
        layers = layers_of(alpha, side, rounding)
        return sum(work for kind, work in layers if kind not in left_out)

    def late(side):  # the side is halved after the depthwise step
        side, channels = side // 2, 32
        total = side**2 * 27 * channels + 1_024_000
        for filters, stride in TABLE:
            total += side**2 * 9 * channels
            side //= stride
            total += side**2 * channels * filters
            channels = filters
        return total

    right = facts["mobilenet_1.0_224"]["macs"]
    square = facts["mobilenet_0.5_224"]["macs"]
    expect(
        shaped(answer(1.0, 224), (), "The result"),
        right,
        {
            "the depthwise steps are missing.": of(1.0, 224, ["depthwise"]),
            "the pointwise steps are missing.": of(1.0, 224, ["pointwise"]),
            "the classifier is missing: 1,024 x 1,000.": of(1.0, 224, ["classifier"]),
            "the first convolution is missing.": of(1.0, 224, ["first"]),
            "the first convolution has stride 2: its output has half the side.": (
                4 * of(1.0, 224, ["classifier"]) + 1_024_000
            ),
            "in a block of stride 2 the depthwise step makes the smaller map already.": late(224),
            "the pictures have 3 channels, not 1.": (
                right - dict(layers_of(1.0, 224))["first"] * 2 // 3
            ),
            "do not count two operations for a multiply-add.": 2 * right,
            "the window of the depthwise step has 3 x 3 = 9 pixels, not 3.": (
                of(1.0, 224)
                - sum(n for kind, n in layers_of(1.0, 224) if kind == "depthwise") * 2 // 3
            ),
            "the thirteen blocks are full convolutions here.": (
                facts["conv_mobilenet_1.0_224"]["macs"]
            ),
        },
    )
    wrong_alpha = layers_of(0.5, 224)
    expect(
        shaped(answer(0.5, 224), (), "With alpha 0.5 the result"),
        square,
        {
            "alpha changes nothing. It multiplies the channels of every layer.": right,
            "alpha multiplies the work once. It multiplies the channels, on both sides of a "
            "pointwise step.": right // 2,
            "alpha is squared for every layer. Only the pointwise steps have it on both sides; "
            "walk through the network.": right // 4,
            "alpha does not reach the first convolution. It has int(alpha * 32) channels.": (
                square + wrong_alpha[0][1] + wrong_alpha[1][1] + wrong_alpha[2][1]
            ),
            "alpha multiplies the classes too. There are 1,000 of them whatever the width.": (
                square - wrong_alpha[-1][1] // 2
            ),
        },
        "With alpha 0.5 the result",
    )
    nearest = of(0.3, 224, rounding=round)
    expect(
        shaped(answer(0.3, 224), (), "With alpha 0.3 the result"),
        of(0.3, 224),
        {
            "channels are rounded to the nearest number. A layer has int(alpha * channels): "
            "cut off.": nearest,
        },
        "With alpha 0.3 the result",
    )
    for alpha, side in ((1.0, 160), (0.25, 128)):
        expect(
            shaped(answer(alpha, side), (), f"With alpha {alpha} and {side} pixels the result"),
            facts[f"mobilenet_{alpha}_{side}"]["macs"],
            {"the side is ignored: this is the number for 224 pixels.": of(alpha, 224)},
            f"With alpha {alpha} and {side} pixels the result",
        )
