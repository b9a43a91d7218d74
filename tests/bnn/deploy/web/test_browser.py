"""The web page in a headless Chromium, with real strokes and keys."""
import json
import os
import re
import shutil

import numpy
import pytest

import net
from bnn import data as datasets
from bnn.deploy import operations
from bnn.deploy import pictures
from bnn.deploy import reference
from bnn.deploy import run
from bnn.deploy.web import page

pytestmark = pytest.mark.slow

PHONE, DESKTOP = (360, 740, True), (1280, 900, False)
PROGRAM, DRIVER = (shutil.which(name) for name in (
    'chromium', 'chromedriver'))
OPTIONS = (
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic',
    '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--hide-scrollbars')
# Sums of floats in another order, relative to the largest score
ROUNDING = 1e-5


class Browser:
    """A browser, and what is asked of a page in it."""

    def __init__(self, folder):
        from selenium import webdriver
        from selenium.webdriver.chrome import service
        options = webdriver.ChromeOptions()
        options.binary_location = PROGRAM
        for option in (*OPTIONS, f'--user-data-dir={folder}'):
            options.add_argument(option)
        options.set_capability('goog:loggingPrefs', {
            'browser': 'ALL', 'performance': 'ALL'})
        self.driver = webdriver.Chrome(
            options=options, service=service.Service(DRIVER))

    def run(self, script, *args):
        """Runs a script in the page, returns what it returns."""
        return self.driver.execute_script(script, *args)

    def emulate(self, width, height, is_mobile=False, **media):
        """Sets the size of the page, and media features."""
        for command, arguments in (
                ('setDeviceMetricsOverride', {
                    'width': width, 'height': height, 'mobile': is_mobile,
                    'deviceScaleFactor': 2 if is_mobile else 1}),
                ('setTouchEmulationEnabled', {'enabled': is_mobile}),
                ('setEmulatedMedia', {'features': [
                    {'name': name.replace('_', '-'), 'value': value}
                    for name, value in media.items()]})):
            self.driver.execute_cdp_cmd(f'Emulation.{command}', arguments)

    def open(self, path):
        """Opens a file; what was logged before is dropped."""
        self.driver.get('about:blank')
        for kind in ('browser', 'performance'):
            self.driver.get_log(kind)
        self.driver.get(path.as_uri())

    def problems(self):
        """Returns what the console has, and addresses that were asked for."""
        addresses = []
        for entry in self.driver.get_log('performance'):
            message = json.loads(entry['message'])['message']
            if message['method'] in (
                    'Network.requestWillBeSent', 'Network.webSocketCreated'):
                params = message['params']
                url = params.get('request', params)['url']
                if not url.startswith(('file:', 'data:', 'about:')):
                    addresses.append(url)
        return [entry['message'] for entry in self.driver.get_log(
            'browser')] + addresses

    def draw(self, strokes, kind='mouse'):
        """Draws strokes on the pad, as a hand does.

        Args:
            strokes (list): Of lists of (x, y), 0 to 1 across the pad.
            kind (str): ``'mouse'`` or ``'touch'``.
        """
        from selenium.webdriver.common.actions import action_builder
        from selenium.webdriver.common.actions import pointer_input
        left, top, side = self.run(
            'const box = document.getElementById("pad")'
            '.getBoundingClientRect(); return [box.x, box.y, box.width]')
        actions = action_builder.ActionBuilder(
            self.driver, mouse=pointer_input.PointerInput(kind, kind),
            duration=0)
        for stroke in strokes:
            for i, (x, y) in enumerate(stroke):
                actions.pointer_action.move_to_location(
                    round(left + x * side), round(top + y * side))
                if not i:
                    actions.pointer_action.pointer_down()
            actions.pointer_action.pointer_up()
        actions.perform()


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    pytest.importorskip('selenium')
    if PROGRAM is None or DRIVER is None:
        pytest.skip('no chromium and chromedriver: on Debian and Ubuntu '
                    'apt install chromium chromium-driver')
    started = Browser(tmp_path_factory.mktemp('profile'))
    yield started
    started.driver.quit()


@pytest.fixture
def open_page(browser, tmp_path):
    """A function that opens the page of a net; nothing may go wrong."""
    def open_(packed, **media):
        path = tmp_path / 'page.html'
        path.write_text(page.make(packed), 'utf-8')
        browser.emulate(*DESKTOP, **media)
        browser.open(path)
        return browser, run.Net(packed)
    yield open_
    assert browser.problems() == []


@pytest.fixture
def opened(open_page, pack):
    return open_page(pack('binary-3'))


