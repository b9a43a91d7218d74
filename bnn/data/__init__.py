"""Data sets as arrays: found on disk, downloaded, verified.

Knows arrays and files, not Chainer. NumPy's global random state is never
touched.
"""
from bnn import errors as _errors
from bnn.data.dataset import Dataset
from bnn.data.dataset import UnavailableError

__all__ = [
    'CIFAR_NAMES', 'IMAGENET_NAMES', 'NAMES', 'PICTURE_NAMES', 'SHAPES',
    'STATISTICS', 'TITLES', 'Dataset', 'UnavailableError', 'check_net', 'load',
    'statistics']

TITLES = {
    'mnist': 'MNIST', 'fashion-mnist': 'Fashion-MNIST', 'digits': 'digits',
    'cifar10': 'CIFAR-10', 'imagenet': 'ImageNet', 'pictures': 'pictures'}
# By the shape of their images: what one net takes
NAMES = ('mnist', 'fashion-mnist', 'digits')
CIFAR_NAMES = ('cifar10',)
# A folder of any pictures, train/<class>/* and val/<class>/*
IMAGENET_NAMES = ('imagenet',)
# The user's own, of the size that a net is to be given
PICTURE_NAMES = ('pictures',)

# Mean and standard deviation of the training pixels in [0, 1], by channel.
# MNIST's, as XNOR-Net-PyTorch has them, stand for what looks like it.
STATISTICS = {
    **dict.fromkeys(NAMES, ((0.1307,), (0.3081,))),
    'cifar10': ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    # XNOR-Net-PyTorch subtracts the mean and goes on in [0, 255].
    'imagenet': ((0.485, 0.456, 0.406), (1 / 255,) * 3),
    # Those of ImageNet's pixels stand for own pictures.
    'pictures': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
_GREY = (0.449,), (0.226,)
# Channels, height and width of what a net is given to test; of own pictures
# the user says them.
SHAPES = {**dict.fromkeys(NAMES, (1, 28, 28)),
          **dict.fromkeys(CIFAR_NAMES, (3, 32, 32)),
          **dict.fromkeys(IMAGENET_NAMES, (3, 227, 227))}


def statistics(name, channels):
    """Returns mean and deviation of the channels of a data set's pixels.

    Args:
        name (str): A key of :data:`STATISTICS`.
        channels (int): Of its images; 1 for own pictures in grey.

    Returns:
        tuple: Two tuples of float, a number for each channel.
    """
    return _GREY if (name in PICTURE_NAMES and channels == 1) else (
        STATISTICS[name])


def check_net(data, input_shape, class_names, path):
    """Refuses a net for other data.

    Args:
        data (Dataset): The data.
        input_shape (tuple of int): ``(channels, h, w)`` of the net's images.
        class_names (sequence of str): Its classes.  Those of own pictures
            must be the same, of other data as many.
        path (str): Its file, for the message.

    Raises:
        UserError: Images or classes are other ones.
    """
    if data.name in PICTURE_NAMES:
        data.check_classes(class_names, path)
    shape = SHAPES.get(data.name, input_shape)
    if shape != input_shape or len(data.class_names) != len(class_names):
        ours, theirs = ('x'.join(map(str, one)) for one in (
            input_shape, shape))
        raise _errors.UserError(
            f'{path} is of {ours} images and {len(class_names)} classes, '
            f'{data.title} of {theirs} and {len(data.class_names)}')


def load(name, data_dir=None, allow_modified=False, workers=None, shape=None):
    """Loads a data set by its name.

    Args:
        name (str): One of :data:`NAMES`, :data:`CIFAR_NAMES`,
            :data:`IMAGENET_NAMES` or :data:`PICTURE_NAMES`.
        data_dir (str): The only folder to look in and to download to. ``None``
            is the folder ``name`` in ``$CHAINER_DATASET_ROOT``, or else in
            ``~/.chainer/dataset``. ``'digits'`` is embedded and needs none;
            ``'cifar10'`` is also found where Chainer keeps it; nothing is
            downloaded for ``'imagenet'``. ``'pictures'`` needs one.
        allow_modified (bool): Whether well-formed files may hold other data
            than what was published; pictures always may.
        workers (int): Threads that decode pictures; ``None`` is one for each
            usable core.
        shape (tuple of int): ``(channels, h, w)`` of the images of
            ``'pictures'``, which need it.

    Returns:
        Dataset: The data.

    Raises:
        UnavailableError: It is not there and cannot be downloaded.
        UserError: There is no such name, a file is not what it should be or
            cannot be read, a folder cannot be written, or scikit-learn is
            missing.
    """
    # Each reads other archives and may download: together they take as long to
    # import as half of NumPy.
    if name == 'digits':
        from bnn.data import digits
        return digits.load()
    if name in NAMES:
        from bnn.data import mnist
        return mnist.load(name, data_dir, allow_modified)
    if name in CIFAR_NAMES:
        from bnn.data import cifar10
        return cifar10.load(data_dir, allow_modified)
    if name in IMAGENET_NAMES:
        from bnn.data import image_folder
        return image_folder.load(data_dir, workers)
    if name in PICTURE_NAMES:
        from bnn.data import image_folder
        return image_folder.load_own(data_dir, shape, workers)
    raise _errors.UserError(
        f'no data set {name!r}: choose one of {", ".join(TITLES)}')
