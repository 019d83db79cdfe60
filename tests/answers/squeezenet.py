"""Answers to assignment 10."""

import heapq
import math

import keras
import numpy as np

from answers import hasty, in_a_class, right, untrained, wrong
from course_lib.layers import max_pool
from course_lib.squeezenet import SMALL, Fire, SqueezeNet

layers = keras.layers

# fire


def module(
    first="relu",
    second="relu",
    window=1,
    bias=True,
    turned=False,
    join=layers.Concatenate,
    reads="squeeze",
    around="complex",
    across=None,
    across_bias=True,
    last=None,
):
    def answer(input_shape, squeeze, expand1x1, expand3x3, bypass):
        image = keras.Input(input_shape)
        look = {"use_bias": bias, "padding": "same"}
        narrow = layers.Conv2D(squeeze, window, activation=first, **look)(image)
        small = layers.Conv2D(expand1x1, 1, activation=second, **look)(narrow)
        source = small if reads == "small" else narrow
        large = layers.Conv2D(expand3x3, 3, activation=second, **look)(source)
        x = join()([large, small] if turned else [small, large])
        if bypass and around or around == "always":
            fits = input_shape[-1] == x.shape[-1]
            if around == "convolution" or around == "complex" and not fits:
                a = layers.Conv2D(x.shape[-1], 1, activation=across, use_bias=across_bias)(image)
                x = layers.add([x, a])
            elif around == "joined":
                x = join()([x, image])
            elif fits:
                x = layers.add([x, image])
            x = layers.Activation(last)(x)
        return keras.Model(image, x)

    return answer


@wrong("fire", "this is what a layer gave back, not yet a model")
def fire_tensor(*arguments):
    return module()(*arguments).output


@wrong("fire", "the model should have one input of shape (5, 6, 7)")
def fire_fixed_input(input_shape, *others):
    return module()((55, 55, 96), *others)


@wrong("fire", "the output has one half of the channels")
def fire_half(input_shape, squeeze, expand1x1, expand3x3, bypass):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    return keras.Model(image, layers.Conv2D(expand1x1, 1, activation="relu")(narrow))


@wrong("fire", "has shape (5, 6, 9); it should have (5, 6, 7)")
def fire_with_squeeze(input_shape, squeeze, expand1x1, expand3x3, bypass):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    small = layers.Conv2D(expand1x1, 1, activation="relu")(narrow)
    large = layers.Conv2D(expand3x3, 3, padding="same", activation="relu")(narrow)
    return keras.Model(image, layers.Concatenate()([narrow, small, large]))


@wrong("fire", "the expand layers read the module's input")
def fire_wide(input_shape, squeeze, expand1x1, expand3x3, bypass):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    small = layers.Conv2D(expand1x1, 1, activation="relu")(image)
    large = layers.Conv2D(expand3x3, 3, padding="same", activation="relu")(image)
    return keras.Model([image], layers.Concatenate()([small, large + 0 * keras.ops.sum(narrow)]))


@wrong("fire", "the 3 x 3 layer reads the 1 x 1 half")
def fire_chained(*arguments):
    return module(reads="small")(*arguments)


@wrong("fire", "the squeeze layer has a 3 x 3 window")
def fire_large_squeeze(*arguments):
    return module(window=3)(*arguments)


@wrong("fire", "should be (1, 1, 7, 2), (1, 1, 2, 4), (3, 3, 2, 3). Kernels of this model")
def fire_all_large(input_shape, squeeze, expand1x1, expand3x3, bypass):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    both = layers.Conv2D(expand1x1 + expand3x3, 3, padding="same", activation="relu")(narrow)
    return keras.Model(image, both)


@wrong("fire", "there are no biases")
def fire_without_biases(*arguments):
    return module(bias=False)(*arguments)


@wrong("fire", "there is no ReLU")
def fire_linear(*arguments):
    return module(None, None)(*arguments)


@wrong("fire", "the ReLU after the squeeze layer is missing")
def fire_linear_squeeze(*arguments):
    return module(first=None)(*arguments)


