"""The exercises of assignment 10: module, network, training, pruning, a patient, Huffman's code.

Facts: Iandola and others 2016, sections 3.2, 4 and 6, figure 2, table 1; counts from the ledger.
"""

import functools
import heapq
from functools import partial

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    networks,
    parts,
    response,
    shaped,
    varied,
)

exercise = assignment("10_squeezenet")

# ---- build: the module --------------------------------------------------------------------------

SIZES = (2, 4, 3)  # squeeze, expand1x1, expand3x3 of the module that is asked for


def unit(x, kernel, bias, activate=True):
    """A 1 x 1 or 3 x 3 convolution with zeros around the picture, and a ReLU."""
    reach = kernel.shape[0] // 2
    height, width = x.shape[:2]
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    total = bias + np.zeros((height, width, kernel.shape[3]))
    for i, j in np.ndindex(kernel.shape[:2]):
        total += padded[i : i + height, j : j + width] @ kernel[i, j]
    return np.maximum(total, 0) if activate else total


def with_its_parts(answer, channels, bypass):
    """Return (model, {part: (kernel, bias)}) of a module, or raise `Mistake` where it has others.

    The parts are "squeeze", "one", "three" and, where the channels differ, "bypass".
    """
    import keras  # only the exercises that build need it

    shape = (5, 6, channels)
    model = expect_model(answer(shape, *SIZES, bypass), shape)
    call = f"fire({shape}, 2, 4, 3, {bypass})"
    got = tuple(model.outputs[0].shape[1:])
    if got in ((5, 6, 4), (5, 6, 3)):
        raise Mistake("the output has one half of the channels. Join both halves.")
    if bypass and got == (5, 6, 7 + channels):
        raise Mistake("the input is concatenated. A bypass adds it.")
    if got != (5, 6, 7):
        raise Mistake(f"the output of {call} has shape {got}; it should have {(5, 6, 7)}.")
    own = {(1, 1, channels, 2): "squeeze", (1, 1, 2, 4): "one", (3, 3, 2, 3): "three"}
    across = (1, 1, channels, 7)
    if bypass and channels != 7:
        own[across] = "bypass"
    kernels = sorted(tuple(w.shape) for w in model.trainable_weights if len(w.shape) == 4)
    for others, message in (
        (
            {(1, 1, channels, 2), (1, 1, channels, 4), (3, 3, channels, 3)},
            "the expand layers read the module's input. They read the squeezed channels.",
        ),
        (
            {(1, 1, channels, 2), (1, 1, 2, 4), (3, 3, 4, 3)},
            "the 3 x 3 layer reads the 1 x 1 half. They stand side by side: both read the squeezed "
            "channels.",
        ),
        (
            {(3, 3, channels, 2), (1, 1, 2, 4), (3, 3, 2, 3)},
            "the squeeze layer has a 3 x 3 window. It has 1 x 1: the narrow door.",
        ),
        (
            {*own, across} if bypass and channels == 7 else {},
            "the bypass has a convolution where the input has as many channels as the output. "
            "There it is added as it is, for nothing.",
        ),
        (
            {*own} - {across} if bypass and channels != 7 else {},
            f"there is no bypass in {call}. Where the channels differ it goes through a 1 x 1 "
            "convolution to as many as come out.",
        ),
    ):
        if others and kernels == sorted(others):
            raise Mistake(message)
    if kernels != sorted(own):
        raise Mistake(
            f"the kernels of {call} should be {', '.join(map(str, own))}. Kernels of this model: "
            f"{', '.join(map(str, kernels)) or 'none'}."
        )
    weights = sum(map(np.prod, kernels))
    expect(
        model.count_params(),
        weights + sum(k[-1] for k in kernels),
        {
            "there are no biases. Every convolution of this paper has them.": weights,
            "the convolution of the bypass has no bias.": weights + 9
            if "bypass" in own.values()
            else -1,
        },
        f"The number of parameters of {call}",
    )
    rng = np.random.default_rng(10)
    values = {}
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D) and layer.bias is not None:
            pair = [rng.normal(size=w.shape).astype("float32") for w in (layer.kernel, layer.bias)]
            layer.set_weights(pair)
            values[own.get(pair[0].shape)] = pair
    if len(values) != len(own) or None in values:
        raise Mistake("build it of keras.layers.Conv2D, each with its kernel and its bias.")
    return model, values


