#!/usr/bin/env python3
"""Size and speed of web pages, and whether they predict as bnn.deploy does.

Packed nets become pages in a headless Chromium.  The time is the page's own,
the median of rounds; the classes of MNIST's test images are compared with
those of bnn.deploy.

    ./export.py MODEL --to packed -o net.bnn
    benchmarks/web_page.py net.bnn more.bnn
"""
import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
sys.path.insert(0, ROOT)

import numpy

import timing
from bnn import data as datasets
from bnn import errors
from bnn.deploy import file_format
from bnn.deploy import run
from bnn.deploy.web import page as web_page

_OPTIONS = ('--headless=new', '--no-sandbox', '--disable-gpu',
            '--disable-background-networking', '--disable-sync')
# Images that are sent to the page at once
_CHUNK = 500


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('nets', nargs='+', metavar='FILE',
                        help='packed nets of MNIST')
    parser.add_argument('--images', type=timing.positive, default=10000,
                        metavar='N', help='test images to compare')
    parser.add_argument('--rounds', type=timing.positive, default=9,
                        metavar='N', help='measurements of the time')
    parser.add_argument('--dataset', default='mnist', help='the images')
    parser.add_argument('--out', metavar='FILE', default=os.path.join(
        ROOT, 'benchmarks', 'results', 'web_page.json'))
    args = parser.parse_args()
    try:
        nets = {path: file_format.load(path) for path in args.nets}
        pages = {path: web_page.make(net) for path, net in nets.items()}
        images = datasets.load(args.dataset).test_images[:args.images]
    except errors.UserError as e:
        parser.error(str(e))
    with tempfile.TemporaryDirectory() as folder:
        driver = browser(parser, folder)
        try:
            found = {path: measure(driver, pathlib.Path(folder), page,
                                   nets[path], images, args.rounds)
                     for path, page in pages.items()}
        finally:
            driver.quit()
    timing.print_table(
        ['page of', 'bytes', 'us', 'least', 'most', 'differ'], [[
            os.path.basename(path), '{:,}'.format(one['bytes']),
            *('%.0f' % f(one['microseconds']) for f in (
                statistics.median, min, max)),
            '%d of %d' % (one['differ'], len(images))]
            for path, one in found.items()])
    timing.save(args.out, {os.path.basename(path): one
                           for path, one in found.items()}, 1)


def browser(parser, folder):
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
    for option in (*_OPTIONS, '--user-data-dir=%s/profile' % folder):
        options.add_argument(option)
    started = webdriver.Chrome(
        options=options, service=service.Service(driver))
    started.set_script_timeout(600)
    return started


def measure(driver, folder, page, net, images, rounds):
    """Returns the results of a page.

    Args:
        driver (selenium.webdriver.Chrome): The browser.
        folder (pathlib.Path): For the page.
        page (str): It.
        net (~bnn.deploy.stages.PackedNet): What it computes.
        images (numpy.ndarray): uint8 (n, 1, 28, 28).
        rounds (int): Measurements of the time.

    Returns:
        dict: ``bytes`` of the page; ``microseconds`` of a prediction, a list;
        ``differ``: images that it puts into another class.
    """
    path = folder / 'page.html'
    path.write_text(page, 'utf-8')
    driver.get(path.as_uri())
    driver.execute_script('bnn.example(2)')
    times = [driver.execute_script('return bnn.measure()')
             for _ in range(rounds)]
    ours = run.Net(net).predict(images)
    theirs = []
    for first in range(0, len(images), _CHUNK):
        some = images[first:first + _CHUNK]
        theirs += driver.execute_script(
            'return arguments[0].map(image => {'
            ' const scores = bnn.scores(image);'
            ' return scores.indexOf(Math.max(...scores)); })',
            some.reshape(len(some), -1).tolist())
    return {'bytes': path.stat().st_size, 'microseconds': times,
            'differ': int((numpy.array(theirs) != ours).sum())}


if __name__ == '__main__':
    main()
