"""How a script ends."""
import os
import sys
import traceback

from bnn import errors
from bnn.training import ranks


def run(main):
    """Runs a script's ``main`` and ends the program with its exit status.

    What the user can mend becomes one line on standard error: status 1, or
    130 after Ctrl-C.  Of several ranks the first one tells it.

    Args:
        main (callable): Takes nothing, returns an exit status or ``None``.
    """
    name = os.path.basename(sys.argv[0])
    ranks.mute_others()
    try:
        status = main()
        sys.stdout.flush()
    except errors.UserError as e:
        status = '%s: error: %s' % (name, e)
    except BrokenPipeError:
        # Whoever read the log has gone; nothing is left to be told to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = '%s: error: standard output was closed' % name
    except OSError as e:
        status = '%s: error: %s: %s' % (
            name, e.filename or 'input/output', e.strerror or e)
    except MemoryError:
        status = '%s: error: out of memory%s' % (
            name, '; try a smaller --batchsize' if name.startswith('train_')
            else '')
    except KeyboardInterrupt:
        print('%s: interrupted' % name, file=sys.stderr)
        status = 130
    except SystemExit as e:  # of argparse
        status = e.code
    except Exception:
        if ranks.launched_rank() is None:
            raise
        status = traceback.format_exc()
    ranks.leave(status)
