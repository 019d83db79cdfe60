"""The exercises of assignment 06: reductions within a budget, the module, the whole network.

Facts: Szegedy et al. 2015, sections 4 and 5, table 1 and figure 2; counts from the ledger's
`googlenet_small`.
"""

import functools
from functools import partial

import numpy as np

from course_lib.checks import Mistake, assignment, expect, networks, numbers, recognise, varied

exercise = assignment("06_googlenet")

# ---- reductions within a budget -----------------------------------------------------------------

BUDGETS = (  # channels in, (1x1, 3x3, 5x5, projection), weights allowed
    (192, (64, 128, 32, 32), 95_000),
    (480, (192, 208, 48, 64), 300_000),
    (20, (10, 12, 5, 6), 6_890),  # exactly what a reduction to 10 needs
    (64, (32, 40, 16, 16), 10_000),
    (192, (64, 128, 32, 32), 15_000),  # fewer than what does not depend on r
)


def weights_of(channels, filters, r, slip=""):
    """The weights of a module whose reductions have 4 r and r channels; `slip` is a mistake."""
    one, three, five, projection = filters
    into = (channels, channels) if slip == "wide" else (r, r) if slip == "equal" else (4 * r, r)
    layers = [
        (1, channels, one),
        (1, channels, r if slip == "equal" else 4 * r),
        (1, channels, r),
        (3, into[0], three),
        (5, into[1], five),
        (1, channels, projection),
    ]
    if slip == "projection":
        layers.pop()
    if slip == "one":
        layers = layers[1:]
    if slip == "free":
        layers[1:3] = []
    if slip == "torchvision":
        layers[-2] = (3, r, five)
    power = 1 if slip == "flat" else 2
    total = sum(side**power * a * b for side, a, b in layers)
    return total + (sum(b for *_, b in layers) if slip == "bias" else 0)


def largest(case, slip=""):
    """Try one number after the other."""
    channels, filters, budget = case
    r = 0
    while r < 500 and weights_of(channels, filters, r + 1, slip) <= budget:
        r += 1
    return r


@exercise(
    section="What is a 1 x 1 convolution good for?",
    correct="12 of 192 channels reach the 5 x 5 kernels and 48 the 3 x 3. Every channel more costs "
    "in two places: in the reduction, and in the kernel behind it.",
    hints=(
        "Write the weights of the whole module as a function of r: six convolutions, window x "
        "window x channels in x channels out. Which of them depend on r?",
        "The weights are a + b * r, with a = channels * (one + projection) and b = 5 * channels + "
        "36 * three + 25 * five. Either solve that, or try r = 1, 2, 3, ... until it is too much.",
    ),
)
def largest_reduction(answer):
    calls = [f"largest_reduction({', '.join(map(str, case))})" for case in BUDGETS]
    found = []
    for case, what in zip(BUDGETS, calls, strict=True):
        result = numbers(answer(*case), what)
        if result.ndim:
            raise Mistake(f"{what} gives an array of shape {result.shape}, not one number.")
        found.append(float(result))

    def each(slip):
        return [largest(case, slip) for case in BUDGETS]

    def exactly(case):
        fixed = weights_of(*case[:2], 0)
        return (case[2] - fixed) / (weights_of(*case[:2], 1) - fixed)

    exact = np.array([exactly(case) for case in BUDGETS])
    recognise(
        found,
        {
            "3 x 3 and 5 x 5 still read all channels. They read the reduced ones, 4 r and r.": (
                each("wide")
            ),
            "the reduction before 3 x 3 has 4 r channels; here both have r.": each("equal"),
            "the 1 x 1 convolution behind the pooling is not counted.": each("projection"),
            "the branch that is a 1 x 1 convolution alone is not counted.": each("one"),
            "the two reductions are not counted: they have weights too.": each("free"),
            "the 5 x 5 window is counted as 3 x 3. torchvision has 3 x 3 there; the paper has "
            "5 x 5.": each("torchvision"),
            "the windows are squares: 9 and 25 weights for each pair of channels.": each("flat"),
            "the biases are counted. The budget is for the weights.": each("bias"),
            "this is one too many: with it the module is beyond the budget.": (
                np.array(each("")) + 1
            ),
            "the result is rounded to the nearest; rounded up it breaks the budget.": (
                np.maximum(np.round(exact), 0)
            ),
            "the result is not whole. Round down.": exact,
            "the result is not whole, and where nothing fits it should be 0. Round down.": (
                np.maximum(exact, 0)
            ),
            "where even r = 1 is too much the result should be 0, not a number below it.": (
                np.floor(exact)
            ),
            "a module that has exactly as many weights as the budget is allowed.": (
                np.maximum(np.ceil(exact) - 1, 0)
            ),
        },
        1e-9,
    )
    for case, result, what in zip(BUDGETS, found, calls, strict=True):
        expect(result, largest(case), {}, what)


