"""Networks and blocks as pictures, drawn from what is built: one language for all chapters.

A tensor is a slab: its height says how many pixels a side it has, its thickness how many channels,
on logarithmic scales that all pictures share. A layer is an arrow in the colour of its kind. Data
flows from left to right.
"""

import functools
import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace

from course_lib import structure
from course_lib.figures import COLOURS
from course_lib.pen import GREY, PALE, Pen, text_width
from course_lib.structure import Group, Split, Step

WIDTH = 900  # pixels of a figure at 100 dots an inch
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, _ = COLOURS
KINDS = {
    "convolution": BLUE,
    "1x1 convolution": SKY,
    "depthwise convolution": GREEN,
    "pooling": VERMILION,
    "dense": PURPLE,
    "shuffle": ORANGE,
    "pad": "#8C6D31",
    "block": "#7A5C99",
    "other": "#8C6D31",
    "identity": "#444444",
}
FACES = ("#DCE6EF", "#EFF4F8", "#BECDDA")  # front, top, right
PART = ("#A9BCCD", "#C7D5E1")  # every second part of a concatenation
RGB = [("#EFC9C4", "#F7E4E1"), ("#CFE5CC", "#E7F2E5"), ("#C6D6EE", "#E2EAF6")]
KEEPING = ("pooling", "depthwise convolution")  # every channel stays by itself
PASSING = (*KEEPING, "shuffle")  # as many groups of channels come out as go in
MOST_TOWERS = 3
SIGNS = {  # what the legend calls what is no kind, or not by its name
    "depthwise convolution": "depthwise convolution (dw)",
    "pad": "subsampling, zero channels",
    "block": "block (its name below)",
    "groups": "in groups",
    "concatenate": "concatenation",
    "add": "addition",
    "multiply": "product",
}
GHOST = [("white", "white")]
SHADES = ("#444444", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#D55E00")


@dataclass
class Slab:
    """A tensor in its place: `x` is its left edge, `y` the height at which arrows meet it."""

    x: float
    y: float
    side: int
    channels: int
    scale: float
    parts: tuple = ()  # of a concatenation: the channels that meet
    pieces: list = field(default_factory=list)  # of a dense block: the slabs that are in it

    @property
    def high(self):
        return self.scale * (8 * math.log2(self.side) + 5)

    @property
    def thick(self):
        return self.scale * (1.3 * math.log2(self.channels) + 1.5)

    @property
    def deep(self):
        return 0.16 * self.high

    @property
    def right(self):
        return self.x + self.thick + self.deep

    @property
    def exit(self):
        return self.x + self.thick + self.deep / 2, self.y

    @property
    def top(self):
        return self.x + (self.thick + self.deep) / 2, self.y + (self.high + self.deep) / 2

    @property
    def bottom(self):
        return self.y - (self.high + self.deep) / 2

    @property
    def entry(self):
        return self.x, self.y

    def draw(self, pen, tints=None):
        """Draw it, a concatenation in its parts; `tints` are (front, top) colours, in turn."""
        x, low, high, deep = self.x, self.bottom, self.high, self.deep
        parts = self.parts or (1,) * (3 if tints is RGB else 1)
        tints = tints or (FACES[:2], PART)
        up, left = low + high, x
        for i, part in enumerate(parts):
            (front, top), right = tints[i % len(tints)], left + self.thick * part / sum(parts)
            pen.shape([(left, low), (right, low), (right, up), (left, up)], front)
            back = up + deep
            pen.shape([(left, up), (right, up), (right + deep, back), (left + deep, back)], top)
            left = right
        corners = [(left, low), (left + deep, low + deep), (left + deep, up + deep), (left, up)]
        pen.shape(corners, "white" if tints is GHOST else FACES[2])


@dataclass
class _Label:
    """The text under an arrow, from `left` to `right`, and the slab that the arrow leads to."""

    text: str
    left: float
    right: float
    slab: Slab
    kind: str


@dataclass
class _Row:
    """Where the drawing of a row has got to, and what is written along it in the end."""

    pen: Pen
    y: float
    before: list  # the slabs of the last tensor: one, or one a group of channels
    x: float  # where they end
    fork: float | None = None  # where a branch that begins here has got to its own height
    labels: list = field(default_factory=list)  # of _Label; None where none may be joined
    panels: list = field(default_factory=list)  # (from, to, count) of a block that repeats
    exits: list = field(default_factory=list)  # (slab, parts) on the way to another output

    def slabs(self):
        return [label.slab for label in self.labels if label]

    def try_out(self, y=None):
        """Return a row that begins where this one is, on a pen of its own."""
        y = self.y if y is None else y
        return _Row(Pen(), y, self.before, self.x, self.fork)


def _weight(branch):
    """Return how much happens in a branch: its layers with weights, then its blocks."""
    kinds = [step.kind for step in structure.steps(branch)]
    return sum(kind not in ("pooling", "pad") for kind in kinds), kinds.count("block")


def _arc(split):
    """Return (the branch that can be an arc over the other, the other); None if neither can."""
    arc, *others = sorted(split.branches, key=_weight)
    flat = all(isinstance(part, Step) for part in arc)
    most = 0 if split.join.kind == "concatenate" else 1
    if len(others) == 1 and flat and _weight(arc)[0] <= most and others[0]:
        return arc, others[0]
    return None


def _towers(parts, place):
    """Return into how many slabs the tensor before parts[place] is drawn: the groups of the
    convolution that makes it or of the one that takes it."""

    def groups(places):
        for i in places:
            part = parts[i]
            if not isinstance(part, Step) or len(part.shape) < 3:
                return 1
            if part.kind not in PASSING:
                return part.groups if part.groups <= MOST_TOWERS else 1
        return 1

    return max(groups(range(place, len(parts))), groups(range(place - 1, -1, -1)))


class _Layout:
    """Places the parts of a network along rows. `large` is for blocks: every arrow has its words
    beside it, and says what was folded away after it."""

    def __init__(self, scale=1.0, gap=12, large=False):
        self.scale, self.gap, self.large = scale, gap, large
        self.size = 8.5 if large else 7.5  # of labels, in points
        self.used = set()  # what the legend must explain

    # ---- one layer

    def arrow(self, pen, start, end, kind, groups=1, bend=None):
        """Draw an arrow; where it changes its height, it does so between the two of `bend`."""
        colour, (x0, y0), (x1, y1) = KINDS[kind], start, end
        tip = 4 * self.scale**0.6
        offsets, thick = ((-1.7, 0, 1.7), 0.9) if groups > 1 else ((0,), 1.7)
        for off in offsets:
            a, b = (x0, y0 + off), (x1 - tip, y1 + off)
            if y0 == y1:
                pen.curve([a, b], colour, thick)
                continue
            left, right = bend or (x0, x1 - tip)
            middle = (left + right) / 2
            pen.curve([a, (left, a[1])], colour, thick)
            pen.curve([(left, a[1]), (middle, a[1]), (middle, b[1]), (right, b[1])], colour, thick)
            pen.curve([(right, b[1]), b], colour, thick)
        pen.head(x1, y1, 1.25 * tip, colour)

    def words(self, step):
        """Return the text of a layer, and what was folded away around it."""
        if not self.large:
            return step.label, ""
        depthwise = step.kind == "depthwise convolution"
        lines = [f"{step.kernel} depthwise" if depthwise else step.label]
        if step.stride > 1:
            lines.append(f"stride {step.stride}")
        if step.groups > 1:
            lines.append(f"{step.groups} groups")
        folded = [", ".join(step.then)] if step.then else []
        if step.first:
            folded = [f"first {', '.join(step.first)}", *(f"then {words}" for words in folded)]
        return "\n".join(lines), "\n".join(folded)

    def room(self, step, beside):
        """Return the pixels that the words of a layer need; none if those beside it are equal."""
        text, folded = self.words(step)
        if self.large:
            return max(text_width(text, self.size), text_width(folded, self.size - 1)) + 14
        if any(isinstance(p, Step) and (p.kind, p.label) == (step.kind, text) for p in beside):
            return 0
        return text_width(text.replace(", ", "\n"), self.size) + 3

    def step(self, row, step, beside=(), towers=1):
        """Draw one layer: an arrow, and the slab of what comes out; one of each a tower."""
        self.used.add(step.kind)
        slab = Slab(0, row.y, step.side, step.channels // towers, self.scale)
        apart = towers != len(row.before)
        mixes = not apart and towers > 1 and step.groups == 1 and step.kind not in KEEPING
        gap = max(self.gap, 24 if apart or mixes else 0)
        gap = max(gap, self.room(step, beside) - (0 if self.large else slab.right))
        start, row.x, fork, row.fork = row.x, row.fork or row.x, row.fork, None
        heights = [one.y for one in row.before]
        if apart:
            pitch = slab.high + slab.deep + 7 * self.scale
            heights = [row.y + pitch * ((towers - 1) / 2 - i) for i in range(towers)]
        elif towers == 1:
            heights = [row.y]
        slabs = [replace(slab, x=row.x + gap, y=height) for height in heights]
        for i, one in enumerate(slabs):
            one.draw(row.pen)
            for source in row.before if apart or mixes else row.before[i : i + 1]:
                bend = (source.right, one.x - 6) if apart or mixes else fork and (start + 1, fork)
                groups = step.groups if towers == 1 else 1
                self.used.update(["groups"] if groups > 1 else [])
                self.arrow(row.pen, source.exit, (one.x, one.y), step.kind, groups, bend)
        text, folded = self.words(step)
        if self.large:
            middle = (row.x + slabs[0].x) / 2 - 2
            row.pen.text(middle, heights[0] + 4, text, self.size, va="bottom")
            if folded:
                row.pen.text(middle, heights[-1] - 5, folded, self.size - 1, GREY)
            text = ""
        end = slabs[0].right
        row.labels.append(_Label(text, row.x, end, slabs[-1], step.kind))
        row.before, row.x = slabs, end

    # ---- several parts

    def series(self, row, parts, towers=False):
        """Draw parts one after another; `towers` draws the groups of convolutions apart."""
        for i, part in enumerate(parts):
            if isinstance(part, Step):
                beside = [p for p in parts[max(i - 1, 0) : i + 2] if p is not part]
                self.step(row, part, beside, _towers(parts, i + 1) if towers else 1)
            elif isinstance(part, Split):
                self.split(row, part)
            elif isinstance(part, Group):
                self.group(row, part)
            else:
                row.exits.append((row.before[0], part.parts))

    def group(self, row, group):
        """Draw a block; one that repeats on a panel with the number."""
        parts, start, x = list(group.parts), len(row.pen.items), row.x
        if group.count > 1:
            row.labels.append(None)
            row.x += 5
            last = parts[-1]
            if isinstance(last, Split) and last.join.kind == "concatenate":  # it grows
                kept, total = last.join.parts[0], group.shape[-1]
                join = replace(last.join, shape=group.shape, parts=(kept, total - kept))
                parts[-1] = replace(last, join=join)
        self.series(row, parts, self.large)
        if group.count > 1:
            row.panels.append((x + 3, row.x + 4, group.count))
            row.labels.append(None)
            row.x += 6
        elif not self.large and any(isinstance(p, Split) and not _arc(p) for p in parts):
            low = row.pen.bounds(start)[1]
            name = group.name.replace("_", " ")
            row.pen.text((x + row.before[0].x) / 2, low - 4, name, 8, weight="bold")

    def split(self, row, split):
        self.used.add(split.join.kind)
        if _arc(split):
            self.shortcut(row, *_arc(split), split.join)
        else:
            self.lanes(row, split.branches, split.join)

    def meet(self, row, join, x):
        """Draw the slab at which branches meet."""
        slab = Slab(x, row.y, join.side, join.channels, self.scale, join.parts)
        if self.large and len(row.before[0].parts) > 1 and row.before[0].pieces:
            slab.parts = (*row.before[0].parts, *join.parts[1:])
        slab.draw(row.pen)
        text, row.x = "", slab.right
        if join.kind == "concatenate" and self.large:
            self.channels(row.pen, slab)
        elif join.kind == "concatenate":
            text = f"{join.channels:,}"
            row.x = max(row.x, (slab.x + slab.right + text_width(text, self.size)) / 2 + 4)
        row.labels.append(_Label(text, slab.x, slab.right, slab, join.kind))
        row.before = [slab]
        self.after(row, join)

    def after(self, row, join):
        """Write what was folded away after a join."""
        if self.large and join.then:
            words = ", ".join(join.then)
            row.pen.text(row.x + 4, row.y + 5, words, self.size - 1, GREY, "left", "bottom")
            row.x += 6

    def channels(self, pen, slab):
        """Write under a slab how many channels it has."""
        pen.text(slab.x + slab.thick / 2, slab.bottom - 4, f"{slab.channels:,}", self.size)

    def shortcut(self, row, arc, lane, join):
        """One branch goes on in the row, the other is an arc above it."""
        source, start = row.before[0], len(row.pen.items)
        concatenates = join.kind == "concatenate"
        self.series(row, lane, self.large)
        ends = row.before
        changed = (ends[0].side, ends[0].channels) != (join.side, join.channels)
        if concatenates or changed or len(ends) > 1:
            row.before = [source]
            self.meet(row, join, row.x + max(self.gap, 10) + (14 if len(ends) > 1 else 0))
            (slab,) = row.before
            for one in ends:
                self.arrow(row.pen, one.exit, slab.entry, "identity", 1, (one.right, slab.x - 6))
        else:
            (slab,) = ends
            self.after(row, join)
        top = row.pen.bounds(start)[3]
        x1, y1 = slab.top
        size = min(self.scale, 1.5)
        if not concatenates:
            row.pen.disc(x1, y1 + 4.2 * size, 4.2 * size, join.kind)
            y1 += 8.4 * size
        kind = arc[-1].kind if arc else "identity"
        self.used.add(kind)
        pieces = [source]
        if self.large and concatenates and not arc:  # a dense block: every tensor goes on
            pieces = source.pieces or [source]
            slab.pieces = [*pieces, ends[0]]
        for i, piece in enumerate(pieces):
            (x0, y0), left = piece.top, len(pieces) - 1 - i
            end, apex = x1 - 3 * left, max(top, piece.top[1], y1) + (10 + 9 * left) * size
            colour = SHADES[i % len(SHADES)] if len(slab.pieces) > 1 else KINDS[kind]
            if apex - min(y0, y1) > 30 * self.scale and len(pieces) == 1:
                row.pen.bracket(x0, y0, end, y1 + 4, apex, colour)
            else:
                reach = min(0.3 * (end - x0), 30 * self.scale)
                lift0, lift1 = (y + (apex - y) * 4 / 3 for y in (y0, y1))
                points = [(x0, y0), (x0 + reach, lift0), (end - reach, lift1), (end, y1 + 4)]
                row.pen.curve(points, colour, 1.6)
            row.pen.head(end, y1, 5, colour, down=True)
        words = ", ".join(self.words(step)[0].replace("\n", ", ") for step in arc)
        x0 = source.top[0]
        if words and (self.large or text_width(words, self.size) < x1 - x0 + 4):
            row.pen.text((x0 + x1) / 2, apex + 2, words, self.size, va="bottom")

    def lanes(self, row, branches, join):
        """Branches side by side, the first on top."""
        row.fork = row.x + 14 * self.scale
        heights = []
        for branch in branches:
            lane = row.try_out()
            self.series(lane, branch, self.large)
            self.write(lane)
            slabs = lane.slabs()
            low = min([row.y - 4, *(s.bottom for s in slabs), *lane.pen.bounds()[1:2]])
            heights.append((low - row.y, max([4, *(s.top[1] - row.y for s in slabs)])))
        space = 4 * self.scale
        total = sum(high - low for low, high in heights) + space * (len(heights) - 1)
        top, ends = row.y + total / 2, []
        for branch, (low, high) in zip(branches, heights):
            lane = row.try_out(top - high)
            self.series(lane, branch, self.large)
            self.write(lane)
            row.pen.add(lane.pen)
            ends.append(lane)
            top -= high - low + space
        right, adds = max(lane.x for lane in ends), join.kind != "concatenate"
        row.fork = None
        self.meet(row, join, right + 20 * self.scale + 12 * adds)
        end = row.before[0].x - 12 * adds
        for lane in ends:
            bend = (right, end - 5)
            self.arrow(row.pen, lane.before[0].exit, (end, row.y), "identity", 1, bend)
        if adds:
            row.pen.disc(end + 5, row.y, 4.2, join.kind)

    # ---- along a row

    def write(self, row):
        """Write the labels under a row, equal neighbours once, and draw the panels behind it."""
        if not row.slabs():
            return
        low = min(slab.bottom for slab in row.slabs()) - 4
        runs = []
        for label in row.labels:
            before = runs[-1] if runs else None
            if label is None or not label.text:
                runs.append(None)
            elif (
                before
                and (before[0].text, before[0].kind) == (label.text, label.kind)
                and label.kind != "concatenate"
            ):
                before.append(label)
            else:
                runs.append([label])
        for run in filter(None, runs):
            text, left, right = run[0].text, run[0].left, run[-1].right
            if len(run) == 1 or text_width(text, self.size) > right - left - 2:
                text = text.replace(", ", "\n")
            if len(run) > 1:
                row.pen.curve([(left + 4, low), (right - 1, low)], PALE, 0.8)
            halo = run[0].kind == "concatenate"
            row.pen.text((left + right) / 2, low - 1, text, self.size, halo=halo)
        for left, right, count in row.panels:
            inside = [box for _, box in row.pen.items if left < box[2] and box[0] < right]
            bottom = min(low - 1 - self.size * 1.45 * 2, *(box[1] for box in inside)) - 2
            row.pen.panel(left, bottom, right, max(box[3] for box in inside) + 4, "#F4EFE2")
            row.pen.text((left + right) / 2, bottom - 2, f"× {count}", 9, weight="bold")

    def ruler(self, row):
        """Write above a row how many pixels a side its tensors have."""
        top, spans = row.pen.bounds()[3] + 10, []
        for slab in row.slabs():
            if not spans or slab.side != spans[-1][0]:
                spans.append([slab.side, slab.x, 0])
            spans[-1][2] = slab.right
        for i, (side, left, right) in enumerate(spans):
            right = spans[i + 1][1] - 3 if i + 1 < len(spans) else right
            middle, half = (left + right) / 2, text_width(str(side), self.size) / 2 + 2
            if right - left > 2 * half + 8:
                for a, b in ((left, middle - half), (middle + half, right)):
                    row.pen.curve([(a, top), (b, top)], PALE, 0.8)
                for a in (left, right):
                    row.pen.curve([(a, top - 3), (a, top + 3)], PALE, 0.8)
            row.pen.text(middle, top, str(side), self.size, GREY, va="center")

    def begin(self, shape):
        """Return a row that holds the slab of the input."""
        slab = Slab(0, 0, shape[0] if len(shape) == 3 else 1, shape[-1], self.scale)
        row = _Row(Pen(), 0, [slab], slab.right)
        slab.draw(row.pen, RGB if shape[-1] == 3 else None)
        text = "" if self.large else f"{shape[-1]:,}"
        if self.large:
            self.channels(row.pen, slab)
        row.labels.append(_Label(text, slab.x, slab.right, slab, "image"))
        return row

    def finish(self, row):
        """Write what is written along a row, and draw the ways to other outputs below it."""
        self.write(row)
        low = row.pen.bounds()[1] - 6
        for slab, parts in row.exits:
            lane = _Row(Pen(), 0, [Slab(slab.right - 3, 0, 1, 1, 0.01)], slab.right)
            self.series(lane, parts)
            high = max(one.top[1] for one in lane.slabs())
            self.write(lane)
            kind = next(structure.steps(parts)).kind
            lane.pen.curve([(slab.right - 3, 0), (slab.right - 3, high - low)], KINDS[kind], 1.6)
            row.pen.add(lane.pen, 0, low - high)
        self.ruler(row)

    def rows(self, shape, parts, width=WIDTH - 12):
        """Return the rows that a network needs."""
        row, i, parts = self.begin(shape), 0, list(parts)
        rows = [row]
        while i < len(parts):
            part, trial = parts[i], row.try_out()
            beside = [p for p in parts[max(i - 1, 0) : i + 2] if p is not part]

            def place(row, part=part, i=i, beside=beside):
                if isinstance(part, Step):
                    self.step(row, part, beside, _towers(parts, i + 1))
                else:
                    self.series(row, [part])

            place(trial)
            if isinstance(part, Group) and part.count == 1 and trial.x - row.x > width - 60:
                parts[i : i + 1] = part.parts  # wider than a row
                continue
            if trial.x > width and row.x > width / 3:
                again = replace(row.before[0], x=16.0, y=0, pieces=[])
                row = _Row(Pen(), 0, [again], again.right)
                again.draw(row.pen, GHOST)
                row.labels.append(_Label("", again.x, again.right, again, "image"))
                rows.append(row)
            place(row)
            i += 1
        for row in rows:
            self.finish(row)
        return rows


def _page(rows):
    """Put rows under each other, joined by a line from the end of one to the start of the next."""
    page, y = Pen(), 0
    for i, row in enumerate(rows):
        _, low, _, high = row.pen.bounds()
        if i:
            above = y
            y -= high + 16
            x0, x1, between = rows[i - 1].before[0].exit[0], row.slabs()[0].x, y + high + 8
            start = above - rows[i - 1].pen.bounds()[1]
            points = [(x0, start), (WIDTH - 10, start), (WIDTH - 10, between), (4, between), (4, y)]
            for a, b in zip(points, [*points[1:], (x1 - 4, y)]):
                page.curve([a, b], PALE, 1.2)
            page.head(x1, y, 5, PALE)
        page.add(row.pen, 0, y)
        y += low
    return page


def _legend(layout, width):
    """Return a pen with the meaning of the colours and signs that were used."""
    pen, x, y, size = Pen(), 0, 0, 7.5
    for name in dict.fromkeys((*KINDS, *SIGNS)):
        if name not in layout.used:
            continue
        words = SIGNS.get(name, name)
        wide = 30 + text_width(words, size) + 14
        if x + wide > width:
            x, y = 0, y - 15
        if name in ("add", "multiply"):
            pen.disc(x + 18, y, 4.2, name)
        elif name == "concatenate":
            Slab(x + 11, y, 1, 12, 1.5, (1, 1, 1)).draw(pen)
        else:
            kind = "identity" if name == "groups" else name
            layout.arrow(pen, (x, y), (x + 24, y), kind, 3 if name == "groups" else 1)
        pen.text(x + 30, y, words, size, GREY, "left", "center")
        x += wide
    note = "slab: height = pixels a side (numbers above), thickness = channels, both logarithmic"
    if layout.large:
        note = "grey words: normalisation and activation beside the layer"
    if x + text_width(note, size) > width:
        x, y = 0, y - 15
    pen.text(x, y, note, size, GREY, "left", "center")
    return pen


def _figure(page, layout, least):
    """Return the figure of a page with the legend below it."""
    left, low, right, _ = page.bounds()
    page.add(_legend(layout, max(right - left, least)), 0, low - 18)
    return page.figure()


# ---- what chapters call


def network(models, blocks="grouped"):
    """Draw whole networks under each other, each made from the built model.

    Args:
        models: a functional `keras.Model`, or {title: model}.
        blocks: "grouped": equal blocks in a row are drawn once, with their number. "each": all are
            drawn. "closed": a block is one arrow with its name.

    Returns:
        The figure, at most 900 pixels wide.

    Raises:
        ValueError: blocks is not one of the above; a model has several inputs, or branches that
            cross.
    """
    ways = {"grouped": structure.grouped, "each": tuple, "closed": structure.closed}
    if blocks not in ways:
        raise ValueError(f"blocks is {blocks!r}; allowed: {', '.join(map(repr, ways))}.")
    models = models if isinstance(models, dict) else {"": models}
    trees = [
        (tuple(model.input_shape[1:]), ways[blocks](structure.parts(model)))
        for model in models.values()
    ]
    return _networks(list(models), trees, cramped=blocks == "each")


def _networks(titles, trees, cramped):
    @functools.cache
    def rows(gap):
        layout = _Layout(gap=gap)
        return layout, [layout.rows(*tree) for tree in trees]

    def needed(gap):
        return sum(len(one) for one in rows(gap)[1])

    gaps = [3, 4, 5, 6] * cramped + [8, 10, 12, 14, 16, 20, 24, 30, 36]
    # The widest gap that needs no more rows than the narrowest.
    best = bisect_right(gaps, needed(gaps[0]), key=needed) - 1
    layout, found = rows(gaps[best])
    page, y = Pen(), 0
    for title, rows in zip(titles, found):
        if title:
            page.text(0, y, title, 10.5, ha="left")
            y -= 20
        drawing = _page(rows)
        _, low, _, high = drawing.bounds()
        page.add(drawing, 0, y - high)
        y += low - high - 14
    return _figure(page, layout, 640)


def block(layers, shape=None):
    """Draw blocks side by side, large, each made from the built layer.

    Args:
        layers: a layer that has layers inside, or {title: layer}.
        shape: (height, width, channels) of their input. None where every layer was taken out of a
            model, which knows it.

    Returns:
        The figure, at most 900 pixels wide where the blocks are.

    Raises:
        ValueError: a layer's input is not known, or its branches cross.
    """
    layers = layers if isinstance(layers, dict) else {"": layers}
    trees = []
    for layer in layers.values():
        own = shape
        if own is None:
            try:
                own = tuple(layer.input.shape[1:])
            except (AttributeError, ValueError):
                raise ValueError(
                    f"{layer.name} is in no model; give shape=(height, width, channels)."
                ) from None
        if not layer.built:  # a layer may make layers for the input that it gets
            layer.build((None, *own))
        trees.append((own, structure.parts(layer, own)))
    return _blocks(list(layers), trees)


def _blocks(titles, trees):
    for scale in (1.7, 1.4, 1.2):
        layout = _Layout(scale, 13 * scale, large=True)
        page = _side_by_side(layout, titles, trees)
        if page.bounds()[2] - page.bounds()[0] <= WIDTH - 12:
            break
    return _figure(page, layout, 500)


def _side_by_side(layout, titles, trees):
    """Return a page with blocks in rows; the blocks of one row stand at one height."""
    lines, x = [[]], 0
    for title, (shape, parts) in zip(titles, trees):
        row = layout.begin(shape)
        layout.series(row, parts, towers=True)
        layout.finish(row)
        left, _, right, _ = row.pen.bounds()
        wide = max(right - left, text_width(title, 10.5))
        if x and x + wide > WIDTH - 12:
            lines.append([])
            x = 0
        lines[-1].append((title, row.pen, x - left))
        x += wide + 44
    page, y = Pen(), 0
    for line in lines:
        high = max(pen.bounds()[3] for _, pen, _ in line) + 20 * any(titles)
        for title, pen, x in line:
            page.add(pen, x, y - high)
            page.text(x + pen.bounds()[0], y, title, 10.5, ha="left")
        y += min(pen.bounds()[1] for _, pen, _ in line) - high - 24
    return page
