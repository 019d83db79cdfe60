"""Drawn mechanisms: what a formula cannot show at once."""

from itertools import cycle

import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

from course_lib import figures
from course_lib.pen import GREY, INK, PALE, Pen

FORWARD, BACKWARD, _, _, WEIGHT = figures.COLOURS[:5]


def _canvas(width, height, limits):
    figure, axes = figures.canvas(width=width, height=height)
    axes.set(xlim=limits[:2], ylim=limits[2:], aspect="equal")
    axes.axis("off")
    return figure, axes


def _circle(axes, x, y, text="", radius=0.32, colour="white"):
    axes.scatter(x, y, s=(radius * 110) ** 2, c=colour, edgecolors="black", zorder=3)
    axes.text(x, y, text, ha="center", va="center", zorder=4)


def _arrow(axes, start, end, colour="black", **kwargs):
    look = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, **kwargs}
    axes.annotate("", end, start, arrowprops=look, zorder=2)


def _box(axes, x, y, text, width=1.0, height=0.62):
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, "round,pad=0.04", fc="white", zorder=3))
    axes.text(x, y, text, ha="center", va="center", zorder=4)


def neuron():
    """Draw one neuron with three inputs: weights, sum with bias, activation, output.

    Returns:
        The figure.
    """
    figure, axes = _canvas(7.4, 3.3, (-0.7, 7.4, -1.75, 1.85))
    for number, y in enumerate((1.2, 0.0, -1.2), start=1):
        _circle(axes, 0, y, f"$x_{number}$")
        _arrow(axes, (0.34, y), (2.55, y * 0.2), WEIGHT)
        axes.text(1.2, y * 0.72 + 0.17, f"$\\times\\, w_{number}$", color=WEIGHT, ha="center")
    _circle(axes, 3.0, 0, "sum", 0.42)
    _arrow(axes, (3.0, -1.25), (3.0, -0.45))
    axes.text(3.0, -1.45, "bias $b$", ha="center", va="center")
    _arrow(axes, (3.44, 0), (4.52, 0))
    axes.text(3.98, 0.18, "$s$", ha="center")
    _box(axes, 5.05, 0, "activation $f$", width=0.98)
    _arrow(axes, (5.62, 0), (6.55, 0))
    axes.text(6.65, 0, "$h = f(s)$", va="center")
    for x, text in ((0, "inputs"), (1.35, "weights"), (5.05, "shapes"), (6.95, "output")):
        axes.text(x, 1.7, text, ha="center", color="0.35")
    axes.text(3.0, 1.7, "adds up", ha="center", color="0.35")
    return figure


def backpropagation():
    """Draw the way forward from the input to the loss, and the slopes on the way back.

    Returns:
        The figure.
    """
    figure, axes = _canvas(9.2, 3.5, (-0.5, 10.3, -2.2, 1.9))
    values = {0: "$x$", 2.5: "$s$", 4.5: "$h$", 7.0: "$z$", 9.6: "$L$"}
    boxes = {1.25: "$W_1, b_1$", 3.5: "$f$", 5.75: "$W_2, b_2$", 8.3: "softmax\nand loss"}
    for x, text in values.items():
        _circle(axes, x, 0.7, text, 0.26)
    places = list(values)
    for (x, text), before, after in zip(boxes.items(), places, places[1:]):
        half = 0.28 if text == "$f$" else 0.48
        _box(axes, x, 0.7, text, 2 * half)
        _arrow(axes, (before + 0.24, 0.7), (x - half - 0.02, 0.7), FORWARD)
        _arrow(axes, (x + half + 0.02, 0.7), (after - 0.24, 0.7), FORWARD)
    axes.text(-0.3, 1.6, "forward: values", color=FORWARD, va="center")
    axes.text(8.3, 1.6, "right answer $t$", ha="center", va="center")
    _arrow(axes, (8.3, 1.45), (8.3, 1.05))

    def slope(x, y, text):
        axes.text(x, y, text, ha="center", va="center", color=BACKWARD)

    slope(0.6, -0.6, "backward: slopes")
    slope(2.5, -0.6, r"$\delta_1$")
    slope(4.5, -0.6, r"slope of $h$")
    slope(7.0, -0.6, r"$\delta_2$")
    for start, end, text in ((9.4, 7.4, "$p - t$"), (6.6, 5.3, "$W_2$"), (3.7, 2.9, "$f'(s)$")):
        _arrow(axes, (start, -0.6), (end, -0.6), BACKWARD)
        slope((start + end) / 2, -0.32, text)
    for x, text in (
        (2.5, r"slope of $W_1$:  $x$ times $\delta_1$"),
        (7.0, r"slope of $W_2$:  $h$ times $\delta_2$"),
    ):
        _arrow(axes, (x, -0.82), (x, -1.4), BACKWARD)
        slope(x, -1.62, text)
    return figure


