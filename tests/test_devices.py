"""On two devices a training is that of one: the same losses, step by step.

The devices are two halves of the processor, which a process has to be told before it computes. So
functions below run in processes of their own. To load and to compile takes nearly all their time:
one process a backend finds all that the tests compare.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import reference

from course_lib import data, devices, experiments, training, zoo
from course_lib.profile import split_processor

TESTS = Path(__file__).resolve().parent
TF = {"KERAS_BACKEND": "tensorflow"}
TWO = "--xla_force_host_platform_device_count=2"
JAX = {**reference.ON_JAX, "XLA_FLAGS": f"{reference.ON_JAX['XLA_FLAGS']} {TWO}"}
LIMIT = 280  # seconds that processes may take; a test starts them twice at most
pytestmark = pytest.mark.timeout(2 * LIMIT + 20)
BACKENDS = pytest.mark.parametrize("backend", ["tensorflow", "jax"])

# The small forms, made smaller where their builders can.
FORMS = {
    "alexnet": {"widths": [2] * 5, "hidden": 4},
    "vgg": {"width": 0.0625, "hidden": 4},
    "googlenet": {"width": 0.0625},
    "resnet": {"width": 4},
    "densenet": {"depth": 10, "growth": 4},
    "mobilenet": {"shallow": True},
    "squeezenet": {"base_e": 8, "incr_e": 8},
    "shufflenet": {"units": [1, 1, 1]},
}

# ---- what the processes do


def pictures(n, side=28):
    random = np.random.default_rng(n)
    images = random.normal(size=(n, side, side, 1)).astype("float32")
    return images, random.integers(0, 10, n).astype("int32")


def steps(name, *where):
    """Return the loss of a step, and its mean with that of the next, which gradients decide.

    Each has five pictures, which two devices cannot share evenly. Dropout is off.
    """
    losses = []
    noted = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: losses.append(logs["loss"])
    )
    random = np.random.default_rng(0)

    def drawn(self, shape, dtype=None):  # Keras's own on JAX compile a program for each shape
        return random.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype("float32")

    with pytest.MonkeyPatch.context() as patch, devices.use(*where or ["one"]):
        patch.setattr(keras.initializers.VarianceScaling, "__call__", drawn)
        keras.utils.set_random_seed(0)
        model = zoo.build(f"{name}_small", **FORMS[name])
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        training.compile_for(model, keras.optimizers.SGD(0.01), 0)
        one_pass = training.Pass(*pictures(10), 0, batch_size=5)
        train = training.Batches(lambda epoch: one_pass, 0, None)
        train, _ = devices.prepare(model, train, pictures(5))
        model.fit(train, shuffle=False, verbose=0, callbacks=[noted])
    return [float(loss) for loss in losses]


def fitted(where, file=None, splits=None):
    """Train a tiny network for three epochs and return what came out.

    Its last batch of five two devices cannot share, nor the seven pictures of its validation.
    """
    splits = splits or SimpleNamespace(train=pictures(21), validation=pictures(7))
    given = {"batch_size": 8} if isinstance(splits.train, tuple) else {}
    with devices.use(where):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((28, 28, 1)), keras.layers.AveragePooling2D(7)]
        layers += [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(momentum=0.9)]
        layers += [keras.layers.Flatten(), keras.layers.Dense(10)]
        model = keras.Sequential(layers)
        recipe = {"learning_rate": 0.05, "optimizer": "sgd", "keep": "last", "progress": False}
        found = training.fit(model, splits, epochs=3, resume=file, **given, **recipe)
        weights = [float(np.abs(w).mean()) for w in model.get_weights()]
        judged = training.evaluate(model, splits.validation)
    return {**found, "weights": weights, "judged": judged}


def stopped(where, file, stop):
    """Begin `fitted`, which `stop` ends when two epochs are done."""
    real = training.Batches.turn_to

    def turn_to(self, epoch):
        if epoch == 2:
            stop()
        real(self, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Batches, "turn_to", turn_to)
        return fitted(where, file)


def few(numpy):
    """Load 21 pictures to train on and 16 for validation, as arrays or through tf.data."""
    splits = data.load(numpy=numpy, train_limit=21, batch_size=8)
    if numpy:
        return replace(splits, validation=tuple(part[:16] for part in splits.validation))
    return replace(splits, validation=splits.validation.take(2))


def interrupt():
    raise KeyboardInterrupt


def step_of_keras(scope, **options):
    """Take a step as chapter 13 says it, without `course_lib.devices`; return the weights."""
    random = np.random.default_rng(0)
    with scope():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(**options)]
        model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(2)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(random.normal(size=(8, 3)), random.normal(size=(8, 2)), batch_size=8, verbose=0)
        return model.get_weights()


def apart_by_keras(scope, **options):
    pairs = zip(step_of_keras(contextlib.nullcontext), step_of_keras(scope, **options), strict=True)
    return max(float(np.abs(one - two).max()) for one, two in pairs)


def masks(strategy):
    """Return what dropout leaves of 100 ones, for each of two calls and each device."""
    import tensorflow as tf

    with strategy.scope():
        layer = keras.layers.Dropout(0.5, seed=0)
        call = tf.function(lambda: strategy.run(lambda: layer(tf.ones(100), training=True)))
        return [[m.numpy().tolist() for m in call().values] for _ in range(2)]


def recorded(*words):
    """Train a toy experiment in this folder; return the exit status and the record."""
    Path("experiments").mkdir()
    Path("experiments/toy.toml").write_text(TOY, encoding="utf-8")
    experiments.HERE = Path.cwd()
    with pytest.raises(SystemExit) as ended:
        experiments.main(["one", "toy/base", "0", "--devices", "all", *words])
    return ended.value.code, experiments.read_record(Path("records/toy/base_seed0.json"))


TOY = """
[base]
network = "mlp_small"
changes = {hidden = [8]}
data = {train_limit = 256, batch_size = 100}
recipe = {epochs = 1, learning_rate = 0.01}
seeds = [0]
"""


def on_jax():
    scope = keras.distribution.DataParallel(devices=keras.distribution.list_devices()).scope
    return {
        "forms": {name: [steps(name), steps(name, "all")] for name in FORMS},
        "fitted": {where: fitted(where) for where in ("one", "all")},
        "by keras": {"as it is": apart_by_keras(scope)},
    }


def on_tensorflow():
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # it takes long
    split_processor(2)
    with devices.use() as used:
        assert used["count"] == 2
    strategy = devices._mirrored()  # a process can have one only
    tf.config.run_functions_eagerly(True)  # tracing takes longer than two steps
    found = {
        "forms": {name: [steps(name), steps(name, "all")] for name in FORMS},
        "per device": {name: steps(name, "all", "per device") for name in ("resnet", "vgg")},
    }
    tf.config.run_functions_eagerly(False)
    return {
        **found,
        "stopped": stopped("all", "stopped.npz", interrupt),
        "fitted": {where: fitted(where) for where in ("one", "all")},
        "resumed": fitted("all", "stopped.npz"),
        "inputs": [fitted("all", splits=few(numpy)) for numpy in (True, False)],
        "by keras": {
            "as it is": apart_by_keras(strategy.scope),
            "synchronized": apart_by_keras(strategy.scope, synchronized=True),
        },
        "masks": masks(strategy),
        "recorded": recorded("--normalization", "per device"),
    }


def one_of_two(file, stop):
    """Train beside another process, up to the end or until the third epoch kills both."""
    devices.join()
    if stop:
        return stopped("all", file, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return {"resnet": steps("resnet", "all"), **fitted("all", file)}


# ---- how they are started

PROGRAM = """
import json, os, sys
if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None  # to load it would take longer than the training
import test_devices
print(json.dumps(getattr(test_devices, sys.argv[1])(*sys.argv[2:])))
"""


def answers(each, function, *words, folder, die=False):
    """Call a function in processes that run side by side, one for each set of variables.

    Returns:
        What each returned; nothing where they are to die.
    """
    command = [sys.executable, "-c", PROGRAM, function, *words]
    pipes = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": folder}
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    started = [
        subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path, **variables}, **pipes)
        for variables in each
    ]
    try:
        said = [process.communicate(timeout=LIMIT) for process in started]
    except subprocess.TimeoutExpired:
        pytest.fail(f"{function} in {len(started)} processes: no answer within {LIMIT} seconds")
    finally:
        for process in started:
            process.kill()
    for process, (_, problems) in zip(started, said):
        assert bool(process.returncode) == die, problems[-3000:]
    return [json.loads(out.splitlines()[-1]) for out, _ in said if not die]


def two_hosts():
    """Return the variables of two processes, as on two hosts with one device each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    shared = {**reference.ON_JAX, "KERAS_DISTRIBUTION_JOB_ADDRESSES": address}
    shared["KERAS_DISTRIBUTION_NUM_PROCESSES"] = "2"
    return [{**shared, "KERAS_DISTRIBUTION_PROCESS_ID": str(i)} for i in range(2)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What `on_tensorflow` and `on_jax` return, by the backend's name."""
    known = {}

    def of(backend):
        if backend not in known:
            variables = {"tensorflow": TF, "jax": JAX}[backend]
            folder = tmp_path_factory.mktemp(backend)
            [known[backend]] = answers([variables], f"on_{backend}", folder=folder)
        return known[backend]

    return of


# ---- the tests


def apart(one, two):
    """Return the largest difference of two lists of numbers."""
    assert len(one) == len(two) > 0
    return max(abs(a - b) for a, b in zip(one, two))


def column(fit, name):
    return [row[name] for row in fit["epochs"]]


@pytest.mark.slow
@BACKENDS
def test_the_losses_of_the_small_forms_are_those_of_one_device(found, backend):
    forms = found(backend)["forms"]
    assert set(forms) == set(zoo.PAPERS)
    for name, (one, two) in forms.items():
        assert len(set(one)) == 2, name
        assert apart(one, two) < 1e-5, (name, one, two)


@pytest.mark.slow
def test_statistics_of_each_device_give_other_losses(found):
    """Half of the pictures have another mean and variance. Without normalisation, no matter."""
    own, forms = found("tensorflow")["per device"], found("tensorflow")["forms"]
    assert apart(own["resnet"], forms["resnet"][0]) > 1e-3
    assert apart(own["vgg"], forms["vgg"][0]) < 1e-5


@pytest.mark.slow
@BACKENDS
def test_a_ragged_last_batch_is_trained_on(found, backend):
    one, two = found(backend)["fitted"]["one"], found(backend)["fitted"]["all"]
    assert apart(one["weights"], two["weights"]) < 1e-5
    for name in ("val_loss", "val_accuracy"):
        assert apart(column(one, name), column(two, name)) < 1e-5
    assert two["judged"]["images"] == 7
    assert apart([one["judged"]["loss"]], [two["judged"]["loss"]]) < 1e-5
    # On TensorFlow the five pictures are there twice, and the mean over the pass counts them twice.
    shown = apart(column(one, "loss"), column(two, "loss"))
    assert shown < 1e-5 if backend == "jax" else 1e-5 < shown < 0.5


@pytest.mark.slow
def test_an_interrupted_training_goes_on_on_all_devices(found):
    half, resumed = (found("tensorflow")[which] for which in ("stopped", "resumed"))
    assert half["interrupted"] and column(resumed, "epoch") == [1, 2, 3]
    assert column(resumed, "seconds")[:2] == column(half, "seconds")  # not trained again
    whole = found("tensorflow")["fitted"]["all"]
    assert apart(whole["weights"], resumed["weights"]) < 1e-6
    for name in ("loss", "val_loss"):
        assert apart(column(whole, name), column(resumed, name)) < 1e-6


@pytest.mark.slow
def test_tf_data_gives_what_arrays_give(found):
    arrays, dataset = found("tensorflow")["inputs"]
    assert apart(arrays["weights"], dataset["weights"]) < 1e-6
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert apart(column(arrays, name), column(dataset, name)) < 1e-6


@pytest.mark.slow
def test_two_processes_train_as_one_device_and_go_on_after_they_were_killed(found, tmp_path):
    answers(two_hosts(), "one_of_two", "two.npz", "stop", folder=tmp_path, die=True)
    with np.load(tmp_path / "two.npz") as saved:
        half = {"epochs": json.loads(str(saved["rows"]))}
    alone = found("jax")["fitted"]["one"]
    for each in answers(two_hosts(), "one_of_two", "two.npz", "", folder=tmp_path):
        assert apart(each["resnet"], found("jax")["forms"]["resnet"][0]) < 1e-5
        assert column(each, "epoch") == [1, 2, 3]
        assert column(each, "seconds")[:2] == column(half, "seconds")  # not trained again
        assert apart(alone["weights"], each["weights"]) < 1e-5
        for name in ("loss", "val_loss"):
            assert apart(column(alone, name), column(each, name)) < 1e-5


def test_processes_that_begin_apart_are_refused(monkeypatch):
    """Each of them would train something, and all would add it up."""
    monkeypatch.setattr(devices, "of_the_first", lambda own: own)
    model = zoo.build("mlp_small", hidden=[2])
    devices._check_same_start(model)
    monkeypatch.setattr(devices, "of_the_first", lambda own: b"another")
    with pytest.raises(ValueError, match="process 0 begins with other weights than process 0"):
        devices._check_same_start(model)


def test_what_cannot_be_is_refused_with_what_to_do(monkeypatch, capsys):
    for wrong, message in ((["two"], "devices is 'two'"), (["all", "none"], "is 'none'; allowed")):
        with pytest.raises(ValueError, match=message), devices.use(*wrong):
            pass
    with pytest.raises(SystemExit):
        experiments.main(["run", "alexnet", "--devices", "all", "--jobs", "2"])
    assert "--jobs is 2; allowed with --devices all: 1" in capsys.readouterr().err
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="MultiWorkerMirroredStrategy does not work with Keras 3"):
        with devices.use("all"):
            pass
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    with pytest.raises(ValueError, match="not set: .*JOB_ADDRESSES, .*NUM_PROCESSES; see course"):
        devices.join()


