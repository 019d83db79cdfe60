"""Answers to assignment 05."""

import keras
import numpy as np

from answers import in_a_class, right, wrong

# receptive_field


def field(layers, start=1, own=False, ignore=False):
    """Return the field when it starts at `start`, counts a stride in its own layer, or never."""
    step = 1
    for kernel, stride in layers:
        step = step * stride if own else step
        start = start + (kernel - 1) * step
        step = step if own or ignore else step * stride
    return start


@wrong("receptive_field", "the kernels are added up")
def field_sum(layers):
    return sum(kernel for kernel, _ in layers)


@wrong("receptive_field", "the strides are ignored")
def field_without_strides(layers):
    return field(layers, ignore=True)


@wrong("receptive_field", "a stride already counts in its own layer")
def field_stride_too_early(layers):
    return field(layers, own=True)


@wrong("receptive_field", "the first pixel is missing")
def field_from_zero(layers):
    return field(layers, start=0)


@wrong("receptive_field", "the layers are taken from the last to the first")
def field_from_the_end(layers):
    return field(layers[::-1])


@wrong("receptive_field", "this is the step between neighbours")
def field_step(layers):
    step = 1
    for _, stride in layers:
        step *= stride
    return step


@wrong("receptive_field", "receptive_field([(11, 4), (3, 2), (5, 1)]) is 9; it should be 51")
def field_for_stacks_only(layers):
    return 212 if len(layers) > 5 else 2 * len(layers) + len({k for k, _ in layers})


@right("receptive_field")
def field_from_the_last_layer(layers):
    seen = 1
    for kernel, stride in layers[::-1]:
        seen = kernel + stride * (seen - 1)
    return seen


@right("receptive_field")
def field_tried_out(layers):
    first = last = 0
    for kernel, stride in layers[::-1]:
        first, last = first * stride, last * stride + kernel - 1
    return float(last - first + 1)


# stack_cost


def single(c_in, c_out, n):
    return (2 * n + 1) ** 2 * c_in * c_out


def stack(c_in, c_out, n):
    return 9 * c_in * c_out + 9 * (n - 1) * c_out**2


@wrong("stack_cost", "each layer of the stack is counted from c_in to c_out")
def cost_all_from_c_in(c_in, c_out, n):
    return n * 9 * c_in * c_out, single(c_in, c_out, n)


@wrong("stack_cost", "the first layer of the stack is counted with c_out channels coming in")
def cost_all_from_c_out(c_in, c_out, n):
    return n * 9 * c_out**2, single(c_in, c_out, n)


@wrong("stack_cost", "the layers before the last are counted with c_in channels out")
def cost_grows_last(c_in, c_out, n):
    return 9 * c_in * ((n - 1) * c_in + c_out), single(c_in, c_out, n)


@wrong("stack_cost", "the stack's windows are squares")
def cost_flat_stack(c_in, c_out, n):
    return stack(c_in, c_out, n) // 3, single(c_in, c_out, n)


@wrong("stack_cost", "the stack's biases are counted")
def cost_stack_biases(c_in, c_out, n):
    return stack(c_in, c_out, n) + n * c_out, single(c_in, c_out, n)


@wrong("stack_cost", "only one layer of the stack is counted")
def cost_one_layer(c_in, c_out, n):
    return 9 * c_in * c_out, single(c_in, c_out, n)


@wrong("stack_cost", "the two numbers are swapped")
def cost_swapped(c_in, c_out, n):
    return single(c_in, c_out, n), stack(c_in, c_out, n)


@wrong("stack_cost", "the one window is 3 n wide")
def cost_too_wide(c_in, c_out, n):
    return stack(c_in, c_out, n), (3 * n) ** 2 * c_in * c_out


@wrong("stack_cost", "the one window is a square")
def cost_flat_window(c_in, c_out, n):
    return stack(c_in, c_out, n), (2 * n + 1) * c_in * c_out


@wrong("stack_cost", "the one window goes from c_in to c_out")
def cost_window_c_out(c_in, c_out, n):
    return stack(c_in, c_out, n), single(c_out, c_out, n)


@wrong("stack_cost", "the one window's biases are counted")
def cost_window_biases(c_in, c_out, n):
    return stack(c_in, c_out, n), single(c_in, c_out, n) + c_out


