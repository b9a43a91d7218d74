"""ResNet-20: layers and work of the published net, results, packed."""
import chainer
import numpy
import pytest

from bnn.training.reports import summary
from zoo.bireal_net import resnet20

ResNet20 = resnet20.ResNet20


def layers():
    """Lists names, shapes of weights and result, stride, multiply-adds.

    ResNet's for CIFAR-10 (1512.03385, section 4.2) with n = 3.
    """
    found = [('conv1', (16, 3, 3, 3), (16, 32, 32), 1, 442_368)]
    n_in = 16
    for i in range(2, 20):
        n, size = ((16, 32), (32, 16), (64, 8))[(i - 2) // 6]
        found.append((
            f'block{i}/conv', (n, n_in, 3, 3), (n, size, size),
            1 if n == n_in else 2,
            2_359_296 if n == n_in else 1_179_648))
        n_in = n
    return [*found, ('l20', (10, 64), (10,), 1, 640)]


def test_layers(layer_table, layer_shapes):
    x = numpy.zeros((1, 3, 32, 32), 'f')
    for binary in True, False:
        model = ResNet20(binary=binary)
        table, shapes = layer_table(model), layer_shapes(model, x)
        assert list(shapes) == [row[0] for row in layers()]
        assert set(table) == set(shapes)
        for name, W, shape, stride, _ in layers():
            inside = binary and name.startswith('block')
            assert table[name] == (
                W, stride, int(len(W) == 4), 'sign' if inside else 'float')
            assert shapes[name] == shape
        # 0.27 million, 269,722 without the normalization of the means
        n_shifts = sum(
            param.size for path, param in model.namedparams()
            if '/sign/' in path or '/rprelu/' in path)
        assert model.count_params() - n_shifts == 269_850
        assert bool(n_shifts) == binary


def test_work():
    x = numpy.full((1, 3, 32, 32), .5, 'f')
    for binary in True, False:
        *rows, total = summary.summarize(ResNet20(binary=binary), x)
        work = {row['layer']: row['1-bit MACs' if binary and row['bits'] == 1
                                  else 'other MACs'] for row in rows}
        for name, *_, macs in layers():
            assert work[name] == macs
        assert total['1-bit MACs'] == binary * 40_108_032
        assert total['1-bit MACs'] + total['other MACs'] == 40_551_040


def test_width(layer_table):
    W = {name: row[0] for name, row in layer_table(
        ResNet20(3, width=2)).items()}
    assert W['conv1'] == (2, 3, 3, 3)
    assert W['block8/conv'] == (4, 2, 3, 3)
    assert W['block19/conv'] == (8, 8, 3, 3)
    assert W['l20'] == (3, 8)


def test_surrogate():
    x = numpy.random.normal(0, 1, (2, 3, 16, 16)).astype('f')
    grads = []
    for surrogate in 'ste', 'approx-sign':
        numpy.random.seed(0)
        model = ResNet20(width=2, surrogate=surrogate)
        model.cleargrads()
        chainer.functions.sum(model(x) ** 3).backward()
        grads.append(model.conv1.W.grad)
    assert abs(grads[0] - grads[1]).max() > 1e-3 * abs(grads[0]).max()


def test_forward(reference, apply_block):
    nobias = chainer.Variable(numpy.zeros(1))
    x = numpy.random.normal(0, 1, (2, 3, 12, 12))
    for binary in True, False:
        with chainer.using_config('dtype', numpy.float64):
            model = ResNet20(3, binary, width=2)
        reference.disturb(model)
        h = reference.convolution(x, model.conv1.W.array, nobias, pad=1)
        h = reference.normalize(model.bn1, h, 2e-5)
        h = h if binary else numpy.maximum(h, 0)
        for i in range(2, 20):
            h = apply_block(model[f'block{i}'], h, binary,
                            stride=1 + (i in (8, 14)))
        h = reference.normalize(model.bn20, h.mean(axis=(2, 3)), 2e-5)
        h = reference.linear(h, model.l20.W.array, model.l20.b)
        with chainer.using_config('train', False):
            numpy.testing.assert_allclose(model(x).array, h, rtol=1e-8)


@pytest.mark.parametrize('binary', [True, False])
def test_packed(check_packed, binary):
    model = ResNet20(binary=binary)
    check_packed(model, 18 * ['bits' if binary else 'float'])
