"""Time our networks beside others, in one run on one machine, and write every repetition down.

    python benchmarks/speed.py resnet densenet --size 64 --out benchmarks/results/cpu_64.json

Contenders: "ours"; "applications", the same network in keras.applications; "plain", our network
on Keras's own BatchNormalization and grouped Conv2D; "torchvision", where it is installed, eager
and channels last (its ResNet-50 has the stride in the 3x3 convolutions: resnet_v1.5). Where the
same network differs in small things (keras.applications: ResNet-50 has convolution biases,
MobileNet ReLU6, VGG-16 no dropout), ours is the paper's.

Training and inference alternate between contenders within each repetition, so that a slow minute
of the machine hits all of them, and every second repetition runs in the opposite order, so that
nobody always follows another. The batch of each lies on the device before the clock starts; what
our network trains in `fit`, which reads, shuffles and resizes Fashion-MNIST meanwhile, is a row of
its own. Time to the first training step and peak memory come from one fresh process for each
contender, `--processes` times. Of the first step, tracing is the time inside Keras's `train_step`,
running is the time of the second step, and compiling is the rest. Quote medians and ratios, never
one time.

The file is written after every network. Run again, it goes on with those that are missing.
"""

import argparse
import contextlib
import functools
import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

if find_spec("torchvision") and ("--fresh" not in sys.argv or "torchvision" in sys.argv):
    import torchvision  # noqa: F401  first: after TensorFlow it crashes where triton is installed

import course_lib  # noqa: F401  it sets what TensorFlow reads when it loads

# name: (ours in the zoo, has grouped convolutions or batch normalisation, keras.applications,
# torchvision), the latter two only where they have the same network
NETWORKS = {
    "alexnet": ("alexnet_paper", True, None, None),
    "vgg": ("vgg_D", False, "VGG16", "vgg16"),
    "googlenet": ("googlenet_paper", False, None, None),
    "resnet": ("resnet50_v1", True, "ResNet50", None),
    "resnet_v1.5": ("resnet50_v1.5", True, None, "resnet50"),
    "densenet": ("densenet121", True, "DenseNet121", "densenet121"),
    "mobilenet": ("mobilenet_1.0_224", True, "MobileNet", None),
    "squeezenet": ("squeezenet_v1.1_224", False, None, "squeezenet1_1"),
    "shufflenet_g3": ("shufflenet_1.0x_g3", True, None, None),
    "shufflenet_g8": ("shufflenet_1.0x_g8", True, None, None),
}
SMALLEST_ALEXNET = 67  # pixels; see AlexNet's own message
CLASSES = 1000


def contenders(name):
    """Return the names of those that run for one network."""
    _, plain, applications, torchvision = NETWORKS[name]
    found = ["ours"] + ["applications"] * bool(applications) + ["plain"] * plain
    return found + ["torchvision"] * bool(torchvision and find_spec("torchvision"))


@contextlib.contextmanager
def keras_own_layers(wanted):
    """While it lasts, let our two fast layers compute as Keras's own do."""
    import keras

    from course_lib.layers import BatchNormalization, GroupedConv2D

    ours = BatchNormalization.call, GroupedConv2D.convolution_op
    if wanted:
        BatchNormalization.call = keras.layers.BatchNormalization.call
        GroupedConv2D.convolution_op = keras.layers.Conv2D.convolution_op
    try:
        yield
    finally:
        BatchNormalization.call, GroupedConv2D.convolution_op = ours


