"""The deep binary MLP: with its defaults net.BinaryMLP, and its options."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy

import net
import weight_clip
from zoo.binarynet import deep_binary_mlp
from zoo.surrogates import sign

DeepBinaryMLP = deep_binary_mlp.DeepBinaryMLP


def test_it_is_the_binary_mlp():
    """Initial weights, updates and scores are the same, bit for bit."""
    found = []
    for kind in net.BinaryMLP, DeepBinaryMLP:
        numpy.random.seed(0)
        model = L.Classifier(kind(40, 3, 50))
        optimizer = chainer.optimizers.Adam(.01).setup(model)
        optimizer.add_hook(weight_clip.WeightClip())
        x = numpy.random.uniform(0, 1, (20, 50)).astype('f')
        t = numpy.arange(20, dtype='i') % 3
        contents = []
        for _ in range(4):
            contents += [(name, param.array.tobytes())
                         for name, param in sorted(model.namedparams())]
            optimizer.update(model, x, t)
            contents.append(model.loss.array.tobytes())
        with chainer.using_config('train', False):
            contents.append(model.predictor(x).array.tobytes())
        found.append(contents)
    assert found[0] == found[1]
    assert len(set(found[0])) == len(found[0])  # each update changed each


def test_activations():
    seen = []

    class Inputs(chainer.LinkHook):
        def forward_preprocess(self, args):
            if args.link.name in ('l2', 'l3', 'l4'):
                seen.append(args.args[0].array)

    x = numpy.random.uniform(0, 1, (6, 12)).astype('f')
    for surrogate in sign.GRADIENTS:
        with Inputs():
            DeepBinaryMLP(8, 3, 12, n_layers=3, surrogate=surrogate)(x)
    assert len(seen) == 9
    assert all(set(x.ravel()) == {-1, 1} for x in seen)


def test_surrogate():
    """The gradient in front of the sign is that of the surrogate."""
    x = numpy.random.uniform(0, 1, (6, 12)).astype('f')
    for surrogate in sign.GRADIENTS:
        numpy.random.seed(0)
        model = DeepBinaryMLP(8, 3, 12, n_layers=1, surrogate=surrogate)
        h = chainer.Variable(model.b1(model.l1(x)).array)
        y = model.b2(model.l2(sign.sign(h, surrogate)))
        F.sum(y ** 3).backward()
        model.cleargrads()
        F.sum(model(x) ** 3).backward()
        numpy.testing.assert_allclose(
            model.b1.beta.grad, h.grad.sum(axis=0), rtol=1e-3, atol=1e-5)
        assert h.grad.any()
