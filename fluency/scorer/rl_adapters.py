"""The reward in the forms that verl and OpenRLHF call; both load a function by the path of the file that has it."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fluency.scorer.reward import FluencyReward

if TYPE_CHECKING:
    import torch


# a row's column of that name is not meant
_OF_THE_CALL = ("self", "prompts", "completions", "log_metric", "log_extra")
# how a text that the model ended by itself ends, as tokenizers write it, and what fills it up behind: <|im_end|>, </s>
_END = re.compile(r"(?:(?:<\|\w+\|>|<\uff5c[^\uff5c]+\uff5c>|</s>|<eos>|<end_of_turn>|<pad>)\s*)+\Z")


def for_verl(reward: FluencyReward) -> Callable[..., float]:
    """verl's `compute_score`, which its naive reward manager calls for one completion at a time.

    The columns that the reward reads (the sentence before; maybe the part and its occurrence) stand in `extra_info`. A
    reward of None is 0 there, as verl knows no other.
    """
    batch = for_verl_batched(reward)

    def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **_: Any
    ) -> float:
        return batch([data_source], [solution_str], [ground_truth], [extra_info])[0]

    return compute_score


def for_verl_batched(reward: FluencyReward) -> Callable[..., list[float]]:
    """verl's `compute_score` for its batch reward manager, which hands over all completions at once."""

    def compute_score(
        data_sources: Sequence[str],
        solution_strs: Sequence[str],
        ground_truths: Sequence[Any],
        extra_infos: Sequence[Mapping[str, Any] | None],
        **_: Any,
    ) -> list[float]:
        given = dict.fromkeys(name for info in extra_infos for name in info or ())
        names = [name for name in given if isinstance(name, str) and name not in _OF_THE_CALL]
        columns = {name: [(info or {}).get(name) for info in extra_infos] for name in names}
        return [value or 0.0 for value in reward([""] * len(solution_strs), solution_strs, **columns)]

    return compute_score


def for_openrlhf(reward: FluencyReward) -> Callable[..., dict[str, Any]]:
    """OpenRLHF's `reward_func`, for `--remote_rm_url FILE.py`; `--label_key` names the sentence before.

    A query is the prompt and what was written, decoded with all special tokens: those that end it are taken off. The
    function raises ValueError where a query does not have its prompt, as it was cut off, and warns where a label is
    empty.

    Raises:
        ValueError: the reward replaces a part, for which a label has no place.
    """
    if reward.part is not None:
        raise ValueError("part: OpenRLHF gives one label a row, the sentence before; use a reward of whole sentences")

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
    ) -> dict[str, "torch.Tensor | dict[str, torch.Tensor]"]:
        import torch

        logs: dict[str, torch.Tensor] = {}
        if not all(labels):
            warnings.warn("labels: some are empty and earn 0; --label_key names the sentence before", stacklevel=2)
        written = [_written(query, prompt) for query, prompt in zip(queries, prompts, strict=True)]
        rewards = reward(
            prompts,
            written,
            **{reward.before: labels},
            log_metric=lambda name, value: logs.update({name: torch.tensor(value)}),
        )
        earned = torch.tensor([value or 0.0 for value in rewards])
        return {"rewards": earned, "scores": earned.clamp(0, 1), "extra_logs": logs}

    return reward_func


def for_openrlhf_url(reward: FluencyReward) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What a server answers to OpenRLHF's `--remote_rm_url http://HOST/...`: from the JSON of a request to that of it.

    A request has the lists `query`, `prompts` and `labels`, as `for_openrlhf` takes them; errors are the same.
    """
    reward_func = for_openrlhf(reward)

    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        found = reward_func(request["query"], request["prompts"], request["labels"])
        logs = {name: [its.item()] * len(request["query"]) for name, its in found["extra_logs"].items()}
        return {"rewards": found["rewards"].tolist(), "scores": found["scores"].tolist(), "extra_logs": logs}

    return answer


def _written(query: str, prompt: str) -> str:
    """What stands behind the prompt, which may have other blanks in it since it was read as tokens."""
    places = [place for place, letter in enumerate(query) if not letter.isspace()]
    begin, asked = "".join(query.split()), "".join(prompt.split())
    if (found := begin.find(asked)) < 0:
        raise ValueError(f"queries: one does not have its prompt, which may be cut off: {query[:80]!r}")
    end = found + len(asked)
    return _END.sub("", query[places[end - 1] + 1 :] if end else query)
