"""What can go wrong with data, told apart by what a caller may do about it."""
from bnn import errors


class UnavailableError(errors.UserError):
    """The data is not there and cannot be downloaded.

    A caller that was not asked for this data by name may take other data.
    """


class CorruptError(errors.UserError):
    """The data was found, or delivered, but is not what it should be.

    Never a reason to go on with other data.
    """
