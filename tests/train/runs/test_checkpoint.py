import os
import pathlib
import tracemalloc
import zipfile
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxenvs.random import fusable
from train.runs import checkpoint, pieces
from train.runs.checkpoint import CheckpointError, Damaged, about, load, save
from train.runs.files import older


class Tree(NamedTuple):
    numbers: Any
    parts: Any


def tree():
    return Tree(
        numbers=jnp.array([[1.0, -0.0], [jnp.nan, jnp.inf]]),
        parts={
            "count": jnp.int32(7), "flag": jnp.bool_(True), "flags": jnp.array([True, False]),
            "small": jnp.array([1e-42, 3.0]), "half": jnp.array([1.5], jnp.float16),
            "bytes": jnp.arange(5, dtype=jnp.uint8), "none": jnp.zeros((0, 3)), "nothing": None,
            "key": jax.random.key(3), "keys": jax.random.split(jax.random.key(4), 2),
            "fused": fusable(jax.random.key(5)), "raw": jax.random.PRNGKey(6),
        },
    )  # fmt: skip


def shapes():
    return jax.eval_shape(tree)


def bits(leaf):
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf).tobytes()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "state.npz"
    save(path, tree())
    return path


def refusal(path, like=None):
    with pytest.raises(CheckpointError) as caught:
        load(path, shapes() if like is None else like)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_every_leaf_comes_back_bit_for_bit(path):
    assert jax.tree.map(bits, load(path, shapes())) == jax.tree.map(bits, tree())


def test_every_leaf_comes_back_with_its_shape_and_dtype(path):
    found, saved = load(path, shapes()), tree()
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), saved
    )


def test_keys_come_back_as_keys_of_their_kind(path):
    parts = load(path, shapes()).parts
    for name in ("key", "keys", "fused"):
        assert jax.random.key_impl(parts[name]) == jax.random.key_impl(tree().parts[name])
    assert jax.random.uniform(parts["fused"]) == jax.random.uniform(tree().parts["fused"])


def test_what_is_read_may_be_described_by_arrays(path):
    assert jax.tree.map(bits, load(path, tree())) == jax.tree.map(bits, tree())


def test_one_number_alone_is_a_tree(tmp_path):
    save(tmp_path / "one.npz", jnp.float32(2.5))
    assert load(tmp_path / "one.npz", jnp.float32(0.0)) == 2.5


def test_saving_again_replaces_what_was_saved(path):
    save(path, tree()._replace(numbers=jnp.ones((2, 2))))
    assert load(path, shapes()).numbers.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_saving_leaves_nothing_but_the_file(path):
    assert os.listdir(path.parent) == ["state.npz"]


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert "is damaged" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"hello\n", b"\x00" * 1000, b"PK\x03\x04", b"\x80\x04.", b"\x93NUMPY\x01\x00"],
    ids=["text", "zeros", "head of an archive", "pickle", "head of an array"],
)  # fmt: skip
def test_a_file_of_something_else_is_refused(path, content):
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


def test_a_single_array_is_refused(path):
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    assert "is damaged" in refusal(path)


def test_flipped_bytes_in_the_middle_of_an_array_are_refused(tmp_path):
    path = tmp_path / "state.npz"
    save(path, jnp.zeros(10_000))
    content = bytearray(path.read_bytes())
    content[20_000:20_002] = b"\xff\xff"
    path.write_bytes(content)
    assert "is damaged" in refusal(path, jnp.zeros(10_000))


@pytest.mark.parametrize("mask", [0xFF, 0x01, 0x20])
def test_a_flipped_byte_anywhere_is_refused_or_harmless(tmp_path, mask):
    path, like = tmp_path / "state.npz", {"a": jnp.arange(3.0), "key": jax.random.key(1)}
    save(path, like)
    finished, wrong = path.read_bytes(), []
    for index in range(len(finished)):
        path.write_bytes(finished[:index] + bytes([finished[index] ^ mask]) + finished[index + 1 :])
        try:
            if jax.tree.map(bits, load(path, like)) != jax.tree.map(bits, like):
                wrong.append(index)
        except CheckpointError:
            pass
    assert wrong == []


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "nowhere.npz") == f"{tmp_path / 'nowhere.npz'} does not exist"


def test_a_folder_is_refused(tmp_path):
    refusal(tmp_path)


def test_a_missing_array_is_refused_by_name(path):
    more = shapes()._replace(parts={**shapes().parts, "extra": jnp.ones(2)})
    assert "lacks .parts['extra']" in refusal(path, more)


def test_a_surplus_array_is_refused_by_name(path):
    less = {name: leaf for name, leaf in shapes().parts.items() if name != "count"}
    assert "holds .parts['count']" in refusal(path, shapes()._replace(parts=less))


@pytest.mark.parametrize(
    ("like", "said"),
    [(jnp.ones((4,)), ".numbers is float32[2, 2], and this run needs float32[4]"),
     (jnp.ones((2, 2), jnp.int32), ".numbers is float32[2, 2], and this run needs int32[2, 2]"),
     (jnp.ones(()), ".numbers is float32[2, 2], and this run needs float32[]")],
    ids=["shape", "dtype", "rank"],
)  # fmt: skip
def test_an_array_of_another_kind_is_refused_with_both_kinds(path, like, said):
    assert said in refusal(path, shapes()._replace(numbers=like))


