"""The progress bar is tqdm's when asked for, and otherwise costs nothing."""

import time

import pytest
from fresh_interpreter import output_of

import fastml
from fastml._progress import progress_bar


@pytest.mark.parametrize("show", [None, False])
def test_hidden_bar_prints_nothing(capfd, show):
    with fastml.config_context(progress=False), progress_bar(3, "fit", show=show) as bar:
        bar.update(2)
        bar.update()
    assert capfd.readouterr() == ("", "")


def test_hidden_bar_does_not_import_tqdm():
    code = (
        "import sys\nfrom fastml._progress import progress_bar\n"
        "with progress_bar(3, 'fit', show=False) as bar: bar.update()\n"
        "print('tqdm' in sys.modules)"
    )
    assert output_of(code) == "False"


def test_shown_bar_goes_to_standard_error(capfd):
    with progress_bar(2, "reading", unit="epoch", show=True) as bar:
        bar.update(2)
    out, err = capfd.readouterr()
    assert out == ""
    assert "reading" in err
    assert "2/2" in err
    assert "epoch" in err


def test_what_stands_behind_the_bar_does_not_redraw_it(capfd):
    start = time.perf_counter()
    with progress_bar(None, "fit", show=True) as bar:
        for k in range(1000):
            bar.update(7)
            bar.set_postfix_str(f"violation {k}")
    err = capfd.readouterr().err
    assert err.count("\r") <= 3 + (time.perf_counter() - start) / 0.1  # tqdm's least interval
    assert "violation 999" in err


def test_option_shows_and_argument_overrides(capfd):
    with fastml.config_context(progress=True):
        with progress_bar(1, "shown") as bar:
            bar.update()
        with progress_bar(1, "hidden", show=False) as bar:
            bar.update()
    err = capfd.readouterr().err
    assert "shown" in err
    assert "hidden" not in err


def test_bytes_are_scaled(capfd):
    with progress_bar(2_000_000, "download", unit="B", show=True) as bar:
        bar.update(2_000_000)
    assert "2.00M/2.00M" in capfd.readouterr().err


def test_an_exception_passes_through():
    with pytest.raises(KeyError), progress_bar(1, "fit", show=False):
        raise KeyError
