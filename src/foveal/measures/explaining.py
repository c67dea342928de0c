"""Several images whose maps are asked for together, again and again, while their model changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from foveal.measures.base import Array, as_numpy
from foveal.measures.perturbed import ExplainOf, display_units, field_on, maps_of
from foveal.measures.sanity import Trained
from foveal.measures.similarity import varies


@dataclass(frozen=True, kw_only=True, eq=False)
class Explaining:
    """Images, and who gives their maps."""

    explain: ExplainOf | Array
    images: Float[Tensor, "image channel row column"]
    field: np.ndarray | None
    as_array: bool

    @classmethod
    def about(cls, explain: ExplainOf | Array, image: Array, field: Array | None) -> "Explaining":
        """One image or several, checked.

        Raises:
            ValueError: Images not in display units or of another shape, or a field of another grid.
        """
        pixels = display_units(image)
        if pixels.ndim not in (3, 4):
            raise ValueError(
                f"image must be (channel, row, column), or several of them, but its shape is "
                f"{tuple(pixels.shape)}"
            )
        inside = None if field is None else field_on(field, tuple(pixels.shape[-2:]))
        batch = pixels if pixels.ndim == 4 else pixels.unsqueeze(0)
        as_array = not isinstance(image, Tensor)
        return cls(explain=explain, images=batch, field=inside, as_array=as_array)

    def maps(
        self, explain: ExplainOf | Array | None = None
    ) -> Float[np.ndarray, "image row column"]:
        """All images in one call, so that each keeps its own target."""
        asked = self.explain if explain is None else explain
        if not callable(asked):
            return as_numpy(asked).astype(np.float64)[None]
        return maps_of(asked, self.images, field=self.field, as_array=self.as_array)

    def problem(self, maps: Float[np.ndarray, "image row column"]) -> str | None:
        """Why none of these maps can be compared."""
        if not np.isfinite(maps).all():
            return "nan_map"
        if any(varies(one, self._inside(maps)) for one in maps):
            return None
        return "constant_map" if maps[:, self._inside(maps)].any() else "zero_map"

    def trained(
        self,
        maps: Float[np.ndarray, "image row column"],
        patients: Sequence[str | int] | None,
        leading: str,
    ) -> Trained:
        """The maps with whose they are; each image somebody else's by default.

        Raises:
            ValueError: Not one patient an image.
        """
        whose = np.arange(len(maps)) if patients is None else np.asarray(patients)
        if len(whose) != len(maps):
            raise ValueError(f"got {len(whose)} patients for {len(maps)} images; give one each")
        return Trained(maps=maps, field=self._inside(maps), patients=whose, leading=leading)

    def _inside(self, maps: Float[np.ndarray, "image row column"]) -> np.ndarray:
        return np.ones(maps.shape[1:], bool) if self.field is None else self.field
