"""ONNX files: converted to torch where that works and is right, else a black box."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveal.core import FovealWarning, ModelError
from foveal.models.card import Card, beside
from foveal.models.foreign import check_fits_head, squashing_of, takes_channels_last
from foveal.models.torch import package

REEXPORT = (
    "torch.onnx.export(network, (example,), 'model.onnx', opset_version=17, dynamo=False, "
    "input_names=['image'], dynamic_axes={'image': {0: 'batch'}})"
)
"""How a torch network becomes a file that onnx2torch 1.5 converts."""
_TOLERANCE = 1e-3
"""Largest difference to onnxruntime, as a share of the largest output."""
_PASSED_ON = ("Identity", "Transpose")
"""Operations that may stand between the last activation and the output."""
_KINDS = {1: torch.float32, 10: torch.float16, 11: torch.float64}
"""Floating-point types by their number in ONNX's TensorProto.DataType."""
_REFUSALS = (
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ModelError,
)  # fmt: skip
"""What converting raises on operations that are not known, or come out wrong."""


def build_onnx(card: Card, path: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """The network of an ONNX file, with its layers where it converts, and what was done to it.

    Warns:
        FovealWarning: The file is a black box, and why.

    Raises:
        ModelError: A file that is missing or damaged, an input or a last activation that the card
            contradicts, a missing package.
    """
    proto = _read(beside(path, card.weights or ""))
    ports = _ports(proto, card)
    notes = _take_off_activation(proto, card)
    box = _black_box(proto, ports)
    try:
        module = _converted(proto, ports)
        return module, (*notes, "converted by onnx2torch", _compared(module, box, card))
    except _REFUSALS as problem:
        why = _line(problem)
    if isinstance(box, ModelError):
        raise ModelError(f"{card.name} becomes no torch network ({why}), nor a black box: {box}")
    note = f"{card.name} runs as a black box, which gives scores only: {why}"
    warnings.warn(note, FovealWarning, stacklevel=4)
    return box, (*notes, note)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """How images enter a file, and how its outputs leave it."""

    outputs: tuple[str, ...]
    by_name: bool
    """Whether outputs are given by their names; a single one is not unless the card names it."""
    channels_last: bool
    batch: int | None
    """The only batch size that the file takes, where it takes just one."""
    dtype: torch.dtype

    def inward(self, images: Tensor) -> Tensor:
        """Images as the file takes them."""
        return (images.movedim(1, -1) if self.channels_last else images).to(self.dtype)

    def outward(self, outputs: Sequence[Tensor]) -> Tensor | dict[str, Tensor]:
        """Outputs with their channels before rows and columns."""
        moved = [o.movedim(-1, 1) if self.channels_last and o.ndim > 3 else o for o in outputs]
        return dict(zip(self.outputs, moved, strict=True)) if self.by_name else moved[0]


class BlackBox(nn.Module):
    """An ONNX file that onnxruntime runs on the CPU: scores, and nothing else."""

    def __init__(self, proto: Any, ports: Ports) -> None:
        super().__init__()
        runtime = package("onnxruntime", "onnx")
        self._ports = ports
        self._errors = tuple(
            kind
            for kind in vars(runtime.capi.onnxruntime_pybind11_state).values()
            if isinstance(kind, type) and issubclass(kind, Exception)
        )
        stored = proto.SerializeToString()
        digest = np.frombuffer(hashlib.sha256(stored).digest(), np.uint8)
        self.register_buffer("digest", torch.from_numpy(digest.copy()))  # for the fingerprint
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = runtime.InferenceSession(
                stored, options, providers=["CPUExecutionProvider"]
            )
        except self._errors as problem:
            raise ModelError(f"onnxruntime refuses the file: {_line(problem)}") from problem
        self._input = self._session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        """The scores; several outputs by their names.

        Raises:
            ModelError: Gradients are asked for.
            RuntimeError: onnxruntime refuses the input.
        """
        if torch.is_grad_enabled() and images.requires_grad:
            raise ModelError(
                "this ONNX file runs as a black box and gives scores only: no gradients, no "
                "layers. Use a method that needs scores only, such as occlusion or rise, or "
                f"export the network again so that it can be converted: {REEXPORT}"
            )
        parts = images.detach().cpu().split(self._ports.batch or len(images))
        answers = zip(*(self._run(part) for part in parts), strict=True)
        return self._ports.outward([torch.cat(answer).to(images.device) for answer in answers])

    def _run(self, images: Tensor) -> list[Tensor]:
        """One pass; a file for one batch size only has its last batch filled with repeats."""
        count = len(images)
        missing = (self._ports.batch or count) - count
        filled = torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])
        values = np.ascontiguousarray(self._ports.inward(filled).numpy())
        try:
            answers = self._session.run(None, {self._input: values})
        except self._errors as problem:
            raise RuntimeError(_line(problem)) from problem
        return [torch.from_numpy(answer)[:count] for answer in answers]


