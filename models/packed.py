"""Convolutions made ready for one processor: the same networks, two to four times as fast, for scoring alone.

A trained network scores with every block of it (convolution, batch norm, activation) as one kernel of oneDNN: the batch
norm folded into the weights, the weights laid out once as the kernel wants them, the activation applied on the way out.
Two things oneDNN does not do by itself. Deep layers have few pixels and megabytes of weights, and its convolutions read
all of them again for every picture; here such a layer becomes one product of matrices over the whole batch. And a
convolution over the whole map, as at both ends of a code, is a product of matrices already.

The operators are those that `torch.compile` ends in (torch.ops.mkldnn); they are called without it because it needs a
compiler where the service runs. `can_pack` tells whether this PyTorch has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

MANY_BYTES: Final = 2 << 20
"""Weights of more than this do not stay in a core's cache from one picture to the next."""
FEW_PIXELS: Final = 64
"""Of a map: with more of them a convolution uses each weight often enough by itself."""

_OPERATORS = (
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
    "_linear_pointwise",
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
    "_reorder_linear_weight",
)

Kernel = Callable[[Tensor], Tensor]
_ONES, _NONE = [1, 1], [0, 0]


def can_pack(device: torch.device) -> bool:
    """Whether networks on this device can be packed."""
    return (
        device.type == "cpu"
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)
    )


def pack(network: nn.Module, dtype: torch.dtype) -> None:
    """Replace the blocks of a network by packed ones, for good: it can no longer be trained, saved or moved.

    dtype: float32 or bfloat16; so the blocks compute, and give, whatever they are given. In float32 results differ from
    the network's own in the last digits. What is no block of this kind is left as it is.
    """
    for name, part in list(network.named_children()):
        parts = list(part) if isinstance(part, nn.Sequential) else [part]
        if parts and _is_block(parts):
            setattr(network, name, Packed(parts, dtype))
        else:
            pack(part, dtype)


class Packed(nn.Module):
    """One block, [B, C, H, W] -> [B, C', H', W'], channels last. The kernel is chosen for the shape that comes first;
    later ones may be smaller in B. Thread-safe after that first call."""

    def __init__(self, parts: list[nn.Module], dtype: torch.dtype) -> None:
        super().__init__()
        conv = parts[0]
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        norm = next((part for part in parts if isinstance(part, nn.BatchNorm2d)), None)
        self._conv, self._dtype = (_up if isinstance(conv, nn.ConvTranspose2d) else _down), dtype
        self._stride, self._padding = list(conv.stride), [int(side) for side in conv.padding]
        self._weights = _folded(conv, norm)
        self._then = _activation(parts[-1])
        self._kernel: Kernel | None = None

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self._dtype)
        if self._kernel is None:
            weight, bias = (None if part is None else part.to(self._dtype) for part in self._weights)
            assert weight is not None
            self._kernel = self._conv(weight, bias, self._stride, self._padding, self._then, x.shape)
            self._weights = (torch.empty(0), None)  # the kernel has its own
        return self._kernel(x)


_Then = tuple[str, list[float], str]


def _is_block(parts: list[nn.Module]) -> bool:
    """Convolution, then perhaps batch norm, then perhaps an activation that the kernels know."""
    conv, rest = parts[0], parts[1:]
    if not isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
        return False
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    if isinstance(conv, nn.ConvTranspose2d):
        plain = plain and conv.output_padding == (0, 0)
    if rest and isinstance(rest[0], nn.BatchNorm2d):
        rest = rest[1:]
    known = (nn.LeakyReLU, nn.ReLU, nn.Tanh)
    return plain and not isinstance(conv.padding, str) and (not rest or (len(rest) == 1 and isinstance(rest[0], known)))


