"""Training on Chainer's Trainer: arguments, logs, figures, snapshots.

Knows Chainer, not which net it trains.
"""
