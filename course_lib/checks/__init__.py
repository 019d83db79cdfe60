"""Instant checks for the assignments: three verbs an exercise, `check`, `hint` and `solution`.

A module here is the list of one assignment's exercises. Each is a function that calls the
learner's answer and compares what comes back:

    exercise = assignment("01_mlp")

    @exercise(section="The neuron", correct="...", hints=("...", "..."))
    def layer(answer):
        expect(answer(x, w, b), right, {"The bias is missing.": what_it_gives_without_a_bias})

A learner then writes `q.layer.check(layer)`, `q.layer.hint()` or `q.layer.solution()`.
Solutions, points and imports come from the assignment's one source notebook, through
`NN_word.json`, which `scripts/assignments.py` writes. Some numbers of a module are `varied`: a
class that `for_class` names has others than the course.
"""

import copy
import functools
import inspect
import json
import re
import textwrap
import traceback
import unicodedata
import zlib
from dataclasses import dataclass
from importlib import resources

import numpy as np

UNFORESEEN = "is nothing that this check can use"
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
            note = self.judge(answer)
        except Mistake as mistake:
            where = f"(Notebook {self.notebook}, section “{self.section}”)"
            say(f"{mistake.verdict}: {mistake} {where}")
            return False
        say(f"Correct: {self.correct}")
        if note:
            say(note)
        return True

    def judge(self, answer):
        """Test an answer; return what is to be told of a right one, or None.

        Raises:
            Mistake: and nothing else, whatever was answered. An object that a test did not foresee
                is named; the tests of the course accept this message for none of their answers.
        """
        try:
            with np.errstate(all="ignore"):
                return self.test(Answer(self.name, answer))
        except Mistake:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise Mistake(
                f"what `{self.name}` returns {UNFORESEEN} ({reason}). Compare it with the "
                "docstring: is it what is asked for there?"
            ) from None

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
        solution = load(self.notebook)["exercises"][self.name]["solution"]
        print(worded(self.notebook, solution))


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


CLASS = ""  # the class whose numbers are asked for; "": those of the course
VARIED = {}  # notebook -> [(phrases, the course's value, the class's value)]


def for_class(name):
    """Choose the numbers of a class, before a module of checks is imported.

    Raises:
        ValueError: the name is not made of letters, digits, "-" and "_", or a module has been
            imported with the numbers of another class.
    """
    global CLASS
    name = unicodedata.normalize("NFC", name)  # one name has one set of numbers on every system
    if not re.fullmatch(r"[\w-]{1,40}", name):
        raise ValueError(f"class is {name!r}; allowed: up to 40 letters, digits, '-' and '_'.")
    if VARIED and name != CLASS:
        raise ValueError(
            f"the numbers of {CLASS or 'the course'} are in use, {name} was asked for. Restart "
            "the kernel, and run the cells from the top."
        )
    CLASS = name


def varied(notebook, phrases, value, *others):
    """Return a value of an exercise: the course's own, or another one for a class.

    Args:
        notebook: for example "05_vgg".
        phrases: the words of the source notebook in which the value stands, such as
            "at most **{0:,}** weights"; {0}, {1} are the numbers of a tuple, {all} is the value.
        value: the course's.
        others: what a class may get; its name decides.
    """
    chosen = value
    if CLASS:
        chosen = others[zlib.crc32(f"{CLASS} {notebook} {phrases[0]}".encode()) % len(others)]
    VARIED.setdefault(notebook, []).append((phrases, value, chosen))
    return chosen


def worded(notebook, text):
    """Return a text of a source notebook with the numbers of the class that is in use."""

    def written(phrase, value):
        return phrase.format(*(value if isinstance(value, tuple) else (value,)), all=value)

    for phrases, value, chosen in VARIED.get(notebook, ()):
        for phrase in phrases:
            text = text.replace(written(phrase, value), written(phrase, chosen))
    return text


