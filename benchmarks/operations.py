"""Where the time of a training step goes: TensorFlow's own profile, summed by kind of operation.

    python benchmarks/operations.py resnet --size 64 --out benchmarks/results/operations_64.json

For our network and for keras.applications. "convolutions" is the share of the operations' time that
both must spend: 1 / convolutions is the most that a network can gain over the other by doing all
the rest in no time. Needs TensorFlow; batch 32, float32. Quote shares, not milliseconds.
"""

import argparse
import collections
import tempfile
from pathlib import Path

import speed  # the program beside this one: the same networks, batches and optimiser
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from course_lib import experiments

STEPS = 3


def profile(contender):
    """Return {operation: milliseconds a step}, the largest first."""
    contender.train(2)  # traces
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        contender.train(STEPS)
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    sums = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            node, colon, kind = name.rpartition(":")
            if colon and not node.endswith(":") and not kind.lstrip().startswith("__"):
                sums[kind] += event.duration_ps / 1e9 / STEPS
    return {kind: round(time, 2) for kind, time in sums.most_common()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("networks", nargs="+", choices=list(speed.NETWORKS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
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
