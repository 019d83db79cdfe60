"""The exercises of assignment 08: block, network, training, a budget, a layer gone, a patient.

Facts: Huang, Liu, van der Maaten and Weinberger 2017, section 3; counts from the ledger's
`densenet_small`.
"""

import functools
from functools import partial

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    networks,
    numbers,
    parts,
    recognise,
    varied,
)

exercise = assignment("08_densenet")

# ---- build: the block ---------------------------------------------------------------------------


def block_of(x, layers, growth, slip=""):
    """Put a dense block with bottleneck behind `x`; `slip` names a mistake to make."""
    import keras  # only the exercises that build need it

    from course_lib.layers import BatchNormalization

    def norm(y):
        return BatchNormalization()(y)

    def relu(y):
        return keras.layers.ReLU()(y)

    def conv(y, channels, side):
        bias = slip == "bias"
        return keras.layers.Conv2D(channels, side, padding="same", use_bias=bias)(y)

    def new(y):
        middle = growth if slip == "narrow" else 4 * growth
        last = 4 * growth if slip == "wide" else growth
        if slip == "resnet":
            return relu(norm(conv(relu(norm(conv(y, middle, 1))), last, 3)))
        if slip == "no bottleneck":
            return conv(relu(norm(y)), last, 3)
        y = {
            "no first ReLU": lambda: norm(y),
            "linear": lambda: norm(y),
            "ReLU first": lambda: norm(relu(y)),
            "no first norm": lambda: relu(y),
        }.get(slip, lambda: relu(norm(y)))()
        y = conv(y, middle, 3 if slip == "squares" else 1)
        y = {
            "no second ReLU": lambda: norm(y),
            "linear": lambda: norm(y),
            "ReLU first": lambda: norm(relu(y)),
            "no second norm": lambda: relu(y),
        }.get(slip, lambda: relu(norm(y)))()
        y = conv(y, last, 3)
        return relu(y) if slip == "ReLU last" else y

    def join(*some):
        some = some[::-1] if slip == "in front" else some
        return keras.layers.Concatenate()(list(some)) if len(some) > 1 else some[0]

    known, answers = x, []
    for _ in range(layers):
        seen = {
            "parallel": x,
            "chain": answers[-1] if answers else x,
            "forgets": join(*answers) if answers else x,
        }.get(slip, known)
        answers.append(new(seen))
        known = join(known, answers[-1])
    if slip == "last":
        return answers[-1]
    return join(*answers) if slip == "no input" else known


def block_model(shape, layers, growth, slip=""):
    import keras

    image = keras.Input(shape)
    return keras.Model(image, block_of(image, layers, growth, slip))


CASES = (((5, 6, 7), 3, 4), ((4, 4, 6), 1, 3))
BLOCK_SLIPS = {
    "the new channels are put in front of what is there. They come behind it.": "in front",
    "each layer sees the answer before it alone. It sees everything before it.": "chain",
    "each layer sees the input of the block alone. It sees the answers before it too.": "parallel",
    "behind the first layer the input of the block is forgotten. Every layer sees it.": "forgets",
    "the input of the block is missing in what comes back.": "no input",
    "only the last answer comes back. Return the input and all answers, beside each other.": "last",
    "both ReLUs of a layer are missing.": "linear",
    "the first ReLU of a layer is missing: one stands before each convolution.": "no first ReLU",
    "the second ReLU of a layer is missing: one stands before each convolution.": "no second ReLU",
    "the ReLUs come before the normalisations. The order is normalisation, ReLU, convolution.": (
        "ReLU first"
    ),
    "there is a ReLU behind the 3 x 3 convolution. The new channels are left as they are.": (
        "ReLU last"
    ),
    "the normalisation comes after each convolution, as in ResNet. Here it comes before.": (
        "resnet"
    ),
    "the convolutions have biases. The normalisation behind shifts already: use_bias=False.": (
        "bias"
    ),
    "the 1 x 1 convolution makes `growth` channels. The paper's makes 4 * growth.": "narrow",
    "a layer adds 4 * growth channels. It adds `growth`.": "wide",
    "the bottleneck is missing: a 1 x 1 convolution to 4 * growth channels.": "no bottleneck",
    "both kernels are 3 x 3. The first is 1 x 1.": "squares",
    "the first normalisation of a layer is missing.": "no first norm",
    "the second normalisation of a layer is missing.": "no second norm",
}
BLOCKS = {case: partial(block_model, *case) for case in CASES}
WRONG_BLOCKS = {
    case: {text: partial(block_model, *case, slip) for text, slip in BLOCK_SLIPS.items()}
    for case in CASES
}


