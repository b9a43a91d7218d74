"""The web page in a headless Chromium: strokes, keys and pictures."""
import base64
import json
import os
import re
import shutil
import time

import numpy
import pytest
from PIL import Image

import net
from bnn import data as datasets
from bnn.deploy import operations
from bnn.deploy import packing
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
CLASSES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog',
           'horse', 'ship', 'truck')
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


@pytest.fixture
def pack_colour(described, make_rescale):
    """A function that packs a net of CIFAR-10's classes."""
    def make(name, dataset='cifar10'):
        shape, found = described(name)
        return packing.pack(found, shape, make_rescale('standard', 3),
                            CLASSES, {'dataset': dataset})
    return make


def text_of(browser, selector):
    return browser.run(
        'return [...document.querySelectorAll(arguments[0])]'
        '.map(one => one.textContent)', selector)


def click(browser, name):
    browser.run('document.getElementById(arguments[0]).click()', name)


def assert_agrees(browser, runner):
    """Compares the page with the net on the picture that it has now."""
    image = numpy.array(browser.run('return bnn.image'), numpy.uint8)
    assert image.shape == (numpy.prod(runner.input_shape),)
    scores = runner.scores(image[None])[0]
    numpy.testing.assert_allclose(
        numpy.array(browser.run('return bnn.scores(bnn.image)'),
                    numpy.float32), scores, rtol=0,
        atol=ROUNDING * abs(scores).max())
    assert text_of(browser, '#class') == [
        runner.class_names[scores.argmax()]]
    numpy.testing.assert_allclose(
        numpy.array(text_of(browser, '#bars .percent'), float),
        100 * run.softmax(scores[None])[0], atol=.51)
    return numpy.squeeze(image.reshape(runner.input_shape))


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
    assert_agrees(browser, runner)
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
        return browser.run('return bnn.input.strokes.map(one => one.length)')

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


def test_says_the_answer_while_the_cursor_moves(opened):
    # A clock by which each step of a prediction takes a frame and more
    browser, runner = opened
    browser.run(
        'let now = performance.now();'
        'Object.defineProperty(performance, "now", {value: () => now += 20});'
        'for (const key of [" ", "ArrowDown", " ", "ArrowLeft"]) {'
        '  document.getElementById("pad").dispatchEvent('
        '    new KeyboardEvent("keydown", {key}));'
        '}')
    assert_agrees(browser, runner)
    assert re.fullmatch(r'\d, [\d.]+ %', text_of(browser, '#spoken')[0])


def make_picture(width=90, height=60):
    """A picture of smooth colours, RGB."""
    y, x = numpy.mgrid[:height, :width]
    return Image.fromarray(numpy.stack([
        255 * x / width, 255 * y / height, 128 + 127 * numpy.sin(x * y / 300)
    ], axis=2).astype(numpy.uint8))


def give(browser, contents, way):
    """Pastes or drops a file of these bytes."""
    browser.run("""
const [text, way] = arguments;
const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], 'a.picture'));
if (way === 'paste') {
  document.dispatchEvent(new ClipboardEvent(
    'paste', {clipboardData: data, cancelable: true}));
} else {
  document.body.dispatchEvent(new DragEvent(
    'drop', {dataTransfer: data, bubbles: true, cancelable: true}));
}""", base64.b64encode(contents).decode(), way)


def wait_for(browser, script):
    for _ in range(200):
        if browser.run(f'return {script}'):
            return
        time.sleep(.05)
    raise AssertionError(f'not so in 10 seconds: {script}')


