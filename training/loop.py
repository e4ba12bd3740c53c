"""The training loop: epochs of steps, an evaluation and a checkpoint after each."""
import math
import signal
import time
from typing import Callable, NamedTuple

import numpy as np
from tqdm import tqdm

from training import checkpoint
from training.evaluate import Tally, evaluate, member_names
from training.replicas import outputs
from training.runlog import EACH, WITHOUT
from training.stop import StopRequest

LOG_EVERY = 100  # steps
BAR = '{desc} |{bar}| {percentage:3.0f}% {rate_fmt}{postfix}'  # fits 80 columns
FAIL = 50        # percent: a final test error above it is a "fail", as in the paper


class Plan(NamedTuple):
    """What the loop works through."""

    train: object            # images_per_epoch, and epoch(epoch, start) yielding ([(data, labels) of a device], images
                             # of the batch over all devices of all workers)
    test: Callable           # () → (data, labels) of the whole test set, batch by batch
    test_images: int         # how many those are
    epochs: int
    rate: Callable           # epoch → learning rate
    checkpoint_seconds: float  # between checkpoints within an epoch; infinity for none
    top5: bool = False       # whether metrics.csv has the top-5 errors


class Diverged(Exception):
    """The loss is not a finite number any more."""


class Stopped(Exception):
    """A signal asked for the end; what was done is saved."""

    def __init__(self, number):
        super().__init__(number)
        self.signal = number


class Progress:
    """Where a run stands: `epoch` whole epochs and `step` steps of the next, and what they measured."""

    def __init__(self, epoch=0, step=0, rows=(), tally=None, seconds=0.0):
        self.epoch, self.step, self.rows = epoch, step, list(rows)
        self.tally = tally or Tally()  # of the epoch under way, over its augmented batches
        self.seconds = seconds         # trained in the epoch under way

    def to_json(self, config):
        """The dict of progress.json. All random numbers are a function of seed, epoch and step."""
        return {'epoch': self.epoch, 'step': self.step, 'rows': self.rows, 'tally': vars(self.tally),
                'seconds': self.seconds, 'options': config['options'],
                'generator': {'kind': 'numpy.random.RandomState([seed, epoch])',
                              'seed': config['options']['seed'], 'epoch': self.epoch + 1, 'step': self.step}}

    @classmethod
    def from_json(cls, saved):
        """The Progress that to_json wrote."""
        return cls(saved['epoch'], saved['step'], saved['rows'], Tally(**saved['tally']), saved['seconds'])