@exercise(
    section="The block",
    correct="from the same weights it gives what the course's block gives. Every layer saw the "
    "input and all answers before its own.",
    hints=(
        "Keep one tensor of all that is known. For each layer make `new` from it, then known = "
        "keras.layers.Concatenate()([known, new]).",
        "new: BatchNormalization, ReLU, Conv2D(4 * growth, 1, use_bias=False), then "
        "BatchNormalization, ReLU, Conv2D(growth, 3, padding='same', use_bias=False).",
    ),
)
def dense_block(answer):
    for case in CASES:
        networks.expect_network(answer(*case), case[0], BLOCKS[case], WRONG_BLOCKS[case])


# ---- build: the network -------------------------------------------------------------------------

INPUT = (28, 28, 1)
GROWTH, FIRST = varied(
    "08_densenet",
    (
        "classes, with growth {0}:",
        "3 x 3 convolution to {1} channels at stride 2",
        "Conv2D({1}, 3, 2",
        "dense_block(x.shape[1:], 4, {0})(x)",
    ),
    *((k, 2 * k) for k in (12, 8, 10, 14, 16)),
)


def course_network(**changes):
    from course_lib.densenet import SMALL, DenseNet

    return DenseNet(**{**SMALL, "growth": GROWTH, **changes})


def other_network(slip):
    """`densenet_small` with a mistake."""
    import keras
    from keras import layers

    from course_lib.densenet import DenseBlock

    def ready(x):
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input(INPUT)
    x = layers.Conv2D(FIRST, 3, 2, padding="same", use_bias=False)(image)
    x = ready(x) if slip == "stem" else x
    x = layers.MaxPooling2D(2)(x) if slip == "early pooling" else x
    for number in range(3):
        x = DenseBlock(4, GROWTH)(x)
        if number == 2 and slip != "last transition":
            break
        x = x if slip == "linear" else ready(x)
        x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(x)
        pool = layers.MaxPooling2D if slip == "largest" else layers.AveragePooling2D
        x = x if slip == "no pooling" else pool(2, padding="same" if slip == "same" else "valid")(x)
    x = {
        "no end": lambda: x,
        "no last ReLU": lambda: layers.BatchNormalization()(x),
        "no last norm": lambda: layers.ReLU()(x),
    }.get(slip, lambda: ready(x))()
    x = layers.Flatten()(x) if slip == "flat" else layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x))


OTHERS = {
    text: partial(other_network, slip)
    for text, slip in {
        "behind the first convolution stand a normalisation and a ReLU. In this network the first "
        "dense layer brings its own.": "stem",
        "there is a pooling before the first block. In the small form the stride does that.": (
            "early pooling"
        ),
        "there is a transition after the last block. Transitions stand between two blocks.": (
            "last transition"
        ),
        "the transitions have no normalisation and no ReLU before their convolution.": "linear",
        "the transitions pool by the largest number. The paper takes the mean.": "largest",
        "the transitions do not pool.": "no pooling",
        "the pooling is padded: 7 x 7 should become 3 x 3, with the default padding.": "same",
        "after the last block the normalisation and the ReLU are missing.": "no end",
        "after the last block the normalisation is missing.": "no last norm",
        "after the last block the ReLU is missing.": "no last ReLU",
        "the maps are flattened. The paper takes the mean of each map.": "flat",
    }.items()
} | {
    "the transitions keep all channels. They keep half.": partial(course_network, compression=1.0),
    "the first convolution has stride 1. In the small form it has stride 2.": (
        partial(course_network, stem="cifar")
    ),
    "the first convolution makes k channels. It makes 2 k.": (
        partial(course_network, initial=GROWTH)
    ),
    f"the first convolution makes 16 channels, as without bottleneck. Here it makes {FIRST}.": (
        partial(course_network, initial=16)
    ),
}