def _folded(conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of the convolution that does what both did in evaluation mode."""
    weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
    if norm is None:
        return weight, bias
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None and var is not None
    scale = norm.weight.detach() / torch.sqrt(var + norm.eps)
    along = (1, -1, 1, 1) if isinstance(conv, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    shift = norm.bias.detach() - mean * scale
    return weight * scale.reshape(along), shift if bias is None else shift + bias * scale


def _activation(last: nn.Module) -> _Then:
    if isinstance(last, nn.LeakyReLU):
        return "leaky_relu", [last.negative_slope], ""
    return ("relu" if isinstance(last, nn.ReLU) else "tanh" if isinstance(last, nn.Tanh) else "none"), [], ""


def _down(
    weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], then: _Then, shape: torch.Size
) -> Kernel:
    """weight [C', C, k, k]."""
    high, wide = weight.shape[2:]
    if tuple(shape[2:]) == (high, wide) and padding == _NONE:
        return _whole(weight, bias, then, shape)
    halves = (high, wide, stride, padding) == (4, 4, [2, 2], _ONES) and shape[2] % 2 == shape[3] % 2 == 0
    if halves and _is_deep(weight, shape[2] * shape[3] // 4):
        return _patches(weight, bias, then, shape)
    ops: Any = torch.ops.mkldnn
    laid = weight.contiguous(memory_format=torch.channels_last)
    packed = ops._reorder_convolution_weight(laid, padding, stride, _ONES, 1, list(shape))

    def run(x: Tensor) -> Tensor:
        made: Tensor = ops._convolution_pointwise(_laid(x), packed, bias, padding, stride, _ONES, 1, *then)
        return made

    return run


def _up(
    weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], then: _Then, shape: torch.Size
) -> Kernel:
    """weight [C, C', k, k]."""
    high, wide = weight.shape[2:]
    if tuple(shape[2:]) == (1, 1) and padding == _NONE:
        return _unfolded(weight, bias, then, shape)
    if (high, wide, stride, padding) == (4, 4, [2, 2], _ONES) and _is_deep(weight, shape[2] * shape[3]):
        return _phases(weight, bias, then, shape)
    ops: Any = torch.ops.mkldnn
    packed = ops._reorder_convolution_transpose_weight(weight, padding, _NONE, stride, _ONES, 1, list(shape))

    def run(x: Tensor) -> Tensor:
        made: Tensor = ops._convolution_transpose_pointwise(
            _laid(x), packed, bias, padding, _NONE, stride, _ONES, 1, *then
        )
        return made

    return run


def _is_deep(weight: Tensor, pixels: int) -> bool:
    return weight.numel() * weight.element_size() > MANY_BYTES and pixels <= FEW_PIXELS


def _matrix(weight: Tensor, bias: Tensor | None, then: _Then, rows: int) -> Kernel:
    """weight [N, K]; [M, K] -> [M, N]."""
    ops: Any = torch.ops.mkldnn
    packed = ops._reorder_linear_weight(weight.contiguous(), rows)

    def run(x: Tensor) -> Tensor:
        made: Tensor = ops._linear_pointwise(x, packed, bias, *then)
        return made

    return run


def _whole(weight: Tensor, bias: Tensor | None, then: _Then, shape: torch.Size) -> Kernel:
    """A convolution over the whole map: [B, C, k, k] -> [B, C', 1, 1]."""
    matrix = _matrix(weight.permute(0, 2, 3, 1).flatten(1), bias, then, shape[0])
    return lambda x: matrix(x.permute(0, 2, 3, 1).flatten(1))[:, :, None, None]


def _unfolded(weight: Tensor, bias: Tensor | None, then: _Then, shape: torch.Size) -> Kernel:
    """A transposed convolution of one pixel: [B, C, 1, 1] -> [B, C', k, k]."""
    _, channels, high, wide = weight.shape
    every = None if bias is None else bias.repeat(high * wide)
    matrix = _matrix(weight.permute(2, 3, 1, 0).flatten(0, 2), every, then, shape[0])
    return lambda x: matrix(x.flatten(1)).view(-1, high, wide, channels).permute(0, 3, 1, 2)


def _patches(weight: Tensor, bias: Tensor | None, then: _Then, shape: torch.Size) -> Kernel:
    """Four by four, every second pixel: the patches under the kernel as rows of one matrix."""
    channels = weight.shape[0]
    matrix = _matrix(weight.permute(0, 2, 3, 1).flatten(1), bias, then, shape[0] * shape[2] * shape[3] // 4)

    def run(x: Tensor) -> Tensor:
        batch, deep, high, wide = x.shape
        around = _framed(x)
        of, row, column, one = around.stride()
        size = (batch, high // 2, wide // 2, 4, 4, deep)
        rows = around.as_strided(size, (of, 2 * row, 2 * column, row, column, one)).reshape(-1, 16 * deep)
        return matrix(rows).view(batch, high // 2, wide // 2, channels).permute(0, 3, 1, 2)

    return run


def _phases(weight: Tensor, bias: Tensor | None, then: _Then, shape: torch.Size) -> Kernel:
    """Transposed, four by four, to twice the side: the even and odd rows and columns of what comes out are each a plain
    convolution with two by two of the weights, and so one product of matrices each."""
    channels = weight.shape[1]
    taps = ([3, 1], [2, 0])  # of the kernel's rows (and columns): those that meet an even, and an odd one
    matrices = [
        (
            down,
            right,
            _matrix(
                weight[:, :, taps[down]][:, :, :, taps[right]].permute(1, 2, 3, 0).flatten(1),
                bias,
                then,
                shape[0] * shape[2] * shape[3],
            ),
        )
        for down in (0, 1)
        for right in (0, 1)
    ]

    def run(x: Tensor) -> Tensor:
        batch, deep, high, wide = x.shape
        around = _framed(x)
        of, row, column, one = around.stride()
        made = torch.empty(batch, high, 2, wide, 2, channels, dtype=x.dtype)
        for down, right, matrix in matrices:
            size, strides = (batch, high, wide, 2, 2, deep), (of, row, column, row, column, one)
            rows = around.as_strided(size, strides, down * row + right * column).reshape(-1, 4 * deep)
            made[:, :, down, :, right] = matrix(rows).view(batch, high, wide, channels)
        return made.view(batch, 2 * high, 2 * wide, channels).permute(0, 3, 1, 2)

    return run


def _framed(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H + 2, W + 2, C] in memory, with a frame of zeros."""
    return pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()


def _laid(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
