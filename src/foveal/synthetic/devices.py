"""Styles of fundus cameras: what they show of the eye, how sharply and in which colours."""

from collections.abc import Mapping
from types import MappingProxyType

from foveal.synthetic.spec import Device

_STYLES = (
    Device(
        name="warm",
        field_deg=45.0,
        diameter=0.97,
        clip=0.835,
        notch=True,
        gains=(1.05, 0.98, 0.42),
        contrast=1.12,
        haze=(0.80, 0.55, 0.38),
        blur_deg=0.05,
        chroma_blur_deg=0.12,
        noise=0.007,
    ),
    Device(
        name="rose",
        field_deg=45.0,
        diameter=0.96,
        clip=1.0,
        notch=True,
        gains=(1.02, 1.12, 1.38),
        contrast=0.95,
        haze=(0.82, 0.66, 0.66),
        blur_deg=0.045,
        chroma_blur_deg=0.10,
        noise=0.006,
    ),
    Device(
        name="crisp",
        field_deg=50.0,
        diameter=0.94,
        clip=1.0,
        notch=False,
        gains=(1.0, 0.97, 0.85),
        contrast=1.2,
        haze=(0.55, 0.60, 0.60),
        blur_deg=0.035,
        chroma_blur_deg=0.07,
        noise=0.007,
    ),
    Device(
        name="handheld",
        field_deg=40.0,
        diameter=0.90,
        clip=0.92,
        notch=False,
        gains=(1.08, 0.88, 0.50),
        contrast=1.0,
        haze=(0.85, 0.60, 0.35),
        blur_deg=0.085,
        chroma_blur_deg=0.20,
        noise=0.010,
    ),
)
DEVICES: Mapping[str, Device] = MappingProxyType({device.name: device for device in _STYLES})