def made(values, x, first=True, second=True, turned=False, added=None, last=False):
    """Return what a module makes of a picture: ReLUs, order of the halves, kind of bypass."""
    squeezed = unit(x, *values["squeeze"], first)
    halves = [unit(squeezed, *values[k], second) for k in ("one", "three")]
    y = np.concatenate(halves[::-1] if turned else halves, axis=-1)
    if added == "as it is":
        y = y + x
    elif added:
        y = y + unit(x, *values["bypass"], added == "with a ReLU")
    return np.maximum(y, 0) if last else y


@exercise(
    section="The Fire module",
    correct="the module of figure 1, with both bypasses of figure 2. Eight make SqueezeNet.",
    hints=(
        "Three convolutions, each with activation='relu'. The second and the third both read the "
        "output of the first. keras.layers.Concatenate() takes the list [1 x 1 half, 3 x 3 half].",
        "With bypass: if input_shape[-1] is expand1x1 + expand3x3, add image. If not, add "
        "keras.layers.Conv2D(expand1x1 + expand3x3, 1)(image). keras.layers.Add() takes a list.",
    ),
)
def fire(answer):
    rng = np.random.default_rng(11)
    for channels, bypass in ((7, False), (7, True), (5, True)):
        model, values = with_its_parts(answer, channels, bypass)
        x = rng.normal(size=(5, 6, channels)).astype("float32")
        form = partial(made, values, x)
        if not bypass:
            right = form()
            mistakes = {
                "there is no ReLU. One follows each of the three convolutions.": form(False, False),
                "the ReLU after the squeeze layer is missing.": form(first=False),
                "the ReLU after the expand layers is missing.": form(second=False),
                "the 3 x 3 half comes first. The 1 x 1 half does.": form(turned=True),
                "the input is added although bypass is False.": form(added="as it is"),
            }
        elif channels == 7:
            right = form(added="as it is")
            mistakes = {
                "bypass is True, and nothing is added.": form(),
                "a ReLU follows the addition. Nothing does here.": (
                    form(added="as it is", last=True)
                ),
            }
        else:
            right = form(added="linear")
            mistakes = {
                "the convolution of the bypass has a ReLU. It has none: it only makes the channels "
                "fit.": form(added="with a ReLU"),
            }
        expect(
            response(model, x),
            right,
            mistakes,
            f"With random weights, {channels} channels and bypass={bypass} the output",
            tolerance=5e-3,  # a GPU rounds convolutions to about three digits
        )


# ---- build: the network -------------------------------------------------------------------------

INPUT = (28, 28, 1)
STEM = varied(
    "10_squeezenet",
    ("| conv1 | 3 x 3 to {0} channels", "Conv2D({0}, 3, activation"),
    *(32, 20, 24, 28, 36, 40),
)


def course_network(**changes):
    from course_lib.squeezenet import SMALL, SqueezeNet

    return SqueezeNet(**{**SMALL, "stem": (STEM, 3, 1), **changes})


