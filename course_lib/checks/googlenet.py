"""The exercises of assignment 06: the Inception module, what it costs, and how it is trained.

Facts: Szegedy et al. 2015, sections 4 and 5, table 1 and figure 2.
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

exercise = assignment("06_googlenet")


@exercise(
    section="What is a 1 x 1 convolution good for?",
    correct="a 1 x 1 convolution is one small fully connected layer, the same at every pixel.",
    hints=(
        "At each pixel: the channels in, times the kernel, plus the bias; then the ReLU.",
        "`x @ kernel` multiplies the last axis of x with the first axis of the kernel, at every "
        "pixel at once.",
    ),
)
def pointwise(answer):
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=(3, 5, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)
    right = np.einsum("hwi,io->hwo", x, kernel) + bias
    expect(
        answer(x, kernel, bias),
        np.maximum(right, 0),
        {
            "the ReLU is missing: negative numbers become 0.": right,
            "the bias is missing.": np.maximum(right - bias, 0),
            "the bias is added after the ReLU. It belongs to the sum before it.": (
                np.maximum(right - bias, 0) + bias
            ),
            "the kernel is transposed: its first axis is the channels in.": (
                np.maximum(np.einsum("hwi,oi->hwo", x, kernel) + bias, 0)
            ),
            "each output channel sees one input channel only. In a 1 x 1 convolution it sees all "
            "channels of its pixel.": np.maximum(x * np.diagonal(kernel) + bias, 0),
            "the pixels are mixed. A 1 x 1 window sees one pixel.": (
                np.maximum(right.mean(axis=(0, 1), keepdims=True) + 0 * right, 0)
            ),
        },
    )
    kernel, bias = rng.normal(size=(4, 7)), rng.normal(size=7)
    right = np.maximum(np.einsum("hwi,io->hwo", x, kernel) + bias, 0)
    expect(answer(x, kernel, bias), right, {}, "With 4 channels in and 7 out the result")


def cost_of(convolutions, side):
    """Return (weights, biases, multiply-adds) of convolutions given as (window, in, out)."""
    weights = sum(k * k * c * n for k, c, n in convolutions)
    return weights, sum(n for *_, n in convolutions), weights * side * side


def module_of(channels, filters, reduce=True):
    """Return the module's convolutions as {name: (window, in, out)}."""
    one, reduce3, three, reduce5, five, projection = filters
    if not reduce:
        return {
            "1x1": (1, channels, one),
            "3x3": (3, channels, three),
            "5x5": (5, channels, five),
        }
    return {
        "1x1": (1, channels, one),
        "3x3 reduce": (1, channels, reduce3),
        "3x3": (3, reduce3, three),
        "5x5 reduce": (1, channels, reduce5),
        "5x5": (5, reduce5, five),
        "projection": (1, channels, projection),
    }


