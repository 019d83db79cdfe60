"""Grading a class: one run over submissions as they come, some of them broken in every way."""

import copy
import csv
import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from notebook_tools import NOTEBOOKS

from course_lib.checks import BLANK, grade, load

pytestmark = pytest.mark.slow  # runs notebooks

NAME = "03_ilsvrc"
WRONG_LEAKED = (
    "def leaked(train, test, guesses, labels):\n"
    "    return np.arange(4), 0.5, 0.5  # <script>alert(1)</script>"
)
SOLUTIONS = {key: facts["solution"] for key, facts in load(NAME)["exercises"].items()}
FULL = [str(facts["points"]) for facts in load(NAME)["exercises"].values()]
NOTHING = ["0"] * len(FULL)
KNOWN = ", ".join(sorted(p.name[:2] for p in (NOTEBOOKS / "assignments").glob("*.ipynb")))


def solved(name=NAME, **answers):
    """Return the learner's copy with the solutions, or other answers to some exercises."""
    book = nbformat.read(NOTEBOOKS / f"assignments/{name}.ipynb", as_version=4)
    solutions = {key: facts["solution"] for key, facts in load(name)["exercises"].items()}
    for cell in book.cells:
        key = grade_id(cell)
        cell.source = {**solutions, **answers}.get(key, cell.source)
    return book


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def without(*keys):
    """Return the points with full marks for all exercises but these."""
    return ["0" if key in keys else full for key, full in zip(SOLUTIONS, FULL, strict=True)]


def blank():
    return nbformat.read(NOTEBOOKS / f"assignments/{NAME}.ipynb", as_version=4)


def edited_tests():
    book = solved(leaked=WRONG_LEAKED)
    for cell in book.cells:
        if ".check(" in cell.source:
            cell.source = "passed = True\nq = None\nassert passed\nprint('Correct: of course')"
    return book


def checks_of_something_else():
    book = solved(leaked=WRONG_LEAKED)
    for cell in book.cells:
        cell.source = cell.source.replace(
            "passed = q.leaked.check(leaked)",
            "q.leaked.check(lambda *given: given)  # all the same",
        )
    return book


def deleted_cells():
    """Only the answers are left, and not all of them."""
    book = solved()
    book.cells = [cell for cell in book.cells if grade_id(cell) in list(SOLUTIONS)[:-1]]
    return book


def doubled_cells():
    """Each cell twice, with the same ids; the second copy of the answers is still blank."""
    book = solved()
    book.cells = [c for pair in zip(book.cells, blank().cells, strict=True) for c in pair]
    return book


def answered_twice():
    book = solved(leaked=WRONG_LEAKED)
    book.cells.append(new_code_cell(SOLUTIONS["leaked"]))
    return book


def saved_by_colab():
    """Without nbgrader's metadata and cell ids, in an older format."""
    book = solved()
    for cell in book.cells:
        cell.metadata = nbformat.from_dict({"id": "aBcD3fGh1jKl"})
        del cell["id"]
    book.nbformat_minor = 0
    return book


def own_cells():
    """Helpers, prints to stderr, a failing cell, a plot magic, and a failing line of one's own."""
    answer = SOLUTIONS["leaked"].replace("(train, train[:, :, ::-1])", "turns(train)")
    book = solved(
        leaked=f"import sys\nprint('working', file=sys.stderr)\n\n{answer}\n\nleaked(1, 2)"
    )
    place = next(i for i, cell in enumerate(book.cells) if grade_id(cell) == "leaked")
    book.cells[place:place] = [
        new_code_cell("%matplotlib inline\nturns = lambda p: (p, p[:, :, ::-1])\nundefined_name"),
        new_code_cell("input('your name?')"),
    ]
    return book


CRASH = "def ten_crop_test(image, side, network):\n    import os\n    os.abort()"
STUBBORN = """def leaked(train, test, guesses, labels):
    while True:
        try:
            while True:
                pass
        except KeyboardInterrupt:
            pass"""

