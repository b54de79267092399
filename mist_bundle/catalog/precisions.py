"""The number formats that a network may compute in; weights and losses stay in float32 always."""

from __future__ import annotations

PRECISIONS: dict[str, str] = {
    "auto": "bfloat16 where the device has instructions for it, fp16 on older GPUs, else float32 (default).",
    "fp32": "float32.",
    "bf16": "bfloat16 autocast, on any device; slow where it is emulated.",
    "fp16": "half precision with a gradient scaler, on CUDA; elsewhere auto takes its place, with a message.",
}