def text_of(browser, selector):
    return browser.run(
        'return [...document.querySelectorAll(arguments[0])]'
        '.map(one => one.textContent)', selector)


def click(browser, name):
    browser.run('document.getElementById(arguments[0]).click()', name)


def assert_agrees(browser, runner):
    """Compares the page with the net on the picture that it has now."""
    image = numpy.array(browser.run('return bnn.image'), numpy.uint8)
    assert image.shape == (784,)
    scores = runner.scores(image[None])[0]
    numpy.testing.assert_allclose(
        numpy.array(browser.run('return bnn.scores(bnn.image)'),
                    numpy.float32), scores, rtol=0,
        atol=ROUNDING * abs(scores).max())
    assert text_of(browser, '#digit') == [
        runner.class_names[scores.argmax()]]
    numpy.testing.assert_allclose(
        numpy.array(text_of(browser, '#bars .percent'), float),
        100 * run.softmax(scores[None])[0], atol=.51)
    return image.reshape(28, 28)


def ink_of(picture):
    """Returns the rows and the columns with ink."""
    return [numpy.flatnonzero(picture.max(axis=axis) > 127)
            for axis in (1, 0)]


def strokes_of(image):
    """Strokes that fill the inner pixels of a digit, row by row."""
    ink = numpy.pad(image > 100, 1)
    ink = ink[1:-1, 1:-1] & ink[:-2, 1:-1] & ink[2:, 1:-1]
    strokes = []
    for r, row in enumerate(ink):
        edges = numpy.flatnonzero(numpy.diff(numpy.r_[0, row, 0]))
        strokes += [[((c + .5) / 28, (r + .5) / 28) for c in (a, b - 1)]
                    for a, b in edges.reshape(-1, 2)]
    return strokes


def test_draws_test_images(opened):
    browser, runner = opened
    root = os.environ.get('CHAINER_DATASET_ROOT') or '/nonexistent'
    images = datasets.load('mnist' if os.path.isdir(
        os.path.join(root, 'mnist')) else 'digits').test_images
    likeness = []
    for i in range(6):
        image = images[i, 0]
        click(browser, 'clear')
        browser.draw(strokes_of(image), ('mouse', 'touch')[i % 2])
        seen = assert_agrees(browser, runner)
        a, b = (one.astype(float).ravel() for one in (seen, image))
        likeness.append(a @ b / numpy.sqrt((a @ a) * (b @ b)))
    assert numpy.mean(likeness) > .7, likeness


@pytest.mark.parametrize('dataset', ('mnist', 'digits'))
def test_picture_is_scaled_and_centred(dataset, open_page, pack):
    packed = pack('binary-1')
    packed.facts['dataset'] = dataset
    browser, runner = open_page(packed)
    side, middle = {'mnist': (pictures.BOX, pictures.CENTRE),
                    'digits': (24, 13.5)}[dataset]
    zigzag = numpy.array([(0, 0), (1, 0), (0, 1), (1, 1)], float)
    scaled = []
    for size, corner in ((.2, (.75, .1)), (.8, (.1, .15)), (.4, (.1, .5))):
        click(browser, 'clear')
        browser.draw([(zigzag * size + corner).tolist()])
        picture = assert_agrees(browser, runner).astype(float)
        scaled.append(picture)
        for axis, ink in enumerate(ink_of(picture)):
            assert abs(ink[-1] - ink[0] + 1 - side) <= 1
            mass = picture.sum(axis=1 - axis)
            # MNIST's digits have their centre of mass there, else the box
            assert (mass @ numpy.arange(28) / mass.sum()
                    if dataset == 'mnist' else (ink[0] + ink[-1]) / 2
                    ) == pytest.approx(middle, abs=.1)
    # The size on the pad does not count, but for whole pixels of the mouse.
    assert max(abs(scaled[0] - one).mean() for one in scaled) < 8


def test_odd_drawings_and_buttons(opened):
    browser, runner = opened
    blank = browser.run('return bnn.image')
    assert not any(blank)
    for strokes in (
            [[(.5, .5)]], [[(.2, .5), (.8, .5)]], [[(.01, .01), (.03, .03)]],
            [[(.5, .1), (.5, .9)], [(.9, .9)]]):
        browser.draw(strokes)
        assert assert_agrees(browser, runner).max() > 200
    first = browser.run('return bnn.image')
    browser.draw([[(.6, .3), (.3, .6)]])
    assert browser.run('return bnn.image') != first
    click(browser, 'undo')
    assert browser.run('return bnn.image') == first
    click(browser, 'clear')
    assert browser.run('return bnn.image') == blank
    assert text_of(browser, '#spoken') == ['Cleared']
    click(browser, 'example')
    assert_agrees(browser, runner)
    # The best of some, as other tests run beside this one
    assert min(browser.run('return bnn.measure(50)')
               for _ in range(8)) <= 2000