class Trainer:
    """One run: the network, its optimiser, its plan and its run directory.

    Every worker of a distributed job has one and goes through the same steps. Rank 0 alone evaluates and keeps
    the run directory; it decides when to save, and a signal to any worker stops all of them after the same step.
    """

    def __init__(self, symbol, replicas, optimiser, plan, log):
        self.symbol, self.replicas, self.optimiser, self.plan, self.log = symbol, replicas, optimiser, plan, log
        self.store, self.progress = replicas.store, Progress()
        names = member_names(symbol)
        self.members = names if len(names) > 1 else []

    def resume(self):
        """Take up the newest checkpoint, if there is one."""
        found = checkpoint.find(self.log.directory) if self.store.rank == 0 else []
        if not self.store.tell(bool(found)):
            return
        saved = checkpoint.restore(found[-1] if found else None, self.replicas, self.optimiser)
        where = self.store.tell(saved and {'epoch': saved['epoch'], 'step': saved['step']})
        self.progress = Progress.from_json(saved) if saved else Progress(**where)
        self.log.write_metrics(self.progress.rows)
        self.log.logger.info('resumed after %d epochs and %d steps', self.progress.epoch, self.progress.step)

    def run(self):
        """Train to the last epoch and record the outcome. Raises Diverged or Stopped."""
        with StopRequest() as stop:
            while self.progress.epoch < self.plan.epochs:
                try:
                    self._train_epoch(stop)
                    self._end_epoch()
                    self._stop_if_asked(stop)
                except (Diverged, Stopped) as end:
                    if isinstance(end, Diverged):
                        self._record_divergence()
                    self.store.meet()  # a worker that is gone ends the job, and rank 0 may still be writing
                    raise
        if self.store.rank == 0:
            self._record_end()

    def _record_end(self):
        error = self.progress.rows[-1]['test_error']
        self.log.finish(status='finished', epochs=self.plan.epochs, test_error=error,
                        best_test_error=min(row['test_error'] for row in self.progress.rows), fail=error > FAIL)
        self.log.logger.info('finished: test error %.2f %%%s', error,
                             ': over %d %%, which the paper prints as "fail"' % FAIL if error > FAIL else '')

    def _train_epoch(self, stop):
        progress, epoch = self.progress, self.progress.epoch + 1
        rate, saved = self.plan.rate(epoch), time.monotonic()
        if epoch == 1 or rate != self.plan.rate(epoch - 1):
            self.log.logger.info('Epoch[%d] Change learning rate to %g', epoch - 1, rate)
        batches = self.plan.train.epoch(epoch, progress.step)
        with self._bar(epoch) as bar:
            begun, before = time.monotonic(), progress.seconds
            batch = next(batches, None)
            while batch is not None:
                parts, images = batch
                executors = self.replicas.gradients(parts)
                self.optimiser.step(rate, images)
                batch = next(batches, None)  # made while the devices work on this one
                due = self.store.rank == 0 and time.monotonic() - saved > self.plan.checkpoint_seconds
                asked, due = self._count(executors, parts, bool(stop.signal), due)
                progress.seconds = before + time.monotonic() - begun
                self._report(bar, epoch, images)
                if batch is None:
                    break  # the end of an epoch has a checkpoint of its own
                if asked or due:
                    self._save()
                    saved = time.monotonic()
                if asked:
                    raise Stopped(stop.signal or signal.SIGTERM)

    def _stop_if_asked(self, stop):
        if self.store.total([bool(stop.signal)])[0]:
            raise Stopped(stop.signal or signal.SIGTERM)

    def _count(self, executors, parts, *wishes):
        """Wait for the step's outputs and add them to the tally; returns how many workers have each of the wishes.

        One sum over the workers serves for both.
        """
        tally = Tally()
        tally.add(outputs(executors), np.concatenate([labels for _, labels in parts]))
        loss, wrong, seen, wrong5, *wishes = self.store.total(
            [tally.loss, tally.wrong, tally.seen, tally.wrong5, *wishes])
        self.progress.tally.count(loss, wrong, seen, wrong5)
        self.progress.step += 1
        if not math.isfinite(self.progress.tally.loss):
            raise Diverged('the training loss is not finite at epoch %d, step %d: try a smaller --lr' % (
                self.progress.epoch + 1, self.progress.step))
        return wishes

    def _end_epoch(self):
        self.replicas.merge_statistics()
        row = self._evaluate() if self.store.rank == 0 else None
        if not self.store.tell(row is not None and math.isfinite(row['test_loss'])):
            raise Diverged('the test loss is not finite after epoch %d: try a smaller --lr' % (self.progress.epoch + 1))
        if row:
            self._log_epoch(row)
        self.progress = Progress(self.progress.epoch + 1, rows=self.progress.rows + ([row] if row else []))
        self._save()
        self.log.write_metrics(self.progress.rows)

    def _evaluate(self):
        """The row of metrics.csv for the epoch that is over."""
        begun = time.monotonic()
        test = evaluate(self.replicas.predictor(), self.plan.test(), self.plan.test_images)
        return self._row(test, self.progress.seconds + time.monotonic() - begun)

    def _row(self, test, seconds):
        """A row of metrics.csv; test is None where the epoch never came to its evaluation."""
        progress = self.progress
        row = {'epoch': progress.epoch + 1, 'lr': self.plan.rate(progress.epoch + 1),
               'train_loss': progress.tally.mean_loss, 'train_error': progress.tally.error,
               'test_loss': test and test.tally.mean_loss, 'test_error': test and test.tally.error,
               **({'train_top5_error': progress.tally.error5, 'test_top5_error': test and test.tally.error5}
                  if self.plan.top5 else {}),
               'images_per_second': progress.tally.seen / progress.seconds, 'seconds': seconds}
        for column, part in ((EACH, 'each'), (WITHOUT, 'without')):
            for index, name in enumerate(self.members):
                row[column % name] = test and getattr(test, part)[index].error
        return row

    def _record_divergence(self):
        self.log.write_metrics(self.progress.rows + [self._row(None, self.progress.seconds)])
        self.log.finish(status='not finite', epoch=self.progress.epoch + 1, step=self.progress.step, fail=True)

    def _save(self):
        checkpoint.save(self.log.directory, self.symbol, self.replicas, self.optimiser,
                        self.progress.to_json(self.log.config))

    def _bar(self, epoch):
        return tqdm(total=self.plan.train.images_per_epoch, initial=self.progress.tally.seen, unit=' img',
                    desc='epoch %d/%d' % (epoch, self.plan.epochs), leave=False, dynamic_ncols=True, bar_format=BAR,
                    disable=None if self.store.rank == 0 else True)

    def _report(self, bar, epoch, images):
        """Move the bar, and every LOG_EVERY steps a line in the manner of MXNet's Speedometer."""
        progress, tally = self.progress, self.progress.tally
        bar.set_postfix_str('loss %.3f, error %.1f %%, %s left' % (
            tally.mean_loss, tally.error, tqdm.format_interval(self._seconds_left())), refresh=False)
        bar.update(images)
        if progress.step % LOG_EVERY == 0:
            self.log.logger.debug('Epoch[%d] Batch [%d]\tSpeed: %.2f samples/sec\taccuracy=%f\tcross-entropy=%f',
                                  epoch - 1, progress.step, tally.seen / progress.seconds,
                                  1 - tally.error / 100, tally.mean_loss)

    def _seconds_left(self):
        """Of the whole run, by the last epoch or, in the first, by the pace so far."""
        progress, images = self.progress, self.plan.train.images_per_epoch
        share = progress.tally.seen / images
        epoch = progress.rows[-1]['seconds'] if progress.rows else progress.seconds / share
        return epoch * (self.plan.epochs - progress.epoch - share)

    def _log_epoch(self, row):
        """The lines that MXNet's Module.fit writes, and that its tools/parse_log.py reads."""
        info, epoch = self.log.logger.info, row['epoch'] - 1
        info('Epoch[%d] Train-accuracy=%f', epoch, 1 - row['train_error'] / 100)
        info('Epoch[%d] Train-cross-entropy=%f', epoch, row['train_loss'])
        info('Epoch[%d] Time cost=%.3f', epoch, row['seconds'])
        info('Epoch[%d] Validation-accuracy=%f', epoch, 1 - row['test_error'] / 100)
        info('Epoch[%d] Validation-cross-entropy=%f', epoch, row['test_loss'])
        if self.plan.top5:
            info('Epoch[%d] Train-top_k_accuracy_5=%f', epoch, 1 - row['train_top5_error'] / 100)
            info('Epoch[%d] Validation-top_k_accuracy_5=%f', epoch, 1 - row['test_top5_error'] / 100)
        if self.members:
            info('Epoch[%d] Validation errors (%%): %s', epoch,
                 ', '.join('%s %.2f' % (name, row[EACH % name]) for name in self.members))
