from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.preprocess import Preprocess


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    size=st.sampled_from([32, 64]),
    channels=st.sampled_from([1, 3]),
    value=st.integers(0, 255),
)
def test_any_picture_becomes_a_square_and_an_even_one_stays_even(
    height: int, width: int, size: int, channels: int, value: int
) -> None:
    made = Preprocess(size, channels).picture(np.full((height, width, 3), value, np.uint8))
    assert made.shape == (size, size, channels)
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - value).max() <= 1


def test_colours_are_rgb() -> None:
    bgr = np.zeros((50, 80, 3), np.uint8)
    bgr[..., 0] = 200  # OpenCV's blue
    assert Preprocess(32, 3).picture(bgr)[0, 0].tolist() == [0, 0, 200]
    assert Preprocess(32, 1).picture(bgr)[0, 0].tolist() == [round(0.114 * 200)]


def test_a_fine_pattern_is_averaged_and_not_sampled() -> None:
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 200
    assert set(np.unique(Preprocess(32, 3).picture(stripes))) == {100}


def test_the_whole_picture_is_seen() -> None:
    picture = np.zeros((100, 400, 3), np.uint8)
    picture[:, :100] = 255  # the left quarter of a wide picture stays a quarter
    made = Preprocess(32, 1).picture(picture)
    assert (made[:, :8] == 255).all() and (made[:, 8:] == 0).all()


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 1), (10, 10, 4), (0, 10, 3)])
def test_refuses_what_is_no_colour_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[height, width, 3\]"):
        Preprocess(32, 3).picture(np.zeros(shape, np.uint8))


def test_refuses_other_numbers() -> None:
    with pytest.raises(ValueError, match="float64"):
        Preprocess(32, 3).picture(np.zeros((10, 10, 3)))  # type: ignore[arg-type]


def test_tensor_spans_the_range_of_tanh_in_the_networks_order() -> None:
    batch = np.zeros((2, 32, 32, 3), np.uint8)
    batch[1, 5, 7] = [255, 51, 0]
    x = Preprocess(32, 3).to_tensor(batch, torch.device("cpu"))
    assert x.shape == (2, 3, 32, 32) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x[1, :, 5, 7].tolist() == pytest.approx([1.0, -0.6, -1.0])
    assert x.min() == -1 and x.max() == 1


def test_imagenet_takes_its_figures_colour_by_colour_and_gives_them_back() -> None:
    batch = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    prep = Preprocess(32, 3, "imagenet")
    x = prep.to_tensor(batch, torch.device("cpu"))
    expected = (batch / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(x.permute(0, 2, 3, 1).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert x.is_contiguous(memory_format=torch.channels_last) and x.dtype == torch.float32
    half = Preprocess(32, 3).to_tensor(batch, torch.device("cpu"))
    torch.testing.assert_close(prep.to_half(x), half, rtol=0, atol=1e-5)
    assert torch.equal(Preprocess(32, 3).to_half(half), half)


def test_refuses_a_normalisation_that_does_not_exist_or_does_not_fit() -> None:
    with pytest.raises(ValueError, match="'zero': choose one of half, imagenet"):
        Preprocess(32, 3, "zero")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose 'half'"):
        Preprocess(32, 1, "imagenet")


def test_tensor_refuses_another_size() -> None:
    with pytest.raises(ValueError, match=r"\[2, 64, 64, 3\].*32, 32, 3"):
        Preprocess(32, 3).to_tensor(np.zeros((2, 64, 64, 3), np.uint8), torch.device("cpu"))


def test_enlarging_keeps_the_picture() -> None:
    small = cv2.resize(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), (16, 16))
    made = Preprocess(32, 3).picture(np.asarray(small, np.uint8))
    assert int(made.min()) >= int(small.min()) and int(made.max()) <= int(small.max())


def test_survives_a_dictionary_and_refuses_others() -> None:
    for prep in (Preprocess(64, 1), Preprocess(64, 3, "imagenet")):
        assert Preprocess.from_dict(prep.to_dict()) == prep
    assert Preprocess.from_dict({"size": 64, "channels": 3}) == Preprocess(64, 3, "half")  # as files of before have it
    with pytest.raises(ValueError, match="size is 33"):
        Preprocess(33, 3)
    with pytest.raises(ValueError, match="expected"):
        Preprocess.from_dict({"size": 64})
    with pytest.raises(ValueError, match="expected"):
        Preprocess.from_dict({"size": 64, "channels": 3, "mean": 0})
