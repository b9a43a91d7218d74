"""Options of train.py that make a run short."""
from zoo import configured

MLP = '--dataset', 'digits', '--unit', 8, '--batchsize', 20, '--no-plot'
# 15 iterations an epoch
RESUMED = *MLP[:4], '--batchsize', 100, '--no-plot'


def options(config, made):
    """Returns options that make a configuration quick."""
    found = []
    if config.dataset == 'mnist':
        found += ['--dataset', 'digits']
    else:
        found += ['--data-dir', made / config.dataset, '--allow-modified']
    if config.input == 'whitened':  # of too few images
        found += ['--input', 'signed']
    for name, value in ('unit', 16), ('width', 4):
        if name in configured.FIELDS[config.net]:
            found += [f'--{name}', value]
    return [*found, '--batchsize', 4 if config.dataset == 'mnist' else 2]


def words(value):
    """Names a case by its options."""
    return ' '.join(map(str, value)) if isinstance(value, list) else value
