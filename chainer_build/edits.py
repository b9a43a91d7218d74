"""What is changed in the official Chainer 7.8.1, as data.

Every edit replaces a text that must occur exactly ``count`` times in its
file, so that none is applied to another text than the one it was written for.
"""
from typing import NamedTuple


class Edit(NamedTuple):
    """One replacement in one file of Chainer's source tree.

    Attributes:
        file: Path in the source tree, with slashes.
        old: Text to find.
        new: Text that takes its place.
        count: How many times ``old`` occurs in the file.
        reason: What breaks, or is slow, without the edit.
    """
    file: str
    old: str
    new: str
    count: int
    reason: str


EDITS = (
    # The package itself
    Edit('chainer/_version.py',
         "__version__ = '7.8.1'",
         "__version__ = '7.8.1+compat.1'", 1,
         'an edited Chainer must not pass for the official one'),
    Edit('setup.py',
         "        'setuptools',\n",
         '', 1,
         'setuptools was needed at run time for pkg_resources alone'),
    Edit('setup.py',
         "        'protobuf>=3.0.0',\n",
         '', 1,
         'only the Caffe importer and exporter import protobuf, and their '
         'generated code does not run with protobuf 4 and later'),

    # Importing Chainer
    Edit('chainer/_environment_check.py',
         'import numpy.distutils.system_info\nimport pkg_resources\n\n',
         '', 1,
         'numpy.distutils and pkg_resources are gone'),
    Edit('chainer/_environment_check.py',
         '    _check_osx_numpy_backend()\n'
         '    _check_optional_dependencies()\n',
         '', 1,
         'the two checks need those modules, and know only the Accelerate '
         'of old macOS and CuPy before 8'),
    Edit('chainer/functions/array/as_strided.py',
         "for t in np.sctypes['int']}",
         'for t in (np.int8, np.int16, np.int32, np.int64)}', 1,
         'NumPy 2 has no numpy.sctypes'),
    Edit('chainer/functions/array/as_strided.py',
         "if gy.dtype not in np.sctypes['float']:",
         "if gy.dtype.kind != 'f':", 1,
         'NumPy 2 has no numpy.sctypes'),

    # Functions, serializers, iterators
    Edit('chainer/functions/array/resize_images.py',
         'dtype=numpy.float)',
         'dtype=numpy.float64)', 6,
         'NumPy 1.24 dropped numpy.float'),
    Edit('chainer/backends/cuda.py',
         '    if (not cudnn_enabled and\n'
         '            not _cudnn_disabled_by_user and\n',
         '    if (not cudnn_enabled and _cupy_major < 14 and\n'
         '            not _cudnn_disabled_by_user and\n', 1,
         'CuPy 14 has no cuDNN: each import of Chainer would warn of it'),
    Edit('chainer/training/updaters/multiprocess_parallel_updater.py',
         '    from cupy.cuda import nccl\n',
         '    with warnings.catch_warnings():\n'
         "        warnings.simplefilter('ignore')\n"
         '        from cupy.cuda import nccl\n', 1,
         'CuPy warns where NCCL is not installed, which is optional'),
    Edit('chainer/serializers/hdf5.py',
         '        else:\n'
         '            value = type(value)(numpy.asarray(dataset))\n',
         '        elif isinstance(value, str):\n'
         '            value = dataset.asstr()[()]\n'
         '        else:\n'
         '            value = type(value)(numpy.asarray(dataset))\n', 1,
         'h5py 3 hands strings back as bytes'),
    Edit('chainer/iterators/multiprocess_iterator.py',
         'thread.setDaemon(True)',
         'thread.daemon = True', 1,
         'Python 3.10 deprecates Thread.setDaemon'),

    # Convolution on a CPU, several times faster
    Edit('chainer/utils/conv.py',
         '    col = numpy.ndarray((n, c, kh, kw, out_h, out_w), '
         'dtype=img.dtype)\n\n'
         '    for j in six.moves.range(kh):\n',
         '    col = numpy.ndarray((c, kh, kw, n, out_h, out_w), '
         'dtype=img.dtype)\n'
         '    col = col.transpose(3, 0, 1, 2, 4, 5)\n\n'
         '    for j in six.moves.range(kh):\n', 1,
         'the matrix products had to copy all patches into another order of '
         'memory; in this one they take them as they are'),
    Edit('chainer/functions/connection/convolution_2d.py',
         '        y = numpy.tensordot(\n'
         '            col, W, ((1, 2, 3), (1, 2, 3)))'
         '.astype(x.dtype, copy=False)\n'
         '        if b is not None:\n'
         '            y += b\n'
         '        y = numpy.rollaxis(y, 3, 1)\n',
         '        n, _, _, _, out_h, out_w = col.shape\n'
         '        y = W.reshape(len(W), -1).dot(\n'
         '            col.transpose(1, 2, 3, 0, 4, 5).reshape(\n'
         '                W[0].size, n * out_h * out_w)'
         ').astype(x.dtype, copy=False)\n'
         '        if b is not None:\n'
         '            y += b[:, None]\n'
         '        y = numpy.ascontiguousarray(\n'
         '            y.reshape(len(W), n, out_h, out_w)'
         '.transpose(1, 0, 2, 3))\n',
         1, 'the same, and the result is contiguous for what follows'),

    # Testing, which gradient_check imports too
    Edit('chainer/testing/helper.py',
         'import pkg_resources\n',
         '', 1,
         'pkg_resources is gone: import it where it is used'),
    Edit('chainer/testing/helper.py',
         '    ws = pkg_resources.WorkingSet()',
         '    import pkg_resources\n'
         '    ws = pkg_resources.WorkingSet()', 2,
         'pkg_resources is gone: import it where it is used'),

    # ChainerMN
    Edit('chainermn/communicators/_memory_utility.py',
         'xp.array(v, copy=False, dtype=transfer_dtype)',
         'xp.asarray(v, dtype=transfer_dtype)', 1,
         'in NumPy 2 and CuPy 14 copy=False forbids a copy that is needed'),
    Edit('chainermn/communicators/mpi_communicator_base.py',
         '            array_b32 = recvbuf.astype(numpy.float32)\n'
         '        else:\n'
         '            array_b32 = recvbuf\n',
         '            array_b32 = recvbuf.astype(numpy.float32)\n'
         '        else:\n'
         '            xp = chainer.backend.get_array_module(recvbuf)\n'
         '            array_b32 = xp.ascontiguousarray(recvbuf)\n', 1,
         'the average of an array that is not stored row by row went into a '
         'copy and was lost'),
    Edit('chainermn/communicators/mpi_communicator_base.py',
         '        if is_float16:\n'
         '            recvbuf[...] = array_b32.astype(numpy.float16)\n\n'
         '        recvbuf *=',
         '        if array_b32 is not recvbuf:\n'
         '            recvbuf[...] = array_b32.astype(recvbuf.dtype)\n\n'
         '        recvbuf *=', 1,
         'the same: copy it back'),
    Edit('chainermn/iterators/multi_node_iterator.py',
         'int(_size)',
         'int(_size.item())', 1,
         'NumPy 2.5 makes no int of an array with one dimension'),
)
