"""The PDF is the page as a browser prints it, and every way to fail says what to do."""

import re
import stat

import pytest

from foveal.core import StoreError
from foveal.report import write_page, write_pdf
from foveal.report.pdf import VARIABLE, browser


def program(folder, text: str):
    path = folder / "printer"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


@pytest.mark.slow
def test_a_browser_prints_the_page_with_all_that_is_folded_on_screen(make_run):
    if browser() is None:
        pytest.skip("no Chromium, Chrome or Edge is here to print a PDF")
    run = make_run()
    write_page(run)
    text = write_pdf(run).read_bytes()
    assert text.startswith(b"%PDF-")
    pages = [int(count) for count in re.findall(rb"/Count (\d+)", text)]
    assert max(pages) > 5
    assert b"/StructTreeRoot" in text, "tagged for screen readers"


def test_the_browser_is_asked_to_print_this_page_and_to_reach_nothing_else(
    make_run, tmp_path, monkeypatch
):
    run = make_run()
    page = write_page(run)
    told = tmp_path / "told"
    text = (
        'for a; do case "$a" in --print-to-pdf=*) printf PDF > "${a#*=}";; esac; '
        f'echo "$a" >> {told}; done'
    )
    monkeypatch.setenv(VARIABLE, str(program(tmp_path, text)))
    assert write_pdf(run).read_bytes() == b"PDF"
    asked = told.read_text().splitlines()
    assert asked[-1] == page.resolve().as_uri()
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in asked


def test_no_page_no_browser_and_a_browser_that_fails_are_said(make_run, tmp_path, monkeypatch):
    run = make_run()
    with pytest.raises(StoreError, match="write the report first"):
        write_pdf(run)
    write_page(run)
    monkeypatch.setenv(VARIABLE, "no-such-program")
    with pytest.raises(StoreError, match="none was found; install one, or name it by"):
        write_pdf(run)
    monkeypatch.setenv(VARIABLE, str(program(tmp_path, "echo out of paper >&2; exit 1")))
    with pytest.raises(StoreError, match="printer printed nothing; it said: out of paper"):
        write_pdf(run)
    assert not (run.folder / "report.pdf").exists()
