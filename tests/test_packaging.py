"""The lists of packages agree, the wheel is complete, and the Makefile does what it says."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
IMPORTED_AS = {"pillow": "PIL", "scikit-image": "skimage"}


def lines(name):
    """Return a requirements file's lines without comments and `-r` lines."""
    text = (ROOT / name).read_text(encoding="utf-8")
    bare = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in bare if line and not line.startswith("-r ")]


def tracked():
    """Return the paths of the committed files, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# ---- the lists of packages


def test_environment_yml_names_the_same_packages():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^ +- (.+)$", text, re.MULTILINE)
    conda, pip = listed[: listed.index("pip:")], listed[listed.index("pip:") + 1 :]
    assert conda == ["conda-forge", "python>=3.11,<3.14", "pip"]
    assert pip == [*lines("requirements.txt"), "-e ."]


def test_the_package_needs_a_part_of_what_a_learner_installs():
    project = pyproject()["project"]
    assert set(project["dependencies"]) < set(lines("requirements.txt"))
    assert project["requires-python"] == ">=3.11"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_requirements_are_lower_bounds_and_are_met_here(name):
    for line in lines(name):
        requirement = Requirement(line)
        assert [part.operator for part in requirement.specifier] == [">="], line
        assert requirement.url is None and requirement.marker is None, line
        version = importlib.metadata.version(requirement.name)
        assert requirement.specifier.contains(version), f"{line}, but {version} is installed"


def test_constraints_pin_every_requirement_within_its_bound():
    pinned = {}
    for line in lines("constraints.txt"):
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)", line).groups()
        assert canonicalize_name(name) not in pinned, line
        pinned[canonicalize_name(name)] = version
    for line in lines("requirements.txt") + lines("requirements-test.txt"):
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), line


def third_party_imports(path):
    """Return the top-level names that a module imports, without the standard library's."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"course_lib"}


def test_the_package_declares_what_it_imports_and_no_more():
    def importable(requirements):
        names = [Requirement(line).name for line in requirements]
        return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}

    package = importable(pyproject()["project"]["dependencies"])
    # These need Jupyter, which Colab has and a learner's machine gets from requirements.txt:
    # grading is a teacher's command, and pictures are shown by a notebook.
    jupyter = importable(lines("requirements.txt")) | {"IPython"}
    imported = {"importlib_resources"}  # by TensorFlow Datasets, which does not say so
    for path in (ROOT / "course_lib").rglob("*.py"):
        allowed = jupyter if path.stem in ("grade", "figures") else package
        imported |= third_party_imports(path)
        unknown = third_party_imports(path) - allowed - {"jax"}  # imported where Keras runs on it
        assert not unknown, f"{path.relative_to(ROOT)} imports {sorted(unknown)}"
    assert package <= imported, f"declared, never imported: {sorted(package - imported)}"


# ---- the wheel


def copy_of_checkout(folder):
    for name in tracked():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


LOAD_INSTALLED = """
import sys, pathlib
sys.modules["tensorflow"] = None
import course_lib
from course_lib import benchmarks, data
print(pathlib.Path(course_lib.__file__).parent.parent)
print(data._folders(None)[0].relative_to(pathlib.Path(course_lib.__file__).parent))
print(data.load(numpy=True).test[0].shape, course_lib.__version__)
print(benchmarks.load("latency_cpu")["clock"])
"""