# ---- build --------------------------------------------------------------------------------------


def layers_of(image, filters, slip=""):
    """The reduced module on a tensor; `slip` names a mistake to make."""
    from keras import layers

    one, reduce3, three, reduce5, five, projection = filters

    def conv(x, channels, side, active=True):
        active = active and slip != "linear"
        return layers.Conv2D(channels, side, padding="same", activation="relu" if active else None)(
            x
        )

    def pool(x):
        if slip == "mean":
            return layers.AveragePooling2D(3, 1, padding="same")(x)
        if slip == "two":
            return layers.MaxPooling2D(2, 1, padding="same")(x)
        return layers.MaxPooling2D(3, 1, padding="same")(x)

    squeezed = slip != "squeezed"  # does a ReLU follow the reductions?
    if slip == "naive":
        branches = [conv(image, one, 1), conv(image, three, 3), conv(image, five, 5), pool(image)]
    else:
        small, large = conv(image, reduce3, 1, squeezed), conv(image, reduce5, 1, squeezed)
        if slip == "crossed":
            small, large = conv(image, reduce5, 1), conv(image, reduce3, 1)
        branches = [
            conv(image, one, 1),
            conv(small, three, 3),
            conv(large, five, 3 if slip == "torchvision" else 5),
            pool(conv(image, projection, 1))
            if slip == "early"
            else conv(pool(image), projection, 1),
        ]
        if slip == "behind":
            branches[1] = conv(conv(image, three, 3), reduce3, 1)
            branches[2] = conv(conv(image, five, 5), reduce5, 1)
        if slip == "chain":
            x = branches[0]
            x = conv(conv(x, reduce3, 1), three, 3)
            x = conv(conv(x, reduce5, 1), five, 5)
            return conv(pool(x), projection, 1)
        if slip == "bare":
            branches[3] = pool(image)
    if slip == "swapped":
        branches[1], branches[2] = branches[2], branches[1]
    if slip == "first":
        branches = branches[::-1]
    return layers.Concatenate()(branches)


def a_module(shape, filters, slip=""):
    import keras

    image = keras.Input(shape)
    return keras.Model(image, layers_of(image, filters, slip))


CASES = (((9, 10, 5), (3, 4, 6, 2, 5, 7)), ((6, 6, 8), (4, 6, 8, 3, 4, 5)))
MODULE_SLIPS = {
    "this is the naive form. The reductions and the projection are missing.": "naive",
    "the 5 x 5 branch is concatenated before the 3 x 3 one.": "swapped",
    "the branches are concatenated in the reverse order.": "first",
    "there is average pooling in it. The paper's modules take the largest.": "mean",
    "the pooling's window is 2 x 2. It is 3 x 3 at stride 1.": "two",
    "the projection comes before the pooling. It comes behind.": "early",
    "the pooling hands on all channels: its 1 x 1 convolution is missing.": "bare",
    "there is no ReLU. One follows each convolution.": "linear",
    "the two reductions have no ReLU. One follows each convolution.": "squeezed",
    "the kernel is 3 x 3 where it should be 5 x 5. torchvision has that; the paper has 5 x 5.": (
        "torchvision"
    ),
    "filters[1] and filters[3] are swapped: the first is the reduction before 3 x 3.": "crossed",
    "the 1 x 1 convolutions come after 3 x 3 and 5 x 5. There they save nothing.": "behind",
    "the branches stand one behind the other. All four read the module's input.": "chain",
}


