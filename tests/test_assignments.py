"""Assignments: derived files in step, checks that know right from wrong, copies that run."""

import importlib
import linecache
import os
import re
import shutil
import tomllib

import assignments
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from notebook_tools import NOTEBOOKS, ROOT

from course_lib.checks import BLANK, UNFORESEEN, Exercise, load

NAMES = sorted(path.stem for path in (NOTEBOOKS / "assignments/source").glob("*/*.ipynb"))


def exercises(name):
    """Return {name: exercise} of an assignment, in the order of its check module."""
    module = importlib.import_module(f"course_lib.checks.{name[3:]}")
    return {key: value for key, value in vars(module).items() if isinstance(value, Exercise)}


def bank(name, *, right):
    """Return the right or the wrong answers of tests/answers for an assignment."""
    module = importlib.import_module(f"answers.{name[3:]}")
    marked = [value for value in vars(module).values() if hasattr(value, "exercise")]
    return [answer for answer in marked if (answer.says is None) == right]


def cells(name, kind, folder="assignments"):
    book = nbformat.read(NOTEBOOKS / folder / f"{name}.ipynb", as_version=4)
    return [cell for cell in book.cells if cell.cell_type == kind]


@pytest.fixture
def said(capsys):
    """Return a function that checks an answer and gives the verdict and the words, on one line."""

    def check(exercise, answer):
        capsys.readouterr()
        passed = exercise.check(answer)
        return passed, " ".join(capsys.readouterr().out.split())

    return check


# Three exercises: its chapter is short and has no network to build.
SHORT = ("13_devices",)
ALL = [(name, key) for name in NAMES for key in exercises(name)]
# Checks of these train, or build whole networks or several blocks; not in `make quick`.
DEAR = (
    "train",
    "network",
    "inception",
    "block",
    "dense_block",
    "unit",
    "entry",
    "champion",
    "ablations",
    "mended",
    "half_a_shortcut",
    "moved_clothes",
    "other_remedy",
    "what_saves_it",
)


def answers(*, right):
    """Return the answers to all assignments as parameters, those with dear checks marked slow."""
    return [
        pytest.param(name, answer, marks=pytest.mark.slow if answer.exercise in DEAR else ())
        for name in NAMES
        for answer in bank(name, right=right)
    ]


WRONG, RIGHT = answers(right=False), answers(right=True)
each_exercise = pytest.mark.parametrize(("name", "key"), ALL)
each_assignment = pytest.mark.parametrize("name", NAMES)


def named(value):
    return getattr(value, "__name__", None)


# One source


def test_the_derived_files_are_in_step():
    assignments.main(["--check"])


def test_a_file_out_of_step_is_found_and_written_again(tmp_path, capsys):
    name = NAMES[0]
    shutil.copytree(NOTEBOOKS / "assignments/source" / name, tmp_path / f"a/source/{name}")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "a").rename(tmp_path / "notebooks/assignments")
    (tmp_path / "course_lib/checks").mkdir(parents=True)
    with pytest.raises(SystemExit, match="scripts/assignments.py"):
        assignments.main(["--check"], tmp_path)
    assert not (tmp_path / f"notebooks/assignments/{name}.ipynb").exists()
    assignments.main([], tmp_path)
    assignments.main(["--check"], tmp_path)
    data = tmp_path / f"course_lib/checks/{name}.json"
    data.write_text(data.read_text(encoding="utf-8").replace("points", "point"), encoding="utf-8")
    with pytest.raises(SystemExit):
        assignments.main(["--check"], tmp_path)
    assert capsys.readouterr().out.endswith(f"out of step: course_lib/checks/{name}.json\n")


