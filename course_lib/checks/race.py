"""The exercises of assignment 12: a network of your own, trained, judged, taken apart; a patient.

Everybody is trained by one recipe, the learner's network and the eight: the constants below, and
`course_lib.training.fit`, which lets the rate rise and fall. `race_eight.json` holds what the eight
reach so, with the seeds that were trained: three of ResNet, one of the others so far.
`python -m course_lib.checks.race` writes it anew, three seeds each.

BOUND and WINNER: first designs (three or four convolutions; with normalisation and the mean of each
map, or without normalisation and flattened) had 77 to 79 % of the open pictures and 76 to 80 % of
the held-back ones, one seed each; ResNet and DenseNet, the best of the eight, 77 and 78 % of these;
the solution 83 % of both.

The test pictures are cut in two. `OPEN` ones judge every attempt. The `HELD` ones are looked at by
`champion` alone, and each look is counted.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
import time
from importlib import resources
from pathlib import Path

import numpy as np

from course_lib import metrics
from course_lib.checks import (
    Mistake,
    assignment,
    expect,
    expect_model,
    networks,
    numbers,
    recognise,
    say,
)

exercise = assignment("12_race")

INPUT, CLASSES = (28, 28, 1), 10
WORK, WEIGHTS = 3_000_000, 100_000  # the budget: multiply-adds for a picture, and parameters
PICTURES, PASSES, BATCH, RATE = 2_000, 3, 32, 3e-3
OPEN, HELD = slice(0, 2_000), slice(5_000, 10_000)  # of the test pictures
BOUND = 0.80  # of the open ones must be right
WINNER = 0.81  # of the held-back ones, more than the best of the eight
SLOW = 40  # seconds that a builder may take
TABLE = "race_attempts.json"  # in the folder of the learner's notebook


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


# ---- a new network ------------------------------------------------------------------------------

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
    out = networks.logits_of(model, noise)
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


TRAINS = ("fit", "train_on_batch", "load_weights", "set_weights")


@contextlib.contextmanager
def _nothing_trains():
    """Let whatever trains a model, or puts weights into it, raise `Mistake` meanwhile."""
    import keras

    def refuse(what, why):
        def method(self, *arguments, **named):
            raise Mistake(
                f"`{what}` is called while the network is built{why}. Return a new network with "
                "the weights that it starts with; the check trains it, as all others."
            )

        return method

    kinds = [(keras.Model, name) for name in TRAINS]
    kinds += [(keras.optimizers.Optimizer, "apply")]
    own = [(kind, name, vars(kind).get(name)) for kind, name in kinds]
    try:
        for kind, name, _ in own:
            why = ": that is training" if name in ("fit", "train_on_batch", "apply") else ""
            setattr(kind, name, refuse(name, why))
        yield
    finally:
        for kind, name, before in own:
            if before is None:
                delattr(kind, name)
            else:
                setattr(kind, name, before)


def _built(answer, seed):
    """Return what a builder makes with a seed, and the seconds that it takes."""
    import keras

    keras.utils.set_random_seed(seed)
    started = time.process_time()
    with _nothing_trains():
        model = answer()
    return model, time.process_time() - started


def _array(weight):
    import keras

    return keras.ops.convert_to_numpy(weight)


def fresh(answer):
    """Return a new network that an answer builds with seed 0.

    Raises:
        Mistake: the same object comes twice, it was trained, or its weights do not start anew.
    """
    model, seconds = _built(answer, 0)
    _form(model)
    other, _ = _built(answer, 1)
    if other is model:
        raise Mistake(
            "the same model comes back from two calls, so a second check would go on training the "
            "first one's. Build it inside the function: a new keras.Input, new layers."
        )
    if seconds > SLOW:
        raise Mistake(f"to build it takes {seconds:.0f} seconds. Does it train? Only build it.")
    _form(other)
    mine, others = model.weights, other.weights
    if {id(w) for w in mine} & {id(w) for w in others}:
        raise Mistake(
            "two calls share layers, and with them their weights. Make all layers inside the "
            "function."
        )
    if [tuple(w.shape) for w in mine] != [tuple(w.shape) for w in others]:
        raise Mistake("two calls give different networks. The check needs the same each time.")
    for one, two in zip(mine, others, strict=True):
        found, again = _array(one), _array(two)
        if one.name == "moving_mean" and np.any(found != 0):
            raise Mistake(
                "averages of batch normalisation are not zero any more: this network has seen "
                "pictures. Return a new one."
            )
        if len(one.shape) > 1 and np.ptp(found) > 0 and np.array_equal(found, again):
            raise Mistake(
                f"with another seed `{one.path}` has the same numbers: weights that are stored, or "
                "taken over from a trained network, or a start with a seed of its own. All start "
                "anew here."
            )
    return model


# ---- trained and judged -------------------------------------------------------------------------


@functools.cache
def _splits():
    """Return the race's pictures: to train, 200 to watch, the open and the held-back ones."""
    from course_lib import data

    splits = data.load(numpy=True, train_limit=PICTURES)
    watched = tuple(part[:200] for part in splits.validation)
    held = tuple(part[HELD] for part in splits.test)
    opened = tuple(part[OPEN] for part in splits.test)
    return dataclasses.replace(splits, validation=watched, test=opened), held


