import os
import subprocess
import weakref

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from jaxenvs.render.film import recording, save_gif, save_mp4

SAVERS = pytest.mark.parametrize("save, suffix", [(save_gif, "gif"), (save_mp4, "mp4")])


def plain(*colours, height=48, width=64):
    return [np.full((height, width, 3), colour, np.uint8) for colour in colours]


COLOURS = [(220, 30, 30), (30, 200, 40), (20, 40, 210), (240, 240, 240), (10, 10, 10)]


def read_mp4(path, height=48, width=64):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stderr.decode(), np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def read_gif(path):
    with Image.open(path) as film:
        frames = ImageSequence.Iterator(film)
        return [(frame.info["duration"], np.asarray(frame.convert("RGB"))) for frame in frames]


def test_mp4_has_every_frame_in_its_colour(tmp_path):
    save_mp4(iter(plain(*COLOURS)), tmp_path / "a.mp4", fps=10)
    log, frames = read_mp4(tmp_path / "a.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(tmp_path / "a.mp4") == (len(COLOURS), 0.5)
    assert "Video: h264" in log and "yuv420p" in log and "10 fps" in log
    assert len(frames) == len(COLOURS)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 12


def test_gif_has_every_frame_in_its_colour_and_time(tmp_path):
    save_gif(iter(plain(*COLOURS)), tmp_path / "a.gif", fps=10)
    frames = read_gif(tmp_path / "a.gif")
    assert [duration for duration, _ in frames] == [100] * len(COLOURS)
    for (_, frame), colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 8


def test_gif_repeats_without_end(tmp_path):
    save_gif(plain(*COLOURS), tmp_path / "a.gif", fps=10)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.info["loop"] == 0


def test_gif_shows_what_changed_and_what_stayed(tmp_path):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (60, 3), np.uint8)
    frames = [colours[rng.integers(0, 60, (12, 16))] for _ in range(6)]
    for frame in frames[1:]:
        frame[:6] = frames[0][:6]
    frames = [frame.repeat(8, 0).repeat(8, 1) for frame in frames]
    save_gif(frames, tmp_path / "a.gif", fps=20)
    for (_, shown), frame in zip(read_gif(tmp_path / "a.gif"), frames, strict=True):
        assert np.abs(shown.astype(int) - frame).max() <= 8


def test_gif_stores_only_what_changes(tmp_path):
    ground = np.random.default_rng(0).integers(0, 2, (96, 128, 1), np.uint8) * 255
    frames = [ground.repeat(3, 2) for _ in range(31)]
    for index, frame in enumerate(frames):
        frame[40:44, index * 4 : index * 4 + 4] = (255, 0, 0)
    for name, film in (("one.gif", frames[:1]), ("all.gif", frames)):
        save_gif(film, tmp_path / name, fps=20)
    one, all_ = ((tmp_path / name).stat().st_size for name in ("one.gif", "all.gif"))
    assert all_ < 3 * one + 2000


def test_equal_frames_of_a_gif_last_as_long_as_they_were(tmp_path):
    save_gif(plain((1, 2, 3), (1, 2, 3), (200, 2, 3)), tmp_path / "a.gif", fps=10)
    assert [duration for duration, _ in read_gif(tmp_path / "a.gif")] == [200, 100]


@pytest.mark.parametrize("fps, milliseconds", [(1, 1000), (30, 30), (50, 20), (1000, 20)])
def test_gif_durations_are_hundredths_and_not_below_two(tmp_path, fps, milliseconds):
    save_gif(plain(*COLOURS[:2]), tmp_path / "a.gif", fps=fps)
    assert read_gif(tmp_path / "a.gif")[0][0] == milliseconds


@pytest.mark.parametrize("height, width", [(47, 64), (48, 63), (33, 31)])
def test_odd_sizes_of_an_mp4_grow_by_their_last_line(tmp_path, height, width):
    rows = np.linspace(0, 255, height).astype(np.uint8)
    frame = np.broadcast_to(rows[:, None, None], (height, width, 3))
    save_mp4([frame] * 3, tmp_path / "a.mp4", fps=25)
    log, frames = read_mp4(tmp_path / "a.mp4", height + height % 2, width + width % 2)
    assert f"{width + width % 2}x{height + height % 2}" in log and len(frames) == 3
    assert frames[0][-1].min() > 235 and frames[0][0].max() < 20


