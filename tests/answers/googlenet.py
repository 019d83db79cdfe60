"""Answers to assignment 06."""

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.googlenet import MODULES, SMALL, GoogLeNet, InceptionModule
from course_lib.layers import LocalResponseNormalization, max_pool

# largest_reduction


def solved(
    projection=1,
    one=1,
    three=36,
    five=25,
    reductions=5,
    biases=(0, 0),
    way=lambda q: max(q // 1, 0),
):
    """Return an answer by division; the arguments are what it counts."""

    def answer(channels, outputs, budget):
        a, b, c, d = outputs
        fixed = channels * (one * a + projection * d)
        each = reductions * channels + three * b + five * c
        if any(biases):
            fixed, each = fixed + a + b + c + d, each + 5
        return way((budget - fixed) / each)

    return answer


def reduction_wrong(name, says, **changes):
    answer = solved(**changes)
    answer.__name__ = name
    return wrong("largest_reduction", says)(answer)


reduction_unprojected = reduction_wrong(
    "reduction_unprojected", "behind the pooling is not counted", projection=0
)
reduction_without_one = reduction_wrong(
    "reduction_without_one", "the branch that is a 1 x 1 convolution alone", one=0
)
reduction_free = reduction_wrong(
    "reduction_free", "the two reductions are not counted", reductions=0
)
reduction_equal = reduction_wrong("reduction_equal", "here both have r", reductions=2, three=9)
reduction_flat = reduction_wrong("reduction_flat", "the windows are squares", three=12, five=5)
reduction_nine = reduction_wrong("reduction_nine", "the 5 x 5 window is counted as 3 x 3", five=9)
reduction_biased = reduction_wrong("reduction_biased", "the biases are counted", biases=(1, 1))
reduction_exact = reduction_wrong(
    "reduction_exact", "the result is not whole. Round down", way=lambda q: q
)
reduction_exact_or_zero = reduction_wrong(
    "reduction_exact_or_zero", "and where nothing fits it should be 0", way=lambda q: max(q, 0)
)
reduction_rounded = reduction_wrong(
    "reduction_rounded", "rounded to the nearest", way=lambda q: max(round(q), 0)
)
reduction_negative = reduction_wrong(
    "reduction_negative", "not a number below it", way=lambda q: int(q // 1)
)
reduction_below = reduction_wrong(
    "reduction_below", "exactly as many weights as the budget", way=lambda q: max(-(-q // 1) - 1, 0)
)


@wrong("largest_reduction", "still read all channels")
def reduction_wide(channels, outputs, budget):
    one, three, five, projection = outputs
    fixed = channels * (one + projection + 9 * three + 25 * five)
    return max((budget - fixed) // (5 * channels), 0)


@wrong("largest_reduction", "this is one too many")
def reduction_loop_too_far(channels, outputs, budget):
    r = 1
    while r <= reduction_loop(channels, outputs, budget):
        r += 1
    return r


@wrong("largest_reduction", "should be a number")
def reduction_words(channels, outputs, budget):
    return "twelve"


@right("largest_reduction")
def reduction_loop(channels, outputs, budget):
    one, three, five, projection = outputs
    r = 0
    while True:
        next_one = r + 1
        weights = channels * (one + 4 * next_one + next_one + projection)
        weights += 3 * 3 * 4 * next_one * three + 5 * 5 * next_one * five
        if weights > budget:
            return r
        r = next_one


@right("largest_reduction")
def reduction_numpy(channels, outputs, budget):
    one, three, five, projection = outputs
    r = np.arange(1, 1000)
    weights = channels * (one + 5 * r + projection) + 36 * r * three + 25 * r * five
    return np.count_nonzero(weights <= budget)


# inception


def conv(x, channels, side, active="relu"):
    return keras.layers.Conv2D(channels, side, padding="same", activation=active)(x)


def pooled(x):
    return keras.layers.MaxPooling2D(3, 1, padding="same")(x)


def four(x, filters, pool=pooled, squeezed="relu", five=5):
    return [
        conv(x, filters[0], 1),
        conv(conv(x, filters[1], 1, squeezed), filters[2], 3),
        conv(conv(x, filters[3], 1, squeezed), filters[4], five),
        conv(pool(x), filters[5], 1),
    ]


def module(input_shape, filters):
    image = keras.Input(input_shape)
    return keras.Model(image, keras.layers.Concatenate()(four(image, filters)))


def module_wrong(name, says, branches):
    def answer(input_shape, filters):
        image = keras.Input(input_shape)
        return keras.Model(image, keras.layers.Concatenate()(branches(image, filters)))

    answer.__name__ = name
    return wrong("inception", says)(answer)


module_naive = module_wrong(
    "module_naive",
    "this is the naive form",
    lambda x, f: [conv(x, f[0], 1), conv(x, f[2], 3), conv(x, f[4], 5), pooled(x)],
)
module_swapped = module_wrong(
    "module_swapped",
    "concatenated before the 3 x 3 one",
    lambda x, f: [four(x, f)[i] for i in (0, 2, 1, 3)],
)
module_reversed = module_wrong(
    "module_reversed", "in the reverse order", lambda x, f: four(x, f)[::-1]
)
module_mean = module_wrong(
    "module_mean",
    "there is average pooling in it",
    lambda x, f: four(x, f, lambda y: keras.layers.AveragePooling2D(3, 1, padding="same")(y)),
)
module_two = module_wrong(
    "module_two",
    "the pooling's window is 2 x 2",
    lambda x, f: four(x, f, lambda y: keras.layers.MaxPooling2D(2, 1, padding="same")(y)),
)
module_early = module_wrong(
    "module_early",
    "the projection comes before the pooling",
    lambda x, f: [*four(x, f)[:3], pooled(conv(x, f[5], 1))],
)
module_bare = module_wrong(
    "module_bare", "its 1 x 1 convolution is missing", lambda x, f: [*four(x, f)[:3], pooled(x)]
)
module_squeezed = module_wrong(
    "module_squeezed",
    "the two reductions have no ReLU",
    lambda x, f: four(x, f, squeezed=None),
)
module_linear = module_wrong(
    "module_linear",
    "there is no ReLU",
    lambda x, f: [
        conv(x, f[0], 1, None),
        conv(conv(x, f[1], 1, None), f[2], 3, None),
        conv(conv(x, f[3], 1, None), f[4], 5, None),
        conv(pooled(x), f[5], 1, None),
    ],
)
module_three = module_wrong(
    "module_three", "3 x 3 where it should be 5 x 5", lambda x, f: four(x, f, five=3)
)
module_crossed = module_wrong(
    "module_crossed",
    "filters[1] and filters[3] are swapped",
    lambda x, f: four(x, (f[0], f[3], f[2], f[1], f[4], f[5])),
)
module_behind = module_wrong(
    "module_behind",
    "There they save nothing",
    lambda x, f: [
        conv(x, f[0], 1),
        conv(conv(x, f[2], 3), f[1], 1),
        conv(conv(x, f[4], 5), f[3], 1),
        conv(pooled(x), f[5], 1),
    ],
)


@wrong("inception", "the branches stand one behind the other")
def module_chain(input_shape, filters):
    image = x = keras.Input(input_shape)
    for channels, side in zip(filters[:5], (1, 1, 3, 1, 5), strict=True):
        x = conv(x, channels, side)
    return keras.Model(image, conv(pooled(x), filters[5], 1))


@wrong("inception", "stops with ValueError")
def module_along_rows(input_shape, filters):
    image = keras.Input(input_shape)
    return keras.Model(image, keras.layers.Concatenate(axis=1)(four(image, filters)))


@wrong("inception", "return a keras.Model; this is a InceptionModule")
def module_layer(input_shape, filters):
    return InceptionModule(filters)


@right("inception")
def module_of_the_course(input_shape, filters):
    image = keras.Input(input_shape)
    return keras.Model(image, InceptionModule(filters)(image))


@right("inception")
def module_ops(input_shape, filters):
    image = keras.Input(input_shape)
    one, three, five, last = four(image, filters)
    return keras.Model(image, keras.ops.concatenate((one, three, five, last), axis=3))


@right("inception")
def module_in_a_class(input_shape, filters):
    return in_a_class(module)(input_shape, filters)


# network


def whole(
    before=("4a", "5a"),
    normal=lambda x: LocalResponseNormalization()(x),
    pool=lambda x: max_pool(x, None),
    late=False,
    active="relu",
    end=keras.layers.GlobalAveragePooling2D,
    drop=0.4,
    last=None,
    modules=module,
):
    image = keras.Input((28, 28, 1))
    x = conv(image, 8, 3, active)
    x = normal(pool(x)) if late else pool(normal(x))
    for name, row in MODULES.items():
        if name in before:
            x = pool(x)
        x = modules(x.shape[1:], [n // 8 for n in row])(x)
    x = end()(x)
    if drop:
        x = keras.layers.Dropout(drop)(x)
    return keras.Model(image, keras.layers.Dense(10, last)(x))


def network_wrong(name, says, **changes):
    def answer():
        return whole(**changes)

    answer.__name__ = name
    return wrong("network", says)(answer)


network_plain = network_wrong(
    "network_plain", "behind the first convolution is missing", normal=lambda x: x
)
network_late = network_wrong("network_late", "the normalisation comes after the pooling", late=True)
network_linear = network_wrong("network_linear", "the first convolution has no ReLU", active=None)
network_without_4a = network_wrong(
    "network_without_4a", "there is no pooling before module 4a", before=("5a",)
)
network_without_5a = network_wrong(
    "network_without_5a", "there is no pooling before module 5a", before=("4a",)
)
network_padded = network_wrong(
    "network_padded",
    "the last pooling is padded",
    pool=lambda x: keras.layers.MaxPooling2D(3, 2, padding="same")(x),
)
network_narrow = network_wrong(
    "network_narrow",
    "the poolings are 2 x 2",
    pool=lambda x: keras.layers.MaxPooling2D(2)(x),
)
network_flat = network_wrong("network_flat", "the maps are flattened", end=keras.layers.Flatten)
network_undropped = network_wrong("network_undropped", "the Dropout is missing", drop=0)
network_half = network_wrong("network_half", "it drops 0.5", drop=0.5)
network_softmax = network_wrong("network_softmax", "ends in a softmax", last="softmax")


@wrong("network", "the modules are naive ones")
def network_naive():
    return GoogLeNet(**SMALL, reduce=False)


@wrong("network", "there is a hidden fully connected layer")
def network_hidden():
    return GoogLeNet(**SMALL, head="dense")


@wrong("network", "there is no pooling before module 3a")
def network_open():
    model = whole(pool=lambda x: max_pool(x, None) if x.shape[-1] > 8 else x)
    return model


@wrong("network", "not yet a model")
def network_tensor():
    return keras.Input((28, 28, 1))


@right("network")
def network_of_the_course():
    return GoogLeNet(**SMALL)


@right("network")
def network_of_layers():
    return whole(modules=lambda shape, filters: InceptionModule(filters))


# train


def small(filters=((8, 8, 16, 4, 8, 8), (16, 16, 32, 8, 16, 16)), end=None):
    image = keras.Input((28, 28, 1))
    y = conv(keras.layers.MaxPooling2D(2)(image), 16, 3)
    for row in filters:
        y = module(y.shape[1:], row)(y)
        y = keras.layers.MaxPooling2D(2)(y)
    y = (end or keras.layers.GlobalAveragePooling2D)()(y)
    return keras.Model(image, keras.layers.Dense(10)(y))


def trained(model, x, labels, epochs, optimizer):
    keras.utils.set_random_seed(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    model.fit(x, labels, 32, epochs, verbose=0)
    return model


@wrong("train", "15,000 are allowed")
def train_large(x, labels):
    return small(((16, 16, 32, 8, 16, 16), (32, 32, 64, 16, 32, 32)))


@wrong("train", "there are 1 kernels of 5 x 5")
def train_one_module(x, labels):
    return small(((8, 8, 16, 4, 8, 8),))


@wrong("train", "there is a Flatten in it")
def train_flat(x, labels):
    return small(((4, 4, 8, 4, 4, 4), (4, 4, 8, 4, 4, 4)), keras.layers.Flatten)


@wrong("train", "it says class 3 to every picture")
def train_constant(x, labels):
    model = small()
    model.layers[-1].bias.assign(np.eye(10)[3] * 100)
    return model


@wrong("train", "the learning rate is too high")
def train_to_nan(x, labels):
    return trained(small(), x[:640], labels[:640], 1, keras.optimizers.SGD(1e9))


train_history, train_nan, train_dead = untrained(small)


@right("train")
def train_momentum(x, labels):
    keras.utils.set_random_seed(1)
    model = small(((6, 6, 12, 4, 6, 6), (12, 12, 24, 6, 12, 12)))
    return trained(model, x, labels, 4, keras.optimizers.RMSprop(3e-3))


# moved_clothes

LESS = "the mean loses less"


def measured(predict, measure, shifts=(0, 6), heads=("mean", "flat")):
    predict(LESS)
    return {(head, shift): measure(head, shift) for head in heads for shift in shifts}


moved_unpredicted, moved_unmeasured, moved_own_words = hasty("moved_clothes", LESS, "mean", 0)


@wrong("moved_clothes", "what is lost is a difference")
def moved_far_only(predict, measure):
    measured(predict, measure, (6,))
    return LESS


@wrong("moved_clothes", "at the same shift of 4 pixels or more")
def moved_a_little(predict, measure):
    measured(predict, measure, (0, 1))
    return LESS


@wrong("moved_clothes", "does not fit")
def moved_alike(predict, measure):
    measured(predict, measure)
    return "both lose about the same"


@wrong("moved_clothes", "allowed: 'mean' and 'flat'")
def moved_dense(predict, measure):
    return measured(predict, measure, heads=("dense",))


@wrong("moved_clothes", "allowed: a whole number from 0 to 10")
def moved_out(predict, measure):
    return measured(predict, measure, (28,))


@wrong("moved_clothes", "return one of")
def moved_numbers(predict, measure):
    return measured(predict, measure)


@right("moved_clothes")
def moved_by_eight(predict, measure):
    measured(predict, measure, (0, 5, 8))
    return LESS


# mended

LEFT = "the trained weights are left behind"


def mended_cause(cause, says):
    def answer(trained):
        return cause, None

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", says)(answer)


mended_overfitting = mended_cause("overfitting", "are those that it was trained on")
mended_needed = mended_cause("the heads are needed", "they only read")
mended_rate = mended_cause("learning rate too high", "could not be right so often")
mended_light = mended_cause("the main loss is too light", "it has the weight 1")
mended_own_words = mended_cause("new weights", "the cause should be one of")


def for_use(name, says, output):
    def answer(trained):
        return LEFT, keras.Model(
            trained.input, output(trained.output["main"], trained.output["aux"])
        )

    answer.__name__ = name
    return wrong("mended", says)(answer)


mended_head = for_use("mended_head", "this is the answer of the head", lambda main, aux: aux)
mended_mean = for_use("mended_mean", "main output are mixed", lambda main, aux: (main + aux) / 2)
mended_sum = for_use("mended_sum", "main output are added", lambda main, aux: main + aux)
mended_weighed = for_use(
    "mended_weighed", "0.3 is the weight of the head's loss", lambda main, aux: main + 0.3 * aux
)
mended_softmax = for_use(
    "mended_softmax",
    "there is a softmax behind it",
    lambda main, aux: keras.layers.Softmax()(main),
)


def rebuilt():
    image = x = keras.Input((28, 28, 1))
    for channels in (16, 32, 64):
        x = keras.layers.Conv2D(channels, 3, 2, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(10, name="main")(x))


@wrong("mended", "the head is still in it")
def mended_untouched(trained):
    return LEFT, trained


@wrong("mended", "are left behind again")
def mended_new(trained):
    return LEFT, rebuilt()


@wrong("mended", "stops with ValueError")
def mended_all_weights(trained):
    model = rebuilt()
    model.set_weights(trained.get_weights())
    return LEFT, model


@wrong("mended", "still carries the head's 330 numbers")
def mended_around(trained):
    image = keras.Input((28, 28, 1))
    return LEFT, keras.Model(image, trained(image)["main"])


@wrong("largest_reduction", "not one number")
def reduction_all(channels, outputs, budget):
    return list(range(1, reduction_loop(channels, outputs, budget) + 1))


@wrong("mended", "there should be 2: the cause, the network for use")
def mended_alone(trained):
    return keras.Model(trained.input, trained.output["main"])


@wrong("mended", "not yet a model")
def mended_tensor(trained):
    return LEFT, trained.output["main"]


@right("mended")
def mended_by_name(trained):
    return [LEFT, keras.Model(trained.inputs[0], trained.get_layer("main").output)]


@right("mended")
def mended_carried_over(trained):
    model = rebuilt()
    for kind in (keras.layers.Conv2D, keras.layers.Dense):
        new = [layer for layer in model.layers if isinstance(layer, kind)]
        old = [layer for layer in trained.layers if isinstance(layer, kind) and layer.name != "aux"]
        for one, other in zip(new, old, strict=True):
            one.set_weights(other.get_weights())
    return LEFT, model
