"""Programs that time a peer in its own environment: each prints a JSON object with processor milliseconds.

Single process, single thread, so that processor time is what a batch costs. Nothing here runs in the project's own
environment but `OUR_STEP`.
"""

NNUNET_LOADER = """
import json, os, sys, time
os.environ["nnUNet_n_proc_DA"] = "0"
import torch
torch.set_num_threads(1)
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
prepared, side, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
plans = json.load(open(prepared + "/nnUNetPlans.json"))
plans["configurations"]["3d_fullres"].update(patch_size=[side] * 3, batch_size=2)
plans["continue_training"] = False
description = json.load(open(prepared + "/dataset.json"))
trainer = nnUNetTrainer(plans, "3d_fullres", "all", description, torch.device("cpu"))
trainer.batch_size = 2
loader, _ = trainer.get_dataloaders()
for _ in range(2):
    next(loader)
started, patches = time.process_time(), 0
while time.process_time() - started < seconds:
    patches += len(next(loader)["data"])
print(json.dumps({"ms": 1000 * (time.process_time() - started) / patches}))
"""

MIST_LOADER = """
import json, sys, time
import torch
torch.set_num_threads(1)
from mist.data_loading.generic_loader import get_training_dataset
cases, side, seconds = json.load(open(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])
loader = get_training_dataset(
    image_paths=cases["images"], label_paths=cases["labels"], dtm_paths=None, batch_size=2, roi_size=(side,) * 3,
    labels=[1, 2], oversampling=0.6, seed=0, num_workers=0, rank=0, world_size=1,
)
for _ in range(2):
    loader.next()
started, patches = time.process_time(), 0
while time.process_time() - started < seconds:
    patches += len(loader.next()[0]["image"])
print(json.dumps({"ms": 1000 * (time.process_time() - started) / patches}))
"""

MIST_STEP = """
import json, sys, time
import torch
torch.set_num_threads(1)
import mist.models.nnunet.nnunet_registry
from mist.loss_functions.deep_supervision_wrapper import DeepSupervisionLoss
from mist.loss_functions.losses.dice_cross_entropy import DiceCELoss
from mist.models.model_registry import get_model_from_registry
network = get_model_from_registry(
    "nnunet", in_channels=1, out_channels=3, patch_size=[32] * 3, target_spacing=[1.0] * 3
)
criterion = DeepSupervisionLoss(DiceCELoss())
optimizer = torch.optim.AdamW(network.parameters())
image, label = torch.randn(2, 1, 32, 32, 32), torch.randint(0, 3, (2, 1, 32, 32, 32))
network.train()

def step():
    optimizer.zero_grad()
    output = network(image)
    supervision = output.get("deep_supervision")
    criterion(y_true=label, y_pred=output["prediction"], y_supervision=supervision).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()

for _ in range(3):
    step()
times = []
for _ in range(int(sys.argv[1])):
    started = time.process_time()
    step()
    times.append(time.process_time() - started)
print(json.dumps({"ms": 1000 * sorted(times)[len(times) // 2]}))
"""

OUR_STEP = """
import json, sys, time
from pathlib import Path
import torch
from monai.bundle import ConfigParser
torch.set_num_threads(1)
bundle = Path(sys.argv[1])
sys.path.insert(0, str(bundle))
parser = ConfigParser()
parser.read_config(bundle / "configs/train.json")
network = parser.get_parsed_content("network_def")
criterion = parser.get_parsed_content("loss")
from scripts.inferers.autocast import AutocastInferer
forward = AutocastInferer(lambda image, network: network(image), sys.argv[3])
optimizer = torch.optim.AdamW(network.parameters(), fused=True)
image, label = torch.randn(2, 1, 32, 32, 32), torch.randint(0, 3, (2, 1, 32, 32, 32))
network.train()
if sys.argv[4] == "compiled":  # as the trainer does with the setting `compile`
    network = torch.compile(network)

def step():
    optimizer.zero_grad()
    criterion(forward(image, network), label).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()

for _ in range(3):
    step()
times = []
for _ in range(int(sys.argv[2])):
    started = time.process_time()
    step()
    times.append(time.process_time() - started)
parameters = sum(parameter.numel() for parameter in network.parameters())
print(json.dumps({"ms": 1000 * sorted(times)[len(times) // 2], "parameters": parameters}))
"""
