"""The exercises of assignment 01: a multilayer perceptron, written out in NumPy."""

import numpy as np

from course_lib.checks import Mistake, assignment, expect, numbers, parts, recognise, shaped

exercise = assignment("01_mlp")


@exercise(
    section="The neuron",
    correct="a whole layer is one matrix product. Four examples, three inputs, two neurons.",
    hints=(
        "One neuron: multiply each input by its weight, add up, add the bias. The product x @ w "
        "does this for all examples and all neurons at once.",
        "The activation comes last, on the finished sum: np.maximum(sum, 0).",
    ),
)
def layer(answer):
    x = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0], [-2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    w = np.array([[1.0, -2.0], [0.5, 1.0], [-1.5, 0.25]])
    b = np.array([0.75, -0.5])
    total = x @ w
    expect(
        answer(x, w, b),
        np.maximum(total + b, 0),
        {
            "the bias is missing: add b to x @ w, before the activation.": np.maximum(total, 0),
            "the activation is missing: a ReLU sets every negative sum to 0.": total + b,
            "the bias is added after the ReLU. It belongs to the sum: the ReLU comes last.": (
                np.maximum(total, 0) + b
            ),
            "the bias is subtracted. It is added to the sum.": np.maximum(total - b, 0),
            "this is a sigmoid. The exercise asks for a ReLU: the larger of the sum and 0.": (
                1 / (1 + np.exp(-total - b))
            ),
            "this is the absolute value. A ReLU sets negative sums to 0.": np.abs(total + b),
            "only the smaller of the sum and 0 is kept. A ReLU keeps the larger.": (
                np.minimum(total + b, 0)
            ),
            "the sum over the neurons is one too many: each neuron keeps an output of its own.": (
                np.maximum(total + b, 0).sum(axis=1)
            ),
        },
    )


@exercise(
    section="The loss",
    correct="the mean cross-entropy, also where exp(1000) would overflow. Keras computes it so "
    "from logits.",
    hints=(
        "The loss of one example is minus the logarithm of the probability that softmax gives to "
        "the right class. The result is the mean over the examples.",
        "Softmax does not change when the same number is taken from a whole row. Take the row's "
        "largest logit: no exponent is then above 0.",
        "log softmax = s - log(sum(exp(s))) with s = logits - row maximum. No probability is ever "
        "formed, so none can round to 0. Pick the right classes with [np.arange(n), labels].",
    ),
)
def cross_entropy(answer):
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 1.5, -0.5], [1.0, 1.0, 3.0], [-2.0, 0.0, 1.0]])
    labels = np.array([0, 2, 2, 1])
    rows = np.arange(4)
    exp = np.exp(logits)
    right = -np.log(exp / exp.sum(axis=1, keepdims=True))[rows, labels]
    columns = -np.log(exp / exp.sum(axis=0))[rows, labels]
    expect(
        answer(logits, labels),
        right.mean(),
        {
            "the losses of the examples are added up. Take their mean.": right.sum(),
            "one loss for each example came back. Take their mean.": right,
            "the sign is wrong: the logarithm of a probability is negative, the loss is not.": (
                -right.mean()
            ),
            "softmax runs down the columns. Each row is one example: sum with axis=1.": (
                columns.mean()
            ),
            "softmax divides by the sum over all examples. Each row is one example: sum with "
            "axis=1, keepdims=True.": (-np.log(exp / exp.sum())[rows, labels]).mean(),
            "this is the mean over all classes too. Only the right class of each example counts: "
            "divide by the number of examples.": right.sum() / logits.size,
            "the logarithm has base 2. The loss uses the natural logarithm, np.log.": (
                right.mean() / np.log(2)
            ),
            "the logarithm has base 10. The loss uses the natural logarithm, np.log.": (
                right.mean() / np.log(10)
            ),
            "the logarithm is missing: this is the mean probability of the right class.": (
                np.exp(-right).mean()
            ),
            "the softmax is missing: this is minus the mean logit of the right class.": (
                -logits[rows, labels].mean()
            ),
        },
    )
    far = numbers(answer(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([1, 1])))
    if np.isnan(far):
        raise Mistake(
            "with logits of 1000 the result is nan: exp(1000) overflows. Take the largest logit "
            "of each row away before exp."
        )
    if np.isinf(far):
        raise Mistake(
            "with logits of 1000 the result is inf: a probability rounded to 0 and log(0) is "
            "-inf. Work with log softmax = s - log(sum(exp(s))), without forming the probability."
        )
    if far < 499:
        raise Mistake(
            "with logits of 1000 and 0 the loss of a wrong example is 1000 (the mean here 500), "
            f"yours is capped ({far:.4g}). A small number inside the logarithm hides large losses."
        )
    expect(far, 500.0)
    apart = numbers(answer(np.array([[1000.0, 1001.0], [-1000.0, -999.0]]), np.array([1, 1])))
    if not np.isfinite(apart):
        raise Mistake(
            "with one row near 1000 and one near -1000 the result is not finite: the largest "
            "logit of the whole array was taken away. Use each row's own: max(axis=1, "
            "keepdims=True)."
        )
    expect(apart, np.log(1 + np.exp(-1)))


