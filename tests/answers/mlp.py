"""Answers to assignment 01."""

import math

import numpy as np

from answers import right, wrong

# layer


@wrong("layer", "the bias is missing")
def layer_without_bias(x, w, b):
    return np.maximum(x @ w, 0)


@wrong("layer", "the activation is missing")
def layer_linear(x, w, b):
    return x @ w + b


@wrong("layer", "the bias is added after the ReLU")
def layer_bias_last(x, w, b):
    return np.maximum(x @ w, 0) + b


@wrong("layer", "the bias is subtracted")
def layer_threshold(x, w, b):
    return np.maximum(x @ w - b, 0)


@wrong("layer", "this is a sigmoid")
def layer_sigmoid(x, w, b):
    return 1 / (1 + np.exp(-(x @ w + b)))


@wrong("layer", "this is the absolute value")
def layer_abs(x, w, b):
    return abs(x @ w + b)


@wrong("layer", "only the smaller of the sum and 0")
def layer_minimum(x, w, b):
    return np.minimum(x @ w + b, 0)


@wrong("layer", "the sum over the neurons is one too many")
def layer_summed(x, w, b):
    return np.maximum(x @ w + b, 0).sum(axis=1)


@wrong("layer", "stops with ValueError (matmul")
def layer_swapped_product(x, w, b):
    return np.maximum(w @ x + b, 0)


@wrong("layer", "nothing comes back")
def layer_prints(x, w, b):
    np.maximum(x @ w + b, 0)


@wrong("layer", "changes an array that it was given (argument 3)")
def layer_in_place(x, w, b):
    b += 1
    return np.maximum(x @ w + b, 0)


@right("layer")
def layer_loops(x, w, b):
    rows = []
    for example in x:
        sums = [sum(example * w[:, j]) + b[j] for j in range(w.shape[1])]
        rows.append([s if s > 0 else 0.0 for s in sums])
    return rows


@right("layer")
def layer_mask(x, w, b):
    total = np.einsum("ni,ij->nj", x, w) + b
    return (total * (total > 0)).astype("float32")


# cross_entropy


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits):
    return np.exp(log_softmax(logits))


def picked(values, labels):
    return values[np.arange(len(labels)), labels]


@wrong("cross_entropy", "the losses of the examples are added up")
def loss_sum(logits, labels):
    return -picked(log_softmax(logits), labels).sum()


@wrong("cross_entropy", "one loss for each example came back")
def loss_each(logits, labels):
    return -picked(log_softmax(logits), labels)


@wrong("cross_entropy", "the sign is wrong")
def loss_sign(logits, labels):
    return picked(log_softmax(logits), labels).mean()


@wrong("cross_entropy", "softmax runs down the columns")
def loss_columns(logits, labels):
    return -picked(log_softmax(logits.T).T, labels).mean()


@wrong("cross_entropy", "softmax divides by the sum over all examples")
def loss_everything(logits, labels):
    exp = np.exp(logits)
    return -np.log(picked(exp / exp.sum(), labels)).mean()


@wrong("cross_entropy", "this is the mean over all classes too")
def loss_mean_of_one_hot(logits, labels):
    return -(log_softmax(logits) * np.eye(logits.shape[1])[labels]).mean()


@wrong("cross_entropy", "the logarithm has base 2")
def loss_bits(logits, labels):
    return -picked(log_softmax(logits), labels).mean() / math.log(2)


@wrong("cross_entropy", "the logarithm has base 10")
def loss_log10(logits, labels):
    return -np.log10(picked(softmax(logits), labels)).mean()


@wrong("cross_entropy", "the logarithm is missing")
def loss_probability(logits, labels):
    return picked(softmax(logits), labels).mean()


@wrong("cross_entropy", "the softmax is missing")
def loss_logit(logits, labels):
    return -picked(logits, labels).mean()


@wrong("cross_entropy", "exp(1000) overflows")
def loss_overflow(logits, labels):
    exp = np.exp(logits)
    return -np.log(picked(exp / exp.sum(axis=1, keepdims=True), labels)).mean()


@wrong("cross_entropy", "log(0) is -inf")
def loss_log_of_zero(logits, labels):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return -np.log(picked(exp / exp.sum(axis=1, keepdims=True), labels)).mean()


