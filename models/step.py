"""One training step of GANomaly, in the authors' order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models import losses
from models.ganomaly import Discriminator, Generator, initialise
from models.losses import Weights
from models.precision import autocast

COLLAPSED = 1e-5  # a discriminator whose loss is below has nothing left to teach


@dataclass(frozen=True)
class StepLosses:
    """All of one batch, before the update. d_reset: the discriminator was begun anew after it."""

    adv: float
    con: float
    enc: float
    generator: float
    discriminator: float
    d_reset: bool


class Step:
    """Call it with a batch of normal pictures; it updates both networks once.

    The authors run the discriminator four times a step: on real and rebuilt pictures for L_D, and
    on both again for L_adv. Its weights do not change in between, so here it runs once on each
    and both losses use that; the gradients are the same at half the work. (Only its running
    batch norm statistics differ by that, which nothing here reads.)
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weights: Weights | None = None,
        bf16: bool = False,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.weights = Weights() if weights is None else weights
        self.bf16 = bf16
        self.resets = 0
        self.optimiser_g = torch.optim.Adam(generator.parameters(), lr, betas, fused=True)
        self.optimiser_d = torch.optim.Adam(discriminator.parameters(), lr, betas, fused=True)

    def __call__(self, x: Tensor) -> StepLosses:
        """x: float [B, C, S, S] in [-1, 1]."""
        self.generator.train()
        self.discriminator.train()
        with autocast(x.device, self.bf16):
            made = self.generator(x)
            real = self.discriminator(x)
            fake = self.discriminator(made.rebuilt)
        # Losses in float32: they are differences of close numbers.
        adv = losses.adversarial(real.features.detach().float(), fake.features.float())
        con = losses.contextual(x, made.rebuilt.float())
        enc = losses.encoding(made.code.float(), made.code_again.float())
        loss_g = losses.generator(adv, con, enc, self.weights)
        loss_d = losses.discriminator(real.logit.float(), fake.logit.float())

        self.optimiser_g.zero_grad()
        torch.autograd.backward(loss_g, inputs=list(self.generator.parameters()), retain_graph=True)
        self.optimiser_g.step()

        # Only the discriminator's own parameters get this gradient: the same as detaching x̂.
        self.optimiser_d.zero_grad()
        torch.autograd.backward(loss_d, inputs=list(self.discriminator.parameters()))
        self.optimiser_d.step()

        d_reset = begun_anew(self.discriminator, loss_d, initialise)
        self.resets += d_reset
        return StepLosses(adv.item(), con.item(), enc.item(), loss_g.item(), loss_d.item(), d_reset)


def begun_anew(discriminator: nn.Module, loss: Tensor, how: Callable[[nn.Module], None]) -> bool:
    """Whether the discriminator had won outright, by its loss: then its weights are drawn anew by `how`."""
    collapsed = loss.item() < COLLAPSED
    if collapsed:
        discriminator.apply(how)
    return collapsed
