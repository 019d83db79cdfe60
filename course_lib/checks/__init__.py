"""Instant checks for the assignments: three verbs an exercise, `check`, `hint` and `solution`.

A module here is the list of one assignment's exercises. Each is a function that calls the
learner's answer and compares what comes back:

    exercise = assignment("01_mlp")

    @exercise(section="The neuron", correct="...", hints=("...", "..."))
    def layer(answer):
        expect(answer(x, w, b), right, {"The bias is missing.": what_it_gives_without_a_bias})

A learner then writes `q.layer.check(layer)`, `q.layer.hint()` or `q.layer.solution()`.
Solutions, points and imports come from the assignment's one source notebook, through
`NN_word.json`, which `scripts/assignments.py` writes.
"""

import copy
import functools
import json
import textwrap
import traceback
from dataclasses import dataclass
from importlib import resources

import numpy as np

BLANK = "write your answer here"  # what the unfilled cell raises; scripts/assignments.py puts it


class Mistake(Exception):
    """What is wrong with an answer, in words for the learner."""

    verdict = "Not right yet"


class Blank(Mistake):
    """The answer is still the blank that the learner was given."""

    verdict = "Not written yet"


@dataclass(frozen=True)
class Exercise:
    """One exercise. Frozen, so that a notebook cannot replace its check by accident."""

    name: str
    notebook: str
    section: str
    correct: str
    hints: tuple
    test: object

    def check(self, answer):
        """Print one message: correct, or what is wrong and where to read. Return True or False."""
        try:
            with np.errstate(all="ignore"):
                self.test(Answer(self.name, answer))
        except Mistake as mistake:
            where = f"(Notebook {self.notebook}, section “{self.section}”)"
            say(f"{mistake.verdict}: {mistake} {where}")
            return False
        say(f"Correct: {self.correct}")
        return True

    def hint(self, number=1):
        """Print hint `number`, counted from 1; a later hint says more than an earlier one.

        Raises:
            ValueError: there is no hint of that number.
        """
        count = len(self.hints)
        if number not in range(1, count + 1):
            raise ValueError(f"hint number is {number!r}; allowed: 1 to {count}.")
        more = f" (q.{self.name}.hint({number + 1}) says more)" if number < count else ""
        say(f"Hint {number} of {count}: {self.hints[number - 1]}{more}")

    def solution(self):
        """Print the course's own answer."""
        print(load(self.notebook)["exercises"][self.name]["solution"])


def assignment(notebook):
    """Return the decorator that makes an `Exercise` of a test, for example for "01_mlp"."""

    def exercise(*, section, correct, hints):
        return lambda test: Exercise(test.__name__, notebook, section, correct, hints, test)

    return exercise


@functools.cache
def load(notebook):
    """Return what `scripts/assignments.py` derived from the source of this assignment.

    A dict: "imports" (source of the cell that every answer relies on) and "exercises"
    (name -> {"points", "solution"}, in the order of the notebook).
    """
    return json.loads(resources.files(__name__).joinpath(f"{notebook}.json").read_text("utf-8"))


def say(message):
    print(textwrap.fill(message, 80, break_long_words=False, break_on_hyphens=False))


class Answer:
    """The learner's function. Calling it turns whatever goes wrong inside into a `Mistake`."""

    def __init__(self, name, function):
        self.name = name
        self.function = function

    def __call__(self, *arguments):
        """Call the answer with copies of the arguments; it must return something and change none.

        Raises:
            Mistake: not a function, not written yet, raised an exception, returned nothing, or
                changed an array that it was given.
        """
        if not callable(self.function):
            raise Mistake(
                f"check the function itself, q.{self.name}.check({self.name}), not what it "
                f"returns; this is of type {type(self.function).__name__}."
            )
        given = copy.deepcopy(arguments)
        try:
            result = self.function(*given)
        except Exception as error:
            if isinstance(error, ValueError) and str(error) == BLANK:
                raise Blank(
                    f"put your code in place of the `raise` line of `{self.name}`, run that cell, "
                    "then this one."
                ) from None
            raise Mistake(self.explain(error)) from None
        if result is None or result is Ellipsis:
            raise Mistake(f"nothing comes back. End `{self.name}` with a return line.")
        for position, (before, after) in enumerate(zip(arguments, given, strict=True), start=1):
            if isinstance(before, np.ndarray) and not np.array_equal(before, after):
                raise Mistake(
                    f"`{self.name}` changes an array that it was given (argument {position}). "
                    "Work on a new array: `x = x - 1` makes one, `x -= 1` does not."
                )
        return result

    def explain(self, error):
        """Say in one sentence what the answer raised, and in which line of its cell."""
        file = getattr(getattr(self.function, "__code__", None), "co_filename", None)
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        where = f", in line {frames[-1].lineno} of its cell" if frames else ""
        line = f": `{frames[-1].line}`" if frames and frames[-1].line else ""
        message = " ".join(str(error).split())
        message = message if len(message) <= 200 else message[:200] + " ..."
        return f"`{self.name}` stops with {type(error).__name__} ({message}){where}{line}."


