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
