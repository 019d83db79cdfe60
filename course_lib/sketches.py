"""How things work, as pictures: layers, loss, steps downhill, convolution, a tree, guesses, years."""

import numpy as np
from matplotlib.patches import Circle, Polygon, Rectangle

from course_lib import figures

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = figures.COLOURS[:6]
GREY = "0.4"


def _page(width, height, limits):
    """Return (figure, axes) without an axis; limits are left, right, bottom, top."""
    figure, axes = figures.canvas(width=width, height=height)
    axes.set(xlim=limits[:2], ylim=limits[2:], aspect="equal")
    axes.axis("off")
    return figure, axes


def _text(axes, x, y, words, **look):
    axes.text(x, y, words, **{"ha": "center", "va": "center", "zorder": 6, **look})


def _arrow(axes, start, end, colour="black", **look):
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0, **look}
    axes.annotate("", end, start, arrowprops=arrow, zorder=5)


def _cell(axes, x, y, side=1.0, face="white", edge="0.6", **look):
    axes.add_patch(Rectangle((x, y), side, side, fc=face, ec=edge, **{"lw": 0.8, **look}))


# ---- layers, loss, training


def layers(picture, hidden, answers):
    """Draw a network with one hidden layer, from a picture to its answers, and count its weights.

    Args:
        picture: (height, width), what goes in.
        hidden: neurons of the hidden layer.
        answers: a name for each output.

    Returns:
        The figure.
    """
    figure, axes = _page(9.2, 4.4, (-2.9, 9.1, -2.75, 2.95))
    sizes = (picture.size, hidden, len(answers))
    axes.imshow(picture, extent=(-2.8, -0.9, -0.95, 0.95), zorder=2)
    _arrow(axes, (-0.75, 0), (-0.3, 0))
    titles = (f"input layer\n{sizes[0]} pixels", f"hidden layer\n{hidden} neurons")
    titles += (f"output layer\n{sizes[2]} scores",)
    places, columns = (0, 3.7, 7.4), []
    for x, size, title in zip(places, sizes, titles):
        heights = np.linspace(1.9, -1.9, min(size, 10))
        if size > 10:  # nine, and dots for the others
            heights = np.delete(heights, 8)
            _text(axes, x, np.linspace(1.9, -1.9, 10)[8], "⋮", fontsize=13)
        columns.append([(x, y) for y in heights])
        _text(axes, x, 2.55, title)
    for before, after in zip(columns, columns[1:]):
        for a in before:
            for b in after:
                axes.plot(*zip(a, b), color=YELLOW, lw=0.4, zorder=1)
    for column, face in zip(columns, ("0.85", "white", "white")):
        for place in column:
            axes.add_patch(Circle(place, 0.15, fc=face, ec="black", lw=1, zorder=3))
    for (_, y), name in zip(columns[2], answers):
        _text(axes, 7.65, y, name, ha="left", fontsize=9)
    for x, a, b in ((1.85, *sizes[:2]), (5.55, *sizes[1:])):
        words = f"{a} x {b} weights\n+ {b} biases"
        _text(axes, x, -2.45, words, fontsize=9, color="#8A5A00")
    return figure


