"""The exercises of assignment 12: count, choose, and send a network of your own into the race.

The budget, the training and the bound of `entry` are the constants below. After 2,000 pictures
seen twice, sound designs within the budget were right on 60 to 82 % of the test pictures
(convolutions with and without batch normalisation, depthwise ones, one hidden layer, sigmoids).
Two seeds of one design differed by a standard deviation of 1.6 points; the bound lies nine of them
below the weakest.
"""

import contextlib
import dataclasses
import io

import numpy as np

from course_lib import metrics
from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    numbers,
    parts,
    recognise,
    say,
    shaped,
)

exercise = assignment("12_race")

INPUT, CLASSES = (28, 28, 1), 10
WORK, WEIGHTS = 3_000_000, 100_000  # the budget: multiply-adds for a picture, and parameters
PICTURES, PASSES, BATCH = 2_000, 2, 32
RATE = 3e-3
TESTED = 1_000  # test pictures
BOUND = 0.45  # of them must be right
latest = {}  # the learner's network that was last trained by the check, for `chart`


# ---- counting -----------------------------------------------------------------------------------

PLAN = (
    ("conv", 3, 8, 1),
    ("depthwise", 3, 2),
    ("conv", 1, 24, 1),
    ("conv", 5, 12, 2),
    ("dense", 7),
)


def tally(side, channels, layers, slip=""):
    """Return (multiply-adds, parameters) of a plan; `slip` names a mistake to make."""
    work = weights = 0
    for kind, *rest in layers:
        if kind == "dense":
            (units,) = rest
            inputs = channels * side * side if slip == "flattened" else channels
            work += inputs * units
            weights += inputs * units + (0 if slip == "no bias" else units)
            continue
        kernel, stride = rest[0], rest[-1]
        new = channels if kind == "depthwise" else rest[1]
        each = kernel * kernel * new
        if kind == "conv" and slip != "inputs" or slip == "full":
            each *= channels
        if slip == "one side":
            each //= kernel
        if slip == "biases":
            weights += new
        before = side
        if slip != "stride":
            side = side // stride if slip == "floor" else -(-side // stride)
        place = before if slip == "before" else side
        work += each * place * place
        weights += each
        channels = channels if slip == "first channels" else new
    return work, weights


@exercise(
    section="The runners",
    correct="with these two numbers for every layer you know what a design costs before it exists.",
    hints=(
        "Keep two numbers while you walk through the plan: the side of the maps and the channels.",
        "A convolution has kernel * kernel * channels in * channels out weights, a depthwise one "
        "kernel * kernel * channels. Each weight is used once for every pixel of the output.",
        "The side of the output is side / stride, rounded up: -(-side // stride). The dense layer "
        "reads one number a channel, and it alone has biases.",
    ),
)
def count(answer):
    side, channels = 27, 2
    right = tally(side, channels, PLAN)
    names = ("multiply-adds", "parameters")
    found = [
        float(shaped(v, (), n))
        for v, n in zip(parts(answer(side, channels, PLAN), names), names, strict=True)
    ]
    slips = {
        "a depthwise convolution is counted like a full one. Each channel has one window.": "full",
        "the dense layer has a bias for each unit.": "no bias",
        "only the dense layer has biases here.": "biases",
        "the dense layer reads all pixels. After global average pooling there is one number a "
        "channel.": "flattened",
        "the stride is ignored. The output of a layer of stride 2 has half the side.": "stride",
        "the work is counted on the pixels of the input. Every output pixel costs once: use the "
        "side after the stride.": "before",
        "the side is rounded down. With padding 27 pixels become 14 at stride 2.": "floor",
        "a window of kernel x kernel has kernel * kernel places.": "one side",
        "the channels of the input are forgotten: a filter has a window for each of them.": (
            "inputs"
        ),
        "a convolution leaves as many channels as it has filters; the next layer reads those.": (
            "first channels"
        ),
    }
    mistakes = {message: tally(side, channels, PLAN, slip) for message, slip in slips.items()}
    mistakes["the two are swapped: multiply-adds first."] = right[::-1]
    mistakes["do not count two operations for a multiply-add."] = (2 * right[0], right[1])
    recognise(found, mistakes)
    expect(found[0], right[0], {}, "The multiply-adds")
    expect(found[1], right[1], {}, "The parameters")
    one = (("dense", 5),)
    expect(numbers(answer(6, 3, one)), tally(6, 3, one), {}, "The count of one dense layer")


