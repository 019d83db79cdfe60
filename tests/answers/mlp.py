"""Answers to assignment 01."""

import numpy as np

from answers import right, wrong

# xor_weights


def two_layers(w1, b1, w2, b2):
    return np.array(w1, float), np.array(b1, float), np.array(w2, float), np.array(b2, float)


@wrong("xor_weights", "this is OR")
def xor_or():
    return two_layers([[1, 1], [1, 1]], [0, -1], [[1], [-0.5]], [0])


@wrong("xor_weights", "this is AND")
def xor_and():
    return two_layers([[1, 1], [1, 1]], [0, -1], [[0], [1]], [0])


@wrong("xor_weights", "this is NAND")
def xor_nand():
    return two_layers([[1, 1], [1, 1]], [0, -1], [[0], [-1]], [1])


@wrong("xor_weights", "this is XNOR, the opposite of XOR")
def xor_xnor():
    return two_layers([[1, 1], [1, 1]], [0, -1], [[-1], [2]], [1])


@wrong("xor_weights", "the output never rises above 0.5")
def xor_zeros():
    return two_layers([[0, 0], [0, 0]], [0, 0], [[0], [0]], [0])


@wrong("xor_weights", "the output is above 0.5 everywhere")
def xor_ones():
    return two_layers([[0, 0], [0, 0]], [0, 0], [[0], [0]], [1])


@wrong("xor_weights", "this is NOR")
def xor_nor():
    return two_layers([[1, 1], [1, 1]], [0, -1], [[-1], [0]], [1])


@wrong("xor_weights", "the output follows the first input only")
def xor_first_input():
    return two_layers([[1, 0], [0, 1]], [0, 0], [[1], [0]], [0])


@wrong("xor_weights", "the output follows the second input only")
def xor_second_input():
    return two_layers([[1, 0], [0, 1]], [0, 0], [[0], [1]], [0])


@wrong("xor_weights", "misses (0, 1)")
def xor_one_difference():
    return two_layers([[1, 0], [-1, 0]], [0, 0], [[1], [1]], [0])


@wrong("xor_weights", "misses (1, 0)")
def xor_other_difference():
    return two_layers([[-1, 0], [1, 0]], [0, 0], [[1], [1]], [0])


@wrong("xor_weights", "w2 has shape (2,); it should have shape (2, 1)")
def xor_flat():
    return two_layers([[1, 1], [1, 1]], [0, -1], [1, -2], [0])


@wrong("xor_weights", "3 things came back where there should be 4")
def xor_without_last_bias():
    return two_layers([[1, 1], [1, 1]], [0, -1], [[1], [-2]], [0])[:3]


@right("xor_weights")
def xor_differences():
    return two_layers([[1, -1], [-1, 1]], [0, 0], [[1], [1]], [0])


@right("xor_weights")
def xor_three_neurons():
    return [[[2, 2, 1], [2, 2, 0]], [0, -2, 0], [[0.5], [-1], [0]], [0.1]]


# initialise


def pairs(sizes):
    return zip(sizes, sizes[1:])


def layers_from(sizes, deviation, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(0, deviation(a, b), size=(a, b)), np.zeros(b)) for a, b in pairs(sizes)]


@wrong("initialise", "all weights are 0")
def start_zero(sizes, seed):
    return [(np.zeros((a, b)), np.zeros(b)) for a, b in pairs(sizes)]


@wrong("initialise", "all neurons of a layer start with the same weights")
def start_constant(sizes, seed):
    return [(np.full((a, b), 0.1), np.zeros(b)) for a, b in pairs(sizes)]


@wrong("initialise", "the weights are not centred on 0")
def start_positive(sizes, seed):
    rng = np.random.default_rng(seed)
    return [(rng.random((a, b)) * np.sqrt(2 / a), np.zeros(b)) for a, b in pairs(sizes)]


@wrong("initialise", "the standard deviation is 1:")
def start_too_large(sizes, seed):
    return layers_from(sizes, lambda a, b: 1, seed)


@wrong("initialise", "the square root is missing")
def start_without_root(sizes, seed):
    return layers_from(sizes, lambda a, b: 2 / a, seed)


