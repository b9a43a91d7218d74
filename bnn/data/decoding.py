"""One file of a picture as an array of pixels."""
import contextlib
import warnings

import numpy
from PIL import Image
from PIL import WebPImagePlugin  # noqa: F401

SIZE = 256
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.webp', '.ppm', '.pgm',
              '.pbm')
# What a file may hold, whatever its name says. Pillow hands some of the other
# formats to other programs.
_FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'WEBP', 'PPM')

# With the import of WebP this registers all of _FORMATS. To find one that is
# missing Pillow would import every format that it knows.
Image.preinit()

# Set once and not around each call: catch_warnings is not safe in threads.
# Pillow warns of metadata, which is not used; lost pixels are errors.
warnings.filterwarnings('ignore', module=r'PIL\.')
warnings.simplefilter('error', Image.DecompressionBombWarning)


def decode(path, shape=(3, SIZE, SIZE)):
    """Decodes a picture and scales it to a size, whatever its aspect.

    It scales as torchvision's ``Resize((h, w))``: bilinear, over the whole
    area of a pixel where the picture shrinks. Grey levels of 16 bits keep the
    upper 8. What is transparent lies on white. The first frame of an animation
    is taken. A rotation in the EXIF data and colour profiles are not applied,
    as in torchvision. Grey is ITU-R 601-2 luma, 0.299 R + 0.587 G + 0.114 B.

    Args:
        path (str): The file: JPEG, PNG, BMP, GIF, WebP, PPM, PGM or PBM.
        shape (tuple of int): ``(channels, h, w)``, 1 channel or 3.

    Returns:
        numpy.ndarray: uint8, C-contiguous, of this shape: grey, or red, green
        and blue.

    Raises:
        ValueError: The file cannot be read, is no such picture, truncated or
            too large (``PIL.Image.MAX_IMAGE_PIXELS``).
    """
    with _open(path) as picture:
        channels, height, width = shape
        # A JPEG's decoder halves it while no side becomes smaller than asked.
        picture.draft('RGB', (width, height))
        picture = _rgb(picture)
        if channels == 1:
            picture = picture.convert('L')
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = numpy.asarray(picture).reshape(height, width, channels)
    return numpy.ascontiguousarray(pixels.transpose(2, 0, 1))


def read(path):
    """Reads a picture in its own size.

    Args:
        path (str): As for :func:`decode`.

    Returns:
        numpy.ndarray: uint8, shape ``(h, w, 3)``: red, green and blue.

    Raises:
        ValueError: As :func:`decode`.
    """
    with _open(path) as picture:
        return numpy.asarray(_rgb(picture))


def resize(pixels, height, width):
    """Scales an image bilinearly, over the whole area where it shrinks.

    Args:
        pixels (numpy.ndarray): uint8, shape ``(h, w)`` or ``(h, w, 3)``.
        height, width (int): The new size.

    Returns:
        numpy.ndarray: uint8.
    """
    return numpy.asarray(Image.fromarray(pixels).resize(
        (width, height), Image.Resampling.BILINEAR))


@contextlib.contextmanager
def _open(path):
    # Pillow may raise anything of a damaged file.
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            yield picture
    except Image.UnidentifiedImageError:
        raise ValueError('not a picture') from None
    except Exception as error:
        reason = ' '.join(str(getattr(error, 'strerror', None) or error
                              ).split())
        raise ValueError(reason or type(error).__name__) from None


def _rgb(picture):
    if picture.mode.startswith('I'):
        # Pillow's own conversion clips, depending on the mode and its version.
        levels = numpy.asarray(picture) >> 8
        picture = Image.fromarray(levels.astype(numpy.uint8))
    if picture.has_transparency_data:
        picture = picture.convert('RGBA')
        white = Image.new('RGBA', picture.size, 'white')
        picture = Image.alpha_composite(white, picture)
    # Converting RGB to RGB is a copy, a tenth of the time of all.
    return picture if picture.mode == 'RGB' else picture.convert('RGB')
