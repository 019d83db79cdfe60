"""The notebooks as Colab runs them: no clone, another folder, the package from pip.

Chapter 00 installs from the address of a repository, a local one here; chapter 04 from the file
that `make colab` writes. The set-up cell itself installs into an environment of its own, which
sees the packages of this one but not this checkout. pip gets no network, so that it could not
replace TensorFlow, Keras or NumPy without failing.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from notebook_tools import NOTEBOOKS, ROOT, code, write

import notebooks as commands

KEPT = ("tensorflow", "keras", "numpy", "matplotlib")
WHAT_RAN = f"""import json
from importlib.metadata import version
print(json.dumps({{
    "course_lib": course_lib.__file__,
    "versions": [version(name) for name in {KEPT}],
}}))"""
BUILD = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "requirements.txt")
ADDRESS = "https://github.com/somebody/some.course"
ADVICE = "Drag the one file that `make colab` writes into the file pane on the left"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout, which is a git repository of its own and has its own .venv."""
    copy = tmp_path_factory.mktemp("copy") / "과정 copy"
    copy.mkdir()
    for name in ("course_lib", "data", "benchmarks/results"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("downloads"))
    for name in (*BUILD, "constraints.txt", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    me = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for words in (["init", "-q"], ["add", "."], [*me, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=copy, check=True)
    (copy / ".venv/bin").mkdir(parents=True)
    (copy / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (copy / ".venv/bin/python").chmod(0o755)
    (copy / ".venv/.installed").write_text(f"{copy}\n")
    return copy


@pytest.fixture(scope="module")
def wheel(checkout):
    """The file that `make colab` writes."""
    if shutil.which("make") is None:
        assert not os.environ.get("CI"), "install make"
        pytest.skip("needs make, for example apt-get install make")
    outside = {key: os.environ[key] for key in os.environ if not key.startswith(("MAKE", "MFL"))}
    (checkout / "build/lib/course_lib").mkdir(parents=True)
    (checkout / "build/lib/course_lib/left_over.py").touch()
    (checkout / "course_lib-0.0.1-py3-none-any.whl").touch()
    done = subprocess.run(
        ["make", "colab"], cwd=checkout, env=outside, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = checkout.glob("*.whl")
    assert done.stdout.splitlines()[-1] == f"Drag this file into Colab's file pane: {path.name}"
    assert not (checkout / "build").exists()
    assert "course_lib/left_over.py" not in zipfile.ZipFile(path).namelist()
    return path


class Colab:
    """A Colab-like machine: google.colab is loaded, and the folder of its kernel is content."""

    def __init__(self, home):
        self.home, self.content = home, home / "content"
        self.content.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "python"], check=True)
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.python = str(home / "python" / scripts / "python")
        (site,) = home.glob("python/**/site-packages")
        # A folder named in a .pth file is searched, but the .pth files in it (this checkout's)
        # are not.
        (site / "colab.pth").write_text(sysconfig.get_path("purelib"))
        self.environment = {
            "PYTHONPATH": str(ROOT / "tests/colab_sim"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "COURSE_PROFILE": "cpu",
            "CUDA_VISIBLE_DEVICES": "-1",
        }

    def run(self, book):
        """Run a notebook; raises CellExecutionError at the first error."""
        kernel = self.home / "share/kernels/colab"
        kernel.mkdir(parents=True)
        start = [self.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        facts = {"display_name": "Colab", "language": "python", "argv": start}
        (kernel / "kernel.json").write_text(json.dumps({**facts, "env": self.environment}))
        place = {"metadata": {"path": str(self.content)}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(self.home / "share"))
            NotebookClient(book, timeout=200, kernel_name="colab", resources=place).execute()

    def set_up(self, address):
        """Run only a set-up cell; return the last line of what it says."""
        done = subprocess.run(
            [self.python, "-c", commands.setup_cell(Path("04_small.ipynb"), address)],
            cwd=self.content,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )
        return (done.stderr if done.returncode else done.stdout).splitlines()[-1]


@pytest.fixture
def colab(tmp_path):
    return Colab(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "way"), [("00_start_here", "address"), ("04_alexnet", "file")])
def test_chapter_runs_in_colab(colab, request, name, way):
    path = NOTEBOOKS / f"{name}.ipynb"
    text = path.read_text(encoding="utf-8")
    if name == "04_alexnet":  # what it learns in its one training does not matter here
        assert text.count("cpu=16_000") == 1
        text = text.replace("cpu=16_000", "cpu=500")
    book = nbformat.reads(text, 4)
    address = ""
    if way == "address":
        address = request.getfixturevalue("checkout").as_uri()
    else:
        shutil.copy(request.getfixturevalue("wheel"), colab.content)
    setup = next(cell for cell in book.cells if cell.cell_type == "code")
    assert setup.source == commands.setup_cell(path, commands.repository(NOTEBOOKS))
    setup.source = commands.setup_cell(path, address)
    book.cells.append(new_code_cell(WHAT_RAN))
    colab.run(book)

    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    ran = json.loads(book.cells[-1].outputs[0].text)
    assert ran["versions"] == [version(name) for name in KEPT]
    assert Path(ran["course_lib"]).is_relative_to(colab.home / "python")


def part_of(wheel, folder):
    """Put an upload into the folder that ended early."""
    with open(wheel, "rb") as whole:
        (folder / wheel.name).write_bytes(whole.read(1_000_000))


@pytest.mark.slow
def test_what_is_wrong_in_colab_is_said_in_a_sentence(colab, wheel):
    nothing = colab.set_up("")
    assert nothing.startswith(f"RuntimeError: There are 0 course files here, []. {ADVICE}")
    missing = "file:///there/is/no/such/repository"
    assert colab.set_up(missing).startswith(
        f"RuntimeError: git+{missing} is not complete, or not reached. {ADVICE}"
    )
    part_of(wheel, colab.content)
    broken = f"RuntimeError: {wheel.name} is not complete, or not reached. {ADVICE}"
    assert colab.set_up("").startswith(broken)
    assert colab.set_up(missing).startswith(broken)
    second = wheel.name.replace(".whl", " (1).whl")
    shutil.copy(wheel, colab.content / second)
    assert colab.set_up("").startswith(
        f"RuntimeError: There are 2 course files here, {[second, wheel.name]}. {ADVICE}"
    )
    (colab.content / second).unlink()
    shutil.copy(wheel, colab.content)
    assert colab.set_up(missing).startswith("04_small · profile: cpu")
    (colab.content / wheel.name).unlink()
    assert colab.set_up("").startswith("04_small · profile: cpu"), "a restart installs again"


# ---- the address: one setting, from an argument or from git


@pytest.fixture
def folder(tmp_path):
    """A folder of notebooks with one chapter and one source, beside a pyproject.toml as ours."""
    path = tmp_path / "notebooks"
    text = "# Title\n\n[![Open in Colab](old)](old)"
    for name in ("04_small", "assignments/source/04_small/04_small"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        write(path / f"{name}.ipynb", text, code("old"), code("kept"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = "".join(
        line for line in project.splitlines(True) if not line.startswith("Repository")
    )
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return path


def set_remote(folder, remote):
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=folder, check=True)


def setting(folder):
    """Return the address in pyproject.toml, which the notebooks must have too."""
    address = commands.repository(folder)
    for path in commands.every(folder):
        book = nbformat.read(path, 4)
        assert commands.badge(path, folder, address) in book.cells[0].source.splitlines()
        assert [c.source for c in book.cells[1:]] == [commands.setup_cell(path, address), "kept"]
        assert [c.metadata for c in book.cells[1:]] == [commands.FOLDED, {}]
    return address


def test_without_an_address_the_notebooks_ask_for_the_file(folder, capsys):
    set_remote(folder, "/some/folder.git")
    commands.main(["setup"], folder)
    assert setting(folder) == ""
    chapter = nbformat.read(folder / "04_small.ipynb", 4)
    assert "](https://colab.research.google.com/) (upload" in chapter.cells[0].source
    assert "git+" not in chapter.cells[1].source
    assert capsys.readouterr().out == (
        "Address that Colab installs from: none; "
        "python scripts/notebooks.py setup https://github.com/OWNER/REPO sets it.\n"
    )


@pytest.mark.parametrize(
    "remote",
    [ADDRESS, f"{ADDRESS}.git", f"{ADDRESS}/", "git@github.com:somebody/some.course.git"],
)
def test_the_address_is_that_of_git(folder, capsys, remote):
    set_remote(folder, remote)
    commands.main(["setup"], folder)
    assert setting(folder) == ADDRESS
    assert capsys.readouterr().out == f"Address that Colab installs from: {ADDRESS}.\n"


def test_an_argument_wins_over_the_setting_and_the_setting_over_git(folder):
    before = (folder.parent / "pyproject.toml").read_text(encoding="utf-8")
    set_remote(folder, "https://github.com/a/fork")
    commands.main(["setup", "https://github.com/first/one"], folder)
    commands.main(["setup", f"{ADDRESS}.git"], folder)
    commands.main(["setup"], folder)
    assert setting(folder) == ADDRESS
    text = (folder.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert text.replace(f'Repository = "{ADDRESS}"\n', "") == before


@pytest.mark.parametrize("given", ["somewhere", "https://gitlab.com/a/b", "https://github.com/a"])
def test_an_address_that_colab_cannot_open_is_refused(folder, given):
    with pytest.raises(SystemExit, match=f"The address is '{given}'; allowed: https://github.com"):
        commands.main(["setup", given], folder)
    assert commands.repository(folder) == ""


def test_running_a_chapter_keeps_the_set_up_cell_folded(folder):
    book = nbformat.read(folder / "04_small.ipynb", 4)
    book.cells[1].metadata.update(commands.FOLDED, collapsed=True)
    book.cells[2].metadata.update(jupyter={"outputs_hidden": True})
    commands.clean(book)
    assert [cell.metadata for cell in book.cells[1:]] == [commands.FOLDED, {}]
