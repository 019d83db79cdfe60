"""Answers to assignment 12."""

import math

import keras
import numpy as np

from answers import right, wrong

# count


def walk(side, channels, layers, *, full=False, bias=1, biases=0, flat=False, place="after", use=2):
    work = weights = 0
    for layer in layers:
        if layer[0] == "dense":
            inputs = channels * side * side if flat else channels
            work += inputs * layer[1]
            weights += inputs * layer[1] + bias * layer[1]
            continue
        before = side
        if place != "never":
            side = side // layer[-1] if place == "floor" else math.ceil(side / layer[-1])
        new = layer[2] if layer[0] == "conv" else channels
        products = layer[1] ** use * new * (channels if layer[0] == "conv" or full else 1)
        weights += products + biases * new
        work += products * (before if place == "before" else side) ** 2
        channels = new
    return work, weights


@wrong("count", "a depthwise convolution is counted like a full one")
def count_full(side, channels, layers):
    return walk(side, channels, layers, full=True)


@wrong("count", "the dense layer has a bias")
def count_no_bias(side, channels, layers):
    return walk(side, channels, layers, bias=0)


@wrong("count", "only the dense layer has biases here")
def count_biases(side, channels, layers):
    return walk(side, channels, layers, biases=1)


@wrong("count", "the dense layer reads all pixels")
def count_flattened(side, channels, layers):
    return walk(side, channels, layers, flat=True)


@wrong("count", "the stride is ignored")
def count_no_stride(side, channels, layers):
    return walk(side, channels, layers, place="never")


@wrong("count", "the work is counted on the pixels of the input")
def count_early(side, channels, layers):
    return walk(side, channels, layers, place="before")


@wrong("count", "the side is rounded down")
def count_floor(side, channels, layers):
    return walk(side, channels, layers, place="floor")


@wrong("count", "a window of kernel x kernel has kernel * kernel places")
def count_line(side, channels, layers):
    return walk(side, channels, layers, use=1)


@wrong("count", "the two are swapped")
def count_swapped(side, channels, layers):
    return walk(side, channels, layers)[::-1]


@wrong("count", "do not count two operations for a multiply-add")
def count_operations(side, channels, layers):
    work, weights = walk(side, channels, layers)
    return 2 * work, weights


@wrong("count", "one thing came back")
def count_only_work(side, channels, layers):
    return walk(side, channels, layers)[0]


@wrong("count", "The multiply-adds is 5")
def count_dense_on_pixels(side, channels, layers):
    work, weights = walk(side, channels, layers)
    return work + 7, weights


@wrong("count", "The parameters is")
def count_norms(side, channels, layers):
    work, weights = walk(side, channels, layers)
    return work, weights + 4 * sum(layer[0] != "dense" for layer in layers)


@wrong("count", "The count of one dense layer")
def count_needs_a_convolution(side, channels, layers):
    assert len(layers) > 0
    work, weights = walk(side, channels, layers)
    return (work, weights) if len(layers) > 1 else (0, 0)


@right("count")
def count_keras(side, channels, layers):
    image = x = keras.Input((side, side, channels))
    look = {"padding": "same", "use_bias": False}
    work = 0
    for kind, *rest in layers:
        if kind == "dense":
            x = keras.layers.Dense(rest[0])(keras.layers.GlobalAveragePooling2D()(x))
            work += x.shape[-1] * (keras.Model(image, x).layers[-1].kernel.shape[0])
        elif kind == "conv":
            before = x.shape[-1]
            x = keras.layers.Conv2D(rest[1], rest[0], strides=rest[2], **look)(x)
            work += rest[0] ** 2 * before * math.prod(x.shape[1:])
        else:
            x = keras.layers.DepthwiseConv2D(rest[0], strides=rest[1], **look)(x)
            work += rest[0] ** 2 * math.prod(x.shape[1:])
    return work, keras.Model(image, x).count_params()


@right("count")
def count_list(side, channels, layers):
    return list(np.array(walk(side, channels, layers), float))


