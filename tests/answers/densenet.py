"""Answers to assignment 08."""

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.densenet import SMALL, DenseBlock, DenseLayer, DenseNet
from course_lib.layers import BatchNormalization

# dense_block


def norm(x, growth):
    return BatchNormalization()(x)


def relu(x, growth):
    return keras.layers.ReLU()(x)


def narrow(x, growth):
    return keras.layers.Conv2D(4 * growth, 1, use_bias=False)(x)


def conv(x, growth):
    return keras.layers.Conv2D(growth, 3, padding="same", use_bias=False)(x)


def wide_conv(x, growth):
    return conv(x, 4 * growth)


def beside(known, new):
    return keras.layers.Concatenate()([known, new])


PAPER = (norm, relu, narrow, norm, relu, conv)


def block(*steps, join=beside, sees=None, back=None):
    """Return an answer: the steps of a layer, how it is joined, what it sees, what comes back."""

    def answer(input_shape, layers, growth):
        image = known = keras.Input(input_shape)
        made = []
        for _ in range(layers):
            x = sees(image, made) if sees else known
            for step in steps or PAPER:
                x = step(x, growth)
            made.append(x)
            known = join(known, x)
        return keras.Model(image, back(made) if back else known)

    return answer


def together(tensors):
    return keras.layers.Concatenate()(tensors) if len(tensors) > 1 else tensors[0]


def block_wrong(name, says, *steps, **changes):
    answer = block(*steps, **changes)
    answer.__name__ = name
    return wrong("dense_block", says)(answer)


block_in_front = block_wrong(
    "block_in_front", "put in front of what is there", join=lambda known, new: beside(new, known)
)
block_chain = block_wrong(
    "block_chain",
    "each layer sees the answer before it alone",
    sees=lambda image, made: made[-1] if made else image,
)
block_parallel = block_wrong(
    "block_parallel", "sees the input of the block alone", sees=lambda image, made: image
)
block_forgets = block_wrong(
    "block_forgets",
    "the input of the block is forgotten",
    sees=lambda image, made: together(made) if made else image,
)
block_without_input = block_wrong(
    "block_without_input", "is missing in what comes back", back=together
)
block_last = block_wrong(
    "block_last", "only the last answer comes back", back=lambda made: made[-1]
)
block_linear = block_wrong(
    "block_linear", "both ReLUs of a layer are missing", norm, narrow, norm, conv
)
block_no_first_relu = block_wrong(
    "block_no_first_relu", "the first ReLU of a layer is missing", norm, narrow, norm, relu, conv
)
block_no_second_relu = block_wrong(
    "block_no_second_relu", "the second ReLU of a layer is missing", norm, relu, narrow, norm, conv
)
block_relu_first = block_wrong(
    "block_relu_first",
    "the ReLUs come before the normalisations",
    *(relu, norm, narrow, relu, norm, conv),
)
block_relu_last = block_wrong(
    "block_relu_last", "a ReLU behind the 3 x 3 convolution", *PAPER, relu
)
block_as_in_resnet = block_wrong(
    "block_as_in_resnet", "as in ResNet", *(narrow, norm, relu, conv, norm, relu)
)
block_biased = block_wrong(
    "block_biased",
    "the convolutions have biases",
    norm,
    relu,
    lambda x, growth: keras.layers.Conv2D(4 * growth, 1)(x),
    norm,
    relu,
    lambda x, growth: keras.layers.Conv2D(growth, 3, padding="same")(x),
)
block_narrow = block_wrong(
    "block_narrow",
    "the 1 x 1 convolution makes `growth` channels",
    norm,
    relu,
    lambda x, growth: keras.layers.Conv2D(growth, 1, use_bias=False)(x),
    norm,
    relu,
    conv,
)
block_wide = block_wrong(
    "block_wide", "a layer adds 4 * growth channels", *(norm, relu, narrow, norm, relu, wide_conv)
)
block_plain = block_wrong("block_plain", "the bottleneck is missing", norm, relu, conv)
block_of_squares = block_wrong(
    "block_of_squares", "both kernels are 3 x 3", *(norm, relu, wide_conv, norm, relu, conv)
)
block_no_first_norm = block_wrong(
    "block_no_first_norm", "the first normalisation", relu, narrow, norm, relu, conv
)
block_no_second_norm = block_wrong(
    "block_no_second_norm", "the second normalisation", norm, relu, narrow, relu, conv
)
block_dropped = block_wrong(
    "block_dropped",
    "there is a Dropout layer in it",
    *PAPER,
    lambda x, growth: keras.layers.Dropout(0.2)(x),
)
block_added = block_wrong(
    "block_added", "stops with ValueError", join=lambda known, new: keras.layers.Add()([known, new])
)
block_unpadded = block_wrong(
    "block_unpadded",
    "matching shapes except for the concatenation axis",
    *PAPER[:5],
    lambda x, growth: keras.layers.Conv2D(growth, 3, use_bias=False)(x),
)
block_one_layer = block_wrong(
    "block_one_layer", "a picture gives an output of shape (5, 6, 4)", back=lambda made: made[0]
)


