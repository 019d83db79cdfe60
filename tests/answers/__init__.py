"""Answers that learners might give: wrong ones, each with what its check must say, and right ones.

@wrong("layer", "the bias is missing")
def layer_without_bias(x, w, b): ...

@right("layer")
def layer_with_loops(x, w, b): ...
"""


def wrong(exercise, says):
    """Mark a function as a wrong answer to `exercise`; its check's message contains `says`."""

    def mark(function):
        function.exercise, function.says = exercise, says
        return function

    return mark


def right(exercise):
    """Mark a function as a right answer to `exercise`, not written as the course writes it."""
    return wrong(exercise, None)
