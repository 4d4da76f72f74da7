"""`escalade profile stat`: the table, the picture, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from escalade.profiler.stat.plot import _figure, _groups
from escalade.profiler.stat.reckoned import reckoned
from recorded import Recorded

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def stat(*arguments: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "escalade", "profile", "stat", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )


def drawn(recorded: Recorded, folder: Path) -> Figure:
    found = reckoned(recorded.write(folder).files[1], drawn=True)
    assert found.buckets is not None
    with mpl.rc_context():
        return _figure(found.facts, found.devices, found.buckets)


def test_the_table_has_a_line_for_each_gpu_and_names_the_gap(tmp_path: Path) -> None:
    path = Recorded(silent={1: (20, 30)}).write(tmp_path).files[0]

    done = stat("--data", path)

    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("training: 60 frames with readings, a reading every 500 ms")
    assert lines[1] == "GPUs: 4 × NVIDIA H100 80GB HBM3"
    first, second = (next(it for it in lines if it.startswith(f"node{n}:1")) for n in (0, 1))
    assert first.split()[1] == "0"
    assert second.split()[1] == "10"
    assert max(map(len, lines)) <= 80
    assert "node1: 10 readings missing" in done.stderr


@pytest.mark.parametrize(
    ("kind", "magic"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")]
)
def test_a_picture_of_each_kind(tmp_path: Path, kind: str, magic: bytes) -> None:
    data = Recorded().write(tmp_path).files[1]
    path = tmp_path / "new" / f"training.{kind}"

    done = stat("--data", data, "--plot", path, "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["plot"] == str(path)
    assert len(told["summary_by_device"]) == 4
    assert path.read_bytes().startswith(magic)
    assert [it.name for it in path.parent.iterdir()] == [path.name]
    if kind == "png":
        picture = imread(path)[..., :3].reshape(-1, 3)
        assert len(np.unique(picture, axis=0)) > 100


def test_missing_readings_are_no_line(tmp_path: Path) -> None:
    figure = drawn(Recorded(gpus=1, silent={1: (20, 30)}), tmp_path)

    first, second = (
        line.get_ydata()
        for line in figure.axes[0].get_lines()
        if line.get_linestyle() == "-" and len(line.get_xdata()) == 60
    )
    assert not np.isnan(np.asarray(first)).any()
    assert np.flatnonzero(np.isnan(np.asarray(second))).tolist() == list(range(20, 30))


def test_time_without_any_reading_is_hatched(tmp_path: Path) -> None:
    silent = dict.fromkeys((0, 1), (20, 30))

    whole, cut = drawn(Recorded(), tmp_path), drawn(Recorded(silent=silent), tmp_path)

    assert [len(axes.patches) for axes in whole.axes] == [0] * 6
    assert [len(axes.patches) for axes in cut.axes] == [1] * 6


@pytest.mark.parametrize(
    ("nodes", "gpus", "labels"),
    [
        (2, 4, [f"n{node}:{gpu}" for node in range(2) for gpu in range(4)]),
        (3, 8, [f"n{node} (8 GPUs)" for node in range(3)]),
        (9, 1, ["all 9 GPUs of 9 nodes"]),
    ],
)
def test_no_more_lines_than_can_be_told_apart(nodes: int, gpus: int, labels: list[str]) -> None:
    devices = [f"n{node}:{gpu}:H100" for gpu in reversed(range(gpus)) for node in range(nodes)]

    groups = _groups(devices)

    assert [group.label for group in groups] == labels
    assert sorted(place for group in groups for place in group.places) == list(range(len(devices)))


def test_many_gpus_have_a_row_of_colours_each(tmp_path: Path) -> None:
    figure = drawn(Recorded(nodes=3, gpus=4, silent={1: (10, 20)}), tmp_path)

    (picture,) = [image for axes in figure.axes for image in axes.get_images()]
    values = np.ma.filled(np.ma.asarray(picture.get_array()), np.nan)
    assert values.shape == (12, 60)
    assert np.isnan(values).sum(axis=1).tolist() == [0] * 4 + [10] * 4 + [0] * 4


def test_one_reading_is_drawn(tmp_path: Path) -> None:
    data = Recorded(nodes=1, gpus=1, count=1).write(tmp_path).files[0]

    assert stat("--data", data, "--plot", tmp_path / "one.png").returncode == 0


def test_gpus_that_offer_nothing_are_told_of_and_not_drawn(tmp_path: Path) -> None:
    path = Recorded(nodes=1, gpus=1, count=3).write(tmp_path).files[0]
    bare = {"frame_id": 0, "time": "", "gpu_id": ["node0:0:H100"], "timestamp": [1746369001.0]}
    content = {**json.loads(path.read_bytes()), "frames": [bare]}
    path.write_text(json.dumps(content), "utf-8")

    told, refused = stat("--data", path), stat("--data", path, "--plot", tmp_path / "a.png")

    assert told.returncode == 0
    assert told.stdout.splitlines()[-1].split() == ["node0:0", "2"]
    assert refused.returncode == 2
    assert "no GPU offers" in refused.stderr
    assert not (tmp_path / "a.png").exists()


def test_what_can_not_be_used_ends_with_one_message(tmp_path: Path) -> None:
    whole = Recorded().write(tmp_path)
    text, packed = whole.files
    lines = text.read_text("utf-8").splitlines(keepends=True)
    bad = tmp_path / "bad.json"
    bad.write_text("".join([*lines[:40], lines[40][:100], "\n", *lines[41:]]), "utf-8")
    (tmp_path / "cut.json").write_bytes(text.read_bytes()[:20_000])
    (tmp_path / "name.json").write_text("".join(lines[:40]) + '{"frame_', "utf-8")
    (tmp_path / "cut.parquet").write_bytes(packed.read_bytes()[:2_000])
    (tmp_path / "other.json").write_text('{"a": 1}', "utf-8")
    (tmp_path / "noise.json").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "void.json").touch()
    none = Recorded(count=1, silent={0: (0, 1), 1: (0, 1)}).write(tmp_path, "none")

    for arguments, said in [
        (["--data", tmp_path / "gone.json"], "is not there"),
        (["--data", tmp_path], "can't be read"),
        (["--data", bad], "bad.json, line 41: broken JSON"),
        (["--data", tmp_path / "cut.json"], "it was cut off"),
        (["--data", tmp_path / "name.json"], "it was cut off"),
        (["--data", tmp_path / "cut.parquet"], "is broken Parquet"),
        (["--data", tmp_path / "other.json"], "not of a session"),
        (["--data", tmp_path / "noise.json"], "no text in UTF-8"),
        (["--data", tmp_path / "void.json"], "is empty"),
        (["--data", none.files[0]], "holds no reading"),
        (["--data", none.files[1]], "holds no reading"),
        (["--data", text, "--plot", tmp_path / "a.gif"], "ends in .pdf, .png or .svg"),
    ]:
        done = stat(*arguments)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_a_picture_that_can_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    data = Recorded().write(tmp_path).files[0]
    path = tmp_path / "folder.png"
    path.mkdir()

    done = stat("--data", data, "--plot", path)

    assert done.returncode == 3
    assert "could not be written" in done.stderr
    assert path.is_dir()
    assert not list(tmp_path.glob(".*"))