def loss_curve(points):
    """Draw the loss, minus the logarithm of the probability of the right class.

    Args:
        points: {what happened: the probability that the right class got}.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(height=3.4)
    p = np.linspace(0.008, 1, 400)
    axes.plot(p, -np.log(p), color=BLUE)
    for (name, place), colour in zip(points.items(), (ORANGE, GREEN, PINK, "black")):
        axes.plot([place, place], [0, -np.log(place)], ":", color=colour, lw=1)
        axes.plot(place, -np.log(place), "o", color=colour)
        words = f"{name}: p = {place:.3f}, loss {-np.log(place):.3f}"
        look = {"ha": "left"} if place < 0.5 else {"ha": "center"}
        step = (8, 5) if place < 0.5 else (0, 16)
        axes.annotate(words, (place, -np.log(place)), step, textcoords="offset points", **look)
    axes.set(xlim=(0, 1.02), ylim=(0, 5), xlabel="probability of the right class, p")
    axes.set(ylabel="loss, -log p", title="The less the right class was expected, the larger the loss")
    return figure


def valley(loss, paths):
    """Draw steps downhill on a curve, one panel a path.

    Args:
        loss: function of the weight.
        paths: {title: the weights after 0, 1, 2, ... steps}.

    Returns:
        The figure.
    """
    figure, panels = figures.canvas(1, len(paths), width=9.2, height=3.0, sharey=True)
    w = np.linspace(-2.8, 2.8, 200)
    for axes, (title, path) in zip(panels, paths.items()):
        path = np.array(path)
        axes.plot(w, loss(w), color="0.7", lw=2)
        for a, b in zip(path, path[1:]):
            _arrow(axes, (a, loss(a)), (b, loss(b)), ORANGE, lw=1)
        axes.plot(path, loss(path), "o", color=ORANGE, markersize=4)
        axes.plot(path[0], loss(path[0]), "o", color=BLUE, markersize=7)
        look = {"textcoords": "offset points", "ha": "right", "va": "top"}
        axes.annotate("start", (path[0], loss(path[0])), (-5, -3), **look)
        axes.set(title=title, xlabel="one weight", xlim=(-3.3, 3.3))
    panels[0].set_ylabel("loss")
    return figure


def probability_maps(maps, points):
    """Draw how probable answer 1 is over two inputs from -0.5 to 1.5, one panel a network.

    Args:
        maps: {title: (n, n) probabilities; rows are the second input}.
        points: {title: answers of the corners (0, 0), (0, 1), (1, 0), (1, 1)}.

    Returns:
        The figure.
    """
    figure, panels = figures.canvas(1, len(maps), width=9.2, height=3.1, sharey=True)
    for axes, (title, share) in zip(panels, maps.items()):
        axis = np.linspace(-0.5, 1.5, len(share))
        levels = np.linspace(-0.05, 1.05, 12)
        axes.contourf(axis, axis, share, levels, cmap="PuOr", vmin=0, vmax=1)
        for corner, answer in zip(((0, 0), (0, 1), (1, 0), (1, 1)), points[title]):
            axes.plot(*corner, "o", color="white", mec="black", markersize=15)
            _text(axes, *corner, str(answer), fontsize=9)
        axes.set(title=title, xlabel="first input", xticks=[0, 1], yticks=[0, 1])
    panels[0].set_ylabel("second input")
    return figure


# ---- convolution


def _sheets(axes, left, bottom, side, count, window=None, scale=0.3, faces=None, edge=ORANGE):
    """Draw `count` square tables behind each other, the first in front, a window marked in each.

    Returns:
        The middle of the front window, or of the front table.
    """
    lean = 0.42
    for c in reversed(range(count)):
        x, y = left + c * lean, bottom + c * lean
        face = faces[c] if faces else "white"
        width = side * scale
        axes.add_patch(Rectangle((x, y), width, width, fc=face, ec="0.35", lw=1, zorder=3))
        for k in range(1, side):
            axes.plot([x + k * scale] * 2, [y, y + width], color="0.7", lw=0.6, zorder=3)
            axes.plot([x, x + width], [y + k * scale] * 2, color="0.7", lw=0.6, zorder=3)
        if window:
            row, column, high = window
            corner = (x + column * scale, y + (side - row - high) * scale)
            look = {"fc": edge, "alpha": 0.35, "zorder": 3}
            axes.add_patch(Rectangle(corner, high * scale, high * scale, ec="none", **look))
            look = {"fill": False, "ec": edge, "lw": 1.8, "zorder": 4}
            axes.add_patch(Rectangle(corner, high * scale, high * scale, **look))
    if window:
        return corner[0] + high * scale / 2, corner[1] + high * scale / 2
    return left + side * scale / 2, bottom + side * scale / 2


def volume(side=6, kernel=3):
    """Draw a convolution of three channels with two filters: each reaches through all channels.

    Args:
        side: of the picture.
        kernel: side of the kernels.

    Returns:
        The figure.
    """
    figure, axes = _page(9.2, 4.1, (-0.2, 12.2, -0.5, 4.95))
    scale, out = 0.42, side - kernel + 1
    tints = ("#F6D0D0", "#D3EBD3", "#D2DDF5")
    _sheets(axes, 0, 0.6, side, 3, (1, 2, kernel), scale, tints)
    _text(axes, 1.7, 4.55, "input: 3 channels")
    _text(axes, 1.3, 0.2, f"{side} x {side} x 3", color=GREY)
    maps_left, maps_low = 9.3, 1.5
    for number, (low, colour) in enumerate(((2.75, ORANGE), (0.35, BLUE))):
        _sheets(axes, 5.0, low, kernel, 3, (0, 0, kernel), 0.36, tints, edge=colour)
        words = f"filter {number + 1}\n{kernel} x {kernel} x 3\n= {3 * kernel**2} weights\n+ 1 bias"
        _text(axes, 7.25, low + 0.95, words, ha="left", fontsize=9, color=colour)
    for number, colour in ((1, BLUE), (0, ORANGE)):
        x, y = maps_left + 0.65 * number, maps_low + 0.65 * number
        _sheets(axes, x, y, out, 1, (1, 2, 1), scale, edge=colour)
    _text(axes, 10.5, 4.55, "output: 2 maps")
    _text(axes, 10.2, 1.1, f"{out} x {out} x 2", color=GREY)
    _text(axes, 10.15, 0.55, "each number:\none position of one filter", fontsize=9, color=GREY)
    _arrow(axes, (3.75, 2.6), (4.7, 3.2), ORANGE)
    _arrow(axes, (3.75, 2.2), (4.7, 1.6), BLUE)
    _arrow(axes, (8.55, 3.6), (9.25, 3.1), ORANGE)
    _arrow(axes, (8.55, 1.3), (9.25, 1.8), BLUE)
    return figure


def positions(cases):
    """Draw how a kernel moves over a picture, one panel a case, with the map that comes out.

    Args:
        cases: (side of the picture, kernel size, stride, padding), one a panel.

    Returns:
        The figure.
    """
    figure, axes = _page(9.2, 4.6, (-0.3, 10.4 * len(cases) - 1.6, -7.2, 9.2))
    for number, (n, k, stride, padding) in enumerate(cases):
        left, full = 10.4 * number, n + 2 * padding
        side = (full - k) // stride + 1
        for i, j in np.ndindex(full, full):
            inside = padding <= i < n + padding and padding <= j < n + padding
            look = {} if inside else {"face": "0.93", "edge": "0.8"}
            _cell(axes, left + j, full - 1 - i, **look)
            if not inside:
                _text(axes, left + j + 0.5, full - 0.5 - i, "0", fontsize=7, color="0.55")
        second = stride if side > 1 else 0
        for start, colour, dash, inset in ((0, ORANGE, "-", 0), (second, BLUE, "--", 0.12)):
            corner = (left + start + inset, full - k + inset)
            width = k - 2 * inset
            look = {"fill": False, "ec": colour, "lw": 2.2, "ls": dash, "zorder": 4}
            axes.add_patch(Rectangle(corner, width, width, **look))
        top = -1.6
        for i, j in np.ndindex(side, side):
            face = {(0, 0): ORANGE, (0, 1): BLUE}.get((i, j), "white")
            _cell(axes, left + j, top - 1 - i, face=face, alpha=0.75 if face != "white" else 1)
        _arrow(axes, (left + full / 2, -0.25), (left + full / 2, -1.2))
        words = f"kernel size {k}, stride {stride},\npadding {padding}"
        _text(axes, left, 8.2, words, ha="left", fontsize=9.5)
        _text(axes, left + side + 0.4, top - side / 2, f"map: {side} x {side}", ha="left")
        _text(axes, left + full + 0.4, full / 2, f"picture:\n{n} x {n}", ha="left")
    return figure


def receptive_fields(picture, layers):
    """Draw what a neuron sees: on the left through the layers, cut along a row; on the right on a
    picture.

    Args:
        picture: (side, side).
        layers: (name, kernel size, stride), from the input on; a layer of stride 1 keeps its side
            by padding.

    Returns:
        The figure.
    """
    side = len(picture)
    colours = (ORANGE, GREEN, PINK, YELLOW, SKY, BLUE)
    rows, field, step, middle = [("picture", side, 1, 0.5, 1)], 1, 1, 0.5
    for name, k, stride in layers:
        field, count = field + (k - 1) * step, rows[-1][1]
        if stride > 1:  # no padding: neurons lie in the middle of what they see
            middle, count = middle + (k - 1) * step / 2, (count - k) // stride + 1
        step = step * stride
        rows.append((name, count, step, middle, field))
    figure, (axes, right) = figures.canvas(1, 2, width=9.6, height=4.2, width_ratios=(1.65, 1))
    name, count, step, middle, field = rows[-1]
    centre = middle + (count // 2) * step
    seen = (centre, centre)  # from the first to the last middle that the row below must hold
    spans = []
    for level in reversed(range(len(rows))):
        name, count, step, middle, field = rows[level]
        places = middle + step * np.arange(count)
        chosen = (places >= seen[0] - 1e-9) & (places <= seen[1] + 1e-9)
        colour = colours[level - 1] if level else "0.35"
        for x, inside in zip(places, chosen):
            look = {"fc": colour if inside else "white", "ec": "0.55", "lw": 0.7, "zorder": 3}
            width = min(0.82 * step, 2.6)
            axes.add_patch(Rectangle((x - width / 2, level - 0.2), width, 0.4, **look))
        _text(axes, side + 0.8, level, f"{name}: {chosen.sum()}", ha="left")
        spans.append((places[chosen][0], places[chosen][-1], level))
        if level:
            _, k, stride = layers[level - 1]
            reach = (k - 1) / 2 * rows[level - 1][2]
            seen = (spans[-1][0] - reach, spans[-1][1] + reach)
    for (a, b, level), (c, d, below) in zip(spans, spans[1:]):
        corners = [(a, level - 0.2), (b, level - 0.2), (d, below + 0.2), (c, below + 0.2)]
        axes.add_patch(Polygon(corners, fc="0.9", ec="none", zorder=1))
    axes.set(xlim=(-0.5, side + 7), ylim=(-0.6, len(rows) - 0.4))
    axes.set_title(f"One neuron of {rows[-1][0]}, and how many it rests on")
    axes.axis("off")
    right.imshow(picture)
    for (name, _, _, _, field), colour in zip(rows[1:], colours):
        corner = ((side - field) / 2 - 0.5, (side - field) / 2 - 0.5)
        right.add_patch(Rectangle(corner, field, field, fill=False, ec=colour, lw=2))
        label = {"label": f"{name}: {field} x {field}", "color": colour, "lw": 2}
        right.plot([], [], **label)
    right.set_title("What it sees of a picture")
    right.axis("off")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=3, fontsize=8)
    return figure


# ---- the challenge


def tree(paths, marked=()):
    """Draw names under names, as a tree that grows to the right.

    Args:
        paths: lists of names, from the root to a leaf; "…" in front of a name says that levels
            were left out above it. All paths begin with the same name.
        marked: names drawn in bold.

    Returns:
        The figure.
    """
    deepest = max(map(len, paths))
    figure, axes = figures.canvas(width=9.6, height=0.55 * len(paths) + 0.4)
    axes.axis("off")
    heights, parents = {}, {}
    for row, path in enumerate(paths):
        for depth, name in enumerate(path):
            heights.setdefault((depth, name), []).append(-row)
            if depth:
                parents[depth, name] = (depth - 1, path[depth - 1])
    places = {}
    for node in sorted(heights, reverse=True):  # from the leaves: a parent amid its children
        children = [places[child][1] for child, parent in parents.items() if parent == node]
        y = np.mean([min(children), max(children)]) if children else heights[node][0]
        places[node] = (node[0], y)
    for child, parent in parents.items():
        (x0, y0), (x1, y1) = places[parent], places[child]
        dash = ":" if child[1].startswith("…") else "-"
        middle = x0 + 0.62
        line = {"color": "0.55", "lw": 1.2, "ls": dash, "zorder": 1}
        axes.plot([x0, middle, middle, x1], [y0, y0, y1, y1], **line)
    for (depth, name), (x, y) in places.items():
        leaf = name in marked
        box = {"boxstyle": "round,pad=0.25", "fc": "#FFF1D6" if leaf else "white", "ec": "0.5"}
        _text(axes, x, y, name.lstrip("… "), bbox=box, fontsize=8.5)
    axes.set(xlim=(-0.4, deepest - 0.5), ylim=(0.4 - len(paths), 0.5))
    axes.set_title("from general to special; a dotted line leaves levels out")
    return figure


def guesses(pictures, probabilities, labels, title):
    """Draw pictures, each with the guesses about it as bars; the label's is green and bold.

    Args:
        pictures: one array a picture.
        probabilities: {name: probability} a picture, the best guess first.
        labels: the annotated name of each.

    Returns:
        The figure.
    """
    count = len(pictures)
    size = {"width": 2.4 * count, "height": 3.9, "height_ratios": (1.5, 1)}
    figure, grid = figures.canvas(2, count, squeeze=False, **size)
    for picture, bars, label, above, below in zip(pictures, probabilities, labels, *grid):
        above.imshow(picture)
        above.axis("off")
        above.set_title(f"label: {label}", fontsize=10, loc="center")
        colours = ["#7CCDB4" if name == label else "0.82" for name in bars]
        below.barh(range(len(bars)), bars.values(), color=colours, height=0.8)
        for place, (name, value) in enumerate(bars.items()):
            words = f"{place + 1}. {name}  {value:.2f}"
            weight = "bold" if name == label else "normal"
            _text(below, 0.02, place, words, ha="left", fontsize=8.5, weight=weight)
        below.set(xlim=(0, 1), ylim=(len(bars) - 0.5, -0.5))
        below.axis("off")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def years(points, labels, y_label, title, band=None, aside=None):
    """Draw a value that changes from year to year, with names along the curve.

    Args:
        points: {year: value}.
        labels: {year: text}.
        band: (low, high, text) of a value to compare with, or None.
        aside: (heading, {year: text}) of what happened beside the curve, or None.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(height=3.9)
    axes.plot(*zip(*points.items()), "o-", color=BLUE)
    last = max(points)
    for year, text in labels.items():
        place = (5, 5) if year < last else (6, -13)
        axes.annotate(text, (year, points[year]), place, textcoords="offset points")
    if band:
        low, high, text = band
        axes.axhspan(low, high, color="#F6E3B4", zorder=0)
        axes.text(min(points), (low + high) / 2, text, va="center", fontsize=9)
    top = 1.12 * max(points.values())
    if aside:
        heading, texts = aside
        axes.text(last + 0.9, 0.86 * top, heading, ha="right", va="bottom", color=GREY)
        for year, text in texts.items():
            axes.plot(year, 0.8 * top, "D", color="white", mec=ORANGE)
            axes.text(year, 0.75 * top, text, ha="center", va="top", color="#A04000", fontsize=8.5)
    axes.set(xlabel="year", ylabel=y_label, title=title, ylim=(0, top))
    axes.set(xlim=(min(points) - 0.3, last + 0.95), xticks=list(points))
    return figure