# ---- the front ----------------------------------------------------------------------------------


@exercise(
    section="What does accuracy cost?",
    correct="whoever is not on this list is beaten by somebody on it.",
    hints=(
        "Network i is beaten if some j has costs[j] <= costs[i] and errors[j] <= errors[i], and "
        "at least one of the two is smaller.",
        "Collect every i that no j beats. Then sort them by their cost: sorted(found, key=...).",
    ),
)
def pareto(answer):
    costs = np.array([5.0, 1.0, 3.0, 9.0, 3.0, 7.0, 2.0])
    errors = np.array([12.0, 30.0, 20.0, 8.0, 18.0, 12.0, 35.0])
    found = numbers(answer(costs, errors))
    right = metrics.pareto_front(costs, -errors)
    order = np.argsort(costs, kind="stable")
    other = {
        i
        for i in range(7)
        if not any(costs[j] < costs[i] and errors[j] < errors[i] for j in range(7))
    }
    by_cost = [int(i) for i in order if i in other]
    recognise(
        found,
        {
            "a high error is taken for good.": metrics.pareto_front(costs, errors),
            "the list is not in the order of the costs: the cheapest first.": sorted(right),
            "the dearest comes first. The cheapest should.": right[::-1],
            "a network is beaten already if another has the same cost and a lower error, or the "
            "same error and a lower cost.": by_cost,
            "these are all networks in the order of their costs. Leave out the beaten ones.": order,
            "this says of each network whether it is on the front. Return the indices of those "
            "that are.": np.isin(np.arange(7), right),
            "these are costs. Return the indices.": costs[right],
            "these are the beaten ones.": [int(i) for i in order if i not in right],
            "these are the cheapest and the most accurate. Between them there may be others.": (
                [right[0], right[-1]]
            ),
        },
    )
    expect(found, np.array(right), {}, "The front")
    expect(
        numbers(answer(np.array([4.0, 4.0, 6.0]), np.array([10.0, 10.0, 10.0]))),
        np.array([0, 1]),
        {
            "two that agree in cost and in error do not beat each other: both are on the front.": (
                [0]
            ),
            "a network does not beat itself, nor one that agrees with it in both.": np.zeros(0),
        },
        "With two equal networks and a dearer one the front",
    )


# ---- the budgets --------------------------------------------------------------------------------


