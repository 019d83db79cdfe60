"""Shapes in pixels, y upwards, that can be measured and moved before they become a figure."""

import functools
import math

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath

INK, GREY, PALE = "#222222", "#6B6B6B", "#B8B8B8"
LOOK = {"lw": 0.7, "ec": "#4A5A68", "joinstyle": "round"}


@functools.cache
def text_width(text, size):
    """Return the width of a text in pixels, of its longest line; size in points."""
    font = FontProperties(family="DejaVu Sans")
    paths = [TextPath((0, 0), line, size=size, prop=font) for line in text.split("\n") if line]
    return max((path.vertices[:, 0].max() * 100 / 72 + 2 for path in paths), default=0)


class Pen:
    """Collects shapes; `figure` draws them."""

    def __init__(self):
        self.items = []  # (function of (axes, dx, dy), box: left, bottom, right, top)

    def keep(self, draw, points):
        x, y = zip(*points)
        self.items.append((draw, (min(x), min(y), max(x), max(y))))

    def shape(self, points, fill, z=3, **look):
        def draw(axes, dx, dy):
            moved = [(x + dx, y + dy) for x, y in points]
            axes.add_artist(Polygon(moved, fc=fill, zorder=z, **{**LOOK, **look}))

        self.keep(draw, points)

    def curve(self, points, colour, width=1.6, z=2, dashed=False):
        """A line through two points, or a Bezier curve through four."""
        line = Path.CURVE4 if len(points) == 4 else Path.LINETO
        codes = [Path.MOVETO, *[line] * (len(points) - 1)]

        def draw(axes, dx, dy):
            moved = [(x + dx, y + dy) for x, y in points]
            line = {"ec": colour, "lw": width, "ls": (0, (2, 1.5)) if dashed else "-"}
            axes.add_artist(PathPatch(Path(moved, codes), fc="none", zorder=z, **line))

        self.keep(draw, points)

    def head(self, x, y, size, colour, down=False):
        """The head of an arrow that ends here, from the left or from above."""
        half = 0.6 * size
        back = [(x - half, y + size), (x + half, y + size)]
        if not down:
            back = [(x - size, y - half), (x - size, y + half)]
        self.shape([(x, y), *back], colour, z=5, lw=0)

    def bracket(self, x0, y0, x1, y1, top, colour):
        """A line up, across at the height `top`, and down, with round corners."""
        r = min(12, (x1 - x0) / 2, top - max(y0, y1))
        points = [(x0, y0), (x0, top - r), (x0, top), (x0 + r, top), (x1 - r, top), (x1, top)]
        points += [(x1, top - r), (x1, y1)]
        codes = [Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3]
        codes += [Path.CURVE3, Path.LINETO]

        def draw(axes, dx, dy):
            moved = Path([(x + dx, y + dy) for x, y in points], codes)
            axes.add_artist(PathPatch(moved, fc="none", ec=colour, lw=1.6, zorder=2))

        self.keep(draw, points)

    def panel(self, left, bottom, right, top, fill):
        def draw(axes, dx, dy):
            corner, sides = (left + dx, bottom + dy), (right - left, top - bottom)
            style = "round,pad=0,rounding_size=6"
            axes.add_artist(FancyBboxPatch(corner, *sides, style, fc=fill, ec="none", zorder=0))

        self.keep(draw, [(left, bottom), (right, top)])

    def disc(self, x, y, radius, sign):
        """A small white circle with a plus or a cross."""

        def draw(axes, dx, dy):
            place = (x + dx, y + dy)
            axes.add_artist(Circle(place, radius, fc="white", ec=INK, lw=1, zorder=6))
            arm, turn = radius * 0.6, 0 if sign == "add" else math.pi / 4
            for angle in (turn, turn + math.pi / 2):
                across, up = arm * math.cos(angle), arm * math.sin(angle)
                ends = [(place[0] - across, place[1] - up), (place[0] + across, place[1] + up)]
                axes.add_artist(PathPatch(Path(ends), ec=INK, lw=1.2, zorder=7))

        self.keep(draw, [(x - radius, y - radius), (x + radius, y + radius)])

    def text(
        self, x, y, words, size, colour=INK, ha="center", va="top", weight="normal", halo=False
    ):
        """Words, in several lines where they hold line breaks."""
        if not words:
            return
        wide = text_width(words, size) * (1.15 if weight == "bold" else 1)
        high = size * 1.45 * (1 + words.count("\n"))
        left = {"center": x - wide / 2, "left": x, "right": x - wide}[ha]
        low = {"top": y - high, "bottom": y, "center": y - high / 2}[va]

        def draw(axes, dx, dy):
            look = {"color": colour, "fontsize": size, "ha": ha, "va": va, "weight": weight}
            if halo:
                look["path_effects"] = [withStroke(linewidth=2.5, foreground="white")]
            axes.text(x + dx, y + dy, words, zorder=8, linespacing=1.1, **look)

        self.keep(draw, [(left, low), (left + wide, low + high)])

    def add(self, other, dx=0, dy=0):
        """Take over the shapes of another pen, moved."""
        for draw, (left, bottom, right, top) in other.items:
            box = (left + dx, bottom + dy, right + dx, top + dy)
            self.items.append((functools.partial(_moved, draw, dx, dy), box))

    def bounds(self, start=0):
        """Return (left, bottom, right, top) of all shapes, or of those from number `start` on."""
        left, bottom, right, top = zip(*(box for _, box in self.items[start:]))
        return min(left), min(bottom), max(right), max(top)

    def figure(self, margin=6):
        """Return the figure that holds all shapes."""
        left, bottom, right, top = self.bounds()
        wide, high = right - left + 2 * margin, top - bottom + 2 * margin
        figure = Figure(figsize=(wide / 100, high / 100), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(left - margin, right + margin), ylim=(bottom - margin, top + margin))
        axes.axis("off")
        for draw, _ in self.items:
            draw(axes, 0, 0)
        return figure


def _moved(draw, dx, dy, axes, more_x, more_y):
    draw(axes, dx + more_x, dy + more_y)