def test_an_answer_without_its_check_is_refused(tmp_path):
    path = NOTEBOOKS / f"assignments/source/{NAMES[0]}/{NAMES[0]}.ipynb"
    book = nbformat.read(path, as_version=4)
    first = next(iter(exercises(NAMES[0])))
    kept = [c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") != first]
    assert len(kept) == len(book.cells) - 1
    for cell in kept:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == f"{first}-check":
            cell.metadata.nbgrader.update(grade_id="other", solution=True, grade=False)
    book.cells = kept
    nbformat.write(book, tmp_path / "01_mlp.ipynb")
    with pytest.raises(ValueError, match="'other' has no cell other-check"):
        assignments.package_data(tmp_path / "01_mlp.ipynb")


def put(changed, old, new):
    """Return a change of one cell of a source, named by its id."""

    def change(book):
        for cell in book.cells:
            if cell.metadata.get("nbgrader", {}).get("grade_id") == changed:
                assert old in cell.source
                cell.source = cell.source.replace(old, new)

    return change


def second_name(book):
    names = [cell.metadata.nbgrader for cell in book.cells if "nbgrader" in cell.metadata]
    names[2].grade_id = names[1].grade_id


WRONG_SOURCES = {
    "region without end": (put("gap", "### END SOLUTION", ""), "'gap': an answer cell, and no"),
    "end without begin": (
        put("gap", "### END SOLUTION", "### END SOLUTION\n    ### END SOLUTION"),
        "'gap': a marked region does not begin and end",
    ),
    "solution elsewhere": (
        put("imports", "import", "### BEGIN SOLUTION\nx\n### END SOLUTION\nimport"),
        "'imports': an answer cell, and no other",
    ),
    "hidden tests elsewhere": (
        put("imports", "import", "\n### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS\nimport"),
        "'imports': hidden tests stand in a cell that is no check",
    ),
    "hidden tests without end": (
        put("gap-check", "### END HIDDEN TESTS", ""),
        "'gap-check': a marked region does not begin and end",
    ),
    "one name twice": (second_name, "two cells are called 'xor_weights'"),
}


@pytest.mark.parametrize("wrong", WRONG_SOURCES)
def test_a_source_marked_wrongly_is_refused(tmp_path, wrong):
    change, sentence = WRONG_SOURCES[wrong]
    inner = "notebooks/assignments/source/01_mlp/01_mlp.ipynb"
    book = nbformat.read(ROOT / inner, as_version=4)
    change(book)
    (tmp_path / inner).parent.mkdir(parents=True)
    nbformat.write(book, tmp_path / inner)
    with pytest.raises(SystemExit, match=f"01_mlp.ipynb.*{sentence}"):
        assignments.main([], tmp_path)
    assert list(tmp_path.rglob("*.json")) == []


@each_assignment
def test_the_learner_copy_holds_blanks_and_no_solutions(name):
    text = "\n".join(cell.source for cell in cells(name, "code"))
    assert text.count(f'raise ValueError("{BLANK}")') == len(exercises(name))
    assert "SOLUTION" not in text and "HIDDEN" not in text and "assert" not in text
    assert not any(cell.outputs for cell in cells(name, "code"))
    given = {line.strip() for line in text.splitlines()}
    for key in exercises(name):
        lines = load(name)["exercises"][key]["solution"].splitlines()
        last = next(line.strip() for line in reversed(lines) if len(line.strip()) > 5)
        assert last not in given, key


@each_assignment
def test_notebook_and_check_module_name_the_same_exercises(name):
    assert list(exercises(name)) == list(load(name)["exercises"])
    fewest = 3 if name in SHORT else 4
    assert fewest <= len(exercises(name)) <= 6
    assert all(exercise.notebook == name for exercise in exercises(name).values())


@each_assignment
def test_minutes_and_points_add_up(name):
    first, *rest = [cell.source for cell in cells(name, "markdown")]
    numbered = [source for source in rest if re.match(r"## \d", source)]  # others give no points
    stated = [re.search(r"\((\d+) minutes, (\d+) points?\)", source) for source in numbered]
    points = [facts["points"] for facts in load(name)["exercises"].values()]
    assert [int(found[2]) for found in stated] == points
    total = sum(int(found[1]) for found in stated)
    assert f"**Minutes:** about {total} · **Points:** {sum(points)} ·" in first


@each_assignment
def test_the_teachers_page_states_the_same_minutes(name):
    page = (NOTEBOOKS / "assignments/TEACHING.md").read_text(encoding="utf-8")
    (stated,) = re.findall(rf"^\| \[.*\]\({name}\.ipynb\) \| (\d+) \|", page, re.M)
    assert f"**Minutes:** about {stated} ·" in cells(name, "markdown")[0].source


@each_exercise
def test_the_section_named_is_a_heading_of_the_chapter(name, key):
    section = exercises(name)[key].section
    text = cells(name, "markdown")[1 + list(exercises(name)).index(key)].source
    assert f"section “{section}”" in text
    headings = [
        re.sub(r"^#+ (\d+\. )?", "", line)
        for cell in cells(name, "markdown", ".")
        for line in cell.source.splitlines()
        if line.startswith("#")
    ]
    assert section in headings


def test_the_package_carries_the_derived_data():
    setting = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "*.json" in setting["tool"]["setuptools"]["package-data"]["course_lib.checks"]


# Checks


@each_exercise
def test_the_solution_is_what_is_shown(name, key, capsys):
    exercises(name)[key].solution()  # that it passes: test_an_assignment_runs_from_top_to_bottom
    assert capsys.readouterr().out.strip() == load(name)["exercises"][key]["solution"]


@pytest.mark.parametrize(("name", "answer"), WRONG, ids=named)
def test_a_wrong_answer_gets_its_own_hint(name, answer, said):
    exercise = exercises(name)[answer.exercise]
    passed, words = said(exercise, answer)
    assert passed is False
    assert answer.says in words
    assert words.startswith("Not right yet: ") and UNFORESEEN not in words
    assert words.endswith(f"(Notebook {name}, section “{exercise.section}”)")


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=named)
def test_a_right_answer_passes_however_it_is_written(name, answer, said):
    passed, words = said(exercises(name)[answer.exercise], answer)
    assert passed is True, words


