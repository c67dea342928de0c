"""The table of proof asks for nothing that a run cannot measure."""

from foveal.measures import MEASURES
from foveal.run import LEVELS
from foveal.run.knowledge import read_proof
from foveal.run.measuring import MEASURED


def test_every_proof_names_measures_that_exist_and_that_a_level_makes():
    known = {card.name for card in MEASURES}
    for need in read_proof().needs:
        for proof in need.proofs:
            assert set(proof.measures) <= known
            if proof.measures:
                assert set(proof.measures) & set(MEASURED), proof.asks
                assert set(proof.measures) & set(LEVELS["full"]), proof.asks