class Contender:
    """One compiled network with one batch; `train` and `infer` run steps."""

    def __init__(self, name, kind, size, batch):
        import keras
        import numpy as np

        from course_lib import zoo

        keras.utils.set_random_seed(0)
        ours, _, applications, _ = NETWORKS[name]
        side = max(size, SMALLEST_ALEXNET) if name == "alexnet" else size
        shape = (side, side, 3)
        self.kind = kind
        if kind == "applications":
            builder = getattr(keras.applications, applications)
            self.model = builder(weights=None, input_shape=shape, classifier_activation=None)
        else:
            self.model = zoo.build(ours, input_shape=shape)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
        self.model.optimizer.build(self.model.trainable_variables)  # as course_lib.training does
        rng = np.random.default_rng(0)
        with keras.device(keras.distribution.list_devices()[0]):
            images = rng.normal(size=(batch, *shape)).astype("float32")
            self.images = keras.ops.convert_to_tensor(images)
            self.labels = keras.ops.convert_to_tensor(rng.integers(0, CLASSES, batch))
        self.side, self.batch, self.tracing = side, batch, 0.0
        step = self.model.train_step

        def train_step(*arguments):  # Keras calls it when it traces
            started = time.perf_counter()
            result = step(*arguments)
            self.tracing += time.perf_counter() - started
            return result

        self.model.train_step = train_step

    @functools.cached_property
    def input(self):
        """What `fit` is fed with: Fashion-MNIST in three equal channels."""
        import keras
        import numpy as np

        from course_lib import data, training

        if find_spec("tensorflow"):
            import tensorflow as tf

            splits = data.load(image_size=self.side, batch_size=self.batch)
            return splits.train.map(lambda x, y: (tf.image.grayscale_to_rgb(x), y))
        images, labels = data.load(numpy=True).train
        few = 20 * self.batch  # the most steps of a repetition; arrays are resized in advance
        images = keras.ops.image.resize(images[:few], (self.side, self.side))
        pair = np.repeat(np.asarray(images), 3, axis=-1), labels[:few]
        return training.Batches(functools.partial(data.Pass, *pair, batch_size=self.batch), 0, None)

    def fit(self, steps=1):
        self.model.fit(self.input, steps_per_epoch=steps, shuffle=False, verbose=0)

    def train(self, steps=1):
        with keras_own_layers(self.kind == "plain"):
            for _ in range(steps):
                self.model.train_on_batch(self.images, self.labels)

    def infer(self, steps=1):
        with keras_own_layers(self.kind == "plain"):
            for _ in range(steps):
                self.model.predict_on_batch(self.images)


class TorchContender:
    """The same for torchvision."""

    kind = "torchvision"

    def __init__(self, name, size, batch, policy):
        import torch
        import torchvision

        torch.manual_seed(0)
        self.torch, self.cast = torch, policy == "mixed_bfloat16"
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        model = getattr(torchvision.models, NETWORKS[name][3])(weights=None, num_classes=CLASSES)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
        self.images = torch.randn(batch, 3, size, size, device=self.device)
        self.images = self.images.to(memory_format=torch.channels_last)
        self.labels = torch.randint(0, CLASSES, (batch,), device=self.device)

    def logits(self):
        with self.torch.autocast(self.device, self.torch.bfloat16, enabled=self.cast):
            return self.model(self.images)

    def train(self, steps=1):
        self.model.train()
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = self.torch.nn.functional.cross_entropy(self.logits().float(), self.labels)
            loss.backward()
            self.optimizer.step()
            loss.item()  # waits for the device, as train_on_batch does

    def infer(self, steps=1):
        self.model.eval()
        with self.torch.inference_mode():
            for _ in range(steps):
                self.logits().float().cpu()


def contender(name, kind, given):
    if kind == "torchvision":
        return TorchContender(name, given.size, given.batch, given.policy)
    return Contender(name, kind, given.size, given.batch)


def seconds(run, *arguments):
    started = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - started


def throughput(name, given):
    """Return {contender: {"train": [images/s, ...], "infer": [...]}}, one a repetition."""
    rivals = [contender(name, kind, given) for kind in contenders(name)]
    found = {rival.kind: {"train": [], "infer": []} for rival in rivals}
    found["ours"]["fit"] = []
    for mode in ("train", "infer", "fit"):
        running = rivals[:1] if mode == "fit" else rivals  # the first is ours
        for rival in running:
            getattr(rival, mode)()  # traces
        once = max(seconds(getattr(rival, mode)) for rival in running)
        steps = max(1, min(20, round(given.seconds / once)))
        for turn in range(given.repeats):
            for rival in running[:: -1 if turn % 2 else 1]:  # there and back
                time.sleep(0.5)  # until threads of the one before, torch's above all, rest
                took = seconds(getattr(rival, mode), steps)
                found[rival.kind][mode].append(round(steps * given.batch / took, 2))
    return found


