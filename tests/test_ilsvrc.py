import numpy as np
import pytest

from course_lib import ilsvrc, metrics

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (300, 450, 3)).astype("uint8")


@pytest.mark.parametrize("shape,expected", [((300, 450), (256, 384)), ((450, 300), (384, 256))])
def test_the_shorter_side_is_256_and_proportions_stay(shape, expected):
    out = ilsvrc.resize_shorter_side(np.zeros((*shape, 3), "uint8"))
    assert out.shape == (*expected, 3)


def test_resizing_keeps_a_smooth_picture():
    ramp = np.linspace(0, 1, 512, dtype="float32")[None, :, None].repeat(512, 0).repeat(3, 2)
    out = ilsvrc.resize_shorter_side(ramp)
    assert np.abs(out[100, :, 0] - np.linspace(0, 1, 256)).max() < 0.01


def test_crops_are_where_they_should_be():
    image = ilsvrc.resize_shorter_side(PHOTO)
    assert np.array_equal(ilsvrc.centre_crop(image), image[16:240, 80:304])
    tens = ilsvrc.ten_crops(image)
    assert tens.shape == (10, 224, 224, 3)
    assert np.array_equal(tens[3], image[-224:, -224:])
    assert np.array_equal(tens[4], ilsvrc.centre_crop(image))
    assert np.array_equal(tens[5:], tens[:5, :, ::-1])
    with pytest.raises(ValueError, match="allowed: top 0 to 32, left 0 to 160"):
        ilsvrc.crop(image, 33, 0)


def test_random_crops_reach_every_place_and_both_directions():
    image = np.zeros((6, 5, 3), "float32")
    image[..., 0], image[..., 1] = np.mgrid[0:6, 0:5] / 10
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        square = ilsvrc.random_crop_and_flip(image, rng, side=4)
        mirrored = square[0, 0, 1] > square[0, -1, 1]
        seen.add((round(10 * square[0, 0, 0]), round(10 * square[..., 1].min()), bool(mirrored)))
    assert len(seen) == 3 * 2 * 2


@pytest.mark.parametrize(
    "cut",
    [
        lambda image: ilsvrc.random_crop_and_flip(image, np.random.default_rng(0)),
        ilsvrc.centre_crop,
        ilsvrc.ten_crops,
    ],
)
def test_a_picture_smaller_than_the_square_is_named(cut):
    with pytest.raises(ValueError, match="picture of 230 x 200 is smaller than the square of 224"):
        cut(np.zeros((230, 200, 3), "float32"))


def test_colour_components_diagonalise_the_covariance():
    values, vectors = ilsvrc.colour_components([PHOTO, PHOTO[:100]])
    pixels = np.concatenate([PHOTO.reshape(-1, 3), PHOTO[:100].reshape(-1, 3)]) / 255
    assert vectors @ np.diag(values) @ vectors.T == pytest.approx(np.cov(pixels.T), abs=1e-6)
    assert values[0] >= values[1] >= values[2] > 0
    assert (vectors.sum(axis=0) >= 0).all()


def test_the_colour_shift_is_one_colour_for_the_whole_picture():
    image = np.full((4, 4, 3), 0.5, "float32")
    values, vectors = np.array([0.3, 0.2, 0.1]), np.eye(3)
    out = ilsvrc.shift_colours(image, values, vectors, [1, -1, 0])
    assert out.reshape(-1, 3) == pytest.approx(np.tile([0.8, 0.3, 0.5], (16, 1)))
    assert ilsvrc.shift_colours(image, values, vectors, [9, 0, 0]).max() == 1


@pytest.mark.parametrize(
    "image,message",
    [
        (np.zeros((8, 8)), r"shape \(8, 8\); allowed: \(height, width, 3\)"),
        (np.full((8, 8, 3), 255.0), "values 255.0 to 255.0; allowed: uint8, or floating point"),
        (np.zeros((8, 8, 3), int), "type int64"),
    ],
)
def test_wrong_pictures_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        ilsvrc.resize_shorter_side(image)


def test_the_judge_agrees_with_the_metric(tmp_path):
    scores, labels = RNG.normal(size=(50, 10)), RNG.integers(0, 10, 50)
    file = tmp_path / "guesses.csv"
    ilsvrc.write_guesses(file, scores)
    result = ilsvrc.score_guesses(file, labels, 10)
    assert result["top1"] == pytest.approx(metrics.top_k_error(scores, labels, 1))
    assert result["topk"] == pytest.approx(metrics.top_k_error(scores, labels, 5))
    assert (result["k"], result["images"]) == (5, 50)
    head, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head, *reversed(lines)]))
    assert ilsvrc.score_guesses(file, labels, 10) == result


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "line 1 must read image,guess1"),
        ("image,guess1,guess2\n0,1,2\n", "guesses for 1 of 2 images; image 1 is the first"),
        ("image,guess1,guess2\n0,1,1\n", r"line 2: \[1, 1\]; allowed: 2 different classes"),
        ("image,guess1,guess2\n0,1\n", r"line 2: \[1\]; allowed: 2 different"),
        ("image,guess1,guess2\n0,1,7\n", "class numbers 0 to 3"),
        ("image,guess1,guess2\n5,1,2\n", "there is no image 5; allowed: 0 to 1"),
        ("image,guess1,guess2\n0,1,2\n0,1,2\n", "line 3: image 0 is guessed a second time"),
        ("image,guess1,guess2\n0,cat,2\n", "not a whole number"),
    ],
)
def test_a_wrong_file_is_refused_by_line(tmp_path, text, message):
    file = tmp_path / "guesses.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        ilsvrc.score_guesses(file, [0, 1], 4)


def test_a_missing_file_and_a_wrong_k_are_named(tmp_path):
    with pytest.raises(ValueError, match="none.csv does not exist"):
        ilsvrc.score_guesses(tmp_path / "none.csv", [0], 4)
    with pytest.raises(ValueError, match="k is 5; allowed: 1 to 4"):
        ilsvrc.write_guesses(tmp_path / "x.csv", np.zeros((1, 4)))