def _read(file: Path) -> Any:
    onnx = package("onnx", "onnx")
    decoding = package("google.protobuf.message", "onnx")
    if not file.is_file():
        raise ModelError(f"there is no ONNX file at {file}; check `weights` in the model card")
    try:
        return onnx.load(file)
    except (decoding.DecodeError, onnx.checker.ValidationError, OSError) as problem:
        raise ModelError(f"{file} is no ONNX file that can be read: {_line(problem)}") from problem


def _ports(proto: Any, card: Card) -> Ports:
    """Inputs that have a value in the file, as older ones list them, are none."""
    known = {weight.name for weight in proto.graph.initializer}
    inputs = [given for given in proto.graph.input if given.name not in known]
    if len(inputs) != 1:
        names = ", ".join(given.name for given in inputs) or "none"
        raise ModelError(f"{card.name} must take one image, but its ONNX file takes {names}")
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in _KINDS:
        raise ModelError(
            f"the ONNX file of {card.name} takes whole numbers or the like, but images are "
            "floating-point numbers; export it with such an input"
        )
    shape = [side.dim_value or None for side in kind.shape.dim]
    outputs = tuple(output.name for output in proto.graph.output)
    return Ports(
        outputs=outputs,
        by_name=len(outputs) > 1 or card.output.key is not None,
        channels_last=takes_channels_last(shape, card, unsure=False),
        batch=shape[0],
        dtype=_KINDS[kind.elem_type],
    )


def _take_off_activation(proto: Any, card: Card) -> tuple[str, ...]:
    """Make the output that is meant end in logits, where it ends in the card's activation."""
    wanted = squashing_of(card)
    if wanted is None:
        return ()
    makers = {output: node for node in proto.graph.node for output in node.output}
    node = makers.get(card.output.key or proto.graph.output[0].name)
    while node is not None and node.op_type in _PASSED_ON:
        node = makers.get(node.input[0])
    found = "" if node is None else node.op_type.lower()
    check_fits_head(found, wanted, card)
    if node is None or found != wanted:
        return ()
    node.op_type = "Identity"
    del node.attribute[:]
    return (f"the {found} at the end was taken off: its input is explained, the logit",)


def _black_box(proto: Any, ports: Ports) -> BlackBox | ModelError:
    """The file as onnxruntime runs it, or why it does not."""
    try:
        return BlackBox(proto, ports)
    except ModelError as problem:
        return problem


def _converted(proto: Any, ports: Ports) -> nn.Module:
    """The layers keep their names in the file."""
    module = package("onnx2torch", "onnx").convert(proto).eval()
    module.register_forward_pre_hook(lambda _, given: (ports.inward(given[0]),))

    def leave(_: nn.Module, given: object, output: Any) -> object:
        return ports.outward([output] if isinstance(output, Tensor) else list(output))

    module.register_forward_hook(leave)
    return module


def _compared(module: nn.Module, box: BlackBox | ModelError, card: Card) -> str:
    """How far both ways are from each other for one random image.

    Raises:
        ModelError: Too far, so converting went wrong.
    """
    if isinstance(box, ModelError):
        return f"not compared with onnxruntime: {box}"
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, card.input.channels, *card.input.size, generator=generator)
    with torch.no_grad():
        ours, theirs = _listed(module(image)), _listed(box(image))
    worst = max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))
        for a, b in zip(ours, theirs, strict=True)
    )
    if not worst <= _TOLERANCE:
        raise ModelError(f"onnx2torch converts it to other scores, off by {worst:.2g}")
    return f"compared with onnxruntime on one random image: relative difference {worst:.2g}"


def _listed(output: Tensor | dict[str, Tensor]) -> list[Tensor]:
    outputs = output.values() if isinstance(output, dict) else [output]
    return [one.double() for one in outputs]


def _line(problem: Exception) -> str:
    return (str(problem) or type(problem).__name__).splitlines()[0]
