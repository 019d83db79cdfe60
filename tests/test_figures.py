import base64
import io

import numpy as np
import pytest
from PIL import Image

from course_lib import figures


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
    assert [text.get_color() for text in names.values()] == list(figures.EIGHT)
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


def test_maps_over_pictures_share_one_scale_and_the_marked_have_a_frame():
    pictures, maps = np.zeros((3, 28, 28, 1)), [np.full((3, 3), k) for k in (1.0, 2.0, 4.0)]
    figure = figures.over_pictures(pictures, maps, "abc", marked=[1], columns=2)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.images[1].get_clim() for axes in drawn] == [(0, 4)] * 3
    assert [len(axes.patches) for axes in drawn] == [0, 1, 0]
    assert figures.collisions(figure) == []
