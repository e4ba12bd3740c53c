"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint is a folder of the run directory, checkpoint-0008 after eight epochs or
checkpoint-0008-00412 after 412 more steps:

    model-symbol.json, model-0008.params    the network, as MXNet writes and reads it
    momentum.params                         optimiser, and each device's own running statistics, of all workers
    progress.json                           position, metrics so far, options, generator, checksums

The first two are enough to evaluate or to use elsewhere: `mx.model.load_checkpoint('…/model', 8)`.
A folder is written under another name, flushed to disk and then renamed, so it is whole or not there.
"""
import json
import os
import re
import shutil

from common.mxnet import mx
from common.errors import UserError
from common.files import file_digest
from training.replicas import mean_statistics

NAME = re.compile(r'checkpoint-(\d{4,})(?:-(\d{5,}))?$')
KEEP = 2  # the newest, beside the best


def folder_name(epoch, step):
    """Name of the checkpoint after `epoch` whole epochs and `step` steps of the next."""
    return 'checkpoint-%04d-%05d' % (epoch, step) if step else 'checkpoint-%04d' % epoch


def position(folder):
    """(epoch, step) of a checkpoint's folder."""
    epoch, step = NAME.match(os.path.basename(folder)).groups()
    return int(epoch), int(step or 0)


def find(run_dir):
    """Paths of a run directory's checkpoints, oldest first."""
    names = [name for name in os.listdir(run_dir) if NAME.match(name)]
    return sorted((os.path.join(run_dir, name) for name in names), key=position)


def save(run_dir, symbol, replicas, optimiser, progress):
    """Write a checkpoint and remove those no longer needed; of several workers all call it and rank 0 writes.

    progress: the dict of progress.json.
    """
    statistics = replicas.statistics()
    if replicas.store.rank == 0:
        _save(run_dir, symbol, replicas.replicas[0].parameters, statistics, optimiser, progress)


def _save(run_dir, symbol, parameters, statistics, optimiser, progress):
    name = folder_name(progress['epoch'], progress['step'])
    target, temporary = os.path.join(run_dir, name), os.path.join(run_dir, '.unfinished-checkpoint')
    if not os.path.isdir(target):  # else a run stopped again where it had been taken up
        shutil.rmtree(temporary, ignore_errors=True)
        os.mkdir(temporary)
        _write(temporary, symbol, parameters, statistics, optimiser, progress)
        os.rename(temporary, target)
        _sync(run_dir)
    _prune(run_dir, progress['rows'])


def _write(folder, symbol, parameters, statistics, optimiser, progress):
    prefix = os.path.join(folder, 'model')
    symbol.save(prefix + '-symbol.json')
    arrays = {'arg:' + name: value for name, value in parameters.items()}
    arrays.update({'aux:' + name: mx.nd.array(value) for name, value in mean_statistics(statistics).items()})
    _save_arrays('%s-%04d.params' % (prefix, progress['epoch']), arrays)

    rate, buffers = optimiser.state()
    arrays = {'momentum:' + name: value for name, value in buffers.items()}
    for device, own in enumerate(statistics):
        arrays.update({'aux%d:%s' % (device, name): mx.nd.array(value) for name, value in own.items()})
    _save_arrays(os.path.join(folder, 'momentum.params'), arrays)

    digests = {file: file_digest(os.path.join(folder, file), 'sha256') for file in os.listdir(folder)}
    with open(os.path.join(folder, 'progress.json'), 'w') as file:
        json.dump(dict(progress, rate=rate, sha256=digests), file, indent=1)
    for file in os.listdir(folder):
        _sync(os.path.join(folder, file))


def _save_arrays(path, arrays):
    """mx.nd.save, read back: MXNet does not report what a full disk swallows when it closes the file."""
    try:
        mx.nd.save(path, {name: value.as_in_context(mx.cpu()) for name, value in arrays.items()})
        mx.nd.load(path)
    except mx.MXNetError as error:
        raise UserError('%s cannot be written: is the disk full? The last checkpoint is as it was' % path) from error


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _prune(run_dir, rows):
    """Keep the newest KEEP checkpoints and the one with the smallest test error."""
    keep = find(run_dir)[-KEEP:]
    if rows:
        best = min(rows, key=lambda row: row['test_error'])['epoch']
        keep.append(os.path.join(run_dir, folder_name(best, 0)))
    for folder in find(run_dir):
        if folder not in keep:
            shutil.rmtree(folder)


def load_model(folder):
    """(symbol, parameters, statistics) of a checkpoint's folder, the latter two {name: NDArray}."""
    epoch, _ = position(folder)
    prefix = os.path.join(folder, 'model')
    return load_files(prefix + '-symbol.json', '%s-%04d.params' % (prefix, epoch))


def load_files(symbol_file, params_file):
    """(symbol, parameters, statistics) from MXNet's two files; UserError where one cannot be read."""
    for path in (symbol_file, params_file):
        if not os.path.isfile(path):
            raise UserError('there is no file %s' % path)
    try:
        symbol, arrays = mx.sym.load(symbol_file), mx.nd.load(params_file)
    except (mx.MXNetError, ValueError) as error:
        raise UserError('%s and %s cannot be read: truncated, or not files of MXNet' % (
            symbol_file, params_file)) from error
    parts = {'arg': {}, 'aux': {}}
    for name, value in arrays.items() if isinstance(arrays, dict) else [('', None)]:
        kind, _, name = name.partition(':')
        if kind not in parts:
            raise UserError('%s is not a checkpoint of a symbol: its arrays are not named arg:… and aux:…'
                            % params_file)
        parts[kind][name] = value
    return symbol, parts['arg'], parts['aux']


def load_progress(folder):
    """The dict of progress.json; UserError where a file of the checkpoint is not as it was written."""
    try:
        with open(os.path.join(folder, 'progress.json')) as file:
            progress = json.load(file)
        whole = all(file_digest(os.path.join(folder, name), 'sha256') == digest
                    for name, digest in progress['sha256'].items())
    except (FileNotFoundError, ValueError, KeyError):
        whole = False
    if not whole:
        raise UserError('%s is damaged: delete it to go on from the checkpoint before it' % folder)
    return progress


def restore(folder, replicas, optimiser):
    """Put a checkpoint's weights, statistics and momentum into place; returns the progress.

    Of several workers all call it; rank 0 reads the folder, the others' is None, and so is the progress there.
    """
    progress, momentum, statistics = None, None, None
    if replicas.store.rank == 0:
        progress = load_progress(folder)
        _, parameters, _ = load_model(folder)
        arrays = mx.nd.load(os.path.join(folder, 'momentum.params'))
        momentum = progress['rate'], {name: arrays['momentum:' + name] for name in parameters}
        statistics = [{name: arrays['aux%d:%s' % (device, name)].asnumpy()
                       for name in replicas.replicas[0].statistics} for device in range(replicas.store.place.total)]
        for replica in replicas.replicas:
            for name, value in replica.parameters.items():
                parameters[name].copyto(value)
    replicas.share([replica.flat for replica in replicas.replicas])
    replicas.restore_statistics(statistics)
    optimiser.restore(momentum)
    return progress