@wrong("initialise", "sqrt(2 / neurons)")
def start_from_outputs(sizes, seed):
    return layers_from(sizes, lambda a, b: np.sqrt(2 / b), seed)


@wrong("initialise", "sqrt(1 / inputs)")
def start_without_two(sizes, seed):
    return layers_from(sizes, lambda a, b: np.sqrt(1 / a), seed)


@wrong("initialise", "0.01 whatever the layer")
def start_small(sizes, seed):
    return layers_from(sizes, lambda a, b: 0.01, seed)


@wrong("initialise", "no weight lies beyond three standard deviations")
def start_uniform(sizes, seed):
    rng = np.random.default_rng(seed)
    return [(rng.uniform(-1, 1, (a, b)) * np.sqrt(6 / a), np.zeros(b)) for a, b in pairs(sizes)]


@wrong("initialise", "the biases should start at 0")
def start_random_biases(sizes, seed):
    rng = np.random.default_rng(seed)
    return [(rng.normal(0, np.sqrt(2 / a), (a, b)), rng.normal(size=b)) for a, b in pairs(sizes)]


@wrong("initialise", "every layer starts with the same random numbers")
def start_seeded_in_loop(sizes, seed):
    result = []
    for a, b in pairs(sizes):
        rng = np.random.default_rng(seed)
        result.append((rng.normal(0, np.sqrt(2 / a), size=(a, b)), np.zeros(b)))
    return result


@wrong("initialise", "the same seed gives other weights")
def start_unseeded(sizes, seed):
    return layers_from(sizes, lambda a, b: np.sqrt(2 / a), None)


@wrong("initialise", "another seed gives the same weights")
def start_one_seed(sizes, seed):
    return layers_from(sizes, lambda a, b: np.sqrt(2 / a), 42)


@wrong("initialise", "w of layer 1 has shape (300, 500); it should have shape (500, 300)")
def start_transposed(sizes, seed):
    return [(w.T, b) for w, b in layers_from(sizes, lambda a, b: np.sqrt(2 / a), seed)]


@wrong("initialise", "return a list of three pairs (w, b)")
def start_first_layer_only(sizes, seed):
    return layers_from(sizes, lambda a, b: np.sqrt(2 / a), seed)[0]


@wrong("initialise", "the weights contain nan or inf")
def start_divided_by_zero(sizes, seed):
    return layers_from(sizes, lambda a, b: np.divide(2, a - a), seed)


@right("initialise")
def start_old_generator(sizes, seed):
    state = np.random.RandomState(seed)
    result = []
    for i in range(len(sizes) - 1):
        w = state.randn(sizes[i], sizes[i + 1]).astype("float32") * (2 / sizes[i]) ** 0.5
        result.append([w, [0.0] * sizes[i + 1]])
    return result


# loss_and_slopes


