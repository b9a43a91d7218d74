"""The site of `make docs`: pages in Markdown, the reference of docstrings.

Formulas and theme need no network.
"""
import json

from docutils import nodes
from docutils.utils.math import latex2mathml

import bnn

project = 'binary_net'
version = release = bnn.__version__
html_theme = 'alabaster'  # comes with Sphinx
html_copy_source = False
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.autosummary',
              'sphinx.ext.napoleon']
templates_path = ['_templates']
# autosummary writes its pages with the first one.
source_suffix = {'.rst': 'restructuredtext', '.md': 'markdown',
                 '.ipynb': 'markdown'}
html_math_renderer = 'mathml'
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
# Folders have no page; tests/test_docs.py checks that links lead somewhere.
suppress_warnings = ['myst.xref_missing']
autodoc_mock_imports = ['cupy']  # bnn.kernels.gpu is read without a GPU
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
# A type may be "int64 (n,)", where n is no name to link to.
napoleon_use_rtype = False
# autodoc finds the fields of a NamedTuple by itself; twice is a warning.
napoleon_use_ivar = True
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'


def read_notebook(app, docname, source):
    """Makes Markdown of a notebook."""
    if not (app.srcdir / f'{docname}.ipynb').exists():
        return
    cells = [(cell['cell_type'], ''.join(cell['source']))
             for cell in json.loads(source[0])['cells']]
    source[0] = '\n\n'.join(text if kind == 'markdown' else
                            f'```python\n{text}\n```' for kind, text in cells)


def visit_math(translator, node):
    """Writes a formula as MathML; MathJax would come from the network."""
    translator.body.append(latex2mathml.tex2mathml(
        node.astext(), as_block=node.tagname == 'math_block'))
    # What is inside has been written
    raise nodes.SkipNode


def setup(app):
    app.connect('source-read', read_notebook)
    app.add_html_math_renderer(
        'mathml', (visit_math, None), (visit_math, None))
