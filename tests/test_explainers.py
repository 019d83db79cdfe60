"""The pages that can be touched: complete, without a network, and right where NumPy looks."""

import json
import re
from base64 import b64decode

import explainers as maker
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from test_browser import FLAGS, chromium
from test_notebook_form import TIMING

from course_lib import explainers, figures, weights, zoo

NAMES = list(maker.IDEAS)


def static(name):
    """Return (SVG, sentence) as they stand in a file."""
    text = explainers.page(name)
    said = re.search('<p id="said"[^>]*>(.*?)</p>', text, re.S)[1]
    return explainers.show(name).picture, said


# ---- the files


def test_every_page_is_there_and_nothing_else():
    assert sorted(NAMES) == list(explainers.names())


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_its_template_gives_for_its_data(name):
    again = maker.render(name, maker.stored(name), *static(name))
    assert again == explainers.page(name), f"run: python scripts/explainers.py {name}"


@pytest.mark.parametrize("name", ["shuffle", "residual", "scrubber"])
def test_data_from_records_are_those_of_the_records(name):
    advice = f"run: python scripts/explainers.py --data {name}"
    assert maker.IDEAS[name].data() == maker.stored(name), advice


def test_grad_cam_is_of_the_weights_that_are_shipped():
    shipped = {name: weights.read(name)[1]["shipped"]["sha256"] for name in weights.shipped()}
    told = maker.stored("gradcam")["made"]["files"]
    advice = "run: python scripts/explainers.py --data gradcam"
    assert told == {name: digest[:8] for name, digest in shipped.items()}, advice


@pytest.mark.slow
def test_the_stacks_are_those_of_the_networks():
    assert maker.receptive_field() == maker.stored("receptive_field")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_small_needs_no_network_and_says_where_it_comes_from(name):
    text, made = explainers.page(name), maker.stored(name)["made"]
    assert len(text.encode()) < 40_000
    assert not re.search(r'https?:|//\w+\.|\bsrc=|\bhref="[^#]|@import|fetch\(|url\(', text)
    assert made.get("words") or {"seed", "device", "versions"} <= set(made)
    assert maker.origin(made) in text


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_gets_one_line_and_a_notebook_the_same_twice(name):
    shown = explainers.show(name)
    assert re.fullmatch(rf"\[explainer {name}: .{{80,}}\]", repr(shown))
    html = shown._repr_html_()
    assert html == explainers.show(name)._repr_html_()
    assert not TIMING.search(html), "tests/test_notebook_form.py takes this for a time"
    still = re.search('src="data:image/svg\\+xml;base64,([^"]*)"', html)[1]
    assert b64decode(still).decode().partition(">")[2] == shown.picture.partition(">")[2]


def test_eight_networks_are_called_as_their_papers_call_them():
    for name in ("scrubber", "gradcam"):
        called = [one["name"] for one in maker.stored(name)["networks"]]
        assert called == list(zoo.TITLES.values())
    look = {word: figures.LOOK[word][0].lower() for word in ("plain", "resnet")}
    assert look["plain"] in static("residual")[0], "the look of chapter 07"


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'convolutions'; allowed: convolution, gr.*shuffle"):
        explainers.show("convolutions")