def numbers(value, what="The result"):
    """Return `value` as a float64 array.

    Raises:
        Mistake: it is not made of numbers, or is ragged.
    """
    try:
        return np.asarray(value, dtype="float64")
    except (TypeError, ValueError):
        raise Mistake(
            f"{what} should be a number or an array of numbers; it is a "
            f"{type(value).__name__} that does not convert to one."
        ) from None


def shaped(value, shape, what):
    """Return `value` as an array of that shape, or raise `Mistake`."""
    array = numbers(value, what)
    if array.shape != shape:
        raise Mistake(f"{what} has shape {array.shape}; it should have shape {shape}.")
    return array


def same(a, b, tolerance):
    """Say whether the shapes agree and no number differs by more than a share of the largest."""
    if a.shape != b.shape:
        return False
    return bool(np.all(np.abs(a - b) <= tolerance * np.max(np.abs(b), initial=1e-6)))


def expect(result, right, mistakes=None, what="The result", tolerance=1e-5):
    """Raise `Mistake` unless `result` is `right`.

    Args:
        result: what the answer returned; anything.
        right: the right number or array. Integers are compared exactly.
        mistakes: message -> the number or array that an answer with this mistake gives.
        what: how messages call the result.
        tolerance: allowed difference, as a share of the largest number in `right`.
    """
    exact = np.asarray(right).dtype.kind in "iu"
    tolerance = 0.0 if exact else tolerance
    result, right = numbers(result, what), numbers(right)
    if same(result, right, tolerance):
        return
    recognise(result, mistakes or {}, tolerance)
    shaped(result, right.shape, what)
    if not np.all(np.isfinite(result)):
        raise Mistake(f"{what} contains nan or inf where the right values are ordinary numbers.")
    worst = np.unravel_index(np.argmax(np.abs(result - right)), right.shape)
    place = f" at {[int(i) for i in worst]}" if right.shape else ""
    shown = ".10g" if exact else ".6g"
    raise Mistake(f"{what}{place} is {result[worst]:{shown}}; it should be {right[worst]:{shown}}.")


def recognise(result, mistakes, tolerance=0.0):
    """Raise `Mistake` with the message whose wrong number or array `result` is, if there is one."""
    for message, wrong in mistakes.items():
        if same(numbers(result), numbers(wrong), tolerance):
            raise Mistake(message)


def parts(result, names):
    """Return the several things that an answer should return.

    Raises:
        Mistake: it is not a tuple, a list or an array of that many.
    """
    if isinstance(result, np.ndarray) and result.ndim:
        result = list(result)
    if not isinstance(result, (tuple, list)) or len(result) != len(names):
        got = f"{len(result)} things" if isinstance(result, (tuple, list)) else "one thing"
        raise Mistake(f"{got} came back where there should be {len(names)}: {', '.join(names)}.")
    return result


def expect_model(model, input_shape):
    """Raise `Mistake` unless `model` is a `keras.Model` with one input of that shape."""
    import keras  # few exercises need it

    if not isinstance(model, keras.Model):
        raise Mistake(f"return a keras.Model; this is a {type(model).__name__}.")
    if len(model.inputs) != 1 or tuple(model.inputs[0].shape[1:]) != input_shape:
        raise Mistake(f"the model should have one input of shape {input_shape}.")
