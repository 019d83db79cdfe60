"""The results of benchmarks: found by name, and shown whether they are old or new."""

import importlib.util
from pathlib import Path

import pytest

from course_lib import benchmarks

ROOT = Path(__file__).resolve().parent.parent


def test_results_are_found_by_name(monkeypatch, tmp_path):
    assert benchmarks.load("latency_cpu")["networks"]["mobilenet_small"]["milliseconds"] > 0
    with pytest.raises(ValueError, match="no benchmark 'latency'; allowed: cpu_224_float32, .*lat"):
        benchmarks.load("latency")
    package = tmp_path / "course_lib"
    (package / "measured").mkdir(parents=True)
    (package / "measured" / "one.json").write_text("[1]")
    monkeypatch.setattr(benchmarks, "_HERE", package)
    assert benchmarks.load("one") == [1]


@pytest.fixture(scope="module")
def speed():
    spec = importlib.util.spec_from_file_location("speed", ROOT / "benchmarks/speed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_old_and_new_results_are_shown(speed):
    old = benchmarks.load("cpu_64_float32")["results"]
    lines = speed.table(old).splitlines()
    assert len(lines) == 2 + sum(map(len, old.values()))
    row = {"train": [4.0], "infer": [8.0], "peak_mib": [100], "first_step_seconds": [5.0]}
    ours = row | {"fit": [3.0], "build_seconds": [1.0], "trace_seconds": [2.0]}
    ours |= {"compile_seconds": [1.5], "run_seconds": [0.5]}
    assert speed.table({"x": {"ours": ours, "plain": row}}).splitlines()[2:] == [
        "| x | (ours) | 4.0 images/s | 8.0 images/s | 5.0 s (1.0 + 2.0 + 1.5 + 0.5) | 100 MiB |",
        "| x | (fit) | 3.0 images/s, 0.75x | | | |",
        "| x | plain | 1.00x | 1.00x | 1.00x | 1.00x |",
    ]
