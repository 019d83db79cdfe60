"""The exercises of assignment 02: convolution forward and backward, a network of one's own."""

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    networks,
    numbers,
    parts,
    response,
    varied,
)

exercise = assignment("02_convolution")


def windows_of(x, k):
    """All windows of (height, width, in): the result is (rows, columns, in, k, k)."""
    return np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))


def maps_of(x, kernel, bias=0.0, stride=1):
    """Convolution of (height, width, in) with (k, k, in, out), from all windows at once."""
    sums = np.einsum("hwcij,ijco->hwo", windows_of(x, len(kernel)), kernel)
    return sums[::stride, ::stride] + bias


def map_of(picture, kernel, bias=0.0):
    """The same for one channel and one filter: (height, width) -> (rows, columns)."""
    return maps_of(picture[..., None], kernel[..., None, None], bias)[..., 0]


@exercise(
    section="Channels, weights and work",
    correct="the same map from one matrix product. For a kernel of 5 x 5 and a picture of 8 x 8, "
    "400 of its 1,024 weights are not zero, and they are 25 numbers, repeated.",
    hints=(
        "One column of W is one place of the map. In it, k * k rows hold the weights of the "
        "kernel; all others are 0.",
        "The place (i, j) puts kernel[a, b] on the pixel in row i + a, column j + b. That pixel "
        "has the number (i + a) * side + (j + b); the place has the number i * m + j. Four loops.",
    ),
)
def dense_matrix(answer):
    rng = np.random.default_rng(6)

    def matrix(kernel, side, change=map_of):
        pictures = np.eye(side * side).reshape(-1, side, side)  # one bright pixel each
        return np.array([change(picture, kernel).ravel() for picture in pictures])

    def laid_out(kernel, side, pixel, place):
        """A matrix from loops, with its numbers of pixels and places given."""
        k = len(kernel)
        m = side - k + 1
        w = np.zeros((side * side, m * m))
        for i, j, a, b in np.ndindex(m, m, k, k):
            w[pixel(i, j, a, b) % len(w), place(i, j)] = kernel[a, b]
        return w

    side, kernel = 6, rng.normal(size=(3, 3))
    m = side - 2
    right = matrix(kernel, side)
    result = answer(kernel, side)
    expect(
        result,
        right,
        {
            "rows and columns of W are swapped. A row belongs to a pixel, a column to a place of "
            "the map.": right.T,
            "the kernel is turned by 180 degrees.": matrix(kernel[::-1, ::-1], side),
            "rows and columns of the kernel are swapped.": matrix(kernel.T, side),
            "every place of the map sees the upper left corner. Place (i, j) sees the window that "
            "starts in row i and column j.": (
                laid_out(kernel, side, lambda i, j, a, b: a * side + b, lambda i, j: i * m + j)
            ),
            "the rows of the kernel follow one another without a gap. In the list of pixels the "
            "next row of the picture begins `side` numbers later.": (
                laid_out(
                    kernel,
                    side,
                    lambda i, j, a, b: i * side + j + a * 3 + b,
                    lambda i, j: i * m + j,
                )
            ),
            "the pixels are numbered as if the picture had rows of m pixels. They have `side`.": (
                laid_out(
                    kernel, side, lambda i, j, a, b: (i + a) * m + j + b, lambda i, j: i * m + j
                )
            ),
            "the places of the map are numbered down the columns. ravel() goes along the rows: "
            "i * m + j.": (
                laid_out(
                    kernel, side, lambda i, j, a, b: (i + a) * side + j + b, lambda i, j: j * m + i
                )
            ),
            "there is a column for every pixel. Without padding the map has only m * m places, "
            "m = side - k + 1.": matrix(kernel, side, lambda x, w: map_of(np.pad(x, 1), w)),
            "the window of a place holds ones. It should hold the weights of the kernel.": (
                matrix(np.ones((3, 3)), side)
            ),
        },
        "W",
    )
    kernel = rng.normal(size=(2, 2))
    expect(answer(kernel, 5), matrix(kernel, 5), {}, "With k = 2 and side 5, W")


def layer_of(x, kernel, bias, stride=1, padding=0):
    """Convolution of (pictures, height, width, in), one picture after the other."""
    sides = ((padding, padding), (padding, padding), (0, 0))
    return np.stack([maps_of(np.pad(one, sides), kernel, bias, stride) for one in x])