@exercise(
    section="Train it",
    correct="from the same weights the same logits as the course's network.",
    hints=(
        f"A loop over three blocks: x = dense_block(x.shape[1:], 4, {GROWTH})(x). Behind the first "
        "and the second: BatchNormalization, ReLU, Conv2D(x.shape[-1] // 2, 1, use_bias=False), "
        "AveragePooling2D(2).",
        f"First Conv2D({FIRST}, 3, 2, padding='same', use_bias=False), and nothing between it and "
        "the first block. Last BatchNormalization, ReLU, GlobalAveragePooling2D(), Dense(10).",
    ),
)
def network(answer):
    return networks.expect_network(answer(), INPUT, course_network, OTHERS)


# ---- train --------------------------------------------------------------------------------------

PICTURES, REACHED, PARAMETERS = 2_000, 0.50, 15_000


def check_of_blocks(model):
    """Raise `Mistake` unless a network is small and made of dense layers."""
    kernels = networks.expect_small(model, PARAMETERS)
    dense = [k for k in kernels if k[:2] == (3, 3) and k[2] == 4 * k[3]]
    others = [k for k in kernels if k[0] > 1 and k not in dense]
    if len(dense) < 4:
        raise Mistake(
            f"{len(dense)} of its kernels are those of a dense layer, 3 x 3 from 4 k channels to "
            "k. Use your `dense_block`, with four layers in all."
        )
    if len(others) > 1:
        raise Mistake(
            f"beside the dense layers there are {len(others)} kernels that see neighbours. Only "
            "the first convolution may be one."
        )


@exercise(
    section="Train it",
    correct="fewer than 15,000 parameters, and no layer of a block adds more than a handful of "
    "channels.",
    hints=(
        "A first convolution to 16 channels at stride 2, AveragePooling2D(2), a block of 4 layers "
        "with growth 8, then the end of the network above: 14,202 parameters.",
        "Adam at 0.005, batches of 32, four passes. If fit shows far more than the check, the "
        "averages of batch normalisation are late: `BatchNormalization` from course_lib.layers "
        "has momentum 0.9.",
    ),
)
def train(answer):
    splits = networks.pictures(PICTURES)
    model = networks.a_model(answer(*splits.train), INPUT)
    check_of_blocks(model)
    return networks.expect_trained(
        model,
        splits,
        REACHED,
        "More passes, smaller batches (32), a higher rate (0.005). If fit showed far more than "
        "this, the averages of batch normalisation are late: momentum=0.9.",
    )


# ---- a design within a budget -------------------------------------------------------------------

DESIGNS = (  # channels in, layers, weights allowed
    (24, 4, 9_000),
    (24, 12, 100_000),
    (200, 4, 40_000),
    (16, 1, 2_880),  # exactly what growth 20 needs without bottleneck
    (50, 2, 400),  # too few for either
    (72, 1, 6_480),  # both allow the same
    (64, 5, 60_000),
)


def weights_of(start, layers, growth, bottleneck, slip=""):
    """The kernels' weights of a block; `slip` names a mistake to make."""
    total = 0
    for layer in range(layers):
        seen = start + growth * (layer + (slip == "late"))
        if slip == "start":
            seen = start
        if slip == "chain" and layer:
            seen = growth
        if not bottleneck:
            total += (3 if slip == "flat" else 9) * seen * growth
            continue
        middle = growth if slip == "narrow" else 4 * growth
        total += seen * middle
        if slip != "first":
            total += (3 if slip == "flat" else 9) * growth * middle
    return total


def largest(start, layers, budget, bottleneck, slip=""):
    """Try one number after the other."""
    growth = 0
    while weights_of(start, layers, growth + 1, bottleneck, slip) <= budget:
        growth += 1
    return growth


def widest(case, slip=""):
    """Return (growth, bottleneck) as 1 or 0; without where both allow the same."""
    plain, narrow = (largest(*case, bottleneck, slip) for bottleneck in (False, True))
    return (narrow, 1) if narrow > plain else (plain, 0)