def loss(x, labels, w1, b1, w2, b2):
    """Mean cross-entropy of the network of exercise `gradients`; small logits only."""
    z = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels])


def slopes(x, labels, *weights, step=1e-6):
    """The gradient of `loss` by central differences, one weight at a time."""
    result = [np.zeros_like(w) for w in weights]
    for slope, w in zip(result, weights, strict=True):
        for place in np.ndindex(w.shape):
            kept = w[place]
            w[place] = kept + step
            above = loss(x, labels, *weights)
            w[place] = kept - step
            below = loss(x, labels, *weights)
            w[place] = kept
            slope[place] = (above - below) / (2 * step)
    return result


@exercise(
    section="Backpropagation",
    correct="all four gradients agree with finite differences. This is backpropagation.",
    hints=(
        "Go backwards, from the loss to the input. First the gradient of the loss with respect to "
        "the logits: (probabilities - one_hot) / n.",
        "A weight's gradient is what entered it times what comes back: dw2 = hidden.T @ d, and "
        "db2 is d added up over the examples.",
        "Through the second layer: d @ w2.T. Through the ReLU: times (hidden > 0). Then dw1 and "
        "db1 as above, with x in place of hidden.",
    ),
)
def gradients(answer):
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(6, 5)), np.array([0, 2, 1, 1, 0, 2])
    w1, b1 = rng.normal(size=(5, 4)), rng.normal(size=4)
    w2, b2 = rng.normal(size=(4, 3)), rng.normal(size=3)
    n = len(x)
    total = x @ w1 + b1
    hidden = np.maximum(total, 0)
    exp = np.exp(hidden @ w2 + b2)
    p = exp / exp.sum(axis=1, keepdims=True)
    d = (p - np.eye(3)[labels]) / n
    back = d @ w2.T
    dw1, db1, dw2, db2 = slopes(x, labels, w1, b1, w2, b2)

    names = ("dw1", "db1", "dw2", "db2")
    got = list(map(numbers, parts(answer(x, labels, w1, b1, w2, b2), names), names))
    if [g.shape for g in got] == [(4, 3), (3,), (5, 4), (4,)]:
        raise Mistake("the order is wrong: return dw1, db1, dw2, db2, the first layer first.")
    expect(
        got[2],
        dw2,
        {
            "dw2 is n times too large: the loss is a mean, so divide by the number of examples.": (
                dw2 * n
            ),
            "dw2 has the wrong sign: the gradient at the logits is probabilities - one_hot.": -dw2,
            "dw2 uses the probabilities alone. Take 1 away at the right class first: "
            "probabilities - one_hot.": hidden.T @ p / n,
            "dw2 uses the sum before the ReLU. What entered w2 is the hidden layer's output.": (
                total.T @ d
            ),
            "dw2 is transposed: it has the shape of w2, (hidden, classes).": dw2.T,
        },
        "dw2",
    )
    expect(
        got[3],
        db2,
        {
            "db2 is divided by n twice: d already holds 1/n, so add up over the examples.": db2 / n,
            "db2 has one row for each example. The bias is shared: add up over the examples, "
            "axis=0.": d,
            "db2 is added up over the classes. Add up over the examples, axis=0.": d.sum(axis=1),
        },
        "db2",
    )
    expect(
        got[0],
        dw1,
        {
            "dw1 ignores the ReLU: where its input was negative, no gradient passes. Multiply by "
            "(hidden > 0).": x.T @ back,
            "dw1 multiplies by the hidden output. The slope of a ReLU is 1 or 0: multiply by "
            "(hidden > 0).": x.T @ (back * hidden),
            "dw1 uses the slope of a sigmoid, h * (1 - h). The slope of a ReLU is 1 or 0: "
            "(hidden > 0).": x.T @ (back * hidden * (1 - hidden)),
            "dw1 is transposed: it has the shape of w1, (inputs, hidden).": dw1.T,
        },
        "dw1",
    )
    expect(
        got[1],
        db1,
        {
            "db1 ignores the ReLU, although dw1 does not. Both use the same gradient.": (
                back.sum(axis=0)
            ),
            "db1 is divided by n twice: d already holds 1/n, so add up over the examples.": db1 / n,
        },
        "db1",
    )


