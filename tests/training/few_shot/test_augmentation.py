import torch

from training.few_shot.augmentation import moved

IMAGES = torch.randn(64, 2, 6, 5, generator=torch.Generator().manual_seed(0))


def test_images_are_mirrored_or_not_and_by_their_own_slot():
    found = moved(IMAGES, 0, range(64), flip=True, shift=0)
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(found, IMAGES, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(found, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True)) and 20 < sum(mirrored) < 44
    assert torch.equal(moved(IMAGES[40:], 0, range(40, 64), flip=True, shift=0), found[40:])


def test_images_are_moved_by_up_to_the_shift_and_borders_repeat():
    found = moved(IMAGES, 0, range(64), flip=False, shift=2)
    seen = set()
    for one, image in zip(found, IMAGES, strict=True):
        wide = image[:, torch.arange(-2, 8).clamp(0, 5)][:, :, torch.arange(-2, 7).clamp(0, 4)]
        ways = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(one, wide[:, down : down + 6, right : right + 5])
        ]
        assert len(ways) == 1
        seen.add(ways[0])
    assert len(seen) > 15
    assert torch.equal(moved(IMAGES, 0, range(64), flip=False, shift=0), IMAGES)