@wrong("fire", "the ReLU after the expand layers is missing")
def fire_linear_expand(*arguments):
    return module(second=None)(*arguments)


@wrong("fire", "the 3 x 3 half comes first")
def fire_turned(*arguments):
    return module(turned=True)(*arguments)


@wrong("fire", "the input is added although bypass is False")
def fire_always(*arguments):
    return module(around="always")(*arguments)


@wrong("fire", "bypass is True, and nothing is added")
def fire_without_bypass(*arguments):
    return module(around="")(*arguments)


@wrong("fire", "the input is concatenated. A bypass adds it")
def fire_joined(*arguments):
    return module(around="joined")(*arguments)


@wrong("fire", "the bypass has a convolution where the input has as many channels")
def fire_convolution_everywhere(*arguments):
    return module(around="convolution")(*arguments)


@wrong("fire", "there is no bypass in fire((5, 6, 5), 2, 4, 3, True)")
def fire_simple(*arguments):
    return module(around="simple")(*arguments)


@wrong("fire", "a ReLU follows the addition")
def fire_relu_last(*arguments):
    return module(last="relu")(*arguments)


@wrong("fire", "the convolution of the bypass has a ReLU")
def fire_bypass_relu(*arguments):
    return module(across="relu")(*arguments)


@wrong("fire", "the convolution of the bypass has no bias")
def fire_bypass_without_bias(*arguments):
    return module(across_bias=False)(*arguments)


@right("fire")
def fire_functional(*arguments):
    return module()(*arguments)


@right("fire")
def fire_separate_relu(input_shape, squeeze, expand1x1, expand3x3, bypass):
    image = keras.Input(input_shape)
    x = layers.ReLU()(layers.Conv2D(squeeze, (1, 1), padding="same")(image))
    halves = [layers.Conv2D(expand1x1, 1)(x), layers.Conv2D(expand3x3, 3, padding="same")(x)]
    x = layers.Activation("relu")(layers.concatenate(halves, axis=-1))
    if bypass and input_shape[-1] == expand1x1 + expand3x3:
        x = x + image
    elif bypass:
        x = x + layers.Conv2D(expand1x1 + expand3x3, 1)(image)
    return keras.Model(image, x)


@right("fire")
def fire_in_a_class(*arguments):
    return in_a_class(module())(*arguments)


# network


def whole(
    bypass=False,
    pools=(0, 2, 4),
    pool=max_pool,
    share=8,
    first="valid",
    drop=0.5,
    tail=None,
    activation=None,
):
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, padding=first, activation="relu")(image)
    for i in range(8):
        if i in pools:
            x = pool(x, f"pool{i}")
        expand = 32 * (1 + i // 2)
        x = module()(x.shape[1:], expand // share, expand // 2, expand // 2, bypass)(x)
    x = layers.Dropout(drop)(x) if drop else x
    if tail:
        return keras.Model(image, tail(x))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(10, 1, activation="relu")(x))
    return keras.Model(image, layers.Activation(activation)(x))


@wrong("network", "the poolings stand after fire4 and fire8")
def network_late(bypass):
    return whole(bypass, (0, 3, 7))


@wrong("network", "the ReLU after conv10 is missing")
def network_linear(bypass):
    return whole(bypass, tail=lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(10, 1)(x)))


@wrong("network", "conv1 is padded")
def network_padded(bypass):
    return whole(bypass, first="same")


@wrong("network", "a pooling loses the last row")
def network_valid_pools(bypass):
    return whole(bypass, pool=lambda x, name: layers.MaxPooling2D(3, 2)(x))


@wrong("network", "network(False) has bypasses")
def network_always(bypass):
    return SqueezeNet(**{**SMALL, "bypass": "simple"})


@wrong("network", "network(True) has no bypass")
def network_never(bypass):
    return whole()


@wrong("network", "in network(True) only modules with equal channels")
def network_simple(bypass):
    return SqueezeNet(**{**SMALL, "bypass": "simple" if bypass else None})


