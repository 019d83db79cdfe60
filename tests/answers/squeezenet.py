"""Answers to assignment 10."""

import heapq
import math

import keras
import numpy as np

from answers import in_a_class, right, wrong

# fire_parameters


def parameters(squeeze_window=1, one_window=1, three_window=9, biases=(1, 1), squeezing=1):
    """Return an answer with these numbers of weights a window, and of biases a filter."""

    def answer(channels, squeeze, expand1x1, expand3x3):
        first = squeeze_window * channels * squeeze + biases[0] * squeeze
        one = one_window * squeeze * expand1x1 + biases[1] * expand1x1
        three = three_window * squeeze * expand3x3 + biases[1] * expand3x3
        return squeezing * first + one + three

    return answer


@wrong("fire_parameters", "the biases are missing, one for each filter")
def parameters_without_biases(*sizes):
    return parameters(biases=(0, 0))(*sizes)


@wrong("fire_parameters", "the squeeze layer's biases are missing")
def parameters_without_squeeze_biases(*sizes):
    return parameters(biases=(0, 1))(*sizes)


@wrong("fire_parameters", "the expand layers' biases are missing")
def parameters_without_expand_biases(*sizes):
    return parameters(biases=(1, 0))(*sizes)


@wrong("fire_parameters", "the squeeze layer is missing")
def parameters_of_expand(*sizes):
    return parameters(squeezing=0)(*sizes)


@wrong("fire_parameters", "a 3 x 3 window has nine weights")
def parameters_three(*sizes):
    return parameters(three_window=3)(*sizes)


@wrong("fire_parameters", "both expand layers read the module's input")
def parameters_wide(channels, squeeze, expand1x1, expand3x3):
    first = channels * squeeze + squeeze
    return first + channels * expand1x1 + expand1x1 + 9 * channels * expand3x3 + expand3x3


@wrong("fire_parameters", "the expand layers stand one after the other")
def parameters_chained(channels, squeeze, expand1x1, expand3x3):
    small = squeeze * expand1x1 + expand1x1
    return channels * squeeze + squeeze + small + 9 * expand1x1 * expand3x3 + expand3x3


@wrong("fire_parameters", "the squeeze layer has 3 x 3 windows here")
def parameters_large_squeeze(*sizes):
    return parameters(squeeze_window=9)(*sizes)


@wrong("fire_parameters", "both expand layers have 3 x 3 windows here")
def parameters_all_large(*sizes):
    return parameters(one_window=9)(*sizes)


@wrong("fire_parameters", "both expand layers have 1 x 1 windows here")
def parameters_all_small(*sizes):
    return parameters(three_window=1)(*sizes)


@wrong("fire_parameters", "expand1x1 and expand3x3 are exchanged")
def parameters_exchanged(channels, squeeze, expand1x1, expand3x3):
    return parameters()(channels, squeeze, expand3x3, expand1x1)


@wrong("fire_parameters", "For fire2 of the paper the result")
def parameters_by_heart(channels, squeeze, expand1x1, expand3x3):
    return parameters()(channels, squeeze, expand1x1, 40)


@right("fire_parameters")
def parameters_by_layer(channels, squeeze, expand1x1, expand3x3):
    layers = [(1, channels, squeeze), (1, squeeze, expand1x1), (3, squeeze, expand3x3)]
    return sum(side**2 * inputs * filters + filters for side, inputs, filters in layers)


@right("fire_parameters")
def parameters_keras(channels, squeeze, expand1x1, expand3x3):
    return fire_functional((3, 3, channels), squeeze, expand1x1, expand3x3).count_params()


# module_sizes


def sizes(expand, squeezed=lambda e1, e3, ratio: ratio * (e1 + e3), share=lambda pct: pct):
    def answer(i, base_e, incr_e, freq, pct3x3, squeeze_ratio):
        filters = expand(i, base_e, incr_e, freq)
        three = share(pct3x3) * filters
        return squeezed(filters - three, three, squeeze_ratio), filters - three, three

    return answer


