"""The exercises of assignment 09: a full kernel taken apart, the block, the whole network.

Facts: Howard et al. 2017, sections 3.1 to 3.4, figure 3, table 1; counts from the ledger.
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

exercise = assignment("09_mobilenet")


def filtered(x, kernel, stride=1, mode="constant"):
    """Filter (height, width, channels) channel by channel, as "same" padding at the bottom right.

    At stride 1 with a 3 x 3 window one pixel is padded on each side.
    """
    before = [(1, 1) if stride == 1 or side % 2 else (0, 1) for side in x.shape[:2]]
    x = np.pad(x, (*before, (0, 0)), mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (0, 1))[::stride, ::stride]
    return np.einsum("hwcij,ijc->hwc", windows, kernel)


def product(windows, mix):
    return np.einsum("ijm,mn->ijmn", windows, mix)


def taken_apart(kernel):
    """(windows, mix) of the closest separable kernel: one singular vector for each input."""
    _, _, inputs, outputs = kernel.shape
    windows, mix = np.zeros((3, 3, inputs)), np.zeros((inputs, outputs))
    for m in range(inputs):
        left, sizes, right = np.linalg.svd(kernel[:, :, m].reshape(9, outputs))
        windows[:, :, m] = (left[:, 0] * sizes[0]).reshape(3, 3)
        mix[m] = right[0]
    return windows, mix


@exercise(
    section="The two steps by hand",
    correct="every separable layer is a full one whose output channels share their windows. The "
    "other way round something is lost, and you found the least that can be.",
    hints=(
        "For input channel m the full kernel is a table of 9 window places x outputs: "
        "kernel[:, :, m].reshape(9, -1). A separable layer has windows[:, :, m] times mix[m] "
        "there: one column times one row.",
        "The closest table that is a column times a row comes from np.linalg.svd: left[:, 0] * "
        "sizes[0] * right[0]. The column is the window, the row the mix.",
        "One svd for each input channel. windows[:, :, m] = (left[:, 0] * sizes[0]).reshape(3, 3), "
        "mix[m] = right[0].",
    ),
)
def separated(answer):
    names = ("windows", "mix")

    def asked(kernel):
        windows, mix = parts(answer(kernel), names)
        inputs, outputs = kernel.shape[2:]
        windows = shaped(windows, (3, 3, inputs), "windows")
        return windows, shaped(mix, (inputs, outputs), "mix")

    rng = np.random.default_rng(1)
    windows, mix = rng.normal(size=(3, 3, 4)), rng.normal(size=(4, 6))
    kernel = product(windows, mix)
    got = asked(kernel)
    made = product(*got)
    sizes = np.sqrt((kernel**2).sum(axis=(0, 1, 3), keepdims=True))
    expect(
        made,
        kernel,
        {
            "the sizes are missing: left, sizes and right are multiplied.": (kernel / sizes),
            "the sizes are in both parts, so that they count twice.": (kernel * sizes),
            "the window is the mean over the outputs, and mix holds ones. Each output has its own "
            "share of the window.": kernel.mean(axis=3, keepdims=True) + 0 * kernel,
            "the window is that of the first output, and mix holds ones. Each output has its own "
            "share of the window.": kernel[..., :1] + 0 * kernel,
        },
        "For a kernel that was made of windows and a mix, windows[..., None] * mix",
        1e-4,
    )
    kernel = rng.normal(size=(3, 3, 3, 5))
    windows, mix = asked(kernel)
    made, best = product(windows, mix), product(*taken_apart(kernel))
    lost, least = ((kernel - one) ** 2 for one in (made, best))
    if not np.all(np.isfinite(made)):
        raise Mistake("windows or mix contain nan or inf.")
    if lost.sum() > 1.001 * least.sum():
        ratio = lost.sum() / least.sum()
        reason = "One svd for each input channel gives the least."
        first = product(kernel[..., 0], kernel[0, 0] / kernel[0, 0, :, :1])
        if same_up_to(made, first):
            reason = (
                "The window of one output is taken for all. It need not be near any of the others."
            )
        mean = np.einsum("ijmn->ijm", kernel) / 5
        fitted = np.einsum("ijm,ijmn->mn", mean, kernel) / (mean**2).sum(axis=(0, 1))[:, None]
        if same_up_to(made, product(mean, fitted)):
            reason = (
                "The mean of the windows is a good guess and not the best: outputs may differ in "
                "sign, and then it cancels."
            )
        raise Mistake(
            f"a kernel that is not separable should be met as closely as possible. Yours misses it "
            f"by {ratio:.2f} times the least sum of squares. {reason}"
        )


def same_up_to(one, other):
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-6))


@exercise(
    section="The block in code",
    correct="figure 3 of the paper, on the right. Thirteen of these make MobileNet.",
    hints=(
        "Six layers in a row: depthwise, batch normalisation, ReLU, pointwise, batch "
        "normalisation, ReLU.",
        "keras.layers.DepthwiseConv2D(3, strides, 'same', use_bias=False), "
        "keras.layers.BatchNormalization(), keras.layers.ReLU(), "
        "keras.layers.Conv2D(filters, 1, use_bias=False).",
        "Begin with image = keras.Input(input_shape), end with keras.Model(image, x).",
    ),
)
def block(answer):
    import keras  # only this exercise needs it

    shape, filters = (6, 8, 4), 5
    models = {strides: answer(shape, filters, strides) for strides in (1, 2)}
    models = {strides: expect_model(model, shape) for strides, model in models.items()}
    kernels = [tuple(w.shape) for w in models[2].trainable_weights if len(w.shape) == 4]
    if (3, 3, 4, 5) in kernels:
        raise Mistake("there is a full 3 x 3 convolution. The 3 x 3 step is depthwise.")
    if (3, 3, 4, 1) not in kernels:
        raise Mistake(
            "there is no depthwise 3 x 3 step with one window for each of the 4 input channels. "
            f"Kernels of this model: {', '.join(map(str, kernels)) or 'none'}."
        )
    if kernels != [(3, 3, 4, 1), (1, 1, 4, 5)]:
        raise Mistake(
            "the kernels should be (3, 3, 4, 1), then (1, 1, 4, 5): filter, then combine. "
            f"Kernels of this model: {', '.join(map(str, kernels))}."
        )
    for strides, (height, width) in ((1, (6, 8)), (2, (3, 4))):
        got = tuple(models[strides].outputs[0].shape[1:])
        if got != (height, width, 5):
            raise Mistake(
                f"with strides={strides} the model makes {got} of {shape}; it should make "
                f"{(height, width, 5)}. Padding is 'same', and one of the steps has the stride."
            )
    weights = 36 + 20
    expect(
        models[2].count_params(),
        weights + 4 * (4 + 5),
        {
            "there is no batch normalisation; it follows each of the two steps.": weights,
            "biases and no batch normalisation: it should be the other way round.": weights + 9,
            "batch normalisation has a shift of its own, so use_bias=False.": weights + 5 * 9,
            "batch normalisation follows the pointwise step only.": weights + 4 * 5,
            "batch normalisation follows the depthwise step only.": weights + 4 * 4,
        },
        "The number of parameters",
    )
    model = models[2]
    epsilon = [
        layer.epsilon
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if len(epsilon) != 2:
        raise Mistake(f"there should be two batch normalisations; this model has {len(epsilon)}.")
    rng = np.random.default_rng(4)
    names = {"gamma": [], "beta": [], "moving_mean": [], "moving_variance": []}
    for weight in model.weights:
        scale = np.abs(rng.normal(size=weight.shape)) + 0.5
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign((scale if positive else rng.normal(size=weight.shape)).astype("float32"))
        if weight.name in names:
            names[weight.name].append(numbers(weight))
        elif weight.shape[0] == 3:
            window = numbers(weight)[..., 0]
        else:
            mix = numbers(weight)[0, 0]
    x = rng.normal(size=shape).astype("float32")
    got = response(model, x)

    def norm(value, i):
        gamma, beta, mean, variance = (names[name][i] for name in names)
        return gamma * (value - mean) / np.sqrt(variance + epsilon[i]) + beta

    def relu(value):
        return np.maximum(value, 0)

    def plain(value):
        return value

    def made(first=relu, second=relu, late=False, early=False):
        kept = x.astype("float64")
        if late:  # the stride is in the pointwise step
            value = filtered(kept, window)
        else:
            value = filtered(kept, window, 2)
        value = norm(relu(value), 0) if early else first(norm(value, 0))
        value = value @ mix
        value = norm(relu(value), 1) if early else second(norm(value, 1))
        return value[::2, ::2] if late else value

    filtering = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    if max(filtering[0].strides) > 1:
        elsewhere = (
            "the picture is padded on all four sides before the depthwise step. Here the padding "
            "is that of padding='same', which at stride 2 and even sides adds to the bottom and "
            "the right only, as the authors' code does."
        )
    else:
        elsewhere = (
            "the stride is in the pointwise step: three quarters of the filtered pixels are thrown "
            "away. The depthwise step has it."
        )
    expect(
        got,
        made(),
        {
            "there is no ReLU. One follows each batch normalisation.": made(plain, plain),
            "the ReLU after the depthwise step is missing.": made(first=plain),
            "the ReLU at the end is missing.": made(second=plain),
            elsewhere: made(late=True),
            "the ReLU stands before the batch normalisation. It comes after it.": made(early=True),
        },
        "With random weights and strides=2 the output",
        tolerance=5e-3,  # a GPU rounds convolutions to about three digits
    )
    equal = expect_model(answer(shape, 4, 1), shape)
    for weight in equal.weights:
        scale = rng.normal(size=weight.shape) if len(weight.shape) == 4 else None
        if scale is not None:
            weight.assign(scale.astype("float32"))
    window, mix = (numbers(w) for w in equal.weights if len(w.shape) == 4)
    steps = relu(filtered(x.astype("float64"), window[..., 0])) @ mix[0, 0]
    expect(
        response(equal, x),
        relu(steps),
        {
            "at stride 1, with as many channels out as in, the input is added. MobileNet, of "
            "2017, has no shortcut; its second version has.": relu(steps) + x,
        },
        "With 4 channels in and out and strides=1 the output",
        tolerance=5e-3,
    )


# ---- the whole network --------------------------------------------------------------------------

INPUT = (28, 28, 1)
ALPHA, _, FIRST, SCALED = varied(
    "09_mobilenet",
    (
        "with `alpha` = {0}: every layer has {1} of the paper's channels",
        "Conv2D({2}, 3",
        "block(x.shape[1:], {3}, stride)",
    ),
    (0.25, "a quarter", 8, "channels // 4"),
    (0.1875, "three sixteenths", 6, "channels * 3 // 16"),
    (0.3125, "five sixteenths", 10, "channels * 5 // 16"),
    (0.375, "three eighths", 12, "channels * 3 // 8"),
)


def course_network(**changes):
    from course_lib.mobilenet import SMALL, MobileNet

    return MobileNet(**{**SMALL, "alpha": ALPHA, **changes})


def other_network(slip):
    """`mobilenet_small` with a mistake."""
    import keras
    from keras import layers

    from course_lib.mobilenet import BLOCKS, DepthwiseSeparable

    image = keras.Input(INPUT)
    x = layers.Conv2D(FIRST, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for number, (filters, strides) in enumerate(BLOCKS, 1):
        late = slip == "last stride" and number == 13
        x = DepthwiseSeparable(int(ALPHA * filters), 2 if late else strides)(x)
    x = layers.Flatten()(x) if slip == "flat" else layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x))


OTHERS = {
    "the first convolution strides. On 28 pixels it has stride 1, so that the maps do not become "
    "too small.": partial(course_network, stem_strides=2),
    "the last block strides too. The stride of 2 that the paper's table prints there is a "
    "misprint: 7 x 7 stays 7 x 7.": partial(other_network, "last stride"),
    "the maps are flattened. The network takes the mean of each map, global average pooling.": (
        partial(other_network, "flat")
    ),
    "the five equal blocks at stride 1 are missing: blocks 7 to 11.": (
        partial(course_network, shallow=True)
    ),
}


@exercise(
    section="The network",
    correct="from the same weights the same logits as the course's network.",
    hints=(
        "A loop over (channels, stride): x = block(x.shape[1:], channels, stride)(x). Thirteen "
        f"blocks, and before them a full convolution to {FIRST} channels, BatchNormalization and "
        "ReLU.",
        f"Of the table's numbers take {SCALED}. At the end "
        "keras.layers.GlobalAveragePooling2D() and keras.layers.Dense(10).",
    ),
)
def network(answer):
    return networks.expect_network(answer(), INPUT, course_network, OTHERS)


# ---- predict, then measure ----------------------------------------------------------------------

# Table 1: channels and stride of the thirteen blocks; the last stride as in the authors' code.
TABLE = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
TABLE += [(1024, 2), (1024, 1)]


def layers_of(alpha, side):
    """Return the multiply-adds of each layer: (kind, number)."""
    side = -(-side // 2)
    channels = max(int(32 * alpha), 8)
    found = [("first", side**2 * 27 * channels)]
    for filters, stride in TABLE:
        side = -(-side // stride)
        found.append(("depthwise", side**2 * 9 * channels))
        before, channels = channels, max(int(filters * alpha), 8)
        found.append(("pointwise", side**2 * before * channels))
    return [*found, ("classifier", 1000 * channels)]


def pointwise_share(alpha, side):
    """Return the share of the multiply-adds that pointwise layers do, in %."""
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0.1 <= alpha <= 1:
        raise Mistake(f"alpha is {alpha!r}; allowed: a number from 0.1 to 1.")
    if isinstance(side, bool) or not isinstance(side, (int, np.integer)):
        raise Mistake(f"side is {side!r}; allowed: a whole number of pixels from 96 to 320.")
    if not 96 <= side <= 320:
        raise Mistake(f"side is {side}; allowed: 96 to 320 pixels.")
    work = layers_of(alpha, side)
    return 100 * sum(n for kind, n in work if kind == "pointwise") / sum(n for _, n in work)


CHOICES = (
    "only alpha moves it",
    "only the side moves it",
    "both dials move it",
    "neither dial moves it",
)


@exercise(
    section="Two dials",
    correct="a pointwise layer's work goes with the square of the channels, a depthwise layer's "
    "with the channels alone. The side multiplies both alike. A thin MobileNet spends more of its "
    "time on what is slowest on most machines.",
    hints=(
        "predict('...') first, with one of the four sentences. Then measure(1.0, 224), "
        "measure(0.25, 224) and measure(1.0, 128): one dial at a time.",
        "Subtract. A difference below two points is none here.",
    ),
)
def where_the_work_is(answer):
    measured, concluded = networks.experiment(answer, CHOICES, pointwise_share)

    def moves(dial):
        """The largest change by this dial alone, over a factor of at least 1.5."""
        found = []
        for one, share in measured.items():
            for other, changed in measured.items():
                if one[1 - dial] == other[1 - dial] and one[dial] >= 1.5 * other[dial]:
                    found.append(share - changed)
        return max(found, key=abs, default=None)

    by_alpha, by_side = moves(0), moves(1)
    for name, change, example in (
        ("alpha", by_alpha, "measure(1.0, 224) and measure(0.25, 224)"),
        ("the side", by_side, "measure(1.0, 224) and measure(1.0, 128)"),
    ):
        if change is None:
            raise Mistake(
                f"you cannot tell what {name} does: turn it alone, by a factor of 1.5 or more. For "
                f"example {example}."
            )
    moving = abs(by_alpha) > 2, abs(by_side) > 2
    right = CHOICES[{(True, False): 0, (False, True): 1, (True, True): 2}.get(moving, 3)]
    if concluded != right:
        raise Mistake(
            f"turned up alone, alpha changed the share by {by_alpha:+.1f} points and the side by "
            f"{by_side:+.1f}; less than two is none. {concluded!r} does not fit."
        )
    return networks.tell(answer.name, measured, concluded)


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED, WEIGHTS = 3_000, 0.60, 10_000


def check_separable(model):
    """Raise `Mistake` unless a network is small and made of separable layers."""
    kernels = networks.expect_small(model, WEIGHTS)
    networks.no_full_convolution(kernels, "blocks")
    deep = [k for k in kernels if k[0] > 1 and k[2] > 1 and k[3] == 1]
    if len(deep) < 3:
        raise Mistake(f"there are {len(deep)} depthwise layers in it; use your block three times.")


@exercise(
    section="Train it",
    correct="fewer than 10,000 parameters, nearly all in the layers that combine, and it knows its "
    "clothes.",
    hints=(
        "A first convolution to 16 channels, then blocks with 24, 48 and 96 channels at stride 2, "
        "the mean of the maps, and Dense(10): about 8,000 parameters.",
        "Batches of 32, Adam at 0.01, five passes. Evaluation uses averages that move by a "
        "hundredth a step: a few hundred steps are needed before they are right.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    check_separable(model)
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), a higher rate (0.01). If fit showed far more than "
        "this, the averages of batch normalisation are late: more steps, or momentum=0.9.",
    )


# ---- the patient --------------------------------------------------------------------------------

TWICE = "softmax taken twice"
CAUSES = {
    "learning rate too low": "then the accuracy would rise slowly. It is at 90 %.",
    "labels wrong": "then 90 % could not be right.",
    "overfitting": "this is the loss on the training pictures, and it is too high, not too low.",
    "too few pictures": "few pictures make a low training loss, not one that stays at 1.57.",
}


@exercise(
    section="Train it",
    correct="softmax of numbers between 0 and 1 is never surer than e / (e + 9), so the loss of a "
    "perfect answer among ten is 1.46. Slopes become small, and training slow.",
    hints=(
        "What does Dense(10, activation='softmax') give, and what does the layer behind it do?",
        "One softmax is enough. Most exactly the loss takes it: Dense(10) at the end, and "
        "SparseCategoricalCrossentropy(from_logits=True).",
    ),
)
def mended(answer):
    model = networks.diagnosed(answer(), TWICE, CAUSES, "the compiled network")
    looked = networks.a_model(model, INPUT)
    if not getattr(model, "compiled", False):
        raise Mistake("the network is not compiled. The loss is a part of what has to be mended.")
    ends = [w for w in looked.weights if tuple(w.shape)[-1:] == (10,)]
    if [tuple(w.shape) for w in ends] != [(2704, 10), (10,)]:
        raise Mistake("this is another network. Keep its layers: 16 channels, Flatten, Dense(10).")
    import keras

    rng = np.random.default_rng(2)
    logits = 3 * rng.normal(size=10)
    kept = looked.get_weights()
    ends[0].assign(np.zeros((2704, 10), "float32"))
    ends[1].assign(logits.astype("float32"))
    picture = rng.normal(size=(1, *INPUT)).astype("float32")
    losses = []
    for label in range(10):
        y = np.array([label])
        try:
            value = model.compute_loss(y=y, y_pred=looked(picture, training=False))
        except Exception as error:
            reason = " ".join(str(error).split())[:150]
            raise Mistake(
                f"the loss does not take class numbers ({type(error).__name__}: {reason}). Keep "
                "SparseCategoricalCrossentropy."
            ) from None
        losses.append(float(keras.ops.convert_to_numpy(value)))
    looked.set_weights(kept)

    def softmax(z):
        return np.exp(z) / np.exp(z).sum()

    clipped = np.clip(logits, 1e-7, 1 - 1e-7)
    expect(
        np.array(losses),
        -np.log(softmax(logits)),
        {
            "the softmax is still taken twice.": -np.log(softmax(softmax(logits))),
            "now nobody takes the softmax: the layer gives logits, and the loss believes that they "
            "are probabilities. from_logits=True.": -np.log(clipped / clipped.sum()),
        },
        "The loss of a picture for each label",
        1e-3,
    )
