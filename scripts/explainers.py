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


def first_of(splits, *classes):
    """Return the first test picture of each class, and the classes' names."""
    images, labels = splits.test
    return [(splits.class_names[c], images[list(labels).index(c)]) for c in classes]


def convolution():
    import numpy as np

    model, splits, made = train("convolution_small", 6000, 3, 2e-3, standardize=False)
    kernels, biases = model.get_layer("conv1").get_weights()
    filters = [
        {"weights": rounded(kernels[..., k].ravel(), 4), "bias": round(float(biases[k]), 4)}
        for k in range(len(biases))
    ]
    pictures = [
        {"name": name.lower(), "pixels": np.rint(255 * picture).astype(int).ravel().tolist()}
        for name, picture in first_of(splits, 9, 2, 8)
    ]
    first = int(np.abs(kernels).sum(axis=(0, 1, 2)).argmax())
    return {"made": made, "first": first, "filters": filters, "pictures": pictures}


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


def first_picture(tab, file):
    """Return (SVG, sentence) that a page draws first."""
    tab.goto(file.resolve().as_uri())
    return tab.evaluate("[drawn, $('said').innerHTML]")


def write(name, data, tab):
    """Write a page: once without its picture, to have it drawn, and once with it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.html"
        file.write_text(render(name, data, "", ""), encoding="utf-8")
        picture, said = first_picture(tab, file)
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
