"""A headless Chromium to test the web page in."""
import json
import shutil

from selenium import webdriver
from selenium.webdriver.chrome import service
from selenium.webdriver.common.actions import action_builder
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions import pointer_input

PROGRAM, DRIVER = (shutil.which(name) for name in (
    'chromium', 'chromedriver'))
_OPTIONS = (
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic',
    '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--hide-scrollbars')


class Browser(object):
    """A browser, and what is asked of a page in it.

    Args:
        folder (pathlib.Path): For its profile.

    Attributes:
        driver (selenium.webdriver.Chrome): The browser.

    """

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = PROGRAM
        for option in (*_OPTIONS, '--user-data-dir=%s' % folder):
            options.add_argument(option)
        options.set_capability('goog:loggingPrefs', {
            'browser': 'ALL', 'performance': 'ALL'})
        self.driver = webdriver.Chrome(
            options=options, service=service.Service(DRIVER))

    def quit(self):
        self.driver.quit()

    def run(self, script, *args):
        """Runs a script in the page, returns what it returns."""
        return self.driver.execute_script(script, *args)

    def command(self, name, **arguments):
        """Gives a command of Chrome's own protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def emulate(self, width, height, is_mobile=False, **media):
        """Sets the size of the page, and media features."""
        self.command(
            'Emulation.setDeviceMetricsOverride', width=width, height=height,
            deviceScaleFactor=2 if is_mobile else 1, mobile=is_mobile)
        self.command('Emulation.setTouchEmulationEnabled', enabled=is_mobile)
        self.command('Emulation.setEmulatedMedia', features=[
            {'name': name.replace('_', '-'), 'value': value}
            for name, value in media.items()])

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

    def draw(self, strokes, kind=interaction.POINTER_MOUSE):
        """Draws strokes on the pad, as a hand does.

        Args:
            strokes (list): Of lists of (x, y), 0 to 1 across the pad.
            kind (str): ``'mouse'`` or ``'touch'``.

        """
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
