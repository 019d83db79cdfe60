"""Train, predict and evaluate any Keras classifier: one recipe, quiet progress, resume."""

import contextlib
import functools
import io
import json
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np

from course_lib import devices
from course_lib.arguments import check, check_choice
from course_lib.data import Pass
from course_lib.metrics import top_k_error

AUXILIARY_WEIGHT = 0.3  # GoogLeNet sec. 5; used by a model whose outputs are a dictionary


class Batches(keras.utils.PyDataset):
    """The batches of pictures in memory for Keras: those of `one_pass(epoch)`."""

    def __init__(self, one_pass, epoch, heads):
        super().__init__()
        self.one_pass, self.heads = one_pass, heads
        self.turn_to(epoch)

    def turn_to(self, epoch):
        """Go to a pass. `fit` does at each epoch: Keras's own signals come once too often."""
        self.batches = self.one_pass(epoch)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        images, labels = devices.shareable(*self.batches[i])
        return images, for_heads(labels, self.heads)


def heads_of(model):
    """Return the names of a model's outputs if they are a dictionary, else None."""
    if isinstance(model, keras.Sequential) or not isinstance(model.output, dict):
        return None
    return tuple(model.output)


def for_heads(labels, heads):
    """Return the labels once for each named output, as Keras wants them."""
    return labels if heads is None else {name: labels for name in heads}


def main_output(outputs):
    """Return the logits that count: of a dictionary of outputs, the one called "main"."""
    return outputs["main"] if isinstance(outputs, dict) else outputs


def check_batch(model, images, labels):
    """Check one batch against the model, before anything is trained.

    Raises:
        ValueError: a shape, a type, a label or a pixel that the model cannot train on; the
            message says what was given and what is allowed.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    wanted = tuple(model.input_shape[1:])
    fits = images.ndim == len(wanted) + 1 and all(
        want in (None, side) for want, side in zip(wanted, images.shape[1:])
    )
    if not fits:
        raise ValueError(f"images have shape {images.shape[1:]}; this model takes {wanted}.")
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"images have type {images.dtype}; allowed: floating point, as course_lib.data gives."
        )
    if not np.isfinite(images).all():
        bad = int((~np.isfinite(images)).reshape(len(images), -1).any(axis=1).sum())
        raise ValueError(
            f"{bad} of {len(images)} images hold NaN or infinity; allowed: finite pixels."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels have shape {labels.shape} and type {labels.dtype}; allowed: "
            f"({len(images)},) integers, one class number an image."
        )
    logits = model.outputs[0] if heads_of(model) is None else model.output["main"]
    classes = logits.shape[-1]
    if len(labels) and not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; this model has classes "
            f"0 to {classes - 1}."
        )


@keras.saving.register_keras_serializable("course_lib")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits with labels of which a share is spread over all classes."""

    def __init__(self, share, name="smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.share = share

    def get_config(self):
        return {**super().get_config(), "share": self.share}

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        labels = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), classes, dtype=y_pred.dtype)
        labels = (1 - self.share) * labels + self.share / classes
        return keras.ops.categorical_crossentropy(labels, y_pred, from_logits=True)


@keras.saving.register_keras_serializable("course_lib")
def accuracy(labels, logits):
    """Return for each picture 1 where its class has the highest logit alone, else 0.

    `course_lib.metrics.top_k_error` judges so too. Keras's own accuracy gives a tie to the first
    class: a network whose logits end in a ReLU (SqueezeNet) would get that class for ten zeros.
    """
    labels = keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1, 1))
    own = keras.ops.take_along_axis(logits, labels, axis=-1)
    at_least = keras.ops.sum(keras.ops.cast(logits >= own, "int32"), axis=-1)
    return keras.ops.cast(at_least == 1, "float32")


