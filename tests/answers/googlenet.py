"""Answers to assignment 06."""

import keras
import numpy as np

from answers import in_a_class, right, wrong

# pointwise


def relu(x):
    return np.maximum(x, 0)


@wrong("pointwise", "the ReLU is missing")
def pointwise_linear(x, kernel, bias):
    return x @ kernel + bias


@wrong("pointwise", "the bias is missing")
def pointwise_without_bias(x, kernel, bias):
    return relu(x @ kernel)


@wrong("pointwise", "the bias is added after the ReLU")
def pointwise_late_bias(x, kernel, bias):
    return relu(x @ kernel) + bias


@wrong("pointwise", "the kernel is transposed")
def pointwise_transposed(x, kernel, bias):
    return relu(x @ kernel.T + bias)


@wrong("pointwise", "each output channel sees one input channel only")
def pointwise_depthwise(x, kernel, bias):
    return relu(x * np.diag(kernel) + bias)


@wrong("pointwise", "the pixels are mixed")
def pointwise_mean(x, kernel, bias):
    mean = x.mean(axis=(0, 1))
    return np.broadcast_to(relu(mean @ kernel + bias), x.shape)


@wrong("pointwise", "changes an array that it was given (argument 3)")
def pointwise_in_place(x, kernel, bias):
    bias += 1
    return relu(x @ kernel + bias - 1)


@wrong("pointwise", "With 4 channels in and 7 out the result has shape")
def pointwise_square(x, kernel, bias):
    c = x.shape[-1]
    return relu(x @ kernel[:, :c] + bias[:c])


@right("pointwise")
def pointwise_loops(x, kernel, bias):
    result = np.zeros((*x.shape[:2], kernel.shape[1]))
    for row, column, out in np.ndindex(result.shape):
        total = bias[out]
        for channel, weight in enumerate(kernel[:, out]):
            total += x[row, column, channel] * weight
        result[row, column, out] = max(total, 0)
    return result


@right("pointwise")
def pointwise_keras(x, kernel, bias):
    layer = keras.layers.Conv2D(kernel.shape[1], 1, activation="relu")
    layer.build((None, *x.shape))
    layer.set_weights([kernel[None, None], bias])
    return layer(x[None].astype("float32"))[0]


# module_cost


def listed(channels, filters, reduce):
    one, reduce3, three, reduce5, five, projection = filters
    if reduce:
        return {
            "1x1": (1, channels, one),
            "3x3_reduce": (1, channels, reduce3),
            "3x3": (3, reduce3, three),
            "5x5_reduce": (1, channels, reduce5),
            "5x5": (5, reduce5, five),
            "projection": (1, channels, projection),
        }
    return {"1x1": (1, channels, one), "3x3": (3, channels, three), "5x5": (5, channels, five)}


def costing(change=lambda convs, *_: convs, count=None):
    """Return an answer that changes the list of convolutions, or counts them differently."""

    def usual(convs, side):
        weights = sum(k * k * c * n for k, c, n in convs)
        return weights + sum(n for *_, n in convs), weights * side * side

    def answer(side, channels, filters, reduce):
        convs = change(listed(channels, filters, reduce), channels, filters, reduce)
        return (count or usual)(list(convs.values()), side)

    return answer


def weights_of(convs):
    return sum(k * k * c * n for k, c, n in convs)


def outputs_of(convs):
    return sum(n for *_, n in convs)


@wrong("module_cost", "reduced, 3 x 3 and 5 x 5 still see all channels of the input")
def cost_not_reduced(*arguments):
    return costing(lambda c, channels, *_: {k: (v[0], channels, v[2]) for k, v in c.items()})(
        *arguments
    )


def leaving_out(*names):
    return costing(lambda c, *_: {k: v for k, v in c.items() if k not in names})


@wrong("module_cost", "reduced, the pooling's 1 x 1 projection is missing")
def cost_without_projection(*arguments):
    return leaving_out("projection")(*arguments)


@wrong("module_cost", "reduced, the two reductions are not counted")
def cost_without_reductions(*arguments):
    return leaving_out("3x3_reduce", "5x5_reduce")(*arguments)


@wrong("module_cost", "reduced, no 1 x 1 branch is counted")
def cost_without_one(*arguments):
    return leaving_out("1x1")(*arguments)