@pytest.mark.slow
def test_a_record_says_on_how_many_devices(found):
    status, record = found("tensorflow")["recorded"]
    assert status == 0
    said = {"count": 2, "processes": 1, "normalization": "per device"}
    assert record["devices"] == {"engine": "tf.distribute.MirroredStrategy", **said}
    assert record["test"]["images"] == 10_000


def test_run_hands_the_devices_on(monkeypatch):
    """Each training is a process of its own."""
    asked = []

    def popen(words, env):
        asked.append(words[words.index("one") :])
        return SimpleNamespace(pid=0, poll=lambda: 0, returncode=0)

    monkeypatch.setattr(experiments.subprocess, "Popen", popen)
    monkeypatch.setattr(experiments.Run, "missing", lambda run: [3])
    for more in ([], ["--devices", "all"], ["--devices", "all", "--normalization", "per device"]):
        with pytest.raises(SystemExit):
            experiments.main(["run", "resnet/short", *more])
    plain, all_, own = asked
    assert plain == ["one", "resnet/short", "3"]
    assert all_ == [*plain, "--devices", "all", "--normalization", "synchronized"]
    assert own == [*plain, "--devices", "all", "--normalization", "per device"]


# ---- what chapter 13 says of Keras's own ways


@pytest.mark.slow
@BACKENDS
def test_on_which_backend_normalisation_is_of_the_whole_batch(found, backend):
    by_keras = found(backend)["by keras"]
    if backend == "jax":
        assert by_keras["as it is"] < 1e-5
    else:
        assert by_keras["as it is"] > 1e-3 and by_keras["synchronized"] < 1e-5


@pytest.mark.slow
def test_the_devices_of_tensorflow_drop_the_same(found):
    first, second = found("tensorflow")["masks"]
    for one, two in (first, second):
        assert one == two and set(one) == {0.0, 2.0}
    assert first != second
