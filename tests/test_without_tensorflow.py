"""On JAX, where TensorFlow cannot be imported, the course runs all the same."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def environment(tmp_path):
    """Return the variables of a process in which every import of TensorFlow fails."""
    block = "import sys\nsys.modules['tensorflow'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(block, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return kept | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def run(environment, *words):
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


TOOLS = """
import importlib.util, os
import course_lib
assert importlib.util.find_spec("tensorflow") is None
from course_lib import audit, data, training, zoo
import keras
print(keras.backend.backend(), isinstance(data.load().train, tuple))
splits = data.load(train_limit=256, augment=True)
model = zoo.build("squeezenet_small")
training.fit(model, splits, epochs=1, progress=False)
few = tuple(part[:300] for part in splits.test)
print(training.evaluate(model, few)["images"], audit.audit(model).macs > 0)
"""


@pytest.mark.slow
def test_data_training_and_audit(environment):
    assert run(environment, "-c", TOOLS) == ["jax True", "300 True"]


def test_a_backend_that_was_chosen_stays(environment):
    code = "import course_lib, os; print(os.environ['KERAS_BACKEND'])"
    assert run(environment, "-c", code) == ["jax"]
    assert run(environment | {"KERAS_BACKEND": "torch"}, "-c", code) == ["torch"]


@pytest.mark.slow
def test_the_benchmark_of_speed(environment, tmp_path):
    words = ["benchmarks/speed.py", "mobilenet", "--size", "32", "--batch", "2"]
    words += ["--repeats", "1", "--seconds", "0.1", "--processes", "1"]
    assert any(line.startswith("| mobilenet | (ours) |") for line in run(environment, *words))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_chapter_07(environment, tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / "07_resnet.ipynb", 4)
    NotebookClient(notebook, timeout=600).execute(env=environment, cwd=str(tmp_path))
    text = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", ()))
    assert "backend: jax" in text
