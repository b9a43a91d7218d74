"""A short run on an emulated GPU."""
import importlib.util
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'benchmarks'


def test_gpu(emulated_cupy, tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location('gpu', FOLDER / 'gpu.py')
    gpu = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, 'path', sys.path[:])
    spec.loader.exec_module(gpu)
    monkeypatch.setattr(gpu, 'BATCHES', ((6, 5), (3, 4, 2, 2)))
    monkeypatch.setattr(gpu, 'PRODUCTS', ((4, 40, 9),))
    path = tmp_path / 'gpu.json'
    gpu.main(['--calls', '1', '--batch', '2', '--unit', '20', '--out',
              str(path)])
    found = json.loads(path.read_text())
    assert {one['kernel'] for one in found['kernels']} == {
        'batch_norm with sign', 'normalize with sign', 'batch_norm_gradient',
        'binarize', 'pack', 'xnor_product', 'sign_product'}
    assert [one['of'] for one in found['net']] == ['GPU', 'predict', 'host']
    assert all(one['seconds'] > 0 for part in ('kernels', 'net')
               for one in found[part])
    assert 'xnor_product' in capsys.readouterr().out
