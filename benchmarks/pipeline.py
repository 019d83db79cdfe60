"""Time what an input pipeline does with the JPEGs of photographs, and write it down.

    python benchmarks/pipeline.py --out benchmarks/results/pipeline.json
    python benchmarks/pipeline.py --recipes --out benchmarks/results/pipeline_recipes.json

Pictures a second of one core, in processor time, so that other programs do not matter much. With
--recipes: training pictures as experiments/imagenet.toml says, by `course_lib.photographs`.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import tensorflow as tf
from skimage import data as shots

from course_lib import data, experiments, photographs

NAMES = ("astronaut", "coffee", "chelsea")


def decode(file):
    return tf.io.decode_jpeg(file, channels=3)


def prepare(file):
    """Return a square of 224 pixels, cut from the middle of the scaled picture."""
    picture = decode(file)
    height, width = picture.shape[:2]
    scale = 256 / min(height, width)
    picture = tf.image.resize(picture, (round(height * scale), round(width * scale)))
    top, left = (picture.shape[0] - 224) // 2, (picture.shape[1] - 224) // 2
    return picture[top : top + 224, left : left + 224]


def drawn(run):
    """Return a function from a file to a training square of one recipe."""
    side, cut = run.data["image_size"], data.CUT | run.data["augment"]

    @functools.partial(tf.function, input_signature=[tf.TensorSpec([], tf.string)])
    def picture(file):
        draws, normal = tf.random.uniform([photographs.DRAWS]), tf.random.normal([3])
        return photographs.drawn(file, side, cut, draws, normal)

    return picture


def a_second(function, files, spent):
    """Return how many files a second of processor time the function takes."""
    function(files[0])
    began, done = time.process_time(), 0
    while time.process_time() - began < spent:
        for file in files:
            function(file)
        done += len(files)
    return round(done / (time.process_time() - began), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--recipes", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    taken = {name: getattr(shots, name)() for name in NAMES}
    files = [tf.io.encode_jpeg(shot, quality=90).numpy() for shot in taken.values()]
    ways = {"decode": decode, "prepare": prepare}
    if given.recipes:
        runs = experiments.load("imagenet").items()
        ways = {label: drawn(run) for label, run in runs if label != "rehearsal"}
    results = {name: [] for name in ways}
    for _ in range(given.repeats):
        for name, function in ways.items():
            results[name].append(a_second(function, files, given.seconds))
    sizes = zip(taken.items(), files, strict=True)
    results["files"] = {name: [*shot.shape[:2], len(file)] for (name, shot), file in sizes}
    print(json.dumps(results))
    if given.out:
        record = {**experiments.surroundings(), "results": results}
        given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