@exercise(
    section="Bottleneck: a 1 x 1 convolution first",
    correct="a bottleneck pays where a layer sees more than 7.2 k channels, so in long blocks and "
    "behind wide inputs. With few channels it costs.",
    hints=(
        "Write the weights of a block as a function of growth and bottleneck: a loop over the "
        "layers, in which layer 1 sees `start` channels, layer 2 start + growth, and so on.",
        "Without bottleneck a layer has 9 * seen * growth weights, with it seen * 4 * growth + "
        "9 * 4 * growth * growth. Raise growth as long as the block stays within the budget, once "
        "with and once without, and take the larger of the two.",
    ),
)
def widest_block(answer):
    calls = [f"widest_block{case}" for case in DESIGNS]
    found = []
    for case, what in zip(DESIGNS, calls, strict=True):
        growth, bottleneck = parts(answer(*case), ("the growth", "True or False"))
        pair = numbers(growth, f"{what}[0]"), numbers(bottleneck, f"{what}[1]")
        for value, name in zip(pair, ("growth", "bottleneck"), strict=True):
            if value.ndim:
                raise Mistake(f"the {name} of {what} has shape {value.shape}, not one number.")
        found.append([float(value) for value in pair])

    def each(slip):
        return [widest(case, slip) for case in DESIGNS]

    def always(bottleneck):
        return [(largest(*case, bottleneck), bottleneck) for case in DESIGNS]

    right = np.array(each(""))
    if np.array_equal(found, right):
        return
    pairs = [[largest(*case, b) for b in (False, True)] for case in DESIGNS]
    recognise(
        found,
        {
            "this is always the block with bottleneck. Try it without too.": always(1),
            "no block has a bottleneck here. Some allow more with one. Is its first convolution "
            "counted as 1 x 1, and the second on the 4 * growth channels alone?": always(0),
            "True and False are swapped: the second is whether there is a bottleneck.": (
                right * [1, -1] + [0, 1]
            ),
            "the two are swapped: the growth comes first.": right[:, ::-1],
            "this is the block with the smaller growth. The larger one is asked for.": [
                (min(p), int(p[1] < p[0])) for p in pairs
            ],
            "where both allow the same growth, take the block without bottleneck.": [
                (max(p), int(p[1] >= p[0])) for p in pairs
            ],
            "all layers read `start` channels here. Layer 2 sees growth more, and so on.": (
                each("start")
            ),
            "layer 1 sees `start` channels; nothing has been added yet.": each("late"),
            "this is a chain, in which a layer sees the layer before it alone.": each("chain"),
            "the 1 x 1 convolution makes `growth` channels here. The paper's makes 4 * growth.": (
                each("narrow")
            ),
            "the 3 x 3 convolution behind the bottleneck is not counted.": each("first"),
            "the window is a square: 9 weights for each pair of channels.": each("flat"),
            "this is one too many: with it the block is beyond the budget.": right + [1, 0],
            "a block that has exactly as many weights as the budget is allowed.": [
                widest((start, layers, budget - 1)) for start, layers, budget in DESIGNS
            ],
            "where not even growth 1 fits, return 0.": np.maximum(right, [1, 0]),
        },
    )
    for case, pair, what in zip(DESIGNS, found, calls, strict=True):
        growth, bottleneck = widest(case)
        expect(pair[0], growth, {}, f"The growth of {what}")
        expect(pair[1], bottleneck, {}, f"Whether {what} has a bottleneck (1 is True)")


# ---- predict, then measure ----------------------------------------------------------------------

JOINS, DEEPEST = ("beside", "added", "behind"), 12
CHOICES = (
    "only where answers are added",
    "beside and added",
    "in all three",
    "in none of the three",
)


