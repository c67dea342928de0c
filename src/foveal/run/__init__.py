"""The cohort: a plan, its images and models, done once and taken up where it stopped."""

from foveal.run.estimate import Estimate, estimate
from foveal.run.local import Job, Summary, open_job, run
from foveal.run.plan import LEVELS, Plan, plan_from, read_plan
from foveal.run.remeasure import remeasure

__all__ = [
    "LEVELS",
    "Estimate",
    "Job",
    "Plan",
    "Summary",
    "estimate",
    "open_job",
    "plan_from",
    "read_plan",
    "remeasure",
    "run",
]