@wrong("count", "the channels of the input are forgotten")
def count_one_channel(side, channels, layers):
    work = weights = 0
    for kind, *rest in layers:
        if kind == "dense":
            return work + channels * rest[0], weights + channels * rest[0] + rest[0]
        side = -(-side // rest[-1])
        channels = rest[1] if kind == "conv" else channels
        work += side**2 * rest[0] ** 2 * channels
        weights += rest[0] ** 2 * channels


@wrong("count", "leaves as many channels as it has filters")
def count_first_channels(side, channels, layers):
    work = weights = 0
    for kind, *rest in layers:
        if kind == "dense":
            return work + channels * rest[0], weights + channels * rest[0] + rest[0]
        side = -(-side // rest[-1])
        each = rest[0] ** 2 * channels * (rest[1] if kind == "conv" else 1)
        work, weights = work + each * side**2, weights + each


# pareto


def beaten(costs, errors, i):
    pairs = [(c, e) for c, e in zip(costs, errors)]
    return any(c <= costs[i] and e <= errors[i] and (c, e) != pairs[i] for c, e in pairs)


@wrong("pareto", "a high error is taken for good")
def front_of_errors(costs, errors):
    return front_by_scan(costs, [-e for e in errors])


@wrong("pareto", "the list is not in the order of the costs")
def front_unsorted(costs, errors):
    return [i for i in range(len(costs)) if not beaten(costs, errors, i)]


@wrong("pareto", "the dearest comes first")
def front_backwards(costs, errors):
    return front_by_scan(costs, errors)[::-1]


@wrong("pareto", "a network is beaten already if another has the same cost")
def front_strict(costs, errors):
    found = [
        i
        for i in range(len(costs))
        if not any(c < costs[i] and e < errors[i] for c, e in zip(costs, errors))
    ]
    return sorted(found, key=lambda i: costs[i])


@wrong("pareto", "these are all networks in the order of their costs")
def front_all(costs, errors):
    return np.argsort(costs, kind="stable")


@wrong("pareto", "this says of each network whether it is on the front")
def front_flags(costs, errors):
    return [not beaten(costs, errors, i) for i in range(len(costs))]


@wrong("pareto", "these are costs")
def front_costs(costs, errors):
    return [costs[i] for i in front_by_scan(costs, errors)]


@wrong("pareto", "these are the beaten ones")
def front_losers(costs, errors):
    return [i for i in np.argsort(costs, kind="stable") if beaten(costs, errors, i)]


@wrong("pareto", "these are the cheapest and the most accurate")
def front_ends(costs, errors):
    return [int(np.argmin(costs)), int(np.argmin(errors))]


@wrong("pareto", "The front has shape")
def front_cheapest(costs, errors):
    return [int(np.argmin(costs))]


@wrong("pareto", "two that agree in cost and in error")
def front_scan_strict(costs, errors):
    order = sorted(range(len(costs)), key=lambda i: (costs[i], errors[i]))
    found, best = [], np.inf
    for i in order:
        if errors[i] < best:
            found.append(i)
            best = errors[i]
    return found


@wrong("pareto", "a network does not beat itself")
def front_beats_itself(costs, errors):
    count = len(costs)
    found = [
        i
        for i in range(count)
        if not any(costs[j] <= costs[i] and errors[j] <= errors[i] for j in range(count) if j != i)
    ]
    return sorted(found, key=lambda i: costs[i])


@wrong("pareto", "changes an array that it was given")
def front_in_place(costs, errors):
    errors *= -1
    return front_by_scan(costs, -errors)


@right("pareto")
def front_by_scan(costs, errors):
    order = sorted(range(len(costs)), key=lambda i: (costs[i], errors[i]))
    found = []
    for i in order:
        last = found[-1] if found else None
        if last is None or errors[i] < errors[last]:
            found.append(i)
        elif errors[i] == errors[last] and costs[i] == costs[last]:
            found.append(i)
    return found


@right("pareto")
def front_by_pairs(costs, errors):
    found = [i for i in range(len(costs)) if not beaten(costs, errors, i)]
    return np.array(sorted(found, key=lambda i: costs[i]), "float32")


# pictures


@wrong("pictures", "the last two are swapped")
def pictures_swapped(work, speed, epoch, seconds, total):
    return epoch, total // work, int(speed * seconds)


@wrong("pictures", "these are not whole pictures")
def pictures_broken(work, speed, epoch, seconds, total):
    return epoch, speed * seconds, total / work


@wrong("pictures", "the numbers are rounded up")
def pictures_up(work, speed, epoch, seconds, total):
    return epoch, math.ceil(speed * seconds), math.ceil(total / work)


@wrong("pictures", "the numbers are rounded to the nearest")
def pictures_nearest(work, speed, epoch, seconds, total):
    return epoch, round(speed * seconds), round(total / work)


@wrong("pictures", "the backward pass is added")
def pictures_backward(work, speed, epoch, seconds, total):
    return epoch, int(speed * seconds), total // (3 * work)


@wrong("pictures", "with equal epochs speed plays no part")
def pictures_timed_epoch(work, speed, epoch, seconds, total):
    return int(speed * seconds), int(speed * seconds), total // work


@wrong("pictures", "speed is pictures a second")
def pictures_divided(work, speed, epoch, seconds, total):
    return epoch, int(seconds / speed), total // work


@wrong("pictures", "an epoch is no limit here")
def pictures_capped(work, speed, epoch, seconds, total):
    return epoch, min(epoch, int(speed * seconds)), total // work


@wrong("pictures", "this is for one second")
def pictures_one_second(work, speed, epoch, seconds, total):
    return epoch, int(speed), total // work


@wrong("pictures", "Divide the other way round")
def pictures_inverse(work, speed, epoch, seconds, total):
    return epoch, int(speed * seconds), work // total


@wrong("pictures", "the speed plays no part with equal multiply-adds")
def pictures_fast(work, speed, epoch, seconds, total):
    return epoch, int(speed * seconds), int(total / work / speed)


@right("pictures")
def pictures_floor(work, speed, epoch, seconds, total):
    return np.floor([epoch, speed * seconds, total / work])


# widest


@wrong("widest", "this is the first that does not fit")
def widest_one_more(cost, most_work, most_weights):
    return widest_loop(cost, most_work, most_weights) + 1


@wrong("widest", "the weights are not looked at")
def widest_work(cost, most_work, most_weights):
    return widest_halves(cost, most_work, math.inf)


@wrong("widest", "the work is not looked at")
def widest_weights(cost, most_work, most_weights):
    return widest_halves(cost, math.inf, most_weights)


@wrong("widest", "a cost that is exactly the budget fits")
def widest_below(cost, most_work, most_weights):
    return widest_halves(cost, most_work - 1, most_weights - 1)


@wrong("widest", "where not even one channel fits, return 0")
def widest_at_least_one(cost, most_work, most_weights):
    return max(1, widest_loop(cost, most_work, most_weights))


@wrong("widest", "the search ends too early, at 512 channels")
def widest_up_to_512(cost, most_work, most_weights):
    return min(512, widest_loop(cost, most_work, most_weights))


@wrong("widest", "The result where the work is the limit")
def widest_even(cost, most_work, most_weights):
    return widest_loop(cost, most_work, most_weights) // 2 * 2


@wrong("widest", "stops with TypeError")
def widest_compares_pairs(cost, most_work, most_weights):
    return cost(1) <= most_work


@right("widest")
def widest_loop(cost, most_work, most_weights):
    channels = 0
    while True:
        work, weights = cost(channels + 1)
        if work > most_work or weights > most_weights:
            return channels
        channels += 1


@right("widest")
def widest_halves(cost, most_work, most_weights):
    low, high = 0, 1
    while all(np.less_equal(cost(high), (most_work, most_weights))):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        fits = all(np.less_equal(cost(middle), (most_work, most_weights)))
        low, high = (middle, high) if fits else (low, middle)
    return low


# entry


def image():
    return keras.Input((28, 28, 1))


def pooled(x):
    return keras.layers.GlobalAveragePooling2D()(x)


def small(x):
    return keras.layers.Conv2D(8, 5, strides=4, activation="relu")(x)


@wrong("entry", "The layer that costs most is `wide` with 11,289,600")
def entry_too_much_work():
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(image_ := image())
    x = keras.layers.Conv2D(100, 3, padding="same", name="wide")(x)
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "The layer that has most is `hidden` with 157,000")
def entry_too_many_weights():
    x = keras.layers.Dense(200, name="hidden")(keras.layers.Flatten()(image_ := image()))
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "a picture gives 100 numbers; there are 10 classes")
def entry_classes():
    x = small(image_ := image())
    return keras.Model(image_, keras.layers.Dense(100)(pooled(x)))


