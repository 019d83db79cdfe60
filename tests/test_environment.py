import subprocess
import sys
from pathlib import Path

import pytest

import course_lib
from course_lib import environment

ROOT = Path(__file__).resolve().parents[1]


def test_an_old_python_is_not_updated_with_pip():
    said = environment.judge_version("python", "3.10.4")
    assert said.startswith("older than the verified 3.11; install Python 3.13")
    assert "pip" not in said


@pytest.mark.parametrize(
    "version,words",
    [
        (None, "missing; install it with: pip install keras"),
        ("3.9.2", "older than the verified 3.13; update"),
        ("3.13.2", "verified"),
        ("3.15.1", "verified"),
        ("3.100.0", "newer than the verified 3.15; expected to work"),
        ("4.0rc1", "newer than the verified 3.15; expected to work"),
        ("3.15.0.dev2026+local", "verified"),
        ("4", "newer than the verified 3.15"),
        ("unknown", "'unknown' cannot be read as a version; verified are 3.13 to 3.15"),
    ],
)
def test_versions_are_compared_as_numbers(version, words):
    assert environment.judge_version("keras", version).startswith(words)


def test_the_verified_range_holds_the_tested_set():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    for package in list(environment.VERIFIED)[1:]:
        assert environment.judge_version(package, pinned[package]) == "verified", package


def test_a_machine_that_lacks_something_is_told_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(environment, "versions", lambda: {"keras": None})
    monkeypatch.setattr(environment, "memory", lambda: 2.0)
    monkeypatch.setattr(environment, "has_gpu", lambda: False)
    environment.check(course_lib.Profile("cpu"))
    said = capsys.readouterr().out
    assert "pip install keras" in said
    assert "Runtime > Change runtime type > T4 GPU" in said
    assert "too little; 4 GiB are needed" in said


def test_the_report_names_versions_and_machine(tmp_path, capsys):
    file = tmp_path / "report.txt"
    environment.write_report(course_lib.Profile("cpu"), file)
    text = file.read_text()
    assert "keras 3." in text and "profile cpu" in text and "cores" in text
    assert f"paste its {len(text.splitlines())} lines" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_peak_memory_sees_what_was_held():
    held = b"1" * 2**30
    script = """from course_lib import environment
before = environment.peak_memory()
held = b"1" * 2**29
print(before, environment.peak_memory() - before)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    before, grown = map(int, done.stdout.split())
    assert 0 < before < 512 < len(held) / 2**20, "a child must not begin with its parent's peak"
    assert 448 < grown < 576
