"""Foreign checkpoints become ours with the same scores, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.checkpoint import load, save
from models.ganomaly import SIZES
from models.importers import Imported, import_networks
from models.methods.ganomaly import Ganomaly
from models.preprocess import Preprocess
from models.tensorfile import CheckpointError
from tests.models import foreign

Content = dict[str, Any]


def written(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def refused(path: Path, discriminator: Path | None = None) -> str:
    """The message, which names the file and is one line."""
    with pytest.raises(CheckpointError) as told:
        import_networks(path, discriminator)
    message = str(told.value)
    assert str(path if discriminator is None else discriminator) in message and "\n" not in message
    return message


def net_g() -> foreign.State:
    return foreign.authors_generator(foreign.networks(foreign.AUTHORS)[0])


def same(imported: Imported, originals: tuple[torch.nn.Module, ...]) -> None:
    for ours, original in zip((imported.generator, imported.discriminator), originals, strict=False):
        state = ours.state_dict()
        for name, tensor in original.state_dict().items():
            assert torch.equal(state[name], tensor), name
        assert not ours.training and not any(p.requires_grad for p in ours.parameters())


GOLDEN = (("authors_32_rgb", "_netG.pth"), ("authors_64_grey_extra1", "_netG.pth"), ("anomalib_64", ".ckpt"))


@pytest.mark.skipif("LINEWATCH_DATA" not in os.environ, reason="LINEWATCH_DATA is not set")
@pytest.mark.parametrize(("name", "suffix"), GOLDEN)
def test_same_scores_as_the_original_networks(name: str, suffix: str, tmp_path: Path) -> None:
    """Through the whole way: imported, saved, loaded, scored from pictures."""
    folder = Path(os.environ["LINEWATCH_DATA"]) / "checkpoints"
    judge = folder / f"{name}_netD.pth"
    imported = import_networks(folder / f"{name}{suffix}", judge if judge.exists() else None)
    assert imported.discriminator_trained
    golden = np.load(folder / f"{name}.npz")
    pictures = golden["images_rgb_uint8"]
    for norm in ("squared", "absolute"):
        save(tmp_path / "m", imported.ganomaly(norm), imported.preprocess, calibration=None, training={})
        scores = load(tmp_path / "m", device="cpu").score(pictures)
        if f"score_{norm}" in golden:
            np.testing.assert_allclose(scores, golden[f"score_{norm}"], rtol=1e-5)
    if "code" in golden:
        made = imported.generator(imported.preprocess.to_tensor(pictures, torch.device("cpu")))
        np.testing.assert_allclose(made.code.flatten(1).numpy(), golden["code"], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(made.code_again.flatten(1).numpy(), golden["code_hat"], rtol=1e-5, atol=1e-7)


def test_the_authors(tmp_path: Path) -> None:
    originals = foreign.networks(foreign.AUTHORS)
    net_d = written(tmp_path / "netD.pth", {"epoch": 15, "state_dict": foreign.authors_discriminator(originals[1])})
    path = written(tmp_path / "netG.pth", {"epoch": 15, "state_dict": foreign.authors_generator(originals[0])})
    imported = import_networks(path, net_d)
    same(imported, originals)
    assert imported.architecture == foreign.AUTHORS and imported.origin == "authors"
    assert imported.preprocess == Preprocess(32, 3, "half") and imported.discriminator_trained


def test_anomalib(tmp_path: Path) -> None:
    originals = foreign.networks(foreign.ANOMALIB)
    path = written(tmp_path / "model.ckpt", {"state_dict": foreign.anomalib(*originals), "epoch": 1})
    imported = import_networks(path)
    same(imported, originals)
    assert imported.architecture == foreign.ANOMALIB and imported.origin == "anomalib"
    assert imported.preprocess == Preprocess(32, 3, "imagenet") and imported.discriminator_trained
    assert any("post_processor._image_threshold" in note for note in imported.notes)
    assert import_networks(path, normalisation="half").preprocess.normalisation == "half"


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "generator."])
@pytest.mark.parametrize("zipped", [True, False])
def test_the_other_ways_to_save_the_same(
    tmp_path: Path, wrap: Callable[[Content], Content], prefix: str, zipped: bool
) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in net_g().items()}
    path = written(tmp_path / "g.pth", wrap(state), _use_new_zipfile_serialization=zipped)
    same(import_networks(path), foreign.networks(foreign.AUTHORS)[:1])


def test_parallel_inside_the_encoders_is_undone(tmp_path: Path) -> None:
    state = {name.replace(".main.", ".module.main."): tensor for name, tensor in net_g().items()}
    same(import_networks(written(tmp_path / "g.pth", state)), foreign.networks(foreign.AUTHORS)[:1])


def test_without_a_discriminator_a_fresh_one_is_told_of_and_repeats(tmp_path: Path) -> None:
    path = written(tmp_path / "g.pth", net_g())
    before = torch.get_rng_state()
    first, second = import_networks(path), import_networks(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not first.discriminator_trained and any("fresh" in note for note in first.notes)
    same(second, (first.generator, first.discriminator))


def test_without_the_counters_of_newer_pytorch(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in net_g().items() if not name.endswith("num_batches_tracked")}
    imported = import_networks(written(tmp_path / "g.pth", state))
    x = torch.rand(2, 3, 32, 32)
    original = foreign.networks(foreign.AUTHORS)[0]
    assert torch.equal(imported.generator(x).code_again, original(x).code_again)


def test_half_precision_is_widened_and_told(tmp_path: Path) -> None:
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in net_g().items()}
    imported = import_networks(written(tmp_path / "g.pth", state))
    assert {p.dtype for p in imported.generator.parameters()} == {torch.float32}
    assert any("float16" in note for note in imported.notes)


def test_tensors_that_are_views_into_one_another_can_be_saved(tmp_path: Path) -> None:
    state = net_g()
    flat = torch.cat([t.flatten() for t in state.values() if t.is_floating_point()])
    at = 0
    for name, tensor in state.items():
        if tensor.is_floating_point():
            state[name] = flat[at : at + tensor.numel()].view(tensor.shape)
            at += tensor.numel()
    imported = import_networks(written(tmp_path / "g.pth", state))
    save(tmp_path / "m", imported.ganomaly(), imported.preprocess, calibration=None, training={})
    assert load(tmp_path / "m", device="cpu").info.architecture == foreign.AUTHORS.to_dict()


# ---- Nothing is run ----


class Bomb:
    """Unpickled as usual, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


