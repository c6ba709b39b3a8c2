"""Small pieces of HTML that cannot be broken by what is put into them."""

import base64
import html
import io
import json
from typing import Any

from PIL import Image

from refold.plots._inputs import Array


def escaped(text: object) -> str:
    """Return text that is safe between tags and inside quoted attributes."""
    return html.escape(str(text), quote=True)


def base64_text(data: bytes) -> str:
    """Return bytes as base64 letters."""
    return base64.b64encode(data).decode("ascii")


def data_uri(kind: str, data: bytes) -> str:
    """Return a file of MIME type `kind` as an address that needs no network."""
    return f"data:{kind};base64,{base64_text(data)}"


def json_in_script(value: Any) -> str:
    """Return JSON that cannot close the script element it stands in, nor open a comment there."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def png(picture: Array) -> bytes:
    """Return a uint8 picture of shape (H, W) or (H, W, C) as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=picture.size < 1_000_000)
    return file.getvalue()


def caption_line(caption: str) -> str:
    """Return the line under a section's body, or nothing."""
    return f'<p class="caption">{escaped(caption)}</p>' if caption else ""


def smallest_picture(picture: Array) -> str:
    """Return a uint8 picture as an address: without loss, unless that takes twice as much as a good likeness."""
    exact, file = png(picture), io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=82)
    likeness = file.getvalue()
    return data_uri("image/webp", likeness) if 2 * len(likeness) < len(exact) else data_uri("image/png", exact)