def _grid(axes, numbers, left, middle, title, marked=None, side=0.5):
    """Draw a table of numbers around the height `middle`, one window of it marked."""
    rows, columns = numbers.shape
    top = middle + rows * side / 2
    axes.text(left + columns * side / 2, top + 0.12, title, ha="center", va="bottom")
    for i in range(rows):
        for j in range(columns):
            x, y = left + j * side, top - (i + 1) * side
            axes.add_patch(Rectangle((x, y), side, side, fc="white", ec="0.6", lw=0.8, zorder=2))
            axes.text(
                x + side / 2, y + side / 2, f"{numbers[i, j]:g}", ha="center", va="center", zorder=4
            )
    if marked:
        i, j, high, wide = marked
        corner = (left + j * side, top - (i + high) * side)
        axes.add_patch(
            Rectangle(
                corner,
                wide * side,
                high * side,
                fc="#FBE3D2",
                ec=BACKWARD,
                lw=2.5,
                alpha=0.75,
                zorder=3,
            )
        )


def convolution_step(picture, kernel, result, row, column):
    """Draw one step of a convolution at stride 1 without padding: window, kernel, one number.

    Args:
        picture: (height, width), a few numbers a side.
        kernel: (kernel height, kernel width).
        result: (height', width').
        row, column: the position in the result that is marked, with its window.

    Returns:
        The figure.
    """
    figure, axes = _canvas(7.4, 2.9, (-0.1, 7.3, -1.4, 1.75))
    _grid(axes, picture, 0, 0, "picture", (row, column, *kernel.shape))
    _grid(axes, kernel, 3.25, 0, "kernel", (0, 0, *kernel.shape))
    _grid(axes, result, 5.6, 0, "feature map", (row, column, 1, 1))
    axes.text(2.88, 0, r"$\times$", ha="center", va="center", fontsize=16)
    _arrow(axes, (4.85, 0), (5.5, 0))
    axes.text(5.15, 0.2, "add up", ha="center", color="0.35")
    return figure