@functools.cache
def sizes(join):
    """Return the standard deviation of what leaves 0, 1, ... layers that are not trained."""
    import keras

    from course_lib.layers import BatchNormalization

    keras.utils.set_random_seed(0)
    image = keras.Input(INPUT)
    x = keras.layers.Conv2D(12, 3, 4, padding="same", use_bias=False)(image)
    x = BatchNormalization()(x)
    stages = [x]
    for _ in range(DEEPEST):
        new = keras.layers.ReLU()(BatchNormalization()(x))
        new = keras.layers.Conv2D(
            12, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(new)
        if join == "beside":
            x = keras.layers.Concatenate()([x, new])
        else:
            x = new if join == "behind" else keras.layers.Add()([x, new])
        stages.append(x)
    images, _ = networks.pictures(2_000).validation
    found = keras.Model(image, stages)(images[:64], training=True)
    return [float(np.std(keras.ops.convert_to_numpy(stage))) for stage in found]


def measured_size(join, layers):
    if not isinstance(join, str) or join not in JOINS:
        allowed = ", ".join(map(repr, JOINS))
        raise Mistake(f"join is {str(join)[:40]!r}; allowed: {allowed}.")
    whole = isinstance(layers, (int, np.integer)) and not isinstance(layers, bool)
    if not whole or not 0 <= layers <= DEEPEST:
        raise Mistake(f"layers is {str(layers)[:40]}; allowed: a whole number from 0 to {DEEPEST}.")
    return sizes(join)[layers]


@exercise(
    section="Adding and putting beside",
    correct="answers of size 1 that have nothing to do with each other add up to the root of their "
    "number. In a long sum each new answer is a smaller share; beside each other all keep their "
    "size, and what grows is the number of channels.",
    hints=(
        "predict('...') first, with one of the four sentences. Then measure all three joins with "
        "0 layers and with 8 or more.",
        "The numbers grow where the size at the end is more than one and a half times that at 0.",
    ),
)
def which_grows(answer):
    measured, concluded = networks.experiment(answer, CHOICES, measured_size)
    grown = {}
    for join in JOINS:
        most = max((n for name, n in measured if name == join), default=0)
        if (join, 0) not in measured or most < 8:
            raise Mistake(
                f"you cannot tell whether the numbers grow: measure({join!r}, 0) and "
                f"measure({join!r}, 8), or more layers."
            )
        grown[join] = measured[join, most] / measured[join, 0]
    right = {
        (False, True, False): CHOICES[0],
        (True, True, False): CHOICES[1],
        (True, True, True): CHOICES[2],
    }.get(tuple(ratio > 1.5 for ratio in grown.values()), CHOICES[3])
    if concluded != right:
        rows = ", ".join(f"{join} {ratio:.1f} times" for join, ratio in grown.items())
        raise Mistake(
            f"the numbers at the end are, against those at 0 layers: {rows} as large. "
            f"{concluded!r} does not fit."
        )
    return networks.tell(answer.name, measured, concluded)


# ---- the patient --------------------------------------------------------------------------------

ALONE = "every batch is normalised by itself"
CAUSES = {
    "overfitting": "the 1,000 pictures are new to the network, and `evaluate` sorts most of them.",
    "averages of batch normalisation come too late": "then `evaluate`, which uses them, would find "
    "few right in its first answer.",
    "labels and pictures in another order": "then no batch would come out right, mixed or sorted.",
    "dropout is still on": "dropout does not ask which pictures stand beside one, and the order "
    "decides here.",
}


@functools.cache
def patient():
    """Return a network with batch normalisation; its weights are those of `networks.fill`."""
    import keras

    from course_lib.layers import BatchNormalization

    image = keras.Input(INPUT)
    x = keras.layers.Conv2D(8, 3, 4, padding="same", use_bias=False)(image)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(10)(x))
    networks.fill(model)
    return model


def asked_pictures():
    x = np.random.default_rng(7).normal(size=(6, *INPUT)).astype("float32")
    x[3:] += 1
    return x


@functools.cache
def asked(size, training=True):
    """Return what the patient gives for its pictures, in batches of a size."""
    import keras

    model, x = patient(), asked_pictures()
    kept = model.get_weights()
    found = [
        keras.ops.convert_to_numpy(model(x[i : i + size], training=training))
        for i in range(0, len(x), size)
    ]
    model.set_weights(kept)
    return np.concatenate(found).astype("float64")


@exercise(
    section="The block",
    correct="in training a batch is normalised by its own mean and deviation, in use by the "
    "averages. A batch of one class has lost what its pictures have in common. `predict` and "
    "`evaluate` know; whoever calls the model has to say it.",
    hints=(
        "What does the order of the pictures change, if each is judged for itself? Which layer "
        "looks at the whole batch?",
        "model(images, training=False), or model.predict(images). keras.ops.convert_to_numpy makes "
        "an array of it.",
    ),
)
def mended(answer):
    import keras

    given = answer(patient(), asked_pictures())
    result = networks.diagnosed(given, ALONE, CAUSES, "the logits")
    if keras.ops.is_tensor(result):
        result = keras.ops.convert_to_numpy(result)
    found, right = numbers(result, "What comes back as logits"), asked(6, False)
    odds = np.exp(right - right.max(axis=1, keepdims=True))
    again = "the batches are still normalised by themselves: "
    mistakes = {
        again + "this is the model in training, on all pictures at once.": asked(6),
        again + "one picture at a time is a batch of one.": asked(1),
        "these are probabilities. Return the logits, as the model gives them.": (
            odds / odds.sum(axis=1, keepdims=True)
        ),
        "these are class numbers. Return the ten logits of each picture.": right.argmax(axis=1),
    }
    expect(found, right, mistakes, "The array of logits", 1e-4)