# ---- in a browser


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Returns a function that opens a file in a tab without a network; complaints fail."""
    opened, complaints = [], []

    def go(path, **options):
        context = browser.new_context(viewport={"width": 760, "height": 900}, **options)
        opened.append(context)
        context.set_offline(True)
        context.set_default_timeout(20_000)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        own = ("file:", "data:", "about:")
        tab.on("request", lambda r: None if r.url.startswith(own) else complaints.append(r.url))
        tab.goto(path.resolve().as_uri())
        return tab

    yield go
    for context in opened:
        context.close()
    assert complaints == []


def point(tab, x, y):
    """Move the pointer to a place of the picture, in its own units."""
    seen = tab.locator("#picture svg").bounding_box()
    scale = seen["width"] / 720
    tab.mouse.move(seen["x"] + x * scale, seen["y"] + y * scale)


def slide(tab, **values):
    for name, value in values.items():
        tab.locator(f"#{name}").fill(str(value))


def press(tab, *keys):
    tab.focus("#picture")
    for key in keys:
        tab.keyboard.press(f"Arrow{key}")


def number(tab, name):
    """Return the number that the page shows under an id."""
    text = tab.locator(f"#{name}").inner_text()
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def compare(tab, digits=3, **expected):
    """Compare what is shown with what NumPy says, to the digits that are shown."""
    for name, value in expected.items():
        shown = number(tab, name)
        assert abs(shown - value) <= 0.501 * 10.0**-digits, f"{name}: {shown}, NumPy: {value}"


def windows(maps):
    """Return the 3 x 3 windows of maps (..., height, width) with zeros around."""
    around = [(0, 0)] * (np.ndim(maps) - 2) + [(1, 1), (1, 1)]
    return sliding_window_view(np.pad(maps, around), (3, 3), axis=(-2, -1))


def convolution(tab, data):
    right, top, side = tab.evaluate("[RIGHT, TOP, SIDE]")

    def expect(filter, image, row, column):
        one = data["filters"][filter]
        pixels = np.reshape(data["pictures"][image]["pixels"], (28, 28)) / 255
        total = np.sum(windows(pixels)[row, column] * np.reshape(one["weights"], (3, 3)))
        whole = total + one["bias"]
        compare(tab, sum=total, value=whole, relu=max(whole, 0))

    expect(image=0, **data["start"])
    for filter, image, row, column in ((0, 0, 19, 20), (5, 1, 14, 0), (11, 2, 27, 26)):
        slide(tab, filter=filter, image=image)
        point(tab, right + side * (column + 0.5), top + side * (row + 0.5))
        expect(filter, image, row, column)
    press(tab, "Up", "Up", "Up", "Left")
    expect(11, 2, 24, 25)


def shuffle(tab, data):
    for groups, each, output in ((3, 4, 4), (3, 4, 11), (6, 2, 3), (2, 6, 0), (5, 1, 4)):
        slide(tab, groups=groups, each=each)
        point(tab, 650, tab.evaluate("(channel) => y(channel, state)", output))
        grouped = np.kron(np.eye(groups), np.ones((each, each)))
        order = np.arange(groups * each).reshape(groups, each).T.ravel()
        mixed = grouped @ np.eye(groups * each)[order] @ grouped
        seen = {"without": grouped @ grouped, "with": mixed}
        compare(tab, **{name: (matrix[output] > 0).sum() for name, matrix in seen.items()})
    press(tab, "Up")
    assert "Output 4 of 5" in tab.locator("#said").inner_text()


def receptive_field(tab, data):
    def expect(stack, layer, unit):
        field, step = np.ones(1), 1
        seen = np.eye(stack["side"])
        for one in stack["layers"][: layer + 1]:
            spread = np.zeros((one["kernel"] - 1) * step + 1)
            spread[::step] = 1
            field, step = np.convolve(field, spread), step * one["stride"]
            reads = np.zeros((one["size"], len(seen)))
            for row in range(one["size"]):
                first = row * one["stride"] - one["pad"]
                reads[row, max(first, 0) : first + one["kernel"]] = 1
            seen = reads @ seen
        compare(tab, field=len(field), seen=(seen[unit] > 0).sum())

    place = """([k, unit]) => {
      const { first, step } = middles(state)[k];
      return [40 + pitch(state) * k, TOP + cell(state) * (first + step * unit)];
    }"""
    for which, stack in enumerate(data["stacks"]):
        slide(tab, stack=which)
        last = len(stack["layers"]) - 1
        end = stack["layers"][last]["size"] - 1
        for layer, unit in ((last, 0), (0, 0), (last // 2, 1), (last, end)):
            point(tab, *tab.evaluate(place, [layer + 1, unit]))
            expect(stack, layer, unit)
    slide(tab, stack=0)
    press(tab, "Left", "Down")
    expect(data["stacks"][0], 1, 8)


def residual(tab, data):
    for layer, trained in ((0, 0), (15, 1), (31, 1), (30, 0)):
        slide(tab, trained=trained)
        point(tab, tab.evaluate(f"x({layer})"), 100)
        mean = {
            kind: np.exp(np.mean(np.log(norms["end" if trained else "start"]), axis=0))[layer]
            for kind, norms in data["norms"].items()
        }
        for name, kind in (("plain", "plain32"), ("residual", "residual32")):
            compare(tab, 2 - int(np.floor(np.log10(mean[kind]))), **{name: mean[kind]})
        compare(tab, 2, ratio=mean["plain32"] / mean["residual32"])
    press(tab, "Left", "Down")
    assert "Layer 30, " in tab.locator("#said").inner_text()
    assert "after training" in tab.locator("#said").inner_text()


def separable(tab, data):
    maps = np.reshape(data["maps"], (-1, 14, 14))
    kernels, mix = np.reshape(data["depthwise"], (-1, 3, 3)), np.array(data["pointwise"])
    filtered = np.einsum("mrcij,mij->mrc", windows(maps), kernels)
    two_steps = np.einsum("mrc,mn->nrc", filtered, mix)
    whole = kernels[:, None] * mix[:, :, None, None]  # map, output, 3, 3
    one_step = np.einsum("mrcij,mnij->nrc", windows(maps), whole)
    np.testing.assert_allclose(one_step, two_steps)
    cell, small = tab.evaluate("[CELL, SMALL]")
    for row, column, channel in ((9, 7, 2), (0, 13, 3), (6, 4, 0)):
        x, y = tab.evaluate(f"[X.filtered, above.filtered({channel})]")
        slide(tab, step=0)
        point(tab, x + cell * (column + 0.5), y + cell * (row + 0.5))
        compare(tab, value=filtered[channel, row, column])
        x, y = tab.evaluate(f"[X.output, above.output({channel + 1})]")
        for step, result in ((1, two_steps), (2, one_step)):
            slide(tab, step=step)
            point(tab, x + small * (column + 0.5), y + small * (row + 0.5))
            compare(tab, value=result[channel + 1, row, column])
    compare(tab, work=14 * 14 * (kernels.size + mix.size), full=14 * 14 * whole.size)
    press(tab, "Right", "Down")
    compare(tab, value=one_step[1, 7, 5])


def reuse(tab, data):
    after, before = (np.array(data[when], float) for when in ("after", "before"))
    left, top, cell = tab.evaluate("[LEFT, TOP, CELL]")
    for view, (numbers, digits) in enumerate(((after, 4), (before, 4), (after / before, 3))):
        for block, source, layer in ((0, 0, 3), (2, 2, 2), (1, 1, 3)):
            slide(tab, block=block, view=view)
            point(tab, left + cell * (layer + 0.5), top + cell * (source + 0.5))
            mean = np.nanmean(numbers[block, :, layer])
            compare(tab, digits, value=numbers[block, source, layer], mean=mean)
    press(tab, "Left", "Up")
    compare(tab, 3, value=numbers[1, 0, 2])


def reduction(tab, data):
    weights = np.array(data["weights"])
    results = np.array(data["activations"]).reshape(7, 7, -1) @ weights + data["bias"]
    left, top, right = tab.evaluate("[PICTURE, TOP, RESULT]")
    for row, column, output, count in ((5, 2, 3, 0), (0, 6, 0, 1), (3, 3, 2, 1)):
        slide(tab, count=count)
        point(tab, left + 32 * (column + 0.5), top + 32 * (row + 0.5))
        point(tab, right + 20, top + 30 * output + 10)
        value = results[row, column, output]
        compare(tab, sum=value - data["bias"][output], value=value)
        one = data["paper"][count]
        places, mixing = one["side"] ** 2, one["kernel"] ** 2 * one["maps"]
        direct = places * one["channels"] * mixing
        reduced = places * (one["channels"] * one["reduced"] + one["reduced"] * mixing)
        compare(tab, 0, direct=direct, reduced=reduced)
        compare(tab, 1, times=direct / reduced)
    press(tab, "Up", "Right")
    compare(tab, value=results[2, 4, 2])


def scrubber(tab, data):
    for epoch, network in ((1, 0), (40, 6), (7, 3), (20, 1)):
        slide(tab, epoch=epoch)
        point(tab, 300, tab.evaluate(f"TOP + PITCH * {network + 0.5}"))
        one = data["networks"][network]
        for part in ("training", "validation"):
            runs = np.array(one[part])
            compare(tab, 2, **{part: runs.mean(axis=0)[min(epoch, runs.shape[1]) - 1]})
    press(tab, "Left", "Up")
    said = tab.locator("#said").inner_text()
    assert said.startswith(f"{data['networks'][0]['name']} in epoch 19")


def gradcam(tab, data):
    left, top, step, down, wide = tab.evaluate("[LEFT, TOP, STEP, DOWN, SIDE]")
    for picture, network, row, column in ((0, 3, 2, 4), (3, 0, 5, 1), (2, 7, 0, 6), (1, 1, 3, 3)):
        slide(tab, sample=picture)
        side = data["networks"][network]["side"]
        heat = np.reshape(data["networks"][network]["seen"][picture]["map"], (side, side))
        x, y = left + step * (network % 4), top + down * (network // 4)
        each = wide / side
        point(tab, x + each * (column + 0.5), y + each * (row + 0.5))
        garment = np.reshape(data["pictures"][picture]["pixels"], (28, 28)) >= 40
        fine = np.kron(garment, np.ones((side, side)))  # 28 * side pixels, so that squares fit
        cover = fine.reshape(side, 28, side, 28).mean(axis=(1, 3))
        compare(tab, 1, share=100 * heat[row, column] / heat.sum(), cover=100 * garment.mean())
        compare(tab, 1, garment=100 * (heat * cover).sum() / heat.sum())


# What drives each page, and a slip in its JavaScript that must not pass.
CHECKS = {
    convolution: ("weight * bright(", "-weight * bright("),
    shuffle: ("(channel % groups) * each", "(channel % each) * groups"),
    receptive_field: ("(kernel - 1) * step", "kernel * step"),
    residual: ("Math.exp(add(numbers.map(Math.log)) /", "Math.exp(add(numbers.map(Math.log)) + "),
    separable: ("weight * data.pointwise[m][n])", "weight + data.pointwise[m][n])"),
    reuse: ("add(sources) / sources.length", "add(sources) / COUNT"),
    reduction: ("add(products(at)) + data.bias", "add(products(at)) - data.bias"),
    scrubber: ("run[at])) / runs.length", "run[at])) / data.networks.length"),
    gradcam: ("heat * cover[i]))) /", "heat + cover[i]))) /"),
}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_touching_a_page_shows_what_numpy_computes(visit, check):
    tab = visit(maker.PAGES / f"{check.__name__}.html")
    check(tab, maker.stored(check.__name__))


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_slip_in_the_javascript_is_seen(visit, check, tmp_path):
    name, (right, wrong) = check.__name__, CHECKS[check]
    text = explainers.page(name)
    assert text.count(right) == 1
    (tmp_path / "slip.html").write_text(text.replace(right, wrong), encoding="utf-8")
    tab = visit(tmp_path / "slip.html")
    with pytest.raises(AssertionError, match="NumPy"):
        check(tab, maker.stored(name))


OUTSIDE = """() => {
  const all = document.querySelector('#picture svg').getBoundingClientRect();
  return [...document.querySelectorAll('#picture text')].filter((text) => {
    const one = text.getBoundingClientRect();
    return one.left < all.left || one.right > all.right || one.top < all.top
      || one.bottom > all.bottom;
  }).map((text) => text.textContent);
}"""


def test_every_page_is_driven():
    assert [check.__name__ for check in CHECKS] == NAMES


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_with_the_picture_that_it_has_without_scripts(visit, name):
    tab = visit(maker.PAGES / f"{name}.html")
    drawn = tab.evaluate(maker.FIRST)
    assert tuple(drawn) == static(name), f"run: python scripts/explainers.py {name}"
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert tab.evaluate(OUTSIDE) == []


@pytest.mark.slow
@pytest.mark.browser
def test_without_scripts_there_is_a_picture_with_a_text(visit):
    for name in NAMES:
        tab = visit(maker.PAGES / f"{name}.html", java_script_enabled=False)
        picture = tab.locator("#picture svg")
        assert picture.bounding_box()["height"] > 250
        assert picture.locator("title").text_content() == explainers.show(name).alt
        assert not tab.locator("#controls").is_visible()
        assert len(tab.locator("#said").inner_text()) > 80


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False])
def test_a_notebook_shows_the_page_or_where_scripts_are_cut_its_picture(visit, tmp_path, scripts):
    html = explainers.show("convolution")._repr_html_()
    if not scripts:
        html = html.partition("<script>")[0]
    (tmp_path / "cell.html").write_text(f"<!doctype html><body>{html}", encoding="utf-8")
    tab = visit(tmp_path / "cell.html")
    if scripts:
        tab.frame_locator("iframe").locator("#value").wait_for()
        frame = tab.frames[1]
        assert frame.locator("#controls").is_visible() and not tab.locator("img").count()
        inside = frame.evaluate("document.documentElement.scrollHeight")
        assert tab.locator("iframe").bounding_box()["height"] >= inside
    else:
        width = "document.images[0].decode().then(() => document.images[0].naturalWidth)"
        assert tab.evaluate(width) > 0
        assert tab.locator("img").get_attribute("alt") == explainers.show("convolution").alt


PLACES = {
    "JupyterLab": ("document.body", "data-jp-theme-light", {"light": "true", "dark": "false"}),
    "Colab": ("document.documentElement", "theme", {"light": "light", "dark": "dark"}),
}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("notebook", PLACES)
@pytest.mark.parametrize("system, other", [("light", "dark"), ("dark", "light")])
def test_a_page_is_as_dark_as_the_notebook_around_it(visit, tmp_path, notebook, system, other):
    place, attribute, words = PLACES[notebook]
    begins = f"<script>{place}.setAttribute('{attribute}', '{words[other]}')</script>"
    html = explainers.show("shuffle")._repr_html_()
    (tmp_path / "cell.html").write_text(f"<!doctype html><body>{begins}{html}", encoding="utf-8")
    tab = visit(tmp_path / "cell.html", color_scheme=system)
    tab.frame_locator("iframe").locator("#with").wait_for()
    papers = {"light": "rgb(255, 255, 255)", "dark": "rgb(27, 27, 27)"}

    def paper():
        return tab.frames[1].evaluate("getComputedStyle(document.documentElement).backgroundColor")

    assert paper() == papers[other]
    tab.evaluate(f"{place}.setAttribute('{attribute}', '{words[system]}')")
    assert paper() == papers[system]
    tab.evaluate(f"{place}.setAttribute('{attribute}', '{words[other]}')")
    assert paper() == papers[other]
    tab.evaluate(f"{place}.removeAttribute('{attribute}')")
    assert paper() == papers[system]


def test_the_data_of_a_page_are_json_without_a_tag():
    for name in NAMES:
        assert "</" not in json.dumps(maker.stored(name))
