"""The two errors of the data floor: one ends a stage, the other drops one image."""


class DatasetError(ValueError):
    """A data set that cannot be used: one line saying what, where, and how to mend it."""


class DamagedImage(ValueError):
    """One image that cannot be read; its message is the reason kept in dataset.json."""