def squares_on_picture(picture, sides, title):
    """Draw squares around the centre of a picture, such as receptive fields.

    Args:
        picture: (height, width).
        sides: {name: side of the square in pixels}, the legend in that order.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(width=5.6, height=3.6)
    axes.imshow(picture)
    height, width = picture.shape
    for (name, side), colour in zip(sides.items(), cycle(figures.COLOURS[5::-1])):
        corner = ((width - side) / 2 - 0.5, (height - side) / 2 - 0.5)
        axes.add_patch(
            Rectangle(corner, side, side, fill=False, ec=colour, lw=2, label=f"{name}: {side}")
        )
    axes.set(title=title, xlabel="column", ylabel="row")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title="side in pixels")
    return figure


# ---- convolutions, in pixels, data from left to right

TINTS = ("#EFC9C4", "#CFE5CC", "#C6D6EE", "#EADFC0", "#DCD0E8", "#C9E4E7")  # of channels
FRONT, TOP, SIDE = "#DCE6EF", "#EFF4F8", "#BECDDA"
MARK, SECOND = figures.COLOURS[1], figures.COLOURS[0]
LINE = "#4A5A68"


def _cells(pen, x, y, rows, columns, side, fill="white", edge="#9AA7B2", z=3):
    """Draw a grid with its upper left corner at (x, y); `fill` a colour, or of (row, column)."""
    for i in range(rows):
        for j in range(columns):
            left, top = x + j * side, y - i * side
            corners = [(left, top), (left + side, top), (left + side, top - side)]
            colour = fill(i, j) if callable(fill) else fill
            pen.shape([*corners, (left, top - side)], colour, z, ec=edge, lw=0.7)


def _frame(pen, x, y, wide, high, colour, dashed=False, width=2):
    """Draw an empty rectangle with its upper left corner at (x, y)."""
    corners = [(x, y), (x + wide, y), (x + wide, y - high), (x, y - high), (x, y)]
    pen.curve(corners, colour, width, z=5, dashed=dashed)


def _point(pen, start, end, colour=INK):
    """Draw an arrow to the right."""
    pen.curve([start, (end[0] - 5, end[1])], colour, 1.7)
    pen.head(*end, 6, colour)


def _cuboid(pen, x, low, thick, high, deep, front=FRONT):
    """Draw a cuboid: front, top, right face."""
    up, end = low + high, x + thick
    pen.shape([(x, low), (end, low), (end, up), (x, up)], front)
    pen.shape([(x, up), (end, up), (end + deep, up + deep), (x + deep, up + deep)], TOP)
    pen.shape([(end, low), (end + deep, low + deep), (end + deep, up + deep), (end, up)], SIDE)


def volume(side=6, channels=3, kernel=3, maps=2):
    """Draw a convolution of a picture with several channels: a kernel is as deep as the picture.

    Args:
        side: pixels a side of the picture.
        channels: of the picture, at most 6.
        kernel: side of the kernels.
        maps: kernels, and so feature maps.

    Returns:
        The figure.
    """
    pen, cell, out = Pen(), 18, side - kernel + 1
    across, up, at = kernel * cell, 22, side - kernel  # how the channels are shifted; the window

    def stack(x, y, size, window):
        """Draw the channels of a volume behind each other, and a window in each."""
        for c in reversed(range(channels)):
            left, top = x + c * (across if window else 22), y + c * up
            _cells(pen, left, top, size, size, cell, TINTS[c])
            if window:
                place = (left + at * cell, top - cell)
                _cells(pen, *place, kernel, kernel, cell, TINTS[c], MARK)
        return left + size * cell + (channels - 1) * (across if window else 22)

    end = stack(0, 0, side, True)
    high, middle = kernel * cell, (channels - 1) * up / 2 - side * cell / 2
    pen.text(side * cell / 2, -side * cell - 6, f"picture: {side}x{side}x{channels}", 9)
    words = "one window, the same in every\nchannel, slides over the picture"
    pen.text(0, (channels - 1) * up + 8, words, 9, MARK, ha="left", va="bottom")
    left = max(end, 200) + 56
    pen.text(left - 28, middle, "×", 18, va="center")
    gap = high + channels * up + 26
    for m in range(maps):
        y, colour = middle + gap * ((maps - 1) / 2 - m) + high / 2 - 12, (MARK, SECOND)[m % 2]
        target = stack(left, y, kernel, False) + 128
        pen.text(
            left + high / 2, y - high - 5, f"kernel {m + 1}: {kernel}x{kernel}x{channels}", 8.5
        )
        _point(pen, (target - 116, y - high / 2), (target - 10, y - high / 2), colour)
        many = kernel * kernel * channels
        pen.text(target - 62, y - high / 2 + 6, f"{many} products", 8.5, va="bottom")
        pen.text(target - 62, y - high / 2 - 6, "added up", 8.5)

        def marked(i, j, colour=colour):
            return colour if (i, j) == (1, at) else "white"

        top = y - high / 2 + out * cell / 2
        _cells(pen, target, top, out, out, cell, marked)
        pen.text(target + out * cell / 2, top - out * cell - 5, f"map {m + 1}: {out}x{out}", 8.5)
    return pen.figure()


def stride_and_padding(side=5, kernel=3, cases=((1, 0), (1, 1), (2, 0), (2, 1))):
    """Draw where the first windows of a convolution lie, and how large its output is.

    Args:
        side: pixels a side of the picture.
        kernel: side of the kernel.
        cases: (stride, padding) of each drawing.

    Returns:
        The figure.
    """
    pen, cell, x = Pen(), 20, 0
    most = max(padding for _, padding in cases)
    for stride, padding in cases:
        whole = side + 2 * padding
        out = (whole - kernel) // stride + 1
        top = (most - padding) * -cell

        def fill(i, j, p=padding):
            inside = p <= i < p + side and p <= j < p + side
            return FRONT if inside else "white"

        _cells(pen, x, top, whole, whole, cell, fill)
        for i in range(whole):
            for j in range(whole):
                if fill(i, j) == "white":
                    place = (x + (j + 0.5) * cell, top - (i + 0.5) * cell)
                    pen.text(*place, "0", 7.5, GREY, va="center")
        _frame(pen, x + 2, top - 2, kernel * cell - 4, kernel * cell - 4, MARK)
        second = x + stride * cell
        _frame(pen, second + 2, top - 2, kernel * cell - 4, kernel * cell - 4, SECOND, dashed=True)
        words = "no padding" if not padding else f"padding {padding}"
        pen.text(x + whole * cell / 2, 24, f"stride {stride}, {words}", 9)
        low = -(side + 2 * most) * cell - 26
        pen.curve([(x + whole * cell / 2, low + 18), (x + whole * cell / 2, low + 8)], INK, 1.6)
        pen.head(x + whole * cell / 2, low + 2, 7, INK, down=True)
        left = x + (whole - out) * cell / 2

        def mark(i, j):
            return {(0, 0): MARK, (0, 1): SECOND}.get((i, j), "white")

        _cells(pen, left, low, out, out, cell, mark)
        pen.text(x + whole * cell / 2, low - out * cell - 5, f"{side}x{side} → {out}x{out}", 9)
        x += whole * cell + 44
    return pen.figure()


def receptive_field(layers, side=28, unit=None):
    """Draw what one number of the last layer sees: one row of pixels, layer after layer.

    Args:
        layers: (name, kernel, stride) of each layer. Stride 1 is padded, so that the size stays.
        side: pixels of the row.
        unit: which number of the last layer; the middle one if None.

    Returns:
        The figure.
    """
    centres = [np.arange(side, dtype=float)]
    windows = []
    for _, kernel, stride in layers:
        below, pad = centres[-1], (kernel - 1) // 2 if stride == 1 else 0
        step = below[1] - below[0] if len(below) > 1 else 1.0
        first = np.arange((len(below) + 2 * pad - kernel) // stride + 1) * stride - pad
        windows.append((first, kernel))
        centres.append(below[0] + step * (first + (kernel - 1) / 2))
    unit = len(centres[-1]) // 2 if unit is None else unit
    seen = [(unit, unit)]
    for first, kernel in reversed(windows):
        low, high = seen[0]
        seen.insert(0, (first[low], first[high] + kernel - 1))
    pen, cell, pitch = Pen(), 300 / side, min(118, 800 / max(len(layers), 1))
    steps = [c[1] - c[0] if len(c) > 1 else 1.0 for c in centres]
    place = [lambda i, c=c, s=s: -cell * (c[0] + i * s) for c, s in zip(centres, steps)]
    for k, (column, (low, high)) in enumerate(zip(centres, seen)):
        x = k * pitch
        if k:
            before, (a, b) = place[k - 1], seen[k - 1]
            corners = [
                (x - pitch + cell / 2, before(a) + cell / 2),
                (x - cell / 2, place[k](low) + cell / 2),
            ]
            corners += [
                (x - cell / 2, place[k](high) - cell / 2),
                (x - pitch + cell / 2, before(b) - cell / 2),
            ]
            pen.shape(corners, "#FBE3D2", z=1, lw=0)
        for i in range(len(column)):
            y, half = place[k](i), 0.45 * cell
            corners = [
                (x - half, y - half),
                (x + half, y - half),
                (x + half, y + half),
                (x - half, y + half),
            ]
            pen.shape(corners, MARK if low <= i <= high else "white", ec=LINE, lw=0.6)
        field = 1
        for (_, kernel, _), step in zip(layers[:k], steps):
            field += (kernel - 1) * round(step)
        name, what = ("image", f"{side} pixels") if not k else (layers[k - 1][0], f"sees {field}")
        pen.text(x, 0.45 * cell + 8, name, 9, va="bottom")
        pen.text(x, -cell * side - 4, what, 9, MARK if k else INK, weight="bold" if k else "normal")
        if k:
            kernel, stride = layers[k - 1][1:]
            pen.text(
                x,
                -cell * side - 20,
                f"{kernel}x{kernel}" + f", stride {stride}" * (stride > 1),
                8,
                GREY,
            )
    return pen.figure()


def pointwise(side=28, channels=192, reduced=16, kernel=5, maps=32):
    """Draw a 1x1 convolution that reduces channels, and what it saves a larger one after it.

    Args:
        side: pixels a side.
        channels, reduced: before and after the 1x1 convolution.
        kernel, maps: of the convolution that follows.

    Returns:
        The figure.
    """
    pen = Pen()
    scale = 110 / channels**0.5
    thick = [scale * count**0.5 for count in (channels, reduced, maps)]
    high, deep = 104, 40
    direct = side * side * channels * maps * kernel * kernel
    small = side * side * (channels * reduced + reduced * maps * kernel * kernel)
    for y, way in ((0, (0, 1, 2)), (-230, (0, 2))):
        x = 0
        for k, which in enumerate(way):
            count = (channels, reduced, maps)[which]
            if k:
                one = which == 1
                size = 1 if one else kernel
                start = (x + deep / 2 + 2, y + high / 2 + deep / 2)
                x += deep + 108
                _point(
                    pen, start, (x - 4, y + high / 2 + deep / 2), figures.COLOURS[5 if one else 0]
                )
                middle = (start[0] + x) / 2
                pen.text(middle, start[1] + 5, f"{size}x{size}, {count}", 9, va="bottom")
            _cuboid(pen, x, y, thick[which], high, deep)
            if len(way) == 3 and which < 2:  # the column of one pixel
                at = y + 0.55 * high
                _cuboid(pen, x + 0.45 * deep, at + 0.25 * deep, thick[which], 9, 4, MARK)
            pen.text(x + thick[which] / 2, y - 5, f"{count}\nchannels", 8.5)
            x += thick[which]
        cost = small if len(way) == 3 else direct
        words = f"{cost / 1e6:.1f} million\nmultiply-adds"
        pen.text(
            x + deep + 24, y + high / 2 + deep / 2, words, 10, ha="left", va="center", weight="bold"
        )
    words = "with a 1x1 convolution: the channels of each pixel are mixed into fewer"
    pen.text(0, high + deep + 26, words, 9.5, ha="left")
    words = f"directly: {direct / small:.1f} times the work"
    pen.text(0, -230 + high + deep + 26, words, 9.5, ha="left")
    return pen.figure()


def three_convolutions(channels=4, maps=6, kernel=3):
    """Draw the kernels of a full, a depthwise and a pointwise convolution as cuboids.

    Args:
        channels: of the input.
        maps: of the output.
        kernel: side of the full and the depthwise kernels.

    Returns:
        The figure.
    """
    pen, cell, x = Pen(), 16, 0
    rows = (
        ("full", maps, kernel, channels, figures.COLOURS[0]),
        ("depthwise", channels, kernel, 1, figures.COLOURS[2]),
        ("pointwise", maps, 1, channels, figures.COLOURS[5]),
    )
    low = 0
    for name, count, side, depth, colour in rows:
        high, deep = side * cell, 0.45 * side * cell
        pitch, beside = high + deep + 10, depth * cell + deep + 22
        for i in range(count):
            y = -(i // 2 + 1) * pitch
            for d in range(depth):
                front = TINTS[(i if depth == 1 else d) % len(TINTS)]
                _cuboid(pen, x + (i % 2) * beside + d * cell, y, cell, high, deep, front)
        pen.text(x, 40, name, 10.5, colour, ha="left", weight="bold")
        shape = f"{count} kernels of {side}x{side}x{depth}"
        pen.text(x, 22, f"{shape}: {count * side * side * depth} weights", 9, ha="left")
        low = min(low, -((count + 1) // 2) * pitch)
        x += 265
    full = maps * channels * kernel * kernel
    both = channels * kernel * kernel + maps * channels
    words = f"depthwise and pointwise together: {both} weights in place of {full}"
    pen.text(265, low + 16, words, 9.5, ha="left", weight="bold")
    return pen.figure()


def grouped_convolutions(channels=12, groups=3):
    """Draw two grouped convolutions behind each other, without and with a channel shuffle between.

    The ring around an output shows in its colours from which groups of the input it gets
    anything; that is followed along the lines, not typed.

    Args:
        channels: a multiple of groups times groups, so that every group reaches every group.
        groups: at most 6.

    Returns:
        The figure.
    """
    pen, pitch, size = Pen(), 20, channels // groups
    colours = figures.COLOURS[:6]
    x0 = 0
    for shuffled in (False, True):
        order = np.arange(channels)
        if shuffled:  # channel i * n + j moves to place j * g + i
            order = order.reshape(groups, size).T.ravel()
        columns = [0, 120, 200, 320] if shuffled else [0, 120, 240]
        sees = [{c // size} for c in range(channels)]
        history = [sees]
        for k in range(len(columns) - 1):
            moving = shuffled and k == 1
            after = []
            for j in range(channels):
                if moving:
                    sources = [order[j]]
                else:
                    sources = range(j // size * size, j // size * size + size)
                for i in sources:
                    group = next(iter(history[0][i])) if k == 0 else min(sees[i])
                    colour = colours[group] if moving or k == 0 else PALE
                    start = (x0 + columns[k], -i * pitch)
                    end = (x0 + columns[k + 1], -j * pitch)
                    pen.curve([start, end], colour, 1.4 if moving else 0.9, z=1)
                after.append(set().union(*(sees[i] for i in sources)))
            sees = after
            history.append(sees)
        for k, column in enumerate(columns):
            for c in range(channels):
                seen = sorted(history[k][c])
                for n, group in enumerate(seen):
                    height = 13 / len(seen)
                    top = -c * pitch + 6.5 - n * height
                    corners = [(x0 + column - 6.5, top), (x0 + column + 6.5, top)]
                    corners += [
                        (x0 + column + 6.5, top - height),
                        (x0 + column - 6.5, top - height),
                    ]
                    pen.shape(corners, colours[group], ec="white", lw=0.5)
        names = ["grouped\nconvolution", "grouped\nconvolution"]
        if shuffled:
            names.insert(1, "shuffle")
        for k, name in enumerate(names):
            pen.text(x0 + (columns[k] + columns[k + 1]) / 2, 48, name, 8.5)
        all_seen = min(len(seen) for seen in sees)
        words = "with a shuffle" if shuffled else "without a shuffle"
        pen.text(x0 + columns[-1] / 2, 74, words, 10.5, weight="bold")
        result = "all groups" if all_seen == groups else f"{all_seen} of {groups} groups"
        text = f"an output sees {result}"
        pen.text(x0 + columns[-1] / 2, -channels * pitch - 2, text, 9)
        x0 += columns[-1] + 130
    return pen.figure()


def _labelled(pen, x, y, words, wide, high=40, fill="white"):
    """Draw a box with words around the point (x, y)."""
    left, top = x - wide / 2, y + high / 2
    pen.shape(
        [(left, top), (left + wide, top), (left + wide, top - high), (left, top - high)], fill
    )
    pen.text(x, y + 1, words, 9.5, va="center")


def data_parallel(devices=2, pictures=8):
    """Draw one step of data parallelism: split, a gradient on each device, mean, one step for all.

    Args:
        devices: at most 4.
        pictures: of the batch, a multiple of devices.

    Returns:
        The figure.
    """
    pen, side, size = Pen(), 20, pictures // devices
    pitch = size * side + 44
    middles = [-number * pitch for number in range(devices)]
    centre = sum(middles) / devices
    tops = [centre + pictures * side / 2 - number * size * side for number in range(devices)]
    for number, (middle, top) in enumerate(zip(middles, tops)):
        tint, x = TINTS[:4][number], 150
        _cells(pen, 0, top, size, 1, side, tint)
        _cells(pen, x, middle + size * side / 2, size, 1, side, tint)
        _point(pen, (side + 6, top - size * side / 2), (x - 6, middle))
        pen.panel(x - 28, middle - pitch / 2 + 4, x + 360, middle + pitch / 2 - 4, "#F1F3F5")
        pen.text(x + 350, middle + pitch / 2 - 9, f"device {number + 1}", 9, GREY, ha="right")
        _point(pen, (x + side + 6, middle), (x + 72, middle))
        _labelled(pen, x + 130, middle, "copy of the\nnetwork", 108, 44, FRONT)
        _point(pen, (x + 188, middle), (x + 238, middle))
        _labelled(pen, x + 292, middle, f"gradient {number + 1}", 100, 32, tint)
        _point(pen, (x + 346, middle), (590, centre))
    _labelled(pen, 626, centre, "mean", 66, 36, FRONT)
    _point(pen, (662, centre), (702, centre))
    _labelled(pen, 752, centre, "one step", 92, 36, FRONT)
    low = min(middles) - pitch / 2 - 18
    back = [(752, centre - 20), (752, low), (280, low), (280, low + 12)]
    pen.curve(back, MARK, 1.6)
    pen.shape([(280, low + 20), (275, low + 11), (285, low + 11)], MARK, z=5, lw=0)
    pen.text(516, low - 4, "the same new weights in every copy", 9.5, MARK)
    pen.text(side / 2, max(tops) + 24, f"batch of {pictures}", 9.5, weight="bold")
    return pen.figure()


# ---- loss, learning rate, guesses


def added_gradients(weight=0.3, others=2):
    """Draw the sum of one gradient and others of the same length times a weight: all in one
    direction, and in directions that have nothing to do with each other.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(width=4.4, height=2.6)
    side = weight * others**0.5  # the others together, at right angles to each other
    along, across = 1 + weight * others, (1 + side**2) ** 0.5
    for y, parts in ((1, [(1, 0), *[(weight, 0)] * others]), (0, [(1, 0), (0, side)])):
        at = np.array([0.0, y])
        for part in parts:
            _arrow(axes, at, at + part, shrinkA=0, shrinkB=0)
            at = at + part
        axes.plot([0, at[0]], [y, at[1]], ":", color="grey")
    axes.text(0, 1.12, f"all one way: {along:.1f} times as long", fontsize=9)
    axes.text(0, -0.2, f"unrelated ways: {across:.2f} times", fontsize=9)
    axes.set(xlim=(-0.05, along + 0.15), ylim=(-0.35, 1.4))
    axes.set_title(f"{others + 1} gradients, added up")
    axes.axis("off")
    return figure


