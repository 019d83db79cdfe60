"""Time the inference of single pictures, and a full 3x3 layer against depthwise and pointwise.

    python benchmarks/latency.py --out course_lib/records/latency/cpu.json

For the chapters on MobileNet and ShuffleNet: multiply-adds beside measured milliseconds. Every
round times all contenders in turn, so that a slow minute of the machine hits all of them; the
number of a round is the median of its calls, after calls that warm up. Quote medians over the
rounds, and better still ratios. Each contender is a compiled function (tf.function) of one input.

The process keeps to one core and reads its own processor time, which is what an idle core would
take: other programs on the machine do not count.

Batch normalisation is computed by Keras's own layer here. Ours is made for training; its fused
kernel is slow on one picture, which the contenders "..._fused_norm" show.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

# Before TensorFlow loads and counts the cores. (Linux; elsewhere pin the process yourself.)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

# isort: split
from course_lib import training, zoo

# isort: split
import keras
import numpy as np
import tensorflow as tf

from course_lib.audit import audit
from course_lib.layers import BatchNormalization

FUSED = "_fused_norm"
# name: (a name of the zoo, builder arguments that differ)
NETWORKS = {
    **{f"{word}_small": (f"{word}_small", {}) for word in zoo.PAPERS},
    f"mobilenet_small{FUSED}": ("mobilenet_small", {}),
    f"mobilenet_0.5_224{FUSED}": ("mobilenet_0.5_224", {}),
    "mobilenet_small_full": ("mobilenet_small", {"separable": False}),
    "shufflenet_small_no_shuffle": ("shufflenet_small", {"shuffle": False}),
    "mobilenet_1.0_224": ("mobilenet_1.0_224", {}),
    "conv_mobilenet_1.0_224": ("conv_mobilenet_1.0_224", {}),
    "mobilenet_0.5_224": ("mobilenet_0.5_224", {}),
    "shufflenet_1.0x_g3": ("shufflenet_1.0x_g3", {}),
}
# side and channels of a layer that keeps both; the first is that of the paper's table 3
LAYERS = ((14, 512), (28, 256), (56, 128), (112, 64), (28, 16))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    groups = {"networks": {}, "layers": {}}
    fused = BatchNormalization.call
    for name, (variant, changes) in NETWORKS.items():
        kind = keras.layers.BatchNormalization
        BatchNormalization.call = fused if name.endswith(FUSED) else kind.call
        groups["networks"][name] = Contender(zoo.build(variant, **changes))
    for side, channels in LAYERS:
        for kind, model in layer_kinds(side, channels).items():
            groups["layers"][f"{side}x{side}x{channels} {kind}"] = Contender(model)
    for _ in range(given.rounds):
        for group in groups.values():
            for contender in group.values():
                contender.time()
    record = {**training.surroundings(), "clock": "processor time of one core"}
    record |= {"batch": 1, "rounds": given.rounds}
    for title, group in groups.items():
        record[title] = {name: contender.row() for name, contender in group.items()}
        for name, row in record[title].items():
            work = row["multiply_adds"] / 1e6
            print(f"{name:28} {work:9.2f} million multiply-adds {row['milliseconds']:9.3f} ms")
    if given.out:
        training.save_record(record, given.out)


if __name__ == "__main__":
    main()
