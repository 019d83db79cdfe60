"""Answers to assignment 11."""

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.checks.shufflenet import other_network, unit_model
from course_lib.shufflenet import SMALL, ChannelShuffle, ShuffleNet, ShuffleUnit

layers = keras.layers

# unit


def slipped(slip, says):
    """Return a wrong answer: the unit with one mistake in it."""

    def answer(shape, filters, groups, first_groups, strides):
        return unit_model(shape, filters, groups, strides, first_groups, slip)

    answer.__name__ = "unit_" + slip.replace(" ", "_")
    return wrong("unit", says)(answer)


unit_no_shuffle = slipped("no shuffle", "there is no shuffle: the channels stay")
unit_inverse = slipped("inverse", "this is the inverse shuffle")
unit_pixels = slipped("pixels", "the shuffle mixes pixels. In Keras")
unit_late_shuffle = slipped("late shuffle", "the shuffle stands behind the depthwise step")
unit_relu_between = slipped("ReLU between", "there is a ReLU after the depthwise step")
unit_no_first_relu = slipped("no first ReLU", "the ReLU after the first 1 x 1 convolution")
unit_no_last_relu = slipped("no last ReLU", "the ReLU at the end is missing")
unit_early_relu = slipped("early ReLU", "the last ReLU stands before the addition")
unit_no_shortcut = slipped("no shortcut", "the input is not added")
unit_same = slipped("same padding", "padding='same' pads at the bottom and the right only")
unit_largest = slipped("largest", "the input is pooled by its largest numbers")
unit_branch_first = slipped("branch first", "the branch stands before the pooled input")


