"""Run the course's notebooks.

    python scripts/notebooks.py execute [04 ...]   run, clean, and store the outputs in place
    python scripts/notebooks.py chapter 04         run one in a temporary folder; show its verdicts
    python scripts/notebooks.py setup [ADDRESS]    write set-up cell and Colab badge into all

`execute` runs the cpu profile, whose outputs are committed. It changes no notebook in which a
cell fails or writes to stderr. The address of the repository, which Colab installs from, is
`Repository` in pyproject.toml. `setup https://github.com/OWNER/REPO` sets it; where it is not set,
`setup` takes that of `git remote get-url origin`. Without any, the notebooks ask for the file that
`make colab` writes. `make assignments` then carries the cell into the learner's assignments.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = (
    "holds here",
    "contradicts",
    "does not show at this scale",
    "undecided",
    "not tested here",
)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
CELL_TIMEOUT = 600  # seconds
# The first cell of every notebook. Colab and JupyterLab show its first line only (FOLDED).
SETUP = """\
# @title Set-up: run this cell first. It makes `course_lib` and `profile`.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if "google.colab" in sys.modules and not find_spec("course_lib"):
    advice = (
        "Drag the one file that `make colab` writes into the file pane on the left, "
        "wait until it is there, and run this cell again."
    )
    found = sorted(map(str, Path().glob("course_lib*.whl"))) or {address}
    if len(found) != 1:
        raise RuntimeError(f"There are {{len(found)}} course files here, {{found}}. {{advice}}")
    if subprocess.run([sys.executable, "-m", "pip", "install", "-qq", *found]).returncode:
        raise RuntimeError(f"{{found[0]}} is not complete, or not reached. {{advice}}")
import course_lib

profile = course_lib.start("{name}")"""
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}
BADGE = "[![Open in Colab]({up}images/colab-badge.svg)]({page})"
UPLOAD = " (upload this notebook there; the README says how)"
COLAB = "https://colab.research.google.com/"
GITHUB = re.compile(r"(?:https://github\.com/|git@github\.com:)([\w.-]+/[\w.-]+?)(?:\.git)?/?")


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
    """Drop what changes from run to run or from machine to machine.

    Cell ids, tags and the fold of the set-up cell stay.
    """
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        kept = {
            key: value
            for key, value in cell.metadata.items()
            if (key == "tags" and value) or FOLDED.get(key) == value
        }
        cell.metadata = nbformat.from_dict(kept)


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
    """Return the repository's address as pyproject.toml has it; "" if it is not set."""
    project = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"].get("Repository", "")


def find_address(given, folder):
    """Return the address that is given, set, or git's remote, in this order; "" if there is none.

    Raises:
        ValueError: the address given is not that of a repository on GitHub, which Colab opens.
    """
    if given:
        match = GITHUB.fullmatch(given)
        if not match:
            raise ValueError(f"The address is {given!r}; allowed: https://github.com/OWNER/REPO.")
    elif repository(folder):
        return repository(folder)
    else:
        remote = subprocess.run(
            ["git", "remote", "get-url", "origin"], cwd=folder, capture_output=True, text=True
        )
        match = GITHUB.fullmatch(remote.stdout.strip())
    return f"https://github.com/{match[1]}" if match else ""


def set_address(address, folder):
    """Write the address into pyproject.toml."""
    path = folder.parent / "pyproject.toml"
    text = re.sub(r"^Repository = .*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    setting = f'[project.urls]\nRepository = "{address}"\n'
    path.write_text(text.replace("[project.urls]\n", setting), encoding="utf-8")


def setup_cell(path, address):
    """Return the source of the first code cell of the notebook at ``path``."""
    return SETUP.format(address=f'["git+{address}"]' if address else "[]", name=path.stem)


def badge(path, folder, address):
    """Return the badge line; an assignment's source has the one of the copy made from it."""
    inner = path.relative_to(folder)
    if "source" in inner.parts:
        inner = Path("assignments", path.name)
    up = "../" * (len(inner.parts) - 1)
    if not address:
        return BADGE.format(up=up, page=COLAB) + UPLOAD
    opened = address.replace("https://github.com/", COLAB + "github/")
    return BADGE.format(up=up, page=f"{opened}/blob/main/notebooks/{inner.as_posix()}")


def setup(given, folder):
    """Write the badge line and the set-up cell into all chapters and sources of assignments."""
    address = find_address(given, folder)
    if address != repository(folder):
        set_address(address, folder)
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
        code.metadata.update(FOLDED)
        nbformat.write(notebook, path)
    unset = "none; python scripts/notebooks.py setup https://github.com/OWNER/REPO sets it"
    print(f"Address that Colab installs from: {address or unset}.")


def main(arguments=None, folder=ROOT / "notebooks"):
    parser = argparse.ArgumentParser(description="Run the course's notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    several = commands.add_parser("execute", help="run, clean, and store the outputs in place")
    several.add_argument("numbers", nargs="*", metavar="NN", help="chapters; all if none is given")
    one = commands.add_parser("chapter", help="run one chapter and show its verdicts and time")
    one.add_argument("number", metavar="NN")
    cells = commands.add_parser("setup", help="write the set-up cell and the Colab badge into all")
    cells.add_argument("address", nargs="?", metavar="https://github.com/OWNER/REPO")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "execute":
            execute(asked.numbers, folder)
        elif asked.command == "chapter":
            chapter(asked.number, folder)
        else:
            setup(asked.address, folder)
    except (ValueError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