@exercise(
    section="Input, hidden and output layers",
    correct="109,386 for 784-128-64-10, and nine tenths of them sit in the first layer.",
    hints=(
        "Between a layer of a and a layer of b neurons every pair has one weight.",
        "Every neuron that computes something has one bias; an input computes nothing. So one "
        "layer has a * b + b. Go through neighbouring sizes with zip(sizes, sizes[1:]).",
    ),
)
def count_parameters(answer):
    networks = ([784, 128, 64, 10], [2, 3, 1], [5, 7])
    got = [numbers(answer(sizes)) for sizes in networks]

    def counts(rule):
        return [sum(rule(a, b) for a, b in zip(s, s[1:], strict=False)) for s in networks]

    right = counts(lambda a, b: a * b + b)
    every = [sum(a * b for i, a in enumerate(s) for b in s[i + 1 :]) for s in networks]
    recognise(
        got,
        {
            "the biases are missing: one for every neuron that is not an input.": (
                counts(lambda a, b: a * b)
            ),
            "the inputs have no bias: only hidden and output neurons have one.": (
                [r + s[0] for r, s in zip(right, networks, strict=True)]
            ),
            "one bias for every neuron, not for every layer.": counts(lambda a, b: a * b + 1),
            "the biases are counted on the wrong side: a layer from a to b neurons has b biases.": (
                counts(lambda a, b: a * b + a)
            ),
            "these are the neurons. Count the weights between them, and the biases.": (
                [sum(s) for s in networks]
            ),
            "the output layer is left out. It has weights and biases too.": (
                [r - (s[-2] + 1) * s[-1] for r, s in zip(right, networks, strict=True)]
            ),
            "the first layer is left out. Its weights join the inputs to the first hidden layer.": (
                [r - (s[0] + 1) * s[1] for r, s in zip(right, networks, strict=True)]
            ),
            "the sizes are multiplied all together. Only neighbouring layers are joined: add up "
            "a * b + b.": [np.prod(s) for s in networks],
            "only neighbouring layers are joined; here every layer is joined to every later one.": (
                [e + sum(s[1:]) for e, s in zip(every, networks, strict=True)]
            ),
        },
    )
    for sizes, count, wanted in zip(networks, got, right, strict=True):
        expect(count, wanted, what=f"The count for {'-'.join(map(str, sizes))}")


CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LOGIC = {
    (0, 0, 0, 0): "the output never rises above 0.5.",
    (1, 1, 1, 1): "the output is above 0.5 everywhere.",
    (0, 1, 1, 1): "this is OR. When both inputs are 1, a second hidden neuron has to pull the "
    "output down again.",
    (0, 0, 0, 1): "this is AND. XOR is true when exactly one input is 1.",
    (1, 1, 1, 0): "this is NAND. XOR is also false when both inputs are 0.",
    (1, 0, 0, 0): "this is NOR. XOR is true when exactly one input is 1.",
    (1, 0, 0, 1): "this is XNOR, the opposite of XOR. Turn the sign of the output layer.",
    (0, 0, 1, 1): "the output follows the first input only.",
    (0, 1, 0, 1): "the output follows the second input only.",
    (0, 1, 0, 0): "the output is right for (0, 1) but misses (1, 0), where it should be above 0.5.",
    (0, 0, 1, 0): "the output is right for (1, 0) but misses (0, 1), where it should be above 0.5.",
}


@exercise(
    section="Why a hidden layer",
    correct="two hidden neurons do what no single layer can.",
    hints=(
        "Add up the two inputs: 0, 1, 1, 2. XOR is 0, 1, 1, 0 along that line: up, then down.",
        "First hidden neuron: relu(x1 + x2), which is 0, 1, 1, 2. Second: relu(x1 + x2 - 1), "
        "which is 0, 0, 0, 1. How much of the second has to be taken away from the first?",
    ),
)
def xor_weights(answer):
    names = ("w1", "b1", "w2", "b2")
    got = parts(answer(), names)
    w1 = numbers(got[0], "w1")
    hidden = w1.shape[-1] if w1.ndim == 2 else 2
    shapes = ((2, hidden), (hidden,), (hidden, 1), (1,))
    w1, b1, w2, b2 = map(shaped, got, shapes, names)
    output = (np.maximum(CORNERS @ w1 + b1, 0) @ w2 + b2)[:, 0]
    decided = tuple(int(above) for above in output > 0.5)
    if decided != (0, 1, 1, 0):
        shown = ", ".join(f"{value:g}" for value in output)
        reason = LOGIC.get(decided, "they should be below 0.5, above, above, below.")
        raise Mistake(f"for (0,0), (0,1), (1,0), (1,1) the outputs are {shown}: {reason}")


