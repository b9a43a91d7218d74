"""The net of binary_net, trained as well as 20 epochs allow."""
from bnn.training.command_line import config

CONFIG = config.Config(
    name='best',
    title='binary weights and activations, 784-1000-1000-10, 20 epochs',
    notes='Chosen on a validation part, docs/recipe_best.md.',
    published=config.Published(
        None, 'none; binary_net has 0.9766 with this net and these epochs',
        reach=0.989),
    net='BinaryMLP', clip='weights', lr=.01, lr_schedule='cosine',
    batchsize=50, dropout_input=.2, adversarial=.03, precise_bn=True,
    epoch=20)
