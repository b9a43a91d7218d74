"""A net layer by layer, counted by hand."""
import chainer
import numpy

from bnn.training.reports import summary
from zoo.binary_neural_networks import binary_weight_mlp
from zoo.binary_neural_networks import float_mlp
from zoo.binarynet import deep_binary_mlp
from zoo.quantized_net import quantized_mlp
from zoo.xnor_net import link_xnor_block

DeepBinaryMLP = deep_binary_mlp.DeepBinaryMLP
X = numpy.linspace(0, 1, 12, dtype='f').reshape(1, 1, 3, 4)
COLUMNS = ['layer', 'type', 'output', 'params', 'bits', '1-bit MACs',
           'other MACs', 'float bytes', 'packed bytes']


def rows_of(model, x=X):
    return {row['layer']: tuple(row[name] for name in COLUMNS[1:])
            for row in summary.summarize(model, x)}


def test_every_row_has_the_columns_in_their_order():
    for row in summary.summarize(DeepBinaryMLP(8, 3, 12, n_layers=1), X):
        assert list(row) == COLUMNS


def test_binary():
    # 12-8-3; a row: params, bits, binary and other MACs, bytes
    expected = {
        # 96 weights and 8 biases; 12 bytes of bits and 8 floats
        'l1': ('BinaryLinear', '8', 104, 1, 0, 96, 416, 44),
        # gamma, beta, mean, variance of 8 and the count N
        'b1': ('BatchNormalization', '8', 16, 32, 0, 0, 132, 132),
        'l2': ('BinaryLinear', '3', 27, 1, 24, 0, 108, 15),
        'b2': ('BatchNormalization', '3', 6, 32, 0, 0, 52, 52),
        'total': ('', '', 153, '', 24, 96, 708, 243)}
    model = DeepBinaryMLP(8, 3, 12, n_layers=1)
    rows = rows_of(model)
    assert list(rows) == list(expected)
    assert rows == expected


def test_binary_inputs():
    x = numpy.where(X > .5, 1, -1).astype('f')
    rows = rows_of(DeepBinaryMLP(8, 3, 12, n_layers=1), x)
    assert rows['l1'][4:6] == (96, 0)
    assert rows['total'][4:6] == (120, 0)


def test_bits_that_fill_no_byte():
    # 5 x 3 weights are 15 bits, 2 bytes
    rows = rows_of(DeepBinaryMLP(5, 5, 3, n_layers=1), X[..., :1])
    assert rows['l1'][7] == 2 + 5 * 4


def test_quantized():
    for bits, packed in (1, 12), (2, 24), (3, 36), (8, 96), (32, 384):
        rows = rows_of(quantized_mlp.QuantizedMLP(
            8, 3, 12, n_layers=1, w_bits=bits, a_bits=2))
        assert rows['l1'] == ('QuantizedLinear', '8', 104, bits, 0, 96, 416,
                              packed + 32)
        # One-bit weights, but activations of two bits
        assert rows['l2'][4:6] == (0, 24)
    # The linear quantizer has a level more.
    for bits, packed in (1, 12), (2, 36), (8, 108):
        rows = rows_of(quantized_mlp.QuantizedMLP(
            8, 3, 12, n_layers=1, w_bits=bits, a_bits=2, quantizer='linear'))
        assert rows['l1'][3] == bits
        assert rows['l1'][7] == packed + 32


def test_one_bit_quantized():
    rows = rows_of(quantized_mlp.QuantizedMLP(
        8, 3, 12, n_layers=1, w_bits=1, a_bits=1))
    assert rows['l2'][4:6] == (24, 0)
    rows = rows_of(quantized_mlp.QuantizedMLP(
        8, 3, 12, n_layers=1, w_bits=2, a_bits=1))
    assert rows['l2'][4:6] == (0, 24)


def test_float():
    rows = rows_of(float_mlp.FloatMLP(8, 3, 12, n_layers=1, batch_norm=False))
    assert rows == {
        'l1': ('Linear', '8', 104, 32, 0, 96, 416, 416),
        'l2': ('Linear', '3', 27, 32, 0, 24, 108, 108),
        'total': ('', '', 131, '', 0, 120, 524, 524)}


def test_binary_weights_only():
    rows = rows_of(binary_weight_mlp.BinaryWeightMLP(
        8, 3, 12, n_layers=2, batch_norm=False))
    assert list(rows) == ['l1', 'l2', 'l3', 'total']
    assert rows['l2'][4:6] == (0, 64)  # ReLU is no sign
    assert rows['total'][4:] == (0, 96 + 64 + 24, 4 * (184 + 19),
                                 12 + 8 + 3 + 4 * 19)


def test_layers_in_blocks():
    model = chainer.Sequential(link_xnor_block.XNORConvolution2D(
        2, 4, 3, input_scale=True, shift=True))
    rows = rows_of(model, X.reshape(1, 2, 3, 2).repeat(2, axis=3))
    assert list(rows) == ['0/bn', '0/sign', '0/conv', '0/bias', '0/rprelu',
                          'total']
    # 72 weights are 9 bytes, the scales of 4 filters 16
    assert rows['0/conv'] == (
        'ScaledConvolution2D', '4x1x2', 72, 1, 144, 0, 288, 9 + 16)
    assert rows['0/rprelu'] == ('RPReLU', '4x1x2', 12, 32, 0, 0, 48, 48)


def test_leaves_the_net_as_it_was():
    model = DeepBinaryMLP(8, 3, 12, n_layers=1, dropout_hidden=.5)
    before = model.b1.avg_mean.copy()
    numpy.random.seed(0)
    state = numpy.random.get_state()[1].copy()
    assert rows_of(model) == rows_of(model)
    numpy.testing.assert_array_equal(model.b1.avg_mean, before)
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], state)
    assert not model.l1.local_link_hooks


def test_describe():
    lines = summary.describe(DeepBinaryMLP(40, 3, 12, n_layers=1),
                             (1, 3, 4), False).splitlines()
    assert len(lines) == 6
    for name in COLUMNS:
        assert name in lines[0]
    assert lines[1].split() == [
        'l1', 'BinaryLinear', '40', '520', '1', '0', '480', '2,080', '220']
    assert len({len(line) for line in lines}) == 1  # columns are aligned
    assert lines[-1].startswith('total ')
    # Each total ends where its column's name ends; that of the bits is none
    for name, total in (('params', '729'), ('bits', ' '),
                        ('1-bit MACs', '120'), ('other MACs', '480'),
                        ('float bytes', '3,268'), ('packed bytes', '943')):
        end = lines[0].index(name) + len(name)
        assert lines[-1][:end].endswith(' ' + total), name