@wrong("module_cost", "reduced, the windows are squares")
def cost_flat_windows(*arguments):
    def count(convs, side):
        weights = sum(k * c * n for k, c, n in convs)
        return weights + outputs_of(convs), weights * side * side

    return costing(count=count)(*arguments)


@wrong("module_cost", "reduced, the 5 x 5 window is counted as 3 x 3")
def cost_torchvision(*arguments):
    return costing(lambda c, *_: {k: (min(v[0], 3), *v[1:]) for k, v in c.items()})(*arguments)


@wrong("module_cost", "these are the numbers of the naive form")
def cost_always_naive(side, channels, filters, reduce):
    return costing()(side, channels, filters, False)


@wrong("module_cost", "reduce=False gives the same as reduce=True")
def cost_always_reduced(side, channels, filters, reduce):
    return costing()(side, channels, filters, True)


@wrong("module_cost", "naive, the pooling has no weights")
def cost_naive_projection(*arguments):
    def change(convs, channels, filters, reduce):
        return {**convs, "projection": (1, channels, filters[5])}

    return costing(change)(*arguments)


@wrong("module_cost", "reduced, the biases are missing from the parameters")
def cost_without_biases(*arguments):
    return costing(count=lambda c, side: (weights_of(c), weights_of(c) * side**2))(*arguments)


@wrong("module_cost", "reduced, every convolution has biases")
def cost_biases_of_the_output(side, channels, filters, reduce):
    weights, work = cost_without_biases(side, channels, filters, reduce)
    return weights + filters[0] + filters[2] + filters[4] + filters[5], work


@wrong("module_cost", "reduced, one bias for each output channel, not for each input channel")
def cost_input_biases(*arguments):
    def count(convs, side):
        weights = weights_of(convs)
        return weights + sum(c for _, c, _ in convs), weights * side**2

    return costing(count=count)(*arguments)


def working(work):
    return costing(
        count=lambda c, side: (weights_of(c) + outputs_of(c), work(c, weights_of(c), side))
    )


@wrong("module_cost", "reduced, the multiply-adds are those of one pixel")
def cost_one_pixel(*arguments):
    return working(lambda c, weights, side: weights)(*arguments)


@wrong("module_cost", "reduced, the output has side x side pixels")
def cost_one_row(*arguments):
    return working(lambda c, weights, side: weights * side)(*arguments)


@wrong("module_cost", "reduced, do not count two operations")
def cost_flops(*arguments):
    return working(lambda c, weights, side: 2 * weights * side**2)(*arguments)


@wrong("module_cost", "reduced, biases are no multiply-adds")
def cost_biases_work(*arguments):
    return working(lambda c, weights, side: (weights + outputs_of(c)) * side**2)(*arguments)


@wrong("module_cost", "For module 4a the pair at [1] is")
def cost_by_heart(side, channels, filters, reduce):
    return (163_696, 128_049_152) if reduce else (387_296, 303_464_448)


@wrong("module_cost", "one thing came back where there should be 2")
def cost_parameters_only(side, channels, filters, reduce):
    return costing()(side, channels, filters, reduce)[0]


@right("module_cost")
def cost_by_formula(side, channels, filters, reduce):
    a, b, c, d, e, f = filters
    if reduce:
        weights = channels * (a + b + d + f) + 9 * b * c + 25 * d * e
        return weights + sum(filters), side**2 * weights
    weights = channels * (a + 9 * c + 25 * e)
    return [weights + a + c + e, side**2 * weights]


@right("module_cost")
def cost_by_audit(side, channels, filters, reduce):
    from course_lib.audit import audit
    from course_lib.googlenet import InceptionModule

    image = keras.Input((side, side, channels))
    counted = audit(keras.Model(image, InceptionModule(filters, reduce)(image)))
    return counted.params, counted.macs


# inception


def conv(channels, side=1, activation="relu", **changes):
    return keras.layers.Conv2D(channels, side, padding="same", activation=activation, **changes)


def maximum(**changes):
    return keras.layers.MaxPooling2D(3, **{"strides": 1, "padding": "same", **changes})


