"""Answers to assignment 07."""

import keras
import numpy as np

from answers import in_a_class, right, wrong
from course_lib.layers import ConvUnit
from course_lib.resnet import ResidualBlock


def relu(x):
    return np.maximum(x, 0)


# residual_block


@wrong("residual_block", "the shortcut is missing")
def block_plain(x, w1, w2):
    return relu(relu(x @ w1) @ w2)


@wrong("residual_block", "the last ReLU comes before the addition")
def block_relu_first(x, w1, w2):
    return relu(relu(x @ w1) @ w2) + x


@wrong("residual_block", "the last ReLU is missing")
def block_without_last_relu(x, w1, w2):
    return relu(x @ w1) @ w2 + x


@wrong("residual_block", "the ReLU between the two layers is missing")
def block_linear(x, w1, w2):
    return relu(x @ w1 @ w2 + x)


@wrong("residual_block", "x is added after the first layer")
def block_early(x, w1, w2):
    return relu(relu(x @ w1 + x) @ w2)


@wrong("residual_block", "there is a ReLU too many")
def block_three_relus(x, w1, w2):
    return relu(relu(relu(x @ w1) @ w2) + x)


@wrong("residual_block", "the shortcut is multiplied")
def block_product(x, w1, w2):
    return relu((relu(x @ w1) @ w2) * x)


@wrong("residual_block", "the shortcut is subtracted")
def block_difference(x, w1, w2):
    return relu(relu(x @ w1) @ w2 - x)


@wrong("residual_block", "w1 and w2 are swapped")
def block_swapped(x, w1, w2):
    return relu(relu(x @ w2) @ w1 + x)


@wrong("residual_block", "this is F(x) alone")
def block_function(x, w1, w2):
    return relu(x @ w1) @ w2


@wrong("residual_block", "With w2 = 0 the result")
def block_forgets(x, w1, w2):
    return relu(relu(x @ w1) @ w2 + x) * bool(w2.any())


@wrong("residual_block", "changes an array that it was given")
def block_in_place(x, w1, w2):
    x += relu(x @ w1) @ w2
    return relu(x)


@right("residual_block")
def block_keras(x, w1, w2):
    residual = keras.ops.matmul(keras.ops.relu(keras.ops.matmul(x, w1)), w2)
    return keras.ops.relu(keras.ops.add(x, residual))


@right("residual_block")
def block_loops(x, w1, w2):
    result = []
    for row in x:
        hidden = [max(0.0, float(row @ w1[:, j])) for j in range(w1.shape[1])]
        added = np.array(hidden) @ w2
        result.append([max(0.0, a + b) for a, b in zip(added, row, strict=True)])
    return result


# backward_factor


@wrong("backward_factor", "the two are swapped")
def factor_swapped(slopes):
    return np.prod(1 + slopes), np.prod(slopes)


@wrong("backward_factor", "the factors are added")
def factor_sums(slopes):
    return sum(slopes), sum(1 + slopes)


@wrong("backward_factor", "1 is added to the product")
def factor_one_shortcut(slopes):
    return np.prod(slopes), 1 + np.prod(slopes)


@wrong("backward_factor", "the sign of the slope is turned around")
def factor_minus(slopes):
    return np.prod(slopes), np.prod(1 - slopes)


@wrong("backward_factor", "the last block is missing")
def factor_short(slopes):
    return np.prod(slopes[:-1]), np.prod(1 + slopes[:-1])


@wrong("backward_factor", "both are the plain product")
def factor_same(slopes):
    return np.prod(slopes), np.prod(slopes)


@wrong("backward_factor", "one thing came back")
def factor_one(slopes):
    return np.prod(1 + slopes)


@wrong("backward_factor", "The residual factor is")
def factor_two(slopes):
    return np.prod(slopes), np.prod(2 + slopes)


@wrong("backward_factor", "The plain factor is")
def factor_absolute(slopes):
    return np.prod(np.abs(slopes)), np.prod(1 + slopes)