@each_assignment
def test_the_bank_is_large_enough(name):
    wrong, right = bank(name, right=False), bank(name, right=True)
    assert len({(a.exercise, a.says) for a in wrong}) == len(wrong) >= 12
    assert len(right) >= 3
    for key in exercises(name):
        assert sum(a.exercise == key for a in wrong) >= 2
        assert sum(a.exercise == key for a in right) >= 1


@each_exercise
def test_the_blank_is_called_not_written_yet(name, key, said):
    def blank(*arguments):
        raise ValueError(BLANK)

    passed, words = said(exercises(name)[key], blank)
    assert passed is False
    assert words.startswith(
        f"Not written yet: put your code in place of the `raise` line of `{key}`"
    )


ODD = [
    None,
    ...,
    "text",
    [],
    [[1], [1, 2]],
    {},
    np.nan,
    np.full((2, 3), np.nan),
    (1, 2),
    [None] * 4,
]
ODD += [1e30, object(), (np.nan,) * 4, [(np.nan, np.nan)] * 3, [1, 2, 3, 4], lambda x: x]


def returning(value):
    return lambda *arguments: value


@each_exercise
def test_an_odd_result_is_a_message_and_no_traceback(name, key, said):
    for value in ODD:
        passed, words = said(exercises(name)[key], returning(value))
        assert passed is False, value
        assert words.startswith("Not right yet: ") and UNFORESEEN not in words, value


class Uncomparable:
    """Whatever is done with it fails in another way than numbers do."""

    def __getattribute__(self, name):
        raise RuntimeError(f"no {name}")


STRANGE = {
    "generator": (lambda *arguments: (i for i in range(3)), "is a generator"),
    "class": (lambda *arguments: dict, "a class comes back, not what it makes"),
    "its argument": (lambda *arguments: arguments[0] if arguments else 3, ""),
    "ends the program": (lambda *arguments: exit(), "stops with SystemExit"),
    "uncomparable": (lambda *arguments: Uncomparable(), ""),
}


@each_exercise
def test_a_strange_answer_is_a_message_and_no_traceback(name, key, said):
    for kind, (answer, says) in STRANGE.items():
        passed, words = said(exercises(name)[key], answer)
        assert passed is False and words.startswith("Not right yet: "), kind
        assert says in words, kind


def test_what_a_test_does_not_foresee_is_named(said):
    def test(answer):
        answer()["a"]

    exercise = Exercise("thing", "01_mlp", "x", "", ("a", "b"), test)
    passed, words = said(exercise, lambda: 3)
    assert passed is False
    assert f"what `thing` returns {UNFORESEEN} (TypeError: 'int' object" in words


@each_exercise
def test_what_is_no_function_is_a_message(name, key, said):
    passed, words = said(exercises(name)[key], 3.5)
    assert passed is False
    assert f"check the function itself, q.{key}.check({key})" in words


def from_cell(source, name):
    """Return the function `name` of a notebook cell, whose source Python can show as there."""
    linecache.cache["<cell 7>"] = (len(source), None, source.splitlines(True), "<cell 7>")
    space = {"np": np}
    exec(compile(source, "<cell 7>", "exec"), space)
    return space[name]


def test_an_exception_is_reported_with_its_line(said):
    source = "def gap(loss, array, slope):\n    total = loss(array)\n    return totl - slope\n"
    passed, words = said(exercises("01_mlp")["gap"], from_cell(source, "gap"))
    assert passed is False
    assert words.startswith("Not right yet: `gap` stops with NameError (name 'totl' is not defined")
    assert "in line 3 of its cell: `return totl - slope`. (Notebook 01_mlp" in words


def test_an_exception_deep_in_numpy_is_reported_with_the_learner_line(said):
    source = "def gap(loss, array, slope):\n    return np.linalg.inv(slope)\n"
    _, words = said(exercises("01_mlp")["gap"], from_cell(source, "gap"))
    assert "in line 2 of its cell: `return np.linalg.inv(slope)`." in words


