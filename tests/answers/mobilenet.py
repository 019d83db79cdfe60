"""Answers to assignment 09."""

import keras
import numpy as np

from answers import in_a_class, right, wrong

# depthwise


def slide(x, kernel, mode="constant"):
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
    result = np.zeros(x.shape)
    for row in range(3):
        for column in range(3):
            shifted = padded[row : row + height, column : column + width]
            result += shifted * kernel[row, column]
    return result


@wrong("depthwise", "the window is turned by 180 degrees")
def depthwise_turned(x, kernel):
    return slide(x, kernel[::-1, ::-1])


@wrong("depthwise", "rows and columns of the window are exchanged")
def depthwise_transposed(x, kernel):
    return slide(x, np.swapaxes(kernel, 0, 1))


@wrong("depthwise", "the channels are added up")
def depthwise_summed(x, kernel):
    return slide(x, kernel).sum(axis=2)


@wrong("depthwise", "every channel is filtered with the window of channel 0")
def depthwise_one_window(x, kernel):
    return slide(x, kernel[:, :, :1])


@wrong("depthwise", "the border is missing")
def depthwise_valid(x, kernel):
    return slide(x, kernel)[1:-1, 1:-1]


@wrong("depthwise", "outside the picture its edge is repeated")
def depthwise_edge(x, kernel):
    return slide(x, kernel, "edge")


@wrong("depthwise", "the nine products are averaged")
def depthwise_mean(x, kernel):
    return slide(x, kernel) / 9


