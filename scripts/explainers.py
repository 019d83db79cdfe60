"""Write the pages that course_lib.explainers shows.

    python scripts/explainers.py [NAME ...]          from the data that they hold: after a change of
                                                     scripts/explainers/*.js or page.html
    python scripts/explainers.py --data [NAME ...]   make the data first; that trains for a minute

A page is scripts/explainers/page.html with an idea's title and sentence (below), its JavaScript,
and its data. Its first picture is what the JavaScript draws in Chromium, so that the same picture
is there without scripts. tests/test_explainers.py compares.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import course_lib  # noqa: F401  first: it sets what TensorFlow reads when it loads

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).with_suffix("")
PAGES = ROOT / "course_lib/explainers"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FIRST = "[drawn, $('said').innerHTML]"  # what a page's JavaScript draws and says when it begins


# ---- the data


def train(network, limit, epochs, rate, standardize=True, **changes):
    """Train a small form for a moment; return it, the pictures, and how it was made."""
    import keras

    from course_lib import data, zoo
    from course_lib.experiments import surroundings
    from course_lib.training import fit

    keras.utils.set_random_seed(0)
    model = network() if callable(network) else zoo.build(network, **changes)
    splits = data.load(numpy=True, train_limit=limit, standardize=standardize, seed=0)
    fit(model, splits, epochs=epochs, learning_rate=rate, batch_size=64, keep="last", seed=0)
    made = {"network": model.name if callable(network) else network, "seed": 0}
    made |= {"pictures": limit, "epochs": epochs, **surroundings()}
    return model, splits, made


def rounded(array, digits):
    """Return an array as nested lists of numbers with so many digits behind the point."""
    import numpy as np

    array = np.asarray(array, "float64")
    return (np.round(array, digits) + 0.0).tolist()


def to_grey(picture):
    """Return a picture as a list of whole numbers from 0, its darkest pixel, to 255."""
    import numpy as np

    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.rint(255 * picture).astype(int).ravel().tolist()


def first_of(splits, *classes):
    """Return (name, first test picture) of each of these classes."""
    images, labels = splits.test
    return [(splits.class_names[c], images[list(labels).index(c)]) for c in classes]


def convolution():
    import numpy as np

    from course_lib.convolution import conv2d

    model, splits, made = train("convolution_small", 6000, 3, 2e-3, standardize=False)
    kernels, biases = model.get_layer("conv1").get_weights()
    filters = [
        {"weights": rounded(kernels[..., k].ravel(), 4), "bias": round(float(biases[k]), 4)}
        for k in range(len(biases))
    ]
    pictures = [
        {"name": name.lower(), "pixels": to_grey(picture)}
        for name, picture in first_of(splits, 9, 2, 8)
    ]
    shown = np.array(pictures[0]["pixels"]).reshape(1, 28, 28, 1) / 255
    maps = np.maximum(conv2d(shown, kernels, padding=1)[0] + biases, 0)
    most = int(maps.std(axis=(0, 1)).argmax())  # the filter that this picture excites most
    row, column = map(int, np.unravel_index(maps[..., most].argmax(), (28, 28)))
    start = {"filter": most, "row": row, "column": column}
    return {"made": made, "start": start, "filters": filters, "pictures": pictures}


def shuffle():
    return {"made": {"words": "Counted from the two numbers on the sliders; nothing is trained"}}


def stack(model):
    """Return the convolutions and poolings of a network as rows of numbers see each other."""
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.MaxPooling2D)
    layers = []
    for layer in (layer for layer in model._flatten_layers() if isinstance(layer, kinds)):
        kernel = getattr(layer, "kernel_size", None) or layer.pool_size
        before, size, stride = layer.input.shape[1], layer.output.shape[1], layer.strides[0]
        pad = max((size - 1) * stride + kernel[0] - before, 0) if layer.padding == "same" else 0
        layers.append(
            {
                "name": layer.name,
                "kernel": kernel[0],
                "stride": stride,
                "pad": pad // 2,
                "size": size,
            }
        )
    return layers


def receptive_field():
    import keras

    from course_lib import zoo

    def plain(sides):
        model = keras.Sequential([keras.Input((15, 15, 1))])
        for number, side in enumerate(sides, 1):
            model.add(keras.layers.Conv2D(1, side, padding="same", name=f"layer {number}"))
        return stack(model)

    stacks = [
        {"name": "three 3 x 3", "side": 15, "layers": plain((3, 3, 3))},
        {"name": "one 7 x 7", "side": 15, "layers": plain((7,))},
        {"name": "chapter 02", "side": 28, "layers": stack(zoo.build("convolution_small"))},
        {"name": "small VGG", "side": 28, "layers": stack(zoo.build("vgg_small"))},
    ]
    words = "Kernels, strides and sizes are those of convolution_small and vgg_small"
    return {"made": {"words": words}, "stacks": stacks}


def residual():
    from course_lib import experiments

    data = {"layers": [], "norms": {}}
    for label in ("plain32", "residual32"):
        runs = experiments.load_records("resnet", label)
        data["norms"][label] = {
            when: [
                [float(f"{norm:.4g}") for norm in norms.values()]
                for norms in (run["after"]["gradients"][when]["layers"] for run in runs)
            ]
            for when in ("start", "end")
        }
        data["layers"] = list(runs[0]["after"]["gradients"]["start"]["layers"])
        seeds = ", ".join(str(run["seed"]) for run in runs)
    words = f"From the records plain32 and residual32 of chapter 07, seeds {seeds}: networks of 32 "
    words += f"layers before and after {len(runs[0]['epochs'])} epochs on "
    words += f"{runs[0]['data']['train_limit']:,} pictures of Fashion-MNIST"
    made = {"words": words, "device": runs[0]["device"], "versions": runs[0]["versions"]}
    return {"made": made, **data}


def separable():
    import keras
    import numpy as np

    def network():
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(4, 3, 2, "same", activation="relu", name="stem"),
                layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise"),
                layers.Conv2D(6, 1, use_bias=False, name="pointwise"),
                layers.ReLU(),
                layers.Flatten(),
                layers.Dense(10),
            ],
            name="one_separable_layer",
        )

    model, splits, made = train(network, 6000, 3, 4e-3)
    ((_, picture),) = first_of(splits, 9)
    maps = model.get_layer("stem")(picture[None])[0]
    kernel = model.get_layer("depthwise").get_weights()[0]
    mix = model.get_layer("pointwise").get_weights()[0]
    return {
        "made": made,
        "maps": rounded(np.moveaxis(np.asarray(maps), -1, 0).reshape(4, 196), 2),
        "depthwise": rounded(kernel[..., 0].transpose(2, 0, 1).reshape(4, 9), 3),
        "pointwise": rounded(mix[0, 0], 3),
    }


def reuse():
    import numpy as np

    from course_lib import probes, zoo

    def sizes(model):
        found = [probes.connections(model.get_layer(f"dense_block{n}")) for n in (1, 2, 3)]
        return [
            [[None if np.isnan(x) else float(f"{x:.4g}") for x in row] for row in block]
            for block in found
        ]

    import keras

    keras.utils.set_random_seed(0)
    before = sizes(zoo.build("densenet_small"))
    model, _, made = train("densenet_small", 6000, 2, 3e-3)
    return {"made": made, "before": before, "after": sizes(model)}


def reduction():
    import keras
    import numpy as np

    from course_lib.googlenet import MODULES

    model, splits, made = train("googlenet_small", 6000, 2, 3e-3)
    module = model.get_layer("inception_3b")
    ((name, picture),) = first_of(splits, 9)
    maps = np.asarray(keras.Model(model.input, module.input)(picture[None]))[0]
    kernel, bias = module.reduce5.get_weights()
    _, reduce3, three, reduce5, five, _ = MODULES["3a"]
    paper = {"side": 28, "channels": 192}
    step = maps.shape[0] // 7
    return {
        "made": made,
        "picture": {"name": name.lower(), "pixels": to_grey(picture)},
        "step": step,
        "activations": rounded(maps[::step, ::step].reshape(-1, maps.shape[-1]), 2),
        "weights": rounded(kernel[0, 0], 3),
        "bias": rounded(bias, 3),
        "paper": [
            {**paper, "kernel": 3, "reduced": reduce3, "maps": three},
            {**paper, "kernel": 5, "reduced": reduce5, "maps": five},
        ],
    }


def scrubber():
    from course_lib import experiments, zoo

    networks = []
    for word in zoo.PAPERS:
        runs = experiments.load_records(word, "long")
        errors = {
            part: [[round(100 * (1 - row[key]), 2) for row in run["epochs"]] for run in runs]
            for part, key in (("training", "accuracy"), ("validation", "val_accuracy"))
        }
        networks.append({"name": zoo.TITLES[word], **errors})
    words = "From the records long of chapters 04 to 11, the mean of each network's recorded seeds"
    return {"made": {"words": words}, "networks": networks}


def gradcam():
    import numpy as np
    from scipy.special import softmax

    from course_lib import data, probes, weights, zoo
    from course_lib.training import main_output

    splits = data.load(numpy=True)
    images, labels = splits.test
    names = splits.class_names
    trained = {w: zoo.build(f"{w}_small", weights="fashion_mnist") for w in zoo.PAPERS}
    scores = {
        word: softmax(np.asarray(main_output(model.predict(images[:500], verbose=0))), axis=1)
        for word, model in trained.items()
    }
    # Two that all get right, a boot and a bag, and the two of 500 that split the networks most.
    right = np.sum([score.argmax(axis=1) == labels[:500] for score in scores.values()], axis=0)
    easy = [int(np.flatnonzero((right == 8) & (labels[:500] == c))[0]) for c in (9, 8)]
    split = [int(i) for i in np.argsort(np.abs(right - 4), kind="stable")[:2]]
    chosen = easy + split
    networks = []
    for word, model in trained.items():
        picked = scores[word][chosen]
        answers = picked.argmax(axis=1)
        maps = probes.grad_cam(model, images[chosen], answers)
        most = np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-9)
        side = maps.shape[1]
        seen = [
            {
                "answer": names[answer],
                "surety": int(np.rint(100 * row[answer])),
                "map": np.rint(100 * one).astype(int).ravel().tolist(),
            }
            for answer, row, one in zip(answers, picked, maps / most)
        ]
        layer = probes.fine_layer(model).name
        networks.append({"name": zoo.TITLES[word], "layer": layer, "side": side, "seen": seen})
    pictures = [{"name": names[labels[i]], "pixels": to_grey(images[i])} for i in chosen]
    words = "From the weights that the course ships; test pictures " + ", ".join(map(str, chosen))
    files = {name: weights.read(name)[1]["shipped"]["sha256"][:8] for name in weights.shipped()}
    made = {"words": words, "files": files}
    return {"made": made, "pictures": pictures, "networks": networks}


# ---- the pages


@dataclass(frozen=True)
class Page:
    """What a page says, and what makes its data; `lines`: the height that its sentence keeps."""

    title: str
    how: str
    data: object
    lines: float = 4.5


IDEAS = {
    "convolution": Page(
        "A convolution, pixel by pixel",
        "Point at a number of the feature map, or choose the picture with Tab and move the window "
        "with the arrow keys. The sliders change filter and picture.",
        convolution,
    ),
    "shuffle": Page(
        "A channel shuffle between two grouped convolutions",
        "Point at an output on the right, or choose the picture with Tab and take another output "
        "with the arrow keys. The sliders set the groups and the channels in each.",
        shuffle,
    ),
    "receptive_field": Page(
        "What one unit sees: the receptive field",
        "Point at a unit of any layer, or choose the picture with Tab and walk with the arrow "
        "keys. The slider takes another stack of layers.",
        receptive_field,
    ),
    "residual": Page(
        "The gradient of every layer, with and without shortcuts",
        "Point at a layer, or choose the picture with Tab and walk with the arrow keys. The slider "
        "goes from the untrained to the trained networks.",
        residual,
    ),
    "separable": Page(
        "One convolution in two steps: depthwise, then pointwise",
        "Point at a pixel of a filtered map or of an output, or choose the picture with Tab and "
        "use the arrow keys. The sliders take another channel, and the full convolution.",
        separable,
    ),
    "reuse": Page(
        "Which earlier layers does a layer of a dense block weigh?",
        "Point at a square, or choose the picture with Tab and use the arrow keys. The sliders "
        "take another block, and what is shown.",
        reuse,
    ),
    "reduction": Page(
        "A 1 x 1 convolution at one pixel: fewer channels",
        "Point at a pixel of the picture or at an output channel, or choose the picture with Tab "
        "and use the arrow keys. The second slider takes another large kernel for the count.",
        reduction,
        lines=6,
    ),
    "scrubber": Page(
        "The long trainings, epoch by epoch",
        "Move the slider, or choose the picture with Tab and use the arrow keys left and right; "
        "up and down take another network.",
        scrubber,
    ),
    "gradcam": Page(
        "Where do the eight look? Grad-CAM on the same pictures",
        "Point at a square of any network, or choose the picture with Tab and use the arrow keys. "
        "The slider takes another picture.",
        gradcam,
    ),
}


def origin(made):
    """Return the sentence that says where a page's numbers come from."""
    if "network" not in made:
        words = made["words"]
    else:
        epochs = f"{made['epochs']} epoch{'s' if made['epochs'] > 1 else ''}"
        words = f"Weights: {made['network']}, trained for this page with seed {made['seed']}, "
        words += f"{epochs} on {made['pictures']:,} pictures of Fashion-MNIST"
    if "device" not in made:
        return words + "."
    device, versions = made["device"], made["versions"]
    named = device.get("accelerator") or device["processor"]
    numbers = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{words}, on {device['kind']} ({named}), {numbers}."