def slopes_of(x, kernel, stride, padding, slope, slip=""):
    """(dx, dkernel, dbias) by going through all places; `slip` names a mistake to make."""
    k, p, n = len(kernel), padding, len(x)
    height, width = x.shape[1:3]
    wide = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    dx, dkernel = np.zeros_like(wide), np.zeros_like(kernel)
    used = kernel[::-1, ::-1] if slip == "turned" else kernel
    for i, j in np.ndindex(slope.shape[1:3]):
        top, left = (i, j) if slip == "no stride" else (i * stride, j * stride)
        here = (slice(None), slice(top, top + k), slice(left, left + k))
        back = np.einsum("no,abco->nabc", slope[:, i, j], used)
        found = np.einsum("nabc,no->abco", wide[here], slope[:, i, j])
        dx[here] = back if slip == "overwritten" else dx[here] + back
        dkernel = found if slip == "overwritten" else dkernel + found
    dbias = slope.sum(axis=(0, 1, 2))
    if slip == "mean":
        return dx[:, p : p + height, p : p + width] / n, dkernel / n, dbias / n
    first = 0 if slip == "cut" else p
    return dx[:, first : first + height, first : first + width], dkernel, dbias


def slopes_by_lines(x, kernel, bias, stride, padding, slope):
    """The same from the forward pass alone: it is linear, so one step of 1 measures a slope."""
    found = []
    for at, array in enumerate((x, kernel, bias)):
        slopes = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            given = [x, kernel, bias]
            given[at] = array.copy()
            given[at][place] += 1
            moved = layer_of(*given, stride, padding) - layer_of(x, kernel, bias, stride, padding)
            slopes[place] = (slope * moved).sum()
        found.append(slopes)
    return found


@exercise(
    section="Channels, weights and work",
    correct="the whole layer, in both directions: this is what a framework does for you.",
    hints=(
        "Forward: pad, then go through all places (i, j). The window is wide[:, i * stride : i * "
        "stride + k, j * stride : j * stride + k]; np.tensordot(window, kernel, 3) is y[:, i, j].",
        "Backward, at the same place, with s = slope[:, i, j] of the shape (pictures, out): the "
        "kernel gets np.tensordot(window, s, (0, 0)), the window gets np.tensordot(s, kernel, (1, "
        "3)). Add both up over all places: windows overlap, and the kernel is used everywhere.",
        "Collect the slopes of the pixels in an array as large as the padded picture, and cut the "
        "padding off at the end. Each bias gets the sum of its map's slopes.",
    ),
)
def convolve(answer):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 6, 7, 2))
    kernel, bias, stride, padding = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=4), 2, 1
    right = layer_of(x, kernel, bias, stride, padding)
    slope = rng.normal(size=right.shape)
    names = ("y", "dx", "dkernel", "dbias")
    y, dx, dkernel, dbias = parts(answer(x, kernel, bias, stride, padding, slope), names)
    expect(
        y,
        right,
        {
            "the biases are missing.": right - bias,
            "the padding is ignored.": layer_of(x, kernel, bias, stride),
            "the stride is ignored.": layer_of(x, kernel, bias, 1, padding),
            "the map has the right size, but its windows lie one pixel apart: start them at "
            "i * stride and j * stride.": layer_of(x, kernel, bias, 1, padding)[:, :3, :4],
            "the kernel is turned by 180 degrees, as mathematics does. Networks lay it on the "
            "picture as it is.": layer_of(x, kernel[::-1, ::-1], bias, stride, padding),
            "negative sums became 0. The ReLU is a step of its own.": np.maximum(right, 0),
            "the zeros are added at the bottom and on the right only.": layer_of(
                np.pad(x, ((0, 0), (0, 2), (0, 2), (0, 0))), kernel, bias, stride
            ),
        },
        "y",
    )

    def slipped(slip):
        return slopes_of(x, kernel, stride, padding, slope, slip)

    right_dx, right_dkernel, right_dbias = slopes_by_lines(x, kernel, bias, stride, padding, slope)
    expect(
        dbias,
        right_dbias,
        {
            "dbias is a mean. A bias is added at every place of every picture: add up all slopes "
            "of its map.": slope.mean(axis=(0, 1, 2)),
            "dbias is divided by the number of pictures. Add up.": slipped("mean")[2],
            "dbias still has one row a picture. The bias is shared: add them up.": slope.sum(
                axis=(1, 2)
            ),
            "dbias is one number for all filters. Each has its own.": slope.sum(),
            "dbias has only the last place. Add up over all of them.": slope[:, -1, -1].sum(axis=0),
        },
        "dbias",
    )
    expect(
        dkernel,
        right_dkernel,
        {
            "dkernel has only the last place: `=` stands where `+=` should.": (
                slipped("overwritten")[1]
            ),
            "dkernel is divided by the number of pictures. The slopes are given: add up.": (
                slipped("mean")[1]
            ),
            "dkernel is turned by 180 degrees.": right_dkernel[::-1, ::-1],
            "dkernel takes its windows one pixel apart: they start at i * stride and j * stride.": (
                slipped("no stride")[1]
            ),
            "dkernel is that of the first picture alone.": slopes_of(
                x[:1], kernel, stride, padding, slope[:1]
            )[1],
        },
        "dkernel",
    )
    dx = numbers(dx, "dx")
    if dx.shape == (3, 8, 9, 2):
        raise Mistake("dx still has the border of the padding. Cut it off: the zeros are no input.")
    expect(
        dx,
        right_dx,
        {
            "in dx later windows overwrite earlier ones. They overlap: `+=`.": (
                slipped("overwritten")[0]
            ),
            "in dx the kernel is turned. Each weight sends its slope back to the pixel that it "
            "met.": slipped("turned")[0],
            "in dx the windows lie one pixel apart: they start at i * stride and j * stride.": (
                slipped("no stride")[0]
            ),
            "dx is cut at the wrong end: the border is on every side, so begin at `padding`.": (
                slipped("cut")[0]
            ),
            "dx is divided by the number of pictures. Each picture has slopes of its own.": (
                slipped("mean")[0]
            ),
            "dx has the wrong sign.": -right_dx,
        },
        "dx",
    )
    kernel, bias = rng.normal(size=(2, 2, 2, 3)), rng.normal(size=3)
    right = layer_of(x, kernel, bias, 3)
    slope = rng.normal(size=right.shape)
    got = parts(answer(x, kernel, bias, 3, 0, slope), names)
    wanted = (right, *slopes_by_lines(x, kernel, bias, 3, 0, slope))
    if numbers(got[1], "dx").size == 0:
        raise Mistake("without padding dx is empty: `[:, p:-p]` leaves nothing where p is 0.")
    for name, value, r in zip(names, got, wanted, strict=True):
        expect(value, r, what=f"With k = 2, stride 3 and no padding {name}")


