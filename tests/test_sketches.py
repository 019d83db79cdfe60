import numpy as np
import pytest

from course_lib import figures, sketches

PATHS = [["entity", "… animal", "cat", "tabby"], ["entity", "… animal", "dog", "beagle"]]
PATHS += [["entity", "… food", "beverage", "espresso"]]
WON = {
    2010: 28.2,
    2011: 25.8,
    2012: 16.4,
    2013: 11.7,
    2014: 6.7,
    2015: 3.57,
    2016: 2.99,
    2017: 2.25,
}
SHOWN = {2010: "NEC-UIUC", 2011: "XRCE", 2012: "AlexNet", 2013: "Clarifai", 2014: "GoogLeNet"}
SHOWN |= {2015: "ResNet", 2016: "Trimps-Soushen", 2017: "SENet"}
ASIDE = ("did not enter", {2016: "DenseNet\nSqueezeNet", 2017: "MobileNet\nShuffleNet"})
NAMES = ["T-shirt/top", "Trouser", "Bag", "Ankle boot"]
FIGURES = {
    "layers": lambda: sketches.layers(np.zeros((28, 28)), 128, NAMES),
    "maps": lambda: sketches.probability_maps({"OR": np.eye(9)}, {"OR": [0, 1, 1, 1]}),
    "tree": lambda: sketches.tree(PATHS, marked=["tabby"]),
    "years": lambda: sketches.years(WON, SHOWN, "error", "a", band=(4.1, 6.3, "a person")),
    "years_aside": lambda: sketches.years(WON, {2014: "GoogLeNet"}, "error", "a", aside=ASIDE),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_can_be_read(name):
    figure = FIGURES[name]()
    assert figures.collisions(figure) == []
    assert figure.get_size_inches()[0] <= 9.6


def test_layers_counts_the_weights():
    texts = [text.get_text() for text in FIGURES["layers"]().axes[0].texts]
    assert "784 x 128 weights\n+ 128 biases" in texts
    assert "128 x 4 weights\n+ 4 biases" in texts


def test_a_tree_holds_each_name_once_and_its_lines_join_parent_and_child():
    axes = FIGURES["tree"]().axes[0]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert len(axes.texts) == len(places) == 9
    assert places["entity"][0] < places["animal"][0] < places["cat"][0] < places["tabby"][0]
    assert places["animal"][1] == np.mean([places["cat"][1], places["dog"][1]])
    assert sum(line.get_linestyle() == ":" for line in axes.lines) == 2  # animal and food


def test_no_paper_that_did_not_enter_lies_on_the_curve():
    axes = FIGURES["years_aside"]().axes[0]
    curve, *beside = axes.lines
    assert list(curve.get_ydata()) == list(WON.values())
    assert all(mark.get_ydata()[0] > 20 for mark in beside)
