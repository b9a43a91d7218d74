"""Scalars for TensorBoard."""
from chainer import training
from chainer.training import extension

from bnn import errors


class TensorBoard(extension.Extension):
    """Writes each entry of the log as scalars that TensorBoard shows.

    Event files go into the output folder: ``tensorboard --logdir result``.

    Raises:
        ~bnn.errors.UserError: If tensorboardX is not installed.
    """

    priority = extension.PRIORITY_READER - 1

    def __init__(self) -> None:
        try:
            import tensorboardX
        except ImportError as e:
            raise errors.UserError(
                '--tensorboard: tensorboardX is not installed; run: '
                'pip install -r requirements.txt') from e
        self._new_writer = tensorboardX.SummaryWriter
        self._writer = None

    def trigger(self, trainer: training.Trainer) -> bool:
        return trainer.updater.is_new_epoch

    def initialize(self, trainer: training.Trainer) -> None:
        # What a killed run wrote beyond its last snapshot is hidden.
        self._writer = self._new_writer(
            trainer.out, purge_step=trainer.updater.epoch + 1,
            filename_suffix=f'.{trainer.updater.iteration}')

    def __call__(self, trainer: training.Trainer) -> None:
        entry = trainer.get_extension('LogReport').log[-1]
        for name, value in entry.items():
            if name != 'epoch':
                self._writer.add_scalar(name, value, entry['epoch'])

    def finalize(self) -> None:
        if self._writer is not None:
            self._writer.close()
