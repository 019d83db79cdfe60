"""On JAX, where TensorFlow cannot be imported, the course runs all the same."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import reference

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def environment(tmp_path):
    """Return the variables of a process in which every import of TensorFlow fails."""
    block = "import sys\nsys.modules['tensorflow'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(block, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    fast = {"XLA_FLAGS": reference.ON_JAX["XLA_FLAGS"]}
    return kept | fast | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def run(environment, *words, timeout=280):
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


TOOLS = """
import importlib.util, os
import course_lib
assert importlib.util.find_spec("tensorflow") is None
from course_lib import audit, data, experiments, training, zoo
import keras
print(keras.backend.backend(), isinstance(data.load().train, tuple))
splits = data.load(train_limit=256, augment=True)
model = zoo.build("squeezenet_small")
training.fit(model, splits, epochs=1, progress=False)
few = tuple(part[:300] for part in splits.test)
print(training.evaluate(model, few)["images"], audit.audit(model).macs > 0)
run = experiments.Run("toy", "one", "mlp_small", data={"train_limit": 256}, recipe={"epochs": 1})
record, _ = experiments.train(run, seed=0, progress=False)
print(record["input"], record["test"]["images"], sorted(record["versions"]))
"""


@pytest.mark.slow
def test_data_training_audit_and_experiments(environment):
    printed = run(environment, "-c", TOOLS)
    assert printed[:2] == ["jax True", "300 True"]
    assert printed[2] == "numpy 10000 ['jax', 'keras', 'numpy', 'python']"


def test_a_backend_that_was_chosen_stays(environment):
    code = "import course_lib, os; print(os.environ['KERAS_BACKEND'])"
    assert run(environment, "-c", code) == ["jax"]
    assert run(environment | {"KERAS_BACKEND": "torch"}, "-c", code) == ["torch"]


@pytest.mark.slow
def test_the_benchmark_of_speed(environment):
    words = ["benchmarks/speed.py", "squeezenet", "--size", "64", "--batch", "2"]
    words += ["--repeats", "1", "--seconds", "0.1", "--processes", "1"]
    assert any(line.startswith("| squeezenet | (fit) |") for line in run(environment, *words))


# JAX compiles the random start of Keras's layers anew for every shape. (That of SqueezeNet and
# AlexNet is JAX's own, in the test above and in test_alexnet.py.)
RANDOM_START = """import keras, numpy as np
def start(self, shape, dtype=None):
    return np.random.default_rng(0).normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape)
keras.initializers.VarianceScaling.__call__ = start"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_chapter_07(environment, tmp_path):
    book = nbformat.read(ROOT / "notebooks/07_resnet.ipynb", as_version=4)
    place = next(i for i, cell in enumerate(book.cells) if cell.cell_type == "code")
    book.cells.insert(place + 1, nbformat.v4.new_code_cell(RANDOM_START))
    text = nbformat.writes(book)
    assert text.count("cpu=5_000") == 1
    short = tmp_path / "short.ipynb"  # what it learns in its one training does not matter here
    short.write_text(text.replace("cpu=5_000", "cpu=500"), encoding="utf-8")
    words = ["--to", "notebook", "--execute", "--output", "07_resnet"]
    run(environment, "-m", "nbconvert", *words, str(short), timeout=580)
    book = nbformat.read(tmp_path / "07_resnet.ipynb", as_version=4)
    first = next(cell for cell in book.cells if cell.cell_type == "code")
    assert "jax" in "".join(output.get("text", "") for output in first.outputs)