def _train(model, seed=0):
    """Train a model quietly by the fixed recipe; return its last training loss."""
    from course_lib import training

    recipe = {"epochs": PASSES, "batch_size": BATCH, "learning_rate": RATE, "seed": seed}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            history = training.fit(model, _splits()[0], **recipe, keep="last", progress=False)
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
    return loss


def _right(model, pair):
    """Return the share of pictures that a model sorts right."""
    images, labels = pair
    return 1 - metrics.top_k_error(networks.logits_of(model, images), labels, 1)


scored = {}  # a network's mark -> (its row, training loss, trained weights)


def _mark(model):
    """Return a name for a network as it starts, so that it is trained once only."""
    text = re.sub(r"_\d+", "", model.to_json()).encode()
    return hashlib.sha256(text + b"".join(_array(w).tobytes() for w in model.weights)).hexdigest()


def judged(answer):
    """Return (trained model, its row in the table) of a sound network.

    Raises:
        Mistake: not new, over the budget, or it does not learn.
    """
    model = fresh(answer)
    counted = _costs(model)
    _logits(model)
    try:
        mark = _mark(model)
    except Exception:  # a class of the learner's that Keras cannot write down
        mark = None
    if mark in scored:
        row, loss, weights = scored[mark]
        model.set_weights(weights)
    else:
        loss = _train(model)
        row = note_attempt(counted, _right(model, _splits()[0].test))
        if mark:
            scored[mark] = row, loss, model.get_weights()
    score = row["open"]
    if score < BOUND:
        _stale(model, score, loss)
    if score < 0.2:
        raise Mistake(
            f"it does not learn: {score:.1%} of the open pictures are right after {PASSES} passes, "
            f"and guessing gives 10 %; the training loss is {loss:.2f}, and ln(10) is 2.30. Look "
            "for a start with tiny weights, a missing activation, or frozen layers."
        )
    latest.update(counted=counted, score=score)
    return model, row


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


latest = {}  # the counts and the score of the network that was judged last, for `chart`
attempts = []  # one row an attempt; also in the file TABLE


def _table():
    """Return the file of the attempts, or None where nothing is to be kept: in a test."""
    return None if "PYTEST_CURRENT_TEST" in os.environ else Path.cwd() / TABLE


def _keep():
    """Write the attempts down. A folder that takes no file costs the table, not the check."""
    file = _table()
    if file:
        with contextlib.suppress(OSError):
            file.write_text(json.dumps(attempts, indent=1) + "\n", encoding="utf-8")


def _remembered():
    """Take over the attempts of an earlier day, once."""
    file = _table()
    if attempts or not file or not file.exists():
        return
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        attempts.extend(
            {
                "parameters": int(row["parameters"]),
                "multiply_adds": int(row["multiply_adds"]),
                "open": float(row["open"]),
                "held": None if row["held"] is None else float(row["held"]),
            }
            for row in rows
        )
    except (OSError, ValueError, TypeError, KeyError):
        attempts.clear()
        say(f"{TABLE} cannot be read, so the table starts anew.")


def note_attempt(counted, score):
    """Add a row to the attempts and return it."""
    _remembered()
    row = {"parameters": counted.params, "multiply_adds": counted.macs, "open": score, "held": None}
    attempts.append(row)
    _keep()
    return row


def table():
    """Print the learner's attempts, the first one first."""
    _remembered()
    if not attempts:
        say("No attempts yet: the checks of `entry` and `champion` write them down.")
        return
    print("     parameters  multiply-adds  open pictures  held back")
    for number, row in enumerate(attempts, 1):
        held = "" if row["held"] is None else f"{100 * row['held']:.1f} %"
        print(
            f"{number:3}  {row['parameters']:10,}  {row['multiply_adds']:13,}  "
            f"{100 * row['open']:11.1f} %  {held:>9}"
        )


