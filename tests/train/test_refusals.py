"""Options that contradict one another, and values out of range."""
from configs import find

REFUSED = [
    ('binary_net', ['--net', 'cnn'], ['--net cnn', 'BinaryMLP']),
    ('binary_net', ['--optimizer', 'lamb'], ['--optimizer', 'lamb', 'bop']),
    ('binary_net', ['--loss', 'mse'], ['--loss', 'mse']),
    ('binary_net', ['--input', 'rgb'], ['--input', 'rgb']),
    ('binary_net', ['--surrogate', 'relu'], ['--surrogate', 'relu']),
    ('quantized_net', ['--a-bits', 0], ['--a-bits', '0']),
    ('quantized_net', ['--quantizer', 'log'], ['--quantizer', 'log']),
    # Settings of other nets
    ('binary_net', ['--w-bits', 2], ['--w-bits', 'QuantizedMLP']),
    ('float_mlp', ['--quantizer', 'linear'], ['--quantizer', 'FloatMLP']),
    ('quantized_net', ['--surrogate', 'ste'], ['--surrogate', 'BinaryMLP']),
    ('quantized_net', ['--binarize', 'stochastic'],
     ['--binarize', 'BinaryWeightMLP']),
    ('float_mlp', ['--binarize', 'deterministic'], ['--binarize']),
    ('float_mlp', ['--clip', 'weights'], ['--clip', 'FloatMLP']),
    ('float_mlp', ['--weight-init', 'uniform'], ['--weight-init']),
    ('binary_net', ['--test-weights', 'real'],
     ['--test-weights real', '--binarize stochastic']),
    ('lenet5', ['--unit', 8], ['--unit', 'LeNet5']),
    ('lenet5', ['--layers', 3], ['--layers', 'LeNet5']),
    ('lenet5', ['--dropout-hidden', .1], ['--dropout-hidden', 'LeNet5']),
    ('lenet5', ['--w-bits', 1], ['--w-bits', 'LeNet5']),
    ('lenet5_float', ['--surrogate', 'ste'], ['--surrogate', 'LeNet5']),
    ('nin', ['--width', 8], ['--width', 'ConvNet']),
    ('cnv_w1a2', ['--surrogate', 'ste'], ['--surrogate ste', '--a-bits 2']),
    ('cnv_float', ['--clip', 'weights'], ['--clip', 'CNV has none here']),
    ('resnet20', ['--a-bits', 2], ['--a-bits', 'QuantizedMLP, CNV']),
    ('resnet20_float', ['--surrogate', 'ste'], ['--surrogate', 'ResNet20']),
    ('shallow_convnet_float', ['--binarize', 'stochastic'], ['--binarize']),
    ('alexnet_float', ['--lr-scale', 'glorot'], ['--lr-scale']),
    # Data of other nets
    ('lenet5', ['--dataset', 'cifar10'], ['--dataset', 'cifar10', 'mnist']),
    ('nin', ['--dataset', 'digits'], ['--dataset', 'digits', 'cifar10']),
    ('lenet5', ['--net', 'NIN'], ['--dataset digits', 'NIN', 'cifar10']),
    # Bop
    ('float_mlp', ['--optimizer', 'bop'], ['bop', 'latent']),
    ('quantized_net', ['--optimizer', 'bop'], ['bop', 'latent']),
    ('lenet5', ['--optimizer', 'bop'], ['bop', 'latent']),
    # Learning
    ('quantized_net', ['--w-bits', 32, '--lr-scale', 'glorot'],
     ['--lr-scale', 'k-bit']),
    ('binary_net', ['--lr-schedule', 'linear'], ['--lr-schedule', 'linear']),
    # Numbers
    ('binary_net', ['--warmup', -1], ['--warmup', '-1']),
    ('binary_net', ['--dropout-input', 1], ['--dropout-input', '1']),
    ('binary_net', ['--layers', 0], ['--layers', '0']),
    ('binary_net', ['--validation', -1], ['--validation', '-1']),
    ('binary_net', ['--validation', 1437], ['--validation 1437', '1437']),
    ('binary_net', ['--validation', 1400], ['--batchsize 100', '37']),
]


def test_refused(script):
    for name, options, words in REFUSED:
        digits = ['--dataset', 'digits'] * (
            '--dataset' not in options and find.get(name).dataset == 'mnist')
        line = script.refuse(name, *digits, *options)
        for word in words:
            assert word in line, options
