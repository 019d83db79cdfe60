"""GoogLeNet: every part and the whole network against NumPy; training with three heads."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from reference import (
    ceil_pool,
    images,
    local_response,
    outputs,
    randomize,
    relative_error,
    unit,
)

from course_lib import training
from course_lib.googlenet import AuxiliaryClassifier, GoogLeNet, InceptionModule

MODULES = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]


def inception(x, module):
    """Fig. 2 in NumPy, (b) or, without reductions, (a)."""
    three = five = x
    pooled = ceil_pool(x, 3, 1, pad=1)
    if module.reduce:
        three, five = unit(x, module.reduce3), unit(x, module.reduce5)
        pooled = unit(pooled, module.projection)
    branches = [unit(x, module.conv1), unit(three, module.conv3), unit(five, module.conv5), pooled]
    return np.concatenate(branches, axis=-1)


def auxiliary(x, layer):
    """Sec. 5 in NumPy, without dropout: it is off outside training."""
    sides = [(side - 5) // 3 + 1 for side in x.shape[1:3]]
    x = np.stack(
        [
            np.stack(
                [
                    x[:, 3 * r : 3 * r + 5, 3 * c : 3 * c + 5].mean(axis=(1, 2))
                    for c in range(sides[1])
                ],
                axis=1,
            )
            for r in range(sides[0])
        ],
        axis=1,
    )
    x = unit(x, layer.conv).reshape(len(x), -1)
    kernel, bias = layer.fc.get_weights()
    x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = layer.classifier.get_weights()
    return x @ kernel + bias


@pytest.mark.parametrize("normalization", [None, "batch"])
@pytest.mark.parametrize("reduce, largest, out", [(True, 5, 15), (True, 3, 15), (False, 5, 15)])
def test_inception_module_equals_its_definition(reduce, largest, out, normalization):
    x = images((7, 6, 5))
    module = InceptionModule((4, 2, 3, 1, 3, 5), reduce, largest, normalization)
    module.build(x.shape)
    randomize(module)
    expected = inception(x, module)
    assert (expected == 0).any() and (expected > 0).any()
    assert relative_error(module(x), expected) < 1e-5
    assert module.compute_output_shape(x.shape) == expected.shape == (2, 7, 6, out)
    sides = [conv.conv.kernel.shape[0] for conv in (module.conv1, module.conv3, module.conv5)]
    assert sides == [1, 3, largest]
    again = InceptionModule.from_config(module.get_config())
    assert again.get_config() == module.get_config()


def test_reductions_save_most_of_the_weights():
    def weights(reduce):
        module = InceptionModule((64, 96, 128, 16, 32, 32), reduce)
        module.build((None, 28, 28, 192))
        return sum(np.prod(w.shape) for w in module.weights if w.name == "kernel")

    assert weights(True) == 163328
    assert weights(False) == 192 * (64 + 9 * 128 + 25 * 32)


@pytest.mark.parametrize("normalization", [None, "batch"])
def test_auxiliary_classifier_equals_its_definition(normalization):
    x = images((14, 11, 6))
    layer = AuxiliaryClassifier(7, filters=3, hidden=8, normalization=normalization)
    layer.build(x.shape)
    randomize(layer)
    assert relative_error(layer(x), auxiliary(x, layer)) < 1e-5
    assert layer.compute_output_shape(x.shape) == (2, 7)
    assert np.any(layer(x, training=True) != layer(x))  # dropout
    assert AuxiliaryClassifier.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"normalization": None, "head": "dense"},
        {"normalization": "batch", "largest": 3, "pool4": 2},
        {"reduce": False},
        {"stem": "small"},
    ],
)
def test_the_whole_network_equals_the_paper_in_numpy(changes):
    size = (80, 87, 3) if "stem" not in changes else (21, 24, 3)
    model = GoogLeNet(size, 7, auxiliary=True, width=1 / 16, **changes)
    randomize(model)
    norm = local_response if changes.get("normalization", "lrn") == "lrn" else lambda x: x
    part = model.get_layer
    x = images(size)
    found = outputs(model, [f"inception_{m}" for m in MODULES], x)
    logits = model(x, training=False)
    if "stem" in changes:
        y = norm(unit(x, part("conv1")))
    else:
        y = norm(ceil_pool(unit(x, part("conv1"), 2), 3, 2))
        y = norm(unit(unit(y, part("conv2_reduce")), part("conv2")))
    y = ceil_pool(y, 3, 2)
    aux = []
    for name in MODULES:
        if name == "4a":
            y = ceil_pool(y, 3, 2)
        if name == "5a":
            y = ceil_pool(y, changes.get("pool4", 3), 2)
        y = inception(y, part(f"inception_{name}"))
        assert relative_error(found[f"inception_{name}"], y) < 1e-4
        if name in ("4a", "4d"):
            aux.append(auxiliary(y, part(f"aux{len(aux) + 1}")))
    if changes.get("head") == "dense":
        kernel, bias = part("fc").get_weights()
        y = np.maximum(y.reshape(len(y), -1) @ kernel + bias, 0)
    else:
        y = y.mean(axis=(1, 2))
    kernel, bias = part("classifier").get_weights()
    assert relative_error(logits["main"], y @ kernel + bias) < 1e-4
    assert relative_error(logits["aux1"], aux[0]) < 1e-4
    assert relative_error(logits["aux2"], aux[1]) < 1e-4


@pytest.mark.slow
def test_without_the_auxiliary_classifiers_the_network_is_the_same():
    size = (28, 28, 1)
    trained = randomize(GoogLeNet(size, 10, stem="small", width=1 / 8, auxiliary=True))
    plain = GoogLeNet(size, 10, stem="small", width=1 / 8)
    kept = {w.path: w for w in trained.weights}
    for weight in plain.weights:
        weight.assign(kept[weight.path])
    x = images(size)
    np.testing.assert_array_equal(plain(x), trained(x)["main"])
    dropped = {path.split("/")[0] for path in kept.keys() - {w.path for w in plain.weights}}
    assert dropped == {"aux1", "aux2"}


@pytest.mark.slow
def test_the_training_recipe_weighs_the_three_losses():
    keras.utils.set_random_seed(0)  # from some starts a ReLU is dead for all twelve pictures
    size = (20, 20, 1)
    model = GoogLeNet(size, 3, stem="small", width=1 / 8, auxiliary=True)
    x, y = images(size, batch=12), np.arange(12) % 3
    splits = SimpleNamespace(train=(x, y), validation=(x, y))
    before = [w.numpy() for w in model.trainable_weights]
    training.fit(model, splits, epochs=1, batch_size=4, progress=False)
    assert not any(np.all(w.numpy() == old) for w, old in zip(model.trainable_weights, before))
    losses = {}
    for key, logits in model(x, training=False).items():
        loss = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        losses[key] = float(np.mean(loss))
    expected = losses["main"] + 0.3 * (losses["aux1"] + losses["aux2"])
    labels = dict.fromkeys(losses, y)
    found = model.evaluate(x, labels, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(expected, rel=1e-5)
    assert training.evaluate(model, (x, y))["loss"] == pytest.approx(losses["main"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stem, auxiliary, pool4, smallest", [
    ("paper", False, 3, 31), ("paper", True, 3, 79), ("small", False, 3, 8), ("small", True, 3, 20),
    ("paper", False, 2, 15), ("paper", True, 2, 79), ("small", False, 2, 4), ("small", True, 2, 20),
])  # fmt: skip
def test_the_smallest_image_works_and_a_smaller_one_is_refused(stem, auxiliary, pool4, smallest):
    arguments = {"classes": 2, "stem": stem, "auxiliary": auxiliary, "width": 1 / 16}
    arguments["pool4"] = pool4
    model = GoogLeNet((smallest, smallest, 1), **arguments)
    last, sides = ("inception_4a", (5, 5)) if auxiliary else ("inception_5b", (1, 1))
    assert model.get_layer(last).output.shape[1:3] == sides
    with pytest.raises(ValueError, match=f"at least {smallest} x {smallest} pixels"):
        GoogLeNet((smallest - 1, smallest, 1), **arguments)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: GoogLeNet(normalization="layer"), "normalization is 'layer'; allowed: 'lrn', 'b"),
        (lambda: GoogLeNet(head="max"), "head is 'max'; allowed: 'average', 'dense'"),
        (lambda: GoogLeNet(stem="cifar"), "stem is 'cifar'; allowed: 'paper', 'small'"),
        (lambda: GoogLeNet(largest=7), "largest is 7; allowed: 3, 5"),
        (lambda: GoogLeNet(pool4=4), "pool4 is 4; allowed: 2, 3"),
        (lambda: GoogLeNet(dropout=1), "dropout is 1; allowed: 0 <= dropout < 1"),
        (lambda: GoogLeNet(width=0.01), "width is 0.01; allowed: at least 0.0625"),
        (lambda: InceptionModule((1, 2, 3)), r"filters is \(1, 2, 3\); allowed: six positive"),
        (lambda: InceptionModule((1,) * 6, normalization="lrn"), "normalization is 'lrn'"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()