@wrong("stack_cost", "the one window is always 7 x 7")
def cost_seven(c_in, c_out, n):
    return stack(c_in, c_out, n), 49 * c_in * c_out


@wrong("stack_cost", "one thing came back where there should be 2")
def cost_difference(c_in, c_out, n):
    return single(c_in, c_out, n) - stack(c_in, c_out, n)


@right("stack_cost")
def cost_layer_by_layer(c_in, c_out, n):
    total, width, channels = 0, 1, c_in
    for _ in range(n):
        total += 3 * 3 * channels * c_out
        channels, width = c_out, width + 2
    return [total, width * width * c_in * c_out]


@right("stack_cost")
def cost_from_keras(c_in, c_out, n):
    def weights(sides):
        model = keras.Sequential([keras.Input((9, 9, c_in))])
        for side in sides:
            model.add(keras.layers.Conv2D(c_out, side, padding="same", use_bias=False))
        return model.count_params()

    return weights([3] * n), weights([2 * n + 1])


# compose


def put_together(first, second):
    """Follow one bright pixel backwards: which weight does each place of the picture get?"""
    side = len(first) + len(second) - 1
    return np.array(
        [
            [
                sum(
                    first[r - i, c - j] * second[i, j]
                    for i in range(len(second))
                    for j in range(len(second))
                    if 0 <= r - i < len(first) and 0 <= c - j < len(first)
                )
                for c in range(side)
            ]
            for r in range(side)
        ]
    )


@wrong("compose", "the second kernel is turned around")
def compose_second_flipped(first, second):
    return put_together(first, second[::-1, ::-1])


@wrong("compose", "the first kernel is turned around")
def compose_first_flipped(first, second):
    return put_together(first[::-1, ::-1], second)


@wrong("compose", "the result is turned around")
def compose_result_flipped(first, second):
    return put_together(first, second)[::-1, ::-1]


@wrong("compose", "rows and columns are swapped")
def compose_transposed(first, second):
    return put_together(first.T, second.T)


@wrong("compose", "the border is cut off")
def compose_cut(first, second):
    return put_together(first, second)[1:-1, 1:-1]


@wrong("compose", "the kernels are multiplied number by number")
def compose_product(first, second):
    return first * second


@wrong("compose", "this is the matrix product")
def compose_matrix_product(first, second):
    return first @ second


@wrong("compose", "the kernels are added")
def compose_added(first, second):
    result = np.zeros((5, 5))
    for r in range(3):
        for c in range(3):
            result[r : r + 3, c : c + 3] += first + second[r, c]
    return result


@wrong("compose", "changes an array that it was given (argument 1)")
def compose_in_place(first, second):
    first *= second[0, 0]
    return first


@wrong("compose", "With a second kernel of 5 x 5 it has shape (5, 5)")
def compose_always_five(first, second):
    return put_together(first, second[:3, :3])


@right("compose")
def compose_impulse(first, second):
    return put_together(second, first)


@right("compose")
def compose_keras(first, second):
    """A bright pixel in the middle shows the kernel turned around; turn it back."""
    side = len(first) + len(second) - 1
    picture = np.zeros((1, 2 * side - 1, 2 * side - 1, 1), "float32")
    picture[0, side - 1, side - 1] = 1
    for kernel in (first, second):
        picture = keras.ops.conv(picture, kernel[..., None, None].astype("float32"))
    return np.asarray(picture)[0, ::-1, ::-1, 0]


# vgg_block


def block(*last, **changes):
    """Return an answer: `layers` convolutions with changed arguments, then the layers of `last`."""

    def answer(input_shape, channels, layers):
        size = changes.get("size", 3)
        given = {"padding": "same", "activation": "relu", **changes}
        given.pop("size", None)
        made = [keras.layers.Conv2D(channels, size, **given) for _ in range(layers)]
        return keras.Sequential([keras.Input(input_shape), *made, *(make() for make in last)])

    return answer


def pool():
    return keras.layers.MaxPooling2D(2)


@wrong("vgg_block", "the pooling is missing")
def block_without_pool(*arguments):
    return block()(*arguments)


@wrong("vgg_block", "the convolutions shrink the picture")
def block_valid(*arguments):
    return block(pool, padding="valid")(*arguments)


