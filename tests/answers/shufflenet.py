"""Answers to assignment 11."""

import keras
import numpy as np

from answers import right, wrong
from course_lib.layers import GroupedConv2D
from course_lib.shufflenet import ChannelShuffle


def groups_of(x, kernels):
    """Return the results of the groups as a list."""
    parts = np.split(x, len(kernels), axis=-1)
    return [part @ kernel for part, kernel in zip(parts, kernels, strict=True)]


# grouped_pointwise


@wrong("grouped_pointwise", "every group reads the channels of the first group")
def pointwise_first_channels(x, kernels):
    return np.concatenate([x[..., : kernels.shape[1]] @ k for k in kernels], axis=-1)


@wrong("grouped_pointwise", "every group uses the first kernel")
def pointwise_first_kernel(x, kernels):
    return np.concatenate(groups_of(x, [kernels[0]] * len(kernels)), axis=-1)


@wrong("grouped_pointwise", "the results of the groups are added")
def pointwise_added(x, kernels):
    return sum(groups_of(x, kernels))


@wrong("grouped_pointwise", "the groups lie on an axis of their own")
def pointwise_stacked(x, kernels):
    return np.stack(groups_of(x, kernels), axis=-2)


@wrong("grouped_pointwise", "a group takes every g-th channel")
def pointwise_dealt_inputs(x, kernels):
    g = len(kernels)
    return np.concatenate([x[..., k::g] @ kernels[k] for k in range(g)], axis=-1)


@wrong("grouped_pointwise", "the output channels are dealt out already")
def pointwise_dealt_outputs(x, kernels):
    results = np.stack(groups_of(x, kernels), axis=-1)
    return results.reshape(*x.shape[:2], -1)


@wrong("grouped_pointwise", "the groups come out in reverse order")
def pointwise_reversed(x, kernels):
    return np.concatenate(groups_of(x, kernels)[::-1], axis=-1)


@wrong("grouped_pointwise", "With one group the result")
def pointwise_always_three(x, kernels):
    return np.concatenate(groups_of(x, kernels), axis=-1) * (len(kernels) == 3)


@wrong("grouped_pointwise", "changes an array that it was given")
def pointwise_in_place(x, kernels):
    result = np.concatenate(groups_of(x, kernels), axis=-1)
    x -= x.mean()
    return result


@right("grouped_pointwise")
def pointwise_loops(x, kernels):
    g, inputs, outputs = kernels.shape
    out = np.zeros((*x.shape[:2], g * outputs))
    for k in range(g):
        for o in range(outputs):
            for i in range(inputs):
                out[..., k * outputs + o] += x[..., k * inputs + i] * kernels[k, i, o]
    return out


@right("grouped_pointwise")
def pointwise_keras(x, kernels):
    g, _, outputs = kernels.shape
    layer = GroupedConv2D(g * outputs, 1, groups=g, use_bias=False, dtype="float64")
    layer.build((None, *x.shape))
    layer.set_weights([np.concatenate(kernels, axis=-1)[None, None]])
    return layer(x[None])[0]


# shuffle


