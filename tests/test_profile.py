import os
import subprocess
import sys

import pytest

import course_lib


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_importing_the_package_loads_no_keras():
    done = python("import sys, course_lib; print('keras' in sys.modules, 'numpy' in sys.modules)")
    assert done.stdout.split() == ["False", "False"], done.stderr


@pytest.mark.slow
def test_start_prints_one_line_and_lets_no_native_log_through():
    done = python("import course_lib; print(course_lib.start('04_alexnet').name)")
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("04_alexnet · profile: cpu · backend: ")
    assert done.stdout.splitlines()[1] == "cpu"


@pytest.mark.slow
@pytest.mark.parametrize(("before", "devices"), [("", 2), ("import keras; keras.ops.zeros(1)", 1)])
def test_a_chapter_on_several_devices_finds_them_unless_tensorflow_has_begun(before, devices):
    code = f"import course_lib\n{before}\ncourse_lib.start('13_devices')\nimport tensorflow as tf\n"
    done = python(code + "print(len(tf.config.list_logical_devices('CPU')))")
    assert done.stdout.split()[-1] == str(devices), done.stderr


def test_the_profile_can_be_chosen_and_a_wrong_one_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert course_lib.start("x").pick(cpu=2, gpu=20) == 20
    monkeypatch.setenv("COURSE_PROFILE", "tpu")
    with pytest.raises(ValueError, match="COURSE_PROFILE is 'tpu'; allowed: 'cpu', 'gpu'"):
        course_lib.start("x")


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("0", "0")])
def test_tensorflow_loads_with_onednn_unless_the_variable_says_otherwise(given, found):
    env = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    env |= {"TF_ENABLE_ONEDNN_OPTS": given} if given else {}
    program = "import course_lib, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == found, done.stderr


def test_an_accelerator_is_named_on_both_backends(monkeypatch):
    import jax
    import keras
    import tensorflow as tf

    from course_lib import profile

    assert profile.accelerator() is None  # as CI and these tests run
    monkeypatch.setattr(profile, "has_gpu", lambda: True)
    device = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: [device] if kind == "GPU" else []
    )
    details = {"device_name": "Tesla T4"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert profile.accelerator() == "Tesla T4"
    details.clear()
    assert profile.accelerator() == "/physical_device:GPU:0"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax, "devices", lambda: [type("Device", (), {"device_kind": "TPU v5e"})])
    assert profile.accelerator() == "TPU v5e"
