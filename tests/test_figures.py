import base64
import io
import json

import numpy as np
import pytest
from notebook_tools import NOTEBOOKS
from PIL import Image
from scipy import stats

from course_lib import (
    benchmarks,
    evidence,
    experiments,
    figures,
    ledger,
    metrics,
    rich,
    training,
    zoo,
)


def shown(figure, alt, monkeypatch):
    sent = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **kwargs: sent.append((data, kwargs))
    )
    figures.show(figure, alt)
    return sent[0]


def test_show_sends_a_picture_with_its_text_and_the_same_bytes_twice(monkeypatch):
    figure = figures.curves({"a": [3, 2, 1]}, "epoch", "loss", "Loss")
    data, kwargs = shown(figure, "loss falls from 3 to 1", monkeypatch)
    assert data["text/plain"] == "[figure: loss falls from 3 to 1]"
    assert kwargs["metadata"]["image/png"]["alt"] == "loss falls from 3 to 1"
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width > 300
    assert shown(figure, "loss falls from 3 to 1", monkeypatch)[0] == data
    with pytest.raises(ValueError, match="alt is empty"):
        figures.show(figure, " ")


@pytest.mark.parametrize(
    "figure",
    [
        figures.curves({"a": ([1, 2], [1, 2]), "b": [2, 1]}, "epoch", "loss", "Two"),
        figures.bars({"a": 1.0, "b": 2.0}, "error %", "Bars", spread={"a": 0.1, "b": 0.2}),
        figures.scatter({"a": (1, 2), "b": (10, 3)}, "parameters", "error %", "Points", log_x=True),
        figures.confusion(np.eye(3, dtype=int), ["a", "b", "c"], "Confusion"),
    ],
    ids=["curves", "bars", "scatter", "confusion"],
)
def test_every_plot_has_a_title_and_both_labels_where_axes_mean_something(figure):
    axes = figure.axes[0]
    assert axes.get_title(loc="left")
    assert axes.get_ylabel()
    assert axes.get_xlabel() or all(t.get_text() for t in axes.get_xticklabels())


def test_images_takes_grey_colour_and_signed_and_refuses_the_rest():
    for shape in ((5, 4, 4), (5, 4, 4, 1), (5, 4, 4, 3)):
        figure = figures.images(np.zeros(shape), titles="abcde", columns=3)
        assert sum(bool(axes.images) for axes in figure.axes) == 5
    signed = figures.images(np.array([[[-2.0, 1.0]]]), signed=True)
    assert signed.axes[0].images[0].get_clim() == (-2, 2)
    with pytest.raises(ValueError, match=r"pictures has shape \(4, 4\)"):
        figures.images(np.zeros((4, 4)))


def test_line_colours_stay_apart_for_the_commonest_colour_blindness():
    """Simulate deuteranopia (Vienot 1999, linear RGB) and ask for a visible distance."""
    sight = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in figures.COLOURS])
    seen = (rgb**2.2 @ sight.T).clip(0, 1) ** (1 / 2.2)
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distance[~np.eye(len(rgb), dtype=bool)].min() > 0.15


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_trade_off_labels_meet_no_label_and_no_point_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    names = ["alexnet", "vgg", "googlenet", "resnet", "densenet", "mobilenet", "squeezenet", "mine"]
    panels = {
        cost: {name: (rng.uniform(1, 10), rng.uniform(70, 90)) for name in names} for cost in "abc"
    }
    spread = {name: 0.3 for name in names}
    figure = figures.trade_off(panels, "accuracy in %", "Trade", spread=spread, hollow=("vgg",))
    renderer = figure.canvas.get_renderer()
    for axes, points in zip(figure.axes, panels.values()):
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert sorted(text.get_text() for text in axes.texts) == sorted(names)
        assert not any(box.count_overlaps(boxes) > 1 for box in boxes)
        centres = axes.transData.transform(list(points.values()))
        assert not any(box.contains(*centre) for box in boxes for centre in centres)
        assert all(axes.bbox.contains(*corner) for box in boxes for corner in box.corners())


def test_trade_off_joins_the_points_that_none_beats_and_leaves_spare_panels_empty():
    points = {"a": (1, 50), "b": (2, 40), "c": (4, 80)}
    figure = figures.trade_off({"cost": points}, "accuracy in %", "Trade")
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "front"]
    assert line.get_xydata().tolist() == [[1, 50], [4, 80]]
    low = figures.trade_off({"one": points, "two": points, "three": points}, "e", "T", high=False)
    (line,) = [line for line in low.axes[0].lines if line.get_label() == "front"]
    assert line.get_xydata().tolist() == [[1, 50], [2, 40]]
    assert [axes.axison for axes in low.axes] == [True, True, True, False]


