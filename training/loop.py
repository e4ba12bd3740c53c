"""The training loop: epochs of steps, with an evaluation and a checkpoint after each.

Everything random is a function of seed, epoch and step, so that a run resumes in the middle of an epoch.
"""

from collections.abc import Callable
import functools
import math
import signal
import time

import numpy as np
from tqdm import tqdm

from common.errors import UserError
from common.mxnet import THREADS_NOTE
from common.signals import StopRequest
from symbols.analysis.summary import count_parameters
from training import checkpoint, run_directory, transfer
from training.evaluation import Tally, evaluate, member_names
from training.initializer import initial_replicas
from training.optimizer import NesterovSGD
from training.replicas import outputs
from training.run import Run
from training.run_directory import EACH, FAIL, WITHOUT
from training.run_writer import NoRunDirectory, RunDirectory
from training.schedule import SCHEDULES

LOG_EVERY = 100  # steps
WARM_UP, TIMED = 5, 15  # steps of this process before those by which it tells how long the run will take
BAR = '{desc} |{bar}| {percentage:3.0f}% {rate_fmt}{postfix}'  # fits 80 columns


class Diverged(Exception):
    """The loss is no longer a finite number."""


class Stopped(Exception):
    """A signal, `number`, asked for the end; everything is saved."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class Progress:
    """Where a run stands: after `epoch` whole epochs and `step` steps of the next.

    Attributes:
        rows: of metrics.csv.
        tally: of the epoch under way, over its augmented images.
        seconds: of training in the epoch under way.
    """

    def __init__(self, epoch=0, step=0, rows=(), tally=None, seconds=0.0):
        self.epoch, self.step, self.rows = epoch, step, list(rows)
        self.tally, self.seconds = tally or Tally(), seconds

    def to_json(self, options: dict) -> dict:
        """The contents of progress.json."""
        return {
            'epoch': self.epoch,
            'step': self.step,
            'rows': self.rows,
            'tally': vars(self.tally),
            'seconds': self.seconds,
            'options': options,
            'generator': {
                'kind': 'numpy.random.RandomState([seed, epoch])',
                'seed': options['seed'],
                'epoch': self.epoch + 1,
                'step': self.step,
            },
        }

    @classmethod
    def from_json(cls, saved: dict) -> 'Progress':
        """Read what to_json wrote."""
        return cls(saved['epoch'], saved['step'], saved['rows'], Tally(**saved['tally']), saved['seconds'])


class Trainer:
    """Trains one run.

    Every worker of a distributed job has a Trainer, and all go through the same steps. Rank 0 alone evaluates and keeps
    the run directory. It decides when to save. A signal to any worker stops all of them after the same step.
    """

    def __init__(self, run: Run, network: Callable, dataset, batches):
        """Prepare everything up to the first step.

        Args:
            network: (dtype, loss_scale) → the symbol as drawn.
            dataset: from data.load, data.load_imagenet or data.load_images.
            batches: `epoch(epoch, step)` yields ([(data, labels) for each device here], images in the whole batch);
                `images_per_epoch` and `steps` are the numbers of images and batches in an epoch.
        """
        args = run.args
        self.run, self.dataset, self.batches = run, dataset, batches
        self.collectives, self.epochs, self.progress = run.collectives, args.epochs, Progress()
        self.learning_rate = functools.partial(SCHEDULES[args.schedule], epochs=args.epochs, base=args.lr)
        self.symbol = network()
        names = member_names(self.symbol)
        self.members = names if len(names) > 1 else []
        config = {
            **run.config,
            'parameters': count_parameters(self.symbol, dataset.image_shape),
            'dataset': {
                'name': dataset.name,
                'splits': _without_long_lists(dataset.about),
                'tested_on': dataset.test_split,
                'classes': dataset.classes,
                'mean': dataset.traits.mean,
                'std': dataset.traits.std,
            },
        }
        self._check_images(config)
        taken = self._take(config)
        loss_scale = args.loss_scale if args.dtype == 'float16' else 1
        self.replicas = initial_replicas(
            network,
            run.contexts,
            dataset.image_shape,
            args.seed,
            self.collectives,
            args.dtype,
            loss_scale,
            args.mirror,
            taken,
            args.freeze,
        )
        self.replicas.check_batches(batches.images_per_epoch, args.batch_size)
        self.optimizer = NesterovSGD(self.replicas, args.momentum, args.weight_decay, loss_scale)
        self._steps_here, self._warm, self._timed = 0, 0.0, 0
        self.directory = RunDirectory(run.directory, config) if self.collectives.rank == 0 else NoRunDirectory(config)
        self.log = self.directory.logger

    def _check_images(self, config):
        own = run_directory.identity(config)['data']
        if self.collectives.broadcast_object(own) != own:
            raise UserError(f'worker {self.collectives.rank} has other images to train on than worker 0')

    def _take(self, config):
        """The weights that --init-from names, for all workers if this is rank 0; none for a resumed run."""
        if not self.run.source:
            return transfer.Taken()
        taken = transfer.take(self.run.source, self.symbol, self.dataset.image_shape, self.dataset.classes)
        config['init_from'] = taken.described
        return taken

    def fit(self) -> int:
        """Train to the last epoch, or until a signal; returns the exit status."""
        outcome = self.collectives.broadcast_object(self.directory.outcome)
        if outcome:
            return self.run.report(outcome)
        self._log_start()
        self._resume()
        try:
            with StopRequest() as stop:
                while self.progress.epoch < self.epochs:
                    self._train_epoch(stop)
                    self._end_epoch(stop)
        except (Diverged, Stopped) as end:
            return self._end_early(end)
        self._finish()
        return 0

    def _train_epoch(self, stop):
        """One pass over the training images, from the step where the run stands."""
        epoch, progress = self.progress.epoch + 1, self.progress
        learning_rate, saved = self.learning_rate(epoch), time.monotonic()
        if epoch == 1 or learning_rate != self.learning_rate(epoch - 1):
            self.log.info('Epoch[%d] Change learning rate to %g', epoch - 1, learning_rate)
        batches = self.batches.epoch(epoch, progress.step)
        with self._bar(epoch) as bar:
            begun = time.monotonic() - progress.seconds
            batch = next(batches, None)
            while batch is not None:
                parts, images = batch
                executors = self.replicas.gradients(parts)  # forward, backward, sums over all devices: only queued
                self.optimizer.step(learning_rate, images)  # the update: queued too
                batch = next(batches, None)  # prepared while the devices work

                tally = Tally()
                tally.add(outputs(executors), np.concatenate([labels for _, labels in parts]))  # waits for the step
                due = self.collectives.rank == 0 and time.monotonic() - saved > 60 * self.run.args.checkpoint_minutes
                loss, wrong, seen, wrong5, asked, due = self.collectives.all_reduce_numbers(
                    [tally.loss, tally.wrong, tally.seen, tally.wrong5, bool(stop.signal), due]
                )
                progress.tally.count(loss, wrong, seen, wrong5)
                progress.step += 1
                progress.seconds = time.monotonic() - begun
                if not math.isfinite(progress.tally.loss):
                    raise Diverged(
                        f'the training loss is not finite at epoch {epoch}, step {progress.step}: try a smaller --lr'
                    )
                self._show(bar, images)
                if batch is not None and (asked or due):  # the end of an epoch has a checkpoint of its own
                    self._check_finite()
                    self._save()
                    saved = time.monotonic()
                    begun = saved - progress.seconds
                    if asked:
                        raise Stopped(stop.signal or signal.SIGTERM)

    def _end_epoch(self, stop):
        """Evaluate, write the row of metrics.csv, and save."""
        self.replicas.merge_statistics()
        self._check_finite()
        row = self._evaluate() if self.collectives.rank == 0 else None
        if not self.collectives.broadcast_object(row is not None and math.isfinite(row['test_loss'])):
            raise Diverged(f'the test loss is not finite after epoch {self.progress.epoch + 1}: try a smaller --lr')
        if row:
            self._log_epoch(row)
        self.progress = Progress(self.progress.epoch + 1, rows=self.progress.rows + ([row] if row else []))
        self._save()
        self.directory.write_metrics(self.progress.rows)
        if self.collectives.all_reduce_numbers([bool(stop.signal)])[0]:
            raise Stopped(stop.signal or signal.SIGTERM)

    def _check_finite(self):
        """Before a checkpoint, which could not be read back otherwise. A ReLU may keep it from the loss."""
        broken = self.collectives.broadcast_object(self.replicas.find_not_finite())
        if broken:
            raise Diverged(f'{broken} is not finite in epoch {self.progress.epoch + 1}: try a smaller --lr')

    def _evaluate(self):
        begun, split = time.monotonic(), self.dataset.test_split
        batches = self.dataset.evaluation_batches(split, self.dataset.test_batch * self.run.shard.here)
        test = evaluate(self.replicas.predictor(), batches, self.dataset.about[split]['records'])
        return self._row(test, self.progress.seconds + time.monotonic() - begun)

    def _row(self, test, seconds):
        """The row of metrics.csv for the epoch under way; `test` is None where it did not reach its evaluation."""
        progress, epoch = self.progress, self.progress.epoch + 1
        row = {
            'epoch': epoch,
            'lr': self.learning_rate(epoch),
            'train_loss': progress.tally.mean_loss,
            'train_error': progress.tally.error,
            'test_loss': test and test.tally.mean_loss,
            'test_error': test and test.tally.error,
        }
        if self.dataset.has_top5:
            row |= {'train_top5_error': progress.tally.error5, 'test_top5_error': test and test.tally.error5}
        row |= {'images_per_second': progress.tally.seen / progress.seconds, 'seconds': seconds}
        row |= {EACH.format(name): test and test.each[index].error for index, name in enumerate(self.members)}
        row |= {WITHOUT.format(name): test and test.without[index].error for index, name in enumerate(self.members)}
        return row

    def _resume(self):
        """Take up the newest checkpoint that is intact, if there is any; damaged ones that are newer are kept aside."""
        state, damaged = None, []
        if self.collectives.rank == 0:
            state, damaged = checkpoint.newest_intact(self.directory.path, self.replicas, self._difference)
        position = self.collectives.broadcast_object(state and checkpoint.position(state.folder))
        if not position:
            return
        checkpoint.restore(state, self.replicas, self.optimizer)
        for folder, wrong in damaged:
            self._set_aside(folder, wrong, *position)
        self.progress = Progress.from_json(state.progress) if state else Progress(*position)
        self.directory.write_metrics(self.progress.rows)
        self.log.info('resumed after %d epochs and %d steps', self.progress.epoch, self.progress.step)

    def _difference(self, saved):
        """What a checkpoint's progress.json says that cannot be of this run; None if there is nothing."""
        epoch, step, args = saved['epoch'], saved['step'], self.run.args
        if epoch > self.epochs or step >= self.batches.steps or saved['tally']['seen'] != step * args.batch_size:
            return f'it says epoch {epoch}, step {step} and {saved["tally"]["seen"]} images'
        if not math.isclose(saved['rate'], self.learning_rate(epoch + (step > 0)), rel_tol=1e-9):
            return (
                f'its learning rate is {saved["rate"]}, in the schedule it is {self.learning_rate(epoch + (step > 0))}'
            )
        return None

    def _set_aside(self, folder, wrong, epoch, step):
        """Rename a damaged checkpoint, and say what is lost: the steps from (epoch, step) to it."""
        ahead, behind = checkpoint.position(folder)
        lost = (ahead - epoch) * self.batches.steps + behind - step
        self.log.warning(
            '%s; kept as %s. The run goes on from the checkpoint before it: %d steps (%d whole epochs) are lost and '
            'trained again',
            wrong,
            checkpoint.set_aside(folder),
            lost,
            lost // self.batches.steps,
        )

    def _save(self):
        self.directory.check_there()
        checkpoint.save(
            self.directory.path,
            self.symbol,
            self.replicas,
            self.optimizer,
            self.progress.to_json(self.directory.config['options']),
        )

    def _finish(self):
        if self.collectives.rank == 0:
            error = self.progress.rows[-1]['test_error']
            best = min(row['test_error'] for row in self.progress.rows)
            self.log.info(
                'finished: test error %.2f %%%s',
                error,
                f': over {FAIL} %, which the paper prints as "fail"' if error > FAIL else '',
            )
            self.directory.finish(  # which takes the digest of the log
                status='finished', epochs=self.epochs, test_error=error, best_test_error=best, fail=error > FAIL
            )

    def _end_early(self, end):
        """Record what ended the run before its last epoch; returns the exit status."""
        if isinstance(end, Diverged):
            self.log.error('%s', end)
            self.directory.write_metrics([*self.progress.rows, self._row(None, self.progress.seconds)])
            self.directory.finish(
                status='not finite', epoch=self.progress.epoch + 1, step=self.progress.step, fail=True
            )
        self.collectives.barrier()  # a worker that is gone ends the job, and rank 0 may still be writing
        if isinstance(end, Diverged):
            return 1
        by = ' by the launcher' if self.collectives.num_workers > 1 else ''
        self.log.info('stopped and saved; go on%s with: %s', by, self.run.config['command'])
        return 128 + end.number

    def _log_start(self):
        args, workers = self.run.args, self.collectives.num_workers
        of_each = f' of each of {workers} workers' if workers > 1 else ''
        self.log.info(
            f'{self.run.network} on {self.dataset.name}: {self.directory.config["parameters"]:,} '
            f'parameters, {self.batches.images_per_epoch:,} images, {" ".join(map(str, self.run.contexts))}'
            f'{of_each}, into {self.run.directory}'
        )
        other = run_directory.finished_with_other_epochs(self.run.directory, self.directory.config)
        if other and self.collectives.rank == 0 and not checkpoint.find(self.run.directory):
            place, epochs = other
            self.log.info(
                f'{place} is finished and cannot be continued to {self.epochs} epochs: its learning rates are those of '
                f'a schedule of {epochs}. This is another run, from its beginning'
            )

        init = self.directory.config.get('init_from')
        if init:
            anew = f'; {", ".join(init["renewed"])} begin anew' if init['renewed'] else ''
            frozen = '; all but FC is frozen' if args.freeze else ''
            self.log.info(f'{init["taken"]} arrays are from {init["checkpoint"]} of {args.init_from}{anew}{frozen}')

        if THREADS_NOTE:
            self.log.info(THREADS_NOTE)

    def _log_epoch(self, row):
        """The lines that MXNet's Module.fit writes, and that its tools/parse_log.py reads."""
        info, epoch = self.log.info, row['epoch'] - 1
        info('Epoch[%d] Train-accuracy=%f', epoch, 1 - row['train_error'] / 100)
        info('Epoch[%d] Train-cross-entropy=%f', epoch, row['train_loss'])
        info('Epoch[%d] Time cost=%.3f', epoch, row['seconds'])
        info('Epoch[%d] Validation-accuracy=%f', epoch, 1 - row['test_error'] / 100)
        info('Epoch[%d] Validation-cross-entropy=%f', epoch, row['test_loss'])
        if self.dataset.has_top5:
            info('Epoch[%d] Train-top_k_accuracy_5=%f', epoch, 1 - row['train_top5_error'] / 100)
            info('Epoch[%d] Validation-top_k_accuracy_5=%f', epoch, 1 - row['test_top5_error'] / 100)
        if self.members:
            errors = ', '.join(f'{name} {row[EACH.format(name)]:.2f}' for name in self.members)
            info('Epoch[%d] Validation errors (%%): %s', epoch, errors)

    def _bar(self, epoch):
        return tqdm(
            total=self.batches.images_per_epoch,
            initial=self.progress.tally.seen,
            unit=' img',
            desc=f'epoch {epoch}/{self.epochs}',
            leave=False,
            dynamic_ncols=True,
            bar_format=BAR,
            disable=None if self.collectives.rank == 0 else True,
        )

    def _show(self, bar, images):
        """Move the bar, and every LOG_EVERY steps write a line like that of MXNet's Speedometer."""
        progress, tally = self.progress, self.progress.tally
        bar.set_postfix_str(
            f'loss {tally.mean_loss:.3f}, error {tally.error:.1f} %, {tqdm.format_interval(self._seconds_left())} left',
            refresh=False,
        )
        bar.update(images)
        self._announce_duration(images)
        if progress.step % LOG_EVERY == 0:
            self.log.debug(
                'Epoch[%d] Batch [%d]\tSpeed: %.2f samples/sec\taccuracy=%f\tcross-entropy=%f',
                progress.epoch,
                progress.step,
                tally.seen / progress.seconds,
                1 - tally.error / 100,
                tally.mean_loss,
            )

    def _announce_duration(self, images):
        """Say once how long the run will take; the first steps are slow, and are not counted."""
        self._steps_here += 1
        if self._steps_here == WARM_UP:
            self._warm = time.monotonic()
        elif self._steps_here > WARM_UP:
            self._timed += images
        if self._steps_here == WARM_UP + TIMED:
            speed = self._timed / (time.monotonic() - self._warm)
            left = self.batches.images_per_epoch * (self.epochs - self.progress.epoch) - self.progress.tally.seen
            self.log.info(f'{duration(left / speed)} to go on this machine, at {speed:,.0f} images/s')

    def _seconds_left(self):
        """Of the whole run, by the last epoch, or in the first epoch by the pace so far."""
        progress = self.progress
        share = progress.tally.seen / self.batches.images_per_epoch
        epoch = progress.rows[-1]['seconds'] if progress.rows else progress.seconds / share
        return epoch * (self.epochs - progress.epoch - share)


def duration(seconds: float) -> str:
    """A rough duration in words: about 11 h."""
    if seconds < 90:
        return 'about a minute' if seconds > 30 else 'less than a minute'
    if seconds < 5400:
        return f'about {seconds / 60:.0f} min'
    return f'about {seconds / 3600:.{1 if seconds < 36000 else 0}f} h'


def _without_long_lists(about):
    """Side files without lists such as ImageNet's 1,000 classes, which config.json has once already."""
    return {
        split: {name: value for name, value in of_split.items() if not (isinstance(value, list) and len(value) > 100)}
        for split, of_split in about.items()
    }
