"""Train chapter 07's plain and residual 32-layer networks and look inside them.

    python scripts/record_resnet.py

The records are those of scripts/records.py with "probes" besides: gradient norms before and after
training, responses, and the test error without each block. A record that exists is kept.
"""

from pathlib import Path

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

# isort: split
import keras

from course_lib import probes, training, zoo
from course_lib.data import load

FOLDER = Path(__file__).resolve().parents[1] / "course_lib" / "records" / "resnet"
# Label: the shortcut. Everything else is as in DEEP of scripts/records.py.
RUNS = {"plain32": False, "residual32": "A"}
CHANGES = {"stem_strides": 2, "width": 8, "depth": 32}
RECIPE = {"epochs": 8, "learning_rate": 0.003}
BATCH, PICTURES = 256, 1000
SEEDS = (0, 1, 2)


def look(model, splits):
    """Return what a trained network does inside, on its first training and test pictures."""
    images, labels = (part[:BATCH] for part in splits.train)
    test_images, test_labels = (part[:PICTURES] for part in splits.test)
    blocks = [layer.name for layer in model.layers if hasattr(layer, "shortcut")]
    removed = {}
    for name in blocks:
        with probes.without(model, name):
            removed[name] = probes.error(model, test_images, test_labels)
    return {
        "gradients_after": probes.gradient_norms(model, images, labels),
        "responses": probes.response_deviations(model, images),
        "whole": probes.error(model, test_images, test_labels),
        "removed": removed,
    }


def main():
    """Train what has no record yet."""
    for seed in SEEDS:
        for label, shortcut in RUNS.items():
            file = FOLDER / f"{label}_seed{seed}.json"
            if file.exists():
                continue
            changes = {**CHANGES, "shortcut": shortcut}
            data = {"train_limit": 4000}
            splits = load(numpy=True, seed=seed, **data)
            keras.utils.set_random_seed(seed)
            untrained = zoo.build("resnet_small", **changes)
            images, labels = (part[:BATCH] for part in splits.train)
            before = probes.gradient_norms(untrained, images, labels)
            record, model = training.run(
                "resnet_small", seed=seed, changes=changes, data=data, **RECIPE
            )
            record["probes"] = {"gradients_before": before, **look(model, splits)}
            training.save_record(record, file)
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
