"""PEP 517 build backend: the official Chainer sdist with a few edits.

pip and uv call :func:`build_wheel` for the line ``./chainer_build`` of
requirements.txt. It fetches the official sdist, checks its SHA-256, applies
the edits of edits.py and lets setuptools build the wheel.

There is no ``prepare_metadata_for_build_wheel`` on purpose: without it a
front end takes the metadata from the wheel, so that the sdist is downloaded
and the wheel built once per install, not twice.
"""
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile

from edits import EDITS

VERSION = '7.8.1'
SHA256 = '179f06176f8d7a42385bc7811956db04e68213cfe30f5081491b9e2b6ff70de8'
SDIST = f'chainer-{VERSION}.tar.gz'


class BuildError(Exception):
    """The build cannot go on; the message says what to do about it."""


def build_wheel(wheel_directory, config_settings=None,
                metadata_directory=None):
    """Builds the wheel of the edited Chainer (the PEP 517 hook).

    Args:
        wheel_directory (str): Where to put the wheel.
        config_settings (dict): Handed on to setuptools.
        metadata_directory (str): Unused; the hook that fills it is not
            provided.

    Returns:
        str: File name of the wheel.
    """
    wheel_directory = os.path.abspath(wheel_directory)
    try:
        with tempfile.TemporaryDirectory() as tmp:
            root = unpack(find_sdist(tmp), tmp)
            apply_edits(root, EDITS)
            # setuptools builds the current directory, whose setup.py imports
            # a module that lies beside it.
            before = os.getcwd()
            os.chdir(root)
            sys.path.insert(0, root)
            try:
                # Imported here because setup.py decides which setuptools is
                # needed, and the tests of this module need none.
                from setuptools import build_meta
                return build_meta.build_wheel(
                    wheel_directory, config_settings)
            finally:
                # Windows does not remove the current directory.
                sys.path.remove(root)
                os.chdir(before)
    except BuildError as e:
        # The front end prints what this process wrote: no traceback around
        # the message that matters.
        sys.exit(f'chainer_build: {e}')


def find_sdist(directory):
    """Returns the path of the verified sdist.

    Args:
        directory (str): Where to put the sdist if it is downloaded.

    Returns:
        str: ``$CHAINER_SDIST`` if that is set, else the downloaded file.
    """
    path = os.environ.get('CHAINER_SDIST')
    if not path:
        path = _download(directory)
    elif not os.path.isfile(path):
        raise BuildError(
            f'CHAINER_SDIST={path} is not a file. Let it be the absolute path '
            f'of the official {SDIST}, or unset it to download that file.')
    with open(path, 'rb') as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    if digest != SHA256:
        raise _wrong_sha256(path, digest)
    return path


def unpack(sdist, directory):
    """Unpacks the sdist into a directory and returns its source tree."""
    # The filter is named where it exists (3.12, and the last 3.10 and 3.11):
    # without it Python 3.12 and 3.13 warn.
    options = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
    with tarfile.open(sdist) as tar:
        tar.extractall(directory, **options)
    return os.path.join(directory, 'chainer-' + VERSION)


def apply_edits(root, edits):
    """Applies edits to a source tree.

    Args:
        root (str): The source tree.
        edits (iterable of edits.Edit): The edits, applied in this order.
    """
    for edit in edits:
        path = os.path.join(root, *edit.file.split('/'))
        try:
            # newline='' leaves the line ends of the file as they are
            with open(path, encoding='utf-8', newline='') as f:
                text = f.read()
        except FileNotFoundError:
            raise BuildError(
                f'the edit of {edit.file} ({edit.reason}) cannot be applied: '
                f'Chainer {VERSION} has no such file. Mend the edit in '
                'chainer_build/edits.py.') from None
        found = text.count(edit.old)
        if found != edit.count:
            raise BuildError(
                f'the edit of {edit.file} ({edit.reason}) cannot be applied: '
                f'expected {edit.count} times, found {found} times the text '
                f'{edit.old!r}. Mend the edit in chainer_build/edits.py.')
        with open(path, 'w', encoding='utf-8', newline='') as f:
            f.write(text.replace(edit.old, edit.new))


def _download(directory):
    """Downloads the sdist with pip, and so from where pip is set up to look.

    pip runs setup.py to learn an sdist's name and version, even where it only
    downloads. The hash makes it verify the file before that.
    """
    requirements = os.path.join(directory, 'requirements.txt')
    with open(requirements, 'w') as f:
        f.write(f'chainer=={VERSION} --hash=sha256:{SHA256}\n')
    pip = subprocess.run(
        [sys.executable, '-m', 'pip', 'download', '--no-deps',
         '--no-binary', 'chainer', '--no-build-isolation', '--no-input',
         '--disable-pip-version-check', '--dest', directory,
         '--requirement', requirements],
        env=_pip_environment(os.environ), text=True, errors='replace',
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if pip.returncode:
        raise _download_error(pip.stdout)
    return os.path.join(directory, SDIST)


def _pip_environment(environ):
    """Returns the environment for the pip that this backend starts.

    The variables by which the outer front end talks to this backend must not
    reach the inner pip, which would take them for its own and look for
    setuptools in this directory. uv has its own variables for a mirror: they
    count where pip's are not set.
    """
    env = {name: value for name, value in environ.items()
           if not name.startswith(('_PYPROJECT_HOOKS_', 'PEP517_'))}
    for uv in 'UV_DEFAULT_INDEX', 'UV_INDEX_URL':
        if env.get(uv):
            # UV_DEFAULT_INDEX may give the index a name: name=URL
            url = re.sub(r'^[\w.-]+=', '', env[uv])
            env.setdefault('PIP_INDEX_URL', url)
    if env.get('UV_FIND_LINKS'):
        env.setdefault(
            'PIP_FIND_LINKS', env['UV_FIND_LINKS'].replace(',', ' '))
    return env


def _download_error(output):
    """Returns the error for a failed download, from what pip printed."""
    got = re.search(r'\bGot\s+([0-9a-f]{64})\b', output)
    if got:
        return _wrong_sha256('the downloaded ' + SDIST, got.group(1))
    if re.search(r'No matching distribution|Could not find a version|'
                 r'ConnectionError|Max retries|Temporary failure in name',
                 output):
        what = (f'pip found no {SDIST}: there is no network, or the package '
                'index in use does not have it.')
    else:
        what = f'pip could not download {SDIST}.'
    said = '\n'.join('    ' + line for line in output.splitlines()[-20:])
    return BuildError(
        f'{what} Set PIP_INDEX_URL to a package index that can be reached, or '
        'CHAINER_SDIST to the path of a copy of that file. What pip '
        f'said:\n{said}')


def _wrong_sha256(what, digest):
    return BuildError(
        f'the sha256 of {what} is wrong: expected {SHA256}, found {digest}. '
        'The file is truncated or not the official one: remove it, or set '
        'CHAINER_SDIST to the path of a good copy.')
