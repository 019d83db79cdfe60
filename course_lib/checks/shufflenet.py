"""The exercises of assignment 11: unit, network, training, who meets whom, orders, a patient.

Facts: Zhang, Zhou, Lin and Sun 2018, sections 3.1 to 3.3, figure 2, table 1; the zeros that the
average pooling counts are those of the authors' code; counts from the ledger.
"""

import functools
from functools import partial

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    networks,
    numbers,
    recognise,
    shaped,
    varied,
)

exercise = assignment("11_shufflenet")

# ---- build: the unit ----------------------------------------------------------------------------


def unit_of(x, filters, groups, strides=1, first_groups=None, slip=None):
    """Put the unit behind `x`, of Keras's layers; return its output.

    `slip` is None, a mistake, or a function (x, groups) in place of the shuffle.
    """
    import keras  # only the exercises that build need it
    from keras import layers

    from course_lib.layers import BatchNormalization, GroupedConv2D

    def pointwise(y, channels, groups):
        y = GroupedConv2D(channels, 1, groups=groups, use_bias=False)(y)
        return BatchNormalization()(y)

    def shuffled(y):
        if callable(slip):
            return slip(y, groups)
        height, width, channels = y.shape[1:]
        table = {"inverse": (channels // groups, groups)}.get(slip, (groups, channels // groups))
        if slip == "pixels":
            y = keras.ops.reshape(y, (-1, groups, channels // groups, height, width))
            y = keras.ops.transpose(y, (0, 2, 1, 3, 4))
        elif slip != "no shuffle":
            y = keras.ops.reshape(y, (-1, height, width, *table))
            y = keras.ops.transpose(y, (0, 1, 2, 4, 3))
        return keras.ops.reshape(y, (-1, height, width, channels))

    inputs, same = x.shape[-1], slip == "same padding"
    y = pointwise(x, filters // 4, first_groups or groups)
    y = y if slip == "no first ReLU" else layers.ReLU()(y)
    y = shuffled(y) if slip != "late shuffle" else y
    if strides == 1 or same:
        y = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(y)
    else:
        y = layers.DepthwiseConv2D(3, strides, use_bias=False)(layers.ZeroPadding2D(1)(y))
    y = BatchNormalization()(y)
    y = layers.ReLU()(y) if slip == "ReLU between" else y
    y = shuffled(y) if slip == "late shuffle" else y
    y = pointwise(y, filters if strides == 1 else filters - inputs, groups)
    if slip == "early ReLU":
        y = layers.ReLU()(y)
    if strides == 1:
        y = y if slip == "no shortcut" else layers.Add()([x, y])
    else:
        pool = layers.MaxPooling2D if slip == "largest" else layers.AveragePooling2D
        short = pool(3, 2, "same")(x) if same else pool(3, 2)(layers.ZeroPadding2D(1)(x))
        pair = [y, short] if slip == "branch first" else [short, y]
        y = layers.Concatenate()(pair)
    return y if slip in ("no last ReLU", "early ReLU") else layers.ReLU()(y)


def unit_model(shape, filters, groups, strides=1, first_groups=None, slip=None):
    import keras

    image = keras.Input(shape)
    return keras.Model(image, unit_of(image, filters, groups, strides, first_groups, slip))


# The order of the arguments is that of the exercise: groups, first_groups, strides.
CASES = {
    ((6, 8, 24), 24, 3, 3, 1): (
        "no shuffle",
        "inverse",
        "pixels",
        "late shuffle",
        "ReLU between",
        "no first ReLU",
        "no last ReLU",
        "early ReLU",
        "no shortcut",
    ),
    ((6, 8, 12), 24, 3, 1, 2): ("same padding", "largest", "branch first"),
}
SLIPS = {
    "no shuffle": "there is no shuffle: the channels stay in their order. Reshape, transpose, and "
    "reshape back.",
    "inverse": "this is the inverse shuffle. The table has a row for each group: "
    "(groups, channels // groups), before it is transposed.",
    "pixels": "the shuffle mixes pixels. In Keras the channels are the last axis: reshape to "
    "(-1, height, width, groups, channels // groups) and exchange the last two.",
    "late shuffle": "the shuffle stands behind the depthwise step. It stands before it.",
    "ReLU between": "there is a ReLU after the depthwise step. None follows it.",
    "no first ReLU": "the ReLU after the first 1 x 1 convolution is missing.",
    "no last ReLU": "the ReLU at the end is missing.",
    "early ReLU": "the last ReLU stands before the addition. It comes after the join.",
    "no shortcut": "the input is not added.",
    "same padding": "padding='same' pads at the bottom and the right only, at stride 2 and even "
    "sides. Put ZeroPadding2D(1) before the depthwise step and before the pooling.",
    "largest": "the input is pooled by its largest numbers. The unit takes means.",
    "branch first": "the branch stands before the pooled input. The input comes first.",
}


def course_unit(shape, filters, groups, first_groups, strides):
    return unit_model(shape, filters, groups, strides, first_groups)


UNITS = {case: partial(course_unit, *case) for case in CASES}
WRONG_UNITS = {
    case: {SLIPS[slip]: partial(unit_model, *case[:3], case[4], case[3], slip) for slip in slips}
    for case, slips in CASES.items()
}


@exercise(
    section="The unit",
    correct="figure 2 of the paper, (b) and (c). From the same weights it gives what the course's "
    "unit gives.",
    hints=(
        "Behind each of the three convolutions stands a batch normalisation. ReLU: after the first "
        "and after the join. The shuffle: keras.ops.reshape, transpose with (0, 1, 2, 4, 3), "
        "reshape.",
        "At stride 2: ZeroPadding2D(1) and DepthwiseConv2D(3, 2); beside it ZeroPadding2D(1) and "
        "AveragePooling2D(3, 2) on the input. The second 1 x 1 convolution then has "
        "filters - input_shape[-1] channels, for the pooled input comes to them.",
    ),
)
def unit(answer):
    for case in CASES:
        shape, filters, groups, first_groups, strides = case
        model = expect_model(answer(*case), shape)
        kernels = [tuple(w.shape) for w in model.weights]
        if strides == 2 and (1, 1, 2, 24) in kernels:
            raise Mistake(
                "at stride 2 the branch makes all channels of the output. The pooled input brings "
                f"{shape[-1]} of the {filters}; the branch makes the others."
            )
        if strides == 2 and (1, 1, 4, 6) in kernels:
            raise Mistake(
                "the first 1 x 1 convolution has `groups` groups. It has `first_groups`: the "
                "narrow input of the network is not divided."
            )
        if (1, 1, 6, filters) in kernels:
            raise Mistake("the second 1 x 1 convolution has no groups. Both have.")
        networks.expect_network(model, shape, UNITS[case], WRONG_UNITS[case])


# ---- build: the network -------------------------------------------------------------------------

INPUT = (28, 28, 1)
WIDTHS = varied(
    "11_shufflenet",
    ("with {0}, {1} and {2} channels", "(({0}, 2), ({1}, 3), ({2}, 2))"),
    *((n, 2 * n, 4 * n) for n in (60, 48, 72, 84)),
)


def course_network(**changes):
    from course_lib.shufflenet import SMALL, ShuffleNet

    return ShuffleNet(**{**SMALL, "width": WIDTHS[0] / 240, **changes})


def other_network(slip):
    """`shufflenet_small` with a mistake."""
    import keras
    from keras import layers

    from course_lib.layers import BatchNormalization
    from course_lib.shufflenet import ShuffleUnit

    image = keras.Input(INPUT)
    strides = 2 if slip == "conv1 strides" else 1
    x = layers.Conv2D(12, 3, strides, padding="same", use_bias=False)(image)
    x = BatchNormalization()(x)
    x = x if slip == "conv1 linear" else layers.ReLU()(x)
    for number, (filters, step) in enumerate(STAGES):
        first = 1 if number == 0 and slip != "first grouped" else 3
        x = ShuffleUnit(filters, 3, step, inputs=x.shape[-1], first_groups=first)(x)
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


STAGES = [(n, 1 if i else 2) for n, units in zip(WIDTHS, (2, 3, 2)) for i in range(units)]
OTHERS = {
    "the first convolution strides. On 28 pixels it has stride 1.": (
        partial(other_network, "conv1 strides")
    ),
    "the ReLU after the first convolution is missing.": partial(other_network, "conv1 linear"),
    "no unit shuffles. Use your `unit`.": partial(course_network, shuffle=False),
    "the very first 1 x 1 convolution has three groups. It has one: twelve channels are too narrow "
    "to be divided.": partial(other_network, "first grouped"),
}


@exercise(
    section="The network",
    correct="from the same weights the same logits as the course's network.",
    hints=(
        "A loop over the seven units: x = unit(x.shape[1:], filters, 3, first, strides)(x), where "
        "first is 1 for the first unit and 3 for the others.",
        "Before them Conv2D(12, 3, padding='same', use_bias=False), BatchNormalization() and "
        "ReLU; behind them GlobalAveragePooling2D() and Dense(10).",
    ),
)
def network(answer):
    return networks.expect_network(answer(), INPUT, course_network, OTHERS)


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED, WEIGHTS = 2_000, 0.60, 10_000


def check_of_units(model):
    """Raise `Mistake` unless a network is small and made of units with groups."""
    kernels = networks.expect_small(model, WEIGHTS)
    networks.no_full_convolution(kernels, "units")
    deep = sum(k[0] > 1 and k[2] > 1 for k in kernels)
    if deep < 3:
        raise Mistake(f"{deep} of its layers are depthwise; use your unit three times.")
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "groups", 1) > 1]
    grouped = sum(not hasattr(layer, "depth_multiplier") for layer in layers)
    if grouped < 4:
        raise Mistake(
            f"{grouped} of its convolutions have groups; in three units it is five or six."
        )


@exercise(
    section="Train it",
    correct="fewer than 10,000 parameters, and most of its channels meet only their group and "
    "whom the shuffle brings.",
    hints=(
        "A first convolution to 12 channels at stride 2, then units with 60, 120 and 120 channels, "
        "the first two at stride 2, the mean of the maps and Dense(10): 7,573 parameters.",
        "Adam at 0.005, batches of 32, four passes. If fit shows far more than the check, the "
        "averages of batch normalisation are late: `BatchNormalization` from course_lib.layers "
        "has momentum 0.9.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    check_of_units(model)
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), a higher rate (0.005). If fit showed far more than "
        "this, the averages of batch normalisation are late: momentum=0.9.",
    )


# ---- compute ------------------------------------------------------------------------------------


def dealt_to(groups, per_group):
    """Return (groups, groups): does new group k hold a channel of old group i? By the places."""
    seen = np.zeros((groups, groups), int)
    for i in range(groups):
        for j in range(per_group):
            seen[(j * groups + i) // per_group, i] = 1
    return seen


@exercise(
    section="Who sees whom?",
    correct="with at least as many channels in a group as there are groups, one shuffle joins all.",
    hints=(
        "Follow a channel: channel i * n + j of the first layer belongs to group i, and goes to "
        "place j * g + i. To which group of the second layer does that place belong?",
        "Start with np.zeros((groups, groups), bool). For every i and j set "
        "[(j * groups + i) // per_group, i] to True.",
    ),
)
def groups_seen(answer):
    cases = [(8, 3), (3, 4), (4, 2)]
    got = [numbers(answer(*case)) for case in cases]
    right = [dealt_to(*case) for case in cases]
    first = right[0]
    recognise(
        got[0],
        {
            "this is what happens without a shuffle: every group sees itself only.": np.eye(8),
            "not every group sees all: with 8 groups of 3 channels, a group holds 3 channels and "
            "so sees 3 groups.": np.ones((8, 8)),
            "rows and columns are swapped: a row is a group of the second layer. (The inverse "
            "shuffle, a table of n rows and g columns, gives the same.)": first.T,
            "the rows are in reverse order.": first[::-1],
        },
    )
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (np.arange(12) // 4, np.tile(np.arange(3), 4)), 1)
    recognise(
        got[1],
        {"these are numbers of channels. Return True where there is at least one.": counts},
    )
    for case, seen, wanted in zip(cases, got, right, strict=True):
        expect(seen, wanted, {}, f"groups_seen{case}")


# ---- predict, then measure ----------------------------------------------------------------------

CHANNELS, GROUPS = 64, 8


@functools.cache
def orders():
    """Return {name: which channel comes to each place}."""
    places = np.arange(CHANNELS)
    return {
        "as it is": places,
        "shuffle": places.reshape(GROUPS, -1).T.reshape(-1),
        "reversed": places[::-1],
        "random": np.random.default_rng(4).permutation(CHANNELS),
    }


def seen_share(order, layers):
    """Return the share of the inputs that an output depends on, in %, after grouped layers."""
    if not isinstance(order, str) or order not in orders():
        allowed = ", ".join(map(repr, orders()))
        raise Mistake(f"order is {str(order)[:40]!r}; allowed: {allowed}.")
    if isinstance(layers, bool) or not isinstance(layers, (int, np.integer)):
        raise Mistake(f"layers is {str(layers)[:40]}; allowed: a whole number from 1 to 8.")
    if not 1 <= layers <= 8:
        raise Mistake(f"layers is {layers}; allowed: 1 to 8.")
    inside = np.kron(np.eye(GROUPS), np.ones((CHANNELS // GROUPS,) * 2)) > 0
    seen = inside
    for _ in range(layers - 1):
        seen = inside @ seen[orders()[order]]
    return float(100 * seen.mean())


CHOICES = (
    "only the shuffle mixes",
    "every order that moves the channels mixes as fast",
    "a random order mixes too, but later",
    "a random order mixes as fast, the reversed one never",
)


@exercise(
    section="Channel shuffle",
    correct="reversed, a group moves as a whole, and whoever moves together meets nobody. The "
    "shuffle deals evenly, so that two layers are enough; chance deals some groups twice and "
    "others not at all.",
    hints=(
        "predict('...') first, with one of the four sentences. Then measure 'shuffle', 'reversed' "
        "and 'random' with 2 layers, and further until nothing changes any more.",
        "measure('random', 2), measure('random', 3) and measure('reversed', 8) decide.",
    ),
)
def which_order_mixes(answer):
    measured, concluded = networks.experiment(answer, CHOICES, seen_share)

    for order, least in (("shuffle", 2), ("reversed", 4), ("random", 3)):
        longest = max((n for name, n in measured if name == order), default=0)
        if longest < least:
            raise Mistake(
                f"you cannot tell what {order!r} does in the end: measure({order!r}, {least}) or "
                "more layers."
            )
    if ("random", 2) not in measured or ("shuffle", 2) not in measured:
        raise Mistake("compare 'shuffle' and 'random' at 2 layers: which of them is faster?")
    if concluded != CHOICES[2]:
        raise Mistake(
            f"after 2 layers an output sees {measured['shuffle', 2]:.0f} % by the shuffle and "
            f"{measured['random', 2]:.0f} % by the random order; that one gets to 100 % too. "
            f"Reversed, it stays at {seen_share('reversed', 8):.1f} %. {concluded!r} does not fit."
        )
    return networks.tell(answer.name, measured, concluded)


# ---- the patient --------------------------------------------------------------------------------

MIXED = "the shuffle mixes pixels"
CAUSES = {
    "weights not loaded": "the change of one pixel goes astray in a layer that has no weights.",
    "averages of batch normalisation too late": "they are loaded with the weights, and have no "
    "part in the shuffle, where a change goes astray.",
    "the shuffle is the inverse one": "the inverse exchanges channels only: a change would come "
    "out in its own pixel.",
    "the shuffle does nothing": "then a change would come out in its own pixel.",
}


@exercise(
    section="Channel shuffle",
    correct="a reshape reads numbers in the order in which they lie in memory. With the channels "
    "last, the same three lines as in another library cut the pictures into strips.",
    hints=(
        "In which order do the axes of x stand, and in which order does the first reshape name "
        "them?",
        "Reshape to (pictures, height, width, groups, channels // groups), then exchange the last "
        "two axes: (0, 1, 2, 4, 3).",
    ),
)
def mended(answer):
    rng = np.random.default_rng(6)
    for shape, groups in (((2, 4, 5, 12), 3), ((3, 3, 2, 8), 2)):
        batch, height, width, channels = shape
        each = channels // groups
        x = rng.normal(size=shape)
        right = x.reshape(*shape[:3], groups, each).swapaxes(3, 4).reshape(shape)
        strips = x.reshape(batch, groups, each, height, width)
        turned = np.moveaxis(x, 3, 1)
        dealt = turned.reshape(batch, groups, each, height, width).swapaxes(1, 2)
        dealt = dealt.reshape(turned.shape)
        expect(
            shaped_like(
                networks.diagnosed(answer(x, groups), MIXED, CAUSES, "x shuffled"), dealt, shape
            ),
            right,
            {
                "it still mixes pixels: this is the friend's shuffle.": (
                    strips.swapaxes(1, 2).reshape(shape)
                ),
                "the channels stay where they are. Between the two reshapes two axes are "
                "exchanged.": x,
                "this is the inverse shuffle: the table has `groups` rows before it is "
                "transposed.": x.reshape(*shape[:3], each, groups).swapaxes(3, 4).reshape(shape),
                "the pixels are exchanged as well: rows against columns. Only the last two of five "
                "axes are.": x.reshape(*shape[:3], groups, each)
                .transpose(0, 2, 1, 4, 3)
                .reshape(shape),
                "the channels are dealt out right, and then lie in the axes of another library. "
                "Move the channels back to the end, with a transpose and not with a reshape.": (
                    dealt.reshape(shape)
                ),
                "all channels stand in reverse order. The shuffle deals them out.": x[..., ::-1],
            },
            f"For x of shape {shape} and {groups} groups the result",
        )


def shaped_like(result, dealt, shape):
    """Return the result as an array of that shape."""
    found = numbers(result)
    if found.shape == dealt.shape != shape and np.allclose(found, dealt):
        raise Mistake(
            f"the channels stand on the second axis, {found.shape}. Move them back to the end: "
            f"{shape}."
        )
    return shaped(result, shape, "x shuffled")
