"""A progress bar on standard error, and the lines above it."""
import time
from typing import TextIO

import tqdm
from chainer import training
from chainer.training import extension

# Seconds between two lines where there is no terminal to redraw
_INTERVAL = 10.
_FORMAT = ('{l_bar}{bar}| {n:.2f}/{total:.0f} epochs [{elapsed}<{remaining}'
           '{postfix}]')


class ProgressBar(extension.Extension):
    """Shows how far a run is.

    On a terminal tqdm redraws a bar; elsewhere a plain line comes now and
    then.

    Args:
        out: Stream to draw on.
    """

    trigger = 1, 'iteration'
    # After the lines
    priority = extension.PRIORITY_READER - 2

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bar = None

    def initialize(self, trainer: training.Trainer) -> None:
        updater = trainer.updater
        self._start = self._last = time.monotonic()
        self._first = updater.iteration
        if self._out.isatty():
            self._bar = tqdm.tqdm(
                total=trainer.stop_trigger.get_training_length()[0],
                initial=updater.epoch_detail, file=self._out, leave=False,
                dynamic_ncols=True, bar_format=_FORMAT)

    def __call__(self, trainer: training.Trainer) -> None:
        updater = trainer.updater
        now = time.monotonic()
        rate = (updater.iteration - self._first) / max(now - self._start, 1e-9)
        if self._bar is not None:
            self._bar.set_postfix_str(
                f'{rate:.1f} iters/s', refresh=False)
            # The last batch of a run may reach beyond its last epoch.
            self._bar.update(
                min(updater.epoch_detail, self._bar.total) - self._bar.n)
            if updater.iteration == self._first + 1:
                # tqdm redraws ten times a second, and a run may be shorter.
                self._bar.refresh()
        elif now - self._last >= _INTERVAL:
            self._last = now
            self._out.write(
                f'{updater.iteration} iterations, {updater.epoch_detail:.2f} '
                f'epochs, {rate:.1f} iters/s\n')
            self._out.flush()

    def erase(self) -> None:
        """Takes the bar off the terminal until the next time it is drawn."""
        if self._bar is not None:
            self._bar.clear()

    def finalize(self) -> None:
        if self._bar is not None:
            self._bar.close()


class AboveBar:
    """A stream for whole lines that stand above a progress bar.

    Chainer's PrintReport erases a bar with an escape code even in a pipe;
    here the bar is erased where it stands, and only if there is one.

    Args:
        stream: Where the lines go.
        bar: The bar that may stand below.
    """

    def __init__(self, stream: TextIO, bar: ProgressBar | None) -> None:
        self._stream = stream
        self._bar = bar
        self._line = ''

    def write(self, text: str) -> None:
        # PrintReport writes a row cell by cell.
        self._line += text.replace('\033[J', '')
        lines, newline, self._line = self._line.rpartition('\n')
        if newline:
            if self._bar is not None:
                self._bar.erase()
            self._stream.write(lines + newline)

    def flush(self) -> None:
        self._stream.flush()
