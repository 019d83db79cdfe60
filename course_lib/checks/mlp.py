"""The exercises of assignment 01: a multilayer perceptron in NumPy, from the start to 85 %."""

import numpy as np

from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    networks,
    numbers,
    parts,
    recognise,
    same,
    shaped,
    varied,
)

exercise = assignment("01_mlp")

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


LEAK = varied(  # slope of the activation below zero
    "01_mlp",
    ("it becomes ${0}\\,s$", "s, {0} * s)", "> 0, 1, {0})"),
    *(0.1, 0.05, 0.15, 0.2, 0.25, 0.3),
)
SIZES = (784, 128, 10)  # `mlp_small`, 101,770 numbers
EXAMPLES, REACHED = 20_000, 0.85


def run(layers, x, leak=LEAK, last=False):
    """Return the outputs of all layers, x first; leaky ReLU everywhere but in the last."""
    outputs = [x]
    for i, (w, b) in enumerate(layers):
        s = outputs[-1] @ w + b
        outputs.append(np.where(s > 0, s, leak * s) if last or i < len(layers) - 1 else s)
    return outputs


def loss_of(layers, x, labels, decay, slip=""):
    """Mean cross-entropy and the penalty; `slip` names a mistake to make."""
    leak = {"relu": 0.0, "linear": 1.0}.get(slip, LEAK)
    z = run(layers, x, leak, slip == "last")[-1]
    z = z - z.max(axis=1, keepdims=True)
    each = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]
    entropy = each.sum() if slip == "sum" else each.mean()
    squares = sum((w**2).sum() + ((b**2).sum() if slip == "biases" else 0) for w, b in layers)
    share = {"no decay": 0.0, "whole": 1.0, "mean": 0.5 / sum(w.size for w, _ in layers)}
    return entropy + share.get(slip, 0.5) * decay * squares


def differences(layers, x, labels, decay, step=1e-6):
    """The slopes of `loss_of` by central differences, one weight at a time."""
    found = []
    for pair in layers:
        for array in pair:
            slope = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                kept = array[place]
                array[place] = kept + step
                above = loss_of(layers, x, labels, decay)
                array[place] = kept - step
                slope[place] = (above - loss_of(layers, x, labels, decay)) / (2 * step)
                array[place] = kept
            found.append(slope)
    return found