# ---- the instrument -----------------------------------------------------------------------------


def friend(fault):
    """Return forward and backward of a layer whose outputs are squared; `fault` is in backward."""

    def forward(x, kernel, bias):
        return layer_of(x, kernel, bias) ** 2

    def backward(x, kernel, bias, slope):
        slope = np.ones_like(slope) if fault == "slope" else slope
        inner = 2 * layer_of(x, kernel, bias) * slope
        dx, dkernel, dbias = slopes_of(x, kernel, 1, 0, inner)
        if fault == "mean":
            dbias = dbias / len(x)
        elif fault == "turned":
            dx = slopes_of(x, kernel, 1, 0, inner, "turned")[0]
        elif fault == "place":
            worst = np.unravel_index(np.abs(dkernel).argmax(), dkernel.shape)
            dkernel[worst] *= 1.05
        elif fault == "sign":
            dx, dkernel = -dx, -dkernel
        elif fault == "swapped":
            dkernel = dkernel.swapaxes(0, 1)
        return dx, dkernel, dbias

    return forward, backward


FRIENDS = {  # fault -> the wrong slopes, and what is said if they are not found
    "": (
        (),
        "a friend without a mistake is accused. Measured slopes are never exact: allow a gap of "
        "one in a thousand.",
    ),
    "mean": (("bias",), "a friend divides the slope of the bias by the number of pictures."),
    "swapped": (
        ("kernel",),
        "a friend swaps rows and columns of the kernel's slope, so that the "
        "sum of all numbers is right. Compare number by number.",
    ),
    "turned": (("x",), "a friend turns the kernel on the way back to x."),
    "place": (
        ("kernel",),
        "a friend is wrong by a twentieth in one number of the kernel, and "
        "right in all others. Go through all places, and look at the largest gap.",
    ),
    "sign": (
        ("kernel", "x"),
        "a friend has the wrong sign in two slopes. Take the difference of "
        "measured and given first, np.abs after that.",
    ),
    "slope": (
        ("bias", "kernel", "x"),
        "a friend takes `slope` for 1 everywhere. Measure with "
        "random slopes: with ones this mistake cannot be seen.",
    ),
}