def first_step(name, kind, given):
    """Return the seconds until one step is trained, in all and by part, and peak memory in MiB."""
    from course_lib.environment import peak_memory

    if kind != "torchvision":
        import keras

        keras.ops.matmul(keras.ops.ones((2, 2)), keras.ops.ones((2, 2)))  # the backend's own start
    started = time.perf_counter()
    rival = contender(name, kind, given)
    parts = {"build": time.perf_counter() - started}
    first = seconds(rival.train)
    peak = peak_memory()
    parts["run"] = min(first, seconds(rival.train))
    if kind != "torchvision":
        parts["trace"] = rival.tracing
        parts["compile"] = max(0.0, first - rival.tracing - parts["run"])
    took = {"first_step": parts["build"] + first, **parts}
    return {**{f"{part}_seconds": round(s, 2) for part, s in took.items()}, "peak_mib": peak}


def in_fresh_process(name, kind, given):
    words = [sys.executable, __file__, name, "--fresh", kind]
    words += ["--size", str(given.size), "--batch", str(given.batch), "--policy", given.policy]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} {kind} failed in a fresh process:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results):
    """Return the medians and ratios as a Markdown table.

    The first step is in all (build + trace + compile + run); files of older runs lack the parts.
    """
    head = "| network | against | training | inference | first step | peak memory |"
    lines = [head, "|---|---|---|---|---|---|"]
    parts = ("build", "trace", "compile", "run")
    for name, found in results.items():
        middle = {
            kind: {what: statistics.median(values) for what, values in rows.items()}
            for kind, rows in found.items()
        }
        ours = middle["ours"]
        images = f"{ours['train']:.1f} images/s | {ours['infer']:.1f} images/s"
        cost = f"{ours['first_step_seconds']:.1f} s | {ours['peak_mib']:.0f} MiB"
        if "trace_seconds" in ours:
            split = " + ".join(f"{ours[part + '_seconds']:.1f}" for part in parts)
            cost = cost.replace(" s |", f" s ({split}) |")
        lines.append(f"| {name} | (ours) | {images} | {cost} |")
        if "fit" in ours:
            share = ours["fit"] / ours["train"]
            lines.append(f"| {name} | (fit) | {ours['fit']:.1f} images/s, {share:.2f}x | | | |")
        for kind in list(middle)[1:]:
            other = middle[kind]
            ratios = [ours[w] / other[w] for w in ("train", "infer")]
            ratios += [ours[w] / other[w] for w in ("first_step_seconds", "peak_mib")]
            lines.append(f"| {name} | {kind} | " + " | ".join(f"{r:.2f}x" for r in ratios) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; default all")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--policy", default="float32", help="or mixed_bfloat16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="a repetition of the slowest")
    parser.add_argument("--processes", type=int, default=3, help="fresh ones for each contender")
    parser.add_argument("--out", type=Path, help="JSON with every repetition")
    parser.add_argument("--fresh", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.networks or list(NETWORKS)
    for name in names:
        if name not in NETWORKS:
            parser.error(f"no network {name!r}; allowed: {', '.join(NETWORKS)}")

    if given.fresh == "torchvision":  # before TensorFlow is loaded, whose memory would count
        print(json.dumps(first_step(names[0], given.fresh, given)))
        return
    from course_lib import experiments, training

    with training.precision(given.policy):
        if given.fresh:
            print(json.dumps(first_step(names[0], given.fresh, given)))
            return
        settings = {k: v for k, v in vars(given).items() if k not in ("out", "fresh", "networks")}
        record = {"settings": settings, **experiments.surroundings(), "results": {}}
        if find_spec("torchvision"):
            record["versions"] |= {name: version(name) for name in ("torch", "torchvision")}
        if given.out and given.out.exists():
            before = json.loads(given.out.read_text(encoding="utf-8"))
            if before | {"results": {}} != record:
                parser.error(f"{given.out} has other settings, device or versions; name another.")
            record = before
        results = record["results"]
        for name in names:
            if name in results:
                continue
            found = throughput(name, given)
            for _ in range(given.processes):
                for kind, rows in found.items():
                    for what, value in in_fresh_process(name, kind, given).items():
                        rows.setdefault(what, []).append(value)
            results[name] = found
            print(table({name: found}), flush=True)
            if given.out:
                given.out.parent.mkdir(parents=True, exist_ok=True)
                given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
