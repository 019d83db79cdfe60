"""Run the course's notebooks.

    python scripts/notebooks.py execute [04 ...]   run, clean, and store the outputs in place
    python scripts/notebooks.py chapter 04         run one in a temporary folder; show its verdicts
    python scripts/notebooks.py setup              write set-up cell and Colab badge into all

`execute` runs the cpu profile, whose outputs are committed. It changes no notebook in which a
cell fails or writes to stderr. `setup` takes the repository's address from pyproject.toml;
`make assignments` then carries it into the learner's assignments.
"""

import argparse
import os
import re
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = ("holds here", "does not show at this scale", "contradicts")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
CELL_TIMEOUT = 600  # seconds
SETUP = """\
# In Colab this installs the course package. Anywhere else there is nothing to install.
import os
import subprocess
import sys
from importlib.util import find_spec

if find_spec("google") and find_spec("google.colab"):
    package = os.environ.get("COURSE_LIB_SPEC", "git+{address}")
    subprocess.run([sys.executable, "-m", "pip", "install", "-qq", package], check=True)
import course_lib

profile = course_lib.start("{name}")"""
BADGE = "[![Open in Colab]({up}images/colab-badge.svg)]({colab}/blob/main/notebooks/{path})"


def every(folder):
    """Return the paths of all chapters and assignments, sources included."""
    paths = sorted(folder.rglob("[0-9][0-9]_*.ipynb"))
    return [path for path in paths if ".ipynb_checkpoints" not in path.parts]


def find(number, folder):
    """Return the path of chapter ``number``, such as "04" or "4"; ValueError if there is none."""
    chapters = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    for path in chapters:
        if number and path.name[:2] == number.zfill(2):
            return path
    known = ", ".join(path.name[:2] for path in chapters)
    raise ValueError(f"There is no chapter {number!r}. Chapters: {known}.")


def run(path, **environment):
    """Execute a notebook in its own folder; return it, or raise RuntimeError with the cell."""
    notebook = nbformat.read(path, as_version=4)
    # Without captured file descriptors: log lines of C++ libraries are no output of a cell.
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[
            "--IPKernelApp.capture_fd_output=False",
            "--IPKernelApp.log_level=ERROR",
        ],
    )
    try:
        client.execute(env={**os.environ, **environment})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        raise RuntimeError(f"{path.name}: {plain}") from error
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}: cell {number} wrote to stderr:\n{output.text}")
    return notebook


def clean(notebook):
    """Drop what changes from run to run or from machine to machine; cell ids stay."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})


def execute(numbers, folder):
    """Run the chapters (all if no number is given) and store their outputs in place."""
    chapters = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if numbers:
        chapters = [find(number, folder) for number in numbers]
    for path in chapters:
        before = time.monotonic()
        notebook = run(path, COURSE_PROFILE="cpu", CUDA_VISIBLE_DEVICES="-1")
        clean(notebook)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        print(f"{path.name}: {time.monotonic() - before:.0f} s", flush=True)


def verdicts(notebook):
    """Return the lines of a notebook's outputs that state a verdict."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            found += [line for line in text.splitlines() if any(word in line for word in VERDICTS)]
    return found


def chapter(number, folder):
    """Run one chapter on this machine's profile; the committed notebook stays as it is."""
    path = find(number, folder)
    before = time.monotonic()
    notebook = run(path)
    result = Path(tempfile.mkdtemp(prefix="chapter-")) / path.name
    nbformat.write(notebook, result)
    print("\n".join(verdicts(notebook) or ["This chapter states no verdicts."]))
    print(f"{path.name}: {time.monotonic() - before:.0f} s, all cells ran. Outputs: {result}")


def repository(folder):
    """Return the repository's address: its one setting is in pyproject.toml."""
    project = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Repository"]


def setup_cell(path, address):
    """Return the source of the first code cell of the notebook at ``path``."""
    return SETUP.format(address=address, name=path.stem)


def badge(path, folder, address):
    """Return the badge line; an assignment's source has the one of the copy made from it."""
    inner = path.relative_to(folder)
    if "source" in inner.parts:
        inner = Path("assignments", path.name)
    colab = address.replace("https://github.com", "https://colab.research.google.com/github")
    return BADGE.format(up="../" * (len(inner.parts) - 1), colab=colab, path=inner.as_posix())


def setup(folder):
    """Write the badge line and the set-up cell into all chapters and sources of assignments."""
    address = repository(folder)
    for path in every(folder):
        if path.parent == folder / "assignments":
            continue  # derived from its source by `make assignments`
        notebook = nbformat.read(path, as_version=4)
        first = notebook.cells[0]
        first.source = "\n".join(
            badge(path, folder, address) if line.startswith("[![Open in Colab]") else line
            for line in first.source.splitlines()
        )
        code = next(cell for cell in notebook.cells if cell.cell_type == "code")
        code.source = setup_cell(path, address)
        nbformat.write(notebook, path)


def main(arguments=None, folder=ROOT / "notebooks"):
    parser = argparse.ArgumentParser(description="Run the course's notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    several = commands.add_parser("execute", help="run, clean, and store the outputs in place")
    several.add_argument("numbers", nargs="*", metavar="NN", help="chapters; all if none is given")
    one = commands.add_parser("chapter", help="run one chapter and show its verdicts and time")
    one.add_argument("number", metavar="NN")
    commands.add_parser("setup", help="write the set-up cell and the Colab badge into all")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "execute":
            execute(asked.numbers, folder)
        elif asked.command == "chapter":
            chapter(asked.number, folder)
        else:
            setup(folder)
    except (ValueError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
