"""What is done to ImageNet's images: the paper's by definition, the authors' against MXNet's ImageRecordIter."""

import glob
import os

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from common.mxnet import mx
from data import augmentation
from data.augmentation import (
    AUGMENTATIONS,
    MEAN,
    STD,
    Traits,
    center,
    code_2016,
    code_2018,
    levels,
    paper,
    stretched_crop,
)


def flat(level, height=480, width=600):
    return np.full((height, width, 3), level, np.uint8)


class Pinned:
    """Stands for a RandomState: the middle of each range, unless a value is given for it."""

    def __init__(self, values=()):
        self.values = dict(values)

    def uniform(self, low, high):
        return self.values.get((low, high), (low + high) / 2)

    def randint(self, low, high=None):
        low, high = (0, low) if high is None else (low, high)
        return self.values.get((low, high), (low + high - 1) // 2)


class Recorded:
    """Stands for stretched_crop or shift_colors: keeps what it is called with."""

    def __init__(self, monkeypatch, name):
        self.calls, self.function = [], getattr(augmentation, name)
        monkeypatch.setattr(augmentation, name, self)

    def __call__(self, image, *values):
        self.calls.append(values[:3])
        return self.function(image, *values)


# By definition


@pytest.mark.parametrize('name', list(AUGMENTATIONS))
def test_augmentations_scale_and_color_but_keep_the_normalization(name, random):
    """A flat gray image stays flat, but for the authors' border of at most 7.2 % a side; the images' colors vary."""
    results = [AUGMENTATIONS[name](flat(114), random) for _ in range(16)]
    pixels = np.array([[table[c][image[..., 2 - c]] * STD[c] + MEAN[c] for c in range(3)] for image, table in results])
    middle = pixels if name == 'paper' else pixels[:, :, 40:-40, 40:-40]
    assert middle.shape[0] == 16 and np.abs(middle - middle[:, :, :1, :1]).max() < 1.5
    colors = middle[:, :, 0, 0]
    assert np.unique(np.round(colors, 1), axis=0).shape[0] > 8  # the images differ
    assert np.abs(colors - 114).max() < {'paper': 40, 'code-2016': 10 + 0.2 * 23, 'code-2018': 140}[name]
    if name == 'paper':
        assert (colors.std(axis=1) > 0.3).any()  # a little color, too; most of it is brightness


@pytest.mark.parametrize('name', list(AUGMENTATIONS))
def test_other_images_have_their_own_normalization_and_perhaps_no_mirror(name):
    """With one seed, mirrored or not: crops and colors are otherwise the same."""
    image = np.random.RandomState(0).randint(0, 256, (480, 600, 3)).astype(np.uint8)
    mean, std, mirrored = (10.0, 20.0, 30.0), (40.0, 50.0, 60.0), set()
    for seed in range(8):
        (crop, table), (own, own_table) = (
            AUGMENTATIONS[name](image, np.random.RandomState(seed), traits)
            for traits in (Traits(mean, std), Traits(mean, std, mirror=False))
        )
        flipped = not np.array_equal(crop, own)
        np.testing.assert_array_equal(crop[:, ::-1] if flipped else crop, own)
        mirrored.add(flipped)
        np.testing.assert_array_equal(table, own_table)
    assert mirrored == {True, False}
    _, table = center(image, None, Traits(mean, std))
    np.testing.assert_allclose(table, (np.arange(256) - np.c_[list(mean)]) / np.c_[list(std)], rtol=1e-6)


def test_levels_are_normalized_red_first():
    table = levels(gain=1.5, shift=[1, 2, 3])
    assert table.dtype == np.float32
    for channel in range(3):
        expected = ((np.arange(256) - MEAN[channel]) * 1.5 + channel + 1) / STD[channel]
        np.testing.assert_allclose(table[channel], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('height, width, top, left', [(256, 341, 16, 58), (257, 256, 16, 16), (224, 224, 0, 0)])
def test_the_corner_of_a_center_crop_is_rounded_down(height, width, top, left):
    image = np.arange(height * width * 3).reshape(height, width, 3).astype(np.uint8)
    crop, table = center(image, None)
    np.testing.assert_array_equal(crop, image[top : top + 224, left : left + 224])
    np.testing.assert_array_equal(table, levels())


def test_scales_of_the_paper_are_drawn_from_256_to_480(random):
    """Vertical stripes, 16 pixels wide at 480: in the crop they are as much narrower as the image was scaled."""
    stripes = np.repeat((np.arange(640) // 16 % 2 * 255).astype(np.uint8)[None, :, None], 480, 0).repeat(3, 2)
    rows = [paper(stripes, random)[0][112, :, 1] > 110 for _ in range(64)]
    sides = np.array([224 / max(1, np.abs(np.diff(row.astype(int))).sum()) for row in rows]) / 16 * 480
    assert 240 < sides.min() < 300 and 430 < sides.max() < 510


def test_a_crop_of_the_paper_is_a_part_of_the_image_scaled_and_half_of_them_are_mirrored():
    """A ramp of columns: the crop's ends say where it was and which way round; between them it is a ramp too."""
    image = np.repeat((np.arange(480) / 2).astype(np.uint8)[None, :, None], 300, 0).repeat(3, 2)
    directions = []
    for seed in range(200):
        row = paper(image, np.random.RandomState(seed))[0][100, :, 0].astype(float)
        directions.append(np.sign(row[-1] - row[0]))
        assert 68 <= abs(row[-1] - row[0]) <= 132  # 140 to 263 columns of half a level each, less a level for rounding
        np.testing.assert_allclose(row, np.linspace(row[0], row[-1], 224), atol=2)
    assert 70 < directions.count(1.0) < 130


def test_colors_of_the_paper_are_alexnets(random):
    """The covariance of what is added is VECTORS · diag((0.1 · VALUES)²) · VECTORSᵀ, in pixels of 0–255."""
    image = flat(100, 256, 256)
    added = np.array([paper(image, random)[1][:, 100] for _ in range(4000)]) * STD + MEAN - 100
    expected = augmentation.VECTORS @ np.diag((0.1 * augmentation.VALUES) ** 2) @ augmentation.VECTORS.T
    np.testing.assert_allclose(np.cov(added.T), expected, rtol=0.1, atol=0.15)
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=0.3)


def test_what_the_code_of_2016_draws(random, monkeypatch):
    stretched = Recorded(monkeypatch, 'stretched_crop')
    tables = np.array([code_2016(flat(114), random)[1] for _ in range(400)])
    scales, ratios, sides = np.array(stretched.calls).T
    assert set(scales) == {1} and sides.min() < 200 and sides.max() > 476 and 196 <= sides.min() <= sides.max() <= 480
    assert 0.75 <= ratios.min() < 0.76 and 1.24 < ratios.max() <= 1.25
    gains = (tables[:, 0, 255] - tables[:, 0, 0]) * STD[0] / 255
    assert 0.8 <= gains.min() < 0.81 and 1.19 < gains.max() <= 1.2
    shifts = tables[:, 0, 0] * STD[0] + MEAN[0] * gains
    assert -10.001 <= shifts.min() < -9.8 and 9.8 < shifts.max() <= 10.001


def test_what_the_code_of_2018_draws(random, monkeypatch):
    """Hue, lightness and saturation are truncated towards zero: 0 comes twice as often as any other."""
    stretched, colors = Recorded(monkeypatch, 'stretched_crop'), Recorded(monkeypatch, 'shift_colors')
    image = flat(114)
    for _ in range(1000):
        _, table = code_2018(image, random)
        np.testing.assert_array_equal(table, levels())
    scales, ratios, sides = np.array(stretched.calls).T
    assert 0.533 <= scales.min() < 0.54 and 0.995 < scales.max() <= 1 and set(sides) == {224}
    assert 0.75 <= ratios.min() < 0.76 and 1.24 < ratios.max() <= 1.25
    for drawn, most in zip(np.array(colors.calls).T, (36, 50, 50)):
        assert drawn.min() == 1 - most and drawn.max() == most - 1
        assert (drawn == 0).mean() == pytest.approx(1 / most, rel=0.5)


def test_the_border_beside_a_stretched_image_is_the_authors(random):
    """Narrower by 2/2.25, it leaves 1/18 of the width free on either side; a small canvas has 256 pixels."""
    canvas = stretched_crop(flat(200, 480, 480), 1, 1.25, 480, random)
    free = round(480 / 18)
    assert (canvas[:, : free - 1] == (99, 113, 123)).all() and (canvas[:, 1 - free :] == (99, 113, 123)).all()
    assert (canvas[:, free + 1 : -free - 1] == 200).all()
    canvas = stretched_crop(flat(200, 480, 480), 0.533, 1, 256, random)
    assert (canvas[1:-1, 1:-1] == 200).all()  # 480 · 0.533 = 255.84 of 256 pixels


def test_hues_do_not_go_round():
    """A red image, of hue 0, turns towards yellow and never towards blue; as MXNet has it."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 200
    images = [augmentation.shift_colors(red, hue, 0, 0)[0, 0].astype(int) for hue in range(-36, 37)]
    assert all(blue <= green + 1 for blue, green, _ in images) and any(green > blue + 20 for blue, green, _ in images)


# Against MXNet's iterator


@pytest.fixture(scope='module')
def photos():
    """Photographs of shorter side 480, BGR: scikit-learn's two, and some of ImageNet's where there are any."""
    images = [image[..., ::-1] for image in load_sample_images().images]
    paths = sorted(glob.glob(os.path.join(os.environ.get('DFN_DATA', '.'), 'imagenet', 'train', '*', '*')))
    images += [cv2.imread(path) for path in paths[::200]]
    sizes = [
        (round(image.shape[1] * 480 / min(image.shape[:2])), round(image.shape[0] * 480 / min(image.shape[:2])))
        for image in images
    ]
    return [cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image, size in zip(images, sizes)]


@pytest.fixture(scope='module')
def mxnet(photos, tmp_path_factory):
    """What MXNet's iterator makes of the photographs with some options: (n, 224, 224, 3) float32, BGR."""
    prefix = str(tmp_path_factory.mktemp('photos') / 'x')
    record = mx.recordio.MXIndexedRecordIO(prefix + '.idx', prefix + '.rec', 'w')
    for i, image in enumerate(photos):
        record.write_idx(i, mx.recordio.pack_img(mx.recordio.IRHeader(0, float(i), i, 0), image, 1, '.png'))
    record.close()

    def iterate(**options):
        iterator = mx.io.ImageRecordIter(
            path_imgrec=prefix + '.rec',
            path_imgidx=prefix + '.idx',
            data_shape=(3, 224, 224),
            batch_size=len(photos),
            preprocess_threads=1,
            verbose=False,
            inter_method=9,
            **options,
        )
        return next(iterator).data[0].asnumpy().transpose(0, 2, 3, 1)[..., ::-1]

    return iterate


def assert_close(ours, theirs, most, share):
    """No two values are more than `most` levels apart, and no more than a share of them differ at all."""
    apart = np.abs(np.array(ours, np.float64) - theirs)
    assert apart.max() <= most and (apart > 0.01).mean() <= share, (apart.max(), (apart > 0.01).mean())


SIDE, RATIO = (196, 481), (0.75, 1.25)  # the ranges of what is pinned


@pytest.mark.parametrize(
    'side, most, share',
    [(196, 1, 0.01), (217, 1, 0.06), (223, 1, 0.06), (224, 0, 0), (225, 0, 0), (338, 0, 0), (449, 0, 0), (480, 0, 0)],
)
def test_crops_are_resized_as_by_mxnet(photos, mxnet, side, most, share):
    """Bicubic below 224, where OpenCV's versions round differently; areas above it."""
    ours = [code_2016(image, Pinned({SIDE: side, RATIO: 1}))[0] for image in photos]
    assert_close(ours, mxnet(min_crop_size=side, max_crop_size=side), most, share)


@pytest.mark.parametrize('ratio', [0.75, 0.8137, 0.9661, 1.0709, 1.1893, 1.25])
@pytest.mark.parametrize('side', [480, 339])
def test_the_aspect_ratio_changes_as_by_mxnet(photos, mxnet, monkeypatch, ratio, side):
    monkeypatch.setattr(augmentation, 'BORDER', (127,) * 3)  # MXNet 1.9.1 has one value for all channels
    ours = [code_2016(image, Pinned({SIDE: side, RATIO: ratio}))[0] for image in photos]
    theirs = mxnet(
        min_crop_size=side, max_crop_size=side, min_aspect_ratio=ratio, max_aspect_ratio=ratio, fill_value=127
    )
    assert_close(ours, theirs, 6, 0.01)


@pytest.mark.parametrize('scale, ratio', [(0.533, 1), (0.533, 0.75), (0.6173, 1.25), (0.7321, 0.8137), (1, 1.1893)])
def test_the_scale_changes_as_by_mxnet(photos, mxnet, monkeypatch, scale, ratio):
    """Although inter_method=9 asks for areas here, warpAffine is bilinear."""
    monkeypatch.setattr(augmentation, 'BORDER', (127,) * 3)
    monkeypatch.setattr(augmentation, 'shift_colors', lambda image, *_: image)
    ours = [code_2018(image, Pinned({(0.533, 1): scale, RATIO: ratio}))[0] for image in photos]
    theirs = mxnet(
        min_random_scale=scale,
        max_random_scale=scale,
        min_img_size=256,
        min_aspect_ratio=ratio,
        max_aspect_ratio=ratio,
        fill_value=127,
    )
    assert_close(ours, theirs, 6, 0.01)


@pytest.mark.parametrize('option, place', [('random_h', 0), ('random_l', 1), ('random_s', 2)])
def test_hue_lightness_and_saturation_shift_as_by_mxnet(photos, mxnet, option, place):
    """MXNet draws a shift for each image: one of -2 to 2 has to give what it made."""
    crops = [center(image, None)[0] for image in photos]
    found = set()
    for seed in range(3):
        for crop, theirs in zip(crops, mxnet(seed_aug=seed, **{option: 3})):
            apart = {}
            for shift in range(-2, 3):
                ours = augmentation.shift_colors(crop, *np.eye(3, dtype=int)[place] * shift)
                apart[shift] = np.abs(ours - theirs)
            shift = min(apart, key=lambda shift: apart[shift].mean())
            assert apart[shift].max() <= 3 and (apart[shift] > 0).mean() < 0.001
            found.add(shift)
    assert len(found) > 1


def test_contrast_and_illumination_change_as_by_mxnet(photos, mxnet):
    """MXNet draws both for each image: with those that fit best, ours is the same."""
    means = dict(zip(('mean_r', 'mean_g', 'mean_b', 'std_r', 'std_g', 'std_b'), MEAN + STD))
    for image, theirs in zip(photos, mxnet(max_random_contrast=0.2, max_random_illumination=10, **means)):
        crop, _ = center(image, None)
        pixels = crop[..., ::-1] - np.array(MEAN)
        wanted = theirs[..., ::-1] * np.array(STD)
        known = np.stack([pixels.ravel(), np.ones(pixels.size)], axis=1)
        (gain, shift), *_ = np.linalg.lstsq(known, wanted.ravel(), rcond=None)
        assert 0.8 <= gain <= 1.2 and -10 <= shift <= 10
        table = levels(gain, shift)
        ours = np.stack([table[channel][crop[..., 2 - channel]] for channel in range(3)], axis=-1)
        np.testing.assert_allclose(ours * STD, wanted, atol=1e-4)
