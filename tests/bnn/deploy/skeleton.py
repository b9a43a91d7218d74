"""From an image of a digit to the strokes that could have drawn it."""
import numpy


def strokes(image):
    """Thins a digit to lines and walks along them.

    Args:
        image (numpy.ndarray): uint8 (28, 28), light on dark.

    Returns:
        list: Strokes, lists of (x, y) from 0 to 1; a branch is walked to its
        end and back.

    """
    left = {(int(r), int(c)) for r, c in numpy.argwhere(thin(image > 100))}
    found = []
    while left:
        start = min(left, key=lambda p: (len(_around(p, left)), p))
        found.append([((c + .5) / 28, (r + .5) / 28)
                      for r, c in _walk(start, left)])
    return found


def _around(point, points):
    r, c = point
    # The nearest ones first: a corner is not cut
    return [p for p in ((r, c + 1), (r + 1, c), (r, c - 1), (r - 1, c),
                        (r + 1, c + 1), (r + 1, c - 1), (r - 1, c - 1),
                        (r - 1, c + 1)) if p in points]


def _walk(start, left):
    """Visits all that is connected, and takes it out of ``left``."""
    left.discard(start)
    way, back = [start], [start]
    while back:
        following = _around(back[-1], left)
        if following:
            left.discard(following[0])
            back.append(following[0])
        else:
            back.pop()
        if back:
            way.append(back[-1])
    while len(way) > 1 and way.count(way[-1]) > 1:
        way.pop()  # the way back from the last end
    # Corners alone, of a straight line its ends
    return [p for i, p in enumerate(way) if i in (0, len(way) - 1) or (
        _step(way[i - 1], p) != _step(p, way[i + 1]))]


def _step(start, end):
    return end[0] - start[0], end[1] - start[1]


def thin(ink):
    """Thins to lines of one pixel.

    T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning
    digital patterns", CACM 27 (1984).

    Args:
        ink (numpy.ndarray): bool (h, w), the edge False.

    Returns:
        numpy.ndarray: bool (h, w).

    """
    ink = numpy.pad(ink, 1).astype(int)
    while True:
        before = ink.copy()
        for step in (0, 1):
            around = [numpy.roll(ink, shift, (0, 1)) for shift in (
                (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1),
                (1, 1))]
            n = sum(around)
            changes = sum((a == 0) & (b == 1) for a, b in zip(
                around, around[1:] + around[:1], strict=True))
            p2, _, p4, _, p6, _, p8, _ = around
            edges = (p2 * p4 * p8, p2 * p6 * p8) if step else (
                p2 * p4 * p6, p4 * p6 * p8)
            ink[(ink == 1) & (n >= 2) & (n <= 6) & (changes == 1)
                & (edges[0] == 0) & (edges[1] == 0)] = 0
        if (ink == before).all():
            return ink[1:-1, 1:-1].astype(bool)
