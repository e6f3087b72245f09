#!/usr/bin/env bash
# Builds with CUDA, tests and measures on one GPU, without a network, in less than nine minutes:
#
#   bash benchmarks/gpu.sh
#
# Needs nvcc, CMake, ninja, and Python with pybind11 and NumPy; h5py, SciPy, click, rich and
# pydantic for all but the C++ tests. What is missing may lie as wheels, with what they need, in a
# folder that EXITWAVE_WHEELS names; what cannot be done without, is left out, and the table at the
# end says so. Everything is written to the folder $OUT, else to benchmarks/results/gpu, in a few
# files. EXITWAVE_CUDA=HOST rehearses it on the host stand-in, with small sizes.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${OUT:-$root/benchmarks/results/gpu}")
work=$(realpath -m "${EXITWAVE_BUILD:-$root/build/gpu}")
python=$(command -v "${PYTHON:-python3}") || { echo "no ${PYTHON:-python3} is found"; exit 1; }
python=$(realpath -s "$python")
mode=${EXITWAVE_CUDA:-ON}
most_seconds=${EXITWAVE_SECONDS:-520}
[[ -z ${EXITWAVE_WHEELS:-} ]] || EXITWAVE_WHEELS=$(realpath "$EXITWAVE_WHEELS")
cd "$root" || exit
logs=$work/logs
rm -rf "$logs"
mkdir -p "$out" "$logs"
table=$out/table.txt
: >"$table"
: >"$out/steps.log"
# compute-sanitizer and ncu stand beside nvcc, which is not always on the path.
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 EXITWAVE_CACHE= LC_ALL=C.UTF-8
[[ $mode == HOST ]] || export EXITWAVE_REQUIRE_GPU=1

# step NAME SECONDS COMMAND...: output to steps.log, a line in the table, never the end of all.
failed=0
step() {
  local name=$1 seconds=$2 began=$SECONDS left=$((most_seconds - SECONDS)) verdict
  shift 2
  ((seconds < left)) || seconds=$left
  if ((seconds < 5)); then
    printf '%-24s %s\n' "$name" "left out: no time" >>"$table"
    return 1
  fi
  echo "== $name (at $SECONDS s)"
  # A run takes a mere warning as a wish for a checkpoint, and what calls it goes on.
  timeout --signal=KILL "$seconds" bash -c '"$@"' step "$@" >"$logs/$name.log" 2>&1
  case $? in
    0) verdict=passed ;;
    137) verdict="stopped after $seconds s" ;;
    *) verdict="FAILED, see steps.log" ;;
  esac
  { echo "== $name: $verdict"; cat "$logs/$name.log"; } >>"$out/steps.log"
  [[ $verdict == passed ]] || { failed=1; tail -n 15 "$logs/$name.log"; }
  printf '%-24s %-28s %4d s\n' "$name" "$verdict" $((SECONDS - began)) >>"$table"
  [[ $verdict == passed ]]
}
left_out() { printf '%-24s left out: %s\n' "$1" "$2" >>"$table"; }
has() { "$python" -c "import $1" 2>/dev/null; }

