"""train.json: MONAI's supervised trainer and evaluator, fed by patches from the cache."""

from __future__ import annotations

from mist_bundle.bundle.configs import parts
from mist_bundle.bundle.configs.loss import batch_with_maps, loss_config, weighting_handlers
from mist_bundle.bundle.configs.parts import Config, script
from mist_bundle.catalog.augmentations import FOREGROUND_PROBABILITY, augmentation
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.planning.plan import Plan

METRIC = "val_mean_dice"


def train_config(plan: Plan, name: str, bundle_id: str, dataset_dir: str) -> Config:
    """The complete train.json of a plan (arguments as in parts.header)."""
    return {
        **parts.header(name, bundle_id, dataset_dir),
        **_settings(plan),
        **_model(plan),
        "train": _train(plan),
        "validate": _validate(plan),
        "initialize": initialize(),
        "run": [*_attaching(plan), "$@train#trainer.run()"],
        "training": "%run",
    }


def _attaching(plan: Plan) -> list[str]:
    initial = [] if plan.initial_weights is None else ["$@initial_weights.attach(@train#trainer)"]
    return [
        *initial,
        "$@checkpoints.attach(@train#trainer, @validate#evaluator if @validate#dataset#data else None)",
    ]


def initialize() -> list[str]:
    """Seeding only: cheap, repeatable, and it resolves neither the bundle's root nor its scripts."""
    return [
        "$monai.utils.set_determinism(seed=@seed, use_deterministic_algorithms=False)",
        "$setattr(torch.backends.cudnn, 'benchmark', True)",
        "$setattr(torch.backends.cudnn, 'deterministic', False)",
        "$torch.set_float32_matmul_precision('high')",
    ]


def _settings(plan: Plan) -> Config:
    frozen = {"frozen_epochs": plan.frozen_epochs.value} if plan.frozen_parts and plan.frozen_epochs else {}
    return {
        **frozen,
        "fold_dir": "$os.path.join(@work_dir, 'fold_' + str(@fold))",
        "output_dir": "$os.path.join(@fold_dir, 'predictions')",
        "models_dir": "$os.path.join(@bundle_root, 'models')",
        "fold": 0,
        "epochs": plan.epochs.value,
        "steps_per_epoch": plan.steps_per_epoch.value,
        "batch_size": plan.batch_size.value,  # of one optimizer step, over all processes
        "batch_size_per_process": None,
        "patch_size": list(plan.patch_size.value),
        **_optimisation(plan),
        "patch_divisor": list(plan.patch_divisor),
        "val_interval": plan.val_interval.value,
        "overlap": plan.overlap.value,
        "sw_batch_size": 2 * plan.patches_per_pass,
        "seed": plan.seed,
        "device": parts.DEVICE,
        "resume": False,
        "amp": "@precision",
        "loader": "auto",
        "workers": None,  # as many as there are cores
        "rank": parts.RANK,
        "world_size": parts.WORLD_SIZE,
    }


def _optimisation(plan: Plan) -> Config:
    warmup: Config = {"warmup_steps": plan.warmup_steps.value}
    if plan.warmup_fraction is not None:  # the recipe's: it stays its share of the run when --epochs changes that
        steps = "$@warmup_fraction * @train#trainer#max_epochs * @steps_per_epoch"
        warmup = {"warmup_fraction": plan.warmup_fraction, "warmup_steps": steps}
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


def _model(plan: Plan) -> Config:
    return {
        "network_def": parts.network(plan, training=True),
        "network": "$@network_def.to(@device)",
        **loss_config(plan),
        "optimizer": parts.choice(
            OPTIMIZERS[plan.optimizer.value],
            params="@parameter_groups" if plan.layer_rates else "$@network.parameters()",
            lr="@learning_rate",
            weight_decay="@weight_decay",
        ),
        "lr_scheduler": parts.choice(
            SCHEDULES[plan.schedule.value],
            shape="@schedule",
            optimizer="@optimizer",
            total_steps="$@train#trainer#max_epochs * @steps_per_epoch",
            warmup_steps="@warmup_steps",
        ),
        "average": {
            "_target_": "ignite.handlers.EMAHandler",
            "_disabled_": "$@ema_decay == 0",
            "model": "@network",
            "momentum": "$1 - @ema_decay",
        },
        "evaluated_network": "$@average.ema_model if @ema_decay > 0 else @network",
        **_transfer(plan),
        "checkpoints": _checkpoints(),
    }


def _transfer(plan: Plan) -> Config:
    """What a training that begins from another bundle's weights has besides: the weights, and rates for each part."""
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
            path="$os.path.join(@bundle_root, 'transfer', 'initial.safetensors')",
            networks=["@network", "@evaluated_network"],
            last="$os.path.join(@fold_dir, 'last.pt')",
            resume="@resume",
            new_parts=["auxiliary_heads", "vae_branch"],
        )
    return transfer


def _checkpoints() -> Config:
    return script(
        "handlers.checkpoints.CheckpointKeeper",
        network="@network",
        optimizer="@optimizer",
        lr_scheduler="@lr_scheduler",
        loader="@train#dataloader",
        fold_dir="@fold_dir",
        best_paths=[
            "$os.path.join(@models_dir, 'fold_' + str(@fold) + '.pt')",
            "$os.path.join(@models_dir, 'model.pt')",
        ],
        averaged_network="$@evaluated_network if @ema_decay > 0 else None",
        metric=METRIC,
        training_only_keys=["deep_supervision_heads.", ".super_head.", "auxiliary_heads.", "vae_branch."],
        early_stopping="@early_stopping",
        resume="@resume",
        rank="@rank",
    )


