"""Every plot of the course, in one style. Colours are Okabe and Ito's, which most colour-blind
readers can tell apart; lines differ in dash and marker as well.
"""

import base64
import io
from itertools import cycle
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator
from matplotlib.transforms import Bbox, ScaledTranslation

from course_lib.metrics import half_interval, pareto_front

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
EIGHT = (*COLOURS, "#8C6D31")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# The colour and the marker of a network, the same in every chapter.
LOOK = dict(
    alexnet=(EIGHT[0], MARKERS[0]),
    vgg=(EIGHT[1], MARKERS[1]),
    googlenet=(EIGHT[2], MARKERS[2]),
    resnet=(EIGHT[3], MARKERS[3]),
    residual=(EIGHT[3], MARKERS[3]),
    densenet=(EIGHT[4], MARKERS[4]),
    mobilenet=(EIGHT[5], MARKERS[5]),
    squeezenet=(EIGHT[6], MARKERS[6]),
    shufflenet=(EIGHT[7], MARKERS[7]),
    plain=("#737373", "h"),
)

matplotlib.rcParams.update(
    {
        "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.grid": False,
        "figure.dpi": 100,
        "font.size": 10,
        "image.cmap": "gray",
        "legend.frameon": False,
        "savefig.bbox": "tight",
    }
)


def canvas(rows=1, columns=1, width=7.0, height=3.6, **kwargs):
    """Return (figure, axes) in the course's style; sides in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **kwargs)


def display(shown):
    """Display an object as a notebook does with the last value of a cell."""
    import IPython.display

    IPython.display.display(shown)


def show(figure, alt):
    """Display a figure with a text for those who cannot see it.

    The text also stands beside the picture as "[figure: ...]", which is what the notebook tests
    compare: a missing figure fails, a changed pixel does not.

    Raises:
        ValueError: alt is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("alt is empty; say in one sentence what the figure shows.")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    picture = base64.b64encode(buffer.getvalue()).decode()
    display(
        {"image/png": picture, "text/plain": f"[figure: {alt}]"},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )


def looks(names):
    """Return {name: (colour, marker)}: the network's of `LOOK` where a name begins with a network's
    name, such as "ResNet, 20 layers"; the other names share what is left, in turn."""
    own = {}
    for name in names:
        found = (look for word, look in LOOK.items() if str(name).lower().startswith(word))
        own[name] = next(found, None)
    left = [look for look in zip(EIGHT, MARKERS) if look not in own.values()]
    left = cycle(left or [("#444444", "p")])
    return {name: look or next(left) for name, look in own.items()}


def _ink(colour):
    """Return a colour darker, for words, which are thinner than marks."""
    return tuple(0.72 * part for part in to_rgb(colour))


def curves(
    lines,
    x_label,
    y_label,
    title,
    axes=None,
    markers=True,
    points=(),
    log_y=False,
    spread=None,
    ends=None,
):
    """Draw one line a name.

    An axis of values that does not begin at 0 has two strokes at its foot.

    Args:
        lines: {name: (x, y)} or {name: y}, where x counts from 1.
        axes: where to draw; None makes a new figure.
        points: names that are drawn as points without a line.
        spread: {name: half length of the 95 % interval at each point}, drawn as a band, of more
            than four lines as bars; or None.
        ends: True writes the names beside the lines' ends, in place of a legend; None does so for
            two to four lines.

    Returns:
        The figure.
    """
    if axes is None:
        _, axes = canvas()
    drawn = []
    for (name, (colour, marker)), dash in zip(looks(lines).items(), cycle(DASHES)):
        line = lines[name]
        x, y = line if isinstance(line, tuple) else (range(1, len(line) + 1), line)
        look = {"color": colour, "label": name, "markersize": 8 if name in points else 4}
        look["marker"] = marker if markers or name in points else None
        look["linestyle"] = "none" if name in points else dash
        drawn += axes.plot(x, y, **look)
        if spread and len(lines) > 4:
            axes.errorbar(x, y, spread[name], fmt="none", ecolor=colour, elinewidth=1, capsize=2)
        elif spread:
            low, high = np.asarray(y) - spread[name], np.asarray(y) + spread[name]
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    if log_y:
        axes.set_yscale("log")
    axes.add_artist(_Cut(axes, "y"))
    if axes.dataLim.x0 > 1:  # else it counts from 1
        axes.add_artist(_Cut(axes, "x"))
    if ends is None:
        ends = 2 <= len(lines) <= 4
    if ends:
        for line in drawn:
            if np.isfinite(line.get_xydata()).all(axis=1).any():
                axes.add_artist(_End(line))
    elif len(lines) > 1:
        axes.legend()
    return axes.figure