@wrong("depthwise", "With 4 x 3 pixels and 2 channels the result")
def depthwise_four_channels(x, kernel):
    return np.concatenate([slide(x, kernel)] * (4 // x.shape[-1]), axis=-1)


@right("depthwise")
def depthwise_loops(x, kernel):
    height, width, channels = x.shape
    result = np.zeros(x.shape)
    for r, c, channel in np.ndindex(height, width, channels):
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                if 0 <= r + i < height and 0 <= c + j < width:
                    weight = kernel[i + 1, j + 1, channel]
                    result[r, c, channel] += x[r + i, c + j, channel] * weight
    return result


@right("depthwise")
def depthwise_keras(x, kernel):
    result = keras.ops.depthwise_conv(
        x[None].astype("float32"), kernel[..., None].astype("float32"), 1, "same"
    )
    return keras.ops.convert_to_numpy(result)[0]


# full_kernel


@wrong("full_kernel", "the last two axes are exchanged")
def kernel_swapped(windows, mix):
    return np.swapaxes(windows[..., None] * mix, 2, 3)


@wrong("full_kernel", "mix is transposed")
def kernel_transposed(windows, mix):
    return windows[..., None] * mix.T


@wrong("full_kernel", "the window is that of the output channel")
def kernel_broadcast_wrong(windows, mix):
    return windows[:, :, None] * mix


@wrong("full_kernel", "windows and mix are added")
def kernel_added(windows, mix):
    return windows[..., None] + mix


@wrong("full_kernel", "the input channels are added up")
def kernel_product(windows, mix):
    return windows @ mix


@wrong("full_kernel", "the mixing weights are missing")
def kernel_unmixed(windows, mix):
    return np.stack([windows] * mix.shape[1], axis=-1)


@wrong("full_kernel", "With 2 channels in and 5 out the kernel")
def kernel_square(windows, mix):
    c = windows.shape[-1]
    return windows[..., None] * mix[:, :c]


@right("full_kernel")
def kernel_einsum(windows, mix):
    return np.einsum("ijm,mn->ijmn", windows, mix)


@right("full_kernel")
def kernel_loops(windows, mix):
    inputs, outputs = mix.shape
    return [
        [
            [[windows[i, j, m] * mix[m, n] for n in range(outputs)] for m in range(inputs)]
            for j in range(3)
        ]
        for i in range(3)
    ]


# costs


@wrong("costs", "the two are exchanged")
def costs_exchanged(side, window, inputs, outputs):
    return tuple(reversed(costs_factored(side, window, inputs, outputs)))


@wrong("costs", "these are weights")
def costs_weights(side, window, inputs, outputs):
    return costs_factored(1, window, inputs, outputs)


@wrong("costs", "these are the multiply-adds of one row")
def costs_row(side, window, inputs, outputs):
    full, separable = costs_factored(1, window, inputs, outputs)
    return side * full, side * separable


@wrong("costs", "do not count two operations")
def costs_operations(*arguments):
    full, separable = costs_factored(*arguments)
    return 2 * full, 2 * separable


@wrong("costs", "the full layer's window has window x window pixels")
def costs_flat_window(side, window, inputs, outputs):
    separable = costs_factored(side, window, inputs, outputs)[1]
    return side**2 * window * inputs * outputs, separable


@wrong("costs", "the full layer sums over all input channels")
def costs_full_without_inputs(side, window, inputs, outputs):
    return side**2 * window**2 * outputs, costs_factored(side, window, inputs, outputs)[1]


@wrong("costs", "the full layer has `outputs` output channels")
def costs_full_without_outputs(side, window, inputs, outputs):
    return side**2 * window**2 * inputs, costs_factored(side, window, inputs, outputs)[1]


def separably(count):
    def answer(side, window, inputs, outputs):
        full = side**2 * window**2 * inputs * outputs
        return full, side**2 * count(window, inputs, outputs)

    return answer


@wrong("costs", "the depthwise step is missing")
def costs_pointwise(*arguments):
    return separably(lambda k, m, n: m * n)(*arguments)


@wrong("costs", "the pointwise step is missing")
def costs_depthwise(*arguments):
    return separably(lambda k, m, n: k * k * m)(*arguments)


@wrong("costs", "the costs of the two steps are multiplied")
def costs_multiplied(side, window, inputs, outputs):
    full = side**2 * window**2 * inputs * outputs
    return full, side**2 * window**2 * inputs * side**2 * inputs * outputs


@wrong("costs", "the depthwise step has as many channels out as in")
def costs_depthwise_outputs(*arguments):
    return separably(lambda k, m, n: k * k * n + m * n)(*arguments)


@wrong("costs", "the depthwise step looks at one channel at a time")
def costs_depthwise_full(*arguments):
    return separably(lambda k, m, n: k * k * m * m + m * n)(*arguments)


@wrong("costs", "the pointwise step has a window of one pixel")
def costs_pointwise_window(*arguments):
    return separably(lambda k, m, n: k * k * m + k * k * m * n)(*arguments)


@wrong("costs", "With 7 x 7 pixels, a 5 x 5 window")
def costs_always_three(*arguments):
    return separably(lambda k, m, n: 9 * m + m * n)(*arguments)


@wrong("costs", "one thing came back where there should be 2: full, separable")
def costs_ratio(side, window, inputs, outputs):
    return 1 / outputs + 1 / window**2


@right("costs")
def costs_factored(side, window, inputs, outputs):
    pixels = side * side
    return pixels * window**2 * inputs * outputs, pixels * inputs * (window**2 + outputs)


@right("costs")
def costs_from_the_ratio(side, window, inputs, outputs):
    full = side**2 * window**2 * inputs * outputs
    return [full, full // outputs + full // window**2]


# block

layers = keras.layers


def chain(*steps):
    """Return an answer made of functions (filters, strides) -> layer."""

    def answer(input_shape, filters, strides):
        image = x = keras.Input(input_shape)
        for step in steps:
            x = step(filters, strides)(x)
        return keras.Model(image, x)

    return answer


def deep(filters, strides):
    return layers.DepthwiseConv2D(3, strides, "same", use_bias=False)


def point(filters, strides):
    return layers.Conv2D(filters, 1, use_bias=False)


def norm(filters, strides):
    return layers.BatchNormalization()


def relu(filters, strides):
    return layers.ReLU()


@wrong("block", "return a keras.Model; this is a list")
def block_list(input_shape, filters, strides):
    return [deep(filters, strides), point(filters, strides)]


@wrong("block", "the model should have one input of shape (6, 8, 4)")
def block_fixed_shape(input_shape, filters, strides):
    return block_sequential((112, 112, 32), filters, strides)


@wrong("block", "the model should have one output")
def block_two_outputs(input_shape, filters, strides):
    model = block_grouped(input_shape, filters, strides)
    return keras.Model(model.input, [model.layers[1].output, model.output])


@wrong("block", "there should be two batch normalisations; this model has 1")
def block_parametric(*arguments):
    def slope(filters, strides):
        return layers.PReLU(shared_axes=[1, 2])

    return chain(deep, norm, relu, point, slope, slope, slope, slope)(*arguments)


@wrong("block", "there is a full 3 x 3 convolution")
def block_full(*arguments):
    def full(filters, strides):
        return layers.Conv2D(filters, 3, strides, "same", use_bias=False)

    return chain(full, norm, relu)(*arguments)


@wrong("block", "there is no depthwise 3 x 3 step")
def block_pointwise_only(*arguments):
    return chain(point, norm, relu)(*arguments)


@wrong("block", "the kernels should be (3, 3, 4, 1), then (1, 1, 4, 5)")
def block_filter_only(*arguments):
    return chain(deep, norm, relu)(*arguments)


@wrong("block", "with strides=1 the model makes (4, 6, 5) of (6, 8, 4)")
def block_valid(*arguments):
    def valid(filters, strides):
        return layers.DepthwiseConv2D(3, strides, use_bias=False)

    return chain(valid, norm, relu, point, norm, relu)(*arguments)


@wrong("block", "with strides=2 the model makes (6, 8, 5) of (6, 8, 4)")
def block_without_stride(*arguments):
    def still(filters, strides):
        return deep(filters, 1)

    return chain(still, norm, relu, point, norm, relu)(*arguments)


def biased_deep(filters, strides):
    return layers.DepthwiseConv2D(3, strides, "same")


def biased_point(filters, strides):
    return layers.Conv2D(filters, 1)


@wrong("block", "there is no batch normalisation; it follows each")
def block_without_norm(*arguments):
    return chain(deep, relu, point, relu)(*arguments)


@wrong("block", "biases and no batch normalisation")
def block_biases_only(*arguments):
    return chain(biased_deep, relu, biased_point, relu)(*arguments)


@wrong("block", "batch normalisation has a shift of its own")
def block_biases(*arguments):
    return chain(biased_deep, norm, relu, biased_point, norm, relu)(*arguments)


@wrong("block", "batch normalisation follows the pointwise step only")
def block_late_norm(*arguments):
    return chain(deep, relu, point, norm, relu)(*arguments)


@wrong("block", "batch normalisation follows the depthwise step only")
def block_early_norm(*arguments):
    return chain(deep, norm, relu, point, relu)(*arguments)


@wrong("block", "there is no ReLU")
def block_linear(*arguments):
    return chain(deep, norm, point, norm)(*arguments)


@wrong("block", "the ReLU after the depthwise step is missing")
def block_one_relu(*arguments):
    return chain(deep, norm, point, norm, relu)(*arguments)


@wrong("block", "the ReLU at the end is missing")
def block_open_end(*arguments):
    return chain(deep, norm, relu, point, norm)(*arguments)


@wrong("block", "the stride is in the pointwise step")
def block_late_stride(*arguments):
    def still(filters, strides):
        return deep(filters, 1)

    def strided(filters, strides):
        return layers.Conv2D(filters, 1, strides, use_bias=False)

    return chain(still, norm, relu, strided, norm, relu)(*arguments)


@wrong("block", "the ReLU stands before the batch normalisation")
def block_relu_first(*arguments):
    return chain(deep, relu, norm, point, relu, norm)(*arguments)


@right("block")
def block_sequential(input_shape, filters, strides):
    steps = [deep, norm, relu, point, norm, relu]
    made = [step(filters, strides) for step in steps]
    return keras.Sequential([keras.Input(input_shape), *made])


@right("block")
def block_grouped(input_shape, filters, strides):
    image = keras.Input(input_shape)
    x = layers.DepthwiseConv2D((3, 3), (strides, strides), padding="same", use_bias=False)(image)
    x = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x))
    x = layers.Conv2D(filters, (1, 1), padding="same", use_bias=False)(x)
    return keras.Model(image, layers.Activation("relu")(layers.BatchNormalization()(x)))


@right("block")
def block_grouped_in_a_class(*arguments):
    return in_a_class(block_grouped)(*arguments)


@right("block")
def block_grouped_in_a_class_called(*arguments):
    return in_a_class(block_grouped, called=True)(*arguments)


@right("block")
def block_without_input(input_shape, filters, strides):
    return keras.Sequential([s(filters, strides) for s in (deep, norm, relu, point, norm, relu)])


@wrong("block", "the picture is padded on all four sides")
def block_padded_around(input_shape, filters, strides):
    image = keras.Input(input_shape)
    x = layers.ZeroPadding2D(1)(image)
    x = layers.DepthwiseConv2D(3, strides, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.ReLU()(layers.BatchNormalization()(point(filters, strides)(x)))
    return keras.Model(image, x)


@wrong("block", "the input is added. MobileNet, of 2017, has no shortcut")
def block_shortcut(input_shape, filters, strides):
    model = block_grouped(input_shape, filters, strides)
    if strides > 1 or filters != input_shape[-1]:
        return model
    return keras.Model(model.input, layers.add([model.input, model.output]))


# network_cost

BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
BLOCKS += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]


def counting(
    first=1,
    depthwise=1,
    pointwise=1,
    classifier=1,
    stem=2,
    late=False,
    image=3,
    full=False,
    widen=True,
    classes=lambda alpha: 1000,
    side_of=lambda side: side,
):
    def answer(alpha, side):
        alpha = alpha if widen else 1.0
        side = side_of(side) // stem
        channels = int(alpha * 32)
        total = first * side**2 * 9 * image * channels
        for filters, stride in BLOCKS:
            wide, side = side, side // stride
            out = int(alpha * filters)
            total += depthwise * (wide if late else side) ** 2 * 9 * channels * (not full)
            total += pointwise * side**2 * channels * out * (9 if full else 1)
            channels = out
        return total + classifier * int(channels * classes(alpha))

    return answer


@wrong("network_cost", "the depthwise steps are missing")
def network_without_depthwise(*arguments):
    return counting(depthwise=0)(*arguments)


@wrong("network_cost", "the pointwise steps are missing")
def network_without_pointwise(*arguments):
    return counting(pointwise=0)(*arguments)


@wrong("network_cost", "the classifier is missing")
def network_without_classifier(*arguments):
    return counting(classifier=0)(*arguments)


@wrong("network_cost", "the first convolution is missing")
def network_without_first(*arguments):
    return counting(first=0)(*arguments)


@wrong("network_cost", "the first convolution has stride 2")
def network_stem_one(*arguments):
    return counting(stem=1)(*arguments)


@wrong("network_cost", "in a block of stride 2 the depthwise step makes the smaller map already")
def network_late(*arguments):
    return counting(late=True)(*arguments)


@wrong("network_cost", "the pictures have 3 channels, not 1")
def network_grey(*arguments):
    return counting(image=1)(*arguments)


@wrong("network_cost", "do not count two operations")
def network_operations(*arguments):
    return 2 * counting()(*arguments)


@wrong("network_cost", "the thirteen blocks are full convolutions here")
def network_full(*arguments):
    return counting(full=True)(*arguments)


@wrong("network_cost", "alpha changes nothing")
def network_one_width(*arguments):
    return counting(widen=False)(*arguments)


@wrong("network_cost", "alpha multiplies the work once")
def network_times_alpha(alpha, side):
    return int(alpha * counting()(1.0, side))


@wrong("network_cost", "alpha is squared for every layer")
def network_times_square(alpha, side):
    return int(alpha**2 * counting()(1.0, side))


@wrong("network_cost", "alpha multiplies the classes too")
def network_fewer_classes(*arguments):
    return counting(classes=lambda alpha: 1000 * alpha)(*arguments)


@wrong("network_cost", "the side is ignored")
def network_one_size(*arguments):
    return counting(side_of=lambda side: 224)(*arguments)


@right("network_cost")
def network_walk(*arguments):
    return counting()(*arguments)


@right("network_cost")
def network_audited(alpha, side):
    from course_lib import zoo
    from course_lib.audit import audit

    return audit(zoo.build("mobilenet_1.0_224", alpha=alpha, input_shape=(side, side, 3))).macs


@wrong("network_cost", "channels are rounded to the nearest number")
def network_rounded(alpha, side):
    side, channels = side // 2, round(alpha * 32)
    total = side**2 * 27 * channels
    for filters, stride in BLOCKS:
        side, outputs = side // stride, round(alpha * filters)
        total += side**2 * channels * (9 + outputs)
        channels = outputs
    return total + channels * 1000


@wrong("network_cost", "alpha does not reach the first convolution")
def network_first_full(alpha, side):
    side, channels = side // 2, 32
    total = side**2 * 27 * channels
    for filters, stride in BLOCKS:
        side, outputs = side // stride, int(alpha * filters)
        total += side**2 * channels * (9 + outputs)
        channels = outputs
    return total + channels * 1000


@wrong("network_cost", "the window of the depthwise step has 3 x 3 = 9 pixels")
def network_three(alpha, side):
    side, channels = side // 2, int(alpha * 32)
    total = side**2 * 27 * channels
    for filters, stride in BLOCKS:
        side, outputs = side // stride, int(alpha * filters)
        total += side**2 * channels * (3 + outputs)
        channels = outputs
    return total + channels * 1000