@wrong("cross_entropy", "yours is capped")
def loss_small_number(logits, labels):
    return -np.log(picked(softmax(logits), labels) + 1e-12).mean()


@wrong("cross_entropy", "largest logit of the whole array was taken away")
def loss_one_maximum(logits, labels):
    shifted = logits - logits.max()
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -picked(log_p, labels).mean()


@wrong("cross_entropy", "changes an array that it was given (argument 1)")
def loss_in_place(logits, labels):
    logits -= logits.max(axis=1, keepdims=True)
    return -picked(log_softmax(logits), labels).mean()


@right("cross_entropy")
def loss_logaddexp(logits, labels):
    total = 0.0
    for z, label in zip(logits, labels, strict=True):
        total += np.logaddexp.reduce(z) - z[label]
    return total / len(labels)


@right("cross_entropy")
def loss_one_hot(logits, labels):
    one_hot = np.eye(logits.shape[1])[labels]
    return np.mean(np.sum(-one_hot * log_softmax(logits.astype("float32")), axis=1))


# gradients


def backward(x, labels, w1, b1, w2, b2):
    """The pieces that the wrong answers put together wrongly."""
    total = x @ w1 + b1
    hidden = np.maximum(total, 0)
    p = softmax(hidden @ w2 + b2)
    return total, hidden, p, (p - np.eye(len(b2))[labels]) / len(x)


def assembled(x, hidden, d, back):
    return x.T @ back, back.sum(axis=0), hidden.T @ d, d.sum(axis=0)