def ticks(axis, values):
    """Write plain numbers at these places of a logarithmic axis, in place of powers of ten."""
    axis.set_major_locator(FixedLocator(values))
    axis.set_major_formatter("{x:,.7g}")
    axis.set_minor_locator(NullLocator())


class _End(Annotation):
    """The name of a line at the right of its axes, near the height of its last point that is seen,
    wherever that is when the figure is drawn; a dotted line joins the two."""

    def __init__(self, line):
        look = {"arrowstyle": "-", "linestyle": ":", "color": "0.55", "linewidth": 0.9}
        look |= {"shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)}
        look = {"arrowprops": look, "annotation_clip": False, "clip_on": False, "va": "center"}
        name = fill(line.get_label(), 22, break_on_hyphens=False)
        super().__init__(name, (0, 0), (1.03, 1), "data", "axes fraction", **look)
        self.set_color(_ink(line.get_color()))
        self.line = line

    def _last(self):
        points = self.line.get_xydata()
        points = points[np.isfinite(points).all(axis=1)]
        view = self.axes.viewLim
        seen = points[((points >= view.min) & (points <= view.max)).all(axis=1)]
        return max(seen if len(seen) else points, key=lambda point: point[0])

    def update_positions(self, renderer):
        names = [text for text in self.axes.texts if isinstance(text, _End)]
        for name in names:
            name.xy = name._last()
        points = self.axes.transData.transform([name.xy for name in names])
        heights = self.axes.transAxes.inverted().transform(points)[:, 1].clip(0, 1)
        line = 13 / 72 * self.axes.figure.dpi / self.axes.bbox.height
        sizes = [line * (1 + name.get_text().count("\n")) for name in names]
        places, order = heights.copy(), np.argsort(heights, kind="stable")
        for below, above in zip(order, order[1:]):
            least = places[below] + (sizes[below] + sizes[above]) / 2
            places[above] = max(places[above], least)
        places -= max(0.0, places[order[-1]] - 1)  # the pile may not leave the axes at the top
        for above, below in zip(order[::-1], order[-2::-1]):
            most = places[above] - (sizes[below] + sizes[above]) / 2
            places[below] = min(places[below], most)
        self.set_position((1.03, places[names.index(self)]))
        super().update_positions(renderer)


class _Cut(PathPatch):
    """Two slanting strokes at the foot of an axis that is cut: linear, and without 0."""

    def __init__(self, axes, which):
        strokes = [(-0.05, 0.04), (0.05, 0.08), (-0.05, 0.08), (0.05, 0.12)]  # inches
        strokes = strokes if which == "y" else [(y, x) for x, y in strokes]
        codes = [Path.MOVETO, Path.LINETO] * 2
        super().__init__(Path(strokes, codes), fill=False, linewidth=1, clip_on=False, zorder=3)
        corner = ScaledTranslation(0, 0, axes.transAxes)
        self.set_transform(axes.figure.dpi_scale_trans + corner)
        self.which = which

    def draw(self, renderer):
        axis = {"x": self.axes.xaxis, "y": self.axes.yaxis}[self.which]
        low, high = sorted(axis.get_view_interval())
        if axis.get_scale() == "linear" and not low <= 0 <= high:
            super().draw(renderer)


def bars(values, y_label, title, spread=None, axes=None, number="{:.1f}"):
    """Draw one bar a name with its number above it.

    Args:
        values: {name: height}.
        spread: {name: half length of the error bar}, or None.
        number: how the height is written.

    Returns:
        The figure.
    """
    if axes is None:
        _, axes = canvas()
    names = list(values)
    heights = [values[name] for name in names]
    error = [spread[name] for name in names] if spread else None
    drawn = axes.bar(names, heights, yerr=error, capsize=4, color=COLOURS[0])
    axes.bar_label(drawn, [number.format(h) for h in heights], padding=3)
    axes.margins(y=0.15)
    axes.set(ylabel=y_label, title=title)
    return axes.figure


def dots(groups, x_label, title, axes=None):
    """Draw one row a group: a dot a run, and the mean with its 95 % interval (Student's t).

    Args:
        groups: {name: one number a run, at least two}; the first is drawn on top.

    Returns:
        The figure.
    """
    if axes is None:
        _, axes = canvas(height=1.2 + 0.45 * len(groups))
    for place, values in enumerate(groups.values()):
        axes.plot(values, [place] * len(values), "o", color=COLOURS[0], alpha=0.6, markersize=5)
        look = {"fmt": "|", "color": COLOURS[1], "capsize": 3}
        axes.errorbar(np.mean(values), place + 0.25, xerr=half_interval(values), **look)
    axes.set_yticks(range(len(groups)), groups)
    axes.invert_yaxis()
    axes.set(xlabel=x_label, title=title)
    axes.add_artist(_Cut(axes, "x"))
    return axes.figure


def races(accuracies, ranked, x_label):
    """Draw the runs of the eight in several races: a panel a race, a row a network, a dot a run.

    Args:
        accuracies: {race: {network: numbers}}, the same networks in each.
        ranked: {race: networks}, whose mean is marked; the dots of the others are open.

    Returns:
        The figure.
    """
    figure, panels = canvas(1, len(accuracies), 9, 3.8, sharey=True, sharex=True)
    for axes, (race, found) in zip(panels, accuracies.items()):
        for place, (network, (colour, _)) in enumerate(looks(found).items()):
            runs, closed = found[network], network in ranked[race]
            look = {"color": colour, "markerfacecolor": colour if closed else "white"}
            axes.plot(runs, [place] * len(runs), "o", markersize=5, **look)
            if closed:
                axes.plot([np.mean(runs)] * 2, [place - 0.3, place + 0.3], color=colour)
        axes.set(title=race, xlabel=x_label)
        axes.add_artist(_Cut(axes, "x"))
    panels[0].set_yticks(range(len(found)), found)
    panels[0].invert_yaxis()
    return figure


def stacked(bars, x_label, title, number="{:.1f}"):
    """Draw one lying bar a name, cut into parts, each part in its colour with its number.

    Args:
        bars: {name: {part: length}}, the same parts in each; the first is drawn on top.
        number: how a length is written.

    Returns:
        The figure.
    """
    figure, axes = canvas(width=8.6, height=1.5 + 0.62 * len(bars))
    parts = [part for part in next(iter(bars.values())) if any(bar[part] for bar in bars.values())]
    left = np.zeros(len(bars))
    whole = max(sum(bar.values()) for bar in bars.values())
    for part, colour in zip(parts, cycle(EIGHT)):
        lengths = np.array([bar[part] for bar in bars.values()])
        axes.barh(range(len(bars)), lengths, 0.6, left, color=colour, edgecolor="white", label=part)
        light = sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) > 350
        for place, (start, length) in enumerate(zip(left, lengths)):
            if length > 0.05 * whole:
                look = {"ha": "center", "va": "center", "color": "black" if light else "white"}
                axes.text(start + length / 2, place, number.format(length), fontsize=9, **look)
        left += lengths
    axes.set_yticks(range(len(bars)), bars)
    axes.invert_yaxis()
    axes.set(xlabel=x_label, title=title)
    figure.legend(loc="outside lower left", ncols=3, fontsize=8.5)
    return figure