@wrong("network", "the Dropout is missing")
def network_without_dropout(bypass):
    return whole(bypass, drop=0)


@wrong("network", "the network ends in a softmax")
def network_softmax(bypass):
    return whole(bypass, activation="softmax")


@wrong("network", "there is none of 1 x 1 x 4 x 16")
def network_wide_doors(bypass):
    return whole(bypass, share=4)


@wrong("network", "there is none of 1 x 1 x 128 x 10, and there is one of 128 x 10")
def network_dense(bypass):
    def tail(x):
        return layers.Dense(10, "relu")(layers.GlobalAveragePooling2D()(x))

    return whole(bypass, tail=tail)


@right("network")
def network_of_the_course(bypass):
    return SqueezeNet(**{**SMALL, "bypass": "complex" if bypass else None})


@right("network")
def network_in_a_class(bypass):
    return in_a_class(whole)(bypass)


# train


def small(sizes=((8, 16, 16), (12, 24, 24), (16, 32, 32)), first=16, block=None):
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(first, 3, 2, activation="relu", kernel_initializer="he_normal")(image)
    for number, size in enumerate(sizes):
        x = (block or Fire)(*size)(x)
        x = layers.MaxPooling2D(2)(x) if number < 2 else x
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


@wrong("train", "12,000 are allowed")
def train_large(x, labels):
    return SqueezeNet(**SMALL)


@wrong("train", "that no squeeze layer made")
def train_plain(x, labels):
    def block(squeeze, one, three):
        return layers.Conv2D(one, 3, padding="same", activation="relu")

    return small(((0, 12, 0), (0, 16, 0), (0, 20, 0)), block=block)


@wrong("train", "there are 2 Fire modules in it")
def train_two(x, labels):
    return small(((8, 16, 16), (12, 24, 24)))


train_history, train_nan, train_dead = untrained(small)


@right("train")
def train_sgd(x, labels):
    keras.utils.set_random_seed(3)
    model = small()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    model.fit(x, np.eye(10)[labels], 32, 6, verbose=0)
    return model


# what_saves_it

EACH, WHOLE = "each layer", "whole network"


saves_unpredicted, saves_unmeasured, saves_own_words = hasty("what_saves_it", "both", EACH, 0)


@wrong("what_saves_it", "there is no prediction")
def saves_neither_called(predict, measure):
    return "both"


@wrong("what_saves_it", "you cannot tell what where it is cut does")
def saves_one_place(predict, measure):
    predict("only training on")
    measure(WHOLE, 0), measure(WHOLE, 200)
    return "only training on"


@wrong("what_saves_it", "you cannot tell what training on does")
def saves_without_steps(predict, measure):
    predict("both")
    measure(EACH, 0), measure(WHOLE, 0)
    return "both"


@wrong("what_saves_it", "compare measure('each layer', 0) and measure('whole network', 0)")
def saves_both_at_once(predict, measure):
    predict("both")
    measure(EACH, 0), measure(EACH, 150), measure(WHOLE, 200)
    return "both"


def measured(predict, measure):
    predict("neither")
    for where in (EACH, WHOLE):
        measure(where, 0), measure(where, 200)


@wrong("what_saves_it", "'only training on' does not fit")
def saves_training(predict, measure):
    measured(predict, measure)
    return "only training on"


@wrong("what_saves_it", "'neither' does not fit")
def saves_neither(predict, measure):
    measured(predict, measure)
    return "neither"


@wrong("what_saves_it", "where is 'one layer'; allowed")
def saves_elsewhere(predict, measure):
    predict("both")
    return measure("one layer", 0)


@wrong("what_saves_it", "steps is 1000; allowed: a whole number from 0 to 400")
def saves_too_long(predict, measure):
    predict("both")
    return measure(EACH, 1000)


@right("what_saves_it")
def saves_predicted_wrongly(predict, measure):
    measured(predict, measure)
    return "both"


# mended

GROWN = "nothing holds the zeros"