@pytest.mark.parametrize('name, n_hidden', [('cnv-1-1', 8), ('resnet20', 19)])
def test_picture(name, n_hidden, open_page, pack_colour, tmp_path):
    browser, runner = open_page(pack_colour(name))
    assert text_of(browser, 'h1') == ['Show a picture']
    assert text_of(browser, '#class') == ['?']
    assert text_of(browser, '#bars .name') == list(CLASSES)
    assert len(text_of(browser, '.layer h2')) == n_hidden
    path = tmp_path / 'a.png'
    make_picture().save(path)
    browser.driver.find_element('id', 'file').send_keys(str(path))
    wait_for(browser, '!bnn.input.isEmpty()')
    image = assert_agrees(browser, runner)
    expected, _ = pictures.load(path, runner.input_shape, 'cifar10')
    numpy.testing.assert_allclose(image.astype(int), expected, atol=1)
    seen = numpy.array(browser.run(
        'return Array.from(seen.getContext("2d").getImageData('
        '0, 0, 32, 32).data)')).reshape(32, 32, 4)
    assert (seen == numpy.concatenate(
        [image, numpy.full((1, 32, 32), 255)]).transpose(1, 2, 0)).all()
    assert any(browser.run('return bnn.hidden')[0])
    click(browser, 'clear')
    assert not any(browser.run('return bnn.image'))
    assert text_of(browser, '#class') == ['?']
    assert text_of(browser, '#sure') == ['no picture yet']


def test_names_before_the_answer(browser, pack_colour, tmp_path):
    text = page.make(pack_colour('resnet20'))
    assert text.count('SLICE = 12') == 1
    path = tmp_path / 'page.html'
    path.write_text(text.replace('SLICE = 12', 'SLICE = 0'), 'utf-8')
    browser.open(path)
    assert text_of(browser, '#bars .name') == list(CLASSES)


@pytest.mark.parametrize('way', ('paste', 'drop'))
def test_pictures_of_other_ways(way, open_page, pack_colour, tmp_path):
    browser, runner = open_page(pack_colour('resnet20'))
    path = tmp_path / 'a.png'
    before = None
    for picture, format in (
            (make_picture(40, 130), 'PNG'), (make_picture(32, 32), 'JPEG'),
            (make_picture(7, 5), 'WEBP')):
        picture.save(path, format, **(
            {'lossless': True} if format == 'WEBP' else {}))
        expected, _ = pictures.load(path, runner.input_shape, 'cifar10')
        give(browser, path.read_bytes(), way)
        wait_for(browser, f'bnn.image.join() !== "{before}"')
        image = assert_agrees(browser, runner)
        before = ','.join(map(str, image.ravel()))
        # Decoders of JPEG differ a little.
        numpy.testing.assert_allclose(
            image.astype(int), expected, atol=6 if format == 'JPEG' else 1)
    # What is transparent lies on white.
    Image.new('RGBA', (9, 9), (0, 0, 0, 0)).save(path, 'PNG')
    give(browser, path.read_bytes(), way)
    wait_for(browser, 'bnn.image.every(v => v === 255)')
    give(browser, b'none', way)
    wait_for(browser, 'document.getElementById("problem").textContent')
    assert text_of(browser, '#problem') == [
        'a.picture is no picture that this browser reads']
    assert all(v == 255 for v in browser.run('return bnn.image'))
    click(browser, 'example')
    assert text_of(browser, '#problem') == ['']
    assert_agrees(browser, runner)


def test_many_classes_and_grey(open_page, make_rescale, tmp_path):
    """Of many classes the likeliest ten are shown, the first above."""
    W = numpy.random.RandomState(0).choice(
        [-1, 1], (30, 96)).astype(numpy.int8)
    names = [f'class {i}' for i in range(30)]
    browser, runner = open_page(packing.pack(
        [operations.Flatten(), operations.Linear(W=operations.Weights(
            1, W, numpy.float32(.1)))],
        (1, 8, 12), make_rescale('unit', 1), names, {'dataset': 'pictures'}))
    path = tmp_path / 'a.png'
    make_picture().save(path)
    browser.driver.find_element('id', 'file').send_keys(str(path))
    wait_for(browser, '!bnn.input.isEmpty()')
    image = numpy.array(browser.run('return bnn.image'), numpy.uint8)
    numpy.testing.assert_allclose(
        image.reshape(1, 8, 12).astype(int),
        pictures.load(path, (1, 8, 12), 'pictures')[0], atol=1)
    order = numpy.argsort(-runner.scores(image[None])[0], kind='stable')[:10]
    assert text_of(browser, '#bars .name') == [names[i] for i in order]
    assert text_of(browser, '#class') == [names[order[0]]]
    assert text_of(browser, '#size') == ['12×8']


