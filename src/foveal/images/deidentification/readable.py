"""The report for people: what was done, and what needs their eyes."""

from collections import Counter

from foveal.images.deidentification.record import FILES, QUARANTINE, Deidentified, FileRecord

_LIMITS = """## What this does not say

- That a picture holds no text. Rows of marks outside the field of view were searched for; text
  inside the field is not found, and text that touches it may be missed.
- That a retina cannot be recognised. Its vessels are as individual as a fingerprint.
- That times of day were changed: dates move by whole days.
"""


def readable(done: Deidentified) -> str:
    """The report as Markdown, by pseudonym only."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(done.counts.items()))
    parts = [
        "# De-identification",
        f"{len(done.files)} files: {counts or 'none'}.",
        f"What was written lies in `{FILES}`. What lies in `{QUARANTINE}` has lost its names and "
        "header, but **a person must look at its pixels** before it leaves; then move it.",
        "## Settings",
        "\n".join(f"- {name}: {_shown(value)}" for name, value in done.settings.items()),
        "## Needs a human eye",
        _table(("file", "what became of it", "why"), map(_row, done.need_eyes)),
        "## Left out",
        _table(("why", "files"), _left_out(done)),
        "## What was done to attributes",
        _table(("attribute", "action", "times"), _actions(done)),
        _LIMITS,
    ]
    return "\n\n".join(parts)


def _row(record: FileRecord) -> tuple[str, ...]:
    return record.name, record.outcome, "; ".join(record.reasons)


def _left_out(done: Deidentified) -> list[tuple[str, ...]]:
    left = (record for record in done.files if record.outcome == "left out")
    reasons = Counter("; ".join(record.reasons) for record in left)
    return [(reason, str(count)) for reason, count in sorted(reasons.items())]


def _actions(done: Deidentified) -> list[tuple[str, ...]]:
    return [(*name.split(" ", 1), str(count)) for name, count in done.actions.items()]


def _table(head: tuple[str, ...], rows: object) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]  # type: ignore[attr-defined]
    if not lines:
        return "None."
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines])


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