def network(
    leak=0.1,
    back=0.1,
    last=False,
    mean=True,
    half=0.5,
    pull=1.0,
    biases=0,
    pulled=0,
    sign=1,
    label=1,
    slope=None,
    finish=lambda loss, slopes: (loss, slopes),
):
    """Return an answer; the arguments change one thing each."""

    def answer(layers, x, labels, decay):
        n, outputs = len(x), [x]
        for i, (w, b) in enumerate(layers):
            s = outputs[-1] @ w + b
            active = last or i < len(layers) - 1
            outputs.append(np.where(s > 0, s, leak * s) if active else s)
        p = np.exp(outputs[-1] - outputs[-1].max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        each = -np.log(p[np.arange(n), labels])
        squares = sum((w**2).sum() + biases * (b**2).sum() for w, b in layers)
        loss = (each.sum() if mean is False else each.mean()) + half * decay * squares
        delta = sign * (p - label * np.eye(p.shape[1])[labels]) / (n if mean is not None else 1)
        slopes = []
        for i in reversed(range(len(layers))):
            w, b = layers[i]
            db = delta.sum(axis=0) + pulled * decay * b
            slopes.insert(0, (outputs[i].T @ delta + pull * decay * w, db))
            rise = slope(outputs[i]) if slope else np.where(outputs[i] > 0, 1, back)
            delta = (delta @ w.T) * rise
        return finish(loss, slopes)

    return answer


def wrong_network(says, name, **changes):
    """Put a wrong answer under `name` into this module."""

    @wrong("loss_and_slopes", says)
    def answer(layers, x, labels, decay):
        return network(**changes)(layers, x, labels, decay)

    answer.__name__ = name
    globals()[name] = answer


for one in (
    ("the loss is a sum over the examples", "net_sum", {"mean": False}),
    ("the loss lacks the penalty", "net_no_penalty", {"half": 0}),
    ("the penalty is decay / 2 times", "net_whole_penalty", {"half": 1}),
    ("the biases are in the penalty", "net_bias_penalty", {"biases": 1}),
    ("the activation is a plain ReLU here", "net_relu", {"leak": 0.0}),
    ("the activation is missing", "net_linear", {"leak": 1.0}),
    ("the last layer has an activation", "net_last", {"last": True}),
    ("the slopes lack the penalty", "net_no_pull", {"pull": 0}),
    ("the slope of the penalty is twice too large", "net_pull_twice", {"pull": 2}),
    ("the slope of the penalty is half", "net_pull_half", {"pull": 0.5}),
    ("the penalty reaches the slopes of the biases", "net_pull_biases", {"pulled": 1}),
    ("the way back uses the slope of a plain ReLU", "net_back_relu", {"back": 0.0}),
    ("the way back ignores the activation", "net_back_linear", {"back": 1.0}),
    ("the way back multiplies by the hidden output", "net_back_output", {"slope": lambda h: h}),
    ("all slopes have the wrong sign", "net_sign", {"sign": -1}),
    ("delta is the probabilities alone", "net_no_label", {"label": 0}),
    ("the slopes are those of a sum", "net_slopes_of_sum", {"mean": None}),
    (
        "there should be 2: the loss, the slopes",
        "net_loss_alone",
        {"finish": lambda loss, slopes: [loss]},
    ),
    (
        "the slopes are in reverse order",
        "net_reversed",
        {"finish": lambda loss, slopes: (loss, slopes[::-1])},
    ),
    (
        "dw of layer 1 is transposed",
        "net_transposed",
        {"finish": lambda loss, slopes: (loss, [(dw.T, db) for dw, db in slopes])},
    ),
    (
        "a list of pairs (dw, db), one for each of the 3 layers",
        "net_flat",
        {"finish": lambda loss, slopes: (loss, [array for pair in slopes for array in pair])},
    ),
):
    wrong_network(one[0], one[1], **one[2])


@wrong("loss_and_slopes", "the slopes of the biases are divided by the number of examples twice")
def net_bias_mean(layers, x, labels, decay):
    loss, slopes = network()(layers, x, labels, decay)
    return loss, [(dw, db / len(x)) for dw, db in slopes]


@wrong("loss_and_slopes", "db of layer 3 has one row an example")
def net_bias_rows(layers, x, labels, decay):
    loss, slopes = network()(layers, x, labels, decay)
    return loss, slopes[:2] + [(slopes[2][0], np.ones((len(x), 3)))]


@right("loss_and_slopes")
def net_written_otherwise(layers, x, labels, decay):
    return network(slope=lambda h: (h > 0) * 0.9 + 0.1)(layers, x, labels, decay)


@right("loss_and_slopes")
def net_by_recursion(layers, x, labels, decay):
    def through(rest, h):
        (w, b), *later = rest
        s = h @ w + b
        if not later:
            top = s.max(1, keepdims=True)
            p = np.exp(s - top) / np.exp(s - top).sum(1, keepdims=True)
            own = p[range(len(x)), labels]
            back = (p - (np.arange(s.shape[1]) == labels[:, None])) / len(x)
            found, slopes = -np.log(own).mean(), []
        else:
            found, slopes, back = through(later, np.maximum(s, s / 10))
            back = np.where(s > 0, back, back / 10)
        pair = [np.einsum("ni,no->io", h, back) + decay * w, np.add.reduce(back)]
        return found + decay * np.sum(w * w) / 2, [pair, *slopes], back @ w.T

    loss, slopes, _ = through(list(layers), x)
    return [loss, tuple(slopes)]


# gap


def measured(loss, array, slope, step=1e-5, one_side=False, apart=2, places=None):
    found = np.zeros_like(array)
    for place in list(np.ndindex(array.shape))[:places]:
        values = []
        for move in (step, 0 if one_side else -step):
            moved = array.copy()
            moved[place] += move
            values.append(loss(moved))
        found[place] = (values[0] - values[1]) / (apart * step) - slope[place]
    return found


@wrong("gap", "a step to one side only measures the slope beside the place")
def gap_one_side(loss, array, slope):
    return np.abs(measured(loss, array, slope, 1e-4, one_side=True, apart=1)).max()


@wrong("gap", "measured slopes are half of what they should be")
def gap_half(loss, array, slope):
    return np.abs(measured(loss, array, slope, apart=4)).max()


@wrong("gap", "the measured slopes are 0, or twice what they should be")
def gap_twice(loss, array, slope):
    return np.abs(measured(loss, array, slope, apart=1)).max()


@wrong("gap", "a slope that is wrong by 3 at one place is not noticed")
def gap_first_row(loss, array, slope):
    return np.abs(measured(loss, array, slope, places=4)[0]).max()


@wrong("gap", "the gaps are averaged. One wrong slope")
def gap_mean(loss, array, slope):
    return np.abs(measured(loss, array, slope)).mean()


@wrong("gap", "the gap is squared")
def gap_squared(loss, array, slope):
    return (measured(loss, array, slope) ** 2).max()


@wrong("gap", "the gaps are averaged after squaring")
def gap_root(loss, array, slope):
    return np.sqrt((measured(loss, array, slope) ** 2).mean())


@wrong("gap", "the gap is negative: take np.abs")
def gap_signed(loss, array, slope):
    found = measured(loss, array, slope)
    return found.ravel()[np.abs(found).argmax()]


@wrong("gap", "slopes that are too large are noticed, and too small ones are not")
def gap_one_way(loss, array, slope):
    return (-measured(loss, array, slope)).max()


@wrong("gap", "the gap is divided by the slope")
def gap_relative(loss, array, slope):
    return np.abs(measured(loss, array, slope) / slope).max()


@wrong("gap", "changes an array that it was given (argument 2)")
def gap_in_place(loss, array, slope):
    for place in np.ndindex(array.shape):
        array[place] += 1e-5
    return 0.0


@wrong("gap", "The gap has shape (3, 4)")
def gap_all(loss, array, slope):
    return np.abs(measured(loss, array, slope))


@right("gap")
def gap_put_back(loss, array, slope):
    worst, work = 0.0, array.copy()
    for i, kept in enumerate(array.ravel()):
        work.flat[i] = kept + 1e-6
        up = loss(work)
        work.flat[i] = kept - 1e-6
        worst = max(worst, abs((up - loss(work)) / 2e-6 - slope.flat[i]))
        work.flat[i] = kept
    return worst


@right("gap")
def gap_array(loss, array, slope):
    return np.float32(np.abs(measured(loss, array, slope, 1e-4)).max())


# train


def trained(x, labels, rate=0.1, passes=3, start=2.0, sign=-1, moves=True, apart=False):
    rng = np.random.default_rng(0)
    sizes = (784, 128, 10)
    layers = [
        [rng.normal(0, np.sqrt(start / a), (a, b)).astype("float32"), np.zeros(b, "float32")]
        for a, b in zip(sizes, sizes[1:])
    ]
    if apart:
        labels = rng.permutation(labels)
    for _ in range(passes):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 100):
            part = order[i : i + 100]
            _, slopes = network()([(w, b) for w, b in layers], x[part], labels[part], 0.0)
            for layer, (dw, db) in zip(layers, slopes):
                if moves:
                    layer[0] = layer[0] + np.float32(sign * rate) * dw.astype("float32")
                    layer[1] = layer[1] + np.float32(sign * rate) * db.astype("float32")
    return [tuple(layer) for layer in layers]


