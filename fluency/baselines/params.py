"""The block `baseline` of params.yaml: the logistic regression's, and which peers are asked."""

from dataclasses import dataclass

from fluency.utils.config import require

PEERS = ("harper",)


@dataclass(frozen=True)
class BaselineParams:
    C: float
    max_iter: int
    peers: list[str]

    def __post_init__(self) -> None:
        require(self.C > 0, "baseline.C: must be above 0")
        require(self.max_iter > 0, "baseline.max_iter: must be above 0")
        for peer in self.peers:
            require(peer in PEERS, f"baseline.peers: {peer!r} is none of {', '.join(PEERS)}")
