"""train.json: MONAI's supervised trainer and evaluator, fed by patches from the cache."""

from __future__ import annotations

from mist_bundle.bundle import expressions
from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.loss import batch_with_maps, loss_config
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.bundle.configs.train_handlers import train_handlers
from mist_bundle.bundle.configs.transforms import deterministic_transforms
from mist_bundle.bundle.configs.validation import METRIC, validate_config
from mist_bundle.catalog.augmentations import CHANNEL_DROP_PROBABILITY, FOREGROUND_PROBABILITY, augmentation
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.planning.plan import Plan

# settings that may change when a training is resumed: where it runs, where its files are, and how long it is
OF_THE_MACHINE = frozenset(
    {
        *("fold_dir", "output_dir", "models_dir", "fold", "epochs", "early_stopping", "sw_batch_size", "patch_divisor"),
        *(
            "memory",
            "device",
            "resume",
            "workers",
            "rank",
            "world_size",
            "compile",
            "batch_size_per_process",
            "tracker",
        ),
    }
)


def train_config(plan: Plan, name: str, bundle_id: str, dataset_dir: str) -> Config:
    """Return the complete train.json of a plan; arguments as for `parts.header`."""
    settings = _settings(plan)
    return {
        **parts.header(name, bundle_id, dataset_dir),
        **settings,
        **_model(plan, settings),
        "train": _train(plan, name),
        "validate": validate_config(plan),
        "initialize": initialize(),
        "run": [parts.CHECKED, *_attaching(plan), expressions.RUN_TRAINER],
        "training": expressions.RUN_LIST,
    }


def _attaching(plan: Plan) -> list[str]:
    if plan.initial_weights is None:
        return [expressions.ATTACH_CHECKPOINTS]
    return [expressions.LOAD_INITIAL_WEIGHTS, expressions.ATTACH_CHECKPOINTS]


def initialize() -> list[str]:
    """Return the seeding, which is cheap, repeatable, and resolves neither the bundle's root nor its scripts."""
    return [
        expressions.SEED,
        expressions.FASTEST_CONVOLUTIONS,
        expressions.ANY_CONVOLUTIONS,
        expressions.TF32,
    ]


def _settings(plan: Plan) -> Config:
    settings: Config = {}
    if plan.frozen_parts and plan.frozen_epochs:
        settings["frozen_epochs"] = plan.frozen_epochs.value
    return {
        **settings,
        "fold_dir": expressions.FOLD_DIR,
        "output_dir": expressions.FOLD_PREDICTIONS,
        "models_dir": expressions.MODELS_DIR,
        "fold": 0,
        "epochs": plan.epochs.value,
        "steps_per_epoch": plan.steps_per_epoch.value,
        "batch_size": plan.batch_size.value,  # of an optimizer step, over all processes
        "batch_size_per_process": None,
        "patch_size": list(plan.patch_size.value),
        **_optimisation(plan),
        "patch_divisor": list(plan.patch_divisor),
        "val_interval": plan.val_interval.value,
        "overlap": plan.overlap.value,
        "sw_batch_size": 2 * plan.patches_per_pass,
        "memory": parts.MEMORY_GB,
        "seed": plan.seed,
        "device": expressions.DEVICE,
        "resume": False,
        "amp": "@precision",
        "loader": "auto",
        "tracker": "tensorboard",
        "workers": None,  # as many as there are cores
        "rank": expressions.RANK,
        "world_size": expressions.WORLD_SIZE,
    }


def _optimisation(plan: Plan) -> Config:
    warmup: Config = {"warmup_steps": plan.warmup_steps.value}
    if plan.warmup_fraction is not None:  # the recipe's warm-up remains a share of the run if --epochs changes it
        warmup = {"warmup_fraction": plan.warmup_fraction, "warmup_steps": expressions.WARMUP_STEPS}
    return {
        "learning_rate": plan.learning_rate.value,
        "schedule": SCHEDULES[plan.schedule.value].kwargs["shape"],
        **warmup,
        "weight_decay": plan.weight_decay.value,
        "l1_penalty": plan.l1_penalty.value,
        "grad_clip_norm": plan.grad_clip_norm.value,
        "accumulation_steps": plan.accumulation_steps.value,
        "ema_decay": plan.ema_decay.value,
        "early_stopping": plan.early_stopping.value,
        "precision": plan.precision.value,
        "compile": plan.compile.value,
    }


def _model(plan: Plan, settings: Config) -> Config:
    return {
        "network_def": parts.network(plan, training=True),
        "network": expressions.NETWORK_ON_DEVICE,
        **loss_config(plan),
        "optimizer": parts.choice(
            OPTIMIZERS[plan.optimizer.value],
            params="@parameter_groups" if plan.layer_rates else expressions.PARAMETERS,
            lr="@learning_rate",
            weight_decay="@weight_decay",
        ),
        "lr_scheduler": parts.choice(
            SCHEDULES[plan.schedule.value],
            shape="@schedule",
            optimizer="@optimizer",
            total_steps=expressions.TOTAL_STEPS,
            warmup_steps="@warmup_steps",
        ),
        "average": {
            "_target_": "ignite.handlers.EMAHandler",
            "_disabled_": expressions.NO_AVERAGE,
            "model": "@network",
            "momentum": expressions.AVERAGE_MOMENTUM,
        },
        "evaluated_network": expressions.EVALUATED_NETWORK,
        **_transfer(plan),
        "checkpoints": _checkpoints(settings),
    }


