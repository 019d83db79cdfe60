"""Train the networks of chapter 02 on three seeds each and write their records.

    python scripts/record_convolution.py

A record that exists is kept: delete it to train again.
"""

import dataclasses
import datetime
import time
from pathlib import Path

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

# isort: split
import keras
import numpy as np

from course_lib import zoo
from course_lib.convolution import permute, shift
from course_lib.data import load
from course_lib.training import evaluate, fit, save_record, surroundings

FOLDER = Path(__file__).resolve().parents[1] / "course_lib" / "records" / "convolution"
# Label: (network, changes, permuted). The first MLP has the parameters of the CNN, the wide one
# its multiply-adds.
RUNS = {
    "mlp": ("mlp_small", {"hidden": [124]}, False),
    "cnn": ("convolution_small", {}, False),
    "mlp_permuted": ("mlp_small", {"hidden": [124]}, True),
    "cnn_permuted": ("convolution_small", {}, True),
    "mlp_wide": ("mlp_small", {"hidden": [1070, 1070]}, False),
}
RECIPE = {"epochs": 4, "learning_rate": 2e-3}
PROBE_IMAGES, PROBE = 10_000, {"epochs": 10, "learning_rate": 3e-3}
SEEDS = (0, 1, 2)
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def changed(splits, change):
    """Return the splits with a function applied to the images of each."""
    parts = {
        name: (change(images), labels)
        for name in ("train", "validation", "test")
        for images, labels in [getattr(splits, name)]
    }
    return dataclasses.replace(splits, **parts)


def accuracy_when_shifted(model, test, pixels, order):
    """Return the accuracy on test pictures that were moved, the mean of four directions.

    `order` puts the pixels of the moved pictures into the order that the model was trained on.
    """
    images, labels = test
    moved = [shift(images, pixels * right, pixels * down) for right, down in DIRECTIONS]
    return float(np.mean([evaluate(model, (order(x), labels))["accuracy"] for x in moved]))


def linear_accuracy(splits, seed):
    """Return the test accuracy of one fully connected layer trained on the splits' arrays."""
    keras.utils.set_random_seed(seed)
    layer = zoo.build("mlp_small", input_shape=splits.train[0].shape[1:], hidden=())
    fit(layer, splits, seed=seed, progress=False, **PROBE)
    return evaluate(layer, splits.test)["accuracy"]


def probe(trained, splits, seed):
    """Return the accuracy of a linear classifier on pixels, on random and on learned features."""
    images, labels = splits.train
    few = dataclasses.replace(splits, train=(images[:PROBE_IMAGES], labels[:PROBE_IMAGES]))
    keras.utils.set_random_seed(seed)
    found = {"pixels": linear_accuracy(few, seed)}
    for name, model in (("random", zoo.build("convolution_small")), ("learned", trained)):
        features = keras.Model(model.input, model.get_layer("pool3").output)
        found[name] = linear_accuracy(
            changed(few, lambda x, f=features: f.predict(x, batch_size=512, verbose=0)), seed
        )
    return found


def record(label, seed, splits):
    """Train one network, test it, and return its record."""
    network, changes, permuted = RUNS[label]
    order = permute if permuted else np.asarray
    trained_on = changed(splits, order)
    keras.utils.set_random_seed(seed)
    model = zoo.build(network, **changes)
    started = time.perf_counter()
    history = fit(model, trained_on, seed=seed, **RECIPE)
    found = {
        "network": network,
        "changes": changes,
        "permuted": permuted,
        "seed": seed,
        "data": {"standardize": False},
        "recipe": RECIPE,
        "parameters": model.count_params(),
        **history,
        "train_seconds": round(time.perf_counter() - started, 1),
        "test": evaluate(model, trained_on.test),
        "shifts": {str(p): accuracy_when_shifted(model, splits.test, p, order) for p in range(5)},
    }
    if label == "cnn":
        found["probe"] = {"images": PROBE_IMAGES, "recipe": PROBE, **probe(model, splits, seed)}
    return {**found, **surroundings(), "date": datetime.date.today().isoformat()}


def main():
    splits = load(numpy=True, standardize=False)
    for seed in SEEDS:
        for label in RUNS:
            file = FOLDER / f"{label}_seed{seed}.json"
            if file.exists():
                print(f"{file.name} exists")
                continue
            found = record(label, seed, splits)
            if found["interrupted"]:
                return
            save_record(found, file)
            print(f"{file.name}: test accuracy {found['test']['accuracy']:.4f}")


if __name__ == "__main__":
    main()
