"""One field of a configuration: words of the command line, values of files."""
import math

import pytest

from bnn.training.command_line import setting


def test_converters():
    for convert, good, bad in (
            (setting.positive, {'1': 1, '30': 30}, '0 -1'),
            (setting.not_negative, {'0': 0, '7': 7}, '-1'),
            (setting.seed, {'0': 0, '4294967295': 2 ** 32 - 1},
             '-1 4294967296'),
            (setting.positive_float, {'.5': .5, '1e-9': 1e-9},
             '0 -1 nan inf -inf'),
            (setting.not_negative_float, {'0': 0., '2.5': 2.5},
             '-.1 nan inf -inf'),
            (setting.depth, {'1': 1, '1000': 1000}, '0 1001 x'),
            (setting.ratio, {'0': 0., '.999': .999}, '1 -.1 nan inf')):
        for text, value in good.items():
            assert convert(text) == value
            assert type(convert(text)) is type(value)
        for text in bad.split():
            with pytest.raises(ValueError) as e:
                convert(text)
            assert text in str(e.value)
        for text in 'x', '', '1,5', '0x10':
            with pytest.raises(ValueError):
                convert(text)
    for convert in setting.positive, setting.not_negative, setting.seed:
        with pytest.raises(ValueError):
            convert('1.5')


def test_values_of_files():
    for kwargs, default, good, bad in (
            ({'convert': setting.positive}, 3, (1, 30),
             (0, -1, True, False, None, 'x', '3', 1.5, [3], {}, math.nan)),
            ({'convert': setting.positive}, None, (None, 1), (0, 'x')),
            ({'convert': None}, True, (True, False), (0, 1, None, 'True')),
            ({'convert': None}, None, (True, False, None), (1, 'x')),
            ({'choices': ('a', 'b')}, 'a', ('a', 'b'),
             ('c', '', None, True, ['a'], {'a': 1})),
            ({'convert': int, 'choices': (0, 1)}, 0, (0, 1),
             (2, True, '1', None)),
            ({'convert': setting.positive, 'several': True}, None,
             (None, [3], [1, 2]), (3, [0], ['x'], [True], [[1]])),
            ({'convert': setting.positive_float}, 1., (.5, 2),
             (0, math.nan, math.inf, 'x'))):
        one = setting.Setting('words', 'group', **kwargs)
        for value in good:
            assert one.check(value, default) == value
        for value in bad:
            with pytest.raises((ValueError, TypeError)):
                one.check(value, default)
    # As a configuration has it, and JSON gives it back
    one = setting.Setting(
        'words', 'group', convert=setting.positive, several=True)
    assert one.check((1, 2), None) == [1, 2]