def scatter(points, x_label, y_label, title, log_x=False, below=(), axes=None):
    """Draw one labelled point a name.

    Args:
        points: {name: (x, y)}.
        below: names that are written under their point, where two would collide.

    Returns:
        The figure.
    """
    if axes is None:
        _, axes = canvas()
    for name, (colour, marker) in looks(points).items():
        axes.plot(*points[name], marker, color=colour, markersize=8)
        place = (6, -14) if name in below else (6, 6)
        look = {"textcoords": "offset points", "color": _ink(colour)}
        axes.annotate(name, points[name], xytext=place, **look)
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(0.15)
    for which in "xy":
        axes.add_artist(_Cut(axes, which))
    return axes.figure


def trade_off(panels, y_label, title, *, high=True, spread=None, hollow=(), columns=2):
    """Draw what a value costs: one panel a cost, one labelled point a name.

    A dashed line joins the points that none beats (`metrics.pareto_front`). Costs are on a
    logarithmic axis. Labels are placed where they meet no point and no other label.

    Args:
        panels: {name of the cost: {name: (cost, value), or None to leave it out}}.
        high: True where a high value is good (an accuracy), False where a low one is (an error).
        spread: {name: half length of its error bar}, or None.
        hollow: names whose markers are left open.

    Returns:
        The figure.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    size = (4.1 * columns, 3.4 * rows) if len(panels) > 1 else (7.0, 4.2)
    figure, grid = canvas(rows, columns, *size, squeeze=False, sharey=True)
    labels = []
    for axes, (cost, points) in zip(grid.flat, panels.items()):
        for name, (colour, marker) in looks(points).items():
            if points[name] is None:
                continue
            x, y = points[name]
            error = spread[name] if spread else 0
            face = "white" if name in hollow else colour
            look = {"color": colour, "markerfacecolor": face, "markersize": 7, "capsize": 2}
            axes.errorbar(x, y, error or None, fmt=marker, elinewidth=1, **look)
            labels.append((axes, name, x, y, error, colour))
        x, y = np.array([point for point in points.values() if point], float).T
        front = pareto_front(x, y if high else -y)
        axes.plot(x[front], y[front], "--", color="grey", linewidth=1, zorder=0, label="front")
        axes.set(xscale="log", xlabel=cost)
        ticks = ((40, (1,)), (4, (1, 2, 5)), (0, (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8)))
        subs = next(subs for least, subs in ticks if x.max() > least * x.min())
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(0.18)
        axes.add_artist(_Cut(axes, "y"))
    for axes in grid[:, 0]:
        axes.set_ylabel(y_label)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11)
    _place(figure, labels)
    return figure


# Where a label may stand, seen from its point: x, y in points, then its own alignment.
_STEPS = ((5, 4), (9, -4), (-12, 8), (13, 10), (4, 14), (-25, 8), (18, 16), (-25, 18))
_STEPS += ((30, -4), (0, 26), (-30, 28), (40, 10))
_PLACES = [
    (side * x, up * y, {1: "left", -1: "right", 0: "center"}[side], "bottom" if up > 0 else "top")
    for x, y in _STEPS
    for side in (1, -1, 0)
    for up in (1, -1)
    if side or y > 7
]


def _place(figure, labels):
    """Write each name beside its point, in the first place that is inside and free.

    Args:
        labels: (axes, name, x, y, half length of the error bar, colour) of each.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    half = 5 * figure.dpi / 72  # of a marker, in pixels
    for axes in {id(axes): axes for axes, *_ in labels}.values():
        own = [label[1:] for label in labels if label[0] is axes]
        taken = []
        for _, x, y, error, _ in own:
            low, high = axes.transData.transform([(x, y - error), (x, y + error)])
            taken.append(Bbox([low - half, high + half]))
        lines = [line.get_transform().transform_path(line.get_path()) for line in axes.lines]
        lines = [line for line in lines if len(line.vertices) > 1]
        for name, x, y, _, colour in own:
            tried, where = [], {"textcoords": "offset points", "fontsize": 9}
            where["color"] = _ink(colour)
            for right, up, horizontal, vertical in _PLACES:
                look = {"ha": horizontal, "va": vertical, **where}
                text = axes.annotate(name, (x, y), (right, up), **look)
                box = text.get_window_extent(renderer)
                bad = 2 * box.count_overlaps(taken)
                bad += 2 * any(not axes.bbox.contains(*corner) for corner in box.corners())
                bad += any(line.intersects_bbox(box, filled=False) for line in lines)
                tried.append((bad, len(tried), text, box))
                if not bad:
                    break
            tried.sort(key=lambda one: one[:2])
            for _, _, text, _ in tried[1:]:
                text.remove()
            taken.append(tried[0][3])


