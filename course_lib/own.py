"""Your own pictures: look at them, split them, train one of the eight networks, write a report.

    python -m course_lib.own PICTURES [--network resnet_small] [--side 32] [--epochs 40] [--to DIR]

PICTURES has one folder for each class, with that class's pictures in it:

    PICTURES/cup/1.jpg  PICTURES/cup/2.jpg  ...  PICTURES/plate/1.jpg  ...

Nothing is written there. The report goes to --to, own_report unless told: report.md, its pictures,
and the trained model. Stop a training at any time; started again it goes on after the last whole
epoch.
"""

import argparse
import functools
import types
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from course_lib import metrics, rich
from course_lib.profile import quiet_native_logs

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
AT_LEAST = 10  # different pictures of a class
SHARES = {"test": 0.15, "validation": 0.15}  # of a class, at least one picture; the rest: training


class FolderError(ValueError):
    """The pictures cannot be used as they are; the message says what to change."""


@dataclass(frozen=True)
class Pictures:
    """What a folder holds, made of one size.

    `images`: (n, side, side, 1 or 3) uint8; one channel if every picture is grey. `labels`: (n,)
    numbers of `class_names`. `names`: n paths within the folder. `groups`: (n,); pictures with one
    number are the same or nearly so. `remarks`: sentences on what was left out or looks odd.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple
    class_names: tuple
    groups: np.ndarray
    remarks: tuple


def few(words, most=3):
    """Return the first words and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def read(folder, side=32):
    """Read the pictures of a folder, one class a subfolder.

    The middle square of each picture is scaled to `side` pixels. Pictures that cannot be read, and
    those that lie in two classes, are left out and named.

    Args:
        folder: the folder; hidden files in it are passed over.
        side: pixels, 16 to 256.

    Returns:
        `Pictures`.

    Raises:
        FolderError: there is no such folder, there are fewer than two classes, or a class has
            fewer than 10 different pictures.
        ValueError: the side is not allowed.
    """
    if not isinstance(side, int) or not 16 <= side <= 256:
        raise ValueError(f"side is {side!r}; allowed: a whole number from 16 to 256.")
    folder = Path(folder)
    if not folder.is_dir():
        raise FolderError(
            f"{folder} is no folder. Give the one that holds a folder for each class."
        )
    seen = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    class_names = tuple(entry.name for entry in seen if entry.is_dir())
    loose = [entry.name for entry in seen if entry.suffix.lower() in ENDINGS]
    if len(class_names) < 2:
        lying = f" {few(loose)} lie beside them." if loose else ""
        raise FolderError(
            f"{folder} holds {len(class_names)} folders; at least two are needed, one for each "
            f"class, with its pictures in it.{lying}"
        )
    images, labels, names, broken, strange, small = [], [], [], [], [], []
    for label, name in enumerate(class_names):
        for file in sorted((folder / name).rglob("*")):
            path = file.relative_to(folder).as_posix()
            if file.is_dir() or file.name.startswith(".") or file.name == "Thumbs.db":
                continue
            if file.suffix.lower() not in ENDINGS:
                strange.append(path)
                continue
            try:
                picture, size = _open(file, side)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
                broken.append(path)
                continue
            images.append(picture)
            labels.append(label)
            names.append(path)
            if min(size) < side:
                small.append(path)
    remarks = []
    for which, what in (
        (loose, "Left out, in no class"),
        (strange, "Left out, no pictures"),
        (broken, "Left out, cannot be read"),
        (small, f"Enlarged, fewer than {side} pixels a side"),
    ):
        if which:
            remarks.append(f"{what}: {few(which)}.")
    images = np.stack(images) if images else np.zeros((0, side, side, 3), "uint8")
    if (images == images[..., :1]).all():
        images = images[..., :1]
    labels = np.asarray(labels, "int32")
    groups = metrics.duplicate_groups(images) if len(images) else labels
    both = [g for g in np.unique(groups) if len(np.unique(labels[groups == g])) > 1]
    twice = np.isin(groups, both)
    if twice.any():
        first = [np.flatnonzero(groups == group)[:2] for group in both]
        pairs = [" = ".join(names[i] for i in two) for two in first]
        remarks.append(f"Left out, the same picture in two classes: {few(pairs)}.")
    keep = ~twice
    names = tuple(name for name, kept in zip(names, keep) if kept)
    images, labels, groups = images[keep], labels[keep], groups[keep]
    repeated = len(groups) - len(np.unique(groups))
    if repeated:
        remarks.append(
            f"The same as another, or nearly: {repeated}. They stay on one side of the split."
        )
    for label, name in enumerate(class_names):
        different = len(np.unique(groups[labels == label]))
        if different < AT_LEAST:
            why = "".join(f"\n- {remark}" for remark in remarks)
            raise FolderError(
                f"{folder / name} has {different} different pictures that can be used; at least "
                f"{AT_LEAST} are needed.{why}"
            )
    return Pictures(images, labels, names, class_names, groups, tuple(remarks))


