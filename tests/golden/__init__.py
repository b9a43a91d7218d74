"""What must stay as it is: results of the code of one day, kept as files.

``make.py`` makes the files, ``tests/test_golden.py`` compares with them.
What knows the names of the project's modules and options is in
:mod:`golden.project`, and nowhere else.
"""