@wrong("gradients", "dw2 is n times too large")
def gradients_of_sum(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    d = d * len(x)
    return assembled(x, hidden, d, (d @ w2.T) * (hidden > 0))


@wrong("gradients", "dw2 has the wrong sign")
def gradients_up(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    return assembled(x, hidden, -d, (-d @ w2.T) * (hidden > 0))


@wrong("gradients", "dw2 uses the probabilities alone")
def gradients_without_labels(x, labels, w1, b1, w2, b2):
    _, hidden, p, _ = backward(x, labels, w1, b1, w2, b2)
    d = p / len(x)
    return assembled(x, hidden, d, (d @ w2.T) * (hidden > 0))


@wrong("gradients", "dw2 uses the sum before the ReLU")
def gradients_before_relu(x, labels, w1, b1, w2, b2):
    total, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    return assembled(x, total, d, (d @ w2.T) * (hidden > 0))


@wrong("gradients", "dw2 is transposed")
def gradients_transposed(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    dw1, db1, dw2, db2 = assembled(x, hidden, d, (d @ w2.T) * (hidden > 0))
    return dw1.T, db1, dw2.T, db2


@wrong("gradients", "db2 is divided by n twice")
def gradients_mean_bias(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    back = (d @ w2.T) * (hidden > 0)
    return x.T @ back, back.mean(axis=0), hidden.T @ d, d.mean(axis=0)


@wrong("gradients", "db2 has one row for each example")
def gradients_bias_rows(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    back = (d @ w2.T) * (hidden > 0)
    return x.T @ back, back, hidden.T @ d, d


@wrong("gradients", "db2 is added up over the classes")
def gradients_bias_axis(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    back = (d @ w2.T) * (hidden > 0)
    return x.T @ back, back.sum(axis=1), hidden.T @ d, d.sum(axis=1)


@wrong("gradients", "dw1 ignores the ReLU")
def gradients_without_mask(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    return assembled(x, hidden, d, d @ w2.T)


@wrong("gradients", "dw1 multiplies by the hidden output")
def gradients_times_hidden(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    return assembled(x, hidden, d, (d @ w2.T) * hidden)


@wrong("gradients", "dw1 uses the slope of a sigmoid")
def gradients_sigmoid_slope(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    return assembled(x, hidden, d, (d @ w2.T) * hidden * (1 - hidden))


@wrong("gradients", "dw1 is transposed")
def gradients_first_transposed(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    back = (d @ w2.T) * (hidden > 0)
    return back.T @ x, back.sum(axis=0), hidden.T @ d, d.sum(axis=0)


@wrong("gradients", "db1 ignores the ReLU, although dw1 does not")
def gradients_bias_without_mask(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    back = d @ w2.T
    return x.T @ (back * (hidden > 0)), back.sum(axis=0), hidden.T @ d, d.sum(axis=0)


@wrong("gradients", "db1 is divided by n twice")
def gradients_first_bias_mean(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    back = (d @ w2.T) * (hidden > 0)
    return x.T @ back, back.mean(axis=0), hidden.T @ d, d.sum(axis=0)


@wrong("gradients", "the order is wrong")
def gradients_backward_order(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    dw1, db1, dw2, db2 = assembled(x, hidden, d, (d @ w2.T) * (hidden > 0))
    return dw2, db2, dw1, db1


@wrong("gradients", "2 things came back where there should be 4")
def gradients_without_biases(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    return x.T @ ((d @ w2.T) * (hidden > 0)), hidden.T @ d


@wrong("gradients", "changes an array that it was given (argument 3)")
def gradients_step(x, labels, w1, b1, w2, b2):
    _, hidden, _, d = backward(x, labels, w1, b1, w2, b2)
    result = assembled(x, hidden, d, (d @ w2.T) * (hidden > 0))
    w1 -= 0.1 * result[0]
    return result


@right("gradients")
def gradients_one_example_at_a_time(x, labels, w1, b1, w2, b2):
    total = [np.zeros_like(w) for w in (w1, b1, w2, b2)]
    for example, label in zip(x, labels, strict=True):
        hidden = np.maximum(example @ w1 + b1, 0)
        d = softmax((hidden @ w2 + b2)[None])[0]
        d[label] -= 1
        back = np.where(hidden > 0, w2 @ d, 0)
        for t, g in zip(
            total, (np.outer(example, back), back, np.outer(hidden, d), d), strict=True
        ):
            t += g / len(x)
    return total


@right("gradients")
def gradients_by_differences(x, labels, w1, b1, w2, b2):
    weights = [w.copy() for w in (w1, b1, w2, b2)]

    def value():
        logits = np.maximum(x @ weights[0] + weights[1], 0) @ weights[2] + weights[3]
        return loss_logaddexp(logits, labels)

    result = []
    for w in weights:
        slope = np.zeros_like(w)
        for place in np.ndindex(w.shape):
            kept = w[place]
            w[place] = kept + 1e-5
            above = value()
            w[place] = kept - 1e-5
            slope[place] = (above - value()) / 2e-5
            w[place] = kept
        result.append(slope)
    return result


# count_parameters


def pairs(sizes):
    return list(zip(sizes, sizes[1:], strict=False))


@wrong("count_parameters", "the biases are missing")
def count_weights(sizes):
    return sum(a * b for a, b in pairs(sizes))


@wrong("count_parameters", "the inputs have no bias")
def count_input_biases(sizes):
    return sum(a * b for a, b in pairs(sizes)) + sum(sizes)


@wrong("count_parameters", "one bias for every neuron, not for every layer")
def count_one_bias_a_layer(sizes):
    return sum(a * b + 1 for a, b in pairs(sizes))


@wrong("count_parameters", "the biases are counted on the wrong side")
def count_biases_of_inputs(sizes):
    return sum(a * (b + 1) for a, b in pairs(sizes))


@wrong("count_parameters", "these are the neurons")
def count_neurons(sizes):
    return sum(sizes)


@wrong("count_parameters", "the output layer is left out")
def count_without_last(sizes):
    return sum((a + 1) * b for a, b in pairs(sizes)[:-1])


@wrong("count_parameters", "the first layer is left out")
def count_without_first(sizes):
    return sum((a + 1) * b for a, b in pairs(sizes)[1:])


@wrong("count_parameters", "the sizes are multiplied all together")
def count_product(sizes):
    return math.prod(sizes)


@wrong("count_parameters", "only neighbouring layers are joined")
def count_all_pairs(sizes):
    return sum(a * b for i, a in enumerate(sizes) for b in sizes[i + 1 :]) + sum(sizes[1:])


@wrong("count_parameters", "The count for 2-3-1 is 109386; it should be 13")
def count_learned_by_heart(sizes):
    return 109386


@wrong("count_parameters", "The count for 784-128-64-10 is 109387; it should be 109386")
def count_one_too_many(sizes):
    return sum(a * b + b for a, b in pairs(sizes)) + (len(sizes) > 3)


@right("count_parameters")
def count_with_index(sizes):
    total = 0
    for i in range(1, len(sizes)):
        total += (sizes[i - 1] + 1) * sizes[i]
    return total


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