def check_start(w, b, inputs, neurons):
    """Raise `Mistake` unless w is normal with mean 0 and deviation sqrt(2 / inputs), and b is 0.

    The smallest w tested has 30,000 numbers: the bounds lie at least eight standard errors out.
    """
    if not np.all(np.isfinite(w)):
        raise Mistake("the weights contain nan or inf.")
    if np.any(b != 0):
        raise Mistake("the biases should start at 0: np.zeros(neurons).")
    if np.all(w == 0):
        raise Mistake(
            "all weights are 0. Then every hidden neuron computes the same and gets the same "
            "gradient, so they stay copies of one another."
        )
    if np.all(w == w[:, :1]):
        raise Mistake(
            "all neurons of a layer start with the same weights. They then get the same gradient "
            "and stay copies of one another: draw a number for every weight."
        )
    if abs(w.mean()) > 0.05 * w.std():
        raise Mistake(
            "the weights are not centred on 0: draw them with rng.normal(0, ...). rng.random "
            "gives numbers from 0 to 1."
        )
    right = np.sqrt(2 / inputs)
    found = w.std()
    if abs(found / right - 1) > 0.05:
        reasons = {
            "1: multiply by sqrt(2 / inputs).": 1,
            "2 / inputs: the square root is missing.": 2 / inputs,
            "sqrt(2 / neurons): divide by the inputs of the layer, not by its own neurons.": (
                np.sqrt(2 / neurons)
            ),
            "sqrt(1 / inputs): the 2 makes up for the half that a ReLU sets to 0.": (
                np.sqrt(1 / inputs)
            ),
            "0.01 whatever the layer: it depends on the number of inputs.": 0.01,
        }
        near = [text for text, wrong in reasons.items() if abs(found / wrong - 1) < 0.05]
        reason = near[0] if near else f"{found:.4f}; sqrt(2 / inputs) is {right:.4f} here."
        raise Mistake(f"the standard deviation is {reason}")
    if np.abs(w).max() < 3 * right:
        raise Mistake(
            "no weight lies beyond three standard deviations, as one in 370 should: draw from a "
            "normal distribution, not a uniform one."
        )


@exercise(
    section="Why random initialisation",
    correct="every neuron starts different, no layer shrinks or swells the signal, and the same "
    "seed starts the same network.",
    hints=(
        "Make one generator, np.random.default_rng(seed), before the loop over the layers. Biases "
        "can be 0: the random weights already make the neurons differ.",
        "rng.normal(0, s, size=(inputs, neurons)) with s = sqrt(2 / inputs), where inputs is the "
        "size of the layer before.",
    ),
)
def initialise(answer):
    sizes = [500, 300, 300, 100]
    layers = answer(sizes, 0)
    if not isinstance(layers, (list, tuple)) or len(layers) != 3:
        raise Mistake("for sizes 500-300-300-100 return a list of three pairs (w, b), one a layer.")
    weights = []
    for number, (layer_, inputs, neurons) in enumerate(
        zip(layers, sizes, sizes[1:], strict=False), start=1
    ):
        pair = parts(layer_, ("w", "b"))
        w = shaped(pair[0], (inputs, neurons), f"w of layer {number}")
        b = shaped(pair[1], (neurons,), f"b of layer {number}")
        check_start(w, b, inputs, neurons)
        weights.append(w)
    if np.array_equal(weights[1].ravel()[:100], weights[2].ravel()[:100]):
        raise Mistake(
            "every layer starts with the same random numbers: make the generator once, before "
            "the loop."
        )
    again, other = answer(sizes, 0), answer(sizes, 1)
    if not np.array_equal(again[0][0], layers[0][0]):
        raise Mistake("the same seed gives other weights: use np.random.default_rng(seed).")
    if np.array_equal(other[0][0], layers[0][0]):
        raise Mistake("another seed gives the same weights: pass seed to np.random.default_rng.")
