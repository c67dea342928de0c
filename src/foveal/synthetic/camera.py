"""Photographs a painted retina: light, stray light, optics, colour, sensor and rim."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter

from foveal.synthetic.spec import Device, Exposure, FundusSpec
from foveal.synthetic.view import View

Plane = Float[np.ndarray, "row column"]
Picture = Float[np.ndarray, "channel row column"]
Down = Float[np.ndarray, "row 1"]
Right = Float[np.ndarray, "1 column"]


def draw_exposure(random: np.random.Generator) -> Exposure:
    return Exposure(
        gaze=(random.normal(-0.6, 1.0), random.normal(3.5, 1.6)),
        brightness=random.uniform(0.88, 1.2),
        light=(random.normal(0, 0.2), random.normal(0, 0.25)),
        fall_off=random.uniform(0.15, 0.4),
        haze=0.5 * random.beta(1.2, 4),
        focus=random.uniform(0.85, 1.35),
        seed=int(random.integers(2**31)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """One device at one exposure, which photographs any retina seen in its view."""

    spec: FundusSpec
    light: Plane
    stray: Plane
    """Share of stray light."""
    noise: Picture
    field: Bool[np.ndarray, "row column"]
    pixels_per_unit: float

    def photograph(self, retina: Picture) -> Picture:
        """The picture as it would be stored: 8 bit, here as shares of 255."""
        device, exposure = self.spec.device, self.spec.exposure
        haze = np.array(device.haze, np.float32)[:, None, None]
        gains = np.array(device.gains, np.float32)[:, None, None] * exposure.brightness
        picture = retina * self.light
        picture = (picture + (haze - picture) * self.stray) * gains
        picture = self._blur(_shoulder(picture) ** np.float32(device.contrast))
        rim = gaussian_filter(self.field.astype(np.float32), 0.6)
        return np.round(np.clip(picture * rim + self.noise, 0, 1) * 255) / np.float32(255)

    def _blur(self, picture: Picture) -> Picture:
        device = self.spec.device
        sharpness = device.blur_deg * self.spec.exposure.focus * self.pixels_per_unit
        sharp = np.stack([gaussian_filter(plane, sharpness) for plane in picture])
        grey = sharp.mean(axis=0)
        chroma = device.chroma_blur_deg * self.pixels_per_unit
        return grey + np.stack([gaussian_filter(plane - grey, chroma) for plane in sharp])


def set_up(spec: FundusSpec, view: View) -> Camera:
    size, exposure = len(view.rows), spec.exposure
    down, right = _from_middle(size, spec.device)
    from_light = np.hypot(down - exposure.light[0], right - exposure.light[1])
    vignetting = 1 - 0.25 * np.minimum(np.hypot(down, right), 1.1) ** 6
    grain = np.random.default_rng(exposure.seed).standard_normal((4, size, size), dtype=np.float32)
    return Camera(
        spec=spec,
        light=(1.15 - exposure.fall_off * np.minimum(from_light, 1.6) ** 2) * vignetting,
        stray=0.03 + exposure.haze * np.minimum(from_light / 1.25, 1.1) ** 6,
        noise=np.float32(spec.device.noise) * (0.85 * grain[:1] + 0.5 * grain[1:]),
        field=field_of_view(spec.device, size),
        pixels_per_unit=view.pixels_per_unit,
    )


def field_of_view(device: Device, size: int) -> Bool[np.ndarray, "row column"]:
    """A circle, its cap and bottom cut off, with a notch in its rim, as the device has it."""
    down, right = _from_middle(size, device)
    field = (np.hypot(down, right) <= 1) & (np.abs(down) <= device.clip)
    return field | _notch(down, right) if device.notch else field


def _notch(down: Down, right: Right) -> Bool[np.ndarray, "row column"]:
    """Two teeth on the rim, at the upper right."""
    angle, distance = np.arctan2(-down, right), np.hypot(down, right)
    tooth = 0.042 - 0.4 * ((0.54 - angle) % 0.08)
    return (angle > 0.38) & (angle <= 0.54) & (distance > 0.9) & (distance <= 1 + tooth)


def _from_middle(size: int, device: Device) -> tuple[Down, Right]:
    """Row and column of every pixel from the middle, in radii of the field."""
    places = ((np.arange(size) + 0.5 - size / 2) / (device.diameter * size / 2)).astype(np.float32)
    return places[:, None], places[None, :]


def _shoulder(picture: Picture) -> Picture:
    """Highlights saturate softly, as on a sensor's tone curve."""
    bright = np.maximum(picture, 0.75)
    return np.minimum(picture, 0.75) + 0.25 * np.tanh((bright - 0.75) / 0.25)
