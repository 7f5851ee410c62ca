"""Networks from checkpoints of the authors' code and of anomalib, with the same scores.

What the tensors do not tell follows from how they are named. The authors pad the first convolution by 1 and show
pictures in [-1, 1]; anomalib pads it by 4 and normalises with ImageNet's figures. Weights with the wrong padding
load without complaint and score wrongly, so both are recorded in our checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.foreign_names import Origin, discriminator_names, generator_names
from models.ganomaly import Architecture, Discriminator, Generator
from models.losses import Norm
from models.methods.ganomaly import Ganomaly
from models.pickled import read_pickled
from models.preprocess import Normalisation, Preprocess
from models.tensorfile import CheckpointError

WRAPPERS = {"module", "_orig_mod"}  # DataParallel and torch.compile put these into every name
COUNTER = "num_batches_tracked"  # no part of the computing; PyTorch before 0.4.1 did not have it
USUAL: dict[Origin, tuple[int, Normalisation]] = {"authors": (1, "half"), "anomalib": (4, "imagenet")}
EXPECTED = (
    "expected the names of the authors' code (encoder1.main.initial-conv-...) or of anomalib "
    "(model.generator.encoder1.input_layers.initial-conv-...)"
)


@dataclass(frozen=True)
class Imported:
    """Networks in eval mode on the CPU. discriminator_trained: False where the file held none and it is a fresh one.
    notes: what a person should know, a sentence each."""

    origin: Origin
    generator: Generator
    discriminator: Discriminator
    discriminator_trained: bool
    architecture: Architecture
    preprocess: Preprocess
    notes: tuple[str, ...]

    def ganomaly(self, norm: Norm = "squared") -> Ganomaly:
        """The same networks as the method that is saved and scored with."""
        with torch.device("meta"):
            made = Ganomaly(self.architecture, norm)
        made.generator, made.discriminator = self.generator, self.discriminator
        return made.eval()


def import_networks(
    path: Path, discriminator: Path | None = None, normalisation: Normalisation | None = None
) -> Imported:
    """The networks of netG.pth (with netD.pth as `discriminator`, or without) or of anomalib's model.ckpt.

    normalisation: None for what that implementation uses. No code from the files is run. CheckpointError where a file
    is no such checkpoint, does not fit together, or holds no numbers; ValueError where normalisation does not fit.
    """
    pickled = read_pickled(path)
    theirs, judging, aside = _parted(path, _unwrapped(path, pickled.state))
    origin: Origin = "authors" if any(name.startswith("encoder1.main.") for name in theirs) else "anomalib"
    padding, usual = USUAL[origin]
    arch = _architecture(path, theirs, padding)
    _check_settings(path, arch, pickled.settings)
    if origin == "anomalib" and arch.extra_layers:
        raise CheckpointError(
            f"{path}: has {arch.extra_layers} extra layers, behind which anomalib's decoder has LeakyReLU where the "
            "paper's has ReLU: its scores cannot be reproduced; train anew with `linewatch train`"
        )
    preprocess = Preprocess(arch.size, arch.channels, normalisation or usual)
    whose = "weights of the authors' code" if origin == "authors" else "weights of anomalib"
    asked = "" if preprocess.normalisation == usual else f", as asked for (there usually {usual!r})"
    notes = [
        f"{whose}: first convolution padded by {padding}, pictures normalised as {preprocess.normalisation!r}{asked}"
    ]
    with torch.device("meta"):  # no memory, and no time spent on an initialisation
        generator, judge = Generator(arch), Discriminator(arch)
    notes += _fill(path, "generator", generator, theirs, generator_names(arch, origin, generator.state_dict()))
    if aside:
        notes.append(f"left aside: {len(aside)} tensors that belong to no network ({', '.join(aside[:3])}, ...)")

    if judging and discriminator is not None:
        raise CheckpointError(f"{path}: holds a discriminator already: leave {discriminator} out")
    if discriminator is not None:
        judging = _discriminator_state(discriminator)
    if judging:
        names = discriminator_names(arch, judge.state_dict())
        notes += _fill(discriminator or path, "discriminator", judge, judging, names)
    else:
        judge = _fresh(arch)
        notes.append(
            "no discriminator: a fresh one is in its place, which changes no score; features drawn from it mean nothing"
        )
    for network in (generator, judge):
        network.eval().requires_grad_(False)
    return Imported(origin, generator, judge, bool(judging), arch, preprocess, tuple(notes))


def _unwrapped(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for name, tensor in state.items():
        plain = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if plain in made:
            raise CheckpointError(f"{path}: holds {plain} twice, once as {name}: {EXPECTED}")
        made[plain] = tensor
    return made


def _parted(path: Path, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """The generator's tensors and the discriminator's by their own names, and the names of what belongs to neither."""
    prefixes = {name[: found.start(2)] for name in state if (found := re.search(r"(^|\.)(encoder1\.)", name))}
    if not prefixes and any(name.startswith("classifier.0.") for name in state):
        raise CheckpointError(
            f"{path}: is a discriminator (netD): give the generator (netG) first, and this one as --discriminator"
        )
    if len(prefixes) != 1:
        held = f"generators at {sorted(prefixes)}" if prefixes else f"no generator but {sorted(state)[:3]}"
        raise CheckpointError(f"{path}: holds {held}: {EXPECTED}")
    prefix = prefixes.pop()
    if not prefix.endswith("generator."):
        return _under(state, prefix), {}, [name for name in state if not name.startswith(prefix)]
    model = prefix.removesuffix("generator.")
    aside = sorted(name for name in state if not name.startswith((prefix, f"{model}discriminator.")))
    strange = [name for name in aside if name.startswith(model)]
    if strange:
        raise CheckpointError(f"{path}: {len(strange)} unknown tensors {strange[:3]}: {EXPECTED}")
    return _under(state, prefix), _under(state, f"{model}discriminator."), aside


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _architecture(path: Path, state: Mapping[str, Tensor], padding: int) -> Architecture:
    """From the first encoder's layers: how many there are, and the shapes of the first and the last."""
    first = _the_one(path, state, r"encoder1\.(main|input_layers)\.initial-conv-\d+-\d+\.weight")
    last = _the_one(path, state, r"encoder1\.(main\.final-\d+-1-conv|final_conv_layer)\.weight")
    levels = len(_matching(state, r"encoder1\.(main|pyramid_features)\.pyramid-\d+-\d+-conv\.weight"))
    extra = len(_matching(state, r"encoder1\.(main|extra_layers)\.extra-layers-\d+-\d+-conv\.weight"))
    # The last convolution covers the whole of the last map, which all before it have halved.
    size = last.shape[2] * 2 ** (levels + 1)
    try:
        return Architecture(size, first.shape[1], last.shape[0], first.shape[0], extra, padding)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: its encoder halves {levels + 1} times and ends with a {last.shape[2]}x{last.shape[3]} "
            f"convolution: {error}"
        ) from error


