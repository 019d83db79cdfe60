"""A folder of one's own pictures: what is read, what is refused, how it is split, the report."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

from course_lib import own, zoo


def picture(seed, size=(60, 40), grey=False):
    """Return a smooth random picture, unlike that of any other seed."""
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (4, 4) if grey else (4, 4, 3), "uint8")
    return Image.fromarray(small).resize(size, Image.Resampling.BILINEAR)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of two classes with 20 pictures each."""
    for number, name in enumerate(("cup", "plate")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(20):
            picture(100 * number + i).save(tmp_path / f"mine/{name}/{i:02}.png")
    return tmp_path / "mine"


def test_what_is_good_is_read_without_remarks(folder):
    found = own.read(folder)
    assert found.class_names == ("cup", "plate") and found.remarks == ()
    assert found.images.shape == (40, 32, 32, 3) and found.images.dtype == np.uint8
    assert found.labels.tolist() == [0] * 20 + [1] * 20
    assert found.names[0] == "cup/00.png" and len(set(found.groups)) == 40


def test_grey_pictures_have_one_channel(folder):
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        picture(number, grey=True).save(file)
    assert own.read(folder, 16).images.shape == (40, 16, 16, 1)
    picture(1).save(folder / "cup/00.png")
    assert own.read(folder, 16).images.shape == (40, 16, 16, 3)


def test_the_middle_square_is_taken_and_transparency_is_white(folder):
    wide = Image.new("RGBA", (90, 30), (255, 0, 0, 0))
    wide.paste((0, 0, 255, 255), (30, 0, 45, 30))
    wide.save(folder / "cup/00.png")
    first = own.read(folder).images[0]
    assert first[16, 4].tolist() == [0, 0, 255] and first[16, 28].tolist() == [255, 255, 255]


def test_a_turned_photograph_is_turned_back(folder):
    tall = Image.new("RGB", (32, 32), "white")
    tall.paste((0, 0, 0), (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    tall.save(folder / "cup/00.jpg", exif=exif)
    chosen = own.read(folder)
    image = chosen.images[chosen.names.index("cup/00.jpg")]
    assert image[4].mean() > 200 and image[28].mean() < 50


def spoil_file(folder):
    (folder / "cup/00.png").write_bytes(b"no picture")


def cut_file(folder):
    whole = (folder / "cup/00.png").read_bytes()
    (folder / "cup/00.png").write_bytes(whole[: len(whole) // 2])


def add_text(folder):
    (folder / "cup/notes.txt").write_text("mine")


def lay_loose(folder):
    picture(1).save(folder / "loose.png")


def make_small(folder):
    picture(7, size=(8, 8)).save(folder / "cup/00.png")


def put_in_both(folder):
    picture(3).save(folder / "plate/other.png")


def put_twice(folder):
    picture(3, size=(120, 80)).save(folder / "cup/larger.jpg", quality=90)


REMARKS = {
    spoil_file: ("Left out, cannot be read: cup/00.png.", 39),
    cut_file: ("Left out, cannot be read: cup/00.png.", 39),
    add_text: ("Left out, no pictures: cup/notes.txt.", 40),
    lay_loose: ("Left out, in no class: loose.png.", 40),
    make_small: ("Enlarged, fewer than 32 pixels a side: cup/00.png.", 40),
    put_in_both: (
        "Left out, the same picture in two classes: cup/03.png = plate/other.png.",
        39,
    ),
    put_twice: ("The same as another, or nearly: 1. They stay on one side of the split.", 41),
}


@pytest.mark.parametrize("change", REMARKS, ids=lambda change: change.__name__)
def test_what_is_odd_is_named_and_nothing_else_is_lost(folder, change):
    change(folder)
    sentence, left = REMARKS[change]
    found = own.read(folder)
    assert found.remarks == (sentence,)
    assert len(found.labels) == len(found.names) == len(found.groups) == left


def test_hidden_files_are_passed_over(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "cup/.hidden.png").write_bytes(b"x")
    (folder / "cup/Thumbs.db").write_bytes(b"x")
    assert own.read(folder).remarks == ()


def test_a_folder_that_cannot_be_used_gets_a_sentence(folder, tmp_path):
    with pytest.raises(own.FolderError, match="nowhere is no folder"):
        own.read(tmp_path / "nowhere")
    with pytest.raises(own.FolderError, match="holds 0 folders; at least two .* 00.png, 01.png"):
        own.read(folder / "cup")
    with pytest.raises(ValueError, match="side is 8; allowed"):
        own.read(folder, 8)
    for file in sorted((folder / "plate").iterdir())[9:]:
        file.write_bytes(b"no picture")
    with pytest.raises(own.FolderError, match="plate has 9 different .* 10 are needed") as caught:
        own.read(folder)
    assert "cannot be read: plate/09.png, plate/10.png, plate/11.png and 8 more" in str(caught)


def test_the_split_has_its_shares_and_keeps_copies_together(folder):
    for i in range(8):
        picture(i, size=(120, 80)).save(folder / f"cup/again{i}.png")
    found = own.read(folder)
    parts = own.split(found, seed=1)
    numbers = np.concatenate(list(parts.values()))
    assert sorted(numbers) == list(range(48))
    sides = [set(found.groups[which]) for which in parts.values()]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    for part in ("test", "validation"):
        assert np.bincount(found.labels[parts[part]]).tolist() in ([4, 3], [5, 3])
    again, other = own.split(found, seed=1), own.split(found, seed=2)
    assert all((parts[part] == again[part]).all() for part in parts)
    assert set(parts["test"]) != set(other["test"])


def test_one_picture_many_times_over_is_no_class(folder):
    found = own.read(folder)
    groups = np.where(found.labels == 1, 99, found.groups)
    with pytest.raises(own.FolderError, match="plate: nearly all pictures are the same one"):
        own.split(own.Pictures(*list(vars(found).values())[:4], groups, ()))


@pytest.mark.slow
def test_the_command_trains_and_reports_and_writes_nothing_else(folder, tmp_path, capsys):
    def state():
        return sorted((f, f.stat().st_mtime_ns) for f in folder.rglob("*"))

    add_text(folder)
    before, to = state(), tmp_path / "report"
    own.main([str(folder), "--network", "squeezenet_small", "--epochs", "2", "--to", str(to)])
    printed = capsys.readouterr().out
    assert "40 pictures of cup, plate\n- Left out, no pictures: cup/notes.txt." in printed
    assert "train: 28, validation: 6, test: 6" in printed
    assert state() == before
    text = (to / "report.md").read_text(encoding="utf-8")
    told = float(re.search(r"\*\*([\d.]+) %\*\* of 6 test pictures", text)[1])
    assert "| cup | 14 | 3 | 3 |" in text and "nan" not in text
    files = {"report.md", "confusion.png", "training.png", "model.keras"}
    assert files <= {f.name for f in to.iterdir()} <= files | {"mistakes.png"}
    found = own.read(folder)
    test = own.split(found)["test"]
    numbers = re.search(r"less ([\d., ]+), divided by ([\d., ]+);", text).groups()
    mean, deviation = (np.array(list(map(float, one.split(", ")))) for one in numbers)
    model = keras.models.load_model(to / "model.keras", compile=False)
    logits = model.predict((found.images[test] / 255 - mean) / deviation, verbose=0)
    right = np.mean(np.argmax(logits, axis=1) == found.labels[test])
    assert round(100 * right, 1) == told


@pytest.mark.slow
def test_an_interrupted_training_goes_on(folder, tmp_path, monkeypatch, capsys):
    from course_lib import training

    words = [str(folder), "--network", "squeezenet_small", "--epochs", "2"]
    words += ["--to", str(tmp_path / "report")]
    end = training.Progress.on_epoch_end

    def stop(self, epoch, logs=None):
        end(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training.Progress, "on_epoch_end", stop)
        with pytest.raises(SystemExit) as ended:
            own.main(words)
    assert ended.value.code == 130
    assert "interrupted after 1 of 2 epochs; run again" in capsys.readouterr().out
    own.main(words)
    printed = capsys.readouterr().out
    assert "epoch 1/2" not in printed and "epoch 2/2" in printed
    assert not list((tmp_path / "report").glob("unfinished*"))


def test_a_training_that_goes_wrong_is_said_and_not_reported(folder, tmp_path, monkeypatch, capsys):
    history = {"interrupted": False, "epochs": [{"loss": float("nan")}]}
    monkeypatch.setattr(own, "train", lambda *given: (None, history, None, None, None))
    with pytest.raises(SystemExit) as ended:
        own.main([str(folder), "--to", str(tmp_path / "report")])
    assert ended.value.code == 1 and "its loss is no number" in capsys.readouterr().err
    assert list((tmp_path / "report").iterdir()) == []


def test_a_network_for_larger_pictures_says_so(folder, tmp_path, capsys):
    words = ["--network", "alexnet_small", "--side", "16", "--to", str(tmp_path / "report")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            own, "train", lambda *words: zoo.build("alexnet_small", input_shape=(4, 4, 1))
        )
        with pytest.raises(SystemExit) as ended:
            own.main([str(folder), *words])
    assert ended.value.code == 2
    assert "needs images of at least" in capsys.readouterr().err


def test_wrong_words_are_refused_before_anything_is_read(folder, tmp_path, capsys):
    inside = str(folder / "report")
    for words, sentence in (
        (["--network", "resnet50"], "--network is 'resnet50'; allowed: alexnet_small"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--to", inside], "The report would go into your pictures"),
        (["--side", "3"], "side is 3; allowed: a whole number from 16 to 256"),
    ):
        with pytest.raises(SystemExit) as ended:
            own.main([str(folder), *words])
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err
    assert not (folder / "report").exists()
