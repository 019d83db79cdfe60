"""Grade a class with one command:

    python -m course_lib.checks.grade submissions/ 04 [--class NAME] [--out graded/]
                                                      [--timeout 60] [--jobs 1]

`submissions/` holds one notebook a student (kim.ipynb) or one folder a student (kim/, with
04_alexnet.ipynb or a single notebook in it). Written are grades.csv, a feedback page a student, and
alike.csv, the pairs of students whose answers are so alike that you may want to look at them.

Each student's code cells run from top to bottom in a kernel of their own. After the last cell
that defines an exercise's function comes the course's own check of it; the check cells of the
submission are left out, whatever they say. So edited, deleted or doubled cells and lost notebook
metadata do no harm. A cell that runs too long or kills the kernel is left out, and the others
run again in a fresh kernel.

`--class` is for assignments that were made with numbers of a class's own (make assignments
VARIANT=NAME).

Students' code runs with your rights, and code written to cheat can: grade unknown people's work
in a container or a virtual machine.
"""

import argparse
import concurrent.futures
import csv
import html
import importlib
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from course_lib.checks import BLANK, alike, for_class, load, opened, worded

# Lines never run from a submission: its own checks, and the one that loads Keras for nothing.
LEFT_OUT = re.compile(
    r"^(\w+ = |assert )?(q\.\w+\.(check|hint|solution)|course_lib\.start)\(.*\)[ ;]*(#.*)?$",
    re.MULTILINE,
)
KERNELS = 6  # for one student; each crash or endless loop costs one
START = 180  # seconds for the imports
SHOWN = 4000  # characters of an answer, or of what a cell prints, that are kept


class Client(NotebookClient):
    """Keeps only the end of what a cell prints: an endless loop can print gigabytes."""

    def output(self, outs, msg, display_id, cell_index):
        if msg["msg_type"] != "stream":
            return super().output(outs, msg, display_id, cell_index)
        name, text = msg["content"]["name"], msg["content"]["text"]
        if outs and outs[-1].get("name") == name:
            text = outs.pop().text + text
        outs.append(nbformat.v4.new_output("stream", name=name, text=text[-SHOWN:]))
        return outs[-1]


@dataclass
class Step:
    """A code cell to run: one of the student's, or the course's check of the cell before."""

    source: str
    checks: str = ""  # the exercise; empty for a student's cell
    outputs: list = None  # None: not run
    lost: str = ""  # why it was given up

    def printed(self):
        return "".join(o.text for o in self.outputs if o.get("name") == "stdout").strip()

    def passed(self):
        values = [o.data["text/plain"] for o in self.outputs if o.output_type == "execute_result"]
        return values == ["True"]

    def failed(self):
        """Return why the cell did not run to its end, or an empty text."""
        errors = [o for o in self.outputs or () if o.output_type == "error"]
        return self.lost or " ".join(f"{e.ename}: {e.evalue}" for e in errors)


@dataclass
class Result:
    """One row of grades.csv; `points` is empty where the submission could not be graded."""

    student: str
    points: dict = field(default_factory=dict)
    messages: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)
    remarks: list = field(default_factory=list)
    seconds: float = 0.0


def assignments():
    """Return the names of the assignments that can be graded, such as "04_alexnet"."""
    files = resources.files("course_lib.checks").iterdir()
    return sorted(file.name[:-5] for file in files if file.name.endswith(".json"))


def find_assignment(number):
    """Return the name of assignment `number`, such as "04" or "4".

    Raises:
        ValueError: there is none of that number.
    """
    for name in assignments():
        if number in (name, name[:2], name[:2].lstrip("0")):
            return name
    known = ", ".join(name[:2] for name in assignments())
    raise ValueError(f"There is no assignment {number!r}. Assignments: {known}.")


def find_submissions(folder, notebook, out):
    """Return {student: path of the notebook, or a sentence that says why there is none}.

    Raises:
        ValueError: no such folder, nothing in it, or two submissions of one name.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    found = {}
    for item in sorted(folder.iterdir()):
        if item.name.startswith(".") or item.resolve() == out.resolve():
            continue
        student = item.stem if item.is_file() else item.name
        if item.is_file() and item.suffix != ".ipynb":
            print(f"left out: {item.name} is neither a notebook nor a folder")
            continue
        if student in found:
            raise ValueError(f"Two submissions are called {student!r} in {folder}: keep one.")
        found[student] = item if item.is_file() else in_folder(item, notebook)
    if not found:
        raise ValueError(f"There are no submissions in {folder}: no notebooks and no folders.")
    return found


def in_folder(folder, notebook):
    """Return the notebook in a student's folder, or a sentence that says why there is none."""
    paths = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
    named = [path for path in paths if path.name == f"{notebook}.ipynb"]
    for choice in (named, paths):
        if len(choice) == 1:
            return choice[0]
    if not paths:
        return "there is no notebook in the folder"
    return f"{len(paths)} notebooks in the folder: name the one to grade {notebook}.ipynb"