@wrong("shuffle", "this is the inverse shuffle")
def shuffle_inverse(x, groups):
    h, w, c = x.shape
    return x.reshape(h, w, c // groups, groups).swapaxes(2, 3).reshape(h, w, c)


@wrong("shuffle", "nothing has moved")
def shuffle_without_transpose(x, groups):
    h, w, c = x.shape
    return x.reshape(h, w, groups, c // groups).reshape(h, w, c)


@wrong("shuffle", "the pixels are mixed too")
def shuffle_pixels(x, groups):
    return x.reshape(groups, -1).T.reshape(x.shape)


@wrong("shuffle", "the groups have changed places as blocks")
def shuffle_blocks(x, groups):
    return np.concatenate(np.split(x, groups, axis=-1)[::-1], axis=-1)


@wrong("shuffle", "the channels are in reverse order")
def shuffle_reversed(x, groups):
    return x[..., ::-1]


@wrong("shuffle", "the channels have moved on by one group")
def shuffle_rolled(x, groups):
    return np.roll(x, x.shape[-1] // groups, axis=-1)


@wrong("shuffle", "With 4 groups the result")
def shuffle_always_three(x, groups):
    return shuffle_by_places(x, 3)


@wrong("shuffle", "The result has shape (2, 3, 4, 3)")
def shuffle_not_flattened(x, groups):
    h, w, c = x.shape
    return x.reshape(h, w, groups, c // groups).swapaxes(2, 3)


@right("shuffle")
def shuffle_by_places(x, groups):
    n = x.shape[-1] // groups
    out = np.empty_like(x)
    for i in range(groups):
        for j in range(n):
            out[..., j * groups + i] = x[..., i * n + j]
    return out


@right("shuffle")
def shuffle_layer(x, groups):
    return ChannelShuffle(groups, dtype="float64")(x[None])[0]


# unit_costs


def costs(ends=2, window=9, pixels=lambda side: side * side, times=1):
    """Return an answer with these numbers."""

    def answer(c, m, g, side):
        one = ends * c * m
        resnet, resnext = one + window * m * m, one + window * m * m // g
        ours = one // g + window * m
        return tuple(times * pixels(side) * work for work in (resnet, resnext, ours))

    return answer


@wrong("unit_costs", "the order is turned around")
def costs_reversed(*given):
    return costs()(*given)[::-1]


@wrong("unit_costs", "these are the multiply-adds of one pixel")
def costs_one_pixel(*given):
    return costs(pixels=lambda side: 1)(*given)


@wrong("unit_costs", "there are side * side pixels")
def costs_one_row(*given):
    return costs(pixels=lambda side: side)(*given)


@wrong("unit_costs", "each unit has two 1 x 1 convolutions")
def costs_one_end(*given):
    return costs(ends=1)(*given)


@wrong("unit_costs", "the window has 3 x 3 = 9 pixels")
def costs_flat_window(*given):
    return costs(window=3)(*given)


@wrong("unit_costs", "the 1 x 1 convolutions of ShuffleNet have groups too")
def costs_ungrouped_ends(c, m, g, side):
    return (*costs()(c, m, g, side)[:2], side * side * (2 * c * m + 9 * m))


@wrong("unit_costs", "the 1 x 1 convolutions of ResNeXt have no groups")
def costs_resnext_grouped(c, m, g, side):
    first, _, last = costs()(c, m, g, side)
    return first, first // g, last


@wrong("unit_costs", "is counted as a grouped one with g groups")
def costs_grouped_window(c, m, g, side):
    return (*costs()(c, m, g, side)[:2], side * side * (2 * c * m + 9 * m * m) // g)


@wrong("unit_costs", "the depthwise convolution is divided by g")
def costs_all_divided(c, m, g, side):
    return (*costs()(c, m, g, side)[:2], side * side * (2 * c * m + 9 * m) // g)


@wrong("unit_costs", "a multiply-add is counted once here")
def costs_operations(*given):
    return costs(times=2)(*given)


@wrong("unit_costs", "one thing came back where there should be 3")
def costs_shufflenet_only(*given):
    return costs()(*given)[2]


@wrong("unit_costs", "unit_costs(96, 24, 8, 7)")
def costs_from_the_chapter(*given):
    return costs()(240, 60, 3, 28)


@right("unit_costs")
def costs_layer_by_layer(c, m, g, side):
    def layer(inputs, outputs, window, groups):
        return side**2 * window**2 * (inputs / groups) * outputs

    both = layer(c, m, 1, 1) + layer(m, c, 1, 1)
    grouped = layer(c, m, 1, g) + layer(m, c, 1, g)
    return [both + layer(m, m, 3, 1), both + layer(m, m, 3, g), grouped + layer(m, m, 3, m)]


@wrong("unit_costs", "counted like a full one, 9 m m")
def costs_depthwise_full(c, m, g, side):
    resnet, resnext, _ = costs()(c, m, g, side)
    return resnet, resnext, side**2 * (2 * c * m // g + 9 * m * m)


@wrong("unit_costs", "has 9 products for each number of its output")
def costs_depthwise_one(c, m, g, side):
    resnet, resnext, _ = costs()(c, m, g, side)
    return resnet, resnext, side**2 * (2 * c * m // g + m)


@wrong("unit_costs", "the 3 x 3 convolution is forgotten in all three")
def costs_ends_only(c, m, g, side):
    return tuple(side**2 * n for n in (2 * c * m, 2 * c * m, 2 * c * m // g))


@wrong("unit_costs", "ResNeXt divides its 3 x 3 convolution by g once")
def costs_resnext_twice(c, m, g, side):
    resnet, _, ours = costs()(c, m, g, side)
    return resnet, side**2 * (2 * c * m + 9 * m * m // g**2), ours


@wrong("unit_costs", "ResNeXt is counted without groups")
def costs_resnext_whole(c, m, g, side):
    resnet, _, ours = costs()(c, m, g, side)
    return resnet, resnet, ours


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


# downsample


def windows(x, reduce, pad=((1, 1), (1, 1), (0, 0))):
    """Return reduce(window) for every 3 x 3 window at stride 2."""
    padded = np.pad(x, pad)
    rows = range(0, padded.shape[0] - 2, 2)
    columns = range(0, padded.shape[1] - 2, 2)
    return np.array([[reduce(padded[r : r + 3, c : c + 3]) for c in columns] for r in rows])


def mean(part):
    return part.mean(axis=(0, 1))


def joined(pooled, branch):
    return np.maximum(np.concatenate([pooled, branch], axis=-1), 0)


@wrong("downsample", "the ReLU is missing")
def down_linear(x, branch):
    return np.concatenate([windows(x, mean), branch], axis=-1)


@wrong("downsample", "the branch stands before the pooled input")
def down_branch_first(x, branch):
    return joined(branch, windows(x, mean))


@wrong("downsample", "do not count in your means")
def down_keras_means(x, branch):
    ones = windows(np.ones_like(x), mean)
    return joined(windows(x, mean) / ones, branch)


@wrong("downsample", "this is the largest value of each window")
def down_maximum(x, branch):
    return joined(windows(x, lambda part: part.max(axis=(0, 1))), branch)


@wrong("downsample", "the windows begin at pixel 0")
def down_padded_behind(x, branch):
    return joined(windows(x, mean, ((0, 1), (0, 1), (0, 0))), branch)


@wrong("downsample", "every second pixel is picked")
def down_picked(x, branch):
    return joined(x[::2, ::2], branch)


@wrong("downsample", "these are sums of the windows")
def down_sums(x, branch):
    return joined(windows(x, lambda part: part.sum(axis=(0, 1))), branch)


@wrong("downsample", "these are means of 2 x 2 pixels")
def down_two_by_two(x, branch):
    h, w, c = x.shape
    return joined(x.reshape(h // 2, 2, w // 2, 2, c).mean(axis=(1, 3)), branch)


@wrong("downsample", "the branch is missing")
def down_pool_only(x, branch):
    return windows(x, mean)


@wrong("downsample", "this is the branch alone")
def down_branch_only(x, branch):
    return np.maximum(branch, 0)


@wrong("downsample", "stops with ValueError")
def down_added(x, branch):
    return np.maximum(windows(x, mean) + branch, 0)


@wrong("downsample", "With an input of 5 x 7 pixels the result")
def down_even_only(x, branch):
    return joined(windows(x, mean), branch) * (x.shape[0] % 2 == 0)


@right("downsample")
def down_relu_on_the_branch(x, branch):
    return np.concatenate([windows(x, mean), np.maximum(branch, 0)], axis=-1)


@right("downsample")
def down_keras(x, branch):
    padded = keras.layers.ZeroPadding2D(1, dtype="float64")(x[None])
    pooled = keras.layers.AveragePooling2D(3, 2, dtype="float64")(padded)[0]
    return keras.ops.relu(keras.ops.concatenate([pooled, branch], axis=-1))


@right("downsample")
def down_nine_slices(x, branch):
    padded = np.pad(x, ((1, 2), (1, 2), (0, 0)))
    rows, columns, _ = branch.shape
    total = sum(
        padded[r : r + 2 * rows : 2, c : c + 2 * columns : 2] for r in range(3) for c in range(3)
    )
    return joined(total / 9, branch)


@wrong("downsample", "this is Keras's average pooling with padding='same'")
def down_same(x, branch):
    pooled = keras.layers.AveragePooling2D(3, 2, "same", dtype="float64")(x[None])[0]
    return keras.ops.relu(keras.ops.concatenate([pooled, branch], axis=-1))
