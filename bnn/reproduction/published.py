"""The published curves, from the tables in published/."""
import csv
import os

FOLDER = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir,
    'published')


def curve(name: str) -> list[dict[str, float]]:
    """Reads the epochs of a published experiment.

    Args:
        name: The configuration.

    Returns:
        ``epoch``, ``train_loss``, ``train_accuracy``, ``test_loss``,
        ``test_accuracy`` of each epoch; empty if none were published.
    """
    path = os.path.join(FOLDER, name + '.csv')
    if not os.path.exists(path):
        return []
    with open(path, newline='') as f:
        # Lines that begin with # are comments.
        return [{key: float(value) for key, value in row.items()}
                for row in csv.DictReader(
                    line for line in f if not line.startswith('#'))]
