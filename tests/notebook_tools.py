"""What the tests of the notebooks share: making small notebooks and running nbval on a folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
# One grey pixel.
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def code(source, *outputs, count=1, tags=()):
    """Return an executed code cell; an output is printed text or a dictionary of kinds."""
    stored = [
        new_output("stream", name="stdout", text=output)
        if isinstance(output, str)
        else new_output("display_data", data=output)
        for output in outputs
    ]
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, outputs=stored, execution_count=count, metadata=metadata)


def write(path, *cells):
    """Write the cells (a text is a markdown cell) as a notebook and return its path."""
    cells = [new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def replay(cell):
    """Return a copy of an executed cell whose code only shows the stored outputs again.

    It runs in a moment, so that a whole chapter can be put through nbval without training.
    """
    cell = nbformat.from_dict(cell)
    shown = json.dumps([output.get("data", output.get("text")) for output in cell.outputs])
    first = cell.source.partition("\n")[0]
    cell.source = (first if first.startswith("# tolerance") else "") + (
        "\nimport json\nfrom IPython.display import display\n"
        f"for shown in json.loads({shown!r}):\n"
        "    print(shown, end='') if isinstance(shown, str) else display(shown, raw=True)"
    )
    return cell


def run_nbval(folder):
    """Run nbval on every notebook of a folder; return {(name, cell number): outcome} and the log.

    An outcome is PASSED, FAILED or ERROR. Cells are counted from 0, code cells only.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "-rA", "--color=no"]
    files = sorted(str(path) for path in Path(folder).glob("*.ipynb"))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "nbval_tolerance", *options, *files],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)\.ipynb::Cell (\d+)", run.stdout, re.M)
    assert lines, run.stdout + run.stderr
    return {(name, int(number)): outcome for outcome, name, number in lines}, run.stdout
