"""Films of pictures: GIF and MP4 files from frames, each written completely or not at all."""

import contextlib
import math
import os
import pathlib
import subprocess
import zlib

import numpy as np

_PALETTE_SAMPLE = 3_000_000


def missing():
    """What cannot be written on this machine, and why: {".gif": "a GIF needs Pillow: ..."}, or an empty dict.

    ffmpeg is started once: a file that is there may not run.
    """
    found = {}
    try:
        _pillow()
    except ImportError as error:
        found |= {".gif": str(error), ".mp4": f"the text of a film needs Pillow: {str(error).rpartition(': ')[2]}"}
    try:
        subprocess.run([_imageio_ffmpeg().get_ffmpeg_exe(), "-version"], capture_output=True, check=True, timeout=20)
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        found.setdefault(".mp4", f"an MP4 needs an ffmpeg that runs: {error}")
    return found


def check_name(path):
    """Refuses a film that could not be written, before it is made.

    Raises:
        TypeError: for what is no path.
        ValueError: if the name ends in something else than .mp4 or .gif.
        FileNotFoundError: if its folder does not exist.
        ImportError: if what writes it is missing.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"a film's name must be a path, got {' '.join(repr(path).split()):.60}")
    path = pathlib.Path(path)
    if path.suffix not in (".mp4", ".gif"):
        raise ValueError(f"a film's name must end in .mp4 or .gif, got {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} can't be written: there is no folder {path.parent}")
    if path.suffix in (found := missing()):
        raise ImportError(found[path.suffix])


def save(frames, path):
    """Writes frames that know their rate, `frames.fps`, as an MP4 or a GIF; returns the path.

    Raises:
        ValueError: for another ending.
        ImportError, OSError: as `save_gif` and `save_mp4`.
    """
    path = pathlib.Path(path)
    check_name(path)
    (save_mp4 if path.suffix == ".mp4" else save_gif)(iter(frames), path, fps=frames.fps)
    return path


@contextlib.contextmanager
def recording(path, *, fps):
    """Yields what takes the frames of a film one by one; the film is there when the block ends well.

    Args:
        path: ending in .mp4 or .gif; frames of a GIF wait in memory, compressed.
        fps: frames per second, above 0.
    Raises:
        ValueError, FileNotFoundError, ImportError: as `check_name`; ValueError also for no frame.
        OSError: if the encoder fails.

    >>> import numpy, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with recording(folder / "grey.gif", fps=10) as add:
    ...     add(numpy.full((8, 8, 3), 128, numpy.uint8))
    >>> [path.name for path in folder.iterdir()]
    ['grey.gif']
    """
    path = pathlib.Path(path)
    check_name(path)
    if path.suffix == ".gif":
        packed, shapes = [], []

        def keep(frame):
            shapes.append(frame.shape)
            packed.append(zlib.compress(np.ascontiguousarray(frame).tobytes(), 1))

        yield keep
        save_gif((_unpacked(*item) for item in zip(packed, shapes, strict=True)), path, fps=fps)
        return
    with _mp4(path, fps) as write:
        yield write


def save_gif(frames, path, *, fps):
    """Writes frames as an endlessly repeating GIF with one palette for all.

    Frames wait in memory, compressed, until the palette is known. A GIF counts in hundredths of a second, so
    the duration of a frame is rounded to that, and is 0.02 s at least, below which browsers slow down. Equal
    frames in a row are stored as one that lasts longer.

    Args:
        frames: iterable of uint8[h, w, 3], all of one size.
        path: of the file; its folder exists.
        fps: frames per second, above 0.
    Raises:
        ValueError: for no frame, a frame of another dtype or shape, or an fps that isn't above 0.
        FileNotFoundError: if the folder doesn't exist.
        ImportError: if Pillow is not installed.
    """
    _check_fps(fps)
    image_module = _pillow()
    with _integer(path) as temporary:
        shape, packed = None, []
        for frame in _checked(frames):
            shape = frame.shape
            packed.append(zlib.compress(frame.tobytes(), 1))
        palette = _shared_palette(image_module, packed, shape)
        first, *rest = (_reduced(image_module, item, shape, palette) for item in packed)
        first.save(
            temporary,
            "GIF",
            save_all=True,
            append_images=rest,
            palette=bytes(palette.getpalette() or ()),
            duration=max(20, 10 * round(100 / fps)),
            loop=0,
            optimize=True,
        )


def save_mp4(frames, path, *, fps):
    """Writes frames as an H.264 film (yuv420p, which every player shows), one frame in memory at a time.

    Odd sizes are made even by repeating the last row or column.

    Args:
        frames: iterable of uint8[h, w, 3], all of one size.
        path: of the file; its folder exists.
        fps: frames per second, above 0.
    Raises:
        ValueError: for no frame, a frame of another dtype or shape, or an fps that isn't above 0.
        FileNotFoundError: if the folder doesn't exist.
        ImportError: if imageio-ffmpeg is not installed.
        OSError: if the encoder fails, with its message.
    """
    _check_fps(fps)
    with _mp4(path, fps) as write:
        for frame in _checked(frames):
            write(frame)


@contextlib.contextmanager
def _mp4(path, fps):
    """Yields what takes a frame; the first one sets the size, and ffmpeg starts with it."""
    with _integer(path) as temporary, contextlib.ExitStack() as stack:
        write = None

        def encode(frame):
            nonlocal write
            frame = _even(np.asarray(frame))
            if write is None:
                executable = _imageio_ffmpeg().get_ffmpeg_exe()
                write = stack.enter_context(_encoder(executable, temporary, frame.shape, fps))
            write(frame.tobytes())

        yield encode
        if write is None:
            raise ValueError("a film needs at least one frame, got none")


def _even(frame):
    height, width, _ = frame.shape
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


@contextlib.contextmanager
def _encoder(executable, path, shape, fps):
    """Runs ffmpeg and yields what takes it a frame; it must end well if the block does, and is killed if not."""
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", str(fps), "-i", "-"]
    coding = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-preset", "veryfast"]
    command = [executable, "-y", "-loglevel", "error", *source, *coding, "-movflags", "+faststart", "-f", "mp4"]
    with subprocess.Popen([*command, str(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            # an encoder that has given up is reported with its own message below
            with contextlib.suppress(BrokenPipeError):
                yield process.stdin.write
            _, message = process.communicate()
        except BaseException:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.kill()
            raise
    if process.returncode:
        raise OSError(f"ffmpeg could not write the film: {message.decode(errors='replace').strip()}")


def _checked(frames):
    """Yields the frames, each found to be uint8[h, w, 3] of the first one's size; there is at least one."""
    expected = None
    for index, frame in enumerate(frames):
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"frame {index} must be uint8[height, width, 3], got {frame.dtype}{list(frame.shape)}")
        expected = expected or frame.shape
        if frame.shape != expected:
            raise ValueError(f"frame {index} must have the first one's shape {expected}, got {frame.shape}")
        yield frame
    if expected is None:
        raise ValueError("a film needs at least one frame, got none")


