"""The trainings of the course as data: experiments/<word>.toml says what runs, records/<word>/
what came out.

    python -m course_lib.experiments list [NAME ...]
    python -m course_lib.experiments run NAME ... [--jobs 2] [--minutes 150] [--devices all]
    python -m course_lib.experiments verdicts [WORD ...] [--json]

NAME is a chapter's word, `alexnet`, or one run of it, `alexnet/relu`. `run` trains what is missing,
each seed in a process of its own. Stop it at any time; started again it goes on after the last
whole epoch. Delete a record to train it again. `--devices all` divides each batch among all
devices, of several hosts too, see `course_lib.devices`.
"""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import importlib
import importlib.resources
import inspect
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
import tomllib
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import rich, weights
from course_lib.data import DataError
from course_lib.profile import quiet_native_logs

HERE = importlib.resources.files("course_lib")
TUNING_SEED = 9  # trains candidates; no verdict uses it


@dataclass(frozen=True)
class Run:
    """One entry of experiments/<word>.toml: a training, for each of its seeds.

    `network` is a name of `course_lib.zoo` and `changes` its builder's arguments; `data` are
    arguments of `course_lib.data.load`, `recipe` those of `course_lib.training.fit`. `start` is
    {"run": label, "layers": [...]}: these layers begin as that run's trained ones. `after` names
    functions such as "probes.gradients": each is called with the trained network, the splits as
    arrays, and a function that builds the untrained network; the record keeps what it returns.
    `ship` keeps the weights of the first seed, see `course_lib.weights`.

    For photographs, see IMAGENET.md, two more: `precision` is a policy of
    `course_lib.training.precision`, by which the network computes while it trains; it is tested by
    float32. `views` are arguments of `course_lib.data.Splits.views`: the record's "tests" judge
    the test pictures by each, and its "test" is the first of them.

    In the file, `like = "label"` takes everything from another entry; tables are merged key by key.
    The word "none" in `changes` stands for None, which TOML does not have.
    `candidates = {learning_rate = [...], by = "validation_error"}` adds runs `label_at0.01` of one
    seed, from whose measure the recipe's own rate was chosen.
    """

    word: str
    label: str
    network: str
    changes: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    recipe: dict = field(default_factory=dict)
    seeds: tuple = (0, 1, 2)
    start: dict | None = None
    after: tuple = ()
    candidates: dict | None = None
    ship: bool = False
    precision: str = "float32"
    views: tuple = ()

    @property
    def name(self):
        return f"{self.word}/{self.label}"

    def file(self, seed):
        """Return where this seed's record is or will be."""
        return Path(str(HERE)) / "records" / self.word / f"{self.label}_seed{seed}.json"

    def missing(self):
        """Return the seeds without a record."""
        return [seed for seed in self.seeds if not self.file(seed).exists()]

    def differs(self, record):
        """Return what of a record is not as this entry says, in words; "" if nothing is."""
        from course_lib import data, training

        asked = complete(self, data.load, training.fit)
        told = complete(record, data.load, training.fit)
        words = [
            f"{part}: the record has {told[part]}, {self.name} says {asked[part]}"
            for part in asked
            if asked[part] != told[part]
        ]
        return "; ".join(words)


def complete(run, load, fit):
    """Return what decides a training's result, with the defaults filled in."""
    get = run.get if isinstance(run, dict) else functools.partial(getattr, run)
    parts = {"network": get("network"), "changes": get("changes")}
    for part, function, unused in (
        ("data", load, ("numpy", "seed", "part", "data_dir")),
        ("recipe", fit, ("model", "splits", "batch_size", "seed", "resume", "progress")),
    ):
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in unused
        }
        parts[part] = {**defaults, **get(part)}
    for part, default in (("start", None), ("precision", "float32"), ("views", ())):
        parts[part] = get(part, default)
    return json.loads(json.dumps(parts))


