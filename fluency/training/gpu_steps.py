"""Training steps for a GPU: as CUDA graphs, whose kernels are launched all at once, and with compiled layers.

In a batch of a few short pairs, a GPU computes for less time than the CPU takes to launch thousands of kernels one by
one. In a large batch it mostly moves memory between kernels, and compiling makes one kernel of several.
"""

from collections.abc import Callable, Iterable

import torch
from torch.nn import Parameter
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from fluency.utils.errors import UserError

Batch = dict[str, torch.Tensor]


class StepGraphs:
    """Runs a step, the forward and the backward pass of a batch, as a CUDA graph.

    The first batch of a shape runs as usual, which also warms up what torch sets up only once. The second is recorded,
    and from then on the graph runs. All graphs share their memory, because one runs at a time.

    Args:
        step: computes the gradients of a batch on the GPU, and returns its loss without waiting for the GPU.
        parameters: those of the model; each has its gradient in the same place for good, as graphs need it.

    Raises:
        UserError: when called with the second batch of a shape, if the step waits for the GPU.

    Attributes:
        graphs: for each shape of a batch its graph, the batch that it reads and the loss that it writes.
    """

    def __init__(self, step: Callable[[Batch], torch.Tensor], parameters: Iterable[Parameter]) -> None:
        self.step = step
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        sizes = [parameter.numel() for parameter in self.parameters]
        self.device = self.parameters[0].device
        self.gradient = torch.zeros(sum(sizes), device=self.device)
        self.views = [
            part.view_as(parameter) for part, parameter in zip(self.gradient.split(sizes), self.parameters, strict=True)
        ]
        self.stream, self.pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        self.warm: set[tuple[torch.Size, ...]] = set()
        self.graphs: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, Batch, torch.Tensor]] = {}

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Add the gradients of a batch to those of the optimiser step; returns the loss, a tensor of its own."""
        if self.parameters[0].grad is None:  # a new optimiser step
            self.gradient.zero_()
            for parameter, view in zip(self.parameters, self.views, strict=True):
                parameter.grad = view
        shape = tuple(tensor.shape for tensor in batch.values())
        if shape not in self.warm:
            self.warm.add(shape)
            return self._warmed_up(batch)
        if shape not in self.graphs:
            self.graphs[shape] = self._recorded(batch)
        graph, read, loss = self.graphs[shape]
        for name, tensor in batch.items():
            read[name].copy_(tensor, non_blocking=True)
        graph.replay()
        return loss.clone()

    def _warmed_up(self, batch: Batch) -> torch.Tensor:
        """A step as usual, but on the stream where graphs are recorded."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            loss = self.step(self._here(batch))
        torch.cuda.current_stream().wait_stream(self.stream)
        return loss.clone()

    def _recorded(self, batch: Batch) -> tuple[torch.cuda.CUDAGraph, Batch, torch.Tensor]:
        """Record a step; nothing is computed."""
        graph, read = torch.cuda.CUDAGraph(), self._here(batch)
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                loss = self.step(dict(read))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # the model looks at what the GPU has computed, say
            reason = str(error).splitlines()[0]
            raise UserError(
                f"train.cuda_graphs: a step of this model cannot be recorded ({reason}); set it to false"
            ) from error
        return graph, read, loss

    def _here(self, batch: Batch) -> Batch:
        return {name: tensor.to(self.device, copy=True) for name, tensor in batch.items()}


def compile_layers(model: PreTrainedModel) -> None:
    """Have each layer of an encoder compiled on its first use, once for each shape of a batch.

    Layers of a kind share what was compiled, so that it takes seconds; the whole model would take minutes.
    """
    torch._dynamo.config.recompile_limit = 128  # kinds of layers times shapes
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):  # what transformers calls each layer of an encoder
            layer.compile(dynamic=False)