def test_odd_sizes_of_a_gif_stay(tmp_path):
    save_gif(plain(*COLOURS[:2], height=33, width=31), tmp_path / "a.gif", fps=25)
    assert read_gif(tmp_path / "a.gif")[0][1].shape == (33, 31, 3)


@SAVERS
@pytest.mark.parametrize(
    "frames, message",
    [
        ([], "at least one frame, got none"),
        ([np.zeros((8, 8, 3))], r"frame 0 must be uint8\[height, width, 3\], got float64\[8, 8, 3\]"),
        ([np.zeros((8, 8), np.uint8)], r"frame 0 must be .* got uint8\[8, 8\]"),
        ([np.zeros((8, 8, 4), np.uint8)], r"frame 0 must be .* got uint8\[8, 8, 4\]"),
        ([np.zeros((0, 8, 3), np.uint8)], r"frame 0 must be .* got uint8\[0, 8, 3\]"),
        (
            plain((1, 2, 3)) + plain((1, 2, 3), width=62),
            r"frame 1 must have .* \(48, 64, 3\), got \(48, 62, 3\)",
        ),
    ],
)
def test_wrong_frames_are_refused_and_leave_the_old_film(tmp_path, save, suffix, frames, message):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=message):
        save(iter(frames), path, fps=10)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == [path.name]


@SAVERS
def test_a_crash_between_frames_leaves_no_file(tmp_path, save, suffix):
    def frames():
        yield from plain(*COLOURS, height=8, width=8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(frames(), tmp_path / f"a.{suffix}", fps=10)
    assert os.listdir(tmp_path) == []


@SAVERS
def test_a_film_that_cannot_take_its_place_is_removed(tmp_path, save, suffix):
    path = tmp_path / f"a.{suffix}"
    path.mkdir()
    with pytest.raises(OSError):
        save(plain(*COLOURS), path, fps=10)
    assert os.listdir(tmp_path) == [path.name] and path.is_dir()


@SAVERS
def test_a_film_replaces_the_old_one(tmp_path, save, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"old")
    save(plain(*COLOURS), str(path), fps=10)
    assert path.stat().st_size > 100 and os.listdir(tmp_path) == [path.name]


@SAVERS
@pytest.mark.parametrize("fps", (0, -1, float("nan"), float("inf")))
def test_wrong_fps_is_refused(tmp_path, save, suffix, fps):
    with pytest.raises(ValueError, match=f"fps must be a finite number above 0, got {fps}"):
        save(plain((1, 2, 3)), tmp_path / f"a.{suffix}", fps=fps)


@SAVERS
def test_missing_folder_is_named(tmp_path, save, suffix):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        save(plain((1, 2, 3)), tmp_path / "nowhere" / f"a.{suffix}", fps=10)


def test_mp4_takes_frames_one_at_a_time(tmp_path):
    born = []

    def frames():
        for index in range(40):
            frame = np.full((48, 64, 3), index, np.uint8)
            born.append(weakref.ref(frame))
            assert sum(reference() is not None for reference in born) <= 3
            yield frame
            del frame

    save_mp4(frames(), tmp_path / "a.mp4", fps=10)
    assert len(read_mp4(tmp_path / "a.mp4")[1]) == 40


def test_a_failing_encoder_is_reported_and_leaves_no_file(tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho disk is full >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(broken))
    with pytest.raises(OSError, match="could not write the film: disk is full"):
        save_mp4(plain(*COLOURS) * 300, tmp_path / "a.mp4", fps=10)
    assert os.listdir(tmp_path) == ["ffmpeg"]


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_frames_that_arrive_one_by_one_are_the_same_film(tmp_path, suffix):
    with recording(tmp_path / f"a.{suffix}", fps=10) as add:
        for frame in plain(*COLOURS):
            add(frame)
    (save_gif if suffix == "gif" else save_mp4)(plain(*COLOURS), tmp_path / f"b.{suffix}", fps=10)
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_a_recording_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), recording(tmp_path / "a.mp4", fps=10) as add:
        add(plain((1, 2, 3))[0])
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="at least one frame"), recording(tmp_path / "a.mp4", fps=10):
        pass
    assert os.listdir(tmp_path) == []
