"""What must hold of all eight networks, in their small form; what is special to one paper is in
tests/test_<paper>.py.
"""

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_lib import training, zoo
from course_lib.alexnet import CAFFENET, TORCHVISION, AlexNet
from course_lib.audit import audit
from course_lib.densenet import DenseNet
from course_lib.googlenet import GoogLeNet
from course_lib.resnet import CifarResNet
from course_lib.vgg import VGG

NAMES = [f"{word}_small" for word in zoo.PAPERS]
IMAGES = np.random.default_rng(0).normal(size=(8, 28, 28, 1)).astype("float32")
LABELS = np.arange(8) % 10


@pytest.fixture(scope="module")
def networks():
    """Each small network once, from seed 0, with moving statistics as after training.

    Tests leave the weights as they found them.
    """
    built = {}
    for name in NAMES:
        keras.utils.set_random_seed(0)
        built[name] = zoo.build(name)
        norms = [x for x in built[name]._flatten_layers() if hasattr(x, "momentum")]
        kept = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.04  # at once as after 30 batches with 0.9
        built[name](IMAGES, training=True)
        for norm, momentum in zip(norms, kept):
            norm.momentum = momentum
    return built


def logits(model, images):
    return np.asarray(training.main_output(model(images, training=False)), "float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_variable_gets_a_gradient(networks, name):
    model = networks[name]
    state = model.get_weights()
    with tf.GradientTape() as tape:
        outputs = model(IMAGES, training=True)
        heads = outputs.values() if isinstance(outputs, dict) else [outputs]
        loss = sum(
            tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(LABELS, y, from_logits=True)
            )
            for y in heads
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    model.set_weights(state)
    without = [
        variable.path
        for variable, gradient in zip(model.trainable_variables, gradients)
        if gradient is None or not np.any(gradient)
    ]
    assert without == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_saving_and_loading_gives_identical_outputs(networks, name, tmp_path):
    model = networks[name]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.array_equal(logits(model, IMAGES), logits(again, IMAGES))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_computes_in_the_precision_it_was_saved_with(name, tmp_path):
    with training.precision("mixed_bfloat16"):
        model = zoo.build(name)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    layers = [x for layer in again.layers[1:] for x in layer._flatten_layers()]  # 0: the image
    assert len(layers) > len(again.layers) or name in ("alexnet_small", "vgg_small")
    assert {x.path for x in layers if x.compute_dtype != "bfloat16"} == set()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_runs_and_stays_near(networks, name, policy):
    with training.precision(policy):
        model = zoo.build(name)
    model.set_weights(networks[name].get_weights())
    exact, mixed = logits(networks[name], IMAGES), logits(model, IMAGES)
    assert np.abs(exact - mixed).max() < 0.1 * np.abs(exact).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_image_an_odd_size_and_other_classes(name):
    model = zoo.build(name, input_shape=(37, 33, 3), classes=7)
    picture = np.random.default_rng(0).normal(size=(1, 37, 33, 3)).astype("float32")
    assert logits(model, picture).shape == (1, 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [1, 4, 9])
def test_a_tiny_image_works_or_is_refused_with_the_smallest_side(name, side):
    try:
        model = zoo.build(name, input_shape=(side, side, 1))
    except ValueError as refusal:
        smallest = int(re.search(r"at least (\d+) x \1 pixels", str(refusal)).group(1))
        assert smallest > side
    else:
        assert logits(model, np.zeros((1, side, side, 1), "float32")).shape == (1, 10)


@pytest.mark.parametrize("name", NAMES)
def test_channels_first_is_refused(name):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="'channels_first'; allowed: 'channels_last'"):
            zoo.build(name)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_and_classes_are_refused(name):
    with pytest.raises(ValueError, match="input_shape"):
        zoo.build(name, input_shape=(28, 28))
    with pytest.raises(ValueError, match="classes is 1"):
        zoo.build(name, classes=1)


ON_JAX = """
import json, sys
from course_lib import training, zoo
assert keras.backend.backend() == "jax"
errors = {}
for name in json.loads(sys.argv[1]):
    with np.load(f"{sys.argv[2]}/{name}.npz") as given:
        model = zoo.build(name)
        model.set_weights([given[f"w{i}"] for i in range(len(model.weights))])
        ours = np.asarray(training.main_output(model.predict_on_batch(given["images"])))
        expected = given["logits"]
        errors[name] = float(np.abs(ours - expected).max() / np.abs(expected).max())
print(json.dumps(errors))
"""


