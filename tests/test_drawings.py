import math
from collections import Counter

import keras
import pytest
from reference import shapes_only

from course_lib import drawings, figures, structure, zoo
from course_lib.audit import audit
from course_lib.densenet import DenseBlock
from course_lib.googlenet import MODULES, InceptionModule
from course_lib.mobilenet import DepthwiseSeparable
from course_lib.resnet import ResidualBlock
from course_lib.shufflenet import ShuffleUnit
from course_lib.squeezenet import Fire

NETWORKS = [
    "alexnet_paper",
    "vgg_D",
    "googlenet_paper_with_aux",
    "plain34",
    "resnet34_B",
    "resnet50_v1",
    "densenet121",
    "mobilenet_1.0_224",
    "squeezenet_v1.0_227",
    "squeezenet_v1.0_simple_bypass_227",
    "squeezenet_v1.0_complex_bypass_227",
    "shufflenet_1.0x_g3",
    *(f"{word}_small" for word in zoo.MODULES),
]
WAYS = {
    "plain34": ("each",),
    "resnet34_B": ("grouped", "each"),
    "squeezenet_v1.0_227": ("grouped", "closed"),
    "squeezenet_v1.0_complex_bypass_227": ("grouped", "closed"),
    "densenet_small": ("grouped", "each", "closed"),
}
BLOCKS = {
    "identity": (ResidualBlock(64), (56, 56, 64)),
    "projection": (ResidualBlock(128, 2), (56, 56, 64)),
    "zeros": (ResidualBlock(128, 2, shortcut="A"), (56, 56, 64)),
    "bottleneck": (ResidualBlock(64, bottleneck=True), (56, 56, 256)),
    "inception": (InceptionModule(MODULES["3a"]), (28, 28, 192)),
    "dense": (DenseBlock(3, 32), (56, 56, 64)),
    "separable": (DepthwiseSeparable(128), (56, 56, 64)),
    "fire": (Fire(16, 64, 64), (55, 55, 128)),
    "shuffle1": (ShuffleUnit(240, 3), (28, 28, 240)),
    "shuffle2": (ShuffleUnit(480, 3, 2), (28, 28, 240)),
}


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def all_steps(parts):
    """Yield every step of a network, those of repeated blocks and of other outputs included."""
    for part in parts:
        if isinstance(part, structure.Split):
            for branch in part.branches:
                yield from all_steps(branch)
        elif not isinstance(part, structure.Step):
            yield from all_steps(part.parts)
            continue
        yield part.join if isinstance(part, structure.Split) else part


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_drawn_whole_and_can_be_read(name, monkeypatch):
    with shapes_only():
        model = zoo.build(name)
        parts = structure.parts(model)
        drawn = [
            step for step in all_steps(parts) if getattr(step.layer, "kernel", None) is not None
        ]
        audited = [row.output_shape for row in audit(model).rows if row.macs]
        assert Counter(step.shape for step in drawn) == Counter(audited)
        monkeypatch.setattr(structure, "parts", lambda model: parts)
        for blocks in WAYS.get(name, ("grouped",)):
            figure = drawings.network({name: model}, blocks)
            assert figures.collisions(figure) == []
            assert figure.get_facecolor() == (1, 1, 1, 1)  # on a dark page, too
            assert figure.get_size_inches()[0] * 100 <= drawings.WIDTH + 2


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_can_be_read(name):
    layer, shape = BLOCKS[name]
    figure = drawings.block({name: layer, "again": layer}, shape)
    assert figures.collisions(figure) == []
    assert name in texts(figure)
    subsamples = any("zero channels" in text for text in texts(figure))
    assert subsamples == (name == "zeros")


def test_blocks_that_repeat_are_drawn_once_with_their_number():
    found = texts(drawings.network(zoo.build("densenet_small")))
    assert [text for text in found if text.startswith("×")] == ["× 4"] * 3
    sides = [text for text in found if text in ("28", "14", "7", "3")]
    assert sides == ["28", "14", "7", "3"]