@exercise(
    section="Which should I choose?",
    correct="new, within both budgets, and better than a first design. q.table() lists your "
    "attempts, q.chart() shows the last one among the eight.",
    hints=(
        "Begin small: three convolutions with 16, 32 and 64 channels, each with batch "
        "normalisation (momentum=0.9), a ReLU and a pooling. Then look where the budget goes: "
        "print(audit(entry())), with from course_lib.audit import audit.",
        "After so few steps the last layer matters: clothes stand in the middle, so where "
        "something is tells a lot. GlobalAveragePooling2D throws that away, Flatten keeps it.",
    ),
)
def entry(answer):
    _, row = judged(answer)
    score = row["open"]
    if score < BOUND:
        raise Mistake(
            f"{score:.1%} of the open pictures are right after {PASSES} passes; {BOUND:.0%} are "
            "wanted. Is there batch normalisation behind each convolution? Does the last layer "
            "see where things are?"
        )
    return (
        f"{score:.1%} of the open pictures, {row['multiply_adds']:,} multiply-adds, "
        f"{row['parameters']:,} parameters."
    )


@exercise(
    section="What is equal?",
    correct="better than each of the eight, by the same recipe and on pictures that chose nothing.",
    hints=(
        "Change one thing at a time in `entry` and look at the open pictures only. What costs "
        "many multiply-adds and brings little? Where would they bring more?",
        "5 x 5 windows at stride 2, to 24 and then to 48 channels, each with batch normalisation "
        "and a ReLU, then Flatten and Dense(10): 53,218 parameters.",
    ),
)
def champion(answer):
    model, mine = judged(answer)
    held = mine["held"] = _right(model, _splits()[1])
    _keep()
    looks = sum(row["held"] is not None for row in attempts)
    name, best = max(((w, row["held"]) for w, row in eight().items()), key=lambda pair: pair[1])
    told = (
        f"{held:.1%} of the 5,000 held-back pictures, {mine['open']:.1%} of the open ones. The "
        f"best of the eight, {name}, has {best:.1%}. You have looked at the held-back pictures "
        f"{looks} time{'s' if looks > 1 else ''}."
    )
    if held < WINNER:
        raise Mistake(f"{told} {WINNER:.0%} are wanted.")
    return told


# ---- the eight ----------------------------------------------------------------------------------


@functools.cache
def eight():
    """Return {network: {"parameters", "multiply_adds", "open", "held", "seeds"}} of the eight."""
    path = resources.files("course_lib.checks").joinpath("race_eight.json")
    return json.loads(path.read_text("utf-8"))


def chart():
    """Show the network that was judged last among the eight, all trained by the same recipe."""
    if not latest:
        say("No network yet: write `entry` and run its check, which trains it.")
        return
    from course_lib import figures

    counted, score = latest["counted"], latest["score"]
    rows = {
        name: (row["parameters"], row["multiply_adds"], row["open"])
        for name, row in eight().items()
    }
    panels = {"million multiply-adds": {}, "thousand parameters": {}}
    for name, (weights, work, value) in {
        **rows,
        "yours": (counted.params, counted.macs, score),
    }.items():
        panels["million multiply-adds"][name] = work / 1e6, 100 * value
        panels["thousand parameters"][name] = weights / 1e3, 100 * value
    title = f"After {PICTURES:,} pictures, {PASSES} times, one recipe for all"
    figure = figures.trade_off(panels, "right of the open pictures in %", title, hollow=())
    figures.show(figure, "accuracy of the eight networks and of yours, over what they cost")
    cheaper = sum(work < counted.macs for _, work, _ in rows.values())
    better = sum(value > score for _, _, value in rows.values())
    say(
        f"Yours: {counted.macs:,} multiply-adds ({cheaper} of the eight have fewer), "
        f"{counted.params:,} parameters, {100 * score:.1f} % ({better} of the eight have more)."
    )


# ---- predict, then measure: three changes -------------------------------------------------------

OWN, CHANGES, SEEDS, FEW = "own", 3, (0, 1, 2), 640
WAYS = ("better", "worse", "undecided")
measured_before = {}  # a network's mark -> its accuracies, so that the same is trained once


@functools.cache
def _few():
    splits = networks.pictures(FEW)
    return splits.train, splits.validation


