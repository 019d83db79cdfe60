"""The exercises of assignment 05: windows put together, a design, the whole network, its start.

Facts: Simonyan and Zisserman 2015, sections 2.1, 2.3 and 3.1, table 1; counts from the ledger's
`vgg_small`.
"""

import functools
from functools import partial

import numpy as np

from course_lib.checks import Mistake, assignment, expect, expect_model, networks, varied

exercise = assignment("05_vgg")


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


# ---- design -------------------------------------------------------------------------------------

FIELD, FEWEST, MAP = 28, 5, 7
LAST, WEIGHTS, WORK = varied(
    "05_vgg",
    (
        "the last one has **{0}** channels",
        "at most **{1:,}** weights",
        "at most **{2:,}** multiply-adds",
        "(3, 16), (3, {0})]",
    ),
    (64, 15_000, 800_000),
    (48, 12_400, 680_000),
    (56, 13_700, 740_000),
    (72, 16_300, 870_000),
    (80, 17_600, 930_000),
)


def layers_of(answered):
    """Return the designed layers, a list of "pool" and (side, channels).

    Raises:
        Mistake: it is something else, with the place.
    """
    form = '(side, channels), such as (3, 8), or "pool"'
    if not isinstance(answered, (list, tuple)) or len(answered) == 0:
        raise Mistake(f"return a list of layers; this is {str(answered)[:60]!r}.")
    found = []
    for number, layer in enumerate(answered, start=1):
        if isinstance(layer, str) and layer == "pool":
            found.append(layer)
            continue
        whole = isinstance(layer, (list, tuple)) and all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in layer
        )
        if not whole or len(layer) != 2:
            raise Mistake(f"layer {number} is {str(layer)[:60]!r}; a layer is {form}.")
        side, channels = map(int, layer)
        if side < 3 or side % 2 == 0:
            swapped = " The side comes first, then the channels." if channels in (3, 5, 7) else ""
            raise Mistake(
                f"layer {number} has a window of {side} pixels; asked for is an odd side of 3 or "
                f"more.{swapped}"
            )
        if channels < 1:
            raise Mistake(f"layer {number} has {channels} channels; it needs 1 or more.")
        found.append((side, channels))
    return found


def counted(layers):
    """Return (receptive field, weights, multiply-adds, side of the last map) of a design.

    The field is unrolled from the last layer to the first: the pixels that one number covers.
    """
    field, weights, work, side, channels = 1, 0, 0, 28, 1
    for layer in layers:
        if layer == "pool":
            side //= 2
            continue
        kernel, out = layer
        weights += kernel**2 * channels * out
        work += kernel**2 * channels * out * side**2
        channels = out
    for layer in reversed(layers):
        field = 2 * field if layer == "pool" else field + layer[0] - 1
    return field, weights, work, side


