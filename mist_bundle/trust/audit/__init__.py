"""Read a bundle without running anything in it, and say whether it holds only what this project generates."""

from mist_bundle.trust.audit.gate import require_audited

__all__ = ["require_audited"]