@functools.cache
def load(word):
    """Return {label: Run} of experiments/<word>.toml.

    Raises:
        ValueError: there is no such file, or an entry is not as `Run` says.
    """
    file = HERE / "experiments" / f"{word}.toml"
    if not file.is_file():
        raise ValueError(f"no experiments are called {word!r}; allowed: {', '.join(words())}.")
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    runs = {}
    for label in tables:
        entry = _inherit(tables, label)
        changes = entry.get("changes", {}).items()
        entry["changes"] = {name: None if value == "none" else value for name, value in changes}
        try:
            run = Run(word, label, **entry)
        except TypeError as error:
            raise ValueError(f"experiments/{word}.toml [{label}]: {error}") from error
        runs[label] = run
        for rate in (run.candidates or {}).get("learning_rate", ()):
            recipe = {**run.recipe, "learning_rate": rate}
            tried = {"recipe": recipe, "seeds": (TUNING_SEED,), "after": ()}
            tried |= {"candidates": None, "ship": False}
            runs[f"{label}_at{rate}"] = dataclasses.replace(run, label=f"{label}_at{rate}", **tried)
    return runs


def _inherit(tables, label):
    """Return an entry with what it takes over by `like`."""
    own = dict(tables[label])
    parent = own.pop("like", None)
    if parent is None:
        return own
    if parent not in tables:
        raise ValueError(f"[{label}] is like {parent!r}; allowed: {', '.join(tables)}.")
    entry = {k: v for k, v in _inherit(tables, parent).items() if k not in ("candidates", "ship")}
    for key, value in own.items():
        merge = key in ("changes", "data", "recipe")
        entry[key] = {**entry.get(key, {}), **value} if merge else value
    return entry


def words():
    """Return the chapters that have experiments."""
    folder = HERE / "experiments"
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml"))


def find(names):
    """Return the runs that names such as "alexnet" or "alexnet/relu" stand for; all for none.

    Raises:
        ValueError: a name is unknown; the message lists those there are.
    """
    found = []
    for name in names or words():
        word, _, label = name.partition("/")
        runs = load(word)
        if label and label not in runs:
            raise ValueError(f"no run is called {name!r}; {word} has: {', '.join(runs)}.")
        found += [runs[label]] if label else runs.values()
    return found


# ---- records


def read_record(file):
    """Return one record.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); delete it to train it again.") from error


def load_records(word, label):
    """Return the recorded runs of one experiment, in the order of their seeds.

    Args:
        word: the chapter, for example "alexnet".
        label: the run's name in experiments/<word>.toml, for example "relu".

    Raises:
        ValueError: there are none; the message lists the labels there are.
    """
    folder = HERE / "records" / word
    files = sorted(f.name for f in folder.iterdir()) if folder.is_dir() else []
    chosen = [f for f in files if f.rpartition("_seed")[0] == label]
    if not chosen:
        labels = sorted({f.rpartition("_seed")[0] for f in files if "_seed" in f})
        raise ValueError(f"no records {word}/{label}; there are: {', '.join(labels) or 'none'}.")
    found = [read_record(folder / f) for f in chosen]
    return sorted(found, key=lambda record: record["seed"])


def show_records(word, *labels):
    """Show the recorded runs of experiments: pictures seen, test accuracy, device.

    Returns:
        An object that a notebook shows as a table and a terminal as text.

    Raises:
        ValueError: as `load_records`.
    """
    lines, rows = [], []
    for label in labels:
        runs = load_records(word, label)
        first = runs[0]
        pictures = first["data"].get("train_limit", "all")
        pictures = pictures if pictures == "all" else f"{pictures:,}"
        epochs = len(first["epochs"])
        changes = ", ".join(f"{k}={v!r}" for k, v in first["changes"].items())
        network = f"{first['network']}{f' ({changes})' if changes else ''}"
        plural = "s" if epochs > 1 else ""
        lines.append(f"{label}: {network}, {epochs} epoch{plural} on {pictures} training pictures")
        accuracies = [100 * run["test"]["accuracy"] for run in runs]
        places = [f"{run['device']['kind']}, keras {run['versions']['keras']}" for run in runs]
        for run, accuracy, place in zip(runs, accuracies, places):
            lines.append(f"  seed {run['seed']}: test accuracy {accuracy:.2f} % ({place})")
        each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
        mean = f"**{statistics.mean(accuracies):.2f} %**"
        where = "; ".join(dict.fromkeys(places))
        rows.append((label, network, f"{epochs}", pictures, each, mean, where))
    head = ("run", "network", "epochs", "training pictures", "test accuracy of each seed in %")
    markdown = rich.table((*head, "mean", "trained on"), rows, right=(2, 3))
    return rich.Shown("\n".join(lines), markdown)


def save_record(record, file):
    """Write a record as JSON, in one step that cannot half happen."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".part{os.getpid()}")
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.replace(file)


