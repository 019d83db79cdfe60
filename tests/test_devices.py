"""On two devices a training is that of one: the same losses, step by step.

The devices are two halves of the processor, each test's in a process of its own. A process begins
with what `HEAD` says, and ends with a line of JSON.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import reference

from course_lib import devices

ROOT = Path(__file__).resolve().parent.parent
FORMS = "alexnet vgg googlenet resnet densenet mobilenet squeezenet shufflenet".split()
TWO = "--xla_force_host_platform_device_count=2"
JAX = {**reference.ON_JAX, "XLA_FLAGS": f"{reference.ON_JAX['XLA_FLAGS']} {TWO}"}

HEAD = """
import json, os, sys
if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None  # loading it would take longer than the training
from types import SimpleNamespace
import course_lib, keras
import numpy as np
from course_lib import devices, training, zoo
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, halves)
random = np.random.default_rng(0)

def pictures(n, side=28):
    images = random.normal(size=(n, side, side, 1)).astype("float32")
    return images, random.integers(0, 10, n).astype("int32")

def tiny():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    x = keras.layers.Flatten()(keras.layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(image, keras.layers.Dense(10)(x))

def without_dropout(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model

devices.join()
"""

# The losses of three steps, with updates between them: gradients and statistics count, too.
STEPS = """
images, labels = pictures(8)
losses = {}
for name in sys.argv[1].split():
    for which in (("one",), ("all", *sys.argv[2:])):
        with devices.use(*which) as used:
            assert used is None or used["count"] == 2
            keras.utils.set_random_seed(0)
            model = without_dropout(zoo.build(f"{name}_small"))
            training.compile_for(model, keras.optimizers.SGD(0.01), 0)
            pass_ = lambda epoch: training.Pass(images, labels, epoch, batch_size=8)
            train = training.Batches(pass_, 0, training.heads_of(model))
            train, _ = devices.prepare(model, train, (images, labels))
            found = model.fit(train, epochs=3, shuffle=False, verbose=0)
        losses.setdefault(name, []).append(found.history["loss"])
print(json.dumps(losses))
"""


def python(code, *words, wait=True, **variables):
    """Run a program in a process of its own and return what its last line says."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", HEAD + code, *words]
    started = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if not wait:
        return started
    out, problems = started.communicate(timeout=550)
    assert started.returncode == 0, problems[-3000:]
    return json.loads(out.splitlines()[-1])


def largest_difference(pairs):
    return max(abs(a - b) for one, two in pairs for a, b in zip(one, two))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("variables", [JAX, {"KERAS_BACKEND": "tensorflow"}], ids=["jax", "tf"])
def test_the_losses_of_the_small_forms_are_those_of_one_device(variables):
    found = python(STEPS, " ".join(FORMS), **variables)
    assert set(found) == set(FORMS)
    for name, (one, two) in found.items():
        assert one[0] != one[1] != one[2]
        assert largest_difference([(one, two)]) < 1e-5, (name, one, two)


@pytest.mark.slow
def test_statistics_of_each_device_give_other_losses():
    """Four pictures have another mean and variance than eight. Without normalisation, no matter."""
    found = python(STEPS, "resnet squeezenet", "per device", KERAS_BACKEND="tensorflow")
    assert largest_difference([found["resnet"]]) > 1e-3
    assert largest_difference([found["squeezenet"]]) < 1e-5


# A training whose last batch of five two devices cannot share, and whose validation has seven.
FIT = """
which, file, *stop = sys.argv[1:]
splits = SimpleNamespace(train=pictures(21, 8), validation=pictures(7, 8))
with devices.use(which):
    model = tiny()
    recipe = {"learning_rate": 0.05, "optimizer": "sgd", "keep": "last", "progress": False}
    if stop:
        import signal
        class Killed(training.Keeper):
            def on_epoch_begin(self, epoch, logs=None):
                super().on_epoch_begin(epoch, logs)
                self.epoch = epoch
            def on_train_batch_end(self, batch, logs=None):
                if self.epoch == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
        training.Keeper = Killed
    found = training.fit(model, splits, epochs=4, batch_size=8, resume=file or None, **recipe)
    weights = [float(np.abs(w).mean()) for w in model.get_weights()]
    judged = training.evaluate(model, splits.validation)
print(json.dumps({**found, "weights": weights, "judged": judged}))
"""


def column(found, name):
    return [row[name] for row in found["epochs"]]


@pytest.mark.slow
@pytest.mark.parametrize("variables", [JAX, {"KERAS_BACKEND": "tensorflow"}], ids=["jax", "tf"])
def test_a_ragged_last_batch_is_trained_on(variables):
    one, two = (python(FIT, which, "", **variables) for which in ("one", "all"))
    pairs = [(one["weights"], two["weights"])]
    pairs += [(column(one, name), column(two, name)) for name in ("val_loss", "val_accuracy")]
    pairs += [([one["judged"]["loss"]], [two["judged"]["loss"]])]
    assert two["judged"]["images"] == 7
    assert largest_difference(pairs) < 1e-5
    # On TensorFlow the five pictures are there twice, and the mean over the pass counts them twice.
    losses = largest_difference([(column(one, "loss"), column(two, "loss"))])
    assert losses < 1e-5 if variables is JAX else 1e-5 < losses < 0.5


def two_processes(code, *words, **more):
    """Start a program twice, as on two hosts with one device each; return both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    shared = {**reference.ON_JAX, "KERAS_DISTRIBUTION_JOB_ADDRESSES": address}
    shared["KERAS_DISTRIBUTION_NUM_PROCESSES"] = "2"
    return [
        python(code, *words, wait=False, **shared, KERAS_DISTRIBUTION_PROCESS_ID=str(i), **more)
        for i in range(2)
    ]


def answers(started):
    found = [process.communicate(timeout=280) for process in started]
    for process, (_, problems) in zip(started, found):
        assert process.returncode == 0, problems[-3000:]
    return [json.loads(out.splitlines()[-1]) for out, _ in found]


@pytest.mark.slow
def test_the_losses_of_two_processes_are_those_of_one_device():
    for found in answers(two_processes(STEPS, "resnet")):
        assert largest_difference([found["resnet"]]) < 1e-5


@pytest.mark.slow
def test_two_processes_go_on_after_an_interruption(tmp_path):
    file = tmp_path / "run.npz"
    whole = python(FIT, "one", "", **reference.ON_JAX)
    killed = two_processes(FIT, "all", str(file), "stop")
    for process in killed:
        process.communicate(timeout=200)
        assert process.returncode
    before = file.read_bytes()
    both = answers(two_processes(FIT, "all", str(file)))
    assert file.read_bytes() != before
    for found in both:
        assert column(found, "epoch") == [1, 2, 3, 4]
        pairs = [(column(whole, name), column(found, name)) for name in ("loss", "val_loss")]
        assert largest_difference([*pairs, (whole["weights"], found["weights"])]) < 1e-5
    # The first two epochs were not trained again: their times are those of the file.
    assert column(both[0], "seconds")[:2] == column(both[1], "seconds")[:2]


def test_several_hosts_on_tensorflow_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="MultiWorkerMirroredStrategy does not work with Keras 3"):
        with devices.use("all"):
            pass
    for wrong, message in ((("two",), "devices is 'two'"), (("all", "none"), "is 'none'; allowed")):
        with pytest.raises(ValueError, match=message):
            with devices.use(*wrong):
                pass


TOY = """
[base]
network = "mlp_small"
changes = {hidden = [8]}
data = {train_limit = 256, batch_size = 100}
recipe = {epochs = 1, learning_rate = 0.01}
seeds = [0]
"""

RUN = """
from pathlib import Path
from course_lib import experiments
experiments.HERE = Path.cwd()
words = ["one", "toy/base", "0", "--devices", "all", "--normalization", "per device"]
try:
    experiments.main(words)
except SystemExit as ended:
    print(json.dumps(ended.code))
"""


@pytest.mark.slow
def test_a_record_says_on_how_many_devices(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "toy.toml").write_text(TOY)
    monkeypatch.chdir(tmp_path)
    assert python(RUN, KERAS_BACKEND="tensorflow") == 0
    record = json.loads((tmp_path / "records/toy/base_seed0.json").read_text(encoding="utf-8"))
    said = {"count": 2, "processes": 1, "normalization": "per device"}
    assert record["devices"] == {"engine": "tf.distribute.MirroredStrategy", **said}
    assert record["test"]["images"] == 10_000


def test_the_devices_are_those_of_one_training_at_a_time(capsys):
    from course_lib import experiments

    with pytest.raises(SystemExit):
        experiments.main(["run", "alexnet", "--devices", "all", "--jobs", "2"])
    assert "--jobs is 2; allowed with --devices all: 1" in capsys.readouterr().err
