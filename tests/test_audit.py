"""The audit against counts by hand, against Keras, and against keras.applications."""

import json
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import audit as module
from course_lib import zoo
from course_lib.audit import audit
from course_lib.layers import ConvUnit, GroupedConv2D, LocalResponseNormalization

L = keras.layers


def chain(*layers, shape=(16, 16, 4)):
    image = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    "layer,macs",
    [
        (L.Conv2D(6, 3), 14 * 14 * 9 * 4 * 6),
        (L.Conv2D(6, 3, strides=2, padding="same"), 8 * 8 * 9 * 4 * 6),
        (L.Conv2D(6, 3, dilation_rate=2), 12 * 12 * 9 * 4 * 6),
        (L.Conv2D(6, (1, 5), groups=2), 16 * 12 * 5 * 2 * 6),
        (GroupedConv2D(6, 3, groups=2, padding="same"), 16 * 16 * 9 * 2 * 6),
        (L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), 16 * 16 * 9 * 4 * 2),
        (L.SeparableConv2D(8, 3, padding="same"), 16 * 16 * (9 * 4 + 4 * 8)),
        (L.Dense(7), 16 * 16 * 4 * 7),
        (L.MaxPooling2D(), 0),
        (LocalResponseNormalization(), 0),
    ],
)
def test_multiply_adds_by_hand(layer, macs):
    result = audit(chain(layer))
    assert result.macs == macs
    assert result.notes == []


def test_a_shared_layer_costs_twice_and_owns_its_parameters_once():
    shared = L.Conv2D(4, 3, padding="same")
    result = audit(chain(shared, shared))
    assert (result.params, result.macs) == (148, 2 * 16 * 16 * 9 * 16)
    assert [row.params for row in result.rows] == [148, 0]


def test_inside_of_composite_layers_and_of_models_within_models():
    inner = chain(L.Conv2D(4, 3, padding="same"), L.BatchNormalization())
    result = audit(chain(ConvUnit(4, 3, groups=2, name="unit"), inner))
    assert [row.path for row in result.rows][:3] == ["unit/conv", "unit/norm", "unit/activation"]
    assert result.macs == 16 * 16 * 9 * (2 * 4 + 4 * 4)
    assert [block.path for block in result.blocks()] == ["unit", inner.name]
    assert result.params == chain(inner).count_params() + 9 * 2 * 4 + 16


def test_several_inputs_and_outputs():
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 1), name="right")
    x = L.Concatenate()([left, right])
    model = keras.Model({"left": left, "right": right}, [L.Conv2D(2, 3)(x), L.Flatten()(x)])
    result = audit(model)
    assert result.macs == 6 * 6 * 9 * 4 * 2
    assert sorted(result.input_shapes) == [[8, 8, 1], [8, 8, 3]]


def test_trainable_and_all_parameters():
    frozen = L.Dense(3)
    model = chain(L.Flatten(), frozen, L.BatchNormalization())
    frozen.trainable = False
    result = audit(model)
    assert (result.params, result.trainable) == (1024 * 3 + 3 + 12, 6)
    assert sum(row.trainable for row in result.rows) == 6


@pytest.mark.parametrize(
    "layers,field",
    [
        ([L.Conv2D(1, 3), L.Conv2D(1, 3), L.Conv2D(1, 3)], (7, 7)),
        ([L.Conv2D(1, 3, strides=2), L.Conv2D(1, 3)], (7, 7)),
        ([L.MaxPooling2D(2), L.Conv2D(1, 3)], (6, 6)),
        ([L.Conv2D(1, 3, dilation_rate=2)], (5, 5)),
        ([L.Conv2D(1, (1, 5))], (1, 5)),
        ([L.GlobalAveragePooling2D()], (math.inf, math.inf)),
    ],
)
def test_receptive_field(layers, field):
    assert audit(chain(*layers)).rows[-1].field == field


def test_receptive_field_equals_the_reach_of_a_gradient():
    """Which input pixels change the centre output pixel, found by changing them one by one."""
    ones = {"kernel_initializer": "ones"}
    model = chain(
        L.Conv2D(1, 3, padding="same", **ones),
        ConvUnit(
            1, 3, 2, padding=1, normalization=None, activation=None, kernel_initializer="ones"
        ),
        L.Conv2D(1, 3, padding="same", **ones),
        shape=(33, 33, 1),
    )
    middle = model.output_shape[1] // 2
    probes = np.eye(33 * 33, dtype="float32").reshape(-1, 33, 33, 1)
    reached = model.predict(probes, verbose=0)[:, middle, middle, 0].reshape(33, 33) != 0
    assert audit(model).rows[-1].field == (reached.any(0).sum(), reached.any(1).sum())