def surroundings():
    """Return the device and the versions that a record names."""
    import keras
    import numpy as np

    from course_lib.profile import accelerator

    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    backend = keras.backend.backend()
    versions = {"python": platform.python_version(), "keras": keras.__version__}
    versions["numpy"] = np.__version__
    versions[backend] = __import__(backend).__version__
    device = {"kind": "cpu", "processor": processor, "cores": os.cpu_count()}
    if accelerator():
        device |= {"kind": "gpu", "accelerator": accelerator()}
    return {"device": device, "versions": versions}


# ---- one training


def train(run, seed, resume=None, progress=True, devices=()):
    """Build a run's network from a seed, train it, test it, and return the record.

    Args:
        run: a `Run`.
        seed: fixes the initial weights, dropout, and the order of the pictures.
        resume, progress: see `course_lib.training.fit`.
        devices: the arguments of `course_lib.devices.use`; none for one device.

    Returns:
        (record, model), the model on one device. The record is what `save_record` writes.
        "training" and "test" are measured after training, in evaluation mode, on pictures that are
        not augmented; of photographs only "test".
        "train_seconds" go by the clock; "processor_seconds" are what one idle core would take (on
        a GPU: what its host did). Both include the validation after each epoch.
    """
    import keras
    import numpy as np

    from course_lib import data, training, zoo
    from course_lib.devices import process, processes, use

    def untrained():
        keras.utils.set_random_seed(seed)
        return zoo.build(run.network, **run.changes)

    if run.start:
        before = load(run.word)[run.start["run"]]
        first, trained = train(before, seed, progress=False, devices=devices)
        if first["interrupted"]:
            raise KeyboardInterrupt
    with use(*(devices or ("one",))) as used:
        with training.precision(run.precision):
            model = untrained()
        if run.start:
            for layer in run.start["layers"]:
                model.get_layer(layer).set_weights(trained.get_layer(layer).get_weights())
            keras.utils.set_random_seed(seed)
        part = {"part": (process(), processes())} if used and run.views else {}
        splits = data.load(seed=seed, **part, **run.data)
        history = training.fit(model, splits, resume=resume, progress=progress, **run.recipe)
    if used or run.precision != "float32":
        found, model = model.get_weights(), untrained()
        model.set_weights(found)
    still = None if run.views else data.load(numpy=True, **{**run.data, "augment": False})

    def total(what):
        return round(sum(row[what] for row in history["epochs"]), 1)

    record = {
        "network": run.network,
        "changes": run.changes,
        "seed": seed,
        "data": run.data,
        "recipe": run.recipe,
        **({"start": run.start} if run.start else {}),
        **({"precision": run.precision, "views": run.views} if run.views else {}),
        **({"devices": used} if used else {}),
        "input": "numpy" if isinstance(splits.train, tuple) else "tf.data",
        "parameters": model.count_params(),
        **history,
        "train_seconds": total("seconds"),
        "processor_seconds": total("processor_seconds"),
    }
    if not np.isfinite(history["epochs"][-1]["loss"] if history["epochs"] else 0.0):
        record["diverged"] = True
    elif run.views and not history["interrupted"]:
        found = [training.evaluate_views(model, splits.views(**view)) for view in run.views]
        record["test"], record["tests"] = found[0], found
    elif not history["interrupted"]:
        record["training"] = training.evaluate(model, still.train)
        record["test"] = training.evaluate(model, still.test)
        record["after"] = {
            name.rpartition(".")[2]: _function(name)(model, still, untrained) for name in run.after
        }
    return {**record, **surroundings(), "date": datetime.date.today().isoformat()}, model


