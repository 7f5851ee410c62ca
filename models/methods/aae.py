"""An adversarial autoencoder (Makhzani, Shlens, Jaitly, Goodfellow, Frey 2015; arXiv 1511.05644).

    x ──encoder──> z ──decoder──> x̂,    a discriminator tells z ~ N(0, I) from z = E(x)

Exact: the discriminator sees codes, not pictures; samples of the prior are its real ones and the codes its
fake ones; it is an MLP with two hidden layers of 1000 ReLUs, as in the paper's MNIST networks. Chosen by us:
GANomaly's encoder and decoder with its optimiser and initialisation; a deterministic encoder, the first of
the paper's three; both of the paper's phases in one update with L_G = 0.001 BCE + 0.999 L1, the proportion
that is usual; the reconstruction error as the score, since the paper has none.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer

from models import losses
from models.ganomaly import Architecture, Decoder, Encoder, initialise
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast

ADVERSARIAL, CONTEXTUAL = 0.001, 0.999
HIDDEN = 1000


class Aae(Method):
    """Score: the mean of (x - x̂)², or of |x - x̂|."""

    name: ClassVar[str] = "aae"
    title: ClassVar[str] = "Adversarial autoencoder"
    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.encoder = Encoder(arch)
        self.decoder = Decoder(arch)
        self.discriminator = CodeDiscriminator(arch.nz)
        self.apply(initialise)

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self._generating = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimiser_g = self.adam(self._generating)
        self.optimiser_d = self.adam(self.discriminator.parameters())
        return {"autoencoder": self.optimiser_g, "discriminator": self.optimiser_d}

    def step(self, x: Tensor) -> dict[str, float]:
        self.train()
        # Drawn on the CPU, whose random state a resumed training takes up again.
        prior = torch.randn(len(x), self.arch.nz).to(x.device)
        with autocast(x.device, self.learning.bf16):
            code = self.encoder(x)
            rebuilt = self.decoder(code)
            fake = self.discriminator(code.flatten(1))
            real = self.discriminator(prior)
        con = losses.contextual(x, rebuilt.float())
        adv = binary_cross_entropy_with_logits(fake.float(), torch.ones_like(fake, dtype=torch.float32))
        loss_g = ADVERSARIAL * adv + CONTEXTUAL * con
        loss_d = losses.discriminator(real.float(), fake.float())

        self.optimiser_g.zero_grad()
        torch.autograd.backward(loss_g, inputs=self._generating, retain_graph=True)
        # Only the discriminator's own parameters get this gradient: the same as detaching the codes.
        self.optimiser_d.zero_grad()
        torch.autograd.backward(loss_d, inputs=list(self.discriminator.parameters()))
        self.optimiser_g.step()
        self.optimiser_d.step()
        return {"con": con.item(), "adv": adv.item(), "discriminator": loss_d.item()}

    def loss(self, x: Tensor) -> Tensor:
        return losses.contextual(x, self.rebuild(x))

    def score(self, x: Tensor) -> Tensor:
        return losses.code_distance(x, self.rebuild(x), self.norm)

    def rebuild(self, x: Tensor) -> Tensor:
        rebuilt: Tensor = self.decoder(self.encoder(x)).float()
        return rebuilt

    def features(self, x: Tensor) -> Tensor:
        """The discriminator's last hidden layer, [B, HIDDEN]."""
        hidden: Tensor = self.discriminator.features(self.encoder(x).flatten(1))
        return hidden.float()


class CodeDiscriminator(nn.Module):
    """Codes [B, nz] to the logit of P(drawn from the prior), [B]."""

    def __init__(self, nz: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(nz, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(inplace=True)
        )
        self.last = nn.Linear(HIDDEN, 1)

    def forward(self, z: Tensor) -> Tensor:
        logit: Tensor = self.last(self.features(z))
        return logit.flatten()
