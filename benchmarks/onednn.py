"""Time training steps with TensorFlow's oneDNN kernels on and off, in turn, and write it down.

    python benchmarks/onednn.py --out benchmarks/results/onednn.json

TensorFlow chooses when it loads, so each measurement is a process of its own, in processor time.
`import course_lib` switches oneDNN on; the variable TF_ENABLE_ONEDNN_OPTS overrides that.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from course_lib import experiments, zoo

BATCH = 128
STEPS = 10


def images_per_second(word):
    """Return the training images/s of processor time of one small network."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = zoo.build(f"{word}_small")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, *model.input_shape[1:])).astype("float32")
    labels = rng.integers(0, 10, BATCH)
    model.train_on_batch(images, labels)  # traces
    started = time.process_time()
    for _ in range(STEPS):
        model.train_on_batch(images, labels)
    return BATCH * STEPS / (time.process_time() - started)


def measured(word, switch):
    """Return `images_per_second` of a fresh process with the switch "0" or "1"."""
    done = subprocess.run(
        [sys.executable, __file__, "--fresh", word],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": switch},
        capture_output=True,
        text=True,
        check=True,
    )
    return round(float(done.stdout.splitlines()[-1]), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--fresh", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fresh:
        print(images_per_second(given.fresh))
        return
    results = {}
    for word in zoo.PAPERS:
        results[word] = {"off": [], "on": []}
        for _ in range(given.repeats):
            for name, switch in (("off", "0"), ("on", "1")):
                results[word][name].append(measured(word, switch))
        off, on = (statistics.median(results[word][name]) for name in ("off", "on"))
        print(f"{word:12} off {off:7.1f}  on {on:7.1f} images/s  ratio {on / off:.2f}", flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        record = {**experiments.surroundings(), "results": results}
        given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
