"""AnoGAN (Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs, 2017; arXiv 1703.05921).

A GAN learns to draw normal pictures from numbers z. A picture is judged by searching for the z from which the
generator draws the most similar one: what it cannot draw is not normal.

As in the paper: the networks are a DCGAN's, z is uniform in [-1, 1], trained with the GAN loss that does not
saturate; the search takes 500 steps of Adam on z with both networks frozen, from

    0.9 · Σ|x - G(z)| + 0.1 · Σ|f(x) - f(G(z))|

which at the last z is the score. f is the discriminator's last map of features. Sums, not means: so the two parts
are weighed against each other as in the paper.

Chosen by us: the generator and the discriminator are GANomaly's, which are DCGAN's in every size; Adam's step on z;
the search begins at the same z for every picture (drawn once, kept in the checkpoint), so that a score is no matter
of chance; and a discriminator that has collapsed is begun anew as in GANomaly.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Adam, Optimizer

from models import losses
from models.ganomaly import Architecture, Decoder, Discriminator, initialise
from models.losses import Norm
from models.method import Learning, Method
from models.precision import autocast
from models.step import begun_anew

RESIDUAL, FEATURES = 0.9, 0.1  # shares of the score


class AnoGan(Method):
    """A score is dear: `search_steps` times forwards and backwards through both networks, some hundred times what
    GANomaly asks of a picture: about a second at 64 px and ngf 16 on one core. `rebuild` and `heat` search anew. The
    search may be cut short, at the price of higher and less certain scores. Its length is not saved: use a model with
    that with which it was calibrated.

    search_steps: of Adam on z for a score. search_lr: how far z goes in one step at most.
    look_steps, look_lr: of the hasty search in `loss`, fewer and larger ones.
    """

    name: ClassVar[str] = "anogan"
    title: ClassVar[str] = "AnoGAN"
    line_lr: ClassVar[float] = 1e-3
    search_steps: int = 500
    search_lr: float = 0.05
    look_steps: int = 20
    look_lr: float = 0.1

    start: Tensor

    def __init__(self, arch: Architecture, norm: Norm = "squared") -> None:
        super().__init__(arch, norm)
        self.generator, self.discriminator = Decoder(arch), Discriminator(arch)
        self.generator.apply(initialise)
        self.register_buffer("start", _uniform(1, arch.nz))

    def begin(self, learning: Learning) -> dict[str, Optimizer]:
        super().begin(learning)
        self._optimiser_g = self.adam(self.generator.parameters())
        self._optimiser_d = self.adam(self.discriminator.parameters())
        return {"generator": self._optimiser_g, "discriminator": self._optimiser_d}

    def step(self, x: Tensor) -> dict[str, float]:
        """The discriminator first, then the generator against it as it has become."""
        self.train()
        z = _uniform(len(x), self.arch.nz).to(x.device)
        with autocast(x.device, self.learning.bf16):
            made = self.generator(z)
            real, fake = self.discriminator(x).logit, self.discriminator(made.detach()).logit
        loss_d = losses.discriminator(real.float(), fake.float())
        self._optimiser_d.zero_grad()
        torch.autograd.backward(loss_d, inputs=list(self.discriminator.parameters()))
        self._optimiser_d.step()

        with autocast(x.device, self.learning.bf16):
            fake = self.discriminator(made).logit.float()
        loss_g = binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
        self._optimiser_g.zero_grad()
        torch.autograd.backward(loss_g, inputs=list(self.generator.parameters()))
        self._optimiser_g.step()

        self.resets += begun_anew(self.discriminator, loss_d, initialise)
        return {"generator": loss_g.item(), "discriminator": loss_d.item()}

    def loss(self, x: Tensor) -> Tensor:
        """Mean |x - G(z)| after a hasty search without the discriminator, whose features mean something else after
        every step. Costs about as much as training on four times as many pictures."""
        z = self._search(x, None, self.look_steps, self.look_lr)
        with torch.no_grad():
            return losses.contextual(x, self.generator(z).float())

    def warm_up(self, x: Tensor) -> None:
        """One step of the search runs all there is to run."""
        self._found(x, 1)

    def score(self, x: Tensor) -> Tensor:
        z, features = self._found(x, self.search_steps)
        with torch.no_grad():
            return self._distance(x, features, z)

    def rebuild(self, x: Tensor) -> Tensor:
        z, _ = self._found(x, self.search_steps)
        with torch.no_grad():
            made: Tensor = self.generator(z)
        return made.float()

    def _found(self, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """z after so many steps of the whole search, and the features of x."""
        with torch.no_grad():
            features: Tensor = self.discriminator(x).features.float()
        return self._search(x, features, steps, self.search_lr), features

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.discriminator(x).features
        return features.flatten(1).float()

    def _search(self, x: Tensor, features: Tensor | None, steps: int, lr: float) -> Tensor:
        """z [B, nz, 1, 1] after so many steps, for every picture on its own: the sum over the batch gives each z the
        gradient that it would have alone, and Adam scales every number by itself."""
        with torch.inference_mode(False), torch.enable_grad():
            # Tensors made in inference mode cannot take part in a gradient, copies of them can.
            x = x.clone()
            features = None if features is None else features.clone()
            z = self.start.repeat(len(x), 1, 1, 1).requires_grad_()
            optimiser = Adam([z], lr)
            for _ in range(steps):
                distance = self._distance(x, features, z).sum()
                (z.grad,) = torch.autograd.grad(distance, [z])
                optimiser.step()
            return z.detach()

    def _distance(self, x: Tensor, features: Tensor | None, z: Tensor) -> Tensor:
        """[B]: the score at z; without features, the residual alone."""
        made: Tensor = self.generator(z)
        residual = (x - made.float()).abs().flatten(1).sum(1)
        if features is None:
            return residual
        again: Tensor = self.discriminator(made).features
        apart = (features - again.float()).abs().flatten(1).sum(1)
        return RESIDUAL * residual + FEATURES * apart


def _uniform(count: int, nz: int) -> Tensor:
    """[count, nz, 1, 1] in [-1, 1). Drawn on the CPU, whose random state a resumed training takes up again."""
    return torch.rand(count, nz, 1, 1) * 2 - 1
