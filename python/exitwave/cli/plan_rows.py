"""What ``exitwave plan`` prints, as label and value of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exitwave.devices import DescribedDevices
    from exitwave.memory_plan import EnginePlan
    from exitwave.parameters import Parameters
    from exitwave.reconstruct import Plan
    from exitwave.topology import Job, Machine, Prediction

# What a context, the module and cuFFT's kernels take of a GPU: an allowance, not a measurement.
_DRIVER_BYTES = 600e6
# Uses of memory that are less are put together.
_SMALL_SHARE = 0.02


def run_rows(
    plan: Plan, params: Parameters, slices: list[int], shape: tuple[int, ...], dtype: Any
) -> list[tuple[str, str]]:
    """The plan of a run on the device at hand, with times from a few frames; ``slices`` of each
    engine."""
    import tempfile

    from exitwave.devices import choose_device
    from exitwave.timing import frame_seconds, timed_disk

    rows = _heading(plan, choose_device(params.device), shape)
    folder = params.scratch_folder or tempfile.gettempdir()
    files = any("file" in (engine.counts, engine.waves) for engine in plan.engines)
    disk = timed_disk(folder) if files else None
    for engine, given, count in zip(plan.engines, params.engines, slices, strict=True):
        rows += _engine_rows(engine)
        per_frame = frame_seconds(params, given, (int(shape[1]), int(shape[2])), dtype, count)
        # Computing and moving go on at the same time.
        moving = disk.seconds(engine.read_bytes, engine.written_bytes) if disk else 0.0
        seconds = max(per_frame * int(shape[0]), moving)
        rows.append((f"{engine.name} iteration", f"{_seconds(seconds)} (a few frames were timed)"))
    return rows


def described_rows(
    plan: Plan, devices: DescribedDevices, jobs: list[Job], machine: Machine | None
) -> list[tuple[str, str]]:
    """The plan of a run on GPUs that are only described, and the model's time where their kind is
    known."""
    from exitwave.topology import predict

    shape = (jobs[0].frames, *jobs[0].frame_shape)
    rows = _heading(plan, f"{devices.count} × {devices.name}", shape)
    rows.append(("on top", f"driver and cuFFT's own code, about {_bytes(_DRIVER_BYTES)} of each"))
    for engine, job in zip(plan.engines, jobs, strict=True):
        rows += _engine_rows(engine)
        if machine is None:
            continue
        nodes = -(-devices.count // machine.devices_per_node)
        seconds = predict(job, machine, nodes, devices=devices.count).seconds
        moved = engine.moved_bytes / devices.count / machine.host.bandwidth_bytes_per_s
        rows.append((f"{engine.name} iteration", f"{_seconds(max(seconds, moved))} (predicted)"))
    return rows


def _heading(plan: Plan, device: str, shape: tuple[int, ...]) -> list[tuple[str, str]]:
    counts = f", counts in its memory {_bytes(plan.counts_bytes)}" if plan.counts_bytes else ""
    return [
        ("scan", f"{shape[0]} frames of {shape[1]} × {shape[2]}{counts}"),
        ("device", f"{device}, {plan.engines[0].parts} parts"),
    ]


def _engine_rows(plan: EnginePlan) -> list[tuple[str, str]]:
    waves = f", exit waves: {plan.waves}" if plan.waves else ""
    rows = [(plan.name, f"counts: {plan.counts}{waves}; batches of {plan.batch}")]
    if plan.block_frames:
        moved = _bytes(plan.moved_bytes)
        rows.append(
            (f"{plan.name} blocks", f"of {plan.block_frames} frames, {moved} moved per iteration")
        )
    for use in plan.memory:
        small = sum(n for n in use.uses.values() if n < _SMALL_SHARE * use.peak_bytes)
        uses = {
            name: count
            for name, count in sorted(use.uses.items(), key=lambda one: -one[1])
            if count >= _SMALL_SHARE * use.peak_bytes
        } | ({"other": small} if small else {})
        pieces = ", ".join(f"{name} {_bytes(count)}" for name, count in uses.items() if count)
        if use.peak_bytes:
            rows.append((f"{plan.name} {use.name}", f"{_bytes(use.peak_bytes)}: {pieces}"))
    return rows


def prediction_rows(prediction: Prediction) -> list[tuple[str, str]]:
    """What is predicted, in words: label and value of each row."""
    job, halo, memory = prediction.job, prediction.halo, prediction.memory
    machine = prediction.machine
    sizes = [len(frames) for frames in prediction.parts]
    tile = halo.tiles[:, 2:] - halo.tiles[:, :2]
    largest = int(memory.total.argmax())
    frames = f"{sizes[0]}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    rows = [
        ("machine", f"{machine.name}: {machine.device.name}, {machine.devices_per_node} per node"),
        ("devices", f"{len(sizes)} on {prediction.nodes} node{'s' * (prediction.nodes > 1)}"),
        (
            "scan",
            f"{job.frames} frames of {job.frame_shape[0]} × {job.frame_shape[1]}, "
            f"object {halo.object_shape[0]} × {halo.object_shape[1]}",
        ),
        ("engine", f"{job.engine}{_modes(job)}"),
        ("parts", f"{frames} frames, tiles up to {tile[:, 0].max()} × {tile[:, 1].max()}"),
        ("memory", _memory(prediction, largest)),
        ("compute", _seconds(prediction.compute_seconds)),
    ]
    if prediction.stream_seconds:
        where = "" if prediction.tier == "nowhere" else f" from {prediction.tier}"
        rows.append((f"stream{where}", _seconds(prediction.stream_seconds)))
    for depth, level in enumerate(machine.levels):
        halo_bytes, probe_bytes = (
            traffic.bytes[depth]
            for traffic in (prediction.object_traffic, prediction.probe_traffic)
        )
        if prediction.traffic.bytes[depth] == 0:
            continue
        seconds = float(prediction.traffic.seconds[depth])
        rows.append(
            (
                level.name,
                f"halo {_bytes(halo_bytes)}, probe {_bytes(probe_bytes)}, {_seconds(seconds)}",
            )
        )
    rows.append(("iteration", f"{_seconds(prediction.seconds)} (predicted)"))
    if len(sizes) > 1:
        rows.append(
            (
                "speed",
                f"{prediction.speedup:.3g} × one device with memory for all, "
                f"{100 * prediction.efficiency:.0f} % of {len(sizes)}",
            )
        )
    return rows


def _modes(job: Job) -> str:
    counts = (
        (job.probe_modes, "probe modes"),
        (job.object_modes, "object modes"),
        (job.slices, "slices"),
    )
    text = ", ".join(f"{count} {name}" for count, name in counts if count > 1)
    groups = f"groups of {job.frames_per_update}" if job.updates > 1 else ""
    return "".join(f", {each}" for each in (text, groups) if each)


def _memory(prediction: Prediction, device: int) -> str:
    memory = prediction.memory
    total = f"{_bytes(memory.total[device])} of {_bytes(prediction.machine.device.memory_bytes)}"
    pieces = ", ".join(
        f"{name} {_bytes(getattr(memory, name)[device])}"
        for name in ("counts", "waves", "object", "probe", "halo", "scratch")
        if getattr(memory, name)[device] > 0
    )
    fits = {
        "device": "",
        "host": "; the rest streams from host memory",
        "disk": "; the rest streams from disk",
        "nowhere": "; does not fit: use more nodes",
    }
    return f"{total} per device: {pieces}{fits[prediction.tier]}"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB" if count < 999.5 else f"{count:.0f} TB"


def _seconds(seconds: float) -> str:
    if seconds == float("inf"):
        return "never"
    if seconds < 1e-3:
        return f"{1e6 * seconds:.3g} µs"
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