class Enumlike:
    """Stands for the classes that Lightning's checkpoints hold beside tensors."""

    def __init__(self) -> None:
        self.mean = [0.485]


def test_weights_beside_other_objects_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    originals = foreign.networks(foreign.ANOMALIB)
    state: Content = foreign.anomalib(*originals)
    name = "model.generator.decoder.latent_input.initial-32-batchnorm.weight"
    state[name] = torch.nn.Parameter(state[name])
    name = "model.generator.encoder1.pyramid_features.pyramid-8-16-conv.weight"
    state[name] = state[name].to(memory_format=torch.channels_last)
    state["post_processor.extra_state"] = Bomb(marker)
    others = {"a": Bomb(marker), "b": [Enumlike(), {Enumlike()}], "callbacks": {Enumlike: torch.zeros(2)}}
    path = written(tmp_path / "model.ckpt", {"hyper_parameters": others, "state_dict": state})
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)  # or the test would not try our own reader
    imported = import_networks(path)
    assert not marker.exists()
    same(imported, originals)
    torch.load(path, weights_only=False)
    assert marker.exists()  # the bomb was live


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["root", "state", "tensor"])
def test_a_hostile_file_is_refused_and_not_run(tmp_path: Path, place: str, zipped: bool) -> None:
    marker = tmp_path / "ran"
    content: Any = {"root": Bomb(marker), "state": {"state_dict": Bomb(marker)}, "tensor": net_g()}[place]
    if place == "tensor":
        content["encoder1.main.initial-conv-3-8.weight"] = Bomb(marker)
    path = written(tmp_path / "bomb.pth", content, _use_new_zipfile_serialization=zipped)
    refused(path)
    assert not marker.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_model_is_refused_with_the_remedy(tmp_path: Path, zipped: bool) -> None:
    generator = foreign.networks(foreign.AUTHORS)[0]
    path = written(tmp_path / "model.pth", generator, _use_new_zipfile_serialization=zipped)
    message = refused(path)
    assert "models.ganomaly.Generator" in message and "torch.save(model.state_dict(), FILE)" in message


def test_a_whole_model_in_a_dictionary_is_refused_too(tmp_path: Path) -> None:
    content = {"epoch": 1, "netG": foreign.networks(foreign.AUTHORS)[0]}
    assert "models.ganomaly.Generator" in refused(written(tmp_path / "model.pth", content))


