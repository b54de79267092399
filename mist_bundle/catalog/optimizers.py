"""The optimizers on the menu. `fused` updates all weights in a single pass instead of several for each of them."""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

OPTIMIZERS: dict[str, Choice] = {
    "adam": Choice(
        target="torch.optim.Adam",
        kwargs={"fused": True},
        about="Adam (default).",
        cite="Kingma and Ba, arXiv 1412.6980",
    ),
    "adamw": Choice(
        target="torch.optim.AdamW",
        kwargs={"fused": True},
        about="Adam with decoupled weight decay.",
        cite="Loshchilov and Hutter, arXiv 1711.05101",
    ),
    "sgd-nnunet": Choice(
        target="torch.optim.SGD",
        kwargs={"momentum": 0.99, "nesterov": True, "fused": True},
        about="Stochastic gradient descent with Nesterov momentum 0.99, as nnU-Net trains.",
        cite="Isensee et al., Nature Methods 2021, doi:10.1038/s41592-020-01008-z",
    ),
    "sgd": Choice(
        target="torch.optim.SGD",
        kwargs={"momentum": 0.9, "nesterov": True, "fused": True},
        about="Stochastic gradient descent with Nesterov momentum 0.9.",
        cite="Sutskever et al., ICML 2013",
    ),
}
