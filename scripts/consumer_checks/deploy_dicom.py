"""MONAI Deploy from DICOM to DICOM-SEG, of the SDK's own operators alone. Run by Deploy's Python.

    deploy_dicom.py BUNDLE SERIES SEGMENTS_JSON OUTPUT RESULT_JSON

SERIES is a folder with a DICOM series; SEGMENTS_JSON lists the segments in the order of the labels from 1 on, each with
name, category and type. OUTPUT gets the segmentation.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Image, IOType
from monai.deploy.operators import (
    DICOMDataLoaderOperator,
    DICOMSegmentationWriterOperator,
    DICOMSeriesSelectorOperator,
    DICOMSeriesToVolumeOperator,
)
from monai.deploy.operators.dicom_seg_writer_operator import SegmentDescription
from monai.deploy.operators.monai_bundle_inference_operator import (
    BundleConfigNames,
    IOMapping,
    MonaiBundleInferenceOperator,
)
from pydicom.sr.coding import Code


class DicomApplication(Application):
    """A series in, a segmentation out."""

    def __init__(
        self, *args: Any, bundle: Path, series: Path, segments: list[SegmentDescription], output: Path, **kwargs: Any
    ) -> None:
        self.bundle = bundle
        self.series = series
        self.segments = segments
        self.output = output
        super().__init__(*args, **kwargs)

    def compose(self) -> None:
        """The operators and how they are joined."""
        loader = DICOMDataLoaderOperator(self, CountCondition(self, 1), input_folder=self.series, name="load")
        selector = DICOMSeriesSelectorOperator(self, name="select")
        to_volume = DICOMSeriesToVolumeOperator(self, name="to_volume")
        inference = MonaiBundleInferenceOperator(
            self,
            input_mapping=[IOMapping("image", Image, IOType.IN_MEMORY)],
            output_mapping=[IOMapping("pred", Image, IOType.IN_MEMORY)],
            app_context=AppContext({}),
            bundle_config_names=BundleConfigNames(config_names=["inference"]),
            bundle_path=str(self.bundle),
            name="infer",
        )
        writer = DICOMSegmentationWriterOperator(
            self, segment_descriptions=self.segments, output_folder=self.output, name="write"
        )
        selected = "study_selected_series_list"
        self.add_flow(loader, selector, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(selector, to_volume, {(selected, selected)})
        self.add_flow(to_volume, inference, {("image", "image")})
        self.add_flow(inference, writer, {("pred", "seg_image")})
        self.add_flow(selector, writer, {(selected, selected)})


def main() -> None:
    """Run the application and say which file came out."""
    bundle, series, segments_json, output, result = (Path(word).resolve() for word in sys.argv[1:6])
    sys.argv = sys.argv[:1]  # the application reads the command line too
    segments = []
    for entry in json.loads(segments_json.read_text(encoding="utf-8")):
        segments.append(
            SegmentDescription(
                segment_label=entry["name"],
                segmented_property_category=Code(*entry["category"]),
                segmented_property_type=Code(*entry["type"]),
                algorithm_name=entry["algorithm"],
                algorithm_version=entry["version"],
            )
        )
    DicomApplication(bundle=bundle, series=series, segments=segments, output=output).run()
    (written,) = output.glob("*.dcm")
    seen = {"version": version("monai-deploy-app-sdk"), "file": str(written)}
    result.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