@pytest.mark.slow
def test_the_wheel_is_complete_and_needs_no_checkout(tmp_path):
    source = copy_of_checkout(tmp_path / "한글 폴더 with spaces")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
        + ["--no-build-isolation", "--wheel-dir", str(tmp_path), "."],
        cwd=source,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for name in tracked():
        if name.startswith("course_lib/"):
            assert (installed / name).is_file(), f"the wheel lacks {name}"
        elif name.startswith("data/"):
            assert (installed / "course_lib/embedded" / name[5:]).is_file(), name
        elif name.startswith("benchmarks/results/"):
            assert (installed / "course_lib/measured" / name[19:]).is_file(), name
    done = subprocess.run(
        [sys.executable, "-c", LOAD_INSTALLED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        str(installed),
        "embedded",
        f"(10000, 28, 28, 1) {importlib.metadata.version('course-lib')}",
        "processor time of one core",
    ], done.stderr


def test_the_repository_stays_small():
    size = sum((ROOT / name).stat().st_size for name in tracked())
    assert size < 60e6, f"the committed files have {size / 1e6:.1f} MB; 60 are allowed"


# ---- the Makefile, with a stand-in for .venv/bin/python that writes down how it is called

STAND_IN = """#!/bin/sh
for word in "$@"; do
  case "$word" in *" "*) printf "'%s' " "$word";; *) printf '%s ' "$word";; esac
done >> calls
echo >> calls
case "$*" in "-c "*) echo "-c constraints.txt";; esac
"""


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("make") is None:
        assert not os.environ.get("CI"), "install make"
        pytest.skip("needs make, for example apt-get install make")
    folder = tmp_path / "한글 폴더 with spaces"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    for name in ("requirements.txt", "requirements-test.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv/bin/python").write_text(STAND_IN)
    (folder / ".venv/bin/python").chmod(0o755)
    return folder


# `make test` runs these tests; its own options must not reach the makes that they start.
OUTSIDE = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PIP_FLAGS"))}


def make(folder, *arguments):
    """Run make; return what .venv/bin/python was asked for, probes of it left out."""
    (folder / "calls").unlink(missing_ok=True)
    done = subprocess.run(
        ["make", *arguments], cwd=folder, env=OUTSIDE, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if not (folder / "calls").exists():
        return []
    calls = [call.strip() for call in (folder / "calls").read_text().splitlines()]
    return [call for call in calls if not call.startswith(("-c ", "-m pip --version"))]


INSTALL = "-m pip install --no-compile -c constraints.txt -r requirements.txt -e ."
INSTALL_TEST = "-m pip install --no-compile -c constraints.txt -r requirements-test.txt"
LAB = "-m jupyterlab --LabApp.app_settings_dir=.jupyterlab notebooks/00_start_here.ipynb"


def test_make_installs_only_when_something_changed(checkout):
    assert make(checkout, "install") == [INSTALL]
    assert make(checkout, "install") == []
    os.utime(checkout / "requirements.txt")
    assert make(checkout, "install") == [INSTALL]
    moved = checkout.rename(checkout.parent / "옮긴 폴더")
    assert make(moved, "install") == [INSTALL]
    assert make(moved, "install") == []
    assert make(moved, "install", "GPU=1") == ["-m pip install --no-compile tensorflow[and-cuda]"]
    assert make(moved, "install", "GPU=1") == []


def test_make_runs_what_it_promises(checkout):
    lab = make(checkout, "lab", "PIP_FLAGS=--quiet")
    assert lab[0] == INSTALL.replace("--no-compile", "--no-compile --quiet")
    assert lab[1].replace(" --allow-root", "") == LAB and len(lab) == 2
    assert ("--allow-root" in lab[1]) == (os.getuid() == 0)
    wheel = "-m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir . ."
    assert make(checkout, "colab") == [wheel]
    install, all_of_it = make(checkout, "test")
    assert install == INSTALL_TEST
    assert all_of_it.startswith("-m pytest -n 2 --durations=10 tests --nbval ")
    assert all_of_it.endswith("notebooks/*.ipynb")
    assert make(checkout, "quick") == ["-m pytest -n 2 --durations=10 -m 'not slow' tests"]
    assert make(checkout, "chapter", "N=04") == ["scripts/notebooks.py chapter 04"]
    assert make(checkout, "notebooks") == ["scripts/notebooks.py execute"]
    assert make(checkout, "assignments") == ["scripts/assignments.py"]
    assert make(checkout, "grade", "DIR=반 1", "N=01") == ["-m course_lib.checks.grade '반 1' 01"]
    assert make(checkout, "lint") == ["-m ruff check", "-m ruff format --check"]


def test_make_help_names_every_target(checkout):
    text = subprocess.run(
        ["make"], cwd=checkout, env=OUTSIDE, capture_output=True, text=True
    ).stdout
    named = re.findall(r"^make (\w+)", text, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (help.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named == phony[1].split()


def test_make_says_which_python_it_needs(checkout):
    shutil.rmtree(checkout / ".venv")
    old = checkout / "old python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "install", f"PYTHON={old}"], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"No Python 3.11, 3.12 or 3.13 found (tried: {old})" in done.stdout
