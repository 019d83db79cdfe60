"""Weights of keras.applications: a complete copy or a clear refusal, with and without a network."""

import io
import time
import urllib.error

import keras
import numpy as np
import pytest
from reference import images, randomize, relative_error

from course_lib import pretrained
from course_lib.resnet import ResNet

pytestmark = pytest.mark.slow  # builds the large networks of keras.applications

SIZE = (32, 32, 3)


@pytest.fixture(scope="module")
def reference():
    return keras.applications.ResNet50(weights=None, input_shape=SIZE, classes=5)


def test_a_network_of_another_family_is_refused():
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="mlp")
    with pytest.raises(ValueError, match="reference is 'mlp'; allowed: vgg, resnet"):
        pretrained.load_keras_applications(ResNet(18, SIZE, 5), other)


@pytest.mark.parametrize("shortcut", ["C", "A"])
def test_networks_that_differ_are_refused_and_nothing_is_copied(reference, shortcut):
    model = ResNet(50, SIZE, 5, conv_bias=True, shortcut=shortcut)
    before = model.get_weights()
    with pytest.raises(ValueError, match="do not match"):
        pretrained.load_keras_applications(model, reference)
    for weight, value in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, value)


def test_a_different_shape_is_named(reference):
    model = ResNet(50, SIZE, 6, conv_bias=True)
    message = r"2 weights .* first 'fc/bias': given \(5,\), allowed \(6,\)"
    with pytest.raises(ValueError, match=message):
        pretrained.load_keras_applications(model, reference)


def test_a_host_that_does_not_answer_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda *args, **kwargs: time.sleep(1) or io.BytesIO()
    )
    monkeypatch.setattr("course_lib.data._SECONDS_TO_ANSWER", 0.2)
    started = time.monotonic()
    with pytest.raises(ConnectionError, match="no answer in 0.2 seconds.*put it at"):
        pretrained.pretrained("vgg_D")
    assert time.monotonic() - started < 2


def test_without_a_network_the_message_says_what_to_do(monkeypatch, tmp_path):
    def refuse(request, timeout):
        assert timeout < 10
        assert request.full_url.endswith("/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5")
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    message = "no network.*put it at .*vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    with pytest.raises(ConnectionError, match=message):
        pretrained.pretrained("vgg_D")


def test_a_file_in_the_cache_needs_no_network(monkeypatch, tmp_path):
    original = keras.applications.ResNet50
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels.h5").touch()
    built = []

    def from_cache(weights):
        assert weights == "imagenet"
        built.append(randomize(original(weights=None, classifier_activation=None)))
        return built[0]

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, "ResNet50", from_cache)
    monkeypatch.setattr("urllib.request.urlopen", None)
    model = pretrained.pretrained("resnet50_keras")
    x = images((224, 224, 3), batch=1)
    assert relative_error(model(x), built[0](x)) < 1e-4


def test_images_are_prepared_as_the_weights_expect():
    mean = np.full((1, 2, 2, 3), (123.68, 116.779, 103.939), "float32")
    red = mean + np.array((10, 0, 0), "float32")
    prepared = pretrained.preprocess("vgg_D", red)
    np.testing.assert_allclose(prepared[0, 0, 0], (0, 0, 10), atol=1e-4)


def test_unknown_names_are_refused():
    for function in (pretrained.pretrained, lambda name: pretrained.preprocess(name, None)):
        with pytest.raises(ValueError, match="name is 'resnet18_A'; allowed: 'vgg_D'"):
            function("resnet18_A")
