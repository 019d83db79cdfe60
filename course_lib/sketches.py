"""Pictures of the first chapters: a network with its weights, borders, a tree of names, years."""

import numpy as np
from matplotlib.patches import Circle

from course_lib import figures

BLUE, ORANGE, _, _, YELLOW = figures.COLOURS[:5]
GREY = "0.4"


def _text(axes, x, y, words, **look):
    axes.text(x, y, words, **{"ha": "center", "va": "center", "zorder": 6, **look})


def layers(picture, hidden, answers):
    """Draw a network with one hidden layer, from a picture to its answers, and count its weights.

    Args:
        picture: (height, width), what goes in.
        hidden: neurons of the hidden layer.
        answers: a name for each output.

    Returns:
        The figure.
    """
    figure, axes = figures.canvas(width=9.2, height=4.4)
    axes.set(xlim=(-2.9, 9.1), ylim=(-2.75, 2.95), aspect="equal")
    axes.axis("off")
    sizes = (picture.size, hidden, len(answers))
    axes.imshow(picture, extent=(-2.8, -0.9, -0.95, 0.95), zorder=2)
    arrow = {"arrowstyle": "-|>", "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (-0.3, 0), (-0.75, 0), arrowprops=arrow)
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


def probability_maps(maps, points):
    """Draw how probable answer 1 is over two inputs from -0.5 to 1.5, one panel a network.

    Args:
        maps: {title: (n, n) probabilities; rows are the second input}.
        points: {title: answers of the corners (0, 0), (0, 1), (1, 0), (1, 1)}.

    Returns:
        The figure.
    """
    figure, panels = figures.canvas(1, len(maps), width=9.2, height=3.1, sharey=True, squeeze=False)
    for axes, (title, share) in zip(panels[0], maps.items()):
        axis = np.linspace(-0.5, 1.5, len(share))
        levels = np.linspace(-0.05, 1.05, 12)
        axes.contourf(axis, axis, share, levels, cmap="PuOr", vmin=0, vmax=1)
        for corner, answer in zip(((0, 0), (0, 1), (1, 0), (1, 1)), points[title]):
            axes.plot(*corner, "o", color="white", mec="black", markersize=15)
            _text(axes, *corner, str(answer), fontsize=9)
        axes.set(title=title, xlabel="first input", xticks=[0, 1], yticks=[0, 1])
    panels[0, 0].set_ylabel("second input")
    return figure


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
    for (_, name), (x, y) in places.items():
        leaf = name in marked
        box = {"boxstyle": "round,pad=0.25", "fc": "#FFF1D6" if leaf else "white", "ec": "0.5"}
        _text(axes, x, y, name.lstrip("… "), bbox=box, fontsize=8.5)
    axes.set(xlim=(-0.4, deepest - 0.5), ylim=(0.4 - len(paths), 0.5))
    axes.set_title("from general to special; a dotted line leaves levels out")
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
