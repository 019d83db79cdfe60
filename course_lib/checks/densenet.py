"""The exercises of assignment 08: dense blocks, what they cost, and who listens to whom.

Facts: Huang, Liu, van der Maaten and Weinberger 2017, section 3.
"""

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    numbers,
    recognise,
    response,
)

exercise = assignment("08_densenet")


@exercise(
    section="Adding and putting beside",
    correct="the channels grow by k a layer, as a line. Block 1 of DenseNet-121 is "
    "dense_channels(64, 32, 6): it ends with 256.",
    hints=(
        "Layer 1 sees the input of the block. Every layer puts `growth` channels beside what it "
        "sees, so the next one sees that many more.",
        "The list has layers + 1 numbers: start, start + growth, ..., start + layers * growth.",
    ),
)
def dense_channels(answer):
    blocks = ((24, 12, 4), (64, 32, 6), (10, 3, 1))
    got = [numbers(answer(*block), f"dense_channels{block}") for block in blocks]
    if any(channels.ndim == 0 for channels in got):
        raise Mistake(
            "one number comes back: the last. Return the whole list, the input of the block first: "
            "what each layer sees, and at the end what the block gives."
        )

    def made(rule):
        return np.concatenate([rule(*block) for block in blocks])

    recognise(
        np.concatenate([channels.ravel() for channels in got]),
        {
            "the block's output is missing: after what each layer sees comes one number more.": (
                made(lambda c, k, n: c + k * np.arange(n))
            ),
            "layer 1 sees the input of the block alone; nothing has been added yet.": (
                made(lambda c, k, n: c + k * np.arange(1, n + 2))
            ),
            "the list begins with layer 2. Layer 1 sees the input of the block: start.": (
                made(lambda c, k, n: c + k * np.arange(1, n + 1))
            ),
            "this is a chain, in which a layer sees the layer before it alone. In a dense block it "
            "sees all of them and the input.": made(lambda c, k, n: np.array([c] + [k] * n)),
            "the input of the block is lost on the way. All later layers see it too.": (
                made(lambda c, k, n: np.array([c] + [k * i for i in range(1, n + 1)]))
            ),
            "the channels double. A layer adds `growth` channels, however many it sees.": (
                made(lambda c, k, n: c * 2 ** np.arange(n + 1))
            ),
            "start and growth are swapped.": made(lambda c, k, n: k + c * np.arange(n + 1)),
            "these are the channels that addition leaves: always the same. Here they are put "
            "beside each other.": made(lambda c, k, n: np.full(n + 1, c)),
        },
    )
    for block, channels in zip(blocks, got, strict=True):
        start, growth, layers = block
        right = np.arange(start, start + layers * growth + 1, growth)
        expect(channels, right, what=f"dense_channels{block}")


