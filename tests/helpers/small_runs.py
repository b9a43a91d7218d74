"""A trainer of a small net on made data, built as the scripts build theirs."""
import chainer
import chainer.links as L
import numpy
from chainer import training

from bnn.training.learning import batches
from bnn.training.learning import evaluator
from bnn.training.learning import means

CPU = chainer.get_device('@numpy')


class Net(chainer.Chain):
    """Two linear layers and batch normalization between them."""

    def __init__(self, n_units=4):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(3, n_units)
            self.bn = L.BatchNormalization(n_units)
            self.l2 = L.Linear(n_units, 2)

    def forward(self, x):
        return self.l2(self.bn(self.l1(x)))


def data(n=20):
    """Returns float32 inputs, (n, 3), and labels, int32 (n,)."""
    random = numpy.random.RandomState(0)
    x = random.randn(n, 3).astype('f')
    return x, (x[:, 0] > 0).astype('i')


def feed(arrays, batchsize=5, **kwargs):
    """Returns batches of arrays as they are."""
    x, t = arrays
    return batches.Feed(batches.Indices(x, batchsize, **kwargs),
                        lambda batch, device: (x[batch], t[batch]))


def make(out, n_epochs=2, n_units=4, n_data=20, test=True):
    """Returns a trainer: Adam, batches of 5, a test after each epoch."""
    model = L.Classifier(Net(n_units), accfun=means.accuracy)
    optimizer = chainer.optimizers.Adam().setup(model)
    arrays = data(n_data)
    train = feed(arrays)
    trainer = training.Trainer(
        training.StandardUpdater(
            train.iterator, optimizer, train.converter, CPU),
        (n_epochs, 'epoch'), str(out))
    if test:
        trainer.extend(evaluator.Evaluator(
            feed(arrays, 6, repeat=False, shuffle=False), model, CPU),
            name='validation')
    return trainer