def _train_handlers(plan: Plan) -> list[Config]:
    handlers: list[Config] = [
        *weighting_handlers(plan),
        script("handlers.gradients.FiniteLossGuard", loader="@train#dataloader"),
        script("handlers.gradients.GradientRules", max_norm="@grad_clip_norm", l1_penalty="@l1_penalty"),
        {**script("handlers.average.AverageWeights", handler="@average"), "_disabled_": "$@ema_decay == 0"},
        script("handlers.schedule.ScheduleStepper", lr_scheduler="@lr_scheduler"),
        {
            "_target_": "ValidationHandler",
            "_disabled_": "$not @validate#dataset#data",
            "validator": "@validate#evaluator",
            "epoch_level": True,
            "interval": "@val_interval",
        },
        {
            **script("handlers.final_validation.FinalValidation", validator="@validate#evaluator"),
            "_disabled_": "$not @validate#dataset#data",
        },
        script(
            "handlers.progress.TrainingProgress",
            class_names=list(plan.foreground_names),
            log_dir="@fold_dir",
            evaluator="@validate#evaluator",
            optimizer="@optimizer",
            metric=METRIC,
            rank="@rank",
        ),
    ]
    if plan.frozen_parts is not None:
        frozen = script(
            "handlers.freeze.FreezeParts",
            network="@network",
            parts=list(plan.frozen_parts.value),
            epochs="@frozen_epochs",
        )
        handlers.insert(0, frozen)  # before the clipping: what is frozen does not count in the norm
    return handlers


def _train(plan: Plan) -> Config:
    return {
        "deterministic_transforms": parts.transforms(plan, with_label=True),
        "preprocessing": parts.compose("@train#deterministic_transforms"),
        "dataset": {
            "_target_": "Dataset",
            "data": parts.items("training"),
            "transform": "@train#preprocessing",
        },
        "cache": cache(plan),
        "augmentation": augmentation(plan.augmentation.value, plan.flip_axes.value, plan.target_spacing_mm.value),
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
        "inferer": script("inferers.autocast.AutocastInferer", inferer={"_target_": "SimpleInferer"}, enabled="@amp"),
        "handlers": _train_handlers(plan),
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
            "accumulation_steps": "$@train#dataloader.passes",
            # MONAI's own autocast and gradient scaler serve half precision only; see inferers/autocast.py
            "amp": "$@train#inferer.needs_scaler(@device)",
            # the command line of monai.bundle hands over `true` as a word
            "compile": "$@compile in (True, 'true')",
        },
    }


def cache(plan: Plan) -> Config:
    """The cache of prepared arrays, in the work folder; its key covers the files and the transforms."""
    return script(
        "loading.cache.ArrayCache",
        folder="$os.path.join(@work_dir, 'cache')",
        transform="@train#preprocessing",
        keys=["image", "label", *(["dtm"] if plan.distance_maps.value else [])],
        **({} if plan.ignore_index is None else {"ignore_index": plan.ignore_index}),
        workers="@workers",
    )


def _validate(plan: Plan) -> Config:
    return {
        "preprocessing": "@train#preprocessing",
        "dataset": script("loading.dataset.CachedDataset", data=parts.items("validation"), cache="@train#cache"),
        "sampler": script(
            "loading.shards.ShardSampler", dataset="@validate#dataset", rank="@rank", world_size="@world_size"
        ),
        "dataloader": {
            "_target_": "ThreadDataLoader",  # reads the next case while this one is predicted
            "dataset": "@validate#dataset",
            "batch_size": 1,
            "sampler": "@validate#sampler",
            "num_workers": 0,
        },
        "inferer": script("inferers.autocast.AutocastInferer", inferer=parts.sliding_window(plan), enabled="@amp"),
        "postprocessing": parts.compose_list(parts.discretize(plan)),
        "key_metric": {
            METRIC: {
                "_target_": "MeanDice",
                "include_background": plan.regions.value,
                "output_transform": "$monai.handlers.from_engine(['pred', 'label'])",
            }
        },
        "handlers": [],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "non_blocking": True,
            "val_data_loader": "@validate#dataloader",
            "network": "@evaluated_network",
            "inferer": "@validate#inferer",
            "postprocessing": "@validate#postprocessing",
            "key_val_metric": "@validate#key_metric",
            "val_handlers": "@validate#handlers",
        },
    }


def multi_gpu_train_config(plan: Plan) -> Config:
    """multi_gpu_train.json: what differs when torchrun starts several processes; gloo on CPUs, nccl on GPUs."""
    return {
        "device": (
            "$torch.device('cuda', int(os.environ['LOCAL_RANK'])) if torch.cuda.is_available() else torch.device('cpu')"
        ),
        "network": {
            "_target_": "torch.nn.parallel.DistributedDataParallel",
            "module": "$@network_def.to(@device)",
            "device_ids": "$[@device.index] if @device.type == 'cuda' else None",
            "gradient_as_bucket_view": True,
        },
        **_processes("train#trainer.run()", _attaching(plan)),
        "training": "%run",
    }


def multi_gpu_evaluate_config() -> Config:
    """multi_gpu_evaluate.json: the cases shared out over the processes of torchrun."""
    return {
        "device": (
            "$torch.device('cuda', int(os.environ['LOCAL_RANK'])) if torch.cuda.is_available() else torch.device('cpu')"
        ),
        **_processes("validate#evaluator.run()", []),
        "evaluating": "%run",
    }


def _processes(run: str, attaching: list[str]) -> Config:
    return {
        "run": [
            "$dist.init_process_group(backend='nccl' if torch.cuda.is_available() else 'gloo')",
            "$torch.cuda.set_device(@device) if torch.cuda.is_available() else None",
            *attaching,
            f"$@{run}",
        ],
        "finalize": ["$dist.destroy_process_group() if dist.is_initialized() else None"],
    }