@exercise(
    section="Three budgets",
    correct="three fair races, three numbers of pictures.",
    hints=(
        "Equal epochs: the cost of the network plays no part.",
        "Equal seconds: speed times time. Equal multiply-adds: how often does the work for one "
        "picture go into all the work? Round down with int() or //.",
    ),
)
def pictures(answer):
    work, speed, epoch, seconds, total = 4_160_000, 412.25, 20_000, 83, 50_000_000_000
    names = ("equal epochs", "equal seconds", "equal multiply-adds")
    given = parts(answer(work, speed, epoch, seconds, total), names)
    found = [float(shaped(v, (), n)) for v, n in zip(given, names, strict=True)]
    timed, counted = 34_216, 12_019
    recognise(
        found,
        {
            "the last two are swapped.": (epoch, counted, timed),
            "these are not whole pictures. Round down.": (epoch, speed * seconds, total / work),
            "the numbers are rounded up. The last picture would be over the budget.": (
                (epoch, timed + 1, counted + 1)
            ),
            "the numbers are rounded to the nearest. Round down, or the last picture may be over "
            "the budget.": (epoch, timed + 1, counted),
            "the backward pass is added. The race counts the forward pass alone.": (
                (epoch, timed, total // (3 * work))
            ),
        },
    )
    expect(
        found[0],
        epoch,
        {"with equal epochs speed plays no part.": timed},
        f"The number for {names[0]}",
    )
    expect(
        found[1],
        timed,
        {
            "speed is pictures a second: multiply it by the seconds.": int(seconds / speed),
            "an epoch is no limit here. A fast network sees pictures again.": epoch,
            "this is for one second.": int(speed),
        },
        f"The number for {names[1]}",
    )
    expect(
        found[2],
        counted,
        {
            "the work for one picture is divided by all the work. Divide the other way round.": (
                work // total
            ),
            "the speed plays no part with equal multiply-adds.": int(total / work / speed),
        },
        f"The number for {names[2]}",
    )


# ---- the dial -----------------------------------------------------------------------------------


def _square(channels):
    return 9 * channels * channels * 50, 9 * channels * channels + 10 * channels


def _straight(channels):
    return 1000 * channels, 640 * channels


@exercise(
    section="The runners",
    correct="the width is a dial: turn it until one of the two budgets is used up.",
    hints=(
        "Try 1, 2, 3, ... channels as long as both numbers are within their budgets.",
        "The last number that fitted is the answer, not the first that did not; 0 if not even 1 "
        "fits. A cost that is exactly the budget fits.",
    ),
)
def widest(answer):
    calls = {
        "where the work is the limit": ((_square, 1_000_000, 10**7), 47),
        "where the weights are the limit": ((_square, 10**9, 30_000), 57),
        "where a limit is met exactly": ((_straight, 320_000, 10**9), 320),
        "where nothing fits": ((_straight, 999, 10**9), 0),
        "where hundreds of channels fit": ((_straight, 10**9, 640_000), 1000),
    }
    found = [float(shaped(answer(*call), (), "The result")) for call, _ in calls.values()]
    right = [number for _, number in calls.values()]
    recognise(
        found,
        {
            "this is the first that does not fit. Return the one before.": np.add(right, 1),
            "the weights are not looked at. Both budgets must hold.": [47, 1490, 320, 0, 10**6],
            "the work is not looked at. Both budgets must hold.": (
                [1053, 57, 1_562_500, 1_562_500, 1000]
            ),
            "a cost that is exactly the budget fits: <=, not <.": [47, 57, 319, 0, 999],
            "where not even one channel fits, return 0.": [47, 57, 320, 1, 1000],
        },
    )
    if found[:2] == right[:2] and found[4] < 1000:
        raise Mistake(f"the search ends too early, at {found[4]:g} channels: more would fit.")
    for (where, (_, number)), given in zip(calls.items(), found, strict=True):
        expect(given, number, {}, f"The result {where}")


# ---- the entry ----------------------------------------------------------------------------------

COSTLY = ("Matmul", "Einsum", "Tensordot", "Dot", "Inner", "Outer", "Conv", "DepthwiseConv")


def _form(model):
    """Raise `Mistake` unless the model takes pictures of the race and gives ten numbers."""
    import keras

    if isinstance(model, keras.Model):
        try:
            built = bool(model.inputs)
        except (AttributeError, ValueError):
            built = False
        if not built:
            raise Mistake(
                "the network is not built, so it has no shapes yet: begin it with "
                "keras.Input((28, 28, 1))."
            )
    expect_model(model, INPUT)
    if model.inputs[0].shape[0] is not None:
        raise Mistake("the batch size is fixed. Leave it open: keras.Input((28, 28, 1)).")
    plain = isinstance(model, keras.Sequential) or keras.tree.is_nested(model.output) is False
    if len(model.outputs) != 1 or not plain:
        raise Mistake("the race takes a network with one output, not a list or a dictionary.")
    shape = tuple(model.outputs[0].shape[1:])
    if len(shape) > 1:
        raise Mistake(
            f"a picture gives {' x '.join(map(str, shape))} numbers: maps are left over. Pool or "
            "flatten them before the last layer."
        )
    if shape != (CLASSES,):
        raise Mistake(f"a picture gives {shape[0]} numbers; there are {CLASSES} classes.")


def _costs(model):
    """Return what the audit counts, or raise `Mistake` where the budget does not hold."""
    from keras import Layer

    from course_lib.audit import audit

    counted = audit(model)
    hidden = [row.path for row in counted.rows if row.macs is None]
    for step in getattr(model, "operations", ()):
        if not isinstance(step, Layer) and type(step).__name__ in COSTLY:
            hidden.append(step.name)
    if hidden:
        raise Mistake(
            f"the audit cannot count `{hidden[0]}`, so the budget cannot be checked. Use Keras's "
            "convolutions and dense layers."
        )
    if counted.macs > WORK:
        worst = max(counted.rows, key=lambda row: row.macs)
        raise Mistake(
            f"{counted.macs:,} multiply-adds are over the budget of {WORK:,}. The layer that costs "
            f"most is `{worst.path}` with {worst.macs:,} ({worst.macs / counted.macs:.0%}): give "
            "it fewer channels, a smaller kernel, or smaller maps."
        )
    if counted.params > WEIGHTS:
        worst = max(counted.rows, key=lambda row: row.params)
        raise Mistake(
            f"{counted.params:,} parameters are over the budget of {WEIGHTS:,}. The layer that has "
            f"most is `{worst.path}` with {worst.params:,}: give it fewer channels, or pool before "
            "the last layer."
        )
    if not counted.trainable:
        raise Mistake("nothing in this network can be trained: it has no trainable weights.")
    return counted


def _logits(model):
    """Raise `Mistake` unless random pictures get ten free numbers, which depend on the picture."""
    noise = np.random.default_rng(0).normal(size=(64, *INPUT)).astype("float32")
    out = np.asarray(model.predict_on_batch(noise), "float64")
    if not np.all(np.isfinite(out)):
        raise Mistake("before any training the network already gives nan or infinity.")
    if np.ptp(out, axis=0).max() == 0:
        raise Mistake("every picture gets the same ten numbers: the picture does not arrive.")
    bend = getattr(getattr(model.layers[-1], "activation", None), "__name__", "linear")
    if bend == "softmax" or out.min() >= 0 and np.allclose(out.sum(axis=1), 1, atol=1e-3):
        raise Mistake(
            "the last layer is a softmax. Return the logits; the loss takes them (from_logits)."
        )
    if bend != "linear" or out.min() >= 0:
        raise Mistake(
            "the last layer has an activation, which bends the logits. Leave it without one."
        )


def _splits(pictures, tested):
    """Return the race's pictures, cut to size, as arrays."""
    from course_lib import data

    splits = data.load(numpy=True, train_limit=pictures)

    def cut(pair, number):
        return tuple(part[:number] for part in pair)

    parts_ = {"validation": cut(splits.validation, 200), "test": cut(splits.test, tested)}
    return dataclasses.replace(splits, **parts_)


def _train(model, pictures, passes, batch, tested):
    """Train a model quietly by the fixed recipe and return its accuracy and last training loss."""
    from course_lib import training

    splits = _splits(pictures, tested)
    recipe = {"epochs": passes, "batch_size": batch, "learning_rate": RATE}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            history = training.fit(model, splits, **recipe, progress=False)
            score = training.evaluate(model, splits.test)["accuracy"]
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        raise Mistake(f"training stops with {type(error).__name__} ({message}).") from None
    if history["interrupted"]:
        raise Mistake("training was interrupted. Run the check again.")
    loss = history["epochs"][-1]["loss"]
    if not np.isfinite(loss):
        raise Mistake(
            "the training loss is not a number. A start with large weights does this: take Keras's "
            "default, or batch normalisation after each convolution."
        )
    return score, loss


def _stale(model, score, loss):
    """Raise `Mistake` if the training went well and slow moving averages spoil the test."""
    import keras

    layers = model._flatten_layers(include_self=False)
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    slowest = max((layer.momentum for layer in norms), default=0)
    if loss < 1.8 and slowest > 0.95:
        raise Mistake(
            f"it learns (training loss {loss:.2f}), and yet {score:.1%} of the test pictures are "
            f"right. The moving averages of batch normalisation change too slowly for so short a "
            f"training. Give it momentum=0.9; here it is {slowest:g}."
        )


@exercise(
    section="Which should I choose?",
    correct="within both budgets, and it learns. Run the cell below to see it among the eight.",
    hints=(
        "Begin small: three convolutions of stride 2 with 16, 32 and 64 channels, each with batch "
        "normalisation (momentum=0.9) and a ReLU, then GlobalAveragePooling2D and Dense(10).",
        "Print audit(entry()) (from course_lib.audit import audit). Where are the multiply-adds? "
        "Most often in the layers with large maps: let the stride come early.",
        "The parameters are mostly where many channels meet many channels, or where a dense layer "
        "reads flattened maps.",
    ),
)
def entry(answer):
    import keras

    keras.utils.set_random_seed(0)
    model = answer()
    _form(model)
    counted = _costs(model)
    _logits(model)
    score, loss = _train(model, PICTURES, PASSES, BATCH, TESTED)
    if score < BOUND:
        _stale(model, score, loss)
    if score < 0.2:
        raise Mistake(
            f"it does not learn: {score:.1%} of the test pictures are right after {PASSES} passes, "
            f"and guessing gives 10 %; the training loss is {loss:.2f}, and ln(10) is 2.30. Look "
            "for a start with tiny weights, a missing activation, or frozen layers."
        )
    if score < BOUND:
        raise Mistake(
            f"it learns too slowly: {score:.1%} of the test pictures are right after {PASSES} "
            f"passes; {BOUND:.0%} are wanted. Fewer layers, or batch normalisation after each."
        )
    latest.update(build=answer.function, counted=counted, score=score, seen=PICTURES * PASSES)


# ---- the chart ----------------------------------------------------------------------------------


def recorded():
    """Return ({network: (parameters, multiply-adds, accuracy)}, pictures, batch size) of the race
    of equal epochs, from its records."""
    from course_lib import benchmarks, experiments, zoo

    counts = benchmarks.load("latency_cpu")["networks"]
    found = {}
    for word in zoo.PAPERS:
        runs = experiments.load_records("race", f"epochs_{word}")
        score = float(np.mean([run["test"]["accuracy"] for run in runs]))
        found[word] = (runs[0]["parameters"], counts[f"{word}_small"]["multiply_adds"], score)
    return found, runs[0]["data"]["train_limit"], runs[0]["data"].get("batch_size", 128)


def chart(full=False):
    """Show the network that `entry` last sent in among the eight of the race.

    Args:
        full: train it anew on the race's pictures, one pass, and test it on all 10,000 test
            pictures; a minute or two. Otherwise the check's short training counts.
    """
    if not latest:
        say("No network yet: write `entry` and run its check, which trains it.")
        return
    import keras

    from course_lib import figures

    rivals, wanted, batch = recorded()
    score, seen, counted = latest["score"], latest["seen"], latest["counted"]
    if full:
        keras.utils.set_random_seed(0)
        seen = wanted
        score, _ = _train(latest["build"](), wanted, 1, batch, 10_000)
    mine = (counted.params, counted.macs, score)
    panels = {"million multiply-adds": {}, "thousand parameters": {}}
    for name, (weights, work, value) in {**rivals, "yours": mine}.items():
        panels["million multiply-adds"][name] = work / 1e6, 100 * value
        panels["thousand parameters"][name] = weights / 1e3, 100 * value
    title = f"The race after {wanted:,} pictures, and your network after {seen:,}"
    hollow = () if seen == wanted else ("yours",)
    figure = figures.trade_off(panels, "test accuracy in %", title, hollow=hollow)
    figures.show(figure, "test accuracy of the eight networks and of yours, over what they cost")
    cheaper = sum(work < counted.macs for _, work, _ in rivals.values())
    better = sum(value > score for _, _, value in rivals.values())
    say(
        f"Yours: {counted.macs:,} multiply-adds ({cheaper} of the eight have fewer), "
        f"{counted.params:,} parameters, {100 * score:.1f} % ({better} of the eight have more)."
    )
    if not full:
        say(
            f"It has seen {seen:,} pictures, the others {wanted:,}: chart(full=True) trains it on "
            "as many."
        )
