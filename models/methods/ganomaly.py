"""GANomaly (Akcay, Atapour-Abarghouei, Breckon, 2018; arXiv 1805.06725) as a method: the networks of
models/ganomaly.py, the step of models/step.py, and the distance between the two codes as the score."""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar

from torch import Tensor
from torch.optim import Optimizer

from models import losses
from models.ganomaly import Architecture, Discriminator, Generated, Generator
from models.losses import Norm, code_distance
from models.method import Learning, Method
from models.step import Step


class Ganomaly(Method):
    """The paper's, exact. A moving average of the generator may be kept (see average.py); it changes what is kept at
    the end and no step."""

    name: ClassVar[str] = "ganomaly"
    title: ClassVar[str] = "GANomaly"
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    packs: ClassVar[tuple[str, ...]] = ("fp32", "bf16")

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.generator, self.discriminator = Generator(arch), Discriminator(arch)
        self._step: Step | None = None

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self._step = Step(
            self.generator,
            self.discriminator,
            lr=self._lr,
            betas=learning.betas,
            weights=learning.weights,
            bf16=learning.bf16,
        )
        return {"generator": self._step.optimiser_g, "discriminator": self._step.optimiser_d}

    def step(self, x: Tensor) -> dict[str, float]:
        assert self._step is not None, "begin comes first"
        made = asdict(self._step(x))
        self.resets += made.pop("d_reset")
        # The generator's sum first: it is the one to watch.
        return {name: made[name] for name in ("generator", "adv", "con", "enc", "discriminator")}

    def loss(self, x: Tensor) -> Tensor:
        """The weighted L_con + L_enc. These two are what the score is made of, and their scale does not move; L_adv is
        measured by a discriminator that changes with every step."""
        made = self._made(x)
        con = losses.contextual(x, made.rebuilt.float())
        enc = losses.encoding(made.code.float(), made.code_again.float())
        return self.learning.weights.con * con + self.learning.weights.enc * enc

    def score(self, x: Tensor) -> Tensor:
        made = self._made(x)
        return code_distance(made.code, made.code_again, self.norm)

    def rebuild(self, x: Tensor) -> Tensor:
        return self._made(x).rebuilt.float()

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.discriminator(x).features
        return features.flatten(1).float()

    def _made(self, x: Tensor) -> Generated:
        made: Generated = self.generator(x)
        return made
