"""Which FFT library is bound, and what is kept of its plans."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exitwave import DeviceError, fft_library

RUN = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "from small_scan import small_scan\n"
    "print(small_scan('far').run({'name': 'AP', 'iterations': 1}).object.tobytes().hex())\n"
)


def library() -> str:
    """One that is named makes all plans, and so has something to keep."""
    return fft_library.find_fft_library()


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    tests = str(Path(__file__).resolve().parents[1])
    return subprocess.run(
        [sys.executable, "-c", RUN, tests],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_library_that_is_named_wins(monkeypatch):
    monkeypatch.setenv("EXITWAVE_FFT", "/opt/some/libfft.so")

    assert fft_library.find_fft_library() == "/opt/some/libfft.so"


def test_library_of_the_wheel_is_found_without_one_of_the_system(monkeypatch):
    monkeypatch.delenv("EXITWAVE_FFT", raising=False)
    monkeypatch.setattr(fft_library, "_system_library", lambda: None)

    assert "fftw3f" in Path(fft_library.find_fft_library()).name


def test_system_library_comes_before_the_wheel(monkeypatch):
    monkeypatch.delenv("EXITWAVE_FFT", raising=False)
    monkeypatch.setattr(fft_library, "_system_library", lambda: "libfftw3f.so.3")

    assert fft_library.find_fft_library() == "libfftw3f.so.3"


def test_without_any_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delenv("EXITWAVE_FFT", raising=False)
    monkeypatch.setattr(fft_library, "_system_library", lambda: None)
    monkeypatch.setattr(fft_library, "package_folders", lambda name: [])

    with pytest.raises(DeviceError, match="install pyfftw"):
        fft_library.find_fft_library()


@pytest.mark.parametrize("name", ["no_such_library.so", "libc.so.6"])
def test_library_that_cannot_be_used_is_refused(name):
    """One that is not there, and one that has no FFT."""
    done = run(EXITWAVE_FFT=name)

    assert done.returncode == 1
    assert f"DeviceError: FFT library {name}" in done.stderr


def test_frames_that_the_core_transforms_itself_keep_no_wisdom(tmp_path: Path):
    assert run(EXITWAVE_CACHE=str(tmp_path)).returncode == 0

    assert not list(tmp_path.iterdir())


def test_library_that_is_named_makes_all_transforms():
    """Rounding differs from that of the core's own."""
    assert run(EXITWAVE_FFT=library()).stdout != run().stdout


def test_wisdom_is_kept_once_and_read_again(tmp_path: Path):
    for _ in range(2):
        assert run(EXITWAVE_FFT=library(), EXITWAVE_CACHE=str(tmp_path / "new")).returncode == 0

    (kept,) = (tmp_path / "new").iterdir()
    assert kept.suffix == ".wisdom"
    assert b"fftw" in kept.read_bytes()


def test_wisdom_that_is_spoilt_is_made_anew(tmp_path: Path):
    assert run(EXITWAVE_FFT=library(), EXITWAVE_CACHE=str(tmp_path)).returncode == 0
    (kept,) = tmp_path.iterdir()
    good = kept.read_bytes()
    kept.write_bytes(good[: len(good) // 2])

    done = run(EXITWAVE_FFT=library(), EXITWAVE_CACHE=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    assert kept.read_bytes().startswith(b"(fftw")
    assert len(kept.read_bytes()) >= len(good) // 2


def test_folder_that_cannot_be_written_is_no_error(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    done = run(EXITWAVE_FFT=library(), EXITWAVE_CACHE=str(blocked / "cache"))

    assert (done.returncode, done.stderr) == (0, "")
    assert blocked.read_text() == "in the way"


def test_empty_cache_name_keeps_nothing(tmp_path: Path):
    nowhere = {
        "EXITWAVE_CACHE": "",
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    done = run(EXITWAVE_FFT=library(), **nowhere)

    assert done.returncode == 0
    assert not list(tmp_path.iterdir())