@wrong("dense_block", "return a keras.Model; this is a DenseBlock")
def block_not_a_model(input_shape, layers, growth):
    return DenseBlock(layers, growth)


@wrong("dense_block", "not yet a model")
def block_tensor(input_shape, layers, growth):
    return DenseBlock(layers, growth)(keras.Input(input_shape))


@right("dense_block")
def block_of_the_course(input_shape, layers, growth):
    image = keras.Input(input_shape)
    return keras.Model(image, DenseBlock(layers, growth)(image))


@right("dense_block")
def block_list(input_shape, layers, growth):
    known = [keras.Input(input_shape)]
    for _ in range(layers):
        x = together(known)
        x = keras.ops.relu(keras.layers.BatchNormalization(epsilon=1e-5)(x))
        x = keras.layers.Conv2D(4 * growth, (1, 1), use_bias=False, padding="same")(x)
        x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
        known.append(conv(x, growth))
    return keras.Model(known[0], keras.ops.concatenate(known, axis=3))


@right("dense_block")
def block_in_a_class(*arguments):
    return in_a_class(block_list)(*arguments)


@right("dense_block")
def block_of_layers(input_shape, layers, growth):
    return keras.Sequential(
        [keras.Input(input_shape), *(DenseLayer(growth) for _ in range(layers))]
    )


# network


def ready(x):
    return relu(norm(x, 0), 0)


def whole(
    first=(24, 3, 2),
    start=lambda x: x,
    count=2,
    keep=0.5,
    before=ready,
    pool=lambda x: keras.layers.AveragePooling2D(2)(x),
    end=ready,
    mean=keras.layers.GlobalAveragePooling2D,
    last=None,
    growth=12,
):
    image = keras.Input((28, 28, 1))
    x = start(keras.layers.Conv2D(*first, padding="same", use_bias=False)(image))
    for number in range(3):
        x = block_of_the_course(x.shape[1:], 4, growth)(x)
        if number < count:
            kept = int(keep * x.shape[-1])
            x = pool(keras.layers.Conv2D(kept, 1, use_bias=False)(before(x)))
    return keras.Model(image, keras.layers.Dense(10, last)(mean()(end(x))))


def network_wrong(name, says, **changes):
    def answer():
        return whole(**changes)

    answer.__name__ = name
    return wrong("network", says)(answer)


network_stem = network_wrong(
    "network_stem", "behind the first convolution stand a normalisation", start=ready
)
network_pooled = network_wrong(
    "network_pooled",
    "there is a pooling before the first block",
    start=lambda x: keras.layers.MaxPooling2D(2)(x),
)
network_three = network_wrong("network_three", "a transition after the last block", count=3)
network_bare = network_wrong(
    "network_bare", "no normalisation and no ReLU before their convolution", before=lambda x: x
)
network_largest = network_wrong(
    "network_largest",
    "pool by the largest number",
    pool=lambda x: keras.layers.MaxPooling2D(2)(x),
)
network_unpooled = network_wrong(
    "network_unpooled", "the transitions do not pool", pool=lambda x: x
)
network_padded = network_wrong(
    "network_padded",
    "the pooling is padded",
    pool=lambda x: keras.layers.AveragePooling2D(2, padding="same")(x),
)
network_no_end = network_wrong(
    "network_no_end", "the normalisation and the ReLU are missing", end=lambda x: x
)
network_no_norm = network_wrong(
    "network_no_norm",
    "after the last block the normalisation is missing",
    end=lambda x: relu(x, 0),
)
network_no_relu = network_wrong(
    "network_no_relu", "after the last block the ReLU is missing", end=lambda x: norm(x, 0)
)
network_flat = network_wrong("network_flat", "the maps are flattened", mean=keras.layers.Flatten)
network_keeps = network_wrong("network_keeps", "the transitions keep all channels", keep=1)
network_slow = network_wrong("network_slow", "has stride 1", first=(24, 3, 1))
network_sixteen = network_wrong("network_sixteen", "makes 16 channels", first=(16, 3, 2))
network_twelve = network_wrong("network_twelve", "makes k channels. It makes 2 k", first=(12, 3, 2))
network_softmax = network_wrong("network_softmax", "ends in a softmax", last="softmax")


@wrong("network", "return a keras.Model; this is a list")
def network_of_blocks():
    return [DenseBlock(4, 12) for _ in range(3)]


