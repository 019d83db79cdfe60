"""Answers to assignment 08."""

import keras
import numpy as np

from answers import in_a_class, right, wrong
from course_lib.densenet import DenseBlock, DenseLayer

# dense_channels


@wrong("dense_channels", "the block's output is missing")
def channels_without_output(start, growth, layers):
    return [start + growth * layer for layer in range(layers)]


@wrong("dense_channels", "layer 1 sees the input of the block alone")
def channels_one_too_many(start, growth, layers):
    return [start + growth * (layer + 1) for layer in range(layers + 1)]


@wrong("dense_channels", "the list begins with layer 2")
def channels_after_each_layer(start, growth, layers):
    return [start + growth * layer for layer in range(1, layers + 1)]


@wrong("dense_channels", "this is a chain")
def channels_of_a_chain(start, growth, layers):
    return [start] + layers * [growth]


@wrong("dense_channels", "the input of the block is lost on the way")
def channels_without_input(start, growth, layers):
    return [start] + [growth * layer for layer in range(1, layers + 1)]


@wrong("dense_channels", "the channels double")
def channels_doubled(start, growth, layers):
    seen = [start]
    for _ in range(layers):
        seen.append(2 * seen[-1])
    return seen


@wrong("dense_channels", "start and growth are swapped")
def channels_swapped(start, growth, layers):
    return [growth + start * layer for layer in range(layers + 1)]


@wrong("dense_channels", "these are the channels that addition leaves")
def channels_added(start, growth, layers):
    return [start] * (layers + 1)


@wrong("dense_channels", "one number comes back: the last")
def channels_of_the_output(start, growth, layers):
    return start + growth * layers


@right("dense_channels")
def channels_range(start, growth, layers):
    return range(start, start + growth * layers + 1, growth)


@right("dense_channels")
def channels_from_the_block(start, growth, layers):
    block = DenseBlock(layers, growth)
    shape = (None, 4, 4, start)
    seen = [start]
    for layer in block.dense_layers:
        shape = layer.compute_output_shape(shape)
        seen.append(shape[-1])
    return np.array(seen, "float32")


# connections


@wrong("connections", "these are the layers of a chain")
def connections_of_a_chain(blocks):
    return sum(blocks)


