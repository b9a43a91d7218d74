"""The documentation: its links, and the examples of the docstrings."""
import doctest
import importlib
import pkgutil
import re
import shutil

import chainer
import numpy
import pytest

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
