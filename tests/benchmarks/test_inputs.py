"""Data sets of noise can be read as the official ones."""

from benchmarks import inputs
import data
from data import imagenet


def test_cifar10_of_noise(tmp_path):
    inputs.write_cifar10(str(tmp_path), train=50, test=20)
    dataset = data.load('cifar10', str(tmp_path), verify=False)
    assert [len(labels) for _, labels in dataset.splits.values()] == [50, 20]
    images, labels = dataset.splits['train']
    assert images.std() > 20 and set(labels) == set(range(10))


def test_svhn_of_noise(tmp_path):
    inputs.write_svhn(str(tmp_path), {'train': 60, 'extra': 40, 'test': 30})
    dataset = data.load('svhn', str(tmp_path), verify=False)
    assert dataset.splits['test'][0].shape == (30, 3, 32, 32)
    assert sum(entry['records'] for entry in dataset.about.values()) == 60 + 40 + 30


def test_imagenet_of_photographs(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, 'PHOTOS', 20)
    assert inputs.write_imagenet(str(tmp_path)) == 20
    about = imagenet.prepare(str(tmp_path), verify=False, processes=0)
    assert [about[split]['records'] for split in ('train', 'val')] == [20, 10]
