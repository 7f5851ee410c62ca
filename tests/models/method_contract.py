"""What every method behind models/method.py must hold to, as tests that one line each gives to a method:

    class TestPca(MethodContract):
        kind = Pca

Everything is tiny: pictures of 32 px, a narrow network, some dozen steps. What a method does better than
that is for its own tests.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from models.ganomaly import SIZES, Architecture
from models.losses import NORMS, Norm
from models.method import Learning, Method
from models.precision import autocast, place
from models.preprocess import Preprocess

MOST = 64  # pictures that settle may ask for at once
CPU = torch.device("cpu")

Scene = Callable[..., object]


class Album:
    """Pictures as settle gets them; it refuses to hand out too many at once."""

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, part: slice | list[int]) -> Tensor:
        taken = self.pictures[part]
        assert len(taken) <= MOST, f"settle asked for {len(taken)} pictures at once, at most {MOST} fit in memory"
        return taken.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Trained:
    """method: after the last step and settle, in eval mode. before, after: its loss on unseen normal
    pictures. told: what each step returned. shapes: of the state dict before the first step."""

    method: Method
    before: float
    after: float
    told: list[dict[str, float]]
    shapes: dict[str, torch.Size]


class MethodContract:
    """kind: the method. count, rounds: steps of the tiny training, each on 16 pictures. lower: the share of
    its first loss below which the training must bring the loss. uses_norm: the score follows `norm`.
    rtol, atol: how near a picture's score alone is to its score among others."""

    kind: ClassVar[type[Method]]
    count: ClassVar[int] = 30
    learning: ClassVar[Learning] = Learning(lr=2e-3)
    lower: ClassVar[float] = 0.9
    uses_norm: ClassVar[bool] = True
    rtol: ClassVar[float] = 1e-5
    atol: ClassVar[float] = 1e-6

    def build(self, size: int = 32, channels: int = 3, norm: Norm = "squared") -> Method:
        """Override where a method is slow beyond need, to take fewer rounds when scoring, say."""
        return self.kind(Architecture(size=size, channels=channels, nz=8, ngf=4), norm)

    # What the tests below look at.

    @pytest.fixture(scope="class")
    @classmethod
    def album(cls, scene: Scene) -> Album:
        return Album(tensor(scene(96, seed=1)))

    @pytest.fixture(scope="class")
    @classmethod
    def unseen(cls, scene: Scene) -> Tensor:
        return tensor(scene(12, seed=2))

    @pytest.fixture(scope="class")
    @classmethod
    def odd(cls, scene: Scene) -> Tensor:
        """Normal pictures, a faulty one, and what a broken camera sends."""
        torch.manual_seed(3)
        black, white = torch.full((1, 3, 32, 32), -1.0), torch.ones(1, 3, 32, 32)
        noise = torch.rand(1, 3, 32, 32) * 2 - 1
        pictures = [tensor(scene(2, seed=4)), tensor(scene(1, seed=5, fault=True)), black, white, noise]
        return torch.cat(pictures).contiguous(memory_format=torch.channels_last)

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, album: Album, unseen: Tensor) -> Trained:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        torch.manual_seed(0)
        method = place(cls().build(), CPU)
        shapes = shapes_of(method)
        method.begin(cls.learning)
        before = judge(method.eval(), "loss", unseen).item()
        told = [method.step(batch) for batch in batches(album.pictures, cls.count)] if cls.kind.steps else []
        method.eval()
        with torch.no_grad():
            method.settle(album, Album(unseen))
        after = judge(method, "loss", unseen).item()
        torch.set_num_threads(threads)
        return Trained(method, before, after, told, shapes)

    @pytest.fixture
    def method(self, trained: Trained) -> Method:
        """The trained one, to be changed at will."""
        return copy.deepcopy(trained.method)

    # What a method says of itself.

    def test_it_is_named(self) -> None:
        name = self.kind.name
        assert name and name == name.lower().strip() and " " not in name
        assert self.kind.title and self.kind.__doc__
        assert self.kind.nz >= 1 and self.kind.ngf >= 2 and self.kind.lr > 0 and self.kind.chunk >= 1

    def test_what_is_averaged_is_a_network(self) -> None:
        method = self.build()
        for name in self.kind.averaged:
            assert list(method.get_submodule(name).parameters()), name

    # Training.

    def test_a_short_training_lowers_the_loss_on_unseen_pictures(self, trained: Trained) -> None:
        assert trained.after < self.lower * trained.before, (trained.before, trained.after)

    def test_steps_tell_their_losses(self, trained: Trained) -> None:
        if not self.kind.steps:
            with pytest.raises(NotImplementedError):
                trained.method.step(torch.zeros(2, 3, 32, 32))
            return
        names = [list(told) for told in trained.told]
        assert names[0] and names == names[:1] * self.count
        for told in trained.told:
            assert all(isinstance(value, float) for value in told.values()), told
            assert torch.tensor(list(told.values())).isfinite().all(), told

    def test_every_weight_learns(self, album: Album) -> None:
        torch.manual_seed(0)
        method = place(self.build(), CPU)
        method.begin(self.learning)
        before = {name: p.detach().clone() for name, p in method.named_parameters()}
        for batch in batches(album.pictures, 2 if self.kind.steps else 0):
            method.step(batch)
        still = [name for name, p in method.named_parameters() if torch.equal(p, before[name])]
        assert not still, "neither begin's optimisers nor step know these"

    def test_a_resumed_training_goes_on_as_if_it_had_not_stopped(self, album: Album) -> None:
        torch.manual_seed(0)
        method = place(self.build(), CPU)
        optimisers = method.begin(self.learning)
        assert bool(optimisers) == self.kind.steps
        if not self.kind.steps:
            return
        first, second = batches(album.pictures, 3), batches(album.pictures, 6)[3:]
        for batch in first:
            method.step(batch)
        weights = {name: t.clone().contiguous() for name, t in method.state_dict().items()}
        moments = {name: copy.deepcopy(o.state_dict()) for name, o in optimisers.items()}
        random = torch.get_rng_state()
        going_on = [method.step(batch) for batch in second]

        torch.manual_seed(77)  # another start, of which nothing may be left
        resumed = place(self.build(), CPU)
        optimisers = resumed.begin(self.learning)
        resumed.load_state_dict(weights)
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(moments.pop(name))
        assert not moments
        torch.set_rng_state(random)
        assert [resumed.step(batch) for batch in second] == going_on
        for name, tensor_ in resumed.state_dict().items():
            torch.testing.assert_close(tensor_, method.state_dict()[name], rtol=0, atol=0, msg=name)

    def test_half_precision_trains_weights_in_full_precision(self, album: Album, unseen: Tensor) -> None:
        if not self.kind.steps:
            return
        torch.manual_seed(0)
        method = place(self.build(), CPU)
        method.begin(Learning(lr=self.learning.lr, bf16=True))
        for batch in batches(album.pictures, 2):
            told = method.step(batch)
            assert torch.tensor(list(told.values())).isfinite().all(), told
        assert {p.dtype for p in method.parameters()} == {torch.float32}
        assert judge(method.eval(), "loss", unseen).isfinite()

    # The state dict is the checkpoint.

    def test_shapes_are_given_by_the_architecture_alone(self, trained: Trained) -> None:
        assert trained.shapes == shapes_of(trained.method)
        with torch.device("meta"):
            assert trained.shapes == shapes_of(self.build())
            assert trained.shapes == shapes_of(self.build(norm="absolute"))

    def test_what_is_trained_can_be_saved(self, trained: Trained) -> None:
        for name, value in trained.method.state_dict().items():
            assert value.isfinite().all(), name
            assert value.dtype == torch.float32 or not value.is_floating_point(), name

    @pytest.mark.parametrize("what", ["score", "rebuild", "heat", "features", "loss"])
    def test_the_state_dict_alone_makes_the_same_method(self, trained: Trained, odd: Tensor, what: str) -> None:
        with torch.device("meta"):
            again = self.build()
        kept = {name: t.clone().contiguous() for name, t in trained.method.state_dict().items()}
        again.load_state_dict(kept, assign=True)
        left = [name for name, t in [*again.named_parameters(), *again.named_buffers()] if t.is_meta]
        assert not left, "these are not in the state dict"
        again = place(again, CPU).eval()
        torch.testing.assert_close(judge(again, what, odd), judge(trained.method, what, odd), rtol=1e-6, atol=1e-6)

    # Judging a picture.

    def test_scores_are_numbers_from_zero_up(self, method: Method, odd: Tensor) -> None:
        scores = judge(method, "score", odd)
        assert scores.shape == (len(odd),) and scores.dtype == torch.float32
        assert scores.isfinite().all() and (scores >= 0).all(), scores
        assert scores[3:].max() > scores[:2].max(), "a broken camera is less normal than a normal picture"

    def test_pictures_are_rebuilt_in_the_range_of_pictures(self, method: Method, odd: Tensor) -> None:
        rebuilt = judge(method, "rebuild", odd)
        assert rebuilt.shape == odd.shape and rebuilt.dtype == torch.float32
        assert rebuilt.abs().max() <= 1  # false for no number, too

    def test_heat_lies_on_the_picture(self, method: Method, odd: Tensor) -> None:
        heat = judge(method, "heat", odd)
        assert heat.shape == (len(odd), 32, 32) and heat.dtype == torch.float32
        assert heat.isfinite().all() and (heat >= 0).all()
        assert heat.any()

    def test_features_are_one_row_a_picture(self, method: Method, odd: Tensor) -> None:
        features = judge(method, "features", odd)
        assert features.ndim == 2 and len(features) == len(odd) and features.dtype == torch.float32
        assert features.isfinite().all()
        assert not torch.equal(features[0], features[3]), "they tell pictures apart"

    def test_the_loss_is_one_number(self, method: Method, unseen: Tensor) -> None:
        whole = judge(method, "loss", unseen)
        assert whole.shape == () and whole.isfinite()
        # The mean over x: those who look at many pictures in parts rely on it.
        parts = [judge(method, "loss", part).item() for part in unseen.split(4)]
        assert whole.item() == pytest.approx(sum(parts) / len(parts), rel=1e-4)

    @pytest.mark.parametrize("what", ["score", "rebuild", "heat", "features"])
    def test_a_picture_is_judged_without_regard_to_the_others(self, method: Method, odd: Tensor, what: str) -> None:
        together = judge(method, what, odd)
        for i, picture in enumerate(odd):
            alone = judge(method, what, picture[None])[0]
            torch.testing.assert_close(alone, together[i], rtol=self.rtol, atol=self.atol)
        turned = judge(method, what, odd.flip(0)).flip(0)
        torch.testing.assert_close(turned, together, rtol=self.rtol, atol=self.atol)

    def test_judging_changes_nothing_and_leaves_nothing_to_chance(self, method: Method, odd: Tensor) -> None:
        state = {name: t.clone() for name, t in method.state_dict().items()}
        picture = odd.clone()
        for what in ("score", "rebuild", "heat", "features", "loss"):
            torch.manual_seed(1)
            first = judge(method, what, odd)
            torch.manual_seed(2)
            assert torch.equal(first, judge(method, what, odd)), what
            assert torch.equal(picture, odd), f"{what} wrote on the picture"
        for name, t in method.state_dict().items():
            assert torch.equal(t, state[name]), name

    def test_it_judges_in_half_precision(self, method: Method, odd: Tensor) -> None:
        for what in ("score", "rebuild", "heat", "features"):
            with autocast(CPU, True):
                made = judge(method, what, odd)
            assert made.dtype == torch.float32 and made.isfinite().all(), what
        with autocast(CPU, True):
            assert (judge(method, "score", odd) >= 0).all()

    def test_the_norm_is_how_a_distance_is_measured(self, trained: Trained, odd: Tensor) -> None:
        scores = {}
        for norm in NORMS:
            method = place(self.build(norm=norm), CPU).eval()
            method.load_state_dict(trained.method.state_dict())
            scores[norm] = judge(method, "score", odd)
            assert scores[norm].isfinite().all() and (scores[norm] >= 0).all()
        assert torch.equal(scores["squared"], scores["absolute"]) != self.uses_norm

    def test_a_norm_that_is_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="cubed"):
            self.build(norm="cubed")  # type: ignore[arg-type]

    # Every size and both kinds of picture.

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("channels", [1, 3])
    def test_shapes_at_every_size(self, size: int, channels: int) -> None:
        torch.manual_seed(0)
        method = place(self.build(size, channels), CPU)
        x = (torch.rand(2, channels, size, size) * 2 - 1).contiguous(memory_format=torch.channels_last)
        method.begin(self.learning)
        if self.kind.steps and size <= 64:
            method.step(x)
        x, method = x[:1], method.eval()
        assert judge(method, "score", x).shape == (1,)
        assert judge(method, "rebuild", x).shape == (1, channels, size, size)
        assert judge(method, "heat", x).shape == (1, size, size)
        assert judge(method, "features", x).ndim == 2


def tensor(pictures: object) -> Tensor:
    """What `scene` makes, uint8 [n, 32, 32, 3], as the networks see it."""
    return Preprocess(32, 3).to_tensor(pictures, CPU)  # type: ignore[arg-type]


def batches(pictures: Tensor, count: int, size: int = 16) -> list[Tensor]:
    """The first `count` batches of endless epochs; the same at each call, and no random number of torch's is drawn."""
    draw = torch.Generator().manual_seed(9)
    epochs = -(-count * size // len(pictures))
    order = torch.cat([torch.randperm(len(pictures), generator=draw) for _ in range(epochs)] or [torch.empty(0).long()])
    return [pictures[part].contiguous(memory_format=torch.channels_last) for part in order.split(size)[:count]]


def judge(method: Method, what: str, x: Tensor) -> Tensor:
    """score, rebuild, heat, features or loss, as whoever uses a method calls them."""
    with torch.no_grad():
        made: Tensor = getattr(method, what)(x)
    assert not made.requires_grad, what
    return made


def shapes_of(method: Method) -> dict[str, torch.Size]:
    return {name: t.shape for name, t in method.state_dict().items()}
