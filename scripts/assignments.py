"""Derive the learner's assignments from their sources.

    python scripts/assignments.py           write what is derived
    python scripts/assignments.py --check   change nothing; exit 1 if a derived file is out of step
    python scripts/assignments.py --class NAME   write notebooks/assignments_NAME, with numbers of
                                                 its own where an exercise has some

From notebooks/assignments/source/NN_word/NN_word.ipynb come notebooks/assignments/NN_word.ipynb
(without the solutions and the hidden tests) and course_lib/checks/NN_word.json (imports, points and
solutions, for `solution()` and for grading). The marks in the source and the metadata of its cells
are those of nbgrader, which is not needed: a school that grades with it can do so.
"""

import argparse
import hashlib
import importlib
import json
import re
import sys
from pathlib import Path

import nbformat

from course_lib.checks import BLANK, VARIED, for_class, opened, worded

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION$.*?### END SOLUTION$", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"\n### BEGIN HIDDEN TESTS$.*?### END HIDDEN TESTS$", re.MULTILINE | re.DOTALL)


def blanked(cell, kind):
    """Return the source of a code cell with a blank for the solution and without hidden tests.

    Args:
        cell: a code cell of a source.
        kind: its nbgrader metadata; empty for a cell that has none.

    Raises:
        ValueError: an answer has no solution region, a marked region stands in a cell of another
            kind, or it does not begin and end.
    """
    answer = SOLUTION.sub(rf'\1raise ValueError("{BLANK}")', cell.source)
    text = HIDDEN.sub("", answer)
    name = kind.get("grade_id", cell.source.partition("\n")[0])
    if (answer != cell.source) != kind.get("solution", False):
        raise ValueError(f"cell {name!r}: an answer cell, and no other, has a solution region.")
    if text != answer and not kind.get("grade", False):
        raise ValueError(f"cell {name!r}: hidden tests stand in a cell that is no check.")
    if re.search("(BEGIN|END) (SOLUTION|HIDDEN TESTS)", text):
        raise ValueError(f"cell {name!r}: a marked region does not begin and end, each in a line.")
    return text


def checksum(cell, kind):
    """Return what nbgrader computes of a cell to see whether a student changed it."""
    locked = not kind.solution and (kind.grade or kind.locked)
    facts = [cell.source, cell.cell_type, kind.grade, kind.solution, locked, kind.grade_id]
    if kind.grade:
        facts.append(float(kind.points))
    return hashlib.md5("".join(map(str, facts)).encode()).hexdigest()


def learner_copy(source):
    """Return the text of the learner's notebook: blanks for solutions, no hidden tests, and the
    numbers of the class that is in use.

    Raises:
        ValueError: a region is marked wrongly; see `blanked`.
    """
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kind = cell.metadata.get("nbgrader", {})
            try:
                cell.update(source=blanked(cell, kind), outputs=[], execution_count=None)
            except ValueError as error:
                raise ValueError(f"{source.name}, {error}") from error
            if kind.get("grade_id") == "imports":
                cell.source = opened(cell.source)
            if kind:
                kind.update(checksum=checksum(cell, kind), cell_type=cell.cell_type)
        cell.source = worded(source.stem, cell.source)
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def package_data(source):
    """Return the text of the JSON that the package carries.

    Raises:
        ValueError: an answer cell has no check cell of the same name, or two have one name.
    """
    graded = {}
    for cell in nbformat.read(source, as_version=4).cells:
        if "nbgrader" in cell.metadata:
            name = cell.metadata.nbgrader.grade_id
            if name in graded:
                raise ValueError(f"{source.name}: two cells are called {name!r}.")
            graded[name] = cell
    exercises = {}
    for name, cell in graded.items():
        if cell.metadata.nbgrader.solution:
            if f"{name}-check" not in graded:
                raise ValueError(f"{source.name}: answer cell {name!r} has no cell {name}-check.")
            points = graded[f"{name}-check"].metadata.nbgrader.points
            exercises[name] = {"points": points, "solution": MARKER.sub("", cell.source).rstrip()}
    data = {"imports": graded["imports"].source, "exercises": exercises}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def sources(root):
    """Return the source notebooks in their order."""
    return sorted(root.glob("notebooks/assignments/source/*/[0-9][0-9]_*.ipynb"))


def write_for_class(name, root):
    """Write the assignments with the numbers of a class; say in which something has changed.

    Raises:
        ValueError: the name is not allowed.
    """
    for_class(name)
    folder = root / f"notebooks/assignments_{name}"
    folder.mkdir(exist_ok=True)
    for source in sources(root):
        importlib.import_module(f"course_lib.checks.{source.stem[3:]}")
        (folder / source.name).write_text(learner_copy(source), encoding="utf-8")
        count = len(VARIED.get(source.stem, ()))
        print(f"{source.stem}: {count or 'no'} exercise{'s' * (count != 1)} with other numbers")
    print(f"Written: {folder.relative_to(root)}. To grade: make grade VARIANT={name} DIR=... N=...")


def derived(root):
    """Return {path: text} of all derived files."""
    files = {}
    for source in sources(root):
        files[root / "notebooks/assignments" / source.name] = learner_copy(source)
        files[root / "course_lib/checks" / f"{source.stem}.json"] = package_data(source)
    return files


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description="Derive the assignments from their sources.")
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    parser.add_argument("--class", dest="group", default="", help="write those of a class")
    given = parser.parse_args(arguments)
    check, differ = given.check, False
    try:
        if given.group:
            return write_for_class(given.group, root)
        files = derived(root)
    except ValueError as error:
        sys.exit(str(error))
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            differ = True
            print(f"{'out of step' if check else 'written'}: {path.relative_to(root)}")
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and differ:
        sys.exit("Run: python scripts/assignments.py")


if __name__ == "__main__":
    main()