ROWS = [
    ("deeper is worse", 3.9, 2.0, 5.8, 0.6, "+ holds here"),
    ("a wide one, of a claim with many words that need a second line", 1.0, -36, 38, 2.0, "? x"),
    ("as good as", 0.3, -0.1, 0.7, (-1, 1), "+ holds here"),
    ("a third", 0.1, -0.4, 0.6, None, "0 does not show at this scale"),
]


def test_forest_shows_every_row_with_its_outcome_and_marks_what_leaves_the_scale():
    groups = {"points of test error": ROWS, "times the epochs": [("b", 2.0, 1.5, 2.7, 6.0, "+ x")]}
    figure = figures.forest(groups, "Claims")
    assert figures.collisions(figure) == []
    axes, times = figure.axes
    assert [text.get_text() for text in axes.texts] == [row[5] for row in ROWS]
    assert [line.get_marker() for line in axes.lines if line.get_marker() in "<>"] == ["<", ">"]
    assert times.get_xscale() == "log"
    low, high = times.get_xlim()
    assert low * high == pytest.approx(1)  # as far below once as above
    assert high > 6


def test_forest_shows_the_papers_effect_beside_much_smaller_intervals():
    near = ("a", 0.1, -0.1, 0.3, 0.2, "0 x")
    missing = ("b", float("nan"), float("nan"), float("nan"), 9.0, "? x")
    (axes,) = figures.forest({"points": [near, near, near, missing]}, "Claims").axes
    assert axes.get_xlim()[1] > 9


def test_collisions_are_found():
    figure, axes = figures.canvas(width=4, height=3)
    axes.plot([0, 1], [0, 1])
    axes.set(xlabel="epochs", ylabel="error", title="Error")
    assert figures.collisions(figure) == []
    axes.text(0.5, 0.5, "here")
    axes.text(0.52, 0.5, "there")
    figure.text(0.97, 0.5, "far away")
    faults = ["'here' and 'there' overlap", "'far away' leaves the canvas"]
    assert sorted(figures.collisions(figure)) == sorted(faults)


def test_names_at_the_ends_of_lines_do_not_meet_and_have_their_lines_colour():
    lines = {name: ([1, 2], [k, 90 + k / 10]) for k, name in enumerate("abcdefgh")}
    figure = figures.curves(lines, "pictures", "accuracy in %", "Eight", ends=True)
    assert figures.collisions(figure) == []
    names = {text.get_text(): text for text in figure.axes[0].texts}
    assert list(names) == list(lines)
    assert [text.arrowprops["linestyle"] for text in names.values()] == [":"] * 8, "no curves"
    assert [line.get_color() for line in figure.axes[0].lines] == list(figures.EIGHT)
    heights = [text.get_position()[1] for text in names.values()]
    assert heights == sorted(heights), "the names stand in the order of the ends"


def test_trade_off_keeps_the_look_of_the_others_where_one_is_left_out():
    points = {"a": (1, 50), "b": (2, 60), "c": (4, 80)}
    whole = figures.trade_off({"cost": points}, "accuracy in %", "Trade")
    part = figures.trade_off({"cost": {**points, "b": None}}, "accuracy in %", "Trade")

    def looks(figure):
        lines = [line for line in figure.axes[0].lines if line.get_marker() in figures.MARKERS]
        return [(line.get_marker(), line.get_color()) for line in lines]

    assert looks(part) == [looks(whole)[0], looks(whole)[2]]


def test_stacked_bars_say_their_parts_and_leave_out_what_none_has():
    bars = {"one": {"a": 3.0, "b": 0.0, "c": 1.0}, "two": {"a": 2.0, "b": 0.0, "c": 2.5}}
    figure = figures.stacked(bars, "milliseconds", "Time")
    assert figures.collisions(figure) == []
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "c"]
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].containers[-1]]
    assert ends == [4.0, 4.5]


def test_tables_say_their_numbers_and_leave_out_what_is_none():
    grid = np.array([[1.0, 20.0], [np.nan, -3.0]])
    ticks = (["a", "b"], ["c", "d"])
    look = {"top": 20, "number": "{:+.1f}", "ticks": ticks}
    figure = figures.tables({"one": grid, "two": grid.T}, "layer", "source", **look)
    assert figures.collisions(figure) == []
    first = [(text.get_position(), text.get_text()) for text in figure.axes[0].texts]
    assert first == [((0, 0), "+1.0"), ((1, 0), "+20.0"), ((1, 1), "-3.0")]
    assert [text.get_position() for text in figure.axes[1].texts] == [(0, 0), (0, 1), (1, 1)]
    assert not figures.tables({"one": grid}, "x", "y", top=20).axes[0].texts