def test_picture_without_files(open_page, pack_colour):
    browser, _ = open_page(pack_colour('resnet20'))
    browser.run('document.dispatchEvent(new ClipboardEvent('
                '"paste", {clipboardData: new DataTransfer()}))')
    assert text_of(browser, '#problem') == [
        'There is no picture in the clipboard']


@pytest.mark.parametrize('size', (PHONE, DESKTOP), ids=('phone', 'desktop'))
@pytest.mark.parametrize('scheme', ('light', 'dark'))
@pytest.mark.parametrize('kind', ('drawing', 'picture'))
def test_layout(open_page, pack, pack_colour, size, scheme, kind):
    is_drawn = kind == 'drawing'
    browser, runner = open_page(
        pack(net.BinaryMLP(200)) if is_drawn else pack_colour('cnv-1-1'))
    browser.emulate(*size, prefers_color_scheme=scheme)
    browser.run('bnn.input.draw([[[.3, .2], [.7, .2], [.45, .8]]])'
                if is_drawn else 'bnn.input.example(1)')
    assert_agrees(browser, runner)
    assert browser.run(
        'return document.documentElement.scrollWidth') == size[0]
    buttons = '#clear', '#undo' if is_drawn else '#choose', '#example'
    boxes = {name: browser.run(
        'const box = document.querySelector(arguments[0])'
        '.getBoundingClientRect();'
        'return [box.left, box.top, box.right, box.bottom]', name)
        for name in ('#pad', *buttons, '#seen', '#class', '#bars',
                     '.layer canvas', '#numbers')}
    for left, top, right, bottom in boxes.values():
        assert 0 <= left < right <= size[0] and 0 <= top < bottom
    left, top, right, bottom = boxes['#pad']
    assert right - left == pytest.approx(bottom - top, abs=1)
    assert right - left >= 240
    for name in buttons:  # as large as a finger
        assert boxes[name][3] - boxes[name][1] >= 44
    # The answer is seen while one draws.
    assert boxes['#class'][3] <= size[1]
    # No name of a class is cut.
    assert browser.run(
        'return [...document.querySelectorAll("#bars .name")].every('
        'one => one.scrollWidth <= one.clientWidth)')
    background, ink, soft = (_luminance(browser.run(
        'return getComputedStyle(document.querySelector(arguments[0]))'
        '[arguments[1]]', *which)) for which in (
            ('body', 'backgroundColor'), ('#class', 'color'),
            ('#about', 'color')))
    assert (background > .5) == (scheme == 'light')
    for color in (ink, soft):
        light, dark = max(color, background), min(color, background)
        assert (light + .05) / (dark + .05) >= 4.5


def test_long_names_fit(open_page, pack_colour):
    browser, _ = open_page(pack_colour('resnet20'))
    for size in PHONE, DESKTOP:
        browser.emulate(*size)
        for i, name in enumerate(CLASSES):
            lines = browser.run(
                'showAnswer(bnn.net.classNames.map('
                '(_, i) => Number(i === arguments[0])));'
                'const one = document.getElementById("class");'
                'return one.scrollWidth > one.clientWidth ? null'
                ' : one.clientHeight / parseFloat('
                'getComputedStyle(one).lineHeight)', i)
            assert text_of(browser, '#class') == [name]
            assert lines == pytest.approx(1, abs=.1)


def _luminance(color):
    """WCAG's relative luminance of ``rgb(r, g, b)``."""
    values = numpy.array(re.findall(r'\d+', color)[:3], float) / 255
    values = numpy.where(values <= .03928, values / 12.92,
                         ((values + .055) / 1.055) ** 2.4)
    return values @ [.2126, .7152, .0722]
