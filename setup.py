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
import ast
import pathlib
import shutil
import sys
from collections.abc import Mapping

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
        self.names = {
            _dotted(pathlib.PurePath(file).with_suffix('').parts):
            _dotted([package, module])
            for package, module, file in self.find_all_modules()}
        super().run()

    def find_package_modules(self, package, package_dir):
        found = super().find_package_modules(package, package_dir)
        if package == PACKAGE:
            found += [(package, name, f'{name}.py') for name in FILES]
        return found

    def build_module(self, module, module_file, package):
        path, copied = super().build_module(module, module_file, package)
        try:
            source = rewrite(pathlib.Path(module_file).read_bytes(),
                             self.names)
        except ValueError as e:
            sys.exit(f'setup.py: {module_file}:{e}')
        pathlib.Path(path).write_bytes(source)
        return path, copied


def rewrite(source: bytes, names: Mapping[str, str]) -> bytes:
    """Rewrites the imports of a module for where modules are installed.

    Args:
        source: The module, UTF-8.
        names: The installed name of each module, by its name in the
            repository.

    Returns:
        The module with other names in its import statements.

    Raises:
        ValueError: If it imports a module of the repository that is not
            installed, or in a way that cannot be rewritten; the message
            begins with the line.
    """
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    edits = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            new = _rewritten(node, names)
            if new is not None:
                # Offsets of ast count bytes
                edits.append((starts[node.lineno - 1] + node.col_offset,
                              starts[node.end_lineno - 1]
                              + node.end_col_offset, ast.unparse(new)))
        elif (isinstance(node, ast.Constant) and isinstance(node.value, str)
              and '.' in node.value and node.value in names):
            raise ValueError(f'{node.lineno}: the name of a module as a '
                             f'string, {node.value!r}, cannot be rewritten')
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text.encode() + source[end:]
    return source


def _rewritten(node, names):
    """Returns an import as it is installed, or None if it stays."""
    imported = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:
            raise ValueError(f'{node.lineno}: an import relative to the '
                             'module cannot be rewritten')
        imported = [node.module, *(f'{node.module}.{n}' for n in imported)]
    ours = [name for name in imported if _is_of_repository(name)]
    for name in ours:
        if name not in names:
            raise ValueError(f'{node.lineno}: {name} is not installed')
    if not ours:
        return None
    if isinstance(node, ast.ImportFrom):
        return ast.ImportFrom(names[node.module], node.names, 0)
    # `import a.b` binds a, which has another name when installed.
    alias = node.names[0]
    if (len(node.names) > 1 or alias.name in FOLDERS.values()
            or '.' in alias.name and not alias.asname):
        raise ValueError(f'{node.lineno}: write this import as '
                         '`from PACKAGE import MODULE`')
    package, _, module = names[alias.name].rpartition('.')
    return ast.ImportFrom(package, [ast.alias(module, alias.asname)], 0)


def _is_of_repository(name):
    path = ROOT.joinpath(*name.split('.'))
    return path.is_dir() or path.with_name(path.name + '.py').is_file()


def _dotted(parts):
    """Returns the name of a module; a package is its ``__init__``."""
    return '.'.join(parts).removesuffix('.__init__')


def find_packages() -> list[str]:
    """Returns the names of the packages to install."""
    return [_dotted([package, *rest]) for package, folder in FOLDERS.items()
            for rest in [[], *([name] for name in setuptools.find_packages(
                str(ROOT / folder), exclude=LEFT_OUT))]]


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