def slopes_of(layers, x, labels, decay, slip=""):
    """Backpropagation with a mistake: a flat list w, b, w, b ... of slopes."""
    outputs = run(layers, x, {"forward relu": 0.0}.get(slip, LEAK))
    p = np.exp(outputs[-1] - outputs[-1].max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    delta = p - (0 if slip == "no label" else np.eye(p.shape[1])[labels])
    delta = delta if slip == "sum" else delta / len(x)
    delta = -delta if slip == "sign" else delta
    found = []
    for i in reversed(range(len(layers))):
        w, b = layers[i]
        share = {"no decay": 0.0, "twice": 2.0, "half": 0.5}.get(slip, 1.0)
        db = delta.sum(axis=0) + (decay * b if slip == "biases" else 0)
        db = db / len(x) if slip == "mean twice" else db
        found[:0] = [outputs[i].T @ delta + share * decay * w, db]
        if i:
            slope = np.where(outputs[i] > 0, 1.0, {"relu": 0.0, "linear": 1.0}.get(slip, LEAK))
            slope = outputs[i] if slip == "times output" else slope
            delta = (delta @ w.T) * slope
    return found


@exercise(
    section="Backpropagation",
    correct="loss and all slopes agree with finite differences, through any number of layers.",
    hints=(
        "Forward: keep the output of every layer. Loss: mean cross-entropy, plus decay / 2 times "
        "the sum of all squared weights, without the biases.",
        "Backward, from the last layer to the first: dw = outputs[i].T @ delta + decay * w, db = "
        "delta summed over the examples. It begins with delta = (probabilities - one_hot) / n.",
        f"To the layer before: delta @ w.T, times 1 where its output is positive and {LEAK} where "
        "it is not.",
    ),
)
def loss_and_slopes(answer):
    rng = np.random.default_rng(1)
    x, labels, decay = rng.normal(size=(7, 5)), np.array([0, 2, 1, 1, 0, 2, 2]), 0.3
    sizes = (5, 6, 4, 3)
    layers = [(rng.normal(size=pair), rng.normal(size=pair[1])) for pair in zip(sizes, sizes[1:])]
    names = ("the loss", "the slopes")
    value, slopes = parts(answer(layers, x, labels, decay), names)
    if not isinstance(slopes, (list, tuple)) or len(slopes) != 3:
        raise Mistake(
            "the slopes should be a list of pairs (dw, db), one for each of the 3 layers."
        )
    got = [
        numbers(array, f"{name} of layer {i}")
        for i, pair in enumerate(slopes, 1)
        for name, array in zip(("dw", "db"), parts(pair, ("dw", "db")), strict=True)
    ]
    right_value = loss_of(layers, x, labels, decay)

    def lost(slip):
        return loss_of(layers, x, labels, decay, slip)

    expect(
        value,
        right_value,
        {
            "the loss is a sum over the examples. Take the mean.": lost("sum"),
            "the loss lacks the penalty, decay / 2 times the sum of the squared weights.": (
                lost("no decay")
            ),
            "the penalty is decay / 2 times the squares, not decay times.": lost("whole"),
            "the penalty takes the mean of the squares. Add them up.": lost("mean"),
            "the biases are in the penalty. Only weights are.": lost("biases"),
            f"the activation is a plain ReLU here. Below zero it has the slope {LEAK}.": (
                lost("relu")
            ),
            "the activation is missing in the hidden layers.": lost("linear"),
            "the last layer has an activation. It gives the logits as they are.": lost("last"),
        },
        "The loss",
    )
    right = differences(layers, x, labels, decay)
    if [g.shape for g in got] == [r.shape for i in (4, 2, 0) for r in right[i : i + 2]]:
        raise Mistake("the slopes are in reverse order: the first layer comes first.")
    for i, (g, r) in enumerate(zip(got, right, strict=True)):
        what = f"{'dw' if i % 2 == 0 else 'db'} of layer {i // 2 + 1}"
        if g.shape == r.T.shape != r.shape:
            raise Mistake(f"{what} is transposed: it has the shape of w, {r.shape}.")
        if i % 2 and g.shape == (7, *r.shape):
            raise Mistake(f"{what} has one row an example. The bias is shared: add them up.")
        shaped(g, r.shape, what)

    def flat(arrays):
        return np.concatenate([np.ravel(a) for a in arrays])

    def slipped(slip):
        return flat(slopes_of(layers, x, labels, decay, slip))

    if same(flat(got), flat(right), 1e-5):
        return
    recognise(
        flat(got),
        {
            "the slopes are those of a sum. The loss is a mean: divide by how many examples.": (
                slipped("sum")
            ),
            "the slopes lack the penalty: its slope is decay * w.": slipped("no decay"),
            "the slope of the penalty is twice too large: (decay / 2) * w**2 has the slope "
            "decay * w.": slipped("twice"),
            "the slope of the penalty is half of what it should be: decay * w.": slipped("half"),
            "the penalty reaches the slopes of the biases. They are not in it.": slipped("biases"),
            f"the way back uses the slope of a plain ReLU, 0 below zero. Here it is {LEAK}.": (
                slipped("relu")
            ),
            "the way back ignores the activation: where its output is not above zero, the slope "
            f"is {LEAK}.": slipped("linear"),
            f"the way back multiplies by the hidden output. Multiply by its slope, 1 or {LEAK}.": (
                slipped("times output")
            ),
            "all slopes have the wrong sign: delta is probabilities - one_hot.": slipped("sign"),
            "delta is the probabilities alone. Take 1 away at the right class.": (
                slipped("no label")
            ),
            "the slopes of the biases are divided by the number of examples twice.": (
                slipped("mean twice")
            ),
        },
        1e-5,
    )
    for i, (g, r) in enumerate(zip(got, right, strict=True)):
        expect(g, r, what=f"{'dw' if i % 2 == 0 else 'db'} of layer {i // 2 + 1}")


@exercise(
    section="Checked twice",
    correct="this is how every hand-written slope is tested, here and in the tests of this course.",
    hints=(
        "For each place: the loss with a little more there, and with a little less, all other "
        "numbers as they are. Their difference divided by 2 * step is the slope.",
        "np.ndindex(array.shape) goes through all places. moved = array.copy(); moved[place] += "
        "step. Return the largest np.abs(slope - measured). A step of 1e-5 is good here.",
    ),
)
def gap(answer):
    rng = np.random.default_rng(4)
    array, tilt, bend = (rng.normal(size=(3, 4)) for _ in range(3))
    bend *= 1000

    def straight(values):
        return float(np.sum(tilt * values))

    def bent(values):
        return float(np.sum(bend * values**2 + np.sin(values)) + 50 * values[0, 0] * values[2, 1])

    def asked(loss, slope):
        found = float(shaped(answer(loss, array, slope), (), "The gap"))
        if np.isnan(found):
            raise Mistake("the gap is nan.")
        return found

    largest = np.abs(tilt).max()
    expect(
        1 + asked(straight, tilt),
        1.0,
        {
            "for a straight loss the measured slopes are 0, or twice what they should be. Does the "
            "loss get the array that you changed? A step up and a step down are 2 * step apart.": (
                1 + largest
            ),
            "for a straight loss the measured slopes are half of what they should be: one step to "
            "one side is step, not 2 * step.": 1 + largest / 2,
        },
        "1 plus the gap of right slopes",
        1e-4,
    )
    right = 2 * bend * array + np.cos(array)
    right[0, 0] += 50 * array[2, 1]
    right[2, 1] += 50 * array[0, 0]
    exact = asked(bent, right)
    if abs(exact) > 1e-2:
        raise Mistake(
            f"where the loss is bent, right slopes seem to be off by {exact:.2g}, and where it is "
            "straight they do not. Go a step up and a step down, one place at a time, and put each "
            "back before the next; a step to one side only measures the slope beside the place."
        )
    above, below = right.copy(), right.copy()
    above[2, 3] += 3.0
    below[1, 0] -= 2.0
    high, low = asked(bent, above), asked(bent, below)
    mean, together = 3.0 / right.size, float(np.sqrt(9.0 / right.size))
    expect(
        high,
        3.0,
        {
            "a slope that is wrong by 3 at one place is not noticed: go through all places.": exact,
            "the gaps are averaged. One wrong slope among many must be seen: take the largest.": (
                mean
            ),
            "the gap is squared.": 9.0,
            "the gaps are averaged after squaring. Take the largest.": together,
            "the gap is negative: take np.abs before the largest.": -3.0,
            "the gap is divided by the slope. Return the difference itself.": (
                3.0 / abs(above[2, 3])
            ),
        },
        "For a slope that is wrong by 3 the gap",
        1e-2,
    )
    expect(
        low,
        2.0,
        {
            "slopes that are too large are noticed, and too small ones are not: np.abs.": exact,
            "the gap is negative: take np.abs before the largest.": -2.0,
        },
        "For a slope that is too small by 2 the gap",
        1e-2,
    )


@exercise(
    section="Gradient descent",
    correct="every line of this training is yours: start, forward, backward, step and loop.",
    hints=(
        "layers = initialise([784, 128, 10], 0). For each batch: loss and slopes, then every "
        "number moves by -rate times its slope. Return the layers.",
        "Shuffle the examples for each pass: order = rng.permutation(len(x)), then "
        "order[i : i + 100]. Batches of 100 and a rate of 0.1 are a good start; 3 to 5 passes.",
        "With momentum it is faster: speed = 0.9 * speed - rate * slope, then add the speed.",
    ),
)
def train(answer):
    splits = networks.pictures(EXAMPLES, 2000)
    (x, labels), (new_x, new_labels) = (
        (images.reshape(len(images), -1), classes)
        for images, classes in (splits.train, splits.validation)
    )
    layers = answer(x, labels)
    if not isinstance(layers, (list, tuple)) or len(layers) != 2:
        raise Mistake("return the trained layers: a list of two pairs (w, b).")
    ready = []
    for i, pair in enumerate(layers):
        w, b = parts(pair, ("w", "b"))
        w = shaped(w, (SIZES[i], SIZES[i + 1]), f"w of layer {i + 1}")
        ready.append((w, shaped(b, (SIZES[i + 1],), f"b of layer {i + 1}")))
    if not all(np.all(np.isfinite(array)) for pair in ready for array in pair):
        raise Mistake(
            "the weights became nan or infinite: the learning rate is too high, or the slopes are "
            "added up over the batch in place of their mean."
        )

    def right(images, classes):
        return float((run(ready, images)[-1].argmax(axis=1) == classes).mean())

    seen = max(right(x[:1000], labels[:1000]), right(x[-1000:], labels[-1000:]))
    new = right(new_x, new_labels)
    first = ready[0][0]
    if new >= REACHED:
        return f"Right: {seen:.1%} of pictures that it has seen, {new:.1%} of new ones."
    if np.ptp(first, axis=1).max() < 1e-6:
        raise Mistake("all hidden neurons are equal: start from random weights, `initialise`.")
    if np.all(ready[1][1] == 0) and np.all(ready[0][1] == 0):
        raise Mistake(
            "the biases are still 0: nothing moved. Does the loop keep the new layers, and does it "
            "move the biases too?"
        )
    if new < 0.2:
        raise Mistake(
            f"it does not learn: {new:.1%} is a guess. Moved along the slope in place of against "
            "it? Pictures and labels shuffled apart?"
        )
    if new < 0.6 and np.abs(first).max() > 10:
        raise Mistake(
            f"the weights are huge, up to {np.abs(first).max():.0f}: the learning rate is too high."
        )
    if seen > new + 0.1:
        raise Mistake(
            f"it knows the pictures that it has seen ({seen:.1%}) and not new ones ({new:.1%}): "
            "train on all of them, not on a part."
        )
    raise Mistake(
        f"it learns too slowly: {new:.1%}, and {REACHED:.0%} are wanted. More passes, a higher "
        "rate (0.1 is not too much), smaller batches, or momentum."
    )


APART = "pictures and labels apart"
CAUSES = {
    "learning rate too high": "then the loss would jump or become nan. It stays where guessing is.",
    "dead neurons": "then some classes would still be told apart by the biases, and the fault "
    "would lie in the network. Nothing here touches the network.",
    "too few passes": "more passes would help a little each. Here the loss does not move at all.",
    "batches too small": "small batches make the loss noisy, and yet it falls.",
}


@exercise(
    section="Fashion-MNIST, for real",
    correct="two lists, two shuffles: the commonest way to train on nonsense. Nothing fails, and "
    "nothing is learned.",
    hints=(
        "What does one permutation do to a row of x, and what does the other do to its label?",
        "Draw one order and use it for both: order = rng.permutation(len(x)); x[order], "
        "labels[order].",
    ),
)
def mended(answer):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(50, 3))
    labels = np.arange(50)
    causes = f"the cause, one of {', '.join(map(repr, (APART, *CAUSES)))}"

    def batches(seed, size=8):
        made = networks.diagnosed(answer(x, labels, size, seed), APART, CAUSES, "the batches")
        if not isinstance(made, (list, tuple)) or not made:
            raise Mistake(f"return {causes}, and a list of batches.")
        pairs = [parts(pair, ("x", "labels")) for pair in made]
        return [(numbers(a, "x of a batch"), numbers(b, "labels of a batch")) for a, b in pairs]

    made = batches(0)
    for a, b in made:
        if a.ndim != 2 or a.shape[1] != 3 or b.shape != (len(a),):
            raise Mistake("a batch is a pair: rows of x, and as many labels.")
    rows, names = (np.concatenate([pair[i] for pair in made]) for i in (0, 1))
    if len(names) < 50:
        raise Mistake(f"{50 - len(names)} of 50 examples are lost. The last batch may be smaller.")
    if len(names) > 50 or len(set(names)) < 50:
        raise Mistake("some examples come twice. Each comes once in a pass.")
    places = names.astype(int)
    if not np.allclose(rows, x[places]):
        raise Mistake("pictures and labels still do not belong together.")
    if [len(b) for _, b in made] != [8] * 6 + [2]:
        raise Mistake(f"the batches have the sizes {[len(b) for _, b in made]}; `size` is 8.")
    if np.all(np.diff(places) == 1):
        raise Mistake("they are no longer shuffled. The order should depend on the seed.")
    again, other = batches(0), batches(1)
    if not np.array_equal(np.concatenate([b for _, b in again]), names):
        raise Mistake("the same seed gives another order: use np.random.default_rng(seed).")
    if np.array_equal(np.concatenate([b for _, b in other]), names):
        raise Mistake("another seed gives the same order: pass seed to np.random.default_rng.")
