"""The web page: in a browser, with real strokes, against bnn.deploy."""
import importlib
import os
import pathlib
import re
import shutil
import subprocess

import numpy
import pytest

import export
import net
from bnn import deploy
from bnn.data import mnist
from bnn.deploy import operations
from bnn.deploy import packing
from bnn.deploy import runtime
from bnn.deploy import web_export

DIGITS = tuple('0123456789')
PHONE, DESKTOP = (360, 740, True), (1280, 900, False)
MEDIA = [(size, scheme) for size in (PHONE, DESKTOP)
         for scheme in ('light', 'dark')]


@pytest.fixture(scope='module')
def page(tmp_path_factory, trained, data):
    """The page of a trained net, and the net."""
    folder = tmp_path_factory.mktemp('page')
    trainer = type(trained)(folder)
    if data.name == 'mnist':
        trainer.env['CHAINER_DATASET_ROOT'] = os.path.abspath(
            os.environ['CHAINER_DATASET_ROOT'])
    trainer.succeed(
        '--dataset', data.name, '--recipe', 'best', '--unit', 128, *(
            ('--epoch', 1) if data.name == 'mnist' else (
                '--epoch', 20, '--batchsize', 25)),
        '--no-plot', '--out', 'run')
    model, path = str(folder / 'run' / 'mlp.model'), folder / 'digit.html'
    for kind, out in (('web', path), ('packed', folder / 'net.bnn')):
        assert export.main([
            model, '--no-check', '--to', kind, '-o', str(out)]) is None
    return path, deploy.load(str(folder / 'net.bnn'))


@pytest.fixture
def opened(browser, page):
    """The browser with that page on it, and the net; nothing goes wrong."""
    browser.emulate(*DESKTOP)
    browser.open(page[0])
    yield browser, page[1]
    assert browser.problems() == []


# ---- the file

def test_file(page):
    text = page[0].read_text('utf-8')
    assert text.count('<script') == text.count('</script>') == 4
    assert not re.search(r'\b(src|href)="(?!data:)|@import|url\(', text)
    assert not re.search(r'\{\{[a-z]+\.', text)


@pytest.mark.parametrize('name', ('popcount', 'products'))
def test_webassembly_is_compiled_of_its_source(name, tmp_path):
    if shutil.which('wat2wasm') is None:
        pytest.skip('no wat2wasm: on Debian and Ubuntu apt install wabt')
    parts = pathlib.Path(web_export.__file__).with_name('page')
    compiled = tmp_path / 'compiled.wasm'
    subprocess.run(['wat2wasm', parts / (name + '.wat'), '-o', compiled],
                   check=True)
    assert compiled.read_bytes() == (parts / (name + '.wasm')).read_bytes()


def test_size_and_time(browser, tmp_path, assert_agrees):
    packed = packing.pack(
        net.BinaryMLP(1000).describe(), (1, 28, 28), operations.Rescale(
            kind='unit'), DIGITS)
    path = tmp_path / 'page.html'
    path.write_text(web_export.page(packed), 'utf-8')
    assert path.stat().st_size <= 600e3
    browser.emulate(*DESKTOP)
    browser.open(path)
    browser.draw([[(.5, .2), (.5, .8)]])
    assert_agrees(browser, runtime.Net(packed))
    # The best of some, as other tests run beside this one
    times = [browser.run('return bnn.measure(50)') for _ in range(8)]
    assert min(times) <= 2000, times
    assert browser.problems() == []


# ---- drawing

