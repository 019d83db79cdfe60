"""The exercises of assignment 11: groups, the shuffle that joins them, and what the unit costs.

Facts: Zhang, Zhou, Lin and Sun 2018, sections 3.1 and 3.2; the zeros that the average pooling
counts are those of the authors' code.
"""

import numpy as np

from course_lib.checks import assignment, expect, numbers, parts, recognise, shaped

exercise = assignment("11_shufflenet")


@exercise(
    section="Grouped convolution",
    correct="each group combines its own channels at each pixel, and the results stand in a row.",
    hints=(
        "Group k reads the channels from k * c // g to (k + 1) * c // g and multiplies them by "
        "kernels[k].",
        "A matrix product `part @ kernels[k]` works on all pixels at once. Put the results side "
        "by side with np.concatenate(..., axis=-1).",
    ),
)
def grouped_pointwise(answer):
    rng = np.random.default_rng(11)
    x, kernels = rng.normal(size=(2, 4, 6)), rng.normal(size=(3, 2, 5))
    blocks = x.reshape(2, 4, 3, 2)

    def of(inputs, weights=kernels):
        return np.einsum("hwgi,gio->hwgo", inputs, weights)

    right = of(blocks)
    dealt = x.reshape(2, 4, 2, 3).swapaxes(2, 3)
    expect(
        answer(x, kernels),
        right.reshape(2, 4, 15),
        {
            "every group reads the channels of the first group. Group k reads its own.": (
                of(np.repeat(blocks[:, :, :1], 3, axis=2)).reshape(2, 4, 15)
            ),
            "every group uses the first kernel. Group k has kernels[k].": (
                of(blocks, np.repeat(kernels[:1], 3, axis=0)).reshape(2, 4, 15)
            ),
            "the results of the groups are added. They stand side by side in the channels.": (
                right.sum(axis=2)
            ),
            "the groups lie on an axis of their own. Concatenate them along the channels.": right,
            "a group takes every g-th channel. A group is a block of neighbouring channels.": (
                of(dealt).reshape(2, 4, 15)
            ),
            "the output channels are dealt out already. The shuffle comes later: here each "
            "group's channels stay together.": right.swapaxes(2, 3).reshape(2, 4, 15),
            "the groups come out in reverse order.": right[:, :, ::-1].reshape(2, 4, 15),
        },
    )
    again = answer(x, kernels[:1].repeat(3, axis=1))
    whole = x @ kernels[0].repeat(3, axis=0)
    expect(again, whole, {}, "With one group the result")