def training(after=lambda w, mask: None, end=None, start=True, momentum=0.9, extra=0):
    """Return an answer in the friend's manner; `after` acts on an array after its step."""

    def answer(weights, masks, slopes, steps, rate):
        weights = [w * m if start else w.copy() for w, m in zip(weights, masks)]
        speeds = [np.zeros_like(w) for w in weights]
        for _ in range(steps + extra):
            for w, m, speed, slope in zip(weights, masks, speeds, slopes(weights)):
                speed *= momentum
                speed -= rate * slope
                w += speed
                after(w, m)
        return GROWN, [end(w, m) for w, m in zip(weights, masks)] if end else weights

    return answer


def hold(w, mask):
    w *= mask


def mended_cause(cause):
    def answer(*arguments):
        return cause, training(hold)(*arguments)[1]

    answer.__name__ = "mended_" + cause.replace(" ", "_")
    return wrong("mended", f"'{cause}' is not the cause")(answer)


mended_much = mended_cause("pruned too much")
mended_rate = mended_cause("learning rate too high")
mended_briefly = mended_cause("trained on too briefly")
mended_file = mended_cause("file written wrongly")


@wrong("mended", "the cause should be one of")
def mended_other_cause(*arguments):
    return "overfitting", training(hold)(*arguments)[1]


@wrong("mended", "the zeros are still not held")
def mended_new_array(*arguments):
    def after(w, mask):
        w = w * mask

    return training(after)(*arguments)


@wrong("mended", "the zeros are there at the end, but not on the way")
def mended_at_the_end(*arguments):
    return training(end=lambda w, m: w * m)(*arguments)


@wrong("mended", "the weights are not pruned before the first step")
def mended_dense_start(*arguments):
    return training(hold, start=False)(*arguments)


@wrong("mended", "the weights have not moved")
def mended_not_moved(weights, masks, slopes, steps, rate):
    weights = [w * m for w, m in zip(weights, masks)]
    for _ in range(steps):
        for w, m, slope in zip(weights, masks, slopes(weights)):
            w = (w - rate * slope) * m
    return GROWN, weights


@wrong("mended", "the masks are turned round")
def mended_turned(weights, masks, *others):
    return training(hold)(weights, [1 - m for m in masks], *others)


@wrong("mended", "the momentum is gone")
def mended_without_momentum(*arguments):
    return training(hold, momentum=0)(*arguments)


@wrong("mended", "`slopes` is called 7 times; there are 6 steps")
def mended_one_more(*arguments):
    return training(hold, extra=1)(*arguments)


@wrong("mended", "`slopes` is never called")
def mended_pruned_only(weights, masks, *others):
    return GROWN, [w * m for w, m in zip(weights, masks)]


@wrong("mended", "pruned weights are not zero at the end")
def mended_slopes_at_first(weights, masks, slopes, steps, rate):
    weights, first = [w * m for w, m in zip(weights, masks)], True
    for _ in range(steps):
        for w, m, slope in zip(weights, masks, slopes(weights)):
            w -= rate * (slope * m if first else slope)
        first = False
    return GROWN, weights


@wrong("mended", "Right zeros, other weights")
def mended_other_momentum(*arguments):
    return training(hold, momentum=0.5)(*arguments)


@wrong("mended", "weights[0] has shape (3, 4); it should have shape (4, 3)")
def mended_transposed(*arguments):
    return GROWN, [w.T for w in training(hold)(*arguments)[1]]


@wrong("mended", "one thing came back where there should be 2: the cause, the list of weights")
def mended_weights_alone(*arguments):
    return {0: training(hold)(*arguments)[1]}


@right("mended")
def mended_by_slopes(weights, masks, slopes, steps, rate):
    weights = [w * m for w, m in zip(weights, masks)]
    speeds = [0.0, 0.0, 0.0]
    for _ in range(steps):
        for i, slope in enumerate(slopes(weights)):
            speeds[i] = 0.9 * speeds[i] - rate * slope * masks[i]
            weights[i] = weights[i] + speeds[i]
    return [GROWN, weights]