def _function(name):
    """Return the function "probes.gradients" of course_lib."""
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"course_lib.{module}"), function)


def train_and_save(run, seed, devices=()):
    """Train one seed of a run and write its record; return False if it was interrupted."""
    asked = (run.network, run.changes, run.data, run.recipe, run.start, *devices)
    asked += () if run.precision == "float32" else (run.precision,)
    asked = zlib.crc32(repr(asked).encode())
    resume = Path("runs") / f"{run.word}_{run.label}_seed{seed}_{asked:08x}.npz"
    record, model = train(run, seed, resume, progress=bool(run.views), devices=devices)
    if record["interrupted"]:
        return False
    if run.ship and seed == run.seeds[0] and "test" in record:
        from course_lib import data, training

        digest = weights.save(model, run.network, run.name, seed, run.changes)
        still = data.load(numpy=True, **{**run.data, "augment": False})
        record["shipped"] = {"sha256": digest, "test": training.evaluate(model, still.test)}
    save_record(record, run.file(seed))
    resume.unlink(missing_ok=True)
    result = "diverged"
    if "test" in record:
        result = f"test error {100 * record['test']['error']:.2f} %"
    print(f"{run.name} seed {seed}: {result}", flush=True)
    return True


# ---- several trainings


# What training takes of one core, in seconds: for a multiply-add, and for a byte that the layers
# put out. Fitted to the records; each of their networks is within a factor of 2.2.
MULTIPLY_ADD, BYTE = 75e-12, 1.2e-9


def minutes(run):
    """Estimate the core-minutes of one seed.

    By the processor seconds of recorded runs of the same network and arguments (median); else from
    multiply-adds and bytes, as far off as for the network's recorded forms.
    """
    from course_lib import zoo
    from course_lib.audit import audit

    def pictures(data, recipe):  # one that is only validated costs a third
        return (data.get("train_limit", 55_000) + 5_000 / 3) * recipe["epochs"]

    @functools.cache
    def work(changes):
        counted = audit(zoo.build(run.network, **json.loads(changes)))
        return MULTIPLY_ADD * counted.macs + BYTE * counted.memory

    own, others = [], []
    for file in sorted((HERE / "records").glob("*/*.json")):
        record = read_record(file)
        if record.get("network") != run.network or "processor_seconds" not in record:
            continue
        if record["device"]["kind"] != "cpu":
            continue
        each = record["processor_seconds"] / pictures(record["data"], record["recipe"])
        if record["changes"] == run.changes:
            own.append(each)
        else:
            others.append(each / work(json.dumps(record["changes"])))
    if own:
        each = statistics.median(own)
    else:
        each = work(json.dumps(run.changes)) * (statistics.median(others) if others else 1)
    return each * pictures(run.data, run.recipe) / 60


def show(runs):
    """Print each run with its seeds, and what the missing ones cost."""
    total, photographs = 0.0, 0
    for run in runs:
        missing = run.missing()
        state = "recorded" if not missing else f"missing seeds {', '.join(map(str, missing))}"
        if missing and run.views:
            photographs += len(missing)
            state += ", for GPUs: IMAGENET.md says what they take"
        elif missing:
            each = minutes(run)
            total += each * len(missing)
            state += f", about {each:.1f} core-minutes each"
        print(f"{run.name}: {state}")
    print(f"missing: about {total / 60:.1f} core-hours on the processors of the records")
    if photographs:
        print(f"not counted: {photographs} trainings for GPUs")


