"""The exercises of assignment 10: the Fire module, and the three steps of Deep Compression.

Facts: Iandola and others 2016, sections 3.2, 4 and 5.1.
"""

import heapq

import numpy as np

from course_lib import ledger
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

exercise = assignment("10_squeezenet")


@exercise(
    section="The Fire module",
    correct="11,920 for fire2, as the paper's table 1 has it.",
    hints=(
        "Three convolutions. Each has (window) x (channels in) x (filters) weights and one bias "
        "for each filter.",
        "The two expand layers read what the squeeze layer puts out, not the module's input.",
    ),
)
def fire_parameters(answer):
    c, s, one, three = 96, 16, 64, 40
    squeeze, small, large = c * s + s, s * one + one, 9 * s * three + three
    right = squeeze + small + large
    expect(
        shaped(answer(c, s, one, three), (), "The result"),
        right,
        {
            "the biases are missing, one for each filter.": right - s - one - three,
            "the squeeze layer's biases are missing.": right - s,
            "the expand layers' biases are missing.": right - one - three,
            "the squeeze layer is missing.": right - squeeze,
            "a 3 x 3 window has nine weights for each pair of channels, not three.": (
                right - 6 * s * three
            ),
            "both expand layers read the module's input. They read the squeezed channels.": (
                squeeze + c * one + one + 9 * c * three + three
            ),
            "the expand layers stand one after the other. They stand side by side: both read the "
            "squeezed channels.": right + 9 * three * (one - s),
            "the squeeze layer has 3 x 3 windows here. Its windows have one pixel.": (
                right + 8 * c * s
            ),
            "both expand layers have 3 x 3 windows here. One of them has 1 x 1.": (
                right + 8 * s * one
            ),
            "both expand layers have 1 x 1 windows here. One of them has 3 x 3.": (
                right - 8 * s * three
            ),
            "expand1x1 and expand3x3 are exchanged.": right + 8 * s * (one - three),
        },
    )
    shapes = {"fire2": (96, 16, 64, 64), "fire9": (512, 64, 256, 256)}
    printed = {
        row["layer"]: row["parameters"] for row in ledger.load("squeezenet").table("table 1")
    }
    for name, sizes in shapes.items():
        expect(answer(*sizes), printed[name], {}, f"For {name} of the paper the result")


