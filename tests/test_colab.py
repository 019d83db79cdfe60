"""Chapters 00 and 04 as Colab runs them: no clone, another folder, the package from pip.

The package is built from a copy of the checkout and installed by the set-up cell itself into an
environment of its own, which sees the packages of this one but not this checkout. pip gets no
network, so that it could not replace TensorFlow, Keras or NumPy without failing.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from notebook_tools import NOTEBOOKS, ROOT

KEPT = ("tensorflow", "keras", "numpy", "matplotlib")
WHAT_RAN = f"""import json
from importlib.metadata import version
print(json.dumps({{
    "course_lib": course_lib.__file__,
    "versions": [version(name) for name in {KEPT}],
}}))"""


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Colab-like machine: its kernel is named colab, its folder content."""
    home = tmp_path_factory.mktemp("colab")
    copy, python = home / "copy", home / "python"
    copy.mkdir()
    (home / "content").mkdir()
    for name in ("course_lib", "data"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("downloads"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python], check=True)
    scripts = "Scripts" if os.name == "nt" else "bin"
    (site,) = python.rglob("site-packages")
    # A folder named in a .pth file is searched, but the .pth files in it (this checkout's) are not.
    (site / "colab.pth").write_text(sysconfig.get_path("purelib"))
    kernel = home / "share/kernels/colab"
    kernel.mkdir(parents=True)
    specification = {
        "display_name": "Colab",
        "language": "python",
        "argv": [
            str(python / scripts / "python"),
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ],
        "env": {
            "PYTHONPATH": str(ROOT / "tests/colab_sim"),
            "COURSE_LIB_SPEC": str(copy),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "COURSE_PROFILE": "cpu",
            "CUDA_VISIBLE_DEVICES": "-1",
        },
    }
    (kernel / "kernel.json").write_text(json.dumps(specification))
    return home


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["00_start_here", "04_alexnet"])
def test_chapter_runs_in_colab(colab, monkeypatch, name):
    monkeypatch.setenv("JUPYTER_PATH", str(colab / "share"))
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)
    book.cells.append(new_code_cell(WHAT_RAN))
    place = {"metadata": {"path": str(colab / "content")}}
    # Raises CellExecutionError at the first error.
    NotebookClient(book, timeout=200, kernel_name="colab", resources=place).execute()

    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    ran = json.loads(book.cells[-1].outputs[0].text)
    assert ran["versions"] == [version(name) for name in KEPT]
    assert Path(ran["course_lib"]).is_relative_to(colab / "python")