def test_wrong_arguments_are_a_message(said):
    passed, words = said(exercises("01_mlp")["gap"], lambda x, w: x @ w)
    assert passed is False
    assert "takes 2 positional arguments but 3 were given" in words


@each_exercise
def test_hints_come_one_at_a_time(name, key, capsys):
    exercise = exercises(name)[key]
    count = len(exercise.hints)
    assert count >= 2
    for number in range(1, count + 1):
        exercise.hint(number)
        words = " ".join(capsys.readouterr().out.split())
        assert words.startswith(f"Hint {number} of {count}: {exercise.hints[number - 1]}")
        assert (f"q.{key}.hint({number + 1})" in words) == (number < count)
    with pytest.raises(ValueError, match=f"hint number is 0; allowed: 1 to {count}"):
        exercise.hint(0)


def test_a_check_cannot_be_replaced_by_accident():
    with pytest.raises(AttributeError):
        exercises("01_mlp")["gap"].check = lambda answer: True


# As a learner runs it


@pytest.fixture(scope="session")
def kernel():
    """A kernel for all notebooks of this worker; tests/warm_kernel.py makes it fresh each time."""
    settings = {"timeout": 120, "kernel_name": "python3", "coalesce_streams": True}
    client = NotebookClient(nbformat.v4.new_notebook(), **settings)
    paths = [str(ROOT / "tests"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with client.setup_kernel(env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}):
        yield client


def execute(kernel, *sources):
    """Run code cells one after the other; return them with their outputs."""
    kernel.nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    kernel.reset_execution_trackers()
    return [kernel.execute_cell(cell, number) for number, cell in enumerate(kernel.nb.cells)]


def run(kernel, sources, folder):
    """Run a notebook's code cells in an empty folder with nothing left of the notebook before.

    Return the cells, and what the notebook changed in modules that it shares with others.
    """
    execute(kernel, f"__import__('warm_kernel').fresh({str(folder)!r})")
    codes = execute(kernel, *sources)
    (last,) = execute(kernel, "print(*__import__('warm_kernel').leftovers())")
    return codes, printed(last).split()


def printed(cell):
    return " ".join("".join(output.get("text", "") for output in cell.outputs).split())


@each_assignment
@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "solved"),
    [("{0}.ipynb", False), ("source/{0}/{0}.ipynb", True)],
    ids=["blank", "solved"],
)
def test_an_assignment_runs_from_top_to_bottom(name, path, solved, kernel, tmp_path):
    book = nbformat.read(NOTEBOOKS / "assignments" / path.format(name), as_version=4)
    sources = [cell.source for cell in book.cells if cell.cell_type == "code"]
    codes, changed = run(kernel, sources, tmp_path)
    assert changed == []
    checks = [cell for cell in codes if ".check(" in cell.source]
    assert len(checks) == len(exercises(name))
    for cell in checks:
        assert [output.output_type for output in cell.outputs] == ["stream"], cell.source
        exercise = exercises(name)[re.search(r"q\.(\w+)\.check\(", cell.source)[1]]
        said = f"Correct: {exercise.correct}" if solved else "Not written yet: "
        assert said in printed(cell), cell.source


@pytest.mark.slow
def test_nothing_of_a_notebook_is_left_for_the_next(kernel, tmp_path):
    leave = """import builtins, os, random, sys
import keras, numpy as np
from course_lib.checks import mlp as q
q.gap = random.seed = np.dot = builtins.sum = keras.layers.Dense.call = "changed"
keras.config.set_floatx("float16")
keras.config.set_dtype_policy("mixed_bfloat16")
os.environ["LEFT"] = sys.path[0] = "left"
os.chdir("/")"""
    look = """import os, random, sys
import keras, numpy as np
from course_lib.checks import mlp as q
print([name for name in ("leave", "builtins") if name in globals()])
print(os.getcwd(), os.environ.get("LEFT"), "left" in sys.path)
print(keras.config.floatx(), keras.config.dtype_policy().name)
print([callable(f) for f in (random.seed, np.dot, sum, keras.layers.Dense.call, q.gap.check)])"""
    _, changed = run(kernel, [leave], tmp_path)
    assert {"random.seed", "numpy.dot", "builtins.sum"} <= set(changed)
    assert any(name.endswith("Dense.call") for name in changed)
    (cell,), changed = run(kernel, [look], tmp_path)
    assert changed == []
    expected = f"[] {tmp_path} None False float32 float32 {[True] * 5}"
    assert printed(cell) == expected