@exercise(
    section="What is a 1 x 1 convolution good for?",
    correct="module 3a: 163,696 parameters instead of 387,296, and 128 million multiply-adds "
    "instead of 303 million. Table 1 of the paper prints 159K (of 1,024, without biases) and "
    "128M.",
    hints=(
        "List the convolutions: window, channels in, channels out. Reduced there are six, naive "
        "three. A pooling has no weights.",
        "One convolution has window x window x in x out weights and `out` biases. Each weight is "
        "used once at every pixel.",
        "The 3 x 3 convolution of the reduced form has filters[1] channels in and filters[2] out.",
    ),
)
def module_cost(answer):
    side, channels, filters = 28, 192, (64, 96, 128, 16, 32, 32)
    names = ("parameters", "multiply-adds")

    def called(reduce):
        result = parts(answer(side, channels, filters, reduce), names)
        return [shaped(one, (), name) for one, name in zip(result, names)]

    reduced, naive = called(True), called(False)
    right = {reduce: module_of(channels, filters, reduce) for reduce in (True, False)}

    def wrong(change, reduce=True):
        changed = change(dict(right[reduce]))
        weights, biases, work = cost_of(changed.values(), side)
        return [weights + biases, work]

    def with_input(convolutions):
        return {name: (k, channels, n) for name, (k, _, n) in convolutions.items()}

    def without(*gone):
        return lambda c: {name: conv for name, conv in c.items() if name not in gone}

    def flat(convolutions):
        return {name: (k**0.5, c, n) for name, (k, c, n) in convolutions.items()}

    recognise(
        reduced,
        {
            "reduced, 3 x 3 and 5 x 5 still see all channels of the input. They see the reduced "
            "ones only.": wrong(with_input),
            "reduced, the pooling's 1 x 1 projection is missing.": wrong(without("projection")),
            "reduced, the two reductions are not counted: they are convolutions too.": (
                wrong(without("3x3 reduce", "5x5 reduce"))
            ),
            "reduced, no 1 x 1 branch is counted; it has filters[0] channels.": (
                wrong(without("1x1"))
            ),
            "reduced, the windows are squares: 3 x 3 and 5 x 5 weights for each pair of "
            "channels.": wrong(flat),
            "reduced, the 5 x 5 window is counted as 3 x 3. torchvision has 3 x 3 there; the paper "
            "has 5 x 5.": wrong(lambda c: {**c, "5x5": (3, *c["5x5"][1:])}),
            "these are the numbers of the naive form: reduce=True puts the reductions in.": (
                wrong(dict, reduce=False)
            ),
        },
    )
    for reduce, got, form in ((True, reduced, "reduced"), (False, naive, "naive")):
        weights, biases, work = cost_of(right[reduce].values(), side)
        if not reduce:
            recognise(
                got,
                {
                    "reduce=False gives the same as reduce=True. The naive form has no reductions "
                    "and no projection.": wrong(dict),
                    "naive, the pooling has no weights: there is no projection.": wrong(
                        lambda c: {**c, "projection": right[True]["projection"]}, reduce=False
                    ),
                },
            )
        outputs = sum(filters[i] for i in (0, 2, 4, 5))
        expect(
            got[0],
            weights + biases,
            {
                f"{form}, the biases are missing from the parameters.": weights,
                f"{form}, every convolution has biases, the 1 x 1 reductions too.": (
                    weights + outputs
                ),
                f"{form}, one bias for each output channel, not for each input channel.": (
                    weights + sum(c for _, c, _ in right[reduce].values())
                ),
            },
            f"{form.capitalize()}, the number of parameters",
        )
        expect(
            got[1],
            work,
            {
                f"{form}, the multiply-adds are those of one pixel.": weights,
                f"{form}, the output has side x side pixels.": weights * side,
                f"{form}, do not count two operations for a multiply-add.": 2 * work,
                f"{form}, biases are no multiply-adds.": (weights + biases) * side**2,
            },
            f"{form.capitalize()}, the number of multiply-adds",
        )
    other = answer(14, 480, (192, 96, 208, 16, 48, 64), True)
    expect(numbers(other), [376_176, 73_608_192], {}, "For module 4a the pair")


def padded(x, border, value=0.0):
    return np.pad(x, ((border, border), (border, border), (0, 0)), constant_values=value)


