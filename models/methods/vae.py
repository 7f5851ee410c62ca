"""A variational autoencoder (Kingma and Welling 2014) as a judge of pictures (An and Cho 2015).

An and Cho, "Variational autoencoder based anomaly detection using reconstruction probability", SNU Data
Mining Center 2015. Exact: a Gaussian encoder, the loss -ELBO = E[-log p(x|z)] + β KL(q(z|x) || N(0, I)),
and both of its parts summed over all that they are of, so that they stand in the proportion of the theory.
Chosen by us: GANomaly's encoder, with 2 nz outputs, and decoder; p(x|z) Gaussian with a fixed σ, whose
constant is left out, so that no score is negative; and for scoring one pass with z = μ in place of samples,
so that a score leaves nothing to chance.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from models.ganomaly import Architecture, Decoder, Encoder, initialise
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast

BETA = 1.0
SIGMA = 0.1  # of a pixel in [-1, 1] around what the decoder says: with 1, the whole range, most codes carry nothing
FARTHEST = 20.0  # |log variance| of a code, at most: what no training reaches, but a broken picture may


class _Terms(NamedTuple):
    """Of each picture [B], in nats."""

    recon: Tensor
    kl: Tensor


class Vae(Method):
    """Score: -ELBO per pixel. The likelihood says how a distance is measured: norm changes nothing."""

    name: ClassVar[str] = "vae"
    title: ClassVar[str] = "Variational autoencoder"
    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.encoder = Encoder(arch, nz=2 * arch.nz)
        self.decoder = Decoder(arch)
        self.apply(initialise)

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self.optimiser = self.adam(self.parameters())
        return {"autoencoder": self.optimiser}

    def step(self, x: Tensor) -> dict[str, float]:
        self.train()
        # Drawn on the CPU, whose random state a resumed training takes up again.
        noise = torch.randn(len(x), self.arch.nz, 1, 1).to(x.device)
        with autocast(x.device, self.learning.bf16):
            mean, log_variance = self._encode(x)
            z = mean + noise * (log_variance / 2).exp()
            rebuilt = self.decoder(z)
        terms = _terms(x, rebuilt.float(), mean, log_variance)
        recon, kl = (term.mean() / x[0].numel() for term in terms)
        total = recon + BETA * kl
        self.optimiser.zero_grad()
        torch.autograd.backward(total)
        self.optimiser.step()
        return {"negative_elbo": total.item(), "recon": recon.item(), "kl": kl.item()}

    def loss(self, x: Tensor) -> Tensor:
        return self.score(x).mean()

    def score(self, x: Tensor) -> Tensor:
        mean, log_variance = self._encode(x)
        terms = _terms(x, self.decoder(mean).float(), mean, log_variance)
        return (terms.recon + BETA * terms.kl) / x[0].numel()

    def rebuild(self, x: Tensor) -> Tensor:
        rebuilt: Tensor = self.decoder(self._encode(x)[0]).float()
        return rebuilt

    def features(self, x: Tensor) -> Tensor:
        """The mean of the code."""
        return self._encode(x)[0].flatten(1)

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), [B, nz, 1, 1] each, float32."""
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-FARTHEST, FARTHEST)


def _terms(x: Tensor, rebuilt: Tensor, mean: Tensor, log_variance: Tensor) -> _Terms:
    recon = (x - rebuilt).square().sum((1, 2, 3)) / (2 * SIGMA**2)
    # In closed form; each summand is >= 0.
    kl = (mean.square() + torch.expm1(log_variance) - log_variance).sum((1, 2, 3)) / 2
    return _Terms(recon, kl)