def plain(
    shape, filters, groups, first_groups, strides, second=None, new=None, norm=True, bias=False
):
    """The unit with the layers of Keras, `ChannelShuffle` and some choices."""

    def pointwise(x, channels, groups):
        x = layers.Conv2D(channels, 1, groups=groups, use_bias=bias)(x)
        return layers.BatchNormalization()(x) if norm else x

    image = keras.Input(shape)
    x = layers.Activation("relu")(pointwise(image, filters // 4, first_groups))
    x = ChannelShuffle(groups)(x)
    short = image
    if strides == 2:
        x, short = layers.ZeroPadding2D(1)(x), layers.ZeroPadding2D(1)(image)
        short = layers.AveragePooling2D(3, 2)(short)
    padding = "same" if strides == 1 else "valid"
    x = layers.DepthwiseConv2D(3, strides, padding, use_bias=bias)(x)
    x = layers.BatchNormalization()(x) if norm else x
    channels = filters if strides == 1 else new or filters - shape[-1]
    x = pointwise(x, channels, second or groups)
    x = image + x if strides == 1 else keras.ops.concatenate([short, x], axis=-1)
    return keras.Model(image, keras.ops.relu(x))


@wrong("unit", "the second 1 x 1 convolution has no groups")
def unit_one_ungrouped(*arguments):
    return plain(*arguments, second=1)


@wrong("unit", "at stride 2 the branch makes all channels of the output")
def unit_all_channels(*arguments):
    return plain(*arguments, new=arguments[1])


@wrong("unit", "the first 1 x 1 convolution has `groups` groups")
def unit_first_grouped(shape, filters, groups, first_groups, strides):
    return plain(shape, filters, groups, groups, strides)


@wrong("unit", "0 layers have batch normalisations; it should be 3")
def unit_without_norm(*arguments):
    return plain(*arguments, norm=False)


@wrong("unit", "3 layers have biases; it should be 0")
def unit_with_biases(*arguments):
    return plain(*arguments, bias=True)


@wrong("unit", "`unit` stops with ValueError")
def unit_added_always(shape, filters, groups, first_groups, strides):
    model = plain(shape, filters, groups, first_groups, strides)
    if strides == 1:
        return model
    return keras.Model(model.input, layers.add([model.input, model.output]))


@right("unit")
def unit_plain(*arguments):
    return plain(*arguments)


@right("unit")
def unit_of_the_course(shape, filters, groups, first_groups, strides):
    image = keras.Input(shape)
    own = {"inputs": shape[-1], "first_groups": first_groups}
    return keras.Model(image, ShuffleUnit(filters, groups, strides, **own)(image))


@right("unit")
def unit_in_a_class(*arguments):
    return in_a_class(plain)(*arguments)


# network


@wrong("network", "the first convolution strides")
def network_strided():
    return other_network("conv1 strides")


@wrong("network", "the ReLU after the first convolution is missing")
def network_linear_start():
    return other_network("conv1 linear")


@wrong("network", "no unit shuffles")
def network_unshuffled():
    return ShuffleNet(**SMALL, shuffle=False)


@wrong("network", "the kernels (window, channels in, channels out) are not those")
def network_short():
    return ShuffleNet(**{**SMALL, "units": (2, 2, 2)})


@wrong("network", "the very first 1 x 1 convolution has three groups")
def network_first_grouped():
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(12, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters, strides in [(60, 2), (60, 1), (120, 2), (120, 1), (120, 1), (240, 2), (240, 1)]:
        x = ShuffleUnit(filters, 3, strides, inputs=x.shape[-1])(x)
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


@wrong("network", "the network ends in a softmax")
def network_softmax():
    model = ShuffleNet(**SMALL)
    return keras.Model(model.input, layers.Softmax()(model.output))


@right("network")
def network_of_the_course():
    return ShuffleNet(**SMALL)


# train


def small(widths=(36, 72, 72), groups=3, block=None):
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(12, 3, 2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for number, width in enumerate(widths):
        strides = 1 if x.shape[-1] == width else 2
        if block:
            x = block(width, strides)(x)
        else:
            own = {"inputs": x.shape[-1], "first_groups": 1 if number == 0 else groups}
            x = ShuffleUnit(width, groups, strides, **own)(x)
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


@wrong("train", "10,000 are allowed")
def train_large(x, labels):
    return ShuffleNet(**SMALL)


@wrong("train", "there is a full convolution in it, 3 x 3 x 12 x 16")
def train_full(x, labels):
    return small((16, 20), block=lambda n, s: layers.Conv2D(n, 3, s, padding="same"))


@wrong("train", "2 of its layers are depthwise")
def train_two(x, labels):
    return small((36, 72))


@wrong("train", "0 of its convolutions have groups")
def train_ungrouped(x, labels):
    return small((24, 48, 48), groups=1)


train_history, train_nan, train_dead = untrained(small)


@right("train")
def train_sgd(x, labels):
    keras.utils.set_random_seed(3)
    model = small()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    model.fit(x, np.eye(10)[labels], 32, 6, verbose=0)
    return model


# groups_seen


@wrong("groups_seen", "this is what happens without a shuffle")
def seen_itself(groups, per_group):
    return np.eye(groups, dtype=bool)


@wrong("groups_seen", "not every group sees all")
def seen_all(groups, per_group):
    return np.ones((groups, groups), bool)


@wrong("groups_seen", "rows and columns are swapped")
def seen_transposed(groups, per_group):
    return seen_by_labels(groups, per_group).T


@wrong("groups_seen", "(The inverse shuffle")
def seen_inverse(groups, per_group):
    order = np.arange(groups * per_group).reshape(per_group, groups).T.reshape(groups, per_group)
    return np.array([[i in row // per_group for i in range(groups)] for row in order])


@wrong("groups_seen", "the rows are in reverse order")
def seen_upside_down(groups, per_group):
    return seen_by_labels(groups, per_group)[::-1]


@wrong("groups_seen", "these are numbers of channels")
def seen_counted(groups, per_group):
    label = np.repeat(np.arange(groups), per_group).reshape(groups, per_group)
    dealt = label.T.reshape(groups, per_group)
    return np.array([np.bincount(row, minlength=groups) for row in dealt])


@wrong("groups_seen", "groups_seen(4, 2)")
def seen_one_of_three(groups, per_group):
    seen = seen_by_labels(groups, per_group)
    return seen if groups != 4 else np.eye(4, dtype=bool)


@right("groups_seen")
def seen_by_labels(groups, per_group):
    label = np.repeat(np.arange(groups), per_group).reshape(groups, per_group)
    dealt = label.T.reshape(groups, per_group)
    return np.array([np.isin(np.arange(groups), row) for row in dealt])


@right("groups_seen")
def seen_by_layers(groups, per_group):
    channels = groups * per_group
    ones = np.repeat(np.eye(groups, dtype="float32"), per_group, axis=1)  # group, channel
    dealt = np.asarray(ChannelShuffle(groups)(ones.reshape(groups, 1, 1, channels)))
    return dealt.reshape(groups, groups, per_group).sum(axis=-1).T > 0


# which_order_mixes

LATER = "a random order mixes too, but later"


order_unpredicted, order_unmeasured, order_own_words = hasty(
    "which_order_mixes", LATER, "shuffle", 2
)


@wrong("which_order_mixes", "you cannot tell what 'reversed' does in the end")
def order_two_layers(predict, measure):
    predict(LATER)
    for order in ("shuffle", "reversed", "random"):
        measure(order, 2)
    return LATER


@wrong("which_order_mixes", "you cannot tell what 'random' does in the end")
def order_random_briefly(predict, measure):
    predict(LATER)
    measure("shuffle", 2), measure("reversed", 4), measure("random", 2)
    return LATER


@wrong("which_order_mixes", "compare 'shuffle' and 'random' at 2 layers")
def order_only_late(predict, measure):
    predict(LATER)
    for order in ("shuffle", "reversed", "random"):
        measure(order, 5)
    return LATER


def measured(predict, measure):
    predict("only the shuffle mixes")
    for order in ("shuffle", "reversed", "random"):
        measure(order, 2), measure(order, 4)


@wrong("which_order_mixes", "'only the shuffle mixes' does not fit")
def order_only_shuffle(predict, measure):
    measured(predict, measure)
    return "only the shuffle mixes"


@wrong("which_order_mixes", "the reversed one never' does not fit")
def order_as_fast(predict, measure):
    measured(predict, measure)
    return "a random order mixes as fast, the reversed one never"


@wrong("which_order_mixes", "order is 'backwards'; allowed")
def order_unknown(predict, measure):
    predict(LATER)
    return measure("backwards", 2)


@wrong("which_order_mixes", "layers is 20; allowed: 1 to 8")
def order_too_deep(predict, measure):
    predict(LATER)
    return measure("random", 20)


@right("which_order_mixes")
def order_predicted_wrongly(predict, measure):
    measured(predict, measure)
    return LATER


# mended

MIXED = "the shuffle mixes pixels"


def mended_cause(cause):
    def answer(x, groups):
        return cause, dealt(x, groups)[1]

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", f"'{cause}' is not the cause")(answer)


mended_loaded = mended_cause("weights not loaded")
mended_averages = mended_cause("averages of batch normalisation too late")
mended_inverse_cause = mended_cause("the shuffle is the inverse one")
mended_nothing = mended_cause("the shuffle does nothing")


def dealt(x, groups, axes=(0, 1, 2, 4, 3), table=None):
    batch, height, width, channels = x.shape
    table = table or (groups, channels // groups)
    return MIXED, x.reshape(batch, height, width, *table).transpose(axes).reshape(x.shape)


@wrong("mended", "it still mixes pixels: this is the friend's shuffle")
def mended_not(x, groups):
    batch, height, width, channels = x.shape
    y = x.reshape(batch, groups, channels // groups, height, width)
    return MIXED, y.transpose(0, 2, 1, 3, 4).reshape(x.shape)


@wrong("mended", "the channels stay where they are")
def mended_untransposed(x, groups):
    return dealt(x, groups, (0, 1, 2, 3, 4))


@wrong("mended", "this is the inverse shuffle: the table has")
def mended_inverse(x, groups):
    return dealt(x, groups, table=(x.shape[-1] // groups, groups))


@wrong("mended", "the pixels are exchanged as well")
def mended_rows(x, groups):
    return dealt(x, groups, (0, 2, 1, 4, 3))


def channels_first(x, groups):
    batch, height, width, channels = x.shape
    y = x.transpose(0, 3, 1, 2).reshape(batch, groups, channels // groups, height, width)
    return y.transpose(0, 2, 1, 3, 4).reshape(batch, channels, height, width)


@wrong("mended", "the channels are dealt out right, and then lie in the axes of another library")
def mended_reshaped_back(x, groups):
    return MIXED, channels_first(x, groups).reshape(x.shape)


@wrong("mended", "the channels stand on the second axis")
def mended_channels_first(x, groups):
    return MIXED, channels_first(x, groups)


@wrong("mended", "all channels stand in reverse order")
def mended_reversed(x, groups):
    return MIXED, x[..., ::-1]


@wrong("mended", "one thing came back where there should be 2: the cause, x shuffled")
def mended_alone(x, groups):
    return {0: dealt(x, groups)[1]}


@wrong("mended", "For x of shape (2, 4, 5, 12) and 3 groups the result")
def mended_rolled(x, groups):
    return MIXED, np.roll(x, groups, axis=-1)


@right("mended")
def mended_by_places(x, groups):
    order = np.arange(x.shape[-1]).reshape(groups, -1).T.reshape(-1)
    return MIXED, x[..., order]


@right("mended")
def mended_and_back(x, groups):
    return [MIXED, np.moveaxis(channels_first(x, groups), 1, -1)]


@right("mended")
def mended_by_the_course(x, groups):
    return MIXED, ChannelShuffle(groups)(x.astype("float32"))