@wrong("connections", "the input of the block is a source too")
def connections_without_input(blocks):
    return sum(n * (n - 1) // 2 for n in blocks)


@wrong("connections", "the output of the block is not a layer that reads")
def connections_with_output(blocks):
    return sum(sum(range(n + 2)) for n in blocks)


@wrong("connections", "each connection is counted twice")
def connections_twice(blocks):
    return sum(n * (n + 1) for n in blocks)


@wrong("connections", "n * n also counts")
def connections_both_ways(blocks):
    return sum(n**2 for n in blocks)


@wrong("connections", "the layers of all blocks are put into one")
def connections_across(blocks):
    return sum(blocks) * (sum(blocks) + 1) / 2


@wrong("connections", "only the first block is counted")
def connections_returns_early(blocks):
    for n in blocks:
        return n * (n + 1) // 2


@wrong("connections", "only the last block comes back")
def connections_overwritten(blocks):
    for n in blocks:
        total = n * (n + 1) // 2
    return total


@wrong("connections", "connections([4]) is 11; it should be 10")
def connections_off_by_one(blocks):
    return sum(n * (n + 1) // 2 + 1 for n in blocks)


@right("connections")
def connections_loops(blocks):
    return sum(1 for n in blocks for reader in range(n) for source in range(reader + 1))


@right("connections")
def connections_triangle(blocks):
    return float(sum(np.tril(np.ones((n, n))).sum() for n in blocks))


# layer_weights


def weights_with(narrow, plain=lambda c, k: 9 * c * k):
    """Return an answer with these rules for a layer with and without bottleneck."""

    def answer(channels, growth, bottleneck):
        return narrow(channels, growth) if bottleneck else plain(channels, growth)

    return answer


def with_bottleneck(c, k):
    return 4 * c * k + 36 * k * k


@wrong("layer_weights", "the bottleneck changes nothing here")
def weights_plain(*layer):
    return weights_with(lambda c, k: 9 * c * k)(*layer)


@wrong("layer_weights", "there is a bottleneck even where the third argument is False")
def weights_always_bottleneck(*layer):
    return weights_with(with_bottleneck, with_bottleneck)(*layer)


@wrong("layer_weights", "True and False are swapped")
def weights_swapped(channels, growth, bottleneck):
    return weights_with(with_bottleneck)(channels, growth, not bottleneck)


@wrong("layer_weights", "the 1 x 1 convolution makes `growth` channels here")
def weights_narrow(*layer):
    return weights_with(lambda c, k: c * k + 9 * k * k)(*layer)


@wrong("layer_weights", "the 3 x 3 convolution still reads all channels")
def weights_reads_all(*layer):
    return weights_with(lambda c, k: 4 * c * k + 9 * c * k)(*layer)


@wrong("layer_weights", "the first convolution of a bottleneck is 1 x 1")
def weights_two_squares(*layer):
    return weights_with(lambda c, k: 9 * c * 4 * k + 9 * 4 * k * k)(*layer)


@wrong("layer_weights", "the second convolution of a bottleneck is missing")
def weights_first_only(*layer):
    return weights_with(lambda c, k: 4 * c * k)(*layer)


@wrong("layer_weights", "the 3 x 3 convolution makes 4 * growth channels here")
def weights_wide(*layer):
    return weights_with(lambda c, k: 4 * c * k + 9 * (4 * k) ** 2)(*layer)


@wrong("layer_weights", "the kernel is a square")
def weights_flat(*layer):
    return weights_with(lambda c, k: 4 * c * k + 3 * 4 * k * k, lambda c, k: 3 * c * k)(*layer)


@wrong("layer_weights", "these convolutions have no biases")
def weights_with_biases(*layer):
    plain = lambda c, k: 9 * c * k + k  # noqa: E731
    return weights_with(lambda c, k: with_bottleneck(c, k) + 4 * k + k, plain)(*layer)


@wrong("layer_weights", "the weights of both convolutions are multiplied")
def weights_product(*layer):
    return weights_with(lambda c, k: (4 * c * k) * (36 * k * k))(*layer)


@wrong("layer_weights", "layer_weights(240, 12, True) is 16848; it should be 16704")
def weights_odd(*layer):
    return weights_with(lambda c, k: 4 * c * k + 37 * k * k)(*layer)


@right("layer_weights")
def weights_from_keras(channels, growth, bottleneck):
    layer = DenseLayer(growth, bottleneck)
    layer.build((None, 8, 8, channels))
    return sum(int(np.prod(w.shape)) for w in layer.weights if w.name == "kernel")


@right("layer_weights")
def weights_step_by_step(channels, growth, bottleneck):
    total = 0
    if bottleneck:
        total, channels = channels * 4 * growth, 4 * growth
    return total + 3 * 3 * channels * growth


# dense_block


@wrong("dense_block", "this is a chain")
def block_chain(x, functions):
    for function in functions:
        x = function(x)
    return x


@wrong("dense_block", "each function sees the answer before it alone. It should")
def block_sees_previous(x, functions):
    known = [x]
    for function in functions:
        known.append(function(known[-1]))
    return np.concatenate(known, axis=-1)


@wrong("dense_block", "each function sees the input of the block alone")
def block_parallel(x, functions):
    return np.concatenate([x, *(function(x) for function in functions)], axis=-1)


@wrong("dense_block", "each function sees the input and the last answer alone")
def block_input_and_previous(x, functions):
    known, last = [x], x[..., :0]
    for function in functions:
        last = function(np.concatenate([x, last], axis=-1))
        known.append(last)
    return np.concatenate(known, axis=-1)


@wrong("dense_block", "the functions do not see the input of the block after the first")
def block_forgets_input(x, functions):
    answers = []
    for function in functions:
        answers.append(function(np.concatenate(answers, axis=-1) if answers else x))
    return np.concatenate([x, *answers], axis=-1)


def block_right(x, functions):
    for function in functions:
        x = np.concatenate([x, function(x)], axis=-1)
    return x


@wrong("dense_block", "the input of the block is missing in what comes back")
def block_without_input(x, functions):
    return block_right(x, functions)[..., x.shape[-1] :]


@wrong("dense_block", "only the last answer comes back")
def block_last_answer(x, functions):
    for function in functions:
        new = function(x)
        x = np.concatenate([x, new], axis=-1)
    return new


@wrong("dense_block", "the last function's answer is missing")
def block_one_short(x, functions):
    return block_right(x, functions[:-1])


@wrong("dense_block", "the new channels are put in front")
def block_in_front(x, functions):
    for function in functions:
        x = np.concatenate([function(x), x], axis=-1)
    return x


@wrong("dense_block", "stops with ValueError")
def block_added(x, functions):
    for function in functions:
        x = x + function(x)
    return x


@wrong("dense_block", "With six functions the result has shape (1, 4, 14)")
def block_three_layers(x, functions):
    return block_right(x, functions[:3])


@wrong("dense_block", "Without functions the result has shape (0,)")
def block_needs_a_function(x, functions):
    return block_right(x, functions) if functions else []


@right("dense_block")
def block_list(x, functions):
    known = [x]
    for function in functions:
        known.append(function(np.concatenate(known, axis=2)))
    return np.concatenate(known, axis=2)


@right("dense_block")
def block_recursive(x, functions):
    if not functions:
        return x
    return block_recursive(np.dstack([x, functions[0](x)]), functions[1:])


# feature_reuse


def reuse_with(reduce, cut=None):
    """Return an answer that reduces the pieces of the kernel, cut at `start` and then evenly."""

    def answer(kernel, start, growth):
        first = start if cut is None else cut(start, growth)
        return [reduce(piece) for piece in pieces(kernel, first, growth)]

    return answer


def pieces(kernel, first, growth):
    return np.split(kernel, range(first, kernel.shape[2], growth), axis=2)


def mean_size(piece):
    return np.abs(piece).mean()


reuse_right = reuse_with(mean_size)


@wrong("feature_reuse", "positive and negative weights cancel")
def reuse_signed(kernel, start, growth):
    return reuse_with(np.mean)(kernel, start, growth)


@wrong("feature_reuse", "the mean is taken before the size")
def reuse_late_size(kernel, start, growth):
    return np.abs(reuse_with(np.mean)(kernel, start, growth))


@wrong("feature_reuse", "these are sums")
def reuse_sums(kernel, start, growth):
    return reuse_with(lambda piece: np.abs(piece).sum())(kernel, start, growth)


@wrong("feature_reuse", "this is the root of the mean square")
def reuse_root(kernel, start, growth):
    return reuse_with(lambda piece: np.mean(piece**2) ** 0.5)(kernel, start, growth)


@wrong("feature_reuse", "this is the largest size in each piece")
def reuse_largest(kernel, start, growth):
    return reuse_with(lambda piece: np.abs(piece).max())(kernel, start, growth)


@wrong("feature_reuse", "the first source is cut to `growth` channels")
def reuse_even_pieces(kernel, start, growth):
    return reuse_with(mean_size, lambda start, growth: growth)(kernel, start, growth)


@wrong("feature_reuse", "the input of the block is missing")
def reuse_without_input(kernel, start, growth):
    return reuse_right(kernel, start, growth)[1:]


@wrong("feature_reuse", "the last source is missing")
def reuse_one_short(kernel, start, growth):
    return reuse_right(kernel, start, growth)[:-1]


@wrong("feature_reuse", "each channel has a number of its own")
def reuse_by_channel(kernel, start, growth):
    return np.abs(kernel).mean(axis=(0, 1, 3))


@wrong("feature_reuse", "the numbers are divided by their sum")
def reuse_shares(kernel, start, growth):
    found = np.array(reuse_right(kernel, start, growth))
    return found / found.sum()


@wrong("feature_reuse", "the sources come in reverse")
def reuse_reversed(kernel, start, growth):
    return reuse_right(kernel, start, growth)[::-1]


@wrong("feature_reuse", "contains nan or inf")
def reuse_wrong_axis(kernel, start, growth):
    count = (kernel.shape[2] - start) // growth
    ends = [start + growth * n for n in range(count + 1)]
    parts = zip([0, *ends[:-1]], ends, strict=True)
    pieces = [np.abs(kernel[..., first:last]) for first, last in parts]
    return [piece.sum() / piece.size for piece in pieces]


@wrong("feature_reuse", "For the first layer of a block, with one source, the result")
def reuse_always_three(kernel, start, growth):
    ends = [start + growth * n for n in range(4)]
    cut = [np.abs(kernel[:, :, a:b]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return [piece.sum() / piece.size for piece in cut]


@right("feature_reuse")
def reuse_split(kernel, start, growth):
    return np.array(reuse_right(kernel, start, growth), "float32")


@right("feature_reuse")
def reuse_loop(kernel, start, growth):
    by_channel = np.abs(kernel).mean(axis=(0, 1, 3))
    found = [by_channel[:start].mean()]
    for first in range(start, len(by_channel), growth):
        found.append(by_channel[first : first + growth].mean())
    return found


# dense_layer


def layer_of(*steps, join=None):
    """Return an answer made of functions (x, growth) -> x, joined to the input at the end."""

    def answer(input_shape, growth):
        image = x = keras.Input(input_shape)
        for step in steps:
            x = step(x, growth)
        joined = join(image, x) if join else keras.layers.Concatenate()([image, x])
        return keras.Model(image, joined)

    return answer


def norm(x, growth):
    return keras.layers.BatchNormalization()(x)


def relu(x, growth):
    return keras.layers.ReLU()(x)


def narrow(x, growth):
    return keras.layers.Conv2D(4 * growth, 1, use_bias=False)(x)


def conv(x, growth):
    return keras.layers.Conv2D(growth, 3, padding="same", use_bias=False)(x)


@wrong("dense_layer", "the new channels are put in front of the input")
def layer_in_front(*arguments):
    front = lambda image, x: keras.layers.Concatenate()([x, image])  # noqa: E731
    return layer_of(norm, relu, narrow, norm, relu, conv, join=front)(*arguments)


@wrong("dense_layer", "both ReLUs are missing")
def layer_linear(*arguments):
    return layer_of(norm, narrow, norm, conv)(*arguments)


@wrong("dense_layer", "the first ReLU is missing")
def layer_without_first_relu(*arguments):
    return layer_of(norm, narrow, norm, relu, conv)(*arguments)


@wrong("dense_layer", "the second ReLU is missing")
def layer_without_second_relu(*arguments):
    return layer_of(norm, relu, narrow, norm, conv)(*arguments)


@wrong("dense_layer", "the ReLUs come before the normalisations")
def layer_relu_first(*arguments):
    return layer_of(relu, norm, narrow, relu, norm, conv)(*arguments)


@wrong("dense_layer", "there is a ReLU behind the last convolution")
def layer_relu_last(*arguments):
    return layer_of(norm, relu, narrow, norm, relu, conv, relu)(*arguments)


@wrong("dense_layer", "the normalised input is passed on")
def layer_passes_normalised(input_shape, growth):
    image = keras.Input(input_shape)
    ready = relu(norm(image, growth), growth)
    x = conv(relu(norm(narrow(ready, growth), growth), growth), growth)
    return keras.Model(image, keras.layers.Concatenate()([ready, x]))


@wrong("dense_layer", "the convolutions have biases")
def layer_with_biases(*arguments):
    first = lambda x, growth: keras.layers.Conv2D(4 * growth, 1)(x)  # noqa: E731
    second = lambda x, growth: keras.layers.Conv2D(growth, 3, padding="same")(x)  # noqa: E731
    return layer_of(norm, relu, first, norm, relu, second)(*arguments)


@wrong("dense_layer", "the 1 x 1 convolution and its normalisation are missing")
def layer_without_bottleneck(*arguments):
    return layer_of(norm, relu, conv)(*arguments)


@wrong("dense_layer", "the 1 x 1 convolution makes `growth` channels")
def layer_too_narrow(*arguments):
    first = lambda x, growth: keras.layers.Conv2D(growth, 1, use_bias=False)(x)  # noqa: E731
    return layer_of(norm, relu, first, norm, relu, conv)(*arguments)


@wrong("dense_layer", "the normalisation comes after each convolution")
def layer_as_in_resnet(*arguments):
    return layer_of(narrow, norm, relu, conv, norm, relu)(*arguments)


@wrong("dense_layer", "the second normalisation is missing")
def layer_without_second_norm(*arguments):
    return layer_of(norm, relu, narrow, relu, conv)(*arguments)


@wrong("dense_layer", "the first normalisation is missing")
def layer_without_first_norm(*arguments):
    return layer_of(relu, narrow, norm, relu, conv)(*arguments)


@wrong("dense_layer", "both normalisations are missing")
def layer_without_norm(*arguments):
    return layer_of(relu, narrow, relu, conv)(*arguments)


@wrong("dense_layer", "both kernels are 3 x 3")
def layer_of_squares(*arguments):
    first = lambda x, growth: keras.layers.Conv2D(  # noqa: E731
        4 * growth, 3, padding="same", use_bias=False
    )(x)
    return layer_of(norm, relu, first, norm, relu, conv)(*arguments)


@wrong("dense_layer", "the input is missing")
def layer_without_input(*arguments):
    return layer_of(norm, relu, narrow, norm, relu, conv, join=lambda image, x: x)(*arguments)


@wrong("dense_layer", "the layer should add `growth` channels, not 4 * growth")
def layer_wide(*arguments):
    second = lambda x, growth: keras.layers.Conv2D(  # noqa: E731
        4 * growth, 3, padding="same", use_bias=False
    )(x)
    return layer_of(norm, relu, narrow, norm, relu, second)(*arguments)


@wrong("dense_layer", "the result is put beside what the 1 x 1 convolution made")
def layer_beside_bottleneck(input_shape, growth):
    image = keras.Input(input_shape)
    middle = narrow(relu(norm(image, growth), growth), growth)
    x = conv(relu(norm(middle, growth), growth), growth)
    return keras.Model(image, keras.layers.Concatenate()([middle, x]))


@wrong("dense_layer", "stops with ValueError")
def layer_added(*arguments):
    added = lambda image, x: keras.layers.Add()([image, x])  # noqa: E731
    return layer_of(norm, relu, narrow, norm, relu, conv, join=added)(*arguments)


@wrong("dense_layer", "return a keras.Model; this is a DenseLayer")
def layer_not_a_model(input_shape, growth):
    return DenseLayer(growth)


@wrong("dense_layer", "the model should have one input of shape (5, 6, 7)")
def layer_fixed_input(input_shape, growth):
    return layer_of(norm, relu, narrow, norm, relu, conv)((14, 14, 24), growth)


@right("dense_layer")
def layer_of_the_course(input_shape, growth):
    image = keras.Input(input_shape)
    return keras.Model(image, DenseLayer(growth)(image))


@right("dense_layer")
def layer_with_ops(input_shape, growth):
    image = keras.Input(input_shape)
    x = keras.ops.relu(keras.layers.BatchNormalization(epsilon=1e-5)(image))
    x = keras.layers.Conv2D(4 * growth, (1, 1), use_bias=False, padding="same")(x)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    return keras.Model(image, keras.ops.concatenate([image, conv(x, growth)], axis=-1))


@right("dense_layer")
def layer_with_ops_in_a_class(*arguments):
    return in_a_class(layer_with_ops)(*arguments)


@right("dense_layer")
def layer_with_ops_in_a_class_called(*arguments):
    return in_a_class(layer_with_ops, called=True)(*arguments)


@wrong("dense_layer", "there is a Dropout layer in it")
def layer_dropout(*arguments):
    drop = lambda x, growth: keras.layers.Dropout(0.2)(x)  # noqa: E731
    return layer_of(norm, relu, narrow, norm, relu, conv, drop)(*arguments)