def _transfer(plan: Plan) -> Config:
    """Additions for a training that begins from another bundle's weights: the weights, and rates for each part."""
    transfer: Config = {}
    if plan.layer_rates:
        transfer["parameter_groups"] = script(
            "networks.parameter_groups.parameter_groups",
            network="@network",
            learning_rate="@learning_rate",
            rates=dict(plan.layer_rates),
        )
    if plan.initial_weights is not None:
        transfer["initial_weights"] = script(
            "handlers.initial_weights.InitialWeights",
            path=expressions.INITIAL_WEIGHTS,
            networks=["@network", "@evaluated_network"],
            last=expressions.LAST_CHECKPOINT,
            resume="@resume",
            new_parts=["auxiliary_heads", "vae_branch"],
        )
    return transfer


def _checkpoints(settings: Config) -> Config:
    return script(
        "handlers.checkpoints.CheckpointKeeper",
        network="@network",
        optimizer="@optimizer",
        lr_scheduler="@lr_scheduler",
        loader="@train#dataloader",
        fold_dir="@fold_dir",
        best_paths=[
            expressions.FOLD_MODEL,
            expressions.MODEL,
        ],
        averaged_network=expressions.AVERAGED_NETWORK,
        metric=METRIC,
        training_only_keys=["deep_supervision_heads.", ".super_head.", "auxiliary_heads.", "vae_branch."],
        early_stopping="@early_stopping",
        resume="@resume",
        rank="@rank",
        settings={name: f"@{name}" for name in settings if name not in OF_THE_MACHINE},
        plan="@bundle_id",
        datalist_path="@datalist",
        bundle_root="@bundle_root",
    )


def _train(plan: Plan, name: str) -> Config:
    return {
        "deterministic_transforms": deterministic_transforms(plan, with_label=True),
        "preprocessing": parts.compose("@train#deterministic_transforms"),
        "dataset": parts.dataset(parts.items("training"), "@train#preprocessing"),
        "cache": cache(plan),
        "augmentation": _augmentation(plan),
        "dataloader": script(
            "loading.select.patch_loader",
            loader="@loader",
            data="@train#dataset#data",
            cache="@train#cache",
            patch_size="@patch_size",
            patch_divisor="@patch_divisor",
            batch_size="@batch_size",
            batch_size_per_process="@batch_size_per_process",
            accumulation_steps="@accumulation_steps",
            steps_per_epoch="@steps_per_epoch",
            augmentation="@train#augmentation",
            foreground_probability=FOREGROUND_PROBABILITY,
            seed="@seed",
            rank="@rank",
            world_size="@world_size",
            device="@device",
            num_threads="@workers",
        ),
        "inferer": parts.autocast({"_target_": "SimpleInferer"}),
        "handlers": train_handlers(plan, name),
        "trainer": {
            "_target_": "SupervisedTrainer",
            "max_epochs": "@epochs",
            "device": "@device",
            "non_blocking": True,
            "train_data_loader": "@train#dataloader",
            "network": "@network",
            "optimizer": "@optimizer",
            "loss_function": "@loss",
            "inferer": "@train#inferer",
            "train_handlers": "@train#handlers",
            **batch_with_maps(plan),
            "decollate": False,
            "optim_set_to_none": True,
            "accumulation_steps": expressions.PASSES_PER_STEP,
            # MONAI's own autocast and gradient scaler serve half precision only; see inferers/autocast.py
            "amp": expressions.NEEDS_SCALER,
            "compile": expressions.COMPILE,
        },
    }


def _augmentation(plan: Plan) -> Config:
    settings = augmentation(plan.augmentation.value, plan.flip_axes.value, plan.target_spacing_mm.value)
    if plan.optional_channels:
        settings["optional_channels"] = list(plan.optional_channels)
        settings["channel_drop_probability"] = CHANNEL_DROP_PROBABILITY
    return settings


def cache(plan: Plan) -> Config:
    """Return the cache of prepared arrays in the work folder; its key covers the files and the transforms."""
    arrays = script(
        "loading.cache.ArrayCache",
        folder=expressions.CACHE_DIR,
        transform="@train#preprocessing",
        keys=["image", "label", "dtm"] if plan.distance_maps.value else ["image", "label"],
        workers="@workers",
    )
    if plan.patch_sampling is not None and plan.patch_sampling.value == "instance":
        arrays["balance_instances"] = True
    if plan.first_unknown_index is not None:
        arrays["ignore_index"] = plan.first_unknown_index
    return arrays


def multi_gpu_train_config(plan: Plan) -> Config:
    """Return multi_gpu_train.json: what differs if torchrun starts several processes; gloo on CPUs, nccl on GPUs."""
    return {
        "device": expressions.OWN_DEVICE,
        "network": {
            "_target_": "torch.nn.parallel.DistributedDataParallel",
            "module": expressions.NETWORK_ON_DEVICE,
            "device_ids": expressions.DEVICE_IDS,
            "gradient_as_bucket_view": True,
        },
        **_processes([*_attaching(plan), expressions.RUN_TRAINER]),
        "training": expressions.RUN_LIST,
    }


def multi_gpu_evaluate_config() -> Config:
    """Return multi_gpu_evaluate.json: the cases are shared among the processes of torchrun."""
    return {
        "device": expressions.OWN_DEVICE,
        **_processes(parts.RUN_FOLD_CASE_BY_CASE),
        "evaluating": expressions.RUN_LIST,
    }


def _processes(run: list[str]) -> Config:
    return {
        "run": [parts.CHECKED, expressions.JOIN_PROCESSES, expressions.USE_OWN_DEVICE, *run],
        "finalize": [expressions.LEAVE_PROCESSES],
    }