def three_seeds(build):
    """Return the accuracies in % of a network with three seeds, after two passes over few pictures.

    The network is compiled once; each seed gets the weights that the builder starts with.
    """
    import keras

    if not callable(build) or isinstance(build, keras.Model):
        raise Mistake(
            f"measure takes a name and a function that builds a network; this is a "
            f"{type(build).__name__}. Without brackets behind it: entry, not entry()."
        )
    from course_lib.checks import Answer

    build = Answer("the builder that you measure", build)
    model = fresh(build)
    _costs(model)
    mark = _mark(model)
    if mark in measured_before:
        return list(measured_before[mark])
    (x, labels), (new_x, new_labels) = _few()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss)
    model.optimizer.build(model.trainable_variables)  # in the first step, it is traced twice
    found = []
    for seed in SEEDS:
        model.set_weights(_built(build, seed)[0].get_weights())
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape, variable.dtype))
        keras.utils.set_random_seed(seed)
        model.fit(x, labels, BATCH, 2, verbose=0)
        guesses = networks.logits_of(model, new_x).argmax(axis=1)
        found.append(float(100 * np.mean(guesses == new_labels)))
    measured_before[mark] = tuple(found)
    return found


@exercise(
    section="What is equal?",
    correct="each change has an interval, and the words fit the intervals. What is undecided may "
    "still matter: three seeds on few pictures cannot tell.",
    hints=(
        "Give your design arguments, for example design(norm=True, width=20). A change is then "
        "lambda: design(norm=False).",
        "own = measure('own', entry). For each change: difference, low, high = "
        "evidence.welch(own, measure(name, build)); better if low > 0, worse if high < 0.",
    ),
)
def ablations(answer):
    from course_lib import evidence

    predicted, found = {}, {}

    def predict(name, way):
        if not isinstance(name, str) or name == OWN:
            raise Mistake(f"a change needs a name other than {OWN!r}; this is {str(name)[:40]!r}.")
        if way not in WAYS[:2]:
            raise Mistake(f"predict 'better' or 'worse' for {name!r}; it got {str(way)[:40]!r}.")
        if found:
            raise Mistake("predict all changes first, then measure.")
        predicted.setdefault(name, way)

    def measure(name, build):
        if name != OWN and name not in predicted:
            raise Mistake(
                f"{str(name)[:40]!r} has no prediction. Say first which way it goes: "
                "predict(name, 'better') or predict(name, 'worse')."
            )
        if name not in found:
            found[name] = three_seeds(build)
        return list(found[name])

    said = answer(predict, measure)
    if not predicted:
        raise Mistake("there is no prediction. Call predict(name, 'better') or 'worse' first.")
    if len(predicted) != CHANGES:
        raise Mistake(f"there are predictions for {len(predicted)} changes; name {CHANGES}.")
    missing = [name for name in (OWN, *predicted) if name not in found]
    if missing:
        raise Mistake(f"{missing[0]!r} was not measured: measure({missing[0]!r}, its builder).")
    same = [name for name in predicted if found[name] == found[OWN]]
    if same:
        raise Mistake(
            f"{same[0]!r} gives exactly the numbers of your own network: it is the same network. "
            "Does the change arrive in the builder?"
        )
    if not isinstance(said, dict) or set(said) != set(predicted):
        raise Mistake(
            f"return a dictionary with your {CHANGES} names: {', '.join(map(repr, predicted))}."
        )
    rows = []
    for name, way in predicted.items():
        difference, low, high = evidence.welch(found[OWN], found[name])
        right = "better" if low > 0 else "worse" if high < 0 else "undecided"
        told = f"{name}: {difference:+.1f} points ({low:+.1f} to {high:+.1f})"
        if said[name] not in WAYS:
            allowed = ", ".join(map(repr, WAYS))
            raise Mistake(f"for {name!r} say one of {allowed}; this is {str(said[name])[:40]!r}.")
        if said[name] != right:
            raise Mistake(
                f"{told}: the interval {'holds' if right == 'undecided' else 'does not hold'} 0, "
                f"so this is {right!r} and not {said[name]!r}."
            )
        rows.append(f"{told}, predicted {way!r}, {right!r}")
    return "Changed against your own, 95 % intervals: " + "; ".join(rows) + "."


# ---- the patient --------------------------------------------------------------------------------

