"""Why nothing was published: errors whose message is for the person who asked for the export."""


class ExportError(Exception):
    """An export that ends without a new version."""


class DatasetError(ExportError):
    """A data set that cannot be had, or is not what it should be. The message says what to do."""


class DeviceError(ExportError):
    """What was asked to be trained on is not there."""


class AccuracyError(ExportError):
    """The network is worse than its recipe asks for."""


class CheckError(ExportError):
    """A file that is not what its network is or its contract says."""


class PublishingError(ExportError):
    """The repository does not take the new version."""
