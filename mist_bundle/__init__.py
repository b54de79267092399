"""mist_bundle: looks at a 3D medical segmentation data set and writes what training it needs as a MONAI bundle."""

__version__ = "0.2.0"
__all__ = ["__version__"]
