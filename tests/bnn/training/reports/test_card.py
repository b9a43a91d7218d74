"""The command on a card is one that trains the net again."""
from bnn.training.reports import card
from configs import binary_net
from configs import lenet5


def test_command():
    attributes = {'seed': 3, 'epoch': 32, 'lr': .02, 'lr_steps': [20, 30],
                  'data_dir': 'somewhere'}
    assert card.command(attributes, lenet5.CONFIG) == (
        './train.py lenet5 --epoch 32 --seed 3 --lr 0.02 --lr-steps 20 30')


def test_what_was_not_given_is_left_out():
    """A model has what a field without a value stood for."""
    attributes = {'seed': 0, 'test_weights': 'signs', 'lr_scale': 'none',
                  'weight_init': 'normal'}
    assert card.command(attributes, binary_net.CONFIG) == (
        './train.py binary_net --seed 0')
    attributes = {'seed': 0, 'binarize': 'stochastic', 'lr_scale': 'none',
                  'test_weights': 'mean'}
    words = card.command(attributes, binary_net.CONFIG)
    assert '--binarize stochastic' in words
    assert '--test-weights mean' in words
