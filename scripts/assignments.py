"""Derive the learner's assignments from their sources.

    python scripts/assignments.py           write what is derived
    python scripts/assignments.py --check   change nothing; exit 1 if a derived file is out of step

From notebooks/assignments/source/NN_word/NN_word.ipynb come notebooks/assignments/NN_word.ipynb
(nbgrader takes out the solutions and the hidden tests) and course_lib/checks/NN_word.json
(imports, points and solutions, for `solution()` and for grading).
"""

import argparse
import json
import re
import sys
from pathlib import Path

import nbformat
from nbgrader import preprocessors
from traitlets.config import Config

from course_lib.checks import BLANK

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("CheckCellMetadata", "ClearSolutions", "ClearHiddenTests", "ClearOutput")
MARKER = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)


def learner_copy(source):
    """Return the text of the learner's notebook: blanks for solutions, no hidden tests."""
    config = Config()
    config.ClearSolutions.code_stub = {"python": f'raise ValueError("{BLANK}")'}
    notebook = nbformat.read(source, as_version=4)
    for step in (*STEPS, "ComputeChecksums"):
        notebook, _ = getattr(preprocessors, step)(config=config).preprocess(notebook, {})
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def package_data(source):
    """Return the text of the JSON that the package carries.

    Raises:
        ValueError: an answer cell has no check cell of the same name.
    """
    graded = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in nbformat.read(source, as_version=4).cells
        if "nbgrader" in cell.metadata
    }
    exercises = {}
    for name, cell in graded.items():
        if cell.metadata.nbgrader.solution:
            if f"{name}-check" not in graded:
                raise ValueError(f"{source.name}: answer cell {name!r} has no cell {name}-check.")
            points = graded[f"{name}-check"].metadata.nbgrader.points
            exercises[name] = {"points": points, "solution": MARKER.sub("", cell.source).rstrip()}
    data = {"imports": graded["imports"].source, "exercises": exercises}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def derived(root):
    """Return {path: text} of all derived files."""
    files = {}
    for source in sorted(root.glob("notebooks/assignments/source/*/[0-9][0-9]_*.ipynb")):
        files[root / "notebooks/assignments" / source.name] = learner_copy(source)
        files[root / "course_lib/checks" / f"{source.stem}.json"] = package_data(source)
    return files


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description="Derive the assignments from their sources.")
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    check = parser.parse_args(arguments).check
    differ = False
    for path, text in derived(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            differ = True
            print(f"{'out of step' if check else 'written'}: {path.relative_to(root)}")
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and differ:
        sys.exit("Run: python scripts/assignments.py")


if __name__ == "__main__":
    main()
