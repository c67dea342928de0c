"""Sections as the pages of one TIFF."""

from pathlib import Path

from tifffile import TiffFile

from foveal.core import ImageError, Volume
from foveal.images.oct.sections import (
    Scan,
    Section,
    Sections,
    assemble,
    check_volume,
    chosen,
    one_grey,
)
from foveal.images.photo import DAMAGE
from foveal.images.quiet import unlogged
from foveal.images.raster import display
from foveal.images.tiff import full_pages, page_raster


def read_stack(path: Path, *, sections: Sections, max_pixels: int, sha256: str) -> Volume:
    """A scan from a TIFF with one section per page; the file says nothing about their places.

    Raises:
        ImageError: A damaged file, one page only, or pages that differ.
    """
    try:
        with unlogged("tifffile"), TiffFile(path) as file:
            pages = full_pages(file)
            if len(pages) < 2:
                raise ImageError(f"holds {len(pages)} page(s); one section is read by foveal.read")
            grid = int(pages[0].imagelength), int(pages[0].imagewidth)
            first, last = chosen(sections, len(pages))
            check_volume(last - first, grid, max_pixels)

            def load(number: int) -> Section:
                pixels, _ = display(page_raster(pages[number], max_pixels))
                return Section(pixels=one_grey(pixels))

            scan = Scan(
                count=len(pages), grid=grid, source=str(path), facts={"format": "TIFF pages"}
            )
            return assemble(scan, load, sections=sections, sha256=sha256)
    except DAMAGE as error:
        raise ImageError(
            "starts like a TIFF file but cannot be decoded; it may be damaged, copy it again"
        ) from error
