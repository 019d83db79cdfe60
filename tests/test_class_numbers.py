"""Assignments with a class's own numbers: the words change with them, last year's answers fail."""

import importlib
import importlib.util
import os
import subprocess
import sys
import unicodedata

import keras
import nbformat
import pytest
from notebook_tools import NOTEBOOKS, ROOT
from test_assignments import DEAR, NAMES

from course_lib import checks
from course_lib.checks import grade, networks

CLASSES = [f"class{number}" for number in range(60)]


@pytest.fixture
def numbers(monkeypatch):
    """Return a function: the checks of an assignment with the numbers of a class."""

    def of_class(name, group):
        monkeypatch.setattr(checks, "CLASS", "")
        monkeypatch.setattr(checks, "VARIED", {})
        if group:
            checks.for_class(group)
        spec = importlib.util.find_spec(f"course_lib.checks.{name[3:]}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)  # a copy; the other tests keep theirs
        return module

    return of_class


def source(name):
    book = nbformat.read(NOTEBOOKS / f"assignments/source/{name}/{name}.ipynb", as_version=4)
    return "\n".join(cell.source for cell in book.cells)


def varied_in():
    """Return the assignments that have numbers of a class's own."""
    found = []
    for name in NAMES:
        importlib.import_module(f"course_lib.checks.{name[3:]}")
        if name in checks.VARIED:
            found.append(name)
    return found


@pytest.mark.parametrize("name", varied_in())
def test_the_words_around_a_number_stand_in_the_source(name, numbers):
    numbers(name, "")
    text = source(name)
    for phrases, value, chosen in checks.VARIED[name]:
        assert chosen == value
        given = value if isinstance(value, tuple) else (value,)
        for phrase in phrases:
            assert phrase.format(*given, all=value) in text, phrase


def answers(name, number_of_class):
    """Return {exercise: function}: the solutions, as they are or for the class in use."""
    data = checks.load(name)
    space = {}
    exec(data["imports"], space)
    for facts in data["exercises"].values():
        code = facts["solution"]
        exec(checks.worded(name, code) if number_of_class else code, space)
    return {key: space[key] for key in data["exercises"]}


def changed(name):
    """Return the exercises whose solution reads otherwise for the class in use."""
    solutions = {key: facts["solution"] for key, facts in checks.load(name)["exercises"].items()}
    return [key for key, text in solutions.items() if checks.worded(name, text) != text]


def sizes_of(exercise, answer, expect_network, monkeypatch):
    """Judge an answer with a way to compare networks; return the parameters of those compared."""
    sizes = []

    def compare(model, *given, **more):
        sizes.append(model.count_params())
        return expect_network(model, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(networks, "expect_network", compare)
        exercise.judge(answer)
    return sizes


@pytest.mark.slow
@pytest.mark.parametrize("name", varied_in())
def test_the_answers_of_another_class_do_not_pass(name, numbers, monkeypatch):
    seen = {}
    for group in CLASSES:
        module = numbers(name, group)
        assert changed(name)
        values = str([chosen for _, _, chosen in checks.VARIED[name]])
        theirs, last_years = answers(name, True), answers(name, False)
        for key in changed(name):
            if (key, values) in seen or (key in DEAR and any(key == k for k, _ in seen)):
                continue
            seen[key, values] = True
            exercise = getattr(module, key)
            right = sizes_of(exercise, theirs[key], networks.expect_network, monkeypatch)
            try:  # without looking for the mistake that another network makes: that is dear
                wrong = sizes_of(exercise, last_years[key], lambda *given, **more: "", monkeypatch)
            except checks.Mistake as mistake:
                assert checks.UNFORESEEN not in str(mistake)
            else:
                assert wrong and set(wrong).isdisjoint(right), key


@pytest.mark.slow
def test_an_exercise_that_uses_another_answer_passes_with_its_numbers(numbers, monkeypatch):
    """Whether networks learn is tested elsewhere; here Keras trains none."""
    names, judged = varied_in(), []
    monkeypatch.setattr(keras.Model, "fit", lambda *given, **more: None)
    monkeypatch.setattr(networks, "expect_trained", lambda *given, **more: "")
    for name in names:
        module = numbers(name, "class7")
        theirs, other = answers(name, True), changed(name)
        for key, facts in checks.load(name)["exercises"].items():
            if key not in other and any(f"{used}(" in facts["solution"] for used in other):
                getattr(module, key).judge(theirs[key])
                judged.append((name, key))
    assert ("07_resnet", "train") in judged and ("04_alexnet", "train") in judged


WRITE = """
import sys
from pathlib import Path
import assignments
assignments.main(["--class", sys.argv[1]], Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_class_gets_its_notebooks_and_its_grades(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/assignments").symlink_to(ROOT / "notebooks/assignments")

    def write(group):
        command = [sys.executable, "-c", WRITE, group, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    assert "class is 'a b'; allowed: up to 40 letters" in write("a b").stderr
    done = write("3반")
    assert "05_vgg: 2 exercises with other numbers" in done.stdout, done.stderr
    folder = tmp_path / "notebooks/assignments_3반"
    assert sorted(file.stem for file in folder.iterdir()) == NAMES
    text = (folder / "05_vgg.ipynb").read_text(encoding="utf-8")
    assert "checks.for_class(" in text and "12, 24, 48, 96 and 96 channels" not in text

    monkeypatch.setattr(checks, "CLASS", "")
    monkeypatch.setattr(checks, "VARIED", {})
    checks.for_class(unicodedata.normalize("NFD", "3반"))
    assert checks.CLASS == "3반"
    monkeypatch.setattr(checks, "CLASS", "class7")
    result = grade.Result("x")
    first = grade.plan(["def design():\n    return []"], "05_vgg", result)[0]
    assert 'checks.for_class("class7")' in first.source
    monkeypatch.setattr(checks, "VARIED", {"05_vgg": []})
    with pytest.raises(ValueError, match="the numbers of class7 are in use, class8 was asked for"):
        checks.for_class("class8")


def test_a_number_is_the_same_each_time_and_never_the_courses(monkeypatch):
    monkeypatch.setattr(checks, "VARIED", {})
    chosen = set()
    for group in CLASSES:
        monkeypatch.setattr(checks, "CLASS", group)
        one = checks.varied("05_vgg", ("at most {0}",), 1, 2, 3, 4)
        assert one == checks.varied("05_vgg", ("at most {0}",), 1, 2, 3, 4)
        chosen.add(one)
    assert chosen == {2, 3, 4}