def module(**changes):
    """Return an answer made of branches, each {name: (filters) -> list of layers}."""
    usual = {
        "one": lambda f: [conv(f[0])],
        "three": lambda f: [conv(f[1]), conv(f[2], 3)],
        "five": lambda f: [conv(f[3]), conv(f[4], 5)],
        "pool": lambda f: [maximum(), conv(f[5])],
    }
    branches = {**usual, **changes}

    def answer(input_shape, filters):
        image = keras.Input(input_shape)
        outputs = []
        for branch in branches.values():
            x = image
            for layer in branch(filters):
                x = layer(x)
            outputs.append(x)
        return keras.Model(image, keras.layers.Concatenate()(outputs))

    return answer


def plain(channels, side=1):
    return conv(channels, side, None)


@wrong("inception", "return a keras.Model; this is a list")
def inception_list(input_shape, filters):
    return [conv(filters[0])]


@wrong("inception", "the model should have one input of shape (7, 6, 5)")
def inception_fixed_shape(input_shape, filters):
    return module()((28, 28, 192), filters)


@wrong("inception", "the model should have one output")
def inception_not_joined(input_shape, filters):
    image = keras.Input(input_shape)
    return keras.Model(image, [conv(filters[0])(image), conv(filters[2], 3)(image)])


@wrong("inception", "the 3 x 3 convolution sees all channels of the input")
def inception_three_not_reduced(*arguments):
    return module(three=lambda f: [conv(f[2], 3)])(*arguments)


@wrong("inception", "the 5 x 5 convolution sees all channels of the input")
def inception_five_not_reduced(*arguments):
    return module(five=lambda f: [conv(f[4], 5)])(*arguments)


@wrong("inception", "the largest window is 3 x 3, as in torchvision")
def inception_torchvision(*arguments):
    return module(five=lambda f: [conv(f[3]), conv(f[4], 3)])(*arguments)


@wrong("inception", "the projection after the pooling is 1 x 1, not 3 x 3")
def inception_large_projection(*arguments):
    return module(pool=lambda f: [maximum(), conv(f[5], 3)])(*arguments)


@wrong("inception", "the 1 x 1 convolution after the pooling, the projection, is missing")
def inception_without_projection(*arguments):
    return module(pool=lambda f: [maximum()])(*arguments)


@wrong("inception", "there is no convolution with the kernel of 3x3 reduce")
def inception_reduced_twice_alike(*arguments):
    return module(three=lambda f: [conv(f[3]), conv(f[2], 3)])(*arguments)


@wrong("inception", "from (7, 6, 5) the model makes (7, 6, 8), it should make (7, 6, 21)")
def inception_added(input_shape, filters):
    joined = module()(input_shape, filters)
    return keras.Model(joined.input, conv(8)(joined.output))


@wrong("inception", "the convolutions have no biases")
def inception_without_biases(*arguments):
    def bare(channels, side=1):
        return conv(channels, side, use_bias=False)

    return module(
        one=lambda f: [bare(f[0])],
        three=lambda f: [bare(f[1]), bare(f[2], 3)],
        five=lambda f: [bare(f[3]), bare(f[4], 5)],
        pool=lambda f: [maximum(), bare(f[5])],
    )(*arguments)


def normalized(use_bias):
    def unit(channels, side=1):
        return [
            conv(channels, side, None, use_bias=use_bias),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]

    return module(
        one=lambda f: unit(f[0]),
        three=lambda f: unit(f[1]) + unit(f[2], 3),
        five=lambda f: unit(f[3]) + unit(f[4], 5),
        pool=lambda f: [maximum(), *unit(f[5])],
    )


@wrong("inception", "there is batch normalisation in it")
def inception_batch_norm(*arguments):
    return normalized(True)(*arguments)


@wrong("inception", "there is batch normalisation in place of the biases")
def inception_batch_norm_without_biases(*arguments):
    return normalized(False)(*arguments)


@wrong("inception", "there is no ReLU at all")
def inception_linear(*arguments):
    return module(
        one=lambda f: [plain(f[0])],
        three=lambda f: [plain(f[1]), plain(f[2], 3)],
        five=lambda f: [plain(f[3]), plain(f[4], 5)],
        pool=lambda f: [maximum(), plain(f[5])],
    )(*arguments)