wheels() {
  local site=$work/site
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target "$site" \
    "$EXITWAVE_WHEELS"/*.whl
}

configure() {
  local capability architecture=90-real
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1)
  [[ -z $capability ]] || architecture=${capability/./}-real
  cmake -G Ninja -S . -B "$work/build" -DEXITWAVE_TESTS=ON -DEXITWAVE_CUDA="$mode" \
    -DEXITWAVE_CUDA_ARCHITECTURES="$architecture" \
    -DCMAKE_CUDA_FLAGS="-lineinfo --split-compile=0" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
    -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')"
}

# Only what the steps below run.
build() {
  local test suffix=''
  [[ $mode != HOST ]] || suffix=_on_host
  local targets=(_core cuda_on_host)
  for test in lane canvas memory engines ranks; do targets+=("test_cuda_$test$suffix"); done
  cmake --build "$work/build" --target "${targets[@]}"
}

# The whole package beside its compiled core, without touching the checkout.
package() {
  rm -rf "$work/package" && mkdir "$work/package"
  cp -r python/exitwave "$work/package/exitwave"
  rm -f "$work"/package/exitwave/*.so
  cp "$work"/build/_core*.so "$work/package/exitwave"
  cd "$work" && "$python" -c 'import exitwave; from exitwave import _core; exitwave.show_config()'
}

ctests() { ctest --test-dir "$work/build" --output-on-failure -L "$1"; }

sanitizer() {
  local tool=$1 test
  shift
  for test in "$@"; do
    echo "-- $tool, $test"
    compute-sanitizer --tool "$tool" --report-api-errors no --error-exitcode 9 \
      "$work/build/tests/cpp/test_cuda_$test" || return 1
  done
}

python_tests() {
  "$python" -m pytest -q -x -W ignore::pytest.PytestConfigWarning -p no:cacheprovider -k 'cuda or GPU' -o addopts='--import-mode=importlib' \
    tests/engines/test_one_iteration.py tests/parallel/test_parts.py tests/parallel/test_blocks.py \
    tests/engines/test_device_arrays.py tests/parallel/test_pinning.py
}

benchmark() {
  local what=(--group gpu)
  [[ $mode != HOST ]] || what=(--quick --cases gpu/DM --cases gpu/rPIE)
  cd "$work" && "$python" "$root/benchmarks/run.py" --output "$out/gpu.jsonl" "${what[@]}"
}

# Kernels of a third of an iteration after the warm-up, the slowest first, with what they reach of
# the device.
profile() {
  cd "$work" || return 1
  ncu --clock-control none --launch-skip 2200 --launch-count 120 --target-processes all --csv \
    --print-units base --metrics gpu__time_duration.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed,lts__throughput.avg.pct_of_peak_sustained_elapsed,sm__throughput.avg.pct_of_peak_sustained_elapsed,sm__warps_active.avg.pct_of_peak_sustained_active \
    --log-file "$out/ncu.csv" "$python" "$root/benchmarks/run.py" --cases gpu/DM \
    --output "$work/profiled.jsonl" &&
    "$python" "$root/benchmarks/kernels.py" "$out/ncu.csv"
}

export root out python mode work EXITWAVE_WHEELS
export -f wheels configure build package ctests sanitizer python_tests benchmark profile

if [[ -n ${EXITWAVE_WHEELS:-} ]]; then
  step wheels 60 wheels
  export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
fi
nvidia-smi >"$out/device.txt" 2>&1 || echo "no nvidia-smi" >"$out/device.txt"
built=0
step configure 60 configure &&
  step build $((most_seconds * 2 / 3)) build && built=1
if ((!built)); then
  cat "$table"
  exit 1
fi

# FFTW for the CPU's side of comparisons: the wheel's or the system's, else the tests' own.
if [[ -z ${EXITWAVE_FFT:-} ]]; then
  EXITWAVE_FFT=$("$python" -c 'import glob, importlib.util as u; from pathlib import Path
s = u.find_spec("pyfftw")
print(*sorted(glob.glob(str(Path(s.origin).parents[1] / "pyfftw.libs" / "libfftw3f-*"))) if s else [])')
  EXITWAVE_FFT=${EXITWAVE_FFT:-$(ldconfig -p | awk '/libfftw3f\.so/ {print $NF; exit}')}
  export EXITWAVE_FFT=${EXITWAVE_FFT:-$work/build/cuda_on_host/libcuda_on_host.so}
fi
if [[ $mode == HOST ]]; then
  step tests-cpp 120 ctests on_host
else
  step tests-cpp 120 ctests gpu
fi

runs_python=1
for module in numpy scipy h5py pydantic click rich; do
  has "$module" || { left_out "Python" "$module is missing"; runs_python=0; break; }
done
if ((runs_python)); then
  export PYTHONPATH=$work/package${PYTHONPATH:+:$PYTHONPATH}
  step package 30 package || runs_python=0
fi
if ((runs_python)); then
  step benchmark 240 benchmark
fi
if ! command -v compute-sanitizer >/dev/null; then
  left_out "compute-sanitizer" "it is not installed"
elif [[ $mode != HOST ]]; then
  step memcheck 60 sanitizer memcheck lane canvas memory
  step racecheck 50 sanitizer racecheck lane canvas
  step initcheck 50 sanitizer initcheck lane canvas memory
fi
if ! command -v ncu >/dev/null; then
  left_out "profile" "ncu is not installed"
elif ((runs_python)) && [[ $mode != HOST ]]; then
  step profile 90 profile
fi
if ((runs_python)); then
  if has pytest; then step tests-python 90 python_tests; else left_out "tests-python" "pytest is missing"; fi
fi

echo
for name in benchmark profile; do [[ ! -s $logs/$name.log ]] || cat "$logs/$name.log"; done
echo
cat "$table"
echo "$SECONDS s, all of it in $out"
exit "$failed"
