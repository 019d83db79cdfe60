"""Answers that learners might give: wrong ones, each with what its check must say, and right ones.

@wrong("layer", "the bias is missing")
def layer_without_bias(x, w, b): ...

@right("layer")
def layer_with_loops(x, w, b): ...
"""

import numpy as np


def wrong(exercise, says):
    """Mark a function as a wrong answer to `exercise`; its check's message contains `says`."""

    def mark(function):
        function.exercise, function.says = exercise, says
        return function

    return mark


def right(exercise):
    """Mark a function as a right answer to `exercise`, not written as the course writes it."""
    return wrong(exercise, None)


def _answers(exercise, told):
    """Return wrong answers to one exercise, from {name: (function, what its check says)}."""
    for name, (function, says) in told.items():
        function.__name__ = name
        wrong(exercise, says)(function)
    return [function for function, _ in told.values()]


def untrained(build):
    """Return wrong answers to `train`: what fit returns, weights that are nan, and that are zero.

    Args:
        build: returns a network that the check lets pass but for what it has learned.
    """
    import keras

    def filled(number):
        model = build()
        model.set_weights([number * np.ones_like(weight) for weight in model.get_weights()])
        return model

    told = {
        "history": (lambda x, labels: keras.callbacks.History(), "this is what fit returns"),
        "nan": (lambda x, labels: filled(np.nan), "the outputs are nan or infinite"),
        "dead": (lambda x, labels: filled(0), "it says class"),
    }
    return _answers("train", {f"train_{name}": value for name, value in told.items()})


def hasty(exercise, choice, *arguments):
    """Return wrong answers to an experiment: no prediction, no measurement, one's own words.

    Args:
        choice: one that may be predicted.
        arguments: what may be measured.
    """

    def unpredicted(predict, measure):
        measure(*arguments)
        return choice

    def own_words(predict, measure):
        predict("it helps")
        return choice

    told = {
        "unpredicted": (unpredicted, "predict first, then measure"),
        "unmeasured": (lambda predict, measure: predict(choice), "nothing was measured"),
        "own_words": (own_words, "predict takes one of"),
    }
    return _answers(exercise, {f"{exercise}_{name}": value for name, value in told.items()})


def in_a_class(build, called=False):
    """Return an answer whose model is a class of the learner's, as tutorials write it.

    Args:
        build: an answer that returns a functional model.
        called: has the model seen an input already, so that its weights exist?
    """
    import keras

    class Net(keras.Model):
        def __init__(self, inside):
            super().__init__()
            self.inside = inside

        def call(self, x):
            return self.inside(x)

    def answer(*arguments):
        inside = build(*arguments)
        model = Net(inside)
        if called:
            model(keras.ops.zeros((1, *inside.input_shape[1:])))
        return model

    return answer
