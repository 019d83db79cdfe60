"""Train chapter 10's small SqueezeNet and compress it: accuracy and bytes after each step.

    python scripts/record_squeezenet.py

The records are those of scripts/records.py, label "base", with "compression" besides. A record
that exists is kept: delete it to train again.
"""

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

# isort: split
import keras

from course_lib import compression, training
from course_lib.data import load

FOLDER = Path(__file__).resolve().parents[1] / "course_lib" / "records" / "squeezenet"
DATA = {"train_limit": 14_000, "batch_size": 64}  # as GENTLE in scripts/records.py
RECIPE = {"epochs": 2, "learning_rate": 0.002}
RETRAIN = {"epochs": 1, "learning_rate": 0.001}
BITS = (8, 6, 4, 2)
SEEDS = (0, 1, 2)


def compress(model, splits, seed):
    """Return the test error after each step of Deep Compression, and the bytes for each width.

    "unpruned" is the control: the network trained on for as long as the pruned one, unpruned.
    """
    trained = model.get_weights()

    def error():
        return training.evaluate(model, splits.test)["error"]

    found = {"trained": error()}
    training.fit(model, splits, seed=seed, **RETRAIN)
    found["unpruned"] = error()
    model.set_weights(trained)
    found["kept"] = compression.prune(model, compression.SQUEEZENET_KEEP)
    found["pruned"] = error()
    training.fit(model, splits, seed=seed, **RETRAIN)
    found["retrained"] = error()
    retrained, found["files"] = model.get_weights(), {}
    with TemporaryDirectory() as folder:
        for bits in BITS:
            sizes = compression.write(model, Path(folder) / "model.dc", bits)
            compression.restore(model, Path(folder) / "model.dc")
            found["files"][str(bits)] = {**dataclasses.asdict(sizes), "error": error()}
            model.set_weights(retrained)
    return {"retrain": RETRAIN, **found}


def main():
    """Train what has no record yet."""
    for seed in SEEDS:
        file = FOLDER / f"base_seed{seed}.json"
        if file.exists():
            print(f"{file.name} exists")
            continue
        record, model = training.run("squeezenet_small", seed=seed, data=DATA, **RECIPE)
        record["compression"] = compress(model, load(seed=seed, **DATA), seed)
        training.save_record(record, file)
        print(f"{file.name}: {record['compression']}")
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