def test_activation_memory_counts_bytes_of_the_compute_type():
    assert audit(chain(L.Conv2D(6, 3))).memory == 14 * 14 * 6 * 4
    assert audit(chain(L.Conv2D(6, 3, dtype="mixed_bfloat16"))).memory == 14 * 14 * 6 * 2


@pytest.mark.parametrize(
    "layer",
    [L.MultiHeadAttention(2, 4), L.LSTM(3), L.Lambda(lambda x: x * 2, output_shape=(4, 4))],
    ids=["attention", "recurrent", "lambda"],
)
def test_what_cannot_be_counted_is_said(layer):
    x = keras.Input((4, 4))
    attention = isinstance(layer, L.MultiHeadAttention)
    result = audit(keras.Model(x, layer(x, x) if attention else layer(x)))
    assert "are not counted" in result.notes[0]
    assert "not counted" in str(result)


def test_open_sides_need_an_input_shape():
    model = chain(L.Conv2D(2, 3), shape=(None, None, 3))
    with pytest.raises(ValueError, match="give input_shape"):
        audit(model)
    assert audit(model, (10, 10, 3)).macs == 8 * 8 * 9 * 3 * 2
    with pytest.raises(ValueError, match="a keras.Model"):
        audit(L.Dense(3))


@pytest.mark.parametrize(
    "name,macs",
    [
        ("MobileNet", 568_740_352),
        pytest.param("DenseNet121", 2_834_161_664, marks=pytest.mark.slow),
    ],
)
def test_keras_applications(name, macs):
    model = getattr(keras.applications, name)(weights=None)
    result = audit(model)
    assert (result.params, result.macs, result.notes) == (model.count_params(), macs, [])


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
    st.sampled_from(["same", "valid"]),
)
def test_parameters_equal_keras_own_count(kernel, strides, groups, padding):
    model = chain(GroupedConv2D(4, kernel, strides, padding, groups=groups), L.BatchNormalization())
    result = audit(model)
    assert sum(row.params for row in result.rows) == result.params == model.count_params()
    positions = math.prod(model.output_shape[1:3])
    assert result.macs == positions * kernel * kernel * 4 // groups * 4


def test_a_sequential_that_begins_with_an_input_needs_no_input_shape():
    layers = [L.Conv2D(6, 3), L.Flatten(), L.Dense(10)]
    result = audit(keras.Sequential([keras.Input((16, 16, 4)), *layers]))
    assert (result.macs, result.params) == (14 * 14 * (9 * 4 * 6 + 6 * 10), 9 * 4 * 6 + 6 + 11770)
    with pytest.raises(ValueError, match="give input_shape"):
        audit(keras.Sequential([L.Flatten(), L.Dense(10)]))


def test_auditing_changes_no_weight_and_no_layer():
    model = chain(L.BatchNormalization(), L.Dropout(0.5), L.Conv2D(2, 3))
    before = model.get_weights()
    audit(model)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_command_line(capsys):
    module.main(["alexnet_paper", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["params"], found["macs"]) == (60_965_224, 724_406_816)
    module.main(["--list"])
    assert "alexnet_paper" in capsys.readouterr().out.split()
    module.main(["alexnet_small"])
    assert "receptive field" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        module.main(["alexnet_papr"])
    assert stopped.value.code == 2
    assert "alexnet_paper" in capsys.readouterr().err


@pytest.mark.slow
def test_a_block_is_shown_with_its_own_output_not_its_last_layers():
    model = zoo.build("googlenet_small")
    shown = {row.path: row for row in audit(model).blocks()}
    for layer in model.layers:
        if layer.name in shown:
            assert shown[layer.name].output_shape == tuple(layer.output.shape[1:]), layer.name
    inside = [row.field for row in audit(model).rows if row.path.startswith("inception_3a/")]
    assert shown["inception_3a"].field == max(inside) > inside[-1]
