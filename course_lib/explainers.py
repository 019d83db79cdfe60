"""Pictures that can be touched: one self-contained file an idea, without a package or a network.

The files are in course_lib/explainers; `scripts/explainers.py` writes them from the course's own
trained weights and records. Each can also be opened from its folder in a browser.
"""

import base64
import html
import importlib.resources
import json
import re

HERE = importlib.resources.files("course_lib") / "explainers"
STATIC = re.compile(r'<div id="picture"[^>]*>(<svg .*?</svg>)</div>', re.S)


def names():
    """Return the names that `show` knows."""
    return tuple(sorted(f.name[:-5] for f in HERE.iterdir() if f.name.endswith(".html")))


def page(name):
    """Return the file of an explainer as text.

    Raises:
        ValueError: the name is unknown; the message lists those there are.
    """
    if name not in names():
        raise ValueError(f"no explainer is called {name!r}; allowed: {', '.join(names())}.")
    return (HERE / f"{name}.html").read_text(encoding="utf-8")


class Explainer:
    """What `show` returns. A notebook shows the file in a frame, and its first picture where
    scripts do not run; a terminal shows one line."""

    def __init__(self, name):
        self.name, self.page = name, page(name)
        self.picture = STATIC.search(self.page)[1]
        self.alt = html.unescape(re.search("<title>(.*?)</title>", self.picture)[1])

    def __repr__(self):
        return f"[explainer {self.name}: {self.alt}]"

    def _repr_html_(self):
        svg = self.picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        source = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        still = f'<img src="{source}" alt="{html.escape(self.alt)}" style="width:100%">'
        note = "<p>It can be touched where scripts run: run this cell in JupyterLab or Colab.</p>"
        return (
            f'<div style="max-width:744px">{still}{note}</div>\n'
            f"<script>\n(() => {{\nconst frame = document.createElement('iframe');\n"
            f"frame.title = {_literal(self.alt)};\n"
            "frame.style = 'width:100%;border:0';\n"
            # JupyterLab and Colab say at these two places whether they are dark.
            "const notebook = [document.body, document.documentElement];\n"
            "const paint = () => {\n"
            "  const lab = { true: 'light', false: 'dark' }[notebook[0].dataset.jpThemeLight];\n"
            "  const theme = lab || notebook[1].getAttribute('theme') || '';\n"
            "  frame.contentDocument.documentElement.style.colorScheme = theme;\n};\n"
            "frame.onload = () => {\n"
            "  paint();\n"
            "  const changes = new MutationObserver(paint);\n"
            "  for (const one of notebook) changes.observe(one, { attributes: true });\n"
            "  const high = frame.contentDocument.documentElement.offsetHeight;\n"
            "  frame.style.height = high + 8 + 'px';\n};\n"
            f"frame.srcdoc = {_literal(self.page)};\n"
            "document.currentScript.previousElementSibling.replaceChildren(frame);\n"
            "})();\n</script>"
        )


def _literal(text):
    """Return a text as JavaScript that may stand inside a script element."""
    return json.dumps(text).replace("</", "<\\/").replace("<!", "<\\!")


def show(name):
    """Show an explainer.

    Args:
        name: one of `names()`, for example "convolution".

    Raises:
        ValueError: the name is unknown; the message lists those there are.
    """
    return Explainer(name)