@exercise(
    section="How far does a stack see?",
    correct="a pooling costs nothing, doubles the reach of every later window, and quarters their "
    "multiply-adds. It cannot be had for ever: it also quarters the places.",
    hints=(
        "A window of 3 x 3 adds 2 pixels to the field before the first pooling, 4 after one, 8 "
        "after two. Two poolings leave 7 x 7 places. So where should the convolutions stand?",
        f"The last convolution has the most weights, {9 * LAST} times the channels that come in: "
        "16 are enough. At 28 x 28 pixels a weight is used 784 times: there 4 or 8 channels.",
    ),
)
def design(answer):
    layers = layers_of(answer())
    convolutions = [layer for layer in layers if layer != "pool"]
    field, weights, work, side = counted(layers)
    if len(convolutions) < FEWEST:
        raise Mistake(
            f"there are {len(convolutions)} convolutions; {FEWEST} are asked for, each with its "
            "ReLU."
        )
    if convolutions[-1][1] != LAST:
        raise Mistake(
            f"the last convolution has {convolutions[-1][1]} channels; asked for are {LAST}."
        )
    if side < MAP:
        raise Mistake(
            f"the last map has {side} x {side} places; {MAP} x {MAP} are asked for. There are too "
            "many poolings."
        )
    if field < FIELD:
        where = (
            "Without a pooling each window of 3 adds only 2 pixels."
            if "pool" not in layers
            else "Windows behind a pooling reach further: move convolutions there, or the pooling "
            "forward."
        )
        raise Mistake(f"it sees {field} pixels across, and {FIELD} are asked for. {where}")
    if weights > WEIGHTS:
        sizes, channels = [], 1
        for kernel, out in convolutions:
            sizes.append((kernel**2 * channels * out, f"({kernel}, {out})", channels))
            channels = out
        most, name, into = max(sizes)
        raise Mistake(
            f"it has {weights:,} weights, and {WEIGHTS:,} are allowed. Most, {most:,}, are in the "
            f"layer {name}, into which {into} channels come."
        )
    if work > WORK:
        raise Mistake(
            f"it does {work:,} multiply-adds, and {WORK:,} are allowed. A weight is used once for "
            "each place of the map: 784 times at 28 x 28, 49 times at 7 x 7."
        )
    return f"It sees {field} pixels, has {weights:,} weights and does {work:,} multiply-adds."


# ---- build --------------------------------------------------------------------------------------

INPUT = (28, 28, 1)
DEPTHS = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2)}
WIDTHS = varied(
    "05_vgg",
    ("have {0}, {1}, {2}, {3} and {4} channels", "zip({all}, blocks)"),
    *((n, 2 * n, 4 * n, 8 * n, 8 * n) for n in (12, 10, 11, 13, 14, 15, 16)),
)


def course_network(depth):
    from course_lib.vgg import SMALL, VGG

    return VGG(**{**SMALL, "depth": depth, "width": WIDTHS[0] / 64})


