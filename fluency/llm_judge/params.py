"""The block `llm` of params.yaml: which language model is asked, how, and what it may cost."""

from dataclasses import dataclass
from typing import Any

from fluency.utils.config import require

_OWN = ("model", "messages", "stream", "temperature", "seed")  # what a request has by other params, or can't have
EXTRAS = ("extra_headers", "extra_query", "extra_body")  # what the openai package takes beside its own arguments


@dataclass(frozen=True)
class LLMParams:
    splits: list[str]
    model: str
    base_url: str
    api_key_env: str | None
    temperature: float
    seed: int
    max_calls: int | None
    concurrency: int
    timeout: float
    retries: int
    options: dict[str, Any]
    input_price: float | None
    output_price: float | None

    def __post_init__(self) -> None:
        require(self.splits in ([], ["test"]), f"llm.splits: {self.splits!r} is neither [] nor [test]")
        require(bool(self.model), "llm.model: names no model")
        require(self.base_url.startswith(("http://", "https://")), "llm.base_url: must start with http:// or https://")
        for key in ("concurrency", "timeout", "max_calls"):
            value = getattr(self, key)
            require(value is None or value > 0, f"llm.{key}: must be above 0")
        for key in ("temperature", "retries", "input_price", "output_price"):
            require((getattr(self, key) or 0) >= 0, f"llm.{key}: must be 0 or more")
        for key in EXTRAS:
            require(isinstance(self.options.get(key, {}), dict), f"llm.options.{key}: must be a mapping")
        headers = self.options.get("extra_headers", {}).values()
        require(all(isinstance(value, str) for value in headers), "llm.options.extra_headers: values must be text")
        named = {*self.options, *self.options.get("extra_body", {})}
        own = [key for key in _OWN if key in named]
        require(not own, f"llm.options: {', '.join(own)} can't be set here")
