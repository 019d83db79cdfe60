"""The trained weights that the course ships: weights/<network>.npz, each traced to its record.

A file holds every weight under its path, in half precision, and which run it comes from. The run's
record holds the file's SHA-256 and the test error with the weights as rounded.
"""

import hashlib
import importlib.resources
import json
import os
from pathlib import Path

import numpy as np

HERE = importlib.resources.files("course_lib")
DATA = "fashion_mnist"  # what they were trained on


def file_of(network):
    """Return where the weights of a network are or will be."""
    return Path(str(HERE)) / "weights" / f"{network}.npz"


def shipped():
    """Return the names of the networks that have weights."""
    return sorted(file.stem for file in (Path(str(HERE)) / "weights").glob("*.npz"))


def save(model, network, run, seed, changes):
    """Write a trained model's weights and set the model to what the file holds.

    Args:
        model: the trained `keras.Model`.
        network: its name in `course_lib.zoo`.
        run, seed: the training, for example "resnet/best" and 0.
        changes: the builder's arguments of that run.

    Returns:
        The file's SHA-256.
    """
    arrays = {}
    for weight in model.weights:
        full = np.asarray(weight)
        half = full.astype("float16")
        arrays[weight.path] = half if np.isfinite(half).all() else full
        weight.assign(arrays[weight.path].astype("float32"))
    source = json.dumps({"run": run, "seed": seed, "changes": changes})
    file = file_of(network)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".part{os.getpid()}.npz")
    np.savez_compressed(part, source=source, **arrays)
    part.replace(file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read(network):
    """Return ({path: array}, record) of a network's shipped weights.

    Raises:
        ValueError: there are none for this network, or the file is not the one its record names.
    """
    file = file_of(network)
    if not file.is_file():
        raise ValueError(
            f"no trained weights of {network!r} are shipped; there are: {', '.join(shipped())}."
        )
    again = f"{file} is damaged (%s). Get it again: install the course anew, or git checkout it."
    try:
        with np.load(file) as saved:
            arrays = {name: saved[name] for name in saved.files}
        source = json.loads(str(arrays.pop("source")))
    except Exception as error:
        raise ValueError(again % error) from error
    word, _, label = source["run"].partition("/")
    record = json.loads(
        (HERE / "records" / word / f"{label}_seed{source['seed']}.json").read_text("utf-8")
    )
    if hashlib.sha256(file.read_bytes()).hexdigest() != record["shipped"]["sha256"]:
        raise ValueError(again % f"its SHA-256 is not the one in the record of {source['run']}")
    return arrays, record


def load(model, arrays):
    """Set every weight of a model to the array of its path.

    Raises:
        ValueError: they are not this model's weights; nothing is changed then.
    """
    ours = {weight.path: tuple(weight.shape) for weight in model.weights}
    theirs = {path: array.shape for path, array in arrays.items()}
    differ = sorted(p for p in ours.keys() | theirs.keys() if ours.get(p) != theirs.get(p))
    if differ:
        first = differ[0]
        raise ValueError(
            f"these are not the weights of {model.name!r}: {len(differ)} differ, first {first!r}: "
            f"given {theirs.get(first)}, allowed {ours.get(first)}."
        )
    for weight in model.weights:
        weight.assign(arrays[weight.path].astype("float32"))
