"""The text that a model wrote: its last message, without what it thought aloud."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Completion = str | Iterable[Mapping[str, Any]]  # plain, or messages

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LEFT_OPEN = re.compile(r".*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)  # the prompt began the thought


def written_text(completion: Completion) -> str | None:
    """What a model wrote for its reader, stripped; None where it wrote no text.

    Of messages, the last of the assistant's counts, never a tool's; of a message in parts, those of text. What stands
    in `<think>...</think>` is taken off, also where its beginning is in the prompt, or its end was never written.

    Example:
        >>> written_text("<think>One verb is off.</think>She goes home.")
        'She goes home.'
    """
    text = completion if isinstance(completion, str) else _last_of_the_assistant(completion)
    return text if text is None else _LEFT_OPEN.sub("", _THOUGHT.sub("", text)).strip()


def _last_of_the_assistant(completion: Any) -> str | None:
    if not isinstance(completion, Iterable) or isinstance(completion, Mapping | bytes):
        return None
    messages = [message for message in completion if isinstance(message, Mapping)]
    contents = [message.get("content") for message in messages if message.get("role", "assistant") == "assistant"]
    content = contents[-1] if contents else None
    if isinstance(content, str) or not isinstance(content, Iterable):
        return content if isinstance(content, str) else None
    content = [content] if isinstance(content, Mapping) else content
    parts = [part if isinstance(part, Mapping) else {"text": part} for part in content]
    texts = [part.get("text") for part in parts if part.get("type", "text") in ("text", "output_text")]
    texts = [text for text in texts if isinstance(text, str)]
    return "".join(texts) if texts else None