@wrong("train", "the weights became nan or infinite: the learning rate is too high")
def train_too_fast(x, labels):
    return trained(x[:4000], labels[:4000], rate=1e6, passes=1)


@wrong("train", "it learns too slowly")
def train_too_slow(x, labels):
    return trained(x, labels, rate=1e-3, passes=1)


@wrong("train", "it does not learn: ")
def train_upwards(x, labels):
    return trained(x[:3000], labels[:3000], rate=0.01, passes=1, sign=1)


@wrong("train", "nothing moved. Does the loop keep the new layers")
def train_keeps_the_old(x, labels):
    return trained(x[:200], labels[:200], moves=False)


@wrong("train", "all hidden neurons are equal: start from random weights")
def train_from_zero(x, labels):
    return trained(x[:5000], labels[:5000], start=0, passes=1)


@wrong("train", "train on all of them, not on a part")
def train_on_a_part(x, labels):
    return trained(x[:1000], labels[:1000], rate=0.2, passes=25)


@wrong("train", "return the trained layers: a list of two pairs")
def train_three_layers(x, labels):
    return [*trained(x[:100], labels[:100], passes=1), (np.zeros((10, 10)), np.zeros(10))]


@wrong("train", "w of layer 1 has shape (784, 64); it should have shape (784, 128)")
def train_narrow(x, labels):
    return [(np.zeros((784, 64)), np.zeros(64)), (np.zeros((64, 10)), np.zeros(10))]


