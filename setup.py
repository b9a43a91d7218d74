"""Builds one package, ``binary_net``, of the files of this repository.

The layers lie at the root of the repository, where a reader of the paper
finds them, beside ``bnn`` and ``zoo``.  Installed under these names they would
collide with other distributions, so the build puts them below one name and
rewrites their imports:

========================  ============================
in the repository         installed
========================  ============================
``bnn.deploy``            ``binary_net.deploy``
``zoo.mlp``               ``binary_net.zoo.mlp``
``link_binary_linear``    ``binary_net.link_binary_linear``
========================  ============================

pyproject.toml has the rest.
"""
import pathlib
import re
import shutil
import sys

import setuptools
from setuptools.command import build_py

ROOT = pathlib.Path(__file__).resolve().parent
PACKAGE = 'binary_net'
FOLDERS = {PACKAGE: 'bnn', f'{PACKAGE}.zoo': 'zoo',
           f'{PACKAGE}.models': 'models'}
FILES = ('bst', 'function_binary_linear', 'link_binary_linear', 'predict',
         'weight_clip')
# It reads published/ and writes the tables of the repository.
LEFT_OUT = 'reproduction', 'reproduction.*'
# Modules of the repository that the package does not have under these names
OURS = (*FOLDERS.values(), *FILES, 'configs', 'export', 'net', 'reproduce',
        r'train\w*')
RUNTIME = 'numpy', 'numba', 'Pillow'
# Of chainer_build.  PyPI has no such version, so that pip refuses to install
# the layers with the Chainer of PyPI, which does not import.
CHAINER = 'chainer==7.8.1+compat.1'


class BuildPy(build_py.build_py):
    """Copies the modules below one package and rewrites their imports."""

    def run(self):
        if self.editable_mode:
            sys.exit('setup.py: the imports are rewritten while the files are '
                     'copied, so there is no editable installation; run the '
                     'scripts in the folder of the repository')
        # What an earlier build left here would be installed too.
        shutil.rmtree(pathlib.Path(self.build_lib, PACKAGE),
                      ignore_errors=True)
        super().run()

    def find_package_modules(self, package, package_dir):
        found = super().find_package_modules(package, package_dir)
        if package == PACKAGE:
            found += [(package, name, f'{name}.py') for name in FILES]
        return found

    def build_module(self, module, module_file, package):
        path, copied = super().build_module(module, module_file, package)
        source = pathlib.Path(module_file).read_bytes().decode()
        pathlib.Path(path).write_bytes(rewrite(source, module_file).encode())
        return path, copied


def rewrite(source: str, path: str) -> str:
    """Rewrites the imports of a module for where modules are installed.

    ruff keeps them one a line, which is why patterns suffice.

    Args:
        source: The module.
        path: Its file, for the message.

    Returns:
        The module with other names in its import statements.

    Raises:
        SystemExit: If it still imports a module of the repository.
    """
    for package, folder in FOLDERS.items():
        source = re.sub(rf'^( *from ){folder}\b(?=[.\w]* import )',
                        rf'\1{package}', source, flags=re.M)
    source = re.sub(rf'^( *)(?=import ({"|".join(FILES)})\b)',
                    rf'\1from {PACKAGE} ', source, flags=re.M)
    ours = rf'({"|".join(OURS)})\b'
    left = re.search(rf'^ *(import {ours}|from {ours}[.\w]* import ).*',
                     source, re.M)
    if left:
        sys.exit(f'setup.py: {path}: the installed package has no '
                 f'{left[0].strip()!r}')
    return source


def find_packages() -> list[str]:
    """Returns the names of the packages to install."""
    return [*FOLDERS, *(
        f'{package}.{name}' for package, folder in FOLDERS.items()
        for name in setuptools.find_packages(
            str(ROOT / folder), exclude=LEFT_OUT))]


def read_requirements() -> tuple[list[str], list[str]]:
    """Reads what the package needs from requirements.txt.

    Returns:
        The requirements of the runtime, and what training needs besides.
    """
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    lines = [line for line in lines if line and line[0] not in '#.']
    runtime = [line for line in lines if line.split('>=')[0] in RUNTIME]
    return runtime, [CHAINER, *(x for x in lines if x not in runtime)]


def main():
    runtime, train = read_requirements()
    setuptools.setup(
        packages=find_packages(), package_dir=FOLDERS,
        package_data={'': ['sources/*', 'parts/*'],
                      f'{PACKAGE}.models': ['*.bnn', '*.md', '*.png']},
        install_requires=runtime, extras_require={'train': train},
        cmdclass={'build_py': BuildPy})


if __name__ == '__main__':
    main()
