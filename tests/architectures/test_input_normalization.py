import pytest
import torch

from architectures.input_normalization import InputNormalization, imagenet


def pixel(red: int, green: int, blue: int) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1)


def test_imagenet_by_hand() -> None:
    expected = [(255 / 255 - 0.485) / 0.229, (0 - 0.456) / 0.224, (51 / 255 - 0.406) / 0.225]
    assert imagenet()(pixel(255, 0, 51)).flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_bgr_statistics_belong_to_the_reversed_channels() -> None:
    caffe = InputNormalization(mean=(104, 117, 128), std=(1, 1, 2), bgr=True)
    assert caffe(pixel(200, 150, 100)).flatten().tolist() == [100 - 104, 150 - 117, (200 - 128) / 2]


def test_constants_move_with_the_module_but_are_no_state() -> None:
    assert imagenet().state_dict() == {}
    assert imagenet().to("meta").mean.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_only_pixels_are_taken(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"uint8 .* got {dtype}"):
        imagenet()(pixel(1, 2, 3).to(dtype))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (2, 8, 8, 3)])
def test_only_batches_of_three_channels_first_are_taken(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="N, 3, H, W"):
        imagenet()(torch.zeros(shape, dtype=torch.uint8))
