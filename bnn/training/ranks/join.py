"""The processes of a run, as its configuration says."""
from bnn.training.command_line import config as config_module
from bnn.training.ranks import alone
from bnn.training.ranks import launcher

# Settings that may be others on each rank: devices and places
_OF_RANK = ('gpu', 'data_dir', 'out', 'initmodel', 'resume', 'teacher')


def join(config: config_module.Config) -> alone.Ranks:
    """Joins the ranks of a distributed run.

    Args:
        config: The configuration, ``distributed`` or not.

    Returns:
        A :class:`~bnn.training.ranks.distributed.Ranks`, or
        :data:`~bnn.training.ranks.alone.ALONE`.

    Raises:
        ~bnn.errors.UserError: If there is no MPI or no ``mpiexec``.
    """
    if not config.distributed:
        return alone.ALONE
    comm = launcher.communicator(config.communicator, config.gpu)
    from bnn.training.ranks import distributed  # which imports MPI
    return distributed.Ranks(comm)


def check_alike(config: config_module.Config, ranks: alone.Ranks) -> None:
    """Refuses ranks whose settings differ.

    Args:
        config: This rank's configuration.
        ranks: What :func:`join` returned.

    Raises:
        ~bnn.errors.UserError: On every rank, if they do.
    """
    ranks.check_alike(
        configuration=config.name, teacher=config.teacher_digest, **{
            config_module.flag(name): getattr(config, name)
            for name in config_module.SETTINGS if name not in _OF_RANK})