def minus_log(marks=(0.9, 0.5, 0.1, 0.01)):
    """Draw the loss of one example, -log p, over the probability of its right class.

    Args:
        marks: probabilities whose loss is written beside the curve.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(width=5.6, height=3.4)
    p = np.linspace(0.005, 1, 400)
    axes.plot(p, -np.log(p), color=FORWARD, linewidth=2)
    for mark in marks:
        axes.plot(mark, -np.log(mark), "o", color=BACKWARD)
        words = f"p = {mark:g}: loss {-np.log(mark):.2f}"
        axes.annotate(words, (mark, -np.log(mark)), (8, 5), textcoords="offset points", fontsize=9)
    axes.set(xlim=(0, 1.25), ylim=(0, 5.6), xticks=np.arange(0, 1.01, 0.25))
    title = "Sure and wrong is dear: the loss of one example"
    axes.set(xlabel="p, the probability given to the right class", ylabel="-log p", title=title)
    return figure


def descend(rate, start, steps, curvature=1.0):
    """Return the places that gradient descent visits on the parabola curvature / 2 * w^2."""
    places = [float(start)]
    for _ in range(steps):
        places.append(places[-1] - rate * curvature * places[-1])
    return np.array(places)


def learning_rates(rates=(0.08, 0.35, 2.1), start=-2.0, steps=8):
    """Draw gradient descent on a parabola at three learning rates.

    Args:
        rates: three rates: too small, well chosen, too large.
        start: the first weight.
        steps: of gradient descent.

    Returns:
        The figure.
    """
    figure, panels = figures.canvas(1, len(rates), width=8.6, height=3.0, sharey=True)
    runs = [descend(rate, start, steps) for rate in rates]
    reach = 1.15 * max(np.abs(run).max() for run in runs)
    valley = np.linspace(-reach, reach, 200)
    for axes, rate, run in zip(panels, rates, runs):
        axes.plot(valley, valley**2 / 2, color="0.7", zorder=0)
        axes.plot(run, run**2 / 2, "-o", color=BACKWARD, markersize=4.5, linewidth=1)
        axes.plot(run[0], run[0] ** 2 / 2, "s", color="black", markersize=7)
        ratio = (run[-1] / run[0]) ** 2
        axes.set_title(f"rate {rate:g}", fontsize=10)
        axes.set_xlabel(f"weight\nthe loss becomes {ratio:.3g} times the first", fontsize=9)
    panels[0].set_ylabel("loss")
    figure.suptitle(
        f"{steps} steps down the same valley, from the square", x=0.02, ha="left", fontsize=11
    )
    return figure


def guesses(pictures, answers, right):
    """Draw pictures with the guesses of a classifier below: a bar each, the right one marked.

    Args:
        pictures: a list of (height, width) or (height, width, 3) arrays.
        answers: for each picture {class name: probability}, the best first, usually five.
        right: for each picture the name of its class.

    Returns:
        The figure.
    """
    most = max(len(answer) for answer in answers)
    count = len(pictures)
    look = {"squeeze": False, "height_ratios": [2.0, 0.28 * most]}
    figure, grid = figures.canvas(2, count, 2.9 * count, 2.3 + 0.26 * most, **look)
    for axes, picture, name in zip(grid[0], pictures, right):
        axes.imshow(picture)
        axes.axis("off")
        axes.set_title(name, loc="center", fontsize=10)
    for axes, answer, name in zip(grid[1], answers, right):
        for place, (guess, share) in enumerate(answer.items()):
            hit = guess == name
            axes.barh(place, share, color="#9CC7E3" if hit else "0.86", height=0.8)
            words = f"{guess} {share:.2f}" + " ✓" * hit
            axes.text(
                0.015, place, words, va="center", fontsize=8.5, weight="bold" if hit else None
            )
        axes.set(xlim=(0, 1), ylim=(most - 0.5, -0.5), xticks=[0, 0.5, 1], yticks=[])
        axes.set_xlabel("probability", fontsize=9)
        axes.spines["left"].set_visible(False)
    return figure
