"""What a finished run says of the whole cohort: tables in, conclusions and plots out."""

from foveal.report.proof.conclude import Proof, proof_of

__all__ = ["Proof", "proof_of"]
