"""What the checks of several assignments share: pictures, experiments, patients.

`experiment` keeps a prediction until the numbers are there; `diagnosed` judges what a learner says
of a network that fails.
"""

import dataclasses
import functools

from course_lib.checks import Mistake, parts


@functools.cache
def pictures(train, validation=1000, tested=1000):
    """Return the course's splits of Fashion-MNIST, cut to so many pictures each."""
    from course_lib import data

    splits = data.load(numpy=True, train_limit=train)

    def cut(pair, number):
        return tuple(part[:number] for part in pair)

    return dataclasses.replace(
        splits,
        validation=cut(splits.validation, validation),
        test=cut(splits.test, tested),
    )


# ---- predict, then measure ----------------------------------------------------------------------

predictions = {}  # exercise -> the first prediction; it stays while the notebook runs


def experiment(answer, choices, measure):
    """Call `answer(predict, measure)` and return ({arguments: number}, what it concludes).

    The first prediction is kept, and shown beside the conclusion. It is not marked.

    Args:
        choices: the sentences that can be predicted and concluded.
        measure: a function of hashable arguments; it is called once for each.

    Raises:
        Mistake: measured before predicted, no prediction, or a word that is no choice.
    """
    measured, said_now = {}, []
    allowed = ", ".join(f"{choice!r}" for choice in choices)

    def predict(choice):
        if choice not in choices:
            raise Mistake(f"predict takes one of {allowed}; it got {choice!r}.")
        said_now.append(choice)
        predictions.setdefault(answer.name, choice)
        return choice

    def measuring(*arguments):
        if not said_now:
            raise Mistake("predict first, then measure: what do you expect, before you look?")
        if arguments not in measured:
            measured[arguments] = measure(*arguments)
        return measured[arguments]

    concluded = answer(predict, measuring)
    if not said_now:
        raise Mistake("there is no prediction. Call predict(...) in the first line.")
    if not measured:
        raise Mistake("nothing was measured. Call measure(...) before you conclude.")
    if not isinstance(concluded, str) or concluded not in choices:
        raise Mistake(f"return one of {allowed}; this is {str(concluded)[:60]!r}.")
    return measured, concluded


def tell(name, measured, concluded):
    """Return what was predicted, measured and concluded, for the learner."""
    rows = "; ".join(
        f"measure({', '.join(map(repr, arguments))}) = {value:.1f}"
        for arguments, value in measured.items()
    )
    return f"You predicted {predictions[name]!r}. Measured: {rows}. You conclude {concluded!r}."


# ---- the sick network ---------------------------------------------------------------------------


def diagnosed(result, right, causes, cure="the mended part"):
    """Return what an answer gives beside the cause, or raise `Mistake` where the cause is wrong.

    Args:
        result: (cause, cure), as an answer returned it.
        right: the cause.
        causes: each other cause -> why it is not this one, from what can be seen.
    """
    cause, mended = parts(result, ("the cause", cure))
    if not isinstance(cause, str) or cause not in (right, *causes):
        allowed = ", ".join(f"{name!r}" for name in sorted((right, *causes)))
        raise Mistake(f"the cause should be one of {allowed}; this is {str(cause)[:60]!r}.")
    if cause != right:
        raise Mistake(f"{cause!r} is not the cause: {causes[cause]}")
    return mended
