"""Eyes whose right answer is known.

They serve to try methods and measures where the truth is certain. They are no substitute for
validation on photographs of patients.
"""

from foveal.synthetic.cohort import cohort
from foveal.synthetic.fundus import Eye, draw_fundus, fundus, render, without

__all__ = ["Eye", "cohort", "draw_fundus", "fundus", "render", "without"]
