"""Peer of inference.py: a net that predicts the classes of images.

Its arguments are which one, the folder that random_net.py filled, and what
the way needs.  PyTorch runs in a Python that may have NumPy alone beside it.
"""
import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

import timing

channel = timing.Channel()
# Called for each image, as a program in C would
LOOP = '''
#include "bnn_net.h"
void run(const uint8_t *images, long n, int32_t *classes)
{
    for (long i = 0; i < n; i++)
        classes[i] = (int32_t)bnn_predict(images + i * BNN_IMAGE_BYTES);
}
'''


def packed(folder):
    import bnn.deploy
    return bnn.deploy.load(os.path.join(folder, 'net.bnn')).predict, {}


def in_chainer(folder):
    import chainer
    import numpy

    import net
    import random_net
    arrays = numpy.load(os.path.join(folder, 'net.npz'))
    found = net.BinaryMLP(len(arrays['W1']))
    for i in range(1, 4):
        norm = found[f'b{i}']
        norm.eps = random_net.EPS
        found[f'l{i}'].W.array[...] = arrays[f'W{i}']
        for name, array in (
                ('gamma', norm.gamma.array), ('beta', norm.beta.array),
                ('mean', norm.avg_mean), ('var', norm.avg_var)):
            array[...] = arrays[f'{name}{i}']
    chainer.config.train = False
    chainer.config.enable_backprop = False
    scale = numpy.float32(1 / 255)
    return lambda images: found(images * scale).array.argmax(axis=1), {}


def in_onnxruntime(folder, name):
    path = os.path.join(folder, name + '.onnx')
    if not os.path.exists(path):
        channel.unavailable('pip install onnx onnxruntime')
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ['OMP_NUM_THREADS'])
    options.log_severity_level = 3
    net = onnxruntime.InferenceSession(
        path, options, providers=['CPUExecutionProvider'])
    return (lambda images: net.run(None, {'pixels': images})[0].argmax(axis=1),
            {'onnxruntime': onnxruntime.__version__})


def in_torch(folder, way):
    if importlib.util.find_spec('torch') is None:
        channel.unavailable(
            'no PyTorch; --torch-python names a Python that has it')
    import numpy
    import torch
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    net = {name: torch.from_numpy(array) for name, array in numpy.load(
        os.path.join(folder, 'folded.npz')).items()}
    linear = torch.nn.functional.linear

    def forward(x):
        h = x.reshape(len(x), -1).float()
        for i in range(2):
            h = torch.where(
                linear(h, net[f'W{i}']) >= net[f'T{i}'], 1., -1.)
        return (linear(h, net['W2']) * net['scale'] + net['offset']).argmax(1)

    # One compilation for each shape: one for all of them would be slower.
    run = torch.compile(forward, dynamic=False) if (
        way == 'compile') else forward

    def predict(images):
        with torch.inference_mode():
            return run(torch.from_numpy(images)).numpy()

    if way == 'compile':
        try:
            predict(numpy.zeros((1, 1, 28, 28), numpy.uint8))
        except Exception as e:  # There is no compiler, for one.
            channel.unavailable(' '.join(str(e).split())[:300])
    return predict, {'torch': torch.__version__}


def in_c(folder, compiler, flags, kind):
    if shutil.which(compiler) is None:
        channel.unavailable(f'no {compiler}')
    import numpy
    sources = os.path.join(folder, 'c')
    net = numpy.load(os.path.join(folder, 'folded.npz'))
    with tempfile.TemporaryDirectory() as made:
        loop = os.path.join(made, 'loop.c')
        with open(loop, 'w') as f:
            f.write(LOOP)
        files = [os.path.join(timing.FOLDER, 'peers', 'float_loop.c')] if (
            kind == 'float loop') else [
                loop, os.path.join(sources, 'bnn_net.c')]
        done = subprocess.run(
            [compiler, '-std=c99', *shlex.split(flags), '-shared', '-fPIC',
             f'-DUNITS={len(net["W0"])}', '-I', sources, '-o',
             os.path.join(made, 'net.so'), *files], capture_output=True,
            text=True)
        if done.returncode:
            channel.unavailable(done.stderr[-300:])
        library = ctypes.CDLL(os.path.join(made, 'net.so'))
    if kind == 'float loop':
        for name, arrays in (
                ('weights', [net[f'W{i}'] for i in range(3)]),
                ('limits', [net['T0'], net['T1']]), ('scale', [net['scale']]),
                ('offset', [net['offset']])):
            values = numpy.concatenate([array.ravel() for array in arrays])
            numpy.ctypeslib.as_array((ctypes.c_float * values.size).in_dll(
                library, name))[...] = values
    library.run.argtypes = ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p
    library.run.restype = None

    def predict(images):
        classes = numpy.empty(len(images), numpy.int32)
        library.run(images.ctypes.data, len(images), classes.ctypes.data)
        return classes

    return predict, {}


WAYS = {'packed': packed, 'chainer': in_chainer, 'onnxruntime': in_onnxruntime,
        'torch': in_torch, 'c': in_c}


def main():
    way, folder, *words = sys.argv[1:]
    predict, facts = WAYS[way](folder, *words)
    import numpy
    images = numpy.load(os.path.join(folder, 'images.npy'))

    def make(batch):
        some = images[:batch]
        return lambda: predict(some), {
            'classes': [int(one) for one in predict(some)]}

    channel.serve(make, **facts)


if __name__ == '__main__':
    main()