@wrong("inception", "the ReLU is missing after the 1 x 1 reductions")
def inception_linear_reductions(*arguments):
    return module(
        three=lambda f: [plain(f[1]), conv(f[2], 3)],
        five=lambda f: [plain(f[3]), conv(f[4], 5)],
    )(*arguments)


@wrong("inception", "the ReLU is missing after the last convolution of each branch")
def inception_linear_outputs(*arguments):
    return module(
        one=lambda f: [plain(f[0])],
        three=lambda f: [conv(f[1]), plain(f[2], 3)],
        five=lambda f: [conv(f[3]), plain(f[4], 5)],
        pool=lambda f: [maximum(), plain(f[5])],
    )(*arguments)


@wrong("inception", "the pooling takes the mean")
def inception_average(*arguments):
    average = keras.layers.AveragePooling2D(3, 1, "same")
    return module(pool=lambda f: [average, conv(f[5])])(*arguments)


@wrong("inception", "the projection stands before the pooling")
def inception_early_projection(*arguments):
    return module(pool=lambda f: [conv(f[5]), maximum()])(*arguments)


@wrong("inception", "the pooling is missing")
def inception_without_pooling(*arguments):
    return module(pool=lambda f: [conv(f[5])])(*arguments)


@wrong("inception", "the branches are in another order")
def inception_pool_first(input_shape, filters):
    image = keras.Input(input_shape)
    pooled = conv(filters[5])(maximum()(image))
    three = conv(filters[2], 3)(conv(filters[1])(image))
    five = conv(filters[4], 5)(conv(filters[3])(image))
    joined = keras.layers.Concatenate()([pooled, conv(filters[0])(image), three, five])
    return keras.Model(image, joined)


@wrong("inception", "stops with ValueError (A `Concatenate` layer requires inputs with matching")
def inception_pool_stride(*arguments):
    return module(pool=lambda f: [maximum(strides=2), conv(f[5])])(*arguments)


@right("inception")
def inception_as_drawn(*arguments):
    return module()(*arguments)


@right("inception")
def inception_with_separate_relus(input_shape, filters):
    image = keras.Input(input_shape)

    def unit(x, channels, side):
        return keras.ops.relu(conv(channels, side, None)(x))

    pooled = keras.layers.MaxPool2D((3, 3), (1, 1), "same")(image)
    branches = [
        unit(image, filters[0], 1),
        unit(unit(image, filters[1], 1), filters[2], 3),
        unit(unit(image, filters[3], 1), filters[4], 5),
        unit(pooled, filters[5], 1),
    ]
    return keras.Model(image, keras.ops.concatenate(branches, axis=-1))


@right("inception")
def inception_from_the_course(input_shape, filters):
    from course_lib.googlenet import InceptionModule

    return keras.Sequential([keras.Input(input_shape), InceptionModule(filters)])


@right("inception")
def inception_as_drawn_in_a_class(*arguments):
    return in_a_class(inception_as_drawn)(*arguments)


@right("inception")
def inception_as_drawn_in_a_class_called(*arguments):
    return in_a_class(inception_as_drawn, called=True)(*arguments)


@wrong("inception", "the 5 x 5 branch stands before the 3 x 3 one")
def inception_swapped(input_shape, filters):
    image = keras.Input(input_shape)
    three = conv(filters[2], 3)(conv(filters[1])(image))
    five = conv(filters[4], 5)(conv(filters[3])(image))
    last = conv(filters[5])(maximum()(image))
    joined = keras.layers.Concatenate()([conv(filters[0])(image), five, three, last])
    return keras.Model(image, joined)


# average_head


@wrong("average_head", "the pixels are added up")
def head_sum(x, kernel, bias):
    return x.sum(axis=(1, 2)) @ kernel + bias


@wrong("average_head", "this is the largest pixel of each channel")
def head_maximum(x, kernel, bias):
    return x.max(axis=(1, 2)) @ kernel + bias


@wrong("average_head", "the bias is missing")
def head_without_bias(x, kernel, bias):
    return x.mean(axis=(1, 2)) @ kernel


@wrong("average_head", "the pictures of the batch are averaged too")
def head_batch_mean(x, kernel, bias):
    return np.stack([x.mean(axis=(0, 1, 2)) @ kernel + bias] * len(x))


@wrong("average_head", "there is a ReLU at the end")
def head_relu(x, kernel, bias):
    return relu(x.mean(axis=(1, 2)) @ kernel + bias)