@pytest.mark.slow
def test_jax_gives_the_same_outputs_from_the_same_weights(networks, tmp_path):
    for name, model in networks.items():
        arrays = {f"w{i}": w for i, w in enumerate(model.get_weights())}
        np.savez(tmp_path / f"{name}.npz", images=IMAGES, logits=logits(model, IMAGES), **arrays)
    program = reference.NO_RANDOM_START + ON_JAX
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(NAMES), str(tmp_path)],
        env={**os.environ, **reference.ON_JAX},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    errors = json.loads(done.stdout.splitlines()[-1])
    assert set(errors) == set(NAMES)
    assert {name: error for name, error in errors.items() if not error < 1e-4} == {}


SEEDED = """
import json, sys
import keras, numpy as np

def build(name):  # from the seed on; the paper's module is imported here if it is not yet
    keras.utils.set_random_seed(0)
    from course_lib import zoo
    return [np.asarray(weight) for weight in zoo.build(name).weights]

differ = []
names = json.loads(sys.argv[1])
for name, other in zip(names, names[1:] + names[:1]):
    for module in [m for m in sys.modules if m.startswith("course_lib")]:
        del sys.modules[module]  # as in a fresh process
    first, second = build(name), build(name)
    build(other)
    third = build(name)
    if not all(map(np.array_equal, first + first, second + third)):
        differ.append(name)
print(json.dumps(differ))
"""


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_whatever_was_imported_or_built_before():
    names = [f"{word}_small" for word in zoo.MODULES]
    done = subprocess.run(
        [sys.executable, "-c", SEEDED, json.dumps(names)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


FEW = st.integers(0, 9)
SHAPES = st.tuples(st.integers(1, 80), st.integers(20, 80), st.sampled_from([1, 3]))
# Arguments of the builders, allowed and not; those of the other three papers are in their tests.
ARGUMENTS = {
    AlexNet: {
        "widths": st.sampled_from([(2, 4, 6, 4, 2), (1, 2, 3, 4, 5), (2, 2)]),
        "hidden": st.integers(1, 9),
        "stem": st.sampled_from([(11, 4, 0), (11, 4, 2), (5, 1, 2), (3, 2, 0)]),
        "groups": st.sampled_from([0, 1, 2]),
        "swapped": st.sampled_from([(), CAFFENET, TORCHVISION, CAFFENET[:1]]),
        "overlapping": st.booleans(),
        "without": st.sampled_from([None, "conv2", "conv4", "conv5"]),
    },
    VGG: {
        "depth": st.sampled_from(["A", "A-LRN", "B", "C", "D", "E", "F", 11, 16, 17]),
        "stacked": st.booleans(),
        "normalization": st.sampled_from([None, "batch"]),
        "width": st.floats(0.0, 0.1),
        "hidden": st.integers(1, 9),
        "pool_padding": st.sampled_from(["valid", "same"]),
    },
    GoogLeNet: {
        "auxiliary": st.booleans(),
        "reduce": st.booleans(),
        "normalization": st.sampled_from(["lrn", "batch", None]),
        "head": st.sampled_from(["average", "dense"]),
        "stem": st.sampled_from(["paper", "small"]),
        "width": st.floats(0.0, 0.2),
        "largest": st.sampled_from([3, 5, 7]),
        "pool4": st.sampled_from([2, 3, 4]),
    },
    CifarResNet: {
        "depth": st.sampled_from([7, 8, 14]),
        "width": st.integers(-1, 9),
        "shortcut": st.sampled_from(["A", "B", "C", False, "D"]),
        "normalization": st.sampled_from(["batch", None]),
        "stem_strides": st.integers(1, 3),
    },
    DenseNet: {
        "depth": st.sampled_from([6, 7, 10, 13, 16]),
        "growth": FEW,
        "bottleneck": st.booleans(),
        "compression": st.floats(0.0, 1.0),
        "stem": st.sampled_from(["cifar", "small"]),
        "initial": st.none() | FEW,
        "connection": st.sampled_from(["concatenate", "add"]),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("builder", ARGUMENTS, ids=lambda builder: builder.__name__)
@given(data=st.data())
@settings(
    deadline=None,
    max_examples=100,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@reference.shapes_only()
def test_what_a_builder_accepts_builds_and_the_rest_is_refused(builder, data):
    given_ = {"input_shape": SHAPES, "classes": st.integers(1, 9), **ARGUMENTS[builder]}
    arguments = data.draw(st.fixed_dictionaries(given_))
    try:
        model = builder(**arguments)
    except ValueError as refusal:
        assert re.search("allowed|needs images of at least", str(refusal)), refusal
        return
    for output in model.output.values() if isinstance(model.output, dict) else [model.output]:
        assert output.shape == (None, arguments["classes"])
    assert audit(model).params == model.count_params()