@wrong("entry", "a picture gives 6 x 6 x 10 numbers: maps are left over")
def entry_maps():
    x = small(image_ := image())
    return keras.Model(image_, keras.layers.Conv2D(10, 1)(x))


@wrong("entry", "the last layer is a softmax")
def entry_softmax():
    x = small(image_ := image())
    return keras.Model(image_, keras.layers.Dense(10, activation="softmax")(pooled(x)))


@wrong("entry", "the last layer has an activation")
def entry_relu():
    x = keras.layers.Dense(10)(keras.layers.Flatten()(small(image_ := image())))
    return keras.Model(image_, keras.layers.ReLU()(x))


@wrong("entry", "return a keras.Model; this is a list")
def entry_layers():
    return [keras.layers.Flatten(), keras.layers.Dense(10)]


@wrong("entry", "nothing comes back")
def entry_none():
    keras.Sequential([image(), keras.layers.Flatten(), keras.layers.Dense(10)])


@wrong("entry", "the model should have one input of shape (28, 28, 1)")
def entry_colour():
    x = small(image_ := keras.Input((32, 32, 3)))
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "the network is not built")
def entry_unbuilt():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])


@wrong("entry", "the batch size is fixed")
def entry_batch():
    x = small(image_ := keras.Input(batch_shape=(128, 28, 28, 1)))
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "the model should have one output; it has 2")
def entry_two_outputs():
    x = pooled(small(image_ := image()))
    return keras.Model(image_, [keras.layers.Dense(10)(x), keras.layers.Dense(10)(x)])