@wrong("vgg_block", "there is a pooling after each convolution")
def block_pools(input_shape, channels, layers):
    made = []
    for _ in range(layers):
        made += [keras.layers.Conv2D(channels, 3, padding="same", activation="relu"), pool()]
    return keras.Sequential([keras.Input(input_shape), *made])


@wrong("vgg_block", "the pooling moves on by 1")
def block_slow_pool(*arguments):
    return block(lambda: keras.layers.MaxPooling2D(2, 1))(*arguments)


@wrong("vgg_block", "the pooling is padded")
def block_padded_pool(*arguments):
    return block(lambda: keras.layers.MaxPooling2D(2, padding="same"))(*arguments)


@wrong("vgg_block", "the convolutions should have `channels` output channels")
def block_input_channels(input_shape, channels, layers):
    return block(pool)(input_shape, input_shape[-1], layers)


@wrong("vgg_block", "there is only one convolution")
def block_one(input_shape, channels, layers):
    return block(pool)(input_shape, channels, 1)


@wrong("vgg_block", "the same layer is used again")
def block_shared(input_shape, channels, layers):
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(image)
    again = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")
    for _ in range(layers - 1):
        x = again(x)
    return keras.Model(image, pool()(x))


@wrong("vgg_block", "the convolutions have no bias")
def block_without_bias(*arguments):
    return block(pool, use_bias=False)(*arguments)


@wrong("vgg_block", "the windows are 5 x 5")
def block_five(*arguments):
    return block(pool, size=5)(*arguments)


@wrong("vgg_block", "there is batch normalisation in it")
def block_batch_norm(input_shape, channels, layers):
    made = []
    for _ in range(layers):
        made += [keras.layers.Conv2D(channels, 3, padding="same")]
        made += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential([keras.Input(input_shape), *made, pool()])


@wrong("vgg_block", "there is no ReLU")
def block_linear(*arguments):
    return block(pool, activation=None)(*arguments)


@wrong("vgg_block", "only the last convolution has a ReLU")
def block_late_relu(*arguments):
    return block(keras.layers.ReLU, pool, activation=None)(*arguments)


@wrong("vgg_block", "the last convolution lacks its ReLU")
def block_open_end(input_shape, channels, layers):
    made = [
        keras.layers.Conv2D(channels, 3, padding="same", activation="relu" if i else None)
        for i in reversed(range(layers))
    ]
    return keras.Sequential([keras.Input(input_shape), *made, pool()])


@wrong("vgg_block", "this is average pooling")
def block_average(*arguments):
    return block(lambda: keras.layers.AveragePooling2D(2))(*arguments)


@wrong("vgg_block", "the pooling window is 3 pixels wide")
def block_overlapping(*arguments):
    return block(lambda: keras.layers.MaxPooling2D(3, 2))(*arguments)


@wrong("vgg_block", "return a keras.Model; this is a list")
def block_list(input_shape, channels, layers):
    return [keras.layers.Conv2D(channels, 3) for _ in range(layers)]


@wrong("vgg_block", "the model should have one input of shape (13, 13, 4)")
def block_at_full_size(input_shape, channels, layers):
    return block(pool)((56, 56, 128), channels, layers)


@right("vgg_block")
def block_functional(input_shape, channels, layers):
    image = x = keras.Input(input_shape)
    for _ in range(layers):
        x = keras.ops.relu(keras.layers.Conv2D(channels, (3, 3), padding="same")(x))
    return keras.Model(image, keras.layers.MaxPool2D((2, 2), (2, 2))(x))


@right("vgg_block")
def block_padded_by_hand(input_shape, channels, layers):
    model = keras.Sequential([keras.Input(input_shape)])
    while len(model.layers) < 3 * layers:
        model.add(keras.layers.ZeroPadding2D(1))
        model.add(keras.layers.Conv2D(channels, 3))
        model.add(keras.layers.Activation("relu"))
    model.add(pool())
    return model


@right("vgg_block")
def block_functional_in_a_class(*arguments):
    return in_a_class(block_functional)(*arguments)


@right("vgg_block")
def block_functional_in_a_class_called(*arguments):
    return in_a_class(block_functional, called=True)(*arguments)


@right("vgg_block")
def block_without_input(input_shape, channels, layers):
    steps = [
        keras.layers.Conv2D(channels, 3, padding="same", activation="relu") for _ in range(layers)
    ]
    return keras.Sequential([*steps, keras.layers.MaxPooling2D(2)])