@right("mended")
def mended_by_places(weights, masks, slopes, steps, rate):
    def after(w, mask):
        w[mask == 0] = 0

    return training(after)(weights, masks, slopes, steps, rate)


@right("mended")
def mended_behind_a_mask(weights, masks, slopes, steps, rate):
    """The dense weights move, and the network sees them through the masks."""
    free = [w.copy() for w in weights]
    speeds = [np.zeros_like(w) for w in weights]
    for _ in range(steps):
        for w, speed, slope in zip(free, speeds, slopes([w * m for w, m in zip(free, masks)])):
            speed[:] = 0.9 * speed - rate * slope
            w += speed
    return GROWN, [w * m for w, m in zip(free, masks)]


# huffman_bits


def joining(choose=min, joined=lambda a, b: a + b, last=True, keep_all=True):
    def answer(counts):
        groups, sums = list(counts), []
        while len(groups) > 1:
            two = []
            for _ in range(2):
                two.append(choose(groups))
                groups.remove(two[-1])
            sums.append(joined(*two))
            groups.append(sums[-1])
        sums = sums if last else sums[:-1]
        return sum(sums) if keep_all else sums[-1]

    return answer


def entropy(counts):
    total = sum(counts)
    return sum(n * math.log2(total / n) for n in counts)


@wrong("huffman_bits", "this is the entropy, which no code can beat")
def bits_entropy(counts):
    return entropy(counts)


@wrong("huffman_bits", "this is the entropy, rounded up")
def bits_entropy_rounded(counts):
    return math.ceil(entropy(counts))


@wrong("huffman_bits", "all words have the same length here")
def bits_fixed(counts):
    return math.ceil(math.log2(len(counts))) * sum(counts)


@wrong("huffman_bits", "this is the mean length of a word")
def bits_mean(counts):
    return joining()(counts) / sum(counts)


@wrong("huffman_bits", "the last sum is missing")
def bits_without_last(counts):
    return joining(last=False)(counts)


@wrong("huffman_bits", "this is the number of symbols")
def bits_last_only(counts):
    return joining(keep_all=False)(counts)


@wrong("huffman_bits", "the two largest are joined")
def bits_largest(counts):
    return joining(max)(counts)


@wrong("huffman_bits", "these are bytes")
def bits_bytes(counts):
    return joining()(counts) / 8


@wrong("huffman_bits", "32 bits are counted for each symbol")
def bits_floats(counts):
    return 32 * sum(counts)


@wrong("huffman_bits", "a sum is joined with the next count at once")
def bits_chain(counts):
    first, *rest = sorted(counts)
    bits = 0
    for count in rest:
        first += count
        bits += first
    return bits


@wrong("huffman_bits", "For the counts [3, 1] the result")
def bits_not_two(counts):
    return joining()(counts) if len(counts) > 2 else 1


@right("huffman_bits")
def bits_by_length(counts):
    groups = [(n, [i]) for i, n in enumerate(counts)]
    lengths = [0] * len(counts)
    while len(groups) > 1:
        groups.sort(key=lambda group: group[0])
        (n, left), (m, right_side), *groups = groups
        for i in left + right_side:
            lengths[i] += 1
        groups.append((n + m, left + right_side))
    return sum(n * length for n, length in zip(counts, lengths))


@right("huffman_bits")
def bits_numpy(counts):
    groups, bits = np.array(counts), 0
    while len(groups) > 1:
        groups = np.sort(groups)
        groups = np.append(groups[2:], groups[0] + groups[1])
        bits += groups[-1]
    return heapq.nsmallest(1, [bits])[0]


@wrong("huffman_bits", "heappop takes out the smallest of a heap only")
def bits_without_heapify(counts):
    groups, bits = list(counts), 0
    while len(groups) > 1:
        joined = heapq.heappop(groups) + heapq.heappop(groups)
        bits += joined
        heapq.heappush(groups, joined)
    return bits