def read_sources(path):
    """Return the sources of the notebook's code cells.

    Raises:
        ValueError: the file is not a notebook.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old notebooks have no cell ids
            cells = nbformat.read(path, as_version=4).cells
        return [str(cell.source) for cell in cells if cell.cell_type == "code"]
    except Exception as error:  # whatever a file may hold, it must not end the class run
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"not a notebook ({type(error).__name__}: {reason})") from error


def plan(sources, notebook, result):
    """Return the steps to run: the imports, then the student's cells with our checks between."""
    data = load(notebook)
    word = notebook.partition("_")[2]
    sources = [LEFT_OUT.sub("", source) for source in sources]
    dropped, after = set(), {}
    for name in data["exercises"]:
        definition = re.compile(rf"^(?:def {name}\b|{name} *=[^=])", re.MULTILINE)
        places = [i for i, source in enumerate(sources) if definition.search(source)]
        filled = [i for i in places if BLANK not in sources[i]]
        if filled:
            dropped.update(set(places) - set(filled))
            places = filled
        if len(places) > 1:
            result.remarks.append(f"{name} is defined in {len(places)} cells, the last counts")
        if places:
            after.setdefault(places[-1], []).append(name)
            result.answers[name] = sources[places[-1]].strip()
        else:
            result.messages[name] = f"No cell defines `{name}`: it was deleted or renamed."
    steps = [Step(opened(data["imports"]))]
    for i, source in enumerate(sources):
        if i not in dropped and source.strip():
            steps.append(Step(source))
            for name in after.get(i, ()):
                module = f"course_lib.checks.{word}"
                steps.append(Step(f"import {module}\n{module}.{name}.check({name})", checks=name))
    while steps and not steps[-1].checks:
        steps.pop()
    return steps


def run(steps, timeout):
    """Run the steps, each check once. What hangs or crashes is given up, the rest runs again."""
    for _ in range(KERNELS):
        if all(step.lost or step.outputs is not None for step in steps if step.checks):
            return
        left = [s for s in steps if not s.lost and not (s.checks and s.outputs is not None)]
        run_in_one_kernel(left, timeout)


def run_in_one_kernel(steps, timeout):
    """Run the steps in a new kernel and an empty folder, up to the first that is lost."""
    cells = [nbformat.v4.new_code_cell(step.source) for step in steps]
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory(prefix="grade-") as folder:
        client = Client(
            nbformat.v4.new_notebook(cells=cells),
            kernel_name="python3",
            allow_errors=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": folder}},
        )
        with client.setup_kernel(
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ):
            for index, (step, cell) in enumerate(zip(steps, cells, strict=True)):
                client.timeout = timeout if index else START
                try:
                    client.execute_cell(cell, index)
                except CellTimeoutError:
                    step.lost = f"stopped after {timeout} s: an endless loop?"
                except DeadKernelError:
                    step.lost = "the kernel died: a crash, or no memory left"
                if step.lost:
                    return
                step.outputs = cell.outputs


def judge(steps, notebook, result):
    """Fill in the points, and what the feedback says of each exercise."""
    points = {name: facts["points"] for name, facts in load(notebook)["exercises"].items()}
    result.points = dict.fromkeys(points, 0)
    answer = None
    for step in steps:
        if not step.checks:
            answer = step
            if step.lost:
                result.remarks.append(f"a cell was left out, {step.lost}")
        elif step.lost:
            result.messages[step.checks] = f"The check did not end: {step.lost}"
            result.remarks.append(f"{step.checks}: {step.lost}")
        elif step.outputs is None:
            result.messages[step.checks] = "Not reached: too many cells hang or crash."
        elif step.failed():  # the check has no function to look at
            reason = answer.failed() or step.failed()
            result.messages[step.checks] = f"The cell does not run: {reason}"
        else:
            result.messages[step.checks] = step.printed()
            result.points[step.checks] = points[step.checks] if step.passed() else 0