@exercise(
    section="Channels, weights and work",
    correct="six friends with a mistake, one without, told apart by an instrument that knows only "
    "the way forward.",
    hints=(
        "Draw random slopes for y. The loss is then np.sum(slope * forward(x, kernel, bias)), one "
        "number, and backward(x, kernel, bias, slope) claims how it changes.",
        "For each place of each of the three arrays: a little more, a little less, the difference "
        "of the losses divided by 2 * step. A step of 1e-5 is good.",
        "Name an array if np.abs(measured - given).max() is above a thousandth of "
        "np.abs(measured).max().",
    ),
)
def faulty(answer):
    rng = np.random.default_rng(8)
    x, kernel, bias = (rng.normal(size=s) for s in ((2, 4, 4, 1), (2, 2, 1, 2), (2,)))
    for fault, (wanted, message) in FRIENDS.items():
        found = answer(*friend(fault), x, kernel, bias)
        if isinstance(found, str) or not isinstance(found, (list, tuple, set, np.ndarray)):
            raise Mistake('return a list of names, for example ["kernel"], or [] if all is right.')
        names = sorted({str(name) for name in found})
        for name in names:
            if name not in ("bias", "kernel", "x"):
                raise Mistake(f'the names are "x", "kernel" and "bias"; this is {name[:40]!r}.')
        if tuple(names) != wanted:
            said, right = (", ".join(n) or "nothing" for n in (names, wanted))
            raise Mistake(f"{message} You name {said}; wrong is {right}.")


# ---- the network --------------------------------------------------------------------------------

INPUT, CLASSES = (28, 28, 1), 10
SEES = 20
WEIGHTS, WORK, _ = varied(  # a fifth and a half of `convolution_small`; a design that fits
    "02_convolution",
    ("at most **{0:,}** parameters and at most **{1:,}** multiply-adds", "for filters in {2}"),
    (20_000, 1_000_000, (12, 24, 32)),
    (16_000, 750_000, (10, 20, 28)),
    (15_000, 800_000, (10, 22, 30)),
    (14_000, 700_000, (9, 18, 28)),
    (13_000, 650_000, (8, 18, 28)),
)
PICTURES, REACHED = 3_000, 0.70


def design(model, fresh=True):
    """Return (model, what it costs), or raise `Mistake` where it does not keep to the budget.

    `fresh` says that it is untrained: training may kill all its ReLUs.
    """
    from course_lib.audit import audit

    model = networks.a_model(model, INPUT)
    shape = tuple(model.outputs[0].shape[1:])
    if shape != (CLASSES,):
        reason = " Flatten the maps before the last Dense." if len(shape) == 3 else ""
        raise Mistake(f"a picture gives {shape}; it should give ({CLASSES},), the logits.{reason}")
    if not any(len(weight.shape) == 4 for weight in model.weights):
        raise Mistake("there is no convolution in it.")
    try:
        counted = audit(model)
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise Mistake(
            f"its work cannot be counted ({type(error).__name__}: {reason}). Use Keras's layers."
        ) from None
    rows = counted.rows
    if counted.params > WEIGHTS:
        largest = max(rows, key=lambda row: row.params)
        raise Mistake(
            f"it has {counted.params:,} parameters, {largest.params:,} of them in "
            f"`{largest.path}`; {WEIGHTS:,} are allowed. What reaches that layer?"
        )
    if counted.macs > WORK:
        largest = max(rows, key=lambda row: row.macs or 0)
        raise Mistake(
            f"it does {counted.macs:,} multiply-adds, {largest.macs:,} of them in "
            f"`{largest.path}`; {WORK:,} are allowed. Pool earlier, or make it narrower."
        )
    sides = [max(row.field) for row in rows if len(row.output_shape) == 3]
    sees = max((side for side in sides if np.isfinite(side)), default=0)
    if sees < SEES:
        raise Mistake(
            f"a neuron of its last maps sees {sees} pixels of a side; it should see {SEES} at "
            "least. A pooling doubles the step of all that follows."
        )
    rng = np.random.default_rng(3)
    one, two = rng.normal(size=(2, *INPUT)).astype("float32")
    answers = [response(model, picture) for picture in (one, two, one + two, 0 * one)]
    if abs(answers[0].sum() - 1) < 1e-3 and np.all(answers[0] >= 0):
        raise Mistake("it ends in a softmax. Return the logits; the loss takes them.")
    gap = np.abs(answers[0] + answers[1] - answers[2] - answers[3]).max()
    if fresh and gap < 1e-4 * max(np.abs(answers[0]).max(), 1e-6):
        raise Mistake(
            "there is no activation in it, so that one layer could do what all of them do: "
            "activation='relu'."
        )
    return model, (
        f"{counted.params:,} parameters, {counted.macs:,} multiply-adds, and a neuron of the last "
        f"maps sees {sees:g} x {sees:g} pixels."
    )