def other_network(slip):
    """`squeezenet_small` with a mistake."""
    import keras
    from keras import layers

    from course_lib.layers import max_pool
    from course_lib.squeezenet import Fire

    image = keras.Input(INPUT)
    padding = "same" if slip == "padded" else "valid"
    x = layers.Conv2D(STEM, 3, padding=padding, activation="relu")(image)
    for i in range(8):
        if i in (0, 2, 4):
            x = layers.MaxPooling2D(3, 2)(x) if slip == "pools" else max_pool(x, f"pool{i}")
        expand = 32 * (1 + i // 2)
        x = Fire(expand // 8, expand // 2, expand // 2)(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(10, 1, activation=None if slip == "linear" else "relu")(x)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


PLAIN = {
    "the poolings stand after fire4 and fire8, as in the paper. Here they stand after fire3 and "
    "fire5, as in the authors' later version.": partial(course_network, version="1.0"),
    "the ReLU after conv10 is missing. This network has one, as the authors' files.": (
        partial(other_network, "linear")
    ),
    "conv1 is padded. It is not: 28 pixels become 26.": partial(other_network, "padded"),
    "a pooling loses the last row. Use `max_pool`, which halves 26, 13 and 6 pixels to 13, 6 and "
    "3.": partial(other_network, "pools"),
    "network(False) has bypasses. Give bypass on to `fire`.": (
        partial(course_network, bypass="simple")
    ),
}
ALL_BYPASSED = partial(course_network, bypass="complex")
BYPASSED = {
    "network(True) has no bypass. Give bypass on to `fire`.": course_network,
    "in network(True) only modules with equal channels have a bypass. The others need theirs "
    "too.": partial(course_network, bypass="simple"),
}


@exercise(
    section="The network",
    correct="from the same weights the same logits as the course's network.",
    hints=(
        "A loop over i = 0 to 7: expand = 32 * (1 + i // 2), and x = fire(x.shape[1:], "
        "expand // 8, expand // 2, expand // 2, bypass)(x).",
        "Pool after conv1 and after the modules i = 1 and 3. At the end Dropout(0.5), "
        "Conv2D(10, 1, activation='relu') and GlobalAveragePooling2D().",
    ),
)
def network(answer):
    plain = networks.expect_network(answer(False), INPUT, course_network, PLAIN)
    bypassed = networks.expect_network(answer(True), INPUT, ALL_BYPASSED, BYPASSED)
    return f"Without bypass: {plain} With every bypass: {bypassed}"


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED, WEIGHTS = 2_000, 0.60, 12_000


def check_of_modules(model):
    """Raise `Mistake` unless a network is small and made of Fire modules."""
    kernels = networks.expect_small(model, WEIGHTS)
    large = [k for k in kernels if k[0] > 1]
    behind = large[1:] if large and large[0][2] == 1 else large
    doors = [k[3] for k in kernels if k[0] == 1 and k[3] < k[2]]
    for k in behind:
        if k[2] not in doors:
            raise Mistake(
                f"a layer of {' x '.join(map(str, k))} reads {k[2]} channels that no squeeze layer "
                "made. Behind the first convolution stand your modules."
            )
    if len(behind) < 3:
        raise Mistake(f"there are {len(behind)} Fire modules in it; three or more are asked for.")


@exercise(
    section="A slow start",
    correct="a network of 48 kB or less, and most of it looks through narrow doors.",
    hints=(
        "A first convolution to 16 channels at stride 2, modules (8, 16, 16), (12, 24, 24) and "
        "(16, 32, 32) with poolings between them, the mean of the maps, Dense(10): 11,550 "
        "parameters.",
        "Adam at 0.003, batches of 32, four passes. If nothing moves at first: a shorter network, "
        "no ReLU at the end, and keras.initializers.HeNormal() help, as section 5 says.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    check_of_modules(model)
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), or Adam at 0.003. A ReLU or dropout at the end makes "
        "the start slow.",
    )


# ---- predict, then measure ----------------------------------------------------------------------

WIDTHS = (196, 64, 32, 10)
KEPT = 0.05


def small_pictures():
    """Return (training pictures, labels, new pictures, labels), 14 x 14 pixels in a row."""
    splits = networks.pictures(2_000)

    def rows(images):
        small = images.reshape(len(images), 14, 2, 14, 2).mean(axis=(2, 4))
        return small.reshape(len(images), -1).astype("float32")

    (x, labels), (new, new_labels) = splits.train, splits.validation
    return rows(x), labels, rows(new), new_labels


def passed_through(weights, x):
    """Return the outputs of all layers but the last, the input first, and the logits."""
    outputs = [x]
    for w in weights[:-1]:
        outputs.append(np.maximum(outputs[-1] @ w, 0))
    return outputs, outputs[-1] @ weights[-1]


def slopes_on(batches):
    """Return slopes(weights), each time on the next batch of the training pictures."""
    x, labels, _, _ = small_pictures()

    def slopes(weights):
        chosen = next(batches)
        outputs, logits = passed_through(weights, x[chosen])
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        d = p / p.sum(axis=1, keepdims=True)
        d[np.arange(len(chosen)), labels[chosen]] -= 1
        d, found = d / len(chosen), []
        for w, out in zip(weights[::-1], outputs[::-1], strict=True):
            found.insert(0, out.T @ d)
            d = (d @ w.T) * (out > 0)
        return found

    return slopes


def batches(seed, size=64, pictures=2_000):
    rng = np.random.default_rng(seed)
    while True:
        yield rng.integers(0, pictures, size)


def error_of(weights):
    """Return the error on new pictures in %."""
    _, _, new, labels = small_pictures()
    return float(100 * np.mean(passed_through(weights, new)[1].argmax(axis=1) != labels))


def trained_on(weights, masks, slopes, steps, rate, hold="after each step", momentum=0.9):
    """Train with momentum; `hold` says when the masks are applied. This is the right answer."""
    first = masks if hold != "not before" else [np.ones_like(m) for m in masks]
    weights = [w * m for w, m in zip(weights, first, strict=True)]
    speeds = [np.zeros_like(w) for w in weights]
    for step in range(1, steps + 1):
        for w, speed, mask, slope in zip(weights, speeds, masks, slopes(weights), strict=True):
            speed *= momentum
            speed -= rate * slope
            w += speed
            if hold in ("after each step", "not before") or hold == "at the end" and step == steps:
                w *= mask
    return weights


@functools.cache
def dense(seed=0):
    """Return the weights of a trained fully connected network of three layers."""
    rng = np.random.default_rng(seed)
    pairs = zip(WIDTHS, WIDTHS[1:], strict=False)
    start = [rng.normal(0, np.sqrt(2 / n), (n, m)).astype("float32") for n, m in pairs]
    ones = [np.ones_like(w) for w in start]
    return trained_on(start, ones, slopes_on(batches(seed)), 500, 0.05)


def masks_of(weights, keep, where="each layer"):
    """Return masks that keep this share of the weights, the largest."""
    sizes = [np.abs(w) for w in weights]
    if where == "whole network":
        row = np.sort(np.concatenate([size.ravel() for size in sizes]))
        cuts = [row[-round(keep * row.size)]] * len(sizes)
    else:
        cuts = [np.sort(size, axis=None)[-round(keep * size.size)] for size in sizes]
    return [(size >= cut).astype("float32") for size, cut in zip(sizes, cuts, strict=True)]


@functools.cache
def error_after(where, steps):
    masks = masks_of(dense(), KEPT, where)
    return error_of(trained_on(dense(), masks, slopes_on(batches(9)), steps, 0.02))


def pruned_error(where, steps):
    """Return the error of the network that keeps a twentieth of its weights, after training on."""
    if where not in ("each layer", "whole network"):
        raise Mistake(f"where is {str(where)[:40]!r}; allowed: 'each layer' and 'whole network'.")
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 0 <= steps <= 400:
        raise Mistake(f"steps is {str(steps)[:40]}; allowed: a whole number from 0 to 400.")
    return error_after(where, int(steps))


CHOICES = ("only where it is cut", "only training on", "both", "neither")


@exercise(
    section="Step 1: prune",
    correct="where every layer keeps the same share, the small layers at the end lose as much as "
    "the large first one, and can spare less. Table 1 of the paper gives the layers shares of "
    "their own.",
    hints=(
        "predict('...') first, with one of the four choices. Then measure both places with 0 and "
        "with 200 steps: four numbers.",
        "Where it is cut: compare the two places at equal steps. Training on: compare 0 and 200 "
        "steps at the same place. Less than five points is nothing.",
    ),
)
def what_saves_it(answer):
    measured, concluded = networks.experiment(answer, CHOICES, pruned_error)
    by_place, by_steps = [], []
    for (where, steps), error in measured.items():
        for (place, others), other in measured.items():
            if (where, place) == ("each layer", "whole network") and steps == others:
                by_place.append(error - other)
            if where == place and others >= steps + 100:
                by_steps.append(error - other)
    for name, found, example in (
        ("where it is cut", by_place, "measure('each layer', 0) and measure('whole network', 0)"),
        (
            "training on",
            by_steps,
            "measure('whole network', 0) and measure('whole network', 200); it takes 100 steps",
        ),
    ):
        if not found:
            raise Mistake(f"you cannot tell what {name} does: compare {example}.")
    place, steps = (max(found, key=abs) for found in (by_place, by_steps))
    right = CHOICES[
        {(True, False): 0, (False, True): 1, (True, True): 2}.get((place > 5, steps > 5), 3)
    ]
    if concluded != right:
        raise Mistake(
            f"one cut for the whole network saves up to {place:.0f} points, training on up to "
            f"{steps:.0f}; less than five is nothing. {concluded!r} does not fit."
        )
    return networks.tell(answer.name, measured, concluded)


# ---- the patient --------------------------------------------------------------------------------

GROWN = "nothing holds the zeros"
CAUSES = {
    "pruned too much": "then the error would stay high after the training. It is as low as before.",
    "learning rate too high": "then the error would not have come down.",
    "trained on too briefly": "no further step brings a zero back; each moves the pruned weights "
    "on.",
    "file written wrongly": "the weights themselves are not zero, before there is any file.",
}


def weights_from(answer, weights, *others):
    """Return the list of weights that an answer gives, if it names the cause."""
    result = networks.diagnosed(answer(weights, *others), GROWN, CAUSES, "the list of weights")
    names = [f"weights[{i}]" for i in range(len(weights))]
    found = zip(parts(result, names), weights, names, strict=True)
    return [shaped(new, old.shape, name) for new, old, name in found]


@exercise(
    section="Step 1: prune",
    correct="a slope does not know that a weight was pruned. The mask has to act after every step; "
    "applied at the end alone it cuts off what the other weights have learned to rely on.",
    hints=(
        "What does `w += speed` do to a weight that is zero? Its slope is not.",
        "One more line in the inner loop, which runs over the masks too: `w *= mask` after "
        "`w += speed`. (`w = w * mask` makes a new array and leaves the list as it was.)",
    ),
)
def mended(answer):
    rng = np.random.default_rng(3)
    shapes, steps, rate = [(4, 3), (3, 2)], 6, 0.1
    weights = [rng.normal(size=shape) for shape in shapes]
    goals = [rng.normal(size=shape) for shape in shapes]
    masks = masks_of(weights, 0.5)
    seen = []

    def slopes(given):
        if not isinstance(given, (list, tuple)) or [np.shape(w) for w in given] != shapes:
            raise ValueError("slopes takes the list of all weights, in their shapes")
        seen.append([np.array(w, "float64") for w in given])
        pull = 0.2 * sum(w.sum() for w in seen[-1])  # each slope depends on all weights
        return [w - goal + pull for w, goal in zip(seen[-1], goals, strict=True)]

    got = weights_from(answer, weights, masks, slopes, steps, rate)
    calls = list(seen)
    if not calls:
        raise Mistake("`slopes` is never called. It says how the loss changes with each weight.")
    if len(calls) != steps:
        raise Mistake(f"`slopes` is called {len(calls)} times; there are {steps} steps.")
    pruned = [m == 0 for m in masks]

    def flat(arrays):
        return np.concatenate([np.ravel(a) for a in arrays])

    def with_(**changes):
        return flat(trained_on(weights, masks, slopes, steps, rate, **changes))

    found, gone = flat(got), flat(pruned)
    if not np.all(np.isfinite(found)):
        raise Mistake("the weights are nan or infinite.")
    start = flat(w * m for w, m in zip(weights, masks, strict=True))
    others = {
        "the zeros are still not held: these are the friend's weights. `w = w * mask` makes a new "
        "array; `w *= mask` changes the one in the list.": with_(hold="never"),
        "the weights are not pruned before the first step. The friend's first line does it.": (
            with_(hold="not before")
        ),
        "the weights have not moved. `w = w + speed` makes a new array; `w += speed` changes the "
        "one in the list.": start,
        "the masks are turned round: 1 stays, 0 goes.": flat(
            trained_on(weights, [1 - m for m in masks], slopes, steps, rate)
        ),
        "the momentum is gone. Keep the friend's recipe, and hold the zeros.": with_(momentum=0),
    }
    for message, wrong in others.items():
        if np.allclose(found, wrong, rtol=1e-4, atol=1e-6):
            raise Mistake(message)
    if np.any(found[gone] != 0):
        raise Mistake(
            f"{np.count_nonzero(found[gone])} of {gone.sum()} pruned weights are not zero at the "
            "end. Hold them after each step."
        )
    if any(np.any(flat(call)[gone] != 0) for call in calls):
        raise Mistake(
            "the zeros are there at the end, but not on the way: `slopes` got pruned weights that "
            "were not zero. So the others learn to rely on weights that are then cut off."
        )
    expect(found, with_(), {}, "Right zeros, other weights: the list as one row", 1e-4)
    masks = masks_of(dense(), 0.1)
    before = error_of([w * m for w, m in zip(dense(), masks, strict=True)])
    again = weights_from(answer, dense(), masks, slopes_on(batches(9)), 200, 0.02)
    share = np.mean(flat(again) != 0)
    return (
        f"On the friend's network: error {error_of(dense()):.0f} %, pruned {before:.0f} %, trained "
        f"on by your function {error_of(again):.0f} %, and {share:.0%} of the weights are not zero."
    )


# ---- compute ------------------------------------------------------------------------------------


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
    counts = [41, 23, 11, 9, 6, 4, 3, 2]
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
