"""The exercises of assignment 04: pooling both ways, the stage, the whole network, its training.

Facts: Krizhevsky, Sutskever and Hinton 2012, sections 3.3 to 3.5, 4.2, 5; counts from the ledger.
"""

from functools import partial

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    networks,
    numbers,
    parts,
    response,
    shaped,
    varied,
)

exercise = assignment("04_alexnet")


def lrn_of(a, n, k, alpha, beta, *, square=np.square, own=True):
    """Local response normalisation over the last axis, written with a band of ones."""
    channel = np.arange(a.shape[-1])
    near = np.abs(channel[:, None] - channel) <= n // 2
    near = near if own else near & ~np.eye(len(channel), dtype=bool)
    return a / (k + alpha * square(a) @ near.astype(float)) ** beta


def pool_of(x, window, stride, reduce=np.max):
    """Pooling over (height, width, channels), from all windows at once."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (window, window), axis=(0, 1))
    return reduce(windows, axis=(-2, -1))[::stride, ::stride]


def winners(x, window, stride, slope, slip=""):
    """What comes back through a max-pooling; `slip` names a mistake to make."""
    dx = np.zeros_like(x)
    for row, column, channel in np.ndindex(slope.shape):
        step = window if slip == "apart" else stride
        at = np.s_[row * step : row * step + window, column * step : column * step + window]
        part, back = x[at][..., channel], dx[at][..., channel]  # views
        value = slope[row, column, channel]
        if slip == "shared":
            back += value / window**2
        elif slip == "all":
            back += value
        elif part.size:
            best = np.unravel_index(part.argmax(), part.shape)
            back[best] = value if slip == "set" else back[best] + value
    return dx


@exercise(
    section="Overlapping pooling",
    correct="the winner takes the slope, and a pixel that wins in several windows takes several: "
    "with windows of 3 at stride 2 up to four.",
    hints=(
        "Output pixel (row, column) looks at x[row * stride : row * stride + window, ...]. There "
        "are (height - window) // stride + 1 rows. Take the maximum over height and width.",
        "Backward: in each window and channel the place of the maximum gets the slope of that "
        "output, all others get nothing. Windows overlap, so add: dx[...] += ...",
        "np.unravel_index(part.argmax(), part.shape) is the place of the maximum in a window of "
        "one channel, part = x[top : top + window, left : left + window, channel].",
    ),
)
def pool_back(answer):
    x = np.random.default_rng(5).normal(size=(7, 9, 2)) - 4
    right = pool_of(x, 3, 2)
    slope = np.random.default_rng(9).normal(size=right.shape)
    y, dx = parts(answer(x, 3, 2, slope), ("y", "dx"))
    expect(
        y,
        right,
        {
            "this is the mean of each window. Take the maximum.": pool_of(x, 3, 2, np.mean),
            "this is the minimum of each window. Take the maximum.": pool_of(x, 3, 2, np.min),
            "the windows do not overlap: they move on by the window. Move on by stride.": (
                pool_of(x, 3, 3)
            ),
            "the windows move on by one pixel. Move on by stride.": pool_of(x, 3, 1),
            "the last row and column of windows are missing: range() ends one before its second "
            "number.": right[:-1, :-1],
            "a window of negative numbers gives 0: do not start from zeros, take the maximum of "
            "the window alone.": np.maximum(right, 0),
            "the maximum is taken over the channels too. Each channel keeps its own.": (
                right.max(axis=-1)
            ),
            "the windows are `stride` wide. They are `window` wide and move on by `stride`.": (
                pool_of(x, 2, 2)
            ),
        },
        "y",
    )

    def measured(x, window, stride, slope, step=1e-6):
        found = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            sides = []
            for change in (step, -step):
                moved = x.copy()
                moved[place] += change
                sides.append((slope * pool_of(moved, window, stride)).sum())
            found[place] = (sides[0] - sides[1]) / (2 * step)
        return found

    def slipped(slip):
        return winners(x, 3, 2, slope, slip)

    expect(
        dx,
        measured(x, 3, 2, slope),
        {
            "a pixel that wins in several windows has the slope of the last one only: `+=`.": (
                slipped("set")
            ),
            "the slope is shared by the whole window, as in average pooling. The winner takes it "
            "alone.": slipped("shared"),
            "every pixel of a window gets its slope. Only the winner does.": slipped("all"),
            "on the way back the windows move on by the window. They move on by stride.": (
                slipped("apart")
            ),
            "every winner gets 1. It gets the slope of its output.": (
                winners(x, 3, 2, np.ones_like(slope))
            ),
        },
        "dx",
        1e-4,
    )
    even = np.random.default_rng(6).normal(size=(8, 8, 1))
    right = pool_of(even, 3, 2)
    slope = np.random.default_rng(3).normal(size=right.shape)
    hanging = np.pad(even, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    y, dx = parts(answer(even, 3, 2, slope), ("y", "dx"))
    expect(
        y,
        right,
        {
            "on 8 x 8 pixels the last windows hang over the edge. Only whole windows count.": (
                pool_of(hanging, 3, 2)
            )
        },
        "On 8 x 8 pixels y",
    )
    expect(dx, measured(even, 3, 2, slope), {}, "On 8 x 8 pixels dx", 1e-4)


def second_stage_of(x, kernel, bias, steps="conv relu lrn pool"):
    """The stage in NumPy; `kernel` is (5, 5, in / groups, out). x is (height, width, in)."""
    groups = x.shape[-1] // kernel.shape[2]
    for step in steps.split():
        if step == "conv":
            padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(0, 1))
            halves = [
                np.einsum("hwcij,ijco->hwo", w, k)
                for w, k in zip(
                    np.split(windows, groups, axis=2),
                    np.split(kernel, groups, axis=-1),
                    strict=True,
                )
            ]
            x = np.concatenate(halves, axis=-1) + bias
        elif step == "relu":
            x = np.maximum(x, 0)
        elif step == "lrn":
            x = lrn_of(x, 5, 2.0, 1e-4, 0.75)
        elif step == "pool":
            x = pool_of(x, 3, 2)
        elif step == "pool2":
            x = pool_of(x, 2, 2)
        elif step == "mean":
            x = pool_of(x, 3, 2, np.mean)
    return x


@exercise(
    section="The network",
    correct="conv2 of the paper: two groups, ReLU, normalisation, overlapping pooling. At full "
    "size it has 307,456 parameters and turns 27 x 27 x 96 into 13 x 13 x 256.",
    hints=(
        "Four steps in the paper's order: convolution, ReLU, local response normalisation, "
        "max-pooling. keras.Sequential([keras.Input(input_shape), ...]) is a keras.Model.",
        "GroupedConv2D(filters, 5, padding='same', groups=groups, activation='relu'), then "
        "LocalResponseNormalization() with its defaults.",
        "keras.layers.MaxPooling2D(3, strides=2): without strides, Keras moves on by the window.",
    ),
)
def second_stage(answer):

    side, c_in, filters, groups = 17, 8, 6, 2
    model = answer((side, side, c_in), filters, groups)
    model = expect_model(model, (side, side, c_in))
    shape = tuple(model.output_shape[1:])
    reasons = {
        (9, 9, filters): "the pooling is padded. The paper's is not: leave padding at 'valid'.",
        (5, 5, filters): "the pooling moves on by 3. Pass strides=2.",
        (6, 6, filters): "the convolution shrinks the image. Pad it: padding='same'.",
        (side, side, filters): "the pooling is missing.",
        (8, 8, c_in): "the convolution should have `filters` output channels.",
    }
    if shape != (8, 8, filters):
        raise Mistake(
            f"from {(side, side, c_in)} the model makes {shape}, it should make "
            f"{(8, 8, filters)}: {reasons.get(shape, 'check kernel, padding and strides.')}"
        )
    expect(
        model.count_params(),
        25 * c_in // groups * filters + filters,
        {
            "the convolution has no groups: pass groups=groups.": 25 * c_in * filters + filters,
            "the convolution has no bias. The paper's has one, and starts it at 1.": (
                25 * c_in // groups * filters
            ),
            "the kernel is 3 x 3. The paper's conv2 has 5 x 5.": (
                9 * c_in // groups * filters + filters
            ),
            "there is batch normalisation in it. The paper, of 2012, has local response "
            "normalisation.": 25 * c_in // groups * filters + 5 * filters,
        },
        "The number of parameters",
    )
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=w.shape).astype("float32") for w in model.get_weights()]
    model.set_weights(weights)
    kernel = np.concatenate([w for w in weights if w.ndim == 4], axis=-1).astype("float64")
    bias = np.concatenate([w for w in weights if w.ndim == 1]).astype("float64")
    x = 20 * rng.normal(size=(side, side, c_in)).astype("float32")
    got = response(model, x)

    def after(steps):
        return second_stage_of(x.astype("float64"), kernel, bias, steps)

    expect(
        got,
        after("conv relu lrn pool"),
        {
            "the normalisation comes after the pooling, as in CaffeNet. In the paper it comes "
            "before.": after("conv relu pool lrn"),
            "the normalisation comes before the ReLU. In the paper it comes after.": (
                after("conv lrn relu pool")
            ),
            "the ReLU is missing.": after("conv lrn pool"),
            "the normalisation is missing.": after("conv relu pool"),
            "the windows of the pooling do not overlap: they are 3 wide at stride 2.": (
                after("conv relu lrn pool2")
            ),
            "this is average pooling. The paper takes the maximum.": after("conv relu lrn mean"),
        },
        "With random weights the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )


# ---- the whole network --------------------------------------------------------------------------

INPUT = (28, 28, 1)
HIDDEN = varied(
    "04_alexnet",
    ("| fc6, fc7 | | {0} each |", "Dense({0}, activation"),
    *(256, 160, 192, 224, 240, 288),
)


def course_network(**changes):
    from course_lib.alexnet import SMALL, AlexNet

    return AlexNet(**{**SMALL, "hidden": HIDDEN, **changes})


def other_network(slip):
    """`alexnet_small` with a mistake."""
    import keras
    from keras import layers

    from course_lib.layers import GroupedConv2D, LocalResponseNormalization

    pooling = layers.AveragePooling2D if slip == "mean" else layers.MaxPooling2D
    image = x = keras.Input(INPUT)
    for number, (filters, size, groups) in enumerate(
        ((12, 5, 1), (32, 5, 2), (48, 3, 1), (48, 3, 2), (32, 3, 2)), 1
    ):
        x = GroupedConv2D(filters, size, padding="same", groups=groups, activation="relu")(x)
        if number < 3 or slip == "five norms":
            x = LocalResponseNormalization()(x)
        if number in ((1, 2) if slip == "no last pool" else (1, 2, 5)):
            x = pooling(3, 2, "same" if slip == "padded" else "valid")(x)
    x = layers.GlobalAveragePooling2D()(x) if slip == "global" else layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(HIDDEN, None if slip == "linear" else "relu")(x)
        x = layers.Dropout(0.5)(x)
    return keras.Model(image, layers.Dense(10)(x))


def caffenet():
    from course_lib.alexnet import CAFFENET

    return course_network(swapped=CAFFENET)


OTHERS = {
    "no convolution has groups. conv2, conv4 and conv5 have two.": (
        partial(course_network, groups=1)
    ),
    "the normalisation comes after the pooling, as in CaffeNet. In the paper it comes before.": (
        caffenet
    ),
    "the local response normalisation is missing. It follows conv1 and conv2.": (
        partial(course_network, normalization=None)
    ),
    "all five convolutions are normalised. Only conv1 and conv2 are.": (
        partial(other_network, "five norms")
    ),
    "the poolings do not overlap: windows of 3 at stride 2.": (
        partial(course_network, overlapping=False)
    ),
    "the poolings are padded. The paper's are not: leave padding at 'valid'.": (
        partial(other_network, "padded")
    ),
    "this is average pooling. The paper takes the maximum.": partial(other_network, "mean"),
    "the pooling after conv5 is missing.": partial(other_network, "no last pool"),
    "the maps are averaged before the fully connected layers. AlexNet flattens them.": (
        partial(other_network, "global")
    ),
    "the two hidden fully connected layers have no ReLU.": partial(other_network, "linear"),
    "the activation is tanh. The paper's is ReLU.": partial(course_network, activation="tanh"),
    "conv3 is missing.": partial(course_network, without="conv3"),
}


@exercise(
    section="The small form",
    correct="from the same weights the same logits as the course's network.",
    hints=(
        "conv1 is GroupedConv2D(12, 5, padding='same', activation='relu'), then "
        "LocalResponseNormalization() and MaxPooling2D(3, 2). `second_stage` is the next three "
        "steps: second_stage(x.shape[1:], 32, 2)(x).",
        "conv3 to conv5 follow each other, with a pooling after conv5 only. Then Flatten, "
        f"Dense({HIDDEN}, 'relu'), Dropout(0.5), the same two again, and Dense(10).",
    ),
)
def network(answer):
    return networks.expect_network(answer(), INPUT, course_network, OTHERS, scale=100.0)


# ---- predict, then measure ----------------------------------------------------------------------

CHOICES = ("ten times lower", "the same", "nearly twice as high", "ten times higher")
START = 0.505


def loss_after(rate, momentum, steps=1000):
    """The loss in the valley (x**2 + 0.01 * y**2) / 2 after so many steps from (1, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= 100:
        raise Mistake(f"rate is {rate!r}; allowed: a number above 0, up to 100.")
    if momentum not in (0, 0.9):
        raise Mistake(f"momentum is {momentum!r}; allowed: 0 and 0.9.")
    place, speed, bend = np.ones(2), np.zeros(2), np.array([1.0, 0.01])
    for _ in range(steps):
        speed = momentum * speed - rate * bend * place
        place = place + speed
        if np.abs(place).max() > 1e6:
            break
    return float(min((bend * place**2).sum() / 2, 1e9))


@exercise(
    section="Momentum and weight decay",
    correct="the bound is 2 / bend without momentum and 2 (1 + 0.9) / bend with it. Steps that add "
    "up along the valley cancel out across it, and across is where it breaks.",
    hints=(
        "A rate is too high if measure gives more than 0.505, the loss at the start. Search "
        "between a rate that works and one that does not: halve the gap again and again.",
        "Without momentum look near 2. Come within a tenth on both sides, then do the same with "
        "momentum 0.9, and divide the two bounds.",
    ),
)
def highest_rate(answer):
    measured, concluded = networks.experiment(answer, CHOICES, loss_after)
    bounds = {}
    for momentum in (0, 0.9):
        found = {rate: loss for (rate, m), loss in measured.items() if m == momentum}
        works = max((rate for rate, loss in found.items() if loss < START), default=None)
        breaks = min((rate for rate, loss in found.items() if loss >= START), default=None)
        if works is None or breaks is None:
            what = "works" if works is None else "is too high"
            raise Mistake(
                f"with momentum {momentum} you have measured no rate that {what}. A rate is too "
                f"high if the loss ends above {START}, where it began."
            )
        if breaks > 1.1 * works:
            raise Mistake(
                f"with momentum {momentum} the highest rate lies between {works:g} and {breaks:g}. "
                "Come closer: within a tenth."
            )
        bounds[momentum] = (works + breaks) / 2
    ratio = bounds[0.9] / bounds[0]
    right = min(zip((0.1, 1, 1.9, 10), CHOICES), key=lambda c: abs(np.log(ratio / c[0])))[1]
    if concluded != right:
        raise Mistake(
            f"the highest rate is {bounds[0]:.2f} without momentum and {bounds[0.9]:.2f} with it, "
            f"{ratio:.2f} times as much. {concluded!r} does not fit."
        )
    said = networks.predictions[answer.name]
    return (
        f"You predicted {said!r}. You measured {len(measured)} trainings: the highest rate is "
        f"{bounds[0]:.2f} without momentum and {bounds[0.9]:.2f} with it."
    )


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED = 2_000, 0.60


@exercise(
    section="The small form",
    correct="the network of 2012 in little, from your own hands to its first clothes.",
    hints=(
        "model.compile with keras.losses.SparseCategoricalCrossentropy(from_logits=True) and an "
        "optimiser, then model.fit(x, labels, batch_size, epochs). Return the model.",
        "Adam at 0.001, batches of 32, four passes. Dropout makes the accuracy that fit prints "
        "lower than the one of the check.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    networks.expect_own(model, course_network)
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), or another rate: 0.001 for Adam, 0.01 for momentum.",
    )


# ---- the patient --------------------------------------------------------------------------------

AWAKE = "dropout works in the test too"
CAUSES = {
    "overfitting": "an overfitted network is wrong in the same way each time. This one changes its "
    "mind about the same picture.",
    "learning rate too high": "in the test nothing is learned, and yet the answers change.",
    "pictures shuffled": "one picture alone, asked twice, gets two answers. There is no order in "
    "it.",
    "weights not saved": "then the answers would be those of a guess, 10 % right, and not 79 %.",
}


@exercise(
    section="Dropout and augmentation",
    correct="dropout is for training. The paper halves in the test; Keras scales in training "
    "instead, by 1 / (1 - rate), and leaves testing alone: the same in the mean.",
    hints=(
        "Which line draws random numbers? When should it?",
        "In training every number is kept with probability 1 - rate, otherwise set to 0, as the "
        "friend does it.",
        "In testing nothing is dropped, so the next layer would get more than it is used to. "
        "Multiply by 1 - rate.",
    ),
)
def mended(answer):
    x = 1 + np.random.default_rng(7).random((200, 500))
    rate = 0.25

    def asked(training):
        result = answer(x, rate, training, np.random.default_rng(0))
        return networks.diagnosed(result, AWAKE, CAUSES, "the numbers after dropout")

    y = shaped(asked(False), x.shape, "In testing the result")
    if not np.array_equal(numbers(asked(False)), y) or np.any(y == 0):
        raise Mistake(
            "in the test numbers are still set to 0. The network changes its mind as before: drop "
            "only where training is True."
        )
    expect(
        y,
        x * (1 - rate),
        {
            "in testing nothing happens. The paper multiplies by 1 - rate there.": x,
            "in testing the numbers are multiplied by rate. Multiply by 1 - rate, the share that "
            "was kept.": x * rate,
            "in testing the numbers are divided by 1 - rate. They get smaller, not larger.": (
                x / (1 - rate)
            ),
        },
        "In testing the result",
    )
    y = asked(True)
    y = shaped(y, x.shape, "In training the result")
    kept = y != 0
    if kept.all():
        raise Mistake("in training nothing is dropped.")
    if np.all(kept == kept[:1]):
        raise Mistake(
            "in training every example loses the same units. Draw for every number: "
            "rng.random(x.shape)."
        )
    if np.all(kept == kept[:, :1]):
        raise Mistake("in training whole examples are dropped. Draw for every number.")
    if abs(kept.mean() - rate) < 0.02:
        raise Mistake(f"in training {rate:.0%} are kept. `rate` is the share that is dropped.")
    if abs(kept.mean() - (1 - rate)) > 0.02:
        raise Mistake(f"in training {1 - kept.mean():.0%} are dropped; it should be {rate:.0%}.")
    expect(
        y[kept],
        x[kept],
        {
            "in training the kept numbers are divided by 1 - rate, as Keras does. The paper "
            "leaves them as they are and multiplies in testing.": x[kept] / (1 - rate),
            "in training the kept numbers are scaled too. Multiply by 1 - rate in testing only.": (
                x[kept] * (1 - rate)
            ),
            "in training the kept numbers became 1: multiply the mask by x.": np.ones(kept.sum()),
        },
        "In training the kept numbers, flattened,",
    )
    again = numbers(asked(True))
    if not np.array_equal(again, y):
        raise Mistake("the same rng gives another result: draw from the rng that is passed in.")