@pytest.mark.parametrize('kind, start', [('mouse', 0), ('touch', 12)])
def test_draws_test_images(opened, skeleton, data, kind, start, assert_agrees):
    browser, runner = opened
    n_right, likeness = 0, []
    for i in range(start, start + 12):
        image = data.test_images[i, 0]
        browser.run('bnn.clear()')
        browser.draw(skeleton.strokes(image), kind)
        seen = assert_agrees(browser, runner)
        n_right += runner.predict(seen[None])[0] == data.test_labels[i]
        a, b = (one.astype(float).ravel() for one in (seen, image))
        likeness.append(a @ b / numpy.sqrt((a @ a) * (b @ b)))
    # The digits' 8x8 pixels, enlarged, are farther from the lines of a pen.
    assert n_right >= (9 if data.name == 'mnist' else 7), n_right
    assert numpy.mean(likeness) > .7, likeness


def test_picture_is_scaled_and_centred(opened, data, assert_agrees):
    browser, runner = opened
    has_mnist = data.name == 'mnist'
    side = mnist.BOX if has_mnist else 24
    zigzag = numpy.array([(0, 0), (1, 0), (0, 1), (1, 1)], float)
    pictures = []
    for size, corner in ((.2, (.75, .1)), (.8, (.1, .15)), (.4, (.1, .5))):
        browser.run('bnn.clear()')
        browser.draw([(zigzag * size + corner).tolist()])
        picture = assert_agrees(browser, runner).astype(float)
        pictures.append(picture)
        rows, columns = (numpy.flatnonzero(picture.max(axis=axis) > 127)
                         for axis in (1, 0))
        for axis, ink in enumerate((rows, columns)):
            assert abs(ink[-1] - ink[0] + 1 - side) <= 1
            mass = picture.sum(axis=1 - axis)
            # MNIST's centre of mass; else that of the box
            assert (mass @ numpy.arange(28) / mass.sum() if has_mnist else
                    (ink[0] + ink[-1]) / 2) == pytest.approx(
                        mnist.CENTRE if has_mnist else 13.5, abs=.1)
    # the size on the pad does not count, but for whole pixels of the mouse
    assert max(abs(pictures[0] - one).mean() for one in pictures) < 8


@pytest.mark.parametrize('strokes', [
    [[(.5, .5)]], [[(.2, .5), (.8, .5)]], [[(.01, .01), (.03, .03)]],
    [[(.5, .1), (.5, .9)], [(.9, .9)]]])
def test_odd_drawings(opened, strokes, assert_agrees):
    browser, runner = opened
    browser.draw(strokes)
    assert assert_agrees(browser, runner).max() > 200


def test_hidden_units(opened, assert_agrees):
    browser, runner = opened
    browser.draw([[(.5, .2), (.5, .8)]])
    image = assert_agrees(browser, runner)
    stages, x = runner.packed.products, image.reshape(1, -1).astype(int)
    for found, stage in zip(
            browser.run('return bnn.hidden'), stages, strict=False):
        bits = x @ stage.weights.rows().astype(int).T >= stage.thresholds
        assert bits[0].astype(int).tolist() == found
        x = numpy.where(bits, 1, -1)
    before = browser.run('return document.querySelector(".layer p").innerText')
    browser.draw([[(.2, .5), (.8, .5)]])
    words = browser.run('return document.querySelector(".layer p").innerText')
    assert re.search(r'\d+ are \+1\s+\d+ are −1\s+\d+ just flipped', words)
    assert words != before


def test_clear_undo_and_examples(opened, assert_agrees):
    browser, runner = opened
    blank = browser.run('return bnn.image')
    assert not any(blank)
    browser.draw([[(.3, .3), (.6, .6)]])
    first = browser.run('return bnn.image')
    browser.draw([[(.6, .3), (.3, .6)]])
    assert browser.run('return bnn.image') != first
    click = 'document.getElementById(arguments[0]).click()'
    browser.run(click, 'undo')
    assert browser.run('return bnn.image') == first
    browser.run(click, 'clear')
    assert browser.run('return bnn.image') == blank
    assert browser.run('return document.getElementById("spoken").textContent'
                       ) == 'Cleared'
    browser.emulate(*DESKTOP, prefers_reduced_motion='reduce')
    browser.run(click, 'example')  # at once, where motion is reduced
    assert_agrees(browser, runner)