# student -> (notebook, points for each exercise, a part of the remark)
CLASS = {
    "ada": (solved(), FULL, ""),
    "김 민수": (solved(), FULL, ""),
    "blank": (blank(), NOTHING, ""),
    "wrong": (solved(leaked=WRONG_LEAKED), without("leaked"), ""),
    "edited": (edited_tests(), without("leaked"), ""),
    "other arguments": (checks_of_something_else(), without("leaked"), ""),
    "deleted": (deleted_cells(), without("ten_crop_test"), ""),
    "doubled": (doubled_cells(), FULL, ""),
    "twice": (answered_twice(), FULL, "leaked is defined in 2 cells, the last counts"),
    "colab": (saved_by_colab(), FULL, ""),
    "own": (own_cells(), FULL, ""),
    "raise left": (
        solved(leaked=SOLUTIONS["leaked"] + f'\n    raise ValueError("{BLANK}")'),
        FULL,
        "",
    ),
    "syntax": (solved(leaked="def leaked(train, test)\n    return 1"), without("leaked"), ""),
    "renamed": (solved(leaked="def mine(train, test):\n    return 1"), without("leaked"), ""),
    "loop": (
        solved(leaked=STUBBORN),
        without("leaked"),
        "leaked: stopped after 5 s: an endless loop?",
    ),
    "loop outside": (
        solved(many_files=SOLUTIONS["many_files"] + "\n\nwhile True:\n    print('on and on')"),
        without("many_files"),
        "a cell was left out, stopped after 5 s: an endless loop?",
    ),
    "crash": (
        solved(ten_crop_test=CRASH),
        without("ten_crop_test"),
        "ten_crop_test: the kernel died: a crash, or no memory left",
    ),
    "not json": ("this is no notebook", None, "not graded: not a notebook"),
    "no notebook": ("[1, 2]", None, "not graded: not a notebook"),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grade the class once; return the rows of grades.csv, the folder and what was printed."""
    root = tmp_path_factory.mktemp("a class")
    folder, out = root / "submissions", root / "submissions/graded"
    folder.mkdir()
    for student, (book, _, _) in CLASS.items():
        text = book if isinstance(book, str) else json.dumps(copy.deepcopy(book))
        (folder / f"{student}.ipynb").write_text(text, encoding="utf-8")
    ada = (folder / "ada.ipynb").read_text(encoding="utf-8")
    for path in ("named/03_ilsvrc.ipynb", "named/draft.ipynb", "any name/mine.ipynb"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("" if "draft" in path else ada, encoding="utf-8")
    for path in ("several/a.ipynb", "several/b.ipynb", "several/.ipynb_checkpoints/c.ipynb"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(ada, encoding="utf-8")
    (folder / "empty").mkdir()
    (folder / "list.txt").touch()
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(words)))
        words = ["--out", str(out), "--timeout", "5", "--jobs", "2"]
        grade.main([str(folder), "03", *words])
    with open(out / "grades.csv", newline="", encoding="utf-8-sig") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    return rows, out, lines


def points(row):
    return [row[key] for key in SOLUTIONS]


@pytest.mark.parametrize("student", CLASS)
def test_the_row_of_a_submission(graded, student):
    row = graded[0][student]
    _, expected, remark = CLASS[student]
    assert points(row) == (expected or [""] * len(FULL))
    assert row["total"] == (str(sum(map(int, expected))) if expected else "")
    assert row["remark"].startswith(remark) if expected is None else row["remark"] == remark


def test_folders_of_students(graded):
    rows = graded[0]
    assert points(rows["named"]) == points(rows["any name"]) == FULL
    assert rows["several"]["total"] == rows["empty"]["total"] == ""
    assert rows["several"]["remark"] == (
        "not graded: 2 notebooks in the folder: name the one to grade 03_ilsvrc.ipynb"
    )
    assert rows["empty"]["remark"] == "not graded: there is no notebook in the folder"


def test_everybody_has_one_row_one_page_and_one_line(graded):
    rows, out, lines = graded
    students = {*CLASS, "named", "any name", "several", "empty"}
    assert set(rows) == students
    files = {"grades.csv", "alike.csv"} | {f"{s}.html" for s in students}
    assert {path.name for path in out.iterdir()} == files
    assert lines[0] == "left out: list.txt is neither a notebook nor a folder"
    assert len(lines) == len(students) + 2
    assert sum("] ada: 10 points, " in line for line in lines) == 1
    assert lines[-1].startswith("Wrote ") and "23 feedback pages" in lines[-1]


def test_who_has_the_same_wrong_answer_is_listed_and_the_shown_solution_is_nobodys(graded):
    with open(graded[1] / "alike.csv", newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))[1:]
    pairs = {tuple(row[:2]) for row in rows}
    assert pairs == {
        ("edited", "other arguments"),
        ("edited", "wrong"),
        ("other arguments", "wrong"),
    }
    assert {tuple(row[2:]) for row in rows} == {("1.0", "1.0", "leaked")}
    assert "alike.csv with 3 pairs to look at" in graded[2][-1]


FEEDBACK = {
    "ada": "Correct: six of thirty test pictures were known.",
    "blank": "Not written yet: put your code in place",
    "wrong": "Not right yet: The list of leaking pictures, sorted, has shape (4,)",
    "deleted": "No cell defines `ten_crop_test`: it was deleted or renamed.",
    "renamed": "No cell defines `leaked`: it was deleted or renamed.",
    "syntax": "The cell does not run: SyntaxError: expected",
    "loop": "The check did not end: stopped after 5 s: an endless loop?",
    "loop outside": "The cell does not run: stopped after 5 s",
    "crash": "The check did not end: the kernel died",
}


@pytest.mark.parametrize("student", FEEDBACK)
def test_the_feedback_page_says_why(graded, student):
    page = (graded[1] / f"{student}.html").read_text(encoding="utf-8")
    assert FEEDBACK[student] in " ".join(page.split()).replace("&#x27;", "'")
    assert page.count("<h2>") == len(FULL)


def test_feedback_shows_the_answer_and_runs_nothing_of_it(graded):
    page = (graded[1] / "wrong.html").read_text(encoding="utf-8")
    assert "<h2>leaked: 0 of 2</h2>" in page and "<h2>judge: 2 of 2</h2>" in page
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page and "http" not in page


def test_assignment_04_grades_its_own_solution(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    nbformat.write(solved("04_alexnet"), folder / "ada.ipynb")
    out = ["--out", str(tmp_path / "graded"), "--timeout", "180"]  # it trains a network
    grade.main([str(folder), "04_alexnet", *out])
    rows = (tmp_path / "graded/grades.csv").read_text(encoding="utf-8-sig").splitlines()
    assert rows[1] == "ada,2,2,2,1,2,1,10,"


def test_a_submission_runs_neither_its_own_checks_nor_keras():
    steps = grade.plan([cell.source for cell in solved().cells], NAME, grade.Result("x"))
    assert [step.checks for step in steps if step.checks] == list(SOLUTIONS)
    own = "\n".join(step.source for step in steps if not step.checks)
    assert "def judge" in own
    assert ".check(" not in own and "course_lib.start(" not in own


def test_only_the_end_of_a_flood_of_output_is_kept():
    steps = [
        grade.Step("for i in range(2000):\n    print('x' * 1000, i, flush=True)"),
        grade.Step("7"),
    ]
    grade.run_in_one_kernel(steps, 60)
    assert len(steps[0].outputs) == 1
    assert steps[0].printed().endswith("x 1999")
    assert len(steps[0].outputs[0].text) == grade.SHOWN
    assert steps[1].outputs[0].data["text/plain"] == "7"


def test_too_many_crashes_end_one_submission_and_not_the_class(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "KERNELS", 1)
    steps = grade.plan([CRASH, SOLUTIONS["leaked"]], NAME, result := grade.Result("x"))
    grade.run(steps, 20)
    grade.judge(steps, NAME, result)
    assert result.messages["ten_crop_test"].startswith("The check did not end: the kernel died")
    assert result.messages["leaked"] == "Not reached: too many cells hang or crash."
    assert sum(result.points.values()) == 0


@pytest.mark.parametrize(
    ("files", "number", "message"),
    [
        (["kim.ipynb"], "14", f"There is no assignment '14'. Assignments: {KNOWN}."),
        ([], "01", "There are no submissions"),
        (["kim.ipynb", "kim/a.ipynb"], "01", "Two submissions are called 'kim'"),
        (None, "01", "There is no folder"),
    ],
)
def test_a_wrong_call_ends_with_a_sentence(files, number, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if files is not None:
        (tmp_path / "class").mkdir()
    for name in files or ():
        (tmp_path / "class" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "class" / name).touch()
    with pytest.raises(SystemExit, match=message):
        grade.main(["class", number])
    assert not (tmp_path / "grading").exists()
