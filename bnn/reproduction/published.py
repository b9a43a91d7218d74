"""The numbers that others published, from the tables in published/."""
import csv
import os

FOLDER = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir, 'published')


def read(name):
    """Reads a table.

    Args:
        name (str): Its file without ``.csv``; lines that begin with # are
            comments.

    Returns:
        list of dict: Its rows, of strings.
    """
    with open(os.path.join(FOLDER, name + '.csv'), newline='') as f:
        return list(csv.DictReader(
            line for line in f if not line.startswith('#')))


def result(experiment):
    """Returns the row of an experiment in results.csv, a dict of strings."""
    row, = (row for row in read('results')
            if row['experiment'] == experiment)
    return row


def curve(experiment):
    """Reads the epochs of an experiment.

    Args:
        experiment (str): Its name.

    Returns:
        list of dict: ``epoch``, ``train_loss``, ``train_accuracy``,
        ``test_loss``, ``test_accuracy``; empty if none were published.
    """
    if not os.path.exists(os.path.join(FOLDER, experiment + '.csv')):
        return []
    return [{key: float(value) for key, value in row.items()}
            for row in read(experiment)]