@right("train")
def train_plainly(x, labels):
    return trained(x, labels, rate=0.2, passes=4)


# mended

APART = "pictures and labels apart"


def batches_of(x, labels, size, order):
    cut = [order[i : i + size] for i in range(0, len(x), size)]
    return [(x[part], labels[part]) for part in cut]


def shuffled(x, labels, size, seed):
    return batches_of(x, labels, size, np.random.default_rng(seed).permutation(len(x)))


@wrong("mended", "'learning rate too high' is not the cause: then the loss would jump")
def mended_rate(*arguments):
    return "learning rate too high", shuffled(*arguments)


@wrong("mended", "'dead neurons' is not the cause")
def mended_dead(*arguments):
    return "dead neurons", shuffled(*arguments)


@wrong("mended", "'too few passes' is not the cause")
def mended_passes(*arguments):
    return "too few passes", shuffled(*arguments)


@wrong("mended", "'batches too small' is not the cause")
def mended_small(*arguments):
    return "batches too small", shuffled(*arguments)


@wrong("mended", "the cause should be one of")
def mended_own_words(*arguments):
    return "the labels are wrong", shuffled(*arguments)


@wrong("mended", "still do not belong together")
def mended_not(x, labels, size, seed):
    rng = np.random.default_rng(seed)
    x = x[rng.permutation(len(x))]
    return APART, batches_of(x, labels[rng.permutation(len(x))], size, np.arange(len(x)))


@wrong("mended", "they are no longer shuffled")
def mended_in_order(x, labels, size, seed):
    return APART, batches_of(x, labels, size, np.arange(len(x)))


@wrong("mended", "2 of 50 examples are lost")
def mended_whole_batches(*arguments):
    return APART, shuffled(*arguments)[:-1]


@wrong("mended", "some examples come twice")
def mended_drawn(x, labels, size, seed):
    return APART, batches_of(x, labels, size, np.random.default_rng(seed).integers(50, size=50))


@wrong("mended", "the same seed gives another order")
def mended_without_seed(x, labels, size, seed):
    return APART, shuffled(x, labels, size, None)


@wrong("mended", "another seed gives the same order")
def mended_one_seed(x, labels, size, seed):
    return APART, shuffled(x, labels, size, 0)


@wrong("mended", "the batches have the sizes")
def mended_one_batch(x, labels, size, seed):
    return APART, shuffled(x, labels, 25, seed)


@wrong("mended", "there should be 2: the cause, the batches")
def mended_cause_alone(x, labels, size, seed):
    return APART


@right("mended")
def mended_same_seed_twice(x, labels, size, seed):
    both = [np.random.default_rng(seed).permutation(a) for a in (x, labels)]
    return APART, batches_of(*both, size, np.arange(len(x)))


@right("mended")
def mended_stacked(x, labels, size, seed):
    table = np.column_stack([x, labels])
    np.random.default_rng(seed).shuffle(table)
    parts = [table[i : i + size] for i in range(0, len(table), size)]
    return [APART, [(part[:, :-1], part[:, -1].astype(int)) for part in parts]]
