"""Makes torchvision importable beside a torch it was not built for.

The wheel's operators are linked against CUDA; networks never call them, but importing the package
registers shapes for two of them, which must exist by name.
"""

import torch

_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _LIBRARY.define(f"{_name}() -> ()")