@right("network")
def network_of_the_course():
    return DenseNet(**SMALL)


@right("network")
def network_of_layers():
    return whole()


# train


def small(layers=4, growth=8, first=16, plain=0):
    image = keras.Input((28, 28, 1))
    y = keras.layers.Conv2D(first, 3, 4, padding="same", use_bias=False)(image)
    for _ in range(plain):
        y = conv(y, first)
    y = ready(block_of_the_course(y.shape[1:], layers, growth)(y))
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(y)))


@wrong("train", "15,000 are allowed")
def train_large(x, labels):
    return small(growth=12)


@wrong("train", "3 of its kernels are those of a dense layer")
def train_three_layers(x, labels):
    return small(layers=3)


@wrong("train", "there are 2 kernels that see neighbours")
def train_with_a_convolution(x, labels):
    return small(plain=1, growth=6)


@wrong("train", "it says class 3 to every picture")
def train_constant(x, labels):
    model = small()
    model.layers[-1].bias.assign(np.eye(10)[3] * 100)
    return model


@wrong("train", "it has not learned")
def train_forgotten(x, labels):
    return small()


train_history, train_nan, train_dead = untrained(small)


@right("train")
def train_three_passes(x, labels):
    keras.utils.set_random_seed(1)
    model = small()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-2), loss)
    model.fit(x, labels, 32, 3, verbose=0)
    return model


# widest_block


def weights(start, layers, growth, bottleneck, squares=1, middle=4, nine=9, late=0):
    total = 0
    for layer in range(layers):
        seen = start + (layer + late) * growth
        if bottleneck:
            total += squares * seen * middle * growth + nine * middle * growth * growth
        else:
            total += (nine or 9) * seen * growth
    return total


def designed(fits=lambda w, budget: w <= budget, count=weights, choose=None, **changes):
    """Return an answer that tries one growth after the other."""

    def answer(start, layers, budget):
        found = {}
        for bottleneck in (False, True):
            growth = 0
            while fits(count(start, layers, growth + 1, bottleneck, **changes), budget):
                growth += 1
            found[bottleneck] = growth
        if choose:
            return choose(found)
        bottleneck = found[True] > found[False]
        return found[bottleneck], bottleneck

    return answer


def widest_wrong(name, says, *arguments, **changes):
    answer = designed(*arguments, **changes)
    answer.__name__ = name
    return wrong("widest_block", says)(answer)


widest_always = widest_wrong(
    "widest_always", "always the block with bottleneck", choose=lambda f: (f[True], True)
)
widest_never = widest_wrong(
    "widest_never", "no block has a bottleneck here", choose=lambda f: (f[False], False)
)
widest_negated = widest_wrong(
    "widest_negated",
    "True and False are swapped",
    choose=lambda f: (max(f.values()), f[True] <= f[False]),
)
widest_swapped = widest_wrong(
    "widest_swapped",
    "the two are swapped: the growth comes first",
    choose=lambda f: (f[True] > f[False], max(f.values())),
)
widest_smaller = widest_wrong(
    "widest_smaller",
    "the block with the smaller growth",
    choose=lambda f: (min(f.values()), f[True] < f[False]),
)
widest_tie = widest_wrong(
    "widest_tie",
    "take the block without bottleneck",
    choose=lambda f: (max(f.values()), f[True] >= f[False]),
)
widest_late = widest_wrong("widest_late", "nothing has been added yet", late=1)
widest_narrow = widest_wrong("widest_narrow", "makes `growth` channels here", middle=1)
widest_squares = widest_wrong("widest_squares", "first convolution counted as 1 x 1", squares=9)
widest_first = widest_wrong("widest_first", "is not counted", nine=0)
widest_flat = widest_wrong("widest_flat", "the window is a square", nine=3)
widest_too_far = widest_wrong(
    "widest_too_far",
    "this is one too many",
    choose=lambda f: (max(f.values()) + 1, f[True] > f[False]),
)
widest_strict = widest_wrong("widest_strict", "exactly as many", lambda w, budget: w < budget)
widest_from_one = widest_wrong(
    "widest_from_one",
    "where not even growth 1 fits",
    choose=lambda f: (max(1, *f.values()), f[True] > f[False]),
)
widest_constant = widest_wrong(
    "widest_constant",
    "all layers read `start` channels",
    count=lambda start, layers, growth, b: layers * weights(start, 1, growth, b),
)
widest_chain = widest_wrong(
    "widest_chain",
    "this is a chain",
    count=lambda start, layers, growth, b: (
        weights(start, 1, growth, b) + (layers - 1) * weights(growth, 1, growth, b)
    ),
)
widest_reads_all = widest_wrong(
    "widest_reads_all",
    "the second on the 4 * growth channels alone",
    count=lambda start, layers, growth, b: sum(
        (13 if b else 9) * (start + layer * growth) * growth for layer in range(layers)
    ),
)