EARLY = "the schedule ends too early"
CAUSES = {
    "learning rate too high": "then a constant 0.003 would fail too. It works.",
    "overfitting": "nothing is learned by heart here: the pictures are those that it trains on.",
    "dying units": "the same network learns with a constant rate.",
    "too few passes": "from the second pass on nothing moves at all; more of them change nothing.",
}
HIGHEST = 3e-3
TRAININGS = ((2_000, 32, 6), (50_000, 128, 10), (640, 64, 1))  # pictures, batch, epochs


def rates_of(schedule, steps):
    """Return what a schedule says at some steps, as float64."""
    import keras

    if isinstance(schedule, keras.optimizers.Optimizer):
        raise Mistake("this is an optimiser. Return the schedule alone.")
    if not callable(schedule):
        raise Mistake(
            f"the schedule should be a keras.optimizers.schedules.CosineDecay; this is a "
            f"{type(schedule).__name__}."
        )
    try:
        found = [keras.ops.convert_to_numpy(schedule(step)) for step in steps]
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise Mistake(f"the schedule stops with {type(error).__name__} ({reason}).") from None
    return np.array([float(numbers(rate, "A rate of the schedule")) for rate in found])


@exercise(
    section="What is equal?",
    correct="an optimiser counts steps, and knows nothing of passes. A schedule that is over "
    "stands still at zero, without a word.",
    hints=(
        "How many steps has a pass, and how many has the training? After how many is the friend's "
        "rate zero?",
        "steps = math.ceil(pictures / batch) * epochs; the rate is zero at the last of them.",
    ),
)
def mended(answer):
    for pictures, batch, epochs in TRAININGS:
        each = -(-pictures // batch)
        schedule = networks.diagnosed(answer(pictures, batch, epochs), EARLY, CAUSES, "a schedule")
        steps = np.round(np.linspace(0, 1, 9) * each * epochs).astype(int)

        def cosine(last, steps=steps):
            return HIGHEST * (1 + np.cos(np.pi * np.minimum(steps / last, 1))) / 2

        found = rates_of(schedule, steps)
        what = f"For {pictures:,} pictures, batches of {batch} and {epochs} epochs"
        if np.allclose(found, cosine(each * epochs), rtol=0, atol=0.03 * HIGHEST):
            continue
        if np.ptp(found) == 0:
            raise Mistake(
                f"{what}: the rate is the same at every step. Keep the cosine, and let it end with "
                "the training."
            )
        slips = {
            "the schedule still counts passes: it is over after that many steps.": cosine(epochs),
            "the schedule ends with the first pass. Count the steps of all.": cosine(each),
            "these are pictures, not steps. A step takes a whole batch.": cosine(pictures * epochs),
            "these are the pictures of one pass. A step takes a whole batch, and there are several "
            "passes.": cosine(pictures),
            "the schedule ends half-way.": cosine(each * epochs / 2),
        }
        for message, wrong in slips.items():
            if np.allclose(found, wrong, rtol=0, atol=0.01 * HIGHEST):
                raise Mistake(f"{what}: {message}")
        if not np.isclose(found[0], HIGHEST, rtol=0.03):
            raise Mistake(f"{what} the schedule begins at {found[0]:.2g}; keep {HIGHEST}.")
        raise Mistake(
            f"{what} the rate is {found[4]:.2g} half-way and {found[-1]:.2g} at the end; it should "
            f"be {HIGHEST / 2:.2g} and 0."
        )


# ---- the eight, trained anew --------------------------------------------------------------------


def main():
    """Train the eight by the recipe of this race, three seeds each, and write their scores.

    The file is written after each seed; 10 minutes of two cores in all.
    """
    import keras

    from course_lib import zoo
    from course_lib.audit import audit

    path = Path(__file__).with_name("race_eight.json")
    scores, found = {}, {}
    for seed in SEEDS:
        for word in zoo.PAPERS:
            changes = {"normalization": "batch"} if word == "googlenet" else {}
            keras.utils.set_random_seed(seed)
            model = zoo.build(f"{word}_small", **changes)
            _train(model, seed)
            pairs = _splits()[0].test, _splits()[1]
            scores.setdefault(word, []).append([_right(model, pair) for pair in pairs])
            opened, held = np.mean(scores[word], axis=0)
            counted = audit(model)
            found[word] = {
                "parameters": counted.params,
                "multiply_adds": counted.macs,
                "open": round(float(opened), 4),
                "held": round(float(held), 4),
                "seeds": [round(float(row[1]), 4) for row in scores[word]],
            }
            print(seed, word, found[word], flush=True)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
