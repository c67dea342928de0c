"""The documented trial on real photographs: steps and grids are right, and where the maps point."""

from statistics import median

import disc_and_cup
import pytest


@pytest.mark.real
@pytest.mark.slow
def test_a_real_segmenter_finds_the_disc_on_the_original_pixels(real_data, tmp_path):
    weights = real_data / "models" / "automorph-disc-cup" / "28" / "model_checkpoint.pth"
    photographs = real_data / "fundus-idrid-lesions"
    card = disc_and_cup.write_card(tmp_path, weights)
    found = list(disc_and_cup.trial(card, photographs / "images", photographs / "masks"))
    assert len(found) == 20
    assert median(photograph.dice for photograph in found) >= 0.9
    for name in ("disc rim", "cup"):
        hits = sum(photograph.on_disc[name] for photograph in found)
        assert hits >= 18
