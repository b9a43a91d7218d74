"""The documentation: links, examples of the docstrings, the notebook."""
import doctest
import importlib
import json
import pathlib
import pkgutil
import re
import shutil
import sys

import chainer
import numpy
import pytest
from matplotlib import pyplot

import bnn
import zoo
from tests.helpers import scripts

ROOT = scripts.ROOT
PAGES = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')]
HEART = ('train_mnist', 'net', 'bst', 'function_binary_linear',
         'link_binary_linear', 'weight_clip')


def anchors(page):
    """Returns the names that GitHub gives to the headings of a page."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    return {re.sub(r'[^\w\- ]', '', title).strip().lower().replace(' ', '-')
            for title in re.findall(r'^#+ (.*)', text, re.M)}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links(page):
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    for link in re.findall(r'\]\((?!https?:)([^)\s]+)\)', text):
        path, _, anchor = link.partition('#')
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def modules():
    """Yields the names of the heart's modules and of those in packages."""
    yield from HEART
    for package in bnn, zoo:
        for found in pkgutil.walk_packages(
                package.__path__, package.__name__ + '.'):
            if found.name != 'bnn.kernels.gpu':  # imports CuPy
                yield found.name


@pytest.mark.slow
def test_examples(tmp_path, monkeypatch):
    """The examples of the docstrings, in a folder with a packed net."""
    shutil.copy(ROOT / 'tests/golden/binary_mlp.bnn', tmp_path / 'net.bnn')
    monkeypatch.chdir(tmp_path)
    results = {name: doctest.testmod(
        importlib.import_module(name),
        extraglobs={'numpy': numpy, 'chainer': chainer})
        for name in modules()}
    assert not [name for name, result in results.items() if result.failed]
    assert sum(result.attempted for result in results.values()) >= 10


@pytest.mark.slow
def test_notebook(monkeypatch, capsys):
    """The tour, cell by cell as Jupyter runs it."""
    monkeypatch.chdir(ROOT / 'docs')
    monkeypatch.setattr(sys, 'path', sys.path[:])
    pyplot.switch_backend('agg')
    notebook = json.loads(pathlib.Path('tour.ipynb').read_text())
    assert (notebook['nbformat'], notebook['nbformat_minor']) == (4, 5)
    names = {}
    for cell in notebook['cells']:
        if cell['cell_type'] == 'code':
            assert cell['outputs'] == [] and cell['execution_count'] is None
            exec(''.join(cell['source']), names)
    figures = pyplot.get_fignums()
    pyplot.close('all')
    assert len(figures) == 3
    assert names['accuracy'] > .7
    assert names['agree'] > .99
    assert names['by_hand'] == names['by_kernel'] == names['by_blas']
    assert f' - 100 = {names["by_hand"]}' in capsys.readouterr().out
