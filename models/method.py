"""The port of a training: what is learned, and how a picture is judged by it.

A method is one of the ways to say how far a picture is from normal: GANomaly, and those it is measured
against. Each is one file in models/methods. The training loop, the checkpoint, the scorer and the
commands know methods only through this class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from models.ganomaly import Architecture
from models.losses import NORMS, Norm, Weights


@dataclass(frozen=True)
class Learning:
    """How to step. lr: None for the method's own. betas: of every Adam. weights: of the generator's
    losses, where the method has those three. bf16: convolutions in bfloat16."""

    lr: float | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    weights: Weights = field(default_factory=Weights)
    bf16: bool = False


class Pictures(Protocol):
    """Many pictures, of which parts become tensors: float32 [n, C, S, S] in [-1, 1] where the networks are."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice | list[int]) -> Tensor: ...


class Method(nn.Module, ABC):
    """Networks with their training step and their score.

    Everything that scoring needs is a parameter or a buffer of fixed shape, given by arch alone: the
    state dict is the checkpoint, and its keys are part of the file's format.

    Pictures are float32 [B, C, S, S] in [-1, 1], on the device where the networks are.

    name: as the command line and the checkpoint call it; title: for people. size: side of the picture in pixels, nz,
    ngf, lr: what the method's paper uses, taken where nobody says otherwise. average: decay of the moving average that
    belongs to the method, 0 where its paper has none. line_lr, line_batch, line_average: what learns most in
    minutes on small hardware; lr None for the paper's. averaged: submodules of whose weights a moving average may be
    kept. steps: False for a method that learns all at once, in `settle`. chunk: the most pictures that are scored at
    once on a CPU. packs: the precisions in which its networks may be packed for scoring (models/packed.py), which also
    says that several threads may score at the same time.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    size: ClassVar[int] = 64
    nz: ClassVar[int] = 100
    ngf: ClassVar[int] = 64
    lr: ClassVar[float] = 2e-4
    averaged: ClassVar[tuple[str, ...]] = ()
    average: ClassVar[float] = 0.0
    line_lr: ClassVar[float | None] = None
    line_batch: ClassVar[int] = 16
    line_average: ClassVar[float] = 0.99
    steps: ClassVar[bool] = True
    chunk: ClassVar[int] = 8
    packs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        """Builds the networks, initialised; the parameters and buffers are all that is saved.
        norm: how a distance is measured where the method's paper leaves it open."""
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"score norm is {norm!r}: choose one of {', '.join(NORMS)}")
        self.arch, self.norm = arch, norm
        self.learning = Learning()
        self.resets = 0

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        """Called once before the first step, with the networks where they stay: make the optimisers
        and return them by name, so that a training can be resumed."""
        self.learning = learning
        return {}

    def adam(self, parameters: Iterable[nn.Parameter]) -> Adam:
        """The optimiser that `begin` was told of, over these."""
        return Adam(parameters, self._lr, self.learning.betas, fused=True)

    @property
    def _lr(self) -> float:
        return self.lr if self.learning.lr is None else self.learning.lr

    def step(self, x: Tensor) -> dict[str, float]:
        """One update of everything from one batch; the losses by name, as they were before it.
        The first of them is the one a person watches. Sets the modes it needs (train)."""
        raise NotImplementedError(f"{self.name} learns all at once")

    def settle(self, normal: Pictures, held_out: Pictures) -> Tensor | None:
        """Called once after the last step with the best weights, in eval mode and without gradients: measure what
        scoring needs beyond weights. normal: the training pictures, held_out: the normal ones left out of the steps.
        Both may be many: go through them in parts.

        A method that here learns from the held-out pictures too returns scores of theirs from before it had: what
        unseen normal pictures would have. The threshold is drawn above these. None: they can be scored as they are."""
        return None

    @abstractmethod
    def loss(self, x: Tensor) -> Tensor:
        """A number that says how well unseen normal pictures are explained, the mean over x: the
        weights with the least of it are kept. Eval mode, no gradients."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """[B], float32, >= 0: the higher, the less normal. Eval mode, no gradients (a method that needs
        them turns them on itself). A picture's score must not depend on the others."""

    def warm_up(self, x: Tensor) -> None:
        """Run once all that a score runs, so that the first real picture does not pay for building kernels."""
        self.score(x)

    @abstractmethod
    def rebuild(self, x: Tensor) -> Tensor:
        """[B, C, S, S] in [-1, 1]: what the method makes of a picture that it takes for normal."""

    def heat(self, x: Tensor) -> Tensor:
        """[B, S, S], >= 0: where a picture is not normal. Here the gap to its reconstruction."""
        return (x - self.rebuild(x)).abs().mean(1)

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """[B, F]: what the method sees in a picture, to be drawn; the discriminator's features where there is one."""