@exercise(
    section="Channel shuffle",
    correct="reshape, transpose, reshape: channel i * n + j goes to place j * g + i.",
    hints=(
        "Reshape the channels to a table of g rows and n columns; the pixels keep their axes.",
        "x.reshape(height, width, groups, n), swap the last two axes, reshape back.",
    ),
)
def shuffle(answer):
    x = np.random.default_rng(12).normal(size=(2, 3, 12))

    def table(rows):
        return x.reshape(2, 3, rows, 12 // rows)

    def read(values):
        return np.swapaxes(values, -1, -2).reshape(2, 3, 12)

    expect(
        answer(x, 3),
        np.stack([x[..., [i * 4 + j]] for j in range(4) for i in range(3)], axis=-1)[..., 0, :],
        {
            "this is the inverse shuffle: the table has g rows and n columns, not n rows and g "
            "columns.": read(table(4)),
            "nothing has moved. Between the two reshapes the table is transposed.": x,
            "the pixels are mixed too. Keep height and width as axes of their own.": (
                x.reshape(3, -1).T.reshape(x.shape)
            ),
            "the groups have changed places as blocks. They are dealt out one channel at a time.": (
                table(3)[:, :, ::-1].reshape(x.shape)
            ),
            "the channels are in reverse order.": x[..., ::-1],
            "the channels have moved on by one group, and still stand together.": (
                np.roll(x, 4, axis=-1)
            ),
        },
    )
    expect(answer(x, 4), read(table(4)), {}, "With 4 groups the result")


@exercise(
    section="What the unit costs",
    correct="for 240 channels, a bottleneck of 60 and three groups: 48.0, 31.0 and 7.9 million.",
    hints=(
        "Each unit is a 1 x 1 convolution from c to m, a 3 x 3 one from m to m, and a 1 x 1 one "
        "from m to c, at side * side pixels. Which of them has groups?",
        "ResNet: 2 c m + 9 m m a pixel. ResNeXt divides the second term by g. ShuffleNet divides "
        "the first by g, and its 3 x 3 convolution is depthwise: 9 m.",
    ),
)
def unit_costs(answer):
    cases = [(240, 60, 3, 28), (96, 24, 8, 7)]
    names = ("ResNet", "ResNeXt", "ShuffleNet")
    got = []
    for case in cases:
        values = parts(answer(*case), names)
        got.append([float(shaped(v, (), n)) for v, n in zip(values, names, strict=True)])
    c, m, g, side = np.array(cases).T
    pixels, ends = side * side, 2 * c * m
    resnet, resnext, ours = ends + 9 * m * m, ends + 9 * m * m // g, ends // g + 9 * m

    def all_three(*terms):
        return np.stack(terms, axis=1)

    right = all_three(pixels * resnet, pixels * resnext, pixels * ours)
    recognise(
        np.array(got),
        {
            "the order is turned around: ResNet, ResNeXt, ShuffleNet.": right[:, ::-1],
            "these are the multiply-adds of one pixel.": all_three(resnet, resnext, ours),
            "there are side * side pixels, not side.": all_three(
                side * resnet, side * resnext, side * ours
            ),
            "each unit has two 1 x 1 convolutions, one at each end.": all_three(
                *(pixels * (resnet - c * m), pixels * (resnext - c * m)),
                pixels * (ours - c * m // g),
            ),
            "the window has 3 x 3 = 9 pixels, not 3.": all_three(
                *(pixels * (ends + 3 * m * m), pixels * (ends + 3 * m * m // g)),
                pixels * (ends // g + 3 * m),
            ),
            "the 1 x 1 convolutions of ShuffleNet have groups too: divide them by g.": all_three(
                *(pixels * resnet, pixels * resnext), pixels * (ends + 9 * m)
            ),
            "the 1 x 1 convolutions of ResNeXt have no groups; only its 3 x 3 one has.": all_three(
                *(pixels * resnet, pixels * (ends // g + 9 * m * m // g)), pixels * ours
            ),
            "the depthwise convolution of ShuffleNet is counted as a grouped one with g groups. "
            "It has one window a channel: 9 m.": all_three(
                *(pixels * resnet, pixels * resnext), pixels * (ends // g + 9 * m * m // g)
            ),
            "the depthwise convolution is counted like a full one, 9 m m. It has one window a "
            "channel: 9 m.": all_three(
                *(pixels * resnet, pixels * resnext), pixels * (ends // g + 9 * m * m)
            ),
            "the depthwise convolution has 9 products for each number of its output: its windows "
            "are 3 x 3.": all_three(*(pixels * resnet, pixels * resnext), pixels * (ends // g + m)),
            "the 3 x 3 convolution is forgotten in all three.": all_three(
                pixels * ends, pixels * ends, pixels * ends // g
            ),
            "ResNeXt divides its 3 x 3 convolution by g once: each output channel sees m / g "
            "channels.": all_three(
                *(pixels * resnet, pixels * (ends + 9 * m * m // g**2)), pixels * ours
            ),
            "ResNeXt is counted without groups.": all_three(
                *(pixels * resnet, pixels * resnet), pixels * ours
            ),
            "the depthwise convolution is divided by g. It has no groups to gain: 9 m.": all_three(
                *(pixels * resnet, pixels * resnext), pixels * (ends // g + 9 * m // g)
            ),
            "a multiply-add is counted once here, not as two operations.": 2 * right,
        },
        1e-12,
    )
    for case, values, wanted in zip(cases, got, right, strict=True):
        expect(values, wanted, {}, f"unit_costs{case}")


def dealt_to(groups, per_group):
    """Return (groups, groups): does new group k hold a channel of old group i? By the places."""
    seen = np.zeros((groups, groups), int)
    for i in range(groups):
        for j in range(per_group):
            seen[(j * groups + i) // per_group, i] = 1
    return seen


@exercise(
    section="Who sees whom?",
    correct="with at least as many channels in a group as there are groups, one shuffle joins all.",
    hints=(
        "Follow a channel: channel i * n + j of the first layer belongs to group i, and goes to "
        "place j * g + i. To which group of the second layer does that place belong?",
        "Start with np.zeros((groups, groups), bool). For every i and j set "
        "[(j * groups + i) // per_group, i] to True.",
    ),
)
def groups_seen(answer):
    cases = [(8, 3), (3, 4), (4, 2)]
    got = [numbers(answer(*case)) for case in cases]
    right = [dealt_to(*case) for case in cases]
    first = right[0]
    recognise(
        got[0],
        {
            "this is what happens without a shuffle: every group sees itself only.": np.eye(8),
            "not every group sees all: with 8 groups of 3 channels, a group holds 3 channels and "
            "so sees 3 groups.": np.ones((8, 8)),
            "rows and columns are swapped: a row is a group of the second layer. (The inverse "
            "shuffle, a table of n rows and g columns, gives the same.)": first.T,
            "the rows are in reverse order.": first[::-1],
        },
    )
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (np.arange(12) // 4, np.tile(np.arange(3), 4)), 1)
    recognise(
        got[1],
        {"these are numbers of channels. Return True where there is at least one.": counts},
    )
    for case, seen, wanted in zip(cases, got, right, strict=True):
        expect(seen, wanted, {}, f"groups_seen{case}")


def pooled(x, count_zeros=True, reduce="mean", before=1):
    """3 x 3 windows at stride 2 with zeros around, each window cut out and averaged by itself."""
    rows, columns = -(-x.shape[0] // 2), -(-x.shape[1] // 2)
    out = np.zeros((rows, columns, x.shape[2]))
    for r in range(rows):
        for c in range(columns):
            top, left = 2 * r - before, 2 * c - before
            part = x[max(top, 0) : top + 3, max(left, 0) : left + 3]
            if reduce == "max":
                out[r, c] = part.max(axis=(0, 1))
            else:
                size = 9 if count_zeros else part.shape[0] * part.shape[1]
                out[r, c] = part.sum(axis=(0, 1)) / size
    return out


@exercise(
    section="The unit",
    correct="the pooled channels cost no weights, and the branch has to compute the others only.",
    hints=(
        "Put one pixel of zeros around x with np.pad, then take windows of 3 x 3 pixels in steps "
        "of 2. The mean divides by 9, also at the border.",
        "Then np.concatenate([pooled, branch], axis=-1), and the ReLU: np.maximum(..., 0).",
    ),
)
def downsample(answer):
    rng = np.random.default_rng(13)
    x, branch = np.abs(rng.normal(size=(6, 8, 2))), rng.normal(size=(3, 4, 4))

    def join(*both):
        return np.concatenate(both, axis=-1)

    mean = pooled(x)
    expect(
        answer(x, branch),
        np.maximum(join(mean, branch), 0),
        {
            "the ReLU is missing.": join(mean, branch),
            "the branch stands before the pooled input. The input comes first.": (
                np.maximum(join(branch, mean), 0)
            ),
            "the zeros around the picture do not count in your means. Divide by 9 everywhere.": (
                np.maximum(join(pooled(x, count_zeros=False), branch), 0)
            ),
            "this is the largest value of each window. The paper takes the mean.": (
                np.maximum(join(pooled(x, reduce="max"), branch), 0)
            ),
            "the windows begin at pixel 0. Pad one pixel on every side, so that the first begins "
            "outside.": np.maximum(join(pooled(x, before=0), branch), 0),
            "this is Keras's average pooling with padding='same': at even sides it pads only at "
            "the bottom and the right, and its zeros do not count. Pad with np.pad.": np.maximum(
                join(pooled(x, count_zeros=False, before=0), branch), 0
            ),
            "every second pixel is picked. Take the mean of 3 x 3 pixels around it.": (
                np.maximum(join(x[::2, ::2], branch), 0)
            ),
            "these are sums of the windows. Divide by 9.": np.maximum(join(9 * mean, branch), 0),
            "these are means of 2 x 2 pixels. The windows are 3 x 3 and overlap.": np.maximum(
                join(x.reshape(3, 2, 4, 2, 2).mean(axis=(1, 3)), branch), 0
            ),
            "the branch is missing.": mean,
            "this is the branch alone. The pooled input comes before it.": np.maximum(branch, 0),
        },
    )
    x, branch = x[:5, :7], branch[..., :3]
    expect(
        answer(x, branch),
        np.maximum(join(pooled(x), branch), 0),
        {},
        "With an input of 5 x 7 pixels the result",
    )