def _check_fps(fps):
    if not (0 < fps < math.inf):
        raise ValueError(f"fps must be a finite number above 0, got {fps}")


def _unpacked(item, shape):
    return np.frombuffer(zlib.decompress(item), np.uint8).reshape(shape)


def _shared_palette(image_module, packed, shape):
    stride = max(1, math.ceil(math.sqrt(len(packed) * shape[0] * shape[1] / _PALETTE_SAMPLE)))
    sample = np.concatenate([_unpacked(item, shape)[::stride, ::stride].reshape(-1, 3) for item in packed])
    # 127 colours and one that Pillow adds to mark the pixels that stay as they were: seven bits a pixel
    return image_module.fromarray(sample[None]).quantize(127)


def _reduced(image_module, item, shape, palette):
    return image_module.fromarray(_unpacked(item, shape)).quantize(palette=palette, dither=image_module.Dither.NONE)


@contextlib.contextmanager
def _integer(path):
    """Yields a temporary name beside `path`; the file takes its place if the block ends well, else goes."""
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} can't be written: there is no folder {path.parent}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("a GIF needs Pillow: pip install pillow") from error
    return Image


def _imageio_ffmpeg():
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError("an MP4 needs imageio-ffmpeg: pip install imageio-ffmpeg") from error
    return imageio_ffmpeg
