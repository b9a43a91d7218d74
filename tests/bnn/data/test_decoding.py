import io
import struct
import subprocess
import sys
import zlib

import numpy
import pytest
from PIL import Image

from bnn.data import decoding

FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'WEBP', 'PPM')


def _decode(tmp_path, data, **kwargs):
    path = tmp_path / 'picture'
    path.write_bytes(data)
    return decoding.decode(str(path), **kwargs)


def _encode(picture, format, **kwargs):
    stream = io.BytesIO()
    picture.save(stream, format, **kwargs)
    return stream.getvalue()


def _smooth(height, width):
    y, x = numpy.mgrid[:height, :width] / [[[height]], [[width]]]
    return numpy.stack([255 * x, 255 * y, 127 + 127 * numpy.sin(
        9 * x + 5 * y)], axis=2).astype(numpy.uint8)


def _large_png(width, height):
    """Returns a small file of many pixels: what Pillow would not write."""
    def chunk(name, data):
        return (struct.pack('>I', len(data)) + name + data
                + struct.pack('>I', zlib.crc32(name + data)))

    return (b'\x89PNG\r\n\x1a\n'
            + chunk(b'IHDR', struct.pack(
                '>IIBBBBB', width, height, 1, 0, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(bytes(1 + width // 8) * height))
            + chunk(b'IEND', b''))


def test_pixels(tmp_path):
    colour = Image.new('RGB', (5, 7), (200, 30, 90))
    # Each ink as much as white light lacks
    inks = 'CMYK', (55, 225, 165, 0)
    for picture, format, want, tolerance in (
            (colour, 'PNG', (200, 30, 90), 0),
            (colour, 'BMP', (200, 30, 90), 0),
            (colour, 'PPM', (200, 30, 90), 0),
            (colour, 'JPEG', (200, 30, 90), 3),
            (colour, 'WEBP', (200, 30, 90), 5),
            (colour.quantize(4), 'PNG', (200, 30, 90), 0),
            (Image.new('L', (300, 300), 77), 'JPEG', (77,) * 3, 1),
            (Image.new('L', (3, 3), 77), 'PPM', (77,) * 3, 0),
            (Image.new('L', (3, 3), 77), 'GIF', (77,) * 3, 0),
            (Image.new('1', (3, 3), 1), 'PNG', (255,) * 3, 0),
            (Image.new(inks[0], (9, 9), inks[1]), 'JPEG', (200, 30, 90), 3),
            (Image.new(inks[0], (600, 520), inks[1]), 'JPEG',
             (200, 30, 90), 3),
            # 16 bits: the upper 8
            (Image.new('I;16', (4, 4), 0x1234), 'PNG', (0x12,) * 3, 0),
            (Image.new('I;16', (4, 4), 0xfedc), 'PNG', (0xfe,) * 3, 0),
            (Image.new('I', (4, 4), 0xfedc), 'PPM', (0xfe,) * 3, 0),
            # On white, whatever colour hides behind what is transparent
            (Image.new('RGBA', (4, 4), (0, 100, 0, 0)), 'PNG', (255,) * 3, 0),
            (Image.new('RGBA', (4, 4), (0, 100, 0, 102)), 'PNG',
             (153, 193, 153), 1),
            (Image.new('RGBA', (4, 4), (9, 100, 0, 255)), 'PNG',
             (9, 100, 0), 0),
            (Image.new('LA', (4, 4), (0, 102)), 'PNG', (153,) * 3, 1)):
        got = _decode(tmp_path, _encode(picture, format))
        assert got.shape == (3, 256, 256)
        assert got.dtype == numpy.uint8
        assert got.flags.c_contiguous
        difference = abs(got.astype(int) - numpy.array(want)[:, None, None])
        assert difference.max() <= tolerance, (picture, format)


def test_transparent_palette(tmp_path):
    picture = Image.new('P', (2, 1))
    picture.putpalette([200, 30, 90, 1, 2, 3])
    picture.putdata([0, 1])
    for format in 'PNG', 'GIF':
        got = _decode(tmp_path, _encode(picture, format, transparency=1))
        assert got[:, 0, 0].tolist() == [200, 30, 90]
        assert got[:, 0, -1].tolist() == [255] * 3


def test_animation_first_frame(tmp_path):
    frames = [Image.new('L', (9, 9), level) for level in (40, 80)]
    for format in 'GIF', 'WEBP', 'PNG':
        options = {'lossless': True} if format == 'WEBP' else {}
        got = _decode(tmp_path, _encode(
            frames[0], format, save_all=True, append_images=frames[1:],
            **options))
        assert (got == 40).all()


def test_as_torchvision(tmp_path):
    # Aspect given up, bilinear with antialias, not rotated by EXIF
    picture = Image.fromarray(_smooth(375, 500))
    want = picture.resize((256, 256), Image.Resampling.BILINEAR)
    numpy.testing.assert_array_equal(
        _decode(tmp_path, _encode(picture, 'PNG')),
        numpy.asarray(want).transpose(2, 0, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    numpy.testing.assert_array_equal(
        _decode(tmp_path, _encode(picture, 'JPEG', exif=exif)),
        _decode(tmp_path, _encode(picture, 'JPEG')))


@pytest.mark.parametrize('shape', ((3, 7, 9), (1, 7, 9), (1, 300, 1)))
def test_shape(tmp_path, shape):
    picture = Image.fromarray(_smooth(60, 50))
    got = _decode(tmp_path, _encode(picture, 'PNG'), shape=shape)
    assert got.shape == shape
    assert got.dtype == numpy.uint8
    assert got.flags.c_contiguous
    want = numpy.asarray(picture.resize(
        shape[:0:-1], Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    if shape[0] == 1:
        want = numpy.tensordot([.299, .587, .114], want, 1)[None]
    assert abs(got - want.astype(float)).max() <= 1


def _full(jpeg):
    """Decodes a JPEG at its whole size, and scales it then."""
    size = decoding.SIZE, decoding.SIZE
    return numpy.asarray(Image.open(io.BytesIO(jpeg)).resize(
        size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def test_draft(tmp_path, monkeypatch):
    sizes = []
    rgb = decoding._rgb
    monkeypatch.setattr(
        decoding, '_rgb', lambda p: sizes.append(p.size) or rgb(p))
    jpeg = _encode(Image.fromarray(_smooth(768, 1100)), 'JPEG')
    draft = _decode(tmp_path, jpeg)
    # Halved once: 768 / 4 is less than 256.
    assert sizes == [(550, 384)]
    difference = abs(draft.astype(int) - _full(jpeg))
    assert 0 < difference.max() <= 10
    assert difference.mean() < 1
    # Never so far that it would have to be enlarged
    jpeg = _encode(Image.fromarray(_smooth(300, 5000)), 'JPEG')
    numpy.testing.assert_array_equal(
        _decode(tmp_path, jpeg), _full(jpeg))


def test_read_and_resize(tmp_path):
    pixels = _smooth(30, 40)
    path = tmp_path / 'picture'
    path.write_bytes(_encode(Image.fromarray(pixels), 'PNG'))
    numpy.testing.assert_array_equal(decoding.read(str(path)), pixels)
    assert decoding.resize(pixels, 15, 10).shape == (15, 10, 3)
    assert (decoding.resize(numpy.full((8, 6), 9, 'u1'), 4, 5) == 9).all()


def test_no_picture(tmp_path):
    picture = Image.new('RGB', (16, 16))
    for data in (b'', b'a text', b'\xff\xd8', bytes(99), *(
            _encode(picture, format)
            for format in ('TIFF', 'EPS', 'ICO', 'PDF', 'TGA'))):
        with pytest.raises(ValueError, match='^not a picture$'):
            _decode(tmp_path, data)
    with pytest.raises(ValueError, match='^No such file'):
        decoding.decode(str(tmp_path / 'none'))
    with pytest.raises(ValueError, match='^Is a directory'):
        decoding.decode(str(tmp_path))


@pytest.mark.parametrize('format', FORMATS)
def test_damaged(tmp_path, format):
    random = numpy.random.RandomState(0)
    pixels = random.randint(0, 256, (90, 90, 3)).astype(numpy.uint8)
    data = _encode(Image.fromarray(pixels), format)
    for share in .1, .5, .9:
        with pytest.raises(ValueError, match='.') as info:
            _decode(tmp_path, data[:int(share * len(data))])
        assert '\n' not in str(info.value)
    # Noise in the middle: pixels or an error, whatever Pillow raises
    whole = numpy.frombuffer(
        _encode(Image.fromarray(_smooth(40, 50)), format), numpy.uint8)
    for _ in range(40):
        data = whole.copy()
        data[random.randint(0, len(data), 3)] = random.randint(0, 256, 3)
        try:
            assert _decode(tmp_path, data.tobytes()).any()
        except ValueError as error:
            assert '\n' not in str(error)


def test_bomb(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='decompression bomb'):
        _decode(tmp_path, _large_png(10 ** 5, 1000))
    data = _encode(Image.new('L', (20, 10)), 'PNG')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 200)
    assert (_decode(tmp_path, data) == 0).all()
    # Above the limit Pillow warns, above twice the limit it raises.
    for limit in 99, 199:
        monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', limit)
        with pytest.raises(ValueError, match='decompression bomb'):
            _decode(tmp_path, data)


def test_warnings_outside_tests(tmp_path):
    # pytest has filters of its own.
    (tmp_path / 'bomb').write_bytes(_large_png(10 ** 5, 1000))
    (tmp_path / 'exif').write_bytes(_encode(
        Image.new('L', (8, 8), 99), 'JPEG', exif=b'Exif\0\0II*\0\x08\0\0\0\1'))
    code = '''
import sys
from bnn.data import decoding
try:
    decoding.decode(sys.argv[1] + '/bomb')
except ValueError as error:
    print(error)
print(decoding.decode(sys.argv[1] + '/exif')[0, 0, 0])
'''
    done = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path)], check=True, text=True,
        capture_output=True)
    assert done.stderr == ''
    assert 'decompression bomb' in done.stdout
    assert done.stdout.endswith('\n99\n')
