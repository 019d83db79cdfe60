import re

import numpy as np
import pytest

from course_lib import figures, mechanisms
from course_lib.convolution import output_side

CONVNET = [("conv1", 3, 1), ("pool1", 2, 2), ("conv2", 3, 1), ("pool2", 2, 2), ("conv3", 3, 1)]
CONVNET += [("pool3", 2, 2)]
PICTURE = np.zeros((28, 28))
ANSWER = {"coat": 0.5, "pullover": 0.3, "shirt": 0.1, "dress": 0.06, "T-shirt/top": 0.04}
FIGURES = {
    "neuron": mechanisms.neuron,
    "backpropagation": mechanisms.backpropagation,
    "convolution_step": lambda: mechanisms.convolution_step(
        np.eye(5), np.eye(3), np.full((3, 3), -12), 1, 2
    ),
    "squares": lambda: mechanisms.squares_on_picture(
        PICTURE, dict(zip("abcdef", range(3, 9))), "a"
    ),
    "volume": mechanisms.volume,
    "volume_of_one": lambda: mechanisms.volume(side=5, channels=1, maps=3),
    "stride_and_padding": mechanisms.stride_and_padding,
    "receptive_field": lambda: mechanisms.receptive_field(CONVNET),
    "receptive_field_of_vgg": lambda: mechanisms.receptive_field([("3x3", 3, 1)] * 3, side=15),
    "pointwise": mechanisms.pointwise,
    "three_convolutions": mechanisms.three_convolutions,
    "grouped_convolutions": mechanisms.grouped_convolutions,
    "grouped_convolutions_8": lambda: mechanisms.grouped_convolutions(8, 2),
    "data_parallel": mechanisms.data_parallel,
    "data_parallel_4": lambda: mechanisms.data_parallel(4, 8),
    "added_gradients": mechanisms.added_gradients,
    "minus_log": mechanisms.minus_log,
    "learning_rates": mechanisms.learning_rates,
    "guesses": lambda: mechanisms.guesses([PICTURE] * 3, [ANSWER] * 3, ["coat", "shirt", "bag"]),
}


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_can_be_read(name):
    figure = FIGURES[name]()
    assert figures.collisions(figure) == []
    assert figure.get_size_inches()[0] <= 9.2


def test_every_square_is_drawn():
    figure = FIGURES["squares"]()
    assert [patch.get_width() for patch in figure.axes[0].patches] == [3, 4, 5, 6, 7, 8]


def test_the_sizes_that_are_written_are_those_of_a_convolution():
    cases = ((1, 0), (1, 1), (2, 0), (2, 1))
    sizes = [text for text in texts(mechanisms.stride_and_padding(5, 3, cases)) if "→" in text]
    sides = [output_side(5, 3, stride, padding) for stride, padding in cases]
    assert sizes == [f"5x5 → {side}x{side}" for side in sides]


def test_the_receptive_field_that_is_written_is_the_one_that_is_drawn():
    figure = mechanisms.receptive_field(CONVNET)
    found = [int(text.split()[1]) for text in texts(figure) if text.startswith("sees")]
    assert found == [3, 4, 8, 10, 18, 22]  # chapter 02 counts them
    marked = [
        patch for patch in figure.axes[0].patches if patch.get_fc()[:2] == (213 / 255, 94 / 255)
    ]
    assert sum(patch.get_xy()[:, 0].max() < 20 for patch in marked) == 22  # in the first column


def test_every_device_has_a_gradient_and_its_share_of_the_batch():
    figure = mechanisms.data_parallel(4, 8)
    words = texts(figure)
    assert [f"gradient {n}" for n in range(1, 5)] == [w for w in words if w[:5] == "gradi"]
    assert "batch of 8" in words
    fills = [patch.get_facecolor() for patch in figure.axes[0].artists + figure.axes[0].patches]
    assert max(map(fills.count, fills)) >= 5  # two pictures twice, and the gradient's box


def test_a_shuffle_lets_every_output_see_every_group():
    for channels, groups in ((12, 3), (8, 2)):
        found = [t for t in texts(mechanisms.grouped_convolutions(channels, groups)) if "sees" in t]
        assert found == [f"an output sees 1 of {groups} groups", "an output sees all groups"]


def test_weights_and_work_are_counted():
    found = texts(mechanisms.three_convolutions(channels=4, maps=6))
    assert any("60 weights in place of 216" in text for text in found)
    work = [
        re.findall(r"[\d.]+", text)[0] for text in texts(mechanisms.pointwise()) if "adds" in text
    ]
    assert work == ["12.4", "120.4"]


def test_the_lengths_of_added_gradients_are_those_of_their_lines():
    figure = mechanisms.added_gradients(weight=0.5, others=3)
    lengths = [np.linalg.norm(np.ptp(line.get_xydata(), axis=0)) for line in figure.axes[0].lines]
    words = [re.findall(r"[\d.]+", text)[0] for text in texts(figure) if "times" in text]
    assert words == [f"{lengths[0]:.1f}", f"{lengths[1]:.2f}"] == ["2.5", "1.32"]


def test_descent_follows_the_slope_of_the_parabola():
    places = mechanisms.descend(0.5, -2.0, 3)
    np.testing.assert_allclose(places, [-2, -1, -0.5, -0.25])
    assert abs(mechanisms.descend(2.1, 1.0, 5)[-1]) > 1