def run_all(runs, jobs=1, limit=None, devices=()):
    """Train what is missing, `jobs` at a time, each in a process with its share of the cores.

    Args:
        runs: what `find` returned.
        jobs: processes side by side.
        limit: minutes after which all are interrupted; they can be gone on with.
        devices: as for `train`.

    Returns:
        How many trainings failed. An interrupted one has not failed.
    """
    # What a shell starts in the background ignores SIGINT, and the trainings would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    waiting = [(run, seed) for run in runs for seed in run.missing()]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    share = max(1, len(cores) // jobs)
    environment = {**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    started, running, failed = time.monotonic(), {}, 0
    print(f"{len(waiting)} trainings are missing", flush=True)
    try:
        while waiting or running:
            if limit and time.monotonic() - started > 60 * limit:
                raise KeyboardInterrupt
            for slot in list(running):
                if running[slot][0].poll() is None:
                    continue
                process, name = running.pop(slot)
                if process.returncode:
                    failed += 1
                    print(f"{name} failed with exit status {process.returncode}", flush=True)
            for slot in range(jobs):
                if waiting and slot not in running:
                    run, seed = waiting.pop(0)
                    words = ["-m", "course_lib.experiments", "one", run.name, str(seed)]
                    if devices:
                        words += ["--devices", devices[0], "--normalization", devices[1]]
                    process = subprocess.Popen([sys.executable, *words], env=environment)
                    if cores:
                        first = slot * share % len(cores)
                        os.sched_setaffinity(process.pid, cores[first : first + share])
                    running[slot] = process, f"{run.name} seed {seed}"
            time.sleep(0.2)
    except KeyboardInterrupt:
        for process, _ in running.values():
            process.send_signal(signal.SIGINT)
        for process, _ in running.values():
            process.wait()
        print(f"stopped; {len(waiting) + len(running)} trainings are left. Run again to go on.")
    return failed


def main(argv=None):
    """List or train the experiments, or print what they say of the papers."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.experiments", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="what is recorded, what is missing and its cost")
    listing.add_argument("names", nargs="*", metavar="NAME")
    running = commands.add_parser("run", help="train what is missing")
    running.add_argument("names", nargs="+", metavar="NAME")
    running.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    running.add_argument("--minutes", type=float, help="stop after so many")
    one = commands.add_parser("one", help="train one seed of one run in this process")
    one.add_argument("names", nargs=1, metavar="NAME")
    one.add_argument("seed", type=int)
    for command in (running, one):
        command.add_argument("--devices", choices=("one", "all"), default="one")
        command.add_argument(
            "--normalization",
            choices=("synchronized", "per device"),
            default="synchronized",
            help="with --devices all: batch normalisation by the whole batch or by device",
        )
    settling = commands.add_parser("verdicts", help="what the records say of each claim")
    settling.add_argument("words", nargs="*", metavar="WORD")
    settling.add_argument("--json", action="store_true", help="one object a test")
    given = parser.parse_args(argv)
    devices = ()
    if getattr(given, "devices", "one") == "all":
        devices = (given.devices, given.normalization)
    try:
        if given.command != "run":
            with quiet_native_logs():
                import keras

                if devices:
                    from course_lib.devices import join

                    join()
                keras.ops.zeros(1)
        if given.command == "verdicts":
            from course_lib import evidence

            evidence.show(given.words, as_json=given.json)
        elif given.command == "list":
            show(find(given.names))
        elif given.command == "run":
            if given.jobs < 1:
                parser.error(f"--jobs is {given.jobs}; allowed: at least 1")
            if devices and given.jobs > 1:
                parser.error(f"--jobs is {given.jobs}; allowed with --devices all: 1")
            failed = run_all(find(given.names), given.jobs, given.minutes, devices)
            parser.exit(1 if failed else 0)
        else:
            with contextlib.suppress(KeyboardInterrupt):
                saved = train_and_save(find(given.names)[0], given.seed, devices)
                parser.exit(0 if saved else 130)
            parser.exit(130)
    except (ValueError, DataError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
