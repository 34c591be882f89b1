"""How much a device could do at most, of which model flops utilisation is a share; how much memory.

For GPUs the figure of the manufacturer's data sheet, without sparsity; for CPUs, whose data sheets
have none, a product of matrices is timed.
"""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from corpusmill.pretrain.config import Settings

DATA_SHEETS: tuple[tuple[tuple[str, ...], Mapping[str, float]], ...] = (
    (("B200",), {"bf16": 2250.0, "fp32": 75.0}),
    (("H200", "NVL"), {"bf16": 835.5, "fp32": 60.0}),
    (("H200",), {"bf16": 989.4, "fp32": 67.0}),
    (("GH200",), {"bf16": 989.4, "fp32": 67.0}),
    (("H100", "NVL"), {"bf16": 835.5, "fp32": 60.0}),
    (("H100", "PCIe"), {"bf16": 756.0, "fp32": 51.0}),
    (("H100",), {"bf16": 989.4, "fp32": 67.0}),
    (("A100",), {"bf16": 312.0, "fp32": 19.5}),
    (("A30",), {"bf16": 165.0, "fp32": 10.3}),
    (("A40",), {"bf16": 149.7, "fp32": 37.4}),
    (("A10",), {"bf16": 125.0, "fp32": 31.2}),
    (("L40S",), {"bf16": 362.0, "fp32": 91.6}),
    (("L40",), {"bf16": 181.0, "fp32": 90.5}),
    (("L4",), {"bf16": 121.0, "fp32": 30.3}),
    (("V100",), {"fp32": 15.7}),
    (("T4",), {"fp32": 8.1}),
    (("RTX", "A6000"), {"bf16": 154.8, "fp32": 38.7}),
    (("RTX", "3090"), {"bf16": 71.0, "fp32": 35.6}),
    (("RTX", "4090"), {"bf16": 165.2, "fp32": 82.6}),
    (("RTX", "5090"), {"bf16": 209.5, "fp32": 104.8}),
)
"""Words of a device's name -> TFLOPS by precision, dense. NVIDIA's data sheets and white papers;
the first line whose words all stand in the name counts. fp32 is without TF32, as torch multiplies
it unless told otherwise."""

SIDE = 1024
"""Of the matrices whose product is timed."""
TIMED_SECONDS = 0.3
"""For which products are timed; the fastest counts."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Of the device of one process."""

    flops: float
    """Floating-point operations a second."""
    origin: str
    """Where the figure is from, for people."""


def find_peak(settings: Settings, device: torch.device) -> Peak | None:
    """What the device does at most in the precision of the settings; None when that is not known.

    `settings` have been resolved: neither device nor precision is `auto`.
    """
    if settings.peak_tflops is not None:
        return Peak(flops=1e12 * settings.peak_tflops, origin="setting peak_tflops")
    if device.type != "cuda":
        return Peak(flops=measured(settings.precision), origin="measured by a product of matrices")
    name = torch.cuda.get_device_name(device)
    tflops = data_sheet(name, settings.precision)
    return None if tflops is None else Peak(flops=1e12 * tflops, origin=f"data sheet of {name}")


def data_sheet(name: str, precision: str) -> float | None:
    """TFLOPS of a device by the name that torch has for it; None for one that is not in the table.

    >>> data_sheet("NVIDIA H100 PCIe", "bf16")
    756.0
    """
    words = set(name.replace("-", " ").split())
    found = next((figures for needed, figures in DATA_SHEETS if words.issuperset(needed)), {})
    return found.get(precision)


def measured(precision: str) -> float:
    """Operations a second of the fastest of several products, with the threads that torch has."""
    matrix = torch.ones(SIDE, SIDE, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    best = float("inf")
    begun = time.perf_counter()
    while time.perf_counter() - begun < TIMED_SECONDS or best == float("inf"):
        # processor time: beside other programs the clock on the wall would measure them as well
        before = time.process_time()
        matrix @ matrix
        best = min(best, (time.process_time() - before) / torch.get_num_threads())
    return 2.0 * SIDE**3 / best


def peak_memory_bytes(device: torch.device) -> int:
    """The most that torch has had on a CUDA device, or this process in memory, so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # kibibytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