def opened(imports):
    """Return the source of an imports cell as it is for the class in use."""
    before = "from course_lib.checks import"
    chosen = f'from course_lib import checks\n\nchecks.for_class("{CLASS}")  # your class\n'
    return imports.replace(before, chosen + before) if CLASS else imports


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
        except Mistake:  # from a function that the check handed in
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, ValueError) and str(error) == BLANK:
                raise Blank(
                    f"put your code in place of the `raise` line of `{self.name}`, run that cell, "
                    "then this one."
                ) from None
            raise Mistake(self.explain(error)) from None
        if result is None or result is Ellipsis:
            raise Mistake(f"nothing comes back. End `{self.name}` with a return line.")
        if inspect.isgenerator(result):
            raise Mistake(
                f"`{self.name}` is a generator: it has `yield` where it needs `return`, or "
                "round brackets around a loop. Return the numbers themselves."
            )
        if isinstance(result, type):
            raise Mistake(
                f"a class comes back, not what it makes. Call it: `{result.__name__}(...)`."
            )
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
    """Return `model` as one that can be looked at: built, with one input and one output.

    A `Sequential` without `Input` and a subclassed model are built here. This is the one place
    that meets the learner's object; what it returns has `weights`, `output_shape` and layers.

    Args:
        model: what the answer returned; anything.
        input_shape: (height, width, channels) of the pictures.

    Raises:
        Mistake: no `keras.Model`, or one for other pictures or with several outputs.
    """
    import keras  # few exercises need it

    if isinstance(model, keras.KerasTensor):
        raise Mistake(
            "this is what a layer gave back, not yet a model. End with "
            "keras.Model(image, x), where image is the keras.Input."
        )
    if not isinstance(model, keras.Model):
        raise Mistake(f"return a keras.Model; this is a {type(model).__name__}.")
    try:
        inputs = list(model.inputs)
    except (AttributeError, TypeError, ValueError):  # not built, or subclassed
        inputs = None
    wanted = f"the model should have one input of shape {input_shape}"
    if inputs is not None:
        if len(inputs) != 1:
            raise Mistake(f"{wanted}; it has {len(inputs)} inputs.")
        batch, *shape = inputs[0].shape
        if batch is not None:
            raise Mistake(f"the batch size is fixed. Leave it open: keras.Input({input_shape}).")
        if len(shape) != len(input_shape) or any(
            side not in (None, right) for side, right in zip(shape, input_shape, strict=True)
        ):
            raise Mistake(f"{wanted}; its input has {tuple(shape)}.")
    ready = inputs is not None and tuple(shape) == input_shape
    try:
        image = inputs[0] if ready else keras.Input(input_shape)
        outputs = model.outputs if ready else keras.tree.flatten(model(image))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise Mistake(
            f"the model does not take pictures of shape {input_shape}: {type(error).__name__} "
            f"({reason})."
        ) from None
    if len(outputs) != 1 or not isinstance(outputs[0], keras.KerasTensor):
        raise Mistake(
            f"the model should have one output; it has {len(outputs)}. Join them, or return the "
            "last one alone."
        )
    if ready and (isinstance(model, keras.Sequential) or not keras.tree.is_nested(model.output)):
        return model
    return keras.Model(image, outputs[0])


def response(model, x):
    """Return what a model from `expect_model` makes of one picture, as float64.

    Raises:
        Mistake: it fails, or gives other numbers each time it is trained: a dropout layer.
    """
    import keras

    def run(training):
        return numbers(keras.ops.convert_to_numpy(model(x[None], training=training)))[0]

    kept = model.get_weights()
    try:
        result, first, again = run(False), run(True), run(True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise Mistake(f"the model stops with {type(error).__name__} ({reason}).") from None
    model.set_weights(kept)  # batch normalisation has moved its averages
    if not np.array_equal(first, again, equal_nan=True):
        raise Mistake(
            "in training the same picture gives other numbers each time: there is a Dropout "
            "layer in it, or noise. The paper has none at this place."
        )
    return result