def test_two_groups_are_two_towers_where_the_paper_has_them():
    parts = structure.parts(zoo.build("alexnet_paper"))
    towers = {step.name: drawings._towers(parts, i + 1) for i, step in enumerate(parts)}
    assert towers == {**dict.fromkeys(towers, 2), "fc6": 1, "fc7": 1, "fc8": 1}
    crossing = [step.name for step in parts if towers[step.name] == 2 and step.groups == 1]
    assert crossing == ["conv1", "pool1", "pool2", "conv3", "pool5"]


def test_shortcuts_are_found_in_a_network_without_blocks():
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    splits = [part for part in structure.parts(model) if isinstance(part, structure.Split)]
    assert len(splits) == 16
    assert sum(all(split.branches) for split in splits) == 4  # the projections
    image = x = keras.Input((8, 8, 3))
    for _ in range(2):
        x = keras.layers.Add()([x, keras.layers.Conv2D(3, 3, padding="same")(x)])
    figure = drawings.network(keras.Model(image, x))
    assert figures.collisions(figure) == []


def test_what_is_folded_away_is_told_in_the_right_place():
    (split,) = structure.parts(ResidualBlock(64), (56, 56, 64))
    first, second = split.branches[0]
    assert (first.then, second.then, split.join.then) == (("norm", "ReLU"), ("norm",), ("ReLU",))
    block = structure.parts(DenseBlock(2, 12), (8, 8, 24))
    assert block[0].parts[0].branches[1][0].first == ("norm", "ReLU")


def test_a_product_with_one_number_a_channel_has_the_size_of_the_picture():
    image = keras.Input((32, 32, 8))
    gate = keras.layers.Dense(8)(keras.layers.GlobalAveragePooling2D()(image))
    gated = keras.layers.Multiply()([image, keras.layers.Reshape((1, 1, 8))(gate)])
    found = texts(drawings.network(keras.Model(image, keras.layers.Conv2D(4, 1)(gated))))
    assert [text for text in found if text in ("32", "1")] == ["32", "1", "32"]


def test_wrong_arguments_are_told():
    model = zoo.build("mlp_small")
    with pytest.raises(ValueError, match="blocks is 'all'; allowed: 'grouped', 'each', 'closed'"):
        drawings.network(model, "all")
    with pytest.raises(ValueError, match=r"fire is in no model; give shape=\(height"):
        drawings.block(Fire(4, 8, 8, name="fire"))
    two = keras.Input((4,)), keras.Input((4,))
    with pytest.raises(ValueError, match="has 2 inputs; allowed: one"):
        drawings.network(keras.Model(two, keras.layers.Add()(two)))
    image = keras.Input((8, 8, 4))
    a, b = (keras.layers.Conv2D(4, 1)(image) for _ in range(2))
    c, d = keras.layers.Add()([a, b]), keras.layers.Multiply()([a, b])
    with pytest.raises(ValueError, match="branches cross here"):
        drawings.network(keras.Model(image, keras.layers.Add()([c, d])))


def test_a_layer_of_a_model_knows_its_input():
    layer = zoo.build("resnet_small").get_layer("stage2_1")
    assert "every 2nd pixel, 16 zero channels" in texts(drawings.block(layer))
    assert layer.output.shape[1:] == (14, 14, 32)  # drawing it left the model as it was


def test_labels_too_near_each_other_are_noticed(monkeypatch):
    monkeypatch.setattr(drawings, "text_width", lambda text, size: 0)
    figure = drawings.network(zoo.build("mobilenet_small"))
    assert any("overlap" in fault for fault in figures.collisions(figure))


def test_scales_are_the_same_in_all_figures():
    halves = [drawings.Slab(0, 0, side, 64, 1.0).high for side in (224, 112, 56)]
    assert math.isclose(halves[0] - halves[1], halves[1] - halves[2])
    assert drawings.Slab(0, 0, 7, 64, 1).thick < drawings.Slab(0, 0, 7, 128, 1).thick