def interrupted(*_, **__):
    raise KeyboardInterrupt


def half_written(file, array):
    file.write(b"half")
    raise OSError("no space left on device")


@pytest.mark.parametrize(
    ("module", "name", "replacement", "error"),
    [(checkpoint, "_write", half_written, OSError), (os, "fsync", interrupted, KeyboardInterrupt),
     (os, "replace", interrupted, KeyboardInterrupt)],
    ids=["writing", "syncing", "replacing"],
)  # fmt: skip
def test_an_interrupted_save_leaves_the_older_file_alone(path, monkeypatch, module, name, replacement, error):
    before = path.read_bytes()
    monkeypatch.setattr(module, name, replacement)
    with pytest.raises(error):
        save(path, tree()._replace(numbers=jnp.ones((2, 2))))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["state.npz"]


def test_a_save_into_a_folder_that_is_missing_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(pathlib.Path(tmp_path) / "nowhere" / "state.npz", tree())


def test_the_newest_are_kept_in_their_order(tmp_path):
    path = tmp_path / "state.npz"
    for number in range(5):
        save(path, jnp.int32(number), keep=3)
    assert [int(load(p, jnp.int32(0))) for p in (path, older(path, 1), older(path, 2))] == [4, 3, 2]
    assert sorted(os.listdir(tmp_path)) == ["state-1.npz", "state-2.npz", "state.npz"]


def test_a_crash_while_the_newest_takes_its_place_leaves_one_under_its_name(tmp_path, monkeypatch):
    path, replace = tmp_path / "state.npz", os.replace
    save(path, jnp.int32(0), keep=2)

    def crashing(source, to):
        if to == path:
            raise KeyboardInterrupt
        replace(source, to)

    monkeypatch.setattr(os, "replace", crashing)
    with pytest.raises(KeyboardInterrupt):
        save(path, jnp.int32(1), keep=2)
    assert load(path, jnp.int32(0)) == 0 and sorted(os.listdir(tmp_path)) == ["state-1.npz", "state.npz"]


def test_what_a_checkpoint_is_about_comes_back(path):
    assert about(path) == {}
    save(path, tree(), about={"seed": 7})
    assert about(path) == {"seed": 7}
    assert jax.tree.map(bits, load(path, shapes())) == jax.tree.map(bits, tree())


def test_sizes_are_compared_before_memory_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    save(path, jnp.zeros(1000))
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(CheckpointError, match=r"is float32\[1000\], and this run needs float32\[3\]") as caught:
        load(path, jax.ShapeDtypeStruct((3,), jnp.float32))
    assert not isinstance(caught.value, Damaged)


def test_every_flipped_bit_of_an_array_is_found(tmp_path):
    path = tmp_path / "state.npz"
    save(path, jnp.arange(8.0))
    content = path.read_bytes()
    start = content.index(np.arange(8, dtype=np.float32).tobytes())
    for position in range(start, start + 32):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(Damaged, match="is damaged"):
            load(path, jnp.zeros(8))


def test_saving_and_loading_hold_a_few_pieces_besides_the_state(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_PIECE", 1 << 16)
    monkeypatch.setattr(pieces, "_PIECE", 1 << 16)
    tree = [jnp.arange(1 << 21, dtype=jnp.float32).reshape(-1, 8) + number for number in range(3)]
    jax.block_until_ready(tree)
    # What compiles is traced before.
    save(tmp_path / "state.npz", tree)
    load(tmp_path / "state.npz", tree)
    tracemalloc.start()
    try:
        save(tmp_path / "state.npz", tree)
        saving = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        loaded = load(tmp_path / "state.npz", tree)
        loading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # NumPy's arrays; those of JAX are not counted. An array has 8 MiB, and a piece 64 KiB.
    assert saving < 1 << 20 and loading < 1 << 20
    assert all((one == other).all() for one, other in zip(tree, loaded, strict=True))


@pytest.mark.parametrize("rows", [1, 5, 8, 9])
def test_an_array_is_joined_from_pieces_of_any_number_of_rows(rows, monkeypatch):
    monkeypatch.setattr(pieces, "_PIECE", rows * 3 * 4)
    array, taken = np.arange(24, dtype=np.float32).reshape(8, 3), []

    def next_rows(count):
        taken.append(count)
        return array[sum(taken) - count : sum(taken)]

    assert pieces.joined(array.shape, array.dtype, next_rows).tolist() == array.tolist()
    assert sum(taken) == 8 and max(taken) == min(rows, 8)


@pytest.mark.parametrize("change", [-4, 4])
def test_a_large_array_of_another_size_than_it_declares_is_refused(tmp_path, monkeypatch, change):
    monkeypatch.setattr(checkpoint, "_PIECE", 16)
    path, array = tmp_path / "state.npz", np.arange(24, dtype=np.float32)
    with zipfile.ZipFile(path, "w") as archive, archive.open(".npy", "w") as member:
        declared = {"descr": "<f4", "fortran_order": False, "shape": (24,)}
        np.lib.format.write_array_header_1_0(member, declared)
        member.write((array.tobytes() + bytes(4))[: array.nbytes + change])
    with pytest.raises(Damaged, match="does not have the size that it declares"):
        load(path, jnp.zeros(24))