class Progress(keras.callbacks.Callback):
    """One line an epoch, without times. On a screen, a line that counts steps meanwhile."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs, self.shown = epochs, 0.0
        watched = "PYTEST_CURRENT_TEST" in os.environ or os.environ.get("COURSE_PROGRESS") == "off"
        self.live = not watched and (sys.stdout.isatty() or "ipykernel" in sys.modules)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.live and time.monotonic() - self.shown > 0.5:
            self.shown = time.monotonic()
            steps = self.params.get("steps") or "?"
            text = f"epoch {self.epoch + 1}/{self.epochs}  step {batch + 1}/{steps}"
            print(f"\r{text}  loss {logs['loss']:.3f}  ", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        row = _plain(logs)
        line = (
            f"epoch {epoch + 1}/{self.epochs}  training loss {row['loss']:.3f} "
            f"accuracy {row['accuracy']:.3f}  "
            f"validation loss {row['val_loss']:.3f} accuracy {row['val_accuracy']:.3f}"
        )
        print(f"\r{line}" if self.live else line, flush=True)


def _plain(logs):
    """Return the four numbers of an epoch by one name, whatever the model calls its outputs."""
    names = {"loss": "loss", "accuracy": "accuracy", "val_loss": "val_loss"}
    names["val_accuracy"] = "val_accuracy"
    if "main_accuracy" in logs:
        names = {"loss": "main_loss", "accuracy": "main_accuracy"}
        names |= {"val_loss": "val_main_loss", "val_accuracy": "val_main_accuracy"}
    return {ours: float(logs[theirs]) for ours, theirs in names.items()}


class Keeper(keras.callbacks.Callback):
    """Keep the rows, the best weights by validation accuracy, and a file to resume from."""

    def __init__(self, file):
        super().__init__()
        self.file, self.rows, self.best = file, [], None

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **_plain(logs)}
        if not np.isfinite(row["loss"]):
            print(
                f"stopped: the loss is {row['loss']} after epoch {epoch + 1}; lower learning_rate"
            )
            self.model.stop_training = True
        ended = time.perf_counter(), time.process_time()
        spans = (round(end - start, 2) for start, end in zip(self.started, ended))
        row["seconds"], row["processor_seconds"] = spans
        self.rows.append(row)
        if self.best is None or row["val_accuracy"] > self.rows[self.best_row]["val_accuracy"]:
            self.best, self.best_row = self.model.get_weights(), len(self.rows) - 1
        if self.file:
            self.save()

    def _state(self):
        return self.model.variables + self.model.optimizer.variables

    def save(self):
        """Write everything that the next epoch depends on, in one step that cannot half happen."""
        if devices.process():  # the first one's file is for all
            return
        arrays = {f"state{i}": np.asarray(v) for i, v in enumerate(self._state())}
        arrays |= {f"best{i}": w for i, w in enumerate(self.best)}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part.npz")
        np.savez(part, rows=json.dumps(self.rows), best_row=self.best_row, **arrays)
        part.replace(self.file)

    def restore(self, model):
        """Put the saved state back, if there is one.

        Raises:
            ValueError: the file is damaged, or belongs to another model.
        """
        content = self.file.read_bytes() if self.file.exists() else b""
        content = devices.of_the_first(content)
        if not content:
            return
        self.set_model(model)
        state = self._state()
        try:
            with np.load(io.BytesIO(content)) as saved:
                arrays = [saved[f"state{i}"] for i in range(sum(k[:5] == "state" for k in saved))]
                self.rows = json.loads(str(saved["rows"]))
                self.best_row = int(saved["best_row"])
                self.best = [saved[f"best{i}"] for i in range(len(model.get_weights()))]
        except Exception as error:
            raise ValueError(
                f"{self.file} cannot be read ({error}); delete it to start afresh."
            ) from error
        if [a.shape for a in arrays] != [tuple(v.shape) for v in state]:
            raise ValueError(f"{self.file} belongs to another model; delete it or name another.")
        for variable, array in zip(state, arrays):
            variable.assign(array)


def cosine(highest, steps, warm=None):
    """Return the learning rate: up for some steps, then down to zero along a cosine.

    Args:
        warm: steps upwards; None: a fifth of all.
    """
    warm = max(1, steps // 5 if warm is None else warm)
    return keras.optimizers.schedules.CosineDecay(
        highest / 100, max(1, steps - warm), warmup_target=highest, warmup_steps=warm
    )


def rates(schedule, highest, steps, epochs, warm_up=None):
    """Return the learning rate: a number, or what says it at each step; see `fit`.

    Args:
        steps: in an epoch.
    """
    schedules = keras.optimizers.schedules
    if schedule == "constant":
        return highest
    if schedule == "cosine":
        warm = None if warm_up is None else round(warm_up * steps)
        return cosine(highest, steps * epochs, warm)
    if schedule == "linear":
        return schedules.PolynomialDecay(highest, steps * epochs, end_learning_rate=0.0)
    factor = schedule["factor"]
    if "every" in schedule:
        each = max(1, round(schedule["every"] * steps))
        return schedules.ExponentialDecay(highest, each, factor, staircase=True)
    last = [round(epoch * steps) - 1 for epoch in schedule["at"]]  # the last step of each rate
    return schedules.PiecewiseConstantDecay(
        last, [highest * factor**times for times in range(len(last) + 1)]
    )


def check_schedule(schedule, epochs, warm_up):
    """Check the schedule of `fit`.

    Raises:
        ValueError: it is none.
    """
    allowed = "'cosine', 'constant', 'linear', or a dictionary of factor and one of at and every"
    known = schedule in ("cosine", "constant", "linear") or (
        isinstance(schedule, dict) and set(schedule) in ({"factor", "at"}, {"factor", "every"})
    )
    check("schedule", schedule, known, allowed)
    if isinstance(schedule, dict):
        check("factor", schedule["factor"], 0 < schedule["factor"] < 1, "above 0 and below 1")
        at = schedule.get("at", [schedule.get("every")])
        rising = all(a < b for a, b in zip([0, *at], [*at, epochs]))
        check("schedule", schedule, rising, f"epochs that rise, between 0 and {epochs}")
    if warm_up is not None:
        fits = schedule == "cosine" and 0 <= warm_up < epochs
        check("warm_up", warm_up, fits, f"with the schedule 'cosine', 0 to below {epochs} epochs")


def make_optimizer(optimizer, rate, weight_decay, decayed, averaging, variables=()):
    """Return the optimiser; see `fit` for the arguments.

    Args:
        variables: those of the model, for decayed="no depthwise".
    """
    common = {"weight_decay": weight_decay or None}
    if averaging:
        common |= {"use_ema": True, "ema_momentum": averaging}
    if optimizer == "adam":
        chosen = keras.optimizers.Adam(rate, **common)
    else:
        momentum = 0.0 if optimizer == "plain" else 0.9
        chosen = keras.optimizers.SGD(
            rate, momentum=momentum, nesterov=optimizer == "nesterov", **common
        )
    if decayed != "all":
        spared = [v for v in variables if decayed == "no depthwise" and "depthwise/" in v.path]
        chosen.exclude_from_weight_decay(var_list=spared, var_names=["bias", "gamma", "beta"])
    return chosen


def compile_for(model, optimizer, label_smoothing):
    """Compile a classifier that returns logits; see `fit` for the arguments."""

    def loss():
        if label_smoothing:
            return SmoothedCrossentropy(label_smoothing)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    heads = heads_of(model)
    losses, weights = loss(), None
    if heads:
        losses = {name: loss() for name in heads}
        weights = {name: 1.0 if name == "main" else AUXILIARY_WEIGHT for name in losses}
    judge = keras.metrics.MeanMetricWrapper(accuracy, "accuracy")
    metrics = {"main": [judge]} if weights else [judge]
    model.compile(optimizer=optimizer, loss=losses, loss_weights=weights, metrics=metrics)
    model.optimizer.build(model.trainable_variables)  # in the first step, it is traced twice


def fit(
    model,
    splits,
    *,
    epochs,
    learning_rate=1e-3,
    optimizer="adam",
    schedule="cosine",
    warm_up=None,
    weight_decay=0.0,
    decayed="kernels",
    label_smoothing=0.0,
    averaging=0.0,
    batch_size=None,
    keep="best",
    seed=None,
    resume=None,
    progress=True,
):
    """Train a classifier that returns logits.

    Unless told otherwise, the learning rate rises over the first fifth of the steps and then falls
    to zero along a cosine.

    Args:
        model: a `keras.Model`. A dictionary of outputs has its logits under "main"; the others
            are auxiliary and enter the loss with weight 0.3.
        splits: what `course_lib.data.load` returns. NumPy pairs are batched here.
        epochs: passes over the training images.
        learning_rate: the highest learning rate.
        optimizer: "adam"; "sgd" with momentum 0.9 as in the papers; "nesterov", the same with
            Nesterov's momentum; "plain", gradient descent without.
        schedule: "cosine"; "constant"; "linear", down to zero along a straight line; steps, as
            {"factor": 0.1, "at": [30, 60]}, epochs from which on the rate is multiplied once
            more, or {"factor": 0.94, "every": 2.5}.
        warm_up: epochs in which the rate rises, before the cosine; None: a fifth of all.
        weight_decay: decoupled decay, a step and learning rate. A decay that a paper adds to the
            gradient acts through a momentum of 0.9, and is ten times as much here.
        decayed: what decays: "kernels"; "no depthwise", other kernels than those of depthwise
            convolutions; or "all" weights, as in the ResNet paper.
        label_smoothing: the share of a label that is spread over all classes, below 1.
        averaging: 0, or the momentum of a moving average of the weights, such as 0.999, that the
            model is left with; with keep="last" only. Validation shows the weights themselves.
        keep: the weights that the model is left with: "best", those of the epoch with the best
            validation accuracy, or "last".
        batch_size: for NumPy pairs only; None: the one that they were loaded with, else 128.
        seed: order and augmentation, for NumPy pairs only; None: as loaded, else 0.
        resume: a file. It is written after every epoch; if it exists, training goes on from it,
            with the result of a run that was never interrupted.
        progress: print one line an epoch.

    Returns:
        {"epochs": one row an epoch, "best_epoch": its number, "interrupted": bool}.

    Raises:
        ValueError: an argument, a label, a shape or a pixel is wrong; see the message.
    """
    if not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs is {epochs!r}; allowed: an integer of at least 1.")
    check_choice("keep", keep, ("best", "last"))
    check_schedule(schedule, epochs, warm_up)
    check_choice("optimizer", optimizer, ("adam", "sgd", "nesterov", "plain"))
    check_choice("decayed", decayed, ("kernels", "all", "no depthwise"))
    for name, value in (("label_smoothing", label_smoothing), ("averaging", averaging)):
        check(name, value, 0 <= value < 1, "at least 0 and below 1")
    check("keep", keep, keep == "last" or not averaging, "'last', where weights are averaged")
    heads = heads_of(model)
    in_memory = isinstance(splits.train, tuple)
    if in_memory:
        for pair in (splits.train, splits.validation):
            check_batch(model, *pair)
        images, labels = splits.validation
        validation = images, for_heads(labels, heads)
        given = {"batch_size": batch_size, "seed": seed}
        given = {name: value for name, value in given.items() if value is not None}
        own_pass = functools.partial(Pass, *splits.train)  # for pairs that nothing loaded
        one_pass = functools.partial(getattr(splits, "train_pass", own_pass), **given)
        steps = len(one_pass(0))
    else:
        for split in (splits.train, splits.validation):
            images, labels = next(iter(split.take(1).as_numpy_iterator()))
            check_batch(model, images, labels)
        validation = splits.validation
        steps = len(splits.train)
    rate = rates(schedule, learning_rate, steps, epochs, warm_up)
    weights = model.trainable_variables
    chosen = make_optimizer(optimizer, rate, weight_decay, decayed, averaging, weights)
    compile_for(model, chosen, label_smoothing)

    keeper = Keeper(Path(resume) if resume else None)
    if resume:
        keeper.restore(model)
    done = len(keeper.rows)
    callbacks = [keeper] + ([Progress(epochs)] if progress else [])
    if in_memory:
        train = Batches(one_pass, done, heads)
        callbacks.append(
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: train.turn_to(epoch))
        )
    else:
        if keras.backend.backend() != "tensorflow":
            # A model whose loss and metrics are not built reads a batch before it trains, and
            # with it the first pass would be lost.
            model.test_on_batch(images, for_heads(labels, heads))
        train = splits.train_from(done, spare=devices.spare_passes())
        if heads:
            train, validation = (
                split.map(lambda x, y: (x, for_heads(y, heads))) for split in (train, validation)
            )
    parts = getattr(splits, "parts", 1)
    train, validation = devices.prepare(model, train, validation, parts)
    interrupted = False
    try:
        model.fit(
            train,
            validation_data=validation,
            initial_epoch=done,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    except KeyboardInterrupt:
        if devices.processes() > 1:  # the others wait for this one
            raise
        interrupted = True
        where = f"; run again to go on from {resume}" if resume else ""
        print(f"\ninterrupted after {len(keeper.rows)} of {epochs} epochs{where}")
    if keep == "best" and keeper.best is not None:
        model.set_weights(keeper.best)
    best = keeper.rows[keeper.best_row]["epoch"] if keeper.rows else None
    return {"epochs": keeper.rows, "best_epoch": best, "interrupted": interrupted}


def predict(model, split, batch_size=512):
    """Return (logits, labels) as NumPy arrays: (images, classes) and (images,)."""
    if isinstance(split, tuple):
        starts = range(0, len(split[1]), batch_size)
        batches = (tuple(part[i : i + batch_size] for part in split) for i in starts)
    else:
        batches = split.as_numpy_iterator()
    logits, labels = [], []
    for images, truth in batches:
        found = np.asarray(main_output(model.predict_on_batch(images)), "float32")
        logits.append(found[: len(images)])  # with a strategy, each device predicts all of them
        labels.append(truth)
    return np.concatenate(logits), np.concatenate(labels)


def evaluate(model, split):
    """Return a model's {"accuracy", "error", "loss", "images"} on one split, as shares of 1."""
    logits, labels = predict(model, split)
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    error = top_k_error(logits, labels, 1)
    return {
        "accuracy": 1 - error,
        "error": error,
        "loss": float(losses.mean()),
        "images": len(labels),
    }


def evaluate_views(model, batches):
    """Judge a model by several views of each picture: the mean of their probabilities counts.

    Args:
        batches: what `course_lib.data.Splits.views` returns.

    Returns:
        {"images", "accuracy", "error", "top5_error"}, shares of 1.
    """
    scores, labels = [], []
    for images, truth in batches.as_numpy_iterator():
        views = images.reshape(-1, *images.shape[2:])
        logits = np.asarray(main_output(model.predict_on_batch(views)), "float64")[: len(views)]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        scores.append(shares.reshape(*images.shape[:2], -1).mean(axis=1))
        labels.append(truth)
    scores, labels = np.concatenate(scores), np.concatenate(labels)
    error, top5 = (top_k_error(scores, labels, k) for k in (1, 5))
    return {"images": len(labels), "accuracy": 1 - error, "error": error, "top5_error": top5}


@contextlib.contextmanager
def precision(policy):
    """Build models under a Keras dtype policy: "float32", "mixed_bfloat16" or "mixed_float16"."""
    allowed = ("float32", "mixed_bfloat16", "mixed_float16")
    if policy not in allowed:
        raise ValueError(f"precision is {policy!r}; allowed: {', '.join(allowed)}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