@right("backward_factor")
def factor_loop(slopes):
    plain = residual = 1.0
    for slope in slopes:
        plain *= slope
        residual *= slope + 1
    return [plain, residual]


# shortcut_a


def padded(x, channels):
    return np.pad(x, ((0, 0), (0, 0), (0, channels - x.shape[-1])))


def pooled(x, stride, reduce):
    height, width, channels = x.shape
    cut = x.reshape(height // stride, stride, width // stride, stride, channels)
    return reduce(cut, axis=(1, 3))


@wrong("shortcut_a", "the sides are kept")
def a_full_size(x, out_channels, stride):
    return padded(x, out_channels)


@wrong("shortcut_a", "the channels are kept")
def a_few_channels(x, out_channels, stride):
    return x[::stride, ::stride]


@wrong("shortcut_a", "the channels are too many")
def a_many_channels(x, out_channels, stride):
    return padded(x[::stride, ::stride], x.shape[-1] + out_channels)


@wrong("shortcut_a", "the zeros stand before the old channels")
def a_zeros_first(x, out_channels, stride):
    new = out_channels - x.shape[-1]
    return np.pad(x[::stride, ::stride], ((0, 0), (0, 0), (new, 0)))


@wrong("shortcut_a", "this is the mean of each window")
def a_mean(x, out_channels, stride):
    return padded(pooled(x, stride, np.mean), out_channels)


@wrong("shortcut_a", "this is the maximum of each window")
def a_maximum(x, out_channels, stride):
    return padded(pooled(x, stride, np.max), out_channels)


@wrong("shortcut_a", "the first pixel that is picked is not [0, 0]")
def a_offset(x, out_channels, stride):
    return padded(x[1::stride, 1::stride], out_channels)


@wrong("shortcut_a", "the new channels repeat the old ones")
def a_repeated(x, out_channels, stride):
    times = -(-out_channels // x.shape[-1])
    return np.tile(x[::stride, ::stride], (1, 1, times))[..., :out_channels]


@wrong("shortcut_a", "the stride is always 2")
def a_always_two(x, out_channels, stride):
    return padded(x[::2, ::2], out_channels)


@wrong("shortcut_a", "only the rows are picked")
def a_rows(x, out_channels, stride):
    return padded(x[::stride], out_channels)


@wrong("shortcut_a", "With stride 1 and the same channels the result")
def a_never_the_same(x, out_channels, stride):
    return padded(x[::stride, ::stride], out_channels) * (stride > 1)


@right("shortcut_a")
def a_filled(x, out_channels, stride):
    rows, columns = -(-x.shape[0] // stride), -(-x.shape[1] // stride)
    result = np.zeros((rows, columns, out_channels))
    for row in range(rows):
        for column in range(columns):
            result[row, column, : x.shape[-1]] = x[row * stride, column * stride]
    return result


@right("shortcut_a")
def a_from_the_course(x, out_channels, stride):
    block = ResidualBlock(out_channels, stride, shortcut="A")
    block.build((1, *x.shape))
    return block.skip(x[None].astype("float32"))[0]


# block_weights


@wrong("block_weights", "the two are swapped")
def weights_swapped(channels):
    return weights_formula(channels)[::-1]


@wrong("block_weights", "biases are counted")
def weights_with_biases(channels):
    two, narrow = weights_formula(channels)
    return two + 2 * channels, narrow + channels // 2 + channels


@wrong("block_weights", "the block of 3 x 3 convolutions has two of them")
def weights_one_convolution(channels):
    return 9 * channels**2, weights_formula(channels)[1]


@wrong("block_weights", "a window of 3 x 3 has nine places")
def weights_flat_window(channels):
    return 2 * 3 * channels**2, weights_formula(channels)[1]


@wrong("block_weights", "the last 1 x 1 convolution is missing")
def weights_without_expansion(channels):
    quarter = channels // 4
    return 18 * channels**2, channels * quarter + 9 * quarter * quarter


@wrong("block_weights", "the middle convolution is 3 x 3")
def weights_small_middle(channels):
    quarter = channels // 4
    return 18 * channels**2, 2 * channels * quarter + quarter * quarter


@wrong("block_weights", "all three are counted as 3 x 3")
def weights_three_times_nine(channels):
    quarter = channels // 4
    return 18 * channels**2, 9 * (2 * channels * quarter + quarter * quarter)


@wrong("block_weights", "the channels are halved")
def weights_half(channels):
    half = channels // 2
    return 18 * channels**2, 2 * channels * half + 9 * half * half


@wrong("block_weights", "the middle convolution works on a quarter")
def weights_wide_middle(channels):
    quarter = channels // 4
    return 18 * channels**2, 2 * channels * quarter + 9 * channels**2


@wrong("block_weights", "The bottleneck block is")
def weights_constant(channels):
    return 18 * channels**2, 69_632


@wrong("block_weights", "The basic block is")
def weights_five(channels):
    return 50 * channels**2, weights_formula(channels)[1]


@right("block_weights")
def weights_formula(channels):
    return 18 * channels**2, channels**2 // 2 + 9 * channels**2 // 16


@right("block_weights")
def weights_from_keras(channels):
    counts = []
    for bottleneck in (False, True):
        block = ResidualBlock(channels // 4 if bottleneck else channels, bottleneck=bottleneck)
        block.build((None, 8, 8, channels))
        counts.append(sum(int(np.prod(u.conv.kernel.shape)) for u in block.branch))
    return counts


# depth


@wrong("depth", "the first convolution and the fully connected layer are missing")
def depth_blocks_only(blocks, bottleneck):
    return sum(blocks) * (3 if bottleneck else 2)


@wrong("depth", "one layer is missing")
def depth_without_classifier(blocks, bottleneck):
    return sum(blocks) * (3 if bottleneck else 2) + 1


@wrong("depth", "these are the blocks")
def depth_counts_blocks(blocks, bottleneck):
    return sum(blocks)


@wrong("depth", "every block is taken with two")
def depth_always_two(blocks, bottleneck):
    return 2 * sum(blocks) + 2


@wrong("depth", "every block is taken with three layers")
def depth_always_three(blocks, bottleneck):
    return 3 * sum(blocks) + 2


@wrong("depth", "the pooling is counted")
def depth_with_pooling(blocks, bottleneck):
    return sum(blocks) * (3 if bottleneck else 2) + 3


@wrong("depth", "the projections of option B are counted")
def depth_with_projections(blocks, bottleneck):
    layers = 3 if bottleneck else 2
    return layers * sum(blocks) + 2 + len(blocks) - (not bottleneck)


@wrong("depth", "one projection a stage is counted")
def depth_with_stages(blocks, bottleneck):
    return sum(blocks) * (3 if bottleneck else 2) + 2 + len(blocks)


@wrong("depth", "for ResNet-56 for CIFAR the result is")
def depth_four_stages(blocks, bottleneck):
    return (sum(blocks[:3]) + (blocks[3] if len(blocks) == 4 else 1)) * (2 + bottleneck) + 2


@right("depth")
def depth_loop(blocks, bottleneck):
    layers = 1
    for count in blocks:
        for _ in range(count):
            layers += 3 if bottleneck else 2
    return layers + 1


# first_block


def unit(filters, size, strides=1, bias=False, norm=True, padding=None):
    """Return a function x -> convolution and normalisation, padded on every side."""

    def apply(x):
        if padding is None and size == 3:
            x = keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.Conv2D(filters, size, strides, padding or "valid", use_bias=bias)(x)
        return keras.layers.BatchNormalization()(x) if norm else x

    return apply


def network(end="add relu", stride_late=False, projection=1, **changes):
    """Return an answer; `end` are the steps after the second convolution."""

    def answer(input_shape, filters, strides):
        image = keras.Input(input_shape)
        first, second = (1, strides) if stride_late else (strides, 1)
        y = keras.layers.ReLU()(unit(filters, 3, first, **changes)(image))
        y = unit(filters, 3, second, **{**changes, "padding": None})(y)
        short = unit(filters, projection, strides, **changes)(image)
        for step in end.split():
            y = keras.layers.ReLU()(y) if step == "relu" else keras.layers.add([y, short])
        # The shortcut stays part of the model even where it changes nothing.
        return keras.Model(image, y + 0 * short if "add" not in end else y)

    return answer


@wrong("first_block", "the last ReLU is missing")
def first_linear(*arguments):
    return network("add")(*arguments)


@wrong("first_block", "the last ReLU comes before the addition")
def first_relu_early(*arguments):
    return network("relu add")(*arguments)


@wrong("first_block", "the shortcut is not added")
def first_plain(*arguments):
    return network("relu")(*arguments)


@wrong("first_block", "there is a ReLU too many")
def first_three_relus(*arguments):
    return network("relu add relu")(*arguments)


@wrong("first_block", "padding='same' with stride 2")
def first_same(*arguments):
    return network(padding="same")(*arguments)


@wrong("first_block", "the second convolution strides")
def first_late(*arguments):
    return network(stride_late=True)(*arguments)


@wrong("first_block", "the convolutions have biases")
def first_biased(*arguments):
    return network(bias=True)(*arguments)


@wrong("first_block", "batch normalisation is missing everywhere")
def first_without_norm(*arguments):
    return network(norm=False)(*arguments)


@wrong("first_block", "the projection is 3 x 3")
def first_wide_projection(*arguments):
    return network(projection=3)(*arguments)


@wrong("first_block", "batch normalisation is missing after one")
def first_bare_shortcut(input_shape, filters, strides):
    image = keras.Input(input_shape)
    y = ConvUnit(filters, 3, strides, padding=1)(image)
    y = ConvUnit(filters, 3, padding=1, activation=None)(y)
    short = keras.layers.Conv2D(filters, 1, strides, use_bias=False)(image)
    return keras.Model(image, keras.ops.relu(y + short))


@wrong("first_block", "the shortcut has no projection")
def first_option_a(input_shape, filters, strides):
    image = keras.Input(input_shape)
    return keras.Model(image, ResidualBlock(filters, strides, shortcut="A")(image))


@wrong("first_block", "the second convolution is missing")
def first_one_layer(input_shape, filters, strides):
    image = keras.Input(input_shape)
    y = ConvUnit(filters, 3, strides, padding=1, activation=None)(image)
    short = ConvUnit(filters, 1, strides, padding=0, activation=None)(image)
    return keras.Model(image, keras.ops.relu(y + short))


@wrong("first_block", "Look at the strides and the padding")
def first_without_stride(input_shape, filters, strides):
    return network()(input_shape, filters, 1)


@wrong("first_block", "return a keras.Model; this is a ResidualBlock")
def first_layer_only(input_shape, filters, strides):
    return ResidualBlock(filters, strides)


@right("first_block")
def first_keras(*arguments):
    return network()(*arguments)


@right("first_block")
def first_from_the_course(input_shape, filters, strides):
    image = keras.Input(input_shape)
    return keras.Model(image, ResidualBlock(filters, strides, shortcut="B")(image))


@right("first_block")
def first_keras_in_a_class(*arguments):
    return in_a_class(first_keras)(*arguments)


@right("first_block")
def first_keras_in_a_class_called(*arguments):
    return in_a_class(first_keras, called=True)(*arguments)


@wrong("first_block", "one of the three convolutions has a bias")
def first_one_bias(input_shape, filters, strides):
    image = keras.Input(input_shape)
    look = {"use_bias": False}
    x = keras.layers.Conv2D(filters, 3, strides, **look)(keras.layers.ZeroPadding2D(1)(image))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(filters, 3, padding="same")(x))
    y = keras.layers.BatchNormalization()(keras.layers.Conv2D(filters, 1, strides, **look)(image))
    return keras.Model(image, keras.layers.ReLU()(keras.layers.add([x, y])))
