"""The one place for colours and sizes of pictures and pages."""

INK = "#1d232b"
MUTED = "#687280"
HAIRLINE = "#d6dbe1"
PAPER = "#ffffff"
GREY = "#b9c0c8"
BLUE = "#2f7fd1"
ORANGE = "#e8710a"

# The same words on a dark page: figures are drawn once and recoloured.
IN_THE_DARK = {INK: "#e8ebef", MUTED: "#9aa5b1", HAIRLINE: "#39414b", PAPER: "#101318", GREY: "#5b6570"}

# Petroff's ten (arXiv 2107.02270), chosen to stay apart under every kind of colour blindness.
HUES = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
MOST_CATEGORIES = 2 * len(HUES)

TITLE_SIZE = 12.5
LABEL_SIZE = 9.5
SMALL_SIZE = 8.0


def hue(number: int) -> str:
    """Return the colour of category `number`; the second ten are darker tones of the first."""
    colour = HUES[number % len(HUES)]
    return colour if number < len(HUES) else _darker(colour)


def _darker(colour: str, share: float = 0.55) -> str:
    channels = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(channel * share):02x}" for channel in channels)


def shortened(text: str, longest: int) -> str:
    """Return `text` in at most `longest` characters, the last one an ellipsis if some were cut."""
    text = " ".join(str(text).split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
