"""Chapter 00 and a small notebook in JupyterLab in a real browser, as a learner sees them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest
from notebook_tools import NOTEBOOKS, ROOT, code, write

from course_lib import explainers

CHAPTER = "00_start_here"
# What the other chapters do beside: load Keras, train, draw. (Their outputs are nbval's business.)
SMALL = [
    "import course_lib\n\nprofile = course_lib.start('04_small')",
    """import keras
import matplotlib.pyplot as plt
import numpy as np

from course_lib import figures, zoo

x, y = np.zeros((64, 28, 28, 1), "float32"), np.zeros(64, "int32")
model = zoo.build("alexnet_small")
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
history = model.fit(x, y, verbose=0).history""",
    """figure, axes = plt.subplots()
axes.plot(history["loss"])
figures.show(figure, "one point")""",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# JupyterLab shows an error and a line on stderr with the same mime type.
RED = "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type*='jupyter.error']"
BROKEN_IMAGES = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
SECONDS = 240
MENUS = ["File", "Edit", "View", "Run", "Kernel", "Tabs", "Settings", "Help"]

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


def chromium():
    """Return the browser's path; without one skip the test, or fail it where CI is set."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        advice = (
            "There is no Chromium on this machine, so no notebook was opened in a browser. "
            "Install one (Debian and Ubuntu: apt install chromium) and run the tests again."
        )
        (pytest.fail if os.environ.get("CI") else pytest.skip)(advice)
    return path


@pytest.fixture
def page():
    """A page in headless Chromium."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1800})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks; yields its address and its folder."""
    folder = tmp_path_factory.mktemp("lab")
    book = nbformat.read(NOTEBOOKS / f"{CHAPTER}.ipynb", 4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    nbformat.write(book, folder / f"{CHAPTER}.ipynb")
    picture = "![a picture](images/colab-badge.svg)"
    write(folder / "04_small.ipynb", picture, *[code(source, count=None) for source in SMALL])
    shutil.copytree(NOTEBOOKS / "images", folder / "images")
    shown = explainers.show("convolution")  # stored, as in a notebook that somebody else sent
    stored = {"text/html": shown._repr_html_(), "text/plain": repr(shown)}
    source = 'from course_lib import explainers\n\nexplainers.show("convolution")'
    write(folder / "touch.ipynb", picture, code(source, stored))
    native = "import os, sys\n_ = os.write(2, b'native log')"
    warning = "print('mind the gap', file=sys.stderr)"
    sources = [native, warning, "1 / 0", "print('never')"]
    cells = [code(source, count=None) for source in sources]
    write(folder / "red.ipynb", "![no picture](missing.png)", *cells)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # Not what pytest sets: a kernel that sees it hides the log lines of C++ libraries.
    environment = {key: os.environ[key] for key in os.environ if key != "PYTEST_CURRENT_TEST"}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR"):
        environment[name] = str(folder / ".jupyter" / name)
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / ".jupyter/workspaces")
    environment.update(COURSE_PROFILE="cpu", CUDA_VISIBLE_DEVICES="-1")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=t"]
    command += [f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.app_settings_dir={ROOT / '.jupyterlab'}"]  # as `make lab` does
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token=t", server, folder / "log")
        yield f"http://127.0.0.1:{port}", folder
    finally:
        server.terminate()
        server.wait(20)


def wait_for(url, server, log):
    """Return once the server answers."""
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.URLError:
            time.sleep(0.3)
    raise RuntimeError(log.read_text()[-2000:])


def idle(url, name):
    """Say whether the notebook's kernel has nothing to do."""
    with urllib.request.urlopen(f"{url}/api/sessions?token=t", timeout=10) as answer:
        states = {s["path"]: s["kernel"]["execution_state"] for s in json.load(answer)}
    return states[f"{name}.ipynb"] == "idle"


def run_all(page, lab, name):
    """Open a notebook, run all cells, save; return the outputs saved and the page's bad parts."""
    url, folder = lab
    path = folder / f"{name}.ipynb"
    page.goto(f"{url}/lab/tree/{name}.ipynb?token=t&reset")
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        page.wait_for_timeout(1000)
        if not idle(url, name):
            continue
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1000)
        cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        outputs = [output for cell in cells for output in cell.outputs]
        failed = any(output.output_type == "error" for output in outputs)
        if failed or all(cell.execution_count for cell in cells):
            red = page.locator(RED).all_inner_texts()
            return outputs, red, page.evaluate(BROKEN_IMAGES)
    raise TimeoutError(f"{name}.ipynb was not done after {SECONDS} seconds")


def complaints(outputs):
    """Return what a learner would read in red."""
    return [
        output.get("text") or output.evalue
        for output in outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


@pytest.mark.parametrize("name", [CHAPTER, "04_small"])
def test_chapter_runs_in_the_browser_without_a_red_line(page, lab, name):
    outputs, red, broken = run_all(page, lab, name)
    assert (complaints(outputs), red, broken) == ([], [], [])
    assert outputs


def test_jupyterlab_shows_no_news_no_tools_of_maintainers_and_a_folded_set_up_cell(page, lab):
    url, _ = lab
    page.goto(f"{url}/lab/tree/00_start_here.ipynb?token=t&reset")
    page.get_by_text("| Idle").wait_for()
    page.wait_for_timeout(3000)  # the question about news comes after the notebook
    seen = {
        "menus": page.locator(".lm-MenuBar-itemLabel").all_inner_texts(),
        "Validate": page.locator("[title*='Validate' i]").count(),
        "Create Assignment": page.locator("[title*='Create Assignment' i]").count(),
        "news": page.get_by_text("Jupyter news").count(),
        "set-up": page.get_by_text("# @title Set-up: run this cell first.").count(),
        "its other lines": page.get_by_text("import subprocess").count(),
    }
    nothing = {"Validate": 0, "Create Assignment": 0, "news": 0, "its other lines": 0}
    assert seen == {"menus": MENUS, "set-up": 1, **nothing}


def test_a_red_line_an_error_and_a_missing_picture_are_seen(page, lab):
    outputs, red, broken = run_all(page, lab, "red")
    log, warning, error = complaints(outputs)
    assert ("native" in log, warning, error) == (True, "mind the gap\n", "division by zero")
    assert len(red) == 3
    assert len(broken) == 1


def test_a_page_to_touch_is_its_picture_until_its_cell_is_run(page, lab):
    url, _ = lab
    page.goto(f"{url}/lab/tree/touch.ipynb?token=t&reset")
    page.get_by_text("| Idle").wait_for()
    still = page.locator(".jp-OutputArea img")
    assert still.evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    assert page.locator(".jp-OutputArea iframe").count() == 0  # scripts of others are cut away
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    frame = page.frame_locator(".jp-OutputArea iframe")
    frame.locator("#controls").wait_for()
    before = frame.locator("#value").inner_text()
    for _ in range(3):
        frame.locator("#picture").press("ArrowUp")
    assert frame.locator("#value").inner_text() != before
    assert still.count() == 0


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip), ("true", pytest.fail)])
def test_without_a_browser_it_is_skipped_with_advice_but_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome.Exception, match="apt install chromium"):
        chromium()