def test_a_compiled_model_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.ReLU()).save(tmp_path / "model.pt")
    assert "TorchScript" in refused(tmp_path / "model.pt")


def tampered(path: Path, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """The same archive with other contents; written so that only our own reader takes it."""
    written(path, {"x": Enumlike(), "state_dict": net_g()})
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, change(name, content))
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda n, c: c[:-4] if n.endswith("data/0") else c, "bytes"),
        (lambda n, c: c[: len(c) // 2] if n.endswith("data.pkl") else c, "cannot be read"),
        (lambda n, c: b"\x80\x02r\xff\xff\xff\x7f." if n.endswith("data.pkl") else c, "cannot be read"),
        (lambda n, c: b"big" if n.endswith("byteorder") else c, "big-endian"),
        (lambda n, c: c.replace(b"FloatStorage", b"QuietStorage") if n.endswith("data.pkl") else c, "QuietStorage"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, change: Callable[[str, bytes], bytes], told: str) -> None:
    assert told in refused(tampered(tmp_path / "g.pth", change))


@pytest.fixture(scope="module")
def lightning(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The entries of a checkpoint that only our own reader takes."""
    path = tampered(tmp_path_factory.mktemp("whole") / "g.pth", lambda _, content: content)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_to_the_pickle_is_refused_in_words_or_harmless(
    tmp_path: Path, lightning: dict[str, bytes], flips: list[tuple[int, int]]
) -> None:
    with zipfile.ZipFile(tmp_path / "g.pth", "w") as archive:
        for name, content in lightning.items():
            damaged = bytearray(content)
            if name.endswith("data.pkl"):
                for place, value in flips:
                    damaged[place % len(damaged)] = value
            archive.writestr(name, bytes(damaged))
    with suppress(CheckpointError):
        assert import_networks(tmp_path / "g.pth").architecture.size in SIZES


def test_an_untouched_archive_passes_the_same_way(tmp_path: Path) -> None:
    path = tampered(tmp_path / "g.pth", lambda _, content: content)
    same(import_networks(path), foreign.networks(foreign.AUTHORS)[:1])


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """A few bytes could become very many."""
    assert "compressed" in refused(tampered(tmp_path / "g.pth", lambda _, c: c, zipfile.ZIP_DEFLATED))


# ---- What is no such checkpoint ----


def test_missing_file(tmp_path: Path) -> None:
    assert "is not there" in refused(tmp_path / "netG.pth")
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\xff" * 64, pickle.dumps({"a": 1}), b"\x89PNG\r\n"])
def test_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    assert "expected a PyTorch checkpoint" in refused(tmp_path / "x.pth")


def test_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "g.pth", net_g())
    path.write_bytes(path.read_bytes()[:-2000])
    assert "expected a PyTorch checkpoint" in refused(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {}}, torch.zeros(3), {1: torch.zeros(3)}])
def test_a_checkpoint_of_something_else(tmp_path: Path, content: object) -> None:
    assert "expected a PyTorch checkpoint" in refused(written(tmp_path / "x.pth", content))


def test_ours_already(tmp_path: Path, ganomaly: Ganomaly) -> None:
    save(tmp_path / "m.safetensors", ganomaly, Preprocess(32, 3), calibration=None, training={})
    assert "linewatch checkpoint already" in refused(tmp_path / "m.safetensors")


def test_generator_and_discriminator_the_wrong_way_round(tmp_path: Path) -> None:
    generator, discriminator = foreign.networks(foreign.AUTHORS)
    net_g = written(tmp_path / "netG.pth", foreign.authors_generator(generator))
    net_d = written(tmp_path / "netD.pth", foreign.authors_discriminator(discriminator))
    assert "is a discriminator" in refused(net_d)
    assert "is a generator" in refused(net_g, net_g)
    lightning = written(tmp_path / "m.ckpt", foreign.anomalib(*foreign.networks(foreign.ANOMALIB)))
    assert "holds a discriminator already" in refused(lightning, net_d)


def test_a_discriminator_of_another_size(tmp_path: Path) -> None:
    net_g = written(tmp_path / "netG.pth", foreign.authors_generator(foreign.networks(foreign.AUTHORS)[0]))
    short = foreign.authors_discriminator(foreign.networks(foreign.AUTHORS)[1])
    short = {name: tensor for name, tensor in short.items() if not name.startswith(("features.8", "features.9"))}
    assert "make up the discriminator" in refused(net_g, written(tmp_path / "netD.pth", short))


def spoilt(change: str) -> foreign.State:
    state = net_g()
    last, convt = "encoder2.main.final-32-1-conv.weight", "decoder.main.pyramid-32-16-convt.weight"
    if change == "unknown":
        state["encoder1.main.skip-1.weight"] = torch.zeros(1)
    elif change == "missing":
        del state[last]
    elif change == "shape":
        state[convt] = state[convt][:, :4]
    elif change == "nan":
        state[convt][0, 0, 0, 0] = float("nan")
    elif change == "kind":
        state[last] = state[last].to(torch.int32)
    elif change == "flat":
        state["encoder1.main.initial-conv-3-8.weight"] = torch.zeros(8)
    elif change == "no names":
        state = {f"layer{i}": tensor for i, tensor in enumerate(state.values())}
    elif change == "48":
        state["encoder1.main.final-32-1-conv.weight"] = torch.zeros(16, 32, 6, 6)
    elif change == "16":
        state = {name: tensor for name, tensor in state.items() if not name.endswith("pyramid-16-32-conv.weight")}
    elif change == "twice":
        state |= {f"module.{last}": state[last]}
    elif change == "two generators":
        state |= {f"other.{name}": tensor for name, tensor in state.items()}
    return state


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("unknown", "1 unknown ['encoder1.main.skip-1.weight']"),
        ("missing", "1 missing ['encoder2.main.final-32-1-conv.weight']"),
        ("shape", "[32, 4, 4, 4], expected torch.float32 [32, 16, 4, 4]"),
        ("nan", "decoder.main.pyramid-32-16-convt.weight holds values that are no numbers"),
        ("kind", "int32"),
        ("flat", "[[8]]"),
        ("no names", "no generator but ['layer0'"),
        ("48", "size is 48"),
        ("16", "size is 16"),
        ("twice", "twice"),
        ("two generators", "generators at ['', 'other.']"),
    ],
)
def test_networks_that_are_no_ganomaly(tmp_path: Path, change: str, told: str) -> None:
    assert told in refused(written(tmp_path / "netG.pth", spoilt(change)))


def test_sizes_that_are_no_power_of_two_say_so(tmp_path: Path) -> None:
    assert "must be a power of two" in refused(written(tmp_path / "netG.pth", spoilt("48")))


def test_anomalib_of_a_size_that_it_padded(tmp_path: Path) -> None:
    content = {"state_dict": foreign.anomalib(*foreign.networks(foreign.ANOMALIB))}
    path = written(tmp_path / "m.ckpt", content | {"hyper_parameters": {"input_size": [24, 24]}})
    assert "24 x 24 px" in refused(path) and "power of two" in refused(path)
    assert import_networks(written(path, content | {"hyper_parameters": {"input_size": (32, 32)}}))


def test_anomalib_with_extra_layers_would_score_otherwise(tmp_path: Path) -> None:
    """Its decoder has another activation behind them; loaded silently, every score would be wrong."""
    layer = "extra_layers.extra-layers-0-8-conv.weight"
    state = foreign.anomalib(*foreign.networks(foreign.ANOMALIB))
    state |= {
        f"model.generator.{part}.{layer}": torch.zeros(8, 8, 3, 3) for part in ("encoder1", "decoder", "encoder2")
    }
    assert "LeakyReLU" in refused(written(tmp_path / "m.ckpt", {"state_dict": state}))


def test_anomalib_with_something_else_inside(tmp_path: Path) -> None:
    state = foreign.anomalib(*foreign.networks(foreign.ANOMALIB)) | {"model.teacher.weight": torch.zeros(1)}
    assert "1 unknown tensors ['model.teacher.weight']" in refused(written(tmp_path / "m.ckpt", {"state_dict": state}))


def test_imagenet_needs_colour(tmp_path: Path) -> None:
    state = net_g()
    for encoder in ("encoder1", "encoder2"):
        state[f"{encoder}.main.initial-conv-1-8.weight"] = state.pop(f"{encoder}.main.initial-conv-3-8.weight")[:, :1]
    state["decoder.main.final-8-1-convt.weight"] = state.pop("decoder.main.final-8-3-convt.weight")[:, :1]
    path = written(tmp_path / "g.pth", state)
    assert import_networks(path).preprocess == Preprocess(32, 1)
    with pytest.raises(ValueError, match="choose 'half'"):
        import_networks(path, normalisation="imagenet")