def grade(student, path, notebook, timeout, group=""):
    """Grade one submission; `path` is a path, or a sentence that says why there is none."""
    if group:
        for_class(group)  # this process has just begun
    for name in ("traitlets", "asyncio"):  # what crashes is in the remarks
        logging.getLogger(name).setLevel(logging.CRITICAL)
    begin, result = time.monotonic(), Result(student)
    try:
        if isinstance(path, str):
            raise ValueError(path)
        steps = plan(read_sources(path), notebook, result)
        run(steps, timeout)
        judge(steps, notebook, result)
    except Exception as error:  # one submission must not end the class run
        result.remarks.append(f"not graded: {error}")
    result.seconds = time.monotonic() - begin
    return result


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ background: #f4f4f4; padding: .75rem; white-space: pre-wrap; overflow-wrap: anywhere }}
</style></head><body>
<h1>{title}</h1>
<p><strong>{total}</strong></p>
{remarks}
{exercises}
</body></html>
"""
PART = """<h2>{name}: {points} of {most}</h2>
<p>{message}</p>
<pre>{answer}</pre>"""


def feedback(result, notebook):
    """Return the feedback page; all that comes from the student is escaped."""
    most = {name: facts["points"] for name, facts in load(notebook)["exercises"].items()}
    total = "Not graded"
    if result.points:
        total = f"{sum(result.points.values())} of {sum(most.values())} points"

    def shown(text):
        text = text if len(text) <= SHOWN else text[:SHOWN] + " ..."
        return html.escape(text)

    parts = [
        PART.format(
            name=name,
            points=result.points[name],
            most=most[name],
            message=shown(result.messages[name]),
            answer=shown(result.answers.get(name, "")),
        )
        for name in result.points
    ]
    return PAGE.format(
        title=shown(f"{notebook}: {result.student}"),
        total=total,
        remarks="\n".join(f"<p>{shown(remark)}</p>" for remark in result.remarks),
        exercises="\n".join(parts),
    )


def processes():
    """Return how processes start: afresh for each student, so that no run sees another's.

    Where the system can fork, they come from a process that has imported this module and done
    nothing else, since its imports take 4 seconds; on Windows each imports it again.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["course_lib.checks.grade"])
    return context


def grade_class(folder, number, out, timeout, jobs, group=""):
    """Grade every submission in `folder`; write grades.csv, the feedback pages and alike.csv.

    Raises:
        ValueError: unknown assignment, no folder, no submissions, two of one name, or a name that
            no class can have.
    """
    notebook = find_assignment(number)
    if group:
        for_class(group)
    importlib.import_module(f"course_lib.checks.{notebook[3:]}")  # for `worded`
    out = out or Path("grading", notebook)
    found = find_submissions(folder, notebook, out)
    out.mkdir(parents=True, exist_ok=True)
    names = list(load(notebook)["exercises"])
    workers = concurrent.futures.ProcessPoolExecutor(jobs, processes(), max_tasks_per_child=1)
    graded = []
    with open(out / "grades.csv", "w", newline="", encoding="utf-8-sig") as file, workers:
        table = csv.writer(file)
        table.writerow(["student", *names, "total", "remark"])
        waiting = [workers.submit(grade, *item, notebook, timeout, group) for item in found.items()]
        for count, task in enumerate(waiting, start=1):  # in the order of the students
            result = task.result()
            graded.append(result)
            total = sum(result.points.values()) if result.points else ""
            remark = "; ".join(result.remarks)
            points = (result.points.get(name, "") for name in names)
            table.writerow([result.student, *points, total, remark])
            file.flush()
            page = out / f"{result.student}.html"
            page.write_text(feedback(result, notebook), encoding="utf-8")
            print(
                f"[{count}/{len(found)}] {result.student}: {'-' if total == '' else total} points, "
                f"{result.seconds:.0f} s{remark and '. ' + remark}",
                flush=True,
            )
    facts = load(notebook)["exercises"]
    shown = {n: alike.words(worded(notebook, fact["solution"])) for n, fact in facts.items()}
    answers = {
        one.student: {
            name: text
            for name, text in one.answers.items()
            if BLANK not in text and alike.words(text) != shown[name]
        }
        for one in graded
    }
    failed = {one.student: [n for n, points in one.points.items() if not points] for one in graded}
    pairs = alike.pairs(answers, failed)
    with open(out / "alike.csv", "w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(
            ["student", "student", "as written", "names made equal", "same wrong answer"]
        )
        table.writerows(pairs)
    print(
        f"Wrote {out / 'grades.csv'}, {len(found)} feedback pages beside it, and alike.csv with "
        f"{len(pairs)} pairs to look at."
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m course_lib.checks.grade", description="Grade a folder of submissions."
    )
    parser.add_argument("folder", type=Path, help="one notebook or one folder a student")
    parser.add_argument("number", help="the assignment, for example 04")
    parser.add_argument("--class", dest="group", default="", help="whose numbers they have")
    parser.add_argument("--out", type=Path, help="where to write; grading/NN_word if not given")
    parser.add_argument("--timeout", type=int, default=60, help="seconds for one cell (60)")
    parser.add_argument("--jobs", type=int, help="students side by side (half of the cores)")
    asked = parser.parse_args(arguments)
    jobs = asked.jobs if asked.jobs is not None else max(1, (os.cpu_count() or 1) // 2)
    if jobs < 1 or asked.timeout < 1:
        sys.exit(f"--jobs is {jobs}, --timeout {asked.timeout}; allowed: at least 1.")
    try:
        grade_class(asked.folder, asked.number, asked.out, asked.timeout, jobs, asked.group)
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