def _matching(state: Mapping[str, Tensor], pattern: str) -> list[Tensor]:
    return [tensor for name, tensor in state.items() if re.fullmatch(pattern, name)]


def _the_one(path: Path, state: Mapping[str, Tensor], pattern: str) -> Tensor:
    found = _matching(state, pattern)
    if len(found) != 1 or found[0].ndim != 4:
        shapes = [list(tensor.shape) for tensor in found]
        raise CheckpointError(f"{path}: {len(found)} tensors {shapes} named {pattern}, expected one [o, i, h, w]")
    return found[0]


def _check_settings(path: Path, arch: Architecture, settings: Mapping[str, Any]) -> None:
    """anomalib pads pictures of other sizes up to the next power of two, and the tensors do not tell."""
    size = settings.get("input_size")
    sides = [size] if isinstance(size, int) else list(size) if isinstance(size, list | tuple) else []
    if any(side != arch.size for side in sides):
        raise CheckpointError(
            f"{path}: was trained on pictures of {' x '.join(map(str, sides))} px, its networks are made for "
            f"{arch.size} x {arch.size}: expected a square whose side is a power of two; train anew at {arch.size}"
        )


def _fill(
    path: Path, what: str, network: nn.Module, theirs: Mapping[str, Tensor], names: Mapping[str, str]
) -> list[str]:
    """Give the network (on the meta device) their tensors; returns notes."""
    expected = network.state_dict()
    missing = [n for own, n in names.items() if n not in theirs and not own.endswith(COUNTER)]
    unknown = sorted(set(theirs) - set(names.values()))
    if missing or unknown:
        raise CheckpointError(
            f"{path}: its tensors do not make up the {what} of a GANomaly: {len(missing)} missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    state: dict[str, Tensor] = {}
    converted = set()
    for own, name in names.items():
        want = expected[own]
        tensor = theirs.get(name, torch.zeros((), dtype=torch.int64))
        if tensor.shape != want.shape or tensor.is_floating_point() != want.is_floating_point():
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype} {list(tensor.shape)}, expected {want.dtype} {list(want.shape)}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name} holds values that are no numbers: the training had gone wrong")
        if tensor.dtype != want.dtype:
            converted.add(str(tensor.dtype).removeprefix("torch."))
        # A copy of its own: theirs may be views into one another, which safetensors does not write.
        state[own] = torch.empty(want.shape, dtype=want.dtype).copy_(tensor)
    network.load_state_dict(state, assign=True)
    return [f"the {what}'s weights were {', '.join(sorted(converted))} and are now float32"] if converted else []


def _discriminator_state(path: Path) -> dict[str, Tensor]:
    state = _unwrapped(path, read_pickled(path).state)
    if any(name.startswith("encoder1.") for name in state):
        raise CheckpointError(f"{path}: is a generator (netG): --discriminator expects the discriminator (netD)")
    return state


def _fresh(arch: Architecture) -> Discriminator:
    """Initialised as the authors do, and the same each time: importing twice gives the same model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Discriminator(arch)
