"""From a data set's name to arrays: what is made, made again, taken as it is, and by whom of several."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from common.errors import UserError
from common.sharding import Shard
import data
from data import recordio, records
from tests.conftest import ROOT
from tests.data.small_folders import write_folders
from tests.data.small_imagenet import edit, write


@pytest.mark.parametrize(
    'damage',
    [
        lambda prefix: os.truncate(prefix + '.rec', 1000),
        lambda prefix: os.truncate(prefix + '.idx', 10),
        lambda prefix: os.remove(prefix + '.idx'),
        lambda prefix: os.remove(prefix + '.json'),
        lambda prefix: write(prefix + '.json', b'{'),
        lambda prefix: edit(prefix + '.rec', lambda content: b'other' + content[5:]),
    ],
)
def test_damage_is_noticed_and_mended(small_cifar, capsys, damage):
    first = data.load('cifar10', small_cifar, verify=False)
    prefix = os.path.join(small_cifar, 'cifar10-train')
    assert recordio.check(prefix)
    damage(prefix)
    assert recordio.check(prefix) is None
    again = data.load('cifar10', small_cifar, verify=False)
    assert 'making the RecordIO files again' in capsys.readouterr().out
    assert recordio.check(prefix) == first.about['train'] == again.about['train']


def test_records_of_unverified_files_need_no_verify_again(small_cifar):
    dataset = data.load('cifar10', small_cifar, verify=False)
    assert dataset.splits['train'][0].shape == (60, 3, 32, 32)
    with open(os.path.join(small_cifar, 'cifar10-train.json')) as file:
        assert json.load(file)['verified'] is False
    with pytest.raises(UserError, match='made from unverified files'):
        data.load('cifar10', small_cifar)
    data.load('cifar10', small_cifar, verify=False)


def test_of_two_runs_started_together_one_prepares_the_data(small_cifar, monkeypatch):
    """Both see the files whole; the second finds them made when its turn comes."""
    written, sums, looked = [], [], []
    both, check, write = threading.Barrier(2), data._check, records.write

    def check_together(name, prefixes):
        found = check(name, prefixes)
        if len(looked) < 2:
            looked.append(found)
            both.wait(60)  # neither begins before both have seen that nothing is there
        return found

    monkeypatch.setattr(data, '_check', check_together)
    monkeypatch.setattr(records, 'write', lambda *args, **more: (written.append(args[0]), write(*args, **more))[1])
    runs = [
        threading.Thread(
            target=lambda: sums.append(data.load('cifar10', small_cifar, verify=False).splits['train'][0].sum())
        )
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(sums) == 2 and sums[0] == sums[1]
    assert len(written) == 2  # train and test, once


def test_who_waits_for_another_process_says_so(small_cifar, capfd):
    waiting = threading.Thread(target=data.load, args=('cifar10', small_cifar), kwargs={'verify': False})
    with data._one_at_a_time(small_cifar):
        waiting.start()
        for _ in range(300):
            err = capfd.readouterr().err
            if err:
                break
            time.sleep(0.1)
    waiting.join()
    assert err == f'waiting for another process, which prepares or checks the images in {small_cifar}\n'
    assert data.load('cifar10', small_cifar, verify=False).splits


def test_a_folder_that_the_other_process_removes_is_made_again(tmp_path):
    """The other one had made it and failed, for example to fetch the archive."""
    folder, seen = str(tmp_path / 'new'), []

    def second():
        with data._one_at_a_time(folder):
            seen.append(os.path.isdir(folder))

    waiting = threading.Thread(target=second)
    with data._one_at_a_time(folder):
        waiting.start()
        time.sleep(0.5)
    waiting.join(20)
    assert seen == [True]


def test_a_program_without_the_usual_guard_is_told_so(tmp_path, random):
    """A worker of the packing runs the program too. It waited for its parent, and the parent for it, for ever."""
    write_folders(str(tmp_path / 'pets'), random)
    (tmp_path / 'program.py').write_text(
        'import data\nfrom data import own_images\nown_images.CHUNK = 2  # with more images, there are processes\n'
        "data.load_images('pets', 'pets', own_images.Layout(32))\n"
    )
    done = subprocess.run(
        [sys.executable, 'program.py'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': ROOT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0 and "keep it below `if __name__ == '__main__':`" in done.stderr


def test_no_verify_does_not_make_official_files_unverified(tmp_path):
    assert data.load('digits', str(tmp_path), verify=False).about['train']['verified'] is True


def test_a_data_set_knows_its_shape_classes_and_batches(small_cifar):
    dataset = data.load('cifar10', small_cifar, verify=False)
    assert dataset.image_shape == (3, 32, 32) and len(dataset.classes) == 10 and dataset.classes[3] == 'cat'
    batches = dataset.train_batches(8, 1, Shard(1, 1, 2), 'mean')
    (((part, _),), whole), *_ = batches.epoch(1)
    assert part.shape == (4, 3, 32, 32) and whole == 8 and batches.steps == 8 and batches.images_per_epoch == 60
    images, _ = dataset.splits['test']
    (first, _), *_ = dataset.evaluation_batches('test', 20)
    mean, std = (np.array(values)[:, None, None] for values in (dataset.source.mean, dataset.source.std))
    np.testing.assert_allclose(first, (images - mean) / std, atol=1e-5)


def test_an_evaluation_loads_one_split(small_cifar):
    assert list(data.load_for_evaluation('cifar10', small_cifar, verify=False).splits) == ['test']
    assert list(data.load_for_evaluation('cifar10', small_cifar, 'train', verify=False).splits) == ['train']
    with pytest.raises(UserError, match='cifar10 in .* has no images for --split val'):
        data.load_for_evaluation('cifar10', small_cifar, 'val', verify=False)


def test_a_folder_that_is_a_file_is_one_error_and_an_empty_one_goes(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file is not a folder: name another with --data-dir'):
        data.load('cifar10', str(tmp_path / 'file'))
    with pytest.raises(UserError, match='neither'):
        data.load_imagenet(str(tmp_path / 'none'))
    assert not (tmp_path / 'none').exists()
