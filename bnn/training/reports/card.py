"""The card of a packed net: what it is, and how to make it again."""
import hashlib
import os
import shlex
import time
from collections.abc import Mapping
from typing import Any

import numpy

from bnn import data
from bnn import errors
from bnn.deploy import run
from bnn.deploy import stages
from bnn.deploy import table
from bnn.training.command_line import config as config_module
from bnn.training.reports import summary

_LICENCES = {
    'mnist': 'CC BY-SA 3.0', 'fashion-mnist': 'MIT',
    'digits': 'CC BY 4.0 (UCI)', 'cifar10': 'no licence is given'}
_N_MADE = 256
# A file that has this is a card.
_MARK = '"Made images" is the SHA-256 of the classes, as bytes, of '
# What a field that was not given stands for
_RESOLVED = {'test_weights': 'tested_weights', 'lr_scale': 'rate_scale',
             'weight_init': 'first_weights'}

_TEMPLATE = '''\
# {name}

{title}.

| | |
|---|---|
| net | `{net}` |
| data | {data}, SHA-1 {digest} |
| trained by | `{command}` |
| commit | {commit} |
| date | {date} |
| processor | {cpu}, threads: {threads} |
| test accuracy | {accuracy} |
| takes | uint8 images {shape}, {scale} |
| gives | {classes} |
| file | {bytes} bytes, SHA-256 {sha256} |
| made images | SHA-256 {made} |

{mark}{n_made} images of \
`numpy.random.RandomState(0).randint(0, 256, ({n_made}, {dimensions}))`.

## Layers

```
{layers}
```

## Licence

Of the weights: Apache-2.0, as the project. Of the data: {licence}.

## Limits

It knows the {n_classes} classes of {data} and gives one of them for any \
picture. Its accuracy is that of the test images; pictures from elsewhere \
have other frames, strokes and backgrounds.
'''


def make(name: str, net: stages.PackedNet, contents: bytes,
         attributes: Mapping[str, Any], base: config_module.Config,
         accuracy: float, when: float) -> str:
    """Makes a card.

    Args:
        name: Of the net.
        net: The packed net.
        contents: Its file.
        attributes: Of the model that it was packed from.
        base: The configuration of its training.
        accuracy: Of the packed net, on the test set.
        when: When the model was written, in seconds since 1970.

    Returns:
        Markdown.
    """
    machine = attributes.get('machine', {})
    scale = net.rescale.kind
    title, epoch = base.title, attributes.get('epoch', base.epoch)
    if epoch != base.epoch:
        title += f'; this net had {epoch}'
    return _TEMPLATE.format(
        name=name, title=title, net=attributes['net_class'],
        data=data.TITLES[attributes['dataset']],
        digest=attributes['data_digest'],
        command=command(attributes, base),
        commit=machine.get('commit'),
        date=time.strftime('%Y-%m-%d', time.gmtime(when)),
        cpu=machine.get('cpu'), threads=machine.get('threads'),
        accuracy=accuracy, shape='x'.join(map(str, net.input_shape)),
        dimensions=', '.join(map(str, net.input_shape)),
        scale=f'scaled inside (`{scale}`)',
        classes=f'scores of {len(net.class_names)} classes: '
        + ', '.join(net.class_names), n_classes=len(net.class_names),
        bytes=f'{len(contents):,}',
        sha256=hashlib.sha256(contents).hexdigest(),
        made=made_digest(run.Net(net)), mark=_MARK, n_made=_N_MADE,
        layers=summary.table(table.rows(net)),
        licence=_LICENCES.get(attributes['dataset'], 'see its source'))


def path(out: str) -> str:
    """Returns where the card of a packed net is written.

    Args:
        out: The file of the net.

    Raises:
        ~bnn.errors.UserError: If it is that file, or something else is there.
    """
    found = os.path.splitext(out)[0] + '.md'
    if found == out:
        raise errors.UserError(
            f'--out {out} is where --card writes the card: give the net '
            'another suffix, such as .bnn')
    if os.path.lexists(found) and not _is_card(found):
        raise errors.UserError(
            f'--card would replace {found}, which is no card: move it, or '
            'name another --out')
    return found


def _is_card(name):
    if not os.path.isfile(name):
        return False
    with errors.reading(name), open(name, 'rb') as f:
        return _MARK.encode() in f.read()


def command(attributes: Mapping[str, Any], base: config_module.Config) -> str:
    """Returns the command that trains such a model.

    Args:
        attributes: Of the model.
        base: The configuration of its training.
    """
    words = ['./train.py', base.name]
    for name in config_module.names('fixed', 'carried'):
        value = attributes.get(name, getattr(base, name))
        # Where the data were is of that machine.
        if name in ('data_dir', 'dry_run') or (
                name != 'seed' and value in (
                    getattr(base, name),
                    getattr(base, _RESOLVED.get(name, name)))):
            continue
        if name == 'teacher':
            value = os.path.relpath(value)
        flag = config_module.flag(name)
        if isinstance(value, bool):
            words.append(flag if value else '--no-' + flag[2:])
        else:
            words += [flag, *map(str, value if isinstance(value, list)
                                 else [value])]
    return shlex.join(words)


def made_digest(net: run.Net) -> str:
    """Returns the SHA-256 of a net's classes of made images."""
    images = numpy.random.RandomState(0).randint(
        0, 256, (_N_MADE, *net.input_shape)).astype(numpy.uint8)
    return hashlib.sha256(
        net.predict(images).astype(numpy.uint8).tobytes()).hexdigest()