def convolve(x, kernel, bias):
    """Convolve (height, width, in) with (k, k, in, out), the size kept."""
    side = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(padded(x, side // 2), (side, side), (0, 1))
    return np.einsum("hwcij,ijco->hwo", windows, kernel) + bias


def pool(x, reduce=np.nanmax):
    """Pool 3 x 3 at stride 1, the size kept; what lies outside does not count."""
    windows = np.lib.stride_tricks.sliding_window_view(padded(x, 1, np.nan), (3, 3), (0, 1))
    return reduce(windows, axis=(-2, -1))


def relu(x):
    return np.maximum(x, 0)


@exercise(
    section="Four branches, two forms",
    correct="this is figure 2b of the paper. Nine of these modules make GoogLeNet.",
    hints=(
        "Four branches start from the same input. keras.layers.Concatenate() joins their outputs "
        "along the channels.",
        "keras.layers.Conv2D(channels, side, padding='same', activation='relu') is a convolution "
        "with its ReLU. The pooling is keras.layers.MaxPooling2D(3, 1, padding='same').",
        "Begin with image = keras.Input(input_shape), end with keras.Model(image, joined). The "
        "second branch is a 1 x 1 convolution with filters[1] channels, then a 3 x 3 with "
        "filters[2].",
    ),
)
def inception(answer):

    shape, filters = (7, 6, 5), (2, 3, 4, 6, 7, 8)
    one, reduce3, three, reduce5, five, projection = filters
    model = answer(shape, filters)
    model = expect_model(model, shape)
    kernels = {
        tuple(w.shape): w for w in model.trainable_weights if len(w.shape) == 4
    }  # every shape is another: the channel counts differ
    wanted = {
        "1x1": (1, 1, 5, one),
        "3x3_reduce": (1, 1, 5, reduce3),
        "3x3": (3, 3, reduce3, three),
        "5x5_reduce": (1, 1, 5, reduce5),
        "5x5": (5, 5, reduce5, five),
        "projection": (1, 1, 5, projection),
    }
    reasons = {
        (3, 3, 5, three): "the 3 x 3 convolution sees all channels of the input. Put a 1 x 1 "
        "convolution with filters[1] channels before it.",
        (5, 5, 5, five): "the 5 x 5 convolution sees all channels of the input. Put a 1 x 1 "
        "convolution with filters[3] channels before it.",
        (3, 3, reduce5, five): "the largest window is 3 x 3, as in torchvision. The paper's is "
        "5 x 5.",
        (3, 3, 5, projection): "the projection after the pooling is 1 x 1, not 3 x 3.",
    }
    for wrong, reason in reasons.items():
        if wrong in kernels:
            raise Mistake(reason)
    if (1, 1, 5, projection) not in kernels:
        raise Mistake("the 1 x 1 convolution after the pooling, the projection, is missing.")
    for name, kernel in wanted.items():
        if kernel not in kernels:
            raise Mistake(
                f"there is no convolution with the kernel of {name.replace('_', ' ')}, {kernel}. "
                f"Kernels of this model: {', '.join(map(str, kernels))}."
            )
    total = one + three + five + projection
    if tuple(model.output_shape[1:]) != (*shape[:2], total):
        raise Mistake(
            f"from {shape} the model makes {tuple(model.output_shape[1:])}, it should make "
            f"{(*shape[:2], total)}: 1x1, 3x3, 5x5 and projection, concatenated along the channels."
        )
    weights = sum(int(np.prod(kernel)) for kernel in wanted.values())
    biases = one + reduce3 + three + reduce5 + five + projection
    expect(
        model.count_params(),
        weights + biases,
        {
            "the convolutions have no biases. The paper's have.": weights,
            "there is batch normalisation in it. The paper has none.": weights + 5 * biases,
            "there is batch normalisation in place of the biases, as in torchvision. The paper has "
            "biases and none of it.": weights + 4 * biases,
        },
        "The number of parameters",
    )
    rng = np.random.default_rng(8)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32"))
    by_length = {w.shape[0]: numbers(w) for w in model.weights if len(w.shape) == 1}
    used = {name: (numbers(kernels[k]), by_length[k[-1]]) for name, k in wanted.items()}
    x = rng.normal(size=shape).astype("float32")
    got = response(model, x)
    x = x.astype("float64")

    def module(inner=relu, outer=relu, last=lambda x: x, pooling=pool, order=(0, 1, 2, 3), late=1):
        def conv(value, name, activation):
            return activation(convolve(value, *used[name]))

        fourth = conv(pooling(x), "projection", outer)
        if not late:
            fourth = pooling(conv(x, "projection", outer))
        branches = [
            conv(x, "1x1", outer),
            conv(conv(x, "3x3_reduce", inner), "3x3", outer),
            conv(conv(x, "5x5_reduce", inner), "5x5", outer),
            fourth,
        ]
        return last(np.concatenate([branches[i] for i in order], axis=-1))

    def plain(x):
        return x

    expect(
        got,
        module(),
        {
            "there is no ReLU at all. One follows every convolution.": module(plain, plain),
            "the ReLU is missing after the 1 x 1 reductions.": module(inner=plain),
            "the ReLU is missing after the last convolution of each branch.": module(outer=plain),
            "the pooling takes the mean. The paper's takes the maximum.": (
                module(pooling=lambda x: pool(x, np.nanmean))
            ),
            "the projection stands before the pooling. It comes after it.": module(late=0),
            "the pooling is missing: the projection sees the input itself.": module(pooling=plain),
            "the branches are in another order: 1x1, 3x3, 5x5, pooling.": module(
                order=(3, 0, 1, 2)
            ),
            "the 5 x 5 branch stands before the 3 x 3 one. The order is 1x1, 3x3, 5x5, pooling.": (
                module(order=(0, 2, 1, 3))
            ),
        },
        "With random weights the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )


@exercise(
    section="The last layers: pooling in the place of weights",
    correct="no weights but those of the last layer, and any number of pixels will do.",
    hints=(
        "First the mean over height and width: (batch, height, width, channels) becomes (batch, "
        "channels).",
        "x.mean(axis=(1, 2)) does it. Then a fully connected layer, without ReLU: logits.",
    ),
)
def average_head(answer):
    rng = np.random.default_rng(5)
    x, kernel, bias = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(5, 5)), rng.normal(size=5)
    mean = np.einsum("bhwc->bc", x) / 12
    logits = mean @ kernel + bias
    exponentials = np.exp(logits)
    expect(
        answer(x, kernel, bias),
        logits,
        {
            "the pixels are added up. Divide by their number.": 12 * mean @ kernel + bias,
            "this is the largest pixel of each channel. Take the mean.": (
                x.max(axis=(1, 2)) @ kernel + bias
            ),
            "the bias is missing.": mean @ kernel,
            "the pictures of the batch are averaged too. Each has its own logits.": (
                np.tile(logits.mean(axis=0), (2, 1))
            ),
            "there is a ReLU at the end. Logits may be negative.": relu(logits),
            "this is the softmax. Return the logits.": (
                exponentials / exponentials.sum(axis=1, keepdims=True)
            ),
            "this is one answer for each pixel: the mean over height and width is missing.": (
                x @ kernel + bias
            ),
        },
    )
    x = rng.normal(size=(3, 2, 2, 5))
    right = np.einsum("bhwc,co->bo", x, kernel) / 4 + bias
    expect(answer(x, kernel, bias), right, {}, "With 2 x 2 pixels the result")


def entropy_of(logits, labels):
    """Return the cross-entropy of each image."""
    return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]


@exercise(
    section="Auxiliary classifiers",
    correct="the heads help to train and count 0.3 each. For the test error only the main one is "
    "asked.",
    hints=(
        "Three times the same: softmax, then minus the logarithm of the probability of the label, "
        "then the mean over the pictures.",
        "main + 0.3 * aux1 + 0.3 * aux2.",
    ),
)
def total_loss(answer):
    rng = np.random.default_rng(6)
    heads = [2 * rng.normal(size=(6, 4)) for _ in range(3)]
    labels = np.array([0, 3, 1, 1, 2, 0])
    each = [entropy_of(head, labels) for head in heads]
    main, aux1, aux2 = (float(np.mean(one)) for one in each)
    right = main + 0.3 * aux1 + 0.3 * aux2
    shares = [np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in heads]
    twice = [float(np.mean(entropy_of(p, labels))) for p in shares]
    expect(
        answer(*heads, labels),
        right,
        {
            "softmax is taken twice: the loss got probabilities where it takes logits.": (
                twice[0] + 0.3 * twice[1] + 0.3 * twice[2]
            ),
            "the heads count as much as the main loss. Each counts 0.3.": main + aux1 + aux2,
            "only the main loss is there.": main,
            "the main loss counts 0.3 too. It counts 1.": 0.3 * (main + aux1 + aux2),
            "only the first head is there; the paper has two.": main + 0.3 * aux1,
            "the heads share 0.3. Each of them counts 0.3.": main + 0.15 * (aux1 + aux2),
            "the weights make a mean (they are divided by 1.6). The paper adds the losses.": (
                right / 1.6
            ),
            "the losses of the pictures are added up. Take the mean.": 6 * right,
            "there is one loss for each picture. Take the mean.": (
                each[0] + 0.3 * each[1] + 0.3 * each[2]
            ),
            "the sign is wrong: minus the logarithm of a probability is positive.": -right,
            "the logits are added up first, and then there is one loss. Each head has its own.": (
                float(np.mean(entropy_of(heads[0] + 0.3 * heads[1] + 0.3 * heads[2], labels)))
            ),
            "the logarithm has base 2. Losses here take the natural one.": right / np.log(2),
        },
    )
    labels = labels[::-1].copy()
    mean = [float(np.mean(entropy_of(head, labels))) for head in heads]
    right = mean[0] + 0.3 * mean[1] + 0.3 * mean[2]
    expect(answer(*heads, labels), right, {}, "With other labels the result")