@wrong("average_head", "this is the softmax")
def head_softmax(x, kernel, bias):
    odds = np.exp(x.mean(axis=(1, 2)) @ kernel + bias)
    return odds / odds.sum(axis=1, keepdims=True)


@wrong("average_head", "this is one answer for each pixel")
def head_per_pixel(x, kernel, bias):
    return x @ kernel + bias


@wrong("average_head", "stops with ValueError")
def head_channel_mean(x, kernel, bias):
    return x.mean(axis=3) @ kernel + bias


@wrong("average_head", "With 2 x 2 pixels the result at")
def head_fixed_size(x, kernel, bias):
    return x.sum(axis=(1, 2)) / 12 @ kernel + bias


@right("average_head")
def head_mean_of_logits(x, kernel, bias):
    return (x @ kernel + bias).mean(axis=(1, 2))


@right("average_head")
def head_keras(x, kernel, bias):
    return keras.layers.GlobalAveragePooling2D()(x) @ kernel.astype("float32") + bias


# total_loss


def entropies(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(labels)), labels]


def losses(heads, labels):
    return [entropies(head, labels).mean() for head in heads]


def weighing(main, aux1, aux2):
    def answer(*arguments):
        *heads, labels = arguments
        return np.dot((main, aux1, aux2), losses(heads, labels))

    return answer


@wrong("total_loss", "the heads count as much as the main loss")
def loss_equal(*arguments):
    return weighing(1, 1, 1)(*arguments)


@wrong("total_loss", "only the main loss is there")
def loss_main(*arguments):
    return weighing(1, 0, 0)(*arguments)


@wrong("total_loss", "the main loss counts 0.3 too")
def loss_all_small(*arguments):
    return weighing(0.3, 0.3, 0.3)(*arguments)


@wrong("total_loss", "only the first head is there")
def loss_one_head(*arguments):
    return weighing(1, 0.3, 0)(*arguments)


@wrong("total_loss", "the heads share 0.3")
def loss_shared(*arguments):
    return weighing(1, 0.15, 0.15)(*arguments)


@wrong("total_loss", "the weights make a mean")
def loss_mean_of_heads(*arguments):
    return weighing(1 / 1.6, 0.3 / 1.6, 0.3 / 1.6)(*arguments)


@wrong("total_loss", "the losses of the pictures are added up")
def loss_sum(*arguments):
    return weighing(1, 0.3, 0.3)(*arguments) * len(arguments[-1])


@wrong("total_loss", "there is one loss for each picture")
def loss_per_picture(main, aux1, aux2, labels):
    aux = entropies(aux1, labels) + entropies(aux2, labels)
    return entropies(main, labels) + 0.3 * aux


@wrong("total_loss", "the sign is wrong")
def loss_negative(*arguments):
    return -weighing(1, 0.3, 0.3)(*arguments)


@wrong("total_loss", "the logits are added up first")
def loss_of_the_sum(main, aux1, aux2, labels):
    return entropies(main + 0.3 * aux1 + 0.3 * aux2, labels).mean()


@wrong("total_loss", "the logarithm has base 2")
def loss_in_bits(*arguments):
    return weighing(1, 0.3, 0.3)(*arguments) / np.log(2)


@wrong("total_loss", "With other labels the result is")
def loss_fixed_labels(main, aux1, aux2, labels):
    return weighing(1, 0.3, 0.3)(main, aux1, aux2, np.array([0, 3, 1, 1, 2, 0]))


@right("total_loss")
def loss_loop(main, aux1, aux2, labels):
    total = 0
    for weight, logits in ((1, main), (0.3, aux1), (0.3, aux2)):
        for row, label in zip(logits, labels):
            total += weight * -np.log(np.exp(row[label]) / np.exp(row).sum())
    return total / len(labels)


@right("total_loss")
def loss_keras(main, aux1, aux2, labels):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return float(loss(labels, main)) + 0.3 * float(loss(labels, aux1) + loss(labels, aux2))


@wrong("total_loss", "softmax is taken twice")
def loss_softmax_twice(main, aux1, aux2, labels):
    def shares(z):
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    return loss_keras(shares(main), shares(aux1), shares(aux2), labels)
