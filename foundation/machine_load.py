"""Whether the processors of this machine have more to do than they can, so that timings mislead."""

import os


def busy_remark() -> str:
    """Words to add to a timing while more processes want to run than there are processors, or "".

    The load of the last minute is looked at, which a measurement of some seconds hardly raises.
    """
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # not known on this system
        return ""
    processors = os.cpu_count() or 1
    if load <= processors:
        return ""
    return f"rough, since this machine is busy: load {load:.1f} on {processors} processors"