@exercise(
    section="The network",
    correct="five numbers describe all eight modules. With the paper's, module 7 is fire9: "
    "64, 256, 256.",
    hints=(
        "First the number of expand filters of module i: it grows by incr_e after every freq "
        "modules. i // freq says how often it has grown.",
        "The share pct3x3 of the expand filters is 3 x 3, the rest 1 x 1. The squeeze layer has "
        "squeeze_ratio filters for each expand filter, of both kinds.",
    ),
)
def module_sizes(answer):
    cases = [(5, 64, 32, 2, 0.75, 0.25), (3, 80, 40, 3, 0.25, 0.5)]
    names = ("squeeze", "expand1x1", "expand3x3")
    got = []
    for case in cases:
        values = parts(answer(*case), names)
        got.append([float(shaped(v, (), n)) for v, n in zip(values, names, strict=True)])

    def of(grown=lambda i, freq: i // freq, base=1, order=(0, 1, 2), squeezed=None, share=None):
        made = []
        for i, base_e, incr_e, freq, pct, ratio in cases:
            expand = base * base_e + incr_e * grown(i, freq)
            three = pct * expand
            squeeze = ratio * (squeezed(expand, three) if squeezed else expand)
            row = (squeeze, *(share(expand, three) if share else (expand - three, three)))
            made.append([row[place] for place in order])
        return np.array(made)

    recognise(
        np.array(got),
        {
            "expand1x1 and expand3x3 are exchanged: pct3x3 is the share of 3 x 3.": (
                of(order=(0, 2, 1))
            ),
            "the squeeze layer stands first: squeeze, expand1x1, expand3x3.": of(order=(1, 2, 0)),
            "the expand filters do not grow. They do, by incr_e after every freq modules.": (
                of(grown=lambda i, freq: 0)
            ),
            "the expand filters grow with every module. They grow after every freq modules.": (
                of(grown=lambda i, freq: i)
            ),
            "i is divided by freq with a remainder. Modules 0 to freq - 1 are alike: use i // "
            "freq.": of(grown=lambda i, freq: i / freq),
            "the modules are counted from 1. Module 0 has base_e expand filters.": (
                of(grown=lambda i, freq: (i - 1) // freq)
            ),
            "base_e is missing: it is what the first modules have.": of(base=0),
            "the squeeze ratio refers to all expand filters, not to the 3 x 3 ones alone.": (
                of(squeezed=lambda expand, three: three)
            ),
            "the squeeze ratio refers to all expand filters, not to the 1 x 1 ones alone.": (
                of(squeezed=lambda expand, three: expand - three)
            ),
            "expand1x1 is the number of all expand filters. The 3 x 3 ones are a part of them.": (
                of(share=lambda expand, three: (expand, three))
            ),
            "half of the expand filters are 3 x 3 here. The share is pct3x3.": (
                of(share=lambda expand, three: (expand / 2, expand / 2))
            ),
        },
        1e-9,
    )
    for case, one, right in zip(cases, got, of(), strict=True):
        expect(np.array(one), right, {}, f"For module_sizes{case} the triple")
    paper = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    for i, (squeeze, half) in enumerate(paper):
        values = answer(i, 128, 128, 2, 0.5, 0.125)
        expect(values, [squeeze, half, half], {}, f"For fire{i + 2} of the paper the triple")


def unit(x, kernel, bias, activate=True):
    """A 1 x 1 or 3 x 3 convolution with zeros around the picture, and a ReLU."""
    reach = kernel.shape[0] // 2
    height, width = x.shape[:2]
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    total = bias + np.zeros((height, width, kernel.shape[3]))
    for i, j in np.ndindex(kernel.shape[:2]):
        total += padded[i : i + height, j : j + width] @ kernel[i, j]
    return np.maximum(total, 0) if activate else total


@exercise(
    section="The Fire module",
    correct="this is figure 1 of the paper. Eight of these make SqueezeNet.",
    hints=(
        "Three convolutions, each with activation='relu'. The second and the third both read the "
        "output of the first.",
        "keras.layers.Conv2D(filters, 3, padding='same', activation='relu'), and "
        "keras.layers.Concatenate() of the list [1 x 1 half, 3 x 3 half].",
        "Begin with image = keras.Input(input_shape), end with keras.Model(image, x).",
    ),
)
def fire(answer):
    import keras  # only this exercise needs it

    shape, sizes = (5, 6, 7), (2, 4, 3)
    model = answer(shape, *sizes)
    model = expect_model(model, shape)
    got = tuple(model.outputs[0].shape[1:])
    if got == (5, 6, 4) or got == (5, 6, 3):
        raise Mistake("the output has one half of the channels. Join both halves.")
    if got != (5, 6, 7):
        raise Mistake(f"the output of {shape} has shape {got}; it should have {(5, 6, 7)}.")
    kernels = sorted(tuple(w.shape) for w in model.trainable_weights if len(w.shape) == 4)
    shown = ", ".join(map(str, kernels)) or "none"
    if kernels == [(1, 1, 7, 2), (1, 1, 7, 4), (3, 3, 7, 3)]:
        raise Mistake("the expand layers read the module's input. They read the squeezed channels.")
    if kernels == [(1, 1, 2, 4), (3, 3, 2, 3), (3, 3, 7, 2)]:
        raise Mistake("the squeeze layer has a 3 x 3 window. It has 1 x 1: the narrow door.")
    if kernels != [(1, 1, 2, 4), (1, 1, 7, 2), (3, 3, 2, 3)]:
        raise Mistake(
            "the kernels should be (1, 1, 7, 2), (1, 1, 2, 4) and (3, 3, 2, 3): 7 channels in, "
            f"2 squeezed, 4 and 3 out. Kernels of this model: {shown}."
        )
    expect(
        model.count_params(),
        sum(map(np.prod, kernels)) + 9,
        {"there are no biases. Every convolution of this paper has them.": 76},
        "The number of parameters",
    )
    rng = np.random.default_rng(10)
    values, biases = {}, {}
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D):
            kernel = rng.normal(size=layer.kernel.shape).astype("float32")
            bias = rng.normal(size=layer.bias.shape).astype("float32")
            layer.set_weights([kernel, bias])
            place = {(7, 2): "squeeze", (2, 4): "one", (2, 3): "three"}[kernel.shape[2:]]
            values[place], biases[place] = kernel, bias
    x = rng.normal(size=shape).astype("float32")
    got = response(model, x)

    def made(first=True, second=True, turned=False):
        squeezed = unit(x, values["squeeze"], biases["squeeze"], first)
        halves = [unit(squeezed, values[k], biases[k], second) for k in ("one", "three")]
        return np.concatenate(halves[::-1] if turned else halves, axis=-1)

    expect(
        got,
        made(),
        {
            "there is no ReLU. One follows each of the three convolutions.": made(False, False),
            "the ReLU after the squeeze layer is missing.": made(first=False),
            "the ReLU after the expand layers is missing.": made(second=False),
            "the 3 x 3 half comes first. The 1 x 1 half does.": made(turned=True),
        },
        "With random weights the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )


@exercise(
    section="Step 1: prune",
    correct="the mask keeps the weights that are far from zero, of either sign.",
    hints=(
        "round(keep * weights.size) ones, where the magnitudes np.abs(weights) are largest.",
        "Sort the magnitudes of the whole array. The smallest magnitude that stays is the "
        "threshold; compare all magnitudes with it.",
    ),
)
def mask(answer):
    rng = np.random.default_rng(4)
    size = np.linspace(0.03, 2.9, 40)
    sign = np.where(np.arange(40) % 3, 1, -1)
    weights = rng.permutation(size * sign).reshape(5, 8)
    ranks = np.argsort(np.argsort(np.abs(weights), axis=None)).reshape(5, 8)

    def by(values, count, axis=None):
        order = np.argsort(np.argsort(values, axis=axis), axis=axis).reshape(5, 8)
        return (order >= (8 if axis == 1 else 40) - count).astype(float)

    given = answer(weights, 0.25)
    expect(
        shaped(given, (5, 8), "The mask"),
        (ranks >= 30).astype(int),
        {
            "the weights near zero are kept. They are the ones that go.": (ranks < 10) * 1.0,
            "keep is taken as the share that goes. It is the share that stays.": (
                (ranks >= 10) * 1.0
            ),
            "the mask is turned around: 1 where a weight stays, 0 where it goes.": (
                (ranks < 30) * 1.0
            ),
            "large negative weights are pruned. Compare magnitudes, np.abs(weights).": (
                by(weights, 10)
            ),
            "every row keeps the same number. Rank the weights of the whole array.": (
                by(np.abs(weights), 2, axis=1)
            ),
            "keep is used as the threshold. It is a share: rank the magnitudes.": (
                (np.abs(weights) > 0.25) * 1.0
            ),
            "these are the pruned weights. Return the mask of ones and zeros.": (
                weights * (ranks >= 30)
            ),
            "one weight too few is kept.": (ranks >= 31) * 1.0,
            "one weight too many is kept.": (ranks >= 29) * 1.0,
        },
    )
    cut = (np.abs(weights) >= np.quantile(np.abs(weights), 1 - 0.36)).astype(int)
    for share, count, mistakes in (
        (1.0, 40, {}),
        (0.33, 13, {}),
        (
            0.34,
            14,
            {
                "13 of 40 weights stay for keep = 0.34, where 13.6 are asked for: int() cuts off. "
                "Use round().": (ranks >= 27).astype(int)
            },
        ),
        (
            0.36,
            14,
            {
                "15 of 40 weights stay for keep = 0.36, where 14.4 are asked for. np.quantile "
                "takes a threshold between two magnitudes: count them instead.": cut
            },
        ),
    ):
        right = (ranks >= 40 - count).astype(int)
        expect(answer(weights, share), right, mistakes, f"The mask for keep = {share}")


@exercise(
    section="Step 2: share",
    correct="this step, repeated until nothing changes, is k-means.",
    hints=(
        "For each weight find the centre at the smallest distance. np.abs(weights[:, None] - "
        "centres) is a table of all distances.",
        "A new centre is the mean of its weights. A centre without weights stays where it is.",
    ),
)
def new_centres(answer):
    weights = np.array([-0.9, -0.7, -0.65, 0.1, 0.15, 0.5, 0.9, 1.3, -0.2, 0.62])
    centres = np.array([0.3, -0.6, 0.55, 9.0])
    nearest = np.argmin(np.abs(weights[:, None] - centres), axis=1)
    groups = [weights[nearest == k] for k in range(4)]

    def of(function, empty=9.0):
        return np.array([*(function(group) for group in groups[:3]), empty])

    right = of(np.mean)
    settled = right
    for _ in range(20):
        near = np.argmin(np.abs(weights[:, None] - settled), axis=1)
        settled = np.array(
            [weights[near == k].mean() if np.any(near == k) else settled[k] for k in range(4)]
        )
    expect(
        answer(weights, centres),
        right,
        {
            "the steps are repeated until nothing moves. Return the centres after one step.": (
                settled
            ),
            "the centres are sorted. Return them in the order in which they came.": np.sort(right),
            "a centre without weights has become 0. It stays where it is.": of(np.mean, 0.0),
            "a centre without weights has disappeared. It stays where it is.": right[:3],
            "these are medians. A centre moves to the mean of its weights.": of(np.median),
            "these are sums. A centre moves to the mean of its weights.": of(np.sum),
            "a centre has moved to the weight that is nearest to it. It moves to the mean of all "
            "its weights.": of(lambda g: g[np.argmin(np.abs(g - g.mean()))]) * 0
            + np.array([weights[np.argmin(np.abs(weights - c))] for c in centres]),
            "the centres have not moved.": centres,
            "these are the numbers of the centres, one for each weight. Return new centres.": (
                nearest
            ),
            "these are the weights with their old centres in their place. Return new centres.": (
                centres[nearest]
            ),
            "these are the weights with their new centres in their place. Return the centres "
            "alone.": right[nearest],
            "old centre and mean are averaged. The centre moves to the mean.": (
                (right + centres) / 2
            ),
            "every centre has moved to the mean of all weights. It has weights of its own: those "
            "that no other centre is nearer to.": np.full(4, weights.mean()),
        },
        "The array of centres",
    )
    again = np.array([-0.5, 0.0, 0.9])
    expect(
        answer(weights[:7], again),
        [np.mean(weights[:3]), np.mean(weights[3:5]), (0.5 + 0.9) / 2],
        {},
        "With three centres the array",
    )


def merged(counts, largest=False, heap=True):
    """Return the sums that Huffman's algorithm makes on its way, in their order."""
    ordered = heap
    heap, sums = [-n if largest else n for n in counts], []
    if ordered:
        heapq.heapify(heap)
    while len(heap) > 1:
        sums.append(heapq.heappop(heap) + heapq.heappop(heap))
        heapq.heappush(heap, sums[-1])
    return [-n for n in sums] if largest else sums


@exercise(
    section="Step 3: code",
    correct="each time two groups are joined, all their symbols get one bit longer: the sum of "
    "the sums is the length.",
    hints=(
        "Take the two smallest counts out of the list and put their sum in. Repeat until one "
        "number is left.",
        "Whenever two are joined, every symbol inside them gets one more bit. So add the sum of "
        "the two to the total each time.",
    ),
)
def huffman_bits(answer):
    counts = [50, 20, 10, 8, 5, 4, 2, 1]
    equal = [9, 8, 8, 7, 7, 7]
    of, n = sum(merged(counts)), sum(counts)
    share = np.array(counts) / n
    entropy = float(-(share * np.log2(share)).sum() * n)
    given = shaped(answer(counts), (), "The result")
    expect(
        given,
        of,
        {
            "this is the entropy, which no code can beat. Huffman's words are whole bits.": entropy,
            "this is the entropy, rounded up. Huffman's words are whole bits each.": (
                np.ceil(entropy)
            ),
            "all words have the same length here. Frequent symbols get shorter ones.": 3 * n,
            "this is the mean length of a word. Return the bits of the whole message.": of / n,
            "the last sum is missing: joining the last two costs a bit for every symbol.": of - n,
            "this is the number of symbols: only the last sum was kept. Add up all of them.": n,
            "a sum is joined with the next count at once. Put it back first: others may be "
            "smaller.": sum(np.cumsum(sorted(counts))[1:]),
            "the two largest are joined. Join the two smallest.": sum(merged(counts, True)),
            "heappop takes out the smallest of a heap only, and a list is none until heapq.heapify "
            "has put it in order.": sum(merged(counts, heap=False)),
            "these are bytes. Return bits.": of / 8,
            "32 bits are counted for each symbol, as without a code.": 32 * n,
        },
    )
    expect(answer(equal), sum(merged(equal)), {}, f"For the counts {equal} the result")
    expect(answer([3, 1]), 4, {}, "For the counts [3, 1] the result")