def _open(file, side):
    """Return (picture as (side, side, 3) uint8, its (width, height))."""
    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened)
        size = picture.size
        if "A" in picture.getbands() or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            ground = Image.new("RGBA", size, "white")
            picture = Image.alpha_composite(ground, picture)
        square = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    return np.asarray(square), size


def split(pictures, seed=0):
    """Divide the pictures: of each class 15 % for the test, 15 % for validation, the rest to train.

    What is the same or nearly so stays on one side.

    Returns:
        {"train": numbers of pictures, "validation": ..., "test": ...}, sorted arrays.
    """
    draw = np.random.default_rng(seed)
    sides = {"train": [], "validation": [], "test": []}
    for label in range(len(pictures.class_names)):
        mine = np.flatnonzero(pictures.labels == label)
        order = draw.permutation(np.unique(pictures.groups[mine]))
        given = {part: 0 for part in SHARES}
        for group in order:
            members = mine[pictures.groups[mine] == group]
            for part, share in SHARES.items():
                if given[part] < max(1, round(share * len(mine))):
                    given[part] += len(members)
                    sides[part].extend(members)
                    break
            else:
                sides["train"].extend(members)
        if not set(sides["train"]) & set(mine):
            raise FolderError(
                f"{pictures.class_names[label]}: nearly all pictures are the same one; nothing is "
                "left to train on."
            )
    return {part: np.sort(np.asarray(numbers)) for part, numbers in sides.items()}


