"""One file of a picture as an array of pixels."""
import contextlib
import warnings

import numpy
from PIL import Image

from bnn.data import errors

SIZE = 256
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.webp', '.ppm', '.pgm',
              '.pbm')
# What a file holds, whatever its name says. No others: Pillow hands some of
# them to other programs
_FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'WEBP', 'PPM')

# Set once and not around each call: catch_warnings is not safe in threads.
# Pillow warns of metadata, which is not used; lost pixels are errors.
warnings.filterwarnings('ignore', module=r'PIL\.')
warnings.simplefilter('error', Image.DecompressionBombWarning)


def decode(path, draft=True):
    """Decodes a picture and scales it to 256x256, whatever its aspect.

    As torchvision's ``Resize((256, 256))`` does for a picture of Pillow:
    bilinear, over the whole area of a pixel where it shrinks. A decoder of
    JPEG may do a part of the shrinking. Grey levels of 16 bits keep the upper
    8; what is transparent lies on white; of an animation the first frame
    counts. A rotation in the EXIF data and colour profiles are not applied,
    as in torchvision.

    Args:
        path (str): The file: JPEG, PNG, BMP, GIF, WebP, PPM, PGM or PBM.
        draft (bool): Whether to let a JPEG decoder halve the picture, also
            repeatedly, as long as both sides stay 256 or more.

    Returns:
        numpy.ndarray: uint8, C-contiguous, shape ``(3, 256, 256)``: red,
        green and blue.

    Raises:
        CorruptError: The file cannot be read, is no such picture, truncated
            or too large (``PIL.Image.MAX_IMAGE_PIXELS``). The message gives
            the reason alone, for the caller to say of which file.

    """
    with _reasons(), Image.open(path, formats=_FORMATS) as picture:
        if draft:
            picture.draft('RGB', (SIZE, SIZE))
        picture = _rgb(picture).resize(
            (SIZE, SIZE), Image.Resampling.BILINEAR)
    return numpy.ascontiguousarray(numpy.asarray(picture).transpose(2, 0, 1))


def read(path):
    """Reads a picture in its own size.

    Args:
        path (str): As for :func:`decode`.

    Returns:
        numpy.ndarray: uint8 (h, w, 3): red, green and blue.

    Raises:
        CorruptError: As :func:`decode`.

    """
    with _reasons(), Image.open(path, formats=_FORMATS) as picture:
        return numpy.asarray(_rgb(picture))


def resize(pixels, height, width):
    """Scales an image bilinearly, over the whole area where it shrinks.

    Args:
        pixels (numpy.ndarray): uint8 (h, w) or (h, w, 3).
        height, width (int): The new size.

    Returns:
        numpy.ndarray: uint8.

    """
    return numpy.asarray(Image.fromarray(pixels).resize(
        (width, height), Image.Resampling.BILINEAR))


@contextlib.contextmanager
def _reasons():
    """Makes a CorruptError of whatever Pillow raises."""
    try:
        yield
    except Image.UnidentifiedImageError:
        raise errors.CorruptError('not a picture') from None
    except Exception as error:
        # Of a damaged file Pillow raises any
        reason = getattr(error, 'strerror', None) or error
        raise errors.CorruptError(
            ' '.join(str(reason).split()) or type(error).__name__) from None


def _rgb(picture):
    if picture.mode.startswith('I'):
        # Pillow's own conversion clips, depending on the mode and its version
        levels = numpy.asarray(picture) >> 8
        picture = Image.fromarray(levels.astype(numpy.uint8))
    if picture.has_transparency_data:
        picture = picture.convert('RGBA')
        white = Image.new('RGBA', picture.size, 'white')
        picture = Image.alpha_composite(white, picture)
    # To convert what is RGB is a copy, a tenth of the time of all
    return picture if picture.mode == 'RGB' else picture.convert('RGB')
