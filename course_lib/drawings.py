"""Schematic pictures for the chapters: what a formula cannot show at once."""

from matplotlib.patches import FancyBboxPatch, Rectangle

from course_lib import figures

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


def network(sizes, titles, most=6):
    """Draw a fully connected network, one column a layer.

    Args:
        sizes: neurons of each layer; of a layer with more than `most`, that many are drawn
            with dots between them.
        titles: one text a layer, written above its column.

    Returns:
        The figure.
    """
    width = 2.6 * (len(sizes) - 1)
    figure, axes = _canvas(7.4, 4.0, (-1.3, width + 1.3, -2.5, 3.0))
    columns = []
    for i, size in enumerate(sizes):
        shown = min(size, most)
        heights = [(shown - 1) / 2 * 0.75 - 0.75 * k for k in range(shown)]
        if size > most:  # a gap for the dots
            heights = [y + (0.2 if k < shown - 1 else -0.25) for k, y in enumerate(heights)]
            middle = (heights[-1] + heights[-2]) / 2
            axes.text(2.6 * i, middle, "⋮", ha="center", va="center", zorder=4, fontsize=13)
        columns.append([(2.6 * i, y) for y in heights])
    for left, right in zip(columns, columns[1:]):
        for a in left:
            for b in right:
                axes.plot(*zip(a, b), color=WEIGHT, lw=0.6, zorder=1)
    for i, (column, title) in enumerate(zip(columns, titles)):
        colour = "0.88" if i == 0 else "white"
        for x, y in column:
            _circle(axes, x, y, radius=0.2, colour=colour)
        axes.text(2.6 * i, 2.3, title, ha="center", va="bottom")
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
    bright = [colour for colour in figures.COLOURS[1:] if colour != "#000000"]
    height, width = picture.shape
    for (name, side), colour in zip(sides.items(), bright):
        corner = ((width - side) / 2 - 0.5, (height - side) / 2 - 0.5)
        axes.add_patch(
            Rectangle(corner, side, side, fill=False, ec=colour, lw=2, label=f"{name}: {side}")
        )
    axes.set(title=title, xlabel="column", ylabel="row")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title="side in pixels")
    return figure


def residual_block():
    """Draw a plain block of two layers beside the same block with a shortcut.

    Returns:
        The figure.
    """
    figure, axes = _canvas(7.4, 4.2, (-1.6, 7.2, -0.6, 4.8))
    for x, title in ((0, "plain"), (4.2, "residual")):
        axes.text(x, 4.6, title, ha="center", fontsize=11)
        axes.text(x, 3.98, "$x$", ha="center", va="center")
        _box(axes, x, 3.0, "3x3, norm, ReLU", 1.9)
        _box(axes, x, 1.95, "3x3, norm", 1.9)
        _box(axes, x, 0.15, "ReLU", 1.0, 0.5)
        _arrow(axes, (x, 3.82), (x, 3.36))
        _arrow(axes, (x, 2.66), (x, 2.3))
        axes.text(x - 1.15, 2.45, "$F(x)$", ha="right", va="center")
    _arrow(axes, (0, 1.6), (0, 0.46))
    x = 4.2
    _arrow(axes, (x, 1.6), (x, 1.2))
    axes.scatter(x, 1.02, s=260, c="white", edgecolors="black", zorder=3)
    axes.text(x, 1.02, "+", ha="center", va="center", zorder=4)
    _arrow(axes, (x, 0.84), (x, 0.46))
    right = x + 1.5
    axes.plot([x + 0.2, right, right], [3.98, 3.98, 1.02], color=FORWARD, lw=1.4)
    _arrow(axes, (right, 1.02), (x + 0.2, 1.02), FORWARD)
    axes.text(right + 0.1, 2.45, "shortcut:\n$x$ itself", color=FORWARD, va="center")
    for x, text in ((0, "$y = \\mathrm{ReLU}(F(x))$"), (4.2, "$y = \\mathrm{ReLU}(F(x) + x)$")):
        axes.text(x, -0.4, text, ha="center", va="center")
    return figure


def _chain(axes, places, texts):
    """Write texts in boxes at places, (x, y) each, over whatever lines lie below."""
    look = {"ha": "center", "va": "center", "fontsize": 9, "zorder": 3}
    for (x, y), text in zip(places, texts):
        axes.text(x, y, text, bbox={"boxstyle": "round", "facecolor": "white"}, **look)
    axes.axis("off")


def inception(modules, channels):
    """Draw Inception modules side by side, each with its layers and their output channels.

    Args:
        modules: {title: a built or unbuilt `course_lib.googlenet.InceptionModule`}.
        channels: of the input.

    Returns:
        The figure.
    """
    figure, panels = figures.canvas(1, len(modules), width=4.5 * len(modules), height=3.7)
    for axes, (title, module) in zip(panels, modules.items()):
        for x, branch in enumerate(module.branches):
            heights = (1, 2) if len(branch) == 2 else (1.5,)
            axes.plot(*zip((1.5, 0), (x, 1), (x, 2), (1.5, 3)), color="grey", zorder=0)
            widths = [channels if s is module.pool else s.config["filters"] for s in branch]
            texts = [f"{s.name.replace('_', ' ')}\n{width}" for s, width in zip(branch, widths)]
            _chain(axes, [(x, y) for y in heights], texts)
        total = module.compute_output_shape((None, 28, 28, channels))[-1]
        _chain(axes, [(1.5, 0), (1.5, 3)], [f"input\n{channels}", f"concatenate\n{total}"])
        axes.set(xlim=(-0.6, 3.6), ylim=(-0.4, 3.4), title=title)
    return figure


def shuffle_units(units):
    """Draw ShuffleNet units side by side, the input below.

    Args:
        units: {title: (what the shortcut does, how the two join, channels of input, bottleneck,
            branch and output)}.

    Returns:
        The figure.
    """
    figure, panels = figures.canvas(1, len(units), width=4.25 * len(units), height=4)
    for axes, (title, (shortcut, join, (first, narrow, branch, out))) in zip(panels, units.items()):
        steps = (
            f"input: {first}",
            f"grouped 1 x 1: {narrow}",
            "channel shuffle",
            f"depthwise 3 x 3: {narrow}",
            f"grouped 1 x 1: {branch}",
            f"{join}, ReLU: {out}",
        )
        axes.plot([0, 0], [0, 5], color="grey", zorder=0)
        axes.plot([0, 1.5, 1.5, 0], [0.25, 1, 4, 4.75], color="grey", zorder=0)
        _chain(axes, [*((0, y) for y in range(6)), (1.5, 2.5)], [*steps, shortcut])
        axes.set(xlim=(-0.9, 2.2), ylim=(-0.4, 5.4), title=title)
    return figure


def fire(channels, squeeze, expand1x1, expand3x3, title):
    """Draw a Fire module with the output channels of its layers, the input below.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(width=6, height=3.6)
    for side in (0.4, 1.6):
        axes.plot([1, 1, side, 1], [0, 1, 2, 3], color="grey", zorder=0)
    _chain(
        axes,
        [(1, 0), (1, 1), (0.4, 2), (1.6, 2), (1, 3)],
        [
            f"input\n{channels}",
            f"squeeze 1 x 1\n{squeeze}",
            f"expand 1 x 1\n{expand1x1}",
            f"expand 3 x 3\n{expand3x3}",
            f"concatenate\n{expand1x1 + expand3x3}",
        ],
    )
    axes.set(xlim=(-0.2, 2.2), ylim=(-0.4, 3.4), title=title)
    return figure