def train(pictures, parts, network, epochs, seed, resume=None):
    """Train a network on the pictures.

    It begins with the weights that the course ships for it, if there are any, wherever they fit.

    Returns:
        (model, what `course_lib.training.fit` returns, {part: (images, labels)} standardised, the
        mean and the deviation of the training pictures, with which they were, how it began in
        words).
    """
    import keras

    from course_lib import data, training, weights, zoo

    values = pictures.images.astype("float32") / 255
    seen = values[parts["train"]]
    mean, deviation = seen.mean(axis=(0, 1, 2)), np.maximum(seen.std(axis=(0, 1, 2)), 1e-3)
    values = (values - mean) / deviation
    ready = {part: (values[which], pictures.labels[which]) for part, which in parts.items()}
    side = pictures.images.shape[1]
    keras.utils.set_random_seed(seed)
    changes = {"classes": len(pictures.class_names), "input_shape": pictures.images.shape[1:]}
    began = "from random weights"
    if network in weights.shipped():
        model, random = zoo.begin(network, **changes)
        began = f"from the course's weights, learned on Fashion-MNIST ({', '.join(random)}: random)"
    else:
        model = zoo.build(network, **changes)
    one_pass = functools.partial(
        data.Pass,
        *ready["train"],
        augment={"shift": side // 8, "mirror": True},
        black=-mean / deviation,
    )
    splits = types.SimpleNamespace(
        train=ready["train"],
        validation=ready["validation"],
        train_pass=functools.partial(one_pass, batch_size=32, seed=seed),
    )
    recipe = {"learning_rate": 0.003, "weight_decay": 0.05, "label_smoothing": 0.1}
    history = training.fit(model, splits, epochs=epochs, keep="last", resume=resume, **recipe)
    return model, history, ready, (mean, deviation), began


def report(pictures, parts, trained, to, network, seed):
    """Write report.md, its pictures and the model into a folder; return the report's text."""
    from scipy.special import softmax

    from course_lib import experiments, figures, training

    model, history, ready, standard, began = trained
    mean, deviation = (", ".join(f"{value:.4f}" for value in one) for one in standard)
    names = pictures.class_names
    logits, labels = training.predict(model, ready["test"])
    scores = softmax(logits, axis=1)
    predicted = scores.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    low, high = metrics.confidence_interval(len(wrong) / len(labels), len(labels))
    most = np.bincount(ready["train"][1]).argmax()
    guess = np.mean(labels == most)
    counts = metrics.confusion_matrix(labels, predicted, len(names))
    figure = figures.confusion(counts, names, "What the network takes for what")
    figure.savefig(to / "confusion.png", dpi=110)
    rows = history["epochs"]
    lines = {
        "training": [100 - 100 * row["accuracy"] for row in rows],
        "validation": [100 - 100 * row["val_accuracy"] for row in rows],
    }
    curve = figures.curves(lines, "epoch", "error (%)", "Error while it trained", markers=False)
    curve.savefig(to / "training.png", dpi=110)
    worst = wrong[np.argsort(-scores[wrong, predicted[wrong]])][:12]
    test = parts["test"]
    if len(worst):
        titles = [f"{names[labels[i]]}\nfor {names[predicted[i]]}" for i in worst]
        shown = pictures.images[test[worst]]
        figures.images(shown, titles, columns=6).savefig(to / "mistakes.png", dpi=110)
    model.save(to / "model.keras")
    numbers = [
        (name, *(f"{int((ready[part][1] == label).sum())}" for part in ready))
        for label, name in enumerate(names)
    ]
    where = experiments.surroundings()
    device = where["device"].get("accelerator", where["device"]["processor"])
    side, _, channels = pictures.images.shape[1:]
    colour = "grey" if channels == 1 else "in colour"
    said = "".join(f"- {remark}\n" for remark in pictures.remarks) or "- Nothing was left out.\n"
    listed = "".join(
        f"- {pictures.names[test[i]]}: taken for {names[predicted[i]]} "
        f"({100 * scores[i, predicted[i]]:.0f} %)\n"
        for i in worst
    )
    mistakes = f"![The worst mistakes](mistakes.png)\n\n{listed}" if listed else "There are none.\n"
    text = f"""# Your pictures

**{100 * np.mean(predicted == labels):.1f} %** of {len(labels)} test pictures are right; \
with that many, anything from {100 - 100 * high:.1f} to {100 - 100 * low:.1f} % is likely (95 %). \
Who always says *{names[most]}*, the class with the most training pictures, is right in \
{100 * guess:.1f} %.

## The pictures

{said}
{rich.table(("class", *ready), numbers, right=(1, 2, 3))}

## The training

{network}, {model.count_params():,} parameters, {began}; \
{len(rows)} epochs on pictures of {side} pixels, {colour}, shifted and mirrored. Seed {seed}, \
{device}, keras {where["versions"]["keras"]}. `model.keras` is the trained network, for pictures \
(0 to 1) less {mean}, divided by {deviation}; it returns logits. To load it:

```python
import keras
import course_lib.{network.partition("_")[0]}  # its layers

model = keras.models.load_model("model.keras", compile=False)
```

![The error of every epoch](training.png)

## What it takes for what

![The confusion matrix](confusion.png)

## The worst mistakes

The surest first. Look at them: is the picture in the right folder?

{mistakes}"""
    (to / "report.md").write_text(text, encoding="utf-8")
    return text


def main(argv=None):
    """Read, split, train and report; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.own", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pictures", help="the folder with one folder for each class")
    parser.add_argument("--network", default="resnet_small", help="a small or medium form")
    parser.add_argument("--side", type=int, default=32, help="pixels that the network sees")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the pictures")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and order")
    parser.add_argument("--to", default="own_report", help="the report's folder")
    given = parser.parse_args(argv)
    folder, to = Path(given.pictures), Path(given.to)
    from course_lib import zoo

    allowed = [f"{word}{form}" for word in zoo.PAPERS for form in ("_small", "_medium")]
    if given.network not in allowed:
        parser.exit(2, f"--network is {given.network!r}; allowed: {', '.join(allowed)}.\n")
    if given.epochs < 1 or not 0 <= given.seed < 2**31:
        parser.exit(2, "--epochs must be at least 1, --seed at least 0.\n")
    if to.resolve().is_relative_to(folder.resolve()):
        parser.exit(
            2, f"The report would go into your pictures ({to}); name another folder: --to.\n"
        )
    try:
        pictures = read(folder, given.side)
        parts = split(pictures, given.seed)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    print(f"{len(pictures.labels)} pictures of {few(pictures.class_names, 10)}")
    for remark in pictures.remarks:
        print(f"- {remark}")
    print(", ".join(f"{part}: {len(which)}" for part, which in parts.items()), flush=True)
    with quiet_native_logs():
        import keras

        keras.ops.zeros(1)  # the first use of a device says things too
    asked = zlib.crc32(pictures.images.tobytes() + repr((vars(given), pictures.names)).encode())
    to.mkdir(parents=True, exist_ok=True)
    resume = to / f"unfinished_{asked:08x}.npz"
    settings = given.network, given.epochs, given.seed
    try:
        trained = train(pictures, parts, *settings, resume)
    except ValueError as error:  # the network needs larger pictures, or `resume` is damaged
        parser.exit(2, f"{error}\n")
    if trained[1]["interrupted"]:
        parser.exit(130)
    if not np.isfinite(trained[1]["epochs"][-1]["loss"]):
        resume.unlink(missing_ok=True)
        parser.exit(
            1, "The training went wrong: its loss is no number. Try another --seed or --network.\n"
        )
    text = report(pictures, parts, trained, to, given.network, given.seed)
    resume.unlink(missing_ok=True)
    print(text.split("\n\n")[1].replace("*", ""))
    print(f"All of it: {to / 'report.md'}")


if __name__ == "__main__":
    main()