# ---- keys

def test_keys(opened, assert_agrees):
    browser, runner = opened
    keys = browser.driver.switch_to
    press = importlib.import_module('selenium.webdriver.common.keys').Keys
    browser.driver.find_element('tag name', 'body').send_keys(press.TAB)
    assert browser.run('return document.activeElement.id') == 'pad'
    style = browser.run('return getComputedStyle(document.activeElement)'
                        '.outlineStyle')
    assert style == 'solid'
    pad = keys.active_element
    pad.send_keys(press.ARROW_UP * 8)
    assert browser.run('return bnn.strokes.length') == 0
    pad.send_keys(' ' + press.ARROW_DOWN * 16 + ' ' + press.ARROW_LEFT * 3)
    assert browser.run('return bnn.strokes.map(one => one.length)') == [17]
    picture = assert_agrees(browser, runner)
    rows, columns = (numpy.flatnonzero(picture.max(axis=axis) > 127)
                     for axis in (1, 0))
    assert len(rows) >= 19 and len(columns) <= 5  # upright
    assert re.fullmatch(r'\d, [\d.]+ %', browser.run(
        'return document.getElementById("spoken").textContent'))
    pad.send_keys(' ' + press.ARROW_LEFT * 3 + ' ')
    assert browser.run('return bnn.strokes.length') == 2
    pad.send_keys(press.BACKSPACE)
    assert browser.run('return bnn.strokes.length') == 1
    pad.send_keys('c')
    assert browser.run('return bnn.strokes.length') == 0
    browser.emulate(*DESKTOP, prefers_reduced_motion='reduce')
    pad.send_keys('7')
    assert_agrees(browser, runner)
    for name in ('clear', 'undo', 'example'):
        keys.active_element.send_keys(press.TAB)
        assert browser.run('return document.activeElement.id') == name


# ---- layout

@pytest.mark.parametrize('size, scheme', MEDIA)
def test_layout(opened, size, scheme, assert_agrees):
    browser, runner = opened
    browser.emulate(*size, prefers_color_scheme=scheme)
    browser.run('bnn.draw([[[.3, .2], [.7, .2], [.45, .8]]])')
    assert_agrees(browser, runner)
    assert browser.run(
        'return document.documentElement.scrollWidth') == size[0]
    boxes = {name: browser.run(
        'const box = document.querySelector(arguments[0])'
        '.getBoundingClientRect();'
        'return [box.left, box.top, box.right, box.bottom]', name)
        for name in ('#pad', '#clear', '#undo', '#example', '#seen', '#digit',
                     '#bars', '.layer canvas', '#numbers')}
    for left, top, right, bottom in boxes.values():
        assert 0 <= left < right <= size[0] and 0 <= top < bottom
    left, top, right, bottom = boxes['#pad']
    assert right - left == pytest.approx(bottom - top, abs=1)
    assert right - left >= 240
    for name in ('#clear', '#undo', '#example'):  # as large as a finger
        assert boxes[name][3] - boxes[name][1] >= 44
    # The answer is seen while one draws
    assert boxes['#digit'][3] <= size[1]
    background, ink, soft = (
        _luminance(browser.run(
            'return getComputedStyle(document.querySelector(arguments[0]))'
            '[arguments[1]]', *which)) for which in (
                ('body', 'backgroundColor'), ('#digit', 'color'),
                ('#about', 'color')))
    assert (background > .5) == (scheme == 'light')
    for color in (ink, soft):
        light, dark = max(color, background), min(color, background)
        assert (light + .05) / (dark + .05) >= 4.5


def _luminance(color):
    """WCAG's relative luminance of ``rgb(r, g, b)``."""
    values = numpy.array(re.findall(r'\d+', color)[:3], float) / 255
    linear = numpy.where(values <= .04045, values / 12.92,
                         ((values + .055) / 1.055) ** 2.4)
    return linear @ [.2126, .7152, .0722]