@pytest.mark.parametrize('name, titles', [
    ('binary-1', ['33 bits']), ('FloatMLP-1', ['33 units'] * 2),
    ('lenet5', ['20 × 12×12 bits', '50 × 4×4 bits', '500 units']),
    ('dorefa-32-2', ['33 units of 4 levels'] * 2)])
def test_hidden_units(name, titles, open_page, pack, described):
    packed = pack(name, 'standard')
    browser, runner = open_page(packed, prefers_reduced_motion='reduce')
    browser.draw([[(.3, .2), (.7, .2), (.45, .8)]])
    image = assert_agrees(browser, runner)
    assert text_of(browser, '.layer h2') == [
        f'Hidden layer {i}: {title}' for i, title in enumerate(titles, 1)]
    values = [numpy.array(one) for one in browser.run('return bnn.hidden')]
    signs = []
    reference.run(
        [packed.rescale, *described(name)[1]], image[None, None],
        watch=lambda one, x: signs.append(x) if isinstance(
            one, operations.Sign) else None)
    for bits, x in zip(values, signs, strict=False):
        assert (bits == (x.ravel() >= 0)).all()
    for i, units in enumerate(values):
        # Red as far as a unit is of the range, the others blue
        pixels = numpy.array(browser.run(
            'const one = units[arguments[0]];'
            'one.draw({on: "#f00", ink: "#f00", off: "#00f"}, 1);'
            'const {width, height} = one.canvas;'
            'const {data} = one.canvas.getContext("2d").getImageData('
            '0, 0, width, height);'
            'return Array.from(one.x, (x, i) => Array.from('
            'data.subarray(4 * (one.y[i] * width + x)).slice(0, 4)))', i))
        least, top = 0, {'dorefa-32-2': 3}.get(name, 1)
        if packed.products[i + 1].operand == 'float':
            least, top = min(0, units.min()), max(0, units.max())
        numpy.testing.assert_allclose(
            pixels[:, 0], 255 * (units - least) / (top - least), atol=2)
        assert (pixels[:, 3] == 255).all()
    before = text_of(browser, '.layer p')
    browser.draw([[(.2, .5), (.8, .5)]])
    words = text_of(browser, '.layer p')
    assert words != before
    assert name != 'binary-1' or re.search(
        r'\d+ are −1\s+\d+ are \+1\s+\d+ just flipped', words[0])


def test_keys(opened):
    from selenium.webdriver.common.keys import Keys
    browser, runner = opened
    browser.driver.find_element('tag name', 'body').send_keys(Keys.TAB)
    pad = browser.driver.switch_to.active_element
    assert browser.run('return document.activeElement.id') == 'pad'
    assert browser.run('return getComputedStyle(document.activeElement)'
                       '.outlineStyle') == 'solid'

    def lengths(keys):
        pad.send_keys(keys)
        return browser.run('return bnn.strokes.map(one => one.length)')

    assert lengths(Keys.ARROW_UP * 8) == []
    assert lengths(' ' + Keys.ARROW_DOWN * 16 + ' '
                   + Keys.ARROW_LEFT * 3) == [17]
    rows, columns = ink_of(assert_agrees(browser, runner))
    assert len(rows) >= 19 and len(columns) <= 5  # upright
    assert re.fullmatch(r'\d, [\d.]+ %', text_of(browser, '#spoken')[0])
    assert lengths(' ' + Keys.ARROW_LEFT * 3 + ' ') == [17, 4]
    assert lengths(Keys.BACKSPACE) == [17]
    assert lengths('c') == []
    pad.send_keys('7')
    assert_agrees(browser, runner)
    for name in ('clear', 'undo', 'example'):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        assert browser.run('return document.activeElement.id') == name


@pytest.mark.parametrize('size', (PHONE, DESKTOP), ids=('phone', 'desktop'))
@pytest.mark.parametrize('scheme', ('light', 'dark'))
def test_layout(open_page, pack, size, scheme):
    browser, runner = open_page(pack(net.BinaryMLP(200)))
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
    # The answer is seen while one draws.
    assert boxes['#digit'][3] <= size[1]
    background, ink, soft = (_luminance(browser.run(
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
    values = numpy.where(values <= .03928, values / 12.92,
                         ((values + .055) / 1.055) ** 2.4)
    return values @ [.2126, .7152, .0722]