@wrong("entry", "the audit cannot count")
def entry_attention():
    x = keras.layers.Reshape((28, 28))(image_ := image())
    x = keras.layers.MultiHeadAttention(2, 8)(x, x)
    return keras.Model(image_, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@wrong("entry", "the audit cannot count `matmul")
def entry_matmul():
    x = keras.layers.Reshape((28, 28))(image_ := image())
    x = keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1)))
    return keras.Model(image_, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


@wrong("entry", "it has no trainable weights")
def entry_frozen():
    x = pooled(small(image_ := image()))
    model = keras.Model(image_, keras.layers.Dense(10)(x))
    model.trainable = False
    return model


@wrong("entry", "every picture gets the same ten numbers")
def entry_zeros():
    x = keras.layers.Dense(64, activation="relu", kernel_initializer="zeros")(
        keras.layers.Flatten()(image_ := image())
    )
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "it does not learn")
def entry_tiny_start():
    x = keras.layers.Flatten()(image_ := image())
    for _ in range(8):
        start = keras.initializers.RandomNormal(stddev=1e-3)
        x = keras.layers.Dense(32, activation="relu", kernel_initializer=start)(x)
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "it learns too slowly")
def entry_sigmoids():
    x = keras.layers.Flatten()(image_ := image())
    for _ in range(3):
        x = keras.layers.Dense(24, activation="sigmoid")(x)
    return keras.Model(image_, keras.layers.Dense(10)(x))


@wrong("entry", "The moving averages of batch normalisation change too slowly")
def entry_slow_averages():
    x = keras.layers.Conv2D(32, 5, strides=4, padding="same")(image_ := image())
    for _ in range(5):
        x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.Conv2D(32, 1, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@wrong("entry", "before any training the network already gives nan or infinity")
def entry_huge():
    start = keras.initializers.RandomNormal(stddev=1e20)
    x = keras.layers.Flatten()(image_ := image())
    for _ in range(2):
        x = keras.layers.Dense(50, kernel_initializer=start)(x)
    return keras.Model(image_, keras.layers.Dense(10, kernel_initializer=start)(x))


@wrong("entry", "stops with NameError")
def entry_typo():
    return keras.Model(imag, keras.layers.Dense(10)(imag))  # noqa: F821


@right("entry")
def entry_hidden_layer():
    return keras.Sequential(
        [image(), keras.layers.Flatten(), keras.layers.Dense(100, "relu"), keras.layers.Dense(10)]
    )


@right("entry")
def entry_separable():
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same")(image_ := image())
    for filters, strides in ((32, 2), (64, 2)):
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.SeparableConv2D(filters, 3, strides, "same", activation="relu")(x)
    return keras.Model(image_, keras.layers.Dense(10)(pooled(x)))


@right("entry")
def entry_residual():
    x = keras.layers.Conv2D(24, 5, strides=3, activation="relu")(image_ := image())
    for _ in range(2):
        y = keras.layers.Conv2D(24, 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x + y)
    return keras.Model(image_, keras.layers.Dense(10)(keras.layers.Flatten()(x)))