@functools.cache
def module_maker(case, slip=""):
    return partial(a_module, *case, slip)


@exercise(
    section="Four branches, two forms",
    correct="this is the module of figure 2b. Nine of them are the network.",
    hints=(
        "keras.layers.Conv2D(channels, side, padding='same', activation='relu')(x) for each of the "
        "six convolutions. All four branches begin with the same keras.Input.",
        "MaxPooling2D(3, 1, padding='same') keeps the size. At the end "
        "keras.layers.Concatenate()([one, three, five, pooled]) and keras.Model(image, y).",
    ),
)
def inception(answer):
    for case in CASES:
        mistakes = {text: module_maker(case, slip) for text, slip in MODULE_SLIPS.items()}
        networks.expect_network(answer(*case), case[0], module_maker(case), mistakes)


INPUT = (28, 28, 1)
DROPPED = varied(
    "06_googlenet",
    ("a dropout of {0},", "Dropout({0})"),
    *(0.4, 0.2, 0.25, 0.3, 0.35, 0.5),
)


def course_network(**changes):
    from course_lib.googlenet import SMALL, GoogLeNet

    return GoogLeNet(**{**SMALL, **changes})


def other_network(slip):
    """The small GoogLeNet with a mistake."""
    import keras
    from keras import layers

    from course_lib.googlenet import MODULES
    from course_lib.layers import LocalResponseNormalization

    def pool(x):
        padding = "valid" if x.shape[1] % 2 and slip != "same" else "same"
        return layers.MaxPooling2D(2 if slip == "narrow" else 3, 2, padding)(x)

    def normal(x):
        return x if slip == "bare" else LocalResponseNormalization()(x)

    image = keras.Input(INPUT)
    active = None if slip == "linear" else "relu"
    x = layers.Conv2D(8, 3, padding="same", activation=active)(image)
    if slip != "open":
        x = normal(pool(x)) if slip == "late" else pool(normal(x))
    else:
        x = normal(x)
    for name, filters in MODULES.items():
        if name in ("4a", "5a") and slip != name:
            x = pool(x)
        x = layers_of(x, [n // 8 for n in filters])
    x = layers.Flatten()(x) if slip == "flat" else layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x))


OTHERS = {
    text: partial(other_network, slip)
    for text, slip in {
        "the local response normalisation behind the first convolution is missing.": "bare",
        "the normalisation comes after the pooling. It comes before.": "late",
        "the first convolution has no ReLU.": "linear",
        "there is no pooling before module 3a.": "open",
        "there is no pooling before module 4a.": "4a",
        "there is no pooling before module 5a.": "5a",
        "the last pooling is padded: 7 x 7 should become 3 x 3, with padding='valid'.": "same",
        "the poolings are 2 x 2. GoogLeNet's overlap, 3 x 3 at stride 2.": "narrow",
        "the maps are flattened. The paper takes the mean of each map.": "flat",
    }.items()
} | {
    "the modules are naive ones.": partial(course_network, reduce=False),
    "there is a hidden fully connected layer before the last. The mean replaced it.": (
        partial(course_network, head="dense")
    ),
}


@exercise(
    section="The network",
    correct="from the same weights the same logits as the course's network.",
    hints=(
        "x = inception(x.shape[1:], [n // 8 for n in row])(x) for each row; before rows 4a and 5a "
        "a max_pool(x, name).",
        "First Conv2D(8, 3, padding='same', activation='relu'), LocalResponseNormalization(), "
        f"max_pool. Last GlobalAveragePooling2D(), Dropout({DROPPED}), Dense(10).",
    ),
)
def network(answer):
    import keras

    model = networks.a_model(answer(), INPUT)
    note = networks.expect_network(model, INPUT, course_network, OTHERS, scale=100.0)
    rates = [x.rate for x in model._flatten_layers() if isinstance(x, keras.layers.Dropout)]
    if rates != [DROPPED]:
        shown = ", ".join(f"{rate:g}" for rate in rates)
        raise Mistake(f"there should be one dropout, of {DROPPED}; it drops {shown}.")
    return note


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED, PARAMETERS = 2_000, 0.50, 15_000