def render(name, data, picture, said):
    """Return a page as text."""
    parts = {
        "title": IDEAS[name].title,
        "how": IDEAS[name].how,
        "lines": f"{IDEAS[name].lines:g}",
        "picture": picture,
        "said": said,
        "made": origin(data["made"]),
        "common": (TEMPLATES / "common.js").read_text(encoding="utf-8").strip(),
        "idea": (TEMPLATES / f"{name}.js").read_text(encoding="utf-8").strip(),
        "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False),
    }
    text = (TEMPLATES / "page.html").read_text(encoding="utf-8")
    for part, words in parts.items():
        text = text.replace("{{" + part + "}}", words)
    return text


def stored(name):
    """Return the data that a page holds."""
    text = (PAGES / f"{name}.html").read_text(encoding="utf-8")
    start = '<script type="application/json" id="data">'
    return json.loads(text.partition(start)[2].partition("</script>")[0])


def write(name, data, tab):
    """Write a page: once without its picture, to have it drawn, and once with it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.html"
        file.write_text(render(name, data, "", ""), encoding="utf-8")
        tab.goto(file.as_uri())
        picture, said = tab.evaluate(FIRST)
    text = render(name, data, picture, said)
    (PAGES / f"{name}.html").write_text(text, encoding="utf-8")
    print(f"{name}: {len(text.encode()) / 1000:.1f} kB", flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(IDEAS)}")
    parser.add_argument("--data", action="store_true", help="make the data first")
    given = parser.parse_args(argv)
    unknown = set(given.names) - set(IDEAS)
    if unknown:
        parser.error(f"no explainer is called {', '.join(unknown)}; allowed: {', '.join(IDEAS)}")
    names = given.names or list(IDEAS)
    data = {name: IDEAS[name].data() if given.data else stored(name) for name in names}
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 760, "height": 900})
        for name in names:
            write(name, data[name], tab)
        browser.close()


if __name__ == "__main__":
    main()