@wrong("widest_block", "one thing came back where there should be 2")
def widest_alone(start, layers, budget):
    return designed()(start, layers, budget)[0]


@wrong("widest_block", "The growth of widest_block(24, 4, 9000) is 11; it should be 7")
def widest_biased(start, layers, budget):
    return designed(count=lambda *a: weights(*a) // 2)(start, layers, budget)


@right("widest_block")
def widest_by_formula(start, layers, budget):
    pairs = layers * (layers - 1) / 2
    found = []
    for linear, square in (
        (9 * layers * start, 9 * pairs),
        (4 * layers * start, 4 * pairs + 36 * layers),
    ):
        if square:
            root = (-linear + np.sqrt(linear**2 + 4 * square * budget)) / (2 * square)
        else:
            root = budget / linear
        found.append(int(root + 1e-9))
    return np.array([max(found), found[1] > found[0]])


@right("widest_block")
def widest_downwards(start, layers, budget):
    for growth in range(2000, 0, -1):
        for bottleneck in (False, True):
            if weights(start, layers, growth, bottleneck) <= budget:
                return growth, bottleneck
    return 0, False


# which_grows

ADDED = "only where answers are added"
JOINS = ("beside", "added", "behind")


def measured(predict, measure, joins=JOINS, layers=(0, 8)):
    predict(ADDED)
    return {(join, n): measure(join, n) for join in joins for n in layers}


grows_unpredicted, grows_unmeasured, grows_own_words = hasty("which_grows", ADDED, "behind", 0)


@wrong("which_grows", "measure('added', 0) and measure('added', 8)")
def grows_one_way(predict, measure):
    measured(predict, measure, ("beside",))
    return ADDED


@wrong("which_grows", "measure('beside', 0) and measure('beside', 8)")
def grows_a_little(predict, measure):
    measured(predict, measure, layers=(0, 2))
    return ADDED


@wrong("which_grows", "'beside and added' does not fit")
def grows_beside(predict, measure):
    measured(predict, measure)
    return "beside and added"


@wrong("which_grows", "join is 'concatenate'; allowed")
def grows_concatenate(predict, measure):
    return measured(predict, measure, ("concatenate",))


@wrong("which_grows", "allowed: a whole number from 0 to 12")
def grows_too_far(predict, measure):
    return measured(predict, measure, layers=(50,))


@wrong("which_grows", "return one of")
def grows_numbers(predict, measure):
    return measured(predict, measure)


@right("which_grows")
def grows_all_layers(predict, measure):
    measured(predict, measure, layers=range(13))
    return ADDED


# mended

ALONE = "every batch is normalised by itself"


def mended_cause(cause, says):
    def answer(model, images):
        return cause, None

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_overfitting = mended_cause("overfitting", "the 1,000 pictures are new to the network")
mended_late = mended_cause(
    "averages of batch normalisation come too late", "would find few right in its first answer"
)
mended_order = mended_cause(
    "labels and pictures in another order", "then no batch would come out right"
)
mended_dropout = mended_cause("dropout is still on", "does not ask which pictures stand beside one")
mended_own_words = mended_cause("training mode", "the cause should be one of")


def mended_wrong(name, says, logits):
    def answer(model, images):
        return ALONE, logits(model, images)

    answer.__name__ = name
    return wrong("mended", says)(answer)


mended_whole = mended_wrong(
    "mended_whole", "on all pictures at once", lambda model, x: model(x, training=True)
)
mended_single = mended_wrong(
    "mended_single",
    "one picture at a time is a batch of one",
    lambda model, x: np.concatenate([model(x[i : i + 1], training=True) for i in range(len(x))]),
)
mended_odds = mended_wrong(
    "mended_odds", "these are probabilities", lambda model, x: keras.ops.softmax(model(x))
)
mended_classes = mended_wrong(
    "mended_classes", "these are class numbers", lambda model, x: np.argmax(model(x), axis=1)
)
mended_first = mended_wrong(
    "mended_first",
    "has shape (1, 10); it should have shape (6, 10)",
    lambda model, x: model(x[:1]),
)
mended_model = mended_wrong("mended_model", "that does not convert to one", lambda model, x: model)


@wrong("mended", "there should be 2: the cause, the logits")
def mended_alone(model, images):
    return model(images, training=False)


@right("mended")
def mended_called(model, images):
    return ALONE, model(images, training=False)


@right("mended")
def mended_one_by_one(model, images):
    return [ALONE, np.concatenate([model(x[None]) for x in images]).tolist()]