def check_modules(model):
    """Raise `Mistake` unless a network is small and made of modules."""
    import keras

    five = [k for k in networks.expect_small(model, PARAMETERS) if k[:2] == (5, 5)]
    if len(five) < 2:
        raise Mistake(
            f"there are {len(five)} kernels of 5 x 5 in it: use your `inception` twice or more."
        )
    if any(isinstance(layer, keras.layers.Flatten) for layer in model._flatten_layers()):
        raise Mistake(
            "there is a Flatten in it. Before the last layer stands the mean of each map."
        )


@exercise(
    section="Train it",
    correct="branches of three sizes, under 15,000 parameters, and it knows its clothes.",
    hints=(
        "A first convolution to 16 channels at stride 2, a module, MaxPooling2D(2), a module, the "
        "mean, Dense(10). For example inception(x.shape[1:], (8, 8, 16, 4, 8, 8)).",
        "Adam at 0.005, batches of 32, four passes.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    check_modules(model)
    return networks.expect_trained(
        model, splits, REACHED, "More passes, smaller batches (32), or a higher rate (0.005)."
    )


# ---- predict, then measure ----------------------------------------------------------------------

CHOICES = (
    "the mean loses less",
    "the flattened maps lose less",
    "both lose about the same",
    "neither loses much",
)


@functools.cache
def trained_with(head):
    """Return a small network with that head, trained on pictures as they are."""
    import keras

    keras.utils.set_random_seed(0)
    image = x = keras.Input(INPUT)
    for channels, stride in ((16, 2), (32, 2), (32, 1)):
        x = keras.layers.Conv2D(
            channels, 3, stride, "same", activation="relu", kernel_initializer="he_normal"
        )(x)
    heads = {"mean": keras.layers.GlobalAveragePooling2D, "flat": keras.layers.Flatten}
    model = keras.Model(image, keras.layers.Dense(10)(heads[head]()(x)))
    networks.fitted(model, networks.pictures(3_000).train, 5e-3, 64, 6)
    return model


@functools.cache
def accuracy_of(head, shift):
    images, labels = networks.pictures(3_000).validation
    moved = np.full_like(images, images.min())
    moved[:, :, shift:] = images[:, :, : 28 - shift]
    found = networks.logits_of(trained_with(head), moved).argmax(axis=1)
    return float(100 * np.mean(found == labels))


def measured_accuracy(head, shift):
    if not isinstance(head, str) or head not in ("mean", "flat"):
        raise Mistake(f"head is {head!r}; allowed: 'mean' and 'flat'.")
    whole = isinstance(shift, (int, np.integer)) and not isinstance(shift, bool)
    if not whole or not 0 <= shift <= 10:
        raise Mistake(f"shift is {shift!r}; allowed: a whole number from 0 to 10.")
    return accuracy_of(head, int(shift))


@exercise(
    section="The last layers: pooling in the place of weights",
    correct="a weight behind Flatten belongs to one place, and has never met this. A mean does not "
    "ask for the place. It loses too: strides move by two pixels or not at all, and what reaches "
    "the border is cut off.",
    hints=(
        "predict('...') first, with one of the four sentences. Then measure('mean', 0), "
        "measure('flat', 0), measure('mean', 6) and measure('flat', 6).",
        "For each head: right at shift 0 minus right at shift 6. Compare these two losses.",
    ),
)
def moved_clothes(answer):
    measured, concluded = networks.experiment(answer, CHOICES, measured_accuracy)
    if not {("mean", 0), ("flat", 0)} <= set(measured):
        raise Mistake("measure both heads at shift 0 too: what is lost is a difference.")
    far = [s for _, s in measured if s >= 4 and {("mean", s), ("flat", s)} <= set(measured)]
    if not far:
        raise Mistake("measure both heads at the same shift of 4 pixels or more.")
    shift = max(far)
    mean, flat = (measured[head, 0] - measured[head, shift] for head in ("mean", "flat"))
    if max(mean, flat) < 10:
        right = CHOICES[3]
    elif abs(mean - flat) < 10:
        right = CHOICES[2]
    else:
        right = CHOICES[0] if mean < flat else CHOICES[1]
    if concluded != right:
        raise Mistake(
            f"moved by {shift} pixels, the mean loses {mean:.0f} points and the flattened maps "
            f"lose {flat:.0f}; less than ten is chance. {concluded!r} does not fit."
        )
    return networks.tell(answer.name, measured, concluded)


# ---- the patient --------------------------------------------------------------------------------

LEFT = "the trained weights are left behind"
CAUSES = {
    "overfitting": "the 2,000 pictures that are sorted wrong are those that it was trained on.",
    "the heads are needed": "nothing of the main output comes from a head: they only read.",
    "learning rate too high": "then the main output could not be right so often in training.",
    "the main loss is too light": "it has the weight 1, and the main output has learned.",
}


@functools.cache
def with_heads():
    """Return the patient with its head; its weights are random numbers, and so are its answers."""
    import keras
    from keras import layers

    def conv(x, channels):
        return layers.Conv2D(channels, 3, 2, padding="same", activation="relu")(x)

    def answers(x, name):
        return layers.Dense(10, name=name)(layers.GlobalAveragePooling2D()(x))

    image = keras.Input(INPUT)
    x = conv(conv(image, 16), 32)
    aux = answers(x, "aux")
    model = keras.Model(image, {"main": answers(conv(x, 64), "main"), "aux": aux})
    networks.fill(model)
    return model


@exercise(
    section="Auxiliary classifiers",
    correct="to throw a head away is to leave its output out, not to build the network again. "
    "Whoever builds it again has to carry every weight over.",
    hints=(
        "What does build(heads=False) in the last line begin with? Has it ever met a picture?",
        'The trained network holds both outputs. keras.Model(trained.input, trained.output["main"])'
        " has the same layers, with their weights, as far as the main output needs them.",
    ),
)
def mended(answer):
    import keras

    trained = with_heads()
    model = networks.diagnosed(answer(trained), LEFT, CAUSES, "the network for use")
    if isinstance(model, keras.Model) and len(getattr(model, "outputs", None) or []) > 1:
        raise Mistake("the head is still in it: a picture gets two answers. Keep the main one.")
    model = networks.a_model(model, INPUT)
    x = np.random.default_rng(6).normal(size=(5, *INPUT)).astype("float32")
    both = {k: numbers(keras.ops.convert_to_numpy(v)) for k, v in trained(x).items()}
    main, aux = both["main"], both["aux"]
    odds = np.exp(main - main.max(axis=1, keepdims=True))
    again = "the trained weights are left behind again: "
    found = networks.logits_of(model, x)
    ours = trained.count_params() - trained.get_layer("aux").count_params()
    if found.shape == main.shape:
        recognise(
            found,
            {
                "this is the answer of the head. Thrown away is the head.": aux,
                "the answers of head and main output are mixed. In use the main one answers.": (
                    (main + aux) / 2
                ),
                "the answers of head and main output are added. In use the main one answers.": (
                    main + aux
                ),
                "0.3 is the weight of the head's loss, in training. In use the main one answers.": (
                    main + 0.3 * aux
                ),
                "there is a softmax behind it. The trained output gives logits.": (
                    odds / odds.sum(axis=1, keepdims=True)
                ),
            },
            1e-3,
        )
        if model.count_params() == ours and not np.allclose(found, main, rtol=0, atol=0.01):
            raise Mistake(again + "its layers are right, and their numbers are not the trained.")
    expect(found, main, {}, "What the network for use makes of pictures", 1e-3)
    extra = model.count_params() - ours
    if extra > 0:
        raise Mistake(
            f"it answers right, and still carries the head's {extra} numbers. Leave the head's "
            "layer out."
        )
