#!/usr/bin/env python3
"""Size and speed of web pages, and whether they predict as bnn.deploy does.

    ./export.py MODEL --to packed -o net.bnn
    benchmarks/web_page.py net.bnn more.bnn

Packed nets become pages in a headless Chromium.  The time is the page's own;
the classes of the test images are compared with those of bnn.deploy.
"""
import os
import pathlib
import shutil
import tempfile

import numpy

import timing
from bnn import data
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import run
from bnn.deploy.web import page

_OPTIONS = ('--headless=new', '--no-sandbox', '--disable-gpu',
            '--disable-background-networking', '--disable-sync')
# Images that are sent to the page at once
_CHUNK = 500


def main():
    parser = timing.parser(__doc__, rounds=9)
    parser.add_argument('nets', nargs='+', metavar='FILE', help='packed nets')
    parser.add_argument('--images', type=timing.positive, default=10000,
                        metavar='N', help='test images (default: 10000)')
    parser.add_argument('--dataset', default='mnist', help='of the images')
    args = parser.parse_args()
    try:
        nets = {path: file_format.load(path) for path in args.nets}
        pages = {path: page.make(net).encode() for path, net in nets.items()}
        images = data.load(args.dataset).test_images[:args.images]
    except errors.UserError as e:
        parser.error(str(e))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        driver = browser(parser, folder)
        try:
            for path, contents in pages.items():
                name = os.path.basename(path)
                file = pathlib.Path(folder, 'page.html')
                file.write_bytes(contents)
                driver.get(file.as_uri())
                driver.execute_script('bnn.input.example(2)')
                seconds = timing.take_turns({name: lambda: (
                    driver.execute_script('return bnn.measure()'))},
                    args.rounds)
                differ = numpy.array(predict(driver, images)) != run.Net(
                    nets[path]).predict(images)
                lines.append([name, f'{len(contents):,}', *timing.rows(
                    seconds, 1, 0)[name][:3], f'{differ.sum()} of '
                    f'{len(images)}'])
        finally:
            driver.quit()
    timing.report(args, 'Web pages', [timing.table(
        ['page of', 'bytes', 'us', 'least', 'most', 'differ'], lines)], 1)


def browser(parser, folder: str):
    """Starts Chromium."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome import service
    except ImportError:
        parser.error('selenium is missing: pip install selenium')
    program, driver = map(shutil.which, ('chromium', 'chromedriver'))
    if program is None or driver is None:
        parser.error('no chromium and chromedriver: on Debian and Ubuntu '
                     'apt install chromium chromium-driver')
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in (*_OPTIONS, f'--user-data-dir={folder}/profile'):
        options.add_argument(option)
    started = webdriver.Chrome(
        options=options, service=service.Service(driver))
    started.set_script_timeout(600)
    return started


def predict(driver, images: numpy.ndarray) -> list:
    """Returns the classes that the page gives to images."""
    classes = []
    for first in range(0, len(images), _CHUNK):
        some = images[first:first + _CHUNK]
        classes += driver.execute_script(
            'return arguments[0].map(image => {'
            ' const scores = bnn.scores(image);'
            ' return scores.indexOf(Math.max(...scores)); })',
            some.reshape(len(some), -1).tolist())
    return classes


if __name__ == '__main__':
    main()
