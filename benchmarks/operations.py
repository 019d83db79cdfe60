"""Where the time goes: TensorFlow's own profile, summed by kind of operation.

    python benchmarks/operations.py resnet --size 64 --out benchmarks/results/operations_64.json
    cd benchmarks; taskset -c 0 python operations.py --picture --out results/operations_picture.json

A training step, for our network and for keras.applications, batch 32, float32. "convolutions" is
the share of the operations' time that both must spend: 1 / convolutions is the most that a network
can gain over the other by doing all the rest in no time.

With --picture, for chapter 11: one picture through ShuffleNet and through MobileNet, on one core
(taskset, since TensorFlow counts the cores when it is loaded). The time of an operation is the
median of many calls, so that other programs hardly count.

Needs TensorFlow. Quote shares, not milliseconds.
"""

import argparse
import collections
import re
import statistics
import tempfile
from pathlib import Path

import numpy as np
import speed  # the program beside this one: the same networks, batches and optimiser
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from course_lib import experiments, zoo

STEPS = 3
CALLS = 60
PICTURE = ("mobilenet_0.5_224", "shufflenet_1.0x_g3", "mobilenet_small", "shufflenet_small")
PARTS = (  # what an operation is for, by its path and kind; the first that fits
    ("channel shuffle", r"/shuffle"),
    ("cutting into groups and joining", r"/gconv.*:(_Mkl)?(Split|Concat|Reshape|StridedSlice)"),
    ("batch normalisation", r"norm"),
    ("depthwise 3 x 3", r"/depthwise"),
    ("1 x 1 convolutions", r"/(gconv|pointwise).*:.*(Conv2D|MatMul)"),
    ("first convolution, classifier", r"/(conv1|fc)"),
    ("ReLU, addition, pooling, padding", r""),
)


def events(run):
    """Yield (node, kind, milliseconds) of each operation that TensorFlow's profiler sees in run."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        run()
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            node, colon, kind = name.rpartition(":")
            if colon and not node.endswith(":") and not kind.lstrip().startswith("__"):
                yield node, kind, event.duration_ps / 1e9


def profile(contender):
    """Return {operation: milliseconds a step}, the largest first."""
    contender.train(2)  # traces
    sums = collections.Counter()
    for _, kind, time in events(lambda: contender.train(STEPS)):
        sums[kind] += time / STEPS
    return {kind: round(time, 2) for kind, time in sums.most_common()}


def picture(name):
    """Return {part: milliseconds} of one picture through a network, by `PARTS`."""
    model = zoo.build(name)
    call = tf.function(lambda image: model(image, training=False))
    shape = (1, *model.input_shape[1:])
    image = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    call(image).numpy()  # traces
    times = collections.defaultdict(list)
    for node, kind, time in events(lambda: [call(image).numpy() for _ in range(CALLS)]):
        times[f"{node}:{kind}"].append(time)
    sums = dict.fromkeys((part for part, _ in PARTS), 0.0)
    for operation, each in times.items():
        part = next(part for part, pattern in PARTS if re.search(pattern, operation))
        sums[part] += statistics.median(each) * len(each) / CALLS
    return {part: round(time, 4) for part, time in sums.items()}


def pictures():
    """Return the record of --picture."""
    record = {"batch": 1, "calls": CALLS, **experiments.surroundings(), "results": {}}
    for name in PICTURE:
        record["results"][name] = picture(name)
        print(name, record["results"][name])
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("networks", nargs="*", choices=[[], *speed.NETWORKS])
    parser.add_argument("--picture", action="store_true", help="one picture in place of a step")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.picture:
        record = pictures()
        if given.out:
            experiments.save_record(record, given.out)
        return
    if not given.networks:
        parser.error(f"name networks: {', '.join(speed.NETWORKS)}; or give --picture")
    record = {"size": given.size, "batch": 32, **experiments.surroundings(), "results": {}}
    for name in given.networks:
        kinds = [k for k in speed.contenders(name) if k in ("ours", "applications")]
        for kind in kinds:
            times = profile(speed.Contender(name, kind, given.size, 32))
            work = sum(time for kind_of, time in times.items() if "conv2d" in kind_of.lower())
            share = work / sum(times.values())
            record["results"][f"{name} {kind}"] = {"convolutions": round(share, 3), "ms": times}
            print(
                f"{name} {kind}: convolutions {100 * share:.0f} % of {sum(times.values()):.0f} ms"
            )
            for operation, time in list(times.items())[:12]:
                print(f"    {operation:40} {time:9.1f} ms")
    if given.out:
        experiments.save_record(record, given.out)


if __name__ == "__main__":
    main()
