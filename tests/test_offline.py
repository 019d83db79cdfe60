"""The nbval run of `make test` is the offline run: its kernels cannot reach another machine."""

import re

import pytest
from notebook_tools import code, run_nbval, write

pytestmark = pytest.mark.slow  # runs notebooks

CONNECT = "import socket\nsocket.create_connection(({!r}, 80), timeout=5)"
WEB = "import urllib.request\nurllib.request.urlopen('http://www.example.com', timeout=5)"
PROGRAM = """import subprocess, sys
code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
raise OSError(done.stderr[-200:])"""
LOCAL = """import socket
with socket.create_server(('127.0.0.1', 0)) as server:
    with socket.create_connection(server.getsockname(), timeout=5):
        print('connected')"""
# What each cell runs, and which host is refused. A web address goes to the proxy.
REFUSED = {
    "name": (CONNECT.format("www.example.com"), "www.example.com"),
    "address": (CONNECT.format("192.0.2.1"), "192.0.2.1"),
    "program": (PROGRAM, "192.0.2.1"),
    "web": (WEB, "127.0.0.1"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offline")
    sources = [source for source, _ in REFUSED.values()]
    write(folder / "web.ipynb", *map(code, sources), code(LOCAL, "connected\n"))
    return run_nbval(folder)


@pytest.mark.parametrize(("number", "name"), list(enumerate(REFUSED)))
def test_a_cell_that_uses_the_network_fails_and_says_so(run, number, name):
    outcomes, log = run
    assert outcomes["web", number] == "FAILED"
    report = re.search(rf"_ \S*web\.ipynb::Cell {number} _(.*?)(\n___|\n===)", log, re.S)[1]
    assert f"the network is cut off while notebooks are tested: {REFUSED[name][1]}" in report


def test_a_notebook_may_talk_to_its_own_machine(run):
    assert run[0]["web", len(REFUSED)] == "PASSED"
