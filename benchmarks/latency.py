"""Time single pictures, training and a full 3x3 layer against depthwise and pointwise.

    python benchmarks/latency.py --out course_lib/records/latency/cpu.json

For the chapters on MobileNet and ShuffleNet (multiply-adds beside measured milliseconds) and for
the race. Every round times all contenders in turn, so that a slow minute of the machine hits all
of them; the number of a round is the median of its calls, after calls that warm up. Quote medians
over the rounds, and better still ratios. Inference is a compiled function (tf.function) of one
picture; training is steps of `training.fit`'s kind on batches of 64. The peak of memory comes
from one fresh process a network.

The process keeps to one core and reads its own processor time, which is what an idle core would
take: other programs on the machine do not count.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

# Before TensorFlow loads and counts the cores. (Linux; elsewhere pin the process yourself.)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

# isort: split
from course_lib import experiments, zoo

# isort: split
import keras
import numpy as np
import tensorflow as tf

from course_lib.audit import audit
from course_lib.environment import peak_memory

# name: (a name of the zoo, builder arguments that differ)
NETWORKS = {
    **{f"{word}_small": (f"{word}_small", {}) for word in zoo.PAPERS},
    "mobilenet_small_full": ("mobilenet_small", {"separable": False}),
    "shufflenet_small_no_shuffle": ("shufflenet_small", {"shuffle": False}),
    "mobilenet_1.0_224": ("mobilenet_1.0_224", {}),
    "conv_mobilenet_1.0_224": ("conv_mobilenet_1.0_224", {}),
    "mobilenet_0.5_224": ("mobilenet_0.5_224", {}),
    "shufflenet_1.0x_g3": ("shufflenet_1.0x_g3", {}),
}
# side and channels of a layer that keeps both; the first is that of the paper's table 3
LAYERS = ((14, 512), (28, 256), (56, 128), (112, 64), (28, 16))
BATCH = 64  # pictures a training step
MOST_SECONDS = 0.3  # a contender's share of a round; at least three calls


def layer_kinds(side, channels):
    """Return {kind: model} of one layer size: full, depthwise, pointwise, separable."""
    layers = keras.layers

    def full():
        return layers.Conv2D(channels, 3, padding="same", use_bias=False)

    def depthwise():
        return layers.DepthwiseConv2D(3, padding="same", use_bias=False)

    def pointwise():
        return layers.Conv2D(channels, 1, use_bias=False)

    kinds = {"full": [full], "depthwise": [depthwise], "pointwise": [pointwise]}
    kinds["separable"] = [depthwise, pointwise]
    image = keras.Input((side, side, channels))
    models = {}
    for kind, steps in kinds.items():
        x = image
        for step in steps:
            x = step()(x)
        models[kind] = keras.Model(image, x)
    return models


class Contender:
    """A model compiled for one picture, its counts, and the milliseconds of each round."""

    def __init__(self, model):
        counted = audit(model)
        self.counts = {"parameters": counted.params, "multiply_adds": counted.macs}
        shape = (1, *model.input_shape[1:])
        self.picture = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
        self.call = tf.function(lambda picture: model(picture, training=False))
        self.rounds = []
        for _ in range(3):  # traces and warms up
            self.call(self.picture).numpy()

    def time(self):
        """Time one round's calls and keep their median."""
        times, started = [], time.process_time()
        while len(times) < 3 or time.process_time() - started < MOST_SECONDS and len(times) < 50:
            before = time.process_time()
            self.call(self.picture).numpy()
            times.append(1000 * (time.process_time() - before))
        self.rounds.append(round(statistics.median(times), 4))

    def row(self):
        """Return what the file says of it."""
        return {
            **self.counts,
            "milliseconds": round(statistics.median(self.rounds), 4),
            "rounds": self.rounds,
        }


class Trainer:
    """A small form and one batch; the pictures it learns in a second, round by round."""

    def __init__(self, name):
        changes = {"normalization": "batch"} if name == "googlenet_small" else {}
        self.model = zoo.build(name, **changes)  # as the recorded runs have it
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile("adam", loss)
        rng = np.random.default_rng(0)
        self.images = rng.normal(size=(BATCH, *self.model.input_shape[1:])).astype("float32")
        self.labels = rng.integers(0, 10, BATCH)
        self.rounds = []
        self.steps(2)  # traces and warms up

    def steps(self, count):
        for _ in range(count):
            self.model.train_on_batch(self.images, self.labels)

    def time(self):
        """Time one round of four steps."""
        started = time.process_time()
        self.steps(4)
        self.rounds.append(round(4 * BATCH / (time.process_time() - started), 1))


def peak_of(name):
    """Return the peak in MiB of a fresh process that trains a network, or of an empty one."""
    words = [sys.executable, __file__, "--peak", name]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    if given.peak:
        if given.peak != "empty":
            Trainer(given.peak)
        print(peak_memory())
        return
    groups = {"networks": {}, "layers": {}}
    for name, (variant, changes) in NETWORKS.items():
        groups["networks"][name] = Contender(zoo.build(variant, **changes))
    for side, channels in LAYERS:
        for kind, model in layer_kinds(side, channels).items():
            groups["layers"][f"{side}x{side}x{channels} {kind}"] = Contender(model)
    trainers = {f"{word}_small": Trainer(f"{word}_small") for word in zoo.PAPERS}
    for _ in range(given.rounds):
        for group in groups.values():
            for contender in group.values():
                contender.time()
        for trainer in trainers.values():
            trainer.time()
    record = {**experiments.surroundings(), "clock": "processor time of one core"}
    record |= {"batch": 1, "rounds": given.rounds}
    for title, group in groups.items():
        record[title] = {name: contender.row() for name, contender in group.items()}
        for name, row in record[title].items():
            work = row["multiply_adds"] / 1e6
            print(f"{name:28} {work:9.2f} million multiply-adds {row['milliseconds']:9.3f} ms")
    record |= {"training_batch": BATCH, "empty_mib": peak_of("empty"), "training": {}}
    for name, trainer in trainers.items():
        speed = round(statistics.median(trainer.rounds), 1)
        row = {"images_per_second": speed, "rounds": trainer.rounds, "peak_mib": peak_of(name)}
        record["training"][name] = row
        print(f"{name:28} {speed:7.1f} training images/s {row['peak_mib']:6} MiB")
    if given.out:
        experiments.save_record(record, given.out)


if __name__ == "__main__":
    main()
