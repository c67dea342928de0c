"""What a model returned, as one entry per sample."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor

from foveal.models.detections import Detection, are_detections


def samples(output: object, key: str | int | None, count: int) -> Tensor | Sequence[Detection]:
    """The part of the output that is meant: rows (sample, output, ...), or a detection per sample.

    Args:
        output: What the model returned.
        key: Which of several outputs, by its key or position; `None` where there is one.
        count: How many samples it is for.

    Raises:
        ValueError: No such part, no tensor, or one that is not of so many samples.
    """
    part = output if key is None else _part(output, key)
    if not are_detections(part):
        return _rows(part, count)
    if len(part) != count:
        raise ValueError(f"the model gave {len(part)} detections for {count} images")
    return part


def _part(output: object, key: str | int) -> object:
    if isinstance(key, str) and key in _attributes(output):
        return getattr(output, key)
    try:
        if not isinstance(output, Tensor) and not are_detections(output):
            return output[key]  # pyright: ignore[reportIndexIssue]
    except (LookupError, TypeError):
        pass
    raise ValueError(
        f"the model returned {_described(output)}, so the target's output={key!r} does not exist"
    )


def _rows(output: object, count: int) -> Tensor:
    """Rows in full precision, whatever a model squeezed away or left of a grid of one."""
    if not isinstance(output, Tensor):
        names = _attributes(output)
        key = next(iter(names or (output if isinstance(output, Mapping) else ())), 0)
        taken = f".{key}" if names else f"[{key!r}]"
        raise ValueError(
            f"the model returned no tensor but {_described(output)}; say which output is meant, "
            f"for example target=foveal.Target(output={key!r}, index=3), or pass a callable that "
            f"takes what it needs: target=lambda output: output{taken}[:, 3]"
        )
    half = output.dtype in (torch.bfloat16, torch.float16)
    rows = output.float() if half else output
    if count == 1 and (rows.ndim == 0 or len(rows) != 1):
        rows = rows.unsqueeze(0)
    if len(rows) != count:
        raise ValueError(
            f"the model gave an output of shape {tuple(output.shape)} for {count} images; the "
            "first axis must be that of the images"
        )
    if rows.ndim == 1:
        rows = rows.unsqueeze(1)
    return rows.flatten(1) if rows.ndim > 2 and rows.shape[2:].numel() == 1 else rows


def _attributes(output: object) -> Sequence[str]:
    """The names of the parts of a data class or a named tuple; of a mapping its keys are."""
    if isinstance(output, Mapping):
        return ()
    if is_dataclass(output):
        return [field.name for field in fields(output)]
    return getattr(output, "_fields", ()) if isinstance(output, tuple) else ()


def _described(output: object) -> str:
    if isinstance(output, Tensor):
        return "a single tensor"
    if are_detections(output):
        return "detections"
    if isinstance(output, Mapping):
        return str(list(output))
    if names := _attributes(output):
        return f"a {type(output).__name__} of {', '.join(names)}"
    if isinstance(output, list | tuple):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"