@exercise(
    section="The network",
    correct="a fifth of the parameters and half of the work of the notebook's network.",
    hints=(
        "keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(...), ...]). Count before "
        "you build: a convolution on 28 x 28 pixels does 784 times its weights.",
        "Three times a 3 x 3 convolution with ReLU and a 2 x 2 pooling sees 22 pixels. The "
        "notebook's widths are too many: begin narrow, and widen where the maps are small.",
        "Conv2D(12, 3, padding='same', activation='relu'), MaxPooling2D(2), the same with 24 and "
        "with 32, Flatten(), Dense(10). Without a hidden layer nearly all is in the filters.",
    ),
)
def network(answer):
    return design(answer())[1]


@exercise(
    section="Train it",
    correct="the network is yours, the recipe too. The notebook's network had three times as many "
    "pictures, and five times the weights.",
    hints=(
        "model.compile(optimizer, loss), then model.fit(x, labels, batch_size, epochs). The labels "
        "are class numbers and the network gives logits: which loss takes both?",
        "keras.losses.SparseCategoricalCrossentropy(from_logits=True) and keras.optimizers.Adam("
        "3e-3), batches of 32, three passes. Return the model, not what fit returns.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model, _ = design(answer(*splits.train), fresh=False)
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), or a higher rate (0.003 is not too much for Adam).",
    )


# ---- the patient --------------------------------------------------------------------------------

UNEQUAL = "test pictures scaled in another way"
CAUSES = {
    "overfitting": "then pictures that were held back would do badly too. Of these 84 % are right.",
    "learning rate too high": "then the training would go wrong. It ends at 90 %.",
    "too few passes": "more passes cannot mend it: what was learned is good, 90 and 84 %.",
    "test labels shuffled": "then the answers would still be of all classes. Here nearly all are "
    "one class: to the network the test pictures look alike.",
}


@exercise(
    section="A picture is a tensor",
    correct="whatever is done to the training pictures is done to all others, with the same "
    "numbers. No error is raised where it is forgotten.",
    hints=(
        "Print the smallest and the largest number of both results. Where do they differ?",
        "train runs from 0 to 255 before the mean is taken away, test from 0 to 1: all its pixels "
        "become nearly the same number.",
        "Do not divide test by 255; mean and deviation stay those of the training pictures.",
    ),
)
def mended(answer):
    rng = np.random.default_rng(6)
    train = rng.integers(0, 256, size=(20, 4, 5, 1)).astype("uint8")
    test = rng.integers(60, 256, size=(12, 4, 5, 1)).astype("uint8")
    result = answer(train, test)
    pair = networks.diagnosed(result, UNEQUAL, CAUSES, "the pair (train, test)")
    got_train, got_test = parts(pair, ("train", "test"))

    def scaled(pixels, by):
        return (pixels - by.mean()) / by.std()

    both = np.concatenate([train, test])
    expect(
        got_train,
        scaled(train, train),
        {
            "the training pictures are scaled in another way than before. The network was trained "
            "on pictures with mean 0 and deviation 1: change the test pictures.": train / 255,
            "the training pictures are no longer scaled at all. The network was trained on scaled "
            "ones: change the test pictures.": train,
            "the mean is that of all pictures. Test pictures must not decide how training "
            "pictures look.": scaled(train, both),
            "train is divided by 255 too, and the mean is that of before. The network was trained "
            "on other pictures.": scaled(train / 255, train),
            "train and test are swapped.": scaled(test, train),
        },
        "train",
    )
    expect(
        got_test,
        scaled(test, train),
        {
            "test is still divided by 255 first: its pixels run from 0 to 1 where those of train "
            "ran from 0 to 255.": scaled(test / 255, train),
            "test is scaled by its own mean and deviation. A dark picture would then look like a "
            "bright one: use those of the training pictures.": scaled(test, test),
            "test is divided by 255, and mean and deviation are not used.": test / 255,
            "test is not scaled at all.": test,
            "the mean is not taken away from test.": test / train.std(),
            "test is not divided by the deviation.": test - train.mean(),
        },
        "test",
    )