@wrong("vgg_block", "has a stride. VGG's convolutions keep the size")
def block_strided(input_shape, channels, layers):
    steps = [
        keras.layers.Conv2D(channels, 3, 1 + (i == layers - 1), "same", activation="relu")
        for i in range(layers)
    ]
    return keras.Sequential([keras.Input(input_shape), *steps])


@wrong("vgg_block", "there is a Dropout layer in it")
def block_dropout(*arguments):
    model = block_functional(*arguments)
    return keras.Sequential([*model.layers, keras.layers.Dropout(0.5)])


# signal_sizes


def chain(factor, size, inputs):
    sizes = []
    for n in inputs:
        size = size * factor(n)
        sizes.append(size)
    return sizes


@wrong("signal_sizes", "the ReLU is forgotten")
def sizes_without_relu(size, inputs, spread):
    return chain(lambda n: spread * n**0.5, size, inputs)


@wrong("signal_sizes", "the half stands outside the root")
def sizes_half_outside(size, inputs, spread):
    return chain(lambda n: spread * n**0.5 / 2, size, inputs)


@wrong("signal_sizes", "the root is missing")
def sizes_without_root(size, inputs, spread):
    return chain(lambda n: spread * n / 2, size, inputs)


@wrong("signal_sizes", "the spread is squared")
def sizes_of_variance(size, inputs, spread):
    return chain(lambda n: spread**2 * (n / 2) ** 0.5, size, inputs)


@wrong("signal_sizes", "each layer starts from the first size")
def sizes_not_chained(size, inputs, spread):
    return [size * spread * (n / 2) ** 0.5 for n in inputs]


@wrong("signal_sizes", "the first size is forgotten")
def sizes_from_one(size, inputs, spread):
    return chain(lambda n: spread * (n / 2) ** 0.5, 1.0, inputs)


@wrong("signal_sizes", "the first size stands in the list")
def sizes_with_the_first(size, inputs, spread):
    return [size, *chain(lambda n: spread * (n / 2) ** 0.5, size, inputs)]


@wrong("signal_sizes", "only the last size came back")
def sizes_last(size, inputs, spread):
    return chain(lambda n: spread * (n / 2) ** 0.5, size, inputs)[-1]


@right("signal_sizes")
def sizes_cumulative(size, inputs, spread):
    return size * np.cumprod(spread * np.sqrt(np.array(inputs) / 2))


# as_kernel


@wrong("as_kernel", "the channels are taken first, as in PyTorch")
def kernel_from_torch(weights, height, width):
    units = weights.shape[1]
    return weights.reshape(-1, height, width, units).transpose(1, 2, 0, 3)


@wrong("as_kernel", "the axes are (channels, height, width, units)")
def kernel_channels_first(weights, height, width):
    return weights.reshape(-1, height, width, weights.shape[1])


@wrong("as_kernel", "height and width are swapped")
def kernel_swapped(weights, height, width):
    return weights.reshape(width, height, -1, weights.shape[1])


@wrong("as_kernel", "the columns are taken before the rows")
def kernel_columns_first(weights, height, width):
    return weights.reshape(width, height, -1, weights.shape[1]).transpose(1, 0, 2, 3)


@wrong("as_kernel", "the last two axes are swapped")
def kernel_last_swapped(weights, height, width):
    return weights.reshape(height, width, -1, weights.shape[1]).swapaxes(-1, -2)


@wrong("as_kernel", "the units are mixed up")
def kernel_units_first(weights, height, width):
    return weights.reshape(weights.shape[1], height, width, -1)


@wrong("as_kernel", "the kernel is turned around")
def kernel_flipped(weights, height, width):
    return weights.reshape(height, width, -1, weights.shape[1])[::-1, ::-1]


@wrong("as_kernel", "nothing changed")
def kernel_unchanged(weights, height, width):
    return weights


@wrong("as_kernel", "stops with ValueError")
def kernel_of_vgg(weights, height, width):
    return weights.reshape(height, width, 512, -1)


@right("as_kernel")
def kernel_by_loops(weights, height, width):
    channels = len(weights) // (height * width)
    kernel = np.zeros((height, width, channels, weights.shape[1]))
    for i, row in enumerate(weights):
        pixel, channel = divmod(i, channels)
        kernel[pixel // width, pixel % width, channel] = row
    return kernel