def test_races_leave_the_dots_of_those_that_are_not_ranked_open():
    found = {"ResNet": np.array([80.0, 82.0]), "VGG": np.array([70.0])}
    figure = figures.races({"short": found, "long": found}, {"short": found, "long": ["VGG"]}, "%")
    short, long = (axes.lines for axes in figure.axes)
    colour = {name: look[0] for name, look in figures.looks(found).items()}
    assert [line.get_markerfacecolor() for line in long] == ["white", colour["VGG"], colour["VGG"]]
    assert [line.get_markerfacecolor() for line in short][::2] == list(colour.values())
    assert list(short[1].get_xdata()) == [81.0, 81.0] and len(long) == 3


def test_maps_over_pictures_share_one_scale_and_the_marked_have_a_frame():
    pictures, maps = np.zeros((3, 28, 28, 1)), [np.full((3, 3), k) for k in (1.0, 2.0, 4.0)]
    figure = figures.over_pictures(pictures, maps, "abc", marked=[1], columns=2)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.images[1].get_clim() for axes in drawn] == [(0, 4)] * 3
    assert [len(axes.patches) for axes in drawn] == [0, 1, 0]
    assert figures.collisions(figure) == []


def test_a_network_has_one_look_wherever_its_name_begins_a_name():
    assert set(zoo.PAPERS) <= set(figures.LOOK)
    assert len(set(map(figures.LOOK.get, zoo.PAPERS))) == 8
    found = figures.looks(["other", "VGG-16", "resnet", "DenseNet, 28 layers", "plain, 20", "more"])
    for name, word in (
        ("VGG-16", "vgg"),
        ("resnet", "resnet"),
        ("DenseNet, 28 layers", "densenet"),
    ):
        assert found[name] == figures.LOOK[word]
    assert found["plain, 20"] == figures.LOOK["plain"]
    assert len(set(found.values())) == 6, "a name that is no network's has no network's look"
    assert len(set(figures.looks([*zoo.PAPERS, "yours"]).values())) == 9
    points = {"shufflenet": (1, 2), "vgg": (2, 1)}
    for figure in (
        figures.scatter(points, "x", "y", "T"),
        figures.trade_off({"x": points}, "y", "T"),
        figures.curves({name: ([1, 2], point) for name, point in points.items()}, "x", "y", "T"),
    ):
        drawn = {line.get_color(): line.get_marker() for line in figure.axes[0].lines}
        for word in points:
            colour, marker = figures.LOOK[word]
            assert drawn[colour] == marker


def test_two_to_four_lines_are_named_at_their_ends_in_every_panel_and_more_in_a_legend():
    lines = {name: [k, 2 * k] for k, name in enumerate("abcde")}
    for count in (1, 2, 4, 5):
        some = dict(list(lines.items())[:count])
        axes = figures.curves(some, "x", "y", "T").axes[0]
        assert len(axes.texts) == (count if count in (2, 4) else 0)
        assert bool(axes.get_legend()) == (count == 5)
    figure, panels = figures.canvas(1, 2)
    for axes in panels:
        figures.curves({"a": [1, 2], "b": [2, 1]}, "x", "y", "T", axes=axes)
        assert not axes.get_legend() and len(axes.texts) == 2
    assert figures.collisions(figure) == []


def test_a_line_that_leaves_the_picture_is_named_where_it_is_last_seen():
    figure = figures.curves({"up": [1, 50, 1000], "down": [3, 2, 1]}, "x", "y", "T")
    figure.axes[0].set_ylim(0, 100)
    assert figures.collisions(figure) == []  # which draws it
    ends = {text.get_text(): (*text.xy, text.get_position()[1]) for text in figure.axes[0].texts}
    assert ends == {"up": (2, 50, pytest.approx(0.5)), "down": (3, 1, pytest.approx(0.01))}


def test_points_have_no_line_and_a_logarithmic_axis_has_plain_numbers():
    lines = {"line": [1, 100], "points": [2, 50]}
    figure = figures.curves(lines, "x", "y", "T", markers=False, points=["points"], log_y=True)
    axes = figure.axes[0]
    line, points = axes.lines
    assert (line.get_linestyle(), line.get_marker()) == ("-", "None")
    assert (points.get_linestyle(), points.get_marker()) == ("None", "s")
    figures.ticks(axes.yaxis, [2, 50, 1_000_000])
    figure.draw_without_rendering()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["2", "50", "1,000,000"]
    assert len(axes.yaxis.get_minor_ticks()) == 0


@pytest.mark.parametrize("log", [False, True])
def test_names_at_the_ends_follow_what_a_chapter_does_to_its_axes(log):
    figure = figures.curves({"up": [1, 1000], "down": [1000, 1]}, "x", "y", "T", log_y=log)
    axes = figure.axes[0]
    axes.set_ylim(0.5, 4000)
    assert figures.collisions(figure) == []
    for name, y in (("up", 1000), ("down", 1)):
        (text,) = [text for text in axes.texts if text.get_text() == name]
        place = axes.transAxes.inverted().transform(axes.transData.transform((2, y)))[1]
        assert text.get_position()[1] == pytest.approx(max(place, 0))


