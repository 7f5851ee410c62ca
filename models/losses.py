"""The losses of GANomaly and its score, each as the authors' code computes it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss

Norm = Literal["squared", "absolute"]
NORMS: tuple[Norm, ...] = ("squared", "absolute")


class Weights(NamedTuple):
    """How much each part counts in the generator's loss; the paper's values."""

    adv: float = 1.0
    con: float = 50.0
    enc: float = 1.0


def adversarial(features_real: Tensor, features_fake: Tensor) -> Tensor:
    """L_adv: feature matching, mean (f(x) - f(x̂))². Not a distance of probabilities."""
    return mse_loss(features_fake, features_real)


def contextual(real: Tensor, rebuilt: Tensor) -> Tensor:
    """L_con: mean |x - x̂|."""
    return l1_loss(rebuilt, real)


def encoding(code: Tensor, code_again: Tensor) -> Tensor:
    """L_enc: mean (z - ẑ)². Both codes are trained: neither is detached."""
    return mse_loss(code_again, code)


def generator(adv: Tensor, con: Tensor, enc: Tensor, weights: Weights) -> Tensor:
    """L_G, the weighted sum."""
    return weights.adv * adv + weights.con * con + weights.enc * enc


def discriminator(logit_real: Tensor, logit_fake: Tensor) -> Tensor:
    """L_D = ½ (BCE(D(x), 1) + BCE(D(x̂), 0)), from logits [B]. x̂ must be detached by the caller,
    or only the discriminator's parameters be given the gradient."""
    real = binary_cross_entropy_with_logits(logit_real, torch.ones_like(logit_real))
    fake = binary_cross_entropy_with_logits(logit_fake, torch.zeros_like(logit_fake))
    return 0.5 * (real + fake)


def code_distance(code: Tensor, code_again: Tensor, norm: Norm = "squared") -> Tensor:
    """A(x): the mean over the code of (z - ẑ)² ("squared", the authors' code) or of |z - ẑ|
    ("absolute", the paper's text up to the factor nz). [B, nz, 1, 1] twice -> [B], >= 0.

    Computed in float32 whatever the codes come in: the difference of two close numbers has few
    digits left in half precision.
    """
    gap = (code.float() - code_again.float()).flatten(1)
    if norm == "squared":
        return gap.square().mean(1)
    if norm == "absolute":
        return gap.abs().mean(1)
    raise ValueError(f"score norm is {norm!r}: choose one of {', '.join(NORMS)}")