@exercise(
    section="Count the connections",
    correct="DenseNet-121 has 535 connections inside its blocks. With all 58 layers in one block "
    "there would be 1,711.",
    hints=(
        "In a block, layer 1 has 1 source (the input), layer 2 has 2, and so on.",
        "A block of n layers has n * (n + 1) // 2 connections. Add up the blocks; nothing crosses "
        "a transition.",
    ),
)
def connections(answer):
    networks = ((4,), (6, 12, 24, 16), (3, 5))
    got = [numbers(answer(list(blocks)), "connections") for blocks in networks]

    def counted(rule):
        return [sum(rule(n) for n in blocks) for blocks in networks]

    recognise(
        got,
        {
            "these are the layers of a chain: each reads one source. In a dense block layer l "
            "reads l sources.": counted(lambda n: n),
            "the input of the block is a source too: layer 1 reads it. Count from 1 to n.": (
                counted(lambda n: n * (n - 1) // 2)
            ),
            "the output of the block is not a layer that reads: count from 1 to n.": (
                counted(lambda n: (n + 1) * (n + 2) // 2)
            ),
            "each connection is counted twice: n (n + 1) / 2.": counted(lambda n: n * (n + 1)),
            "n * n also counts what a later layer would hand to an earlier one. Layer l reads "
            "l sources.": counted(lambda n: n * n),
            "the layers of all blocks are put into one. No connection crosses a transition: count "
            "each block, then add up.": (
                [sum(blocks) * (sum(blocks) + 1) // 2 for blocks in networks]
            ),
            "only the first block is counted.": [n[0] * (n[0] + 1) // 2 for n in networks],
            "only the last block comes back: add the blocks up.": (
                [n[-1] * (n[-1] + 1) // 2 for n in networks]
            ),
        },
    )
    for blocks, found in zip(networks, got, strict=True):
        right = sum(len(range(layer)) for n in blocks for layer in range(1, n + 1))
        expect(found, right, what=f"connections({list(blocks)})")


@exercise(
    section="Bottleneck: a 1 x 1 convolution first",
    correct="at k = 12 the bottleneck saves weights from 87 channels on, and at 86 it does not.",
    hints=(
        "A convolution has side * side * channels in * channels out weights. There are no biases.",
        "Without bottleneck: one 3 x 3 convolution from `channels` to `growth` channels.",
        "With it: a 1 x 1 convolution from `channels` to 4 * growth, and then a 3 x 3 convolution "
        "that reads these 4 * growth channels and makes growth.",
    ),
)
def layer_weights(answer):
    layers = ((240, 12, False), (64, 32, False), (240, 12, True), (60, 12, True), (64, 32, True))
    got = [numbers(answer(*layer), "layer_weights") for layer in layers]

    def counted(narrow, plain=lambda c, k: 9 * c * k):
        return [narrow(c, k) if bottleneck else plain(c, k) for c, k, bottleneck in layers]

    def right(c, k):
        return 4 * c * k + 36 * k * k

    recognise(
        got,
        {
            "the bottleneck changes nothing here: use the third argument.": counted(
                lambda c, k: 9 * c * k
            ),
            "there is a bottleneck even where the third argument is False.": counted(right, right),
            "True and False are swapped.": [
                9 * c * k if bottleneck else right(c, k) for c, k, bottleneck in layers
            ],
            "the 1 x 1 convolution makes `growth` channels here. The paper's makes 4 * growth.": (
                counted(lambda c, k: c * k + 9 * k * k)
            ),
            "the 3 x 3 convolution still reads all channels. Behind the bottleneck it reads what "
            "the 1 x 1 convolution made.": counted(lambda c, k: 4 * c * k + 9 * c * k),
            "the first convolution of a bottleneck is 1 x 1: it has no factor 9.": (
                counted(lambda c, k: 36 * c * k + 36 * k * k)
            ),
            "the second convolution of a bottleneck is missing.": counted(lambda c, k: 4 * c * k),
            "the 3 x 3 convolution makes 4 * growth channels here. The layer adds `growth`.": (
                counted(lambda c, k: 4 * c * k + 9 * 16 * k * k)
            ),
            "the kernel is a square: 3 * 3.": (
                counted(lambda c, k: 4 * c * k + 12 * k * k, lambda c, k: 3 * c * k)
            ),
            "these convolutions have no biases: batch normalisation has its own shift.": (
                counted(lambda c, k: right(c, k) + 5 * k, lambda c, k: 9 * c * k + k)
            ),
            "the weights of both convolutions are multiplied. They are added.": (
                counted(lambda c, k: 4 * c * k * 36 * k * k)
            ),
        },
    )
    for (c, k, bottleneck), found in zip(layers, got, strict=True):
        shapes = [(1, 1, c, 4 * k), (3, 3, 4 * k, k)] if bottleneck else [(3, 3, c, k)]
        wanted = int(sum(np.prod(shape) for shape in shapes))
        expect(found, wanted, what=f"layer_weights({c}, {k}, {bottleneck})")


def mixers(count, growth):
    """Return functions (height, width, any channels) -> (height, width, growth)."""
    rng = np.random.default_rng(4)
    matrices = [rng.normal(size=(40, growth)) for _ in range(count)]
    return [lambda x, m=m: np.maximum(x @ m[: x.shape[-1]], 0) for m in matrices]


@exercise(
    section="Adding and putting beside",
    correct="every function saw the input and all answers before its own. This is the whole of a "
    "dense block; the functions are the layers.",
    hints=(
        "Keep one array of all that is known so far. At first it is x.",
        "For each function: new = function(known), then known = np.concatenate([known, new], "
        "axis=-1).",
    ),
)
def dense_block(answer):
    x = np.random.default_rng(2).normal(size=(3, 4, 5))
    functions = mixers(3, 2)

    def stacked(sees, order=lambda known, new: [*known, new]):
        known = [x]
        for function in functions:
            known = order(known, function(np.concatenate(sees(known), axis=-1)))
        return np.concatenate(known, axis=-1)

    def everything(known):
        return known

    right = stacked(everything)
    expect(
        answer(x, functions),
        right,
        {
            "this is a chain: each function sees the answer before it alone, and the last answer "
            "comes back.": stacked(lambda known: known[-1:])[..., -2:],
            "each function sees the answer before it alone. It should see everything before it.": (
                stacked(lambda known: known[-1:])
            ),
            "each function sees the input of the block alone. It should see the answers before it "
            "too.": stacked(lambda known: known[:1]),
            "each function sees the input and the last answer alone. It should see all answers.": (
                stacked(lambda known: known if len(known) < 3 else [known[0], known[-1]])
            ),
            "the functions do not see the input of the block after the first. They should.": (
                stacked(lambda known: known[1:] or known)
            ),
            "the input of the block is missing in what comes back.": right[..., 5:],
            "only the last answer comes back. Return all channels, the input first.": (
                right[..., -2:]
            ),
            "the last function's answer is missing in what comes back.": right[..., :-2],
            "the new channels are put in front. They come behind what is there.": (
                stacked(everything, lambda known, new: [new, *known])
            ),
        },
    )
    deep, many = mixers(6, 3), x[:1]
    known = many
    for function in deep:
        known = np.concatenate([known, function(known)], axis=-1)
    expect(answer(many, deep), known, what="With six functions the result")
    expect(answer(x, []), x, what="Without functions the result")


@exercise(
    section="Which earlier layers does a layer listen to?",
    correct="one column of the paper's picture: how much of a layer's attention goes to the input "
    "and to each layer before it.",
    hints=(
        "The input channels are the third axis of the kernel. The first `start` of them come from "
        "the input of the block, then `growth` from each layer before.",
        "For each source: np.abs(kernel[:, :, first:last]).mean().",
        "There are 1 + (channels - start) // growth sources.",
    ),
)
def feature_reuse(answer):
    def at(kernel, start, growth, reduce):
        """The reduced pieces, one a source, by the number of the source of each channel."""
        channel = np.arange(kernel.shape[2])
        source = np.maximum(0, (channel - start) // growth + 1)
        return np.array([reduce(kernel[:, :, source == s]) for s in range(source.max() + 1)])

    def mean_size(piece):
        return np.mean(np.abs(piece))

    kernel = np.random.default_rng(6).normal(size=(3, 3, 18, 4)) * np.linspace(1, 3, 18)[:, None]
    start, growth = 6, 4
    right = at(kernel, start, growth, mean_size)
    expect(
        answer(kernel, start, growth),
        right,
        {
            "positive and negative weights cancel: take their size first, np.abs.": (
                at(kernel, start, growth, np.mean)
            ),
            "the mean is taken before the size. Take np.abs first, then the mean.": (
                np.abs(at(kernel, start, growth, np.mean))
            ),
            "these are sums. A source of many channels then looks important for their number: take "
            "the mean.": at(kernel, start, growth, lambda piece: np.abs(piece).sum()),
            "this is the root of the mean square. The paper takes the mean size.": (
                at(kernel, start, growth, lambda piece: np.sqrt(np.mean(piece**2)))
            ),
            "this is the largest size in each piece. Take the mean.": (
                at(kernel, start, growth, lambda piece: np.abs(piece).max())
            ),
            "the first source is cut to `growth` channels. The input of the block has `start`.": (
                at(kernel, growth, growth, mean_size)
            ),
            "the input of the block is missing. It is the first source.": right[1:],
            "the last source is missing.": right[:-1],
            "each channel has a number of its own. One number a source: take the mean over all of "
            "its channels.": np.abs(kernel).mean(axis=(0, 1, 3)),
            "the numbers are divided by their sum. Leave them as they are.": right / right.sum(),
            "the sources come in reverse. The input of the block is the first.": right[::-1],
        },
    )
    first = np.random.default_rng(7).normal(size=(1, 1, 5, 8))
    expect(
        np.ravel(numbers(answer(first, 5, 3))),
        [np.abs(first).mean()],
        what="For the first layer of a block, with one source, the result",
    )


NAMES = ("gamma", "beta", "moving_mean", "moving_variance")


def composite(x, weights, steps, epsilon):
    """What the steps make of x; `weights` maps (name, channels) and "1" and "3" to arrays."""
    for step in steps.split():
        if step == "norm":
            gamma, beta, mean, variance = (weights[name, x.shape[-1]] for name in NAMES)
            x = gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
        elif step == "relu":
            x = np.maximum(x, 0)
        elif step == "1":
            x = x @ weights["1"][0, 0]
        else:
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
            x = np.einsum("hwcij,ijco->hwo", windows, weights["3"])
    return x


@exercise(
    section="The block",
    correct="a dense layer with bottleneck, as in DenseNet-121: normalisation and ReLU come before "
    "each convolution, and the input goes through untouched.",
    hints=(
        "Six steps: BatchNormalization, ReLU, Conv2D to 4 * growth (1 x 1), BatchNormalization, "
        "ReLU, Conv2D to growth (3 x 3). Then put the input and the result side by side.",
        "Both convolutions have use_bias=False, and the 3 x 3 one padding='same'.",
        "image = keras.Input(input_shape); ...; keras.Model(image, "
        "keras.layers.Concatenate()([image, x])).",
    ),
)
def dense_layer(answer):

    height, width, c, k = 5, 6, 7, 3
    model = answer((height, width, c), k)
    model = expect_model(model, (height, width, c))
    shape, wanted = tuple(model.output_shape[1:]), (height, width, c + k)
    reasons = {
        (height, width, k): "the input is missing: put it beside the result, Concatenate().",
        (height, width, 5 * k): "the result is put beside what the 1 x 1 convolution made. Put it "
        "beside the input.",
        (height, width, c + 4 * k): "the layer should add `growth` channels, not 4 * growth.",
    }
    if shape != wanted:
        reason = reasons.get(shape, "check the channels of the convolutions and their padding.")
        raise Mistake(f"the output has shape {shape}, it should have {wanted}: {reason}")
    narrow = 4 * k
    one, three, norms = c * narrow, 9 * narrow * k, (4 * c, 4 * narrow)
    expect(
        model.count_params(),
        one + three + sum(norms),
        {
            "the convolutions have biases. Batch normalisation shifts already: use_bias=False.": (
                one + three + sum(norms) + narrow + k
            ),
            "the 1 x 1 convolution and its normalisation are missing.": norms[0] + 9 * c * k,
            "the 1 x 1 convolution makes `growth` channels. The paper's makes 4 * growth.": (
                norms[0] + c * k + 4 * k + 9 * k * k
            ),
            "the normalisation comes after each convolution, as in ResNet. Here it comes before.": (
                one + three + 4 * narrow + 4 * k
            ),
            "the second normalisation is missing.": one + three + norms[0],
            "the first normalisation is missing.": one + three + norms[1],
            "both normalisations are missing.": one + three,
            "both kernels are 3 x 3. The first is 1 x 1.": 9 * one + three + sum(norms),
        },
        "The number of parameters",
    )
    rng = np.random.default_rng(8)
    weights, values = {}, []
    for weight in model.weights:
        value = rng.normal(size=weight.shape).astype("float32")
        if weight.name == "moving_variance":
            value = np.abs(value) + 1
        key = str(weight.shape[0]) if weight.name == "kernel" else (weight.name, weight.shape[0])
        weights[key] = value.astype("float64")
        values.append(value)
    model.set_weights(values)
    x = rng.normal(size=(height, width, c)).astype("float32")
    got = response(model, x)
    x = x.astype("float64")

    def beside(steps, first=None):
        new = composite(x, weights, steps, 1e-3)
        return np.concatenate([x if first is None else composite(x, weights, first, 1e-3), new], -1)

    right = beside("norm relu 1 norm relu 3")
    expect(
        got,
        right,
        {
            "the new channels are put in front of the input. They come behind it.": (
                np.concatenate([right[..., c:], right[..., :c]], axis=-1)
            ),
            "both ReLUs are missing.": beside("norm 1 norm 3"),
            "the first ReLU is missing: there is one before each convolution.": (
                beside("norm 1 norm relu 3")
            ),
            "the second ReLU is missing: there is one before each convolution.": (
                beside("norm relu 1 norm 3")
            ),
            "the ReLUs come before the normalisations. The order is normalisation, ReLU, "
            "convolution.": beside("relu norm 1 relu norm 3"),
            "there is a ReLU behind the last convolution. The new channels are left as they are.": (
                beside("norm relu 1 norm relu 3 relu")
            ),
            "the normalised input is passed on. The input itself goes through untouched.": (
                beside("norm relu 1 norm relu 3", "norm relu")
            ),
        },
        "With random weights the output",
        tolerance=5e-3,  # epsilon is free, and a GPU rounds convolutions to about three digits
    )
