"""How long something takes, in words."""


def duration(seconds: float) -> str:
    """Seconds as 0:05, 12:40 or 3:02:01."""
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