def other_network(blocks, slip):
    """The small VGG with a mistake."""
    import keras
    from keras import layers

    def pool(x):
        if slip == "mean":
            return layers.AveragePooling2D(2, padding="same")(x)
        if slip == "overlap":
            return layers.MaxPooling2D(3, 2, padding="same")(x)
        return layers.MaxPooling2D(2, padding="same")(x)

    image = x = keras.Input(INPUT)
    widths = (*WIDTHS[:4], 2 * WIDTHS[4] if slip == "double" else WIDTHS[4])
    for number, (channels, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        if slip == "first":
            x = pool(x)
        for layer in range(1, count + 1):
            stride = 2 if slip == "stride" and layer == count else 1
            active = slip != "linear" and (slip != "last" or layer == count)
            x = layers.Conv2D(channels, 3, stride, "same", activation="relu" if active else None)(x)
            if slip == "each":
                x = pool(x)
        if slip not in ("first", "stride", "each") and not (slip == "open" and number == 5):
            x = pool(x)
    mean = slip == "global"
    x = layers.GlobalAveragePooling2D()(x) if mean else layers.Flatten()(x)
    for _ in range(1 if slip == "one" else 2):
        x = layers.Dense(128, activation=None if slip == "bare" else "relu")(x)
    return keras.Model(image, layers.Dense(10, activation="relu" if slip == "cut" else None)(x))


SLIPS = {
    "there is average pooling in it. VGG takes the largest of each window.": "mean",
    "the poolings overlap, 3 pixels at stride 2, as AlexNet's do. VGG's are 2 x 2.": "overlap",
    "the pooling opens a block. It closes it, after the convolutions.": "first",
    "there are strides in the place of the poolings. VGG's convolutions keep the size.": "stride",
    "there is a pooling after each convolution. There is one a block.": "each",
    "the convolutions have no ReLU, so a block is one large window.": "linear",
    "only the last convolution of a block has a ReLU. Each has one.": "last",
    "the two hidden fully connected layers have no ReLU.": "bare",
    "the logits go through a ReLU. A logit may be negative: no activation in the last layer.": (
        "cut"
    ),
    "the last block has no pooling.": "open",
    f"the channels double in the last block too. VGG stops doubling there: {WIDTHS[3]} and "
    f"{WIDTHS[4]}.": "double",
    "there is one hidden fully connected layer. There are two.": "one",
}


@functools.cache
def slips(depth):
    """Return message -> network, for `expect_network`; each network is made once."""
    blocks = DEPTHS[depth]
    found = {text: partial(other_network, blocks, slip) for text, slip in SLIPS.items()}
    if depth == "B":
        found["`blocks` is not used: this is A again. Take one number of it for each block."] = (
            partial(other_network, DEPTHS["A"], "")
        )
    return found


def check_start(kernels):
    """Raise `Mistake` unless large kernels start as He's rule asks; `kernels` is {shape: spread}.

    A spread found from N weights is off by a share of 1 / sqrt(2 N), here below 1 %.
    """
    for shape, spread in kernels.items():
        count = int(np.prod(shape[:-1]))
        asked, glorot = np.sqrt(2 / count), np.sqrt(2 / (np.prod(shape[:-2]) * sum(shape[-2:])))
        if abs(spread / asked - 1) < 0.1:
            continue
        name = " x ".join(map(str, shape))
        if abs(spread / glorot - 1) < 0.05:
            raise Mistake(
                f"the kernel {name} starts by Glorot's rule, which is Keras's default. Give each "
                "layer kernel_initializer='he_normal'."
            )
        raise Mistake(
            f"the weights of the kernel {name} start with a standard deviation of {spread:.3g}; "
            f"He's rule asks for {asked:.3g}. Give each layer kernel_initializer='he_normal'."
        )


def check_drops(model):
    """Raise `Mistake` unless there are two dropouts of a half."""
    import keras

    rates = [x.rate for x in model._flatten_layers() if isinstance(x, keras.layers.Dropout)]
    if len(rates) != 2:
        raise Mistake(
            f"the network has {len(rates)} dropouts. There are two: behind the first and behind "
            "the second hidden fully connected layer."
        )
    if rates != [0.5, 0.5]:
        raise Mistake(f"the dropouts drop {rates[0]:g} and {rates[1]:g}; the paper's drop a half.")


@exercise(
    section="The code",
    correct="the same code makes A and B. That is what made VGG a series of experiments.",
    hints=(
        "def block(x, channels, layers): a loop over range(layers) puts "
        "keras.layers.Conv2D(channels, 3, padding='same', activation='relu', ...)(x) on x, a new "
        "layer each time; then keras.layers.MaxPooling2D(2, padding='same')(x).",
        f"for channels, layers in zip({WIDTHS}, blocks): x = block(x, channels, layers)."
        " Then Flatten, Dense(128, activation='relu'), Dropout(0.5), these two again, Dense(10).",
    ),
)
def network(answer):
    import keras

    notes = []
    for depth, blocks in DEPTHS.items():
        model = expect_model(answer(blocks), INPUT)
        start = {
            tuple(w.shape): float(np.std(keras.ops.convert_to_numpy(w)))
            for w in model.weights
            if len(w.shape) > 1 and np.prod(w.shape) >= 5_000
        }
        note = networks.expect_network(model, INPUT, course(depth), slips(depth))
        check_drops(model)
        check_start(start)
        notes.append(f"{depth}: {note}")
    return " ".join(notes)


@functools.cache
def course(depth):
    return partial(course_network, depth)


@functools.cache
def parameters_of_a():
    return course_network("A").count_params()


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED = 2_000, 0.50


@exercise(
    section="Train it",
    correct="eleven layers without normalisation, from He's start, trained by your own recipe.",
    hints=(
        "model.compile with keras.losses.SparseCategoricalCrossentropy(from_logits=True) and an "
        "optimiser, then model.fit(x, labels, batch_size, epochs). Return the model.",
        "Adam at 0.0015, batches of 32, three passes.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    asked = parameters_of_a()
    if model.count_params() != asked:
        raise Mistake(
            f"this model has {model.count_params():,} parameters; your `network` as A has "
            f"{asked:,}."
        )
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), or a rate near 0.001.",
    )


# ---- the patient --------------------------------------------------------------------------------

DIES = "the signal dies on its way"
CAUSES = {
    "learning rate too low": "at a rate ten times as high the loss does not fall either, and the "
    "same network from another start learns at this one.",
    "too few pictures": "few pictures would be learned by heart, and the training loss would fall.",
    "dead units": "a dead unit gives zero to every picture. Here about half of the numbers behind "
    "each convolution are above zero; they are only very small.",
    "too deep without shortcuts": "twelve convolutions can be trained as they stand, from another "
    "start. Compare the numbers behind the first with those behind the last.",
}


def check_patient(model):
    """Raise `Mistake` where a mended patient is another network, or its signal does not live."""
    import keras

    kernels = [tuple(w.shape) for w in model.weights if len(w.shape) > 1]
    channels = [1] + 4 * [8] + 4 * [16] + 4 * [32]
    wanted = [(3, 3, *pair) for pair in zip(channels, channels[1:])] + [(32, 10)]
    norms = keras.layers.BatchNormalization, keras.layers.LayerNormalization
    if any(isinstance(layer, norms) for layer in model._flatten_layers()):
        raise Mistake(
            "there is a normalisation in it. That is exercise 6: here the layers stay, and only "
            "how they start changes."
        )
    if kernels != wanted:
        raise Mistake("this is another network. Keep its layers, and change how they start.")
    images = networks.pictures(2_000).train[0][:100]
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.Conv2D)]
    try:
        probe = keras.Model(model.inputs[0], [layers[0].output, layers[-1].output])
        outputs = map(keras.ops.convert_to_numpy, probe(images))
        first, last = (float(np.sqrt(np.mean(np.square(x)))) for x in outputs)
    except Exception:
        raise Mistake(
            "its layers cannot be reached one by one. Return a model made as patient() makes it, "
            "with keras.Input and keras.Model, and no model inside."
        ) from None
    if not last > 1e-3 * first:
        raise Mistake(
            f"the signal still dies: its size is {first:.1g} behind the first convolution and "
            f"{last:.1g} behind the last. By which factor should a layer multiply it?"
        )
    if not last < 1e3 * first:
        raise Mistake(
            f"now the signal explodes: its size is {first:.1g} behind the first convolution and "
            f"{last:.1g} behind the last. By which factor should a layer multiply it?"
        )


