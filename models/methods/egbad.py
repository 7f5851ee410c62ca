"""EGBAD (Zenati, Foo, Lecouat, Manek, Chandrasekhar, 2018; arXiv 1802.06222): a BiGAN finds anomalies.

    x ──E──> E(x)      z ──G──> G(z)      D tells the pairs (x, E(x)) and (G(z), z) apart

Where D can no longer, E is the inverse of G, and a normal picture is drawn again from its code at once: no search as
in AnoGAN. Nothing asks for |x - G(E(x))| to be small, that must come of itself.

As in the paper and the authors' code: z is normal with 200 numbers; D, then G and E, each with the GAN loss that does
not saturate; Adam with 1e-5 and β1 0.5; averaged weights (0.999) when scoring; D joins what it makes of the picture
with a layer of 512 on z, then a layer f of 1024, then one number, with LeakyReLU(0.1) and half of f and of the layer
on z dropped while training; all weights begin N(0, 0.02). The score, with sums:

    0.9 · Σ|x - G(E(x))| + 0.1 · Σ|f(x, E(x)) - f(G(E(x)), E(x))|

Chosen by us: E, G and the picture's side of D are GANomaly's encoder and decoder, because the authors' are for 28 px
only; D's makes 512 numbers of the picture. G and E learn from the same pictures as D in a step, where the authors
draw others. A discriminator that has collapsed is begun anew as in GANomaly.

The paper's learning rate is for some hundred thousand steps. A training of minutes learns nothing with it, and little
with a hundred times as much (then without an average, which trails behind for a thousand steps).
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer

from models import losses
from models.ganomaly import INIT_STD, Architecture, Decoder, Encoder, initialise
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast
from models.step import begun_anew

SIDE, JOINT = 512, 1024  # lengths of what D makes of either half, and of both
SLOPE = 0.1  # of the LeakyReLU where D joins the two
RESIDUAL, FEATURES = 0.9, 0.1  # shares of the score


class Judged(NamedTuple):
    """P(the picture is real) before the sigmoid [B], f [B, 1024]."""

    logit: Tensor
    features: Tensor


class PairDiscriminator(nn.Module):
    """D(x, z): is z the code of the real picture x, or x made of z?"""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.picture = nn.Sequential(Encoder(arch, nz=SIDE), nn.Flatten(), nn.LeakyReLU(SLOPE))
        self.code = nn.Sequential(nn.Flatten(), nn.Linear(arch.nz, SIDE), nn.LeakyReLU(SLOPE), nn.Dropout(0.5))
        self.joint = nn.Sequential(nn.Linear(2 * SIDE, JOINT), nn.LeakyReLU(SLOPE), nn.Dropout(0.5))
        self.last = nn.Linear(JOINT, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor, z: Tensor) -> Judged:
        """x [B, C, S, S], z [B, nz, 1, 1]."""
        features = self.joint(torch.cat([self.picture(x), self.code(z)], 1))
        return Judged(self.last(features).flatten(), features)


class Egbad(Method):
    """A score costs one pass through E and G and two through D. In the beginning D is the stronger one by far: scores
    mean nothing before its loss has come up again."""

    name: ClassVar[str] = "egbad"
    title: ClassVar[str] = "EGBAD"
    line_lr: ClassVar[float] = 5e-4
    line_average: ClassVar[float] = 0.0
    nz: ClassVar[int] = 200
    lr: ClassVar[float] = 1e-5
    averaged: ClassVar[tuple[str, ...]] = ("encoder", "generator", "discriminator")
    average: ClassVar[float] = 0.999

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.encoder, self.generator = Encoder(arch), Decoder(arch)
        self.encoder.apply(initialise)
        self.generator.apply(initialise)
        self.discriminator = PairDiscriminator(arch)

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        # Adam treats every weight by itself: one of it for both networks is the same as one each.
        self._optimiser_g = self.adam(self._makers())
        self._optimiser_d = self.adam(self.discriminator.parameters())
        return {"generator": self._optimiser_g, "discriminator": self._optimiser_d}

    def step(self, x: Tensor) -> dict[str, float]:
        self.train()
        # Drawn on the CPU, whose random state a resumed training takes up again.
        z = torch.randn(len(x), self.arch.nz, 1, 1).to(x.device)
        with autocast(x.device, self.learning.bf16):
            code, made = self.encoder(x), self.generator(z)
            real, fake = self.discriminator(x, code.detach()).logit, self.discriminator(made.detach(), z).logit
        loss_d = losses.discriminator(real.float(), fake.float())
        self._optimiser_d.zero_grad()
        torch.autograd.backward(loss_d, inputs=list(self.discriminator.parameters()))
        self._optimiser_d.step()

        # Now each wants its pair to be taken for the other kind.
        with autocast(x.device, self.learning.bf16):
            real = self.discriminator(x, code).logit.float()
            fake = self.discriminator(made, z).logit.float()
        loss_g = binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
        loss_e = binary_cross_entropy_with_logits(real, torch.zeros_like(real))
        self._optimiser_g.zero_grad()
        torch.autograd.backward(loss_g + loss_e, inputs=self._makers())
        self._optimiser_g.step()

        self.resets += begun_anew(self.discriminator, loss_d, _initialise)
        return {"generator": loss_g.item(), "encoder": loss_e.item(), "discriminator": loss_d.item()}

    def loss(self, x: Tensor) -> Tensor:
        """Mean |x - G(E(x))|: the greater part of the score, and the one whose scale does not move while D learns."""
        return losses.contextual(x, self.rebuild(x))

    def score(self, x: Tensor) -> Tensor:
        code = self.encoder(x)
        made: Tensor = self.generator(code)
        residual = (x - made.float()).abs().flatten(1).sum(1)
        features: Tensor = self.discriminator(x, code).features
        again: Tensor = self.discriminator(made, code).features
        return RESIDUAL * residual + FEATURES * (features.float() - again.float()).abs().sum(1)

    def rebuild(self, x: Tensor) -> Tensor:
        made: Tensor = self.generator(self.encoder(x))
        return made.float()

    def features(self, x: Tensor) -> Tensor:
        """f of the picture and its code."""
        features: Tensor = self.discriminator(x, self.encoder(x)).features
        return features.float()

    def _makers(self) -> list[nn.Parameter]:
        return [*self.encoder.parameters(), *self.generator.parameters()]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, INIT_STD)
        nn.init.zeros_(module.bias)
    else:
        initialise(module)
