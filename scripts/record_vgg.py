"""Train what chapter 05 needs beyond scripts/records.py: the paper's own remedy, three seeds.

    python scripts/record_vgg.py

Network A starts from the small random weights that stop network E; E then starts from A. The
trained A is also tested at several scales. A record that exists is kept: delete it to train again.
"""

from pathlib import Path

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

# isort: split
import keras
import numpy as np

from course_lib import data, zoo
from course_lib.metrics import top_k_error
from course_lib.training import evaluate, fit, predict, run, save_record
from course_lib.vgg import dense_evaluation, start_from

FOLDER = Path(__file__).resolve().parents[1] / "course_lib" / "records" / "vgg"
THIN = {"width": 0.125, "initialization": 0.035}
RECIPE = {"epochs": 4, "learning_rate": 2e-3}
PICTURES = {"train_limit": 8000}
SIDES = (28, 30, 32)  # pixels; all give the dense network a map of 1 x 1


def errors_by_scale(model, test):
    """Return the test error at each side, and that of the mean of the probabilities."""
    images, labels = test
    found, mean = {}, 0
    for side in SIDES:
        dense = dense_evaluation(model, (side, side, 1))
        larger = np.asarray(keras.ops.image.resize(images, (side, side)))
        logits = predict(dense, (larger, labels))[0].mean(axis=(1, 2))
        found[str(side)] = top_k_error(logits, labels)
        mean = mean + np.asarray(keras.ops.softmax(logits))
    return {**found, "all": top_k_error(mean, labels)}


def main(seeds=(0, 1, 2)):
    for seed in seeds:
        first, second = (FOLDER / f"{label}_seed{seed}.json" for label in ("A_tiny", "E_from_A"))
        if first.exists() and second.exists():
            continue
        record, trained = run("vgg_small", seed=seed, changes=THIN, data=PICTURES, **RECIPE)
        splits = data.load(numpy=True, seed=seed, **PICTURES)
        record["errors_by_scale"] = errors_by_scale(trained, splits.test)
        save_record(record, first)
        changes = {**THIN, "depth": "E"}
        keras.utils.set_random_seed(seed)
        deeper = start_from(zoo.build("vgg_small", **changes), trained)
        splits = data.load(seed=seed, **PICTURES)
        history = fit(deeper, splits, seed=seed, **RECIPE)
        seconds = round(sum(row["seconds"] for row in history["epochs"]), 1)
        record |= {"changes": changes, "start": f"A_tiny, seed {seed}", "train_seconds": seconds}
        record |= {"parameters": deeper.count_params(), **history}
        del record["errors_by_scale"]
        save_record({**record, "test": evaluate(deeper, splits.test)}, second)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