def grown(i, base_e, incr_e, freq):
    return base_e + incr_e * (i // freq)


@wrong("module_sizes", "expand1x1 and expand3x3 are exchanged")
def sizes_exchanged(*numbers):
    return sizes(grown, share=lambda pct: 1 - pct)(*numbers)


@wrong("module_sizes", "the squeeze layer stands first")
def sizes_expand_first(*numbers):
    squeeze, one, three = sizes(grown)(*numbers)
    return one, three, squeeze


@wrong("module_sizes", "the expand filters do not grow")
def sizes_constant(*numbers):
    return sizes(lambda i, base_e, incr_e, freq: base_e)(*numbers)


@wrong("module_sizes", "the expand filters grow with every module")
def sizes_every_module(*numbers):
    return sizes(lambda i, base_e, incr_e, freq: base_e + i * incr_e)(*numbers)


@wrong("module_sizes", "i is divided by freq with a remainder")
def sizes_fraction(*numbers):
    return sizes(lambda i, base_e, incr_e, freq: base_e + incr_e * i / freq)(*numbers)


@wrong("module_sizes", "the modules are counted from 1")
def sizes_from_one(*numbers):
    return sizes(lambda i, *rest: grown(i - 1, *rest))(*numbers)


@wrong("module_sizes", "base_e is missing")
def sizes_without_base(*numbers):
    return sizes(lambda i, base_e, incr_e, freq: incr_e * (i // freq))(*numbers)


@wrong("module_sizes", "not to the 3 x 3 ones alone")
def sizes_squeeze_of_three(*numbers):
    return sizes(grown, lambda e1, e3, ratio: ratio * e3)(*numbers)


@wrong("module_sizes", "not to the 1 x 1 ones alone")
def sizes_squeeze_of_one(*numbers):
    return sizes(grown, lambda e1, e3, ratio: ratio * e1)(*numbers)


@wrong("module_sizes", "expand1x1 is the number of all expand filters")
def sizes_all_small(*numbers):
    squeeze, one, three = sizes(grown)(*numbers)
    return squeeze, one + three, three


@wrong("module_sizes", "half of the expand filters are 3 x 3 here")
def sizes_half(*numbers):
    return sizes(grown, share=lambda pct: 0.5)(*numbers)


@wrong("module_sizes", "For module_sizes(5, 64, 32, 2, 0.75, 0.25) the triple")
def sizes_squared(*numbers):
    return sizes(lambda *rest: 2 * grown(*rest))(*numbers)


@wrong("module_sizes", "For fire2 of the paper the triple")
def sizes_never_the_first(*numbers):
    return sizes(lambda i, *rest: grown(i, *rest) if i else 0)(*numbers)


@wrong("module_sizes", "one thing came back where there should be 3")
def sizes_alone(*numbers):
    return grown(*numbers[:4])


@right("module_sizes")
def sizes_integers(*numbers):
    return [int(number) for number in sizes(grown)(*numbers)]


@right("module_sizes")
def sizes_loop(i, base_e, incr_e, freq, pct3x3, squeeze_ratio):
    expand = base_e
    for module in range(1, i + 1):
        if module % freq == 0:
            expand += incr_e
    return np.array([squeeze_ratio * expand, (1 - pct3x3) * expand, pct3x3 * expand]).round()


# fire

layers = keras.layers


def module(
    first="relu",
    second="relu",
    window=1,
    wide=False,
    bias=True,
    padding="same",
    turned=False,
    join=layers.Concatenate,
):
    def answer(input_shape, squeeze, expand1x1, expand3x3):
        image = keras.Input(input_shape)
        look = {"use_bias": bias, "padding": padding}
        narrow = layers.Conv2D(squeeze, window, activation=first, **look)(image)
        source = image if wide else narrow
        small = layers.Conv2D(expand1x1, 1, activation=second, **look)(source)
        large = layers.Conv2D(expand3x3, 3, activation=second, **look)(source)
        return keras.Model(image, join()([large, small] if turned else [small, large]))

    return answer


@wrong("fire", "this is what a layer gave back, not yet a model")
def fire_tensor(*arguments):
    return module()(*arguments).output


@wrong("fire", "the model should have one input of shape (5, 6, 7)")
def fire_fixed_input(input_shape, *filters):
    return module()((55, 55, 96), *filters)


@wrong("fire", "the model should have one output")
def fire_two_outputs(*arguments):
    model = module()(*arguments)
    return keras.Model(model.input, [model.output, model.output])


@wrong("fire", "the output has one half of the channels")
def fire_half(input_shape, squeeze, expand1x1, expand3x3):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    return keras.Model(image, layers.Conv2D(expand1x1, 1, activation="relu")(narrow))


@wrong("fire", "the output of (5, 6, 7) has shape (5, 6, 9)")
def fire_with_squeeze(input_shape, squeeze, expand1x1, expand3x3):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    small = layers.Conv2D(expand1x1, 1, activation="relu")(narrow)
    large = layers.Conv2D(expand3x3, 3, padding="same", activation="relu")(narrow)
    return keras.Model(image, layers.Concatenate()([narrow, small, large]))


@wrong("fire", "`fire` stops with ValueError")
def fire_valid(*arguments):
    return module(padding="valid")(*arguments)


@wrong("fire", "the expand layers read the module's input")
def fire_wide(*arguments):
    return fire_from_input(*arguments)


def fire_from_input(input_shape, squeeze, expand1x1, expand3x3):
    image = keras.Input(input_shape)
    narrow = layers.Conv2D(squeeze, 1, activation="relu")(image)
    small = layers.Conv2D(expand1x1, 1, activation="relu")(image)
    large = layers.Conv2D(expand3x3, 3, padding="same", activation="relu")(image)
    return keras.Model([image], layers.Concatenate()([small, large + 0 * keras.ops.sum(narrow)]))


@wrong("fire", "the squeeze layer has a 3 x 3 window")
def fire_large_squeeze(*arguments):
    return module(window=3)(*arguments)


@wrong("fire", "the kernels should be (1, 1, 7, 2), (1, 1, 2, 4) and (3, 3, 2, 3)")
def fire_all_large(input_shape, squeeze, expand1x1, expand3x3):
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


@right("fire")
def fire_functional(*arguments):
    return module()(*arguments)


@right("fire")
def fire_separate_relu(input_shape, squeeze, expand1x1, expand3x3):
    image = keras.Input(input_shape)
    x = layers.ReLU()(layers.Conv2D(squeeze, (1, 1), padding="same")(image))
    halves = [layers.Conv2D(expand1x1, 1)(x), layers.Conv2D(expand3x3, 3, padding="same")(x)]
    return keras.Model(image, layers.Activation("relu")(layers.concatenate(halves, axis=-1)))


@right("fire")
def fire_functional_in_a_class(*arguments):
    return in_a_class(fire_functional)(*arguments)


@right("fire")
def fire_functional_in_a_class_called(*arguments):
    return in_a_class(fire_functional, called=True)(*arguments)


# mask


def largest(weights, count, size=np.abs):
    order = np.argsort(-size(weights), axis=None)
    result = np.zeros(weights.size)
    result[order[:count]] = 1
    return result.reshape(weights.shape)


@wrong("mask", "the weights near zero are kept")
def mask_smallest(weights, keep):
    return largest(weights, round(keep * weights.size), size=lambda w: -np.abs(w))


@wrong("mask", "keep is taken as the share that goes")
def mask_share_pruned(weights, keep):
    return largest(weights, round((1 - keep) * weights.size))


@wrong("mask", "the mask is turned around")
def mask_turned(weights, keep):
    return 1 - largest(weights, round(keep * weights.size))


@wrong("mask", "large negative weights are pruned")
def mask_signed(weights, keep):
    return largest(weights, round(keep * weights.size), size=lambda w: w)


@wrong("mask", "every row keeps the same number")
def mask_rows(weights, keep):
    return [largest(row, round(keep * row.size)) for row in weights]


@wrong("mask", "keep is used as the threshold")
def mask_threshold(weights, keep):
    return np.abs(weights) > keep


@wrong("mask", "these are the pruned weights")
def mask_weights(weights, keep):
    return weights * largest(weights, round(keep * weights.size))


@wrong("mask", "one weight too few is kept")
def mask_strict(weights, keep):
    size = np.abs(weights)
    return size > np.sort(size, axis=None)[-round(keep * weights.size)]


@wrong("mask", "one weight too many is kept")
def mask_one_more(weights, keep):
    size = np.abs(weights)
    return size >= np.sort(size, axis=None)[-round(keep * weights.size) - 1]


@wrong("mask", "The mask has shape (40,); it should have shape (5, 8)")
def mask_flat(weights, keep):
    return largest(weights, round(keep * weights.size)).ravel()


@wrong("mask", "The mask for keep = 0.33 at [1, 4] is")
def mask_quarter(weights, keep):
    return largest(weights, weights.size if keep == 1 else weights.size // 4)


@right("mask")
def mask_ranks(weights, keep):
    return largest(weights, round(keep * weights.size)).astype(int)


@right("mask")
def mask_quadratic(weights, keep):
    size = [abs(w) for w in weights.ravel()]
    stays = sorted(size)[len(size) - round(keep * len(size)) :]
    return [[abs(w) in stays for w in row] for row in weights]


@wrong("mask", "13 of 40 weights stay for keep = 0.34")
def mask_cut_off(weights, keep):
    return largest(weights, int(keep * weights.size))


@wrong("mask", "15 of 40 weights stay for keep = 0.36")
def mask_quantile(weights, keep):
    return np.abs(weights) >= np.quantile(np.abs(weights), 1 - keep)


# new_centres


def moving(function, empty=lambda centre: centre, finish=None):
    def answer(weights, centres):
        nearest = np.argmin(np.abs(weights[:, None] - centres), axis=1)
        result = [
            function(weights[nearest == k]) if np.any(nearest == k) else empty(centres[k])
            for k in range(len(centres))
        ]
        result = [centre for centre in result if centre is not None]
        return finish(np.array(result), weights, centres, nearest) if finish else result

    return answer


@wrong("new_centres", "a centre without weights has become 0")
def centres_zero(*arguments):
    return moving(np.mean, lambda centre: 0.0)(*arguments)


@wrong("new_centres", "a centre without weights has disappeared")
def centres_fewer(*arguments):
    return moving(np.mean, lambda centre: None)(*arguments)


@wrong("new_centres", "these are medians")
def centres_median(*arguments):
    return moving(np.median)(*arguments)


@wrong("new_centres", "these are sums")
def centres_sum(*arguments):
    return moving(np.sum)(*arguments)


@wrong("new_centres", "a centre has moved to the weight that is nearest to it")
def centres_nearest_weight(weights, centres):
    return weights[np.argmin(np.abs(weights - centres[:, None]), axis=1)]


@wrong("new_centres", "the centres have not moved")
def centres_same(weights, centres):
    return centres + 0.0


@wrong("new_centres", "these are the numbers of the centres")
def centres_codes(weights, centres):
    return np.argmin(np.abs(weights[:, None] - centres), axis=1)


@wrong("new_centres", "these are the weights with their old centres")
def centres_old_values(weights, centres):
    return centres[centres_codes(weights, centres)]


@wrong("new_centres", "these are the weights with their new centres")
def centres_new_values(*arguments):
    return moving(np.mean, finish=lambda new, w, c, nearest: new[nearest])(*arguments)


@wrong("new_centres", "old centre and mean are averaged")
def centres_half_way(*arguments):
    return moving(np.mean, finish=lambda new, w, old, nearest: (new + old) / 2)(*arguments)


@wrong("new_centres", "every centre has moved to the mean of all weights")
def centres_mean_of_all(weights, centres):
    return np.full(len(centres), weights.mean())


@wrong("new_centres", "The array of centres contains nan")
def centres_empty(weights, centres):
    nearest = centres_codes(weights, centres)
    total = np.bincount(nearest, weights, len(centres))
    return total / np.bincount(nearest, minlength=len(centres))


@wrong("new_centres", "With three centres the array")
def centres_four(weights, centres):
    result = np.array(centres_loop(weights, centres))
    return result if len(centres) == 4 else result[::-1]


@right("new_centres")
def centres_loop(weights, centres):
    groups = [[] for _ in centres]
    for weight in weights:
        distances = [abs(weight - centre) for centre in centres]
        groups[distances.index(min(distances))].append(weight)
    return [sum(g) / len(g) if g else centre for g, centre in zip(groups, centres)]


@right("new_centres")
def centres_by_edges(weights, centres):
    order = np.argsort(centres)
    line = centres[order]
    place = np.searchsorted((line[1:] + line[:-1]) / 2, weights)
    moved = [weights[place == k].mean() if k in place else line[k] for k in range(len(line))]
    return np.array(moved)[np.argsort(order)]


@wrong("new_centres", "the steps are repeated until nothing moves")
def centres_settled(weights, centres):
    for _ in range(50):
        nearest = np.argmin(np.abs(weights[:, None] - centres), axis=1)
        centres = np.array(
            [weights[nearest == k].mean() if k in nearest else c for k, c in enumerate(centres)]
        )
    return centres


@wrong("new_centres", "the centres are sorted")
def centres_sorted(weights, centres):
    nearest = np.argmin(np.abs(weights[:, None] - centres), axis=1)
    return np.sort(
        [weights[nearest == k].mean() if k in nearest else c for k, c in enumerate(centres)]
    )


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
