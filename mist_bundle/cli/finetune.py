"""Verbs that start from trained weights: finetune and average_weights."""

from __future__ import annotations

from typing import Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.cli.words import fail_for, nearby, next_command, print_bundle, printed_warnings
from mist_bundle.errors import count_paths


@takes(mb.finetune)
def finetune(**arguments: Any) -> None:
    """Configure a bundle for new data whose training begins from the weights of another bundle."""
    from mist_bundle.files import read_json
    from mist_bundle.planning.table import decisions_text, text_table
    from mist_bundle.transfer.account import TRANSFER_JSON, account_rows

    with printed_warnings() as left_out:
        bundle = mb.finetune(**arguments)
    account = bundle.root / TRANSFER_JSON
    print(decisions_text(bundle.plan))
    print(f"\nWeights from {arguments['source']}:\n\n{text_table(account_rows(read_json(account)))}")
    print(f"Each tensor: {nearby(account)}")
    print_bundle(bundle)
    print(f"Train it: {next_command(bundle, 'train', '--fold', 'all')}")
    fail_for(left_out, bundle.plan.num_cases + count_paths(left_out), "left out")


@takes(mb.average_weights)
def average_weights(*sources: str, **arguments: Any) -> None:
    """Average weights into a single model: the folds of a bundle, or files of the same network.

    Args:
        *sources: a bundle's folder (its models/fold_*.pt), or two files or more (.pt, .safetensors).
    """
    files = mb.average_weights(*sources, **arguments)
    print(f"Mean of {len(files)} files: {arguments['output']}")