# The sign in front of an outcome -> its colour; a reader of black and white has the sign.
OUTCOME_COLOURS = {"+": "#00734F", "-": "#B34700", "0": "#444444", "?": "#8A6500", ".": "#6B6B6B"}


def forest(groups, title, tick="the paper", waiting=0):
    """Draw comparisons as a forest plot: one row each, a dot with its interval, and the outcome.

    The tick in a row is the effect that the paper reports, or that is asked for; a claim of
    closeness has a band in its place. A scale ends before the widest interval if that is more than
    four times the usual; an arrow then says that it goes on.

    Args:
        groups: {unit: rows}, a scale for each unit. A row is (label, difference, low, high, effect,
            outcome): the effect a number, (low, high) of a band, or None; the outcome words with
            their sign in front, such as "+ holds here". A unit that begins with "times" is drawn on
            a logarithmic scale around 1.
        title: above the rows.
        tick: what the legend calls the effects.
        waiting: how many tests have no row, since their trainings are missing; a line says so.

    Returns:
        The figure.
    """
    from matplotlib.lines import Line2D

    counts = [len(rows) for rows in groups.values()]
    height = 0.7 + 0.42 * sum(counts) + 0.62 * len(counts)
    look = {"squeeze": False, "height_ratios": [count + 0.4 for count in counts]}
    figure, grid = canvas(len(groups), 1, 8.6, height, **look)
    ticks, bands = False, False
    for axes, (unit, rows) in zip(grid[:, 0], groups.items()):
        log = unit.startswith("times")
        zero, size = (1.0, np.log) if log else (0.0, np.asarray)
        reach = []
        for _, difference, low, high, effect, _ in rows:
            ends = np.array([difference, low, high, *np.ravel([] if effect is None else effect)])
            ends = ends[np.isfinite(ends) & (ends > 0 if log else True)]
            reach.append(np.abs(size(ends)).max())
        papers = [size(row[4]) for row in rows if isinstance(row[4], (int, float))]
        limit = 1.08 * max(min(max(reach), 4 * float(np.median(reach))), *np.abs(papers), 0)
        left, right = (np.exp(-limit), np.exp(limit)) if log else (-limit, limit)
        axes.axvline(zero, color="0.45", linewidth=1, zorder=0)
        for place, (_, difference, low, high, effect, outcome) in enumerate(rows):
            colour = OUTCOME_COLOURS.get(outcome[:1], "#444444")
            if isinstance(effect, (int, float)):
                ticks = True
                axes.plot([effect] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2.2)
            elif effect is not None:
                bands = True
                ends = np.clip(effect, left, right)
                axes.fill_betweenx([place - 0.3, place + 0.3], *ends, color="0.85", zorder=0)
            inside = np.clip([low, high], left, right)
            axes.plot(inside, [place, place], color=colour, linewidth=2)
            for end, stop, marker in ((low, left, "<"), (high, right, ">")):
                gone = end < stop if marker == "<" else end > stop
                axes.plot(np.clip(end, left, right), place, marker if gone else "|", color=colour)
            if left <= difference <= right:
                axes.plot(difference, place, "o", color=colour, markersize=6)
            axes.annotate(
                outcome, (1, place), (8, 0), ("axes fraction", "data"), "offset points",
                va="center", color=colour, weight="bold", annotation_clip=False,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [fill(row[0], 44) for row in rows], fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set(xlim=(left, right), ylim=(len(rows) - 0.4, -0.6), xlabel=unit)
        if log:
            axes.set_xscale("log")
            subs = (1, 2, 5) if limit < np.log(20) else (1,)
            axes.xaxis.set_major_locator(LogLocator(subs=subs))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
    marks = [Line2D([], [], color="0.3", marker="o", label="here, with its 95 % interval")]
    if ticks:
        look = {"marker": "|", "markersize": 11, "markeredgewidth": 2.2, "linestyle": "none"}
        marks.append(Line2D([], [], color="black", label=tick, **look))
    if bands:
        marks.append(Line2D([], [], color="0.85", linewidth=9, label="asked for"))
    look = {"ncols": 3, "fontsize": 8.5, "alignment": "left", "title_fontsize": 8.5}
    legend = figure.legend(handles=marks, loc="outside lower left", **look)
    if waiting:
        one = waiting == 1
        tests = "1 further test waits for its" if one else f"{waiting} further tests wait for their"
        legend.set_title(f"{tests} trainings (table below)")
        legend.get_title().set_color("0.35")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def collisions(figure):
    """Return what is wrong with the texts of a figure, in sentences: two that overlap, or one that
    leaves the canvas. An empty list is a figure that can be read."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            drawn = axis._update_ticks() if axes.axison and axis.get_visible() else []
            ticks = [tick for tick in (*axis.majorTicks, *axis.minorTicks) if tick not in drawn]
            hidden.update(id(text) for tick in ticks for text in (tick.label1, tick.label2))
            hidden.update([] if axes.axison else [id(axis.label)])
    texts = [text for text in figure.findobj(Text) if id(text) not in hidden]
    texts = [text for text in texts if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), Text.get_window_extent(text, renderer)) for text in texts]
    faults = []
    for i, (words, box) in enumerate(boxes):
        outside = box.x0 < -1 or box.y0 < -1
        if outside or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
            faults.append(f"{words!r} leaves the canvas")
        for other, its in boxes[i + 1 :]:
            across = min(box.x1, its.x1) - max(box.x0, its.x0)
            if across > 1 and min(box.y1, its.y1) - max(box.y0, its.y0) > 1:
                faults.append(f"{words!r} and {other!r} overlap")
    return faults


def images(pictures, titles=None, columns=8, title="", side=1.1, signed=False):
    """Draw small pictures in a grid.

    Args:
        pictures: (n, height, width), (n, height, width, 1) or (n, height, width, 3).
        titles: one text a picture, or None.
        side: side of one picture in inches.
        signed: True for weights: blue below zero, red above, one scale for all pictures.

    Returns:
        The figure.
    """
    pictures = np.asarray(pictures, "float32")
    if pictures.ndim == 4 and pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    if pictures.ndim not in (3, 4) or not len(pictures):
        raise ValueError(
            f"pictures has shape {pictures.shape}; allowed: (n, height, width) or "
            "(n, height, width, 1 or 3), n at least 1."
        )
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    extra = 0.25 if titles is not None else 0.0
    figure, grid = canvas(
        rows, columns, side * columns, (side + extra) * rows + (0.3 if title else 0), squeeze=False
    )
    if signed:
        limit = float(np.abs(pictures).max()) or 1.0
        look = {"cmap": "coolwarm", "vmin": -limit, "vmax": limit}
    elif pictures.ndim == 4:
        low, high = pictures.min(), pictures.max()
        pictures = (pictures - low) / ((high - low) or 1)
        look = {}
    else:
        look = {"cmap": "gray"}
    for axes in grid.flat:
        axes.axis("off")
    for i, (axes, picture) in enumerate(zip(grid.flat, pictures)):
        axes.imshow(picture, interpolation="nearest", **look)
        if titles is not None:
            axes.set_title(titles[i], fontsize=8, loc="center")
    if title:
        figure.suptitle(title, x=0, ha="left", fontsize=11)
    return figure


def over_pictures(pictures, maps, titles, marked=(), columns=5, side=1.45):
    """Draw maps over pictures: grey where a map is zero, bright where it is high.

    A map of fewer pixels than its picture is stretched over it.

    Args:
        pictures: grey ones, (height, width) or (height, width, 1).
        maps: one a picture, (height, width), none below zero; one scale for all.
        titles: one text a picture.
        marked: numbers of those that get a frame.

    Returns:
        The figure.
    """
    rows = -(-len(pictures) // columns)
    size = side * columns, (side + 0.28) * rows
    figure, grid = canvas(rows, columns, *size, squeeze=False)
    limit = max(float(one.max()) for one in maps) or 1.0
    for axes in grid.flat:
        axes.axis("off")
    for i, (axes, picture, one) in enumerate(zip(grid.flat, pictures, maps)):
        high, wide = picture.shape[:2]
        extent = (-0.5, wide - 0.5, high - 0.5, -0.5)
        axes.imshow(picture.reshape(high, wide), extent=extent)
        look = {"cmap": "inferno", "vmin": 0, "vmax": limit, "alpha": 0.65}
        axes.imshow(one, extent=extent, interpolation="bilinear", **look)
        axes.set_title(titles[i], fontsize=9, weight="bold" if i in marked else "normal")
        if i in marked:
            axes.add_patch(Rectangle((-0.5, -0.5), wide, high, fill=False, ec=COLOURS[1], lw=4))
    return figure


def tables(grids, x_label, y_label, *, top, columns=3, side=2.6, number="", ticks=None):
    """Draw tables of numbers beside each other, a cell the darker, the larger its number.

    Args:
        grids: {title: (rows, columns)}; a nan is left white.
        x_label, y_label: what the columns and the rows are.
        top: the number that is darkest, the same in all.
        side: of one table, in inches.
        number: how the numbers are written into the cells, such as "{:.0f}"; "" leaves them out.
        ticks: (names of the columns, names of the rows), or None to count from 0.

    Returns:
        The figure.
    """
    columns = min(columns, len(grids))
    rows = -(-len(grids) // columns)
    size = (side * columns, (side + 0.4) * rows)
    figure, panels = canvas(rows, columns, *size, squeeze=False)
    for axes, (title, grid) in zip(panels.flat, grids.items()):
        grid = np.asarray(grid, "float64")
        axes.imshow(grid, cmap="Blues", vmin=0, vmax=top, interpolation="nearest")
        for (row, column), found in np.ndenumerate(grid):
            if number and np.isfinite(found):
                look = {"color": "white" if found > 0.6 * top else "black", "fontsize": 8}
                axes.text(column, row, number.format(found), ha="center", va="center", **look)
        if ticks:
            for set_ticks, names in zip((axes.set_xticks, axes.set_yticks), ticks):
                set_ticks(range(len(names)), names)
        elif number:
            axes.set(xticks=range(grid.shape[1]), yticks=range(grid.shape[0]))
        axes.set(xlabel=x_label, title=title)
    for axes in panels[:, 0]:
        axes.set_ylabel(y_label)
    return figure


def confusion(counts, class_names, title):
    """Draw a confusion matrix: rows are true classes, columns predictions, numbers are images.

    Args:
        counts: (classes, classes) from `course_lib.metrics.confusion_matrix`.

    Returns:
        The figure.
    """
    counts = np.asarray(counts)
    if counts.shape != (len(class_names),) * 2:
        raise ValueError(f"counts has shape {counts.shape}; there are {len(class_names)} names.")
    figure, axes = canvas(width=6.4, height=5.6)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(
                column, row, counts[row, column], ha="center", va="center", color=colour, fontsize=8
            )
    axes.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
    axes.set_yticks(range(len(class_names)), class_names)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    return figure
