"""What chapter 13 says of batch normalisation in Keras's own ways to use several devices."""

import json
import os
import subprocess
import sys

import pytest

STEP = """
import contextlib, json
import keras, numpy as np

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
else:
    scope = keras.distribution.DataParallel(devices=keras.distribution.list_devices()).scope

def stepped(where, **options):
    rng = np.random.default_rng(0)
    with where():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(**options)]
        model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(2)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), batch_size=8, verbose=0)
        return model.get_weights()

def apart(**options):
    pairs = zip(stepped(contextlib.nullcontext), stepped(scope, **options), strict=True)
    return max(float(np.abs(one - two).max()) for one, two in pairs)

ways = [{}, {"synchronized": True}] if keras.backend.backend() == "tensorflow" else [{}]
print(json.dumps([apart(**options) < 1e-5 for options in ways]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "equal"), [("tensorflow", [False, True]), ("jax", [True])])
def test_on_which_backend_normalisation_is_of_the_whole_batch(backend, equal):
    several = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", STEP],
        env={**os.environ, **several, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == equal  # as it is, and synchronised
