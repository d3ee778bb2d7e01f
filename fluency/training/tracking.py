"""Whether training is logged to Weights & Biases; the environment says so."""

from collections.abc import Mapping


def wandb_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment has W&B configured: a mode that is on and, unless offline, a key."""
    mode = environment.get("WANDB_MODE", "online")
    return mode == "offline" or (mode != "disabled" and bool(environment.get("WANDB_API_KEY")))
