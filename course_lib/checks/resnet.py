"""The exercises of assignment 07: the residual block, its shortcuts and its cost.

Facts: He, Zhang, Ren and Sun 2015, sections 3.2 to 4.1; depths from table 1.
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
    shaped,
)

exercise = assignment("07_resnet")


def relu(x):
    return np.maximum(x, 0)


@exercise(
    section="The block",
    correct="two layers learn what is added to x, and the last ReLU comes after the addition.",
    hints=(
        "F(x) is two layers: multiply by w1, ReLU, multiply by w2. There is no ReLU after w2 yet.",
        "Then add x, and only then take the last ReLU: y = ReLU(F(x) + x).",
    ),
)
def residual_block(answer):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(5, 4))
    w1, w2 = rng.normal(size=(2, 4, 4))
    inner = relu(x @ w1)
    expect(
        answer(x, w1, w2),
        relu(inner @ w2 + x),
        {
            "the shortcut is missing: this is the plain block. Add x before the last ReLU.": (
                relu(inner @ w2)
            ),
            "the last ReLU comes before the addition. In the paper it comes after.": (
                relu(inner @ w2) + x
            ),
            "the last ReLU is missing.": inner @ w2 + x,
            "the ReLU between the two layers is missing, so they are one layer.": (
                relu(x @ w1 @ w2 + x)
            ),
            "x is added after the first layer. The shortcut goes around both layers.": (
                relu(relu(x @ w1 + x) @ w2)
            ),
            "there is a ReLU too many: F(x) may be negative, so there is none between the second "
            "layer and the addition.": relu(relu(inner @ w2) + x),
            "the shortcut is multiplied, not added.": relu(inner @ w2 * x),
            "the shortcut is subtracted.": relu(inner @ w2 - x),
            "w1 and w2 are swapped.": relu(relu(x @ w2) @ w1 + x),
            "this is F(x) alone. Add x and take the ReLU.": inner @ w2,
        },
    )
    again = answer(x, w1, np.zeros((4, 4)))
    expect(again, relu(x), {}, "With w2 = 0 the result")


@exercise(
    section="The block",
    correct="with slopes near zero the plain product vanishes, and the residual product stays "
    "near one.",
    hints=(
        "Chain rule: factors of blocks that follow each other are multiplied.",
        "The slope of F(x) is s; the slope of F(x) + x is s + 1.",
    ),
)
def backward_factor(answer):
    slopes = np.array([0.5, -0.2, 0.1, 0.3])
    plain, residual = np.prod(slopes), np.prod(1 + slopes)
    names = ("plain", "residual")
    found = [
        float(shaped(v, (), n)) for v, n in zip(parts(answer(slopes), names), names, strict=True)
    ]
    recognise(
        np.array(found),
        {
            "the two are swapped: plain first, then residual.": np.array([residual, plain]),
            "the factors are added. By the chain rule they are multiplied.": (
                np.array([slopes.sum(), (1 + slopes).sum()])
            ),
            "1 is added to the product. Each block has its own shortcut, so 1 is added to each "
            "slope.": np.array([plain, 1 + plain]),
            "the sign of the slope is turned around: it is 1 + slope, not 1 - slope.": (
                np.array([plain, np.prod(1 - slopes)])
            ),
            "the last block is missing: range and slices end one before their last number.": (
                np.array([np.prod(slopes[:-1]), np.prod(1 + slopes[:-1])])
            ),
            "both are the plain product. The shortcut adds 1 to each slope.": (
                np.array([plain, plain])
            ),
        },
        1e-9,
    )
    expect(found[0], plain, {}, "The plain factor")
    expect(found[1], residual, {}, "The residual factor")


@exercise(
    section="When the shapes differ: shortcuts A, B and C",
    correct="option A has no weights: every second pixel, and zeros for the new channels.",
    hints=(
        "x[::stride, ::stride] takes every stride-th row and column and keeps the channels.",
        "Then put zeros behind the channels: np.pad, or a new array of zeros with x in its "
        "first channels.",
    ),
)
def shortcut_a(answer):
    x = np.random.default_rng(5).normal(size=(6, 9, 2))

    def of(part, channels=5):
        out = np.zeros((*part.shape[:2], channels))
        out[..., : part.shape[-1]] = part
        return out

    picked = x[::3, ::3]
    mean = x.reshape(2, 3, 3, 3, 2).mean(axis=(1, 3))
    largest = x.reshape(2, 3, 3, 3, 2).max(axis=(1, 3))
    front = np.zeros((2, 3, 5))
    front[..., 3:] = picked
    expect(
        answer(x, 5, 3),
        of(picked),
        {
            "the sides are kept: take every stride-th row and column.": of(x),
            "the channels are kept: fill up with zeros to `out_channels`.": picked,
            "the channels are too many: `out_channels` in all, not so many new ones.": (
                of(picked, 7)
            ),
            "the zeros stand before the old channels. They belong behind.": front,
            "this is the mean of each window. Option A picks one pixel and calculates nothing.": (
                of(mean)
            ),
            "this is the maximum of each window. Option A picks one pixel.": of(largest),
            "the first pixel that is picked is not [0, 0].": of(x[1::3, 1::3]),
            "the new channels repeat the old ones. They are zero.": (
                np.concatenate([picked, picked, picked[..., :1]], axis=-1)
            ),
            "the stride is always 2. Use the argument.": of(x[::2, ::2]),
            "only the rows are picked. Take every stride-th column too.": of(x[::3]),
        },
    )
    expect(answer(x, 2, 1), x, {}, "With stride 1 and the same channels the result")


@exercise(
    section="The bottleneck",
    correct="on 256 channels 1,179,648 against 69,632: 17 times fewer.",
    hints=(
        "A k x k convolution from a to b channels has k * k * a * b weights.",
        "The bottleneck has three: 1 x 1 from channels to a quarter, 3 x 3 on the quarter, 1 x 1 "
        "back to all channels.",
    ),
)
def block_weights(answer):
    c = 64
    q = c // 4
    two, narrow = 2 * 9 * c * c, c * q + 9 * q * q + q * c
    names = ("basic", "bottleneck")
    found = [float(shaped(v, (), n)) for v, n in zip(parts(answer(c), names), names, strict=True)]
    recognise(
        np.array(found),
        {
            "the two are swapped: the block of two 3 x 3 convolutions first.": (
                np.array([narrow, two])
            ),
            "biases are counted. These convolutions have none: batch normalisation follows.": (
                np.array([two + 2 * c, narrow + 2 * q + c])
            ),
        },
    )
    recognise(
        found[0],
        {
            "the block of 3 x 3 convolutions has two of them.": two // 2,
            "a window of 3 x 3 has nine places, not three.": two // 3,
        },
    )
    expect(found[0], two, {}, "The basic block")
    recognise(
        found[1],
        {
            "the last 1 x 1 convolution is missing: it goes back to all channels.": (
                c * q + 9 * q * q
            ),
            "the first 1 x 1 convolution is missing: it goes to a quarter of the channels.": (
                9 * q * q + q * c
            ),
            "the middle convolution is 3 x 3.": c * q + q * q + q * c,
            "all three are counted as 3 x 3. The outer two are 1 x 1.": (
                9 * (c * q + q * q + q * c)
            ),
            "the channels are halved. The bottleneck has a quarter.": (
                c * (c // 2) + 9 * (c // 2) ** 2 + (c // 2) * c
            ),
            "the middle convolution works on a quarter of the channels, not on all.": (
                c * q + 9 * c * c + q * c
            ),
        },
    )
    expect(found[1], narrow, {}, "The bottleneck block")


DEPTHS = {  # table 1 and sec. 4.2: blocks of each stage, bottleneck, the depth in the name
    "ResNet-50": ((3, 4, 6, 3), True, 50),
    "ResNet-34": ((3, 4, 6, 3), False, 34),
    "ResNet-152": ((3, 8, 36, 3), True, 152),
    "ResNet-56 for CIFAR": ((9, 9, 9), False, 56),
}


@exercise(
    section="The network",
    correct="the number in a ResNet's name counts convolutions and the fully connected layer on "
    "the main path.",
    hints=(
        "A block has two convolutions, a bottleneck three. How many blocks are there in all?",
        "Two more layers have weights: the first convolution and the fully connected layer. "
        "Projections in shortcuts are not counted.",
    ),
)
def depth(answer):
    calls = list(DEPTHS.values())
    found = np.array([float(shaped(answer(list(b), k), (), "The depth")) for b, k, _ in calls])
    blocks = np.array([sum(b) for b, _, _ in calls])
    layers = np.array([3 if k else 2 for _, k, _ in calls])
    right = np.array([d for _, _, d in calls])
    stages = np.array([len(b) for b, _, _ in calls])
    # Of the networks above only the deep ones have a projection in their first stage.
    projections = stages - 1 + (layers == 3)
    recognise(
        found,
        {
            "the first convolution and the fully connected layer are missing.": right - 2,
            "one layer is missing: both the first convolution and the fully connected layer "
            "count.": right - 1,
            "these are the blocks. Each has two or three layers.": blocks,
            "a bottleneck has three layers, the other block two; every block is taken with two.": (
                2 * blocks + 2
            ),
            "every block is taken with three layers. Without bottleneck it has two.": (
                3 * blocks + 2
            ),
            "the pooling is counted. It has no weights.": right + 1,
            "the projections of option B are counted. The depth is that of the main path.": (
                right + projections
            ),
            "one projection a stage is counted. The depth is that of the main path.": (
                right + stages
            ),
        },
    )
    for (name, (_, _, right)), given in zip(DEPTHS.items(), found, strict=True):
        if given != right:
            raise Mistake(f"for {name} the result is {given:g}; it should be {right}.")


def convolve(x, kernel, stride, pad):
    """A convolution in NumPy; x is (height, width, in), pad the pixels on each side."""
    side = kernel.shape[0]
    x = np.pad(x, (pad, pad, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], kernel)


def model_of(x, first, second, projection, stride=2, order="add relu", pad=(1, 1), late=False):
    """The block with option B in NumPy, batch normalisation as it is before training."""
    strides = (1, stride) if late else (stride, 1)
    y = relu(convolve(x, first, strides[0], (1, 1) if late else pad))
    y = convolve(y, second, strides[1], (1, 1))
    short = convolve(x, projection, stride, (0, 0))
    for step in order.split():
        y = relu(y) if step == "relu" else y + short
    return y


@exercise(
    section="When the shapes differ: shortcuts A, B and C",
    correct="the block that opens a stage, with option B: both paths end in the same shape.",
    hints=(
        "Main path: convolution 3 x 3 with the stride, batch normalisation, ReLU, convolution "
        "3 x 3, batch normalisation. Shortcut: convolution 1 x 1 with the stride, batch "
        "normalisation. Then add, then ReLU.",
        "keras.layers.ZeroPadding2D(1) and padding='valid' for the convolution with the stride; "
        "use_bias=False for all three; keras.layers.add([y, shortcut]).",
        "ConvUnit(filters, 3, strides, padding=1)(x) is convolution, normalisation and ReLU; "
        "activation=None leaves the ReLU out.",
    ),
)
def first_block(answer):

    side, c_in, filters, stride = 10, 4, 6, 2
    model = answer((side, side, c_in), filters, stride)
    model = expect_model(model, (side, side, c_in))
    shape = tuple(model.output_shape[1:])
    if shape != (side // 2, side // 2, filters):
        raise Mistake(
            f"from {(side, side, c_in)} the model makes {shape}; it should make "
            f"{(side // 2, side // 2, filters)}. Look at the strides and the padding."
        )
    first, second, short = 9 * c_in * filters, 9 * filters * filters, c_in * filters
    right = first + second + short + 3 * 4 * filters
    expect(
        model.count_params(),
        right,
        {
            "the convolutions have biases. Batch normalisation cancels them: use_bias=False.": (
                right + 3 * filters
            ),
            "one of the three convolutions has a bias. Batch normalisation cancels it: "
            "use_bias=False.": right + filters,
            "two of the three convolutions have biases. Batch normalisation cancels them: "
            "use_bias=False.": right + 2 * filters,
            "batch normalisation is missing everywhere.": right - 12 * filters,
            "batch normalisation is missing after one of the three convolutions.": (
                right - 4 * filters
            ),
            "the shortcut has no projection: a 1 x 1 convolution and batch normalisation.": (
                right - short - 4 * filters
            ),
            "the projection is 3 x 3. Option B has 1 x 1.": right + 8 * short,
            "the second convolution is missing.": right - second - 4 * filters,
        },
        "The number of parameters",
    )
    rng = np.random.default_rng(9)
    kernels, weights = {}, []
    for weight in model.weights:
        if len(weight.shape) == 4:
            value = rng.normal(size=weight.shape).astype("float32")
            kernels[tuple(weight.shape)] = value.astype("float64")
        else:
            value = np.asarray(weight)
        weights.append(value)
    model.set_weights(weights)
    ordered = [kernels.get(s) for s in ((3, 3, c_in, filters), (3, 3, filters, filters))]
    ordered.append(kernels.get((1, 1, c_in, filters)))
    if len(kernels) != 3 or any(kernel is None for kernel in ordered):
        raise Mistake(
            "the kernels should be 3 x 3 from the input's channels to `filters`, 3 x 3 on "
            "`filters` channels, and 1 x 1 in the shortcut."
        )
    x = rng.normal(size=(side, side, c_in)).astype("float32")
    got = response(model, x)

    def of(**changes):
        return model_of(x.astype("float64"), *ordered, **changes)

    expect(
        got,
        of(),
        {
            "the last ReLU is missing.": of(order="add"),
            "the last ReLU comes before the addition. In the paper it comes after.": (
                of(order="relu add")
            ),
            "the shortcut is not added.": of(order="relu"),
            "there is a ReLU too many, between the second convolution and the addition.": (
                of(order="relu add relu")
            ),
            "padding='same' with stride 2 pads only at the bottom and the right. The paper pads "
            "one pixel on every side: ZeroPadding2D(1), then 'valid'.": of(pad=(0, 1)),
            "the second convolution strides. In the paper the first does.": of(late=True),
        },
        "With random weights the output",
        tolerance=5e-3,  # Keras's default epsilon changes the fourth digit
    )
