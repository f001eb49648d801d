"""The content blocks of an entry."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Block:
    """One content block; texts are masked unless secrets were asked for."""

    kind: str
    text: str = ""
    tool_use_id: str = ""
    tool_name: str = ""
    input: Any = None
    result: Any = None
    is_error: bool = False
    image_key: str = ""