def test_the_spread_is_a_band_and_of_many_lines_bars():
    half = metrics.half_interval([[1, 2], [2, 3], [3, 7]])
    low, high = stats.t.interval(0.95, 2, 4, stats.sem([2, 3, 7]))
    assert [4 - half[1], 4 + half[1]] == pytest.approx([low, high])
    (axes,) = figures.curves({"a": [2, 4]}, "x", "y", "T", spread={"a": half}).axes
    (band,) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(4 + half[1])
    lines = {name: [2, 4] for name in "abcde"}
    (axes,) = figures.curves(lines, "x", "y", "T", spread=dict.fromkeys("abcde", half)).axes
    ends = [np.ravel([path.vertices for path in bars.get_paths()]) for bars in axes.collections]
    assert len(ends) == 5 and all(end.max() == pytest.approx(4 + half[1]) for end in ends)


PLOTS = {  # a plot with 4 to 8 along its axes, and those that may be cut
    "curves": (lambda: figures.curves({"a": ([4, 8], [4, 8])}, "x", "y", "T"), "xy"),
    "counted": (lambda: figures.curves({"a": [4, 8]}, "x", "y", "T"), "y"),
    "scatter": (lambda: figures.scatter({"a": (4, 4), "b": (8, 8)}, "x", "y", "T"), "xy"),
    "trade_off": (lambda: figures.trade_off({"x": {"a": (4, 4), "b": (8, 8)}}, "y", "T"), "y"),
    "dots": (lambda: figures.dots({"a": [4, 8]}, "x", "T"), "x"),
}


@pytest.mark.parametrize("plot", PLOTS)
def test_an_axis_without_zero_has_strokes_at_its_foot(plot):
    make, may = PLOTS[plot]

    def strokes(figure):
        """Return the number of marks that change the picture."""
        pictures = []
        marks = [one for one in figure.axes[0].get_children() if type(one).__name__ == "_Cut"]
        for mark in [None, *marks]:
            if mark:
                mark.set_visible(False)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="rgba", bbox_inches=None)
            pictures.append(buffer.getvalue())
        return sum(one != other for one, other in zip(pictures, pictures[1:]))

    low = {"xlim": (3, 9), "ylim": (3, 9)}
    zero = {"xlim": (0, 9), "ylim": (0, 9)}
    for limits, count in ((low, len(may)), (zero, 0)):
        figure = make()
        limits = {name: ends for name, ends in limits.items() if name[0] in may}
        figure.axes[0].set(**limits)
        assert strokes(figure) == count


# Cells of the chapters that draw from records, with what they need from the cells before.
DRAWN = {
    "00_start_here": ("27b478a1", "445a5960", "2c2747d4"),
    "02_convolution": ("convolution-55", "convolution-60", "convolution-70b"),
    "04_alexnet": ("f3301366", "838eef21", "1acea549"),
    "05_vgg": ("fcf26819",),
    "06_googlenet": ("f586aedd",),
    "07_resnet": ("c07-38", "c07-39", "c07-57", "c07-61", "c07-64", "c07-blocks-figure"),
    "08_densenet": ("57b54a46",),
    "09_mobilenet": (
        *("c09-forest", "22f352c6", "7597ce87", "c09-line", "4be0e3a7", "af11685c"),
        *("37583934", "c3f2693e"),
    ),
    "10_squeezenet": ("sq043",),
    "11_shufflenet": ("c48",),
    "12_race": (
        *(
            "2ee589d7",
            "call-code",
            "73489ecf",
            "changes",
            "36d6852a",
            "08eba4ed",
            "904ee6bb",
            "59e58996",
        ),
        *("23c32bec", "e38715b8", "prices-long", "ff59d423", "r055b", "c8d908dc", "39778b65"),
    ),
}


@pytest.mark.parametrize("chapter", DRAWN)
def test_the_figures_of_a_chapter_can_be_read(chapter, monkeypatch):
    """Run its cells on the committed records, without building a network."""
    drawn = []
    monkeypatch.setattr(figures, "show", lambda figure, alt: drawn.append(figure))
    monkeypatch.setattr(evidence, "_count", lambda side, what: 1.0)
    monkeypatch.setattr("IPython.display.display", lambda *args, **kwargs: None)
    tools = (benchmarks, evidence, experiments, figures, ledger, metrics, rich, training, zoo)
    names = {tool.__name__.rpartition(".")[2]: tool for tool in tools} | {"np": np}
    book = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in book["cells"]}
    for key in DRAWN[chapter]:
        exec(cells[key], names)
    assert drawn or ".draw(" in cells[key], "a table stands where no test has its runs"
    assert [figures.collisions(figure) for figure in drawn] == [[]] * len(drawn)