@exercise(
    section="Why does it not start?",
    correct="2 / n is the variance in He's rule; RandomNormal takes the standard deviation, its "
    "root. The paper's 0.01 is a variance too, and many have read it as a standard deviation.",
    hints=(
        "A layer multiplies the signal by s * sqrt(n / 2), where s is the standard deviation of "
        "its weights. Put the friend's s into it, for n = 144, and take it to the twelfth power.",
        "The factor is 1 for s = sqrt(2 / n). Keras has it as kernel_initializer='he_normal'.",
    ),
)
def mended(answer):
    model = networks.diagnosed(answer(), DIES, CAUSES, "the mended network")
    model = networks.a_model(model, INPUT)
    check_patient(model)
    start = "Its start is still not He's."
    return networks.expect_cured(model, networks.pictures(2_000), (3e-3, 32, 2), 0.3, start)


# ---- predict, then measure ----------------------------------------------------------------------

CHOICES = (
    "with batch normalisation a small start does no harm",
    "a small start does harm, with batch normalisation too",
    "a small start does no harm, with batch normalisation or without",
    "batch normalisation does harm, whatever the start",
)


@functools.cache
def error_after(share, normalised, layers=12, steps=300, width=32, batch=50):
    """Return the training error in %, the mean of the last 40 steps.

    The network is fully connected, its weights start at `share` times He's rule, and it trains by
    momentum on 500 pictures of 14 x 14 pixels.
    """
    images, labels = (part[:500] for part in networks.pictures(2_000).train)
    images = images.reshape(500, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(500, -1)
    rng = np.random.default_rng(0)
    sizes = [196, *[width] * layers, 10]
    pairs = list(zip(sizes, sizes[1:]))
    weights = [rng.normal(0, share * np.sqrt(2 / n), (n, m)) for n, m in pairs]
    biases = [np.zeros(m) for m in sizes[1:]]
    speeds = [np.zeros_like(a) for a in weights + biases]
    wrong = []
    for _ in range(steps):
        chosen = rng.permutation(500)[:batch]
        x, y = images[chosen], labels[chosen]
        kept = []
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            z, deviation = x @ w + b, 1
            if normalised:
                z = z - z.mean(axis=0)
                deviation = np.sqrt((z * z).mean(axis=0) + 1e-5)
                z = z / deviation
            kept.append((x, z, deviation))
            x = np.maximum(z, 0)
        logits = x @ weights[-1] + biases[-1]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        wrong.append((p.argmax(axis=1) != y).mean())
        d = (p - np.eye(10)[y]) / batch
        dw, db = [x.T @ d], [d.sum(axis=0)]
        for w, (into, z, deviation) in zip(weights[:0:-1], kept[::-1], strict=True):
            d = (d @ w.T) * (z > 0)
            if normalised:
                d = (d - d.mean(axis=0) - z * (z * d).mean(axis=0)) / deviation
            dw.insert(0, into.T @ d)
            db.insert(0, d.sum(axis=0))
        for a, speed, slope in zip(weights + biases, speeds, dw + db, strict=True):
            speed *= 0.9
            speed -= 0.01 * slope
            a += speed
    return float(100 * np.mean(wrong[-40:]))


def measured_error(share, normalised):
    number = isinstance(share, (int, float, np.number)) and not isinstance(share, bool)
    if not number or not 0.1 <= share <= 2:
        raise Mistake(f"share is {share!r}; allowed: a number from 0.1 to 2.")
    if not isinstance(normalised, (bool, np.bool_)):
        raise Mistake(f"normalised is {normalised!r}; allowed: True and False.")
    return error_after(float(share), bool(normalised))


@exercise(
    section="Why does it not start?",
    correct="batch normalisation divides each sum by its own size, so the size of the weights "
    "falls out, at the start as later. That is why the paper's remedy of 2014 is no longer needed.",
    hints=(
        "predict('...') first, with one of the four sentences. Then measure(0.5, False), "
        "measure(0.5, True), measure(1, False) and measure(1, True).",
        "Two differences: small start against He's, without normalisation and with it. Below ten "
        "points it is chance.",
    ),
)
def other_remedy(answer):
    measured, concluded = networks.experiment(answer, CHOICES, measured_error)
    small = [
        share
        for share, _ in measured
        if share <= 0.5 and {(share, False), (share, True)} <= set(measured)
    ]
    if not small:
        raise Mistake(
            "measure one small start, a share of one half or less, with batch normalisation and "
            "without."
        )
    if not {(1, False), (1, True)} <= set(measured):
        raise Mistake(
            "measure He's start too, a share of 1, with and without: what does the small one harm?"
        )
    share = small[0]
    found = {key: measured[key] for key in ((share, False), (share, True), (1, False), (1, True))}
    without, with_it = (found[share, n] - found[1, n] >= 10 for n in (False, True))
    if min(found[s, True] - found[s, False] for s in (share, 1)) >= 10:
        right = CHOICES[3]
    elif with_it:
        right = CHOICES[1]
    else:
        right = CHOICES[0] if without else CHOICES[2]
    if concluded != right:
        raise Mistake(
            f"from a share of {share:g} the training error is {found[share, False]:.0f} % without "
            f"and {found[share, True]:.0f} % with batch normalisation, from He's start "
            f"{found[1, False]:.0f} % and {found[1, True]:.0f} %; less than ten points is chance. "
            f"{concluded!r} does not fit."
        )
    return networks.tell(answer.name, measured, concluded)
