"""Skip-GANomaly (Akcay, Atapour-Abarghouei, Breckon, 2019; arXiv 1901.08954).

A U-Net rebuilds the picture: what every level of the encoder sees also goes straight to the decoder's level of the
same size. Its rival D makes nz features of a picture, and of those the probability that it is real.

    L_G = 1 · BCE(D(x̂), 1) + 50 · mean|x - x̂| + 1 · mean (f(x) - f(x̂))²
    L_D = BCE(D(x), 1) + BCE(D(x̂), 0) + mean (f(x) - f(x̂))²
    score = 0.9 · mean (x - x̂)² + 0.1 · mean (f(x) - f(x̂))²

As in the paper and the authors' code: the U-Net halves the picture until one pixel is left (log2 S times), with ngf,
2, 4, 8 and then always 8 ngf channels, batch norm but for the first and the innermost level, tanh at the end; D is
GANomaly's pyramid; Adam 2e-4; both networks learn from the same passes, the generator first; a collapsed D is begun
anew.

Chosen by us: where the paper says 40 for L1 and the authors' code 50, the weight is 50, which is also what the
training settings say unless told otherwise (weights.adv, .con and .enc are the three). The last term of L_D is only
in the authors' code; it stays, because without it D's features drift apart without bound, their distance outweighs
L1 by far, and the generator learns nothing. D's classifier is 1x1, for it sees a single pixel: of the authors' 3x3
only the centre ever counts.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
from torch.optim import Optimizer

from models import losses
from models.ganomaly import SLOPE, Architecture, Encoder, Judged, initialise
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast
from models.step import begun_anew

RESIDUAL, FEATURES = 0.9, 0.1  # shares of the score


class SkipGenerator(nn.Module):
    """[B, C, S, S] -> [B, C, S, S] in [-1, 1]. The innermost map is one pixel, which a batch of one picture could
    not be normed over: it has no batch norm."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        levels = arch.size.bit_length() - 1
        widths = [arch.ngf * min(2**level, 8) for level in range(levels)]
        self.down = nn.ModuleList([nn.Conv2d(arch.channels, widths[0], 4, 2, 1, bias=False)])
        for level in range(1, levels):  # [B, c, s, s] -> [B, 2c, s/2, s/2], down to 1x1
            convolution = nn.Conv2d(widths[level - 1], widths[level], 4, 2, 1, bias=False)
            norm = [nn.BatchNorm2d(widths[level])] if level < levels - 1 else []
            self.down.append(nn.Sequential(nn.LeakyReLU(SLOPE), convolution, *norm))
        self.up = nn.ModuleList()
        for level in range(levels - 1, 0, -1):  # joined with the map of the same size on the way down
            into = widths[level] if level == levels - 1 else 2 * widths[level]
            convolution_t = nn.ConvTranspose2d(into, widths[level - 1], 4, 2, 1, bias=False)
            self.up.append(nn.Sequential(nn.ReLU(), convolution_t, nn.BatchNorm2d(widths[level - 1])))
        last = nn.ConvTranspose2d(2 * widths[0], arch.channels, 4, 2, 1, bias=False)
        self.up.append(nn.Sequential(nn.ReLU(), last, nn.Tanh()))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for down in self.down:
            x = down(x)
            seen.append(x)
        seen.pop()
        for up in self.up:
            x = up(x)
            if seen:
                x = torch.cat([seen.pop(), x], 1)
        return x


class SkipDiscriminator(nn.Module):
    """The features are the code [B, nz, 1, 1] of an encoder, the probability is drawn from them."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.encoder = Encoder(arch)
        self.classifier = nn.Conv2d(arch.nz, 1, 1, bias=False)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Judged:
        features = self.encoder(x)
        return Judged(self.classifier(features).flatten(), features)


class SkipGanomaly(Method):
    """A score costs one pass through the U-Net and two through D."""

    name: ClassVar[str] = "skip-ganomaly"
    title: ClassVar[str] = "Skip-GANomaly"
    line_lr: ClassVar[float] = 1e-3
    averaged: ClassVar[tuple[str, ...]] = ("generator",)

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.generator, self.discriminator = SkipGenerator(arch), SkipDiscriminator(arch)

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self._optimiser_g = self.adam(self.generator.parameters())
        self._optimiser_d = self.adam(self.discriminator.parameters())
        return {"generator": self._optimiser_g, "discriminator": self._optimiser_d}

    def step(self, x: Tensor) -> dict[str, float]:
        """D runs once on each picture, and both losses use that: see Step of GANomaly, whose order this is."""
        self.train()
        with autocast(x.device, self.learning.bf16):
            made = self.generator(x)
            real, fake = self.discriminator(x), self.discriminator(made)
        logit = fake.logit.float()
        adv = binary_cross_entropy_with_logits(logit, torch.ones_like(logit))
        con = losses.contextual(x, made.float())
        lat = mse_loss(fake.features.float(), real.features.float())
        loss_g = losses.generator(adv, con, lat, self.learning.weights)
        loss_d = 2 * losses.discriminator(real.logit.float(), logit) + lat

        self._optimiser_g.zero_grad()
        torch.autograd.backward(loss_g, inputs=list(self.generator.parameters()), retain_graph=True)
        self._optimiser_g.step()
        self._optimiser_d.zero_grad()
        torch.autograd.backward(loss_d, inputs=list(self.discriminator.parameters()))
        self._optimiser_d.step()

        self.resets += begun_anew(self.discriminator, loss_d, initialise)
        return {
            "generator": loss_g.item(),
            "adv": adv.item(),
            "con": con.item(),
            "lat": lat.item(),
            "discriminator": loss_d.item(),
        }

    def loss(self, x: Tensor) -> Tensor:
        """Mean |x - x̂|: what the generator is trained for most, on a scale that does not move while D learns."""
        return losses.contextual(x, self.rebuild(x))

    def score(self, x: Tensor) -> Tensor:
        made: Tensor = self.generator(x)
        residual = (x - made.float()).square().flatten(1).mean(1)
        features, again = self.discriminator(x).features, self.discriminator(made).features
        return RESIDUAL * residual + FEATURES * losses.code_distance(features, again, "squared")

    def rebuild(self, x: Tensor) -> Tensor:
        made: Tensor = self.generator(x)
        return made.float()

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.discriminator(x).features
        return features.flatten(1).float()
